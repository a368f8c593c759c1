"""The servers that tests run on, each found or started on first use.

Every function gives what ``settings.configure``, or Celery, needs, and raises ``LookupError`` with a reason where there
is no such server and none can be started. What was started here ends with the process that asked for it, however that
ends.
"""

from __future__ import annotations

import importlib
from typing import Any


def redis() -> dict[str, Any]:
    """One plain Redis server: an entry for ``STREAM_REDIS_CONFIG``."""
    return _part('redis_nodes').one()


def redis_cluster() -> dict[str, Any]:
    """A Redis Cluster of three nodes: an entry for ``STREAM_REDIS_CONFIG``."""
    return _part('redis_nodes').cluster()


def cassandra() -> dict[str, Any]:
    """One Cassandra node, with a keyspace of this run's own: hosts, keyspace and port as settings."""
    return _part('cassandra_nodes').one()


def cassandra_cluster() -> dict[str, Any]:
    """Three Cassandra nodes on 127.0.0.1 to 127.0.0.3, with a keyspace of three replicas: as settings."""
    return _part('cassandra_nodes').cluster()


def postgres() -> dict[str, Any]:
    """One PostgreSQL server: as settings."""
    return _part('postgres_nodes').one()


def rabbitmq() -> str:
    """A RabbitMQ broker: what Celery takes as ``broker_url``."""
    return _part('rabbitmq_nodes').one()


def _part(name: str) -> Any:
    # Imported where it is needed: a run on one backend needs no client of the other.
    try:
        return importlib.import_module(f'tests.servers.{name}')
    except ImportError as error:
        raise LookupError(f'tests.servers.{name} can not be imported: {error}') from error
