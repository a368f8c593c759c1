"""Follows, mutes and blocks: the library beside what an expert writes by hand, and beside itself without them.

A fan-out begins with storing the activity and ends with the last follower's feed. Its tasks run in this process, one
after the other, so what is compared is the work, not the broker.
"""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from celery import current_app

from benchmarks import works
from benchmarks.measure import Contender, Report
from stream_framework import settings
from stream_framework.feed_managers.base import FanoutPriority, Manager

#: How many followers the author has, and how many of them read a chunk.
FOLLOWERS, CHUNK = 10_000, 100
#: Of how many followers one has muted the author.
MUTED_OF = 100
#: How many users somebody follows at once, and how many activities each of them has.
TARGETS, ACTIVITIES = 20, 100
#: How many users' questions are timed.
READERS = 300

AUTHOR = 10_000_000
_PEOPLE = range(20_000_000, 20_000_000 + 2000)


class ByHand:
    """What an expert writes for one backend. What a backend lacks here isn't compared there."""

    name = ''

    def follow(self, user: int, targets: Sequence[int]) -> None:
        """Record follows at both ends, and copy what the targets did."""
        raise NotImplementedError

    def is_following(self, user: int, targets: Sequence[int]) -> set[int]:
        """Return those whom a user follows."""
        raise NotImplementedError

    def page(self, user: int) -> list[tuple[int, int]]:
        """Return ``(follower, milliseconds)`` of the 25 newest followers."""
        raise NotImplementedError

    def fan_out(self, asks: bool) -> None:
        """Read the author's followers, and write a new activity into their feeds.

        :param asks: who has muted him, and leave these out
        """
        raise NotImplementedError


class GivenFollowers(Manager):
    """Knows the followers' ids."""

    benchmark: FollowsBenchmark

    def get_user_follower_ids(self, user_id: Any) -> dict[Any, Any]:
        return {FanoutPriority.HIGH: self.benchmark.given}


class FollowsBenchmark(works.Benchmark):
    """All works on one backend.

    :param place: its name in the table
    :param base: the class of its flat feeds
    :param storage_class: of its follow storage
    """

    def __init__(
        self, report: Report, scale: float, place: str, base: Any, storage_class: Any, by_hand: ByHand | None = None
    ) -> None:
        super().__init__(report, scale)
        self.place = place
        self.by_hand = by_hand
        self.flat = works.feed(base, 'flat')
        self.user = works.user_feed(base)
        self.followers = list(range(self.some(FOLLOWERS)))
        self.given: list[int] = self.followers
        shared = {'feed_classes': {'flat': self.flat}, 'user_feed_class': self.user, 'fanout_chunk_size': CHUNK}
        follows = {'follow_storage_class': storage_class, 'follow_name': works.TOKEN}
        self.kept = type('Kept', (Manager,), {**shared, **follows})()
        self.without = type('Given', (GivenFollowers,), {**shared, 'benchmark': self})()
        self.storage = self.kept.get_follow_storage()

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        try:
            with run_at_once():
                self.questions()
                self.follow()
                self.fan_out()
        finally:
            self.storage.flush()

    def named(self, work: str) -> str:
        """The name of a work."""
        return f'{self.place}: {work}'

    def contenders(self, library: Callable[..., Any], by_hand: str) -> list[tuple[str, Callable[..., Any]]]:
        """The library, and what is done by hand, if there is such a thing."""
        found = [('library', library)]
        if self.by_hand is not None:
            found.append((self.by_hand.name, getattr(self.by_hand, by_hand)))
        return found

    # Questions

    def questions(self) -> None:
        """Is following, and pages of followers."""
        is_following, page = self.named('is_following of 100'), self.named('a page of 25 followers')
        if not self.report.wants(is_following, page):
            return
        people = _PEOPLE[: self.some(len(_PEOPLE))]
        rows = ((user, people[(user + step * step) % len(people)], None) for user in people for step in range(1, 31))
        self.storage.import_follows(row for row in rows if row[0] != row[1])
        readers = people[: self.some(READERS)]
        asked = [list(people[place : place + 100]) for place in range(len(readers))]
        for work, ways in (
            (
                is_following,
                self.contenders(lambda user: self.kept.is_following(user, asked[user % len(asked)]), 'is_following'),
            ),
            (page, self.contenders(lambda user: self.kept.get_followers(user), 'page')),
        ):
            if self.by_hand is not None and work == is_following:
                hand = self.by_hand
                ways[1] = (hand.name, lambda user, hand=hand: hand.is_following(user, asked[user % len(asked)]))
                if ways[0][1](readers[0]) != ways[1][1](readers[0]):
                    raise RuntimeError(f'{work}: the contenders do not agree')
            self.report.latencies(work, readers, *ways)

    # Following

    def follow(self) -> None:
        """Following some users at once: recording, and copying what they did."""
        targets = list(range(AUTHOR + 1, AUTHOR + 1 + self.some(TARGETS)))
        work = self.named(f'following {len(targets)} users of {ACTIVITIES} activities')
        if not self.report.wants(work):
            return
        for target in targets:
            stored = works.activities(ACTIVITIES, actor=target, first=ACTIVITIES * (target - AUTHOR))
            self.without.batch_import(target, stored, fanout=False)
        reader = AUTHOR + 1000

        def forget() -> None:
            self.storage.unfollow(reader, targets)
            self.flat(reader).delete()

        ways = [
            Contender('library', lambda: self.kept.follow_many_users(reader, targets, async_=False), forget),
            Contender(
                'library, without a follow storage',
                lambda: self.without.follow_many_users(reader, targets, async_=False),
                forget,
            ),
        ]
        if self.by_hand is not None:
            hand = self.by_hand
            ways.append(Contender(hand.name, lambda: hand.follow(reader, targets), forget))
        self.report.duration(work, *ways)
        forget()

    # Fan-outs

    def fan_out(self) -> None:
        """Fan-out to the followers that the library keeps; without mutes, and with some."""
        count = len(self.followers)
        plain, muted = self.named(f'fan-out to {count:,} followers'), self.named(f'fan-out to {count:,}, 1 % muted')
        if not self.report.wants(plain, muted):
            return
        self.storage.import_follows((user, AUTHOR, None) for user in self.followers)
        self.compare_fan_outs(plain, asks=False)
        silent = set(self.followers[1::MUTED_OF])
        for user in silent:
            self.storage.mute(user, AUTHOR)
        self.given = [user for user in self.followers if user not in silent]
        self.compare_fan_outs(muted, asks=True)

    def compare_fan_outs(self, work: str, asks: bool) -> None:
        """Measure fan-outs; the feeds grow alike for all."""

        def publish(manager: Manager) -> None:
            activity = works.newer()
            activity.actor_id = AUTHOR
            manager.add_user_activity(AUTHOR, activity)

        ways = [
            Contender('library', lambda: publish(self.kept)),
            Contender('library, ids given', lambda: publish(self.without)),
        ]
        if self.by_hand is not None:
            hand = self.by_hand
            ways.append(Contender(hand.name, lambda: hand.fan_out(asks)))
        self.report.rate(work, len(self.given), *ways)


@contextlib.contextmanager
def run_at_once() -> Iterator[None]:
    """Run tasks where they are published."""
    conf = current_app.conf
    before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
    conf.update(task_always_eager=True, task_eager_propagates=True)
    try:
        yield
    finally:
        conf.update(before)


# Redis


class RedisByHand(ByHand):
    """redis-py: sorted sets for both ends, a set of those who have muted."""

    name = 'redis-py'

    def __init__(self, client: Any) -> None:
        from benchmarks.redis_by_hand import ByHand as Feeds

        self.client = client
        self.feeds = Feeds(client)

    def follow(self, user: int, targets: Sequence[int]) -> None:
        now = time.time_ns() // 1_000_000
        pipeline = self.client.pipeline()
        pipeline.zadd(f'{works.TOKEN}:hand:followed:{user}', dict.fromkeys(map(str, targets), now), nx=True)
        for target in targets:
            pipeline.zadd(f'{works.TOKEN}:hand:followers:{target}', {str(user): now}, nx=True)
        pipeline.execute()
        self.feeds.follow(f'{works.TOKEN}:flat:{user}', targets)

    def is_following(self, user: int, targets: Sequence[int]) -> set[int]:
        scores = self.client.zmscore(f'stream:{_quoted()}:followed:{user}', targets)
        return {target for target, score in zip(targets, scores, strict=True) if score is not None}

    def page(self, user: int) -> list[tuple[int, int]]:
        found = self.client.zrevrange(f'stream:{_quoted()}:followers:{user}', 0, 24, withscores=True)
        return [(int(text), int(since)) for text, since in found]

    def fan_out(self, asks: bool) -> None:
        key = f'stream:{_quoted()}:followers:{AUTHOR}'
        muted = {text[1:] for text in self.client.smembers(f'stream:{_quoted()}:hidden:{AUTHOR}')} if asks else set()
        first = 0
        while page := self.client.zrevrange(key, first, first + 999):
            first += len(page)
            self.feeds.fan_out_by_script([user for user in page if user not in muted])


def _quoted() -> str:
    return works.TOKEN.replace(':', '%3A')


def on_redis(report: Report, host: str, port: int, scale: float) -> None:
    """Measure on a Redis server."""
    import redis

    from benchmarks.redis import Flat
    from stream_framework.storage.redis.follow_storage import RedisFollowStorage

    settings.STREAM_REDIS_CONFIG = {'default': {'host': host, 'port': port}}
    raw = redis.Redis(host=host, port=port, decode_responses=True)

    def server_seconds() -> float:
        used = raw.info('cpu')
        return float(used['used_cpu_user'] + used['used_cpu_sys'])

    report.server_seconds = server_seconds
    try:
        FollowsBenchmark(report, scale, 'Redis', Flat, RedisFollowStorage, RedisByHand(raw)).run()
    finally:
        report.server_seconds = None
        # Only what is the benchmark's: the server may be a given one. What was published last expires by itself.
        keys = list(raw.scan_iter(match=f'*{works.TOKEN}:*', count=1000))
        for start in range(0, len(keys), 1000):
            raw.unlink(*keys[start : start + 1000])
        raw.close()


# SQLite


class SqliteByHand(ByHand):
    """The sqlite3 module, on the library's own tables."""

    name = 'sqlite3'

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute('PRAGMA synchronous = NORMAL')
        self.connection.execute(
            'CREATE TABLE hand_follows (user int, target int, since int, PRIMARY KEY (user, target))'
        )
        self.connection.execute('CREATE INDEX hand_followers ON hand_follows (target, since)')
        self.connection.execute('CREATE TABLE hand_feeds (user int, id int, PRIMARY KEY (user, id)) WITHOUT ROWID')
        self.number = 0

    def follow(self, user: int, targets: Sequence[int]) -> None:
        now = time.time_ns() // 1_000_000
        with self.transaction():
            self.connection.executemany(
                'INSERT OR IGNORE INTO hand_follows VALUES (?, ?, ?)', [(user, target, now) for target in targets]
            )
            self.connection.executemany(
                'INSERT OR IGNORE INTO hand_feeds VALUES (?, ?)',
                [(user, ACTIVITIES * target + number) for target in targets for number in range(ACTIVITIES)],
            )

    def is_following(self, user: int, targets: Sequence[int]) -> set[int]:
        marks = ','.join('?' * len(targets))
        query = f'SELECT target_id FROM stream_follows WHERE name = ? AND user_id = ? AND target_id IN ({marks})'
        rows = self.connection.execute(query, [works.TOKEN, str(user), *map(str, targets)])
        return {int(text) for (text,) in rows}

    def page(self, user: int) -> list[tuple[int, int]]:
        query = (
            'SELECT user_id, since FROM stream_follows WHERE name = ? AND target_id = ? '
            'ORDER BY since DESC, user_id DESC LIMIT 25'
        )
        return [(int(text), since) for text, since in self.connection.execute(query, [works.TOKEN, str(user)])]

    def fan_out(self, asks: bool) -> None:
        self.number += 1
        query = 'SELECT user_id FROM stream_follows WHERE name = ? AND target_id = ?'
        values = [works.TOKEN, str(AUTHOR)]
        if asks:
            muted = "SELECT user_id FROM stream_hides WHERE name = ? AND kind = 'mute' AND target_id = ?"
            query += f' AND user_id NOT IN ({muted})'
            values *= 2
        users = [int(text) for (text,) in self.connection.execute(query, values)]
        for start in range(0, len(users), CHUNK):
            with self.transaction():
                self.connection.executemany(
                    'INSERT OR IGNORE INTO hand_feeds VALUES (?, ?)',
                    [(user, self.number) for user in users[start : start + CHUNK]],
                )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction."""
        self.connection.execute('BEGIN IMMEDIATE')
        yield
        self.connection.execute('COMMIT')


def on_sqlite(report: Report, scale: float) -> None:
    """Measure on a file."""
    from stream_framework.feeds.sql import SqlFeed
    from stream_framework.storage.sql import connection
    from stream_framework.storage.sql.follow_storage import SqlFollowStorage

    before = settings.STREAM_SQL_URL
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, 'follows.sqlite3'))
        settings.STREAM_SQL_URL = f'sqlite:///{path}'
        connection.reset()
        hand = SqliteByHand(path)
        try:
            FollowsBenchmark(report, scale, 'SQLite', SqlFeed, SqlFollowStorage, hand).run()
        finally:
            hand.connection.close()
            connection.reset()
            settings.STREAM_SQL_URL = before


# Memory and Cassandra: beside the library itself


def in_memory(report: Report, scale: float) -> None:
    """Measure in this process."""
    from stream_framework.feeds.memory import Feed
    from stream_framework.storage.memory import InMemoryFollowStorage

    FollowsBenchmark(report, scale, 'memory', Feed, InMemoryFollowStorage).run()


def on_cassandra(report: Report, configuration: dict[str, Any], scale: float) -> None:
    """Measure in a keyspace that is dropped in the end."""
    from stream_framework.feeds.cassandra import CassandraFeed
    from stream_framework.storage.cassandra import connection, schema
    from stream_framework.storage.cassandra.follow_storage import CassandraFollowStorage

    keyspace = works.TOKEN.replace(':', '_')
    settings.configure(**{**configuration, 'STREAM_DEFAULT_KEYSPACE': keyspace})
    try:
        benchmark = FollowsBenchmark(report, scale, 'Cassandra', CassandraFeed, CassandraFollowStorage)
        benchmark.flat.timeline_cf_name, benchmark.user.timeline_cf_name = 'flat', 'users'
        schema.sync(benchmark.flat, benchmark.user, CassandraFollowStorage, keyspace=keyspace, replication_factor=1)
        benchmark.run()
    finally:
        connection.get_session().execute(f'DROP KEYSPACE IF EXISTS {keyspace}', timeout=60)
        connection.reset()
