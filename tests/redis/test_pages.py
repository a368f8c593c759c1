"""Pages of flat feeds: in two round trips, or by one script where that is chosen and can be; the same either way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from stream_framework.exceptions import StorageError, StreamFrameworkError
from stream_framework.feeds.redis import RedisFeed
from stream_framework.metrics.base import Metrics
from stream_framework.storage.base import BaseStorage
from stream_framework.storage.redis import connection, pages
from stream_framework.storage.redis.activity_storage import ActivityCache, RedisActivityStorage
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage
from tests.contracts.support import act, acts, ids
from tests.redis.wire import Wire, counted


@pytest.fixture(autouse=True, params=[1, 2], ids=['one trip', 'two trips'])
def fewest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many round trips a page takes, if nothing is in the way."""
    monkeypatch.setattr(RedisTimelineStorage, 'pages_in_one_trip', request.param == 1)
    return request.param


@pytest.fixture
def wire(plain_backend: Any) -> Iterator[Wire]:
    connection.reset()
    with counted() as wire:
        yield wire
    connection.reset()


@pytest.fixture
def feed(plain_backend: Any, wire: Wire) -> Any:
    """Sixty activities, the scripts known to the server."""
    return filled(plain_backend.flat()(1))


def filled(feed: Any) -> Any:
    feed.add_many(acts(60))
    assert len(feed[:5]) == 5
    return feed


def trips(wire: Wire, read: Any) -> int:
    """How many round trips it takes to read."""
    wire.reset()
    read()
    return wire.trips


def cursor(n: int) -> int:
    return act(n).serialization_id


NEWEST_FIRST = acts(60)[::-1]


def test_round_trips(feed: Any, wire: Wire, fewest: int) -> None:
    behind = feed.filter(activity_id__lt=cursor(40))
    ahead = feed.filter(activity_id__gte=cursor(40)).order_by('activity_id')
    between = feed.filter(activity_id__gt=cursor(10), activity_id__lte=cursor(30))
    for read, expected in (
        (lambda: feed[:25], NEWEST_FIRST[:25]),
        (lambda: feed[25:50], NEWEST_FIRST[25:50]),
        (lambda: feed[50:75], NEWEST_FIRST[50:]),
        (lambda: feed[3], NEWEST_FIRST[3:4]),
        (lambda: feed[80:90], []),
        (lambda: feed.order_by('activity_id')[:10], acts(10)),
        (lambda: behind[:25], NEWEST_FIRST[20:45]),
        (lambda: behind[25:50], NEWEST_FIRST[45:]),
        (lambda: ahead[:10], acts(10, first=40)),
        (lambda: between[5:15], NEWEST_FIRST[34:44]),
    ):
        assert read() == expected
        assert trips(wire, read) == (fewest if expected else 1)
    assert type(feed)(2)[:25] == []


def test_two_round_trips_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert RedisTimelineStorage.pages_in_one_trip is False


def test_what_takes_two(feed: Any, wire: Wire, fewest: int) -> None:
    assert trips(wire, lambda: feed[:]) == 2
    assert trips(wire, lambda: feed[: pages.LOOK_UPS // 10]) == fewest
    assert trips(wire, lambda: feed[: pages.LOOK_UPS // 10 + 1]) == 2


class Own:
    """Storages of an application's own, and what they were asked for."""

    calls: list[str] = []

    class Fetching(RedisActivityStorage):
        def get_from_storage(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
            Own.calls.append('get_from_storage')
            return super().get_from_storage(activity_ids, *args, **kwargs)

    class Getting(RedisActivityStorage):
        def get_many(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
            Own.calls.append('get_many')
            return super().get_many(activity_ids, *args, **kwargs)

    class Deserializing(RedisActivityStorage):
        def deserialize_activities(self, data: Any) -> Any:
            Own.calls.append('deserialize_activities')
            return super().deserialize_activities(data)

    class Slicing(RedisTimelineStorage):
        def get_slice_from_storage(self, *args: Any, **kwargs: Any) -> Any:
            Own.calls.append('get_slice_from_storage')
            return super().get_slice_from_storage(*args, **kwargs)

    class Few(RedisActivityStorage):
        """Two hashes, under keys of its own."""

        def get_key(self) -> str:
            return 'few'

        def get_cache(self) -> Any:
            Own.calls.append('get_cache')
            cache = ActivityCache('few', redis_server=self.redis_server)
            cache.number_of_keys = 2
            return cache


@pytest.mark.parametrize(
    ('storage_class', 'method', 'expected_trips'),
    [
        (Own.Fetching, 'get_from_storage', 2),
        (Own.Getting, 'get_many', 2),
        (Own.Deserializing, 'deserialize_activities', None),
        (Own.Slicing, 'get_slice_from_storage', 2),
        (Own.Few, 'get_cache', 2),
    ],
)
def test_ways_of_an_applications_own(
    plain_backend: Any, wire: Wire, storage_class: Any, method: str, expected_trips: int | None, fewest: int
) -> None:
    timelines = issubclass(storage_class, RedisTimelineStorage)
    which = 'timeline_storage_class' if timelines else 'activity_storage_class'
    feed = filled(plain_backend.flat(**{which: storage_class})(1))
    Own.calls.clear()
    assert feed[:25] == NEWEST_FIRST[:25]
    assert method in Own.calls
    assert trips(wire, lambda: feed[:25]) == (expected_trips or fewest)
    feed.activity_storage.remove_many(acts(60))


def test_methods_set_on_a_storage(feed: Any) -> None:
    asked = []
    feed.activity_storage.get_from_storage = lambda activity_ids: asked.append(len(activity_ids)) or {}
    assert feed[:25] == []
    assert asked[0] == 25


def test_activities_that_are_gone(feed: Any, wire: Wire, fewest: int) -> None:
    for activity in acts(20, first=30):
        feed.remove_activity(activity)
    assert feed[:25] == NEWEST_FIRST[:10] + NEWEST_FIRST[30:45]
    assert trips(wire, lambda: feed[:25]) == 2 * fewest
    assert feed.filter(activity_id__lt=cursor(52))[:25] == NEWEST_FIRST[8:10] + NEWEST_FIRST[30:53]


def by_plain_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids first, then activities, each by the method that applications call."""
    monkeypatch.setattr(RedisTimelineStorage, '_hashes_of', lambda self, activity_storage: None)


class Counting(Metrics):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def feed_reads_timer(self, feed_class: Any) -> Any:
        self.seen.append(('timed', feed_class))
        return super().feed_reads_timer(feed_class)

    def on_feed_read(self, feed_class: Any, activities_count: int) -> None:
        self.seen.append((activities_count, feed_class))


@pytest.mark.parametrize('scripts', [True, False])
def test_metrics_are_told_the_same(feed: Any, monkeypatch: pytest.MonkeyPatch, scripts: bool) -> None:
    feed.remove_activity(act(59))
    metrics = Counting()
    monkeypatch.setattr(BaseStorage, 'metrics', metrics)
    if not scripts:
        by_plain_commands(monkeypatch)
    feed.get_activity_slice(0, 60)
    timelines, activities = type(feed.timeline_storage), type(feed.activity_storage)
    assert metrics.seen[:4] in (
        [('timed', timelines), ('timed', activities), (60, timelines), (59, activities)],
        [('timed', timelines), (60, timelines), ('timed', activities), (59, activities)],
    )


@pytest.mark.parametrize('member', ['07', '-5', '+5', 'x', '٣', '', '1_0'])
def test_members_that_are_no_plain_ids(feed: Any, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.timeline_storage.redis.zadd(feed.key, {member: 10.0**30})

    def outcome() -> Any:
        try:
            return feed[:25]
        except StreamFrameworkError as error:
            return type(error), str(error)

    found = outcome()
    by_plain_commands(monkeypatch)
    assert found == outcome()


def test_random_pages_are_those_of_plain_commands(plain_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of one millisecond, which share scores; some activities are gone."""
    feed = plain_backend.flat(max_length=1000)(1)
    activities = [act(0, object=n, time=act(0).time) for n in range(300)]
    feed.add_many(activities)
    chance = random.Random(4)
    for activity in chance.sample(activities, 60):
        feed.remove_activity(activity)
    for _ in range(150):
        bounds = {
            f'activity_id__{name}': chance.choice(activities).serialization_id + chance.randint(-1, 1)
            for name in chance.sample(['gt', 'gte', 'lt', 'lte'], chance.randint(0, 2))
        }
        read = feed.filter(**bounds).order_by(chance.choice(['activity_id', '-activity_id']))
        start = chance.choice([0, 0, 1, 25, 120, 299])
        stop = start + chance.choice([1, 7, 25, 200])
        with monkeypatch.context() as context:
            found = read[start:stop]
            by_plain_commands(context)
            assert ids(found) == ids(read[start:stop])


@pytest.fixture
def server(own_server: Any, use: Any) -> Any:
    server = own_server()
    use(server.config)
    return server


class Here(RedisFeed):
    key_format = 'pages:%(user_id)s'


class Elsewhere(Here):
    redis_server = 'other'


def test_activities_on_another_server(server: Any, own_server: Any, use: Any, fewest: int) -> None:
    other = own_server()
    use(server.config, other=other.config)
    feed = filled(Elsewhere(1))
    assert feed[:25] == NEWEST_FIRST[:25]
    assert other.client().exists(feed.key) == 1 and not server.client().exists(feed.key)
    # The same server under another name.
    use(server.config, other=server.config)
    connection.reset()
    with counted() as wire:
        feed = filled(Elsewhere(1))
        assert trips(wire, lambda: feed[:25]) == fewest


@pytest.mark.parametrize(
    'rules', ['-eval -evalsha', '-@scripting', 'resetkeys %R~global:* %R~pages:*'], ids=['no EVAL', 'none', 'read only']
)
def test_where_no_script_is_permitted(server: Any, use: Any, rules: str) -> None:
    filled(Here(1))
    client = server.client()
    if rules.startswith('resetkeys') and int(client.info('server')['redis_version'].split('.')[0]) < 7:
        pytest.skip('keys that are only read are a matter of Redis 7')
    client.execute_command('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all', *rules.split())
    use({**server.config, 'username': 'reader', 'password': 'secret'})
    with counted() as wire:
        feed = Here(1)
        assert feed[:25] == NEWEST_FIRST[:25]
        # Once refused, a script isn't tried again.
        assert trips(wire, lambda: feed[:25]) == 2
        assert feed.filter(activity_id__lt=cursor(40))[:25] == NEWEST_FIRST[20:45]


def test_a_proxy_that_knows_no_scripts(server: Any, monkeypatch: pytest.MonkeyPatch, fewest: int) -> None:
    feed = filled(Here(1))
    client = connection.get_redis_connection()
    asked = []
    execute_command = client.execute_command

    def without_scripts(*command: Any, **options: Any) -> Any:
        if command[0] in ('EVAL', 'EVALSHA'):
            asked.append(command[0])
            raise redis.ResponseError(f"unknown command '{command[0]}'")
        return execute_command(*command, **options)

    monkeypatch.setattr(client, 'execute_command', without_scripts)
    for _ in range(3):
        assert feed[:25] == NEWEST_FIRST[:25]
    assert len(asked) == (1 if fewest == 1 else 0)


def test_another_kind_of_value_at_a_key(server: Any) -> None:
    feed = filled(Here(1))
    client = server.client()
    shards = feed.activity_storage.get_cache()
    # A hash that the page has nothing in hurts nobody.
    single = Here(2)
    single.add(act(0))
    spoilt = next(key for key in shards.get_keys() if key != shards.get_key(act(0).serialization_id))
    client.delete(spoilt)
    client.set(spoilt, 'x')
    assert single[:5] == [act(0)]
    with pytest.raises(StorageError, match=f'WRONGTYPE.*{spoilt}|{spoilt}.*WRONGTYPE') as caught:
        feed[:60]
    assert isinstance(caught.value, redis.ResponseError)
    client.delete(spoilt, 'pages:1')
    client.set('pages:1', 'x')
    with pytest.raises(StorageError, match='pages:1'):
        feed[:25]
    client.delete('pages:1')
    assert filled(feed)[:25] == NEWEST_FIRST[:25]


def test_a_client_that_gives_bytes(server: Any, use: Any, fewest: int) -> None:
    use({**server.config, 'decode_responses': False})
    with counted() as wire:
        feed = filled(Here(1))
        assert feed[:25] == NEWEST_FIRST[:25]
        assert trips(wire, lambda: feed[:25]) == fewest


def test_a_server_that_has_forgotten_the_script(server: Any) -> None:
    feed = filled(Here(1))
    server.client().script_flush()
    assert feed[:25] == NEWEST_FIRST[:25]


def test_connections_that_are_lost(server: Any) -> None:
    feed = filled(Here(1))
    for _ in range(3):
        assert feed[:25] == NEWEST_FIRST[:25]
        server.client().client_kill_filter(_type='normal', skipme=True)
        assert feed[:25] == NEWEST_FIRST[:25]


def test_a_connection_that_is_lost_half_way(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the ids and their activities: the page is read again."""
    feed = filled(Here(1))
    by_key = ActivityCache.by_key

    def killing(self: Any, fields: Any) -> Any:
        server.client().client_kill_filter(_type='normal', skipme=True)
        return by_key.__get__(self)(fields)

    monkeypatch.setattr(ActivityCache, 'by_key', killing)
    assert feed[:25] == NEWEST_FIRST[:25]


def test_errors_leave_the_connection_usable(server: Any) -> None:
    feed = filled(Here(1))
    client = server.client()
    spoilt = feed.activity_storage.get_cache().get_key(act(59).serialization_id)
    client.delete(spoilt)
    client.set(spoilt, 'x')
    for _ in range(3):
        with pytest.raises(StorageError, match=spoilt):
            feed[:25]
        assert feed.count() == 60


def test_those_who_trace_calls_see_each(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = filled(Here(1))
    seen = []
    execute_command = redis.Redis.execute_command

    def traced(self: Any, *command: Any, **options: Any) -> Any:
        seen.append(command[0])
        return execute_command(self, *command, **options)

    monkeypatch.setattr(redis.Redis, 'execute_command', traced)
    assert feed[:25] == NEWEST_FIRST[:25]
    assert seen[0] in ('ZREVRANGE', 'EVALSHA')
