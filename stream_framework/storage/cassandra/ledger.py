"""The ledger of tasks that are published and not done yet, by minute; see :mod:`stream_framework.ledger`.

Entries are written once and soon deleted, as in a queue, and for a while Cassandra has to read past deleted rows. So
each minute has :data:`SHARDS` partitions: only minutes that may have open entries are read, and no partition has more
entries than one minute brings. The table is made by ``sync``, or by the first write.

Entries are written with a time in seconds, where everything else has microseconds. So each deletion is later than each
write: a deleted entry stays deleted, whatever the clocks say and whatever arrives late.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage.base import iter_parts
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.batches import Unbound, batched, of_each
from stream_framework.storage.cassandra.client import run
from stream_framework.storage.cassandra.driver import InvalidRequest, SimpleStatement

#: The table's name.
TABLE = 'stream_framework_ledger'
#: How many partitions a minute has.
SHARDS = 4
#: How many minutes are asked for at a time; nearly all partitions of minutes that are over are empty.
MINUTES_AT_A_TIME = 25
#: What the server counts for an entry without its id and its text, in bytes, roughly.
_ENTRY_BYTES = 60


def create_query(keyspace: str) -> str:
    """Return the statement that creates the table. If a deleted entry comes back, its task runs again: safe."""
    return (
        f'CREATE TABLE IF NOT EXISTS "{keyspace}"."{TABLE}" '
        '(minute int, shard int, id text, entry text, PRIMARY KEY ((minute, shard), id)) '
        'WITH gc_grace_seconds = 10800'
    )


def write(minute: int, entries: Mapping[str, str], ttl: float) -> None:
    """Write entries; one that was deleted stays so.

    :param ttl: in seconds
    """
    connection.get_session()
    try:
        _write(minute, entries, ttl)
    except StorageError as error:
        if not _is_missing(error):
            raise
        run([SimpleStatement(create_query(settings.STREAM_DEFAULT_KEYSPACE))])
        _write(minute, entries, ttl)


def _write(minute: int, entries: Mapping[str, str], ttl: float) -> None:
    query = f'INSERT INTO {_table()} (minute, shard, id, entry) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?'
    prepared = connection.prepare(query)
    seconds, now = max(int(ttl), 1), int(time.time())
    shards: dict[bytes, list[Unbound]] = {}
    for entry_id, text in entries.items():
        statement = prepared.bind((minute, _shard(entry_id), entry_id, text, seconds, now))
        size = _ENTRY_BYTES + len(entry_id) + 4 * len(text)
        shards.setdefault(statement.routing_key, []).append(Unbound(prepared, statement.values, size))
    run(batched(settings.STREAM_DEFAULT_KEYSPACE, of_each(shards)))


def delete(minute: int, entry_id: str) -> None:
    """Delete an entry; one that isn't there is no error."""
    _run('DELETE FROM {} WHERE minute = ? AND shard = ? AND id = ?', [(minute, _shard(entry_id), entry_id)])


def find(minute: int, entry_id: str) -> str | None:
    """Return the text of an entry, or ``None``."""
    query = 'SELECT entry FROM {} WHERE minute = ? AND shard = ? AND id = ?'
    rows = _run(query, [(minute, _shard(entry_id), entry_id)])[0]
    return rows[0]['entry'] if rows else None


def read(minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    """Yield ``(minute, id, text)`` of the entries of some minutes; one statement for :data:`MINUTES_AT_A_TIME`."""
    query = 'SELECT minute, id, entry FROM {} WHERE minute IN ? AND shard IN ?'
    for part in iter_parts(minutes, MINUTES_AT_A_TIME):
        for row in _run(query, [(list(part), list(range(SHARDS)))])[0]:
            if row['entry'] is not None:
                yield row['minute'], row['id'], row['entry']


def _run(query: str, values: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the rows that a query finds with each of some values; none if there is no table yet."""
    connection.get_session()
    try:
        prepared = connection.prepare(query.format(_table()))
        return run([prepared.bind(some) for some in values])
    except StorageError as error:
        if _is_missing(error):
            return [[] for _ in values]
        raise


def _shard(entry_id: str) -> int:
    return zlib.crc32(entry_id.encode()) % SHARDS


def _table() -> str:
    return f'"{settings.STREAM_DEFAULT_KEYSPACE}"."{TABLE}"'


def _is_missing(error: StorageError) -> bool:
    return isinstance(error, InvalidRequest) and f'{TABLE} does not exist' in str(error)
