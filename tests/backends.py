"""The backends that every contract runs on; one more backend is one more line in ``BACKENDS``.

A backend gives the storages and feed classes, and says in flags how it differs from the others. Its feed and manager
classes are at module level, since task messages name them by path.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import itertools
import os
import pathlib
import shutil
import tempfile
import types
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import redis_nodes

#: Keeps the keys of this run apart from whatever else a shared server holds.
RUN = uuid.uuid4().hex[:8]

ROOT = pathlib.Path(__file__).parent.parent

_numbers = itertools.count(1)


class Backend:
    """What a contract knows of a backend."""

    name: str
    #: Module -> class, for the three storages and the three kinds of feed.
    activity_storage_path: str
    timeline_storage_path: str
    lists_storage_path: str | None
    feed_path: str
    aggregated_feed_path: str
    notification_feed_path: str
    #: Likewise who follows whom; ``None`` where the backend keeps no follows.
    follow_storage_path: str | None = None

    #: The timeline holds whole activities: there is no activity storage behind it, nothing is hydrated.
    whole_activities = False
    #: Lists are sets of ids in the feed's own partition: no duplicates, the highest ids are kept.
    lists_are_sets = False
    #: The activity storage has a ledger of what was published and isn't done.
    keeps_ledger = True
    #: Tests may call ``flush()``: nobody else uses what it empties.
    may_flush = True

    @classmethod
    def exists(cls) -> bool:
        """Whether the project has this backend."""
        paths = (cls.feed_path, cls.aggregated_feed_path, cls.notification_feed_path)
        return all((ROOT / path.split(':')[0].replace('.', '/')).with_suffix('.py').exists() for path in paths)

    def start(self) -> None:
        """Make the server ready, or skip saying why it can't be."""

    def reset(self) -> None:
        """Forget what the last test stored, where that is possible."""

    def prepare(self, feed_class: Any) -> None:
        """Make the tables that a feed class needs."""

    @property
    def activity_storage_class(self) -> Any:
        return load(self.activity_storage_path)

    @property
    def timeline_storage_class(self) -> Any:
        return load(self.timeline_storage_path)

    @property
    def lists_storage_class(self) -> Any:
        return None if self.lists_storage_path is None else load(self.lists_storage_path)

    @property
    def follow_storage_class(self) -> Any:
        return None if self.follow_storage_path is None else load(self.follow_storage_path)

    @property
    def feed_class(self) -> Any:
        return load(self.feed_path)

    @property
    def aggregated_feed_class(self) -> Any:
        return load(self.aggregated_feed_path)

    @property
    def notification_feed_class(self) -> Any:
        return load(self.notification_feed_path)

    @property
    def user_feed_class(self) -> Any:
        from stream_framework.feeds.base import UserBaseFeed

        return type('UserFeed', (UserBaseFeed, self.feed_class), {})

    def activity_storage(self, **options: Any) -> Any:
        """An activity storage as flat feeds use it."""
        serializer = load('stream_framework.serializers.activity_serializer:ActivitySerializer')
        activity = load('stream_framework.activity:Activity')
        return self.activity_storage_class(serializer_class=serializer, activity_class=activity, **options)

    def timeline_storage(self) -> Any:
        """A timeline storage as flat feeds use it."""
        serializer = load('stream_framework.serializers.simple_timeline_serializer:SimpleTimelineSerializer')
        activity = load('stream_framework.activity:Activity')
        return self.timeline_storage_class(serializer_class=serializer, activity_class=activity)

    def lists_storage(self, key: str, **options: Any) -> Any:
        """A lists storage."""
        return self.lists_storage_class(key, **options)

    def follow_storage(self, *name: Any) -> Any:
        """A follow storage, by default one that shares its follows with nobody."""
        return self.follow_storage_class(*(name or (f'follow {self.key()}',)))

    def key(self) -> str:
        """A key that nobody else uses."""
        return f'{RUN}:{next(_numbers)}'

    def make(self, base: Any, **attributes: Any) -> Any:
        """A feed class of the test's own: its own keys, and trimming only where the test asks for it."""
        number = next(_numbers)
        values = {'trim_chance': 0, 'key_format': f'{RUN}:{number}:%(user_id)s', **attributes}
        if 'markers_key_format' not in values and hasattr(base, 'markers_key_format'):
            values['markers_key_format'] = f'{RUN}:{number}:markers:%(user_id)s'
        feed_class = types.new_class(f'{base.__name__}{number}', (base,), {}, lambda body: body.update(values))
        self.prepare(feed_class)
        return feed_class

    def flat(self, **attributes: Any) -> Any:
        """A flat feed class of the test's own."""
        return self.make(self.feed_class, **attributes)

    def aggregated(self, **attributes: Any) -> Any:
        """An aggregated feed class of the test's own."""
        return self.make(self.aggregated_feed_class, **attributes)

    def notification(self, **attributes: Any) -> Any:
        """A notification feed class of the test's own."""
        return self.make(self.notification_feed_class, **attributes)

    def manager_class(self) -> Any:
        """The manager at module level, whose followers are in ``tests.managers.FOLLOWERS``."""
        module = importlib.import_module('tests.managers')
        manager = module.managers[self.name]()
        for feed_class in (manager.user_feed_class, *manager.feed_classes.values()):
            self.prepare(feed_class)
        return manager

    def __repr__(self) -> str:
        return self.name


class Memory(Backend):
    name = 'memory'
    activity_storage_path = 'stream_framework.storage.memory:InMemoryActivityStorage'
    timeline_storage_path = 'stream_framework.storage.memory:InMemoryTimelineStorage'
    lists_storage_path = 'stream_framework.storage.memory:InMemoryListsStorage'
    feed_path = 'stream_framework.feeds.memory:Feed'
    aggregated_feed_path = 'stream_framework.feeds.aggregated_feed.memory:AggregatedFeed'
    notification_feed_path = 'stream_framework.feeds.notification_feed.memory:NotificationFeed'
    follow_storage_path = 'stream_framework.storage.memory:InMemoryFollowStorage'

    def reset(self) -> None:
        memory = importlib.import_module('stream_framework.storage.memory')
        memory.timeline_store.clear()
        memory.lists_store.clear()
        memory.seen_store.clear()
        memory.InMemoryActivityStorage().flush()


class Redis(Backend):
    name = 'redis'
    activity_storage_path = 'stream_framework.storage.redis.activity_storage:RedisActivityStorage'
    timeline_storage_path = 'stream_framework.storage.redis.timeline_storage:RedisTimelineStorage'
    lists_storage_path = 'stream_framework.storage.redis.lists_storage:RedisListsStorage'
    feed_path = 'stream_framework.feeds.redis:RedisFeed'
    aggregated_feed_path = 'stream_framework.feeds.aggregated_feed.redis:RedisAggregatedFeed'
    notification_feed_path = 'stream_framework.feeds.notification_feed.redis:RedisNotificationFeed'
    follow_storage_path = 'stream_framework.storage.redis.follow_storage:RedisFollowStorage'
    may_flush = False

    def start(self) -> None:
        available('stream_framework.feeds.redis', 'redis')
        self.configure(server('redis'))
        self.may_flush = not redis_nodes.given('URL', 'HOST', 'PORT')

    def configure(self, config: dict[str, Any]) -> None:
        from stream_framework import settings

        settings.configure(STREAM_REDIS_CONFIG={'default': config})


class RedisCluster(Redis):
    name = 'redis-cluster'

    def start(self) -> None:
        available('stream_framework.feeds.redis', 'redis')
        self.configure(server('redis_cluster'))
        self.may_flush = not redis_nodes.given('CLUSTER')


class Cassandra(Backend):
    name = 'cassandra'
    activity_storage_path = 'stream_framework.storage.cassandra.activity_storage:CassandraActivityStorage'
    timeline_storage_path = 'stream_framework.storage.cassandra.timeline_storage:CassandraTimelineStorage'
    lists_storage_path = None
    feed_path = 'stream_framework.feeds.cassandra:CassandraFeed'
    aggregated_feed_path = 'stream_framework.feeds.aggregated_feed.cassandra:CassandraAggregatedFeed'
    notification_feed_path = 'stream_framework.feeds.notification_feed.cassandra:CassandraNotificationFeed'
    follow_storage_path = 'stream_framework.storage.cassandra.follow_storage:CassandraFollowStorage'
    whole_activities = True
    lists_are_sets = True
    may_flush = False

    def __init__(self) -> None:
        self._tables: set[Any] = set()

    def start(self) -> None:
        available('stream_framework.feeds.cassandra', 'cassandra')
        from stream_framework import settings

        settings.configure(**self.settings())
        importlib.import_module('stream_framework.storage.cassandra.connection').setup_connection()

    def settings(self) -> dict[str, Any]:
        """What to configure, in other processes too: plain values."""
        return server('cassandra')

    def prepare(self, feed_class: Any) -> None:
        from cassandra.cqlengine.management import sync_table

        table = (feed_class.timeline_model, feed_class.timeline_cf_name)
        if table not in self._tables:
            sync_table(feed_class.get_timeline_storage().model)
            self._tables.add(table)

    def timeline_storage(self) -> Any:
        return self.flat().get_timeline_storage()

    def follow_storage(self, *name: Any) -> Any:
        from stream_framework.storage.cassandra import schema

        if 'follows' not in self._tables:
            schema.sync(self.follow_storage_class)
            self._tables.add('follows')
        return super().follow_storage(*name)


class Sqlite(Backend):
    name = 'sqlite'
    activity_storage_path = 'stream_framework.storage.sql.activity_storage:SqlActivityStorage'
    timeline_storage_path = 'stream_framework.storage.sql.timeline_storage:SqlTimelineStorage'
    lists_storage_path = 'stream_framework.storage.sql.lists_storage:SqlListsStorage'
    feed_path = 'stream_framework.feeds.sql:SqlFeed'
    aggregated_feed_path = 'stream_framework.feeds.aggregated_feed.sql:SqlAggregatedFeed'
    notification_feed_path = 'stream_framework.feeds.notification_feed.sql:SqlNotificationFeed'
    follow_storage_path = 'stream_framework.storage.sql.follow_storage:SqlFollowStorage'

    def start(self) -> None:
        available('stream_framework.feeds.sql', 'sqlalchemy')
        from stream_framework import settings

        settings.configure(**self.settings())

    def settings(self) -> dict[str, Any]:
        """What to configure, in other processes too: plain values."""
        return {'STREAM_SQL_URL': f'sqlite:///{sqlite_folder()}/feeds.sqlite3', 'STREAM_SQL_SCHEMA': None}

    def reset(self) -> None:
        load('stream_framework.storage.sql.timeline_storage:SqlTimelineStorage')().flush()
        load('stream_framework.storage.sql.activity_storage:SqlActivityStorage')().flush()
        load('stream_framework.storage.sql.lists_storage:SqlListsStorage')('*').flush_matching('*')


class Postgres(Sqlite):
    name = 'postgres'

    def start(self) -> None:
        available('stream_framework.feeds.sql', 'psycopg')
        from stream_framework import settings

        settings.configure(**self.settings())
        connection = importlib.import_module('stream_framework.storage.sql.connection')
        importlib.import_module('stream_framework.storage.sql.tables').create(connection.get_database())

    def settings(self) -> dict[str, Any]:
        return server('postgres')


#: One line for each backend.
BACKENDS: list[type[Backend]] = [
    Memory,
    Sqlite,
    Postgres,
    Redis,
    RedisCluster,
    Cassandra,
]


@functools.cache
def sqlite_folder() -> str:
    """A folder for this run's SQLite file."""
    folder = tempfile.mkdtemp()
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return folder


def load(path: str) -> Any:
    """What ``package.module:name`` names."""
    module, name = path.split(':')
    return getattr(importlib.import_module(module), name)


def unavailable(reason: str) -> Any:
    """Skip on a developer's machine; fail where a skip would go unnoticed."""
    if os.environ.get('CI'):
        pytest.fail(f'{reason} (CI is set, so this is no reason to skip)', pytrace=False)
    pytest.skip(reason)


def available(module: str, client: str) -> None:
    """Skip unless the client is there, and the backend with it."""
    if not (ROOT / module.replace('.', '/')).with_suffix('.py').exists():
        pytest.skip(f'the project has no {module} yet')
    for name in (client, module):
        try:
            importlib.import_module(name)
        except ImportError as error:
            unavailable(f'{name} can not be imported: {error}')


def server(name: str) -> Any:
    """The address of a test server, started on first use: what ``tests.servers.NAME()`` gives."""
    try:
        servers = importlib.import_module('tests.servers')
        start = getattr(servers, name)
    except (ImportError, AttributeError) as error:
        unavailable(f'there is no way to start a {name} server here: {error}')
    try:
        return start()
    except LookupError as error:
        unavailable(f'no {name} server: {error}')


def running(backend: Backend) -> Iterator[Backend]:
    """The backend while a test runs."""
    backend.start()
    backend.reset()
    yield backend
    backend.reset()
