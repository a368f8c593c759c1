"""``feeds.aggregated_feed.notification_feed``, as applications of 1.4.0 know it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import warnings
from typing import Any

import pytest

from stream_framework.activity import AggregatedActivity
from stream_framework.storage.redis.connection import get_redis_connection
from tests.contracts.support import act, acts, at
from tests.redis.test_concurrency import PATIENCE, ByObject, Worker

with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    from stream_framework.feeds.aggregated_feed import notification_feed


@pytest.fixture
def feed_class(redis_backend: Any) -> Any:
    made = redis_backend.make(notification_feed.RedisNotificationFeed)
    made.count_format = made.key_format + ':count'
    made.lock_format = made.key_format % {'user_id': '%s'} + ':lock'
    return made


@pytest.fixture
def feed(feed_class: Any) -> Any:
    feed_class.aggregator_class = ByObject
    return feed_class(7)


def test_importing_it_warns() -> None:
    name = notification_feed.__name__
    held = sys.modules.pop(name)
    try:
        with pytest.warns(DeprecationWarning, match='notification_feed'):
            importlib.import_module(name)
    finally:
        sys.modules[name] = held


def test_names() -> None:
    for kind in (notification_feed.NotificationFeed, notification_feed.RedisNotificationFeed):
        assert kind.max_length == 99
        assert kind.key_format == 'notification_feed:1:user:%(user_id)s'
        assert kind.count_format == 'notification_feed:1:user:%(user_id)s:count'
        assert kind.lock_format == 'notification_feed:1:user:%s:lock'
        assert kind.pubsub_main_channel == 'juggernaut'
        assert kind.timeline_serializer.__name__ == 'NotificationSerializer'
        assert kind.activity_storage_class is None and kind.activity_serializer is None
    made = notification_feed.RedisNotificationFeed(13)
    assert made.key == 'notification_feed:1:user:13'
    assert made.count_key == 'notification_feed:1:user:13:count'
    assert made.lock_key == 'notification_feed:1:user:13:lock'


def test_counting(feed: Any) -> None:
    assert feed.get_denormalized_count() == 0
    feed.add_many([act(n, object=n) for n in range(4)])
    assert (feed.count_unseen(), feed.get_denormalized_count()) == (4, 4)
    feed.add(act(9, object=1))
    assert (feed.count_unseen(), feed.get_denormalized_count()) == (4, 4)
    feed.remove(act(2, object=2))
    assert (feed.count_unseen(), feed.get_denormalized_count()) == (3, 3)
    assert get_redis_connection().get(feed.count_key) == '3'
    assert feed.count_unseen(feed[:2]) == 2
    feed.set_denormalized_count(11)
    assert feed.get_denormalized_count() == 11
    feed.denormalize_count()
    assert feed.get_denormalized_count() == 3
    feed.delete()
    assert (feed.count(), feed.get_denormalized_count()) == (0, 0)


def test_marking(feed: Any) -> None:
    feed.add_many([act(n, object=n) for n in range(4)])
    groups = feed.mark_all()
    assert all(isinstance(group, AggregatedActivity) for group in groups)
    assert [(group.is_seen(), group.is_read()) for group in feed[:]] == [(True, False)] * 4
    assert feed.get_denormalized_count() == 0
    # A group that gets an activity is unseen again: it was updated after it was seen.
    late = act(0, object=2, time=at(days=365 * 1000))
    feed.add(late)
    assert [group.is_seen() for group in feed[:]] == [False, True, True, True]
    assert feed.get_denormalized_count() == 1
    feed.remove(late)
    feed.mark_all(seen=False, read=True)
    assert all(group.is_read() for group in feed[:])
    assert [group.group for group in feed[:]] == [f'object-{n}' for n in (3, 2, 1, 0)]
    assert feed.count() == 4


def test_publishing(plain_backend: Any, feed_class: Any) -> None:
    feed_class.pubsub_main_channel = plain_backend.key()
    listener = get_redis_connection().pubsub(ignore_subscribe_messages=True)
    listener.subscribe(feed_class.pubsub_main_channel)
    while listener.get_message(timeout=1) is not None:
        pass
    feed_class(7).add_many(acts(3))
    deadline = time.monotonic() + 30
    message = None
    while message is None and time.monotonic() < deadline:
        message = listener.get_message(timeout=1)
    listener.close()
    assert message is not None
    published = json.loads(message['data'])
    assert published['channel'] == 7
    assert json.loads(published['data']) == {'unread_count': 1, 'unseen_count': 1}


def test_it_keeps_its_length(feed_class: Any) -> None:
    feed_class.trim_chance, feed_class.max_length, feed_class.aggregator_class = 1, 5, ByObject
    feed = feed_class(1)
    for n in range(8):
        feed.add(act(n, object=n))
    assert [group.group for group in feed[:]] == [f'object-{n}' for n in (7, 6, 5, 4, 3)]


def test_in_a_batch(feed_class: Any) -> None:
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(5):
            assert feed_class(user_id).add(act(1), batch_interface=batch) == []
            assert feed_class(user_id).count() == 0
    assert [feed_class(user_id).get_denormalized_count() for user_id in range(5)] == [1] * 5


def test_while_it_is_locked_others_wait(feed: Any) -> None:
    lock = get_redis_connection().lock(feed.lock_key, timeout=30)
    assert lock.acquire()
    writer = Worker(lambda acknowledge: feed.add(act(1)))
    time.sleep(0.3)
    assert feed.count() == 0
    lock.release()
    assert writer.wait(time.monotonic() + PATIENCE) == 0
    assert feed.count() == 1
    assert not get_redis_connection().exists(feed.lock_key)


def test_a_killed_holder_blocks_nobody_for_long(feed: Any) -> None:
    def hold(acknowledge: Any) -> None:
        with feed._locked():
            acknowledge(1)
            time.sleep(60)

    holder = Worker(hold)
    holder.wait_for(1, time.monotonic() + 30)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(time.monotonic() + 30)
    left = get_redis_connection().pttl(feed.lock_key)
    assert 0 < left <= 10_000
    # Rather than wait for it:
    get_redis_connection().pexpire(feed.lock_key, 50)
    feed.add(act(1))
    assert feed.get_denormalized_count() == 1


def test_a_lock_that_ran_out_meanwhile_is_no_error(feed: Any) -> None:
    with feed._locked():
        get_redis_connection().delete(feed.lock_key)
    with feed._locked():
        get_redis_connection().set(feed.lock_key, 'somebody else')
    assert get_redis_connection().get(feed.lock_key) == 'somebody else'
    get_redis_connection().delete(feed.lock_key)


def test_processes_that_meet(feed: Any) -> None:
    def work(process: int) -> Any:
        def adds(acknowledge: Any) -> None:
            for n in range(15):
                feed.add(act(n * 4 + process, object=n % 3))
                if n % 5 == process:
                    feed.mark_all()

        return adds

    workers = [Worker(work(process)) for process in range(4)]
    deadline = time.monotonic() + PATIENCE
    assert [worker.wait(deadline) for worker in workers] == [0] * 4
    groups = feed[:]
    assert sorted(group.group for group in groups) == ['object-0', 'object-1', 'object-2']
    assert [group.activity_count for group in groups] == [20, 20, 20]
    assert feed.get_denormalized_count() == feed.count_unseen()


def test_more_arguments_reach_a_batch_as_they_reach_the_feed(feed: Any) -> None:
    class Noting(type(feed)):  # type: ignore[misc]
        def add_many(self, *args: Any, **kwargs: Any) -> Any:
            noted.append(args[1:])
            return super().add_many(*args, **kwargs)

    noted: list[Any] = []
    one = Noting(feed.user_id)
    with one.get_timeline_batch_interface() as batch:
        one.add_many([act(1)], False, None, 'more', batch_interface=batch)
    assert noted == [(False, None, 'more'), (False, None, 'more')]
