"""The notification feed on Cassandra."""

from __future__ import annotations

from typing import Any

from stream_framework.feeds.aggregated_feed.cassandra import CassandraGroupsMixin
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.serializers.cassandra.aggregated_activity_serializer import CassandraAggregatedActivitySerializer
from stream_framework.storage.cassandra import models
from stream_framework.storage.cassandra.lists_storage import CassandraListsStorage
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage


class CassandraNotificationFeed(CassandraGroupsMixin, BaseNotificationFeed):
    """A notification feed on Cassandra; its markers are beside its groups, and change together with them."""

    timeline_storage_class = CassandraTimelineStorage
    markers_storage_class = CassandraListsStorage
    timeline_serializer = CassandraAggregatedActivitySerializer
    timeline_model = models.NotificationActivity
    timeline_cf_name = 'notification'
    filtering_supported = True
    ordering_supported = True
    timeline_storage: CassandraTimelineStorage

    def get_markers_storage(self) -> Any:
        """The markers storage of this feed."""
        if not issubclass(self.markers_storage_class, CassandraListsStorage):
            return super().get_markers_storage()
        return self.markers_storage_class(
            key=self.key, max_length=self.markers_max_length, timeline_storage=self.timeline_storage
        )

    def delete(self) -> Any:
        """Delete the feed and its markers."""
        if isinstance(self.feed_markers, CassandraListsStorage):
            return self.timeline_storage.delete(self.key)
        return super().delete()
