"""The table of round trips, counted at the socket, on a plain server and in waves on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.feed_managers.base import Manager, add_operation, remove_operation
from stream_framework.storage.redis import connection
from stream_framework.storage.redis.commands import is_cluster
from stream_framework.verbs import Add, Comment, Love
from tests import managers
from tests.contracts.manager import Queue
from tests.contracts.support import act, acts, at
from tests.redis.wire import Wire, counted


@pytest.fixture
def wire(redis_backend: Any) -> Iterator[Wire]:
    connection.reset()
    with counted() as wire:
        yield wire
    connection.reset()


@pytest.fixture
def warm(redis_backend: Any, wire: Wire) -> Any:
    """Connections made, the cluster's nodes known, with nothing said that the work itself has to say."""
    client = connection.get_redis_connection()
    pipeline = client.pipeline(transaction=False) if hasattr(client, 'connection_pool') else client.pipeline()
    for number in range(100):
        pipeline.get(f'warm:{number}')
    pipeline.execute()
    wire.reset()
    return wire


def manager(backend: Any, **feeds: Any) -> Manager:
    made = type('CountedManager', (Manager,), {'feed_classes': feeds, 'user_feed_class': backend.user_feed_class})()
    return made


def fan_out(backend: Any, feed_class: Any, count: int, operation: Any = add_operation, n: int = 0) -> None:
    manager(backend, feed=feed_class).fanout(
        range(count), feed_class, operation, {'activities': [act(n)], 'trim': True}
    )


@pytest.mark.parametrize('size', [100, 1000])
@pytest.mark.parametrize('operation', [add_operation, remove_operation])
def test_fan_out_to_flat_feeds(redis_backend: Any, warm: Wire, operation: Any, size: int) -> None:
    feed_class = redis_backend.flat(max_length=3, trim_chance=0.01)
    for n in range(3):
        fan_out(redis_backend, feed_class, size, n=n)
    warm.reset()
    fan_out(redis_backend, feed_class, size, operation, n=3 if operation is add_operation else 2)
    assert warm.trips <= 2 * (1 if size == 100 else 4)
    assert feed_class(0).count() == (3 if operation is add_operation else 2)
    assert feed_class(size - 1).count() == feed_class(0).count()


def test_the_first_fan_out_of_a_process(redis_backend: Any, warm: Wire) -> None:
    feed_class = redis_backend.flat()
    fan_out(redis_backend, feed_class, 100)
    # On a cluster the scripts are loaded first, which the client can't do in a pipeline.
    assert warm.trips <= 2 or redis_backend.name == 'redis-cluster'


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
@pytest.mark.parametrize('size', [100, 1000])
def test_fan_out_to_feeds_of_groups(redis_backend: Any, warm: Wire, kind: str, size: int) -> None:
    feed_class = getattr(redis_backend, kind)(max_length=10, trim_chance=0.01)
    feed_class.insert_activities(acts(3))
    for n in range(2):
        fan_out(redis_backend, feed_class, size, n=n)
        warm.reset()
    fan_out(redis_backend, feed_class, size, n=2)
    chunks = 1 if size == 100 else 4
    # Marks on a cluster: before the groups, and after; then what the manager reads, once.
    assert warm.trips <= (4 if redis_backend.name == 'redis' else 5) * chunks
    assert feed_class(size - 1)[:5]


def test_a_batch_of_feeds_that_the_application_made(redis_backend: Any, warm: Wire) -> None:
    feed_class = redis_backend.flat(trim_chance=1)
    feed_class(0).add(act(0))
    warm.reset()
    activity = act(1)
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(100):
            feed_class(user_id).add(activity, batch_interface=batch)
    assert warm.trips == 1
    aggregated = redis_backend.aggregated(trim_chance=1)
    aggregated(0).add(act(0))
    warm.reset()
    with aggregated.get_timeline_batch_interface() as batch:
        for user_id in range(100):
            aggregated(user_id).add(activity, batch_interface=batch)
    assert warm.trips == 2


def test_reading_a_page(redis_backend: Any, warm: Wire) -> None:
    feed_class = redis_backend.flat()
    feed = feed_class(1)
    feed.add_many(acts(60))
    warm.reset()
    assert len(feed[:25]) == 25
    assert warm.trips <= 2
    warm.reset()
    assert len(feed.filter(activity_id__lt=feed[24:25][0].serialization_id)[:25]) == 25
    assert warm.trips <= 4


@pytest.mark.parametrize('same_time', [False, True], ids=['apart', 'at once'])
@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_reading_a_page_of_groups(redis_backend: Any, warm: Wire, kind: str, same_time: bool) -> None:
    from stream_framework.aggregators.base import NotificationAggregator

    feed = getattr(redis_backend, kind)(aggregator_class=NotificationAggregator)(1)
    for n in range(40):
        feed.add_many([Activity(actor, Love, 100 + n, time=at(0 if same_time else n)) for actor in range(2)])
    warm.reset()
    first = feed[:25]
    assert warm.trips <= 2
    assert len(first) == 25 and all(group.activities for group in first)
    warm.reset()
    second = feed[25:50]
    assert warm.trips <= 2
    assert len({group.group for group in first + second}) == 40
    filtered = feed.filter(activity_id__lt=first[-1].serialization_id)
    warm.reset()
    assert [group.group for group in filtered[:25]] == [group.group for group in second]
    assert warm.trips <= 2


def test_following(redis_backend: Any, warm: Wire) -> None:
    feed_class = redis_backend.flat(trim_chance=1)
    user_feed_class = redis_backend.make(redis_backend.user_feed_class)
    made = type('Following', (Manager,), {'feed_classes': {'feed': feed_class}, 'user_feed_class': user_feed_class})()
    for target in range(20):
        user_feed_class(target).add_many(acts(100, first=200 * target, actor=target))
    made.apply_follow(99, [0])
    warm.reset()
    made.apply_follow(100, list(range(20)))
    assert warm.trips <= 4
    assert feed_class(100)[:1][0].actor_id == 19


def kept(backend: Any) -> Any:
    manager_class = managers.with_follows(backend)
    manager_class.feed_classes = {'feed': manager_class.feed_classes['normal']}
    return manager_class()


def test_following_by_a_follow_storage(redis_backend: Any, warm: Wire) -> None:
    made = kept(redis_backend)
    for target in range(20):
        made.batch_import(target, acts(100, first=200 * target, actor=target), fanout=False)
    made.follow_user(99, 0, async_=False)
    warm.reset()
    made.follow_many_users(100, range(20), async_=False)
    assert warm.trips <= (10 if is_cluster(connection.get_redis_connection()) else 5)
    assert made.feed_classes['feed'](100).count() == 2000
    made.mute_user(100, 3, async_=False)
    assert made.feed_classes['feed'](100).count() == 1900


def test_a_fan_out_to_followers_asks_once_who_must_not_get_it(
    redis_backend: Any, warm: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, queue = kept(redis_backend), Queue(monkeypatch)
    storage = made.get_follow_storage()
    storage.import_follows((user, 'author', None) for user in range(1000))
    made.add_user_activity('author', act(0, actor='author'))
    queue.run()
    for muted in (0, 10):
        for user in range(muted):
            storage.mute(user, 'author')
        made.add_user_activity('author', act(1 + muted, actor='author'))
        assert len(queue.messages) == 10
        warm.reset()
        queue.run()
        # On a cluster what was published last is read in a round trip more.
        assert warm.trips <= 10 * (2 if is_cluster(connection.get_redis_connection()) else 1)
    assert [len(made.feed_classes['feed'](user)[:]) for user in (0, 9, 10, 999)] == [2, 2, 3, 3]


def test_what_counts_and_marks(redis_backend: Any, warm: Wire) -> None:
    feed = redis_backend.notification()(1)
    feed.add_many(acts(5))
    warm.reset()
    assert feed.get_notification_data() == {'unseen_count': 5, 'unread_count': 5}
    assert warm.trips == 1
    feed.mark_all(seen=True, read=True)
    assert warm.trips == 2
    assert feed.count_unseen() == 0
    assert warm.trips == 3


def test_a_single_add_is_one_round_trip_with_its_trim(redis_backend: Any, warm: Wire) -> None:
    feed = redis_backend.flat(max_length=3, trim_chance=0.01)(1)
    storage = feed.timeline_storage
    for n in range(6):
        warm.reset()
        storage.add(feed.key, act(n), trim_length=3)
        assert warm.trips == 1
    assert feed.count() == 3


@pytest.mark.parametrize('kind', ['flat', 'aggregated'])
def test_few_commands_are_in_flight_however_many_feeds(redis_backend: Any, warm: Wire, kind: str) -> None:
    feed_class = getattr(redis_backend, kind)(trim_chance=1)
    size = 100_000 if kind == 'flat' and redis_backend.name == 'redis' else 3000
    feed_class(0).add(act(0))
    warm.reset()
    fan_out(redis_backend, feed_class, size, n=1)
    assert warm.most_commands <= 1000
    assert warm.most_bytes <= 10_000_000
    assert feed_class(size - 1).count() == 1
    remove = [feed_class(user_id).key for user_id in range(size)]
    client = connection.get_redis_connection()
    for start in range(0, size, 1000):
        pipeline = client.pipeline()
        for key in remove[start : start + 1000]:
            pipeline.delete(key)
        pipeline.execute()


def test_what_is_new_in_all_feeds_of_a_user(redis_backend: Any, warm: Wire) -> None:
    made = manager(
        redis_backend,
        flat=redis_backend.flat(),
        more=redis_backend.flat(),
        aggregated=redis_backend.aggregated(),
        notification=redis_backend.notification(),
    )
    for feed in made.get_feeds(7).values():
        feed.add_many(acts(3))
        feed.mark_seen(until=act(0))
    made.count_new(7)
    warm.reset()
    made.count_new(7)
    assert warm.trips == 1
    feed = made.get_feeds(7)['flat']
    warm.reset()
    assert feed.count_new() == 2
    assert warm.trips == 1
    warm.reset()
    feed.delete()
    assert warm.trips == 1


def test_fan_outs_write_nothing_for_what_is_new(redis_backend: Any, warm: Wire) -> None:
    feed_class = redis_backend.flat()
    fan_out(redis_backend, feed_class, 3)
    client = connection.get_redis_connection()
    assert not client.exists('stream:seen:{' + feed_class(0).key + '}')
    feed_class(0).mark_seen()
    assert client.exists('stream:seen:{' + feed_class(0).key + '}')


def test_filtered_pages(redis_backend: Any, warm: Wire) -> None:
    feed = redis_backend.flat(max_length=300)(1)
    feed.add_many([act(n, actor=n % 3, verb=(Love, Comment, Add)[n % 3]) for n in range(200)])
    notifications = redis_backend.notification(max_length=300)(1)
    notifications.add_many(acts(30))
    unread = notifications.filter(unread=True)
    for filtered in (feed.filter(verb=Love), feed.filter(actor_id=1), unread):
        filtered[:25]
        warm.reset()
        filtered[:25]
        assert warm.trips <= 2
