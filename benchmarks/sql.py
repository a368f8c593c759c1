"""SQLite and PostgreSQL: the library beside the best statements known, by sqlite3 and psycopg themselves.

By hand feeds have ids, entries are ``(feed, number)`` with numbers as bytes, as here; only the way there differs.
Both write with the same durability, in the same file or server, a transaction for each chunk. Pages are read from the
very same tables.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import pathlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks import plain, works
from benchmarks.measure import Contender, Report
from stream_framework import settings
from stream_framework.feeds.aggregated_feed.sql import SqlAggregatedFeed
from stream_framework.feeds.sql import SqlFeed
from stream_framework.storage.sql import connection, tables
from stream_framework.storage.sql.activity_storage import SqlActivityStorage
from stream_framework.storage.sql.numbers import encode
from stream_framework.verbs import Love

#: How many activities the store has that pages are read from, and how many feeds.
STORED, FEEDS = 100_000, 2_000
#: How many readers' pages are read, in turns.
PAGES = 500

_PAGE = """
    SELECT e.number, a.data FROM (
        SELECT number FROM stream_entries WHERE feed = (SELECT id FROM stream_feeds WHERE key = {value})
        {below} ORDER BY number DESC LIMIT 25) e
    JOIN stream_activities a ON a.id = e.number ORDER BY e.number DESC"""


class Grouped(SqlAggregatedFeed):
    aggregator_class = works.ByObject


class ByHand:
    """What an expert writes for one of the two databases."""

    page: str
    page_below: str
    insert_entry: str

    def __init__(self, client: Any) -> None:
        self.client = client
        self.texts = plain.Activities({Love.id: Love})
        for statement in (
            'DROP TABLE IF EXISTS by_hand_feeds',
            'DROP TABLE IF EXISTS by_hand_entries',
            f'CREATE TABLE by_hand_feeds (id {self.identity}, key text UNIQUE)',
            f'CREATE TABLE by_hand_entries (feed bigint NOT NULL, number {self.bytes} NOT NULL, data text, '
            f'PRIMARY KEY (feed, number)){self.clustered}',
        ):
            client.execute(statement)

    def clear(self) -> None:
        """Delete everything of its own."""
        self.client.execute('DELETE FROM by_hand_entries')
        self.client.execute('DELETE FROM by_hand_feeds')

    def clear_all(self) -> None:
        """Empty all tables, the library's, too."""
        self.clear()
        for table in ('entries', 'feeds', 'activities', 'intents', 'items'):
            self.client.execute(f'DELETE FROM stream_{table}')

    def fill(self, keys: Sequence[str], numbers: Sequence[bytes]) -> None:
        """The entries of many feeds, feed by feed, as the library writes them: tables then have the same pages."""
        self.add(keys, [])
        ids = dict(self.client.execute('SELECT key, id FROM by_hand_feeds').fetchall())
        rows = [(ids[key], number) for key in keys for number in numbers]
        with self.transaction():
            self.client.cursor().executemany(self.insert_entry, rows)

    def read(self, key: str) -> list[Any]:
        """A page: one query, and objects of what it gives."""
        found = self.client.execute(self.page, (key,)).fetchall()
        return [self.texts.loads(data) for _, data in found]

    def read_below(self, key: str, number: bytes) -> list[Any]:
        """A page below an id."""
        found = self.client.execute(self.page_below, (key, number)).fetchall()
        return [self.texts.loads(data) for _, data in found]

    def transaction(self) -> Any:
        """A transaction, committed at its end."""
        raise NotImplementedError

    def fan_out(self, keys: Sequence[str], numbers: Sequence[bytes], size: int) -> None:
        """The same entries for many feeds, in chunks."""
        for start in range(0, len(keys), size):
            self.add(keys[start : start + size], numbers)

    def add(self, keys: Sequence[str], numbers: Sequence[bytes]) -> None:
        """One transaction."""
        raise NotImplementedError

    def newest(self, keys: Sequence[str], length: int) -> list[tuple[int, bytes, str | None]]:
        """Feed, number and data of the newest entries of many feeds."""
        raise NotImplementedError

    def follow(self, key: str, targets: Sequence[str]) -> None:
        """Copy the newest 100 of each."""
        raise NotImplementedError

    def import_activities(self, key: str, activities: Sequence[Any]) -> None:
        """Store activities, and put them into a feed."""
        raise NotImplementedError

    def join_groups(self, keys: Sequence[str], activity: Any, size: int) -> None:
        """Read 20 groups of each, add to the one of the activity's object or start it, write; guarded by a lock."""
        raise NotImplementedError

    def merged(self, rows: Iterable[tuple[int, Any, str]], activity: Any) -> list[tuple[int, Any, bytes, str]]:
        """Feed, old number, new number, text: what becomes of groups, as text."""
        head = f'v3{works.ByObject().get_group(activity)};;'
        stamp = f'{(activity.time - plain.EPOCH).total_seconds():.6f}'
        number = encode(int(f'{int(float(stamp) * 1000)}0000000000042'))
        found = []
        for feed, old, text in rows:
            if text.startswith(head):
                parts = text.split(';;')
                parts[2], parts[5] = stamp, f'{parts[5]};{activity.serialization_id}'
                found.append((feed, old, number, ';;'.join(parts)))
        return found


class BySqlite3(ByHand):
    identity, bytes, clustered = 'integer PRIMARY KEY', 'blob', ' WITHOUT ROWID'
    page = _PAGE.format(value='?', below='')
    page_below = _PAGE.format(value='?', below='AND number < ?')
    insert_entry = 'INSERT OR IGNORE INTO by_hand_entries (feed, number) VALUES (?, ?)'

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction, committed at its end."""
        self.client.execute('BEGIN IMMEDIATE')
        yield
        self.client.execute('COMMIT')

    def add(self, keys: Sequence[str], numbers: Sequence[bytes]) -> None:
        client, given = self.client, json.dumps(keys)
        client.execute('BEGIN IMMEDIATE')
        client.execute('INSERT OR IGNORE INTO by_hand_feeds (key) SELECT value FROM json_each(?)', (given,))
        for number in numbers:
            client.execute(
                'INSERT OR IGNORE INTO by_hand_entries (feed, number) SELECT f.id, ? '
                'FROM json_each(?) k CROSS JOIN by_hand_feeds f ON f.key = k.value',
                (number, given),
            )
        client.execute('COMMIT')

    def follow(self, key: str, targets: Sequence[str]) -> None:
        client = self.client
        client.execute('BEGIN IMMEDIATE')
        client.execute('INSERT OR IGNORE INTO by_hand_feeds (key) VALUES (?)', (key,))
        for target in targets:
            client.execute(
                'INSERT OR IGNORE INTO by_hand_entries (feed, number) '
                'SELECT (SELECT id FROM by_hand_feeds WHERE key = ?), number FROM stream_entries '
                'WHERE feed = (SELECT id FROM stream_feeds WHERE key = ?) ORDER BY number DESC LIMIT 100',
                (key, target),
            )
        client.execute('COMMIT')

    def import_activities(self, key: str, activities: Sequence[Any]) -> None:
        client = self.client
        rows = [(encode(item.serialization_id), self.texts.dumps(item)) for item in activities]
        client.execute('BEGIN IMMEDIATE')
        client.executemany('INSERT OR REPLACE INTO stream_activities VALUES (?, ?)', rows)
        client.execute('INSERT OR IGNORE INTO by_hand_feeds (key) VALUES (?)', (key,))
        [(feed,)] = client.execute('SELECT id FROM by_hand_feeds WHERE key = ?', (key,))
        client.executemany(
            'INSERT OR IGNORE INTO by_hand_entries (feed, number) VALUES (?, ?)', [(feed, row[0]) for row in rows]
        )
        client.execute('COMMIT')

    def join_groups(self, keys: Sequence[str], activity: Any, size: int) -> None:
        client = self.client
        for start in range(0, len(keys), size):
            client.execute('BEGIN IMMEDIATE')
            rows = client.execute(
                'SELECT e.feed, e.number, e.data FROM json_each(?) k CROSS JOIN by_hand_feeds f ON f.key = k.value '
                'CROSS JOIN by_hand_entries e ON e.feed = f.id',
                (json.dumps(keys[start : start + size]),),
            ).fetchall()
            found = self.merged(rows, activity)
            client.executemany(
                'DELETE FROM by_hand_entries WHERE feed = ? AND number = ?', [(feed, old) for feed, old, _, _ in found]
            )
            client.executemany(
                'INSERT INTO by_hand_entries VALUES (?, ?, ?)', [(feed, new, text) for feed, _, new, text in found]
            )
            client.execute('COMMIT')


class ByPsycopg(ByHand):
    identity, bytes, clustered = 'bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', 'bytea', ''
    page = _PAGE.format(value='%s', below='')
    page_below = _PAGE.format(value='%s', below='AND number < %s')
    insert_entry = 'INSERT INTO by_hand_entries (feed, number) VALUES (%s, %s) ON CONFLICT DO NOTHING'

    def clear_all(self) -> None:
        """Empty all tables, the library's, too: what is deleted would be in the way for a while."""
        self.client.execute(
            'TRUNCATE by_hand_entries, by_hand_feeds, stream_entries, stream_feeds, stream_activities, stream_intents, '
            'stream_items'
        )
        self.client.execute('VACUUM ANALYZE')

    def transaction(self) -> Any:
        """A transaction, committed at its end."""
        return self.client.transaction()

    def add(self, keys: Sequence[str], numbers: Sequence[bytes]) -> None:
        with self.client.transaction():
            self.client.execute(
                'INSERT INTO by_hand_feeds (key) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING', (list(keys),)
            )
            self.client.execute(
                'INSERT INTO by_hand_entries (feed, number) SELECT f.id, n FROM by_hand_feeds f '
                'CROSS JOIN unnest(%s::bytea[]) n WHERE f.key = ANY(%s::text[]) ON CONFLICT DO NOTHING',
                (list(numbers), list(keys)),
            )

    def follow(self, key: str, targets: Sequence[str]) -> None:
        with self.client.transaction():
            self.client.execute('INSERT INTO by_hand_feeds (key) VALUES (%s) ON CONFLICT DO NOTHING', (key,))
            self.client.execute(
                'INSERT INTO by_hand_entries (feed, number) '
                'SELECT (SELECT id FROM by_hand_feeds WHERE key = %s), e.number FROM stream_feeds f '
                'CROSS JOIN LATERAL (SELECT number FROM stream_entries WHERE feed = f.id '
                'ORDER BY number DESC LIMIT 100) e WHERE f.key = ANY(%s::text[]) ON CONFLICT DO NOTHING',
                (key, list(targets)),
            )

    def import_activities(self, key: str, activities: Sequence[Any]) -> None:
        numbers = [encode(item.serialization_id) for item in activities]
        texts = [self.texts.dumps(item) for item in activities]
        with self.client.transaction():
            self.client.execute(
                'INSERT INTO stream_activities SELECT * FROM unnest(%s::bytea[], %s::text[]) '
                'ON CONFLICT (id) DO UPDATE SET data = excluded.data',
                (numbers, texts),
            )
            self.client.execute('INSERT INTO by_hand_feeds (key) VALUES (%s) ON CONFLICT DO NOTHING', (key,))
            self.client.execute(
                'INSERT INTO by_hand_entries (feed, number) SELECT (SELECT id FROM by_hand_feeds WHERE key = %s), n '
                'FROM unnest(%s::bytea[]) n ON CONFLICT DO NOTHING',
                (key, numbers),
            )

    def join_groups(self, keys: Sequence[str], activity: Any, size: int) -> None:
        for start in range(0, len(keys), size):
            some = list(keys[start : start + size])
            with self.client.transaction():
                feeds = self.client.execute(
                    'SELECT id FROM by_hand_feeds WHERE key = ANY(%s::text[]) ORDER BY key FOR UPDATE', (some,)
                ).fetchall()
                rows = self.client.execute(
                    'SELECT feed, number, data FROM by_hand_entries WHERE feed = ANY(%s::bigint[])',
                    ([feed for (feed,) in feeds],),
                ).fetchall()
                found = self.merged(rows, activity)
                self.client.execute(
                    'DELETE FROM by_hand_entries e USING unnest(%s::bigint[], %s::bytea[]) o(feed, number) '
                    'WHERE e.feed = o.feed AND e.number = o.number',
                    ([row[0] for row in found], [row[1] for row in found]),
                )
                self.client.execute(
                    'INSERT INTO by_hand_entries SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::text[])',
                    ([row[0] for row in found], [row[2] for row in found], [row[3] for row in found]),
                )


class SqlBenchmark(works.Benchmark):
    """All works on one database."""

    #: What the raw client is called in the table.
    client_name: str
    by_hand: ByHand

    def __init__(self, report: Report, scale: float, url: str) -> None:
        super().__init__(report, scale)
        self.before = {name: getattr(settings, name) for name in ('STREAM_SQL_URL', 'STREAM_SQL_SCHEMA')}
        settings.configure(STREAM_SQL_URL=url, STREAM_SQL_SCHEMA=None)
        tables.create(connection.get_database())
        self.flat = works.feed(SqlFeed, 'flat')
        self.aggregated = works.feed(Grouped, 'aggregated')
        self.user = works.user_feed(SqlFeed)
        self.manager = works.manager(self.user, flat=self.flat)

    def run(self) -> None:
        """Measure everything."""
        try:
            for work in (
                self.fan_out,
                self.fan_out_to_groups,
                self.pages,
                self.follow,
                self.import_activities,
                self.disk,
            ):
                work()
                self.clear()
        finally:
            connection.reset()
            settings.configure(**self.before)

    def clear(self) -> None:
        """Empty all tables."""
        # So that the library doesn't look for feeds that it knew.
        connection.get_database().known.clear()
        self.by_hand.clear_all()

    def keys(self, feed_class: Any, users: Iterable[int]) -> list[str]:
        """The keys of feeds."""
        return [feed_class(user).key for user in users]

    def fan_out(self) -> None:
        users = range(self.some(5_000))
        keys = self.keys(self.flat, users)
        for state, size in itertools.product(('empty', 'holding 100'), (100, 1000)):
            work = f'fan-out to {len(users):,} flat feeds, {state}, chunks of {size}'
            if not self.report.wants(work):
                continue
            if state != 'empty':
                held = works.activities(100)
                for start in range(0, len(users), 1000):
                    with self.flat.get_timeline_batch_interface() as batch:
                        self.flat.add_to_many(users[start : start + 1000], held, batch, trim=False)
                    self.by_hand.fill(keys[start : start + 1000], [encode(item.serialization_id) for item in held])
            self.report.rate(
                work,
                len(users),
                Contender('library', functools.partial(self.fan_out_by_manager, users, self.flat, size=size)),
                Contender(
                    f'{self.client_name}, INSERT ... SELECT',
                    functools.partial(self.fan_out_by_hand, keys, size),
                ),
            )
            self.clear()

    def fan_out_by_hand(self, keys: Sequence[str], size: int) -> None:
        """An activity that no feed has yet."""
        self.by_hand.fan_out(keys, [encode(works.newer().serialization_id)], size)

    def fan_out_to_groups(self) -> None:
        users = range(self.some(500))
        work = f'fan-out to {len(users):,} aggregated feeds of 20 groups of 3, joins a group'
        if not self.report.wants(work):
            return
        keys = self.keys(self.aggregated, users)
        given = works.grouped(20, of=3)
        for user in users:
            self.aggregated(user).add_many(given)
        self.by_hand.add(keys, [])
        self.by_hand.client.execute(
            'INSERT INTO by_hand_entries SELECT b.id, e.number, e.data FROM by_hand_feeds b JOIN stream_feeds f '
            'ON f.key = b.key JOIN stream_entries e ON e.feed = f.id'
        )
        self.report.rate(
            work,
            len(users),
            Contender('library', lambda: self.fan_out_by_manager(users, self.aggregated, [works.joining(20)])),
            Contender(
                f'{self.client_name}, read-merge-write', lambda: self.by_hand.join_groups(keys, works.joining(20), 100)
            ),
        )

    def pages(self) -> None:
        work = 'feed[:25]'
        if not self.report.wants(work):
            return
        chance, stored = random.Random(7), self.some(STORED)
        storage, users = SqlActivityStorage(), range(self.some(FEEDS))
        for start in range(0, stored, 5000):
            storage.add_many(works.activities(min(5000, stored - start), first=start))
        for user in users:
            numbers = sorted(chance.sample(range(stored), min(100, stored)))
            self.flat(user).timeline_storage.add_many(
                self.flat(user).key, [works.activity(number) for number in numbers]
            )
        self.report.note(
            f'{self.report.part}: pages are read from {stored:,} activities and {len(users):,} feeds of 100'
        )
        contenders: list[tuple[str, Callable[[Any], Any]]] = [
            ('library', lambda user: self.flat(user)[:25]),
            (f'{self.client_name}, one query', lambda user: self.by_hand.read(f'{works.TOKEN}:flat:{user}')),
        ]
        readers = chance.sample(users, min(PAGES, len(users)))
        self.agree(work, readers[0], contenders)
        self.report.latencies(work, readers, *contenders)
        below = works.activity(stored // 2).serialization_id
        contenders = [
            ('library', lambda user: self.flat(user).filter(activity_id__lt=below)[:25]),
            (
                f'{self.client_name}, one query',
                lambda user: self.by_hand.read_below(f'{works.TOKEN}:flat:{user}', encode(below)),
            ),
        ]
        work = 'feed.filter(activity_id__lt=cursor)[:25]'
        self.agree(work, readers[0], contenders)
        self.report.latencies(work, readers, *contenders)

    def follow(self) -> None:
        targets = range(1000, 1000 + 20)
        work = 'following 20 users, 100 activities of each'
        if not self.report.wants(work):
            return
        for target in targets:
            self.user(target).add_many(works.activities(100, actor=target, first=target * 100))
        keys = self.keys(self.user, targets)

        def empty() -> None:
            self.flat(1).delete()
            self.by_hand.clear()

        self.report.duration(
            work,
            Contender('library', lambda: self.manager.follow_many_users(1, list(targets), async_=False), empty),
            Contender(f'{self.client_name}, INSERT ... SELECT', lambda: self.by_hand.follow('by hand', keys), empty),
        )

    def import_activities(self) -> None:
        imported = works.activities(500, actor=7)
        work = 'importing 500 activities'

        def empty() -> None:
            self.user(7).delete()
            self.by_hand.clear()

        self.report.duration(
            work,
            Contender('library', lambda: self.manager.batch_import(7, imported, fanout=False), empty),
            Contender(f'{self.client_name}, by hand', lambda: self.by_hand.import_activities('7', imported), empty),
        )

    def disk(self) -> None:
        users, held = range(self.some(1000)), works.activities(100)
        for start in range(0, len(users), 100):
            with self.flat.get_timeline_batch_interface() as batch:
                for item in held:
                    self.flat.add_to_many(users[start : start + 100], [item], batch, trim=False)
        size, count = self.bytes_of_entries()
        self.report.value('bytes of an entry of a flat feed, on disk', size / count, 'bytes')

    def bytes_of_entries(self) -> tuple[int, int]:
        """How many bytes the entries take, with what finds them, and how many there are."""
        raise NotImplementedError

    def version(self) -> str:
        """The database's."""
        raise NotImplementedError


class SqliteBenchmark(SqlBenchmark):
    client_name = 'sqlite3'

    def __init__(self, report: Report, scale: float) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='stream-framework-bench-'))
        super().__init__(report, scale, f'sqlite:///{self.folder}/feeds.sqlite3')
        client = sqlite3.connect(self.folder / 'feeds.sqlite3', isolation_level=None)
        client.execute('PRAGMA synchronous = NORMAL')
        self.by_hand = BySqlite3(client)

    def run(self) -> None:
        """Measure everything, and delete the file."""
        try:
            super().run()
        finally:
            self.by_hand.client.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def bytes_of_entries(self) -> tuple[int, int]:
        client = self.by_hand.client
        [size] = client.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'stream_entries'").fetchone()
        return size, client.execute('SELECT count(*) FROM stream_entries').fetchone()[0]

    def version(self) -> str:
        return f'SQLite {sqlite3.sqlite_version}'


class PostgresBenchmark(SqlBenchmark):
    client_name = 'psycopg'

    def __init__(self, report: Report, scale: float, url: str) -> None:
        import psycopg

        super().__init__(report, scale, url)
        self.by_hand = ByPsycopg(psycopg.connect(url.replace('+psycopg', ''), autocommit=True))

    def run(self) -> None:
        """Measure everything."""
        try:
            super().run()
        finally:
            self.by_hand.client.close()

    def bytes_of_entries(self) -> tuple[int, int]:
        return self.by_hand.client.execute(
            "SELECT pg_total_relation_size('stream_entries'), (SELECT count(*) FROM stream_entries)"
        ).fetchone()  # type: ignore[no-any-return]

    def version(self) -> str:
        return f'PostgreSQL {self.by_hand.client.execute("SHOW server_version").fetchone()[0].split()[0]}'
