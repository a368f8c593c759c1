"""Who gets what."""

from __future__ import annotations

from collections.abc import Iterable

from pins.backends import FollowStorage
from pins.feeds import ActionsFeed, GroupedFeed, HomeFeed, MyNotifications, UserFeed
from stream_framework.activity import Activity
from stream_framework.feed_managers.base import Manager


class PinManager(Manager):
    """Takes what people do to their followers, and to the person to whom it was done.

    Celery's workers make one of their own, so it needs no arguments and keeps nothing. The library keeps the follows.
    """

    feed_classes = {'home': HomeFeed, 'grouped': GroupedFeed, 'actions': ActionsFeed}
    user_feed_class = UserFeed
    notification_feed_class = MyNotifications
    follow_storage_class = FollowStorage

    def get_notified_ids(self, activity: Activity) -> Iterable[object]:
        """Notify the author of a pin that was loved, and the person who was followed."""
        return [] if activity.target_id is None else [activity.target_id]

    def is_blocked(self, one_id: int, other_id: int) -> bool:
        """Return whether one of two people has blocked the other."""
        return other_id in self.get_blocked(one_id) or one_id in self.get_blocked(other_id)


#: The one that the site uses.
manager = PinManager()
#: Where it keeps follows: to import them, and for what is asked about many people at once.
follows = FollowStorage(manager.follow_name)
