"""Activities on Redis: ten hashes, id -> serialized activity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.commands import Command
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.structures.hash import ShardedHashCache

#: How many fields one command sets or gets.
FIELDS_AT_A_TIME = 1000


class ActivityCache(ShardedHashCache):
    """The ten hashes ``global:0`` to ``global:9``; an activity's is the MD5 of its id, modulo ten."""

    key = 'global'


class RedisActivityStorage(BaseActivityStorage):
    """Activities on Redis. The option ``key`` replaces ``global`` in the hashes' keys.

    What was published (see :mod:`stream_framework.feed_managers.base`) is marked in small keys that expire.
    """

    default_serializer_class = ActivitySerializer
    supports_marks = True

    def get_key(self) -> str:
        """What the keys of the hashes start with."""
        return self.options.get('key', 'global')

    def get_cache(self) -> ActivityCache:
        """The hashes, as a structure of their own."""
        return ActivityCache(self.get_key(), redis_server=self._server)

    @property
    def _server(self) -> str:
        return self.options.get('redis_server', 'default')

    def _by_shard(self, activity_ids: Any) -> dict[str, list[int]]:
        shard = self.get_cache().get_key
        shards: dict[str, list[int]] = {}
        for activity_id in activity_ids:
            shards.setdefault(shard(str(activity_id)), []).append(activity_id)
        return shards

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        with translated(self._server):
            return scripts.send(get_redis_connection(self._server), commands)

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        """One pipelined round trip, ``turn_marks`` included; no transaction: each activity is stored on its own."""
        commands: list[Command] = []
        for key, activity_ids in self._by_shard(serialized_activities).items():
            for start in range(0, len(activity_ids), FIELDS_AT_A_TIME):
                part = activity_ids[start : start + FIELDS_AT_A_TIME]
                pairs = [value for item in part for value in (str(item), serialized_activities[item])]
                commands.append(('HSET', key, *pairs))
        if kwargs.get('turn_marks'):
            names, value, ttl = kwargs['turn_marks']
            commands += _set_marks(names, value, ttl, existing=True)
        self._send(commands)
        return len(serialized_activities)

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        """One pipelined round trip: one command for each hash."""
        commands: list[Command] = []
        asked: list[list[int]] = []
        for key, in_shard in self._by_shard(activity_ids).items():
            for start in range(0, len(in_shard), FIELDS_AT_A_TIME):
                part = in_shard[start : start + FIELDS_AT_A_TIME]
                commands.append(('HMGET', key, *map(str, part)))
                asked.append(part)
        found: dict[int, Any] = {}
        for part, values in zip(asked, self._send(commands), strict=True):
            found.update((item, value) for item, value in zip(part, values, strict=True) if value is not None)
        return found

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        """One pipelined round trip; returns how many were there."""
        return sum(
            self._send([('HDEL', key, *map(str, in_shard)) for key, in_shard in self._by_shard(activity_ids).items()])
        )

    def set_marks(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """One small key for each, which expires."""
        self._send(_set_marks(names, value, ttl, existing))

    def get_marks(self, names: Sequence[str]) -> list[str | None]:
        """One pipelined round trip."""
        values = self._send([('GET', name) for name in names])
        return [value.decode() if isinstance(value, bytes) else value for value in values]

    def flush(self) -> None:
        """Delete the ten hashes. Marks expire by themselves."""
        self._send([('DEL', key) for key in self.get_cache().get_keys()])


def _set_marks(names: Sequence[str], value: str, ttl: float, existing: bool) -> list[Command]:
    condition = ('XX',) if existing else ()
    return [('SET', name, value, 'EX', max(int(ttl), 1), *condition) for name in names]
