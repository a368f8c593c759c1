"""Take connections from an engine's pool, and keep one to SQLite at hand."""

from __future__ import annotations

from typing import Any

from stream_framework.storage.sql.config import sqlalchemy as sa


class Connections:
    """The connections that statements run on.

    One to SQLite is taken out of the pool and kept, because the way through the pool takes half as long as reading a
    page. It takes none of the pool's places. Connections to a server are the pool's, since they are counted.

    :param engine: SQLAlchemy's
    :param owned: whether the engine was made here, and not by the application
    """

    def __init__(self, engine: Any, owned: bool) -> None:
        self.engine = engine
        self._keeps = owned and engine.dialect.name == 'sqlite' and type(engine.pool) is sa.pool.QueuePool
        self._kept: list[Any] = []

    def take(self) -> Any:
        """Return a connection as SQLAlchemy's pools give it; its ``dbapi_connection`` is the driver's."""
        try:
            return self._kept.pop()
        except IndexError:
            return self.engine.raw_connection()

    def give_back(self, pooled: Any) -> None:
        """Take back a connection on which no transaction is open."""
        if self._keeps and not self._kept:
            pooled.detach()
            self._kept.append(pooled)
        else:
            pooled.close()

    def close(self) -> None:
        """Close what is kept."""
        while self._kept:
            self._kept.pop().close()
