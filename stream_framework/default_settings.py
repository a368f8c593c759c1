"""Every setting, with its default and its unit; :mod:`stream_framework.settings` says how to change them."""

from typing import Any

#: Redis servers by name: what each entry may hold is in :mod:`stream_framework.storage.redis.config`.
#: Environment: ``STREAM_REDIS_URL`` is the address of ``'default'``.
STREAM_REDIS_CONFIG: dict[str, Any] = {'default': {'host': '127.0.0.1', 'port': 6379, 'db': 0, 'password': None}}

#: Addresses of Cassandra nodes to start from; the driver finds the others. Environment: separated by commas.
STREAM_CASSANDRA_HOSTS: Any = ['localhost']

#: The Cassandra keyspace of all feeds. Environment: the same name.
STREAM_DEFAULT_KEYSPACE: str = 'stream_framework'

#: How many replicas answer for a read or a write: a level's name (``'QUORUM'``) or the driver's number for it, here
#: that of ``ConsistencyLevel.ONE``. Environment: the same name.
STREAM_CASSANDRA_CONSISTENCY_LEVEL: int | str = 1

#: Further keywords of the driver's ``Cluster``: port, authentication, TLS, load balancing, execution profiles.
CASSANDRA_DRIVER_KWARGS: dict[str, Any] = {}

#: The SQL database of all feeds in one, as a SQLAlchemy URL: ``sqlite:///feeds.sqlite3``,
#: ``postgresql+psycopg://user:password@host/name``. ``sqlite://`` is in memory. Environment: the same name.
STREAM_SQL_URL: str = 'sqlite:///stream_framework.sqlite3'

#: Further keywords of SQLAlchemy's ``create_engine``: the size of the pool, ``connect_args`` of the driver.
STREAM_SQL_OPTIONS: dict[str, Any] = {}

#: A SQLAlchemy engine of the application's, instead of ``STREAM_SQL_URL``.
STREAM_SQL_ENGINE: Any = None

#: The PostgreSQL schema of the tables; ``None`` for the first of the connection's ``search_path``.
STREAM_SQL_SCHEMA: str | None = None

#: Not used, here or in 1.4.0; kept because applications read them.
STREAM_CASSANDRA_READ_RETRY_ATTEMPTS: int = 1
STREAM_CASSANDRA_WRITE_RETRY_ATTEMPTS: int = 1

#: The import path of the class that counts and times, see :mod:`stream_framework.metrics.base`.
STREAM_METRIC_CLASS: str = 'stream_framework.metrics.base.Metrics'

#: The keywords that this class is made with.
STREAM_METRICS_OPTIONS: dict[str, Any] = {}

#: What the names begin with under which the library keeps what was published last, and the ledger: on Redis
#: ``stream:published:...`` and ``stream:ledger:...``. Change it where nothing is under way: what is kept under the old
#: names isn't found any more.
STREAM_KEY_PREFIX: str = 'stream'

#: Where verbs are registered: ``'in-memory'``, or the import path of a class of dicts.
STREAM_VERB_STORAGE: str = 'in-memory'

#: Which modules a task message may name operations of: a list of prefixes, ``['myapp.feeds']``. ``None``: those of the
#: top-level package of the message's manager or feed. See :mod:`stream_framework.paths`.
STREAM_TASK_MODULES: list[str] | None = None
