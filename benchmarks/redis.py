"""Redis: the library beside redis-py (with hiredis, if it is installed), which does the same by hand.

What is done by hand is in :mod:`benchmarks.redis_by_hand`.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from benchmarks import works
from benchmarks.measure import Contender, Report
from benchmarks.redis_by_hand import ByHand, Command
from benchmarks.store import Store
from benchmarks.together import READERS, Together
from stream_framework import settings
from stream_framework.feed_managers.base import add_operation
from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed
from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.connection import get_redis_connection

#: How many activities the store has that pages are read from, unless ``--activities`` says otherwise; and how many flat
#: and how many aggregated feeds.
STORED, FLAT_FEEDS, AGGREGATED_FEEDS = 600_000, 5_000, 2_000
#: How many readers' pages are read, in turns.
PAGES = 1000


class ActivityStorage(RedisActivityStorage):
    """Activities under keys of the benchmark's own."""

    def get_key(self) -> str:
        return f'{works.TOKEN}:activities'


class Flat(RedisFeed):
    activity_storage_class = ActivityStorage


class Aggregated(RedisAggregatedFeed):
    activity_storage_class = ActivityStorage
    aggregator_class = works.ByObject


class RedisBenchmark(works.Benchmark):
    """All works on one server.

    :param activities: how many the largest store has; ``None`` for as many as each part has by default
    :param own: whether everything on the server is the benchmark's
    """

    def __init__(
        self,
        report: Report,
        host: str,
        port: int,
        scale: float = 1.0,
        activities: int | None = None,
        own: bool = False,
    ) -> None:
        super().__init__(report, scale)
        self.own = own
        self.activities = activities
        settings.STREAM_REDIS_CONFIG = {'default': {'host': host, 'port': port}}
        self.raw = redis.Redis(host=host, port=port, decode_responses=True)
        self.by_hand = ByHand(self.raw)
        self.flat = works.feed(Flat, 'flat')
        self.aggregated = works.feed(Aggregated, 'aggregated')
        self.notification = works.feed(RedisNotificationFeed, 'notification')
        self.user = works.user_feed(Flat)
        self.manager = works.manager(self.user, flat=self.flat)
        report.server_seconds = self.server_seconds

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        try:
            for work in self.works():
                work()
                self.clear()
        finally:
            self.clear()
            self.report.server_seconds = None
            self.raw.close()

    def works(self) -> Sequence[Callable[[], None]]:
        """What is measured, in this order."""
        return (
            self.fan_out,
            self.fan_out_to_groups,
            self.pages,
            self.follow,
            self.import_activities,
            self.notifications,
            self.memory,
            self.connection,
        )

    def server_seconds(self) -> float:
        """Processor time that the server has taken."""
        used = self.raw.info('cpu')
        return used['used_cpu_user'] + used['used_cpu_sys']

    def version(self) -> str:
        """The server's."""
        return f'Redis {self.raw.info("server")["redis_version"]}'

    def clear(self) -> None:
        """Delete what was written, and nothing else."""
        if self.own:
            self.raw.flushdb()
            return
        keys = list(self.raw.scan_iter(match=f'*{works.TOKEN}:*', count=1000))
        for start in range(0, len(keys), 1000):
            self.raw.delete(*keys[start : start + 1000])  # freed at once, so that memory can be measured

    def pipelined(self, commands: Sequence[tuple[Any, ...]], size: int = 1000) -> list[Any]:
        """Send by the raw client, so many in one pipeline."""
        replies: list[Any] = []
        for start in range(0, len(commands), size):
            pipeline = self.raw.pipeline(transaction=False)
            for command in commands[start : start + size]:
                pipeline.execute_command(*command)
            replies += pipeline.execute()
        return replies

    # Fan-out to flat feeds

    def fan_out(self) -> None:
        users = range(self.some(10_000))
        for state, size in itertools.product(('empty', 'holding 100'), (100, 1000)):
            work = f'fan-out to {len(users):,} flat feeds, {state}, chunks of {size}'
            if not self.report.wants(work):
                continue
            full = state != 'empty'
            if full:
                self.hold(users)
            self.report.rate(work, len(users), *self.fan_outs(users, size, full, None if full else self.clear))
            self.clear()

    def hold(self, users: range) -> None:
        """Fill flat feeds with 100 activities, the same for all."""
        held = [part for item in works.activities(100) for part in (item.serialization_id, item.serialization_id)]
        self.pipelined([('ZADD', f'{works.TOKEN}:flat:{user}', *held) for user in users], 100)

    def fan_outs(
        self, users: Sequence[int], size: int, full: bool, prepare: Callable[[], None] | None = None
    ) -> list[Contender]:
        """The contenders; what doesn't trim does other work in feeds that are full, and makes them longer."""
        found = [Contender('library', functools.partial(self.fan_out_by_manager, users, self.flat, size=size), prepare)]
        for trim in (True,) if full else (True, False):
            more = ' and trimming' if trim else ''
            for name, call in (
                ('script of', self.by_hand.fan_out_by_script),
                ('pipeline of', self.by_hand.fan_out_by_pipeline),
            ):
                run = functools.partial(call, users, size, trim)
                found.append(Contender(f'redis-py, {name} {size} ZADD{more}', run, prepare))
        return found

    # Fan-out to aggregated and to notification feeds

    def fan_out_to_groups(self) -> None:
        users = range(self.some(1000))
        unguarded = works.feed(Aggregated, 'unguarded', guard_updates=False, key_format=self.aggregated.key_format)
        for kind, alike, object_id in (
            ('joins a group', True, 20),
            ('joins a group, no two alike', False, 20),
            ('starts a group', True, 999),
        ):
            self.compare_fan_outs_to_groups(
                'aggregated',
                users,
                kind,
                alike,
                object_id,
                ('redis-py, two guarded scripts', self.by_hand.guarded_scripts),
                ('redis-py, read-merge-write', self.by_hand.read_merge_write),
                ('library, guard_updates = False', functools.partial(self.fan_out_joining, unguarded)),
            )
            if object_id == 20:
                self.compare_fan_outs_to_groups(
                    'notification',
                    users,
                    kind,
                    alike,
                    object_id,
                    ('redis-py, two guarded scripts', self.by_hand.guarded_scripts_and_marks),
                )

    def compare_fan_outs_to_groups(
        self,
        name: str,
        users: range,
        kind: str,
        alike: bool,
        object_id: int,
        *others: tuple[str, Callable[[range, int], None]],
    ) -> None:
        """Measure one kind of fan-out; all feeds hold 20 groups before.

        :param name: of the feeds: ``'aggregated'``, ``'notification'``
        :param alike: whether they hold the same
        :param object_id: what the group is of that the new activity belongs to
        """
        work = f'fan-out to {len(users):,} {name} feeds of 20 groups of 3, {kind}'
        if not self.report.wants(work):
            return
        feed_class = getattr(self, name)
        library = functools.partial(self.fan_out_joining, feed_class)
        fill = self.filling(feed_class, users, alike)
        contenders = [
            Contender(who, functools.partial(run, users, object_id), fill)
            for who, run in (('library', library), *others)
        ]
        self.report.rate(work, len(users), *contenders)
        self.clear()

    def fan_out_joining(self, feed_class: Any, users: range, object_id: int) -> None:
        """The library's."""
        self.fan_out_by_manager(users, feed_class, [works.joining(object_id)])

    def filling(self, feed_class: Any, users: range, alike: bool) -> Callable[[], None]:
        """What fills feeds with 20 groups, and their marks; anew each time."""
        template = feed_class('template')
        template.add_many(works.grouped(20, of=3))
        pairs = self.raw.zrange(template.key, 0, -1, withscores=True)
        lists = {
            name: self.raw.lrange(f'list:{template.key}:{name}', 0, -1)
            for name in ('unseen', 'unread')
            if feed_class is self.notification
        }
        template.delete()
        keys = [(user, feed_class(user).key) for user in users]

        def fill() -> None:
            commands: list[tuple[Any, ...]] = []
            for user, key in keys:
                # As if each feed's groups had been there for a while of their own.
                earlier = 0.0 if alike else user / 1000
                held = [part for text, score in pairs for part in (score, created_earlier(text, earlier))]
                commands += [('DEL', key), ('ZADD', key, *held)]
                for name, marks in lists.items():
                    commands += [('DEL', f'list:{key}:{name}'), ('RPUSH', f'list:{key}:{name}', *marks)]
            self.pipelined(commands)

        return fill

    # Pages

    def pages(self) -> None:
        """Of a store of real size, where no two pages are alike."""
        flat = ('feed[:25]', 'feed[25:50]', 'filter(activity_id__lt=...)[:25]')
        aggregated = 'aggregated feed[:25], 20 groups of 3'
        if not self.report.wants(*flat, aggregated, self.at_once(flat[0]), self.at_once(aggregated)):
            return
        store = Store(self.by_hand)
        store.grow(self.activities or self.some(STORED))
        users, others = range(self.some(FLAT_FEEDS)), range(self.some(AGGREGATED_FEEDS))
        store.fill_flat(users)
        store.fill_groups(others)
        self.report.note(
            f'{self.report.part}: pages are read from a store of {store.size:,} activities, {len(users):,} flat '
            f'feeds of 100, and {len(others):,} aggregated ones'
        )
        self.flat_pages(flat, store.chance.sample(users, min(PAGES, len(users))))
        self.aggregated_pages(aggregated, store.chance.sample(others, min(PAGES, len(others))))

    def flat_pages(self, names: Sequence[str], readers: Sequence[int]) -> None:
        edges = {user: int(self.raw.zrange(f'{works.TOKEN}:flat:{user}', -26, -26)[0]) for user in readers}

        def before(user: int) -> Command:
            return 'ZREVRANGEBYSCORE', f'({edges[user]}', '-inf', 'LIMIT', 0, 25

        ways: tuple[tuple[Callable[[int], Any], Callable[[int], Command]], ...] = (
            (lambda user: self.flat(user)[:25], lambda _: ('ZREVRANGE', 0, 24)),
            (lambda user: self.flat(user)[25:50], lambda _: ('ZREVRANGE', 25, 49)),
            (lambda user: self.flat(user).filter(activity_id__lt=edges[user])[:25], before),
        )
        for work, (library, command) in zip(names, ways, strict=True):
            contenders = [
                ('library', library),
                (
                    'redis-py, two round trips',
                    lambda user, command=command: self.by_hand.page_in_two_trips(user, command(user)),
                ),
                (
                    'redis-py, one script',
                    lambda user, command=command: self.by_hand.page_by_script(user, command(user)),
                ),
            ]
            self.agree(work, readers[0], contenders)
            self.report.latencies(work, readers, *contenders)
            if work == names[0]:
                self.read_at_once(work, readers, contenders)

    def aggregated_pages(self, work: str, readers: Sequence[int]) -> None:
        contenders = [
            ('library', lambda user: self.aggregated(user)[:25]),
            ('redis-py, two round trips', self.by_hand.groups_in_two_trips),
        ]
        self.agree(work, readers[0], contenders)
        self.report.latencies(work, readers, *contenders)
        self.read_at_once(work, readers, contenders)

    @staticmethod
    def at_once(work: str) -> str:
        """The name of the same work by many readers."""
        return f'{work}, {READERS} readers at once'

    def read_at_once(
        self, work: str, readers: Sequence[int], contenders: Sequence[tuple[str, Callable[[int], Any]]]
    ) -> None:
        """Pages a second of some processes together."""
        ways = [(name, Together(call, list(readers) * 2)) for name, call in contenders]
        # What Python takes is that of this process, which waits.
        self.report.rate(
            self.at_once(work),
            ways[0][1].amount,
            *(way.contender(name) for name, way in ways),
            unit='pages/s',
            elsewhere=True,
        )

    # Following and importing

    def follow(self) -> None:
        targets = range(1, self.some(20) + 1)
        work = f'following {len(targets)} users of 100 activities'
        if not self.report.wants(work):
            return
        for target in targets:
            stored = works.activities(100, actor=target, first=100 * target)
            self.user.insert_activities(stored)
            self.raw.zadd(self.user(target).key, {str(item.serialization_id): item.serialization_id for item in stored})
        key = self.flat('reader').key

        def forget() -> None:
            self.raw.delete(key)

        self.report.duration(
            work,
            Contender('library', lambda: self.manager.follow_many_users('reader', targets, async_=False), forget),
            Contender('redis-py, two pipelines', lambda: self.by_hand.follow(key, targets), forget),
        )

    def import_activities(self) -> None:
        imported = works.activities(self.some(500))
        self.report.duration(
            f'importing {len(imported)} activities',
            Contender('library', lambda: self.manager.batch_import(13, imported), self.clear),
            Contender('redis-py, one pipeline', lambda: self.by_hand.import_activities(13, imported), self.clear),
        )

    # Notifications

    def notifications(self) -> None:
        users = range(self.some(300))
        page = 'notification feed[:25], 20 groups of 3'
        names = ('notification count_unseen', 'notification mark_all', 'notification add')
        if not self.report.wants(page, *names):
            return
        self.filling(self.notification, users, alike=False)()
        objects = itertools.cycle(range(1, 21))

        def unseen(user: int) -> str:
            return f'list:{works.TOKEN}:notification:{user}:unseen'

        pages = (
            ('library', lambda user: self.notification(user)[:25]),
            ('redis-py, one pipeline', self.by_hand.notifications_in_one_trip),
        )
        self.agree(page, users[0], pages)
        self.report.latencies(page, users, *pages)
        self.report.latencies(
            names[0],
            users,
            ('library', lambda user: self.notification(user).count_unseen()),
            ('redis-py, LLEN', lambda user: self.raw.llen(unseen(user))),
        )
        self.report.latencies(
            names[1],
            users,
            ('library', lambda user: self.notification(user).mark_all()),
            ('redis-py, DEL', lambda user: self.raw.delete(unseen(user))),
        )
        self.report.latencies(
            names[2],
            users,
            ('library', lambda user: self.notification(user).add(works.joining(next(objects)))),
            (
                'redis-py, two guarded scripts',
                lambda user: self.by_hand.notify_guarded(user, works.joining(next(objects))),
            ),
            ('redis-py, read and MULTI', lambda user: self.by_hand.notify(user, works.joining(next(objects)))),
        )

    # Memory, and what a look-up of the client costs

    def memory(self) -> None:
        self.memory_of_feeds()
        for name, context in (('', None), (' with a small context', works.CONTEXT)):
            work = f'memory of an activity{name}'
            if self.report.wants(work):
                stored = works.activities(self.some(10_000))
                for item in stored:
                    item.extra_context = dict(context or {})
                taken = self.taken(lambda stored=stored: self.flat.insert_activities(stored))
                self.report.value(work, taken / len(stored), 'bytes')
                self.clear()

    def memory_of_feeds(self) -> None:
        # Of a few feeds, less would be measured than what the server takes and frees by itself.
        users = range(max(self.some(200), 100))

        def fill(feed_class: Any, items: Sequence[Any]) -> None:
            # One at a time, as feeds are filled: how a feed grew decides how Redis keeps it.
            for item in items:
                for start in range(0, len(users), 100):
                    some = users[start : start + 100]
                    self.manager.fanout(some, feed_class, add_operation, {'activities': [item]})

        for work, feed_class, items in (
            ('memory of a flat feed of 100, after 500 single adds', self.flat, works.activities(500)),
            ('memory of an aggregated feed, 20 groups of 3', self.aggregated, works.grouped(20, of=3)),
            ('memory of a notification feed, 20 groups of 3', self.notification, works.grouped(20, of=3)),
        ):
            if self.report.wants(work):
                taken = self.taken(functools.partial(fill, feed_class, items)) / len(users)
                self.report.value(work, taken, 'bytes')
                self.clear()

    def taken(self, work: Callable[[], Any]) -> int:
        """Return by how many bytes the server's memory grows: keys and their table, not its clients' buffers."""
        before = self.held()
        work()
        return self.held() - before

    def held(self) -> int:
        """Return how many bytes the server holds, without those for its connections, which come and go."""
        memory = self.raw.info('memory')
        return int(memory['used_memory'] - memory['mem_clients_normal'])

    def connection(self) -> None:
        if not self.report.wants('get_redis_connection'):
            return
        count, found = 1000, []
        for _ in range(self.report.runs):
            start = time.perf_counter()
            for _ in range(count):
                get_redis_connection()
            found.append((time.perf_counter() - start) / count)
        self.report.value('get_redis_connection()', 1e6 * statistics.median(found), 'microseconds')


def created_earlier(text: str, seconds: float) -> str:
    """A stored group that was created so much earlier."""
    parts = text.split(';;')
    parts[1] = f'{float(parts[1]) - seconds:.6f}'
    return ';;'.join(parts)
