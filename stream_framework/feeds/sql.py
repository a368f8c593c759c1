"""The flat feed in a SQL database."""

from stream_framework.feeds.base import BaseFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.sql.activity_storage import SqlActivityStorage
from stream_framework.storage.sql.timeline_storage import SqlTimelineStorage


class SqlFeed(BaseFeed):
    """A flat feed in SQLite or PostgreSQL: see ``STREAM_SQL_URL``."""

    activity_storage_class = SqlActivityStorage
    timeline_storage_class = SqlTimelineStorage
    activity_serializer = ActivitySerializer
    filtering_supported = True
    ordering_supported = True
