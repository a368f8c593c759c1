"""The benchmarks run, and leave nothing behind; how fast anything is, is no matter of tests."""

from __future__ import annotations

import importlib
import shutil
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.servers import redis_server
from tests.backends import server, unavailable

WORKS = {
    'codec': ('write context', 'read activity', 'read notification of 15 activities'),
    'redis': ('fan-out', 'feed[:25]', 'following', 'importing', 'notification add', 'memory of a feed'),
    'cassandra': ('fan-out', 'feed[:25]', 'following', 'importing'),
}


def measured(backend: str, *options: str) -> str:
    report = main([backend, '--runs', '1', '--scale', '0.002', *options])
    for work in WORKS[backend]:
        assert any(row.work.startswith(work) for row in report.rows), work
    assert all(row.value > 0 for row in report.rows)
    # Each work has the library first, then others with their ratios.
    assert all((row.ratio is None) == (row.contender == 'library') for row in report.rows)
    return report.table()


@pytest.fixture
def settings_kept() -> Any:
    from stream_framework import settings

    before = {name: getattr(settings, name) for name in settings.NAMES}
    yield
    settings.configure(**before)


def test_codec() -> None:
    assert 'library : contender' in measured('codec')


def test_redis(settings_kept: None, capsys: pytest.CaptureFixture[str]) -> None:
    redis = pytest.importorskip('redis')
    if not (shutil.which('redis-server') or shutil.which('valkey-server')):
        unavailable('there is no redis-server in the PATH')
    with redis_server() as (port, _):
        client = redis.Redis(port=port)
        measured('redis', '--address', f'127.0.0.1:{port}')
        assert client.dbsize() == 0
        client.close()
    assert 'nothing is pinned' in capsys.readouterr().out


def test_cassandra(settings_kept: None) -> None:
    pytest.importorskip('cassandra')
    config = server('cassandra')
    connection = importlib.import_module('stream_framework.storage.cassandra.connection')
    port = config.get('CASSANDRA_DRIVER_KWARGS', {}).get('port', 9042)
    try:
        measured('cassandra', '--address', f'{config["STREAM_CASSANDRA_HOSTS"][0]}:{port}')
    finally:
        connection.reset()


def test_one_work_only() -> None:
    report = main(['codec', '--runs', '1', '--scale', '0.002', '--only', 'read context'])
    assert {row.work for row in report.rows} == {'read context'}
