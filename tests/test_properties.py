"""What holds for all inputs, against models that are too simple to be wrong."""

from __future__ import annotations

import datetime
import itertools
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_framework import ids as ids_module
from stream_framework.activity import Activity, ActorSafeIdMixin, AggregatedActivity
from stream_framework.aggregators.base import BaseAggregator, NotificationAggregator, RecentRankMixin
from stream_framework.storage.memory import reverse_bisect_left
from stream_framework.verbs import Add, Comment, Follow, Love
from tests.backends import Memory
from tests.contracts.support import act, at, ids, members

settings.register_profile(
    'contract', derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck)
)
settings.load_profile('contract')

EPOCH = datetime.datetime(1970, 1, 1)
_users = itertools.count()


class ById(Activity):
    """The object id is the id."""

    @property
    def serialization_id(self) -> int:
        return self.object_id  # type: ignore[return-value]


class Safe(ActorSafeIdMixin, Activity):
    pass


class ByObject(RecentRankMixin, BaseAggregator):
    def get_group(self, activity: Activity) -> str:
        return f'object-{activity.object_id}'


class Small(AggregatedActivity):
    max_aggregated_activities_length = 4


memory = Memory()
ById_feed = memory.flat(activity_class=ById, max_length=8)
Grouped_feed = memory.aggregated(aggregator_class=ByObject, aggregated_activity_class=Small)
Notification_feed = memory.notification()

bounds = st.none() | st.integers(0, 40)
numbers = st.lists(st.integers(0, 200) | st.integers(0, 10**40), max_size=40)
times = st.datetimes(datetime.datetime(2001, 9, 10), datetime.datetime(2200, 1, 1))
verbs = st.sampled_from([Follow, Comment, Love, Add])
any_id = st.integers(-(10**20), 10**20) | st.text(max_size=20) | st.uuids()


def by_id(number: int) -> ById:
    return ById(1, Love, number, time=at(0))


def filled(given_numbers: list[int]) -> tuple[Any, list[int]]:
    """A feed of its own with these ids, and the model: a plain list, newest first."""
    feed = ById_feed(next(_users))
    feed.add_many([by_id(number) for number in given_numbers])
    return feed, sorted(set(given_numbers), reverse=True)


class TestFlat:
    @given(numbers, bounds, bounds)
    def test_slices(self, given_numbers: list[int], start: Any, stop: Any) -> None:
        feed, model = filled(given_numbers)
        assert ids(feed[start:stop]) == model[start:stop]
        assert feed.count() == len(feed) == len(model)

    @given(numbers, st.integers(0, 40))
    def test_single_items(self, given_numbers: list[int], index: int) -> None:
        feed, model = filled(given_numbers)
        assert ids(feed[index]) == model[index : index + 1]

    @given(
        numbers,
        st.dictionaries(
            st.sampled_from(['activity_id__gt', 'activity_id__gte', 'activity_id__lt', 'activity_id__lte']),
            st.integers(0, 200) | st.integers(0, 10**40),
        ),
        st.sampled_from([None, 'activity_id', '-activity_id']),
        bounds,
        bounds,
        st.sampled_from([int, str]),
        st.booleans(),
    )
    def test_filters_and_order(
        self,
        given_numbers: list[int],
        filters: dict[str, int],
        order: Any,
        start: Any,
        stop: Any,
        as_type: Any,
        at_once: bool,
    ) -> None:
        feed, model = filled(given_numbers)
        checks = {
            'activity_id__gt': lambda number, bound: number > bound,
            'activity_id__gte': lambda number, bound: number >= bound,
            'activity_id__lt': lambda number, bound: number < bound,
            'activity_id__lte': lambda number, bound: number <= bound,
        }
        expected = [number for number in model if all(checks[name](number, bound) for name, bound in filters.items())]
        if order == 'activity_id':
            expected.reverse()
        found = feed
        if at_once:
            found = found.filter(**{name: as_type(bound) for name, bound in filters.items()})
        else:
            for name, bound in filters.items():
                found = found.filter(**{name: as_type(bound)})
        if order:
            found = found.order_by(order)
        assert ids(found[start:stop]) == expected[start:stop]
        assert ids(feed[:]) == model

    @given(numbers, st.lists(st.tuples(st.sampled_from(['add', 'remove', 'trim', 'batch']), numbers), max_size=6))
    def test_any_course_of_work(self, given_numbers: list[int], steps: Any) -> None:
        feed, model = filled(given_numbers)
        for step, chosen in steps:
            if step == 'add':
                feed.add_many([by_id(number) for number in chosen])
                model = sorted({*model, *chosen}, reverse=True)
            elif step == 'remove':
                feed.remove_many(chosen)
                model = [number for number in model if number not in chosen]
            elif step == 'batch':
                with feed.get_timeline_batch_interface() as batch:
                    type(feed).insert_activities([by_id(number) for number in chosen])
                    feed.add_many([by_id(number) for number in chosen], batch_interface=batch)
                    feed.remove_many(chosen[::2], batch_interface=batch)
                model = [number for number in sorted({*model, *chosen}, reverse=True) if number not in chosen[::2]]
            else:
                length = len(chosen)
                feed.trim(length)
                model = model[: length or 8]
            assert ids(feed[:]) == model
            for position, number in enumerate(model[:3]):
                assert feed.index_of(number) == position

    @given(numbers, st.integers(1, 9), st.booleans())
    def test_pages_by_cursor(self, given_numbers: list[int], size: int, ascending: bool) -> None:
        feed, model = filled(given_numbers)
        ordered = feed.order_by('activity_id') if ascending else feed
        bound = 'activity_id__gt' if ascending else 'activity_id__lt'
        page, seen = ordered[:size], []
        while page:
            seen += ids(page)
            page = ordered.filter(**{bound: page[-1].serialization_id})[:size]
        assert seen == (model[::-1] if ascending else model)

    @given(numbers, st.sets(st.integers(0, 200)), bounds)
    def test_missing_activities(self, given_numbers: list[int], missing: set[int], stop: Any) -> None:
        memory.reset()
        feed, model = filled(given_numbers)
        for number in missing:
            type(feed).remove_activity(number)
        assert ids(feed[:stop]) == [number for number in model if number not in missing][:stop]


events = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), max_size=50)


def event(pair: tuple[int, int]) -> Activity:
    return act(pair[0], actor=1, object=pair[1])


class Model:
    """Groups as plain sets: everything that was ever added to them."""

    def __init__(self) -> None:
        self.groups: dict[int, set[int]] = {}

    def add(self, pair: tuple[int, int]) -> None:
        self.groups.setdefault(pair[1], set()).add(event(pair).serialization_id)

    def members(self, limit: int) -> set[tuple[str, tuple[int, ...], int]]:
        return {
            (f'object-{key}', tuple(sorted(found)[-limit:]), max(len(found) - limit, 0))
            for key, found in self.groups.items()
        }


class TestGroups:
    @given(events, st.integers(1, 20), st.booleans())
    def test_adding_in_any_batches(self, pairs: Any, size: int, in_batch: bool) -> None:
        # A dropped activity that comes again counts again: each is given once.
        pairs = list(dict.fromkeys(pairs))
        feed, model = Grouped_feed(next(_users)), Model()
        for first in range(0, len(pairs), size):
            chunk = [event(pair) for pair in pairs[first : first + size]]
            if in_batch:
                Grouped_feed.insert_activities(chunk)
                with feed.get_timeline_batch_interface() as batch:
                    feed.add_many(chunk, batch_interface=batch)
            else:
                feed.add_many(chunk)
        for pair in pairs:
            model.add(pair)
        found = feed[:]
        assert {(name, tuple(kept), dropped) for name, kept, dropped in members(found)} == model.members(4)
        assert len(found) == len(model.groups)
        assert [group.updated_at for group in found] == sorted((g.updated_at for g in found), reverse=True)
        for group in found:
            assert group.activity_count == len(model.groups[group.activities[0].object_id])

    @given(events, events)
    def test_removing(self, added: Any, removed: Any) -> None:
        class_ = memory.aggregated(aggregator_class=ByObject)
        feed, model = class_(next(_users)), Model()
        added = list(dict.fromkeys(added))[:15]
        for pair in added:
            feed.add(event(pair))
            model.add(pair)
        for pair in removed:
            feed.remove(event(pair))
        feed.remove_many([event(pair) for pair in removed])
        gone = {event(pair).serialization_id for pair in removed}
        expected = {
            (f'object-{key}', tuple(sorted(found - gone)), 0) for key, found in model.groups.items() if found - gone
        }
        assert {(name, tuple(kept), dropped) for name, kept, dropped in members(feed[:])} == expected
        for group in feed[:]:
            assert group.updated_at == group.activities[-1].time

    @given(events, events)
    def test_merge_leaves_what_it_was_given(self, existing: Any, arriving: Any) -> None:
        aggregator = ByObject(Small)
        groups = aggregator.aggregate([event(pair) for pair in existing])
        before = members(groups)
        new, changed, deleted = aggregator.merge(groups, [event(pair) for pair in arriving])
        assert members(groups) == before
        assert deleted == []
        known = {group.group for group in groups}
        assert known.isdisjoint(group.group for group in new)
        assert len({group.group for group in new}) == len(new)
        for old, updated in changed:
            assert any(old is group for group in groups)
            assert updated is not old
            assert members([old]) != members([updated])

    @given(events, st.integers(0, 3))
    def test_marks(self, pairs: Any, every: int) -> None:
        feed = Notification_feed(next(_users))
        unseen: set[int] = set()
        added: set[tuple[int, int]] = set()
        for position, pair in enumerate(dict.fromkeys(pairs)):
            feed.add(event(pair))
            unseen.add(pair[1])
            added.add(pair)
            if every and position % (every * 3) == 2:
                feed.mark_all()
                unseen = set()
        found = feed[:]
        assert {group.activities[0].object_id for group in found if not group.is_seen} == unseen
        assert feed.count_unseen() == len(unseen)
        assert feed.count_unread() == len({object_ for _, object_ in added})


class TestIds:
    @given(times, verbs, st.integers(0, 10**10 - 1), st.integers())
    def test_the_recipe_of_1_4_0(self, time: Any, verb: Any, object_id: int, actor: int) -> None:
        milliseconds = int((time - EPOCH).total_seconds() * 1000)
        expected = int(f'{milliseconds}{object_id:010d}{verb.id:03d}')
        assert Activity(actor, verb, object_id, time=time).serialization_id == expected

    @given(times, verbs, any_id, any_id, st.none() | any_id)
    def test_ids_of_any_kind_start_with_milliseconds(
        self, time: Any, verb: Any, actor: Any, object_: Any, target: Any
    ) -> None:
        milliseconds = int((time - EPOCH).total_seconds() * 1000)
        found = Safe(actor, verb, object_, target, time=time)
        assert found.serialization_id // 10**13 == milliseconds
        assert found == Safe(actor, verb, object_, target, time=time)
        if any(not isinstance(part, int) for part in (actor, object_, target) if part is not None):
            assert found == Activity(actor, verb, object_, target, time=time)

    @given(st.integers(0, 5000), st.integers(0, 999), st.none() | st.integers(0, 10**10 - 1))
    def test_a_hash_is_never_taken_for_digits(self, first: int, verb_id: int, object_id: int | None) -> None:
        hashed = [ids_module.hashed_activity_id(EPOCH, str(n), 1, 1, None) for n in range(first * 20, first * 20 + 20)]
        assert ids_module.that_may_have(hashed, object_id, None if object_id is not None else verb_id) == hashed
        assert ids_module.that_may_have(hashed, object_id or 0, verb_id) == hashed

    @given(times, st.integers(0, 999), st.integers(0, 10**10 - 1))
    def test_digits_say_what_happened(self, time: Any, verb_id: int, object_id: int) -> None:
        found = [ids_module.activity_id(time, object_id, verb_id)]
        for wanted in ((None, verb_id), (object_id, None), (object_id, verb_id)):
            assert ids_module.that_may_have(found, *wanted) == found
        is_sure = verb_id < ids_module.SURE_VERB_ID or object_id < ids_module.SURE_OBJECT_ID
        for other in ((None, verb_id + 1), (object_id + 1, None), (object_id, verb_id + 1), (object_id + 1, verb_id)):
            assert ids_module.that_may_have(found, *other) == ([] if is_sure else found)

    @given(
        st.lists(st.tuples(any_id, verbs, any_id, st.none() | any_id), min_size=2, max_size=20, unique_by=repr), times
    )
    def test_different_parts_have_different_ids(self, parts: Any, time: Any) -> None:
        found = {Safe(a, v, o, t, time=time).serialization_id for a, v, o, t in parts}
        assert len(found) == len(parts)

    @given(st.text(min_size=1), st.text(min_size=1), times)
    def test_group_ids(self, one: str, other: str, time: Any) -> None:
        first = AggregatedActivity(one, [], time, time).serialization_id
        second = AggregatedActivity(other, [], time, time).serialization_id
        assert (first == second) == (one == other)
        milliseconds = (time - EPOCH) // datetime.timedelta(milliseconds=1)
        assert int(first) // 10**13 == milliseconds
        assert len(first) == len(second) == 26

    @given(times, times, st.text(min_size=1), st.text(min_size=1))
    def test_group_ids_sort_by_updated_at(self, one: Any, other: Any, name: str, other_name: str) -> None:
        first = AggregatedActivity(name, [], one, one).serialization_id
        second = AggregatedActivity(other_name, [], other, other).serialization_id
        millisecond = datetime.timedelta(milliseconds=1)
        if (one - EPOCH) // millisecond < (other - EPOCH) // millisecond:
            assert first < second
            assert int(first) < int(second)

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_groups_of_different_objects_have_different_names(self, one: str, other: str) -> None:
        get_group = NotificationAggregator().get_group
        first, second = get_group(act(1, object=one)), get_group(act(1, object=other))
        assert (first == second) == (one == other)
        assert ';' not in first
        assert ',' not in first

    @given(st.integers(0, 2**128 - 1))
    def test_uuids_stand_for_their_int(self, number: int) -> None:
        feed = ById_feed(next(_users))
        feed.add(by_id(number))
        assert feed.index_of(uuid.UUID(int=number)) == 0
        feed.remove(uuid.UUID(int=number))
        assert feed.count() == 0


@given(st.lists(st.integers(0, 30)), st.integers(-5, 35))
def test_reverse_bisect_left(items: list[int], item: int) -> None:
    items.sort(reverse=True)
    position = reverse_bisect_left(items, item)
    assert all(other > item for other in items[:position])
    assert all(other <= item for other in items[position:])
    items.insert(position, item)
    assert items == sorted(items, reverse=True)


@pytest.fixture(autouse=True, scope='module')
def _clean() -> Any:
    yield
    memory.reset()
