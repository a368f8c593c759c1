"""The notification feed on Redis."""

from typing import Any

from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.feeds.redis import RedisServerMixin
from stream_framework.storage.redis.lists_storage import RedisListsStorage
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage


class RedisNotificationFeed(RedisServerMixin, BaseNotificationFeed):
    """A notification feed on Redis; its markers are on the same server as its timeline."""

    timeline_storage_class = RedisTimelineStorage
    markers_storage_class = RedisListsStorage
    filtering_supported = True
    ordering_supported = True

    def get_markers_storage(self) -> Any:
        """A new markers storage for this user."""
        key = self.markers_key_format % {'user_id': self.user_id}
        options = (
            {'redis_server': self.redis_server} if issubclass(self.markers_storage_class, RedisListsStorage) else {}
        )
        return self.markers_storage_class(key=key, max_length=self.markers_max_length, **options)
