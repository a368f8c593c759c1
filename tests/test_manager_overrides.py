"""Each public method of a manager is called as often, and given the same, as by 1.4.0, wherever it is overridden."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from celery import current_app

from stream_framework.feed_managers.base import (
    FanoutPriority,
    Manager,
    add_operation,
    remove_operation,
    update_operation,
)
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.storage import memory
from tests.contracts.support import act

HIGH, LOW = FanoutPriority.HIGH, FanoutPriority.LOW

#: The methods of 1.4.0's manager.
METHODS = (
    'get_user_follower_ids',
    'add_user_activity',
    'remove_user_activity',
    'update_user_activities',
    'update_user_activity',
    'get_feeds',
    'get_user_feed',
    'follow_feed',
    'unfollow_feed',
    'follow_user',
    'unfollow_user',
    'follow_many_users',
    'unfollow_many_users',
    'get_fanout_task',
    'create_fanout_tasks',
    'fanout',
    'batch_import',
)


class UserFeed(UserBaseFeed, Feed):
    key_format = 'overrides:user:%(user_id)s'


class Pins(Feed):
    key_format = 'overrides:pins:%(user_id)s'


class Notifications(NotificationFeed):
    key_format = markers_key_format = 'overrides:notifications:%(user_id)s'


class PinManager(Manager):
    feed_classes = {'pins': Pins, 'notifications': Notifications}
    user_feed_class = UserFeed
    fanout_chunk_size = 2

    def get_user_follower_ids(self, user_id: Any) -> Any:
        return {HIGH: [11, 12, 13], LOW: [14]}


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []


def recording(name: str, to_super: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs_then = {**kwargs}
        if isinstance(kwargs.get('operation_kwargs'), dict):
            kwargs_then['operation_kwargs'] = dict(kwargs['operation_kwargs'])
        CALLS.append((name, args, kwargs_then))
        return to_super(self)(*args, **kwargs)

    method.__name__ = name
    return method


def overriding(name: str, bases: tuple[type, ...], methods: tuple[str, ...] = METHODS) -> Any:
    """A class at this module's level, since messages name it by path, that records the calls of some methods."""
    made: Any = type(name, bases, {'__module__': __name__, '__qualname__': name})
    for method in methods:
        setattr(made, method, recording(method, lambda self, method=method: getattr(super(made, self), method)))
    setattr(sys.modules[__name__], name, made)
    return made


def plain(name: str, bases: tuple[type, ...]) -> Any:
    return overriding(name, bases, ())


Mixin = overriding('Mixin', (object,))
Behind = overriding('Behind', (Manager,), tuple(name for name in METHODS if name != 'get_user_follower_ids'))
Own = overriding('Own', (PinManager,))
Grandchild = plain('Grandchild', (Own,))
MixedIn = plain('MixedIn', (Mixin, PinManager))
MixedInBehind = plain('MixedInBehind', (PinManager, Behind))


@pytest.fixture(params=['in its class', 'in a parent', 'in a mixin', 'in a mixin behind', 'patched later'])
def manager(request: pytest.FixtureRequest) -> Iterator[Any]:
    conf = current_app.conf
    before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
    conf.update(task_always_eager=True, task_eager_propagates=True)
    classes = {
        'in its class': Own,
        'in a parent': Grandchild,
        'in a mixin': MixedIn,
        'in a mixin behind': MixedInBehind,
        'patched later': PinManager,
    }
    patches = []
    if request.param == 'patched later':
        for name in METHODS:
            plain_form = getattr(PinManager, name)
            to_super = functools.partial(functools.partial, plain_form)
            patches.append(mock.patch.object(PinManager, name, recording(name, to_super)))
    for patch in patches:
        patch.start()
    CALLS.clear()
    yield classes[request.param]()
    for patch in patches:
        patch.stop()
    conf.update(before)
    memory.timeline_store.clear()
    memory.lists_store.clear()
    memory.InMemoryActivityStorage().flush()


def calls(manager: Any, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    if name == 'get_user_follower_ids' and isinstance(manager, MixedInBehind):
        pytest.skip('the class before the mixin defines it')
    return [(args, kwargs) for called, args, kwargs in CALLS if called == name]


def fanned_out(manager: Any, operation: Any, kwargs: dict[str, Any]) -> None:
    """Each feed class for each priority, in chunks of two."""
    created = [
        ((ids, feed_class, operation), {'operation_kwargs': kwargs, 'fanout_priority': priority})
        for priority, ids in ((HIGH, [11, 12, 13]), (LOW, [14]))
        for feed_class in (Pins, Notifications)
    ]
    assert calls(manager, 'create_fanout_tasks') == created
    asked = [((priority,), {'feed_class': each}) for priority in (HIGH, LOW) for each in (Pins, Notifications)]
    assert calls(manager, 'get_fanout_task') == asked
    chunks = [([11, 12], Pins), ([13], Pins), ([11, 12], Notifications), ([13], Notifications)]
    chunks += [([14], Pins), ([14], Notifications)]
    assert [args[:3] for args, _ in calls(manager, 'fanout')] == [(ids, each, operation) for ids, each in chunks]
    if not isinstance(manager, MixedInBehind):
        assert calls(manager, 'get_user_follower_ids') == [((), {'user_id': 7})]


def test_adding(manager: Any) -> None:
    activity = act(1, actor=7)
    manager.add_user_activity(7, activity)
    fanned_out(manager, add_operation, {'activities': [activity], 'trim': True})
    assert calls(manager, 'get_user_feed') == [((7,), {})]
    assert Pins(14).count() == 1


def test_removing(manager: Any) -> None:
    activity = act(1, actor=7)
    manager.add_user_activity(7, activity)
    CALLS.clear()
    manager.remove_user_activity(7, activity)
    fanned_out(manager, remove_operation, {'activities': [activity], 'trim': False})
    assert calls(manager, 'get_user_feed') == [((7,), {})]
    assert Pins(14).count() == 0


def test_updating(manager: Any) -> None:
    activity = act(1, actor=7)
    manager.add_user_activity(7, activity)
    CALLS.clear()
    manager.update_user_activity(activity)
    assert calls(manager, 'update_user_activities') == [(([activity],), {})]
    assert calls(manager, 'add_user_activity') == [((7, activity), {})]
    fanned_out(manager, update_operation, {'activities': [activity]})
    assert calls(manager, 'get_user_feed') == [((7,), {})]


def test_importing(manager: Any) -> None:
    activities = [act(n, actor=7) for n in range(5)]
    manager.batch_import(7, activities, chunk_size=2)
    assert calls(manager, 'get_user_feed') == [((7,), {})]
    given = [kwargs['operation_kwargs']['activities'] for _, kwargs in calls(manager, 'create_fanout_tasks')]
    assert given == [chunk for chunk in (activities[:2], activities[2:4], activities[4:]) for _ in range(4)]
    assert len(calls(manager, 'get_fanout_task')) == 12
    assert len(calls(manager, 'fanout')) == 18
    assert calls(manager, 'add_user_activity') == []
    assert calls(manager, 'get_user_follower_ids') == [((), {'user_id': 7})] * 3


def test_importing_without_fanout(manager: Any) -> None:
    manager.batch_import(7, [act(1, actor=7)], fanout=False)
    assert {name for name, *_ in CALLS} == {'batch_import', 'get_user_feed'}


@pytest.mark.parametrize('async_', [True, False])
def test_following(manager: Any, async_: bool) -> None:
    for author in (1, 2):
        UserFeed(author).add(act(author, actor=author))
    manager.follow_user(5, 1, async_)
    assert calls(manager, 'follow_many_users') == [((5, [1], async_), {})]
    assert calls(manager, 'get_feeds') == [((5,), {})]
    assert calls(manager, 'get_user_feed') == [((1,), {})]
    CALLS.clear()
    manager.follow_many_users(6, [1, 2], async_=async_)
    assert calls(manager, 'follow_user') == []
    assert calls(manager, 'get_feeds') == [((6,), {})]
    assert calls(manager, 'get_user_feed') == [((1,), {}), ((2,), {})]
    assert (Pins(5).count(), Pins(6).count()) == (1, 2)


@pytest.mark.parametrize('async_', [True, False])
def test_unfollowing(manager: Any, async_: bool) -> None:
    Pins(5).add_many([act(author, actor=author) for author in (1, 2, 3)])
    manager.unfollow_user(5, 1, async_)
    assert calls(manager, 'unfollow_many_users') == [((5, [1], async_), {})]
    assert calls(manager, 'get_feeds') == [((5,), {})]
    assert calls(manager, 'get_user_feed') == []
    CALLS.clear()
    manager.unfollow_many_users(5, [1, 2], async_=async_)
    assert calls(manager, 'get_feeds') == [((5,), {})]
    assert Pins(5).count() == 1


class Recording(Pins):
    """Feeds that record what is asked of them, with 1.4.0's signatures."""

    key_format = 'overrides:recording:%(user_id)s'

    def add(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append(('add', (activity, *args), kwargs))
        return super().add(activity, *args, **kwargs)

    def add_many(self, activities: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append(('add_many', (list(activities), *args), kwargs))
        return super().add_many(activities, *args, **kwargs)

    def remove(self, activity_id: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append(('remove', (activity_id, *args), kwargs))
        return super().remove(activity_id, *args, **kwargs)

    def remove_many(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append(('remove_many', (list(activity_ids), *args), kwargs))
        return super().remove_many(activity_ids, *args, **kwargs)

    @classmethod
    def insert_activities(cls, activities: Any, **kwargs: Any) -> None:
        CALLS.append(('insert_activities', (list(activities),), kwargs))
        super().insert_activities(activities, **kwargs)


def test_what_the_user_feed_is_given(manager: Any) -> None:
    """No keyword that 1.4.0 did not give, and what is stored is stored once."""
    manager.user_feed_class = Recording
    activity, names = act(1, actor=7), ('add', 'add_many', 'remove', 'remove_many', 'insert_activities')
    manager.add_user_activity(7, activity)
    given = [call for call in CALLS if call[0] in names]
    assert given == [
        ('insert_activities', ([activity],), {}),
        ('add', (activity,), {}),
        ('add_many', ([activity],), {}),
    ]
    CALLS.clear()
    manager.remove_user_activity(7, activity)
    assert [call for call in CALLS if call[0] in names] == [
        ('remove', (activity,), {}),
        ('remove_many', ([activity],), {}),
    ]
    CALLS.clear()
    manager.batch_import(7, [activity], fanout=False)
    assert [call for call in CALLS if call[0] in names] == [
        ('insert_activities', ([activity],), {}),
        ('add_many', ([activity],), {'trim': False}),
    ]


def test_what_feeds_are_given_that_others_are_copied_into(manager: Any) -> None:
    source, feed = Pins(1), Recording(2)
    manager.unfollow_feed(feed, source)
    manager.follow_feed(feed, source)
    assert [name for name, *_ in CALLS if name in ('add_many', 'remove_many')] == []
    activity = act(1)
    source.add(activity)
    CALLS.clear()
    manager.follow_feed(feed, source)
    manager.unfollow_feed(feed, source)
    given = [call for call in CALLS if call[0] not in METHODS]
    assert given == [('add_many', ([activity],), {}), ('remove_many', ([activity],), {})]
