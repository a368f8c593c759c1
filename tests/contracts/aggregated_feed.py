"""What an aggregated feed does, on every backend."""

from __future__ import annotations

import copy
import random
import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin, RecentVerbAggregator
from stream_framework.metrics.base import Metrics
from stream_framework.storage.base import BaseStorage
from stream_framework.verbs import Add, Comment, Follow, Love
from tests.contracts.flat_feed import OWN_IDS, ShortId, UuidId
from tests.contracts.support import START, act, acts, at, ids, members, names

LOVED, COMMENTED = '3-2013-07-08', '2-2013-07-08'


class ByObject(RecentRankMixin, BaseAggregator):
    """A group for each object."""

    def get_group(self, activity: Activity) -> str:
        return f'object-{activity.object_id}'


class Group(AggregatedActivity):
    """Keeps three activities."""

    max_aggregated_activities_length = 3


class OneDay(RecentVerbAggregator):
    """Named, so that a test can recognize it."""


class AggregatedFeedContract:
    @pytest.fixture
    def feed(self, backend: Any) -> Any:
        """A feed that groups by verb and day, and never trims by itself."""
        return backend.aggregated()(1)

    @pytest.fixture
    def feed_class(self, backend: Any) -> Any:
        """Feeds that group by object."""
        return backend.aggregated(aggregator_class=ByObject)

    @pytest.fixture
    def five(self, feed_class: Any) -> Any:
        """A feed with five groups of two; ``object-4`` is the newest."""
        feed = feed_class(1)
        feed.add_many([act(n * 10 + i, object=n) for n in range(5) for i in range(2)])
        return feed

    FIVE = tuple(f'object-{n}' for n in (4, 3, 2, 1, 0))

    # adding

    def test_groups(self, feed: Any) -> None:
        feed.add_many([act(n, verb=Love) for n in (1, 5)] + [act(n, verb=Comment) for n in (2, 3, 9)])
        comments, loves = type(feed)(1)[:]
        assert isinstance(comments, AggregatedActivity)
        assert names([comments, loves]) == [COMMENTED, LOVED]
        assert [a.actor_id for a in comments.activities] == [1002, 1003, 1009]
        assert [a.actor_id for a in loves.activities] == [1001, 1005]
        assert (comments.created_at, comments.updated_at) == (at(2), at(9))
        assert (loves.created_at, loves.updated_at) == (at(1), at(5))
        assert comments.verb is Comment
        assert comments.dehydrated is False

    def test_adding_to_a_group(self, feed: Any) -> None:
        feed.add(act(1))
        feed.add(act(2, verb=Comment))
        feed.add(act(3))
        assert members(feed[:]) == [
            (LOVED, ids([act(1), act(3)]), 0),
            (COMMENTED, ids([act(2, verb=Comment)]), 0),
        ]
        assert feed.count() == 2

    def test_returns_new_and_changed_groups_ranked(self, feed: Any) -> None:
        assert names(feed.add_many([act(1), act(2, verb=Comment)])) == [COMMENTED, LOVED]
        assert names(feed.add_many([act(5), act(3, verb=Add)])) == [LOVED, '4-2013-07-08']
        assert names(feed.add_many([act(9, verb=Follow)])) == ['1-2013-07-08']

    def test_adding_again_changes_nothing(self, feed: Any) -> None:
        feed.add_many(acts(4))
        before = members(feed[:])
        assert feed.add_many(acts(4)) == []
        assert feed.add_many([act(2), act(2)]) == []
        assert members(feed[:]) == before
        assert feed[:][0].activity_count == 4

    def test_adding_nothing(self, feed: Any) -> None:
        assert feed.add_many([]) == []
        assert feed[:] == []

    @pytest.mark.parametrize('wrong', ['x', 5, None])
    def test_only_activities_can_be_added(self, feed: Any, wrong: Any) -> None:
        with pytest.raises(ValueError):
            feed.add_many([act(1), wrong])
        assert feed.count() == 0

    @pytest.mark.parametrize('size', [1, 7, 60])
    @pytest.mark.parametrize('seed', [None, 1, 2])
    def test_counts_past_the_limit_are_exact_in_any_order(self, feed: Any, size: int, seed: int | None) -> None:
        activities = acts(60)
        arriving = list(activities)
        if seed is not None:
            random.Random(seed).shuffle(arriving)
        for first in range(0, 60, size):
            feed.add_many(arriving[first : first + size])
        [group] = feed[:]
        assert list(group.activity_ids) == ids(activities)[-15:]
        assert (group.minimized_activities, group.activity_count, len(group)) == (45, 60, 15)
        assert (group.created_at, group.updated_at) == (at(0), at(59))
        assert feed.count() == 1

    def test_aggregated_activity_class_of_the_feed(self, backend: Any) -> None:
        feed = backend.aggregated(aggregated_activity_class=Group)(1)
        feed.add_many(acts(5))
        [group] = feed[:]
        assert type(group) is Group
        assert members([group]) == [(LOVED, ids(acts(5))[2:], 2)]

    def test_get_aggregator(self, backend: Any) -> None:
        aggregator = backend.aggregated(aggregator_class=OneDay, aggregated_activity_class=Group)(1).get_aggregator()
        assert type(aggregator) is OneDay
        assert aggregator.aggregated_activity_class is Group
        assert aggregator.activity_class is Activity

    def test_groups_of_the_same_second_stay_apart(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed.add_many([act(0, object=n, time=at(ms=5)) for n in range(30)])
        found = feed[:]
        assert len(found) == feed.count() == 30
        assert len({group.serialization_id for group in found}) == 30
        feed.remove(act(0, object=7, time=at(ms=5)))
        assert sorted(names(feed[:])) == sorted(f'object-{n}' for n in range(30) if n != 7)

    def test_groups_deeper_than_merge_max_length_start_anew(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject, merge_max_length=2)(1)
        feed.add_many([act(n, object=n) for n in range(4)])
        feed.add(act(1, actor=5, object=2))
        assert feed.count() == 4, 'within the newest two, the group grows'
        feed.add(act(10, object=0))
        assert names(feed[:]) == ['object-0', 'object-3', 'object-2', 'object-1', 'object-0']
        assert [len(group) for group in feed[:]] == [1, 1, 2, 1, 1]

    def test_current_activities_is_a_hint(self, feed: Any) -> None:
        feed.add(act(1))
        stale = feed[:]
        feed.add(act(2))
        feed.add_many([act(3)], current_activities=stale)
        feed.add_many([act(4)], current_activities=[])
        feed.add_many([act(5)], current_activities=feed[:])
        assert members(feed[:]) == [(LOVED, ids(acts(5, first=1)), 0)]

    @pytest.mark.parametrize('guard', [True, False])
    def test_guard_or_not(self, backend: Any, guard: bool) -> None:
        feed = backend.aggregated(guard_updates=guard)(1)
        for n in range(20):
            feed.add(act(n))
        feed.remove(act(19))
        feed.remove(act(0))
        assert members(feed[:]) == [(LOVED, ids(acts(14, first=5)), 5)]

    def test_ids_of_any_kind(self, feed: Any) -> None:
        activities = [
            Activity('anna', Love, 'pin;7,8', time=at(1)),
            Activity(uuid.UUID(int=5), Love, uuid.UUID(int=6), 'board', time=at(2)),
            Activity(1, Love, 2, time=at(3)),
        ]
        feed.add_many(activities)
        [group] = feed[:]
        assert list(group.activity_ids) == ids(activities)
        assert group.actor_ids == ['anna', uuid.UUID(int=5), 1]
        assert group.object_ids == ['pin;7,8', uuid.UUID(int=6), 2]
        feed.remove(activities[1])
        assert feed[:][0].actor_ids == ['anna', 1]

    @pytest.mark.parametrize('notification', [False, True])
    @pytest.mark.parametrize('cls', [ShortId, UuidId])
    def test_ids_of_ones_own(self, backend: Any, cls: Any, notification: bool) -> None:
        """Short ones, and ``uuid.UUID``, which stands for its int."""
        make = backend.notification if notification else backend.aggregated
        feed = make(activity_class=cls, aggregator_class=OneDay)(1)
        activities = [cls(1, Love, n, time=at(n)) for n in range(1, 21)]
        numbers = [activity.get_dehydrated().serialization_id for activity in activities]
        for activity in activities:
            feed.add(activity)
        feed.add_many(activities[10:])
        [group] = feed[:]
        assert group.activity_ids == numbers[5:]
        assert group.activity_count == 20
        assert group.contains(activities[10])
        assert group.contains(numbers[10])
        assert not group.contains(activities[0])
        assert feed.contains(activities[10])
        feed.remove(activities[10])
        feed.remove_many(numbers[11:13])
        [group] = feed[:]
        assert group.activity_ids == numbers[5:10] + numbers[13:]
        assert group.activity_count == 17
        feed.delete()

    def test_groups_live_on_the_clock_of_their_activities(self, feed: Any) -> None:
        feed.add_many([act(0, time=at(days=day)) for day in (0, 1, 2)])
        assert names(feed[:]) == ['3-2013-07-10', '3-2013-07-09', '3-2013-07-08']

    # removing

    def test_remove_shrinks(self, feed: Any) -> None:
        feed.add_many(acts(5))
        feed.remove(act(4))
        [group] = feed[:]
        assert list(group.activity_ids) == ids(acts(4))
        assert group.updated_at == at(3)
        feed.remove(act(1).serialization_id)
        [group] = feed[:]
        assert list(group.activity_ids) == ids([act(0), act(2), act(3)])
        assert (group.created_at, group.updated_at) == (at(0), at(3))
        assert feed.count() == 1

    def test_remove_many(self, feed: Any) -> None:
        feed.add_many([*acts(5), *acts(3, verb=Comment)])
        feed.remove_many(
            [act(0), act(4).serialization_id, str(act(2).serialization_id), *acts(3, verb=Comment), act(77)]
        )
        assert members(feed[:]) == [(LOVED, ids([act(1), act(3)]), 0)]

    def test_removing_the_last_deletes_the_group(self, five: Any) -> None:
        five.remove(act(20, object=2))
        assert names(five[:]) == list(self.FIVE)
        five.remove(act(21, object=2))
        assert names(five[:]) == ['object-4', 'object-3', 'object-1', 'object-0']
        assert five.count() == 4

    def test_removing_what_is_absent(self, five: Any) -> None:
        before = members(five[:])
        five.remove(act(99))
        five.remove_many([])
        five.remove_many([act(98), 4, '5'])
        assert members(five[:]) == before

    def test_removing_from_a_group_past_the_limit(self, feed: Any) -> None:
        feed.add_many(acts(20))
        feed.remove(act(19))
        [group] = feed[:]
        assert (group.activity_count, group.minimized_activities, len(group)) == (19, 5, 14)

    def test_groups_are_found_within_max_length(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject, merge_max_length=2, max_length=10)(1)
        feed.add_many([act(n * 10 + i, object=n) for n in range(8) for i in range(2)])
        feed.remove(act(0, object=0))
        assert len(feed[7][0]) == 1
        feed.remove(act(1, object=0))
        assert feed.count() == 7

    def test_removed_can_come_back(self, feed: Any) -> None:
        feed.add_many(acts(3))
        feed.remove(act(2))
        feed.add(act(2))
        assert members(feed[:]) == [(LOVED, ids(acts(3)), 0)]
        feed.remove_many(acts(3))
        assert feed[:] == []
        feed.add_many(acts(3))
        assert members(feed[:]) == [(LOVED, ids(acts(3)), 0)]

    def test_remove_moves_the_group(self, five: Any) -> None:
        five.add(act(100, object=0))
        assert names(five[:])[0] == 'object-0'
        five.remove(act(100, object=0))
        assert names(five[:]) == list(self.FIVE)

    # groups as they are

    def test_removing_groups_that_are_gone(self, feed_class: Any, five: Any) -> None:
        stored = five[:2]
        five.remove_many_aggregated(stored)
        five.remove_many_aggregated(stored[:1])
        assert names(five[:]) == list(self.FIVE[2:])

    def test_merging_with_none(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject, merge_max_length=0)(1)
        feed.add(act(1, object=1))
        feed.add(act(2, object=2))
        assert names(feed[:]) == ['object-2', 'object-1']

    def test_a_list_that_is_filled_anew_in_a_batch(self, feed_class: Any) -> None:
        feed_class.insert_activities([act(user_id, object=user_id) for user_id in (1, 2, 3)])
        activities: list[Activity] = []
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3):
                activities[:] = [act(user_id, object=user_id)]
                feed_class(user_id).add_many(activities, batch_interface=batch)
            activities.clear()
        assert [names(feed_class(user_id)[:]) for user_id in (1, 2, 3)] == [['object-1'], ['object-2'], ['object-3']]

    def test_add_and_remove_many_aggregated(self, feed_class: Any) -> None:
        feed = feed_class(1)
        groups = feed.get_aggregator().aggregate([act(n, object=n) for n in range(4)])
        feed_class.insert_activities([act(n, object=n) for n in range(4)])
        feed.add_many_aggregated(groups)
        assert names(feed[:]) == ['object-3', 'object-2', 'object-1', 'object-0']
        stored = feed[:]
        feed.remove_many_aggregated([stored[1], stored[3]])
        assert names(feed[:]) == ['object-3', 'object-1']

    def test_everything_about_a_group_comes_back(self, feed: Any) -> None:
        group = AggregatedActivity('my group', acts(3), created_at=at(-50), updated_at=at(2))
        group.seen_at, group.read_at, group.minimized_activities = at(60), at(70), 12
        type(feed).insert_activities(acts(3))
        feed.add_many_aggregated([group])
        [found] = feed[:]
        assert found == group
        assert (found.group, found.minimized_activities) == ('my group', 12)
        assert (found.created_at, found.updated_at, found.seen_at, found.read_at) == (at(-50), at(2), at(60), at(70))
        assert found.serialization_id == group.serialization_id
        assert (found.is_seen(), found.is_read()) == (True, True)
        assert found.actor_ids == [1000, 1001, 1002]

    def test_stored_groups_without_an_activity_are_skipped(self, feed: Any) -> None:
        type(feed).insert_activities(acts(3))
        groups = [AggregatedActivity(f'group {n}', [act(n)], at(n), at(n)) for n in (0, 2)]
        feed.add_many_aggregated([*groups, *(AggregatedActivity(f'none {n}', [], at(n), at(n)) for n in (1, 3))])
        assert names(feed[:]) == names(feed[:2]) == ['group 2', 'group 0']
        assert names(feed[:1]) == names(feed.filter()[0]) == ['group 2']

    def test_what_was_given_is_not_changed(self, feed: Any) -> None:
        group = feed.get_aggregator().aggregate(acts(3))[0]
        type(feed).insert_activities(acts(3))
        feed.add_many_aggregated([group])
        assert group.dehydrated is False
        assert ids(group.activities) == ids(acts(3))

    def test_translate_diff(self, feed: Any) -> None:
        new, old, updated, deleted = (AggregatedActivity(name, [act(1)], at(1), at(1)) for name in 'nouD')
        to_remove, to_add = feed._translate_diff([new], [(old, updated)], [deleted])
        assert sorted(names(to_remove)) == ['D', 'o']
        assert sorted(names(to_add)) == ['n', 'u']

    def test_update_from_diff(self, five: Any) -> None:
        stored = five[:]
        aggregator = five.get_aggregator()
        activities = [act(200, object=3), act(201, object=9)]
        type(five).insert_activities(activities)
        new, changed, deleted = aggregator.merge(stored, activities)
        assert (len(new), len(changed), deleted) == (1, 1, [])
        five._update_from_diff(new, changed, [stored[0]])
        assert names(five[:]) == ['object-9', 'object-3', 'object-2', 'object-1', 'object-0']
        assert len(five[1][0]) == 3

    def test_contains(self, five: Any) -> None:
        assert five.contains(act(20, object=2)) is True
        assert five.contains(act(20, object=3)) is False
        five.remove(act(20, object=2))
        assert five.contains(act(20, object=2)) is False

    def test_contains_an_id(self, backend: Any, five: Any) -> None:
        activity = five[:1][0].activities[0]
        activity_id = activity.serialization_id
        for given in (activity_id, str(activity_id), uuid.UUID(int=activity_id), activity.get_dehydrated()):
            assert five.contains(given) is True
        unknown = act(20, object=3)
        assert five.contains(unknown.serialization_id) is False
        # Of one that is stored it is known what happened, and its time does not count.
        later = act(500, activity.actor_id, activity.verb, activity.object_id)
        type(five).insert_activities([later, unknown])
        assert five.contains(later.serialization_id) is not backend.whole_activities
        assert five.contains(unknown.serialization_id) is False
        five.remove(activity)
        assert five.contains(activity_id) is False

    @pytest.mark.parametrize('value', ['x', 1.5, None, b'?', object()])
    def test_contains_what_is_no_activity(self, five: Any, value: Any) -> None:
        with pytest.raises(ValueError, match='id of an activity'):
            five.contains(value)

    # hooks

    def test_on_update_feed_gets_groups(self, backend: Any) -> None:
        calls = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            assert all(isinstance(group, AggregatedActivity) for group in (*new, *deleted))
            calls.append((names(new), self.count()))

        feed = backend.aggregated(on_update_feed=on_update_feed)(1)
        feed.add_many([act(1), act(2, verb=Comment)])
        feed.add(act(3))
        assert [(sorted(new), count) for new, count in calls] == [([COMMENTED, LOVED], 2), ([LOVED], 2)]
        feed.remove(act(2, verb=Comment))
        assert len(calls) == 3
        assert calls[2][1] == 1

    # batches

    def test_batches_only_queue(self, feed_class: Any) -> None:
        feed_class(1).add_many([act(0, object=0), act(1, object=1)])
        feed_class.insert_activity(act(2, object=0))
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3):
                assert feed_class(user_id).add_many([act(2, object=0)], batch_interface=batch) == []
            assert feed_class(1).remove_many([act(1, object=1)], batch_interface=batch) == []
            assert names(feed_class(1)[:]) == ['object-1', 'object-0']
            assert feed_class(2).count() == 0
        assert members(feed_class(1)[:]) == [('object-0', ids([act(0, object=0), act(2, object=0)]), 0)]
        for user_id in (2, 3):
            assert members(feed_class(user_id)[:]) == [('object-0', ids([act(2, object=0)]), 0)]

    def test_batches_are_dropped_on_errors(self, five: Any) -> None:
        before = members(five[:])
        with pytest.raises(KeyError), type(five).get_timeline_batch_interface() as batch:
            five.add_many([act(300, object=2)], batch_interface=batch)
            five.remove_many([act(20, object=2)], batch_interface=batch)
            raise KeyError
        assert members(five[:]) == before

    def test_on_update_feed_once_for_each_feed_after_its_write(self, backend: Any) -> None:
        calls = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            calls.append((self.user_id, names(new), self.count()))

        feed_class = backend.aggregated(aggregator_class=ByObject, on_update_feed=on_update_feed)
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2):
                feed_class(user_id).add_many([act(1, object=1), act(2, object=2)], batch_interface=batch)
            assert calls == []
        assert [(user_id, sorted(new), count) for user_id, new, count in sorted(calls)] == [
            (1, ['object-1', 'object-2'], 2),
            (2, ['object-1', 'object-2'], 2),
        ]

    def test_feeds_that_hold_the_same_and_others_in_one_batch(self, feed_class: Any) -> None:
        held = {
            1: [act(1, object=1)],
            2: [act(1, object=1)],
            3: [act(2, object=1)],
            4: [act(1, object=1), act(2, object=1)],
            5: [act(1, object=2)],
            6: [],
            7: [],
            8: [act(3, object=1)],
            9: [act(1, object=1), act(3, object=1)],
        }
        for user_id, activities in held.items():
            feed_class(user_id).add_many(activities)
        both = [act(3, object=1), act(4, object=4)]
        feed_class.insert_activities(both)
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in held:
                feed_class(user_id).add_many(both, batch_interface=batch)
        for user_id, activities in held.items():
            expected: dict[str, set[int]] = {}
            for activity in activities + both:
                expected.setdefault(f'object-{activity.object_id}', set()).add(activity.serialization_id)
            got = {name: set(items) for name, items, _ in members(feed_class(user_id)[:])}
            assert (user_id, got) == (user_id, expected)
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in held:
                feed_class(user_id).remove_many(both, batch_interface=batch)
        for user_id, activities in held.items():
            left = {activity.serialization_id for activity in activities if activity not in both}
            got = {item for _, items, _ in members(feed_class(user_id)[:]) for item in items}
            assert (user_id, got) == (user_id, left)

    def test_what_a_hook_does_to_a_group_shows_in_no_other_feed(self, backend: Any) -> None:
        given: list[Any] = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            assert [len(group) for group in new] == [2]
            new[0].activities.clear()
            given.extend(new)

        feed_class = backend.aggregated(aggregator_class=ByObject)
        for user_id in (1, 2, 3):
            feed_class(user_id).add(act(1, object=1))
        one = act(2, object=1)
        feed_class.insert_activity(one)
        hooked = type('Hooked', (feed_class,), {'on_update_feed': on_update_feed})
        with hooked.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3):
                hooked(user_id).add_many([one], batch_interface=batch)
        assert len({id(group) for group in given}) == 3
        for user_id in (1, 2, 3):
            assert members(feed_class(user_id)[:]) == [('object-1', ids([act(1, object=1), act(2, object=1)]), 0)]

    def test_aggregators_of_single_feeds(self, backend: Any) -> None:
        class Chosen(backend.aggregated(aggregator_class=ByObject)):  # type: ignore[misc]
            def get_aggregator(self) -> Any:
                aggregator = super().get_aggregator()
                if self.user_id % 2:
                    aggregator.get_group = lambda activity: 'odd'  # type: ignore[method-assign]
                return aggregator

        one = act(2, object=5)
        Chosen.insert_activity(one)
        with Chosen.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3, 4):
                Chosen(user_id).add_many([one], batch_interface=batch)
        assert [names(Chosen(user_id)[:]) for user_id in (1, 2, 3, 4)] == [['odd'], ['object-5'], ['odd'], ['object-5']]

    def test_a_hook_that_raises_stops_no_other_feeds(self, backend: Any) -> None:
        calls = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            calls.append(self.user_id)
            raise KeyError(self.user_id)

        feed_class = backend.aggregated(on_update_feed=on_update_feed)
        with pytest.raises(KeyError) as failed, feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3):
                feed_class(user_id).add_many([act(1)], batch_interface=batch)
        assert sorted(calls) == [1, 2, 3]
        assert failed.value.args == (calls[0],)
        # Where a batch is one transaction, nothing was written.
        assert [feed_class(user_id).count() for user_id in (1, 2, 3)] in ([1] * 3, [0] * 3)

    @pytest.mark.parametrize('cls', OWN_IDS, ids=lambda cls: cls.__name__)
    def test_activities_in_groups_have_the_ids_that_they_are_stored_under(self, backend: Any, cls: Any) -> None:
        feed = backend.aggregated(activity_class=cls, aggregator_class=ByObject)(1)
        given = [act(n, object=1, time=at(n).replace(microsecond=123456 + n), cls=cls) for n in range(4)]
        if cls is UuidId:
            given = [act(n, object=n, time=at(n), cls=cls) for n in range(4)]
        for activity in given:
            feed.add(activity)
        assert sorted(item.serialization_id for group in feed[:] for item in group.activities) == [
            item.serialization_id for item in given
        ]
        assert all(feed.contains(item) for item in given)
        feed.remove(feed[:][-1].activities[0])
        feed.remove(given[1])
        assert sorted(item.serialization_id for group in feed[:] for item in group.activities) == [
            item.serialization_id for item in given[2:]
        ]

    def test_hooks_of_a_storage_are_called(self, backend: Any) -> None:
        class Timelines(backend.timeline_storage_class):  # type: ignore[misc,name-defined]
            def add_to_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('add', len(activities)))
                return super().add_to_storage(key, activities, *args, **kwargs)

            def remove_from_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('remove', len(activities)))
                return super().remove_from_storage(key, activities, *args, **kwargs)

        calls: list[Any] = []
        feed_class = backend.aggregated(aggregator_class=ByObject, timeline_storage_class=Timelines)
        feed = feed_class(1)
        feed.add_many([act(1, object=1), act(2, object=2)])
        feed.add(act(3, object=1))
        assert calls == [('add', 2), ('remove', 1), ('add', 1)]
        feed.remove(act(2, object=2))
        feed_class.insert_activity(act(4, object=4))
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2):
                feed_class(user_id).add_many([act(4, object=4)], batch_interface=batch)
        assert names(feed[:]) == ['object-4', 'object-1']
        assert [group.activity_count for group in feed[:]] == [1, 2]
        assert names(feed_class(2)[:]) == ['object-4']

    def test_metrics_count_groups(self, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        class Counting(Metrics):
            def on_feed_write(self, feed_class: Any, activities_count: int) -> None:
                counted.append(('written', feed_class, activities_count))

            def on_feed_remove(self, feed_class: Any, activities_count: int) -> None:
                counted.append(('removed', feed_class, activities_count))

        counted: list[Any] = []
        monkeypatch.setattr(BaseStorage, 'metrics', Counting())
        feed = backend.aggregated(aggregator_class=ByObject)(1)
        feed.add_many([act(1, object=1), act(2, object=2)])
        feed.add(act(3, object=1))
        feed.remove(act(2, object=2))
        storage = type(feed.timeline_storage)
        assert [entry for entry in counted if entry[1] is storage] == [
            ('written', storage, 2),
            ('written', storage, 1),
            ('removed', storage, 1),
            ('removed', storage, 1),
        ]

    def test_an_aggregator_may_speak_of_copies(self, backend: Any) -> None:
        class Copying(ByObject):
            def merge(self, aggregated: Any, activities: Any) -> Any:
                new, changed, deleted = super().merge(aggregated, activities)
                dropped = [group for group in aggregated if group.group == 'object-9']
                return new, copy.deepcopy(changed), copy.deepcopy(dropped)

        feed = backend.aggregated(aggregator_class=Copying)(1)
        feed.add_many([act(1, object=1), act(2, object=9)])
        feed.add(act(3, object=1))
        assert members(feed[:]) == [('object-1', ids([act(1, object=1), act(3, object=1)]), 0)]

    def test_an_aggregator_that_groups_many_into_a_group_counts_them_all(self, backend: Any) -> None:
        class InItsOwnWay(ByObject):
            def group_activities(self, activities: Any) -> Any:
                return super().group_activities(activities)

        feed = backend.aggregated(aggregator_class=InItsOwnWay)(1)
        feed.add(act(0, object=1))
        feed.add_many(acts(20, first=1, object=1))
        [group] = feed[:]
        assert (group.activity_count, len(group)) == (21, 15)
        feed.add_many(acts(20, first=1, object=1)[-15:])
        assert feed[:][0].activity_count == 21

    def test_on_update_feed_once_however_much_was_queued(self, backend: Any) -> None:
        calls = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            calls.append((self.user_id, self.count()))

        feed_class = backend.aggregated(aggregator_class=ByObject, on_update_feed=on_update_feed)
        with feed_class.get_timeline_batch_interface() as batch:
            for n in range(5):
                feed_class(1).add_many([act(n, object=n)], batch_interface=batch)
        assert calls == [(1, 5)]

    def test_batches_keep_the_order_of_work(self, feed_class: Any) -> None:
        one = act(1, object=1)
        feed_class.insert_activity(one)
        with feed_class.get_timeline_batch_interface() as batch:
            feed_class(1).add_many([one], batch_interface=batch)
            feed_class(1).remove_many([one], batch_interface=batch)
            feed_class(2).remove_many([one], batch_interface=batch)
            feed_class(2).add_many([one], batch_interface=batch)
        assert feed_class(1)[:] == []
        assert names(feed_class(2)[:]) == ['object-1']

    def test_several_adds_in_one_batch(self, feed: Any) -> None:
        feed_class = type(feed)
        feed_class.insert_activities(acts(20))
        with feed_class.get_timeline_batch_interface() as batch:
            for activity in acts(20):
                feed_class(1).add_many([activity], batch_interface=batch)
                feed_class(2).add_many([activity], batch_interface=batch)
        for user_id in (1, 2):
            assert members(feed_class(user_id)[:]) == [(LOVED, ids(acts(15, first=5)), 5)]

    # trimming, counting, deleting

    def test_trims_by_itself(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject, max_length=3, trim_chance=1)(1)
        feed.add_many([act(n, object=n) for n in range(6)])
        assert names(feed[:]) == ['object-5', 'object-4', 'object-3']
        feed.add(act(9, object=9))
        assert names(feed[:]) == ['object-9', 'object-5', 'object-4']
        with type(feed).get_timeline_batch_interface() as batch:
            feed.add_many([act(10, object=9), act(11, object=11)], batch_interface=batch)
        assert feed.count() == 3

    def test_trim_false(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject, max_length=3, trim_chance=1)(1)
        feed.add_many([act(n, object=n) for n in range(6)], trim=False)
        assert feed.count() == 6

    def test_trim(self, five: Any) -> None:
        five.trim(10)
        assert five.count() == 5
        five.trim(2)
        assert names(five[:]) == ['object-4', 'object-3']

    @pytest.mark.parametrize('by_itself', [False, True])
    def test_trim_keeps_what_is_first_within_one_millisecond(self, backend: Any, by_itself: bool) -> None:
        feed_class = backend.aggregated(aggregator_class=ByObject, max_length=4)
        feed = feed_class(1)
        feed.add_many([act(0, object=n, time=at(0)) for n in range(9)])
        first = names(feed[:4])
        if by_itself:
            feed_class.trim_chance = 1
            feed.add(act(0, object=100, time=at(-1)))
        else:
            feed.trim()
        assert names(feed[:]) == first

    def test_delete(self, five: Any) -> None:
        five.delete()
        assert five.count() == len(five) == 0
        assert five[:] == []
        five.add(act(1, object=1))
        assert names(five[:]) == ['object-1']

    # reading

    @pytest.mark.parametrize('bounds', [(0, 2), (1, 4), (None, 3), (3, None), (None, None), (4, 9), (7, 9), (2, 2)])
    def test_slices(self, five: Any, bounds: Any) -> None:
        assert names(five[slice(*bounds)]) == list(self.FIVE[slice(*bounds)])
        assert all(len(group.activities) == 2 for group in five[slice(*bounds)])

    def test_single_items_are_lists(self, five: Any) -> None:
        assert names(five[1]) == ['object-3']
        assert five[5] == []
        with pytest.raises(ValueError):
            five[-1]
        with pytest.raises(TypeError):
            five['a']
        with pytest.raises(TypeError):
            iter(five)

    def test_without_rehydrating(self, backend: Any, five: Any) -> None:
        found = five.get_activity_slice(0, 2, rehydrate=False)
        assert names(found) == list(self.FIVE[:2])
        assert [len(group) for group in found] == [2, 2]
        if backend.whole_activities:
            pytest.skip('timelines hold whole activities: nothing needs hydration')
        assert all(group.dehydrated for group in found)
        assert five.needs_hydration(found) is True
        hydrated = five.hydrate_activities(found)
        assert [len(group.activities) for group in hydrated] == [2, 2]
        assert five.needs_hydration(hydrated) is False

    def test_missing_activities_are_skipped(self, backend: Any, five: Any) -> None:
        if backend.whole_activities:
            pytest.skip('timelines hold whole activities: none can be missing')
        type(five).remove_activity(act(40, object=4))
        assert [a.serialization_id for a in five[0][0].activities] == ids([act(41, object=4)])
        for n in (30, 31, 10, 11):
            type(five).remove_activity(act(n, object=n // 10))
        assert names(five[:]) == ['object-4', 'object-2', 'object-0'], 'groups without any activity are skipped'
        assert names(five[:2]) == ['object-4', 'object-2'], 'and the page is filled'
        assert names(five[:3]) == ['object-4', 'object-2', 'object-0']

    def test_index_of(self, five: Any) -> None:
        stored = five[:]
        for position, group in enumerate(stored):
            assert five.index_of(group) == position
            assert five.index_of(group.serialization_id) == position
            assert five.index_of(int(group.serialization_id)) == position
        with pytest.raises(ValueError):
            five.index_of(int(stored[2].serialization_id) + 1)
        five.remove_many([act(20, object=2), act(21, object=2)])
        with pytest.raises(ValueError):
            five.index_of(stored[2])

    def test_read_groups_have_the_ids_of_their_class(self, five: Any) -> None:
        for group in five[:]:
            fresh = AggregatedActivity(group.group, group.activities, group.created_at, group.updated_at)
            assert group.serialization_id == fresh.serialization_id

    # filters and order

    @pytest.mark.parametrize('as_type', [int, str])
    def test_filters(self, five: Any, as_type: Any) -> None:
        middle = as_type(five[:][2].serialization_id)
        assert names(five.filter(activity_id__gt=middle)[:]) == list(self.FIVE[:2])
        assert names(five.filter(activity_id__gte=middle)[:]) == list(self.FIVE[:3])
        assert names(five.filter(activity_id__lt=middle)[:]) == list(self.FIVE[3:])
        assert names(five.filter(activity_id__lte=middle)[:]) == list(self.FIVE[2:])

    def test_filters_add_up_on_copies(self, five: Any) -> None:
        stored = [group.serialization_id for group in five[:]]
        older = five.filter(activity_id__lt=stored[0])
        between = older.filter(activity_id__gte=stored[3])
        assert names(between[:]) == list(self.FIVE[1:4])
        assert names(between[1:]) == list(self.FIVE[2:4])
        assert names(older[:]) == list(self.FIVE[1:])
        assert names(five[:]) == list(self.FIVE)

    def test_order(self, five: Any) -> None:
        assert names(five.order_by('activity_id')[:]) == list(self.FIVE[::-1])
        assert names(five.order_by('activity_id')[1:3]) == list(self.FIVE[::-1][1:3])
        assert names(five.order_by('-activity_id')[:2]) == list(self.FIVE[:2])

    def test_unknown_fields(self, five: Any) -> None:
        with pytest.raises(ValueError):
            five.filter(group='x')
        with pytest.raises(ValueError):
            five.order_by('updated_at')

    def test_paging_within_one_millisecond(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed.add_many([act(0, object=n, time=START) for n in range(100)])
        everything = names(feed[:])
        assert sorted(everything) == sorted(f'object-{n}' for n in range(100))
        page, seen = feed[:7], []
        while page:
            seen += names(page)
            page = feed.filter(activity_id__lt=page[-1].serialization_id)[:7]
        assert seen == everything
        rising = feed.order_by('activity_id')
        page, seen = rising[:7], []
        while page:
            seen += names(page)
            page = rising.filter(activity_id__gt=int(page[-1].serialization_id))[:7]
        assert seen == everything[::-1]

    def test_adding_after_reading_a_filtered_copy(self, five: Any) -> None:
        stored = [group.serialization_id for group in five[:]]
        older = five.filter(activity_id__lt=stored[2])
        older.add(act(500, object=4))
        assert [len(group) for group in five[:]] == [3, 2, 2, 2, 2], 'a filter is for reading, not for merging'
