"""Everything that the stores of a backend hold, as text: for tests that look for what must be nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def everything(backend: Any) -> Iterator[str]:
    """Iterate over all keys and rows, with all that is in them."""
    read = {'memory': _memory, 'redis': _redis, 'redis-cluster': _redis, 'cassandra': _cassandra}
    return map(_text, read.get(backend.name, _sql)())


def holding(backend: Any, text: str) -> list[str]:
    """Return the keys and rows that hold a text."""
    return [found for found in everything(backend) if text in found]


def _text(row: Any) -> str:
    if isinstance(row, (bytes, bytearray, memoryview)):
        return bytes(row).decode('latin-1')
    if isinstance(row, dict):
        row = row.items()
    if isinstance(row, (list, tuple, set, frozenset)) or type(row).__name__ in ('dict_items', 'SortedSet'):
        return ' '.join(map(_text, row))
    return str(row)


def _memory() -> Iterator[Any]:
    from stream_framework.storage import memory, memory_follow_storage

    for key, timeline in memory.timeline_store.items():
        for _, data in timeline.entries.values():
            yield key, _data(data)
        yield key
    for store in (memory.activity_store, memory.seen_store, memory.lists_store, memory.intents_store):
        for key, value in store.items():  # type: ignore[attr-defined]
            yield key, _data(value)
    yield from memory.ledger_store.items()
    for name, store in memory_follow_storage.follow_store.items():
        for attribute in store.__slots__ if hasattr(store, '__slots__') else vars(store):
            yield from ((name, *_flat(item)) for item in _flat(getattr(store, attribute)))


def _flat(value: Any) -> list[Any]:
    return (
        list(value.items()) if isinstance(value, dict) else list(value) if isinstance(value, (tuple, set)) else [value]
    )


def _data(value: Any) -> Any:
    """What is kept as an object, as its parts."""
    if hasattr(value, 'activities'):
        return value.group, [_data(activity) for activity in value.activities], value._activity_ids
    if hasattr(value, 'actor_id'):
        return value.actor_id, value.object_id, value.target_id, value.extra_context
    return value


def _redis() -> Iterator[Any]:
    from stream_framework.storage.redis.connection import get_redis_connection

    client = get_redis_connection()
    read = {
        'string': client.get,
        'hash': client.hgetall,
        'zset': lambda key: client.zrange(key, 0, -1),
        'set': client.smembers,
        'list': lambda key: client.lrange(key, 0, -1),
    }
    for key in client.scan_iter(count=1000):
        yield key, read[_text(client.type(key))](key)


def _sql() -> Iterator[Any]:
    from stream_framework.storage.sql import schema
    from stream_framework.storage.sql.connection import get_database

    database = get_database()
    with database.engine.connect() as connection:
        for table in schema.metadata(database.dialect.schema).sorted_tables:
            for row in connection.execute(table.select()):
                yield table.name, tuple(row)


def _cassandra() -> Iterator[Any]:
    from stream_framework import settings
    from stream_framework.storage.cassandra import connection

    session, keyspace = connection.get_session(), settings.STREAM_DEFAULT_KEYSPACE
    query = 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s'
    for table in list(session.execute(query, [keyspace])):
        name = table['table_name']
        for row in session.execute(f'SELECT * FROM "{keyspace}"."{name}"'):
            yield name, row
