"""A fan-out task written by hand, for ``celery -A benchmarks.celery_by_hand``; the environment names the servers."""

from __future__ import annotations

import os
from typing import Any

import redis
from celery import Celery

from benchmarks.redis_by_hand import ByHand

#: How many users each task is for.
CHUNK = 100
#: About as much as the library's messages hold beside the ids of users.
MESSAGE = {
    'manager': 'tests.workers.feeds:FlatManager',
    'feed': 'normal',
    'activity': [1, 1, 2, None, '2014-02-03', {}],
}

app = Celery('by_hand', set_as_current=False)
_connections: dict[int, ByHand] = {}


@app.task(name='fan_out', acks_late=True, ignore_result=True)
def fan_out(user_ids: list[int], activity: Any) -> None:
    """Write one activity to the feeds of some users, by one pipeline."""
    pid = os.getpid()
    if pid not in _connections:
        client = redis.Redis.from_url(os.environ['STREAM_REDIS_URL'], decode_responses=True)
        _connections[pid] = ByHand(client)
    _connections[pid].fan_out_by_pipeline(user_ids)


def publish(sender: Any, followers: int) -> None:
    """One activity to so many, task by task through one connection.

    :param sender: the application whose broker is taken
    """
    with sender.producer_or_acquire() as producer:
        for first in range(10**6, 10**6 + followers, CHUNK):
            user_ids = list(range(first, min(first + CHUNK, 10**6 + followers)))
            sender.send_task('fan_out', kwargs={'user_ids': user_ids, 'activity': MESSAGE}, producer=producer)
