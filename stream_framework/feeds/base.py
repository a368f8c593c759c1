"""What every feed can do; the classes for a backend only name storages.

The parts of a feed have a room each: :mod:`~stream_framework.feeds.stored` (key, storages and shared activities),
:mod:`~stream_framework.feeds.slices` (reading) and :mod:`~stream_framework.feeds.fan_out` (writing to many feeds).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from stream_framework.activity import Activity, BaseActivity
from stream_framework.feeds import seen
from stream_framework.feeds.fan_out import FannedOutFeed
from stream_framework.feeds.slices import SlicedFeed
from stream_framework.feeds.stored import as_list, of_ids, still_stored
from stream_framework.storage.base import FILTERS, ORDERINGS, BaseBatch
from stream_framework.typing import ActivityId
from stream_framework.utils.shortcuts import unchanged
from stream_framework.utils.tails import handed_on

# What adding and removing take, for the message about what they don't.
ADDED = ('activities', 'batch_interface', 'trim')
REMOVED = ('activity_ids', 'batch_interface', 'trim')


class BaseFeed(SlicedFeed, FannedOutFeed):
    """A list of activities, newest first, that belongs to a user.

    Writing goes to a timeline, which holds references, and to an activity storage, which holds each activity once for
    all feeds; reading puts them together. Only slices are read: ``feed[:25]``.

    :param user_id: whose feed: whatever ``key_format`` can format

    >>> from stream_framework.feeds.memory import Feed
    >>> from stream_framework.verbs import Love
    >>> feed = Feed('a doctest')
    >>> feed.add(Activity(1, Love, 100))
    1
    >>> feed[:5]
    [Activity(loved) 1 100]
    >>> feed.delete()
    """

    def add(self, activity: Activity, *args: Any, **kwargs: Any) -> int | None:
        """Add one activity; see :meth:`add_many`.

        >>> feed.add(Activity(13, Love, 42))
        1
        """
        return self.add_many([activity], *args, **kwargs)

    def add_many(
        self,
        activities: Iterable[Activity],
        batch_interface: BaseBatch | None = None,
        trim: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> int | None:
        """Add activities; those that are there already change nothing.

        Outside a batch the activities go into the activity storage as well. Two round trips, one where the timeline
        holds whole activities.

        :param activities: instances of ``activity_class``
        :param batch_interface: queue instead, see :meth:`get_timeline_batch_interface`
        :param trim: trim to ``max_length`` with probability ``trim_chance``
        :returns: how many were new, where the storage can tell
        :raises ValueError: for anything that is no activity of this feed's class
        :raises TypeError: for a keyword that nobody reads

        >>> feed.add_many([Activity(13, Love, 42), Activity(13, Love, 43)])
        2
        >>> feed[:5]
        [Activity(loved) 13 43, Activity(loved) 13 42]
        """
        if args or kwargs:
            under = (self.timeline_storage, ('add_many', 'add_to_storage'))
            args, kwargs = handed_on('add_many', ADDED, args, kwargs, (self, ('add_many', 'add')), under)
        activities = self._checked(activities, references=batch_interface is not None)
        if batch_interface is None:
            self._store(activities)
        else:
            kwargs['batch_interface'] = batch_interface
        mode = self.trim_mode(trim)
        if mode == 'within':
            kwargs['trim_length'] = self.max_length
        added = self.timeline_storage.add_many(self.key, activities, *args, **kwargs)
        self._written(activities, [], batch_interface, mode == 'after')
        return added

    def remove(self, activity_or_id: Activity | ActivityId, *args: Any, **kwargs: Any) -> int | None:
        """Remove one activity; see :meth:`remove_many`.

        >>> activity = Activity(13, Love, 42)
        >>> feed.add(activity), feed.remove(activity), feed.remove(activity)
        (1, 1, 0)
        """
        return self.remove_many([activity_or_id], *args, **kwargs)

    def remove_many(
        self,
        activity_ids: Iterable[Activity | ActivityId],
        batch_interface: BaseBatch | None = None,
        trim: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> int | None:
        """Remove activities, given themselves or by their ids; those that aren't there are no error.

        The activity storage is left alone, since other feeds refer to it. One round trip.

        :param batch_interface: queue instead
        :param trim: trim to ``max_length`` with probability ``trim_chance``
        :returns: how many were there, where the storage can tell
        :raises TypeError: for a keyword that nobody reads

        >>> activities = [Activity(13, Love, number) for number in (1, 2, 3)]
        >>> feed.add_many(activities)
        3
        >>> feed.remove_many([activities[0], activities[1].serialization_id])
        2
        """
        if args or kwargs:
            under = (self.timeline_storage, ('remove_many', 'remove_from_storage'))
            args, kwargs = handed_on('remove_many', REMOVED, args, kwargs, (self, ('remove_many', 'remove')), under)
        activity_ids = as_list(activity_ids)
        if batch_interface is not None:
            kwargs['batch_interface'] = batch_interface
        mode = self.trim_mode(trim)
        if mode == 'within':
            kwargs['trim_length'] = self.max_length
        removed = self.timeline_storage.remove_many(self.key, activity_ids, *args, **kwargs)
        self._written([], activity_ids, batch_interface, mode == 'after')
        return removed

    def update_many(self, activities: Iterable[Activity], batch_interface: BaseBatch | None = None) -> list[Activity]:
        """Replace activities that the feed still holds; it never brings back what was removed or trimmed.

        Where the timeline holds references there is nothing to replace in it: the activity storage has the activity.

        :param activities: with the time, object and verb that they had, because ids are made of those
        :param batch_interface: queue instead
        :returns: those that the feed holds; ``[]`` in a batch
        :raises ValueError: for anything that is no activity of this feed's class

        >>> activity = Activity(13, Love, 42)
        >>> added = feed.add(activity)
        >>> activity.extra_context['board'] = 'tea'
        >>> feed.update_many([activity, Activity(13, Love, 43)])
        [Activity(loved) 13 42]
        >>> feed[0][0].extra_context
        {'board': 'tea'}
        """
        activities = self._checked(activities)
        there = self.timeline_storage.update_many(self.key, activities, batch_interface=batch_interface)
        held = of_ids(activities, there or (), self.timeline_storage)
        if held and (stored := still_stored(self, held)):
            self._store(stored)
        return held

    def on_update_feed(self, new: list[Any], deleted: list[Any]) -> None:
        """Look at what came and went, after each write: a hook for subclasses, which does nothing here.

        :param new: a list of activities (of groups, in aggregated feeds)
        :param deleted: a list of what was given to be removed (of groups, in aggregated feeds)

        >>> class CountingFeed(Feed):
        ...     def on_update_feed(self, new, deleted):
        ...         print(f'{len(new)} came, {len(deleted)} went')
        >>> added = CountingFeed(1).add(Activity(13, Love, 42))
        1 came, 0 went
        """

    def trim(self, length: int | None = None) -> int | None:
        """Keep the newest ``length``; ``None`` or 0 means ``max_length``. One round trip; two on Cassandra.

        :returns: how many went, where the storage can tell
        :raises ValueError: for a negative length

        >>> added = feed.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> trimmed = feed.trim(2)
        >>> feed.count()
        2
        """
        return self.timeline_storage.trim(self.key, length or self.max_length)

    def count(self) -> int:
        """Count the entries of the timeline, filters aside. One round trip; on Cassandra the server reads them all.

        >>> added = feed.add(Activity(13, Love, 42))
        >>> feed.count(), len(feed)
        (1, 1)
        """
        return self.timeline_storage.count(self.key)

    def __len__(self) -> int:
        return self.count()

    def mark_seen(self, until: BaseActivity | ActivityId | None = None) -> None:
        """Remember how far the reader has seen the feed, for :meth:`count_new`. The mark never moves back.

        Where nothing is in the feed, and nothing is given, nothing is marked.

        :param until: the last that was seen: an activity, a group, or the id of one, whether or not it is still there;
            by default the newest that there is. On a feed of groups an activity stands for its time
        :raises ValueError: for what is none of these
        :raises ConfigurationError: for a storage that keeps no marks

        >>> added = feed.add_many([Activity(13, Love, 42), Activity(13, Love, 43)])
        >>> [older] = feed[1]
        >>> feed.mark_seen(until=older)
        >>> feed.count_new()
        1
        """
        seen.mark_seen(self, until)

    def count_new(self) -> int:
        """Count the entries that are newer than the mark of :meth:`mark_seen`, filters aside; all, where there is none.

        One round trip. It is counted, not kept: nothing is written for it when activities come or go.

        :raises ConfigurationError: for a storage that keeps no marks

        >>> added = feed.add_many([Activity(13, Love, 42), Activity(13, Love, 43)])
        >>> feed.count_new()
        2
        >>> feed.mark_seen()
        >>> feed.count_new()
        0
        """
        return seen.count_new([self])[0]

    #: Whether what is new is counted by the library's own :meth:`count_new`.
    counts_new_as_usual = unchanged('count_new')

    def delete(self) -> object:
        """Delete the feed, and how far it was seen; activities stay in the activity storage. One round trip.

        >>> added = feed.add(Activity(13, Love, 42))
        >>> deleted = feed.delete()
        >>> feed.count()
        0
        """
        return self.timeline_storage.delete(self.key)

    def index_of(self, activity_or_id: BaseActivity | ActivityId) -> int:
        """Return the position of an activity, given itself or by its id: 0 for the newest. One round trip.

        On Redis it costs a search in the sorted set; on Cassandra reading the ids down to it.

        :raises ValueError: if it isn't there

        >>> activity = Activity(13, Love, 42)
        >>> added = feed.add_many([activity, Activity(13, Love, 43)])
        >>> feed.index_of(activity)
        1
        """
        return self.timeline_storage.index_of(self.key, activity_or_id)

    #: Whether nobody looks at what is added.
    adds_as_usual = unchanged('add', 'add_many', 'on_update_feed', 'trim')

    @property
    def takes_references(self) -> bool:
        """Whether references are all that adding needs: the timeline holds ids, and no hook looks at the activities.

        >>> feed.takes_references
        True
        """
        storage = self.timeline_storage
        return self.adds_as_usual and storage.serializes_once and storage.serializer.holds_references

    def _written(self, new: list[Any], deleted: list[Any], batch_interface: BaseBatch | None, trim: bool) -> None:
        if isinstance(batch_interface, BaseBatch):
            if trim:
                batch_interface.after(self.trim)
            batch_interface.after(functools.partial(self.on_update_feed, new, deleted))
            return
        if trim:
            self.trim()
        self.on_update_feed(new, deleted)


class UserBaseFeed(BaseFeed):
    """What one user did: where follow, unfollow and imports take activities from."""

    key_format = 'user_feed:%(user_id)s'
    max_length = 10**6


__all__ = ['FILTERS', 'ORDERINGS', 'BaseFeed', 'UserBaseFeed']
