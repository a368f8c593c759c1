"""The part of a manager that knows who follows whom, and who may see what: what applications call and override."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery import current_app

from stream_framework import messages, tasks
from stream_framework.exceptions import ConfigurationError, InvalidArgumentError, NotDefinedError
from stream_framework.feed_managers.intents import UNFOLLOWED, intents_of
from stream_framework.feeds.base import BaseFeed, UserBaseFeed
from stream_framework.storage.base_follow_storage import BaseFollowStorage, Follow
from stream_framework.typing import UserId


class Relations:
    """Follows, mutes and blocks that the library keeps."""

    #: Name -> class of the feeds that every user has.
    feed_classes: Mapping[str, type[BaseFeed]]
    #: The class of the feeds of declared notifications; ``None`` for none.
    notification_feed_class: type[BaseFeed] | None = None
    #: The class of the feed of what a user did.
    user_feed_class: type[BaseFeed] = UserBaseFeed
    #: How many activities are copied from the user feed of somebody who is followed.
    follow_activity_limit: int = 5000
    #: For how long after publishing the order of adding and removing is known, in seconds.
    operation_ttl: float = 24 * 3600

    #: The class of the storage that keeps who follows whom; ``None`` where the application does.
    follow_storage_class: type[BaseFollowStorage] | None = None
    #: Managers with the same name share their follows.
    follow_name: str = 'follow'

    def get_follow_storage(self) -> BaseFollowStorage | None:
        """Return the follow storage: to import follows, say. ``None`` where the application keeps its follows.

        :raises ConfigurationError: if ``follow_storage_class`` is something else

        >>> manager.get_follow_storage().follow(7, [13, 14])
        >>> manager.count_followed(7)
        2
        """
        cls = self.follow_storage_class
        if cls is None:
            return None
        if not (isinstance(cls, type) and issubclass(cls, BaseFollowStorage)):
            raise ConfigurationError(
                f'{type(self).__name__}.follow_storage_class is {cls!r}: name a subclass of BaseFollowStorage, such as '
                'stream_framework.storage.redis.follow_storage.RedisFollowStorage'
            )
        return cls(self.follow_name)

    def get_user_followed_ids(self, user_id: Any) -> Iterable[Any]:
        """Return the ids of those whom a user follows; without a follow storage the application may define it.

        :returns: with a follow storage an iterator, which reads them in pages
        :raises NotDefinedError: without a follow storage

        >>> manager.follow_many_users(7, [13, 14])
        >>> sorted(manager.get_user_followed_ids(7))
        [13, 14]
        """
        return self._follows('get_user_followed_ids').iter_followed(user_id)

    def is_following(self, user_id: UserId, target_ids: Iterable[UserId]) -> set[UserId]:
        """Return those of some targets whom a user follows. One round trip for any number.

        :raises NotDefinedError: without a follow storage

        >>> manager.follow_user(7, 13)
        >>> manager.is_following(7, [13, 14])
        {13}
        """
        return self._follows('is_following').is_following(user_id, target_ids)

    def count_followers(self, user_id: UserId) -> int:
        """Count those who follow a user; on Cassandra 10,000 means so many or more.

        >>> manager.follow_user(7, 13)
        >>> manager.count_followers(13)
        1
        """
        return self._follows('count_followers').count_followers(user_id)

    def count_followed(self, user_id: UserId) -> int:
        """Count those whom a user follows; on Cassandra 10,000 means so many or more.

        >>> manager.follow_many_users(7, [13, 14])
        >>> manager.count_followed(7)
        2
        """
        return self._follows('count_followed').count_followed(user_id)

    def get_followers(self, user_id: UserId, limit: int = 25, before: Follow | None = None) -> list[Follow]:
        """Return a page of those who follow a user, newest first.

        :param before: the last one of the page before

        >>> for user_id in (7, 8, 9):
        ...     manager.follow_user(user_id, 13)
        >>> page = manager.get_followers(13, limit=2)
        >>> [follow.user_id for follow in page + manager.get_followers(13, limit=2, before=page[-1])]
        [9, 8, 7]
        """
        return self._follows('get_followers').get_followers(user_id, limit, before)

    def get_followed(self, user_id: UserId, limit: int = 25, before: Follow | None = None) -> list[Follow]:
        """Return a page of those whom a user follows, newest first; like :meth:`get_followers`.

        >>> manager.follow_user(7, 13)
        >>> [follow.target_id for follow in manager.get_followed(7)]
        [13]
        """
        return self._follows('get_followed').get_followed(user_id, limit, before)

    def mute_user(self, user_id: UserId, target_id: UserId, async_: bool = True) -> None:
        """Hide what a target does from a user: what is in his feeds leaves them. The follow stays.

        :param async_: through Celery, or at once
        :raises NotDefinedError: without a follow storage

        >>> manager.follow_user(7, 13)
        >>> manager.mute_user(7, 13)
        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> manager.get_feeds(7)['normal'][:5]
        []
        """
        storage = self._follows('mute_user')
        self._check_ids(user_id, [target_id], async_)
        storage.mute(user_id, target_id)
        self._set_unfollowed(user_id, [target_id], UNFOLLOWED)
        self._catch_up_without(user_id, target_id, async_)

    def unmute_user(self, user_id: UserId, target_id: UserId, async_: bool = True) -> None:
        """End a mute: what following would copy comes back, if the user follows the target.

        >>> manager.follow_user(7, 13)
        >>> manager.mute_user(7, 13)
        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> manager.unmute_user(7, 13)
        >>> manager.get_feeds(7)['normal'][:5]
        [Activity(loved) 13 42]
        """
        storage = self._follows('unmute_user')
        self._check_ids(user_id, [target_id], async_)
        storage.unmute(user_id, target_id)
        self._catch_up_with(user_id, target_id, async_)

    def get_muted(self, user_id: UserId) -> set[UserId]:
        """Return the ids of those whom a user has muted.

        >>> manager.mute_user(7, 13)
        >>> manager.get_muted(7)
        {13}
        """
        return self._follows('get_muted').get_muted(user_id)

    def block_user(self, user_id: UserId, target_id: UserId, async_: bool = True) -> None:
        """Hide a user and a target from each other, and end their follows in both directions.

        Follows that are made later are hidden, too, until :meth:`unblock_user`.

        :param async_: through Celery, or at once
        :raises NotDefinedError: without a follow storage

        >>> manager.follow_user(7, 13)
        >>> manager.block_user(13, 7)
        >>> manager.is_following(7, [13])
        set()
        """
        storage = self._follows('block_user')
        self._check_ids(user_id, [target_id], async_)
        storage.block(user_id, target_id)
        for one, other in ((user_id, target_id), (target_id, user_id)):
            self._set_unfollowed(one, [other], UNFOLLOWED)
        for one, other in ((user_id, target_id), (target_id, user_id)):
            self._catch_up_without(one, other, async_)

    def unblock_user(self, user_id: UserId, target_id: UserId, async_: bool = True) -> None:
        """End a block. The follows that it ended stay ended; those made since are no longer hidden.

        >>> manager.block_user(13, 7)
        >>> manager.unblock_user(13, 7)
        >>> manager.get_blocked(13)
        set()
        """
        storage = self._follows('unblock_user')
        self._check_ids(user_id, [target_id], async_)
        storage.unblock(user_id, target_id)
        for one, other in ((user_id, target_id), (target_id, user_id)):
            self._catch_up_with(one, other, async_)

    def get_blocked(self, user_id: UserId) -> set[UserId]:
        """Return the ids of those whom a user has blocked.

        >>> manager.block_user(13, 7)
        >>> manager.get_blocked(13)
        {7}
        """
        return self._follows('get_blocked').get_blocked(user_id)

    def hidden_from(self, activities: Sequence[Any], user_ids: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        """Return who must not get what; a hook: override it for private posts, groups, audiences.

        It is called once for a chunk of a fan-out, in a worker, with some activities and many users; and with many
        activities and one user, when following or un-muting copies. Never for removals.

        :returns: pairs ``(activity, user_id)``. Default: what the follow storage says of mutes and blocks, else none

        >>> manager.mute_user(7, 13)
        >>> list(manager.hidden_from([Activity(13, Love, 42)], [7, 8]))
        [(Activity(loved) 13 42, 7)]
        """
        storage = self.get_follow_storage()
        if storage is None:
            return []
        by_actor: dict[Any, list[Any]] = {}
        for activity in activities:
            if (actor_id := getattr(activity, 'actor_id', None)) is not None:
                by_actor.setdefault(actor_id, []).append(activity)
        hidden = storage.hidden_from(by_actor, user_ids)
        return [(activity, user_id) for actor_id, user_id in hidden for activity in by_actor[actor_id]]

    def may_hide(self) -> bool:
        """Return whether anything may be hidden from anybody: there is a follow storage, or a hook.

        >>> manager.may_hide()
        True
        """
        return self.follow_storage_class is not None or self.hides_by_hook()

    def hides_by_hook(self) -> bool:
        """Return whether the application has a ``hidden_from`` of its own.

        >>> manager.hides_by_hook()
        False
        """
        return getattr(self.hidden_from, '__func__', None) is not Relations.hidden_from

    def _follows(self, what: str) -> BaseFollowStorage:
        storage = self.get_follow_storage()
        if storage is None:
            name = type(self).__name__
            raise NotDefinedError(
                f'{name}.{what} needs a follow storage: set {name}.follow_storage_class, to '
                'stream_framework.storage.redis.follow_storage.RedisFollowStorage for example'
            )
        return storage

    def _check_ids(self, user_id: UserId, target_ids: list[UserId], async_: bool) -> None:
        """Refuse what can't travel in the message of a task, before anything is stored."""
        if async_:
            named = {'feed_manager': self, 'user_id': user_id, 'target_ids': target_ids}
            messages.check(named, local=bool(current_app.conf.task_always_eager))

    def _copy_limit(self, copy_limit: int | None) -> int:
        """Return how many activities of each target are copied.

        :raises InvalidArgumentError: for what is no int, or negative
        """
        if copy_limit is None:
            return self.follow_activity_limit
        try:
            limit = operator.index(copy_limit)
        except TypeError as error:
            raise InvalidArgumentError(f'copy_limit is {copy_limit!r}: give an int of at least 0') from error
        if limit < 0:
            raise InvalidArgumentError(f'copy_limit is {limit}: it must not be negative')
        return limit

    def _set_unfollowed(self, user_id: UserId, target_ids: list[UserId], intent: str) -> None:
        """Say that a user no longer gets what targets do: set the intents of these follows, and of losses."""
        if (intents := intents_of(self)) is None:
            return
        names = intents.of_follows(user_id, target_ids)
        intents.set([*names, *self._losses(target_ids)], intent)

    def _losses(self, target_ids: list[UserId]) -> list[str]:
        intents = intents_of(self)
        return [] if intents is None or self.follow_storage_class is None else intents.of_losses(target_ids)

    def _catch_up_without(self, user_id: UserId, target_id: UserId, async_: bool) -> None:
        run = tasks.unfollow_many.delay if async_ else tasks.unfollow_many
        run(self, user_id, [target_id])

    def _catch_up_with(self, user_id: UserId, target_id: UserId, async_: bool) -> None:
        run = tasks.follow_many.delay if async_ else tasks.follow_many
        run(self, user_id, [target_id], follow_limit=self.follow_activity_limit)
