"""The benchmarks run, and leave nothing behind; how fast anything is, is no matter of tests."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import platform
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.measure import Report
from benchmarks.servers import redis_server
from tests.backends import server, unavailable
from tests.servers.processes import has_docker_engine

SQL = (
    'fan-out to 10 flat feeds',
    'feed[:25]',
    'feed.filter(activity_id__lt=cursor)[:25]',
    'following',
    'importing',
    'bytes',
)
WORKS = {
    'models': (
        'Activity()',
        'serialization_id',
        'write context',
        'read activity',
        'read notification',
        'write fan-out',
    ),
    'imports': ('import the feeds on ',),
    'memory': ('memory of a flat feed', 'memory of an aggregated feed', 'memory of a notification feed'),
    'redis': (
        'fan-out to 20 flat feeds, empty, chunks of 1000',
        'fan-out to 2 aggregated feeds',
        'fan-out to 2 notification feeds',
        'feed[:25]',
        'feed[:25], 8 readers at once',
        'aggregated feed[:25], 20 groups of 3',
        'following',
        'importing',
        'notification feed[:25]',
        'notification add',
        'memory of a flat feed',
    ),
    'redis-scale': (
        'fan-out to empty',
        'feed[:25], each other activities',
        'the last page',
        'feed.add',
        'aggregated feed.add',
        'memory of an activity',
    ),
    'sqlite': (*SQL, 'fan-out to 2 aggregated'),
    'sql': SQL,
    'replay': ('replay of 10 events, 9 entries',),
    'celery': ('publish a fan-out', 'peak memory of publishing', 'deliver by two worker processes'),
    'follows': tuple(
        f'{place}: {work}'
        for place in ('memory', 'SQLite', 'Redis')
        for work in ('is_following of 100', 'a page of 25 followers', 'following 2 users', 'fan-out to 20')
    ),
    'follows-cassandra': ('Cassandra: is_following of 100', 'Cassandra: following', 'Cassandra: fan-out to 20'),
    'cassandra': ('fan-out', 'feed[:25]', 'following', 'importing'),
    'cassandra-scale': ('fan-out to flat feeds', 'feed[:25]', 'the last page', 'feed.add'),
}


def measured(part: str, *options: str) -> str:
    report = main([part, '--quick', *options])
    for work in WORKS[part]:
        assert any(row.work.startswith(work) for row in report.rows), work
    assert all(row.median > 0 for row in report.rows)
    assert all((row.p90 <= row.median) if row.unit.endswith('/s') else (row.p90 >= row.median) for row in report.rows)
    # Each work has the library first, then others with their ratios.
    assert all((row.ratio is None) == (row.contender == 'library') for row in report.rows)
    # What waits for a server that tells: Python's part, and the server's.
    if part.startswith('redis'):
        assert all(row.server_us for row in report.rows if row.ratio is not None)
    return report.table()


@pytest.fixture
def settings_kept() -> Any:
    from stream_framework import settings

    before = {name: getattr(settings, name) for name in settings.NAMES}
    yield
    settings.configure(**before)


@pytest.mark.parametrize('part', ['models', 'imports', 'memory'])
def test_what_needs_no_server(part: str) -> None:
    if part == 'imports':
        pytest.importorskip('redis')
    assert 'library : contender' in measured(part)


@pytest.mark.parametrize('part', ['redis', 'redis-scale', 'replay', 'follows'])
def test_redis(part: str, settings_kept: None, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    redis = pytest.importorskip('redis')
    events = tmp_path / 'events.txt'
    events.write_text('1 2 1400000000\n2 1 1400000001\n' * 5)
    try:
        with redis_server() as server:
            client = redis.Redis(port=server.port)
            measured(part, '--address', f'127.0.0.1:{server.port}', '--events', str(events))
            assert client.dbsize() == 0
            client.close()
    except LookupError as error:
        unavailable(str(error))
    assert 'nothing is pinned' in capsys.readouterr().out


@pytest.mark.parametrize('part', ['sqlite', 'sql'])
def test_sql(part: str, settings_kept: None) -> None:
    # The second is both databases.
    pytest.importorskip('sqlalchemy' if part == 'sqlite' else 'psycopg')
    try:
        measured(part)
    except SystemExit as error:
        unavailable(str(error))


def test_celery(settings_kept: None) -> None:
    pytest.importorskip('redis')
    try:
        with redis_server():
            measured('celery')
    except LookupError as error:
        unavailable(str(error))


@pytest.mark.parametrize('part', ['cassandra', 'cassandra-scale', 'follows-cassandra'])
def test_cassandra(part: str, settings_kept: None) -> None:
    pytest.importorskip('cassandra')
    config = server('cassandra')
    connection = importlib.import_module('stream_framework.storage.cassandra.connection')
    port = config.get('CASSANDRA_DRIVER_KWARGS', {}).get('port', 9042)
    try:
        measured(part, '--address', f'{config["STREAM_CASSANDRA_HOSTS"][0]}:{port}')
    finally:
        connection.reset()


@pytest.mark.soak
def test_the_disk_of_a_node_of_its_own(settings_kept: None) -> None:
    pytest.importorskip('cassandra')
    # Where there is one, another can be started.
    server('cassandra')
    if os.environ.get('TEST_CASSANDRA_HOST') or has_docker_engine():
        pytest.skip('nodes of this machine are not what tests run on here')
    report = main(['cassandra-disk', '--quick'])
    assert len(report.rows) == 4 and all(row.median > 0 for row in report.rows)


def test_a_replay_without_events_says_what_it_needs() -> None:
    with pytest.raises(SystemExit, match='--events FILE'):
        main(['replay', '--quick'])


def test_one_work_only() -> None:
    report = main(['models', '--quick', '--only', 'read context'])
    assert {row.work for row in report.rows} == {'read context'}


def test_percentiles_are_of_what_one_waits_for() -> None:
    report = Report(runs=1, part='test')
    report._add('rate', {'library': [1.0] * 9 + [2.0], 'other': [0.5] * 10}, lambda taken: 10 / taken, 'writes/s', {})
    library, other = report.rows
    assert (library.median, library.p90, library.p99) == (10, 10, 5)
    assert (other.median, other.ratio, library.ratio) == (20, 0.5, None)


def test_what_is_written_names_no_machine(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('matplotlib')
    main(['models', '--quick', '--only', 'serialization_id', '--output', str(tmp_path)])
    text = (tmp_path / 'results.json').read_text()
    found = json.loads(text)
    assert found['machine']['cpu'] and found['machine']['python'].endswith(platform.python_version())
    assert [row['contender'] for row in found['rows']] == ['library', 'plain class']
    assert platform.node() not in text and str(tmp_path) not in text
    assert (
        (tmp_path / 'models.csv')
        .read_text()
        .startswith('Work,Contender,Median,p99,Unit,Library : contender,1.4.0\nserialization_id,library,')
    )


def test_a_figure_of_each_backend_that_was_measured(tmp_path: pathlib.Path) -> None:
    pytest.importorskip('matplotlib')
    from benchmarks import plots

    def row(part: str, work: str, contender: str, **more: Any) -> dict[str, Any]:
        return {'part': part, 'work': work, 'contender': contender, 'median': 2.0, 'unit': 'ms', 'samples': 5, **more}

    rows = [
        row('redis', 'feed[:25]', 'library'),
        row('redis', 'feed[:25]', 'redis-py, one script', ratio=1.25),
        row('redis', 'feed[:25]', 'redis-py, two round trips', ratio=0.5),
        row('redis', 'feed[:25]', 'redis-py, another way', ratio=0.8),
        row('redis-scale', 'memory of an activity', 'library', unit='bytes', axis='activities', at=10),
    ]
    plots.draw({'rows': rows}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['redis.svg']
    text = (tmp_path / 'redis.svg').read_text()
    # The fastest contender and the slowest; how fast the library is beside each.
    for wanted in (
        'redis-py, one script',
        '>0.80<',
        'redis-py, two round trips',
        '>2.00<',
        'an activity, by activities',
    ):
        assert wanted in text
    assert 'another way' not in text


def test_each_call_is_timed_and_each_contender_pays_for_its_own() -> None:
    server = iter(range(1000))
    report = Report(runs=1, part='test', server_seconds=lambda: next(server))
    seen: dict[str, list[int]] = {'library': [], 'other': []}
    report.latencies('read', range(120), ('library', seen['library'].append), ('other', seen['other'].append))
    assert all(sorted(arguments) == sorted([*range(120)] * 2) for arguments in seen.values())
    # In three turns of the one run that counts, for 120 calls.
    library, other = report.rows
    assert library.server_us == other.server_us == 1e6 * 3 / 120
    assert (library.samples, other.server_ratio, library.server_ratio) == (120, 1, None)
    # They are never with the same feeds at once.
    assert seen['library'][0] != seen['other'][0]


def test_contenders_that_read_something_else_are_found_out() -> None:
    from benchmarks import works

    benchmark = works.Benchmark(Report(runs=1))
    page = works.activities(3)
    benchmark.agree('a page', 1, [('library', lambda _: page), ('by hand', lambda _: list(page))])
    with pytest.raises(RuntimeError, match='a page: by hand reads'):
        benchmark.agree('a page', 1, [('library', lambda _: page), ('by hand', lambda _: page[:2])])


def test_a_wrong_part_and_a_wrong_address(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (['mongodb'], ['--address', '127.0.0.1:6379'], ['redis', '--address', 'redis']):
        with pytest.raises(SystemExit):
            main(arguments)
    assert 'choose from models' in capsys.readouterr().err
