"""In one batch or fan-out each reader gets what was given to him, in the order in which it was given."""

from __future__ import annotations

import copy
from typing import Any, NoReturn

import pytest

from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.aggregators.base import RecentVerbAggregator
from stream_framework.feed_managers.base import Manager, add_operation, remove_operation
from stream_framework.serializers.activity_serializer import ActivitySerializer
from tests.contracts.aggregated_feed import ByObject
from tests.contracts.support import act, acts, at, ids, members

READERS = (1, 2, 3)


class Incomparable(Activity):
    """An activity that nobody may compare, or put into a set."""

    def __eq__(self, other: object) -> NoReturn:
        raise AssertionError('activities were compared')

    def __hash__(self) -> NoReturn:
        raise AssertionError('an activity was hashed')


class IncomparableGroup(AggregatedActivity):
    """A group that nobody may compare, or put into a set."""

    __eq__ = Incomparable.__eq__  # type: ignore[assignment]
    __hash__ = Incomparable.__hash__


class IncomparableNotification(NotificationActivity):
    """The same, in notification feeds."""

    __eq__ = Incomparable.__eq__  # type: ignore[assignment]
    __hash__ = Incomparable.__hash__


def in_place(feed: Any, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """An operation that changes the activities that it is given, for each reader anew."""
    for activity in activities:
        activity.extra_context['for'] = feed.user_id
    feed.add_many(activities, batch_interface=batch_interface)


def by_copies(feed: Any, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """An operation that gives each reader copies, of the same ids."""
    mine = [copy.copy(activity) for activity in activities]
    for activity in mine:
        activity.extra_context = {**activity.extra_context, 'for': feed.user_id}
    feed.add_many(mine, batch_interface=batch_interface)


def mixed_removal(feed: Any, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """An operation that removes activities here, ids there, and text of ids elsewhere."""
    kinds: list[Any] = [lambda item: item, lambda item: item.serialization_id, lambda item: str(item.serialization_id)]
    feed.remove_many([kinds[feed.user_id % 3](item) for item in activities], batch_interface=batch_interface)


class EachHisOwnContract:
    @pytest.fixture(params=['flat', 'aggregated', 'notification'])
    def holding(self, request: Any, backend: Any) -> Any:
        """A feed class that holds whole activities."""
        if request.param == 'notification':
            return backend.notification(aggregator_class=ByObject)
        if request.param == 'aggregated':
            if not backend.whole_activities:
                pytest.skip('the timeline holds references')
            return backend.aggregated(aggregator_class=ByObject)
        if backend.whole_activities:
            return backend.flat()
        if backend.name == 'sqlite':
            pytest.skip('the example keeps references')
        return backend.flat(activity_storage_class=None, timeline_serializer=ActivitySerializer)

    def contexts(self, feed_class: Any) -> list[Any]:
        """What the readers' contexts say of whom they are for."""
        items = [feed_class(reader)[:] for reader in READERS]
        return [getattr(item, 'activities', [item])[0].extra_context.get('for') for [item] in items]

    @pytest.mark.parametrize('operation', [in_place, by_copies])
    def test_operations_that_change_activities(self, holding: Any, operation: Any) -> None:
        Manager().fanout(READERS, holding, operation, {'activities': [act(1, extra_context={'a': 1})]})
        assert self.contexts(holding) == list(READERS)

    def test_activities_that_are_changed_between_adding_them(self, holding: Any) -> None:
        activity = act(1)
        with holding.get_timeline_batch_interface() as batch:
            for reader in READERS:
                activity.extra_context = {'for': reader}
                holding(reader).add_many([activity], batch_interface=batch)
            activity.extra_context = {'for': 'nobody'}
        assert self.contexts(holding) == list(READERS)

    def test_groups_that_grow_by_activities_that_differ(self, holding: Any) -> None:
        for reader in READERS:
            holding(reader).add(act(0, object=3))
        Manager().fanout(READERS, holding, by_copies, {'activities': [act(1, object=3)]})
        newest = [holding(reader)[0][0] for reader in READERS]
        found = [getattr(item, 'activities', [item])[-1] for item in newest]
        assert [activity.extra_context for activity in found] == [{'for': reader} for reader in READERS]

    @pytest.mark.parametrize('kind', ['flat', 'aggregated', 'notification'])
    def test_removing_by_activities_and_ids(self, backend: Any, kind: str) -> None:
        feed_class = getattr(backend, kind)()
        feed_class.insert_activities(acts(3))
        for reader in READERS:
            feed_class(reader).add_many(acts(3))
        Manager().fanout(READERS, feed_class, mixed_removal, {'activities': acts(2)})
        for reader in READERS:
            left = [getattr(item, 'activities', [item]) for item in feed_class(reader)[:]]
            assert [ids(activities) for activities in left] == [ids([act(2)])]

    @pytest.mark.parametrize('size', [2, 120])
    @pytest.mark.parametrize('kind', ['flat', 'aggregated', 'notification'])
    def test_nothing_is_compared_or_hashed(self, backend: Any, kind: str, size: int) -> None:
        groups = {'aggregated': IncomparableGroup, 'notification': IncomparableNotification}
        more: dict[str, Any] = {'aggregated_activity_class': groups[kind]} if kind in groups else {}
        feed_class = getattr(backend, kind)(activity_class=Incomparable, **more)
        made = acts(4, cls=Incomparable)
        feed_class.insert_activities(made)
        readers = range(1, size + 1)
        Manager().fanout(readers, feed_class, add_operation, {'activities': made[:3]})
        Manager().fanout(readers, feed_class, add_operation, {'activities': made[2:], 'trim': True})
        Manager().fanout(readers, feed_class, remove_operation, {'activities': made[:1]})
        feed = feed_class(size)
        feed.add(made[0])
        feed.remove(made[1])
        found = [ids(getattr(item, 'activities', [item])) for item in feed[:]]
        assert sorted(number for numbers in found for number in numbers) == ids([made[0], *made[2:]])
        assert len(feed.filter(activity_id__gt=0)[:]) == len(found)
        feed.trim(1)
        feed.delete()

    # groups

    @pytest.mark.parametrize('kind', ['aggregated', 'notification'])
    def test_equal_ids_and_other_counts(self, backend: Any, kind: str) -> None:
        """Two readers' groups keep the same activities, but have dropped different numbers of them."""
        feed_class = getattr(backend, kind)(aggregator_class=RecentVerbAggregator)
        feed_class.insert_activities(acts(30))
        for reader in READERS:
            for activity in acts(15 + reader, first=9 - reader):
                feed_class(reader).add(activity)
        assert {tuple(feed_class(reader)[0][0].activity_ids) for reader in READERS} == {tuple(ids(acts(15, first=9)))}
        with feed_class.get_timeline_batch_interface() as batch:
            for reader in READERS:
                feed_class(reader).add_many([act(24)], batch_interface=batch)
        assert [feed_class(reader)[0][0].activity_count for reader in READERS] == [16 + reader for reader in READERS]

    def test_on_update_feed_gets_groups_of_its_own(self, backend: Any) -> None:
        given: list[Any] = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            given.append((self.user_id, new[0]))
            new[0].group = f'changed by {self.user_id}'

        feed_class = backend.aggregated(aggregator_class=ByObject, on_update_feed=on_update_feed)
        feed_class.insert_activities([act(1, object=3)])
        Manager().fanout(READERS, feed_class, add_operation, {'activities': [act(1, object=3)]})
        assert [reader for reader, _ in given] == list(READERS)
        assert len({id(group) for _, group in given}) == len(READERS)
        assert [group.group for _, group in given] == [f'changed by {reader}' for reader in READERS]
        assert [feed_class(reader)[0][0].group for reader in READERS] == ['object-3'] * 3

    # order

    @pytest.mark.parametrize('kind', ['flat', 'aggregated', 'notification'])
    def test_adding_then_trimming_in_a_batch(self, backend: Any, kind: str) -> None:
        more = {} if kind == 'flat' else {'aggregator_class': ByObject}
        feed_class = getattr(backend, kind)(**more)
        feed_class.insert_activities(acts(9))
        feed = feed_class(1)
        with feed_class.get_timeline_batch_interface() as batch:
            feed.add_many(acts(9), batch_interface=batch)
            feed.timeline_storage.trim(feed.key, 4, batch_interface=batch)
        assert feed.count() == 4

    @pytest.mark.parametrize('kind', ['flat', 'aggregated', 'notification'])
    def test_trimming_then_adding_in_a_batch(self, backend: Any, kind: str) -> None:
        more = {} if kind == 'flat' else {'aggregator_class': ByObject}
        feed_class = getattr(backend, kind)(**more)
        feed_class.insert_activities(acts(12))
        feed = feed_class(1)
        feed.add_many(acts(6))
        with feed_class.get_timeline_batch_interface() as batch:
            feed.timeline_storage.trim(feed.key, 2, batch_interface=batch)
            feed.add_many(acts(3, first=6), batch_interface=batch)
        assert feed.count() == 5

    @pytest.mark.parametrize('depth', [1, 20])
    @pytest.mark.parametrize('kind', ['aggregated', 'notification'])
    def test_a_batch_ends_as_one_by_one(self, backend: Any, kind: str, depth: int) -> None:
        """Any course of adding and removing, also of groups that are too deep to be merged with."""
        feed_class = getattr(backend, kind)(aggregator_class=ByObject, merge_max_length=depth)
        one, two, top = act(1, object=1), act(2, object=1), act(50, object=2)
        new = act(60, object=1, time=at(60))
        feed_class.insert_activities([one, two, top, new])
        courses: list[list[tuple[str, Any]]] = [
            [('remove', one), ('add', one)],
            [('add', new), ('remove', new)],
            [('remove', one), ('remove', two), ('add', one)],
            [('add', new), ('remove', one), ('add', one), ('remove', two)],
            [('remove', top), ('add', new)],
        ]
        for course in courses:
            feeds = [feed_class('batched'), feed_class('single')]
            for feed in feeds:
                feed.add_many([one, two])
                feed.add_many([top])
            with feed_class.get_timeline_batch_interface() as batch:
                for what, activity in course:
                    getattr(feeds[0], f'{what}_many')([activity], batch_interface=batch)
            for what, activity in course:
                getattr(feeds[1], f'{what}_many')([activity])
            assert members(feeds[0][:]) == members(feeds[1][:]), course
            for feed in feeds:
                feed.delete()
