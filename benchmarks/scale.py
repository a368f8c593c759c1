"""How costs grow: with followers, with the length of a feed, with users, and with activities in the store.

Everything is said for one unit (a follower, an entry, an activity, a page): in a library that scales it stays the same.
"""

from __future__ import annotations

import functools
import pathlib
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import works
from benchmarks.cassandra import BATCH, CassandraBenchmark
from benchmarks.measure import Contender
from benchmarks.redis import RedisBenchmark
from benchmarks.store import Store

#: From how many writes on a fan-out is measured once: it takes seconds.
LARGE = 50_000
#: How many activities the largest store has, unless ``--activities`` says otherwise.
LARGEST = 10_000_000
#: Bytes of memory that an activity may take on the server, and what loading it takes: it takes less.
ROOM = 300


class RedisSeries(RedisBenchmark):
    """The series on Redis."""

    def works(self) -> Sequence[Callable[[], None]]:
        return (self.followers, self.lengths, self.groups, self.users, self.stored)

    def followers(self) -> None:
        """Of one user, to a million."""
        for count in self.points(100, 1_000_000):
            users = range(count)
            self.report.rate(
                'fan-out to empty flat feeds, chunks of 100',
                count,
                *self.fan_outs(users, 100, True, self.clear),
                runs=1 if count >= LARGE else None,
                axis='followers',
                at=count,
            )

    def lengths(self) -> None:
        """Of a flat feed, to 10,000 entries."""
        for length in self.points(10, 10_000):
            feed = works.feed(self.flat, 'flat', max_length=length)(1)
            stored = works.activities(length)
            feed.insert_activities(stored)
            self.fill(feed, stored)
            about = {'axis': 'entries of a feed', 'at': length}
            if self.report.wants('memory of an entry of a flat feed'):
                taken = self.raw.memory_usage(feed.key, samples=0) / length
                self.report.value('memory of an entry of a flat feed', taken, 'bytes', **about)
            for work, start in (('feed[:25]', 0), ('the last page', max(length - 25, 0))):
                self.read(work, [1] * 100, lambda _, feed=feed, start=start: feed[start : start + 25], start, **about)
            self.report.latencies(
                'feed.add(activity)',
                range(100),
                ('library', lambda _, feed=feed: feed.add(works.newer())),
                ('redis-py, one pipeline', lambda _, feed=feed: self.add_by_hand(feed)),
                **about,
            )
            self.clear()

    def read(
        self, work: str, users: Sequence[int], library: Callable[[int], Any], start: int = 0, **about: Any
    ) -> None:
        """A page of some users' feeds."""
        command = ('ZREVRANGE', start, start + 24)
        self.report.latencies(
            work,
            users,
            ('library', library),
            ('redis-py, two round trips', lambda user: self.by_hand.page_in_two_trips(user, command)),
            ('redis-py, one script', lambda user: self.by_hand.page_by_script(user, command)),
            **about,
        )

    def groups(self) -> None:
        """Of an aggregated feed, to 1,000."""
        for count in self.points(10, 1_000):
            feed = works.feed(self.aggregated, 'aggregated', max_length=count)(1)
            feed.add_many(works.grouped(count, of=3))
            about = {'axis': 'groups of a feed', 'at': count}
            if self.report.wants('memory of a group of 3'):
                taken = self.raw.memory_usage(feed.key, samples=0) / count
                self.report.value('memory of a group of 3', taken, 'bytes', **about)
            self.report.latencies(
                'aggregated feed[:25], groups of 3',
                [1] * 100,
                ('library', lambda _, feed=feed: feed[:25]),
                ('redis-py, two round trips', self.by_hand.groups_in_two_trips),
                **about,
            )
            self.report.latencies(
                'aggregated feed.add(activity)',
                range(100),
                ('library', lambda _, feed=feed, count=count: feed.add(works.joining(count))),
                **about,
            )
            self.clear()

    def users(self) -> None:
        """To 100,000, each with a feed of 100."""
        chance = random.Random(7)
        model = self.flat('model')
        self.fill(model, works.activities(100))
        before = self.raw.info('memory')['used_memory']
        filled = 0
        for count in self.points(1_000, 100_000):
            copies = [('COPY', model.key, self.flat(user).key) for user in range(filled, count)]
            self.pipelined(copies)
            about = {'axis': 'users', 'at': count}
            if self.report.wants('memory of a flat feed of 100'):
                taken = (self.raw.info('memory')['used_memory'] - before) / count
                self.report.value('memory of a flat feed of 100', taken, 'bytes', **about)
            # Feeds that no fan-out has reached yet.
            readers = chance.sample(range(filled, count), self.some(500))
            filled = count
            self.report.rate(
                'fan-out to 500 flat feeds of 100', len(readers), *self.fan_outs(readers, 100, True), **about
            )

    def stored(self) -> None:
        """Activities in the store, to 10 million; pages of feeds that have theirs from all of it."""
        work, memory = 'feed[:25], each other activities', 'memory of an activity'
        if not self.report.wants(work, memory):
            return
        store = Store(self.by_hand)
        before = self.raw.info('memory')['used_memory']
        readers = range(self.some(1000))
        for count in self.points(10_000, self.activities or LARGEST):
            if (room := available_memory()) is not None and (count - store.size) * ROOM > room:
                self.report.note(f'{self.report.part}: the store ends at {store.size:,} activities: memory ends there')
                break
            about = {'axis': 'activities', 'at': count}
            self.raw.delete(*(f'{works.TOKEN}:flat:{user}' for user in readers))
            store.grow(count)
            taken = (self.raw.info('memory')['used_memory'] - before) / count
            self.report.value(memory, taken, 'bytes', **about)
            store.fill_flat(readers)
            self.read(work, readers, lambda user: self.flat(user)[:25], **about)

    def fill(self, feed: Any, stored: Sequence[Any]) -> None:
        """Put activities into a feed, so few at a time as fan-outs do."""
        pairs = [part for item in stored for part in (item.serialization_id, item.serialization_id)]
        for start in range(0, len(pairs), 200):
            self.raw.execute_command('ZADD', feed.key, *pairs[start : start + 200])

    def add_by_hand(self, feed: Any) -> None:
        """Store an activity and put it into a feed, which is trimmed: one pipeline."""
        item = works.newer()
        pipeline = self.raw.pipeline(transaction=False)
        pipeline.hset(*self.by_hand.stored(item))
        pipeline.zadd(feed.key, {str(item.serialization_id): item.serialization_id})
        pipeline.zremrangebyrank(feed.key, 0, -feed.max_length - 1)
        pipeline.execute()


def available_memory() -> int | None:
    """Bytes of this machine's memory that are left; ``None`` where that can't be known."""
    try:
        found = re.search(r'^MemAvailable:\s+(\d+) kB', pathlib.Path('/proc/meminfo').read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


class CassandraSeries(CassandraBenchmark):
    """The series on Cassandra."""

    def works(self) -> Sequence[Callable[[], None]]:
        return (self.followers, self.lengths)

    def followers(self) -> None:
        insert = self.insert('flat')
        for count in self.points(100, 1_000_000):
            users = range(count)

            def by_hand(users: range = users) -> None:
                item = works.newer()
                self.in_batches(insert, (self.row(f'{works.TOKEN}:flat:{user}', item) for user in users))

            self.report.rate(
                'fan-out to flat feeds, chunks of 100',
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
            about = {'axis': 'entries of a feed', 'at': length}
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
