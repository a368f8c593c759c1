"""Who gets what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pins.feeds import GroupedFeed, HomeFeed, MyNotifications, UserFeed
from pins.models import Follow
from stream_framework.feed_managers.base import FanoutPriority, Manager, add_operation, remove_operation


class PinManager(Manager):
    """Takes what people do to their followers, and to the person to whom it was done.

    Celery's workers make one of their own, so it needs no arguments and keeps nothing: followers are in the database.
    """

    feed_classes = {'home': HomeFeed, 'grouped': GroupedFeed}
    user_feed_class = UserFeed

    def get_user_follower_ids(self, user_id: Any) -> dict[str, Any]:
        """All followers, at one priority. A queryset is fine: it is read in chunks."""
        followers = Follow.objects.filter(followed_id=user_id).values_list('follower_id', flat=True)
        return {FanoutPriority.HIGH: followers}

    def add_user_activity(self, user_id: Any, activity: Any) -> None:
        """Tell the followers, and the person to whom it was done."""
        super().add_user_activity(user_id, activity)
        self.notify(activity)

    def remove_user_activity(self, user_id: Any, activity: Any) -> None:
        """Take it back from all of them."""
        super().remove_user_activity(user_id, activity)
        self.notify(activity, remove_operation)

    def notify(self, activity: Any, operation: Callable[..., Any] = add_operation) -> None:
        """Write an activity to the notifications of its target, or remove it there: a fan-out to one."""
        if activity.target_id is None or activity.target_id == activity.actor_id:
            return
        self.create_fanout_tasks(
            [activity.target_id], MyNotifications, operation, {'activities': [activity]}, FanoutPriority.HIGH
        )

    def get_notifications(self, user_id: Any) -> MyNotifications:
        """One person's notifications."""
        return MyNotifications(user_id)


#: The one that the site uses.
manager = PinManager()
