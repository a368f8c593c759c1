"""What the examples of managers, feeds and activities use, so that each need not define it again."""

from __future__ import annotations

import datetime
import doctest
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework.utils.shortcuts import Shortcut

MANAGERS = 'stream_framework.feed_managers.'
FEEDS = 'stream_framework.feeds.'
PAGES = 'stream_framework.contrib.django.pagination.'
ACTIVITIES = ('stream_framework.activity.', 'stream_framework.group_', 'stream_framework.aggregators.')

_find: Any = doctest.DocTestFinder._find  # type: ignore[attr-defined]  # looks at one object, and what is in it


@functools.wraps(_find)
def find_with_shortcuts(finder: Any, tests: Any, obj: Any, name: str, *args: Any) -> None:
    """Find the examples of shortcuts, too: doctest looks only at functions, class methods and properties."""
    _find(finder, tests, obj, name, *args)
    if isinstance(obj, type):
        for key, value in vars(obj).items():
            if isinstance(value, Shortcut) and not key.startswith('_'):
                form = getattr(value.form, '__func__', value.form)
                finder._find(tests, form, f'{name}.{key}', *args)


doctest.DocTestFinder._find = find_with_shortcuts  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def example_group(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give examples of activities a group of three loves."""
    if isinstance(request.node, pytest.DoctestItem) and request.node.name.startswith(ACTIVITIES):
        from stream_framework.activity import Activity, AggregatedActivity
        from stream_framework.verbs import Comment, Love

        group = AggregatedActivity('loves', [Activity(actor, Love, 42) for actor in (1, 2, 3)])
        names = {'Activity': Activity, 'AggregatedActivity': AggregatedActivity, 'Comment': Comment, 'Love': Love}
        doctest_namespace.update(names, group=group, datetime=datetime)


@pytest.fixture(autouse=True)
def example_feeds(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> Iterator[None]:
    """Give examples a feed of each kind in memory, and leave nothing behind."""
    if not isinstance(request.node, pytest.DoctestItem) or not request.node.name.startswith((FEEDS, PAGES)):
        yield
        return
    from stream_framework.activity import Activity
    from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
    from stream_framework.feeds.memory import Feed
    from stream_framework.feeds.notification_feed.memory import NotificationFeed
    from stream_framework.storage import memory
    from stream_framework.verbs import Comment, Love

    keys = {'key_format': 'groups:%(user_id)s'}
    pin_feed = type('PinFeed', (Feed,), {})
    groups = type('PinGroups', (AggregatedFeed,), keys)
    doctest_namespace.update(
        Activity=Activity,
        Comment=Comment,
        Love=Love,
        datetime=datetime,
        Feed=pin_feed,
        feed=pin_feed(1),
        groups=groups(1),
        notifications=NotificationFeed(1),
    )
    if request.node.name.startswith(PAGES):
        pin_feed(1).add_many([Activity(13, Love, number) for number in (1, 2, 3)])
    yield
    memory.timeline_store.clear()
    memory.seen_store.clear()
    memory.lists_store.clear()
    memory.InMemoryActivityStorage().flush()


@pytest.fixture(autouse=True)
def example_settings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give examples of pages Django's default settings, where it has none."""
    if not isinstance(request.node, pytest.DoctestItem) or not request.node.name.startswith(PAGES):
        yield
        return
    from django.conf import settings
    from django.utils.functional import empty

    configured = settings.configured
    if not configured:
        settings.configure()
    yield
    if not configured:
        settings._wrapped = empty


@pytest.fixture(autouse=True)
def example_manager(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> Iterator[None]:
    """Give examples a manager in memory whose tasks run at once, and leave nothing behind."""
    if not isinstance(request.node, pytest.DoctestItem) or not request.node.name.startswith(MANAGERS):
        yield
        return
    from celery import current_app

    from stream_framework.activity import Activity
    from stream_framework.feed_managers.base import FanoutPriority, Manager, add_operation, remove_operation
    from stream_framework.feeds.memory import Feed
    from stream_framework.storage import memory
    from stream_framework.verbs import Love

    user_feed = type('UserFeed', (Feed,), {'key_format': 'user:%(user_id)s'})
    pin_feed = type('PinFeed', (Feed,), {'key_format': 'pins:%(user_id)s'})
    attributes = {
        'feed_classes': {'normal': pin_feed},
        'user_feed_class': user_feed,
        'get_user_follower_ids': lambda self, user_id: {FanoutPriority.HIGH: [1, 2, 3]},
    }
    if request.node.name.startswith(f'{MANAGERS}relations.'):
        attributes = {**attributes, 'follow_storage_class': memory.InMemoryFollowStorage, 'follow_name': 'examples'}
        del attributes['get_user_follower_ids']
    manager = type('PinManager', (Manager,), attributes)()
    doctest_namespace.update(manager=manager, Activity=Activity, Love=Love, datetime=datetime)
    doctest_namespace.update(add_operation=add_operation, remove_operation=remove_operation)
    before = {name: current_app.conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
    current_app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    current_app.conf.update(before)
    memory.InMemoryFollowStorage('examples').flush()
    memory.timeline_store.clear()
    memory.seen_store.clear()
    memory.InMemoryActivityStorage().flush()
