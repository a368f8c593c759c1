"""The statements, in the words of each database: written once, compiled once for each engine."""

from __future__ import annotations

import functools

from stream_framework.exceptions import ConfigurationError
from stream_framework.storage.sql.dialects.base import Dialect
from stream_framework.storage.sql.dialects.postgres import Postgres
from stream_framework.storage.sql.dialects.sqlite import Sqlite

_DIALECTS: dict[str, type[Dialect]] = {'sqlite': Sqlite, 'postgresql': Postgres}


@functools.cache
def dialect_of(name: str, schema: str | None = None) -> Dialect:
    """Return the statements for a database.

    :param name: SQLAlchemy's (or Django's) name of the dialect: ``'sqlite'``, ``'postgresql'``
    :param schema: the PostgreSQL schema of the tables
    :raises ConfigurationError: for another one
    """
    if name not in _DIALECTS:
        raise ConfigurationError(f'feeds can be in {" or ".join(_DIALECTS)}, not in {name}')
    return _DIALECTS[name](schema if name == 'postgresql' else None)


__all__ = ['Dialect', 'dialect_of']
