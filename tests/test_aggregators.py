"""Aggregators: which activities belong together, and what merging changes."""

from __future__ import annotations

import datetime
import random
import uuid
from typing import Any

import pytest
import pytz

from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.aggregators.base import (
    BaseAggregator,
    NotificationAggregator,
    RecentRankMixin,
    RecentVerbAggregator,
)
from stream_framework.verbs import Comment, Love
from tests.contracts.support import act, acts, at, ids, members, names


class ByObject(RecentRankMixin, BaseAggregator):
    def get_group(self, activity: Activity) -> str:
        return f'object-{activity.object_id}'


class TestConstruction:
    def test_classes(self) -> None:
        assert BaseAggregator.aggregated_activity_class is AggregatedActivity
        assert BaseAggregator.activity_class is Activity
        aggregator = RecentVerbAggregator(NotificationActivity, Activity)
        assert aggregator.aggregated_activity_class is NotificationActivity
        assert RecentVerbAggregator().aggregated_activity_class is AggregatedActivity
        aggregator = RecentVerbAggregator(aggregated_activity_class=NotificationActivity, activity_class=Activity)
        assert type(aggregator.aggregate([act(1)])[0]) is NotificationActivity

    def test_class_attributes_can_be_overridden(self) -> None:
        class Mine(RecentVerbAggregator):
            aggregated_activity_class = NotificationActivity

        assert type(Mine().aggregate([act(1)])[0]) is NotificationActivity
        assert type(Mine(AggregatedActivity).aggregate([act(1)])[0]) is AggregatedActivity

    @pytest.mark.parametrize('error', [ValueError, NotImplementedError])
    def test_subclasses_define(self, error: type[Exception]) -> None:
        with pytest.raises(error):
            BaseAggregator().get_group(act(1))
        with pytest.raises(error):
            BaseAggregator().rank([])


class TestGroups:
    def test_recent_verb(self) -> None:
        assert RecentVerbAggregator().get_group(act(1)) == '3-2013-07-08'
        assert RecentVerbAggregator().get_group(act(1, verb=Comment, time=at(days=1))) == '2-2013-07-09'

    def test_notification(self) -> None:
        assert NotificationAggregator().get_group(act(1, object=42)) == '3-42-2013-07-08'
        assert NotificationAggregator().get_group(act(1, object=uuid.UUID(int=1))) == (
            '3-00000000-0000-0000-0000-000000000001-2013-07-08'
        )

    @pytest.mark.parametrize(('text', 'quoted'), [('a;b', 'a%3Bb'), ('a,b', 'a%2Cb'), ('50%', '50%25'), ('x-y', 'x-y')])
    def test_reserved_characters_are_percent_encoded(self, text: str, quoted: str) -> None:
        assert NotificationAggregator().get_group(act(1, object=text)) == f'3-{quoted}-2013-07-08'

    def test_no_two_objects_share_a_group_by_their_encoding(self) -> None:
        texts = [';', '%3B', '%253B', '%3b', ',', '%2C', '%', '%25', 'x', ';;', '; ;']
        groups = {NotificationAggregator().get_group(act(1, object=text)) for text in texts}
        assert len(groups) == len(texts)

    def test_dates_are_utc(self) -> None:
        late = pytz.timezone('America/New_York').localize(datetime.datetime(2013, 7, 8, 22, 0))
        assert RecentVerbAggregator().get_group(act(1, time=late)) == '3-2013-07-09'

    def test_a_time_zone_makes_the_readers_day(self) -> None:
        class NewYork(RecentVerbAggregator):
            timezone = pytz.timezone('America/New_York')

        assert NewYork().get_group(act(1, time=datetime.datetime(2013, 7, 9, 2, 0))) == '3-2013-07-08'
        assert NewYork().get_group(act(1, time=datetime.datetime(2013, 7, 9, 5, 0))) == '3-2013-07-09'


class TestAggregate:
    def test_ranked_groups_in_ascending_order_of_id(self) -> None:
        activities = [*acts(4), *acts(3, verb=Comment, first=2)]
        random.Random(1).shuffle(activities)
        found = RecentVerbAggregator().aggregate(activities)
        assert members(found) == [
            ('2-2013-07-08', ids(acts(3, verb=Comment, first=2)), 0),
            ('3-2013-07-08', ids(acts(4)), 0),
        ]
        assert (found[0].created_at, found[0].updated_at) == (at(2), at(4))

    def test_nothing(self) -> None:
        assert RecentVerbAggregator().aggregate([]) == []

    def test_duplicates_count_once(self) -> None:
        [found] = RecentVerbAggregator().aggregate([act(1), act(1), act(2), act(1)])
        assert (len(found), found.activity_count) == (2, 2)

    def test_iterators(self) -> None:
        assert len(RecentVerbAggregator().aggregate(iter(acts(3)))[0]) == 3

    def test_group_activities(self) -> None:
        found = ByObject().group_activities([act(1, object=1), act(2, object=2), act(3, object=1)])
        assert set(found) == {'object-1', 'object-2'}
        assert len(found['object-1']) == 2
        assert isinstance(found['object-2'], AggregatedActivity)

    def test_groups_that_are_no_str(self) -> None:
        class Numbered(ByObject):
            def get_group(self, activity: Any) -> Any:
                return activity.object_id

        aggregator = Numbered()
        found = aggregator.group_activities([act(1, object=1), act(2, object=2), act(3, object=1)])
        assert {key: (group.group, len(group)) for key, group in found.items()} == {1: (1, 2), 2: (2, 1)}
        stored = aggregator.group_activities([act(1, object=1)])[1]
        stored.group = '1'
        new, changed, deleted = aggregator.merge([stored], [act(3, object=1), act(2, object=2)])
        assert [group.group for group in new] == [2]
        assert [(old is stored, len(updated)) for old, updated in changed] == [(True, 2)]
        assert deleted == []

    def test_grouping_in_ones_own_way(self) -> None:
        class Pairs(ByObject):
            """Whatever comes together in one call is one group."""

            def group_activities(self, activities: Any) -> Any:
                group = self.aggregated_activity_class('together')
                for activity in sorted(activities):
                    group.append(activity)
                return {'together': group}

        aggregator = Pairs()
        [first] = aggregator.aggregate([act(2), act(1)])
        assert first.group == 'together'
        new, changed, _ = aggregator.merge([], [act(1), act(2)])
        assert ([group.group for group in new], changed) == (['together'], [])
        new, changed, _ = aggregator.merge([first], [act(2), act(3)])
        assert new == []
        assert [(old is first, len(updated)) for old, updated in changed] == [(True, 3)]
        assert aggregator.merge([first], [act(1)]) == ([], [], [])

    def test_rank(self) -> None:
        groups = [AggregatedActivity(f'g{n}', [act(n)], at(n), at(n)) for n in (3, 1, 2)]
        ranked = RecentVerbAggregator().rank(groups)
        assert isinstance(ranked, list)
        assert names(ranked) == ['g3', 'g2', 'g1']


class TestMerge:
    def test_new(self) -> None:
        new, changed, deleted = ByObject().merge([], [act(1, object=1), act(2, object=2), act(3, object=1)])
        assert sorted(names(new)) == ['object-1', 'object-2']
        assert (changed, deleted) == ([], [])

    def test_changed(self) -> None:
        existing = ByObject().aggregate([act(1, object=1), act(2, object=2)])
        before = members(existing)
        new, changed, deleted = ByObject().merge(existing, [act(3, object=1), act(4, object=3)])
        assert names(new) == ['object-3']
        [(old, updated)] = changed
        assert old is existing[1]
        assert updated is not old
        assert members([updated]) == [('object-1', ids([act(1, object=1), act(3, object=1)]), 0)]
        assert updated.updated_at == at(3)
        assert deleted == []
        assert members(existing) == before, 'what was given is untouched'
        assert old.updated_at == at(1)

    def test_what_did_not_change_is_in_neither(self) -> None:
        existing = ByObject().aggregate([act(1, object=1), act(2, object=2)])
        assert ByObject().merge(existing, [act(1, object=1), act(2, object=2)]) == ([], [], [])
        new, changed, _ = ByObject().merge(existing, [act(1, object=1), act(3, object=2)])
        assert (new, len(changed)) == ([], 1)

    def test_duplicates_within_one_call(self) -> None:
        new, _, _ = ByObject().merge([], [act(1, object=1)] * 3)
        assert (len(new[0]), new[0].activity_count) == (1, 1)
        existing = ByObject().aggregate([act(1, object=1)])
        _, [(_, updated)], _ = ByObject().merge(existing, [act(2, object=1), act(2, object=1)])
        assert (len(updated), updated.activity_count) == (2, 2)

    def test_a_changed_count_is_a_change(self) -> None:
        existing = ByObject().aggregate([act(n, object=1) for n in range(10, 25)])
        new, changed, _ = ByObject().merge(existing, [act(1, object=1)])
        assert new == []
        [(old, updated)] = changed
        assert list(updated.activity_ids) == list(old.activity_ids)
        assert (old.activity_count, updated.activity_count) == (15, 16)
        assert updated.created_at == at(1)

    @pytest.mark.parametrize('size', [1, 7, 20, 60])
    def test_batches_count_as_single_adds_do(self, size: int) -> None:
        activities = [act(n, object=1) for n in range(60)]
        random.Random(size).shuffle(activities)
        groups: list[Any] = []
        for first in range(0, 60, size):
            new, changed, _ = ByObject().merge(groups, activities[first : first + size])
            groups = [*new, *(updated for _, updated in changed)]
        assert members(groups) == [('object-1', ids([act(n, object=1) for n in range(45, 60)]), 45)]
        assert (groups[0].created_at, groups[0].updated_at) == (at(0), at(59))

    def test_dehydrated_groups(self) -> None:
        existing = [group.get_dehydrated() for group in ByObject().aggregate([act(1, object=1)])]
        new, changed, _ = ByObject().merge(existing, [act(1, object=1)])
        assert (new, changed) == ([], [])
        _, [(old, updated)], _ = ByObject().merge(existing, [act(2, object=1)])
        assert list(old.activity_ids) == ids([act(1, object=1)])
        assert list(updated.activity_ids) == ids([act(1, object=1), act(2, object=1)])

    def test_marks_and_counts_are_copied(self) -> None:
        [existing] = ByObject().aggregate([act(1, object=1)])
        existing.minimized_activities, existing.seen_at = 4, at(50)
        _, [(_, updated)], _ = ByObject().merge([existing], [act(2, object=1)])
        assert (updated.minimized_activities, updated.activity_count, updated.seen_at) == (4, 6, at(50))

    def test_verbs_apart(self) -> None:
        new, _, _ = RecentVerbAggregator().merge([], [act(1, verb=Love), act(1, verb=Comment)])
        assert sorted(names(new)) == ['2-2013-07-08', '3-2013-07-08']
