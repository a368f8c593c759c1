"""The parts of cassandra-driver that the library uses, beyond connecting. Importing it without the driver says what to
install.

Parts of the driver that are private are used here only, each in a function that says why there is no public way.
``tests/cassandra/test_driver.py`` looks for each of them in the release that is installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from stream_framework.storage.cassandra import config

config.require_driver()

from cassandra import (  # noqa: E402
    ConsistencyLevel,
    InvalidRequest,
    OperationTimedOut,
    ReadTimeout,
    WriteFailure,
    WriteTimeout,
    cluster,
)
from cassandra.cluster import ResponseFuture, Session  # noqa: E402
from cassandra.cqlengine import CQLEngineException, ValidationError, columns, connection, models  # noqa: E402
from cassandra.cqlengine.connection import DEFAULT_CONNECTION  # noqa: E402
from cassandra.cqlengine.connection import Connection as MapperConnection  # noqa: E402
from cassandra.cqlengine.models import Model  # noqa: E402
from cassandra.cqltypes import IntegerType, LongType  # noqa: E402
from cassandra.protocol import SyntaxException  # noqa: E402
from cassandra.query import (  # noqa: E402
    BatchStatement,
    BatchType,
    BoundStatement,
    PreparedStatement,
    SimpleStatement,
    Statement,
)

__all__ = [
    'DEFAULT_CONNECTION',
    'BatchStatement',
    'BatchType',
    'BoundStatement',
    'CQLEngineException',
    'ConsistencyLevel',
    'IntegerType',
    'LongType',
    'InvalidRequest',
    'MapperConnection',
    'Model',
    'OperationTimedOut',
    'PreparedStatement',
    'ReadTimeout',
    'ResponseFuture',
    'Session',
    'SimpleStatement',
    'Statement',
    'SyntaxException',
    'ValidationError',
    'WriteFailure',
    'WriteTimeout',
    'add_serialized',
    'columns',
    'default_keyspace',
    'forget_at_exit',
    'leave_loop_of_parent',
    'registered_connections',
    'set_default_keyspace',
    'show_default_session',
]


def add_serialized(batch: BatchStatement, statements: Iterable[tuple[bytes, list[Any]]]) -> None:
    """Add prepared statements, by their ids and their serialized values, to a batch.

    ``batch.add`` does the same in the end. But it needs a statement object for each row, and asks each for its routing
    key: that takes longer than the rest of a fan-out's chunk.
    """
    batch._statements_and_parameters.extend((True, query_id, values) for query_id, values in statements)


def forget_at_exit(of_parent: Any) -> None:
    """In a fork, don't shut down the parent's cluster when this process ends: its locks may never be released."""
    cluster._discard_cluster_shutdown(of_parent)


def leave_loop_of_parent(connection_class: Any) -> list[Any]:
    """In a fork, let the driver start a new event loop without closing the parent's connections first.

    Closing takes the locks of the connections, and one that a thread of the parent held during the fork is never
    released. The loop that is left behind has no thread in this process, so it reads and writes nothing.

    :returns: objects that the caller must keep, because the driver closes them when they are garbage-collected
    """
    left = []
    for base in connection_class.__mro__:
        reactor: Any = sys.modules.get(base.__module__)
        loop = getattr(reactor, '_global_loop', None)
        if loop is not None and loop._pid != os.getpid():
            left.append(loop)
            reactor._global_loop = None
            if hasattr(reactor, '_dispatcher_map'):
                # Asyncore's connections are found here by whichever loop runs.
                left.append(reactor._dispatcher_map)
                reactor._dispatcher_map = {}
    return left


def registered_connections() -> dict[Any, Any]:
    """Return cqlengine's registry: name -> connection.

    ``get_connection`` would connect, and ``register_connection`` makes a connection with another cluster.
    """
    registered: dict[Any, Any] = connection._connections
    return registered


def show_default_session(default_cluster: Any, session: Any) -> None:
    """Set the two globals in which cqlengine shows the default connection's cluster and session."""
    connection.cluster, connection.session = default_cluster, session


def default_keyspace() -> str | None:
    """Return the keyspace of models that name none."""
    keyspace: str | None = models.DEFAULT_KEYSPACE
    return keyspace


def set_default_keyspace(keyspace: str) -> None:
    """Set the keyspace of models that name none."""
    models.DEFAULT_KEYSPACE = keyspace
