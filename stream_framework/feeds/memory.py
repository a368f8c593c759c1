"""The flat feed in memory."""

from stream_framework.feeds.base import BaseFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.memory import InMemoryActivityStorage, InMemoryTimelineStorage


class Feed(BaseFeed):
    """A flat feed in this process's memory."""

    activity_storage_class = InMemoryActivityStorage
    timeline_storage_class = InMemoryTimelineStorage
    activity_serializer = ActivitySerializer
    timeline_serializer = SimpleTimelineSerializer
    filtering_supported = True
    ordering_supported = True
