"""Tables and rows that 1.4.0 left: read, changed, removed, before and after ``sync`` has added the columns."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import pytest

from stream_framework import ids as id_arithmetic
from stream_framework.activity import Activity
from stream_framework.exceptions import StreamFrameworkError
from stream_framework.feeds.base import BaseFeed
from stream_framework.verbs import Add, Comment, Follow, Love
from tests.backends import RUN, _numbers
from tests.cassandra.support import ROOT, requests, sessions
from tests.contracts.support import ids
from tests.servers import processes

FIXTURES = pathlib.Path(__file__).parent.parent / 'fixtures'
ROWS = json.loads((FIXTURES / 'cassandra.json').read_text())
VERBS = {1: Follow, 2: Comment, 3: Love, 4: Add}


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def context(row: dict[str, Any]) -> dict[str, Any]:
    return pickle.loads(base64.b64decode(row['extra_context_base64']))  # our own fixture


EXPECTED = [
    (
        int(row['activity_id']),
        row['actor'],
        VERBS[row['verb']],
        row['object'],
        row['target'],
        moment(row['time']),
        context(row),
    )
    for row in sorted(ROWS['example'], key=lambda row: -int(row['activity_id']))
]
GROUPS = [
    (
        row['group'],
        [int(activity_id) for activity_id in row['expected_activity_ids']],
        moment(row['created_at']),
        moment(row['updated_at']),
        row['activity_id'],
    )
    for row in sorted(ROWS['aggregated'], key=lambda row: -int(row['activity_id']))
]


class Old:
    """Tables as 1.4.0 made them, with its rows in them."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.session = sessions(backend.settings())
        number = next(_numbers)
        self.tables = {name: f'{name}_{RUN}_{number}' for name in ('example', 'aggregated')}
        lines = (FIXTURES / 'cassandra_schema.cql').read_text().splitlines()
        schema = '\n'.join(line for line in lines if not line.startswith('--'))
        for statement in schema.split(';'):
            if 'CREATE' in statement:
                for name, table in self.tables.items():
                    statement = statement.replace(f'stream_framework.{name}', table)
                self.session.execute(statement)
        for row in ROWS['example']:
            self.insert('example', row, ('actor', 'object', 'target', 'verb'), ('time',), 'extra_context')
        for row in ROWS['aggregated']:
            self.insert('aggregated', row, ('group',), ('created_at', 'updated_at'), 'activities')
        self.flat_class = self.wired('feeds.cassandra', 'CassandraFeed', 'example')
        self.aggregated_class = self.wired('feeds.aggregated_feed.cassandra', 'CassandraAggregatedFeed', 'aggregated')

    def wired(self, module: str, name: str, table: str) -> Any:
        import importlib

        base = getattr(importlib.import_module(f'stream_framework.{module}'), name)
        return type(name, (base,), {'timeline_cf_name': self.tables[table], 'trim_chance': 0})

    @property
    def flat(self) -> Any:
        return self.flat_class(1)

    @property
    def aggregated(self) -> Any:
        return self.aggregated_class(1)

    @property
    def manager(self) -> Any:
        from stream_framework.feed_managers.base import Manager

        return type('OldManager', (Manager,), {'user_feed_class': self.flat_class})()

    def insert(self, table: str, row: dict[str, Any], plain: Any, dates: Any, blob: str) -> None:
        values: dict[str, Any] = {'feed_id': row['feed_id'], 'activity_id': int(row['activity_id'])}
        values |= {name: row[name] for name in plain}
        values |= {name: moment(row[name]) for name in dates}
        values[blob] = base64.b64decode(row[f'{blob}_base64'])
        names = ', '.join(f'"{name}"' for name in values)
        marks = ', '.join('%s' for _ in values)
        self.session.execute(f'INSERT INTO {self.tables[table]} ({names}) VALUES ({marks})', list(values.values()))

    def rows(self, table: str, feed_id: str = 'feed_1') -> list[dict[str, Any]]:
        statement = f'SELECT * FROM {self.tables[table]} WHERE feed_id = %s'
        return [row for row in self.session.execute(statement, [feed_id]) if row['activity_id'] is not None]

    def columns(self, table: str) -> dict[str, str]:
        self.session.cluster.refresh_table_metadata(self.session.keyspace, self.tables[table])
        found = self.session.cluster.metadata.keyspaces[self.session.keyspace].tables[self.tables[table]]
        return {name: column.cql_type for name, column in found.columns.items()}

    def sync(self) -> None:
        from stream_framework.storage.cassandra import connection

        run_sync(self.backend, self.module())
        # A process that is running already notices within seconds: that is a test of its own.
        connection.reset()

    def module(self) -> str:
        return (
            'from stream_framework.feeds.cassandra import CassandraFeed\n'
            'from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed\n'
            f'class Flat(CassandraFeed):\n    timeline_cf_name = {self.tables["example"]!r}\n'
            f'class Aggregated(CassandraAggregatedFeed):\n    timeline_cf_name = {self.tables["aggregated"]!r}\n'
        )


def run_sync(backend: Any, code: str, *arguments: str, code_of: int = 0) -> str:
    """Run the command on a module with this code; returns what it printed."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        configure = f'from stream_framework import settings\nsettings.configure(**{backend.settings()!r})\n'
        (pathlib.Path(folder) / 'their_feeds.py').write_text(configure + code)
        done = subprocess.run(
            [sys.executable, '-m', 'stream_framework.storage.cassandra', 'sync', 'their_feeds', *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            env={**os.environ, 'PYTHONPATH': folder},
        )
    assert done.returncode == code_of, done.stdout + done.stderr
    assert 'Traceback' not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(params=['as it was', 'after sync'])
def old(request: pytest.FixtureRequest, one: Any) -> Old:
    old = Old(one)
    if request.param == 'after sync':
        old.sync()
    old.synced = request.param == 'after sync'  # type: ignore[attr-defined]
    return old


def everything(activities: Any) -> list[Any]:
    return [
        (a.serialization_id, a.actor_id, a.verb, a.object_id, a.target_id, a.time, a.extra_context) for a in activities
    ]


def groups(feed: Any) -> list[Any]:
    return [(g.group, list(g.activity_ids), g.created_at, g.updated_at, g.serialization_id) for g in feed[:]]


def later(n: int, verb: Any = Love, **kwargs: Any) -> Activity:
    """An activity after all of 1.4.0's, on the same day."""
    return Activity(70 + n, verb, 900 + n, time=datetime.datetime(2013, 7, 8, 9, 0, n, 123000), **kwargs)


# flat


def test_flat_is_read(old: Old) -> None:
    feed = old.flat
    assert everything(feed[:]) == EXPECTED
    assert feed.count() == len(EXPECTED)
    assert everything(feed[3:8]) == EXPECTED[3:8]
    fifth = EXPECTED[5][0]
    assert everything(feed.filter(activity_id__lt=fifth)[:4]) == EXPECTED[6:10]
    assert everything(feed.filter(activity_id__gte=fifth).order_by('activity_id')[:4]) == EXPECTED[2:6][::-1]
    assert [feed.index_of(row[0]) for row in EXPECTED] == list(range(len(EXPECTED)))


def test_flat_is_continued(old: Old) -> None:
    feed = old.flat
    new = [later(n, extra_context={'tuple': (1, 'x')}, target=None if n % 2 else 5) for n in range(3)]
    feed.add_many(new)
    feed.add_many(new)
    feed.remove(EXPECTED[0][0])
    feed.remove(feed[5:6][0])
    left = [row for position, row in enumerate(EXPECTED) if position not in (0, 3)]
    assert everything(feed[:]) == everything(new[::-1]) + left
    feed.trim(10)
    assert everything(feed[:]) == everything(new[::-1]) + left[:7]
    assert feed.count() == 10
    feed.delete()
    assert feed[:] == []
    assert old.rows('example') == []


def test_flat_rewritten_rows_hold_no_pickles(old: Old) -> None:
    feed = old.flat
    new = later(1, extra_context={'text': 'é;,', 'when': datetime.date(2013, 7, 8)})
    feed.add_many([*feed[:3], new])
    assert everything(feed[:]) == everything([new]) + EXPECTED
    blobs = {row['activity_id']: row['extra_context'] for row in old.rows('example')}
    rewritten = [activity for activity in feed[:4] if activity.extra_context]
    assert len(rewritten) > 1
    for activity in rewritten:
        assert isinstance(json.loads(blobs[activity.serialization_id]), dict)


def test_flat_what_the_columns_cannot_hold(old: Old) -> None:
    feed = old.flat
    with pytest.raises(StreamFrameworkError) as failed:
        feed.add(Activity(1, Love, 2**31, time=later(1).time))
    assert str(2**31) in str(failed.value)
    assert '32 bits' in str(failed.value)
    assert old.tables['example'] in str(failed.value)
    activity = Activity('anna', Love, 5, time=later(1).time)
    if old.synced:  # type: ignore[attr-defined]
        feed.add(activity)
        assert (feed[0][0].actor_id, feed[0][0].object_id) == ('anna', 5)
        feed.remove(activity)
    else:
        with pytest.raises(StreamFrameworkError, match='sync'):
            feed.add(activity)
    assert everything(feed[:]) == EXPECTED


def test_flat_keys_that_are_no_ascii(old: Old) -> None:
    feed = old.flat_class('josé')
    with pytest.raises(StreamFrameworkError, match='ascii'):
        feed.add(later(1))


# aggregated


def test_groups_are_read(old: Old) -> None:
    feed = old.aggregated
    assert groups(feed) == GROUPS
    assert feed.count() == 4
    assert groups(feed)[1:3] == GROUPS[1:3]
    assert [group.group for group in feed.filter(activity_id__lt=GROUPS[1][4])[:]] == [g[0] for g in GROUPS[2:]]
    assert [feed.index_of(group[4]) for group in GROUPS] == [0, 1, 2, 3]
    [first] = feed[0]
    assert isinstance(first.activities[0], Activity)
    assert first.verb is Add


def test_groups_are_continued(old: Old) -> None:
    feed = old.aggregated
    new = later(1, Love)
    feed.add(new)
    found = feed[:]
    assert [group.group for group in found] == ['3-2013-07-08', '4-2013-07-08', '2-2013-07-08', '1-2013-07-08']
    wanted = [*{g[0]: g[1] for g in GROUPS}['3-2013-07-08'], new.serialization_id]
    assert list(found[0].activity_ids) == wanted[-15:]
    assert (found[0].created_at, found[0].updated_at) == (GROUPS[1][2], new.time)
    assert feed.count() == 4
    # Everything that had an id of 1.4.0 has one of ours now: they sort together by updated_at.
    stored = [row['activity_id'] for row in old.rows('aggregated')]
    assert min(stored) >= 10**14
    assert stored == sorted(stored, reverse=True)
    assert [(group.updated_at) for group in found[1:]] == [g[3] for g in GROUPS if g[0] != '3-2013-07-08']
    for row in old.rows('aggregated'):
        assert not row['activities'].startswith(b'\x80')
    assert [list(group.activity_ids) for group in found[1:]] == [g[1] for g in GROUPS if g[0] != '3-2013-07-08']


def test_a_new_group_sorts_with_the_old(old: Old) -> None:
    feed = old.aggregated
    between = moment('2013-07-08T07:57:30') + datetime.timedelta(days=-1)
    feed.add(Activity(5, Love, 6, time=between))
    assert [group.group for group in feed[:]] == [*(g[0] for g in GROUPS), '3-2013-07-07']
    feed.add(Activity(5, Follow, 6, time=moment('2013-07-08T07:57:00')))
    assert [group.group for group in feed[:]] == [
        '4-2013-07-08',
        '3-2013-07-08',
        '1-2013-07-08',
        '2-2013-07-08',
        '3-2013-07-07',
    ]


def test_activities_leave_groups(old: Old) -> None:
    feed = old.aggregated
    name, activity_ids, *_ = GROUPS[2]
    assert any(group.contains(activity_ids[-1]) for group in feed[:])
    feed.remove(activity_ids[-1])
    feed.remove_many(activity_ids[:1])
    by_name = {group.group: group for group in feed[:]}
    assert list(by_name[name].activity_ids) == activity_ids[1:-1]
    assert not any(group.contains(activity_ids[-1]) for group in feed[:])
    feed.remove_many(activity_ids)
    assert [group.group for group in feed[:]] == [g[0] for g in GROUPS if g[0] != name]
    assert feed.count() == 3


def test_groups_are_removed_as_they_were_read(old: Old) -> None:
    feed = old.aggregated
    feed.remove_many_aggregated(feed[1:3])
    assert [group.group for group in feed[:]] == [GROUPS[0][0], GROUPS[3][0]]
    feed.trim(1)
    assert [group.group for group in feed[:]] == [GROUPS[0][0]]
    feed.delete()
    assert feed[:] == []
    assert old.rows('aggregated') == []


def test_trimming_groups_old_and_new(old: Old) -> None:
    feed = old.aggregated
    feed.add_many(
        [Activity(5, Love, 6, time=moment('2013-07-09T10:00:00') + datetime.timedelta(days=d)) for d in range(3)]
    )
    feed.trim(5)
    assert [group.group for group in feed[:]] == [
        *(f'3-2013-07-{day:02}' for day in (11, 10, 9)),
        GROUPS[0][0],
        GROUPS[1][0],
    ]
    assert feed.count() == 5


def test_counts_past_the_limit(old: Old) -> None:
    feed = old.aggregated
    for n in range(10):
        feed.add(later(n, Love))
    group = feed[:1][0]
    total = len({g[0]: g[1] for g in GROUPS}['3-2013-07-08']) + 10
    if old.synced:  # type: ignore[attr-defined]
        assert group.activity_count == total
    assert len(group) == 15


def test_a_guard_only_after_sync(old: Old) -> None:
    with requests() as sent:
        old.aggregated.add(later(1))
    assert any(request.conditional for request in sent) is old.synced  # type: ignore[attr-defined]


def test_without_the_guard_it_says_so_once(one: Any, caplog: pytest.LogCaptureFixture) -> None:
    old = Old(one)
    for n in range(3):
        old.aggregated.add(later(n))
    said = [record.getMessage() for record in caplog.records if old.tables['aggregated'] in record.getMessage()]
    assert len(said) == 1
    assert 'sync' in said[0]


def test_a_running_process_notices_what_sync_added(one: Any) -> None:
    old = Old(one)
    old.aggregated.add(later(0))
    run_sync(one, old.module())

    def is_guarded() -> bool:
        with requests() as sent:
            old.aggregated.add(later(1))
            old.aggregated.remove(later(1))
        return any(request.conditional for request in sent)

    processes.wait_until(is_guarded, 60, 'the guard')
    assert [group.group for group in old.aggregated[:1]] == ['3-2013-07-08']
    assert old.aggregated.count() == 4


# sync


def test_sync_adds_columns_and_loses_nothing(one: Any) -> None:
    old = Old(one)
    before = {name: old.columns(name) for name in old.tables}
    rows = {name: old.rows(name) for name in old.tables}
    said = run_sync(one, old.module(), '--dry-run')
    assert {name: old.columns(name) for name in old.tables} == before
    for table in old.tables.values():
        assert table in said
    assert 'ADD' in said.upper()
    old.sync()
    added = {
        'example': {'ids': 'text'},
        'aggregated': {
            'minimized_activities': 'int',
            'seen_at': 'timestamp',
            'read_at': 'timestamp',
            'version': 'int',
        },
    }
    for name, columns in added.items():
        assert {**before[name], **columns} == old.columns(name)
        for row, was in zip(old.rows(name), rows[name], strict=True):
            assert {key: row[key] for key in was} == was
    after = run_sync(one, old.module())
    assert 'ALTER' not in after.upper()
    assert {name: old.rows(name) for name in old.tables}['example'] == old.rows('example')


def test_sync_makes_keyspace_and_tables(one: Any) -> None:
    keyspace = f'made_{RUN}'
    session = sessions(one.settings())
    code = (
        f'settings.STREAM_DEFAULT_KEYSPACE = {keyspace!r}\n'
        'from stream_framework.feeds.cassandra import CassandraFeed\n'
        'from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed\n'
        'from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed\n'
        'class Flat(CassandraFeed):\n    key_format = "a:%(user_id)s"\n'
        'class User(CassandraFeed):\n    key_format = "b:%(user_id)s"\n'
        'class Mine(CassandraNotificationFeed):\n    key_format = "c:%(user_id)s"\n'
        '    timeline_cf_name = "mine"\n'
    )

    def tables() -> set[str]:
        found = session.execute('SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s', [keyspace])
        return {row['table_name'] for row in found}

    said = run_sync(one, code, '--dry-run')
    assert 'CREATE KEYSPACE' in said
    assert tables() == set()
    run_sync(one, code)
    made = tables()
    assert {'example', 'mine'} <= made
    columns = {
        (row['table_name'], row['column_name']): (row['type'], row['kind'])
        for row in session.execute('SELECT * FROM system_schema.columns WHERE keyspace_name = %s', [keyspace])
    }
    assert columns['example', 'feed_id'] == ('text', 'partition_key')
    assert columns['example', 'activity_id'] == ('varint', 'clustering')
    for name in ('actor', 'object', 'target'):
        assert columns['example', name][0] == 'bigint'
    assert columns['example', 'ids'][0] == 'text'
    assert columns['mine', 'group'][0] == 'text'
    assert columns['mine', 'version'] == ('int', 'static')
    assert columns['mine', 'unseen'] == ('set<text>', 'static')
    assert columns['mine', 'unread'] == ('set<text>', 'static')
    assert run_sync(one, code)
    assert tables() == made
    session.execute(f'DROP KEYSPACE {keyspace}')


def test_sync_never_drops(one: Any) -> None:
    old = Old(one)
    table = old.tables['example']
    old.session.execute(f'ALTER TABLE {table} ADD theirs text')
    old.session.execute(f'CREATE TABLE theirs_{table} (id int PRIMARY KEY)')
    old.sync()
    assert old.columns('example')['theirs'] == 'text'
    assert everything(old.flat[:]) == EXPECTED
    assert old.session.execute(f'SELECT * FROM theirs_{table}').one() is None


SAME_KEYS = (
    'from stream_framework.feeds.cassandra import CassandraFeed\n'
    'class One(CassandraFeed):\n    key_format = "same:%(user_id)s"\n'
    'class Two(CassandraFeed):\n    key_format = "same:%(user_id)s"\n'
)


def test_two_classes_with_the_same_keys_in_one_table(one: Any) -> None:
    said = run_sync(one, SAME_KEYS, code_of=1)
    for name in ('One', 'Two', 'same:', 'example'):
        assert name in said


@pytest.mark.parametrize(
    ('code', 'word'),
    [('import no_such_module\n', 'no_such_module'), ('', 'their_feeds')],
)
def test_modules_without_feeds(one: Any, code: str, word: str) -> None:
    assert word in run_sync(one, code, code_of=1)


# activities without an actor


NOBODYS = Activity(None, Love, 777, time=datetime.datetime(2013, 7, 8, 8))


def test_a_row_without_an_actor(old: Old) -> None:
    old.session.execute(
        f'INSERT INTO {old.tables["example"]} (feed_id, activity_id, object, verb, time) VALUES (%s, %s, 777, 3, %s)',
        ['feed_1', NOBODYS.serialization_id, NOBODYS.time],
    )
    feed = old.flat
    count = len(ROWS['example'])
    wanted = everything([NOBODYS])
    assert everything(a for a in feed[:] if a.object_id == 777) == wanted
    assert len(feed[:]) == feed.count() == count + 1
    number = NOBODYS.serialization_id
    assert everything(feed.filter(activity_id__gte=number, activity_id__lte=number)[:]) == wanted
    assert everything(feed.order_by('activity_id')[feed.count() - 1 - feed.index_of(NOBODYS)]) == wanted
    assert feed.filter(activity_id__gte=number, activity_id__lte=number)[0][0].actor is None
    target: BaseFeed = old.flat_class(2)
    old.manager.follow_feed(target, feed)
    assert everything(a for a in target[:] if a.object_id == 777) == wanted
    old.manager.unfollow_feed(target, feed)
    assert target[:] == []
    feed.remove(NOBODYS)
    assert feed.count() == len(feed[:]) == count


def test_a_group_with_an_activity_without_an_actor(old: Old) -> None:
    members = [NOBODYS, Activity(5, Love, 777, time=datetime.datetime(2013, 7, 8, 8, 0, 1))]
    old.session.execute(
        f'INSERT INTO {old.tables["aggregated"]} (feed_id, activity_id, activities, created_at, "group", updated_at) '
        'VALUES (%s, %s, %s, %s, %s, %s)',
        ['feed_9', 1373270401000, pickle.dumps(members, 2), NOBODYS.time, '3-2013-07-08', members[1].time],
    )
    feed = old.aggregated_class(9)
    assert [group.actor_ids for group in feed[:]] == [[None, 5]]
    assert everything(feed[0][0].activities) == everything(members)
    feed.add(later(1))
    assert [group.actor_ids for group in feed[:]] == [[None, 5, 71]]
    assert feed[0][0].actor_count == 3
    feed.remove(NOBODYS)
    assert [group.actor_ids for group in feed[:]] == [[5, 71]]
    feed.add(Activity(None, Love, 778, time=datetime.datetime(2013, 7, 8, 9, 0, 5)))
    assert [group.actor_ids for group in feed[:]] == [[5, 71, None]]


# the applications' own models and serializers


def test_a_model_with_a_column_of_its_own(one: Any) -> None:
    from cassandra.cqlengine import columns

    from stream_framework.feeds.cassandra import CassandraFeed
    from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
    from stream_framework.storage.cassandra import models

    class Mood(models.Activity):
        mood = columns.Text(required=False)

    class MoodSerializer(CassandraActivitySerializer):
        def dumps(self, activity: Any) -> Any:
            row = super().dumps(activity)
            row.mood = activity.extra_context.get('mood')
            return row

        def loads(self, serialized: Any) -> Any:
            activity = super().loads(serialized)
            activity.mood = serialized['mood'] if isinstance(serialized, dict) else serialized.mood
            return activity

    class MoodFeed(CassandraFeed):
        key_format = f'{RUN}:mood:%(user_id)s'
        timeline_model = Mood
        timeline_cf_name = f'mood_{RUN}'
        activity_serializer = MoodSerializer
        timeline_serializer = MoodSerializer
        trim_chance = 0

    one.prepare(MoodFeed)
    feed: BaseFeed = MoodFeed(1)
    feed.add(later(1, extra_context={'mood': 'happy'}))
    feed.add(later(2))
    assert [activity.mood for activity in feed[:]] == [None, 'happy']
    assert [row.mood for row in MoodFeed.get_timeline_storage().model.objects.filter(feed_id=feed.key)] == [
        None,
        'happy',
    ]


def test_old_ids_that_arithmetic_would_get_wrong(one: Any) -> None:
    """What is read has the id that it is stored under, whatever its time, cut to milliseconds, would give."""
    old = Old(one)
    time = datetime.datetime(2013, 7, 8, 6, 59, 15, 1)
    moments = [time + datetime.timedelta(microseconds=999 * n) for n in range(400)]
    activities = [Activity(1, Love, n, time=moment) for n, moment in enumerate(moments)]
    feed = old.flat_class(2)
    feed.add_many(activities)
    wanted = sorted(ids(activities), reverse=True)
    assert ids(feed[:]) == wanted
    for activity in feed[:50]:
        feed.remove(activity)
    assert ids(feed[:]) == wanted[50:]
    assert id_arithmetic.normalize_id(str(wanted[0])) == wanted[0]
