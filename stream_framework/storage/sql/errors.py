"""Errors of SQL databases, told so that they help: which database, which feed, what to do.

Each error raised here is a :class:`~stream_framework.exceptions.StorageError` *and* an instance of the very class that
the driver raised (``sqlite3.OperationalError``, ``psycopg.errors.DeadlockDetected``), or of SQLAlchemy's, where the
statement ran on a connection of the application's. The classes are made when they are first needed.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from stream_framework.exceptions import StorageError
from stream_framework.storage import errors
from stream_framework.storage.errors import Advice, advice_by_class
from stream_framework.storage.sql.config import sqlalchemy as sa

#: How much of the database's own words a message quotes, in characters: they may quote whole activities.
QUOTED_LENGTH = 200

_SYNC = '`python -m stream_framework sync` creates what is missing, and says what it did'

_ADVICE = (
    Advice(
        (),
        ('database is locked', 'database table is locked', 'database schema is locked'),
        'another process kept writing to the file, or holds a transaction open: keep transactions short, see which '
        'process has the file open, or raise the timeout in STREAM_SQL_OPTIONS; running the same work again is safe',
        True,
    ),
    Advice(
        (),
        ('readonly database', 'read-only transaction', 'read-only file'),
        'it can only be read: check who owns the file and its folder (SQLite writes files beside it), or name the '
        'primary in STREAM_SQL_URL',
    ),
    Advice(
        ('DiskFull',),
        ('disk is full', 'No space left', 'could not extend file'),
        'its disk is full: make room; what was to be written was not, and can be written again then',
    ),
    Advice(
        (),
        ('file is not a database', 'disk image is malformed', 'malformed database schema'),
        'the file is damaged, or no SQLite database: restore it from a backup, or try `sqlite3 FILE .recover`; '
        'feeds can also be made anew from what users did',
    ),
    Advice(
        (),
        ('unable to open database file',),
        'the folder must exist, and this process must be allowed to write to it: check STREAM_SQL_URL',
        True,
    ),
    Advice(
        ('UndefinedTable',), ('no such table: stream_', 'no such table: main.stream_'), f'a table is missing: {_SYNC}'
    ),
    Advice(
        ('UndefinedColumn', 'DatatypeMismatch'),
        ('no such column', 'has no column named'),
        f'the tables are of another version of the library: {_SYNC}',
    ),
    Advice(
        ('InvalidSchemaName',),
        (),
        'there is no such schema: create it, or check STREAM_SQL_SCHEMA',
    ),
    Advice(
        ('InsufficientPrivilege',),
        ('permission denied',),
        'the user may not do that: GRANT what is missing, or connect as the owner of the tables',
    ),
    Advice(
        ('InvalidPassword', 'InvalidAuthorizationSpecification'),
        ('password authentication failed', 'no password supplied', 'role "', 'no pg_hba.conf entry'),
        'it wants other credentials: check user and password in STREAM_SQL_URL',
        True,
    ),
    Advice(
        ('InvalidCatalogName',), ('database "',), 'there is no such database: create it, or check STREAM_SQL_URL', True
    ),
    Advice(
        ('TooManyConnections',),
        ('too many clients', 'too many connections', 'remaining connection slots'),
        "all of its connections are taken: lower 'pool_size' and 'max_overflow' in STREAM_SQL_OPTIONS (each process "
        'has a pool), raise max_connections of the server, or put PgBouncer before it',
        True,
    ),
    Advice(
        ('TimeoutError',),
        ('QueuePool limit',),
        "all connections of this process's pool are taken: raise 'pool_size' in STREAM_SQL_OPTIONS, or use fewer "
        'threads',
        True,
    ),
    Advice(
        ('DeadlockDetected', 'SerializationFailure', 'LockNotAvailable'),
        (),
        'other transactions wanted the same rows; in a transaction of yours, run it again from its beginning',
    ),
    Advice(
        ('InFailedSqlTransaction',),
        ('current transaction is aborted',),
        'an earlier statement of this transaction failed: roll it back, and run it again',
    ),
    Advice(
        ('ProgramLimitExceeded',),
        ('index row size', 'index row requires'),
        'an id, or the key of a feed, is too long to be indexed (about 2,700 bytes): use shorter ids',
    ),
    Advice(
        ('QueryCanceled',),
        ('statement timeout', 'interrupted'),
        'it did not answer in time: see its load and its locks, or raise statement_timeout; running the same work '
        'again is safe',
        True,
    ),
    Advice(
        ('OperationalError', 'InterfaceError', 'AdminShutdown', 'CrashShutdown', 'CannotConnectNow'),
        (),
        'is it running, and reachable from here? Check the address in STREAM_SQL_URL; running the same work again is '
        'safe',
        True,
    ),
)

# Those that running the same again, a moment later, may not meet.
_PASSING = ('DeadlockDetected', 'SerializationFailure', 'LockNotAvailable')
_LOCKED = ('database is locked', 'database table is locked', 'database schema is locked')


def failures() -> tuple[type[BaseException], ...]:
    """Return what is translated: the drivers' errors, and SQLAlchemy's."""
    known: tuple[type[BaseException], ...] = (sqlite3.Error,)
    if sa is not None:
        known += (sa.exc.SQLAlchemyError,)
    try:
        import psycopg
    except ImportError:
        return known
    return (*known, psycopg.Error)


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's own error, where SQLAlchemy has wrapped it."""
    return getattr(error, 'orig', None) or error


def is_passing(error: BaseException) -> bool:
    """Whether an error is of other writers: a deadlock, a serialization failure, a lock."""
    error = driver_error(error)
    if isinstance(error, sqlite3.Error):
        return any(word in str(error) for word in _LOCKED)
    return any(parent.__name__ in _PASSING for parent in type(error).__mro__)


def may_succeed_later(error: BaseException) -> bool:
    """Return whether it is a driver's error of a database that can't be reached, or of other writers."""
    if not isinstance(error, failures()):
        return False
    original = driver_error(error)
    return is_passing(error) or _advice(original, str(original)).unreachable


def is_missing_table(error: BaseException) -> bool:
    """Whether SQLite says that a table of ours is missing."""
    return 'no such table: ' in str(driver_error(error)) and 'stream_' in str(driver_error(error))


def translate(error: BaseException, address: str, secrets: Any = (), about: str | None = None) -> StorageError:
    """Return our error for one of a driver's.

    :param address: the database, without password
    :param secrets: what the message must not hold
    :param about: what was worked on: ``"feed 'feed_1'"``
    """
    original = driver_error(error)
    words = str(original)
    for secret in secrets:
        words = words.replace(secret, '***')
    advice = _advice(original, words)
    words = ' '.join(words.split())
    if len(words) > QUOTED_LENGTH:
        words = f'{words[:QUOTED_LENGTH]}...'
    where = f'database {address}' + (f', {about}' if about else '')
    message = f'{where}: {words.rstrip(".") or "no reason given"} ({type(original).__name__}): {advice.remedy}'
    kept = error if isinstance(error, _sqlalchemy_errors()) else original
    made = errors.error_class('Sql', __name__, type(kept), advice.unreachable)(message)
    made.__dict__.update(errors.plain_attributes(original))
    return made


def _sqlalchemy_errors() -> tuple[type[BaseException], ...]:
    return () if sa is None else (sa.exc.SQLAlchemyError,)


def _advice(error: BaseException, words: str) -> Advice:
    for advice in _ADVICE:
        if any(word in words for word in advice.words):
            return advice
    return advice_by_class(_ADVICE, type(error))


def __getattr__(name: str) -> Any:
    """Return ``SqlOperationalError`` and so on by name: Celery's results name the classes of exceptions."""
    if name.startswith('Sql'):
        import psycopg

        for module in (sqlite3, psycopg, psycopg.errors, *(() if sa is None else (sa.exc,))):
            found = getattr(module, name[3:], None)
            if isinstance(found, type):
                return errors.error_class('Sql', __name__, found, advice_by_class(_ADVICE, found).unreachable)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
