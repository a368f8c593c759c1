"""Storages in this process's memory: the reference, complete and thread-safe; for tests, examples and small programs.

All instances share the process-wide stores, as they would share a server. Nothing is copied on the way in or out of the
stores but what serializers make, so the feeds' own serializers decide what is kept.
"""

from __future__ import annotations

import fnmatch
import itertools
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework import ids
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseSerializer
from stream_framework.storage.abilities import (
    GuardsGroups,
    KeepsIntents,
    KeepsLedger,
    KeepsSeen,
    ListsActivities,
    ListsTimelines,
)
from stream_framework.storage.base import BaseActivityStorage, BaseTimelineStorage
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.changes import Change, Pairs, Snapshot, unmark_trimmed
from stream_framework.storage.memory_follow_storage import InMemoryFollowStorage
from stream_framework.utils.forks import held_over_forks
from stream_framework.utils.shortcuts import shortcut

# One lock for all: a change of a group and of its marks is one step, whatever threads do.
_lock = held_over_forks(threading.RLock())
# The version of a timeline that isn't there is 0.
_versions = itertools.count(1)


class Timeline:
    """One feed's entries: the numbers that they sort by, ascending, and number -> ``(id, data)``."""

    __slots__ = ('entries', 'order', 'version')

    def __init__(self) -> None:
        self.order: list[int] = []
        self.entries: dict[int, tuple[Any, Any]] = {}
        #: Another one after each change, and never the same again for any timeline.
        self.version = next(_versions)

    def put(self, number: int, activity_id: Any, data: Any) -> bool:
        new = number not in self.entries
        if new:
            insort(self.order, number)
        self.entries[number] = (activity_id, data)
        self.version = next(_versions)
        return new

    def pop(self, number: int) -> bool:
        if self.entries.pop(number, None) is None:
            return False
        del self.order[bisect_left(self.order, number)]
        self.version = next(_versions)
        return True

    def trim(self, length: int) -> int:
        surplus = self.order[:-length]
        for number in surplus:
            del self.entries[number]
        del self.order[: len(surplus)]
        self.version = next(_versions)
        return len(surplus)

    def slice(self, start: int | None, stop: int | None, low: int | None, high: int | None, ascending: bool) -> Pairs:
        first = 0 if low is None else bisect_left(self.order, low)
        last = len(self.order) if high is None else bisect_right(self.order, high)
        start, size = start or 0, max(last - first, 0)
        stop = size if stop is None else min(stop, size)
        if ascending:
            numbers = self.order[first + start : first + stop] if start < stop else []
        else:
            numbers = self.order[last - stop : last - start][::-1] if start < stop else []
        return list(map(self.entries.__getitem__, numbers))


#: Key -> timeline.
timeline_store: dict[str, Timeline] = {}
#: Id -> serialized activity.
activity_store: dict[int, Any] = {}
#: Key -> how far the timeline was seen: the number that its last seen entry sorts by.
seen_store: dict[str, int] = {}
#: Key -> items, oldest first.
lists_store: dict[str, list[str]] = {}
#: Name -> (value, when it expires).
intents_store: dict[str, tuple[str, float]] = {}
#: Minute -> id -> text.
ledger_store: dict[int, dict[str, str]] = {}


# How many intents there are when it is time to look for those that have expired.
_intents_limit = 1000


def _forget_expired_intents(now: float) -> None:
    # Each time that their number has doubled: looking through all of them with every mark would be quadratic.
    global _intents_limit
    if len(intents_store) < _intents_limit:
        return
    for name in [name for name, (_, expires) in intents_store.items() if expires <= now]:
        del intents_store[name]
    _intents_limit = max(1000, 2 * len(intents_store))


def reverse_bisect_left(a: Sequence[Any], x: Any, lo: int = 0, hi: int | None = None) -> int:
    """Where to insert ``x`` into ``a``, which is in descending order, to keep it so; before its equals.

    >>> reverse_bisect_left([5, 3, 3, 1], 3)
    1
    """
    if lo < 0:
        raise ValueError(f'lo is {lo}: it must not be negative')
    hi = len(a) if hi is None else hi
    while lo < hi:
        middle = (lo + hi) // 2
        if a[middle] > x:
            lo = middle + 1
        else:
            hi = middle
    return lo


class InMemoryActivityStorage(KeepsIntents, KeepsLedger, ListsActivities, BaseActivityStorage):
    """Activities in a dict.

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.verbs import Love
    >>> storage = InMemoryActivityStorage()
    >>> activity = Activity(1, Love, 2)
    >>> storage.add(activity)
    1
    >>> storage.get(activity.serialization_id) == activity
    True
    >>> storage.remove(activity)
    1
    """

    default_serializer_class = ActivitySerializer

    def __init__(self, serializer_class: Any = None, *args: Any, **options: Any) -> None:
        # All feeds share one store, so one that names no serializer has to write what the others read.
        super().__init__(None if serializer_class is BaseSerializer else serializer_class, *args, **options)

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        """Store; one step."""
        with _lock:
            activity_store.update(serialized_activities)
        return len(serialized_activities)

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        """Id -> data of those that are there."""
        found = ((key, activity_store.get(key)) for key in activity_ids)
        return {key: data for key, data in found if data is not None}

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        """Remove; returns how many were there."""
        with _lock:
            return sum(activity_store.pop(key, None) is not None for key in activity_ids)

    def iter_stored(self) -> Iterator[Sequence[tuple[int, Any]]]:
        """Yield what there is at this moment, in one part."""
        with _lock:
            there = list(activity_store.items())
        yield there

    def set_intents(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """Set intents; now and then those that have expired are forgotten."""
        now = time.monotonic()
        with _lock:
            _forget_expired_intents(now)
            for name in names:
                if not existing or intents_store.get(name, ('', now))[1] > now:
                    intents_store[name] = (value, now + ttl)

    def get_intents(self, names: Sequence[str]) -> list[str | None]:
        """Return the values of intents that have not expired."""
        now = time.monotonic()
        found = [intents_store.get(name) for name in names]
        return [intent[0] if intent is not None and intent[1] > now else None for intent in found]

    def write_ledger(self, minute: int, entries: Mapping[str, str], ttl: float, existing: bool = False) -> None:
        """Write; minutes that are over for longer than ``ttl`` are forgotten on the way."""
        oldest = (time.time() - ttl) // 60
        with _lock:
            for old in [old for old in ledger_store if old < oldest]:
                del ledger_store[old]
            there = ledger_store.setdefault(minute, {})
            there.update({key: text for key, text in entries.items() if not existing or key in there})

    def delete_from_ledger(self, minute: int, entry_id: str) -> None:
        """Delete; a minute without entries is forgotten."""
        with _lock:
            there = ledger_store.get(minute, {})
            there.pop(entry_id, None)
            if not there:
                ledger_store.pop(minute, None)

    def find_in_ledger(self, minute: int, entry_id: str) -> str | None:
        """Look it up."""
        return ledger_store.get(minute, {}).get(entry_id)

    def read_ledger(self, minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """Each minute as of one moment."""
        for minute in minutes:
            with _lock:
                there = list(ledger_store.get(minute, {}).items())
            for entry_id, text in there:
                yield minute, entry_id, text

    def flush(self) -> None:
        """Delete every activity, every intent, and the ledger."""
        with _lock:
            activity_store.clear()
            intents_store.clear()
            ledger_store.clear()


class InMemoryTimelineStorage(KeepsSeen, ListsTimelines, GuardsGroups, BaseTimelineStorage):
    """Timelines in sorted lists.

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.verbs import Love
    >>> storage = InMemoryTimelineStorage()
    >>> storage.add_many('doctest', [Activity(1, Love, 2), Activity(1, Love, 3)])
    2
    >>> [entry.dehydrated for entry in storage.get_slice('doctest', 0, 5)]
    [True, True]
    >>> storage.delete('doctest')
    """

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        """Add in one step; returns how many were new. A lookup and a move in memory for each."""
        with _lock:
            timeline = timeline_store.setdefault(key, Timeline())
            return sum(timeline.put(self.order(item), item, data) for item, data in activities.items())

    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
        """As of the base class, in one step for all of them."""
        with _lock:
            return super().update_in_storage(updates)

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        """Remove in one step; returns how many were there."""
        with _lock:
            timeline = timeline_store.get(key)
            if timeline is None:
                return 0
            removed = sum(timeline.pop(number) for item in activities for number in self._numbers(timeline, item))
            if not timeline.order:
                del timeline_store[key]
            return removed

    def get_slice_from_storage(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Pairs:
        """Pairs as of one moment."""
        low, high = self.bounds(filter_kwargs)
        with _lock:
            timeline = timeline_store.get(key)
            return [] if timeline is None else timeline.slice(start, stop, low, high, self.ascends(ordering_args))

    def get_index_of(self, key: str, activity_id: Any) -> int:
        """By binary search."""
        with _lock:
            timeline = timeline_store.get(key)
            numbers = self._numbers(timeline, activity_id) if timeline else []
            if not timeline or not numbers:
                raise ValueError(f'id {activity_id} is not in feed {key!r}')
            return len(timeline.order) - 1 - bisect_left(timeline.order, numbers[-1])

    def count(self, key: str) -> int:
        """How many entries there are."""
        timeline = timeline_store.get(key)
        return 0 if timeline is None else len(timeline.order)

    def trim_storage(self, key: str, length: int) -> int:
        """Keep the newest; returns how many went."""
        with _lock:
            timeline = timeline_store.get(key)
            return 0 if timeline is None else timeline.trim(length)

    def delete(self, key: str) -> None:
        """Forget the timeline, and how far it was seen."""
        with _lock:
            timeline_store.pop(key, None)
            seen_store.pop(key, None)

    def flush(self) -> None:
        """Forget all timelines, of all feed classes."""
        with _lock:
            timeline_store.clear()
            seen_store.clear()

    @shortcut('flush')
    def flush_matching(self, pattern: str) -> None:
        """Forget the timelines whose keys match."""
        with _lock:
            for store in (timeline_store, seen_store):
                for key in fnmatch.filter(store, pattern):
                    del store[key]

    def iter_keys(self, pattern: str) -> Iterator[str]:
        """Yield the keys that there are at this moment."""
        with _lock:
            found = fnmatch.filter(timeline_store, pattern)
        yield from found

    def set_seen(self, key: str, number: int) -> None:
        """In one step."""
        with _lock:
            seen_store[key] = max(number, seen_store.get(key, number))

    def get_seen(self, keys: Sequence[str]) -> list[int | None]:
        """Look them up."""
        return [seen_store.get(key) for key in keys]

    def counts_along(self, other: KeepsSeen) -> bool:
        """All that is in memory."""
        return isinstance(other, InMemoryTimelineStorage)

    def count_new(self, timelines: Sequence[tuple[Any, str]]) -> list[int]:
        """As of one moment for all, by binary search."""
        with _lock:
            return [_count_above(timeline_store.get(key), seen_store.get(key)) for _, key in timelines]

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """As of one moment for all; the token is the length, and the timeline's version."""
        snapshots = []
        with _lock:
            for key in keys:
                timeline = timeline_store.get(key)
                entries = [] if timeline is None else timeline.slice(0, length, None, None, False)
                snapshots.append(Snapshot(key, entries, token=(length, _version(timeline))))
        return snapshots

    @shortcut(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage'
    )
    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Each in one step, markers included."""
        refused = []
        for change in changes:
            with _lock:
                if self._holds(change):
                    self._write(change)
                else:
                    refused.append(change)
        return refused

    def _write(self, change: Change) -> None:
        change.mark_new()
        if change.removed:
            self.remove_from_storage(change.key, dict(change.removed))
        if change.added:
            self.add_to_storage(change.key, change.added)
        change.unmark_old()
        if change.trim_length is not None and self.trim_storage(change.key, change.trim_length):
            unmark_trimmed(self, change)

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """Whether no entry is another."""
        length, version = snapshot.token
        with _lock:
            timeline = timeline_store.get(snapshot.key)
            return version == _version(timeline) or _are_same(self._newest(timeline, length), snapshot.entries)

    def _holds(self, change: Change) -> bool:
        snapshot = change.snapshot
        if snapshot is None:
            return True
        timeline = timeline_store.get(change.key)
        length, version = snapshot.token
        if version == _version(timeline):
            return True
        # Somebody has written; what matters is whether to the same groups.
        if change.creates:
            return _are_same(self._newest(timeline, length), snapshot.entries)
        there = [] if timeline is None else [timeline.entries.get(self.order(item)) for item, _ in change.removed]
        return timeline is not None and _are_same(there, change.removed)

    def _newest(self, timeline: Timeline | None, length: int) -> Pairs:
        return [] if timeline is None else timeline.slice(0, length, None, None, False)

    def _numbers(self, timeline: Timeline, activity_id: Any) -> list[int]:
        number = self.order(activity_id)
        if number in timeline.entries:
            return [number]
        if not self.holds_groups or number % ids.REST or (number // ids.REST) % 1000:
            return []
        # A bare whole second, as 1.4.0 named groups, means ours of that moment too.
        first, last = bisect_left(timeline.order, number), bisect_left(timeline.order, number + ids.REST)
        return timeline.order[first:last]


def _are_same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two lists of ``(id, data)`` hold the same: the same texts, or the very same objects."""
    return len(some) == len(others) and all(map(_is_same, some, others))


def _is_same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    # Groups and activities compare their ids only, so what is kept as an object is the same if it is that object.
    return one[0] == other[0] and (one[1] is other[1] or (isinstance(one[1], (str, bytes)) and one[1] == other[1]))


def _count_above(timeline: Timeline | None, number: int | None) -> int:
    if timeline is None:
        return 0
    return len(timeline.order) - (0 if number is None else bisect_right(timeline.order, number))


def _version(timeline: Timeline | None) -> int:
    return 0 if timeline is None else timeline.version


class InMemoryListsStorage(BaseListsStorage):
    """Lists in a dict.

    >>> lists = InMemoryListsStorage('doctest', max_length=2)
    >>> lists.add(unseen=[1, 2, 3], unread=[1])
    >>> lists.get('unseen', 'unread')
    (['2', '3'], ['1'])
    >>> lists.flush('unseen', 'unread')
    """

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        """In one step for all lists."""
        with _lock:
            for name, items in lists.items():
                kept = lists_store.get(self.get_key(name), [])
                if once:
                    items = list(dict.fromkeys(reversed(items)))[::-1]
                    kept = [item for item in kept if item not in items]
                kept = kept + items
                if self.max_length is not None:
                    kept = kept[max(len(kept) - self.max_length, 0) :]
                lists_store[self.get_key(name)] = kept

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        """In one step for all lists."""
        with _lock:
            for name, items in lists.items():
                key = self.get_key(name)
                kept = [item for item in lists_store.get(key, []) if item not in items]
                if kept:
                    lists_store[key] = kept
                else:
                    lists_store.pop(key, None)

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        """The lengths as of one moment."""
        with _lock:
            return [len(lists_store.get(self.get_key(name), ())) for name in names]

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        """The items as of one moment."""
        with _lock:
            return [list(lists_store.get(self.get_key(name), ())) for name in names]

    def flush_matching(self, *names: str) -> None:
        """Forget the lists whose keys match."""
        with _lock:
            for name in names:
                for key in fnmatch.filter(lists_store, self.get_key(name)):
                    del lists_store[key]

    def flush_storage(self, names: Sequence[str]) -> None:
        """Forget the lists."""
        with _lock:
            for name in names:
                lists_store.pop(self.get_key(name), None)


__all__ = [
    'InMemoryActivityStorage',
    'InMemoryFollowStorage',
    'InMemoryListsStorage',
    'InMemoryTimelineStorage',
    'activity_store',
    'reverse_bisect_left',
    'timeline_store',
]
