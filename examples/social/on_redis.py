"""The feeds on Redis. All that differs from memory is which classes they derive from."""

from typing import Any

from social import feeds
from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis.follow_storage import RedisFollowStorage


class OwnActivities:
    """Keeps activities in ``newsfeed:activities:0`` to ``:9``.

    Only for politeness: the default keys, ``global:0`` to ``:9``, may belong to an application of yours.
    """

    @classmethod
    def get_activity_storage(cls: Any) -> Any:
        """The storage that the class names, with a key of our own."""
        return cls.activity_storage_class(
            serializer_class=cls.activity_serializer, activity_class=cls.activity_class, key='newsfeed:activities'
        )


class News(feeds.News, OwnActivities, RedisFeed):
    """News on Redis."""


class GroupedNews(feeds.GroupedNews, OwnActivities, RedisAggregatedFeed):
    """Grouped news on Redis."""


class Notifications(feeds.Notifications, RedisNotificationFeed):
    """Notifications on Redis; they hold whole activities themselves."""


class Written(feeds.Written, OwnActivities, UserBaseFeed, RedisFeed):
    """What one has written, on Redis."""


class RedisManager(feeds.SocialManager):
    """Everything on Redis."""

    feed_classes = {'news': News, 'grouped': GroupedNews}
    user_feed_class = Written
    notification_feed_class = Notifications
    follow_storage_class = RedisFollowStorage

    def prepare(self, user_ids: Any) -> None:
        """Make the feeds empty, and forget the activities of an earlier run."""
        super().prepare(user_ids)
        self.user_feed_class.get_activity_storage().flush()
