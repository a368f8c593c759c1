"""``python -m stream_framework check`` on Cassandra: up, down, without keyspace, tables, columns, replicas."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('cassandra')

from stream_framework import settings
from stream_framework.checks.cassandra import check_cassandra
from stream_framework.commands import main
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.storage.cassandra import schema
from tests.backends import RUN

ROOT = pathlib.Path(__file__).parent.parent.parent


class Pins(CassandraFeed):
    key_format = 'pins:%(user_id)s'
    timeline_cf_name = 'pins'


class Grouped(CassandraAggregatedFeed):
    key_format = 'grouped:%(user_id)s'
    timeline_cf_name = 'grouped'


@pytest.fixture
def keyspace(one: Any, session: Any) -> Iterator[str]:
    """The name of a keyspace that isn't there yet."""
    name = f'check_{RUN}'
    session.execute(f'DROP KEYSPACE IF EXISTS {name}')
    settings.STREAM_DEFAULT_KEYSPACE = name
    yield name
    session.execute(f'DROP KEYSPACE IF EXISTS {name}')


def found(*feed_classes: Any) -> dict[str, str]:
    """Level -> what was said at it."""
    said: dict[str, str] = {}
    for finding in check_cassandra(feed_classes, ['myapp.feeds'] if feed_classes else []):
        assert finding.subject == 'Cassandra'
        said[finding.level] = f'{said.get(finding.level, "")}{finding.message} -> {finding.remedy}\n'
    return said


def test_from_a_missing_keyspace_to_a_ready_one(keyspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = found(Pins, Grouped)
    assert 'answers: cluster' in said['ok']
    assert 'is up: Cassandra' in said['ok']
    assert f"keyspace '{keyspace}' is missing" in said['error']
    assert 'python -m stream_framework sync myapp.feeds' in said['error']

    assert main(['check', '--backend', 'cassandra', __name__]) == 1
    assert main(['sync', __name__]) == 0
    assert main(['check', '--backend', 'cassandra', __name__]) == 0
    printed = capsys.readouterr().out
    assert f'CREATE KEYSPACE IF NOT EXISTS "{keyspace}"' in printed
    ready = printed.rpartition('Cassandra\n')[2]
    assert 'all tables are there, with all columns' in ready
    assert 'reading at ONE takes' in ready
    assert 'reading at SERIAL takes' in ready
    assert '0 errors, 0 warnings' in ready

    said = found()
    assert 'error' not in said
    assert 'no feed classes were named' in said['note']


def test_what_tables_lack(keyspace: str, session: Any) -> None:
    schema.sync(Grouped)
    session.execute(f'ALTER TABLE {keyspace}.grouped DROP version')
    for name in ('marks', 'ledger'):
        session.execute(f'DROP TABLE {keyspace}.stream_framework_{name}')
    said = found(Pins, Grouped)
    assert f'table "{keyspace}"."pins" is missing' in said['error']
    assert f'table "{keyspace}"."grouped" has no column "version"' in said['warning']
    assert 'ledger' not in said['error'], 'not every manager keeps one'
    for name in ('marks', 'ledger'):
        assert f'table "{keyspace}"."stream_framework_{name}" is missing' in said['warning']


def test_columns_of_another_type(keyspace: str, session: Any) -> None:
    schema.sync(Grouped)
    session.execute(
        f'CREATE TABLE {keyspace}.pins (feed_id ascii, activity_id varint, actor int, extra_context blob, object int, '
        'target int, time timestamp, verb int, PRIMARY KEY (feed_id, activity_id))'
    )
    said = found(Pins)
    assert 'feed_id is ascii, not text' in said['note']
    assert 'has no column "ids"' in said['warning']
    assert 'error' not in said


def test_replicas_that_are_too_few(keyspace: str) -> None:
    schema.sync(replication_factor=1)
    for level in ('TWO', 'LOCAL_QUORUM'):
        settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = level
        said = found()
        assert ('error' in said) == (level == 'TWO')
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = 'THREE'
    assert ': 1, too few for consistency level THREE' in found()['error']


def test_more_replicas_than_nodes(keyspace: str, session: Any) -> None:
    schema.sync(Pins, replication={'class': 'SimpleStrategy', 'replication_factor': 2})
    assert 'wants 2 replicas, and there are 1 nodes' in found(Pins)['warning']
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = 'ALL'
    said = found(Pins)
    assert 'reading at ALL: ' in said['error']
    assert 'reading at SERIAL: ' in said['error']


def test_settings_that_can_not_work(one: Any) -> None:
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = 'MOST'
    assert "STREAM_CASSANDRA_CONSISTENCY_LEVEL is 'MOST'" in found()['error']


def test_one_that_is_down(tmp_path: pathlib.Path) -> None:
    """In a process of its own: the driver tells of failures by its log, which is not wanted here."""
    auth = 'from cassandra.auth import PlainTextAuthProvider'
    (tmp_path / 'ours.py').write_text(
        f'{auth}\nfrom stream_framework import settings\nsettings.configure(STREAM_CASSANDRA_HOSTS=["127.0.0.1:1"], '
        'CASSANDRA_DRIVER_KWARGS={"auth_provider": PlainTextAuthProvider("feeds", "hunter2"), "connect_timeout": 1})\n'
    )
    done = subprocess.run(
        [sys.executable, '-m', 'stream_framework', 'check', '--import', 'ours'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == ''
    assert '127.0.0.1:1' in done.stdout
    assert 'are they running, and reachable from here?' in done.stdout
    assert '1 error, ' in done.stdout
    assert 'hunter2' not in done.stdout
    assert 'Redis' not in done.stdout, 'it is not configured'
