"""One node or three as a backend, each with a keyspace of this run's own, and a plain session to look behind."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends import Cassandra, server
from tests.cassandra.support import close_sessions, sessions


class CassandraCluster(Cassandra):
    """Three nodes, three replicas, at QUORUM."""

    name = 'cassandra-cluster'

    def settings(self) -> dict[str, Any]:
        return {**server('cassandra_cluster'), 'STREAM_CASSANDRA_CONSISTENCY_LEVEL': 'QUORUM'}


_made: dict[str, Any] = {}


@pytest.fixture
def one() -> Iterator[Any]:
    """The backend on one node."""
    yield from fresh(_made.setdefault('one', Cassandra()))


@pytest.fixture(scope='package')
def stopping() -> Iterator[None]:
    """Ends the three nodes after the last test on them: they take 2.5 GB."""
    yield
    from tests.servers import cassandra_nodes

    if 'three' in _made:
        close_sessions(_made.pop('three').settings())
        cassandra_nodes.stop_cluster()


@pytest.fixture
def three(stopping: None) -> Iterator[Any]:
    """The backend on three nodes, all of them up."""
    yield from fresh(_made.setdefault('three', CassandraCluster()))


@pytest.fixture(params=['one', 'three'])
def nodes(request: pytest.FixtureRequest) -> Any:
    """The backend on one node, and then on three."""
    return request.getfixturevalue(request.param)


def fresh(backend: Any) -> Iterator[Any]:
    """The backend with a connection of the test's own, so that a test may change settings."""
    from stream_framework import settings

    backend.start()
    yield backend
    importlib.import_module('stream_framework.storage.cassandra.connection').reset()
    for name in settings.NAMES:
        if 'CASSANDRA' in name or 'KEYSPACE' in name:
            delattr(settings, name)


@pytest.fixture
def session(one: Any) -> Any:
    """A plain session of the driver, in the keyspace of ``one``."""
    return sessions(one.settings())
