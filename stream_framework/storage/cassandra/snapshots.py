"""Read many feeds before a change, in one wave: their newest groups, versions and markers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from stream_framework import ids
from stream_framework.compat import cassandra_groups as legacy_groups
from stream_framework.storage.cassandra import features
from stream_framework.storage.cassandra.client import Found, run
from stream_framework.storage.cassandra.fallbacks import lacks
from stream_framework.storage.cassandra.guard import see_latest
from stream_framework.storage.cassandra.pages import of_many
from stream_framework.storage.cassandra.protocols import Timelines
from stream_framework.storage.cassandra.tables import LISTS, Table
from stream_framework.storage.changes import Pairs, Snapshot


@dataclass(slots=True)
class Token:
    """What a change depends on, apart from the groups that were read."""

    #: How many groups were asked for.
    length: int
    version: int | None = None
    #: Whether all queries of this feed found the same version.
    is_consistent: bool = True
    #: List's name -> the ids in it.
    markers: dict[str, frozenset[str]] = field(default_factory=dict)
    #: The rows under ids of 1.4.0.
    legacy: list[Found] = field(default_factory=list)


def read(storage: Timelines, keys: Sequence[str], length: int) -> list[Snapshot]:
    """Read the newest entries ``(id, columns)`` of many feeds: a statement for every 20 feeds of the same nodes."""
    table = storage.table
    if lacks(features.PARTITION_LIMIT):
        return _read_one_by_one(storage, table, keys, length)
    names = dict.fromkeys(keys)
    found = [
        _all_rows(of_many(table, query, names, max(length, 1), limited))
        for query, limited in _queries(storage, table, 'feed_id IN ?', 'PER PARTITION LIMIT ?')
    ]
    return _snapshots(storage, table, keys, length, found)


def read_latest(storage: Timelines, keys: Sequence[str], length: int) -> list[Snapshot]:
    """Read at serial consistency, so that a write that got in the way is visible: one statement for each feed."""
    return _read_one_by_one(storage, storage.table, keys, length, latest=True)


def renew(storage: Timelines, snapshots: Sequence[Snapshot]) -> list[bool]:
    """Read feeds again; where the groups are unchanged, snapshots get the new versions and markers.

    :returns: for each whether its groups are unchanged
    """
    same = []
    for length, some in _by_length(snapshots):
        for snapshot, now in zip(some, read_latest(storage, [one.key for one in some], length), strict=True):
            if unchanged := now.entries == snapshot.entries:
                snapshot.token = now.token
            same.append((id(snapshot), unchanged))
    found = dict(same)
    return [found[id(snapshot)] for snapshot in snapshots]


def _by_length(snapshots: Iterable[Snapshot]) -> Iterator[tuple[int, list[Snapshot]]]:
    found: dict[int, list[Snapshot]] = {}
    for snapshot in snapshots:
        found.setdefault(snapshot.token.length, []).append(snapshot)
    yield from found.items()


def _read_one_by_one(
    storage: Timelines, table: Table, keys: Sequence[str], length: int, latest: bool = False
) -> list[Snapshot]:
    names = list(dict.fromkeys(keys))
    found = []
    for query, limited in _queries(storage, table, 'feed_id = ?', 'LIMIT ?'):
        statements = [table.statement(query, key, *([max(length, 1)] if limited else [])) for key in names]
        if latest:
            see_latest(statements)
        found.append(_all_rows(statements))
    return _snapshots(storage, table, keys, length, found)


def _all_rows(statements: Iterable[object]) -> list[Found]:
    return [row for rows in run(statements) for row in rows]


def _queries(storage: Timelines, table: Table, which: str, limit: str) -> list[tuple[str, bool]]:
    """Return the queries for the groups, for their markers, and for groups of 1.4.0, where the table may have some.

    :returns: each with whether it takes a limit
    """
    if not storage.holds_groups:
        return [(f'SELECT {{columns}} FROM {{table}} WHERE {which} {limit}', True)]
    version = ', {version}' if table.has_version else ''
    queries = [(f'SELECT {{columns}}{version} FROM {{table}} WHERE {which} {limit}', True)]
    if marked := [name for name in LISTS if name in table.static]:
        lists = ''.join(f', {{{name}}}' for name in marked)
        queries.append((f'SELECT DISTINCT feed_id{version}{lists} FROM {{table}} WHERE {which}', False))
    if table.is_legacy:
        which = f'{which} AND {legacy_groups.IS_LEGACY}'
        queries.append((f'SELECT {{columns}}{version} FROM {{table}} WHERE {which}', False))
    return queries


def _snapshots(
    storage: Timelines, table: Table, keys: Sequence[str], length: int, found: Sequence[list[Found]]
) -> list[Snapshot]:
    rows = _by_feed(found[0])
    if not storage.holds_groups:
        return [Snapshot(key, _entries(table, rows.get(key, []))[:length]) for key in keys]
    has_markers = any(name in table.static for name in LISTS)
    statics = {row['feed_id']: row for row in found[1]} if has_markers else {}
    legacy = _by_feed(found[-1]) if table.is_legacy else {}
    snapshots = []
    for key in keys:
        of_feed = rows.get(key, [])
        token = Token(length, of_feed[0].get('version') if of_feed else None)
        if has_markers:
            static = statics.get(key, {})
            token.is_consistent = static.get('version') == token.version
            token.markers = {name: frozenset(static.get(name) or ()) for name in LISTS}
        token.is_consistent = token.is_consistent and all(
            row.get('version') == token.version for row in legacy.get(key, ())
        )
        entries = _entries(table, of_feed)
        if key in legacy:
            of_legacy = _entries(table, legacy[key])
            token.legacy = [row for _, row in of_legacy if legacy_groups.can_move(row)]
            every = dict(entries) | dict(of_legacy)
            entries = sorted(every.items(), key=lambda entry: ids.group_order(entry[0]), reverse=True)
        snapshots.append(Snapshot(key, entries[:length], token))
    return snapshots


def _by_feed(rows: Iterable[Found]) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {}
    for row in rows:
        found.setdefault(row['feed_id'], []).append(row)
    return found


def _entries(table: Table, rows: Sequence[Found]) -> Pairs:
    entries = []
    for row in table.rows(rows):
        row.pop('version', None)
        entries.append((row['activity_id'], row))
    return entries
