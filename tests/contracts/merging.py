"""What feeds of groups look at and what they refuse, as 1.4.0 did."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.exceptions import ConfigurationError
from stream_framework.verbs import Comment, Love
from tests.contracts.aggregated_feed import ByObject
from tests.contracts.support import act, acts, at, ids, names


class OldestFirst(ByObject):
    """Ranks in a way of its own."""

    def rank(self, aggregated_activities: Any) -> Any:
        return sorted(aggregated_activities, key=lambda group: group.updated_at)


class Few(ByObject):
    """Leaves out what it finds too little, in ``aggregate``."""

    def aggregate(self, activities: Any) -> Any:
        return [group for group in super().aggregate(activities) if len(group) > 1]


class Named(RecentRankMixin, BaseAggregator):
    """Names groups by ids, of whatever type, and groups in a method of its own."""

    def get_group(self, activity: Activity) -> Any:
        return activity.object_id

    def group_activities(self, activities: Any) -> Any:
        return super().group_activities(activities)


class MergingContract:
    # contains

    @pytest.mark.parametrize('kind', ['aggregated', 'notification'])
    def test_contains_at_any_time(self, backend: Any, kind: str) -> None:
        feed = getattr(backend, kind)()(1)
        feed.add_many([act(1, actor=5, object=7), act(2, actor=5, object=8, target=3), act(3, actor=6, object=7)])
        for found in (
            Activity(5, Love, 7),
            Activity(5, Love, 7, time=at(days=400)),
            Activity(5, Love, 8, 3),
            Activity(6, Love, 7, time=at(1)),
        ):
            assert feed.contains(found) is True
        for absent in (
            Activity(7, Love, 7, time=at(1)),
            Activity(5, Comment, 7, time=at(1)),
            Activity(5, Love, 9, time=at(1)),
            Activity(5, Love, 7, 3, time=at(1)),
            Activity(5, Love, 8, time=at(2)),
            Activity(6, Love, 8, 3, time=at(2)),
        ):
            assert feed.contains(absent) is False

    @pytest.mark.parametrize('kind', ['aggregated', 'notification'])
    def test_contains_tells_types_of_ids_apart(self, backend: Any, kind: str) -> None:
        feed = getattr(backend, kind)()(1)
        feed.add_many([act(1, actor=5, object=17), act(2, actor='5', object=uuid.UUID(int=9))])
        assert feed.contains(Activity(5, Love, 17))
        assert feed.contains(Activity('5', Love, uuid.UUID(int=9)))
        for absent in (Activity('5', Love, 17), Activity(5, Love, '17'), Activity('5', Love, 9)):
            assert feed.contains(absent) is False

    # aggregators

    def test_new_groups_come_in_the_order_of_rank(self, backend: Any) -> None:
        told: list[list[str]] = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            told.append(names(new))

        given = [act(n, object=n) for n in (2, 1, 3)]
        for aggregator, order in ((ByObject, (3, 2, 1)), (OldestFirst, (1, 2, 3))):
            expected = [f'object-{n}' for n in order]
            new, _, _ = aggregator().merge([], given)
            assert names(new) == expected
            feed = backend.aggregated(aggregator_class=aggregator, on_update_feed=on_update_feed)(1)
            assert names(feed.add_many(given)) == expected
            assert told.pop() == expected

    def test_an_aggregate_of_ones_own(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=Few)(1)
        feed.add_many([act(1, object=1), act(2, object=2), act(3, object=2)])
        assert names(feed[:]) == ['object-2']

    def test_names_that_are_equal_as_text(self, backend: Any) -> None:
        new, changed, deleted = Named().merge([], [act(1, actor=1, object=7), act(2, actor=2, object='7')])
        assert sorted(actor for group in new for actor in group.actor_ids) == [1, 2]
        assert (changed, deleted) == ([], [])
        feed = backend.aggregated(aggregator_class=Named)(1)
        feed.add_many([act(1, actor=1, object=7), act(2, actor=2, object='7')])
        assert sorted(actor for group in feed[:] for actor in group.actor_ids) == [1, 2]

    # what is no group

    @pytest.mark.parametrize('wrong', [act(1), 5, 'group', None], ids=['activity', 'int', 'str', 'None'])
    def test_what_is_no_group(self, backend: Any, wrong: Any) -> None:
        feed = backend.aggregated()(1)
        group = AggregatedActivity('g', [act(1)], at(1), at(1))
        for diff in (
            ([wrong], [], []),
            ([], [(wrong, group)], []),
            ([], [(group, wrong)], []),
            ([], [], [wrong]),
            ([group, wrong], [], []),
        ):
            with pytest.raises(ValueError):
                feed._translate_diff(*diff)
            with pytest.raises(ValueError):
                feed._update_from_diff(*diff)
        for method in (feed.add_many_aggregated, feed.remove_many_aggregated):
            with pytest.raises(ValueError):
                method([group, wrong])
        assert feed[:] == []

    # hints

    def test_removing_looks_at_the_groups_that_it_is_given(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject)(1)
        feed.add_many([act(1, object=1), act(2, object=1), act(3, object=2)])
        newest, oldest = feed[:]
        feed.remove_many([act(1, object=1)], current_activities=[newest])
        assert [len(group) for group in feed[:]] == [1, 2]
        feed.remove_many([act(1, object=1)], current_activities=[oldest])
        assert [len(group) for group in feed[:]] == [1, 1]

    def test_a_stale_hint_removes_from_what_is_there(self, backend: Any) -> None:
        feed = backend.aggregated(aggregator_class=ByObject)(1)
        feed.add_many([act(1, object=1), act(2, object=1)])
        stale = feed[:]
        feed.add(act(3, object=1))
        feed.remove_many([act(1, object=1)], current_activities=stale)
        [group] = feed[:]
        assert ids(group.activities) == ids([act(2, object=1), act(3, object=1)])

    # no activity storage

    @pytest.mark.parametrize('kind', ['flat', 'aggregated'])
    def test_references_without_an_activity_storage(self, backend: Any, kind: str) -> None:
        if backend.whole_activities:
            pytest.skip('the timeline holds whole activities')
        feed = getattr(backend, kind)(activity_storage_class=None)(1)
        with pytest.raises(ConfigurationError, match='activity_storage_class'):
            feed.add_many(acts(2))
            _ = feed[:5]
            feed.add(act(5))
