"""The only place that makes engines: one for each process.

The engine is made on first use and shared by all threads: it holds a pool of connections. It is made anew when a
setting has changed, and in a process that was forked, since two processes must not share a connection. On SQLite the
file and its tables are made on first use, too; on PostgreSQL ``python -m stream_framework sync`` makes the tables.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError
from stream_framework.storage.sql import config
from stream_framework.storage.sql.config import sqlalchemy as sa
from stream_framework.storage.sql.connections import Connections
from stream_framework.storage.sql.dialects import Dialect, dialect_of
from stream_framework.storage.sql.known import KnownFeeds

_NAMES = ('STREAM_SQL_URL', 'STREAM_SQL_OPTIONS', 'STREAM_SQL_ENGINE', 'STREAM_SQL_SCHEMA')


class Database:
    """An engine, with the statements for it and what messages say of it.

    :param engine: SQLAlchemy's
    :param schema_name: the PostgreSQL schema of the tables
    :param owned: whether it was made here, and not by the application
    """

    def __init__(self, engine: Any, schema_name: str | None = None, owned: bool = False) -> None:
        self.engine = engine
        self.dialect: Dialect = dialect_of(engine.dialect.name, schema_name)
        self.owned = owned
        self.address = config.address_of(engine.url)
        self.secrets = config.secrets_of(engine.url, config.get_options() if owned else None)
        #: Whether the tables were found to be there, of this version.
        self.is_ready = False
        self.known = KnownFeeds()
        self.connections = Connections(engine, owned)
        #: Keeps what is in memory alive.
        self.keeper: Any = None

    def close(self) -> None:
        """Close what is open, where the engine is ours."""
        self.connections.close()
        if self.owned:
            self.engine.dispose()
        if self.keeper is not None:
            self.keeper.close()


_open: Database | None = None
_made_for: tuple[Any, ...] = ()
_lock = threading.Lock()


def get_engine() -> Any:
    """Return the engine of this process; no connection is made before the first statement.

    :returns: the ``sqlalchemy.Engine`` of ``STREAM_SQL_URL``, or ``STREAM_SQL_ENGINE``. On SQLite its transactions take
        the file's write lock when they begin, so that reading first and writing then doesn't fail.
    :raises ConfigurationError: for settings that can't work
    :raises MissingDependencyError: if SQLAlchemy, or psycopg, isn't installed
    """
    return get_database().engine


def get_database() -> Database:
    """Return the engine with the statements for it; cheap enough to be called for every statement."""
    found = _open
    if found is not None and _made_for == _wanted():
        return found
    return _renew()


def peek_database() -> Database:
    """Return the engine that was used last, without a look at the settings; made if there is none."""
    found = _open
    return get_database() if found is None else found


def reset() -> None:
    """Close what is open; the next :func:`get_engine` makes a new engine. What is in memory (``sqlite://``) is gone.

    An engine of the application's is let go but not closed.
    """
    global _open
    with _lock:
        closing, _open = _open, None
    if closing is not None:
        closing.close()


def _wanted() -> tuple[Any, ...]:
    options = settings.STREAM_SQL_OPTIONS
    return settings.STREAM_SQL_URL, options, settings.STREAM_SQL_ENGINE, settings.STREAM_SQL_SCHEMA


def _renew() -> Database:
    global _open, _made_for
    config.require_sqlalchemy()
    with _lock:
        wanted = _wanted()
        if _open is not None and _made_for == wanted:
            return _open
        closing = _open
        _open = None
        made = _make()
        # The options may be changed in place.
        _made_for = tuple(map(_snapshot, wanted))
        _open = made
    if closing is not None:
        closing.close()
    return made


def _snapshot(value: Any) -> Any:
    # A copy of dicts, so that a change in place shows; what they hold stays the same object.
    return {key: _snapshot(item) for key, item in value.items()} if isinstance(value, dict) else value


def _make() -> Database:
    engine = settings.STREAM_SQL_ENGINE
    if engine is not None:
        if not isinstance(engine, sa.Engine):
            raise ConfigurationError(
                f'STREAM_SQL_ENGINE is of type {type(engine).__name__}: give what sqlalchemy.create_engine() returns '
                '(for an AsyncEngine, its sync_engine with a driver that is not async)'
            )
        return Database(engine, config.get_schema())
    url, options = config.get_url(), config.get_options()
    if url.get_backend_name() == 'sqlite':
        return _make_sqlite(url, options)
    arguments = {'connect_timeout': config.CONNECT_TIMEOUT, **options.pop('connect_args', {})}
    return Database(_create(url, {'connect_args': arguments, **options}), config.get_schema(), owned=True)


def _create(url: Any, options: dict[str, Any]) -> Any:
    try:
        return sa.create_engine(url, **options)
    except (TypeError, sa.exc.ArgumentError) as error:
        raise ConfigurationError(f'STREAM_SQL_OPTIONS has what create_engine() does not take: {error}') from error


def _make_sqlite(url: Any, options: dict[str, Any]) -> Database:
    if sqlite3.sqlite_version_info < config.OLDEST_SQLITE:
        raise ConfigurationError(
            f'this Python has SQLite {sqlite3.sqlite_version}: feeds need 3.35 or later, of 2021; take a newer Python, '
            'or PostgreSQL'
        )
    keeper = None
    arguments = {'timeout': config.SQLITE_TIMEOUT, 'check_same_thread': False, **options.pop('connect_args', {})}
    if config.is_in_memory(url):
        # A database by name, in this process's memory: each thread may have a connection of its own to it.
        name = f'file:/stream-framework-{os.getpid()}-{id(options)}'
        keeper = sqlite3.connect(f'{name}?vfs=memdb', uri=True, check_same_thread=False)
        url = url.set(database=name, query={'vfs': 'memdb', 'uri': 'true'})
        options.setdefault('poolclass', sa.pool.QueuePool)
    # The driver begins nothing by itself: transactions are begun below, and in the client.
    arguments['isolation_level'] = None
    engine = _create(url, {'connect_args': arguments, **options})
    sa.event.listen(engine, 'connect', _prepare_sqlite)
    sa.event.listen(engine, 'begin', _begin_immediate)
    database = Database(engine, owned=True)
    if keeper is not None:
        database.keeper = keeper
        database.address = 'sqlite://'
    return database


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # With WAL this is safe against a killed process; after a power failure the last transactions may be missing.
    connection.execute('PRAGMA synchronous = NORMAL').close()


def _begin_immediate(connection: Any) -> None:
    options = connection.get_execution_options()
    if not (options.get('stream_without_begin') or options.get('isolation_level') == 'AUTOCOMMIT'):
        connection.exec_driver_sql('BEGIN IMMEDIATE')


class ForkGate:
    """Lets statements on SQLite through, and no fork while any is running.

    SQLite keeps in the process's memory which locks it has on a file. A fork would inherit that, but not the locks: it
    could wait for ever, or damage the file. So before a fork all statements end, and connections are closed.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._condition:
            while self._closed:
                self._condition.wait()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._condition:
            self._inside -= 1
            if self._closed and not self._inside:
                self._condition.notify_all()

    def close(self) -> None:
        """Wait until nobody is inside, and keep all others out; by the thread that is about to fork."""
        self._condition.acquire()
        self._closed = True
        while self._inside:
            self._condition.wait()

    def open(self) -> None:
        """Let others in again."""
        self._closed = False
        self._condition.notify_all()
        self._condition.release()


#: Held by every statement on SQLite.
gate = ForkGate()


def _before_fork() -> None:
    gate.close()
    # In this process they are opened again when they are needed.
    if _open is not None and _open.dialect.name == 'sqlite' and _open.keeper is None:
        _open.connections.close()
        _open.engine.dispose()


def _after_fork_in_parent() -> None:
    gate.open()


def _after_fork_in_child() -> None:
    """Leave the parent's connections alone, and its locks, which may have been held."""
    global _lock, _open
    gate.__init__()  # type: ignore[misc]
    _lock = threading.Lock()
    if _open is not None:
        # An engine of the application's gets a new pool: its connections are the parent's as well.
        _open.engine.dispose(close=False)
        # Closing what a parent process had opened is no business of ours.
        _left_to_parent.append(_open)
    _open = None


_left_to_parent: list[Database] = []

# Before the interpreter takes the modules down: an open file would be warned of.
atexit.register(reset)

if hasattr(os, 'register_at_fork'):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)

__all__ = ['Database', 'gate', 'get_database', 'get_engine', 'reset']
