"""The part of a manager that follows and unfollows: what applications call and override."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from stream_framework import tasks
from stream_framework.feed_managers import following
from stream_framework.feed_managers.copying import NOTIFICATIONS
from stream_framework.feed_managers.intents import FOLLOWED, LEFT, UNFOLLOWED, intents_of
from stream_framework.feed_managers.relations import Relations
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.stored import stored_already
from stream_framework.typing import (
    Feed_co,
    FeedsAndNotifications,
    HasFeeds,
    HasNotifications,
    HasUserFeeds,
    Notifications_co,
    UserId,
)
from stream_framework.utils import chunks


class Follows(Relations):
    """Copies what somebody did into the feeds of a new follower, and takes it out again."""

    def get_user_feed(self: HasUserFeeds[Feed_co], user_id: Any) -> Feed_co:
        """Return the feed of what a user did.

        >>> manager.get_user_feed(13).key
        'user:13'
        """
        feed_class: Any = self.user_feed_class
        return feed_class(user_id)

    @overload
    def get_feeds(
        self: HasNotifications[Feed_co, Notifications_co], user_id: Any
    ) -> FeedsAndNotifications[Feed_co, Notifications_co]: ...
    @overload
    def get_feeds(self: HasFeeds[Feed_co], user_id: Any) -> dict[str, Feed_co]: ...
    def get_feeds(self, user_id: Any) -> Any:
        """Return name -> feed, for one user.

        >>> manager.get_feeds(7)
        {'normal': <PinFeed: pins:7>}
        """
        feeds = {name: feed_class(user_id) for name, feed_class in self.feed_classes.items()}
        if self.notification_feed_class is not None:
            feeds.setdefault(NOTIFICATIONS, self.notification_feed_class(user_id))
        return feeds

    def follow_user(
        self, user_id: UserId, target_user_id: UserId, async_: bool = True, copy_limit: int | None = None
    ) -> None:
        """Follow one user; see :meth:`follow_many_users`.

        >>> manager.get_user_feed(13).add(Activity(13, Love, 42))
        1
        >>> manager.follow_user(7, 13)
        >>> manager.get_feeds(7)['normal'][:5]
        [Activity(loved) 13 42]
        """
        # An application's own follow_many_users need not know the keyword.
        more = {} if copy_limit is None else {'copy_limit': copy_limit}
        self.follow_many_users(user_id, [target_user_id], async_, **more)

    def follow_many_users(
        self, user_id: UserId, target_ids: Iterable[UserId], async_: bool = True, copy_limit: int | None = None
    ) -> None:
        """Copy the newest ``follow_activity_limit`` activities of each of those who are followed into a user's feeds.

        With a ``follow_storage_class`` the follows are recorded first. Else the application keeps them: change that
        first, then call this.

        :param user_id: who follows
        :param target_ids: who is followed
        :param async_: through Celery, or at once
        :param copy_limit: how many activities of each, instead of ``follow_activity_limit``; 0: only what comes from
            now on
        :raises InvalidIdError: with a follow storage, for what is no id, and for following oneself
        :raises InvalidArgumentError: for a ``copy_limit`` that is negative

        >>> for author in (13, 14):
        ...     count = manager.get_user_feed(author).add(Activity(author, Love, 42 + author))
        >>> manager.follow_many_users(7, [13, 14], async_=False)
        >>> manager.get_feeds(7)['normal'].count()
        2
        """
        target_ids, limit = list(target_ids), self._copy_limit(copy_limit)
        if not target_ids:
            return
        if (storage := self.get_follow_storage()) is not None:
            self._check_ids(user_id, target_ids, async_)
            storage.follow(user_id, target_ids)
        else:
            self._set_followed(user_id, target_ids)
        if async_:
            tasks.follow_many.delay(self, user_id, target_ids, follow_limit=limit)
        else:
            tasks.follow_many(self, user_id, target_ids, follow_limit=limit)

    def unfollow_user(
        self, user_id: UserId, target_user_id: UserId, async_: bool = True, keep_history: bool = False
    ) -> None:
        """Unfollow one user; see :meth:`unfollow_many_users`.

        >>> manager.get_feeds(7)['normal'].add_many([Activity(13, Love, 42), Activity(14, Love, 43)])
        2
        >>> manager.unfollow_user(7, 13)
        >>> manager.get_feeds(7)['normal'][:5]
        [Activity(loved) 14 43]
        """
        more = {'keep_history': True} if keep_history else {}
        self.unfollow_many_users(user_id, [target_user_id], async_, **more)

    def unfollow_many_users(
        self, user_id: UserId, target_ids: Iterable[UserId], async_: bool = True, keep_history: bool = False
    ) -> None:
        """Remove what these users did from a user's feeds: activities whose ``actor_id`` is among them.

        With a ``follow_storage_class`` the follows are erased first. Reads the user's feeds from end to end.

        :param user_id: who stops following
        :param target_ids: who is no longer followed
        :param async_: through Celery, or at once
        :param keep_history: leave in the feeds what is there
        :raises InvalidIdError: with a follow storage, for what is no id

        >>> manager.get_feeds(7)['normal'].add_many([Activity(13, Love, 42), Activity(14, Love, 43)])
        2
        >>> manager.unfollow_many_users(7, [13, 14], async_=False)
        >>> manager.get_feeds(7)['normal'][:5]
        []
        """
        target_ids = list(target_ids)
        if not target_ids:
            return
        storage = self.get_follow_storage()
        if storage is not None:
            self._check_ids(user_id, target_ids, async_ and not keep_history)
            if keep_history:
                # Before the follow ends, so that no task takes out what is to stay.
                self._set_unfollowed(user_id, target_ids, LEFT)
            storage.unfollow(user_id, target_ids)
        self._set_unfollowed(user_id, target_ids, LEFT if keep_history else UNFOLLOWED)
        if keep_history:
            return
        if async_:
            tasks.unfollow_many.delay(self, user_id, target_ids)
        else:
            tasks.unfollow_many(self, user_id, target_ids)

    def follow_feed(self, feed: BaseFeed, source_feed: BaseFeed) -> list[Any]:
        """Copy the newest ``follow_activity_limit`` activities of one feed into another.

        :returns: the activities

        >>> source, feed = manager.get_user_feed(13), manager.get_feeds(7)['normal']
        >>> source.add(Activity(13, Love, 42))
        1
        >>> manager.follow_feed(feed, source)
        [Activity(loved) 13 42]
        """
        activities = source_feed[: self.follow_activity_limit]
        if activities:
            with stored_already():
                feed.add_many(activities)
        return activities

    def unfollow_feed(self, feed: BaseFeed, source_feed: BaseFeed) -> object:
        """Remove the activities of one feed from another.

        :returns: what the feed's ``remove_many`` returns; ``None`` if there are none

        >>> source, feed = manager.get_user_feed(13), manager.get_feeds(7)['normal']
        >>> for each in (source, feed):
        ...     count = each.add(Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8)))
        >>> manager.unfollow_feed(feed, source), feed.count()
        (1, 0)
        """
        activities = source_feed[:]
        return feed.remove_many(activities) if activities else None

    def apply_follow(self, user_id: UserId, target_ids: Iterable[UserId], follow_limit: int | None = None) -> None:
        """Do what following does, now, in this process; the task ``follow_many`` calls it.

        :param follow_limit: how many activities of each; default ``follow_activity_limit``

        >>> manager.get_user_feed(13).add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        3
        >>> manager.apply_follow(7, [13], follow_limit=2)
        >>> manager.get_feeds(7)['normal'].count()
        2
        """
        limit = self.follow_activity_limit if follow_limit is None else follow_limit
        for some_ids in chunks(target_ids, max(following.COPIED_AT_A_TIME // max(limit, 1), 1)):
            following.carry_out(self, intents_of(self), FOLLOWED, user_id, some_ids, limit)

    def apply_unfollow(self, user_id: UserId, source_ids: Iterable[UserId]) -> None:
        """Do what unfollowing does, now, in this process; the task ``unfollow_many`` calls it.

        >>> manager.get_feeds(7)['normal'].add(Activity(13, Love, 42))
        1
        >>> manager.apply_unfollow(7, [13])
        >>> manager.get_feeds(7)['normal'].count()
        0
        """
        limit = self.follow_activity_limit
        following.carry_out(self, intents_of(self), UNFOLLOWED, user_id, source_ids, limit)

    def _set_followed(self, user_id: UserId, target_ids: list[UserId]) -> None:
        """Set the intents of follows: only those that there are. Without one, nothing contradicts it."""
        if (intents := intents_of(self)) is not None:
            intents.set(intents.of_follows(user_id, target_ids), FOLLOWED, existing=True)
