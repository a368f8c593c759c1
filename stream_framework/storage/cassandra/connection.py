"""The only place that connects to Cassandra: one session for each process, made on first use, used by all threads.

A new session is made when the settings have changed, in a forked process (two processes must not share a socket), and
when no node answered. So servers that come back are noticed at once, and while they are down a call fails within the
connect time-out.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, StorageError
from stream_framework.storage.cassandra import config, features
from stream_framework.storage.cassandra.config import cassandra
from stream_framework.storage.cassandra.errors import FAILURES, is_unreachable, translate

if cassandra is not None:
    from stream_framework.storage.cassandra import driver, mapper


class _Open:
    """A session, the settings that it was made from, and the statements that it has prepared."""

    def __init__(self, made_from: Any, session: Any) -> None:
        self.made_from = made_from
        self.session = session
        self.prepared: dict[str, Any] = {}
        #: The features that its servers have refused; see :mod:`stream_framework.storage.cassandra.fallbacks`.
        self.lacking: set[str] = set()


_open: _Open | None = None
_lock = threading.Lock()
# How many attempts to connect have ended, and the error of the last one, if it failed.
_attempts = 0
_failure: StorageError | None = None
# In a forked process: the parent's session and event loop. They are kept, because the driver would close them when they
# are garbage-collected.
_of_parents: list[Any] = []


def setup_connection() -> Any:
    """Connect, unless that is done already.

    Nothing needs it: the first use of a feed does the same, and so does the first call of cqlengine, with which the
    connection is registered (:mod:`stream_framework.storage.cassandra.mapper`).

    :returns: the driver's ``Session``
    :raises MissingDependencyError: if cassandra-driver isn't installed
    :raises StorageConnectionError: if no node answers
    """
    return get_session()


def get_session() -> Any:
    """Return the driver's session; a new one if the settings have changed. Call it at the start of each piece of work.

    :raises MissingDependencyError: if cassandra-driver isn't installed
    :raises ConfigurationError: for settings that can't work
    :raises StorageConnectionError: if no node answers
    """
    return _current().session


def in_use() -> Any:
    """Return the session that :func:`get_session` returned last, for the rest of a piece of work."""
    return (_open or _renew()).session


def serial_consistency() -> Any:
    """Return the consistency level of conditional batches, and of reads that must see them."""
    from cassandra import ConsistencyLevel

    return in_use().cluster.profile_manager.default.serial_consistency_level or ConsistencyLevel.SERIAL


def lacking() -> set[str]:
    """Return the set of the features that the session's servers have refused; callers add to it."""
    return (_open or _renew()).lacking


def timestamp() -> int:
    """Return the time in microseconds. All that this process writes from now on gets a later one."""
    stamp: int = in_use().cluster.timestamp_generator()
    return stamp


def has_timestamps() -> bool:
    """Return whether writes carry the time of this process. Otherwise they get the server's."""
    session = in_use()
    return bool(session.use_client_timestamp) and session.cluster.protocol_version >= 3


def prepare(query: str) -> Any:
    """Return the prepared statement of a query; it is prepared once for each session.

    :raises StorageError: if the server refuses it, because a table is missing, for example
    """
    current = _open or _renew()
    found = current.prepared.get(query)
    if found is None:
        try:
            found = current.session.prepare(query)
        except FAILURES as error:
            if is_unreachable(error):
                forget(current.session)
            failure = translate(error)
            failure.__cause__ = error
            raise features.blame(failure, [query]) from error
        current.prepared[query] = found
        # All statements of the library may be sent twice, except conditional batches, which say so themselves.
        found.is_idempotent = True
    return found


def reset() -> None:
    """Close the session; the next use makes a new one."""
    global _open
    with _lock:
        closing, _open = _open, None
        _let_go()
    if closing is not None:
        closing.session.cluster.shutdown()


def forget(session: Any) -> None:
    """Close a session that reaches no node any more; the next use connects again."""
    global _open
    with _lock:
        if _open is None or _open.session is not session:
            return
        _open = None
        _let_go()
    session.cluster.shutdown()


def _current() -> _Open:
    current = _open
    if current is not None and current.made_from == config.snapshot():
        return current
    return _renew()


def _renew() -> _Open:
    global _open, _attempts, _failure
    config.require_driver()
    seen = _attempts
    closing = None
    try:
        with _lock:
            made_from = config.snapshot()
            if _open is not None and _open.made_from == made_from:
                return _open
            if _failure is not None and _attempts > seen:
                # Another thread failed while this one waited for the lock: don't wait for a second time-out.
                raise type(_failure)(*_failure.args) from _failure.__cause__
            closing, _open = _open, None
            if closing is not None:
                _let_go()
            try:
                made = _Open(made_from, _connect())
                _failure = None
            except StorageError as error:
                _failure = error
                raise
            finally:
                _attempts += 1
            mapper.use(made.session)
            _open = made
            return made
    finally:
        # Even if the new settings don't connect: the old session would go on trying to reach the old servers.
        if closing is not None:
            closing.session.cluster.shutdown()


def _connect() -> Any:
    from cassandra.cluster import Cluster

    options = config.cluster_options()
    _of_parents.extend(driver.leave_loop_of_parent(options.get('connection_class', Cluster.connection_class)))
    cluster = None
    try:
        cluster = _make(Cluster, options)
        return cluster.connect()
    except FAILURES as error:
        if cluster is not None:
            cluster.shutdown()
        raise translate(error) from error


def _make(cluster_class: Any, options: dict[str, Any]) -> Any:
    try:
        return cluster_class(**options)
    except (TypeError, ValueError) as error:
        # Names only: among the values may be a password.
        raise ConfigurationError(
            f'CASSANDRA_DRIVER_KWARGS has {", ".join(settings.CASSANDRA_DRIVER_KWARGS) or "nothing"}: {error}'
        ) from error


def _let_go() -> None:
    # Without the driver there is nothing to let go of.
    if cassandra is not None:
        mapper.let_go()


def _forget_after_fork() -> None:
    """In a forked process, leave the parent's sockets alone, and its lock, which a thread may have held."""
    global _lock, _open, _failure
    _lock = threading.Lock()
    _failure = None
    if _open is not None:
        _of_parents.append(_open)
        driver.forget_at_exit(_open.session.cluster)
        _open = None
        _let_go()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_after_fork)

if cassandra is not None:
    mapper.register(get_session)
