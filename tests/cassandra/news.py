"""An application whose Celery worker forks: ``celery -A tests.cassandra.news worker --pool prefork``.

Its settings come as JSON in the environment; it reads a feed when it is imported, so that the worker's parent is
connected when it forks.
"""

from __future__ import annotations

import json
import os
from typing import Any

import celery

from stream_framework import settings
from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed

FOLLOWERS = range(100, 140)

app = celery.Celery('news')
app.conf.worker_hijack_root_logger = False


def configure(values: Any, folder: str) -> None:
    """Settings, and a broker in a folder."""
    settings.configure(**values)
    app.conf.broker_url = 'filesystem://'
    app.conf.broker_transport_options = dict.fromkeys(('data_folder_in', 'data_folder_out', 'control_folder'), folder)


class NewsFeed(CassandraFeed):
    key_format = 'news:flat:%(user_id)s'
    trim_chance = 0


class UserFeed(NewsFeed):
    key_format = 'news:user:%(user_id)s'
    max_length = 10**6


class GroupedFeed(CassandraAggregatedFeed):
    key_format = 'news:grouped:%(user_id)s'


class Notifications(CassandraNotificationFeed):
    key_format = 'news:notification:%(user_id)s'


class NewsManager(Manager):
    feed_classes = {'flat': NewsFeed, 'grouped': GroupedFeed, 'notification': Notifications}
    user_feed_class = UserFeed
    fanout_chunk_size = 10

    def get_user_follower_ids(self, user_id: int) -> dict[str, range]:
        return {FanoutPriority.HIGH: FOLLOWERS[:20], FanoutPriority.LOW: FOLLOWERS[20:]}


if 'NEWS' in os.environ:
    configure(**json.loads(os.environ['NEWS']))
    NewsFeed(1).count()
