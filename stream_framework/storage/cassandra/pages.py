"""Reading timelines: slices, counts, and the newest entries of many feeds at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stream_framework.storage.batch import iter_parts
from stream_framework.storage.cassandra import connection, features
from stream_framework.storage.cassandra.batches import SeveralFeeds, by_replicas
from stream_framework.storage.cassandra.client import Found, run
from stream_framework.storage.cassandra.driver import BoundStatement
from stream_framework.storage.cassandra.fallbacks import lacks
from stream_framework.storage.cassandra.tables import Table

#: How many entries are read only to skip them. To skip more, a query for ids alone comes first.
SKIPPED_BY_READING = 100
#: How many ids are read at a time where the server doesn't count.
IDS_PER_PAGE = 5000
#: How many feeds, and how many rows of all of them, one statement reads.
FEEDS_PER_QUERY, ROWS_PER_QUERY = 20, 2000

#: Selects the number of entries, as ``count``.
COUNTED = 'COUNT(activity_id) AS count'

_MOST = 2**31 - 1
_ONE_ID = 'SELECT activity_id FROM {table} WHERE feed_id = ? AND activity_id = ?'
_NEWEST_IDS = 'SELECT feed_id, activity_id FROM {table} WHERE feed_id IN ? PER PARTITION LIMIT ?'
_NEWEST_IDS_OF_ONE = 'SELECT feed_id, activity_id FROM {table} WHERE feed_id = ? LIMIT ?'


def select(
    table: Table,
    columns: str,
    key: str,
    low: int | None = None,
    high: int | None = None,
    ascending: bool = False,
    limit: int | None = None,
) -> BoundStatement:
    """Return the statement that reads the rows of a feed between two ids, both included; newest first."""
    query = f'SELECT {columns} FROM {{table}} WHERE feed_id = ?'
    values: list[Any] = [key]
    table.key(key)
    for bound, comparison in ((low, '>='), (high, '<=')):
        if bound is not None:
            query += f' AND activity_id {comparison} ?'
            values.append(bound)
    if ascending:
        query += ' ORDER BY activity_id ASC'
    if limit is not None:
        query += ' LIMIT ?'
        values.append(min(limit, _MOST))
    return table.statement(query, *values)


def select_id(table: Table, key: str, activity_id: int) -> BoundStatement:
    """Return the query whether a feed has an id."""
    return table.statement(_ONE_ID, key, activity_id)


def read_slice(
    table: Table, key: str, start: int, stop: int | None, low: int | None, high: int | None, ascending: bool
) -> list[Found]:
    """Read the rows at the positions from ``start`` up to, not including, ``stop``.

    One query, one more before it if the slice starts deeper than :data:`SKIPPED_BY_READING`.
    """
    if start > SKIPPED_BY_READING:
        [skipped] = run([select(table, 'activity_id', key, low, high, ascending, start + 1)], key)
        if len(skipped) <= start:
            return []
        first = skipped[start]['activity_id']
        low, high = (first, high) if ascending else (low, first)
        start, stop = 0, None if stop is None else stop - start
    [rows] = run([select(table, '{columns}', key, low, high, ascending, stop)], key)
    return table.rows(rows)[start:]


def count(table: Table, key: str, low: int | None = None, high: int | None = None) -> int:
    """Count the entries between two ids, both included."""
    if lacks(features.COUNT):
        return sum(map(len, pages_of_ids(table, key, low, high)))
    return run([select(table, COUNTED, key, low, high)], key)[0][0]['count']


def pages_of_ids(table: Table, key: str, low: int | None = None, high: int | None = None) -> Iterator[list[int]]:
    """Yield the ids between two, newest first, :data:`IDS_PER_PAGE` at a time."""
    while True:
        [rows] = run([select(table, 'activity_id', key, low, high, limit=IDS_PER_PAGE)], key)
        # A partition without rows may still have static columns.
        page = [row['activity_id'] for row in rows if row['activity_id'] is not None]
        yield page
        if len(page) < IDS_PER_PAGE:
            return
        high = page[-1] - 1


def of_many(table: Table, query: str, keys: Iterable[str], length: int, limited: bool) -> Iterator[BoundStatement]:
    """Yield statements that read up to ``length`` rows of each of many feeds.

    :param query: takes a list of keys, and where it is ``limited`` the length
    """
    size = max(1, min(FEEDS_PER_QUERY, ROWS_PER_QUERY // length))
    prepared = connection.prepare(table.sql(query))
    names = {table.key(key): key for key in keys}
    for group in by_replicas(table.keyspace, names):
        for part in iter_parts(group, size):
            feeds = [names[name] for name in part]
            statement = SeveralFeeds(prepared).bind((feeds, length) if limited else (feeds,))
            statement.route = part[0]
            yield statement


def newest_ids(table: Table, limits: Mapping[str, int]) -> Iterable[BoundStatement]:
    """Return statements that read the ids of the newest entries of feeds: see :func:`ids_by_feed`.

    :param limits: key -> how many; more may be read
    """
    if lacks(features.PARTITION_LIMIT):
        return (table.statement(_NEWEST_IDS_OF_ONE, key, limit) for key, limit in limits.items())
    return of_many(table, _NEWEST_IDS, limits, max(limits.values(), default=1), limited=True)


def ids_by_feed(results: Iterable[Iterable[Found]]) -> dict[str, set[int]]:
    """Return key -> the ids that the statements of :func:`newest_ids` found, for feeds that have some."""
    found: dict[str, set[int]] = {}
    for rows in results:
        for row in rows:
            # A partition without rows may still have static columns.
            if row['activity_id'] is not None:
                found.setdefault(row['feed_id'], set()).add(row['activity_id'])
    return found
