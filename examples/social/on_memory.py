"""The feeds in this process's memory: for a first look, and for tests."""

from social import feeds
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.storage.memory import InMemoryFollowStorage


class News(feeds.News, Feed):
    """News in memory."""


class GroupedNews(feeds.GroupedNews, AggregatedFeed):
    """Grouped news in memory."""


class Notifications(feeds.Notifications, NotificationFeed):
    """Notifications in memory."""


class Written(feeds.Written, UserBaseFeed, Feed):
    """What one has written, in memory."""


class MemoryManager(feeds.SocialManager):
    """Everything in memory."""

    feed_classes = {'news': News, 'grouped': GroupedNews}
    user_feed_class = Written
    notification_feed_class = Notifications
    follow_storage_class = InMemoryFollowStorage
