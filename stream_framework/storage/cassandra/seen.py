"""How far timelines were seen, on Cassandra: a row for each, in a table of its own.

The table is made by ``sync``, or when something is marked as seen for the first time: tables of 1.4.0 stay as they are.
A mark is read, and written if it moves forward, both at a quorum. Of two that are set at the same moment either may
stay.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra import config, connection
from stream_framework.storage.cassandra.driver import ConsistencyLevel, InvalidRequest, SimpleStatement
from stream_framework.storage.cassandra.statements import run

#: The table's name.
TABLE = 'stream_framework_seen'

_LOCAL = (ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM)


def create_query(keyspace: str) -> str:
    """What creates the table."""
    return f'CREATE TABLE IF NOT EXISTS "{keyspace}"."{TABLE}" (name text PRIMARY KEY, seen text)'


def read_statements(names: Sequence[str]) -> list[Any]:
    """What reads the marks of these names, one statement for each; nothing if there is no table yet."""
    return _bound('SELECT seen FROM {table} WHERE name = ?', [(name,) for name in names])


def number_of(rows: Sequence[Any]) -> int | None:
    """The mark in the rows that one of :func:`read_statements` has found."""
    return int(rows[0]['seen']) if rows and rows[0]['seen'] is not None else None


def read(names: Sequence[str]) -> list[int | None]:
    """The marks of these names, in order. One wave."""
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


def forget(names: Sequence[str]) -> None:
    """Delete the marks of these names. One wave."""
    if statements := _bound('DELETE FROM {table} WHERE name = ?', [(name,) for name in names]):
        run(statements)


def forget_matching(pattern: str) -> None:
    """Delete the marks whose names match, by going through all of them: for tests, not for every day."""
    for rows in run(_bound('SELECT name FROM {table}', [()])):
        forget(fnmatch.filter([row['name'] for row in rows], pattern))


def _bound(query: str, values: Sequence[tuple[Any, ...]]) -> list[Any]:
    """A statement for each of some values; nothing if there is no table yet."""
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
