"""Filters by what an entry is: verb, object and actor in flat feeds, unseen and unread in notification feeds.

A timeline is sorted by id and knows nothing else, so a filtered page is read on, in growing steps, until it is full.
An id of 1.4.0's recipe has the verb in its last three digits and the object in the ten before: what can't pass by these
is not looked up. An id of the other recipe ends in a hash, which never looks like a small verb or a small object: see
:func:`stream_framework.ids.that_may_have`. What does not say, and what passes by its digits, is looked at as a whole.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from stream_framework import ids
from stream_framework.activity import Activity
from stream_framework.storage.abilities import FiltersPages
from stream_framework.verbs.base import Verb, get_verb_storage

#: The filters of flat feeds, besides those by id.
CRITERIA = ('verb', 'object_id', 'actor_id')
#: The filters of notification feeds, besides those by id.
STATES = ('unseen', 'unread')
#: How many entries one step reads at least, and at most.
SHORTEST_STEP, LONGEST_STEP = 25, 1000


def check(name: str, value: Any) -> Any:
    """Return what a filter compares with.

    :raises ValueError: for a value that can't be
    """
    if name in STATES:
        if not isinstance(value, bool):
            raise ValueError(f'a feed can not be filtered by {name}={value!r}: give True or False')
        return value
    if name == 'verb':
        return _verb_id(value)
    if value is None or isinstance(value, (bool, float, bytes)):
        raise ValueError(f'a feed can not be filtered by {name}={value!r}: give an int, a str, a UUID or an object')
    return ids.object_id(value)


def _verb_id(value: Any) -> int:
    if isinstance(value, Verb) or (isinstance(value, type) and issubclass(value, Verb)):
        return value.id
    if type(value) is int and get_verb_storage().get(value) is not None:
        return value
    raise ValueError(f'a feed can not be filtered by verb={value!r}: give a verb, or the id of one that is registered')


def both_bounds(old: Mapping[str, Any], new: Mapping[str, Any], storage: Any) -> dict[str, Any]:
    """Return filters by id that let pass what both let pass."""
    both = dict(old)
    for name, value in new.items():
        if name in both:
            stricter = max if '__g' in name else min
            both[name] = stricter(both[name], value, key=lambda item: storage.order(storage.activity_to_id(item)))
        else:
            both[name] = value
    return both


def combine(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return filters that let pass what both let pass; a name that has two values lets nothing pass."""
    both = dict(old)
    for name, value in new.items():
        wanted = check(name, value)
        both[name] = NOTHING if name in both and not _is_same_id(both[name], wanted) else wanted
    return both


#: A value that no entry has.
NOTHING = object()


def _contradict(wanted: Mapping[str, Any]) -> bool:
    return any(value is NOTHING for value in wanted.values())


def _is_same_id(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


class Criteria:
    """What an activity must be: verb, object, actor."""

    def __init__(self, wanted: Mapping[str, Any], activity_class: type[Activity]) -> None:
        #: Whether no activity can pass.
        self.is_void = _contradict(wanted)
        self.values = wanted
        self.verb_id = wanted.get('verb')
        self.ids = [(name, value) for name, value in wanted.items() if name != 'verb']
        self._object_id = wanted.get('object_id')
        #: Whether ids of 1.4.0's recipe say enough.
        self.reads_ids = (
            'actor_id' not in wanted
            and activity_class.serialization_id is Activity.serialization_id
            and not isinstance(self._object_id, (str, uuid.UUID))
        )

    def may_pass(self, entry: Any) -> bool:
        """Return whether an entry, perhaps only a reference, may be one: false only if its id says so."""
        return not entry.dehydrated or bool(self.among([ids.normalize_id(entry.serialization_id)]))

    def among(self, activity_ids: list[int]) -> list[int]:
        """Return those of some ids that may be an activity's that passes: all but those that say otherwise."""
        if not self.reads_ids:
            return activity_ids
        return ids.that_may_have(activity_ids, self._object_id, self.verb_id)

    def passes(self, activity: Any) -> bool:
        """Return whether a whole activity is one."""
        if self.verb_id is not None and activity.verb.id != self.verb_id:
            return False
        return all(_is_same_id(getattr(activity, name), value) for name, value in self.ids)


class InStates:
    """What a group must be: unseen, or unread, or not."""

    #: What passes is known before anything is looked up.
    reads_ids = True

    def __init__(
        self,
        wanted: Mapping[str, bool],
        marked: Mapping[str, Collection[str]],
        names_of: Callable[[Any], tuple[str, ...]],
    ) -> None:
        self._wanted = [(frozenset(marked[name]), value) for name, value in wanted.items()]
        self._names_of = names_of
        #: Whether no group can pass.
        self.is_void = _contradict(wanted) or any(value and not ids_of_list for ids_of_list, value in self._wanted)

    def may_pass(self, group: Any) -> bool:
        """Return whether a group is one."""
        names = self._names_of(group)
        return all(marked.isdisjoint(names) is not value for marked, value in self._wanted)

    def passes(self, group: Any) -> bool:
        """Return whether there is anything in a group that was looked up."""
        return bool(group.activities)

    def oldest(self) -> int | None:
        """Return the id of the oldest group that may pass; ``None`` where the oldest of the feed may."""
        lowest = [min(map(ids.group_order, marked)) for marked, value in self._wanted if value is True and marked]
        return max(lowest, default=None)


class Sliced(Protocol):
    """What a filtered page needs of a feed."""

    key: str
    timeline_storage: Any
    reads_as_usual: Any
    _filter_kwargs: Mapping[str, Any]
    _ordering_args: tuple[str, ...]

    @property
    def whole_activities(self) -> Any:
        """The activity storage."""

    def needs_hydration(self, activities: list[Any]) -> bool:
        """Return whether any of these is only a reference."""

    def hydrate_activities(self, activities: list[Any]) -> list[Any]:
        """Put whole activities in the places of references."""

    def _read(self, start: int | None, stop: int | None) -> list[Any]:
        """Return entries as the timeline has them."""


def read(feed: Sliced, wanted: Criteria | InStates, stop: int | None, oldest: int | None = None) -> list[Any]:
    """Return the first entries of a feed that pass, whole, up to the position ``stop``.

    Reading goes on from the last id, so what comes in meanwhile neither hides nor repeats an entry.

    :param oldest: the id of the oldest entry that may pass, if that is known
    """
    storage = feed.timeline_storage
    if isinstance(storage, FiltersPages) and isinstance(wanted, Criteria) and feed.reads_as_usual:
        found_there = _find_in_storage(feed, storage, wanted, stop)
        if found_there is not None:
            return found_there
    reader: Any = copy.copy(feed)
    reader._wanted = {}
    if oldest is not None:
        reader._filter_kwargs = both_bounds(reader._filter_kwargs, {'activity_id__gte': oldest}, storage)
    further = _beyond(feed)
    read_step = _step_reader(reader, wanted)
    found: list[Any] = []
    looked_at = 0
    step = LONGEST_STEP if stop is None else min(3 * stop + 10, LONGEST_STEP)
    while True:
        missing = LONGEST_STEP if stop is None else stop - len(found)
        entries, whole, candidates = read_step(step, missing)
        found += filter(wanted.passes, whole)
        while candidates and (stop is None or len(found) < stop):
            # Looking up is what costs: where ids have said enough, only as many as are missing.
            size = len(candidates) if stop is None or not wanted.reads_ids else stop - len(found)
            found += filter(wanted.passes, _looked_up(feed, wanted, candidates[:size]))
            candidates = candidates[size:]
        if stop is not None and len(found) >= stop:
            return found[:stop]
        if len(entries) < step:
            return found
        looked_at += len(entries)
        last = storage.activity_to_id(entries[-1])
        reader._filter_kwargs = both_bounds(reader._filter_kwargs, {further: last}, storage)
        step = _next_step(step, looked_at, len(found), stop)


def _find_in_storage(feed: Sliced, storage: FiltersPages, wanted: Criteria, stop: int | None) -> list[Any] | None:
    """Return the first entries that pass, as far as a storage can find them; ``None`` where it can't."""
    found: list[Any] = []
    bounds = dict(feed._filter_kwargs)
    while True:
        before = len(found)
        missing = None if stop is None else stop - before
        page = storage.filter_page(feed.whole_activities, feed.key, wanted.values, missing, bounds, feed._ordering_args)
        if page is None:
            return None
        found += filter(wanted.passes, page)
        if stop is None or len(found) >= stop or len(page) < stop - before:
            return found
        bounds = both_bounds(bounds, {_beyond(feed): page[-1].serialization_id}, storage)


def _beyond(feed: Sliced) -> str:
    """Return the name of the filter that lets pass what comes after an entry."""
    return 'activity_id__gt' if feed.timeline_storage.ascends(feed._ordering_args) else 'activity_id__lt'


#: Called with how many entries to read, and how many are missing on the page. Returns the entries, or their ids; some
#: of those that may pass, whole; and the rest of those that may pass.
_Step = Callable[[int, int], tuple[list[Any], list[Any], list[Any]]]


def _step_reader(reader: Sliced, wanted: Criteria | InStates) -> _Step:
    """Return what reads the next entries of a feed: by their ids, where no hook of an application looks at entries."""
    storage = reader.timeline_storage
    if not isinstance(wanted, Criteria) or not reader.reads_as_usual or not storage.chooses_by_id:
        return partial(_read_entries, reader, wanted)
    activity_storage = reader.whole_activities if storage.holds_references else None
    return partial(_read_ids, reader, wanted, activity_storage)


def _read_entries(reader: Sliced, wanted: Criteria | InStates, step: int, missing: int) -> tuple[Any, Any, Any]:
    entries = reader._read(0, step)
    return entries, [], [entry for entry in entries if wanted.may_pass(entry)]


def _read_ids(reader: Sliced, wanted: Criteria, activity_storage: Any, step: int, missing: int) -> tuple[Any, Any, Any]:
    others: list[int] = []

    def choose(activity_ids: list[int]) -> list[int]:
        candidates = wanted.among(activity_ids)
        size = missing if wanted.reads_ids and activity_storage is not None else len(candidates)
        others[:] = candidates[size:]
        return candidates[:size]

    filters, orders = reader._filter_kwargs, reader._ordering_args
    activity_ids, whole = reader.timeline_storage.get_chosen(
        activity_storage, reader.key, step, choose, filter_kwargs=filters, ordering_args=orders
    )
    return activity_ids, whole, others


def _looked_up(feed: Sliced, wanted: Criteria | InStates, part: list[Any]) -> list[Any]:
    """Return whole activities, or groups, for what was read."""
    if isinstance(part[0], int):
        return list(feed.whole_activities.get_map(part).values())
    return feed.hydrate_activities(part) if wanted.reads_ids or feed.needs_hydration(part) else part


def _next_step(step: int, looked_at: int, found: int, stop: int | None) -> int:
    """Return how many entries to read next: as many as it takes at the rate so far, and at most twice as many."""
    if stop is None:
        return LONGEST_STEP
    likely = (stop - found) * looked_at // found * 5 // 4 if found else 2 * step
    return max(SHORTEST_STEP, min(likely, 2 * step, LONGEST_STEP))


__all__ = ['CRITERIA', 'STATES', 'Criteria', 'InStates', 'check', 'combine', 'read']
