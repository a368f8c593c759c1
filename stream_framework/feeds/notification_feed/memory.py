"""The notification feed in memory."""

from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.storage.memory import InMemoryListsStorage, InMemoryTimelineStorage


class NotificationFeed(BaseNotificationFeed):
    """A notification feed in this process's memory."""

    timeline_storage_class = InMemoryTimelineStorage
    markers_storage_class = InMemoryListsStorage
    filtering_supported = True
    ordering_supported = True
