"""Errors of Redis, told so that they help: which server, which key, what to do.

Each error raised here is a :class:`~stream_framework.exceptions.StorageError` *and* an instance of the very class that
redis-py raised, so that ``except redis.TimeoutError`` in an application goes on working. The classes are made when they
are first needed: ``RedisTimeoutError`` derives from ``StorageConnectionError`` and ``redis.exceptions.TimeoutError``.
"""

from __future__ import annotations

import contextlib
import re
from types import TracebackType
from typing import Any

from stream_framework.exceptions import SerializationException, StorageError
from stream_framework.storage import errors
from stream_framework.storage.errors import Advice, advice_by_class
from stream_framework.storage.redis import config
from stream_framework.storage.redis.config import redis

#: How much of the server's own words a message quotes, in characters: a failed command may hold whole activities.
QUOTED_LENGTH = 200

#: What is translated; the cluster's own errors are no ``RedisError`` in redis-py.
_FAILURES: tuple[type[BaseException], ...] = ()
if redis is not None:
    _FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)

# A pipeline puts the whole command before the server's words.
_IN_PIPELINE = re.compile(r'^Command # (?P<number>\d+) \((?P<command>.*)\) of pipeline caused error: ', re.DOTALL)


# What servers put around the words of a command that a script called: Redis 6 before them, Redis 7 after.
_IN_SCRIPT = re.compile(
    r'(ERR )?Error running script \(call to f_[0-9a-f]+\): (@user_script: ?\d+: )+-?|'
    r' script: [0-9a-f]{40}, on @user_script: ?\d+\.?$'
)


_ADVICE = (
    Advice(
        ('AuthenticationError', 'AuthenticationWrongNumberOfArgsError'),
        ('NOAUTH', 'WRONGPASS', 'ERR AUTH', 'invalid password', 'Authentication required', 'AUTH called without'),
        "it wants other credentials: check 'password' (and 'username') of this server in STREAM_REDIS_CONFIG",
        True,
    ),
    Advice(
        ('NoPermissionError', 'AuthorizationError'),
        ('NOPERM',),
        'its user may not do that: give the user the command and the keys by ACL SETUSER',
    ),
    Advice(
        ('OutOfMemoryError',),
        ('OOM', 'used memory >'),
        'its memory is full: raise maxmemory, lower the max_length of feeds, or choose another maxmemory-policy; '
        'the work can be run again then',
    ),
    Advice(
        (),
        ('WRONGTYPE',),
        'the key holds another kind of value: another program uses it, or two key formats give the same key; rename '
        'one, or delete the key',
    ),
    Advice(
        ('ReadOnlyError',),
        ('READONLY', "can't write against a read only"),
        "it is a replica: name the primary in STREAM_REDIS_CONFIG, or let 'sentinels' find it",
    ),
    Advice(
        ('BusyLoadingError',),
        ('LOADING',),
        'it has just started and is still loading its data: run the work again in a while',
        True,
    ),
    Advice(
        ('MovedError', 'AskError'),
        ('MOVED', 'ASK'),
        "it is a node of a Redis Cluster: set 'cluster': True for this server in STREAM_REDIS_CONFIG",
    ),
    Advice(
        ('ClusterDownError', 'MasterDownError', 'SlotNotCoveredError', 'TryAgainError'),
        ('CLUSTERDOWN', 'MASTERDOWN', 'TRYAGAIN', 'not covered'),
        'part of the cluster is down or moving: see CLUSTER INFO on any node, and run the work again',
        True,
    ),
    Advice(
        ('ClusterCrossSlotError', 'CrossSlotTransactionError'),
        ('CROSSSLOT',),
        'the keys of one command lie on different nodes: use one key per command, or hash tags {...}',
    ),
    Advice(
        (),
        ('MISCONF',),
        'it refuses to write since it could not save its data: make room on its disk, and see its log',
    ),
    Advice(
        ('MaxConnectionsError',),
        ('max number of clients', 'Too many connections', 'No connection available'),
        "all connections are taken: raise 'max_connections' of this server in STREAM_REDIS_CONFIG, or maxclients of "
        'the server',
        True,
    ),
    Advice(
        (),
        ('BUSY',),
        'a script has been running there for too long: see SCRIPT KILL, and run the work again',
        True,
    ),
    Advice(
        (),
        ('unknown command', 'unknown subcommand'),
        'it is too old (Redis 6.2 or later, or Valkey, is needed) or the command was renamed',
    ),
    Advice(
        ('TimeoutError', 'timeout'),
        ('timed out', 'Timeout'),
        "it did not answer in time: see its SLOWLOG and its load, or raise 'socket_timeout' of this server in "
        'STREAM_REDIS_CONFIG; running the same work again is safe',
        True,
    ),
    Advice(
        ('MasterNotFoundError',),
        ('No master found',),
        "no Sentinel names a primary: check 'sentinels' and 'service_name' of this server in STREAM_REDIS_CONFIG",
        True,
    ),
    Advice(
        ('ConnectionError', 'OSError', 'RedisClusterException', 'ClusterError'),
        (),
        'is it running, and reachable from here? Check the address in STREAM_REDIS_CONFIG; running the same work '
        'again is safe',
        True,
    ),
)


class translated(contextlib.ContextDecorator):  # noqa: N801
    """Turn the driver's errors into ours, as a context manager or a decorator; costs nothing worth counting.

    :param server: the server's name in ``STREAM_REDIS_CONFIG``, or a client
    :param key: the key that is worked on, or ``None`` for several
    :raises StorageConnectionError: if the server can't be reached, or doesn't answer in time
    :raises StorageError: if it refuses the command
    :raises SerializationException: for text that can't be sent as UTF-8, or bytes that can't be read as such by a
        client of the application that is strict about that

    >>> from stream_framework.storage.redis.errors import translated
    >>> with translated('default', 'feed_1'):
    ...     pass
    """

    __slots__ = ('key', 'server')

    def __init__(self, server: Any = 'default', key: Any = None) -> None:
        self.server = server
        self.key = key

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, _FAILURES) and not isinstance(error, StorageError):
            raise translate(error, self.server, self.key) from error
        if isinstance(error, UnicodeError):
            about = getattr(error, 'about', None) if self.key is None else f'key {self.key!r}'
            raise SerializationException(f'{about or "a command"}: what is no UTF-8: {error}') from error


def translate(error: BaseException, server: Any = 'default', key: Any = None) -> StorageError:
    """Our error for one of the driver's.

    :param server: the server's name in ``STREAM_REDIS_CONFIG``, or a client
    """
    words = _words(error)
    advice = _advice(error, words)
    if isinstance(server, str):
        where = f'Redis server {server!r} ({config.address_of(server)})'
        for secret in config.secrets_of(server):
            words = words.replace(secret, '***')
    else:
        where = f'Redis server {config.client_address(server)}'
    about = getattr(error, 'about', None)
    if key is not None:
        about = f'key {key!r}'
    what = '' if about is None else f', {about}'
    # The driver's class comes last in the message: time-outs and lost connections often have no words of their own.
    message = f'{where}{what}: {words or "no reason given"} ({type(error).__name__}): {advice.remedy}'
    made = error_class(type(error), advice.unreachable)(message)
    made.__dict__.update(errors.plain_attributes(error))
    return made


def may_succeed_later(error: BaseException) -> bool:
    """Return whether it is one of redis-py's errors for a server that can't be reached, or doesn't answer in time."""
    is_driver_error = isinstance(error, _FAILURES) and not isinstance(error, OSError)
    return is_driver_error and _advice(error, _words(error)).unreachable


def error_reply(text: str, server: Any = 'default', key: Any = None) -> StorageError:
    """Our error for one that a script returned as text: ``'WRONGTYPE Operation against a key ...'``."""
    code = text.split(' ', 1)[0]
    error: BaseException = _REPLIES.get(code, redis.ResponseError)(text)
    made = translate(error, server, key)
    made.__cause__ = error
    return made


# The code that a server's error starts with -> the class that redis-py makes of it; older ones lack some of them.
_REPLIES: dict[str, type] = {}
if redis is not None:
    _REPLIES = {
        code: getattr(redis.exceptions, name, redis.ResponseError)
        for code, name in (
            ('OOM', 'OutOfMemoryError'),
            ('READONLY', 'ReadOnlyError'),
            ('LOADING', 'BusyLoadingError'),
            ('NOPERM', 'NoPermissionError'),
        )
    }


def error_class(driver_class: type, unreachable: bool) -> Any:
    """The class of ours that derives from one of the driver's; made once."""
    return errors.error_class('Redis', __name__, driver_class, unreachable)


def __getattr__(name: str) -> Any:
    """``RedisTimeoutError`` and so on by name: Celery's results name the classes of exceptions."""
    driver_class = getattr(redis and redis.exceptions, name[5:], None) if name.startswith('Redis') else None
    if not isinstance(driver_class, type):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return error_class(driver_class, advice_by_class(_ADVICE, driver_class).unreachable)


def _words(error: BaseException) -> str:
    text = str(error)
    prefix = ''
    in_pipeline = _IN_PIPELINE.match(text)
    if in_pipeline:
        command = in_pipeline['command']
        short = command if len(command) <= 80 else f'{command[:80]}...'
        prefix, text = f'command {in_pipeline["number"]} ({short}): ', text[in_pipeline.end() :]
    text = _IN_SCRIPT.sub('', text)
    if len(text) > QUOTED_LENGTH:
        text = f'{text[:QUOTED_LENGTH]}...'
    return prefix + text.rstrip('.')


def _advice(error: BaseException, words: str) -> Advice:
    said = words.rpartition('): ')[2] if words.startswith('command ') else words
    for advice in _ADVICE:
        for word in advice.words:
            if said.startswith(word) if word.isupper() else word in said:
                return advice
    return advice_by_class(_ADVICE, type(error))
