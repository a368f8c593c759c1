"""Intents, small values by name that expire: what was published last. See
:mod:`stream_framework.feed_managers.intents`.

They have a table, made by ``sync``, or when the first intent is set. Setting an intent reads it first, and writes with
a later time than was read, both at a quorum. So the last one who sets it wins, whatever the clocks say, and everybody
who reads it afterwards sees that. It takes two waves, and no consensus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.cassandra import config, connection
from stream_framework.storage.cassandra.batches import SeveralFeeds, Unbound, batched, by_replicas, of_each
from stream_framework.storage.cassandra.client import run
from stream_framework.storage.cassandra.driver import ConsistencyLevel, InvalidRequest, SimpleStatement

#: The table's name, from when intents were called marks.
TABLE = 'stream_framework_marks'
#: How many intents one statement reads.
INTENTS_PER_QUERY = 50
#: What the server counts for an intent without its name, in bytes, roughly.
_INTENT_BYTES = 60

_LOCAL = (ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM)


def create_query(keyspace: str) -> str:
    """Return the statement that creates the table. Intents are only overwritten or expire: nothing needs repair."""
    return (
        f'CREATE TABLE IF NOT EXISTS "{keyspace}"."{TABLE}" (name text PRIMARY KEY, value text) '
        'WITH gc_grace_seconds = 10800'
    )


def set_intents(names: Sequence[str], value: str, ttl: float, existing: bool) -> None:
    """Set intents.

    :param ttl: in seconds
    :param existing: set only those that exist
    """
    connection.get_session()
    names = list(dict.fromkeys(names))
    found = _read(names)
    chosen = [name for name in names if name in found] if existing else names
    if not chosen:
        return
    now = time.time_ns() // 1000
    later = {name: max(now, found[name][1] + 1) if name in found else now for name in chosen}
    try:
        _write(later, value, ttl)
    except StorageError as error:
        if not _is_missing(error):
            raise
        run([SimpleStatement(create_query(settings.STREAM_DEFAULT_KEYSPACE))])
        _write(later, value, ttl)


def get_intents(names: Sequence[str]) -> list[str | None]:
    """Return the values of intents, in order; ``None`` for one that was never set or has expired. One wave."""
    connection.get_session()
    return _in_order(names, _read(list(dict.fromkeys(names))))


def run_and_read(
    statements: Callable[[], Iterable[Any]], names: Sequence[str], key: Any = None
) -> tuple[list[Any], list[str | None]]:
    """Send writes, and read intents in the same wave, as if they were read after the writes.

    A write counts from the time that it is sent with, not from when it arrives. Somebody who sets an intent that this
    read misses, and then undoes the writes, does so with later times, and wins whatever arrives last. Only a write that
    had to be sent again has a time after the read, so then the intents are read once more.

    :param statements: makes the writes, which may all be done twice
    :param key: the key of the feed, for messages
    :returns: the rows of each statement, and the values of the intents
    """
    resent: list[Any] = []
    reads: list[Any] = []

    def writes_and_reads() -> Iterator[Any]:
        yield from statements()
        # Not before the writes: this may ask the server whether there is a table of intents.
        reads.extend(_read_statements(list(dict.fromkeys(names))))
        yield from reads

    try:
        results = run(writes_and_reads(), key, resent)
    except StorageError as error:
        if not _is_missing(error):
            raise
        return run(statements(), key), get_intents(names)
    written = len(results) - len(reads)
    if resent:
        return results[:written], get_intents(names)
    return results[:written], _in_order(names, _by_name(row for rows in results[written:] for row in rows))


def _in_order(names: Sequence[str], found: Mapping[str, tuple[str, int]]) -> list[str | None]:
    return [found[name][0] if name in found else None for name in names]


def _read(names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return name -> value, and when it was written in microseconds; nothing if there is no table yet."""
    try:
        return _by_name(row for rows in run(_read_statements(names)) for row in rows)
    except StorageError as error:
        if _is_missing(error):
            return {}
        raise


def _by_name(rows: Iterable[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    return {row['name']: (row['value'], row['written']) for row in rows if row['value'] is not None}


def _read_statements(names: Sequence[str]) -> list[Any]:
    """Return the statements that read intents; none if there is no table yet."""
    query = f'SELECT name, value, WRITETIME(value) AS written FROM {_table()} WHERE name IN ?'
    try:
        prepared = connection.prepare(query)
    except StorageError as error:
        if _is_missing(error):
            return []
        raise
    keys = {name.encode('utf-8', 'replace'): name for name in names}
    statements = []
    for group in by_replicas(settings.STREAM_DEFAULT_KEYSPACE, keys):
        for part in iter_parts(group, INTENTS_PER_QUERY):
            statement = SeveralFeeds(prepared).bind(([keys[key] for key in part],))
            statement.route = part[0]
            statement.consistency_level = _quorum()
            statements.append(statement)
    return statements


def _write(names: dict[str, int], value: str, ttl: float) -> None:
    prepared = connection.prepare(f'INSERT INTO {_table()} (name, value) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?')
    seconds = max(int(ttl), 1)
    rows = {}
    for name, timestamp in names.items():
        statement = prepared.bind((name, value, seconds, timestamp))
        size = _INTENT_BYTES + 2 * len(name)
        rows[statement.routing_key] = [Unbound(prepared, statement.values, size)]
    statements = list(batched(settings.STREAM_DEFAULT_KEYSPACE, of_each(rows)))
    for statement in statements:
        statement.consistency_level = _quorum()
    run(statements)


def _table() -> str:
    return f'"{settings.STREAM_DEFAULT_KEYSPACE}"."{TABLE}"'


def _quorum() -> Any:
    return ConsistencyLevel.LOCAL_QUORUM if config.consistency() in _LOCAL else ConsistencyLevel.QUORUM


def _is_missing(error: StorageError) -> bool:
    return isinstance(error, InvalidRequest) and f'{TABLE} does not exist' in str(error)
