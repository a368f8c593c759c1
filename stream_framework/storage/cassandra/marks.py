"""Small values that expire, by name: what was published last, see :mod:`stream_framework.feed_managers.base`.

They are in a table of their own, made by ``sync``, or when the first mark is set. A mark is read, and written with a
later timestamp than what was read, both at a quorum: so whoever sets a mark after somebody else (by any clock) has the
last word, and whoever reads it then sees it. That costs two waves, and no consensus.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage.base import iter_parts
from stream_framework.storage.cassandra import config, connection
from stream_framework.storage.cassandra.driver import ConsistencyLevel, InvalidRequest, SimpleStatement
from stream_framework.storage.cassandra.statements import OfSeveralFeeds, batched, by_replicas, run

#: The table's name.
TABLE = 'stream_framework_marks'
#: How many marks one statement reads.
MARKS_PER_QUERY = 50
#: About what the server counts for a mark besides its name.
_MARK_BYTES = 60

_LOCAL = (ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM)


def create_query(keyspace: str) -> str:
    """What creates the table. Marks are only ever overwritten and expire: they leave nothing to repair."""
    return (
        f'CREATE TABLE IF NOT EXISTS "{keyspace}"."{TABLE}" (name text PRIMARY KEY, value text) '
        'WITH gc_grace_seconds = 10800'
    )


def set_marks(names: Sequence[str], value: str, ttl: float, existing: bool) -> None:
    """Set marks.

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


def get_marks(names: Sequence[str], beside: Sequence[Any] = ()) -> list[str | None]:
    """The values of marks, in order; ``None`` for what was never set or has expired. One wave.

    :param beside: statements that are sent in the same wave, whose results nobody needs
    """
    connection.get_session()
    found = _read(list(dict.fromkeys(names)), beside)
    return [found[name][0] if name in found else None for name in names]


def _read(names: Sequence[str], beside: Sequence[Any] = ()) -> dict[str, tuple[str, int]]:
    """Name -> value, and when it was written in microseconds; nothing if there is no table yet."""
    query = f'SELECT name, value, WRITETIME(value) AS written FROM {_table()} WHERE name IN ?'
    try:
        prepared = connection.prepare(query)
        keys = {name.encode('utf-8', 'replace'): name for name in names}
        statements = list(beside)
        for group in by_replicas(settings.STREAM_DEFAULT_KEYSPACE, keys):
            for part in iter_parts(group, MARKS_PER_QUERY):
                statement = OfSeveralFeeds(prepared).bind(([keys[key] for key in part],))
                statement.route = part[0]
                statement.consistency_level = _quorum()
                statements.append(statement)
        rows = [row for rows in run(statements)[len(beside) :] for row in rows]
    except StorageError as error:
        if _is_missing(error):
            run(beside)
            return {}
        raise
    return {row['name']: (row['value'], row['written']) for row in rows if row['value'] is not None}


def _write(names: dict[str, int], value: str, ttl: float) -> None:
    prepared = connection.prepare(f'INSERT INTO {_table()} (name, value) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?')
    seconds = max(int(ttl), 1)
    rows = []
    for name, timestamp in names.items():
        statement = prepared.bind((name, value, seconds, timestamp))
        rows.append((statement.routing_key, prepared, statement.values, _MARK_BYTES + 2 * len(name)))
    statements = list(batched(settings.STREAM_DEFAULT_KEYSPACE, rows))
    for statement in statements:
        statement.consistency_level = _quorum()
    run(statements)


def _table() -> str:
    return f'"{settings.STREAM_DEFAULT_KEYSPACE}"."{TABLE}"'


def _quorum() -> Any:
    return ConsistencyLevel.LOCAL_QUORUM if config.consistency() in _LOCAL else ConsistencyLevel.QUORUM


def _is_missing(error: StorageError) -> bool:
    return isinstance(error, InvalidRequest) and f'{TABLE} does not exist' in str(error)
