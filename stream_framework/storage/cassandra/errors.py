"""Errors of Cassandra that say which servers, which keyspace, which feed, and what to do.

Each error raised here is a :class:`~stream_framework.exceptions.StorageError` *and* an instance of the very class that
the driver raised, so that ``except cassandra.OperationTimedOut`` in an application goes on working. The classes are
made when they are first needed: ``CassandraOperationTimedOut`` derives from ``StorageConnectionError`` and
``cassandra.OperationTimedOut``.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage import errors
from stream_framework.storage.cassandra import config
from stream_framework.storage.cassandra.config import cassandra
from stream_framework.storage.errors import Advice, advice_by_class

#: How much of the server's own words a message quotes, in characters.
QUOTED_LENGTH = 300

#: The command that creates missing tables and columns.
SYNC = 'python -m stream_framework.storage.cassandra sync MODULE (the module of your feed classes)'

#: The driver's errors that are translated.
FAILURES: tuple[type[BaseException], ...] = ()
if cassandra is not None:
    from cassandra import DriverException
    from cassandra.cluster import NoHostAvailable
    from cassandra.connection import ConnectionBusy, ConnectionException
    from cassandra.pool import NoConnectionsAvailable
    from cassandra.protocol import ErrorMessage, OverloadedErrorMessage, SyntaxException

    FAILURES = (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError)


_AGAIN = 'running the same work again is safe'

_MISSING = ('eyspace', 'unconfigured table', 'does not exist', 'Undefined column', 'Unknown identifier')
_TOO_LARGE = ('too large', 'exceeds')

_ADVICE = (
    Advice(
        ('AuthenticationFailed', 'BadCredentials'),
        ('AuthenticationFailed', 'Bad credentials', 'requires authentication'),
        "it wants other credentials: check 'auth_provider' in CASSANDRA_DRIVER_KWARGS",
        True,
    ),
    Advice(
        ('Unauthorized',),
        (),
        'its role may not do that: GRANT it SELECT and MODIFY on the keyspace (and CREATE and ALTER where it syncs)',
    ),
    Advice(
        (),
        _MISSING,
        f'create what is missing: {SYNC}',
    ),
    Advice(
        (),
        _TOO_LARGE,
        'it is more than the server takes at a time: keep large values elsewhere, and only a reference in '
        'extra_context; or lower merge_max_length, max_length or max_aggregated_activities_length',
    ),
    Advice(
        ('UnavailableErrorMessage', 'Unavailable'),
        ('Unavailable', 'Cannot achieve consistency'),
        'too few of the replicas are up for the consistency level: see nodetool status, start the nodes, or lower '
        f'STREAM_CASSANDRA_CONSISTENCY_LEVEL; {_AGAIN}',
        True,
    ),
    Advice(
        ('OperationTimedOut', 'Timeout'),
        ('OperationTimedOut', 'timed out', 'Timeout', 'result is unknown'),
        f'the servers did not answer in time, so whether it was done is not known: see their load and logs; {_AGAIN}',
        True,
    ),
    Advice(
        ('OverloadedErrorMessage', 'IsBootstrappingErrorMessage'),
        (),
        f'the server is overloaded or has just started: {_AGAIN}, in a while',
        True,
    ),
    Advice(
        ('UnresolvableContactPoints',),
        (),
        'no name server knows these hosts: check STREAM_CASSANDRA_HOSTS',
        True,
    ),
    Advice(
        ('ReadFailure',),
        (),
        'a replica could not read the feed, often for its many tombstones: see the log of the server, run repair, and '
        'see the docs for gc_grace_seconds',
    ),
    Advice(
        ('WriteFailure',),
        (),
        'a replica could not write: see the log of the server',
    ),
    Advice(
        ('NoHostAvailable', 'ConnectionException', 'OSError'),
        (),
        'are they running, and reachable from here? Check STREAM_CASSANDRA_HOSTS (and port in '
        'CASSANDRA_DRIVER_KWARGS); '
        f'{_AGAIN}',
        True,
    ),
)


class translated(contextlib.ContextDecorator):  # noqa: N801
    """Turn the driver's errors into the library's, as a context manager or a decorator.

    :param key: the feed that is worked on, or ``None`` for several
    :raises StorageConnectionError: if the servers can't be reached, or don't answer in time
    :raises StorageError: if they refuse the statement

    >>> from stream_framework.storage.cassandra.errors import translated
    >>> with translated('feed_1'):
    ...     pass
    """

    __slots__ = ('key',)

    def __init__(self, key: Any = None) -> None:
        self.key = key

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and isinstance(error, FAILURES) and not isinstance(error, StorageError):
            raise translate(error, self.key) from error


def translate(error: BaseException, key: Any = None) -> StorageError:
    """Return the library's error for one of the driver's."""
    words = _words(error)
    advice = _advice(error, words)
    where = f'Cassandra at {config.address()}, keyspace {settings.STREAM_DEFAULT_KEYSPACE!r}'
    what = '' if key is None else f', feed {key!r}'
    message = f'{where}{what}: {words or "no reason given"} ({type(error).__name__}): {advice.remedy}'
    made: StorageError = error_class(_safe_class(error), advice.unreachable)(message)
    made.__dict__.update({name: value for name, value in vars(error).items() if not name.startswith('__')})
    return made


def may_succeed_later(error: BaseException) -> bool:
    """Return whether it is one of the driver's errors for servers that can't be reached, or don't answer in time."""
    is_driver_error = isinstance(error, FAILURES) and not isinstance(error, OSError)
    return is_driver_error and _advice(error, _words(error)).unreachable


def refused(words: str, key: Any = None) -> StorageError:
    """Return the error that the server would raise, without asking it."""
    return translate(cassandra.InvalidRequest(words), key)


def refuses(error: BaseException) -> bool:
    """Return whether the server refused a kind of statement, rather than a missing table or a size."""
    cause = error.__cause__ or error
    if not isinstance(cause, (cassandra.InvalidRequest, SyntaxException)):
        return False
    words = _words(cause)
    return not any(word in words for word in (*_MISSING, *_TOO_LARGE))


def is_unreachable(error: BaseException) -> bool:
    """Return whether no node could be reached."""
    if not isinstance(error, NoHostAvailable):
        return False
    causes = (getattr(error, 'errors', None) or {}).values()
    return all(isinstance(cause, (ConnectionException, OSError)) for cause in causes)


def is_undecided(error: BaseException) -> bool:
    """Return whether the outcome of a conditional batch is unknown, because several writers met.

    Cassandra 4 and later say so by an error that the driver has no class for.
    """
    return isinstance(error, ErrorMessage) and error.code == 0x1700


def is_busy(error: BaseException) -> bool:
    """Return whether a node was too busy to take the statement."""
    if not isinstance(error, NoHostAvailable):
        return False
    causes = (getattr(error, 'errors', None) or {}).values()
    return any(isinstance(cause, (ConnectionBusy, NoConnectionsAvailable, OverloadedErrorMessage)) for cause in causes)


def error_class(driver_class: type, unreachable: bool) -> Any:
    """Return the library's error class that derives from one of the driver's; it is made once."""
    return errors.error_class('Cassandra', __name__, driver_class, unreachable)


def _safe_class(error: BaseException) -> type:
    # Subclassing a message of the protocol would make the driver use the subclass for the server's replies.
    return DriverException if isinstance(error, ErrorMessage) else type(error)


def __getattr__(name: str) -> Any:
    """``CassandraOperationTimedOut`` and so on by name: Celery's results name the classes of exceptions."""
    if name.startswith('Cassandra') and cassandra is not None:
        found = getattr(cassandra, name[9:], None) or {'NoHostAvailable': NoHostAvailable}.get(name[9:])
        if isinstance(found, type) and issubclass(found, Exception):
            return error_class(found, advice_by_class(_ADVICE, found).unreachable)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _words(error: BaseException) -> str:
    if isinstance(error, NoHostAvailable) and getattr(error, 'errors', None):
        causes = [f'{_host(host)}: {type(cause).__name__}: {_message(cause)}' for host, cause in error.errors.items()]
        text = f'no node could do it: {"; ".join(causes)}'
    elif isinstance(error, NoHostAvailable):
        text = 'no node is up'
    else:
        text = _message(error)
    if len(text) > QUOTED_LENGTH:
        text = f'{text[:QUOTED_LENGTH]}...'
    return text.rstrip('.')


def _message(error: BaseException) -> str:
    text = str(error.args[0]) if len(error.args) == 1 else str(error)
    # 'Error from server: code=2200 [Invalid query] message="..."'
    _, found, quoted = text.partition(' message="')
    return quoted.rstrip('>')[:-1] if found else text


def _host(host: Any) -> str:
    endpoint = getattr(host, 'endpoint', host)
    return str(endpoint)


def _advice(error: BaseException, words: str) -> Advice:
    for advice in _ADVICE:
        if any(word in words for word in advice.words):
            return advice
    return advice_by_class(_ADVICE, type(error))
