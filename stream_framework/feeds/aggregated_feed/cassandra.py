"""The aggregated feed on Cassandra."""

from __future__ import annotations

from typing import Any

from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.cassandra import CassandraTableMixin
from stream_framework.serializers.cassandra.aggregated_activity_serializer import CassandraAggregatedActivitySerializer
from stream_framework.storage.cassandra import models
from stream_framework.storage.cassandra.activity_storage import CassandraActivityStorage
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage


class CassandraGroupsMixin(CassandraTableMixin):
    """For feeds of groups, whose changes are guarded by the version in their table."""

    guard_updates: bool

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """The keywords that the timeline storage is made with."""
        options = super().get_timeline_storage_options()
        options['guard_updates'] = cls.guard_updates
        return options


class CassandraAggregatedFeed(CassandraGroupsMixin, AggregatedFeed):
    """An aggregated feed on Cassandra; its timeline holds whole activities."""

    activity_storage_class = CassandraActivityStorage
    timeline_storage_class = CassandraTimelineStorage
    timeline_serializer = CassandraAggregatedActivitySerializer
    timeline_model = models.AggregatedActivity
    timeline_cf_name = 'aggregated'
    filtering_supported = True
    ordering_supported = True
