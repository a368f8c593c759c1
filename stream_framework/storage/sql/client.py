"""Run statements: on a connection of the pool, or in the application's transaction; again where others got in the way.

A *work* is what statements run on. One statement by itself runs without a transaction of its own, in one round trip.
Several run in one transaction, by a function that gets the work, and that may be called again: when the database says
that another transaction was in the way, or when a connection turns out to be broken.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from stream_framework.exceptions import SerializationException, StorageError
from stream_framework.storage.sql import errors, tables
from stream_framework.storage.sql.connection import Database, gate, get_database, peek_database
from stream_framework.storage.sql.dialects import Dialect
from stream_framework.storage.sql.known import Feed, KnownFeeds

logger = logging.getLogger(__name__)

#: How often work that others got in the way of is tried.
ATTEMPTS = 12
#: The longest wait after the first attempt, and after any, in seconds; it doubles, and is drawn at random.
SHORTEST_WAIT = 0.005
LONGEST_WAIT = 1.0
#: For how long work is tried again at most, in seconds: SQLite itself has waited for as long before it says so.
PATIENCE = 30.0

_NO_GATE = contextlib.nullcontext()

Result = TypeVar('Result')


class Work:
    """Statements on one connection."""

    dialect: Dialect
    #: Feeds that are there, as far as this process knows.
    known: KnownFeeds
    #: What :attr:`known` is told of when the transaction has been committed.
    made: list[Feed]

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        """Run a statement; return its rows."""
        raise NotImplementedError

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        """Run a statement; return how many rows it wrote."""
        raise NotImplementedError


class DriverWork(Work):
    """Statements by the driver's own cursors: what SQLAlchemy would do besides takes as long as SQLite itself.

    :param connection: the driver's connection
    """

    def __init__(self, connection: Any, dialect: Dialect, known: KnownFeeds | None = None) -> None:
        self.connection = connection
        self.dialect = dialect
        self.known = KnownFeeds() if known is None else known
        self.made = []

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        cursor = self.connection.cursor()
        try:
            cursor.execute(statement, values)
            return cursor.fetchall()
        finally:
            cursor.close()

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        cursor = self.connection.cursor()
        try:
            cursor.execute(statement, values)
            return cursor.rowcount
        finally:
            cursor.close()


class AlchemyWork(Work):
    """Statements by a SQLAlchemy connection, so that whoever listens to its events hears of them.

    :param connection: a ``sqlalchemy.Connection``
    """

    def __init__(self, connection: Any, dialect: Dialect, known: KnownFeeds | None = None) -> None:
        self.connection = connection
        self.dialect = dialect
        self.known = KnownFeeds() if known is None else known
        self.made = []

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        return self.connection.exec_driver_sql(statement, dict(values)).fetchall()

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        return self.connection.exec_driver_sql(statement, dict(values)).rowcount


class Joined:
    """The application's transaction that this block of code takes part in.

    :param work: gives what statements run on
    :param dialect: the statements
    :param address: of the database, for messages
    """

    def __init__(self, work: Callable[[], Work], dialect: Dialect, address: str, secrets: Any = ()) -> None:
        self.work = work
        self.dialect = dialect
        self.address = address
        self.secrets = secrets


#: Set by :func:`stream_framework.storage.sql.transaction`.
joined: contextvars.ContextVar[Joined | None] = contextvars.ContextVar('stream_sql_transaction', default=None)


def rows(statement: str, about: str | None = None, **values: Any) -> list[Any]:
    """Run one statement by itself; return its rows.

    :param statement: the name of an attribute of :class:`~stream_framework.storage.sql.dialects.Dialect`
    :param about: what it is about, for messages
    :raises StorageError: for what the database refuses
    """
    return run(lambda work: work.rows(getattr(work.dialect, statement), values), about, single=True)


def count(statement: str, about: str | None = None, **values: Any) -> int:
    """Run one statement by itself; return how many rows it wrote."""
    return run(lambda work: work.count(getattr(work.dialect, statement), values), about, single=True)


def run(function: Callable[[Work], Result], about: str | None = None, single: bool = False) -> Result:
    """Call a function with what statements run on; in one transaction, unless it is a single statement.

    :param function: may be called again, with all that it did undone
    :param about: what it is about, for messages: ``"feed 'feed_1'"``
    :param single: whether it runs one statement, which needs no transaction around it
    :raises StorageError: for what the database refuses
    :raises SerializationException: for texts that are no UTF-8
    """
    within = joined.get()
    if within is not None:
        return _run_joined(within, function, about)
    started = time.monotonic()
    reconnected = False
    for attempt in range(ATTEMPTS):
        database = get_database()
        try:
            with gate if database.dialect.name == 'sqlite' else _NO_GATE:
                if not database.is_ready:
                    tables.prepare(database)
                return _run_once(database, function, single)
        except errors.failures() as error:
            broken = _is_disconnect(database, error)
            if broken and not reconnected:
                # The server was restarted, say: connections of the pool are made anew.
                reconnected = True
                continue
            last = attempt == ATTEMPTS - 1 or time.monotonic() - started > PATIENCE
            if not errors.is_passing(error) or last:
                raise _translated(error, database.address, database.secrets, about) from error
            logger.info('%s is tried again: %s', about or 'a statement', error)
            time.sleep(random.random() * min(SHORTEST_WAIT * 2**attempt, LONGEST_WAIT))
        except UnicodeError as error:
            raise _translated(error, database.address, database.secrets, about) from error
    raise AssertionError('the last attempt returns or raises')


def _run_joined(within: Joined, function: Callable[[Work], Result], about: str | None) -> Result:
    try:
        work = within.work()
        try:
            return function(work)
        except errors.failures() as error:
            # On SQLite the transaction goes on after an error.
            if within.dialect.name != 'sqlite' or not errors.is_missing_table(error):
                raise
            tables.create_within(work)
            return function(work)
    except Exception as error:
        translated = _translated(error, within.address, within.secrets, about)
        if translated is error:
            raise
        raise translated from error


def _run_once(database: Database, function: Callable[[Work], Result], single: bool) -> Result:
    engine = database.engine
    if engine.dispatch.before_cursor_execute or engine.dispatch.after_cursor_execute or engine.echo:
        return _run_by_alchemy(database, function, single)
    pooled = database.connections.take()
    work = DriverWork(pooled.dbapi_connection, database.dialect, database.known)
    run_on = _run_on_sqlite if database.dialect.name == 'sqlite' else _run_on_server
    try:
        result = run_on(work, function, single)
    except BaseException as error:
        if _is_disconnect(database, error):
            pooled.invalidate(error)
        # Rolls back what was not committed.
        pooled.close()
        raise
    database.connections.give_back(pooled)
    database.known.add(work.made)
    return result


def _run_on_sqlite(work: DriverWork, function: Callable[[Work], Result], single: bool) -> Result:
    connection = work.connection
    if not single:
        # Not a deferred transaction: two that read first and then write would get in each other's way.
        connection.execute('BEGIN IMMEDIATE')
    try:
        result = function(work)
        # With an engine of the application's the driver may have begun one for a single statement, too.
        if connection.in_transaction:
            connection.commit()
        return result
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _run_on_server(work: DriverWork, function: Callable[[Work], Result], single: bool) -> Result:
    connection = work.connection
    if not (single and hasattr(connection, 'autocommit')):
        result = function(work)
        connection.commit()
        return result
    was = connection.autocommit
    connection.autocommit = True
    try:
        return function(work)
    finally:
        if not getattr(connection, 'closed', False):
            connection.autocommit = was


def _run_by_alchemy(database: Database, function: Callable[[Work], Result], single: bool) -> Result:
    engine = database.engine
    if single and database.dialect.name == 'sqlite':
        engine = engine.execution_options(stream_without_begin=True)
    elif single:
        engine = engine.execution_options(isolation_level='AUTOCOMMIT')
    with engine.begin() as connection:
        work = AlchemyWork(connection, database.dialect, database.known)
        result = function(work)
    database.known.add(work.made)
    return result


def _is_disconnect(database: Database, error: BaseException) -> bool:
    if getattr(error, 'connection_invalidated', False):
        return True
    original = errors.driver_error(error)
    engine = database.engine
    if engine.dialect.name == 'sqlite' or not isinstance(original, engine.dialect.loaded_dbapi.Error):
        return False
    # Some have no connection to ask: those that were raised while one was made.
    return type(original).__name__ in _BROKEN or bool(engine.dialect.is_disconnect(original, None, None))


_BROKEN = ('AdminShutdown', 'CrashShutdown', 'IdleInTransactionSessionTimeout')


def _translated(error: BaseException, address: str, secrets: Any, about: str | None) -> BaseException:
    if isinstance(error, (StorageError, SerializationException)):
        return error
    if isinstance(error, UnicodeError):
        return SerializationException(f'{about or "a statement"}: what is no UTF-8: {error}')
    if isinstance(error, errors.failures()):
        return errors.translate(error, address, secrets, about)
    return error


def current_dialect() -> str:
    """Return the name of the dialect that the next statement runs on; of the last one, if a setting changes now."""
    within = joined.get()
    return (peek_database() if within is None else within).dialect.name


__all__ = ['AlchemyWork', 'DriverWork', 'Joined', 'Work', 'count', 'current_dialect', 'joined', 'rows', 'run']
