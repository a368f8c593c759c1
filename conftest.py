"""What the examples of managers, feeds and activities use, so that each need not define it again."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

MANAGERS = 'stream_framework.feed_managers.'
FEEDS = 'stream_framework.feeds.'
ACTIVITIES = ('stream_framework.activity.', 'stream_framework.group_', 'stream_framework.aggregators.')


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
    if not isinstance(request.node, pytest.DoctestItem) or not request.node.name.startswith(FEEDS):
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
    yield
    memory.timeline_store.clear()
    memory.seen_store.clear()
    memory.lists_store.clear()
    memory.InMemoryActivityStorage().flush()


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
    manager = type('PinManager', (Manager,), attributes)()
    doctest_namespace.update(manager=manager, Activity=Activity, Love=Love, datetime=datetime)
    doctest_namespace.update(add_operation=add_operation, remove_operation=remove_operation)
    before = {name: current_app.conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
    current_app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    current_app.conf.update(before)
    memory.timeline_store.clear()
    memory.InMemoryActivityStorage().flush()
