"""Batches: few requests for many rows.

A batch holds rows of one partition, or rows of several partitions that the same nodes have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.client import bound, texts_of
from stream_framework.storage.cassandra.driver import (
    BatchStatement,
    BatchType,
    BoundStatement,
    PreparedStatement,
    Statement,
    add_serialized,
)

#: How large a batch may get, in bytes as the server counts them: past 5 KiB (``batch_size_warn_threshold``) it logs
#: each batch that spans partitions, and takes several times as long for it.
BATCH_BYTES = 5000
#: How large a batch within one partition is made; the server counts only the others.
PARTITION_BATCH_BYTES = 16 * 1024


class Unbound(NamedTuple):
    """An unbound statement: prepared, values, size. It is bound, or added to a batch, when it is sent."""

    prepared: PreparedStatement
    #: Serialized.
    values: list[Any]
    #: About what the server counts for it, in bytes.
    size: int
    #: The serialized id of the row that it writes, where the row's older versions have to be deleted.
    replaced: bytes | None = None


@dataclass(slots=True)
class Rows:
    """Statements that write the same to several partitions, such as the feeds of a fan-out."""

    #: The serialized keys of the partitions.
    keys: list[bytes]
    statements: list[Unbound]
    #: Whether the key comes before the values of each statement; otherwise they are complete.
    takes_key: bool = True

    @property
    def size(self) -> int:
        """The size of the statements for one key, in bytes."""
        return sum(statement.size for statement in self.statements)

    @property
    def replaced(self) -> tuple[bytes, ...]:
        """The ids of the rows whose older versions have to be deleted."""
        return tuple(statement.replaced for statement in self.statements if statement.replaced is not None)

    def serialized(self) -> Iterator[tuple[bytes, list[Any]]]:
        """Yield the id of the prepared statement and the values, for each statement and each key."""
        for statement in self.statements:
            query_id, values = statement.prepared.query_id, statement.values
            for key in self.keys:
                yield query_id, [key, *values] if self.takes_key else values


class Batch(BatchStatement):
    """A batch."""

    #: The queries of those of its statements that some servers refuse.
    texts: Sequence[str] = ()


#: Makes the statement that deletes the older versions of rows, of the keys of partitions and the ids of rows.
Clear = Callable[[list[bytes], Sequence[bytes]], Unbound]


def of_each(statements: Mapping[bytes, list[Unbound]]) -> Iterator[Rows]:
    """Yield the statements of partitions that get different ones, by key; their values have the key in them."""
    for key, some in statements.items():
        yield Rows([key], some, takes_key=False)


def batched(keyspace: str, many: Iterable[Rows], clear: Clear | None = None) -> Iterator[Statement]:
    """Yield statements as unlogged batches.

    What one feed gets is in one batch, up to :data:`PARTITION_BATCH_BYTES`. A batch for several feeds, which the same
    nodes have, is smaller: :data:`BATCH_BYTES`.

    :param clear: makes the statement that deletes the older versions of rows, which is sent in the same batch
    """
    replicas = _replicas(keyspace)
    waiting: dict[Any, tuple[list[Rows], int]] = {}
    for rows in many:
        size = rows.size
        if size > BATCH_BYTES:
            for key in rows.keys:
                for part in _parts(rows.statements):
                    yield _batch([Rows([key], part, rows.takes_key)], clear)
            continue
        for place, keys in replicas(rows.keys).items():
            pieces, room = waiting.get(place) or ([], BATCH_BYTES)
            done = 0
            while done < len(keys):
                if room < size:
                    yield _batch(pieces, clear)
                    pieces, room = [], BATCH_BYTES
                some = keys[done : done + room // size]
                pieces.append(Rows(some, rows.statements, rows.takes_key))
                done += len(some)
                room -= len(some) * size
            waiting[place] = (pieces, room)
    for pieces, _ in waiting.values():
        yield _batch(pieces, clear)


def _parts(statements: Iterable[Unbound]) -> Iterator[list[Unbound]]:
    """Yield statements in parts of :data:`PARTITION_BATCH_BYTES`."""
    part: list[Unbound] = []
    total = 0
    for statement in statements:
        if part and total + statement.size > PARTITION_BATCH_BYTES:
            yield part
            part, total = [], 0
        part.append(statement)
        total += statement.size
    yield part


def _batch(pieces: Sequence[Rows], clear: Clear | None) -> Statement:
    clearing = [] if clear is None else _clearing(pieces, clear)
    serialized = [one for rows in pieces for one in rows.serialized()]
    if len(serialized) == 1 and not clearing:
        return bound(pieces[0].statements[0].prepared, serialized[0][1])
    batch = unlogged(())
    # The driver chooses a node by the first key: all keys have the same nodes.
    batch.routing_key = pieces[0].keys[0]
    add_serialized(batch, [*serialized, *((statement.prepared.query_id, statement.values) for statement in clearing)])
    batch.texts = [statement.prepared.query_string for statement in clearing]
    return batch


def _clearing(pieces: Sequence[Rows], clear: Clear) -> list[Unbound]:
    """Return statements that delete older versions of rows; one for all partitions that get the same rows."""
    keys: dict[tuple[bytes, ...], list[bytes]] = {}
    for rows in pieces:
        if replaced := rows.replaced:
            keys.setdefault(replaced, []).extend(rows.keys)
    return [clear(of_keys, replaced) for replaced, of_keys in keys.items()]


def unlogged(statements: Iterable[BoundStatement]) -> Batch:
    """Make a batch that may be sent twice."""
    batch = Batch(BatchType.UNLOGGED)
    for statement in statements:
        batch.add(statement)
    batch.is_idempotent = True
    return batch


def conditional(statements: Iterable[BoundStatement]) -> Batch:
    """Make a batch within one partition that is done only if its conditions hold.

    The driver must not send it twice: the second copy would be refused because of the first, and that would be the
    answer.
    """
    batch = Batch(BatchType.UNLOGGED)
    texts: list[str] = []
    for statement in statements:
        batch.add(statement)
        texts += texts_of(statement)
    batch.texts = texts
    batch.is_idempotent = False
    return batch


class SeveralFeeds(BoundStatement):
    """A statement about several feeds that the same nodes have. It is routed by the key of one of them."""

    route: bytes | None = None

    @property
    def routing_key(self) -> bytes | None:
        """The key of one of the feeds."""
        return self.route


def by_replicas(keyspace: str, keys: Iterable[bytes]) -> list[list[bytes]]:
    """Group keys by the nodes that have them."""
    return list(_replicas(keyspace)(list(keys)).values())


def _replicas(keyspace: str) -> Callable[[list[bytes]], dict[Any, list[bytes]]]:
    """Return a function that groups keys by their nodes: of the nodes of a group, each can coordinate its batch."""
    metadata = connection.in_use().cluster.metadata
    if len(metadata.all_hosts()) < 2:
        return lambda keys: {None: keys}

    def grouped(keys: list[bytes]) -> dict[Any, list[bytes]]:
        groups: dict[Any, list[bytes]] = {}
        for key in keys:
            place = frozenset(host.endpoint for host in metadata.get_replicas(keyspace, key))
            groups.setdefault(place, []).append(key)
        return groups

    return grouped
