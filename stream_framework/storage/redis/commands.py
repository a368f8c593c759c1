"""Commands as tuples, and how they are sent: in one round trip, to a plain server as to a cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stream_framework.storage.redis.config import redis

#: A command's name, its key, its arguments.
Command = tuple[Any, ...]

# How a pipeline's error begins.
_NUMBER = re.compile(r'Command # (\d+) \(')
# How a glob of Python says that a character stands for itself.
_LITERAL = re.compile(r'\[(.)\]', re.DOTALL)


def glob(pattern: str) -> str:
    """A pattern as of :mod:`fnmatch` in Redis's spelling, which has no ``[]]`` and reads ``\\`` as an escape.

    >>> glob('feed[*]:[]]:*')
    'feed\\\\*:\\\\]:*'
    """
    return _LITERAL.sub(r'\\\1', pattern)


def is_cluster(client: Any) -> bool:
    """Whether a client talks to a Redis Cluster, where a command's keys must lie in one slot."""
    return hasattr(client, 'get_primaries')


def key_of(command: Command) -> Any:
    """The key that a command is about; of a script, its first."""
    return command[3] if command[0] in ('EVALSHA', 'EVAL') else command[1]


def _keys_of(command: Command) -> Sequence[Any]:
    if command[0] in ('EVALSHA', 'EVAL'):
        return command[3 : 3 + command[2]]
    return command[1:2]


def node_of(client: Any, command: Command) -> Any:
    """The node of a cluster that a command goes to, as far as the client knows; ``None`` if it doesn't."""
    try:
        return client.get_node_from_key(key_of(command))
    except redis.exceptions.RedisClusterException:
        return None


def send(client: Any, commands: Sequence[Command]) -> list[Any]:
    """Send commands in one round trip, without a transaction; on a cluster to all nodes at once.

    :returns: the replies
    """
    try:
        try:
            return _send(client, commands)
        except UnicodeEncodeError:
            # Bytes that are no UTF-8, read as surrogates. hiredis doesn't turn them back; nothing has been sent yet.
            return _send(client, [tuple(map(_encoded, command)) for command in commands])
    except Exception as error:
        error.__dict__['about'] = _about(commands, error)
        raise


def _send(client: Any, commands: Sequence[Command]) -> list[Any]:
    if len(commands) == 1:
        return [client.execute_command(*commands[0])]
    pipeline = client.pipeline(transaction=False)
    if is_cluster(client):
        # Told where to send a script, the client doesn't ask a server first which of the arguments are keys.
        for command in commands:
            node = node_of(client, command)
            options = {} if node is None else {'target_nodes': node}
            pipeline.execute_command(*command, **options)
    else:
        for command in commands:
            pipeline.execute_command(*command)
    return pipeline.execute()


def packed(connection: Any, commands: Sequence[Command]) -> Any:
    """Return what goes over the wire for some commands."""
    try:
        return connection.pack_commands(commands)
    except UnicodeEncodeError:
        return connection.pack_commands([tuple(map(_encoded, command)) for command in commands])


def _encoded(value: Any) -> Any:
    return value if not isinstance(value, str) or value.isascii() else value.encode('utf-8', 'surrogateescape')


def _about(commands: Sequence[Command], error: Exception) -> str:
    """Which key an error is about, for its message."""
    number = _NUMBER.match(str(error))
    if number and 0 < int(number[1]) <= len(commands):
        return f'key {key_of(commands[int(number[1]) - 1])!r}'
    keys = dict.fromkeys(key for command in commands for key in _keys_of(command))
    first = next(iter(keys))
    return f'key {first!r}' if len(keys) == 1 else f'key {first!r} and {len(keys) - 1} more'
