"""The guard: change feeds of groups only if nobody has written to them since they were read.

A feed's row has a version, which every write to groups counts up. What is read has the version of that moment; a change
counts it up only if it still is that one, which also locks the feed's row (in the order of keys, so that nobody waits
in a circle; on SQLite only one transaction writes anyway). Groups and their markers then change in this transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from stream_framework import ids
from stream_framework.serializers.aggregated_activity_serializer import AggregatedActivitySerializer
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.changes import Change, Snapshot
from stream_framework.storage.sql import client, entries
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.lists_storage import SqlListsStorage
from stream_framework.storage.sql.numbers import decode, encode
from stream_framework.storage.sql.texts import pack, pack_all

if TYPE_CHECKING:
    from stream_framework.storage.sql.timeline_storage import SqlTimelineStorage

#: How many entries one statement reads, about.
ENTRIES_AT_A_TIME = 100_000


def read(storage: SqlTimelineStorage, keys: Sequence[str], length: int) -> list[Snapshot]:
    """Read the newest entries of many timelines, with their versions."""
    return _read(storage, keys, length, 'newest_of_many', {})


def read_named(storage: SqlTimelineStorage, keys: Sequence[str], length: int, names: Collection[str]) -> list[Snapshot]:
    """Read those of some groups; all of them where the database can't tell the groups' names."""
    serializer: Any = storage.serializer
    if not (isinstance(serializer, AggregatedActivitySerializer) and serializer.reads_as_usual):
        return read(storage, keys, length)
    stored = [serializer.identifier + name for name in names]
    if any(pack(name) != name for name in stored):
        return read(storage, keys, length)
    return _read(storage, keys, length, 'groups_of_many', {'names': stored, 'identifier': serializer.identifier})


def _read(
    storage: SqlTimelineStorage, keys: Sequence[str], length: int, statement: str, values: dict[str, Any]
) -> list[Snapshot]:
    snapshots: list[Snapshot] = []
    for some_keys in iter_parts(keys, max(1, ENTRIES_AT_A_TIME // max(length, 1))):
        packed = pack_all(some_keys)

        def work(work: Work, packed: list[str] = packed) -> list[Any]:
            given = {'keys': work.dialect.keys(packed), 'length': length, **values}
            if 'names' in values:
                given['names'] = work.dialect.keys(values['names'])
            return work.rows(getattr(work.dialect, statement), given)

        found = client.run(work, _about(some_keys), single=True)
        part = [Snapshot(key, [], token=(length, None), partial='names' in values) for key in some_keys]
        for place, version, number, data in found:
            snapshot = part[place]
            snapshot.token = (length, version)
            if number is not None:
                snapshot.entries.append(storage.pair(number, data))
        snapshots += part
    return snapshots


def apply(storage: SqlTimelineStorage, changes: Sequence[Change]) -> list[Change]:
    """Apply changes in one transaction.

    :returns: those that were refused
    """
    foreign = [change for change in changes if not _holds_markers(change)]
    for change in foreign:
        # Markers elsewhere: a crash in between leaves a group marked rather than silently unmarked.
        change.mark_new()
    refused = client.run(lambda work: _apply(storage, work, changes), _about([change.key for change in changes]))
    turned_down = set(map(id, refused))
    for change in foreign:
        if id(change) not in turned_down:
            change.unmark_old()
    return refused


def _apply(storage: SqlTimelineStorage, work: Work, changes: Sequence[Change]) -> list[Change]:
    numbers = _guard(work, changes)
    taken = [change for change in changes if change.key in numbers]
    removed, added, markers = [], [], []
    for change in taken:
        feed = numbers[change.key]
        removed += [(feed, encode(storage.order(item))) for item, _ in change.removed]
        added += [(feed, *row) for row in entries.rows_of(storage.order, change.added)]
        if change.lists is not None and _holds_markers(change):
            markers += _marker_rows(change)
    if removed or added or markers:
        for part in work.dialect.change_values(removed, added, markers):
            work.count(work.dialect.change, part)
    _trim(work, taken)
    return [change for change in changes if change.key not in numbers]


def _guard(work: Work, changes: Sequence[Change]) -> dict[str, int]:
    """Count up the versions; returns key -> id of the feeds that are as they were read."""
    guarded = [(pack(change.key), change.snapshot.token[1]) for change in changes if change.snapshot is not None]
    others = [pack(change.key) for change in changes if change.snapshot is None]
    found: dict[str, int] = {}
    if guarded:
        found.update(map(tuple, work.rows(work.dialect.guard, work.dialect.guard_values(guarded))))
    if others:
        found.update(entries.touch(work, others))
    return {change.key: found[pack(change.key)] for change in changes if pack(change.key) in found}


def _marker_rows(change: Change) -> list[tuple[str, Sequence[str], str | None, bool, int | None]]:
    return [
        (pack(change.lists.get_key(name)), marker.old_ids, marker.new_id, marker.renew, change.lists.max_length)
        for name, markers in change.markers.items()
        for marker in markers
    ]


def _trim(work: Work, changes: Sequence[Change]) -> None:
    """Trim, and take the markers of what goes."""
    lengths: dict[int, list[Change]] = {}
    for change in changes:
        if change.trim_length is not None:
            lengths.setdefault(change.trim_length, []).append(change)
    for length, some in lengths.items():
        gone = entries.trim(work, [pack(change.key) for change in some], length)
        marked = [change for change in some if change.lists is not None]
        if not gone or not marked:
            continue
        names = {ids.format_group_id(decode(number)) for _, number in gone}
        rows = [
            (pack(change.lists.get_key(name)), item, 0, 0)
            for change in marked
            if _holds_markers(change)
            for name in change.markers
            for item in names
        ]
        if rows:
            work.count(work.dialect.remove_items, work.dialect.items(rows))


def _holds_markers(change: Change) -> bool:
    """Whether a feed's markers are in this database, written by no hook of a subclass; or it has none."""
    lists = change.lists
    return lists is None or (isinstance(lists, SqlListsStorage) and lists.writes_as_usual)


def _about(keys: Sequence[str]) -> str:
    more = f' and {len(keys) - 1} more' if len(keys) > 1 else ''
    return f'feed {keys[0]!r}{more}' if keys else 'feeds'


__all__ = ['apply', 'read', 'read_named']
