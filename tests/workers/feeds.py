"""An application's feeds and managers, on the backend that the environment names; who follows whom is in ``GRAPH``."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.base import UserBaseFeed

#: Author -> followers. In a worker: what the environment says.
GRAPH: dict[int, Any] = {int(author): ids for author, ids in json.loads(os.environ.get('GRAPH', '{}')).items()}

# Keeps the keys of this run apart from whatever else a shared server holds.
_run = os.environ.get('FEEDS_RUN', 'workers')
_backend = os.environ.get('FEEDS_BACKEND', 'redis')
_prefix = {'redis': 'Redis', 'cassandra': 'Cassandra'}[_backend]


def _base(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f'stream_framework.feeds.{module}{_backend}'), f'{_prefix}{name}')


class ByObject(RecentRankMixin, BaseAggregator):
    def get_group(self, activity: Any) -> str:
        return f'{activity.verb.id}-{activity.object_id}'


class NewsFeed(_base('', 'Feed')):
    key_format = _run + ':flat:%(user_id)s'
    max_length = 10_000
    trim_chance = 0


class UserFeed(UserBaseFeed, _base('', 'Feed')):
    key_format = _run + ':user:%(user_id)s'
    trim_chance = 0


class GroupedFeed(_base('aggregated_feed.', 'AggregatedFeed')):
    key_format = _run + ':grouped:%(user_id)s'
    aggregator_class = ByObject
    trim_chance = 0


class Notifications(_base('notification_feed.', 'NotificationFeed')):
    key_format = _run + ':notifications:%(user_id)s'
    markers_key_format = _run + ':notifications:%(user_id)s'
    aggregator_class = ByObject
    trim_chance = 0


class NewsManager(Manager):
    """Half of the followers are urgent."""

    feed_classes = {'flat': NewsFeed, 'grouped': GroupedFeed, 'notifications': Notifications}
    user_feed_class = UserFeed
    fanout_chunk_size = 5

    def get_user_follower_ids(self, user_id: Any) -> Any:
        followers = GRAPH.get(user_id, [])
        return {FanoutPriority.HIGH: iter(followers[::2]), FanoutPriority.LOW: followers[1::2]}


class LedgerManager(NewsManager):
    """Keeps a ledger."""

    keep_ledger = True


class FlatManager(NewsManager):
    """Writes flat feeds alone: for what is about tasks, not feeds."""

    feed_classes = {'flat': NewsFeed}
    fanout_chunk_size = 1


class FlatLedgerManager(FlatManager):
    """The same, with a ledger."""

    keep_ledger = True


class InWorkerManager(LedgerManager):
    """Leaves publishing to a worker."""

    publish_in_worker = True


def failing_operation(feed: Any, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """What has a bug."""
    raise ZeroDivisionError(f'{feed.key} has a bug')


def noting_operation(feed: Any, note: str, batch_interface: Any = None) -> None:
    """What leaves a note in the order that it is run in."""
    from stream_framework.storage.redis.connection import get_redis_connection

    get_redis_connection().rpush('workers:notes', f'{note}:{feed.user_id}')
