"""The feeds on Cassandra: other classes to derive from, and a table for each kind of feed."""

from collections.abc import Iterable

from social import feeds
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed
from stream_framework.storage.cassandra import schema
from stream_framework.storage.cassandra.follow_storage import CassandraFollowStorage


class News(feeds.News, CassandraFeed):
    """News on Cassandra."""

    timeline_cf_name = 'newsfeed_news'


class GroupedNews(feeds.GroupedNews, CassandraAggregatedFeed):
    """Grouped news on Cassandra."""

    timeline_cf_name = 'newsfeed_grouped'


class Notifications(feeds.Notifications, CassandraNotificationFeed):
    """Notifications on Cassandra."""

    timeline_cf_name = 'newsfeed_notifications'


class Written(feeds.Written, UserBaseFeed, CassandraFeed):
    """What one has written, on Cassandra."""

    timeline_cf_name = 'newsfeed_written'


class CassandraManager(feeds.SocialManager):
    """Everything on Cassandra."""

    feed_classes = {'news': News, 'grouped': GroupedNews}
    user_feed_class = Written
    notification_feed_class = Notifications
    follow_storage_class = CassandraFollowStorage

    def prepare(self, user_ids: Iterable[int]) -> None:
        """Create keyspace and tables, as the command ``sync`` does for an application, and empty the tables."""
        feed_classes = (News, GroupedNews, Notifications, Written)
        schema.sync(type(self))
        self.follows.flush()
        for feed_class in feed_classes:
            feed_class.get_timeline_storage().flush()
