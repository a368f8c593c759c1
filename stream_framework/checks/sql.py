"""The SQL database: whether it answers, the tables are there, and how it is set up."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from stream_framework import settings
from stream_framework.checks.findings import Finding, redacted
from stream_framework.exceptions import ConfigurationError, MissingDependencyError, StorageError
from stream_framework.storage.sql import config, connection, errors, schema

#: The oldest PostgreSQL that works, as ``server_version_num``.
OLDEST = 130000
#: The command that makes what is missing.
SYNC = 'python -m stream_framework sync'
#: How many connections are kept for whoever looks after the server.
RESERVED = 3

_Line = tuple[str, str, str]


def check_sql() -> Iterator[Finding]:
    """Ask the database of ``STREAM_SQL_URL`` or ``STREAM_SQL_ENGINE``; nothing is written there, no file is made.

    :returns: what was found; an error comes last where the database can't be used
    """
    try:
        for level, message, remedy in _ask():
            yield Finding(level, 'SQL', redacted(message), redacted(remedy))
    except (ConfigurationError, MissingDependencyError, StorageError) as error:
        yield Finding('error', 'SQL', redacted(str(error)))


def uses_sql(feed_class: Any) -> bool:
    """Whether a feed class keeps its timelines in a SQL database."""
    from stream_framework.storage.sql.timeline_storage import SqlTimelineStorage

    return issubclass(feed_class.timeline_storage_class, SqlTimelineStorage)


def is_configured() -> bool:
    """Whether a setting says that the application uses a SQL database."""
    return any(settings.source_of(name) != 'default' for name in ('STREAM_SQL_URL', 'STREAM_SQL_ENGINE'))


def _ask() -> Iterator[_Line]:
    config.require_sqlalchemy()
    if settings.STREAM_SQL_ENGINE is None:
        url = config.get_url()
        if url.get_backend_name() == 'sqlite' and not config.is_in_memory(url) and not os.path.exists(url.database):
            yield from _missing_file(pathlib.Path(url.database))
            return
    database = connection.get_database()
    started = time.perf_counter()
    try:
        with database.engine.connect() as connected:
            took = (time.perf_counter() - started) * 1000
            ask = _sqlite if database.dialect.name == 'sqlite' else _postgres
            yield from ask(connected, database, took)
            yield from _tables(connected, database)
    except errors.failures() as error:
        raise errors.translate(error, database.address, database.secrets) from error
    yield from _pool(database)


def _missing_file(path: pathlib.Path) -> Iterator[_Line]:
    folder = path.absolute().parent
    if not folder.is_dir():
        yield 'error', f'the folder of {path} is missing', 'make it, or check STREAM_SQL_URL'
    elif not os.access(folder, os.W_OK):
        yield 'error', f'{path} is missing, and its folder may not be written to', 'check who owns the folder'
    else:
        yield 'note', f'{path} is not there yet', 'it is made, with its tables, at the first use'


def _sqlite(connected: Any, database: Any, took: float) -> Iterator[_Line]:
    version = connected.exec_driver_sql('SELECT sqlite_version()').scalar()
    yield 'ok', f'{database.address} opens, in {took:.1f} ms: SQLite {version}', ''
    mode = connected.exec_driver_sql('PRAGMA journal_mode').scalar()
    size = (
        connected.exec_driver_sql('PRAGMA page_count').scalar() * connected.exec_driver_sql('PRAGMA page_size').scalar()
    )
    if mode == 'wal':
        yield 'ok', f'journal_mode WAL: readers and a writer do not wait for each other; {_mebibytes(size)}', ''
    elif mode == 'memory':
        yield 'note', 'it is in memory: it ends with the process', ''
    else:
        yield 'warning', f'journal_mode {mode}: a writer holds up all readers', 'PRAGMA journal_mode = WAL, once'
    path = database.engine.url.database
    if mode == 'wal' and not (os.access(path, os.W_OK) and os.access(os.path.dirname(os.path.abspath(path)), os.W_OK)):
        yield 'error', f'{path} can only be read', 'check who owns the file and its folder'


def _postgres(connected: Any, database: Any, took: float) -> Iterator[_Line]:
    def ask(query: str) -> Any:
        return connected.exec_driver_sql(query).scalar()

    version = ask('SHOW server_version')
    yield 'ok', f'{database.address} answers, connected in {took:.1f} ms', ''
    if int(ask('SHOW server_version_num')) < OLDEST:
        yield 'error', f'PostgreSQL {version} is too old', 'PostgreSQL 13 or later is needed'
    else:
        yield 'ok', f'PostgreSQL {version}', ''
    if ask('SELECT pg_is_in_recovery()'):
        yield 'error', 'it is a replica, and refuses to write', 'name the primary in STREAM_SQL_URL'
    if ask('SHOW server_encoding') != 'UTF8':
        yield 'warning', f'its encoding is {ask("SHOW server_encoding")}', 'texts outside it are refused: use UTF8'
    limit, used = int(ask('SHOW max_connections')), int(ask('SELECT count(*) FROM pg_stat_activity'))
    size = getattr(database.engine.pool, 'size', lambda: 0)() + getattr(database.engine.pool, '_max_overflow', 0)
    if size > limit - RESERVED:
        yield (
            'warning',
            f"this process's pool may take {size} connections, the server has {limit}",
            'lower pool_size and max_overflow in STREAM_SQL_OPTIONS, or raise max_connections',
        )
    else:
        yield 'ok', f'{used} of {limit} connections are in use', ''


def _tables(connected: Any, database: Any) -> Iterator[_Line]:
    names = set(config.sqlalchemy.inspect(connected).get_table_names(schema=database.dialect.schema))
    missing = [f'stream_{name}' for name in schema.TABLES if f'stream_{name}' not in names]
    if missing:
        level = 'note' if database.dialect.name == 'sqlite' else 'error'
        remedy = 'they are made at the first use' if level == 'note' else SYNC
        yield level, f'tables are missing: {", ".join(missing)}', remedy
        return
    found = connected.exec_driver_sql(database.dialect.schema_version).scalar()
    if found != schema.VERSION:
        yield 'error', f'the tables are of version {found}, this library needs {schema.VERSION}', SYNC
    else:
        yield 'ok', f'all {len(schema.TABLES)} tables are there, of version {found}', ''


def _pool(database: Any) -> Iterator[_Line]:
    pool = database.engine.pool
    size, overflow = getattr(pool, 'size', None), getattr(pool, '_max_overflow', None)
    if size is not None:
        yield 'ok', f'pool: {size()} connections for each process, and {overflow} more while they are needed', ''


def _mebibytes(size: int) -> str:
    return f'{size / 2**20:.1f} MiB'
