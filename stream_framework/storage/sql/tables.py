"""Make the tables, and see whether they are there: on SQLite at the first use, on PostgreSQL by ``sync``."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stream_framework.exceptions import StorageError
from stream_framework.storage.sql import errors, schema
from stream_framework.storage.sql.config import sqlalchemy as sa
from stream_framework.storage.sql.connection import Database

if TYPE_CHECKING:
    from stream_framework.storage.sql.client import Work

#: Only one process at a time makes tables on PostgreSQL: the number of an advisory lock.
_LOCK = 0x73747265616D

# Rows come and go all the time: dead ones are cleared away before there are many.
_POSTGRES_OPTIONS = 'SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)'


def prepare(database: Database) -> None:
    """Make sure that the tables are there, of this version; make them on SQLite.

    :raises StorageError: if they are of another version
    """
    if database.dialect.name == 'sqlite':
        if not _sqlite_version(database):
            create(database)
        check_version(database.address, _sqlite_version(database))
    else:
        with database.engine.connect() as connection:
            found = connection.exec_driver_sql(database.dialect.schema_version).scalar()
        check_version(database.address, found)
    database.is_ready = True


def check_version(address: str, found: int | None) -> None:
    """Check a version of tables against the library's.

    :raises StorageError: if it is another one
    """
    if found != schema.VERSION:
        newer = found is not None and found > schema.VERSION
        remedy = (
            'the tables were made by a newer version of the library: install that one'
            if newer
            else '`python -m stream_framework sync` brings them up to date'
        )
        raise StorageError(
            f'database {address}: its tables are of version {found}, this library needs {schema.VERSION}: {remedy}'
        )


def sync(database: Database) -> list[str]:
    """Make what is missing; errors are ours.

    :returns: the names of the tables that were made
    :raises StorageError: for what the database refuses, and for tables of a newer version
    """
    with _translated(database):
        made = create(database)
        with database.engine.connect() as connection:
            found = connection.exec_driver_sql(database.dialect.schema_version).scalar()
    check_version(database.address, found)
    return made


def find_missing(database: Database) -> list[str]:
    """Return the names of the tables that are missing."""
    with _translated(database), database.engine.connect() as connection:
        names = set(sa.inspect(connection).get_table_names(schema=database.dialect.schema))
    return [table.name for table in schema.metadata(database.dialect.schema).sorted_tables if table.name not in names]


@contextlib.contextmanager
def _translated(database: Database) -> Iterator[None]:
    try:
        yield
    except errors.failures() as error:
        raise errors.translate(error, database.address, database.secrets) from error


def create(database: Database) -> list[str]:
    """Make what is missing, safely when run by several processes at once.

    :returns: the names of the tables that were made
    """
    if database.dialect.name == 'sqlite':
        return _create_on_sqlite(database)
    made: list[str] = []
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f'SELECT pg_advisory_xact_lock({_LOCK})')
        names = set(sa.inspect(connection).get_table_names(schema=database.dialect.schema))
        metadata = schema.metadata(database.dialect.schema)
        for table in metadata.sorted_tables:
            if table.name not in names:
                table.create(connection)
                made.append(table.name)
                connection.exec_driver_sql(f'ALTER TABLE {table.fullname} {_POSTGRES_OPTIONS}')
        _write_version(connection, database)
    return made


def _create_on_sqlite(database: Database) -> list[str]:
    with database.engine.connect() as connection:
        # Before anything is written: it can't be changed within a transaction. In memory there is none.
        connection.connection.dbapi_connection.execute('PRAGMA journal_mode = WAL').close()
    made: list[str] = []
    with database.engine.begin() as connection:
        names = set(sa.inspect(connection).get_table_names())
        for table in schema.metadata().sorted_tables:
            if table.name not in names:
                table.create(connection)
                made.append(table.name)
        for text in schema.SQLITE_EXTRAS:
            connection.exec_driver_sql(text)
        _write_version(connection, database)
    return made


def create_within(work: Work) -> None:
    """Make the tables in a transaction of the application's, on SQLite."""
    dialect = importlib.import_module('sqlalchemy.dialects.sqlite').dialect()
    for table in schema.metadata().sorted_tables:
        work.count(str(sa.schema.CreateTable(table, if_not_exists=True).compile(dialect=dialect)), {})
        for index in table.indexes:
            work.count(str(sa.schema.CreateIndex(index, if_not_exists=True).compile(dialect=dialect)), {})
    for text in schema.SQLITE_EXTRAS:
        work.count(text, {})
    if work.rows(work.dialect.schema_version, {})[0][0] is None:
        work.count('INSERT INTO stream_schema (version) VALUES (:version)', {'version': schema.VERSION})


def _write_version(connection: Any, database: Database) -> None:
    if connection.exec_driver_sql(database.dialect.schema_version).scalar() is None:
        table = schema.metadata(database.dialect.schema).tables
        name = f'{database.dialect.schema}.stream_schema' if database.dialect.schema else 'stream_schema'
        connection.execute(table[name].insert().values(version=schema.VERSION))


def _sqlite_version(database: Database) -> int | None:
    with database.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        there = driver.execute("SELECT count(*) FROM sqlite_master WHERE name = 'stream_schema'").fetchone()[0]
        return driver.execute(database.dialect.schema_version).fetchone()[0] if there else None
