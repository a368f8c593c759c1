"""What an application writes, for mypy to check: nothing here may need an ignore.

It runs, too, so that what type-checks also works.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.base import BaseFeed, UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.verbs import register
from stream_framework.verbs.base import Verb


class Pin(Verb):
    """A verb of the application."""

    id = 901
    infinitive = 'pin'
    past_tense = 'pinned'


register(Pin)


class PinActivity(Activity):
    """An activity of the application."""

    @property
    def board_id(self) -> int:
        return int(self.extra_context['board'])


class ObjectAggregator(RecentRankMixin, BaseAggregator):
    """A group for each object."""

    def get_group(self, activity: Activity) -> str:
        return f'{activity.verb.id}-{activity.object_id}'


class PinFeed(Feed):
    """Everything that those one follows have pinned."""

    key_format = 'typing:normal:%(user_id)s'
    max_length = 50
    activity_class = PinActivity

    def add_many(
        self, activities: Iterable[Activity], batch_interface: Any = None, trim: bool = True, *args: Any, **kwargs: Any
    ) -> Any:
        return super().add_many(list(activities), batch_interface, trim, *args, **kwargs)


class PinGroups(AggregatedFeed):
    """The same, grouped."""

    key_format = 'typing:aggregated:%(user_id)s'
    aggregator_class = ObjectAggregator
    activity_class = PinActivity


class PinNotifications(NotificationFeed):
    """What happened to one's own pins."""

    key_format = 'typing:notification:%(user_id)s'
    markers_key_format = 'typing:markers:%(user_id)s'
    activity_class = PinActivity


class UserPinFeed(UserBaseFeed, Feed):
    """What one has pinned oneself."""

    key_format = 'typing:user:%(user_id)s'
    activity_class = PinActivity


class PinManager(Manager):
    """Knows who follows whom."""

    feed_classes = {'normal': PinFeed, 'aggregated': PinGroups}
    user_feed_class = UserPinFeed

    def get_user_follower_ids(self, user_id: Any) -> dict[str | None, Iterable[Any]]:
        return {FanoutPriority.HIGH: [2, 3]}


def page(feed: BaseFeed, cursor: int | None = None) -> list[Any]:
    """One page of any feed."""
    if cursor is not None:
        feed = feed.filter(activity_id__lt=cursor)
    return feed[:25]


def test_an_application() -> None:
    activity = PinActivity(1, Pin, 7, time=datetime.datetime(2013, 7, 8), extra_context={'board': 3})
    manager = PinManager()
    PinFeed.insert_activity(activity)
    for user_id in (2, 3):
        for name, feed in manager.get_feeds(user_id).items():
            assert name in ('normal', 'aggregated')
            feed.add(activity)
            assert page(feed)
            assert feed.count() == 1
    found = PinFeed(2)[:10][0]
    assert found.board_id == 3
    assert page(PinFeed(2), activity.serialization_id) == []
    group: AggregatedActivity = PinGroups(2)[0][0]
    assert group.group == '901-7'
    notifications = PinNotifications(1)
    notifications.add(activity)
    assert notifications.count_unseen() == 1
    notifications.mark_all(seen=True, read=True)
    assert notifications.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
    manager.get_user_feed(1).add(activity)
    manager.follow_user(4, 1, async_=False)
    assert PinFeed(4).count() == 1
    for feed in (*manager.get_feeds(2).values(), *manager.get_feeds(3).values(), PinFeed(4), PinGroups(4)):
        feed.delete()
