"""The feeds in a SQL database: SQLite, which needs no server, or PostgreSQL."""

from collections.abc import Iterable

from social import feeds
from stream_framework.feeds.aggregated_feed.sql import SqlAggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.notification_feed.sql import SqlNotificationFeed
from stream_framework.feeds.sql import SqlFeed
from stream_framework.storage.sql import connection, tables
from stream_framework.storage.sql.follow_storage import SqlFollowStorage


class News(feeds.News, SqlFeed):
    """News in a SQL database."""


class GroupedNews(feeds.GroupedNews, SqlAggregatedFeed):
    """Grouped news in a SQL database."""


class Notifications(feeds.Notifications, SqlNotificationFeed):
    """Notifications in a SQL database."""


class Written(feeds.Written, UserBaseFeed, SqlFeed):
    """What one has written, in a SQL database."""


class SqlManager(feeds.SocialManager):
    """Everything in a SQL database."""

    feed_classes = {'news': News, 'grouped': GroupedNews}
    user_feed_class = Written
    notification_feed_class = Notifications
    follow_storage_class = SqlFollowStorage

    def prepare(self, user_ids: Iterable[int]) -> None:
        """Make the tables, as the command ``sync`` does for an application, and empty them."""
        tables.sync(connection.get_database())
        self.follows.flush()
        for feed_class in (News, GroupedNews, Notifications, Written):
            feed_class.flush()
