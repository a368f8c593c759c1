"""A row that is written a second time is replaced as a whole, and nothing but new rows is left of it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.feed_managers.base import add_operation
from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.driver import columns
from stream_framework.storage.cassandra.models import Activity as ActivityModel
from stream_framework.verbs import Comment, Love
from tests import managers
from tests.backends import RUN
from tests.cassandra.support import made, requests
from tests.cassandra.test_trimming import tombstones
from tests.contracts.support import act, acts, at


class Numbered(Activity):
    """An activity whose id is the application's own."""

    @property
    def serialization_id(self) -> int:
        return int(self.time.timestamp()) * 10**6 + 7


class Mood(ActivityModel):
    mood = columns.Text(required=False)
    tags = columns.Set(columns.Text, required=False)


class MoodSerializer(CassandraActivitySerializer):
    def dumps(self, activity: Any) -> Any:
        row = super().dumps(activity)
        row.mood = activity.extra_context.get('mood')
        row.tags = activity.extra_context.get('tags')
        return row

    def loads(self, serialized: Any) -> Any:
        activity = super().loads(serialized)
        activity.mood, activity.tags = serialized['mood'], serialized['tags']
        return activity


def first(cls: Any = Activity, **context: Any) -> Any:
    return cls(1, Comment, 5, target=9, time=at(0), extra_context={'text': 'by 1', **context})


def second(cls: Any = Activity) -> Any:
    return cls(2, Comment, 5, time=at(0))


def content(feed: Any) -> list[Any]:
    return [(a.actor_id, a.object_id, a.target_id, a.extra_context) for a in feed[:]]


NEW = [(2, 5, None, {})]


def add(feeds: list[Any], activity: Any) -> None:
    for feed in feeds:
        feed.add(activity)


def add_many(feeds: list[Any], activity: Any) -> None:
    for feed in feeds:
        feed.add_many([activity, *acts(30, first=100)])


def in_a_batch(feeds: list[Any], activity: Any) -> None:
    with type(feeds[0]).get_timeline_batch_interface() as batch:
        for feed in feeds:
            feed.add(activity, batch_interface=batch)


def fanned_out(feeds: list[Any], activity: Any) -> None:
    users = [feed.user_id for feed in feeds]
    managers.FollowersManager().fanout(users, type(feeds[0]), add_operation, {'activities': [activity]})


def with_others(feeds: list[Any], activity: Any) -> None:
    """In a batch where each feed gets something else as well."""
    with type(feeds[0]).get_timeline_batch_interface() as batch:
        for feed in feeds:
            feed.add_many([activity, act(200 + feed.user_id)], batch_interface=batch)


def by_storage(feeds: list[Any], activity: Any) -> None:
    for feed in feeds:
        feed.timeline_storage.add(feed.key, activity)


WAYS: list[Callable[[list[Any], Any], None]] = [add, add_many, in_a_batch, fanned_out, with_others, by_storage]


@pytest.mark.parametrize('count', [1, 2, 150])
@pytest.mark.parametrize('way', WAYS, ids=lambda way: way.__name__)
def test_flat_rows(one: Any, way: Any, count: int) -> None:
    feed_class = made(one, 'flat')[0]
    feeds = [feed_class(user_id) for user_id in range(count)]
    way(feeds, first())
    way(feeds, second())
    for feed in feeds[:: max(1, count // 10)]:
        assert content(feed)[-1:] == NEW


@pytest.mark.parametrize('count', [1, 60])
@pytest.mark.parametrize('size', [2000, 9000])
def test_large_rows(one: Any, count: int, size: int) -> None:
    feeds = [made(one, 'flat')[0](user_id) for user_id in range(count)]
    text = 'x' * size
    for activities in ([first(), *acts(8, first=10)], [second(), *acts(8, first=10, extra_context={'text': text})]):
        with type(feeds[0]).get_timeline_batch_interface() as batch:
            for feed in feeds:
                feed.add_many(activities, batch_interface=batch)
    for feed in feeds:
        assert content(feed)[-1:] == NEW
        assert [len(activity.extra_context['text']) for activity in feed[:8]] == [size] * 8


def test_within_one_batch(one: Any) -> None:
    feed = made(one, 'flat')[0](1)
    with feed.get_timeline_batch_interface() as batch:
        feed.add(first(), batch_interface=batch)
        feed.add(second(), batch_interface=batch)
    assert content(feed) == NEW


def test_the_same_again(one: Any) -> None:
    feed = made(one, 'flat')[0](1)
    for _ in range(3):
        feed.add_many([first(), act(1)])
    assert content(feed)[-1] == (1, 5, 9, {'text': 'by 1'})


@pytest.mark.parametrize('actors', [('anna', 2), (2**64, 2), (2, 'anna'), (1, None), ('anna', None)], ids=str)
def test_ids_of_other_kinds(one: Any, actors: Any) -> None:
    feed = made(one, 'flat', activity_class=Numbered)[0](1)
    for actor in actors:
        feed.add(Numbered(actor, Love, 5, time=at(0)))
        assert content(feed) == [(actor, 5, None, {})]
    feed.add(Numbered(3, Love, 'a pin', target='a board', time=at(0)))
    feed.add(Numbered(3, Love, 5, time=at(0)))
    assert content(feed) == [(3, 5, None, {})]


def test_columns_of_an_applications_model(one: Any) -> None:
    feed_class, _ = made(
        one,
        'flat',
        timeline_model=Mood,
        timeline_cf_name=f'mood_twice_{RUN}',
        timeline_serializer=MoodSerializer,
        activity_serializer=MoodSerializer,
    )
    feed = feed_class(1)
    feed.add(first(mood='happy', tags={'a', 'b'}))
    assert (feed[0][0].mood, feed[0][0].tags) == ('happy', {'a', 'b'})
    feed.add(second())
    assert not feed[0][0].mood
    assert not feed[0][0].tags


def test_importing_and_following(one: Any) -> None:
    managers.FOLLOWERS.clear()
    manager = one.manager_class()()
    manager.feed_classes = {'normal': manager.feed_classes['normal']}
    manager.batch_import(71, [first_of(71, n) for n in range(40)], fanout=False)
    manager.batch_import(71, [Activity(71, Comment, 5, time=at(n)) for n in range(40)], fanout=False)
    assert content(manager.get_user_feed(71)) == [(71, 5, None, {})] * 40
    reader = manager.get_feeds(72)['normal']
    reader.add_many([first_of(71, n) for n in range(40)])
    manager.follow_user(72, 71, async_=False)
    assert content(reader) == [(71, 5, None, {})] * 40


def first_of(actor: int, n: int) -> Activity:
    return Activity(actor, Comment, 5, target=9, time=at(n), extra_context={'text': 'old'})


def test_where_the_server_says_when(one: Any) -> None:
    """Without timestamps of the client's, what is absent is made null."""
    feed = made(one, 'flat')[0](1)
    session = connection.get_session()
    session.use_client_timestamp = False
    feed.add(first())
    feed.add(second())
    assert content(feed) == NEW


def test_new_rows_leave_no_tombstones_and_take_no_more_waves(one: Any) -> None:
    feed = made(one, 'flat')[0](1)
    feed.add(act(1000))
    with requests() as sent:
        feed.add_many(acts(60))
    assert sent.waves == ['write']
    assert tombstones(one, feed, 100) == 0
    with requests() as sent:
        feed.add_many(acts(60, extra_context={'n': 1}))
        feed.add_many(acts(60))
    assert sent.waves == ['write']
    assert len(feed[:]) == 61
    assert tombstones(one, feed, 100) <= 60, 'what the second write cleared'


def test_a_removal_and_an_addition_after_it(one: Any) -> None:
    feed = made(one, 'flat')[0](1)
    for _ in range(3):
        feed.add(first())
        feed.remove(first())
        assert feed[:] == []
        feed.add(second())
        assert content(feed) == NEW


# groups


def group(number: int, **dates: Any) -> AggregatedActivity:
    made_group = AggregatedActivity(f'group-{number}', [act(number)], created_at=at(number), updated_at=at(number))
    for name, value in dates.items():
        setattr(made_group, name, value)
    return made_group


@pytest.mark.parametrize('way', ['add_many_aggregated', 'a batch', 'the storage'])
@pytest.mark.parametrize('guard', [True, False])
def test_dates_of_groups(one: Any, guard: bool, way: str) -> None:
    name = f'twice_{guard}_{RUN}'.lower()
    feed = made(one, 'aggregated', guard_updates=guard, timeline_cf_name=name)[0](1)

    def write(groups: list[Any]) -> None:
        if way == 'add_many_aggregated':
            feed.add_many_aggregated(groups)
        elif way == 'the storage':
            feed.timeline_storage.add_many(feed.key, groups)
        else:
            with feed.get_timeline_batch_interface() as batch:
                feed.add_many_aggregated(groups, batch_interface=batch)

    seen = datetime.datetime(2024, 1, 1)
    write([group(n, seen_at=seen, read_at=seen, minimized_activities=4) for n in range(30)])
    assert {(g.seen_at, g.read_at, g.minimized_activities) for g in feed[:]} == {(seen, seen, 4)}
    write([group(n) for n in range(30)])
    assert {(g.seen_at, g.read_at, g.minimized_activities) for g in feed[:]} == {(None, None, 0)}


def test_new_groups_leave_no_tombstones(one: Any) -> None:
    feed = made(one, 'aggregated')[0](1)
    feed.add_many(acts(10))
    for n in range(10, 20):
        feed.add(act(n))
    assert len(feed[:]) == 20
    assert tombstones(one, feed, 100) == 0


def test_a_group_that_comes_again_deeper_than_merging_looks(one: Any) -> None:
    feed = made(one, 'aggregated', merge_max_length=3)[0](1)
    seen = datetime.datetime(2024, 1, 1)
    deep = AggregatedActivity('501', [act(1, object=501)], created_at=at(1), updated_at=at(1))
    deep.seen_at = deep.read_at = seen
    feed.add_many_aggregated([deep])
    feed.add_many(acts(8, first=10))
    again = AggregatedActivity('501', [act(1, object=501)], created_at=at(1), updated_at=at(1))
    feed.add_many_aggregated([again])
    assert feed.count() == 9
    assert (feed[8][0].seen_at, feed[8][0].read_at) == (None, None)


def test_what_clears_a_row_goes_with_what_writes_it(one: Any) -> None:
    """In one batch: a reader, or a crash, never finds the row missing."""
    feed = made(one, 'flat')[0](1)
    feed.add_many(acts(200, extra_context={'text': 'x' * 500}))
    with requests() as sent:
        feed.add_many(acts(200, extra_context={'text': 'y' * 500}))
    assert len(sent) > 3
    for request in sent:
        assert any('INSERT' in statement for statement in request.statements)
        assert sum('USING TIMESTAMP' in statement for statement in request.statements) == 1
