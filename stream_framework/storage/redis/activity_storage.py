"""Activities on Redis: ten hashes, id -> serialized activity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.abilities import KeepsIntents, KeepsLedger, ListsActivities
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.client import Client
from stream_framework.storage.redis.commands import Command, is_cluster
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.structures.hash import ShardedHashCache
from stream_framework.utils.keys import own_key
from stream_framework.utils.shortcuts import shortcut, unchanged

#: How many fields one command sets or gets.
FIELDS_AT_A_TIME = 1000
#: How many entries of the ledger one reply has, about.
ENTRIES_AT_A_TIME = 500


class ActivityCache(ShardedHashCache):
    """The ten hashes ``global:0`` to ``global:9``; an activity's is the MD5 of its id, modulo ten."""

    key = 'global'


class RedisActivityStorage(KeepsIntents, KeepsLedger, ListsActivities, BaseActivityStorage):
    """Activities on Redis. The option ``key`` replaces ``global`` in the hashes' keys.

    What was published (see :mod:`stream_framework.feed_managers.base`) is marked in small keys that expire. A ledger
    (see :mod:`stream_framework.ledger`) is a hash for each minute, which expires.
    """

    default_serializer_class = ActivitySerializer

    #: Whether a script may read the hashes: nobody has a way of his own to find, or to read, an activity.
    reads_as_usual = unchanged('get', 'get_many', 'get_map', 'get_from_storage', 'get_cache')
    _reads_intents_as_usual = unchanged('get_intents')
    _hashes_as_usual = unchanged('get_cache')

    def get_key(self) -> str:
        """What the keys of the hashes start with."""
        return self.options.get('key') or 'global'

    def get_cache(self) -> ActivityCache:
        """The hashes, as a structure of their own."""
        return ActivityCache(self.get_key(), redis_server=self.redis_server)

    @property
    def redis_server(self) -> str:
        """The server's name in ``STREAM_REDIS_CONFIG``."""
        return self.options.get('redis_server') or 'default'

    @property
    def client(self) -> Client:
        """The server."""
        return Client(self.redis_server)

    def _own_cache(self) -> Any:
        """The hashes where an application's ``get_cache()`` gives some of another kind, or on another server."""
        return None if self._hashes_as_usual else self.get_cache()

    def place_of(self, activity_id: Any) -> str:
        """The hash that an activity is in."""
        return f'key {self.get_cache().get_key(str(activity_id))!r}'

    def _by_shard(self, activity_ids: Any) -> list[tuple[str, dict[str, int]]]:
        """The key of each hash with the fields in it, field -> id; a few of them where one has very many."""
        fields = {str(activity_id): activity_id for activity_id in activity_ids}
        return [
            (key, {field: fields[field] for field in part})
            for key, in_hash in self.get_cache().by_key(fields).items()
            for part in iter_parts(in_hash, FIELDS_AT_A_TIME)
        ]

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        return self.client.send(commands)

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        """One pipelined round trip; no transaction: each activity is stored on its own."""
        if (cache := self._own_cache()) is not None:
            cache.set_many({str(activity_id): data for activity_id, data in serialized_activities.items()})
        else:
            self._send(self._additions(serialized_activities))
        return len(serialized_activities)

    def _additions(self, serialized_activities: dict[int, Any]) -> list[Command]:
        commands: list[Command] = []
        for key, fields in self._by_shard(serialized_activities):
            command: list[Any] = ['HSET', key]
            for field, activity_id in fields.items():
                command += (field, serialized_activities[activity_id])
            commands.append(tuple(command))
        return commands

    @shortcut(
        'add', 'add_many', 'serialize_activities', 'serialize_activity', 'add_to_storage', 'get_cache', 'set_intents'
    )
    def add_and_turn(self, activities: Sequence[Any], names: Sequence[str], value: str, ttl: float) -> None:
        """One pipelined round trip."""
        serialized = self.serialize_activities(activities)
        self.metrics.on_feed_write(type(self), len(serialized))
        self._send(self._additions(serialized) + self._intents(names, value, ttl, existing=True))

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        """One pipelined round trip: one command for each hash."""
        if (cache := self._own_cache()) is not None:
            values = cache.get_many([str(activity_id) for activity_id in activity_ids])
            stored = {activity_id: values.get(str(activity_id)) for activity_id in activity_ids}
            return {activity_id: value for activity_id, value in stored.items() if value is not None}
        parts = self._by_shard(activity_ids)
        replies = self._send([('HMGET', key, *fields) for key, fields in parts])
        found: dict[int, Any] = {}
        for (_, fields), values in zip(parts, replies, strict=True):
            found.update(zip(fields.values(), values, strict=True))
        return {activity_id: value for activity_id, value in found.items() if value is not None}

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        """One pipelined round trip; returns how many were there."""
        if (cache := self._own_cache()) is not None:
            return sum(cache.delete_many([str(activity_id) for activity_id in activity_ids]).values())
        return sum(self._send([('HDEL', key, *fields) for key, fields in self._by_shard(activity_ids)]))

    def iter_stored(self) -> Iterator[Sequence[tuple[int, Any]]]:
        """Scan the hashes: one round trip for each :data:`FIELDS_AT_A_TIME` activities, about."""
        cache: Any = self.get_cache()
        keys = cache.get_keys() if isinstance(cache, ShardedHashCache) else [cache.get_key()]
        for key in keys:
            cursor: int | None = 0
            while cursor is not None:
                with translated(self.redis_server, f'key {key!r}'):
                    cursor, found = cache.redis.hscan(key, cursor, count=FIELDS_AT_A_TIME)
                cursor = int(cursor) or None
                yield [(int(field), data) for field, data in found.items()]

    def set_intents(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """One small key for each, which expires."""
        self._send(self._intents(names, value, ttl, existing))

    def reads_intents_on(self, server: str, names: Sequence[str]) -> bool:
        """Whether whoever has something else to send to this server can read marks by an ``MGET`` along with it."""
        return (
            server == self.redis_server
            and len(names) <= FIELDS_AT_A_TIME
            and self._reads_intents_as_usual
            and not is_cluster(get_redis_connection(server))
        )

    def get_intents(self, names: Sequence[str]) -> list[str | None]:
        """One pipelined round trip."""
        if is_cluster(get_redis_connection(self.redis_server)):
            values = self._send([('GET', name) for name in names])
        else:
            parts = self._send([('MGET', *part) for part in iter_parts(names, FIELDS_AT_A_TIME)])
            values = [value for part in parts for value in part]
        return [value.decode() if isinstance(value, bytes) else value for value in values]

    def _intents(self, names: Sequence[str], value: str, ttl: float, existing: bool) -> list[Command]:
        seconds = max(int(ttl), 1)
        if len(names) > 1 and not is_cluster(get_redis_connection(self.redis_server)):
            # One command for many: an import turns as many marks as it has activities, nearly none of which exist.
            arguments = (value, seconds, int(existing))
            return [scripts.SET_INTENTS.call(part, arguments) for part in iter_parts(names, FIELDS_AT_A_TIME)]
        return [('SET', name, value, 'EX', seconds, *(('XX',) if existing else ())) for name in names]

    def write_ledger(self, minute: int, entries: Mapping[str, str], ttl: float, existing: bool = False) -> None:
        """One round trip; one step for all."""
        key, seconds = self._ledger_key(minute), max(int(ttl), 1)
        pairs = [part for pair in entries.items() for part in pair]
        if existing:
            self._send([scripts.HSET_EXISTING.call([key], pairs)])
        elif pairs:
            self._send([('HSET', key, *pairs), ('EXPIRE', key, seconds)])

    def delete_from_ledger(self, minute: int, entry_id: str) -> None:
        """One command; a hash without fields is no more."""
        self._send([('HDEL', self._ledger_key(minute), entry_id)])

    def find_in_ledger(self, minute: int, entry_id: str) -> str | None:
        """One command."""
        [found] = self._send([('HGET', self._ledger_key(minute), entry_id)])
        return found.decode() if isinstance(found, bytes) else found

    def read_ledger(self, minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """One pipelined round trip to see which minutes have any, then one for each :data:`ENTRIES_AT_A_TIME`."""
        client = get_redis_connection(self.redis_server)
        keys = [self._ledger_key(minute) for minute in minutes]
        lengths = self._send([('HLEN', key) for key in keys])
        for minute, key, length in zip(minutes, keys, lengths, strict=True):
            cursor = 0 if length else None
            while cursor is not None:
                with translated(self.redis_server):
                    cursor, found = client.hscan(key, cursor, count=ENTRIES_AT_A_TIME)
                cursor = int(cursor) or None
                for pair in found.items():
                    entry_id, text = (part.decode() if isinstance(part, bytes) else part for part in pair)
                    yield minute, entry_id, text

    def _ledger_key(self, minute: int) -> str:
        return own_key('ledger', minute)

    def flush(self) -> None:
        """Delete the ten hashes. Marks, and a ledger, expire by themselves."""
        self.get_cache().delete()
