"""How costs grow: with the followers of one user, the length of a feed, the number of users."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import works
from benchmarks.cassandra import BATCH, CassandraBenchmark
from benchmarks.measure import Contender
from benchmarks.redis import RedisBenchmark

#: From how many writes on a fan-out is measured once: it takes seconds.
LARGE = 50_000


class RedisSeries(RedisBenchmark):
    """The series on Redis."""

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        try:
            self.followers()
            self.lengths()
            self.groups()
            self.users()
        finally:
            self.clear()
            self.raw.close()

    def followers(self) -> None:
        for count in self.points(10, 1_000_000):
            users = range(count)
            self.report.rate(
                'fan-out to empty flat feeds',
                count,
                Contender('library', functools.partial(self.fan_out_by_manager, users, self.flat), self.clear),
                Contender('redis-py, pipelines of ZADD', functools.partial(self.fan_out_raw, users), self.clear),
                runs=1 if count >= LARGE else None,
                axis='followers',
                at=count,
            )
        self.clear()

    def lengths(self) -> None:
        for length in self.points(10, 10_000):
            feed = works.feed(self.flat, 'flat', max_length=length)(1)
            stored = works.activities(length)
            feed.insert_activities(stored)
            self.fill(feed, stored)
            about = {'axis': 'feed length', 'at': length}
            self.report.value('memory of a flat feed', self.raw.memory_usage(feed.key, samples=0), 'bytes', **about)
            self.measure_reads(feed, length, about)
            self.report.latencies(
                'feed.add(activity)',
                range(100),
                ('library', lambda _, feed=feed: feed.add(works.newer())),
                ('redis-py, one round trip', lambda _, feed=feed: self.add_raw(feed)),
                **about,
            )
            self.clear()

    def measure_reads(self, feed: Any, length: int, about: dict[str, Any]) -> None:
        last = max(length - 25, 0)
        for work, start in (('feed[:25]', 0), ('the last page', last)):

            def library(_: int, start: int = start) -> Any:
                return feed[start : start + 25]

            def by_hand(_: int, start: int = start) -> Any:
                return self.hydrate_raw(self.raw.zrevrange(feed.key, start, start + 24))

            self.report.latencies(
                work, range(100), ('library', library), ('redis-py, two round trips', by_hand), **about
            )

    def groups(self) -> None:
        for count in self.points(10, 1_000):
            feed = works.feed(self.aggregated, 'aggregated', max_length=count)(1)
            feed.add_many(works.grouped(count, of=3))
            about = {'axis': 'groups', 'at': count}
            taken = self.raw.memory_usage(feed.key, samples=0)
            self.report.value('memory of an aggregated feed, groups of 3', taken, 'bytes', **about)
            for work, call in (
                ('aggregated feed[:25], groups of 3', lambda _, feed=feed: feed[:25]),
                ('aggregated feed.add(activity)', lambda _, feed=feed, count=count: feed.add(works.joining(count))),
            ):
                self.report.latencies(work, range(100), ('library', call), **about)
            self.clear()

    def users(self) -> None:
        stored = works.activities(100)
        chance = random.Random(7)
        before = self.raw.info('memory')['used_memory']
        self.flat.insert_activities(stored)
        model = self.flat('model')
        self.fill(model, stored)
        filled = 0
        for count in self.points(1_000, 100_000):
            copies = [('COPY', model.key, self.flat(user).key) for user in range(filled, count)]
            self.pipelined(copies, 1000)
            about = {'axis': 'users', 'at': count}
            taken = self.raw.info('memory')['used_memory'] - before
            self.report.value('memory of all flat feeds of 100', taken, 'bytes', **about)
            # Feeds that no fan-out has reached yet.
            readers = chance.sample(range(filled, count), self.some(500))
            filled = count
            self.report.latencies(
                'feed[:25] of a user',
                readers[:100],
                ('library', lambda user: self.flat(user)[:25]),
                ('redis-py, two round trips', self.page_raw),
                **about,
            )
            self.report.rate(
                'fan-out to 500 flat feeds of 100',
                len(readers),
                Contender('library', functools.partial(self.fan_out_by_manager, readers, self.flat)),
                Contender('redis-py, ZADD and trimming', functools.partial(self.fan_out_raw, readers, trim=True)),
                **about,
            )
        self.clear()

    def page_raw(self, user: int) -> Any:
        return self.hydrate_raw(self.raw.zrevrange(self.flat(user).key, 0, 24))

    def fill(self, feed: Any, stored: Sequence[Any]) -> None:
        pairs = [part for item in stored for part in (item.serialization_id, item.serialization_id)]
        for start in range(0, len(pairs), 200):
            self.raw.execute_command('ZADD', feed.key, *pairs[start : start + 200])

    def add_raw(self, feed: Any) -> None:
        item = works.newer()
        pipeline = self.raw.pipeline(transaction=False)
        pipeline.hset(*self.stored_raw(item))
        pipeline.zadd(feed.key, {str(item.serialization_id): item.serialization_id})
        pipeline.zremrangebyrank(feed.key, 0, -feed.max_length - 1)
        pipeline.execute()


class CassandraSeries(CassandraBenchmark):
    """The series on Cassandra."""

    def works(self) -> Sequence[Callable[[], None]]:
        return (self.followers, self.lengths)

    def followers(self) -> None:
        insert = self.insert('flat')
        for count in self.points(10, 100_000):
            users = range(count)

            def by_hand(users: range = users) -> None:
                item = works.newer()
                self.in_batches(insert, (self.row(f'{works.TOKEN}:flat:{user}', item) for user in users))

            self.report.rate(
                'fan-out to flat feeds',
                count,
                Contender('library', functools.partial(self.fan_out_by_manager, users, self.flat)),
                Contender(f'driver, batches of {BATCH}', by_hand),
                runs=1 if count >= LARGE else None,
                axis='followers',
                at=count,
            )

    def lengths(self) -> None:
        for length in self.points(10, 10_000):
            feed = works.feed(self.flat, 'flat', max_length=length, trim_chance=0)(f'of {length}')
            feed.add_many(works.activities(length))
            about = {'axis': 'feed length', 'at': length}
            for work, start in (('feed[:25]', 0), ('the last page', max(length - 25, 0))):
                self.report.latencies(
                    work,
                    range(50),
                    ('library', lambda _, feed=feed, start=start: feed[start : start + 25]),
                    **about,
                )
            self.report.latencies(
                'feed.add(activity)', range(50), ('library', lambda _, feed=feed: feed.add(works.newer())), **about
            )
