"""A server of ``STREAM_REDIS_CONFIG`` as the storages use it: commands go there, replies and the library's errors come.

:func:`~stream_framework.storage.redis.connection.get_redis_connection` makes the client of redis-py behind it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.commands import Command, is_cluster, key_of, packed
from stream_framework.storage.redis.config import get_servers, redis
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import error_reply, translated

Result = TypeVar('Result')


class Client:
    """One server.

    :param server: its name in ``STREAM_REDIS_CONFIG``
    """

    __slots__ = ('server',)

    def __init__(self, server: str) -> None:
        self.server = server

    @property
    def redis(self) -> Any:
        """The client of redis-py; looked up on every use, so that changed settings take effect."""
        return get_redis_connection(self.server)

    @property
    def is_cluster(self) -> bool:
        """Whether the server is a Redis Cluster, where the keys of one command must lie in one slot."""
        return is_cluster(self.redis)

    def is_beside(self, other: Client) -> bool:
        """Whether two names stand for one server."""
        if self.server == other.server:
            return True
        servers = get_servers()
        return self.server in servers and servers[self.server] == servers.get(other.server)

    def send(self, commands: Sequence[Command], key: str | None = None) -> list[Any]:
        """Send commands in few round trips.

        :param key: the key that they are about, for the message of an error; ``None`` for several
        :returns: the replies
        :raises StorageError: as :class:`~stream_framework.storage.redis.errors.translated` has it
        """
        with translated(self.server, key):
            return scripts.send(self.redis, commands)

    def run(self, script: scripts.Script, keys: Sequence[Any], arguments: Iterable[Any], key: str | None = None) -> Any:
        """Run one script; parameters as of :meth:`send`."""
        with translated(self.server, key):
            return scripts.run(self.redis, script, keys, arguments)

    def checked_reply(self, key: str, reply: Any) -> Any:
        """Return a script's reply for one key.

        :raises StorageError: if the reply is the server's error as text
        """
        if isinstance(reply, (bytes, str)):
            text = reply.decode('utf-8', 'replace') if isinstance(reply, bytes) else reply
            raise error_reply(text, self.server, key)
        return reply

    def converse(self, talk: Callable[[Conversation], Result], key: str | None = None) -> Result:
        """Call ``talk`` with a :class:`Conversation`, by one connection where that is possible.

        That saves a page of two round trips a fifth of Python's time. It is possible where the client is redis-py's
        own and nobody looks at its calls. Where the connection turns out to be lost, ``talk`` is called once more,
        by :meth:`send`, which tries again as often as the client is told to.

        :param talk: sends plain commands that only read, no scripts
        :param key: as of :meth:`send`
        """
        client = self.redis
        if _is_plain(client):
            with translated(self.server, key):
                try:
                    with _ByConnection(client.connection_pool) as conversation:
                        return talk(conversation)
                except redis.ConnectionError:
                    # Not the pool's, but lost or not made: trying again is the client's business.
                    pass
        return talk(Conversation(self, key))


class Conversation:
    """Some round trips, one after the other; between the two halves of one there is time for other work.

    :param key: as of :meth:`Client.send`
    """

    def __init__(self, client: Client, key: str | None) -> None:
        self.client, self.key = client, key

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands; the next call must be :meth:`receive`."""
        self.commands = commands

    def receive(self) -> list[Any]:
        """Return the replies to what was sent."""
        return self.client.send(self.commands, self.key)


class _ByConnection(Conversation):
    """The same by one connection of a pool."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def __enter__(self) -> _ByConnection:
        self.connection = _get_connection(self.pool)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        try:
            if error is not None and not isinstance(error, redis.ResponseError):
                # Replies may still be on their way.
                self.connection.disconnect()
        finally:
            self.pool.release(self.connection)

    def send(self, commands: Sequence[Command]) -> None:
        self.commands = commands
        self.connection.send_packed_command(packed(self.connection, commands))

    def receive(self) -> list[Any]:
        """Return the replies to what was sent.

        :raises redis.ResponseError: for the first command that failed, when all replies have been read
        """
        read = self.connection.read_response
        replies: list[Any] = []
        failure: Exception | None = None
        for command in self.commands:
            try:
                replies.append(read())
            except redis.ResponseError as error:
                if failure is None:
                    failure = error
                    error.__dict__['about'] = f'key {key_of(command)!r}'
        if failure is not None:
            raise failure
        return replies


def _get_connection(pool: Any) -> Any:
    try:
        return pool.get_connection()
    except TypeError:
        # redis-py before 5.3 wants a command's name, which it does nothing with.
        return pool.get_connection('_')


def _is_plain(client: Any) -> bool:
    """Whether exchanges by a bare connection do what the client's own calls do."""
    if type(client) is not redis.Redis or getattr(client, 'connection', None) is not None:
        # A client of the application's, a cluster, or one that keeps to a single connection.
        return False
    pool = client.connection_pool
    if getattr(pool, 'cache', None) is not None or pool.connection_kwargs.get('retry_on_timeout'):
        return False
    # Libraries that trace calls replace this method.
    call = vars(client).get('execute_command', redis.Redis.execute_command)
    return isinstance(call, types.FunctionType) and call.__globals__.get('__name__') == 'redis.client'
