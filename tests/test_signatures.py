"""The parameters of public methods, as in 1.4.0: applications override them and call ``super()`` with them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity, DehydratedActivity
from stream_framework.aggregators.base import BaseAggregator
from stream_framework.feed_managers.base import Manager, add_operation, remove_operation
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.metrics import python_statsd, statsd
from stream_framework.metrics.base import Metrics
from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer
from stream_framework.serializers.utils import check_reserved
from stream_framework.storage.base import BaseActivityStorage, BaseStorage, BaseTimelineStorage
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.structures.base import RedisCache
from stream_framework.storage.redis.structures.hash import FallbackHashCache
from stream_framework.storage.redis.structures.sorted_set import RedisSortedSetCache
from stream_framework.utils import chunks, get_class_from_string, make_list_unique

#: Owner -> what 1.4.0's documentation, and overrides of its methods, write. ``...`` at the end: tails are taken, too.
SIGNATURES: dict[Any, list[str]] = {
    Activity: ['__init__(actor, verb, object, target=None, time=None, extra_context=None)'],
    AggregatedActivity: [
        '__init__(group, activities=None, created_at=None, updated_at=None)',
        'contains(activity)',
        'append(activity)',
        'remove(activity)',
        'remove_many(activities)',
        'get_hydrated(activities)',
    ],
    DehydratedActivity: ['__init__(serialization_id)', 'get_hydrated(activities)'],
    BaseAggregator: [
        '__init__(aggregated_activity_class=None, activity_class=None)',
        'aggregate(activities)',
        'merge(aggregated, activities)',
        'group_activities(activities)',
        'get_group(activity)',
    ],
    BaseFeed: [
        '__init__(user_id)',
        'add(activity, ...)',
        'add_many(activities, batch_interface=None, trim=True, ...)',
        'remove(_, ...)',
        'remove_many(activity_ids, batch_interface=None, trim=True, ...)',
        'insert_activities(activities, **)',
        'insert_activity(activity, **)',
        'remove_activity(_, **)',
        'on_update_feed(new, deleted)',
        'trim(length=None)',
        'count()',
        'delete()',
        'index_of(_)',
        'get_activity_slice(start=None, stop=None, rehydrate=True)',
        'needs_hydration(activities)',
        'hydrate_activities(activities)',
        'get_timeline_storage()',
        'get_timeline_storage_options()',
        'get_activity_storage()',
        'get_timeline_batch_interface()',
        'flush()',
    ],
    AggregatedFeed: [
        'add_many(activities, trim=True, current_activities=None, ...)',
        'remove_many(activities, batch_interface=None, trim=True, ...)',
        'contains(activity)',
        'add_many_aggregated(aggregated, ...)',
        'remove_many_aggregated(aggregated, ...)',
        'get_aggregator()',
        '_update_from_diff(new, changed, deleted)',
        '_translate_diff(new, changed, deleted)',
    ],
    BaseNotificationFeed: [
        'count_unseen()',
        'count_unread()',
        'get_notification_data()',
        "update_markers(unseen_ids=None, unread_ids=None, operation='add')",
        'mark_activity(activity_id, seen=True, read=False)',
        'mark_activities(activity_ids, seen=True, read=False)',
        'mark_all(seen=True, read=False)',
    ],
    Manager: [
        'get_user_follower_ids(user_id)',
        'add_user_activity(user_id, activity)',
        'remove_user_activity(user_id, activity)',
        'update_user_activities(activities)',
        'update_user_activity(activity)',
        'get_feeds(user_id)',
        'get_user_feed(user_id)',
        'follow_user(user_id, target_user_id, async_=True)',
        'unfollow_user(user_id, target_user_id, async_=True)',
        'follow_many_users(user_id, target_ids, async_=True)',
        'unfollow_many_users(user_id, target_ids, async_=True)',
        'follow_feed(feed, source_feed)',
        'unfollow_feed(feed, source_feed)',
        'get_fanout_task(priority=None, feed_class=None)',
        'create_fanout_tasks(follower_ids, feed_class, operation, operation_kwargs=None, fanout_priority=None)',
        'fanout(user_ids, feed_class, operation, operation_kwargs)',
        'batch_import(user_id, activities, fanout=True, chunk_size=500)',
    ],
    BaseStorage: ['__init__(serializer_class=None, activity_class=None, **)', 'flush()'],
    BaseActivityStorage: [
        'add(activity, ...)',
        'add_many(activities, ...)',
        'get(activity_id, ...)',
        'get_many(activity_ids, ...)',
        'remove(_, ...)',
        'remove_many(activities, ...)',
        'add_to_storage(serialized_activities, ...)',
        'get_from_storage(activity_ids, ...)',
        'remove_from_storage(activity_ids, ...)',
    ],
    BaseTimelineStorage: [
        'add(key, activity, ...)',
        'add_many(key, activities, ...)',
        'remove(key, activity, ...)',
        'remove_many(key, activities, ...)',
        'get_slice(key, start, stop, filter_kwargs=None, ordering_args=None)',
        'get_slice_from_storage(key, start, stop, filter_kwargs=None, ordering_args=None)',
        'index_of(key, activity_or_id)',
        'get_index_of(key, activity_id)',
        'get_batch_interface()',
        'count(key)',
        'delete(key)',
    ],
    BaseListsStorage: ['get_key(list_name)'],
    BaseSerializer: ['check_type(data)'],
    Metrics: [
        '__init__(...)',
        'fanout_timer(feed_class)',
        'feed_reads_timer(feed_class)',
        'on_feed_read(feed_class, activities_count)',
        'on_feed_remove(feed_class, activities_count)',
        'on_feed_write(feed_class, activities_count)',
        'on_fanout(feed_class, operation, activities_count=1)',
        'on_activity_published()',
        'on_activity_removed()',
    ],
    statsd.StatsdMetrics: ["__init__(host='localhost', port=8125, prefix=None)"],
    python_statsd.StatsdMetrics: ["__init__(host='localhost', port=8125, prefix='stream_framework')"],
    RedisCache: ["__init__(key, redis=None, redis_server='default')"],
    FallbackHashCache: ['get_many(fields, database_fallback=True)', 'get_many_from_fallback(missing_keys)'],
    RedisSortedSetCache: ['add(score, key)', 'trim(max_length=None)'],
}

FUNCTIONS: list[tuple[Any, str]] = [
    (add_operation, '(feed, activities, trim=True, batch_interface=None)'),
    (remove_operation, '(feed, activities, trim=True, batch_interface=None)'),
    (get_redis_connection, "(server_name='default')"),
    (chunks, '(iterable, n=10000)'),
    (make_list_unique, '(sequence, marker_function=None)'),
    (get_class_from_string, '(path, default=None)'),
    (check_reserved, '(value, reserved_characters)'),
]

METHODS = [
    (getattr(owner, text.partition('(')[0]), text[text.index('(') :], f'{owner.__module__}.{owner.__name__}.{text}')
    for owner, texts in SIGNATURES.items()
    for text in texts
]


@pytest.mark.parametrize(
    ('called', 'expected'),
    [
        *(pytest.param(called, expected, id=name) for called, expected, name in METHODS),
        *(pytest.param(called, expected, id=called.__name__) for called, expected in FUNCTIONS),
    ],
)
def test_parameters_are_those_of_1_4_0(called: Any, expected: str) -> None:
    parameters = list(inspect.signature(called).parameters.values())
    if parameters and parameters[0].name == 'self':
        del parameters[0]
    tails = {parameter.kind for parameter in parameters}
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wanted = [part.strip() for part in expected.strip('()').split(',') if part.strip()]
    if wanted and wanted[-1] in ('...', '**'):
        tail = wanted.pop()
        assert inspect.Parameter.VAR_KEYWORD in tails
        assert tail == '**' or inspect.Parameter.VAR_POSITIONAL in tails
    found = [p.name if p.default is p.empty else f'{p.name}={p.default!r}' for p in by_position]
    assert len(found) >= len(wanted)
    for one, other in zip(found, wanted, strict=False):
        # An underscore: by position only, whatever its name.
        assert other == '_' or one == other
    # What is ours alone comes last, and may be left out.
    assert all(parameter.default is not parameter.empty for parameter in by_position[len(wanted) :])


def test_serializers_are_made_with_whatever_storages_know() -> None:
    serializer = BaseSerializer(Activity, 'more', anything=1)
    assert serializer.activity_class is Activity
    groups = BaseAggregatedSerializer(AggregatedActivity, activity_class=Activity, anything=1)
    assert (groups.aggregated_activity_class, groups.activity_class) == (AggregatedActivity, Activity)
    assert groups.dehydrate is False
