"""Metrics: what is sent, and under which names. The clients share a module name, so each has a process of its own."""

from __future__ import annotations

import os
import pathlib
import re
import socket
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.exceptions import MissingDependencyError
from stream_framework.metrics import python_statsd, statsd
from stream_framework.metrics.base import Metrics
from stream_framework.utils import get_metrics_instance

ROOT = pathlib.Path(__file__).parent.parent

#: Delivers to two followers, reads, fails, and removes; says ``the.end`` when all is sent.
SCRIPT = """
import sys

from celery import Celery

from stream_framework import settings
from stream_framework.activity import Activity
from stream_framework.feed_managers.base import Manager
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.storage.memory import InMemoryActivityStorage, InMemoryTimelineStorage
from stream_framework.utils import get_metrics_instance
from stream_framework.verbs import Love

path, options = sys.argv[1], eval(sys.argv[2])
settings.configure(STREAM_METRIC_CLASS=path, STREAM_METRICS_OPTIONS=options)
Celery(set_as_current=True).conf.task_always_eager = True


class News(Feed):
    trim_chance = 0


class Own(UserBaseFeed):
    activity_storage_class = InMemoryActivityStorage
    timeline_storage_class = InMemoryTimelineStorage
    trim_chance = 0


class Social(Manager):
    feed_classes = {'news': News}
    user_feed_class = Own

    def get_user_follower_ids(self, user_id):
        return {None: [2, 3]}


manager = Social()
activity = Activity(1, Love, 10)
manager.add_user_activity(1, activity)
News(2)[:10]
try:
    with get_metrics_instance().fanout_timer(News):
        raise ZeroDivisionError
except ZeroDivisionError:
    pass
manager.remove_user_activity(1, activity)
metrics = get_metrics_instance()
metrics.on_fanout(News, object(), 7)
metrics.count('the.end', 1)
"""


@pytest.fixture(scope='module', params=['statsd', 'python-statsd'])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The name of a client, and a folder with that client and nothing else."""
    cache = getattr(request.config, 'cache', None)
    folder = cache.mkdir(f'client-{request.param}') if cache else tmp_path_factory.mktemp(request.param)
    if not (folder / 'statsd').exists():
        done = subprocess.run(
            [sys.executable, '-m', 'pip', 'install', '--quiet', '--target', str(folder), request.param],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = f'{request.param} can not be installed: {done.stderr[-300:]}'
            (pytest.fail if os.environ.get('CI') else pytest.skip)(reason)
    return request.param, str(folder)


def run(package: tuple[str, str], prefix: Any = ...) -> list[str]:
    """What the script sent."""
    name, folder = package
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(('127.0.0.1', 0))
        server.settimeout(30)
        options = {'host': '127.0.0.1', 'port': server.getsockname()[1]}
        if prefix is not ...:
            options['prefix'] = prefix
        path = f'stream_framework.metrics.{name.replace("-", "_")}.StatsdMetrics'
        subprocess.run(
            [sys.executable, '-c', SCRIPT, path, repr(options)],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join([folder, str(ROOT)])},
            check=True,
            timeout=120,
        )
        found: list[str] = []
        while not found or 'the.end:' not in found[-1]:
            found.append(server.recv(65536).decode())
        return found[:-1]


def split(sent: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Counted in all by name, and how often each name was timed."""
    counted: Counter[str] = Counter()
    timed: Counter[str] = Counter()
    for line in sent:
        match = re.fullmatch(r'([\w.]+):(\d+(?:\.\d+)?)\|(c|ms)', line)
        assert match, line
        name, value, kind = match.groups()
        if kind == 'c':
            counted[name] += int(value)
        else:
            timed[name] += 1
    return counted, timed


#: One activity, one user feed, two followers; the hydrated read takes from both storages.
COUNTED = {
    'News.fanout.add_operation': 2,
    'News.fanout.remove_operation': 2,
    'News.fanout.object': 7,
    'InMemoryActivityStorage.writes': 1,
    'InMemoryActivityStorage.reads': 1,
    'InMemoryTimelineStorage.writes': 3,
    'InMemoryTimelineStorage.reads': 1,
    'InMemoryTimelineStorage.deletes': 3,
    'activities.published': 1,
    'activities.removed': 1,
}
TIMED = {
    'News.fanout_latency': 3,
    'InMemoryTimelineStorage.read_latency': 1,
    'InMemoryActivityStorage.read_latency': 1,
}


def test_a_real_socket(package: tuple[str, str]) -> None:
    counted, timed = split(run(package))
    prefix, suffix = ('', '') if package[0] == 'statsd' else ('stream_framework.', '.total')
    assert counted == {prefix + name: number for name, number in COUNTED.items()}
    assert timed == {prefix + name + suffix: number for name, number in TIMED.items()}


@pytest.mark.parametrize('prefix', ['mine', None])
def test_prefixes(package: tuple[str, str], prefix: str | None) -> None:
    counted, timed = split(run(package, prefix))
    assert set(counted) == {f'{prefix}.{name}' if prefix else name for name in COUNTED}
    suffix = '' if package[0] == 'statsd' else '.total'
    assert set(timed) == {(f'{prefix}.{name}' if prefix else name) + suffix for name in TIMED}


@pytest.mark.parametrize('module', [statsd, python_statsd])
@pytest.mark.parametrize('found', [None, os])
def test_without_the_client(module: Any, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """... or with the other one of the same name."""
    monkeypatch.setattr(module, 'statsd', found)
    extra = module.__name__.rpartition('.')[2].replace('_', '-')
    with pytest.raises(MissingDependencyError, match=rf'pip install stream-framework\[{extra}\]'):
        module.StatsdMetrics()


def test_the_default_does_nothing() -> None:
    metrics = get_metrics_instance()
    assert type(metrics) is Metrics
    assert metrics is get_metrics_instance()
    with metrics.fanout_timer(Metrics), metrics.feed_reads_timer(Metrics):
        pass
    for method in (metrics.on_feed_read, metrics.on_feed_remove, metrics.on_feed_write):
        assert method(Metrics, 3) is None
    assert metrics.on_fanout(Metrics, len) is None
    assert metrics.on_fanout(feed_class=Metrics, operation=len, activities_count=4) is None
    assert metrics.on_activity_published() is metrics.on_activity_removed() is None
    Metrics('any', arguments=True)


class Custom(Metrics):
    def __init__(self, colour: str = 'none') -> None:
        self.colour = colour


def test_the_settings_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    before = get_metrics_instance()
    try:
        settings.configure(STREAM_METRIC_CLASS=f'{__name__}.Custom', STREAM_METRICS_OPTIONS={'colour': 'red'})
        made = get_metrics_instance()
        assert type(made) is Custom
        assert made.colour == 'red'
        settings.STREAM_METRICS_OPTIONS = {'colour': 'blue'}
        assert get_metrics_instance().colour == 'blue'
    finally:
        del settings.STREAM_METRIC_CLASS, settings.STREAM_METRICS_OPTIONS
    assert type(get_metrics_instance()) is type(before) is Metrics
