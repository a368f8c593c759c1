"""Every setting and its default."""

from typing import Any

STREAM_REDIS_CONFIG: dict[str, Any] = {'default': {'host': '127.0.0.1', 'port': 6379, 'db': 0, 'password': None}}
STREAM_CASSANDRA_HOSTS = ['localhost']
STREAM_DEFAULT_KEYSPACE = 'stream_framework'
STREAM_CASSANDRA_CONSISTENCY_LEVEL: int | str = 1
CASSANDRA_DRIVER_KWARGS: dict[str, Any] = {}
STREAM_CASSANDRA_READ_RETRY_ATTEMPTS = 1
STREAM_CASSANDRA_WRITE_RETRY_ATTEMPTS = 1
STREAM_METRIC_CLASS = 'stream_framework.metrics.base.Metrics'
STREAM_METRICS_OPTIONS: dict[str, Any] = {}
STREAM_VERB_STORAGE = 'in-memory'
STREAM_TASK_MODULES: list[str] | None = None
