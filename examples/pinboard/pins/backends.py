"""Where feeds and follows are: only this module knows.

A site that stays with one backend imports its classes in ``feeds.py`` and ``managers.py`` instead.
"""

from __future__ import annotations

from django.conf import settings

if settings.PINBOARD_BACKEND == 'redis':
    from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed as AggregatedFeed
    from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed as NotificationFeed
    from stream_framework.feeds.redis import RedisFeed as Feed
    from stream_framework.storage.redis.follow_storage import RedisFollowStorage as FollowStorage
elif settings.PINBOARD_BACKEND in ('sqlite', 'postgres'):
    from stream_framework.feeds.aggregated_feed.sql import SqlAggregatedFeed as AggregatedFeed  # type: ignore[assignment]
    from stream_framework.feeds.notification_feed.sql import (  # type: ignore[assignment]
        SqlNotificationFeed as NotificationFeed,
    )
    from stream_framework.feeds.sql import SqlFeed as Feed  # type: ignore[assignment]
    from stream_framework.storage.sql.follow_storage import SqlFollowStorage as FollowStorage  # type: ignore[assignment]
else:
    from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed  # type: ignore[assignment]
    from stream_framework.feeds.memory import Feed  # type: ignore[assignment]
    from stream_framework.feeds.notification_feed.memory import NotificationFeed  # type: ignore[assignment]
    from stream_framework.storage.memory import InMemoryFollowStorage as FollowStorage  # type: ignore[assignment]

__all__ = ['AggregatedFeed', 'Feed', 'FollowStorage', 'NotificationFeed']
