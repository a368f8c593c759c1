"""The app in projects as applications have them, each in a process of its own: Django is set up only once in one."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent

VERBS = """
from stream_framework.verbs import Love
from stream_framework.verbs.base import Verb

class Base(Verb):
    past_tense = 'done'

class Pin(Base):
    id = 100

class Unpin(Base):
    id = 101
"""

READ = """
import django
django.setup()
from stream_framework.verbs import get_verb_by_id
print(get_verb_by_id(100).__module__, get_verb_by_id(101).past_tense)
"""


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Any:
    """A project with an app ``pins``; call it with further lines of settings and a command."""
    (tmp_path / 'pins').mkdir()
    (tmp_path / 'plain').mkdir()
    for name in ('pins', 'plain'):
        (tmp_path / name / '__init__.py').write_text('')

    def run(settings: str, *command: str, works: bool = True, verbs: str = VERBS) -> str:
        (tmp_path / 'pins' / 'verbs.py').write_text(verbs)
        (tmp_path / 'site_settings.py').write_text(
            "SECRET_KEY = 'x'\nUSE_TZ = True\n"
            f"INSTALLED_APPS = ['stream_framework.contrib.django', 'plain', 'pins']\n{settings}\n"
        )
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={'PYTHONPATH': f'{tmp_path}:{ROOT}', 'DJANGO_SETTINGS_MODULE': 'site_settings', 'PATH': ''},
            timeout=120,
        )
        assert (done.returncode == 0) is works, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


CHECK = ('-m', 'django', 'check')


def test_verbs_of_installed_apps_are_registered(project: Any) -> None:
    assert project('', '-c', READ) == 'pins.verbs done\n'


def test_modules_may_register_verbs_themselves(project: Any) -> None:
    verbs = VERBS + '\nfrom stream_framework.verbs import register\nregister(Pin)\n'
    assert project('', '-c', READ, verbs=verbs) == 'pins.verbs done\n'


def test_the_app_is_found_beside_the_library_itself(project: Any) -> None:
    apps = "INSTALLED_APPS = ['stream_framework', *INSTALLED_APPS]"
    assert project(apps, '-c', READ) == 'pins.verbs done\n', 'where projects of 1.4.0 have it'


@pytest.mark.parametrize(
    'verbs, message',
    [
        (
            'import not_there',
            "the verbs of app 'pins' can not be registered: pins.verbs: ModuleNotFoundError: No module",
        ),
        ('1 / 0', 'pins.verbs: ZeroDivisionError: division by zero'),
        (VERBS.replace('100', '3'), 'pins.Pin can not have id 3: stream_framework.verbs.base.Love has it already'),
    ],
)
def test_verbs_that_can_not_be_registered(project: Any, verbs: str, message: str) -> None:
    out = project('', *CHECK, works=False, verbs=verbs)
    assert 'ConfigurationError' in out
    assert message.replace('pins.Pin', 'pins.verbs.Pin') in out


def test_celery_discovers_the_tasks(project: Any) -> None:
    code = (
        'import celery, django\n'
        'app = celery.Celery("site", broker="memory://")\n'
        'app.config_from_object("django.conf:settings", namespace="CELERY")\n'
        'app.autodiscover_tasks()\n'
        'django.setup()\n'
        'app.loader.import_default_modules()\n'
        'print(sorted(name for name in app.tasks if name.startswith("stream_framework")))'
    )
    out = project('', '-c', code)
    assert 'stream_framework.tasks.fanout_operation_hi_priority' in out
    assert 'stream_framework.tasks.unfollow_many' in out


def test_settings_that_are_in_order(project: Any) -> None:
    out = project(
        "STREAM_REDIS_CONFIG = {'default': {'host': '192.0.2.1', 'port': 1}}\nSTREAM_DEFAULT_KEYSPACE = 'news'", *CHECK
    )
    assert out == 'System check identified no issues (0 silenced).\n', 'and nobody has asked that server'


@pytest.mark.parametrize(
    'settings, message, code',
    [
        ('STREAM_REDIS_CONFG = {}', 'did you mean STREAM_REDIS_CONFIG', 'E001'),
        ("STREAM_REDIS_CONFIG = {'default': {'hots': 'x'}}", "did you mean 'host'", 'E002'),
        ("STREAM_REDIS_CONFIG = 'redis://'", 'STREAM_REDIS_CONFIG is a str', 'E002'),
        ("STREAM_METRIC_CLASS = 'no.such.Thing'", 'STREAM_METRIC_CLASS', 'E002'),
        ("STREAM_TASK_MODULES = 'myapp'", 'STREAM_TASK_MODULES is a str', 'E002'),
    ],
)
def test_settings_that_are_wrong(project: Any, settings: str, message: str, code: str) -> None:
    out = project(settings, *CHECK, works=False)
    assert message in out
    assert f'(stream_framework.{code})' in out


def test_a_setting_that_may_be_another_apps(project: Any) -> None:
    settings = "STREAM_OF_CONSCIOUSNESS = 'on'"
    out = project(settings, *CHECK, '--tag', 'stream_framework')
    assert 'STREAM_OF_CONSCIOUSNESS' in out and 'WARNINGS' in out
    assert 'no issues' in project(f"{settings}\nSILENCED_SYSTEM_CHECKS = ['stream_framework.W002']", *CHECK)


def test_without_django() -> None:
    for module in ('apps', 'pagination'):
        code = f'import sys; sys.modules["django"] = None\nimport stream_framework.contrib.django.{module}'
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
        assert 'MissingDependencyError' in done.stderr
        assert 'pip install django' in done.stderr


def test_nothing_of_the_library_imports_django_by_itself() -> None:
    code = (
        'import pkgutil, sys, warnings, stream_framework\n'
        'warnings.simplefilter("ignore")\n'
        'for module in pkgutil.walk_packages(stream_framework.__path__, "stream_framework."):\n'
        '    if ".contrib.django." not in module.name and not module.name.endswith("__main__"):\n'
        '        __import__(module.name)\n'
        # kombu's JSON asks for django.utils, where that is installed.
        'print({name for name in sys.modules if name.startswith("django.") and ".utils" not in name})'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == 'set()\n', done.stdout + done.stderr
