"""Who sees what: four feeds, and the manager that fills them. What differs between backends is not in here.

People write to each other. Whoever follows the writer finds that in the news feed, and once more in the grouped news
feed ("12 and 3 others wrote to 845"); whoever was written to gets a notification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stream_framework.activity import Activity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.feed_managers.base import Manager
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.metrics.base import Metrics
from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.verbs import register
from stream_framework.verbs.base import Verb


class Write(Verb):
    """Somebody wrote to somebody."""

    id = 100  # stored with every activity: never change it
    infinitive = 'write'
    past_tense = 'wrote'


register(Write)


class TargetAggregator(RecentRankMixin, BaseAggregator):
    """Everything that was written to one person is one group."""

    def get_group(self, activity: Activity) -> str:
        """``'100-845'``."""
        return f'{activity.verb.id}-{activity.target_id}'


class DayAggregator(RecentRankMixin, BaseAggregator):
    """Everything of one day is one group."""

    def get_group(self, activity: Activity) -> str:
        """``'100-2004-05-31'``."""
        return f'{activity.verb.id}-{activity.time.date()}'


class News:
    """What those whom one follows have written, one by one."""

    key_format = 'newsfeed:news:%(user_id)s'
    max_length = 100


class GroupedNews:
    """The same in groups, the last updated first."""

    key_format = 'newsfeed:grouped:%(user_id)s'
    max_length = 100
    #: An activity joins its group if that is among the newest 20; otherwise it starts a new one.
    merge_max_length = 20
    aggregator_class: type[BaseAggregator] = TargetAggregator


class Notifications:
    """What others wrote to one, a group for each day; unseen until one has looked."""

    key_format = 'newsfeed:notifications:%(user_id)s'
    markers_key_format = 'newsfeed:notifications:%(user_id)s'
    max_length = 100
    aggregator_class: type[BaseAggregator] = DayAggregator


class Written:
    """What one has written oneself: where the news of a new follower come from."""

    key_format = 'newsfeed:written:%(user_id)s'


def pages(feed: Any, size: int) -> Iterator[list[Any]]:
    """The pages of a feed one after the other, newest first, as a reader who scrolls down gets them.

    The last id of a page leads to the next one: what is added to the feed meanwhile moves nothing.
    """
    page = feed[:size]
    while page:
        yield page
        page = feed.filter(activity_id__lt=page[-1].serialization_id)[:size]


class SocialManager(Manager):
    """Takes what people write to everybody whom it concerns. Each backend names its feeds and its follow storage.

    It needs no arguments and keeps nothing, because Celery's workers make one of their own. The library keeps the
    follows.
    """

    notification_feed_class: type[BaseNotificationFeed]
    follow_storage_class: type[BaseFollowStorage]
    #: Keeps the follows of the example apart from those of an application of yours.
    follow_name = 'newsfeed'

    def get_notified_ids(self, activity: Activity) -> Iterable[object]:
        """Notify the person who was written to."""
        return [activity.target_id]

    @property
    def follows(self) -> BaseFollowStorage:
        """Where the follows are: to import them."""
        return self.follow_storage_class(self.follow_name)

    def prepare(self, user_ids: Iterable[int]) -> None:
        """Make the feeds of these people empty: an earlier run may have left something on the server."""
        self.follows.flush()
        for user_id in user_ids:
            for feed in (*self.get_feeds(user_id).values(), self.get_user_feed(user_id)):
                feed.delete()


class Deliveries(Metrics):
    """Counts how often an activity was written to a feed; the library calls it after each fan-out task."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_fanout(self, feed_class: type, operation: Any, activities_count: int = 1) -> None:
        """So many activities, times so many feeds."""
        self.count += activities_count
