"""What every structure has: a key, and a client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.commands import Command, send
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated

#: How many values one command carries, and how many commands one pipeline: bounds memory on both sides.
VALUES_AT_A_TIME = 1000
COMMANDS_AT_A_TIME = 1000


class RedisCache:
    """Something under one key.

    :param key: the key
    :param redis: a client or a pipeline of redis-py; default the client of ``redis_server``
    :param redis_server: the server's name in ``STREAM_REDIS_CONFIG``
    """

    def __init__(self, key: str, redis: Any = None, redis_server: str = 'default') -> None:
        self.key = key
        self._redis = redis
        self.redis_server = redis_server

    @property
    def redis(self) -> Any:
        """The client (or pipeline); looked up on every use, so that changed settings take effect."""
        return get_redis_connection(self.redis_server) if self._redis is None else self._redis

    @redis.setter
    def redis(self, value: Any) -> None:
        self._redis = value

    def get_key(self, *args: Any, **kwargs: Any) -> str:
        """The key."""
        return self.key

    def delete(self) -> int:
        """Delete the key; returns how many keys were there."""
        return self._run_one('DEL', self.get_key())

    def _run_one(self, *command: Any) -> Any:
        return self._run([command])[0]

    def _run(self, commands: Sequence[Command], atomic: bool = False) -> list[Any]:
        """Send commands: one as it is, several in a pipeline (on a cluster, one for each node).

        :param atomic: all in one step; the commands must be about one key
        :returns: the replies in order; in a pipeline of the caller, ``None`` for each
        """
        if not commands:
            return []
        with translated(self.redis_server if self._redis is None else self._redis, self._named(commands)):
            client = self.redis
            if is_pipeline(client):
                for command in commands:
                    client.execute_command(*command)
                return [None] * len(commands)
            if atomic and len(commands) > 1:
                return scripts.send(client, [scripts.in_one_step(commands)])[0]
            replies: list[Any] = []
            for part in in_parts(commands, COMMANDS_AT_A_TIME):
                replies += send(client, part)
            return replies

    def _named(self, commands: Sequence[Command]) -> str:
        """The key for messages."""
        return commands[0][1] if len(commands) == 1 else self.key


def is_pipeline(client: Any) -> bool:
    """Whether commands are queued, plain or cluster, rather than sent."""
    return hasattr(client, 'command_stack')


def in_parts(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most ``size``."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part


def as_text(value: Any) -> Any:
    """What a client that doesn't decode returns, as str; bytes that are no UTF-8 become surrogates."""
    return value.decode('utf-8', 'surrogateescape') if isinstance(value, bytes) else value


def as_texts(values: Iterable[Any] | None) -> list[Any]:
    """:func:`as_text` of each."""
    found = list(values or ())
    return list(map(as_text, found)) if bytes in set(map(type, found)) else found
