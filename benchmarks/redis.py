"""Redis: the library beside redis-py (with hiredis, if it is installed), which does the same by hand."""

from __future__ import annotations

import datetime
import functools
import hashlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from benchmarks import works
from benchmarks.measure import Contender, Report
from stream_framework import settings
from stream_framework.feed_managers.base import add_operation
from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed
from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.connection import get_redis_connection

#: How many commands one pipeline of the raw client holds.
PIPELINE = 100

_EPOCH = datetime.datetime(1970, 1, 1)

# What one would write by hand to read ids and activities in one round trip: a command that reads ids, and the hashes.
# Lua has no MD5, so each hash is asked for what those before it didn't have.
_READ_PAGE = """
local members = redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
local page, missing, places, left = {}, {}, {}, #members
for i, member in ipairs(members) do
  page[2 * i - 1], page[2 * i], missing[i], places[i] = member, false, member, 2 * i
end
for hash = 2, #KEYS do
  if left == 0 then break end
  local values, still = redis.call('HMGET', KEYS[hash], unpack(missing, 1, left)), 0
  for i = 1, left do
    if values[i] then
      page[places[i]] = values[i]
    else
      still = still + 1
      missing[still], places[still] = missing[i], places[i]
    end
  end
  left = still
end
return page
"""


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

    :param own: whether everything on the server is the benchmark's
    """

    def __init__(self, report: Report, host: str, port: int, scale: float = 1.0, own: bool = False) -> None:
        super().__init__(report, scale)
        self.own = own
        settings.STREAM_REDIS_CONFIG = {'default': {'host': host, 'port': port}}
        self.raw = redis.Redis(host=host, port=port, decode_responses=True)
        self.flat = works.feed(Flat, 'flat')
        self.aggregated = works.feed(Aggregated, 'aggregated')
        self.notification = works.feed(RedisNotificationFeed, 'notification')
        self.user = works.user_feed(Flat)
        self.manager = works.manager(self.user, flat=self.flat)

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        try:
            self.fan_out()
            self.fan_out_aggregated()
            self.pages()
            self.follow()
            self.import_activities()
            self.notifications()
            self.memory()
            self.connection()
        finally:
            self.clear()
            self.raw.close()

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
            self.raw.unlink(*keys[start : start + 1000])

    def pipelined(self, commands: Sequence[tuple[Any, ...]], size: int = PIPELINE) -> list[Any]:
        """Send by the raw client, so many in one pipeline."""
        replies: list[Any] = []
        for start in range(0, len(commands), size):
            pipeline = self.raw.pipeline(transaction=False)
            for command in commands[start : start + size]:
                pipeline.execute_command(*command)
            replies += pipeline.execute()
        return replies

    # Flat fan-out

    def fan_out(self) -> None:
        users = range(self.some(10_000))
        for state in ('empty', 'holding 100'):
            full = state != 'empty'
            if full and any(
                self.report.wants(f'fan-out to {len(users):,} flat feeds, {state}, chunks of {size}')
                for size in (100, 1000)
            ):
                held = {str(item.serialization_id): item.serialization_id for item in works.activities(100)}
                for user in users:
                    self.raw.zadd(self.flat(user).key, held)
            prepare = None if full else self.clear
            for size in (100, 1000):
                contenders = [
                    Contender(
                        'library', functools.partial(self.fan_out_by_manager, users, self.flat, size=size), prepare
                    ),
                    Contender('redis-py, pipelines of ZADD', lambda: self.fan_out_raw(users), prepare),
                ]
                if full:
                    contenders.append(
                        Contender('redis-py, ZADD and trimming', lambda: self.fan_out_raw(users, trim=True), prepare)
                    )
                work = f'fan-out to {len(users):,} flat feeds, {state}, chunks of {size}'
                self.report.rate(work, len(users), *contenders)
        self.clear()

    def fan_out_raw(self, users: Sequence[int], trim: bool = False) -> None:
        activity_id = works.newer().serialization_id
        pair = {str(activity_id): activity_id}
        for start in range(0, len(users), PIPELINE):
            pipeline = self.raw.pipeline(transaction=False)
            for user in users[start : start + PIPELINE]:
                key = f'{works.TOKEN}:flat:{user}'
                pipeline.zadd(key, pair)
                if trim:
                    pipeline.zremrangebyrank(key, 0, -101)
            pipeline.execute()

    # Aggregated fan-out

    def fan_out_aggregated(self) -> None:
        users = range(self.some(1000))
        feed = self.aggregated('template')
        feed.add_many(works.grouped(20, of=3))
        template = self.raw.zrange(feed.key, 0, -1, withscores=True)

        def held(user: int) -> list[Any]:
            return [value for member, score in template for value in (score, member)]

        def held_apart(user: int) -> list[Any]:
            # As if each feed's groups had been there for a while of their own.
            return [value for member, score in template for value in (score, self.created_earlier(member, user / 1000))]

        unguarded = works.feed(Aggregated, 'unguarded', guard_updates=False, key_format=self.aggregated.key_format)
        for kind, object_id, groups in (
            ('joins a group', 20, held),
            ('joins a group, no two alike', 20, held_apart),
            ('starts a group', 999, held),
        ):

            def fill(groups: Callable[[int], list[Any]] = groups) -> None:
                keys = [(user, f'{works.TOKEN}:aggregated:{user}') for user in users]
                self.pipelined([('DEL', key) for _, key in keys], 1000)
                self.pipelined([('ZADD', key, *groups(user)) for user, key in keys])

            def library(feed_class: Any, object_id: int = object_id) -> None:
                self.fan_out_by_manager(users, feed_class, [works.joining(object_id)])

            self.report.rate(
                f'fan-out to {len(users):,} aggregated feeds of 20 groups of 3, {kind}',
                len(users),
                Contender('library', lambda library=library: library(self.aggregated), fill),
                Contender('redis-py, read-modify-write', lambda name=object_id: self.rewrite_raw(users, name), fill),
                Contender('library, guard_updates = False', lambda library=library: library(unguarded), fill),
            )
        self.clear()

    @staticmethod
    def created_earlier(member: str, seconds: float) -> str:
        """A stored group that was created so much earlier."""
        parts = member.split(';;')
        parts[1] = f'{float(parts[1]) - seconds:.6f}'
        return ';;'.join(parts)

    def rewrite_raw(self, users: range, object_id: int) -> None:
        activity = works.joining(object_id)
        activity_id, seconds = activity.serialization_id, (activity.time - _EPOCH).total_seconds()
        wanted = f'v33-{object_id}-2014-02-03'
        for start in range(0, len(users), PIPELINE):
            keys = [f'{works.TOKEN}:aggregated:{user}' for user in users[start : start + PIPELINE]]
            pipeline = self.raw.pipeline(transaction=False)
            for key in keys:
                pipeline.zrevrange(key, 0, 19)
            replies = pipeline.execute()
            pipeline = self.raw.pipeline(transaction=False)
            for key, members in zip(keys, replies, strict=True):
                for member in members:
                    name, created, _, seen, read, activity_ids, minimized = member.split(';;')
                    if name == wanted:
                        new = f'{created};;{seconds:.6f};;{seen};;{read};;{activity_ids};{activity_id};;{minimized}'
                        pipeline.zrem(key, member)
                        break
                else:
                    new = f'{seconds:.6f};;{seconds:.6f};;-1;;-1;;{activity_id};;0'
                pipeline.zadd(key, {f'{wanted};;{new}': int(seconds * 1000)})
            pipeline.execute()

    # Reading

    def pages(self) -> None:
        users = range(self.some(300))
        stored = works.activities(200)
        self.flat.insert_activities(stored)
        for user in users:
            self.raw.zadd(
                self.flat(user).key,
                {str(item.serialization_id): item.serialization_id for item in stored[user % 100 : user % 100 + 100]},
            )
        feeds, raw = self.flat, self.raw

        def edge(user: int) -> int:
            return stored[user % 100 + 75].serialization_id

        def filtered(user: int) -> Any:
            return feeds(user).filter(activity_id__lt=edge(user))[:25]

        def by_position(start: int) -> Callable[[int], tuple[Any, ...]]:
            return lambda user: ('ZREVRANGE', start, start + 24)

        def before(user: int) -> tuple[Any, ...]:
            return 'ZREVRANGEBYSCORE', f'({edge(user)}', '-inf', 'LIMIT', 0, 25

        def in_two_trips(command: Callable[[int], tuple[Any, ...]]) -> Callable[[int], Any]:
            def read(user: int) -> Any:
                name, *arguments = command(user)
                return self.hydrate_raw(raw.execute_command(name, f'{works.TOKEN}:flat:{user}', *arguments))

            return read

        def by_script(command: Callable[[int], tuple[Any, ...]]) -> Callable[[int], Any]:
            sha = raw.script_load(_READ_PAGE)
            hashes = [f'{works.TOKEN}:activities:{number}' for number in range(10)]

            def read(user: int) -> Any:
                page = raw.evalsha(sha, 11, f'{works.TOKEN}:flat:{user}', *hashes, *command(user))
                return [parsed(text) for text in page[1::2]]

            return read

        for work, library, command in (
            ('feed[:25]', lambda user: feeds(user)[:25], by_position(0)),
            ('feed[25:50]', lambda user: feeds(user)[25:50], by_position(25)),
            ('filter(activity_id__lt=...)[:25]', filtered, before),
        ):
            self.report.latencies(
                work,
                users,
                ('library', library),
                ('redis-py, two round trips', in_two_trips(command)),
                ('redis-py, one script', by_script(command)),
            )
        self.clear()
        self.pages_of_groups()

    @staticmethod
    def stored_raw(item: Any) -> tuple[str, str, str]:
        """Key, field and value of an activity in the storage."""
        field = str(item.serialization_id)
        number = int(hashlib.md5(field.encode()).hexdigest(), 16) % 10
        seconds = (item.time - _EPOCH).total_seconds()
        text = f'{item.actor_id},{item.verb.id},{item.object_id},{item.target_id or 0},{seconds:.6f},'
        return f'{works.TOKEN}:activities:{number}', field, text

    def hydrate_raw(self, members: Sequence[str]) -> list[Any]:
        by_hash: dict[str, list[str]] = {}
        for member in members:
            number = int(hashlib.md5(member.encode()).hexdigest(), 16) % 10
            by_hash.setdefault(f'{works.TOKEN}:activities:{number}', []).append(member)
        pipeline = self.raw.pipeline(transaction=False)
        for key, fields in by_hash.items():
            pipeline.hmget(key, fields)
        found = {
            field: value
            for fields, values in zip(by_hash.values(), pipeline.execute(), strict=True)
            for field, value in zip(fields, values, strict=True)
        }
        return [parsed(found[member]) for member in members]

    def pages_of_groups(self) -> None:
        users = range(self.some(100))
        for user in users:
            self.aggregated(user).add_many(works.grouped(20, of=3))

        def by_hand(user: int) -> Any:
            groups = [member.split(';;') for member in self.raw.zrevrange(f'{works.TOKEN}:aggregated:{user}', 0, 24)]
            return self.hydrate_raw([item for group in groups for item in group[5].split(';')])

        self.report.latencies(
            'aggregated feed[:25], 20 groups of 3',
            users,
            ('library', lambda user: self.aggregated(user)[:25]),
            ('redis-py, two round trips', by_hand),
        )
        self.clear()

    # Following and importing

    def follow(self) -> None:
        targets = range(1, self.some(20) + 1)
        for target in targets:
            stored = works.activities(100, actor=target, first=100 * target)
            self.user.insert_activities(stored)
            self.raw.zadd(self.user(target).key, {str(item.serialization_id): item.serialization_id for item in stored})
        key = self.flat('reader').key

        def by_hand() -> None:
            pipeline = self.raw.pipeline(transaction=False)
            for target in targets:
                pipeline.zrevrange(f'{works.TOKEN}:user:{target}', 0, 4999, withscores=True)
            pairs = {member: score for reply in pipeline.execute() for member, score in reply}
            pipeline = self.raw.pipeline(transaction=False)
            pipeline.zadd(key, pairs)
            pipeline.zremrangebyrank(key, 0, -101)
            pipeline.execute()

        self.report.duration(
            f'following {len(targets)} users of 100 activities',
            Contender(
                'library',
                lambda: self.manager.follow_many_users('reader', targets, async_=False),
                lambda: self.raw.delete(key),
            ),
            Contender('redis-py', by_hand, lambda: self.raw.delete(key)),
        )
        self.clear()

    def import_activities(self) -> None:
        imported = works.activities(self.some(500))

        def by_hand() -> None:
            pipeline = self.raw.pipeline(transaction=False)
            pairs = {}
            for item in imported:
                pairs[str(item.serialization_id)] = item.serialization_id
                pipeline.hset(*self.stored_raw(item))
            pipeline.zadd(f'{works.TOKEN}:user:13', pairs)
            pipeline.execute()

        self.report.duration(
            f'importing {len(imported)} activities',
            Contender('library', lambda: self.manager.batch_import(13, imported), self.clear),
            Contender('redis-py', by_hand, self.clear),
        )
        self.clear()

    # Notifications

    def notifications(self) -> None:
        users = range(self.some(100))
        for user in users:
            self.notification(user).add_many(works.grouped(20, of=3))

        def add(user: int) -> None:
            item = works.newer()
            item.object_id = 1 + user % 20
            self.notification(user).add(item)

        def add_by_hand(user: int) -> None:
            item = works.newer()
            key = f'{works.TOKEN}:notification:{user}'
            members = self.raw.zrevrange(key, 0, 19)
            old = next(member for member in members if member.startswith(f'v33-{1 + user % 20}-'))
            parts = old.split(';;')
            seconds = (item.time - _EPOCH).total_seconds()
            parts[2] = f'{seconds:.6f}'
            parts[5] += f';13,3,{item.object_id},0,{seconds:.6f},'
            pipeline = self.raw.pipeline(transaction=True)
            pipeline.zrem(key, old)
            pipeline.zadd(key, {';;'.join(parts): int(seconds * 1000)})
            for name in ('unseen', 'unread'):
                pipeline.rpush(f'list:{key}:{name}', item.serialization_id)
                pipeline.ltrim(f'list:{key}:{name}', -100, -1)
            pipeline.execute()

        def unseen(user: int) -> str:
            return f'list:{works.TOKEN}:notification:{user}:unseen'

        for work, library, by_hand in (
            (
                'count_unseen',
                lambda user: self.notification(user).count_unseen(),
                lambda user: self.raw.llen(unseen(user)),
            ),
            ('mark_all', lambda user: self.notification(user).mark_all(), lambda user: self.raw.delete(unseen(user))),
            ('add', add, add_by_hand),
        ):
            self.report.latencies(f'notification {work}', users, ('library', library), ('redis-py', by_hand))
        self.clear()

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
        users = range(self.some(200))

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
        """By how many bytes the server's memory grows, keys and their table included."""
        before = self.raw.info('memory')['used_memory']
        work()
        return self.raw.info('memory')['used_memory'] - before

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


def parsed(text: str) -> tuple[Any, ...]:
    """A stored activity, taken apart by hand."""
    actor, verb_id, object_id, target_id, seconds, context = text.split(',', 5)
    moment = _EPOCH + datetime.timedelta(seconds=float(seconds))
    return int(actor), int(verb_id), int(object_id), int(target_id) or None, moment, context
