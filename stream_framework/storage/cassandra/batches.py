"""Batches: few requests for many rows.

Rows of one partition go out together, rows of several where the same nodes have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    """An unbound statement: it is bound, or added to a batch, when it is sent."""

    prepared: PreparedStatement
    #: Serialized; the first is the key of the partition.
    values: list[Any]
    #: About what the server counts for it, in bytes.
    size: int
    #: The serialized id of the row that it writes, if what was there before has to go; see :func:`batched`.
    replaced: bytes | None = None


class Rows(NamedTuple):
    """Statements that write the same to several partitions, most of which are feeds."""

    keys: list[bytes]
    #: Makes the statements for some of the keys.
    make: Callable[[list[bytes]], list[Unbound]]
    #: The size of the statements for one key, in bytes.
    size: int


class Batch(BatchStatement):
    """A batch that knows the texts of those of its statements that a server may refuse."""

    texts: Sequence[str] = ()


#: Makes the statement that deletes rows as they were until now, of partitions (first) and ids.
Clear = Callable[[list[bytes], list[bytes]], Unbound]


def of_each(statements: Mapping[bytes, list[Unbound]]) -> Iterator[Rows]:
    """Yield the statements of partitions that get different ones, by key."""
    for key, some in statements.items():
        yield Rows([key], lambda keys: statements[keys[0]], sum(statement.size for statement in some))


def batched(keyspace: str, many: Iterable[Rows], clear: Clear | None = None) -> Iterator[Statement]:
    """Yield statements as unlogged batches.

    Those of one feed go out together, in batches of :data:`PARTITION_BATCH_BYTES`; those of different feeds where the
    same nodes have them, in batches of :data:`BATCH_BYTES`.

    :param clear: for statements that replace rows; what it makes is in the same batch as they are
    """
    replicas = _replicas(keyspace)
    waiting: dict[Any, tuple[list[Unbound], int]] = {}
    for rows in many:
        if rows.size > BATCH_BYTES:
            for key in rows.keys:
                yield from _parts(rows.make([key]), clear)
            continue
        for place, keys in replicas(rows.keys).items():
            statements, room = waiting.get(place) or ([], BATCH_BYTES)
            done = 0
            while done < len(keys):
                if room < rows.size:
                    yield _batch(statements, clear)
                    statements, room = [], BATCH_BYTES
                some = keys[done : done + room // rows.size]
                statements += rows.make(some)
                done += len(some)
                room -= len(some) * rows.size
            waiting[place] = (statements, room)
    for statements, _ in waiting.values():
        yield _batch(statements, clear)


def _parts(statements: Iterable[Unbound], clear: Clear | None) -> Iterator[Statement]:
    part: list[Unbound] = []
    total = 0
    for statement in statements:
        if part and total + statement.size > PARTITION_BATCH_BYTES:
            yield _batch(part, clear)
            part, total = [], 0
        part.append(statement)
        total += statement.size
    yield _batch(part, clear)


def _batch(statements: list[Unbound], clear: Clear | None) -> Statement:
    clearing = [] if clear is None else _clearing(statements, clear)
    first = bound(statements[0].prepared, statements[0].values)
    if len(statements) == 1 and not clearing:
        return first
    batch = unlogged([first])
    for statement in [*statements[1:], *clearing]:
        add_serialized(batch, statement.prepared.query_id, statement.values)
    batch.texts = [statement.prepared.query_string for statement in clearing]
    return batch


def _clearing(statements: list[Unbound], clear: Clear) -> list[Unbound]:
    """Statements that delete what the rows were before; one where all partitions get the same rows."""
    replaced: dict[bytes, list[bytes]] = {}
    for statement in statements:
        if statement.replaced is not None:
            replaced.setdefault(statement.values[0], []).append(statement.replaced)
    keys: dict[tuple[bytes, ...], list[bytes]] = {}
    for key, rows in replaced.items():
        keys.setdefault(tuple(rows), []).append(key)
    return [clear(of_keys, list(rows)) for rows, of_keys in keys.items()]


def unlogged(statements: Iterable[BoundStatement]) -> Batch:
    """Make a batch that may be sent twice."""
    batch = Batch(BatchType.UNLOGGED)
    for statement in statements:
        batch.add(statement)
    batch.is_idempotent = True
    return batch


def conditional(statements: Iterable[BoundStatement]) -> Batch:
    """Make a batch within one partition that is done only if its conditions hold. The driver must not send it twice.

    The second copy would often be answered first, by what others have done since the first.
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
    """A statement about several feeds of the same nodes. The driver can't tell the nodes; one of the feeds does."""

    route: bytes | None = None

    @property
    def routing_key(self) -> bytes | None:
        """The key of one of the feeds."""
        return self.route


def by_replicas(keyspace: str, keys: Iterable[bytes]) -> list[list[bytes]]:
    """Group keys by the nodes that have them."""
    return list(_replicas(keyspace)(list(keys)).values())


def _replicas(keyspace: str) -> Callable[[list[bytes]], dict[Any, list[bytes]]]:
    """Return a function that groups keys by their nodes: a batch for one group needs no other coordinator."""
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
