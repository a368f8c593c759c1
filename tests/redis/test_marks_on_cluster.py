"""On a cluster a feed and its marks can't change in one step: what a crash, or a meeting, leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework.storage.redis import changes
from stream_framework.storage.redis.connection import get_redis_connection
from tests.backends import RedisCluster, running
from tests.contracts.support import act


class Crash(BaseException):
    """The end of a process, as far as the code under test can tell."""


@pytest.fixture
def feed(request: pytest.FixtureRequest) -> Iterator[Any]:
    backends = running(RedisCluster())
    yield next(backends).notification()(1)
    next(backends, None)


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``crash('before')`` ends the next write where it would mark what is new; ``'after'``, take away what is old."""
    send_marks = changes.send_marks

    def arm(moment: str, done: bool = False) -> None:
        def crashing(storage: Any, now: str, *args: Any) -> Any:
            if now == moment:
                if done:
                    send_marks(storage, now, *args)
                monkeypatch.undo()
                raise Crash
            return send_marks(storage, now, *args)

        monkeypatch.setattr(changes, 'send_marks', crashing)

    return arm


def assert_all_unread(feed: Any, count: int) -> None:
    groups = feed[:]
    assert len(groups) == count
    assert not any(group.is_seen or group.is_read for group in groups)
    assert feed.get_notification_data() == {'unseen_count': count, 'unread_count': count}


@pytest.mark.parametrize(('moment', 'done'), [('before', False), ('before', True), ('after', False)])
@pytest.mark.parametrize('other', [False, True], ids=['the same again', 'another one'])
def test_a_write_that_crashed_is_put_right_by_the_next(
    feed: Any, crash: Any, moment: str, done: bool, other: bool
) -> None:
    feed.add_many([act(n, object=n) for n in range(3)])
    late = act(10, object=1)
    crash(moment, done)
    with pytest.raises(Crash):
        feed.add(late)
    # Perhaps unread twice, never silently read.
    assert not any(group.is_seen or group.is_read for group in feed[:])
    assert feed.count_unseen() >= 3
    feed.add(act(11, object=2) if other else late)
    assert_all_unread(feed, 3)


@pytest.mark.parametrize('moment', ['before', 'after'])
def test_a_new_group_that_crashed(feed: Any, crash: Any, moment: str) -> None:
    feed.add(act(0, object=0))
    crash(moment, done=True)
    with pytest.raises(Crash):
        feed.add(act(1, object=1))
    feed.add(act(1, object=1))
    assert_all_unread(feed, 2)


def test_a_removal_that_crashed(feed: Any, crash: Any) -> None:
    feed.add_many([act(n, object=n) for n in range(3)])
    crash('after')
    with pytest.raises(Crash):
        feed.remove(act(1, object=1))
    feed.remove(act(1, object=1))
    assert_all_unread(feed, 2)


def test_mark_all_puts_it_right(feed: Any, crash: Any) -> None:
    feed.add(act(0, object=0))
    crash('before', done=True)
    with pytest.raises(Crash):
        feed.add(act(1, object=1))
    feed.mark_all(seen=True, read=True)
    assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}


def test_who_is_late_leaves_the_marks_of_those_who_came_after(feed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # A adds, B takes that away before A has taken away the old mark, which is the new one now.
    feed.add(act(0, object=0))
    late = act(5, object=0)
    send_marks = changes.send_marks

    def interrupted(storage: Any, moment: str, *args: Any) -> Any:
        if moment == 'after':
            monkeypatch.undo()
            feed.remove(late)
        return send_marks(storage, moment, *args)

    monkeypatch.setattr(changes, 'send_marks', interrupted)
    feed.add(late)
    assert not any(group.is_seen or group.is_read for group in feed[:])
    feed.add(act(6, object=6))
    assert_all_unread(feed, 2)


def test_marks_of_groups_that_the_write_did_not_read_stay(feed: Any) -> None:
    type(feed).merge_max_length = 2
    feed.add_many([act(n, object=n) for n in range(4)])
    feed.add(act(9, object=9))
    # The second entry of its name, beside the one that lies deeper.
    feed.add(act(10, object=0))
    assert_all_unread(feed, 6)


def test_nothing_stays_behind(feed: Any) -> None:
    feed.add_many([act(n, object=n) for n in range(3)])
    feed.add(act(5, object=1))
    feed.mark_all(read=True)
    keys = list(get_redis_connection().scan_iter(match=f'*{feed.key}*'))
    assert keys == [feed.key]


def test_feeds_with_a_hash_tag_change_in_one_step(feed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    feed_class = type(feed)
    monkeypatch.setattr(feed_class, 'key_format', '{%(user_id)s}:' + feed_class.key_format)
    monkeypatch.setattr(feed_class, 'markers_key_format', '{%(user_id)s}:' + feed_class.markers_key_format)

    def never(*args: Any) -> None:
        raise AssertionError('in steps')

    monkeypatch.setattr(changes, 'send_marks', never)
    tagged = feed_class('x')
    tagged.add_many([act(n, object=n) for n in range(3)])
    tagged.add(act(5, object=1))
    assert_all_unread(tagged, 3)
