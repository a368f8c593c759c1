"""Connections that are kept for a moment: taking one from SQLAlchemy's pool takes as long as a page from SQLite."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from stream_framework.storage.sql.config import sqlalchemy as sa

#: For how long a connection is kept, in seconds. Then the pool gets it, which may have to look whether it still works.
KEPT_FOR = 1.0


class Lease:
    """A connection of a pool.

    :param engine: SQLAlchemy's
    """

    def __init__(self, engine: Any) -> None:
        self.pooled = engine.raw_connection()
        #: The driver's.
        self.connection = self.pooled.dbapi_connection
        self.is_sqlite = isinstance(self.connection, sqlite3.Connection)
        self.used = 0.0
        self._autocommits = False

    def set_autocommit(self, wanted: bool) -> None:
        """Have the driver begin no transaction by itself, or begin one; on SQLite it never does."""
        if self._autocommits != wanted and hasattr(self.connection, 'autocommit'):
            self.connection.autocommit = wanted
            self._autocommits = wanted

    def close(self) -> None:
        """Give the connection to the pool, which rolls back what was not committed."""
        if self._autocommits and not getattr(self.connection, 'closed', False):
            self.connection.autocommit = self._autocommits = False
        self.pooled.close()


class Leases:
    """Takes connections from an engine's pool, and keeps at most one that nobody uses.

    :param engine: SQLAlchemy's
    :param keeps: whether one is kept, if the pool keeps connections, too
    """

    def __init__(self, engine: Any, keeps: bool) -> None:
        self.engine = engine
        self._keeps = keeps and type(engine.pool) is sa.pool.QueuePool
        self._kept: list[Lease] = []

    def take(self) -> Lease:
        """Return a connection that works, as far as the pool knows."""
        try:
            lease = self._kept.pop()
        except IndexError:
            return Lease(self.engine)
        if time.monotonic() - lease.used > KEPT_FOR:
            lease.close()
            return Lease(self.engine)
        return lease

    def give_back(self, lease: Lease) -> None:
        """Take back a connection on which no transaction is open."""
        if self._keeps and not self._kept:
            lease.used = time.monotonic()
            self._kept.append(lease)
        else:
            lease.close()

    def close(self) -> None:
        """Give the pool what is kept."""
        while self._kept:
            self._kept.pop().close()
