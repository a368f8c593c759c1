"""Storages and serializers of an application's own, made of Redis's."""

from __future__ import annotations

from typing import Any

import pytest

from stream_framework.activity import Activity, DehydratedActivity
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.pickle_serializer import AggregatedActivityPickleSerializer, PickleSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.redis.activity_storage import ActivityCache, RedisActivityStorage
from stream_framework.storage.redis.lists_storage import RedisListsStorage
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage
from stream_framework.verbs import Love
from tests.contracts.support import act, acts, at
from tests.redis.test_concurrency import ByObject


class WithActor(SimpleTimelineSerializer):
    """Keeps the actor beside the id."""

    def dumps(self, activity: Any) -> Any:
        actor = getattr(activity, 'actor_id', 0)
        return f'{activity.serialization_id}:{actor}'

    def loads(self, serialized_activity: Any) -> DehydratedActivity:
        text = serialized_activity if isinstance(serialized_activity, str) else serialized_activity.decode()
        return super().loads(text.partition(':')[0])


class Recording(RedisTimelineStorage):
    calls: list[Any] = []

    def add_to_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(('add', key, len(activities)))
        return super().add_to_storage(key, activities, *args, **kwargs)

    def remove_from_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(('remove', key, len(activities)))
        return super().remove_from_storage(key, activities, *args, **kwargs)


@pytest.mark.parametrize('serializer', [ActivitySerializer, PickleSerializer])
def test_a_timeline_serializer_that_keeps_whole_activities(redis_backend: Any, serializer: Any) -> None:
    feed = redis_backend.flat(timeline_serializer=serializer)(1)
    feed.add_many(acts(5))
    assert feed[:] == acts(5)[::-1]
    assert feed.filter(activity_id__lt=act(3).serialization_id)[:2] == [act(2), act(1)]
    assert feed.index_of(act(4)) == 0
    feed.add(act(4))
    feed.remove(act(3))
    feed.remove(act(3))
    assert feed[:] == [act(4), act(2), act(1), act(0)]


def test_a_timeline_serializer_that_keeps_more_than_the_id(redis_backend: Any) -> None:
    feed = redis_backend.flat(timeline_serializer=WithActor, max_length=20, trim_chance=1)(1)
    feed.add_many(acts(30))
    assert feed[:] == acts(20, first=10)[::-1]
    assert feed.filter(activity_id__lt=act(15).serialization_id)[:3] == acts(3, first=12)[::-1]
    assert feed.index_of(act(29)) == 0
    feed.remove(act(20))
    feed.remove(act(21).serialization_id)
    assert feed.count() == 18


class Numbers(SimpleTimelineSerializer):
    """As the stock one, in a way of its own: what is stored is an int."""

    def dumps(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
        return super().dumps(activity)


class Small(Activity):
    """With ids that ``bytes()`` would take for a length."""

    @property
    def serialization_id(self) -> int:
        return self.object_id


@pytest.mark.parametrize('cls', [Activity, Small])
def test_a_timeline_serializer_that_makes_numbers(redis_backend: Any, cls: Any) -> None:
    feed_class = redis_backend.flat(timeline_serializer=Numbers, activity_class=cls)
    made = acts(4, cls=cls)
    feed_class.insert_activities(made)
    feed = feed_class(1)
    feed.add_many(made[:3])
    feed.add(made[2])
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in (1, 2):
            feed_class(user_id).add_many(made[2:], batch_interface=batch)
    assert feed[:] == made[::-1]
    assert feed_class(2)[:] == [made[3], made[2]]
    client = feed.timeline_storage.redis
    assert client.zrange(feed.key, 0, -1) == [str(activity.serialization_id) for activity in made]
    feed.remove(made[3])
    feed.remove_many([made[0].serialization_id])
    assert feed[:] == [made[2], made[1]]


def test_what_is_replaced_costs_no_other_entry_its_place(redis_backend: Any) -> None:
    feed = redis_backend.flat(timeline_serializer=WithActor, max_length=3, trim_chance=1)(1)
    feed.add_many(acts(3))
    again = act(2, actor=7)
    assert again == act(2)
    assert feed.add_many([again]) == 0
    assert feed[:] == acts(3)[::-1]
    members = feed.timeline_storage.redis.zrange(feed.key, 0, -1)
    assert [str(member).count(':7') for member in members] == [0, 0, 1]
    assert feed.add_many([act(2), act(3)]) == 1
    assert feed[:] == acts(3, first=1)[::-1]


def test_marks_that_differ_from_list_to_list(redis_backend: Any) -> None:
    class OnlyOddAreUnread(redis_backend.notification(aggregator_class=ByObject)):  # type: ignore[misc]
        def plan_markers(self, change: Any, new: Any, changed: Any, deleted: Any) -> None:
            super().plan_markers(change, new, changed, deleted)
            odd = {group.serialization_id for group in new if int(group.group[-1]) % 2}
            change.markers['unread'] = [mark for mark in change.markers['unread'] if mark.new_id in odd]

    feed = OnlyOddAreUnread(1)
    feed.add_many([act(n, object=n) for n in range(5)])
    assert (feed.count_unseen(), feed.count_unread()) == (5, 2)


class Timelines14(RedisTimelineStorage):
    """With the hooks' signatures of 1.4.0."""

    calls: list[Any] = []

    def add_to_storage(self, key: str, activities: Any, batch_interface: Any = None) -> Any:
        self.calls.append('add')
        return super().add_to_storage(key, activities, batch_interface=batch_interface)

    def remove_from_storage(self, key: str, activities: Any, batch_interface: Any = None) -> Any:
        self.calls.append('remove')
        return super().remove_from_storage(key, activities, batch_interface=batch_interface)


@pytest.mark.parametrize('chance', [1, 0.01, 0])
def test_hooks_as_1_4_0_had_them(redis_backend: Any, chance: float) -> None:
    Timelines14.calls.clear()
    feed = redis_backend.flat(timeline_storage_class=Timelines14, max_length=3, trim_chance=chance)(1)
    assert feed.add_many(acts(5)) == 5
    assert feed.count() == (3 if chance else 5)
    assert feed.remove(act(4)) == 1
    with type(feed).get_timeline_batch_interface() as batch:
        for user_id in (1, 2):
            type(feed)(user_id).add_many(acts(3, first=5), batch_interface=batch)
    assert [type(feed)(user_id)[:3] for user_id in (1, 2)] == [acts(3, first=5)[::-1]] * 2
    assert Timelines14.calls == ['add', 'remove', 'add', 'add']


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_hooks_as_1_4_0_had_them_are_called_for_groups(redis_backend: Any, kind: str) -> None:
    feed = getattr(redis_backend, kind)(
        timeline_storage_class=Timelines14, aggregator_class=ByObject, max_length=2, trim_chance=1
    )(1)
    Timelines14.calls.clear()
    feed.add_many([act(1, object=1)])
    feed.add_many([act(2, object=1)])
    assert Timelines14.calls == ['add', 'remove', 'add']
    feed.remove(act(2, object=1))
    for n in range(3):
        feed.add(act(10 + n, object=n))
    assert [group.group for group in feed[:]] == ['object-2', 'object-1']
    assert feed[:][1].activity_count == 2
    if kind == 'notification':
        assert feed.count_unseen() == 2, 'what was trimmed is in no badge'


def test_hooks_of_ones_own_and_another_writer(redis_backend: Any) -> None:
    """What has been written since a feed was read is not overwritten."""

    class Interrupted(Timelines14):
        def read_newest(self, keys: Any, length: int) -> Any:
            snapshots = super().read_newest(keys, length)
            if others:
                plain(1).add(others.pop())
            return snapshots

    others = [act(5, object=1), act(6, object=2)]
    feed_class = redis_backend.aggregated(timeline_storage_class=Interrupted, aggregator_class=ByObject)
    plain = type('Plain', (feed_class,), {'timeline_storage_class': RedisTimelineStorage})
    feed_class(1).add(act(1, object=1))
    assert {group.group: group.activity_count for group in plain(1)[:]} == {'object-1': 2, 'object-2': 1}


def test_hashes_of_ones_own(redis_backend: Any) -> None:
    class Hashes(ActivityCache):
        calls: list[str] = []

        def get_many(self, fields: Any) -> Any:
            self.calls.append('get')
            return super().get_many(fields)

        def set_many(self, key_value_pairs: Any) -> Any:
            self.calls.append('set')
            return super().set_many(key_value_pairs)

        def delete_many(self, fields: Any) -> Any:
            self.calls.append('delete')
            return super().delete_many(fields)

    class Storage(RedisActivityStorage):
        def get_cache(self) -> Any:
            return Hashes(name, redis_server=self.redis_server)

    name = redis_backend.key()
    feed = redis_backend.flat(activity_storage_class=Storage)(1)
    feed.add_many(acts(5))
    assert feed[:3] == acts(5)[:1:-1]
    assert feed.activity_storage.remove_many(acts(2)) == 2
    assert feed[:] == acts(5)[:1:-1]
    assert list(dict.fromkeys(Hashes.calls)) == ['set', 'get', 'delete']
    Storage().flush()
    assert feed[:] == []


def test_lists_of_ones_own(redis_backend: Any) -> None:
    class Lists(RedisListsStorage):
        calls: list[Any] = []

        def add(self, **lists: Any) -> None:
            self.calls.append(sorted(lists))
            super().add(**lists)

    feed = redis_backend.notification(markers_storage_class=Lists)(1)
    feed.add(act(1))
    assert Lists.calls == [['unread', 'unseen']]
    assert (feed.count_unseen(), feed.count_unread()) == (1, 1)


def test_hooks_of_ones_own_are_called_in_batches_too(redis_backend: Any) -> None:
    Recording.calls.clear()
    feed_class = redis_backend.flat(timeline_storage_class=Recording, max_length=5, trim_chance=1)
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(3):
            feed_class(user_id).add_many(acts(8), batch_interface=batch)
            feed_class(user_id).remove(act(7), batch_interface=batch)
    keys = [feed_class(user_id).key for user_id in range(3)]
    assert sorted(Recording.calls) == sorted([('add', key, 8) for key in keys] + [('remove', key, 1) for key in keys])
    assert [feed_class(user_id).count() for user_id in range(3)] in ([4] * 3, [5] * 3)


@pytest.mark.parametrize('context', [{}, {'set': {1, 2}, 'text': 'ü', 'object': range(3)}])
def test_pickles(redis_backend: Any, context: Any) -> None:
    flat = redis_backend.flat(activity_serializer=PickleSerializer)(1)
    activity = Activity(1, Love, 2, time=at(1), extra_context=context)
    flat.add(activity)
    [found] = flat[:]
    assert found == activity and found.extra_context == context
    groups = redis_backend.aggregated(
        timeline_serializer=AggregatedActivityPickleSerializer,
        activity_serializer=PickleSerializer,
        aggregator_class=ByObject,
    )(1)
    groups.add_many([activity, act(5, object=7)])
    groups.add(act(6, object=7))
    assert [(group.group, len(group.activities)) for group in groups[:]] == [('object-7', 2), ('object-2', 1)]
    groups.remove(act(6, object=7))
    assert [len(group.activities) for group in groups[:]] == [1, 1]
    assert groups[1][0].activities[0].extra_context == context
