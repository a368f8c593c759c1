"""The tasks through Celery's in-memory broker and a real worker, under Celery's default settings: JSON travels."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import celery
import pytest
from celery.contrib.testing.worker import start_worker

from stream_framework import tasks
from stream_framework.activity import Activity
from stream_framework.feed_managers.base import FanoutPriority, add_operation
from stream_framework.verbs import Love
from tests import managers
from tests.backends import Memory
from tests.contracts.support import act, acts, ids

USERS = list(range(880_000, 880_030))


@pytest.fixture
def app() -> Iterator[Any]:
    before = celery.current_app._get_current_object()  # type: ignore[attr-defined]
    app = celery.Celery('tests', broker='memory://', backend='cache+memory://', set_as_current=True)
    app.conf.broker_connection_retry_on_startup = False
    assert app.conf.task_serializer == 'json'
    assert app.conf.accept_content == ['json'] or set(app.conf.accept_content) == {'json'}
    app.set_default()
    yield app
    before.set_default()
    before.set_current()


@pytest.fixture
def manager(app: Any) -> Iterator[Any]:
    backend = Memory()
    backend.reset()
    managers.FOLLOWERS.clear()
    managers.FOLLOWERS[USERS[0]] = {FanoutPriority.HIGH: USERS[1:10], FanoutPriority.LOW: USERS[10:]}
    manager = backend.manager_class()()
    with start_worker(app, perform_ping_check=False, pool='threads', concurrency=4, loglevel='WARNING'):
        yield manager
    backend.reset()


def wait_for(check: Callable[[], bool], timeout: float = 30) -> None:
    """Until the worker has done its work."""
    end = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < end, 'the worker has not done it in time'
        time.sleep(0.02)


def counts(manager: Any, name: str, user_ids: Any) -> list[int]:
    return [manager.get_feeds(user_id)[name].count() for user_id in user_ids]


def test_fanout(manager: Any) -> None:
    activity = act(1, actor=USERS[0], extra_context={'when': act(1).time, 'tuple': (1, 2), 'set': {3}})
    manager.add_user_activity(USERS[0], activity)
    for name in ('normal', 'aggregated', 'notification'):
        wait_for(lambda name=name: counts(manager, name, USERS[1:]) == [1] * 29)  # type: ignore[misc]
    found = manager.get_feeds(USERS[5])['notification'][:][0].activities[0]
    assert found.extra_context == activity.extra_context
    assert found.time == activity.time
    assert found == activity
    manager.remove_user_activity(USERS[0], activity)
    for name in ('normal', 'aggregated', 'notification'):
        wait_for(lambda name=name: counts(manager, name, USERS[1:]) == [0] * 29)  # type: ignore[misc]


def test_ids_of_any_kind_travel(manager: Any) -> None:
    actor, other = uuid.UUID(int=5), 'user:7'
    managers.FOLLOWERS[actor] = {FanoutPriority.HIGH: [other, uuid.UUID(int=8), 9]}
    activity = Activity(actor, Love, 'pin;1', uuid.UUID(int=6), time=act(1).time)
    manager.add_user_activity(actor, activity)
    readers = [other, uuid.UUID(int=8), 9]
    wait_for(lambda: counts(manager, 'normal', readers) == [1] * 3)
    wait_for(lambda: counts(manager, 'notification', readers) == [1] * 3)
    [found] = manager.get_feeds(other)['notification'][:][0].activities
    assert (found.actor_id, found.object_id, found.target_id) == (actor, 'pin;1', uuid.UUID(int=6))


def test_following(manager: Any) -> None:
    managers.FOLLOWERS.clear()
    for activity in acts(5, actor=USERS[1]):
        manager.add_user_activity(USERS[1], activity)
    manager.follow_user(USERS[0], USERS[1])
    feed = manager.get_feeds(USERS[0])['normal']
    wait_for(lambda: feed.count() == 5)
    assert ids(feed[:]) == ids(acts(5))[::-1]
    manager.unfollow_user(USERS[0], USERS[1])
    wait_for(lambda: feed.count() == 0)


def test_the_applications_own_delay(manager: Any) -> None:
    feed_class = manager.feed_classes['normal']
    activity = act(1, object=880_000)
    feed_class.insert_activity(activity)
    result = tasks.fanout_operation.delay(
        feed_manager=manager,
        feed_class=feed_class,
        user_ids=USERS,
        operation=add_operation,
        operation_kwargs={'activities': [activity], 'trim': True},
    )
    result.get(timeout=30)
    assert counts(manager, 'normal', USERS) == [1] * 30


def test_what_cannot_be_named_fails_when_publishing(manager: Any) -> None:
    feed_class = manager.feed_classes['normal']

    class Local(type(manager)):  # type: ignore[misc]
        pass

    good = {
        'feed_manager': manager,
        'feed_class': feed_class,
        'user_ids': USERS,
        'operation': add_operation,
        'operation_kwargs': {'activities': [act(1)]},
    }
    for name, wrong in {
        'operation': lambda feed, **kwargs: None,
        'feed_manager': Local(),
        'feed_class': type('LocalFeed', (feed_class,), {}),
    }.items():
        with pytest.raises((TypeError, ValueError)):
            tasks.fanout_operation.delay(**{**good, name: wrong})
    with pytest.raises((TypeError, ValueError)):
        tasks.fanout_operation.delay(**{**good, 'operation_kwargs': {'anything': object()}})
    assert counts(manager, 'normal', USERS) == [0] * 30
