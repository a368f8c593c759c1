"""What feeds cost in Redis's memory, and that they stay within its compact encoding."""

from __future__ import annotations

from typing import Any

import pytest

from stream_framework.feed_managers.base import add_operation, remove_operation
from stream_framework.storage.redis.connection import get_redis_connection
from tests.contracts.support import act, acts
from tests.redis.test_round_trips import manager

#: What a feed of 100 activities may take, in bytes: 52 for each, and the key.
PER_FEED = 6000
#: The longest that a feed may be kept: with one more, while it is added, Redis is at its limit of 128.
COMPACT = 127


def usage(key: str) -> int:
    return get_redis_connection().memory_usage(key, samples=0)


def is_compact(key: str) -> bool:
    # Redis before 7 calls it a ziplist.
    return get_redis_connection().object('ENCODING', key) in ('listpack', 'ziplist')


@pytest.fixture
def feed_class(redis_backend: Any) -> Any:
    """Feeds as the library makes them, but for their keys."""
    made = redis_backend.make(redis_backend.feed_class, trim_chance=redis_backend.feed_class.trim_chance)
    assert (made.max_length, made.trim_chance) == (100, 0.01)
    return made


def test_after_500_single_adds(feed_class: Any) -> None:
    feed = feed_class(1)
    for activity in acts(500):
        feed.add(activity)
    assert feed.count() == 100
    assert is_compact(feed.key)
    assert usage(feed.key) <= PER_FEED
    assert feed[:100] == acts(100, first=400)[::-1]


def test_after_500_fan_outs(redis_backend: Any, feed_class: Any) -> None:
    work = manager(redis_backend, feed=feed_class)
    for n in range(500):
        kwargs = {'activities': [act(n)], 'trim': True}
        work.fanout(range(3), feed_class, remove_operation if n % 50 == 49 else add_operation, kwargs)
    for user_id in range(3):
        assert feed_class(user_id).count() == 100
        assert is_compact(feed_class(user_id).key)
        assert usage(feed_class(user_id).key) <= PER_FEED


@pytest.mark.parametrize('size', [20, 100, 2000])
def test_many_at_once(feed_class: Any, size: int) -> None:
    feed = feed_class(1)
    feed.add_many(acts(100))
    for first in range(100, 100 + 3 * size, size):
        feed.add_many(acts(size, first=first))
    assert feed.count() == 100
    assert feed[:5] == acts(5, first=95 + 3 * size)[::-1]
    assert is_compact(feed.key)
    assert usage(feed.key) <= PER_FEED


def test_many_at_once_in_a_batch(feed_class: Any) -> None:
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(3):
            feed_class(user_id).add_many(acts(500), batch_interface=batch)
    feed_class.insert_activities(acts(100, first=400))
    for user_id in range(3):
        assert feed_class(user_id)[:] == acts(100, first=400)[::-1]
        assert is_compact(feed_class(user_id).key)
        assert usage(feed_class(user_id).key) <= PER_FEED


def test_older_ones_at_once(feed_class: Any) -> None:
    feed = feed_class(1)
    feed.add_many(acts(100, first=1000))
    feed.add_many(acts(300, first=500) + acts(3, first=2000))
    assert feed[:] == (acts(97, first=1003) + acts(3, first=2000))[::-1]
    assert is_compact(feed.key)


@pytest.mark.parametrize('chance', [0, -1])
def test_no_trimming_where_none_is_wanted(redis_backend: Any, chance: float) -> None:
    feed = redis_backend.flat(trim_chance=chance)(1)
    for activity in acts(120):
        feed.add(activity)
    feed.add_many(acts(50, first=200))
    assert feed.count() == 170
    feed.trim()
    assert feed.count() == 100


def test_trimming_left_out_for_one_write(feed_class: Any) -> None:
    feed = feed_class(1)
    feed.add_many(acts(150), trim=False)
    assert feed.count() == 150


def test_other_lengths(redis_backend: Any) -> None:
    for length in (1, 7, 127, 128, 129, 1000):
        feed = redis_backend.flat(trim_chance=1, max_length=length)(length)
        feed.add_many(acts(length + 40))
        feed.add_many(acts(50, first=5000))
        assert feed.count() == length
        newest = (acts(length + 40) + acts(50, first=5000))[-min(length, 50) :]
        assert feed[: min(length, 50)] == newest[::-1]
        assert is_compact(feed.key) == (length <= COMPACT)


def test_groups_stay_compact(redis_backend: Any) -> None:
    feed = redis_backend.aggregated(trim_chance=0.01, max_length=100)(1)
    for n in range(150):
        feed.add(act(n, object=1))
    assert feed.count() == 1
    # Entries beyond 64 bytes are never compact; what counts is that there are no more than there are groups.
    assert usage(feed.key) < 2000
