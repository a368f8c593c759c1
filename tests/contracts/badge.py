"""The badge of a notification feed is what the feed shows, whatever comes and goes."""

from __future__ import annotations

from typing import Any

import pytest

from stream_framework.feed_managers.base import Manager, add_operation
from tests.contracts.aggregated_feed import ByObject
from tests.contracts.support import act, at, names


class Died(Exception):
    """Stands for a process that is killed."""


class BadgeContract:
    @pytest.fixture
    def feed_class(self, backend: Any) -> Any:
        """Groups by object; trims only where a test asks for it."""
        return backend.notification(aggregator_class=ByObject)

    def groups(self, *objects: int) -> list[Any]:
        """Groups of two that no feed has."""
        activities = [act(number * 10 + n, object=number) for number in objects for n in (0, 1)]
        return ByObject(self.group_class).aggregate(activities)

    @pytest.fixture(autouse=True)
    def _group_class(self, feed_class: Any) -> None:
        self.group_class = feed_class.aggregated_activity_class

    def is_true(self, feed: Any) -> bool:
        """Whether the badge says what the feed shows."""
        shown = feed[:]
        unseen = [group.serialization_id for group in shown if not group.is_seen]
        unread = [group.serialization_id for group in shown if not group.is_read]
        data = feed.get_notification_data()
        assert (data['unseen_count'], data['unread_count']) == (len(unseen), len(unread))
        assert set(feed.feed_markers.get('unseen')) == set(unseen)
        assert set(feed.feed_markers.get('unread')) == set(unread)
        return True

    # groups as they are

    def test_groups_that_are_added_are_unseen_and_unread(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed.add_many_aggregated(self.groups(1, 2))
        assert names(feed[:]) == ['object-2', 'object-1']
        assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 2}
        assert [(group.is_seen, group.is_read) for group in feed[:]] == [(False, False)] * 2
        assert self.is_true(feed)

    def test_groups_that_are_removed_leave_no_marks(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed.add_many([act(n, object=n) for n in range(4)])
        feed.mark_activity(feed[0][0].serialization_id)
        feed.remove_many_aggregated(feed[:3])
        assert names(feed[:]) == ['object-0']
        assert feed.get_notification_data() == {'unseen_count': 1, 'unread_count': 1}
        assert self.is_true(feed)

    def test_in_batches(self, feed_class: Any) -> None:
        feeds = [feed_class(user_id) for user_id in (1, 2)]
        with feed_class.get_timeline_batch_interface() as batch:
            for feed in feeds:
                feed.add_many_aggregated(self.groups(1, 2, 3), batch_interface=batch)
        assert [feed.count_unseen() for feed in feeds] == [3, 3]
        with feed_class.get_timeline_batch_interface() as batch:
            for feed in feeds:
                feed.remove_many_aggregated(feed[:2], batch_interface=batch)
        assert [feed.count_unread() for feed in feeds] == [1, 1]
        assert all(self.is_true(feed) for feed in feeds)

    @pytest.mark.parametrize('untracked', ['track_unseen', 'track_unread'])
    def test_without_one_of_the_lists(self, backend: Any, untracked: str) -> None:
        feed = backend.notification(aggregator_class=ByObject, **{untracked: False})(1)
        feed.add_many_aggregated(self.groups(1, 2))
        tracked = 'unread_count' if untracked == 'track_unseen' else 'unseen_count'
        assert feed.get_notification_data() == {tracked: 2}
        feed.remove_many_aggregated(feed[:1])
        assert feed.get_notification_data() == {tracked: 1}
        feed.trim(0)
        feed.remove(feed[0][0])
        assert feed.get_notification_data() == {tracked: 0}

    def test_an_update_markers_of_ones_own(self, backend: Any) -> None:
        told: list[Any] = []

        def update_markers(self: Any, unseen_ids: Any = None, unread_ids: Any = None, operation: str = 'add') -> None:
            told.append((operation, list(unseen_ids or ()), list(unread_ids or ())))
            super(feed_class, self).update_markers(unseen_ids, unread_ids, operation)

        base = backend.notification(aggregator_class=ByObject)
        feed_class = type('Own', (base,), {'update_markers': update_markers})
        feed = feed_class(1)
        # Not at a whole second, whose groups have an id of 1.4.0's as well.
        first, second = (act(n, object=1, time=at(n, ms=5)) for n in (1, 2))
        feed.add(first)
        [old] = [group.serialization_id for group in feed[:]]
        assert told == [('add', [old], [old])]
        told.clear()
        feed.add(second)
        [new] = [group.serialization_id for group in feed[:]]
        assert sorted(told) == [('add', [new], [new]), ('remove', [old], [old])]
        assert self.is_true(feed)
        told.clear()
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (5, 6):
                feed_class(user_id).add_many([first], batch_interface=batch)
        assert told == [('add', [old], [old])] * 2

    @pytest.mark.parametrize('before', [True, False], ids=['before', 'after'])
    @pytest.mark.parametrize('operation', ['add', 'remove'])
    def test_dying_in_an_update_markers_of_ones_own(self, backend: Any, operation: str, before: bool) -> None:
        """No group is there that nobody is told of, and the same work again puts it right."""
        dying = False

        def update_markers(self: Any, unseen_ids: Any = None, unread_ids: Any = None, operation: str = 'add') -> None:
            stops = dying and operation == stage
            if stops and before:
                raise Died
            super(feed_class, self).update_markers(unseen_ids, unread_ids, operation)
            if stops:
                raise Died

        stage = operation
        base = backend.notification(aggregator_class=ByObject)
        feed_class = type('Own', (base,), {'update_markers': update_markers})
        feed = feed_class(1)
        feed.add(act(1, object=1, time=at(1, ms=5)))
        feed.mark_all(seen=True, read=True)
        dying = True
        with pytest.raises(Died):
            feed.add(act(2, object=1, time=at(2, ms=5)))
        dying = False
        shown = [group.serialization_id for group in feed[:] if group.activity_count == 2]
        assert set(shown) <= set(feed.feed_markers.get('unseen')) & set(feed.feed_markers.get('unread'))
        feed.add(act(2, object=1, time=at(2, ms=5)))
        [group] = feed[:]
        assert group.activity_count == 2
        assert not (group.is_seen or group.is_read)
        assert self.is_true(feed)

    # trimming

    def test_trimming_by_hand(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed.add_many([act(n, object=n) for n in range(8)])
        feed.mark_activities([group.serialization_id for group in feed[:2]], seen=True, read=False)
        feed.trim(5)
        assert feed.get_notification_data() == {'unseen_count': 3, 'unread_count': 5}
        assert self.is_true(feed)

    @pytest.mark.parametrize('batched', [False, True])
    def test_trimming_to_max_length(self, backend: Any, batched: bool) -> None:
        feed_class = backend.notification(aggregator_class=ByObject, max_length=5, trim_chance=1)
        for n in range(9):
            activities = [act(n, object=n)]
            if batched:
                Manager().fanout([1, 2], feed_class, add_operation, {'activities': activities})
            else:
                feed_class(1).add_many(activities)
        feed = feed_class(1)
        assert feed.count() == feed.count_unseen() == feed.count_unread() == 5
        assert self.is_true(feed)

    @pytest.mark.parametrize('batched', [False, True])
    def test_what_comes_in_below_the_cut(self, backend: Any, batched: bool) -> None:
        feed_class = backend.notification(aggregator_class=ByObject, max_length=5, trim_chance=1)
        feed = feed_class(1)
        feed.add_many([act(n, object=n) for n in range(10, 15)])
        feed.mark_all(seen=True, read=True)
        old = [act(n, object=n) for n in range(3)]
        if batched:
            Manager().fanout([1, 2], feed_class, add_operation, {'activities': old})
        else:
            feed.add_many(old)
        assert feed.count() == 5
        assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
        assert self.is_true(feed)

    # whole groups

    @pytest.mark.parametrize('given', ['group', 'id'])
    @pytest.mark.parametrize('batched', [False, True])
    def test_removing_a_group(self, feed_class: Any, given: str, batched: bool) -> None:
        feed = feed_class(1)
        feed.add_many([act(number * 10 + n, object=number) for number in range(4) for n in (0, 1)])
        wanted = [group if given == 'group' else group.serialization_id for group in feed[1:3]]
        if batched:
            with feed_class.get_timeline_batch_interface() as batch:
                feed.remove(wanted[0], batch_interface=batch)
                feed.remove_many(wanted[1:], batch_interface=batch)
        else:
            feed.remove(wanted[0])
            feed.remove_many(wanted[1:])
        assert names(feed[:]) == ['object-3', 'object-0']
        assert feed.count_unseen() == 2
        assert self.is_true(feed)

    @pytest.mark.parametrize('given', ['group', 'id'])
    def test_removing_a_group_of_an_aggregated_feed(self, backend: Any, given: str) -> None:
        feed = backend.aggregated(aggregator_class=ByObject)(1)
        feed.add_many([act(number * 10 + n, object=number) for number in range(3) for n in (0, 1)])
        group = feed[1][0]
        feed.remove(group if given == 'group' else group.serialization_id)
        assert names(feed[:]) == ['object-2', 'object-0']
        feed.remove(group if given == 'group' else group.serialization_id)
        feed.remove_many([*feed[:1], act(0, object=0)])
        assert [(group.group, len(group)) for group in feed[:]] == [('object-0', 1)]
