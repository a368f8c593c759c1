"""Cassandra: the library beside the driver, which does the same by hand with prepared statements."""

from __future__ import annotations

import datetime
import functools
import itertools
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import BatchStatement, BatchType

from benchmarks import works
from benchmarks.measure import Contender, Report
from stream_framework import settings
from stream_framework.feed_managers.base import add_operation
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.storage.cassandra import connection, schema

#: How many statements the raw driver has in flight.
CONCURRENCY = 100
#: How many tasks the library does at a time, where it is more than one: a worker does as many as there are cores,
#: unless told otherwise.
AT_A_TIME = 2
#: How many rows the raw driver's batches hold.
BATCH = 20
#: Pages are read from a store of so many flat feeds of 100, of so many activities; and of so many of the feeds.
FEEDS, STORED, PAGES = 5_000, 600_000, 200
#: For how many seconds all contenders write and read, in turns, before anything is measured: a server that has just
#: started interprets most of its code, and compiles it meanwhile, which takes it several times as long.
WARM_UP = 60.0

_FLAT_COLUMNS = ('feed_id', 'activity_id', 'actor', 'extra_context', 'object', 'target', 'time', 'verb')
_GROUP_COLUMNS = ('feed_id', 'activity_id', 'activities', 'created_at', '"group"', 'updated_at', 'minimized_activities')


class Aggregated(CassandraAggregatedFeed):
    aggregator_class = works.ByObject


class CassandraBenchmark(works.Benchmark):
    """All works in a keyspace of their own, which is dropped in the end."""

    def __init__(self, report: Report, configuration: dict[str, Any], scale: float = 1.0) -> None:
        super().__init__(report, scale)
        self.keyspace = works.TOKEN.replace(':', '_')
        settings.configure(**{**configuration, 'STREAM_DEFAULT_KEYSPACE': self.keyspace})
        self.flat = works.feed(CassandraFeed, 'flat', timeline_cf_name='flat')
        self.aggregated = works.feed(Aggregated, 'guarded', timeline_cf_name='guarded')
        self.unguarded = works.feed(Aggregated, 'unguarded', timeline_cf_name='unguarded', guard_updates=False)
        self.user = works.user_feed(CassandraFeed)
        self.user.timeline_cf_name = 'users'
        self.manager = works.manager(self.user, flat=self.flat)
        feed_classes = (self.flat, self.aggregated, self.unguarded, self.user)
        schema.sync(*feed_classes, keyspace=self.keyspace, replication_factor=1)
        driver = configuration.get('CASSANDRA_DRIVER_KWARGS', {})
        profile = ExecutionProfile(load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()))
        self.cluster = Cluster(
            configuration['STREAM_CASSANDRA_HOSTS'],
            port=driver.get('port', 9042),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        )
        self.session = self.cluster.connect(self.keyspace)

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        try:
            self.warm_up()
            for work in self.works():
                work()
        finally:
            self.session.execute(f'DROP KEYSPACE {self.keyspace}', timeout=60)
            self.cluster.shutdown()
            connection.reset()

    def warm_up(self) -> None:
        """Let the server compile what it is about to do, for the library as much as for the driver."""
        users = range(self.some(3000))
        insert = self.insert('flat')
        select = self.prepare(f'SELECT {", ".join(_FLAT_COLUMNS)} FROM flat WHERE feed_id = ? LIMIT 25')
        end = time.monotonic() + WARM_UP * self.scale
        while time.monotonic() < end:
            item = works.newer()
            rows = [self.row(f'{works.TOKEN}:flat:{user}', item) for user in users]
            self.in_batches(insert, rows)
            self.fan_out_by_manager(users, self.flat)
            self.one_by_one(insert, rows)
            execute_concurrent_with_args(self.session, select, [row[:1] for row in rows], concurrency=CONCURRENCY)

    def works(self) -> Sequence[Callable[[], None]]:
        """What is measured, in this order."""
        return (self.fan_out, self.fan_out_aggregated, self.pages, self.follow, self.import_activities)

    def version(self) -> str:
        """The server's."""
        return f'Cassandra {self.session.execute("SELECT release_version FROM system.local").one()[0]}'

    # What the raw driver does

    @functools.cache  # noqa: B019 - there is one benchmark
    def prepare(self, query: str) -> Any:
        return self.session.prepare(query)

    def insert(self, table: str, columns: Sequence[str] = _FLAT_COLUMNS) -> Any:
        marks = ', '.join('?' for _ in columns)
        return self.prepare(f'INSERT INTO {table} ({", ".join(columns)}) VALUES ({marks})')

    def one_by_one(self, statement: Any, rows: Iterable[Sequence[Any]]) -> None:
        execute_concurrent_with_args(self.session, statement, list(rows), concurrency=CONCURRENCY)

    def in_batches(self, statement: Any, rows: Iterable[Sequence[Any]]) -> None:
        iterator = iter(rows)
        batches = []
        while part := list(itertools.islice(iterator, BATCH)):
            batch = BatchStatement(BatchType.UNLOGGED)
            for row in part:
                batch.add(statement, row)
            batches.append((batch, ()))
        execute_concurrent(self.session, batches, concurrency=CONCURRENCY)

    @staticmethod
    def row(key: str, item: Any) -> tuple[Any, ...]:
        """A row of the flat table."""
        moment = item.time.replace(tzinfo=datetime.timezone.utc)
        return (
            key, item.serialization_id, item.actor_id, None, item.object_id, item.target_id, moment, item.verb.id
        )  # fmt: skip

    # The works

    def fan_out(self) -> None:
        users = range(self.some(3000))
        insert = self.insert('flat')

        def rows() -> Any:
            item = works.newer()
            return (self.row(f'{works.TOKEN}:flat:{user}', item) for user in users)

        for size, at_a_time in ((100, 1), (100, AT_A_TIME), (1000, 1)):
            more = '' if at_a_time == 1 else f', {at_a_time} at a time'
            work = functools.partial(self.fan_out_by_manager, users, self.flat, size=size, at_a_time=at_a_time)
            self.report.rate(
                f'fan-out to {len(users):,} flat feeds, chunks of {size}{more}',
                len(users),
                Contender('library', work),
                Contender('driver, single rows', lambda: self.one_by_one(insert, rows())),
                Contender(f'driver, batches of {BATCH}', lambda: self.in_batches(insert, rows())),
            )

    def fan_out_aggregated(self) -> None:
        users = range(self.some(200))
        groups = works.grouped(20, of=3)

        def fill(feed_class: Any) -> None:
            for user in users:
                feed_class(user).delete()
            self.manager.fanout(users, feed_class, add_operation, {'activities': groups})

        def library(feed_class: Any) -> None:
            self.fan_out_by_manager(users, feed_class, [works.joining(20)])

        for name, feed_class in (('guarded', self.aggregated), ('unguarded', self.unguarded)):
            self.report.rate(
                f'fan-out to {len(users)} aggregated feeds of 20 groups of 3, {name}',
                len(users),
                Contender('library', functools.partial(library, feed_class), functools.partial(fill, feed_class)),
                Contender(
                    f'driver, {"conditional batches" if name == "guarded" else "read and write"}',
                    functools.partial(self.rewrite, users, name),
                    functools.partial(fill, feed_class),
                ),
            )

    def rewrite(self, users: range, table: str) -> None:
        """Read 20 groups of each feed, replace one of them."""
        guarded = table == 'guarded'
        columns = ', '.join(_GROUP_COLUMNS) + (', version' if guarded else '')
        select = self.prepare(f'SELECT {columns} FROM {table} WHERE feed_id = ? LIMIT 20')
        delete = self.prepare(f'DELETE FROM {table} WHERE feed_id = ? AND activity_id = ?')
        insert = self.insert(table, _GROUP_COLUMNS)
        version = guarded and self.prepare(f'UPDATE {table} SET version = ? WHERE feed_id = ? IF version = ?')
        keys = [(f'{works.TOKEN}:{table}:{user}',) for user in users]
        found = execute_concurrent_with_args(self.session, select, keys, concurrency=CONCURRENCY)
        batches = []
        for (key,), (_, result) in zip(keys, found, strict=True):
            rows = list(result)
            old = next(row for row in rows if row.group.startswith('3-20-'))
            batch = BatchStatement(BatchType.UNLOGGED)
            if version:
                batch.add(version, ((old.version or 0) + 1, key, old.version))
            batch.add(delete, (key, old.activity_id))
            batch.add(insert, (key, old.activity_id + 10**16, *old[2:7]))
            batches.append((batch, ()))
        execute_concurrent(self.session, batches, concurrency=CONCURRENCY)

    def pages(self) -> None:
        """Of feeds of a real number, each of activities that are in few others."""
        names = ('feed[:25]', 'filter(activity_id__lt=...)[:25]')
        if not self.report.wants(*names):
            return
        users, chance = range(self.some(FEEDS)), random.Random(7)
        self.fill(users, chance)
        self.report.note(f'{self.report.part}: pages are read from {len(users):,} flat feeds of 100')
        readers = chance.sample(users, min(PAGES, len(users)))
        # Half of the store is older.
        edge = works.activity(STORED // 2).serialization_id
        newest = self.prepare(f'SELECT {", ".join(_FLAT_COLUMNS)} FROM flat WHERE feed_id = ? LIMIT 25')
        before = self.prepare(
            f'SELECT {", ".join(_FLAT_COLUMNS)} FROM flat WHERE feed_id = ? AND activity_id < ? LIMIT 25'
        )

        def by_hand(user: int) -> Any:
            return list(self.session.execute(newest, (f'{works.TOKEN}:flat:{user}',)))

        def page_by_hand(user: int) -> Any:
            return list(self.session.execute(before, (f'{works.TOKEN}:flat:{user}', edge)))

        self.report.latencies(
            names[0], readers, ('library', lambda user: self.flat(user)[:25]), ('driver, one select', by_hand)
        )
        self.report.latencies(
            names[1],
            readers,
            ('library', lambda user: self.flat(user).filter(activity_id__lt=edge)[:25]),
            ('driver, one select', page_by_hand),
        )

    def fill(self, users: range, chance: random.Random) -> None:
        """Feeds of 100 activities each, taken at random; a batch writes to one feed, which costs least."""
        insert = self.insert('flat')
        for start in range(0, len(users), 100):
            rows: list[Sequence[Any]] = []
            for user in users[start : start + 100]:
                key = f'{works.TOKEN}:flat:{user}'
                rows += (self.row(key, works.activity(number)) for number in chance.sample(range(STORED), 100))
            self.in_batches(insert, rows)

    def follow(self) -> None:
        targets = range(1, self.some(20) + 1)
        for target in targets:
            self.user(target).add_many(works.activities(100, actor=target, first=100 * target))
        select = self.prepare(f'SELECT {", ".join(_FLAT_COLUMNS)} FROM users WHERE feed_id = ? LIMIT 5000')
        insert = self.insert('flat')
        reader = self.flat('reader')

        def rows() -> Any:
            keys = [(f'{works.TOKEN}:user:{target}',) for target in targets]
            found = execute_concurrent_with_args(self.session, select, keys, concurrency=CONCURRENCY)
            return ((reader.key, *row[1:]) for _, result in found for row in result)

        self.report.duration(
            f'following {len(targets)} users of 100 activities',
            Contender(
                'library', lambda: self.manager.follow_many_users('reader', targets, async_=False), reader.delete
            ),
            Contender('driver, single rows', lambda: self.one_by_one(insert, rows()), reader.delete),
            Contender(f'driver, batches of {BATCH}', lambda: self.in_batches(insert, rows()), reader.delete),
        )

    def import_activities(self) -> None:
        imported = works.activities(self.some(500))
        insert = self.insert('users')
        feed = self.user(13)

        def rows() -> Any:
            return (self.row(feed.key, item) for item in imported)

        self.report.duration(
            f'importing {len(imported)} activities',
            Contender('library', lambda: self.manager.batch_import(13, imported), feed.delete),
            Contender('driver, single rows', lambda: self.one_by_one(insert, rows()), feed.delete),
            Contender(f'driver, batches of {BATCH}', lambda: self.in_batches(insert, rows()), feed.delete),
        )
