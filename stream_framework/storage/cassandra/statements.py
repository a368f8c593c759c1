"""Send statements in waves, with a bounded number in flight; rows of many feeds go out in few batches."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra import connection, features
from stream_framework.storage.cassandra.driver import (
    BatchStatement,
    BatchType,
    BoundStatement,
    OperationTimedOut,
    ReadTimeout,
    WriteFailure,
    WriteTimeout,
    add_serialized,
)
from stream_framework.storage.cassandra.errors import (
    FAILURES,
    is_busy,
    is_undecided,
    is_unreachable,
    translate,
    translated,
)

#: How many statements may be under way at a time.
IN_FLIGHT = 32
#: How large a batch may get, in bytes as the server counts them: past 5 KiB (``batch_size_warn_threshold``) it logs
#: each batch that spans partitions, and takes several times as long for it.
BATCH_BYTES = 5000
#: How large a batch within one partition is made; the server counts only the others.
PARTITION_BATCH_BYTES = 16 * 1024
#: How often an idempotent statement is sent again after a time-out, to another node if there is one.
RETRIES = 2
#: For how many seconds a statement is retried while servers are too busy or other writers of the partition are ahead of
#: it, and how long each wait is at most.
PATIENCE, WAIT = 10.0, 0.05

_TIMEOUTS = (OperationTimedOut, ReadTimeout, WriteTimeout)
# After these errors nobody knows whether a conditional batch was done.
_UNKNOWN = (*_TIMEOUTS, WriteFailure)


def run(statements: Iterable[Any], key: Any = None, resent: list[Any] | None = None) -> list[Any]:
    """Send statements, :data:`IN_FLIGHT` at a time; one wave of round trips if there are no more than that.

    :param statements: consumed as they are sent, so a generator takes little memory
    :param key: the key of the feed, for messages
    :param resent: a list that gets the statements that were sent a second time, and so with a later timestamp
    :returns: the rows of each, in order
    :raises StorageError: the first one; the statements that were under way have ended by then
    """
    results = []
    failed: tuple[Any, BaseException] | None = None
    session = connection.in_use()
    with translated(key):
        for statement, result in _outcomes(session, statements, [] if resent is None else resent):
            if isinstance(result, BaseException):
                failed = statement, result
                break
            results.append(result)
    if failed is not None:
        statement, failure = failed
        raise translated_failure(session, failure, key, statement) from failure
    return results


def run_conditional(statements: Sequence[Any]) -> list[list[dict[str, Any]] | None]:
    """Send conditional batches, :data:`IN_FLIGHT` at a time.

    :returns: the answer to each, its rows; ``None`` if it is not known whether it was done
    :raises StorageError: the first other error; all statements have ended by then
    """
    session = connection.in_use()
    results: list[Any] = []
    failed: tuple[Any, BaseException] | None = None
    for statement, result in _outcomes(session, statements, []):
        if result is None or isinstance(result, _UNKNOWN) or is_undecided(result):
            results.append(None)
        else:
            results.append(result)
            if isinstance(result, BaseException):
                failed = failed or (statement, result)
    if failed is not None:
        statement, failure = failed
        raise translated_failure(session, failure, None, statement) from failure
    return results


def translated_failure(session: Any, failure: BaseException, key: Any, statement: Any) -> StorageError:
    """Return the library's error for a statement that failed; close a session that reaches no node any more."""
    if is_unreachable(failure):
        connection.forget(session)
    error = translate(failure, key)
    # Whether a feature was refused is told by the cause.
    error.__cause__ = failure
    return features.blame(error, _texts(statement))


def _texts(statement: Any) -> Sequence[str]:
    """Return the texts of a statement: of a batch, those that a server may refuse."""
    if isinstance(statement, BatchStatement):
        return statement.texts if isinstance(statement, Batch) else []
    prepared = getattr(statement, 'prepared_statement', None)
    return [statement.query_string if prepared is None else prepared.query_string]


def _outcomes(session: Any, statements: Iterable[Any], resent: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each statement with its rows, its error, or ``None`` as :func:`_answer` returns it; in order."""
    waiting: deque[tuple[Any, Any]] = deque()
    try:
        for statement in statements:
            if len(waiting) >= IN_FLIGHT:
                yield waiting[0][0], _result(session, *waiting.popleft(), resent)
            waiting.append((statement, _send(session, statement)))
            # Let the driver's thread send it. Otherwise it waits for ``sys.getswitchinterval()`` while this one makes
            # the next statement, and the server has nothing to do.
            time.sleep(0)
        while waiting:
            yield waiting[0][0], _result(session, *waiting.popleft(), resent)
    finally:
        # Also after an error: wait for the statements that are under way.
        for statement, future in waiting:
            _result(session, statement, future, resent)


def _result(session: Any, statement: Any, future: Any, resent: list[Any]) -> Any:
    attempt = 0
    patience = PATIENCE
    while True:
        try:
            return _answer(statement, future)
        except FAILURES as error:
            if patience > 0 and (is_busy(error) or (is_undecided(error) and statement.is_idempotent)):
                # Of writers that meet, one succeeds if the others wait for a random time.
                pause = random.uniform(WAIT / 5, WAIT)
                time.sleep(pause)
                patience -= pause
            elif isinstance(error, _TIMEOUTS) and statement.is_idempotent and attempt < RETRIES:
                attempt += 1
            else:
                return error
        resent.append(statement)
        future = _send(session, statement)


class _Failed:
    """A statement that could not even be sent."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def result(self) -> Any:
        """Raise what happened."""
        raise self._error


def _send(session: Any, statement: Any) -> Any:
    try:
        return session.execute_async(statement)
    except FAILURES as error:
        return _Failed(error)


def _answer(statement: Any, future: Any) -> list[Any] | None:
    """Return the rows; ``None`` for a conditional batch that was refused, but may have been done before.

    When a connection breaks, the driver sends the batch a second time, and the answer is about the second one.
    """
    rows = list(future.result())
    if not statement.is_idempotent and len(future.attempted_hosts) > 1 and rows and not rows[0].get('[applied]', True):
        return None
    return rows


def bound(prepared: Any, values: list[Any]) -> Any:
    """Bind a prepared statement to values that are serialized already."""
    statement = BoundStatement(prepared)
    statement.values = values
    return statement


class Unbound(NamedTuple):
    """An unbound statement: it is bound, or added to a batch, when it is sent."""

    prepared: Any
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


def batched(keyspace: str, many: Iterable[Rows], clear: Clear | None = None) -> Iterator[Any]:
    """Statements as unlogged batches.

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


def _parts(statements: Iterable[Unbound], clear: Clear | None) -> Iterator[Any]:
    part: list[Unbound] = []
    total = 0
    for statement in statements:
        if part and total + statement.size > PARTITION_BATCH_BYTES:
            yield _batch(part, clear)
            part, total = [], 0
        part.append(statement)
        total += statement.size
    yield _batch(part, clear)


def _batch(statements: list[Unbound], clear: Clear | None) -> Any:
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


def unlogged(statements: Iterable[Any]) -> Any:
    """Make a batch that may be sent twice."""
    batch = Batch(BatchType.UNLOGGED)
    for statement in statements:
        batch.add(statement)
    batch.is_idempotent = True
    return batch


def conditional(statements: Iterable[Any]) -> Any:
    """Make a batch within one partition that is done only if its conditions hold. The driver must not send it twice.

    The second copy would often be answered first, by what others have done since the first.
    """
    batch = Batch(BatchType.UNLOGGED)
    batch.texts = []
    for statement in statements:
        batch.add(statement)
        batch.texts += _texts(statement)
    batch.is_idempotent = False
    return batch


class OfSeveralFeeds(BoundStatement):
    """A statement about several feeds of the same nodes, with the feed to choose a node by: the driver can't know."""

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
