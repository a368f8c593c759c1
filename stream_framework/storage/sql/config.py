"""What the settings say of the SQL database; nothing here talks to a server.

==========================  ==========================================================================================
setting                     what it is
==========================  ==========================================================================================
``STREAM_SQL_URL``          ``sqlite:///feeds.sqlite3``, ``sqlite://`` (in memory), ``postgresql+psycopg://...``;
                            ``postgresql://`` and ``postgres://`` mean psycopg 3 too
``STREAM_SQL_OPTIONS``      further keywords of SQLAlchemy's ``create_engine``: ``{'pool_size': 20}``
``STREAM_SQL_ENGINE``       an engine of the application's, instead of a URL
``STREAM_SQL_SCHEMA``       the PostgreSQL schema of the tables; ``None`` for the connection's own
==========================  ==========================================================================================
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, MissingDependencyError

try:
    import sqlalchemy as sqlalchemy
except ImportError:
    sqlalchemy = None  # type: ignore[assignment]

#: How long a writer waits for another one to finish with an SQLite file, in seconds.
SQLITE_TIMEOUT = 30.0
#: How long connecting to PostgreSQL may take, in seconds.
CONNECT_TIMEOUT = 10

#: The names of SQLAlchemy's dialects that there are statements for.
SUPPORTED = ('sqlite', 'postgresql')
#: The oldest SQLite that knows what the statements use (``RETURNING``).
OLDEST_SQLITE = (3, 35, 0)

_SCHEMA_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_$]{0,62}\Z')


def require_sqlalchemy() -> None:
    """Check that SQLAlchemy is installed.

    :raises MissingDependencyError: if not, with the pip command
    """
    if sqlalchemy is None:
        raise MissingDependencyError(
            'feeds in a SQL database need SQLAlchemy 2.0 or later: pip install stream-framework[sql] '
            '(for PostgreSQL: pip install stream-framework[postgres])'
        )
    if int(sqlalchemy.__version__.split('.')[0]) < 2:
        raise MissingDependencyError(f'SQLAlchemy {sqlalchemy.__version__} is too old: pip install "SQLAlchemy>=2.0"')


def get_url() -> Any:
    """Return ``STREAM_SQL_URL`` as SQLAlchemy's URL, with the driver filled in.

    :raises ConfigurationError: for a database that there is no support for, or no URL
    :raises MissingDependencyError: if psycopg isn't installed for a PostgreSQL URL
    """
    require_sqlalchemy()
    given = settings.STREAM_SQL_URL
    try:
        url = sqlalchemy.engine.make_url(given)
    except (sqlalchemy.exc.ArgumentError, ValueError, AttributeError):
        # Not chained, and not quoted: whatever it is, it may hold a password.
        raise ConfigurationError(
            'STREAM_SQL_URL is no URL of a database: give sqlite:///feeds.sqlite3 or '
            'postgresql+psycopg://user:password@host/name, with special characters in it percent-encoded'
        ) from None
    if url.drivername in ('postgres', 'postgresql', 'postgres+psycopg'):
        url = url.set(drivername='postgresql+psycopg')
    backend = url.get_backend_name()
    if backend not in SUPPORTED:
        raise ConfigurationError(
            f'STREAM_SQL_URL is {address_of(url)}: feeds can be in SQLite (sqlite:///feeds.sqlite3) or PostgreSQL '
            f'(postgresql+psycopg://...), not in {backend}'
        )
    if url.drivername == 'postgresql+psycopg' and importlib.util.find_spec('psycopg') is None:
        raise MissingDependencyError(
            'feeds in PostgreSQL need psycopg 3.1 or later: pip install stream-framework[postgres]'
        )
    return url


def get_options() -> dict[str, Any]:
    """Return ``STREAM_SQL_OPTIONS``.

    :raises ConfigurationError: if it is no mapping
    """
    options = settings.STREAM_SQL_OPTIONS
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f"STREAM_SQL_OPTIONS is of type {type(options).__name__}: give a dict of create_engine's keywords, "
            "{'pool_size': 20}"
        )
    return dict(options)


def get_schema() -> str | None:
    """Return ``STREAM_SQL_SCHEMA``.

    :raises ConfigurationError: for what is no plain name
    """
    schema = settings.STREAM_SQL_SCHEMA
    if schema in (None, ''):
        return None
    if not isinstance(schema, str) or not _SCHEMA_NAME.match(schema):
        raise ConfigurationError(
            f'STREAM_SQL_SCHEMA is {schema!r}: give the name of a PostgreSQL schema, of letters, digits and _'
        )
    return schema


def is_in_memory(url: Any) -> bool:
    """Whether a SQLite URL names no file."""
    return url.get_backend_name() == 'sqlite' and url.database in (None, '', ':memory:')


def address_of(url: Any) -> str:
    """Return a URL for messages: without password, and without the query, which may hold one.

    >>> from sqlalchemy.engine import make_url
    >>> address_of(make_url('postgresql+psycopg://ann:secret@db.example.com/feeds?sslpassword=secret'))
    'postgresql+psycopg://ann@db.example.com/feeds'
    """
    return str(url._replace(password=None, query={}).render_as_string(hide_password=True))


def secrets_of(url: Any, options: Mapping[str, Any] | None = None) -> list[str]:
    """Return what messages must not hold: passwords, wherever they are given."""
    given: list[Any] = [url.password]
    arguments = (options or {}).get('connect_args') or {}
    for source in (url.query, arguments):
        given += [value for name, value in source.items() if 'pass' in name.lower() or name == 'conninfo']
    return sorted({str(secret) for secret in given if secret}, key=len, reverse=True)
