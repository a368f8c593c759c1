"""A real Celery worker that forks, with a broker in the file system."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import celery
import pytest

from tests.cassandra.support import ROOT
from tests.contracts.support import act, acts, ids
from tests.servers import processes


@pytest.fixture
def news(one: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application, with two forked workers."""
    folder = tmp_path / 'broker'
    folder.mkdir()
    monkeypatch.setenv('NEWS', json.dumps({'values': one.settings(), 'folder': str(folder)}))
    before = celery.current_app._get_current_object()
    sys.modules.pop('tests.cassandra.news', None)
    for feed_class in (one.feed_class, one.aggregated_feed_class, one.notification_feed_class):
        one.prepare(feed_class)
    news = importlib.import_module('tests.cassandra.news')
    log = open(tmp_path / 'log', 'w+')  # noqa: SIM115
    command = [sys.executable, '-m', 'celery', '-A', 'tests.cassandra.news', 'worker', '--pool', 'prefork']
    worker = subprocess.Popen(
        [*command, '--concurrency', '2', '--loglevel', 'INFO', '--without-gossip', '--without-mingle'],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        env={**os.environ, 'C_FORCE_ROOT': '1'},
    )
    try:
        yield news
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(60)
        except subprocess.TimeoutExpired:
            worker.kill()
        before.set_default()
        before.set_current()
        log.seek(0)
        print(log.read()[-5000:])


def test_fan_out_and_follow(news: Any) -> None:
    manager = news.NewsManager()
    users = list(news.FOLLOWERS)

    def counts(name: str) -> list[int]:
        return [manager.get_feeds(user_id)[name].count() for user_id in users]

    for activity in acts(5, actor=1):
        manager.add_user_activity(1, activity)
    processes.wait_until(lambda: counts('flat') == [5] * 40, 120, 'the flat feeds')
    processes.wait_until(lambda: counts('grouped') == [1] * 40, 60, 'the aggregated feeds')
    processes.wait_until(
        lambda: all(
            sum(group.activity_count for group in manager.get_feeds(user_id)['notification'][:]) == 5
            for user_id in users
        ),
        60,
        'the notification feeds',
    )
    assert ids(manager.get_feeds(105)['flat'][:]) == ids(acts(5, actor=1))[::-1]
    assert manager.get_feeds(105)['notification'].count_unseen() == 5
    [group] = manager.get_feeds(130)['grouped'][:]
    assert group.activity_count == 5

    manager.remove_user_activity(1, act(2, actor=1))
    processes.wait_until(lambda: counts('flat') == [4] * 40, 60, 'the removal')
    processes.wait_until(
        lambda: [manager.get_feeds(user_id)['grouped'][:][0].activity_count for user_id in users] == [4] * 40,
        60,
        'the removal from groups',
    )
    manager.follow_user(7, 1)
    processes.wait_until(lambda: manager.get_feeds(7)['flat'].count() == 4, 60, 'following')
    manager.unfollow_user(7, 1)
    processes.wait_until(lambda: manager.get_feeds(7)['flat'].count() == 0, 60, 'unfollowing')
