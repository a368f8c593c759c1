"""The private parts of cassandra-driver that are used: a release that lacks one fails here, by name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

cassandra = pytest.importorskip('cassandra')

REACTORS = ('asyncorereactor', 'libevreactor', 'asyncioreactor')


def test_a_batch_takes_serialized_values() -> None:
    from cassandra.query import BatchStatement, BatchType

    from stream_framework.storage.cassandra.driver import add_serialized

    batch = BatchStatement(BatchType.UNLOGGED)
    add_serialized(batch, [(b'id', [b'a', None])])
    # What the driver encodes batches from; the tests look into it as well.
    assert list(batch._statements_and_parameters) == [(True, b'id', [b'a', None])]


def test_a_cluster_can_be_forgotten_at_exit() -> None:
    from cassandra import cluster

    from stream_framework.storage.cassandra.driver import forget_at_exit

    found = object.__new__(cluster.Cluster)
    cluster._register_cluster_shutdown(found)
    forget_at_exit(found)
    assert found not in cluster._clusters_for_shutdown


@pytest.mark.parametrize('name', REACTORS)
def test_a_reactor_has_one_loop_that_knows_its_process(name: str) -> None:
    try:
        reactor: Any = importlib.import_module(f'cassandra.io.{name}')
    except (ImportError, cassandra.DependencyException) as error:
        pytest.skip(f'{name}: {error}')
    if name == 'asyncioreactor':
        # It keeps its loop in the connection's class, with the process that it is of.
        assert hasattr(reactor.AsyncioConnection, '_pid')
        return
    assert hasattr(reactor, '_global_loop')
    loop = reactor.LibevLoop if name == 'libevreactor' else reactor.AsyncoreLoop
    assert '_pid' in inspect.getsource(loop)
    if name == 'asyncorereactor':
        assert isinstance(reactor._dispatcher_map, dict)


def test_cqlengine_has_a_registry() -> None:
    from cassandra.cqlengine import connection, models

    import stream_framework.storage.cassandra.models
    from stream_framework.storage.cassandra import mapper
    from stream_framework.storage.cassandra.driver import registered_connections

    assert registered_connections() is connection._connections
    assert stream_framework.storage.cassandra.models.Activity.__connection__ == mapper.NAME
    assert isinstance(connection._connections[mapper.NAME], mapper.SharedConnection)
    for name in ('DEFAULT_CONNECTION', 'cluster', 'session'):
        assert hasattr(connection, name), name
    assert hasattr(models, 'DEFAULT_KEYSPACE')


def test_cqlengine_asks_models_and_connections_what_is_overridden() -> None:
    from cassandra.cqlengine import connection, management, models

    assert 'handle_lazy_connect()' in inspect.getsource(connection.get_connection)
    assert '_get_keyspace()' in inspect.getsource(models.BaseModel.column_family_name)
    assert '_get_keyspace()' in inspect.getsource(management._sync_table)


def test_models_have_what_tables_are_read_from() -> None:
    from stream_framework.storage.cassandra import models

    assert list(models.Activity._columns)[:2] == ['feed_id', 'activity_id']
    assert models.Activity._partition_keys.keys() == {'feed_id'}
    assert models.Activity._clustering_keys.keys() == {'activity_id'}
    assert models.Activity._raw_column_family_name()
    assert models.Activity(activity_id=1)._values['activity_id'].value == 1


def test_profiles_say_whether_their_level_was_given() -> None:
    from cassandra.cluster import ExecutionProfile

    assert ExecutionProfile()._consistency_level_explicit is False
    assert ExecutionProfile(consistency_level=1)._consistency_level_explicit is True
