"""The flat feed on Redis."""

from typing import Any

from stream_framework.feeds.base import BaseFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage


class RedisServerMixin:
    """For feeds whose timelines are on a server that is chosen by name."""

    #: The name in ``STREAM_REDIS_CONFIG`` of the server that the timeline is on. Activities are on ``'default'``, since
    #: all feeds share them.
    redis_server: str = 'default'

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """The keywords that the timeline storage is made with."""
        options = super().get_timeline_storage_options()  # type: ignore[misc]
        options['redis_server'] = cls.redis_server
        return options


class RedisFeed(RedisServerMixin, BaseFeed):
    """A flat feed on Redis."""

    activity_serializer = ActivitySerializer
    timeline_storage_class = RedisTimelineStorage
    activity_storage_class = RedisActivityStorage
    filtering_supported = True
    ordering_supported = True
