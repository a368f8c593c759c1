"""The aggregated feed in a SQL database."""

from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.sql.activity_storage import SqlActivityStorage
from stream_framework.storage.sql.timeline_storage import SqlTimelineStorage


class SqlAggregatedFeed(AggregatedFeed):
    """An aggregated feed in SQLite or PostgreSQL."""

    activity_storage_class = SqlActivityStorage
    timeline_storage_class = SqlTimelineStorage
    activity_serializer = ActivitySerializer
    filtering_supported = True
    ordering_supported = True
