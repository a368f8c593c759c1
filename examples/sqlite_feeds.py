"""A storage backend of one's own: feeds in an SQLite file, complete, in one module.

For programs of one machine whose feeds should outlive the process. It passes the same contract tests as the backends of
the library; ``docs/own_backend.rst`` goes through it. The file is named by the environment: ``SQLITE_FEEDS``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.abilities import GuardsGroups, KeepsIntents
from stream_framework.storage.base import BaseActivityStorage, BaseBatch, BaseTimelineStorage, Change, Pairs, Snapshot
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.utils.shortcuts import unchanged

SCHEMA = """
CREATE TABLE IF NOT EXISTS activities (id TEXT PRIMARY KEY, data TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (key TEXT, number TEXT, id TEXT, data TEXT, PRIMARY KEY (key, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (position INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, item TEXT);
CREATE INDEX IF NOT EXISTS items_by_key ON items (key, position);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT, expires REAL) WITHOUT ROWID;
"""

# Ids have more digits than SQLite's integers: they are text of one width, which sorts as numbers do.
WIDTH = 80

_local = threading.local()


def connection() -> sqlite3.Connection:
    """The connection of this thread, and of this process: a forked worker must not use its parent's."""
    owner = (os.getpid(), os.environ.get('SQLITE_FEEDS', 'feeds.sqlite3'))
    if getattr(_local, 'owner', None) != owner:
        _local.connection = sqlite3.connect(owner[1], timeout=30, isolation_level=None)
        _local.connection.execute('PRAGMA journal_mode = WAL')
        _local.connection.executescript(SCHEMA)
        _local.owner = owner
    return _local.connection


@contextlib.contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """One step for all that is written in the block; it belongs to the outermost one."""
    connected = connection()
    if connected.in_transaction:
        yield connected
        return
    # Not a deferred transaction: two that read first and then write would get in each other's way.
    connected.execute('BEGIN IMMEDIATE')
    try:
        yield connected
    except BaseException:
        connected.execute('ROLLBACK')
        raise
    connected.execute('COMMIT')


def padded(number: int) -> str:
    return str(number).zfill(WIDTH)


class SqliteActivityStorage(KeepsIntents, BaseActivityStorage):
    """Activities in a table, by id; and intents: what was published last."""

    default_serializer_class = ActivitySerializer

    def __init__(self, serializer_class: Any = None, *args: Any, **options: Any) -> None:
        # All feeds share the table, so one that names no serializer has to write what the others read.
        super().__init__(None if serializer_class is BaseSerializer else serializer_class, *args, **options)

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        rows = [(str(key), data) for key, data in serialized_activities.items()]
        with transaction() as connected:
            connected.executemany('INSERT OR REPLACE INTO activities VALUES (?, ?)', rows)
        return len(rows)

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for start in range(0, len(activity_ids), 500):
            part = [str(key) for key in activity_ids[start : start + 500]]
            query = f'SELECT id, data FROM activities WHERE id IN ({",".join("?" * len(part))})'
            found.update((int(key), data) for key, data in connection().execute(query, part))
        return found

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        with transaction() as connected:
            query = 'DELETE FROM activities WHERE id = ?'
            return connected.executemany(query, [(str(key),) for key in activity_ids]).rowcount

    def set_intents(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        now = time.time()
        with transaction() as connected:
            connected.execute('DELETE FROM marks WHERE expires <= ?', [now])
            if existing:
                query = 'UPDATE marks SET value = ?, expires = ? WHERE name = ?'
            else:
                query = 'INSERT OR REPLACE INTO marks (value, expires, name) VALUES (?, ?, ?)'
            connected.executemany(query, [(value, now + ttl, name) for name in names])

    def get_intents(self, names: Sequence[str]) -> list[str | None]:
        query = 'SELECT value FROM marks WHERE name = ? AND expires > ?'
        found = [connection().execute(query, (name, time.time())).fetchone() for name in names]
        return [row[0] if row else None for row in found]

    def flush(self) -> None:
        with transaction() as connected:
            connected.execute('DELETE FROM activities')
            connected.execute('DELETE FROM marks')


class SqliteBatch(BaseBatch):
    """Everything that was queued, in one transaction."""

    def send(self) -> None:
        with transaction():
            super().send()


class SqliteTimelineStorage(GuardsGroups, BaseTimelineStorage):
    """Timelines in a table, a row for each entry."""

    # The ways of this backend. Where a subclass has another for one of these, its methods are called one by one.
    reads_as_usual = unchanged('get_slice', 'get_slice_from_storage', 'deserialize_activities')
    writes_as_usual = unchanged('add_many', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage')

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        rows = [(key, padded(self.order(item)), str(item), str(data)) for item, data in activities.items()]
        with transaction() as connected:
            before = self.count(key)
            connected.executemany('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)', rows)
            return self.count(key) - before

    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
        query = 'UPDATE entries SET data = ? WHERE key = ? AND number = ?'
        with transaction() as connected:
            return [
                [
                    item
                    for item, data in of_key.items()
                    if connected.execute(query, (str(data), key, padded(self.order(item)))).rowcount
                ]
                for key, of_key in updates
            ]

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        rows = [(key, padded(self.order(item))) for item in activities]
        with transaction() as connected:
            return connected.executemany('DELETE FROM entries WHERE key = ? AND number = ?', rows).rowcount

    def get_slice_from_storage(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Pairs:
        low, high = self.bounds(filter_kwargs)
        start = start or 0
        limit = -1 if stop is None else max(stop - start, 0)
        if high is not None and high < 0:
            return []
        order = 'ASC' if self.ascends(ordering_args) else 'DESC'
        rows = connection().execute(
            f'SELECT id, data FROM entries WHERE key = ? AND number BETWEEN ? AND ? '
            f'ORDER BY number {order} LIMIT ? OFFSET ?',
            (key, padded(max(low or 0, 0)), '9' * WIDTH if high is None else padded(high), limit, start),
        )
        # Groups are known by a str, activities by an int.
        return [(item if self.holds_groups else int(item), data) for item, data in rows]

    def get_index_of(self, key: str, activity_id: Any) -> int:
        number = padded(self.order(activity_id))
        query = (
            'SELECT (SELECT count(*) FROM entries WHERE key = ?1 AND number > ?2) FROM entries '
            'WHERE key = ?1 AND number = ?2'
        )
        found = connection().execute(query, (key, number)).fetchone()
        if found is None:
            raise ValueError(f'id {activity_id} is not in feed {key!r}')
        return int(found[0])

    def count(self, key: str, *args: Any, **kwargs: Any) -> int:
        return int(connection().execute('SELECT count(*) FROM entries WHERE key = ?', [key]).fetchone()[0])

    def trim_storage(self, key: str, length: int) -> int:
        query = (
            'DELETE FROM entries WHERE key = ?1 AND number < '
            '(SELECT number FROM entries WHERE key = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)'
        )
        with transaction() as connected:
            return connected.execute(query, (key, length - 1)).rowcount

    def delete(self, key: str, *args: Any, **kwargs: Any) -> None:
        with transaction() as connected:
            connected.execute('DELETE FROM entries WHERE key = ?', [key])

    def flush(self) -> None:
        self.flush_matching('*')

    def flush_matching(self, pattern: str) -> None:
        with transaction() as connected:
            connected.execute('DELETE FROM entries WHERE key GLOB ?', [pattern])

    def get_batch_interface(self) -> SqliteBatch:
        return SqliteBatch(self)

    # Groups: what was read is compared with what is there in the transaction that writes. Without these three methods,
    # and GuardsGroups, groups change in several steps, and what another writer did in between is lost.

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        return [Snapshot(key, self.get_slice_from_storage(key, 0, length), token=length) for key in keys]

    def is_as_read(self, snapshot: Snapshot) -> bool:
        return self.get_slice_from_storage(snapshot.key, 0, snapshot.token) == snapshot.entries

    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        refused: list[Change] = []
        for change in changes:
            with transaction():
                refused += super().apply_changes([change])
        return refused


class SqliteListsStorage(BaseListsStorage):
    """Lists in a table, an item for each row: what notification feeds keep their marks in."""

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        with transaction() as connected:
            for name, items in lists.items():
                key = self.get_key(name)
                if once:
                    items = list(dict.fromkeys(reversed(items)))[::-1]
                    self.remove_from_storage({name: items})
                connected.executemany('INSERT INTO items (key, item) VALUES (?, ?)', [(key, item) for item in items])
                if self.max_length is not None:
                    kept = 'SELECT position FROM items WHERE key = ?1 ORDER BY position DESC LIMIT ?2'
                    query = f'DELETE FROM items WHERE key = ?1 AND position NOT IN ({kept})'
                    connected.execute(query, (key, self.max_length))

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        with transaction() as connected:
            for name, items in lists.items():
                rows = [(self.get_key(name), item) for item in items]
                connected.executemany('DELETE FROM items WHERE key = ? AND item = ?', rows)

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        return [len(items) for items in self.get_from_storage(names)]

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        query = 'SELECT item FROM items WHERE key = ? ORDER BY position'
        with transaction() as connected:
            return [[item for (item,) in connected.execute(query, [self.get_key(name)])] for name in names]

    def flush_storage(self, names: Sequence[str]) -> None:
        with transaction() as connected:
            connected.executemany('DELETE FROM items WHERE key = ?', [(self.get_key(name),) for name in names])

    def flush_matching(self, *names: str) -> None:
        with transaction() as connected:
            connected.executemany('DELETE FROM items WHERE key GLOB ?', [(self.get_key(name),) for name in names])


# The feed classes only name what they are made of.


class SqliteFeed(BaseFeed):
    """A flat feed."""

    activity_storage_class = SqliteActivityStorage
    timeline_storage_class = SqliteTimelineStorage
    activity_serializer = ActivitySerializer
    timeline_serializer = SimpleTimelineSerializer
    filtering_supported = True
    ordering_supported = True


class SqliteAggregatedFeed(AggregatedFeed):
    """An aggregated feed."""

    activity_storage_class = SqliteActivityStorage
    timeline_storage_class = SqliteTimelineStorage
    activity_serializer = ActivitySerializer
    filtering_supported = True
    ordering_supported = True


class SqliteNotificationFeed(BaseNotificationFeed):
    """A notification feed; it holds whole activities, and keeps its marks in lists."""

    timeline_storage_class = SqliteTimelineStorage
    markers_storage_class = SqliteListsStorage
    filtering_supported = True
    ordering_supported = True
