"""Seen marks on Cassandra: how far the reader of each timeline has seen it, in a small table.

The table is made by ``sync``, or when the first mark is set: tables of 1.4.0 stay as they are. A mark is read, and
written if it moves forward, both at a quorum. Of two that are set at the same moment either may stay.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra import config, connection, features, pages
from stream_framework.storage.cassandra.client import Found, run
from stream_framework.storage.cassandra.driver import BoundStatement, ConsistencyLevel, InvalidRequest, SimpleStatement
from stream_framework.storage.cassandra.fallbacks import lacks
from stream_framework.storage.cassandra.protocols import Range, Timelines
from stream_framework.storage.cassandra.tables import Table

#: How many ids are read together with a seen mark. Up to one fewer new entries are counted in one wave.
IDS_WITH_SEEN = 101
#: The table's name.
TABLE = 'stream_framework_seen'

_LOCAL = (ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM)


def create_query(keyspace: str) -> str:
    """Return the statement that creates the table."""
    return f'CREATE TABLE IF NOT EXISTS "{keyspace}"."{TABLE}" (name text PRIMARY KEY, seen text)'


def read_statements(names: Sequence[str]) -> list[BoundStatement]:
    """Return the statements that read the marks of names, one for each; none if there is no table yet."""
    return _bound('SELECT seen FROM {table} WHERE name = ?', [(name,) for name in names])


def number_of(rows: Sequence[Found]) -> int | None:
    """Return the mark in the rows that a statement of :func:`read_statements` found."""
    return int(rows[0]['seen']) if rows and rows[0]['seen'] is not None else None


def read(names: Sequence[str]) -> list[int | None]:
    """Return the marks of these names, in order. One wave."""
    return [number_of(rows) for rows in run(read_statements(names))] or [None] * len(names)


def write(name: str, number: int) -> None:
    """Move a mark forward."""
    [there] = read([name])
    if there is not None and there >= number:
        return
    insert, values = 'INSERT INTO {table} (name, seen) VALUES (?, ?)', [(name, str(number))]
    statements = _bound(insert, values)
    if not statements:
        run([SimpleStatement(create_query(settings.STREAM_DEFAULT_KEYSPACE))])
        statements = _bound(insert, values)
    run(statements)


def count_new(timelines: Sequence[tuple[Timelines, str]]) -> list[int]:
    """Count the entries of timelines above their seen marks; all of them where there is none.

    One wave: the marks, and the newest ids. A second one counts, for feeds with more than a hundred new ones.
    """
    marks = read_statements([storage.seen_name(key) for storage, key in timelines])
    newest = [pages.select(storage.table, 'activity_id', key, limit=IDS_WITH_SEEN) for storage, key in timelines]
    found = run([*marks, *newest], timelines[0][1] if len(timelines) == 1 else None)
    numbers = [number_of(rows) for rows in found[: len(marks)]] or [None] * len(timelines)
    counts = [
        _count_read(storage, rows, number)
        for (storage, _), rows, number in zip(timelines, found[len(marks) :], numbers, strict=True)
    ]
    longer = [
        (place, storage.table, key, bounds)
        for place, (storage, key) in enumerate(timelines)
        if counts[place] is None
        for bounds in _ranges(storage, numbers[place])
    ]
    for (place, _, _, _), counted in zip(longer, _count(longer), strict=True):
        counts[place] = (counts[place] or 0) + counted
    return [count or 0 for count in counts]


def _count_read(storage: Timelines, rows: Sequence[Found], number: int | None) -> int | None:
    """Count the new ones among the newest ids; ``None`` if there may be more."""
    # A partition without rows may still have static columns.
    orders = [storage.order(row['activity_id']) for row in rows if row['activity_id'] is not None]
    new = sum(number is None or order > number for order in orders)
    # Ids of 13 digits, which 1.4.0 gave groups, are read last, whatever their time.
    is_known = len(orders) < IDS_WITH_SEEN or (new < len(orders) and not storage.has_bare_ids)
    return new if is_known else None


def _ranges(storage: Timelines, number: int | None) -> list[Range]:
    return [(None, None)] if number is None else storage.ranges_above(storage.table, number)


def _count(wanted: Sequence[tuple[int, Table, str, Range]]) -> list[int]:
    """Count the entries of each range. One wave."""
    if lacks(features.COUNT):
        return [pages.count(table, key, low, high) for _, table, key, (low, high) in wanted]
    statements = [pages.select(table, pages.COUNTED, key, low, high) for _, table, key, (low, high) in wanted]
    return [rows[0]['count'] for rows in run(statements)]


def forget(names: Sequence[str]) -> None:
    """Delete the marks of these names. One wave."""
    if statements := _bound('DELETE FROM {table} WHERE name = ?', [(name,) for name in names]):
        run(statements)


def forget_matching(pattern: str) -> None:
    """Delete the marks whose names match. It reads all of them: for tests, not for every day."""
    for rows in run(_bound('SELECT name FROM {table}', [()])):
        forget(fnmatch.filter([row['name'] for row in rows], pattern))


def _bound(query: str, values: Sequence[tuple[Any, ...]]) -> list[BoundStatement]:
    """Bind a query to each of some values; return nothing if there is no table yet."""
    connection.get_session()
    try:
        prepared = connection.prepare(query.format(table=f'"{settings.STREAM_DEFAULT_KEYSPACE}"."{TABLE}"'))
    except StorageError as error:
        if isinstance(error, InvalidRequest) and f'{TABLE} does not exist' in str(error):
            return []
        raise
    statements = [prepared.bind(of_one) for of_one in values]
    for statement in statements:
        statement.consistency_level = (
            ConsistencyLevel.LOCAL_QUORUM if config.consistency() in _LOCAL else ConsistencyLevel.QUORUM
        )
    return statements
