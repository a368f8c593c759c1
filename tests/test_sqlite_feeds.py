"""The backend that the documentation shows, where processes meet; what it does alone the contracts test."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from stream_framework.activity import AggregatedActivity

ROOT = pathlib.Path(__file__).parent.parent
PROCESSES, EACH = 4, 20

WRITER = f"""
import sys
from examples.sqlite_feeds import SqliteAggregatedFeed, SqliteFeed, SqliteNotificationFeed
from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.verbs import Love

AggregatedActivity.max_aggregated_activities_length = 10**6
for n in range({EACH}):
    activity = Activity(1, Love, int(sys.argv[1]) * 1000 + n)
    for feed_class in (SqliteFeed, SqliteAggregatedFeed):
        feed_class(feed_class.__name__).add(activity)
    with SqliteNotificationFeed.get_timeline_batch_interface() as batch:
        SqliteNotificationFeed('meeting').add(activity, batch_interface=batch)
"""


def test_processes_that_write_to_one_group(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SQLITE_FEEDS', str(tmp_path / 'feeds.sqlite3'))
    from examples.sqlite_feeds import SqliteAggregatedFeed, SqliteFeed, SqliteNotificationFeed

    command = [sys.executable, '-c', WRITER]
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    writers = [subprocess.Popen([*command, str(number)], env=env) for number in range(PROCESSES)]
    assert [writer.wait(100) for writer in writers] == [0] * PROCESSES
    monkeypatch.setattr(AggregatedActivity, 'max_aggregated_activities_length', 10**6)
    wanted = sorted(number * 1000 + n for number in range(PROCESSES) for n in range(EACH))
    assert sorted(activity.object_id for activity in SqliteFeed('SqliteFeed')[:]) == wanted
    groups = SqliteAggregatedFeed('SqliteAggregatedFeed')[:]
    assert sorted(number for group in groups for number in group.object_ids) == wanted
    assert len(groups) == len({group.group for group in groups})
    notifications = SqliteNotificationFeed('meeting')
    assert sum(group.activity_count for group in notifications[:]) == len(wanted)
    assert set(notifications.feed_markers.get('unseen')) <= {group.serialization_id for group in notifications[:]}
