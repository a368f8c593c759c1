"""Statements on the tables of follows, for the follows of one name. Everything is read and written at a quorum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stream_framework import settings
from stream_framework.storage.base import iter_parts
from stream_framework.storage.cassandra import config, connection
from stream_framework.storage.cassandra.batches import Unbound, batched, conditional, of_each
from stream_framework.storage.cassandra.client import run, run_conditional
from stream_framework.storage.cassandra.driver import ConsistencyLevel
from stream_framework.storage.cassandra.follow_tables import FOLLOWED, FOLLOWERS, HIDDEN, quoted
from stream_framework.storage.cassandra.tables import expect_batches
from stream_framework.storage.follow_values import Pair

#: How many ids one statement asks for.
IDS_PER_QUERY = 100
#: How many follows of one user one conditional batch changes.
FOLLOWS_PER_BATCH = 100

# About what the server counts for a row besides its texts.
_ROW_BYTES = 80
_LOCAL = (ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM)


class FollowClient:
    """Binds and sends statements, in which ``{followed}``, ``{followers}`` and ``{hidden}`` stand for the tables.

    :param name: the ``follow_name``
    :param page_size: how many rows are read at a time
    """

    def __init__(self, name: str, page_size: int) -> None:
        self.name = name
        self.page_size = page_size

    def bind(self, query: str, *values: Any) -> Any:
        """Return a statement; it is prepared once."""
        return self._prepare(query).bind(values)

    def run(self, statements: Iterable[Any], level: Any = None) -> list[Any]:
        """Send statements, many at a time; return the rows of each.

        :param level: the consistency level; default a quorum
        """

        def at_level() -> Iterator[Any]:
            for statement in statements:
                statement.consistency_level = _quorum() if level is None else level
                yield statement

        return run(at_level())

    def run_conditional(self, parts: Sequence[Sequence[Any]]) -> list[bool]:
        """Send a conditional batch of some statements each; return whether they were applied."""
        batches = []
        for statements in parts:
            batch = conditional(statements)
            batch.consistency_level = _quorum()
            batches.append(batch)
        outcomes = run_conditional(batches) if batches else []
        return [rows is not None and bool(rows[0]['[applied]']) for rows in outcomes]

    def write(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows, those of one partition in few batches, those of several where the same nodes have them."""
        prepared = self._prepare(query)
        for table in (FOLLOWERS, HIDDEN):
            expect_batches(settings.STREAM_DEFAULT_KEYSPACE, table)
        partitions: dict[bytes, list[Unbound]] = {}
        for values in rows:
            statement = prepared.bind(values)
            size = _ROW_BYTES + sum(len(value) for value in statement.values)
            partitions.setdefault(statement.routing_key, []).append(Unbound(prepared, statement.values, size))
        if partitions:
            self.run(batched(settings.STREAM_DEFAULT_KEYSPACE, of_each(partitions)))

    def scan(self, query: str, column: str, *values: Any) -> Iterator[dict[str, Any]]:
        """Iterate over rows in the order of a text column, which may be deleted meanwhile.

        :param query: its last two values are the text to begin behind, and the limit
        """
        after = ''
        while True:
            connection.get_session()
            [rows] = self.run([self.bind(query, self.name, *values, after, self.page_size)])
            yield from rows
            if len(rows) < self.page_size:
                return
            after = rows[-1][column]

    @staticmethod
    def _prepare(query: str) -> Any:
        tables = {'followed': quoted(FOLLOWED), 'followers': quoted(FOLLOWERS), 'hidden': quoted(HIDDEN)}
        return connection.prepare(query.format(**tables))


def by_user(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """Yield pairs of one user each, at most as many as one batch changes.

    >>> list(by_user([('7', '13'), ('8', '13'), ('7', '14')]))
    [[('7', '13'), ('7', '14')], [('8', '13')]]
    """
    users: dict[str, list[Pair]] = {}
    for pair in pairs:
        users.setdefault(pair[0], []).append(pair)
    for some in users.values():
        yield from (list(part) for part in iter_parts(some, FOLLOWS_PER_BATCH))


def _quorum() -> Any:
    return ConsistencyLevel.LOCAL_QUORUM if config.consistency() in _LOCAL else ConsistencyLevel.QUORUM
