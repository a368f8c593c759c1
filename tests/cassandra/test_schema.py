"""``sync``: what it creates, what it adds, what it refuses."""

from __future__ import annotations

import importlib
import os
import pathlib
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('cassandra')

from stream_framework import settings
from stream_framework.activity import Activity
from stream_framework.exceptions import ConfigurationError, StorageError
from stream_framework.verbs import Love
from tests.backends import RUN, Cassandra

ROOT = pathlib.Path(__file__).parent.parent.parent

MODULE = """
from stream_framework.feed_managers.base import Manager
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed


class Pins(CassandraFeed):
    key_format = 'pins:%(user_id)s'


class PinsOfFriends(Pins):
    key_format = 'friends:%(user_id)s'
    max_length = 5


class Grouped(CassandraAggregatedFeed):
    key_format = 'grouped:%(user_id)s'


class Notes(CassandraNotificationFeed):
    timeline_cf_name = 'notes'


class InMemory(Feed):
    pass


class UserPins(UserBaseFeed, CassandraFeed):
    timeline_cf_name = 'user_pins'


class PinManager(Manager):
    feed_classes = {'normal': Pins, 'grouped': Grouped}
    user_feed_class = UserPins
"""


@pytest.fixture
def keyspace() -> Iterator[str]:
    """A keyspace of the test's own, which isn't there yet."""
    from stream_framework.storage.cassandra import connection

    backend = Cassandra()
    backend.start()
    name = f'sync_{RUN}'
    before = settings.STREAM_DEFAULT_KEYSPACE
    settings.STREAM_DEFAULT_KEYSPACE = name
    connection.get_session().execute(f'DROP KEYSPACE IF EXISTS {name}')
    yield name
    connection.get_session().execute(f'DROP KEYSPACE IF EXISTS {name}')
    settings.STREAM_DEFAULT_KEYSPACE = before
    connection.setup_connection()


@pytest.fixture
def feeds(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module above, as an application's."""
    (tmp_path / 'feeds_to_sync.py').write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module('feeds_to_sync')
    sys.modules.pop('feeds_to_sync')


def sync(*targets: Any, **options: Any) -> list[str]:
    from stream_framework.storage.cassandra import schema

    return schema.sync(*targets, **options)


def columns(keyspace: str, table: str) -> dict[str, tuple[str, str]]:
    from stream_framework.storage.cassandra import connection

    rows = connection.get_session().execute(
        'SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = %s AND table_name = %s',
        [keyspace, table],
    )
    return {row['column_name']: (row['type'], row['kind']) for row in rows}


def test_everything_is_created_once(keyspace: str, feeds: Any) -> None:
    statements = sync('feeds_to_sync', replication_factor=1)
    assert statements[0].startswith(f'CREATE KEYSPACE IF NOT EXISTS "{keyspace}"')
    tables = sorted(statement.split('"')[3] for statement in statements[1:])
    assert tables == [
        'aggregated',
        'example',
        'notes',
        'stream_framework_ledger',
        'stream_framework_marks',
        'stream_framework_seen',
        'user_pins',
    ]
    assert sync('feeds_to_sync') == []
    for feed in (feeds.Pins(1), feeds.Grouped(1), feeds.Notes(1), feeds.UserPins(1)):
        feed.add(Activity(1, Love, 2))
        assert feed.count() == 1


def test_columns_are_as_in_the_contract(keyspace: str, feeds: Any) -> None:
    sync(feeds)
    assert columns(keyspace, 'example') == {
        'feed_id': ('text', 'partition_key'),
        'activity_id': ('varint', 'clustering'),
        **dict.fromkeys(('actor', 'object', 'target'), ('bigint', 'regular')),
        'extra_context': ('blob', 'regular'),
        'ids': ('text', 'regular'),
        'time': ('timestamp', 'regular'),
        'verb': ('int', 'regular'),
    }
    aggregated = {
        'feed_id': ('text', 'partition_key'),
        'activity_id': ('varint', 'clustering'),
        'activities': ('blob', 'regular'),
        'group': ('text', 'regular'),
        **dict.fromkeys(('created_at', 'updated_at', 'seen_at', 'read_at'), ('timestamp', 'regular')),
        'minimized_activities': ('int', 'regular'),
        'version': ('int', 'static'),
    }
    assert columns(keyspace, 'aggregated') == aggregated
    assert columns(keyspace, 'notes') == {
        **aggregated,
        'unseen': ('set<text>', 'static'),
        'unread': ('set<text>', 'static'),
    }


def test_cqlengine_creates_the_same(keyspace: str, feeds: Any) -> None:
    from cassandra.cqlengine.management import sync_table

    from stream_framework.storage.cassandra import connection

    sync(feeds)
    ours = {table: columns(keyspace, table) for table in ('example', 'aggregated', 'notes')}
    for table in ours:
        connection.get_session().execute(f'DROP TABLE {keyspace}.{table}')
    connection.setup_connection()
    for feed_class in (feeds.Pins, feeds.Grouped, feeds.Notes):
        sync_table(feed_class.get_timeline_storage().model)
    assert {table: columns(keyspace, table) for table in ours} == ours


def test_a_dry_run_changes_nothing(keyspace: str, feeds: Any) -> None:
    said: list[str] = []
    statements = sync('feeds_to_sync', dry_run=True, say=said.append)
    assert len(statements) == 8
    assert said == [f'{statement};' for statement in statements]
    with pytest.raises(StorageError, match='sync'):
        feeds.Pins(1).count()
    assert sync('feeds_to_sync', dry_run=True) == statements


@pytest.mark.parametrize(
    'replication',
    [
        {'class': 'SimpleStrategy', 'replication_factor': 1},
        "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}",
    ],
)
def test_replication_is_as_given(keyspace: str, feeds: Any, replication: Any) -> None:
    from stream_framework.storage.cassandra import connection

    sync(feeds.Pins, replication=replication)
    found = connection.get_session().cluster.metadata.keyspaces[keyspace].replication_strategy.export_for_schema()
    assert 'SimpleStrategy' in found if isinstance(replication, dict) else "'datacenter1': '1'" in found


def test_new_tables_have_options(keyspace: str, feeds: Any) -> None:
    from stream_framework.storage.cassandra import connection

    sync(feeds.Pins)
    table = connection.get_session().cluster.metadata.keyspaces[keyspace].tables['example']
    assert 'LeveledCompactionStrategy' in table.as_cql_query()
    assert table.options['gc_grace_seconds'] == 259200


def test_old_tables_get_columns_and_lose_nothing(keyspace: str, feeds: Any) -> None:
    from stream_framework.storage.cassandra import connection

    session = connection.get_session()
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    session.execute(f'CREATE KEYSPACE {keyspace} WITH replication = {replication}')
    session.execute(
        f'CREATE TABLE {keyspace}.aggregated (feed_id ascii, activity_id varint, activities blob, '
        'created_at timestamp, '
        '"group" ascii, updated_at timestamp, mine text, PRIMARY KEY (feed_id, activity_id)) '
        'WITH CLUSTERING ORDER BY (activity_id DESC)'
    )
    feeds.Grouped(1).add(Activity(1, Love, 2))
    said: list[str] = []
    statements = sync(feeds.Grouped, say=said.append)
    assert [statement for statement in statements if 'ALTER' in statement] == [
        f'ALTER TABLE "{keyspace}"."aggregated" ADD {column}'
        for column in (
            '"minimized_activities" int',
            '"seen_at" timestamp',
            '"read_at" timestamp',
            '"version" int static',
        )
    ]
    assert any('feed_id is ascii, not text' in line for line in said)
    assert columns(keyspace, 'aggregated')['mine'] == ('text', 'regular')
    assert columns(keyspace, 'aggregated')['version'] == ('int', 'static')
    assert sync(feeds.Grouped) == []
    assert feeds.Grouped(1).count() == 1


def test_a_model_with_a_column_of_its_own(keyspace: str, feeds: Any) -> None:
    from cassandra.cqlengine import columns as kinds

    from stream_framework.storage.cassandra import models

    class Placed(models.Activity):
        place = kinds.Text()

    class Nearby(feeds.Pins):
        key_format = 'near:%(user_id)s'
        timeline_model = Placed

    sync(feeds.Pins)
    assert sync(feeds.Pins, Nearby) == [f'ALTER TABLE "{keyspace}"."example" ADD "place" text']


def test_what_has_no_feed_on_cassandra(feeds: Any) -> None:
    with pytest.raises(ConfigurationError, match='no feed class on Cassandra'):
        sync(feeds.InMemory)
    with pytest.raises(ConfigurationError, match='json'):
        sync('json')
    with pytest.raises(ConfigurationError, match='no_such_module'):
        sync('no_such_module')


def test_managers_name_their_feeds(feeds: Any) -> None:
    from stream_framework.storage.cassandra import schema

    expected = [feeds.Pins, feeds.Grouped, feeds.UserPins]
    assert schema.find_feed_classes([feeds.PinManager]) == expected
    assert schema.find_feed_classes([feeds.PinManager()]) == expected


def test_keys_that_clash(keyspace: str, feeds: Any) -> None:
    class Others(feeds.CassandraFeed):
        key_format = feeds.Pins.key_format

    class Elsewhere(Others):
        timeline_cf_name = 'elsewhere'

    with pytest.raises(ConfigurationError, match='Others') as failed:
        sync(feeds.Pins, Others)
    assert 'Pins' in str(failed.value)
    assert 'key_format' in str(failed.value)
    statements = sync(feeds.Pins, feeds.PinsOfFriends, Elsewhere)
    tables = {statement.split('"')[3] for statement in statements[1:]}
    assert {table for table in tables if not table.startswith('stream_framework_')} == {'example', 'elsewhere'}


@pytest.mark.parametrize('conversion', ['s', 'd'])
def test_the_first_use_warns_of_keys_that_clash(feeds: Any, conversion: str) -> None:
    # Classes of other tests may not be collected yet.
    prefix = f'clash-{conversion}'

    class One(feeds.CassandraFeed):
        key_format = f'{prefix}:%(user_id)s'

    class Derived(One):
        pass

    class InItsOwnWay(feeds.CassandraFeed):
        key_format = f'{prefix}:%(user_id)s:%(list_id)s'

    Other = type('Other', (feeds.CassandraFeed,), {'key_format': f'{prefix}:%(user_id){conversion}'})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for feed_class in (InItsOwnWay, One, One, Derived):
            feed_class.get_timeline_storage()
    with pytest.warns(RuntimeWarning, match='One and .*Other both write keys'):
        Other.get_timeline_storage()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        Other.get_timeline_storage()


def test_the_first_use_tells_modules_apart(feeds: Any) -> None:
    def made(module: str) -> Any:
        return type('Same', (feeds.CassandraFeed,), {'key_format': 'same:%(user_id)s', '__module__': module})

    one, again, other = made('one'), made('one'), made('other')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        one.get_timeline_storage()
        again.get_timeline_storage()
    with pytest.warns(RuntimeWarning, match='both write keys'):
        other.get_timeline_storage()


def run_command(tmp_path: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    port = settings.CASSANDRA_DRIVER_KWARGS['port']
    hosts = ','.join(f'{host}:{port}' for host in settings.STREAM_CASSANDRA_HOSTS)
    return subprocess.run(
        [sys.executable, '-m', 'stream_framework.storage.cassandra', *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'STREAM_CASSANDRA_HOSTS': hosts,
            'STREAM_DEFAULT_KEYSPACE': settings.STREAM_DEFAULT_KEYSPACE,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command(keyspace: str, tmp_path: Any) -> None:
    (tmp_path / 'app_feeds.py').write_text(MODULE)
    done = run_command(tmp_path, 'sync', 'app_feeds', '--dry-run')
    assert done.returncode == 0, done.stderr
    assert columns(keyspace, 'example') == {}
    assert f'CREATE TABLE IF NOT EXISTS "{keyspace}"."notes"' in done.stdout
    again = run_command(tmp_path, 'sync', 'app_feeds', '--replication-factor', '1')
    assert (again.returncode, again.stderr) == (0, '')
    assert columns(keyspace, 'notes') != {}
    last = run_command(tmp_path, 'sync', 'app_feeds')
    assert 'everything is there' in last.stdout


def test_the_command_tells_what_is_wrong(keyspace: str, tmp_path: Any) -> None:
    clash = textwrap.dedent(
        """
        class Others(CassandraFeed):
            key_format = Pins.key_format
        """
    )
    (tmp_path / 'app_feeds.py').write_text(MODULE + clash)
    done = run_command(tmp_path, 'sync', 'app_feeds')
    assert done.returncode == 1
    assert 'app_feeds.Pins' in done.stderr
    assert 'app_feeds.Others' in done.stderr
    assert columns(keyspace, 'example') == {}
    assert run_command(tmp_path, 'sync', 'nothing_here').returncode == 1
    assert run_command(tmp_path).returncode == 2
