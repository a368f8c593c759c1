"""The notification feed in a SQL database."""

from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.storage.sql.lists_storage import SqlListsStorage
from stream_framework.storage.sql.timeline_storage import SqlTimelineStorage


class SqlNotificationFeed(BaseNotificationFeed):
    """A notification feed in SQLite or PostgreSQL; a group and its markers change in one transaction."""

    timeline_storage_class = SqlTimelineStorage
    markers_storage_class = SqlListsStorage
    filtering_supported = True
    ordering_supported = True
