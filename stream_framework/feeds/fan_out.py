"""Writing the same activities to the feeds of many users, and when a write trims."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from stream_framework.activity import Activity
from stream_framework.feeds.stored import StoredFeed, as_list
from stream_framework.storage.base import BaseBatch, BaseTimelineStorage
from stream_framework.typing import ActivityId, UserId
from stream_framework.utils.shortcuts import shortcut

#: How a write trims: in its own step, after it by a call of ``trim``, or not at all.
TrimMode = Literal['within', 'after'] | None

#: What makes a feed what it is: where an application overrides any of it, a fan-out makes a feed for each user.
OF_EACH_FEED = (
    '__init__', '__new__', 'key', 'key_format', 'max_length', 'trim_chance', 'timeline_storage', 'trim',
    'on_update_feed', 'get_timeline_storage', 'get_timeline_storage_options',
)  # fmt: skip


class FannedOutFeed(StoredFeed):
    """The part of a feed that fan-outs write; see :class:`~stream_framework.feeds.base.BaseFeed`."""

    # Defined by BaseFeed.
    add_many: ClassVar[Any]
    remove_many: ClassVar[Any]

    @classmethod
    def add_to_many_by_hooks(
        cls, user_ids: Iterable[UserId], activities: Iterable[Activity], batch_interface: BaseBatch, trim: bool = True
    ) -> None:
        """Add the same activities to the feeds of many users: by ``add_many`` of each."""
        for user_id in user_ids:
            cls(user_id).add_many(activities, batch_interface=batch_interface, trim=trim)

    @classmethod
    def remove_from_many_by_hooks(
        cls,
        user_ids: Iterable[UserId],
        activities: Iterable[Activity | ActivityId],
        batch_interface: BaseBatch,
        trim: bool = True,
    ) -> None:
        """Remove the same activities from the feeds of many users: by ``remove_many`` of each."""
        for user_id in user_ids:
            cls(user_id).remove_many(activities, batch_interface=batch_interface, trim=trim)

    @shortcut(*OF_EACH_FEED, 'add', 'add_many', plain='add_to_many_by_hooks')
    @classmethod
    def add_to_many(
        cls, user_ids: Iterable[UserId], activities: Iterable[Activity], batch_interface: BaseBatch, trim: bool = True
    ) -> None:
        """Add the same activities to the feeds of many users; what a fan-out calls.

        What is the same for all is done once: activities are checked and serialized, and one write is queued.

        :param user_ids: whose feeds
        :param activities: instances of ``activity_class``
        :param batch_interface: the batch, see ``get_timeline_batch_interface``
        :param trim: as of ``add_many``

        >>> activity = Activity(13, Love, 42)
        >>> Feed.insert_activity(activity)
        >>> with Feed.get_timeline_batch_interface() as batch:
        ...     Feed.add_to_many([1, 2, 3], [activity], batch)
        >>> Feed(3)[:5]
        [Activity(loved) 13 42]
        """
        user_ids = list(user_ids)
        storage = cls.get_timeline_storage() if user_ids else None
        mode = None if storage is None else cls._mode_for_many(storage, trim)
        if storage is None or mode == 'after' or not isinstance(batch_interface, BaseBatch):
            cls.add_to_many_by_hooks(user_ids, activities, batch_interface, trim)
            return
        keys = _keys(cls.key_format, user_ids)
        activities = cls(user_ids[0])._checked(activities, references=True)
        if activities:
            storage.add_to_many(keys, activities, batch_interface, cls.max_length if mode else None)

    @shortcut(*OF_EACH_FEED, 'remove', 'remove_many', plain='remove_from_many_by_hooks')
    @classmethod
    def remove_from_many(
        cls,
        user_ids: Iterable[UserId],
        activities: Iterable[Activity | ActivityId],
        batch_interface: BaseBatch,
        trim: bool = True,
    ) -> None:
        """Remove the same activities from the feeds of many users; parameters as of :meth:`add_to_many`.

        >>> activity = Activity(13, Love, 42)
        >>> added = feed.add(activity)
        >>> with Feed.get_timeline_batch_interface() as batch:
        ...     Feed.remove_from_many([1, 2, 3], [activity], batch)
        >>> feed.count()
        0
        """
        user_ids = list(user_ids)
        storage = cls.get_timeline_storage() if user_ids else None
        mode = None if storage is None else cls._mode_for_many(storage, trim)
        if storage is None or mode == 'after' or not isinstance(batch_interface, BaseBatch):
            cls.remove_from_many_by_hooks(user_ids, activities, batch_interface, trim)
            return
        activities = as_list(activities)
        if activities:
            keys = _keys(cls.key_format, user_ids)
            storage.remove_from_many(keys, activities, batch_interface, cls.max_length if mode else None)

    @classmethod
    def _mode_for_many(cls, storage: BaseTimelineStorage, trim: bool) -> TrimMode:
        if not trim or cls.trim_chance <= 0:
            return None
        return cls._draw_trim_mode(storage) if storage.trims_within else 'after'

    def trim_mode_by_hooks(self, trim: bool) -> TrimMode:
        """Say whether a write is followed by ``trim``: ``'after'`` or ``None``.

        >>> feed.trim_mode_by_hooks(trim=False) is None
        True
        """
        return 'after' if trim and self.trim_chance > 0 and random.random() < self.trim_chance else None

    @shortcut('trim', plain='trim_mode_by_hooks')
    def trim_mode(self, trim: bool) -> TrimMode:
        """Say how a write trims the feed: ``'within'`` its own step, ``'after'`` it by ``trim``, or ``None``.

        Draws with probability ``trim_chance`` where trimming isn't free.

        >>> feed.trim_mode(trim=False) is None
        True
        """
        if not trim or self.trim_chance <= 0:
            return None
        return self._draw_trim_mode(self.timeline_storage)

    @classmethod
    def _draw_trim_mode(cls, storage: BaseTimelineStorage) -> TrimMode:
        if not storage.trims_each_write and random.random() >= cls.trim_chance:
            return None
        return 'within' if storage.trims_within else 'after'


def _keys(key_format: str, user_ids: Sequence[UserId]) -> list[str]:
    """Return the keys of users' feeds."""
    head, id_itself, tail = key_format.partition('%(user_id)s')
    if id_itself and '%' not in head + tail:
        # The same in half the time, for nearly all formats.
        return [f'{head}{user_id!s}{tail}' for user_id in user_ids]
    return [key_format % {'user_id': user_id} for user_id in user_ids]


__all__ = ['OF_EACH_FEED', 'FannedOutFeed', 'TrimMode']
