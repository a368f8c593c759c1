"""The class attributes that applications override, with the values that they have in 1.4.0."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.aggregators.base import NotificationAggregator, RecentVerbAggregator
from stream_framework.feed_managers.base import FanoutPriority, Manager, add_operation, remove_operation
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed as MemoryAggregatedFeed
from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed
from stream_framework.feeds.base import BaseFeed, UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.serializers.aggregated_activity_serializer import (
    AggregatedActivitySerializer,
    NotificationSerializer,
)
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.base import BaseActivityStorage, BaseTimelineStorage
from stream_framework.storage.base_lists_storage import BaseListsStorage

ATTRIBUTES: list[tuple[Any, dict[str, Any]]] = [
    (
        BaseFeed,
        {
            'key_format': 'feed_%(user_id)s',
            'max_length': 100,
            'activity_class': Activity,
            'activity_storage_class': BaseActivityStorage,
            'timeline_storage_class': BaseTimelineStorage,
            'activity_serializer': BaseSerializer,
            'timeline_serializer': SimpleTimelineSerializer,
            'trim_chance': 0.01,
            'filtering_supported': False,
            'ordering_supported': False,
        },
    ),
    (UserBaseFeed, {'key_format': 'user_feed:%(user_id)s', 'max_length': 10**6}),
    (Feed, {'filtering_supported': True, 'ordering_supported': True, 'key_format': 'feed_%(user_id)s'}),
    (RedisFeed, {'filtering_supported': True, 'ordering_supported': True, 'redis_server': 'default'}),
    (
        AggregatedFeed,
        {
            'aggregator_class': RecentVerbAggregator,
            'aggregated_activity_class': AggregatedActivity,
            'merge_max_length': 20,
            'timeline_serializer': AggregatedActivitySerializer,
            'guard_updates': True,
        },
    ),
    (MemoryAggregatedFeed, {'filtering_supported': True, 'ordering_supported': True}),
    (RedisAggregatedFeed, {'redis_server': 'default'}),
    (
        BaseNotificationFeed,
        {
            'key_format': 'notification_feed:%(user_id)s',
            'timeline_serializer': NotificationSerializer,
            'aggregator_class': NotificationAggregator,
            'aggregated_activity_class': NotificationActivity,
            'markers_storage_class': BaseListsStorage,
            'track_unseen': True,
            'track_unread': True,
            'markers_max_length': 100,
            'markers_key_format': 'notification_feed:%(user_id)s',
            'lock_format': 'notification_feed:%(user_id)s:lock',
            'activity_storage_class': None,
        },
    ),
    (RedisNotificationFeed, {'redis_server': 'default'}),
    (FanoutPriority, {'HIGH': 'HIGH', 'LOW': 'LOW'}),
    (
        Manager,
        {
            'feed_classes': {'normal': RedisFeed},
            'user_feed_class': UserBaseFeed,
            'follow_activity_limit': 5000,
            'fanout_chunk_size': 100,
            'operation_ttl': 24 * 3600,
        },
    ),
]


@pytest.mark.parametrize(
    ('owner', 'name', 'value'),
    [(owner, name, value) for owner, attributes in ATTRIBUTES for name, value in attributes.items()],
    ids=lambda part: part.__name__ if inspect.isclass(part) else None,
)
def test_class_attribute(owner: Any, name: str, value: Any) -> None:
    assert getattr(owner, name) == value


@pytest.mark.parametrize(
    ('child', 'parent'),
    [
        (UserBaseFeed, BaseFeed),
        (Feed, BaseFeed),
        (RedisFeed, BaseFeed),
        (AggregatedFeed, BaseFeed),
        (MemoryAggregatedFeed, AggregatedFeed),
        (RedisAggregatedFeed, AggregatedFeed),
        (BaseNotificationFeed, AggregatedFeed),
        (NotificationFeed, BaseNotificationFeed),
        (RedisNotificationFeed, BaseNotificationFeed),
    ],
)
def test_parents(child: Any, parent: Any) -> None:
    assert issubclass(child, parent)


SIGNATURES: list[tuple[Any, str, list[str]]] = [
    (BaseFeed, 'add_many', ['activities', 'batch_interface', 'trim', 'args', 'kwargs']),
    (BaseFeed, 'add', ['activity', 'args', 'kwargs']),
    (BaseFeed, 'remove_many', ['activity_ids', 'batch_interface', 'trim', 'args', 'kwargs']),
    (BaseFeed, 'trim', ['length']),
    (BaseFeed, 'get_activity_slice', ['start', 'stop', 'rehydrate']),
    (AggregatedFeed, 'add_many', ['activities', 'trim', 'current_activities', 'args', 'kwargs']),
    (AggregatedFeed, 'remove_many', ['activities', 'batch_interface', 'trim', 'args', 'kwargs']),
    (BaseNotificationFeed, 'mark_activity', ['activity_id', 'seen', 'read']),
    (BaseNotificationFeed, 'mark_activities', ['activity_ids', 'seen', 'read']),
    (BaseNotificationFeed, 'mark_all', ['seen', 'read']),
    (BaseNotificationFeed, 'update_markers', ['unseen_ids', 'unread_ids', 'operation']),
    (Manager, 'add_user_activity', ['user_id', 'activity']),
    (Manager, 'remove_user_activity', ['user_id', 'activity']),
    (Manager, 'follow_user', ['user_id', 'target_user_id', 'async_']),
    (Manager, 'unfollow_user', ['user_id', 'target_user_id', 'async_']),
    (Manager, 'follow_many_users', ['user_id', 'target_ids', 'async_']),
    (Manager, 'unfollow_many_users', ['user_id', 'target_ids', 'async_']),
    (Manager, 'get_fanout_task', ['priority', 'feed_class']),
    (
        Manager,
        'create_fanout_tasks',
        ['follower_ids', 'feed_class', 'operation', 'operation_kwargs', 'fanout_priority'],
    ),
    (Manager, 'fanout', ['user_ids', 'feed_class', 'operation', 'operation_kwargs']),
    (Manager, 'batch_import', ['user_id', 'activities', 'fanout', 'chunk_size']),
    (Manager, 'follow_feed', ['feed', 'source_feed']),
    (Manager, 'unfollow_feed', ['feed', 'source_feed']),
    (Manager, 'update_user_activities', ['activities']),
    (Manager, 'update_user_activity', ['activity']),
]


@pytest.mark.parametrize(
    ('owner', 'name', 'expected'), SIGNATURES, ids=[f'{owner.__name__}.{name}' for owner, name, _ in SIGNATURES]
)
def test_signature(owner: Any, name: str, expected: list[str]) -> None:
    parameters = [parameter for parameter in inspect.signature(getattr(owner, name)).parameters if parameter != 'self']
    assert parameters[: len(expected)] == expected


def test_operations() -> None:
    for operation in (add_operation, remove_operation):
        assert list(inspect.signature(operation).parameters)[:4] == ['feed', 'activities', 'trim', 'batch_interface']


def test_defaults() -> None:
    def default(owner: Any, name: str, parameter: str) -> Any:
        return inspect.signature(getattr(owner, name)).parameters[parameter].default

    assert default(Manager, 'batch_import', 'fanout') is True
    assert default(Manager, 'batch_import', 'chunk_size') == 500
    assert default(Manager, 'follow_user', 'async_') is True
    assert default(BaseFeed, 'add_many', 'trim') is True
    assert default(BaseNotificationFeed, 'mark_all', 'seen') is True
    assert default(BaseNotificationFeed, 'mark_all', 'read') is False
    assert default(BaseNotificationFeed, 'mark_activity', 'seen') is True
    assert default(BaseNotificationFeed, 'mark_activity', 'read') is False
    assert default(BaseNotificationFeed, 'mark_activities', 'read') is False
