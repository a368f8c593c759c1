"""Send statements to the servers, many at a time, and translate errors."""

from __future__ import annotations

import contextlib
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra import connection, features
from stream_framework.storage.cassandra.driver import (
    BoundStatement,
    OperationTimedOut,
    PreparedStatement,
    ReadTimeout,
    ResponseFuture,
    Session,
    Statement,
    WriteFailure,
    WriteTimeout,
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
#: After how many statements the driver's thread is given a turn to send them.
SENT_AT_A_TIME = 4
#: How often an idempotent statement is sent again after a time-out, to another node if there is one.
RETRIES = 2
#: For how many seconds a statement is retried while servers are too busy or other writers of the partition are ahead of
#: it, and how long each wait is at most.
PATIENCE, WAIT = 10.0, 0.05

_TIMEOUTS = (OperationTimedOut, ReadTimeout, WriteTimeout)
# After these errors nobody knows whether a conditional batch was done.
_UNKNOWN = (*_TIMEOUTS, WriteFailure)

#: A row that was read: column -> value.
Found = dict[str, Any]


def run(statements: Iterable[Statement], key: str | None = None, resent: list[Statement] | None = None) -> list[Any]:
    """Send statements, :data:`IN_FLIGHT` at a time; no more than that take one wave of round trips.

    :param statements: consumed as they are sent, so a generator takes little memory
    :param key: the key of the feed, for messages
    :param resent: a list that gets the statements that were sent a second time, and so with a later timestamp
    :returns: the rows (:data:`Found`) of each, in order
    :raises StorageError: the first one; the statements that were under way have ended by then
    """
    results = []
    failed: tuple[Statement, BaseException] | None = None
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


def run_conditional(statements: Sequence[Statement]) -> list[list[Found] | None]:
    """Send conditional batches, :data:`IN_FLIGHT` at a time.

    :returns: the rows that each was answered with; ``None`` where nobody knows whether it was done
    :raises StorageError: the first other error; all statements have ended by then
    """
    session = connection.in_use()
    results: list[Any] = []
    failed: tuple[Statement, BaseException] | None = None
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


def bound(prepared: PreparedStatement, values: list[bytes | None]) -> BoundStatement:
    """Bind a prepared statement to values that are serialized already."""
    statement = BoundStatement(prepared)
    statement.values = values
    return statement


def texts_of(statement: Statement) -> Sequence[str]:
    """Return the queries of a statement; of a batch only those that some servers refuse."""
    found: Sequence[str] | None = getattr(statement, 'texts', None)
    if found is not None:
        return found
    prepared = getattr(statement, 'prepared_statement', None)
    query = getattr(statement if prepared is None else prepared, 'query_string', None)
    return [] if query is None else [query]


def translated_failure(session: Session, failure: BaseException, key: str | None, statement: Statement) -> StorageError:
    """Return the library's error for a statement that failed; close a session that reaches no node any more."""
    if is_unreachable(failure):
        connection.forget(session)
    error = translate(failure, key)
    # From the cause, ``blame`` learns whether a feature was refused.
    error.__cause__ = failure
    return features.blame(error, texts_of(statement))


def _outcomes(
    session: Session, statements: Iterable[Statement], resent: list[Statement]
) -> Iterator[tuple[Statement, Any]]:
    """Yield each statement with its rows, its error, or ``None`` as :func:`_answer` returns it; in order."""
    waiting: deque[tuple[Statement, Any]] = deque()
    try:
        for number, statement in enumerate(statements):
            if len(waiting) >= IN_FLIGHT:
                yield waiting[0][0], _result(session, *waiting.popleft(), resent)
            waiting.append((statement, _send(session, statement)))
            if number % SENT_AT_A_TIME == 0:
                # Let the driver's thread send the first at once. Otherwise it waits for ``sys.getswitchinterval()``
                # while this thread makes the next statements, and the server has nothing to do. Not after each
                # statement, because a switch of threads takes as long as making one.
                time.sleep(0)
        _wait_for_last(waiting)
        while waiting:
            yield waiting[0][0], _result(session, *waiting.popleft(), resent)
    finally:
        # After an error, too: wait for the statements that are under way.
        for statement, future in waiting:
            _result(session, statement, future, resent)


def _wait_for_last(waiting: Sequence[tuple[Statement, Any]]) -> None:
    """Wait for the statement that was sent last, which is mostly answered last.

    Then the others have been answered, and asking for their results doesn't switch threads once for each.
    """
    if len(waiting) > 1:
        with contextlib.suppress(*FAILURES):
            waiting[-1][1].result()


def _result(session: Session, statement: Statement, future: Any, resent: list[Statement]) -> Any:
    attempt = 0
    patience = PATIENCE
    while True:
        try:
            return _answer(statement, future)
        except FAILURES as error:
            if patience > 0 and (is_busy(error) or (is_undecided(error) and statement.is_idempotent)):
                # Where writers meet, one succeeds if the others wait for a random time.
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

    def result(self) -> list[Found]:
        """Raise what happened."""
        raise self._error


def _send(session: Session, statement: Statement) -> ResponseFuture | _Failed:
    try:
        return session.execute_async(statement)
    except FAILURES as error:
        return _Failed(error)


def _answer(statement: Statement, future: Any) -> list[Found] | None:
    """Return the rows; ``None`` for a conditional batch that was refused, but may have been done before.

    When a connection breaks, the driver sends the batch a second time, and the answer is about the second one.
    """
    rows = list(future.result())
    if not statement.is_idempotent and len(future.attempted_hosts) > 1 and rows and not rows[0].get('[applied]', True):
        return None
    return rows
