"""The aggregated feed on Redis."""

from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.redis import RedisServerMixin
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage


class RedisAggregatedFeed(RedisServerMixin, AggregatedFeed):
    """An aggregated feed on Redis."""

    activity_serializer = ActivitySerializer
    timeline_storage_class = RedisTimelineStorage
    activity_storage_class = RedisActivityStorage
    filtering_supported = True
    ordering_supported = True
