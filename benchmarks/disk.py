"""What an entry takes on Cassandra's disk: a node of its own is filled and ended, and its files are added up."""

from __future__ import annotations

import datetime
import os
import random
import signal
from collections.abc import Callable
from typing import Any

from benchmarks import servers, works
from stream_framework import settings
from stream_framework.activity import Activity
from stream_framework.aggregators.base import NotificationAggregator
from stream_framework.feed_managers.base import add_operation
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed
from stream_framework.storage.cassandra import connection, schema
from stream_framework.verbs import Add, Comment, Love

#: What is added to each group's row.
IN_A_GROUP = 5
GROUPS = 20


class DiskBenchmark(works.Benchmark):
    """Bytes of a row, all files of its table taken together, compressed as the server does by default."""

    chance: random.Random

    def run(self) -> None:
        """Measure everything."""
        if not self.report.wants('bytes on disk'):
            return
        from tests.servers import cassandra_nodes, processes

        self.chance = random.Random(1)
        flat = works.feed(CassandraFeed, 'flat', timeline_cf_name='flat', trim_chance=0)
        rich = works.feed(CassandraFeed, 'rich', timeline_cf_name='rich', trim_chance=0)
        aggregated = works.feed(
            CassandraAggregatedFeed, 'aggregated', timeline_cf_name='groups', aggregator_class=NotificationAggregator
        )
        notification = works.feed(CassandraNotificationFeed, 'notification', timeline_cf_name='notes')
        users = self.chance.sample(range(10**8), self.some(500))
        with servers.cassandra_for_long():
            node = cassandra_nodes.single()
            try:
                node.start()
                settings.configure(**cassandra_nodes.make_keyspace([node.host], node.port, 1))
                keyspace = settings.STREAM_DEFAULT_KEYSPACE
                schema.sync(flat, rich, aggregated, notification, keyspace=keyspace, replication_factor=1)
                self.manager = works.manager(flat)
                self.fan_out(flat, users, self.activity)
                self.fan_out(rich, users, lambda: self.activity(self.context()))
                for user in users[: len(users) // 10 + 1]:
                    for feed_class in (aggregated, notification):
                        feed_class(user).add_many(self.grouped())
                connection.reset()
                # It writes everything to its files before it ends.
                os.kill(node.server.pid, signal.SIGTERM)
                processes.wait_until(lambda: not node.server.running, 60, 'Cassandra to end')
                sizes = {
                    table.name.rpartition('-')[0]: sum(file.stat().st_size for file in table.glob('*.db'))
                    for table in (node.folder / 'data' / 'data' / keyspace).iterdir()
                }
            finally:
                connection.reset()
                node.stop()
        grouped = (len(users) // 10 + 1) * GROUPS
        for name, table, rows in (
            ('an activity', 'flat', len(users) * 100),
            ('an activity with a small context', 'rich', len(users) * 100),
            (f'a group of {IN_A_GROUP} activities', 'groups', grouped),
            (f'a notification of {IN_A_GROUP} activities', 'notes', grouped),
        ):
            self.report.value(f'bytes on disk of {name}', sizes[table] / rows, 'bytes')

    def fan_out(self, feed_class: Any, users: list[int], make: Callable[[], Activity]) -> None:
        """100 activities to all, one after the other."""
        for _ in range(100):
            for start in range(0, len(users), 500):
                some = users[start : start + 500]
                self.manager.fanout(some, feed_class, add_operation, {'activities': [make()], 'trim': False})

    def activity(self, context: dict[str, Any] | None = None) -> Activity:
        """An activity of ids as large services have them."""
        chance = self.chance
        return Activity(
            chance.randrange(10**8),
            chance.choice([Love, Add, Comment]),
            chance.randrange(10**9),
            chance.choice([None, chance.randrange(10**6)]),
            works.START + datetime.timedelta(seconds=10**7 * chance.random()),
            dict(context or {}),
        )

    def context(self) -> dict[str, Any]:
        """Like all others in its names, and like none in its values."""
        return {**works.CONTEXT, 'title': f'{works.CONTEXT["title"]} {self.chance.randrange(10**6)}'}

    def grouped(self) -> list[Activity]:
        """Activities of a day that make 20 groups."""
        return [
            Activity(
                self.chance.randrange(10**8),
                Love,
                10**6 + group,
                time=works.START + datetime.timedelta(seconds=60 * group + self.chance.random()),
            )
            for group in range(GROUPS)
            for _ in range(IN_A_GROUP)
        ]
