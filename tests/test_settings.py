"""Where a setting comes from: what was set, Django, the environment, the default; the first that has it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework import default_settings, paths, settings
from stream_framework.exceptions import ConfigurationError
from stream_framework.feed_managers.base import add_operation
from stream_framework.metrics.base import Metrics
from stream_framework.utils import get_metrics_instance
from stream_framework.verbs import get_verb_storage

ROOT = pathlib.Path(__file__).parent.parent

DEFAULTS = {
    'STREAM_REDIS_CONFIG': {'default': {'host': '127.0.0.1', 'port': 6379, 'db': 0, 'password': None}},
    'STREAM_CASSANDRA_HOSTS': ['localhost'],
    'STREAM_DEFAULT_KEYSPACE': 'stream_framework',
    'STREAM_CASSANDRA_CONSISTENCY_LEVEL': 1,
    'CASSANDRA_DRIVER_KWARGS': {},
    'STREAM_CASSANDRA_READ_RETRY_ATTEMPTS': 1,
    'STREAM_CASSANDRA_WRITE_RETRY_ATTEMPTS': 1,
    'STREAM_METRIC_CLASS': 'stream_framework.metrics.base.Metrics',
    'STREAM_METRICS_OPTIONS': {},
    'STREAM_KEY_PREFIX': 'stream',
    'STREAM_VERB_STORAGE': 'in-memory',
    'STREAM_TASK_MODULES': None,
    'STREAM_SQL_URL': 'sqlite:///stream_framework.sqlite3',
    'STREAM_SQL_OPTIONS': {},
    'STREAM_SQL_ENGINE': None,
    'STREAM_SQL_SCHEMA': None,
}


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Whatever a test sets is forgotten, and what was set before is set again."""
    before = dict(settings._configured)
    settings._configured.clear()
    yield
    settings._configured.clear()
    settings._configured.update(before)


def fresh(code: str, **environment: str) -> Any:
    """What the code, run in a new process, leaves in ``result``."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(('STREAM_', 'DJANGO_'))}
    done = subprocess.run(
        [sys.executable, '-c', f'import json\n{code}\nprint(json.dumps(result))'],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**env, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_defaults() -> None:
    assert fresh(
        'from stream_framework import settings\nresult = {name: getattr(settings, name) for name in settings.NAMES}'
    ) == DEFAULTS  # fmt: skip
    assert set(settings.NAMES) == set(DEFAULTS)
    assert set(DEFAULTS) <= set(dir(settings))


def test_configure_changes_only_what_it_names() -> None:
    settings.configure(STREAM_DEFAULT_KEYSPACE='news')
    settings.configure(STREAM_CASSANDRA_HOSTS=['one', 'two'])
    assert settings.STREAM_DEFAULT_KEYSPACE == 'news'
    assert settings.STREAM_CASSANDRA_HOSTS == ['one', 'two']
    assert settings.STREAM_VERB_STORAGE == 'in-memory'


def test_of_an_assignment_and_configure_the_last_one_wins() -> None:
    settings.STREAM_DEFAULT_KEYSPACE = 'assigned'
    assert settings.STREAM_DEFAULT_KEYSPACE == 'assigned'
    settings.configure(STREAM_DEFAULT_KEYSPACE='configured')
    assert settings.STREAM_DEFAULT_KEYSPACE == 'configured'
    settings.STREAM_DEFAULT_KEYSPACE = 'assigned again'
    assert settings.STREAM_DEFAULT_KEYSPACE == 'assigned again'
    del settings.STREAM_DEFAULT_KEYSPACE
    assert settings.STREAM_DEFAULT_KEYSPACE == 'stream_framework'


class TestWrongTypes:
    """What is used, and not only what is checked, says which value of which setting is wrong, and what to give."""

    @pytest.mark.parametrize('value', [5, ['a.b'], None])
    def test_metrics(self, value: Any) -> None:
        settings.configure(STREAM_METRIC_CLASS=value)
        with pytest.raises(ConfigurationError, match='STREAM_METRIC_CLASS is .*give an import path'):
            get_metrics_instance()

    @pytest.mark.parametrize('value', [5, ['host'], {1: 2}])
    def test_options_of_metrics(self, value: Any) -> None:
        settings.configure(STREAM_METRIC_CLASS=f'{__name__}.OwnMetrics', STREAM_METRICS_OPTIONS=value)
        with pytest.raises(ConfigurationError, match='STREAM_METRICS_OPTIONS is a .*give a dict'):
            get_metrics_instance()

    def test_options_that_the_class_does_not_take(self) -> None:
        settings.configure(STREAM_METRIC_CLASS=f'{__name__}.OwnMetrics', STREAM_METRICS_OPTIONS={'hots': 'secret'})
        with pytest.raises(ConfigurationError, match='hots') as caught:
            get_metrics_instance()
        assert 'secret' not in str(caught.value)

    @pytest.mark.parametrize('value', [5, ['a.b'], None])
    def test_verbs(self, value: Any) -> None:
        settings.configure(STREAM_VERB_STORAGE=value)
        with pytest.raises(ConfigurationError, match='STREAM_VERB_STORAGE is .*give'):
            get_verb_storage()

    @pytest.mark.parametrize('value', [5, 'tests', [5], {'tests': 1}])
    def test_task_modules(self, value: Any) -> None:
        settings.configure(STREAM_TASK_MODULES=value)
        with pytest.raises(ConfigurationError, match='STREAM_TASK_MODULES is .*give'):
            paths.operation_path(add_operation, [])

    @pytest.mark.parametrize(
        ('name', 'value'),
        [
            ('STREAM_CASSANDRA_HOSTS', 5),
            ('STREAM_CASSANDRA_HOSTS', {'a': 1}),
            ('STREAM_CASSANDRA_HOSTS', [5]),
            ('STREAM_CASSANDRA_HOSTS', [('a', 'b')]),
            ('STREAM_DEFAULT_KEYSPACE', None),
            ('STREAM_DEFAULT_KEYSPACE', 5),
            ('STREAM_DEFAULT_KEYSPACE', 'my-app'),
            ('STREAM_CASSANDRA_CONSISTENCY_LEVEL', [1]),
            ('STREAM_CASSANDRA_CONSISTENCY_LEVEL', 'MOST'),
            ('CASSANDRA_DRIVER_KWARGS', ['port']),
            ('CASSANDRA_DRIVER_KWARGS', {'port': 'nine'}),
            ('CASSANDRA_DRIVER_KWARGS', {'port': None}),
            ('CASSANDRA_DRIVER_KWARGS', {'connect_timeout': 'soon'}),
            ('CASSANDRA_DRIVER_KWARGS', {'protocol_version': 4.5}),
        ],
    )
    def test_cassandra(self, name: str, value: Any) -> None:
        pytest.importorskip('cassandra')
        from stream_framework.storage.cassandra import config

        settings.configure(**{name: value})
        with pytest.raises(ConfigurationError, match=f'{name}.*(is|holds).*(give|name)'):
            config.cluster_options()

    def test_numbers_for_the_driver_as_text(self) -> None:
        pytest.importorskip('cassandra')
        from stream_framework.storage.cassandra import config

        settings.configure(CASSANDRA_DRIVER_KWARGS={'port': '9043', 'connect_timeout': '2.5'})
        options = config.cluster_options()
        assert (options['port'], options['connect_timeout']) == (9043, 2.5)
        assert config.address() == 'localhost:9043'


class OwnMetrics(Metrics):
    def __init__(self, host: str = '') -> None:
        self.host = host


def test_by_import() -> None:
    settings.STREAM_DEFAULT_KEYSPACE = 'imported'
    from stream_framework.settings import STREAM_DEFAULT_KEYSPACE

    assert STREAM_DEFAULT_KEYSPACE == 'imported'


def test_what_is_no_setting() -> None:
    with pytest.raises(ConfigurationError, match='STREAM_REDIS_CONFG is no setting .did you mean STREAM_REDIS_CONFIG'):
        settings.configure(STREAM_VERB_STORAGE='never.set', STREAM_REDIS_CONFG={})
    assert settings.STREAM_VERB_STORAGE == 'in-memory'
    with pytest.raises(ConfigurationError, match='STREAM_HOSTS is no setting'):
        settings.STREAM_HOSTS = []  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match='STREAM_HOSTS'):
        settings.STREAM_HOSTS  # noqa: B018


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('STREAM_REDIS_URL', 'redis://redis.example.com:7000/3')
    monkeypatch.setenv('STREAM_CASSANDRA_HOSTS', 'one.example.com, two.example.com,')
    monkeypatch.setenv('STREAM_DEFAULT_KEYSPACE', 'from_environment')
    monkeypatch.setenv('STREAM_CASSANDRA_CONSISTENCY_LEVEL', 'LOCAL_QUORUM')
    assert settings.STREAM_REDIS_CONFIG == {'default': {'url': 'redis://redis.example.com:7000/3'}}
    assert settings.STREAM_CASSANDRA_HOSTS == ['one.example.com', 'two.example.com']
    assert settings.STREAM_DEFAULT_KEYSPACE == 'from_environment'
    assert settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL == 'LOCAL_QUORUM'
    monkeypatch.setenv('STREAM_CASSANDRA_CONSISTENCY_LEVEL', '4')
    assert settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL == 4
    monkeypatch.setenv('STREAM_DEFAULT_KEYSPACE', '')
    assert settings.STREAM_DEFAULT_KEYSPACE == 'stream_framework', 'an empty variable says nothing'
    settings.configure(STREAM_DEFAULT_KEYSPACE='configured')
    monkeypatch.setenv('STREAM_DEFAULT_KEYSPACE', 'from_environment')
    assert settings.STREAM_DEFAULT_KEYSPACE == 'configured'


class TestDjango:
    @pytest.fixture(autouse=True)
    def django(self) -> None:
        pytest.importorskip('django')

    READ = 'result = [settings.STREAM_DEFAULT_KEYSPACE, settings.STREAM_VERB_STORAGE]'

    def test_installed_but_not_configured(self) -> None:
        code = f'import django.conf\nfrom stream_framework import settings\n{self.READ}'
        assert fresh(code) == ['stream_framework', 'in-memory']
        assert fresh(code, STREAM_DEFAULT_KEYSPACE='environment') == ['environment', 'in-memory']

    def test_not_imported_for_nothing(self) -> None:
        code = f'import sys\nfrom stream_framework import settings\n{self.READ}\nresult = "django" in sys.modules'
        assert fresh(code) is False

    def test_configured(self) -> None:
        code = (
            'from django.conf import settings as django\nfrom stream_framework import settings\n'
            f'django.configure(STREAM_DEFAULT_KEYSPACE="django")\n{self.READ}'
        )
        assert fresh(code, STREAM_DEFAULT_KEYSPACE='environment') == ['django', 'in-memory']

    def test_a_settings_module(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / 'their_settings.py').write_text('SECRET_KEY = "x"\nSTREAM_DEFAULT_KEYSPACE = "module"\n')
        environment = {'PYTHONPATH': str(tmp_path), 'DJANGO_SETTINGS_MODULE': 'their_settings'}
        code = f'from stream_framework import settings\n{self.READ}'
        assert fresh(code, **environment) == ['module', 'in-memory']
        code = f'from stream_framework import settings\nsettings.configure(STREAM_DEFAULT_KEYSPACE="mine")\n{self.READ}'
        assert fresh(code, **environment) == ['mine', 'in-memory']

    def test_a_settings_module_that_registers_verbs(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / 'their_verbs.py').write_text(
            'from stream_framework.verbs import register\n'
            'from stream_framework.verbs.base import Verb\n\n'
            'class Pin(Verb):\n    id = 77\n\n'
            'register(Pin)\n'
        )
        (tmp_path / 'their_settings.py').write_text(
            'import their_verbs\nSECRET_KEY = "x"\nSTREAM_DEFAULT_KEYSPACE = "module"\n'
        )
        environment = {'PYTHONPATH': str(tmp_path), 'DJANGO_SETTINGS_MODULE': 'their_settings'}
        code = f'from stream_framework import settings\n{self.READ}'
        assert fresh(code, **environment) == ['module', 'in-memory']


def test_defaults_are_documented() -> None:
    source = pathlib.Path(default_settings.__file__).read_text()
    for name in settings.NAMES:
        before = source[: source.index(f'\n{name}')]
        assert before.rstrip().splitlines()[-1].startswith(('#:', 'STREAM_CASSANDRA_READ')), name
