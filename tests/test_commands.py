"""``python -m stream_framework``: what it says of settings; what it says of servers is tested in their folders."""

from __future__ import annotations

import datetime
import importlib
import io
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework import __version__, settings
from stream_framework.checks import redis
from stream_framework.checks.findings import Finding, redacted
from stream_framework.checks.settings import check_settings
from stream_framework.commands import COMMANDS, main, progress
from stream_framework.commands.follow_lines import FollowLines
from stream_framework.exceptions import ConfigurationError
from stream_framework.utils.feed_classes import find_feed_classes

ROOT = pathlib.Path(__file__).parent.parent

SECRET = 'hunter2-and-more'


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is set when a test begins, and what was set before is set again."""
    for name in os.environ:
        if name.startswith(('STREAM_', 'DJANGO_')):
            monkeypatch.delenv(name)
    before = dict(settings._configured)
    settings._configured.clear()
    yield
    settings._configured.clear()
    settings._configured.update(before)


def run(tmp_path: pathlib.Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with ``tmp_path`` as the current folder."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(('STREAM_', 'DJANGO_'))}
    return subprocess.run(
        [sys.executable, '-m', 'stream_framework', *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**env, 'PYTHONPATH': str(ROOT), **environment},
        timeout=60,
    )


def only(**values: Any) -> Finding:
    """The one thing that is wrong with these settings."""
    settings.configure(**values)
    [finding] = check_settings()
    return finding


class TestHelp:
    def test_every_command_says_what_it_is_for(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(['--help'])
        assert ended.value.code == 0
        listed = capsys.readouterr().out
        for command in COMMANDS:
            name = command.__name__.rpartition('.')[2].replace('_', '-')
            assert re.search(rf'\n    {name}\s', listed)
            with pytest.raises(SystemExit):
                main([name, '--help'])
            assert name in capsys.readouterr().out

    @pytest.mark.parametrize('arguments', [[], ['chekc'], ['sync'], ['check', '--backend', 'mysql']])
    def test_what_can_not_be_understood(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert 'usage:' in capsys.readouterr().err

    def test_as_a_module(self, tmp_path: pathlib.Path) -> None:
        done = run(tmp_path, '--version')
        assert (done.returncode, done.stdout) == (0, f'stream_framework {__version__}\n')


def test_versions(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(['version']) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines['stream_framework'] == __version__
    assert lines['Python'].startswith('.'.join(map(str, sys.version_info[:3])))
    assert lines['celery'][0].isdigit()
    from stream_framework.commands import version

    monkeypatch.setattr(version, 'installed', lambda name: None)
    main(['version'])
    assert 'cassandra-driver  not installed (pip install stream-framework[cassandra])' in capsys.readouterr().out


class TestNames:
    def test_all_is_well(self) -> None:
        assert check_settings() == []

    def test_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv('STREAM_REDIS_ULR', f'redis://:{SECRET}@localhost')
        monkeypatch.setenv('STREAM_LINE_COUNT', '3')
        found = {finding.subject: finding for finding in check_settings()}
        assert (found['STREAM_REDIS_ULR'].level, found['STREAM_LINE_COUNT'].level) == ('error', 'warning')
        assert found['STREAM_REDIS_ULR'].remedy == 'did you mean STREAM_REDIS_URL?'
        assert SECRET not in str(found)

    def test_of_django(self, tmp_path: pathlib.Path) -> None:
        pytest.importorskip('django')
        (tmp_path / 'their_settings.py').write_text(
            'SECRET_KEY = "x"\nSTREAM_REDIS_CONFG = {}\nSTREAM_PAGE_SIZE = 25\nCASSANDRA_DRIVER_KWARG = {}\n'
            'STREAM_DEFAULT_KEYSPACE = "pins"\n'
        )
        done = run(tmp_path, 'check', '--django', 'their_settings', '--no-servers')
        assert done.returncode == 1, done.stderr
        assert 'ok       STREAM_DEFAULT_KEYSPACE: set by Django' in done.stdout
        assert 'error    STREAM_REDIS_CONFG: is no setting of the library' in done.stdout
        assert 'did you mean STREAM_REDIS_CONFIG?' in done.stdout
        assert 'did you mean CASSANDRA_DRIVER_KWARGS?' in done.stdout
        assert 'warning  STREAM_PAGE_SIZE: is no setting' in done.stdout
        assert '2 errors, 1 warning' in done.stdout

    def test_django_that_does_not_start(self, tmp_path: pathlib.Path) -> None:
        pytest.importorskip('django')
        (tmp_path / 'their_settings.py').write_text('SECRET_KEY = "x"\nINSTALLED_APPS = ["nowhere"]\n')
        done = run(tmp_path, 'check', '--no-servers', DJANGO_SETTINGS_MODULE='their_settings')
        assert done.returncode == 1
        assert "their_settings does not start: ModuleNotFoundError: No module named 'nowhere'" in done.stderr
        assert 'Traceback' not in done.stderr


class TestValues:
    @pytest.mark.parametrize(
        ('values', 'words'),
        [
            ({'STREAM_REDIS_CONFIG': []}, 'is a list, not a dict of servers'),
            ({'STREAM_REDIS_CONFIG': {}}, 'names no server'),
            ({'STREAM_REDIS_CONFIG': {'default': 'localhost'}}, 'must be a dict'),
            ({'STREAM_REDIS_CONFIG': {'default': {'hots': 'x'}}}, "unknown key 'hots' .did you mean 'host'"),
            ({'STREAM_REDIS_CONFIG': {'default': {'host': 5}}}, "'host' is an int"),
            ({'STREAM_REDIS_CONFIG': {'default': {'port': 'abc'}}}, "'port' is 'abc'"),
            ({'STREAM_REDIS_CONFIG': {'default': {'port': 70000}}}, 'from 0 to 65535'),
            ({'STREAM_REDIS_CONFIG': {'default': {'db': -1}}}, "'db' is -1"),
            ({'STREAM_REDIS_CONFIG': {'default': {'socket_timeout': 'soon'}}}, "'socket_timeout' is 'soon'"),
            ({'STREAM_REDIS_CONFIG': {'default': {'ssl': 'maybe'}}}, "'ssl' is 'maybe': give True or False"),
            ({'STREAM_REDIS_CONFIG': {'default': {'cluster': 'perhaps'}}}, "'cluster' is 'perhaps'"),
            ({'STREAM_REDIS_CONFIG': {'default': {'password': [SECRET]}}}, "'password' is a list: give a str"),
            ({'STREAM_REDIS_CONFIG': {'default': {'sentinels': 5}}}, "'sentinels' is 5: give a list"),
            ({'STREAM_REDIS_CONFIG': {'default': {'url': f'http://:{SECRET}@x'}}}, "'url' is no address"),
            ({'STREAM_REDIS_CONFIG': {'default': {'cluster': True, 'db': 2}}}, 'only database 0'),
            ({'STREAM_REDIS_CONFIG': {'default': {'client': object()}}}, "'client' must be a client of redis-py"),
            ({'STREAM_METRIC_CLASS': 'nowhere.Metrics'}, 'names nothing that can be imported'),
            ({'STREAM_METRIC_CLASS': 'collections.OrderedDict'}, 'has no fanout_timer'),
            ({'STREAM_METRIC_CLASS': 3}, 'is an int'),
            ({'STREAM_METRICS_OPTIONS': ['host']}, 'is a list'),
            ({'STREAM_METRICS_OPTIONS': {1: 2}}, 'has the key 1'),
            ({'STREAM_KEY_PREFIX': ''}, "is '': give a str"),
            ({'STREAM_KEY_PREFIX': 5}, 'is 5: give a str'),
            ({'STREAM_VERB_STORAGE': 'memory'}, 'names nothing that can be imported'),
            ({'STREAM_VERB_STORAGE': 'fractions.Fraction'}, 'has no __getitem__'),
            ({'STREAM_TASK_MODULES': 'myapp'}, 'is a str'),
            ({'STREAM_TASK_MODULES': 5}, 'is an int'),
            ({'STREAM_TASK_MODULES': ['my app']}, "'my app' is no import path"),
            ({'STREAM_TASK_MODULES': ['myapp.']}, "'myapp.' is no import path"),
            ({'STREAM_DEFAULT_KEYSPACE': 'my-app'}, "is 'my-app': give 1 to 48 letters"),
            ({'STREAM_DEFAULT_KEYSPACE': None}, 'is None: give 1 to 48'),
            ({'STREAM_CASSANDRA_HOSTS': []}, 'name the addresses'),
            ({'STREAM_CASSANDRA_HOSTS': 5}, 'is an int'),
            ({'STREAM_CASSANDRA_HOSTS': [5]}, 'holds 5: give addresses'),
            ({'STREAM_CASSANDRA_HOSTS': ['http://x']}, "'http://x' is no address"),
            ({'CASSANDRA_DRIVER_KWARGS': ['port']}, 'is a list'),
        ],
    )
    def test_malformed(self, values: dict[str, Any], words: str) -> None:
        [name] = values
        if 'REDIS' in name:
            pytest.importorskip('redis')
        finding = only(**values)
        assert (finding.level, finding.code) == ('error', 'E002')
        assert finding.subject.startswith(name)
        assert re.search(words, str(finding))
        assert SECRET not in str(finding)

    @pytest.mark.parametrize(
        ('values', 'words'),
        [
            ({'STREAM_CASSANDRA_CONSISTENCY_LEVEL': 'MOST'}, "'MOST': give one of ONE, TWO"),
            ({'STREAM_CASSANDRA_CONSISTENCY_LEVEL': True}, 'is True'),
            ({'CASSANDRA_DRIVER_KWARGS': {'port': 'nine'}}, "['port'] is 'nine': give an int"),
            ({'CASSANDRA_DRIVER_KWARGS': {'connect_timeout': True}}, 'give a number of seconds'),
            ({'CASSANDRA_DRIVER_KWARGS': {'prot': 9042}}, "unknown key 'prot' (did you mean 'port'?)"),
            ({'CASSANDRA_DRIVER_KWARGS': {'protocol_version': 2}}, 'no server since Cassandra 4.0'),
        ],
    )
    def test_malformed_to_the_driver(self, values: dict[str, Any], words: str) -> None:
        pytest.importorskip('cassandra')
        finding = only(**values)
        assert (finding.level, finding.code) == ('error', 'E002')
        assert words in str(finding)

    @pytest.mark.parametrize(
        'values',
        [
            {
                'STREAM_REDIS_CONFIG': {
                    'default': {'url': 'rediss://a:b@example.com:1/2'},
                    'x': {'port': '7', 'db': '1', 'socket_timeout': '5', 'ssl': 'False'},
                    'y': {'port': '', 'db': '', 'cluster': 'no', 'password': ''},
                }
            },
            {'STREAM_REDIS_CONFIG': {'default': {'sentinels': ['a:1', ('b', 2)], 'service_name': 'feeds'}}},
            {'STREAM_REDIS_CONFIG': {'default': {'host': 'x', 'cluster': True, 'socket_timeout': 0.5}}},
            {'STREAM_METRIC_CLASS': 'stream_framework.metrics.base.Metrics', 'STREAM_METRICS_OPTIONS': {'host': 'x'}},
            {'STREAM_VERB_STORAGE': 'collections.OrderedDict', 'STREAM_TASK_MODULES': ['myapp.feeds', 'other']},
            {'STREAM_CASSANDRA_HOSTS': 'a,b:9043', 'STREAM_DEFAULT_KEYSPACE': 'News_2'},
            {'STREAM_CASSANDRA_HOSTS': [('a', 1)], 'STREAM_TASK_MODULES': None},
        ],
    )
    def test_well_formed(self, values: dict[str, Any]) -> None:
        pytest.importorskip('redis')
        settings.configure(**values)
        assert check_settings() == []

    def test_options_that_the_class_of_metrics_does_not_take(self) -> None:
        pytest.importorskip('statsd')
        finding = only(
            STREAM_METRIC_CLASS='stream_framework.metrics.statsd.StatsdMetrics', STREAM_METRICS_OPTIONS={'hots': SECRET}
        )
        assert "unexpected keyword argument 'hots'" in finding.message
        assert finding.remedy == 'it takes host, port, prefix'
        assert SECRET not in str(finding)

    def test_every_server_is_looked_at(self) -> None:
        pytest.importorskip('redis')
        settings.configure(STREAM_REDIS_CONFIG={'a': {'hots': 'x'}, 'b': {'db': 'one'}, 'c': {}})
        found = [(finding.level, finding.subject) for finding in check_settings()]
        assert found == [
            ('error', "STREAM_REDIS_CONFIG['a']"),
            ('error', "STREAM_REDIS_CONFIG['b']"),
            ('warning', 'STREAM_REDIS_CONFIG'),
        ]

    def test_without_the_clients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from stream_framework.storage.cassandra import config as of_cassandra
        from stream_framework.storage.redis import config as of_redis

        monkeypatch.setattr(of_redis, 'redis', None)
        monkeypatch.setattr(of_cassandra, 'cassandra', None)
        assert check_settings() == [], 'what is not set needs no client'
        settings.configure(
            STREAM_REDIS_CONFIG={'default': {'host': 'x'}},
            STREAM_CASSANDRA_CONSISTENCY_LEVEL='QUORUM',
            STREAM_CASSANDRA_HOSTS=['x'],
        )
        found = {finding.subject: finding for finding in check_settings()}
        assert set(found) == {"STREAM_REDIS_CONFIG['default']", 'STREAM_CASSANDRA_CONSISTENCY_LEVEL'}
        assert {finding.level for finding in found.values()} == {'warning'}
        assert 'pip install stream-framework[redis]' in str(found)
        assert 'pip install stream-framework[cassandra]' in str(found)
        assert 'pip install stream-framework[redis]' in str([*redis.check_redis()])

    def test_every_setting_is_checked(self) -> None:
        from stream_framework.checks import settings as checks

        unused = {'STREAM_CASSANDRA_READ_RETRY_ATTEMPTS', 'STREAM_CASSANDRA_WRITE_RETRY_ATTEMPTS'}
        assert set(settings.NAMES) - set(checks._CHECKS) == unused


def test_where_a_setting_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.source_of('STREAM_DEFAULT_KEYSPACE') == 'default'
    monkeypatch.setenv('STREAM_DEFAULT_KEYSPACE', 'news')
    assert settings.source_of('STREAM_DEFAULT_KEYSPACE') == 'environment'
    settings.STREAM_DEFAULT_KEYSPACE = 'stream_framework'
    assert settings.source_of('STREAM_DEFAULT_KEYSPACE') == 'configure'
    with pytest.raises(ConfigurationError, match='STREAM_KEYSPACE is no setting'):
        settings.source_of('STREAM_KEYSPACE')


@pytest.mark.parametrize(
    'config',
    [
        {'password': SECRET},
        {'url': f'redis://user:{SECRET}@localhost'},
        {'url': 'redis://user:hunter2%2Dand-more@localhost'},
        {'url': f'redis://localhost/?password={SECRET}'},
        {'sentinels': [('x', 1)], 'sentinel_kwargs': {'password': SECRET}},
        {'ssl_password': SECRET},
    ],
)
def test_what_is_never_printed(config: dict[str, Any]) -> None:
    settings.configure(STREAM_REDIS_CONFIG={'default': config})
    assert redacted(f'a {SECRET} b') == 'a *** b'


def test_the_password_of_the_driver_is_never_printed() -> None:
    auth = pytest.importorskip('cassandra.auth')
    settings.configure(CASSANDRA_DRIVER_KWARGS={'auth_provider': auth.PlainTextAuthProvider('feeds', SECRET)})
    assert redacted(f'feeds {SECRET}') == 'feeds ***'


class TestModules:
    def test_that_can_not_be_imported(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / 'broken.py').write_text('\n1 / 0\n')
        done = run(tmp_path, 'check', '--import', 'broken')
        assert done.returncode == 1
        assert 'broken can not be imported: ZeroDivisionError: division by zero' in done.stderr
        assert 'broken.py, line 2' in done.stderr
        assert 'Traceback' not in done.stderr
        done = run(tmp_path, 'check', 'nowhere.feeds')
        assert (done.returncode, done.stdout) == (1, '')
        assert "No module named 'nowhere'" in done.stderr

    def test_settings_of_a_module(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / 'ours.py').write_text(
            'from stream_framework import settings\nsettings.configure(STREAM_TASK_MODULES=["ours"])\n'
        )
        done = run(tmp_path, 'check', '--import', 'ours', '--no-servers')
        assert (done.returncode, done.stderr) == (0, '')
        assert done.stdout == ('Settings\n  ok       STREAM_TASK_MODULES: set by configure()\n0 errors, 0 warnings\n')

    def test_feeds_in_memory_need_no_server(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / 'their_feeds.py').write_text(
            'from stream_framework.feeds.memory import Feed\n\n\nclass Pins(Feed):\n    pass\n'
        )
        done = run(tmp_path, 'check', 'their_feeds')
        assert (done.returncode, done.stderr) == (0, '')
        assert 'Redis' not in done.stdout

    def test_without_feeds(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(['check', 'collections']) == 1
        assert 'collections: no feed class there' in capsys.readouterr().err

    def test_which_classes_are_found(self) -> None:
        found = find_feed_classes(['tests.managers'])
        assert found, 'those that managers name'
        assert find_feed_classes([found[0], found[0]]) == [found[0]]
        assert find_feed_classes([str]) == []
        with pytest.raises(ConfigurationError, match='nowhere can not be imported'):
            find_feed_classes(['nowhere'])


def test_strict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('STREAM_LINE_COUNT', '3')
    assert main(['check', '--no-servers']) == 0
    assert main(['check', '--no-servers', '--strict']) == 1
    assert '0 errors, 1 warning\n' in capsys.readouterr().out


APPLICATION = """
from celery import Celery

from stream_framework.activity import Activity
from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.verbs import Love

app = Celery('pins')
app.conf.task_always_eager = True
app.set_default()


class UserFeed(UserBaseFeed, Feed):
    key_format = 'did:%(user_id)s'


class PinManager(Manager):
    feed_classes = {'normal': Feed}
    user_feed_class = UserFeed

    def get_user_follower_ids(self, user_id):
        return {FanoutPriority.HIGH: [1]}


for n in range(3):
    PinManager().add_user_activity(13, Activity(13, Love, n))
"""


def test_erase_and_export(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'pins_of_all.py').write_text(APPLICATION)
    exported = run(tmp_path, 'export', 'pins_of_all:PinManager', '13')
    assert (exported.returncode, exported.stderr) == (0, '')
    assert [json.loads(line)['type'] for line in exported.stdout.splitlines()] == ['Like'] * 3
    nobody = run(tmp_path, 'export', 'pins_of_all:PinManager', '13', '--id-type', 'str')
    assert nobody.returncode == 0
    erased = run(tmp_path, 'erase', 'pins_of_all:PinManager', '13')
    assert (erased.returncode, erased.stderr) == (0, '')
    assert json.loads(erased.stdout) == {'activities': 3, 'feeds': 0}
    wrong = run(tmp_path, 'erase', 'pins_of_all:PinManager', '13', '--id-type', 'uuid')
    assert wrong.returncode == 1
    assert 'error: ' in wrong.stderr
    missing = run(tmp_path, 'erase', 'pins_of_nobody:PinManager', '13')
    assert missing.returncode == 1


FOLLOWS = """
import pathlib

from stream_framework import settings
from stream_framework.feed_managers.base import Manager
from stream_framework.storage.sql.follow_storage import SqlFollowStorage


settings.configure(STREAM_SQL_URL=f"sqlite:///{pathlib.Path(__file__).with_name('people.sqlite3')}")


class PinManager(Manager):
    follow_storage_class = SqlFollowStorage


class OwnManager(Manager):
    pass
"""


class TestImportFollows:
    @pytest.fixture
    def folder(self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
        pytest.importorskip('sqlalchemy')
        (tmp_path / 'people.py').write_text(FOLLOWS)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, 'people', raising=False)
        return tmp_path

    @pytest.fixture
    def stored(self, folder: pathlib.Path) -> Iterator[Any]:
        from stream_framework.storage.sql import connection

        connection.reset()
        yield importlib.import_module('people').PinManager().get_follow_storage()
        connection.reset()

    @pytest.fixture
    def imported(self, stored: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
        """The command; gives its exit code, and what it prints."""

        def command(file: str, *options: str) -> tuple[int, str, str]:
            code = main(['import-follows', 'people:PinManager', file, *options])
            return (code, *capsys.readouterr())

        return command

    def test_csv(self, folder: pathlib.Path, stored: Any) -> None:
        lines = ''.join(f'{number},13,2024-05-01 12:00:{number % 60:02}\n' for number in range(100, 1300))
        (folder / 'follows.csv').write_text(lines + 'anna,13,\n')
        for _ in range(2):
            done = run(folder, 'import-follows', 'people:PinManager', 'follows.csv')
            assert (done.returncode, done.stderr) == (0, '')
            assert json.loads(done.stdout) == {'follows': 1201, 'wrong': 0, 'ids': {'int': 2401, 'str': 1}}
            assert stored.count_followers(13) == 1201
        assert stored.get_followed(125)[0].since == datetime.datetime(2024, 5, 1, 12, 0, 5)
        assert stored.is_following('anna', [13])

    def test_columns_by_name_and_ids_that_are_texts(self, folder: pathlib.Path, stored: Any, imported: Any) -> None:
        (folder / 'follows.csv').write_text('id,target_id,user_id\n1,13,7\n\n2,14,7\n')
        code, out, err = imported('follows.csv', '--id-type', 'str')
        assert (code, err) == (0, '')
        assert set(stored.iter_followed('7')) == {'13', '14'}
        assert set(stored.iter_followed(7)) == set()

    def test_json(self, folder: pathlib.Path, stored: Any, imported: Any) -> None:
        lines = ['{"user_id": 7, "target_id": "13", "since": "2024-05-01T14:00:00.5+02:00"}', '[7, 13, 1714557600]']
        (folder / 'follows.jsonl').write_text('\n'.join([*lines, '["7", 13]']))
        code, out, err = imported('follows.jsonl')
        assert (code, err) == (0, '')
        follows = {follow.target_id: follow.since for follow in stored.get_followed(7)}
        assert follows == {
            '13': datetime.datetime(2024, 5, 1, 12, 0, 0, 500000),
            13: datetime.datetime(2024, 5, 1, 10),
        }
        assert set(stored.iter_followers(13)) == {7, '7'}

    def test_standard_input(self, folder: pathlib.Path, stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, 'stdin', io.StringIO('7,13\n8,13\n'))
        assert main(['import-follows', 'people:PinManager', '-']) == 0
        assert set(stored.iter_followers(13)) == {7, 8}

    @pytest.mark.parametrize(
        ('line', 'reason'),
        [
            ('7,7', '7 can not follow itself'),
            ('7', 'lacks a column'),
            ('7,', 'empty id'),
            ('7,13,yesterday', 'since is'),
            ('7,13,20240501', 'since is'),
            (f'7,{"x" * 1001}', '1001 bytes'),
        ],
    )
    def test_what_is_wrong_in_a_line(
        self, folder: pathlib.Path, stored: Any, imported: Any, line: str, reason: str
    ) -> None:
        good = ''.join(f'{number},13\n' for number in range(100, 700))
        (folder / 'follows.csv').write_text(f'{good}{line}\n8,14\n')
        code, out, err = imported('follows.csv')
        assert code == 1
        assert err.startswith('error: line 601: ')
        assert reason in err and '--start-line 601' in err
        assert (stored.count_followers(13), stored.count_followers(14)) == (600, 0)
        code, out, err = imported('follows.csv', '--start-line', '602')
        assert json.loads(out)['follows'] == 1
        assert stored.count_followers(14) == 1

    @pytest.mark.parametrize('line', ['{"user_id": 7}', '{', '[7, true]', '[7, 1.5]', '7', '[7, 7]'])
    def test_lines_that_are_skipped(self, folder: pathlib.Path, stored: Any, imported: Any, line: str) -> None:
        (folder / 'follows.jsonl').write_text(f'[8, 13]\n{line}\n[9, 13]\n')
        code, out, err = imported('follows.jsonl', '--skip-errors')
        assert code == 1
        assert err.startswith('error: line 2: ')
        assert json.loads(out)['wrong'] == 1
        assert set(stored.iter_followers(13)) == {8, 9}

    def test_what_is_no_text(self, folder: pathlib.Path, stored: Any, imported: Any) -> None:
        (folder / 'follows.csv').write_bytes(b'7,13\n8,\xff\n')
        code, out, err = imported('follows.csv')
        assert code == 1
        assert 'utf-8' in err and 'Traceback' not in err

    def test_interrupted_and_resumed(
        self, folder: pathlib.Path, stored: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / 'follows.csv').write_text(''.join(f'{number},13\n' for number in range(100, 1400)))
        usual, calls = type(stored).add_follows, []

        def add_follows(self: Any, follows: Any) -> None:
            calls.append(len(follows))
            if len(calls) == 3:
                raise KeyboardInterrupt
            usual(self, follows)

        monkeypatch.setattr(type(stored), 'add_follows', add_follows)
        assert main(['import-follows', 'people:PinManager', 'follows.csv']) == 1
        assert 'go on with --start-line 1001' in capsys.readouterr().err
        assert stored.count_followers(13) == 1000
        assert main(['import-follows', 'people:PinManager', 'follows.csv', '--start-line', '1001']) == 0
        assert calls[3:] == [300]
        assert stored.count_followers(13) == 1300

    def test_nothing_to_read_and_nowhere_to_store(self, folder: pathlib.Path, imported: Any) -> None:
        code, out, err = imported('nowhere.csv')
        assert code == 1
        assert err == 'error: nowhere.csv can not be read: No such file or directory\n'
        (folder / 'follows.csv').write_text('')
        done = run(folder, 'import-follows', 'people:OwnManager', 'follows.csv')
        assert done.returncode == 1
        assert 'follow_storage_class' in done.stderr
        code, out, err = imported('follows.csv')
        assert (code, json.loads(out)['follows']) == (0, 0)


def test_follows_are_read_one_by_one() -> None:
    drawn = 0

    def lines() -> Iterator[str]:
        nonlocal drawn
        for number in range(10**6):
            drawn += 1
            yield f'{number},tag:tea\n'

    assert len(list(itertools.islice(FollowLines(lines()), 10))) == 10
    assert drawn <= 12


def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert progress.bar(10) is None
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    show = progress.bar(10)
    assert show is not None
    show(5)
    show(10)
    unknown = progress.bar(None)
    assert unknown is not None
    unknown(1234)
    assert capsys.readouterr().err.endswith(f'\r[{"#" * 20}{" " * 20}] 5 of 10\r[{"#" * 40}] 10 of 10\n\r1,234')
