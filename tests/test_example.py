"""The example, as a newcomer runs it: in a process of its own."""

from __future__ import annotations

import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.backends import server, sqlite_folder

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLE = ROOT / 'examples' / 'newsfeed.py'

#: Runs the example after some code, which may break things.
_SABOTAGED = f"""
import runpy, sys
sys.path.insert(0, {str(EXAMPLE.parent)!r})
%s
sys.argv[0] = {str(EXAMPLE)!r}
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def environment() -> dict[str, str]:
    return {
        **os.environ,
        'PYTHONPATH': str(ROOT),
        'PYTHONWARNINGS': 'error::DeprecationWarning:__main__',
        'STREAM_SQL_URL': f'sqlite:///{sqlite_folder()}/newsfeed.sqlite3',
    }


def run(*args: Any, before: str | None = None) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = (
        [sys.executable, str(EXAMPLE)] if before is None else [sys.executable, '-c', _SABOTAGED % before]
    )
    done = subprocess.run(
        [*command, *map(str, args)], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert 'Traceback' not in done.stdout + done.stderr, done.stderr
    return done


def fails(*args: Any, before: str | None = None) -> str:
    """What it says on failing; it prints nothing else."""
    done = run(*args, before=before)
    assert done.returncode != 0
    assert done.stdout == ''
    return done.stderr


@pytest.fixture(scope='module')
def events(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """400 events of 12 people: out of order, many in one second, some to oneself, one in the very first second."""
    chance = random.Random(7)
    lines = ['3 4 1\n']
    for number in range(400):
        seconds = 1_083_000_000 + number * 400 - chance.choice([0, 0, 0, 90_000])
        lines.append(f'{chance.randrange(12)} {chance.randrange(12)} {seconds - seconds % 2400}\n')
    path = tmp_path_factory.mktemp('events') / 'events.txt'
    path.write_text(''.join(lines))
    return path


@pytest.fixture
def file(tmp_path: pathlib.Path) -> Any:
    def write(content: str | bytes) -> pathlib.Path:
        path = tmp_path / 'given.txt'
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_without_arguments() -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert 'Replaying' in done.stderr
    news = re.search(r'^News of (\d+), page 1\n((  .*\n)+)', done.stdout, re.MULTILINE)
    assert news is not None
    assert len(news[2].splitlines()) == 25
    assert f'News of {news[1]}, page 2\n' in done.stdout
    grouped = done.stdout.partition(f'\nGrouped news of {news[1]}\n')[2].partition('\n\n')[0]
    assert re.search(r'\d+ and \d+ others wrote to \d+', grouped)
    unseen = re.search(rf'^Notifications of {news[1]}, (\d+) unseen\n', done.stdout, re.MULTILINE)
    assert unseen is not None
    assert int(unseen[1]) >= 1
    totals = re.search(r'^2,000 activities, ([\d,]+) deliveries to feeds in ', done.stdout, re.MULTILINE)
    assert totals is not None
    assert int(totals[1].replace(',', '')) > 20_000
    assert 'deliveries per second' in done.stdout


def test_made_up_networks_are_the_same_each_time_and_checked() -> None:
    options = ('--people', 30, '--limit', 100, '--check')
    one, same, other = run(*options), run(*options), run(*options, '--seed', 2)
    assert one.returncode == same.returncode == other.returncode == 0
    assert 'Check passed: the feeds of 30 readers' in one.stdout
    timeless = [re.sub(r'in [\d.]+ s: .*', '', done.stdout) for done in (one, same, other)]
    assert timeless[0] == timeless[1]
    assert timeless[0] != timeless[2]


def test_what_an_earlier_run_has_left() -> None:
    options = ('--people', 30, '--limit', 100)
    first, again = run(*options), run(*options, '--no-replay')
    assert again.returncode == 0, again.stderr
    assert 'Replaying' not in again.stderr
    assert again.stdout.strip() in first.stdout
    assert 'nothing was kept' in fails(*options, '--no-replay', '--backend', 'memory')


def test_on_postgres(events: pathlib.Path) -> None:
    assert 'say where PostgreSQL is' in fails('--backend', 'postgres')
    if server('postgres')['STREAM_SQL_SCHEMA']:
        pytest.skip('the example uses no schema of its own')
    url = server('postgres')['STREAM_SQL_URL']
    done = run('--backend', 'postgres', '--sql-url', url, '--events', events, '--limit', 150, '--check')
    assert done.returncode == 0, done.stderr
    assert 'Check passed' in done.stdout


def test_events_from_a_file(events: pathlib.Path) -> None:
    done = run('--events', events, '--check', '--reader', 3)
    assert done.returncode == 0, done.stderr
    assert '12 people' in done.stdout
    assert '401 events' in done.stdout
    assert 'News of 3, page 2' in done.stdout
    assert 'Check passed: the feeds of 12 readers' in done.stdout


def test_limit_and_follows(events: pathlib.Path, file: Any) -> None:
    done = run('--events', events, '--limit', 50, '--follows', file('3 77\n3 5\n'), '--reader', 77, '--check')
    assert done.returncode == 0, done.stderr
    assert '4 follows, 50 events' in done.stdout
    made_up = run('--follows', file('1 2\n2 3\n'), '--limit', 9, '--check')
    assert made_up.returncode == 0, made_up.stderr
    assert '3 people, 4 follows, 9 events' in made_up.stdout
    # Each of the nine reaches the followers of who wrote, twice, and whoever was written to.
    deliveries = int(re.findall(r'9 activities, (\d+) deliveries', made_up.stdout)[0])
    assert 27 <= deliveries <= 45


def test_totals_are_exact(file: Any) -> None:
    # 2 and 3 follow 1, 1 follows 2: twice three deliveries to followers, and three notifications.
    done = run('--events', file('2 1 100\n3 1 200\n1 2 300\n'), '--reader', 3, '--check')
    assert done.returncode == 0, done.stderr
    assert '3 activities, 9 deliveries' in done.stdout
    assert '1970-01-01 00:05  1 wrote to 2\n' in done.stdout
    assert 'Notifications of 3, 0 unseen' in done.stdout


@pytest.mark.parametrize(
    'line',
    ['1 2', '1 2 3 4', '', 'one 2 3', '1 2 soon', '1 2 -3', '1 2 3.5', '1;2;3', '1 2 ١', '9' * 30 + ' 1 2', '9' * 5000],
)
def test_malformed_events(file: Any, line: str) -> None:
    path = file(f'1 2 100\n2 1 200\n{line}\n1 2 300\n')
    message = fails('--events', path)
    assert f'{path}, line 3: expected ACTOR TARGET UNIXTIME' in message
    assert len(message) < 300


@pytest.mark.parametrize('seconds', [0, 10**12])
def test_times_that_are_none(file: Any, seconds: int) -> None:
    path = file(f'1 2 {seconds}\n')
    message = fails('--events', path)
    assert f'{path}, line 1: UNIXTIME {seconds} is not within 1 and ' in message


def test_malformed_follows(file: Any) -> None:
    path = file('1 2\n1\n')
    assert f'{path}, line 2: expected U V' in fails('--follows', path)


def test_bytes_that_are_no_text(file: Any) -> None:
    path = file(b'1 2 100\n\xff\xfe\x00\n')
    assert f'{path}, line 2: expected ACTOR TARGET UNIXTIME' in fails('--events', path)


def test_files_that_can_not_be_read(tmp_path: pathlib.Path, file: Any) -> None:
    assert f'{tmp_path / "nowhere"} can not be read: No such file' in fails('--events', tmp_path / 'nowhere')
    assert f'{tmp_path} can not be read: Is a directory' in fails('--follows', tmp_path)
    path = file('')
    assert f'{path} holds no events' in fails('--events', path)


def test_bad_options(events: pathlib.Path) -> None:
    assert 'reader 99 is not in this network; it has 0, 1, 2, 3, 4 and 7 more' in fails(
        '--events', events, '--reader', 99
    )
    assert "'mongodb'" in fails('--backend', 'mongodb')
    assert "'many'" in fails('--limit', 'many')
    assert '--limit' in fails('--limit', 0)
    assert '--colour' in fails('--colour', 'red')
    assert 'is no address of a Redis server' in fails('--backend', 'redis', '--redis-url', 'http://localhost')


def test_a_server_that_is_down() -> None:
    message = fails('--backend', 'redis', '--redis-url', 'redis://user:secret@127.0.0.1:1/0')
    assert '127.0.0.1:1/0' in message
    assert 'secret' not in message
    pytest.importorskip('cassandra')
    assert '127.0.0.1:1' in fails('--backend', 'cassandra', '--cassandra-hosts', '127.0.0.1:1')


@pytest.mark.parametrize('client', ['redis', 'cassandra'])
def test_a_client_that_is_not_installed(client: str) -> None:
    message = fails('--backend', client, before=f'sys.modules[{client!r}] = None')
    assert f'pip install stream-framework[{client}]' in message.replace("'", '')


def test_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), '--limit', '1000000'],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has its jobs in the background ignore it, and so would this one then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert '1,000,000 events' in process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert output.strip() == ''
    assert 'Traceback' not in errors
    assert 'Aborted!' in errors


def test_a_pipe_that_is_closed() -> None:
    process = subprocess.Popen(
        [sys.executable, '-u', str(EXAMPLE), '--limit', '200'],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert 'Traceback' not in errors
    assert 'Exception ignored' not in errors


#: What goes wrong, and which of the feeds it shows in.
_BREAKAGES = {
    'a follow is lost': (
        "from stream_framework.storage.memory import InMemoryFollowStorage as storage\n"
        "import_follows = storage.import_follows\n"
        "def lossy(self, follows, progress):\n"
        "    return import_follows(self, list(follows)[1:], progress)\n"
        "storage.import_follows = lossy\n",
        r"'s follows: expected",
    ),
    'an activity is lost on its way to the followers': (
        "from stream_framework.storage.memory import InMemoryTimelineStorage as storage\n"
        "add = storage.add_to_storage\n"
        "def lossy(self, key, activities, *args, **kwargs):\n"
        "    kept = {i: data for i, data in activities.items() if int(i) // 1000 % 50}\n"
        "    return add(self, key, kept, *args, **kwargs)\n"
        "storage.add_to_storage = lossy\n",
        r'news, page \d+: expected',
    ),
    'a group forgets what it dropped': (
        "from stream_framework.activity import AggregatedActivity\n"
        "append = AggregatedActivity.append\n"
        "def forgetful(self, activity):\n"
        "    append(self, activity)\n"
        "    self.minimized_activities = 0\n"
        "AggregatedActivity.append = forgetful\n",
        r'group \d+ of newsfeed:grouped:\d+: expected',
    ),
    'a notification does not become unseen again': (
        "from stream_framework.feeds.notification_feed import base\n"
        "base._grew = lambda old, updated: False\n",
        r'number of unseen notifications: expected',
    ),
    'pages overlap': (
        "from stream_framework.storage.base import BaseTimelineStorage as storage\n"
        "bounds = storage.bounds\n"
        "def inclusive(self, filters):\n"
        "    return bounds(self, {name.replace('__lt', '__lte'): value for name, value in (filters or {}).items()})\n"
        "storage.bounds = inclusive\n",
        r'news, page 2: expected',
    ),
}  # fmt: skip


@pytest.mark.parametrize('what', _BREAKAGES)
def test_the_check_finds(what: str, events: pathlib.Path) -> None:
    before, found = _BREAKAGES[what]
    done = run('--backend', 'memory', '--events', events, '--check', before=before)
    assert done.returncode == 1
    assert re.search(f'^DIFFERENT: .*{found}', done.stderr, re.MULTILINE)
    assert 'Check FAILED' in done.stderr
    assert 'Check passed' not in done.stdout


def test_what_is_broken_is_not_found_without_the_breakage(events: pathlib.Path) -> None:
    assert run('--events', events, '--check', before='').returncode == 0


def test_on_redis(events: pathlib.Path) -> None:
    config = server('redis')
    url = config.get('url') or f'redis://{config["host"]}:{config["port"]}/{config.get("db") or 0}'
    for _ in range(2):  # the second run begins with empty feeds, too
        done = run('--backend', 'redis', '--redis-url', url, '--events', events, '--limit', 150, '--check')
        assert done.returncode == 0, done.stderr
        assert 'Check passed: the feeds of 12 readers' in done.stdout


def test_on_cassandra(events: pathlib.Path) -> None:
    given = server('cassandra')
    hosts = ','.join(f'{host}:{given["CASSANDRA_DRIVER_KWARGS"]["port"]}' for host in given['STREAM_CASSANDRA_HOSTS'])
    keyspace = given['STREAM_DEFAULT_KEYSPACE']
    options = ('--backend', 'cassandra', '--cassandra-hosts', hosts, '--cassandra-keyspace', keyspace)
    for _ in range(2):  # the second run begins with empty feeds, too
        done = run(*options, '--events', events, '--limit', 50, '--check')
        assert done.returncode == 0, done.stderr
        assert 'Check passed: the feeds of 12 readers' in done.stdout
