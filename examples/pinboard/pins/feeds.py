"""The five feeds that everybody has, each under keys that no other has."""

from __future__ import annotations

from typing import Any

from pins.activities import PinboardActivity
from pins.backends import AggregatedFeed, Feed, NotificationFeed
from pins.verbs import Follow, Pin
from stream_framework.activity import Activity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.feeds.base import UserBaseFeed


class HomeFeed(Feed):
    """What those whom one follows have pinned, one by one."""

    key_format = 'pinboard:home:%(user_id)s'
    activity_class = PinboardActivity
    #: Up to 127, a feed on Redis is in its compact encoding.
    max_length = 120

    def add_many(self, activities: Any, *args: Any, **kwargs: Any) -> Any:
        """Add only the pins. The rest is fanned out as well, for the feeds below."""
        return super().add_many([item for item in activities if item.verb is Pin], *args, **kwargs)


class PinboardAggregator(RecentRankMixin, BaseAggregator):
    """Group the pins and follows of one person by day, and loves and comments by pin."""

    def get_group(self, activity: Activity) -> str:
        """``'100-7-2013-07-08'``, ``'3-42'``."""
        if activity.verb in (Pin, Follow):
            return f'{activity.verb.id}-{activity.actor_id}-{activity.time.date()}'
        return f'{activity.verb.id}-{activity.object_id}'


class GroupedFeed(AggregatedFeed):
    """All that they did, in groups: "Anna and 3 others loved Paper boats"."""

    key_format = 'pinboard:grouped:%(user_id)s'
    activity_class = PinboardActivity
    aggregator_class = PinboardAggregator
    max_length = 120


class ActionsFeed(Feed):
    """All that they did, one by one: the activity page filters it by verb, which feeds of groups can't be."""

    key_format = 'pinboard:actions:%(user_id)s'
    activity_class = PinboardActivity
    max_length = 120


class MyNotifications(NotificationFeed):
    """What others did to a person: a group for each verb, object and day, unseen and unread at first."""

    key_format = 'pinboard:notifications:%(user_id)s'
    markers_key_format = 'pinboard:notifications:%(user_id)s'
    activity_class = PinboardActivity
    max_length = 120


class UserFeed(UserBaseFeed, Feed):
    """What a person did. A new follower's feeds are filled from it, and it is what "download my data" gives."""

    key_format = 'pinboard:user:%(user_id)s'
    activity_class = PinboardActivity


#: All of them.
FEEDS = (HomeFeed, GroupedFeed, ActionsFeed, MyNotifications, UserFeed)
