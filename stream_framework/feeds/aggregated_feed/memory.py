"""The aggregated feed in memory."""

from stream_framework.feeds.aggregated_feed.base import AggregatedFeed as BaseAggregatedFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.memory import InMemoryActivityStorage, InMemoryTimelineStorage


class AggregatedFeed(BaseAggregatedFeed):
    """An aggregated feed in this process's memory."""

    activity_storage_class = InMemoryActivityStorage
    timeline_storage_class = InMemoryTimelineStorage
    activity_serializer = ActivitySerializer
    filtering_supported = True
    ordering_supported = True
