"""What every feed can do; the classes for a backend only name storages."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import functools
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from stream_framework.activity import Activity, AggregatedActivity, BaseActivity, DehydratedActivity
from stream_framework.exceptions import ConfigurationError
from stream_framework.feeds import filters, seen
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.base import (
    FILTERS,
    ORDERINGS,
    BaseActivityStorage,
    BaseBatch,
    BaseTimelineStorage,
)
from stream_framework.utils.shortcuts import shortcut, unchanged
from stream_framework.utils.tails import handed_on

# What makes a feed what it is: a fan-out makes a feed for each user where an application has its own way for any of it.
OF_EACH_FEED = (
    '__init__', '__new__', 'key', 'key_format', 'max_length', 'trim_chance', 'timeline_storage', 'trim',
    'on_update_feed', 'get_timeline_storage', 'get_timeline_storage_options',
)  # fmt: skip


# What adding and removing take, for the message about what they don't.
_ADDED = ('activities', 'batch_interface', 'trim')
_REMOVED = ('activity_ids', 'batch_interface', 'trim')


class _MadeOnFirstUse:
    """A storage of a feed, made when it is first asked for: a fan-out makes many feeds and shares one storage."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, feed: Any, owner: type | None = None) -> Any:
        if feed is None:
            return self
        storage = getattr(feed, self.method)()
        # Comes before this descriptor from now on. Not by __dict__, which makes every attribute slower to read.
        setattr(feed, self.name, storage)
        return storage


# Whether whoever adds to a feed has stored the activities already, so that adding outside a batch need not.
_stored_already: contextvars.ContextVar[bool] = contextvars.ContextVar('stored_already', default=False)


@contextlib.contextmanager
def stored_already() -> Iterator[None]:
    """While the block runs, adding to feeds outside a batch stores no activities: the caller has stored them."""
    token = _stored_already.set(True)
    try:
        yield
    finally:
        _stored_already.reset(token)


class BaseFeed:
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

    #: The key that the feed is stored under; ``%(user_id)s`` is filled in.
    key_format: str = 'feed_%(user_id)s'
    #: How many activities the feed keeps.
    max_length: int = 100
    #: What the feed holds.
    activity_class: type[Activity] = Activity
    #: Where whole activities are; ``None`` where the timeline itself holds them.
    activity_storage_class: type[BaseActivityStorage] | None = BaseActivityStorage
    #: Where the timeline is.
    timeline_storage_class: type[BaseTimelineStorage] = BaseTimelineStorage
    #: How the activity storage writes an activity.
    activity_serializer: Any = BaseSerializer
    #: How the timeline writes an entry.
    timeline_serializer: Any = SimpleTimelineSerializer
    #: How likely a write trims the feed to ``max_length``; 0 or less: never. Where trimming is free, as on Redis, any
    #: other value trims with every write. On Cassandra a chunk of a fan-out is trimmed whole, or not at all: that takes
    #: little longer than one feed alone.
    trim_chance: float = 0.01
    #: Whether :meth:`filter` works.
    filtering_supported: bool = False
    #: Whether :meth:`order_by` works.
    ordering_supported: bool = False

    timeline_storage: Any = _MadeOnFirstUse('get_timeline_storage')
    activity_storage: Any = _MadeOnFirstUse('get_activity_storage')

    #: What :meth:`filter` takes besides ids.
    criteria: ClassVar[tuple[str, ...]] = filters.CRITERIA

    _filter_kwargs: ClassVar[Mapping[str, Any]] = {}
    _wanted: ClassVar[Mapping[str, Any]] = {}
    _ordering_args: ClassVar[tuple[str, ...]] = ()

    def __init__(self, user_id: Any) -> None:
        self.user_id = user_id
        self.key = self.key_format % {'user_id': user_id}

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """The keywords that the timeline storage is made with."""
        return {'serializer_class': cls.timeline_serializer, 'activity_class': cls.activity_class}

    @classmethod
    def get_timeline_storage(cls) -> Any:
        """A new timeline storage."""
        return cls.timeline_storage_class(**cls.get_timeline_storage_options())

    @classmethod
    def get_activity_storage(cls) -> Any:
        """A new activity storage, ``None`` where the class has none."""
        if cls.activity_storage_class is None:
            return None
        return cls.activity_storage_class(serializer_class=cls.activity_serializer, activity_class=cls.activity_class)

    @classmethod
    def insert_activities(cls, activities: Iterable[Activity], **kwargs: Any) -> None:
        """Store whole activities, for all feeds to refer to; no feed shows them by that alone."""
        storage = cls.get_activity_storage()
        if kwargs:
            over, under = (cls, ('insert_activities', 'insert_activity')), (storage, ('add_many', 'add_to_storage'))
            _, kwargs = handed_on('insert_activities', ('activities', 'batch_interface'), (), kwargs, over, under)
        if storage is not None:
            storage.add_many(activities, **kwargs)

    @classmethod
    def insert_activity(cls, activity: Activity, **kwargs: Any) -> None:
        """Store one whole activity."""
        cls.insert_activities([activity], **kwargs)

    @classmethod
    def remove_activity(cls, activity_or_id: Any, **kwargs: Any) -> None:
        """Remove a whole activity, given itself or by its id, from the activity storage: all feeds skip it then."""
        storage = cls.get_activity_storage()
        if kwargs:
            over, under = (cls, ('remove_activity',)), (storage, ('remove', 'remove_many', 'remove_from_storage'))
            _, kwargs = handed_on('remove_activity', ('activity_or_id', 'batch_interface'), (), kwargs, over, under)
        if storage is not None:
            storage.remove(activity_or_id, **kwargs)

    @classmethod
    def get_timeline_batch_interface(cls) -> Any:
        """A context manager: what is done with it as ``batch_interface`` is sent in few round trips when it ends."""
        return cls.get_timeline_storage().get_batch_interface()

    @classmethod
    def flush(cls) -> None:
        """Delete all feeds of this class, and everything that is in its activity storage."""
        storage = cls.get_activity_storage()
        if storage is not None:
            storage.flush()
        cls.get_timeline_storage().flush_matching(_key_pattern(cls.key_format))

    def add(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
        """Add one activity; see :meth:`add_many`."""
        return self.add_many([activity], *args, **kwargs)

    def add_many(
        self, activities: Any, batch_interface: Any = None, trim: bool = True, *args: Any, **kwargs: Any
    ) -> Any:
        """Add activities; those that are there already change nothing.

        Outside a batch the activities go into the activity storage as well.

        :param activities: instances of ``activity_class``
        :param batch_interface: queue instead, see :meth:`get_timeline_batch_interface`
        :param trim: trim to ``max_length`` with probability ``trim_chance``
        :returns: how many were new, where the storage can tell
        :raises ValueError: for anything that is no activity of this feed's class
        :raises TypeError: for a keyword that nobody reads
        """
        if args or kwargs:
            under = (self.timeline_storage, ('add_many', 'add_to_storage'))
            args, kwargs = handed_on('add_many', _ADDED, args, kwargs, (self, ('add_many', 'add')), under)
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

    @classmethod
    def add_to_many_by_hooks(
        cls, user_ids: Iterable[Any], activities: Any, batch_interface: Any, trim: bool = True
    ) -> None:
        """Add the same activities to the feeds of many users: by :meth:`add_many` of each."""
        for user_id in user_ids:
            cls(user_id).add_many(activities, batch_interface=batch_interface, trim=trim)

    @classmethod
    def remove_from_many_by_hooks(
        cls, user_ids: Iterable[Any], activities: Any, batch_interface: Any, trim: bool = True
    ) -> None:
        """Remove the same activities from the feeds of many users: by :meth:`remove_many` of each."""
        for user_id in user_ids:
            cls(user_id).remove_many(activities, batch_interface=batch_interface, trim=trim)

    @shortcut(*OF_EACH_FEED, 'add', 'add_many', plain='add_to_many_by_hooks')
    @classmethod
    def add_to_many(cls, user_ids: Iterable[Any], activities: Any, batch_interface: Any, trim: bool = True) -> None:
        """Add the same activities to the feeds of many users; what a fan-out calls.

        What is the same for all is done once: activities are checked and serialized, and one write is queued.

        :param user_ids: whose feeds
        :param activities: instances of ``activity_class``
        :param batch_interface: the batch, see :meth:`get_timeline_batch_interface`
        :param trim: as of :meth:`add_many`
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
        cls, user_ids: Iterable[Any], activities: Any, batch_interface: Any, trim: bool = True
    ) -> None:
        """Remove the same activities from the feeds of many users; parameters as of :meth:`add_to_many`."""
        user_ids = list(user_ids)
        storage = cls.get_timeline_storage() if user_ids else None
        mode = None if storage is None else cls._mode_for_many(storage, trim)
        if storage is None or mode == 'after' or not isinstance(batch_interface, BaseBatch):
            cls.remove_from_many_by_hooks(user_ids, activities, batch_interface, trim)
            return
        activities = _as_list(activities)
        if activities:
            keys = _keys(cls.key_format, user_ids)
            storage.remove_from_many(keys, activities, batch_interface, cls.max_length if mode else None)

    @classmethod
    def _mode_for_many(cls, storage: Any, trim: bool) -> str | None:
        if not trim or cls.trim_chance <= 0:
            return None
        return cls._draw_trim_mode(storage) if storage.trims_within else 'after'

    def remove(self, activity_or_id: Any, *args: Any, **kwargs: Any) -> Any:
        """Remove one activity; see :meth:`remove_many`."""
        return self.remove_many([activity_or_id], *args, **kwargs)

    def remove_many(
        self, activity_ids: Any, batch_interface: Any = None, trim: bool = True, *args: Any, **kwargs: Any
    ) -> Any:
        """Remove activities, given themselves or by their ids; those that aren't there are no error.

        The activity storage is left alone, since other feeds refer to it.

        :param batch_interface: queue instead
        :param trim: trim to ``max_length`` with probability ``trim_chance``
        :returns: how many were there, where the storage can tell
        :raises TypeError: for a keyword that nobody reads
        """
        if args or kwargs:
            under = (self.timeline_storage, ('remove_many', 'remove_from_storage'))
            args, kwargs = handed_on('remove_many', _REMOVED, args, kwargs, (self, ('remove_many', 'remove')), under)
        activity_ids = _as_list(activity_ids)
        if batch_interface is not None:
            kwargs['batch_interface'] = batch_interface
        mode = self.trim_mode(trim)
        if mode == 'within':
            kwargs['trim_length'] = self.max_length
        removed = self.timeline_storage.remove_many(self.key, activity_ids, *args, **kwargs)
        self._written([], activity_ids, batch_interface, mode == 'after')
        return removed

    def update_many(self, activities: Iterable[Activity], batch_interface: Any = None) -> list[Activity]:
        """Replace activities that the feed still holds; it never brings back what was removed or trimmed.

        Where the timeline holds references there is nothing to replace in it: the activity storage has the activity.

        :param activities: with the time, object and verb that they had, because ids are made of those
        :param batch_interface: queue instead
        :returns: those that the feed holds; ``[]`` in a batch
        :raises ValueError: for anything that is no activity of this feed's class
        """
        activities = self._checked(activities)
        there = self.timeline_storage.update_many(self.key, activities, batch_interface=batch_interface)
        held = _of_ids(activities, there or (), self.timeline_storage)
        if held and (stored := still_stored(self, held)):
            self._store(stored)
        return held

    def on_update_feed(self, new: Any, deleted: Any) -> None:
        """Called after each write with what came and what went; a hook for subclasses, which does nothing here.

        :param new: a list of activities (of groups, in aggregated feeds)
        :param deleted: a list of what was given to be removed (of groups, in aggregated feeds)
        """

    def trim(self, length: int | None = None) -> Any:
        """Keep the newest ``length``; ``None`` or 0 means ``max_length``."""
        return self.timeline_storage.trim(self.key, length or self.max_length)

    def count(self) -> int:
        """How many entries the timeline has, filters aside. One round trip; on Cassandra the server reads them all."""
        return self.timeline_storage.count(self.key)

    def __len__(self) -> int:
        return self.count()

    def mark_seen(self, until: Any = None) -> None:
        """Remember how far the reader has seen the feed, for :meth:`count_new`. The mark never moves back.

        Where nothing is in the feed, and nothing is given, nothing is marked.

        :param until: the last that was seen: an activity, a group, or the id of one, whether or not it is still there;
            by default the newest that there is. On a feed of groups an activity stands for its time
        :raises ValueError: for what is none of these
        :raises ConfigurationError: for a storage that keeps no marks

        >>> from stream_framework.feeds.memory import Feed
        >>> from stream_framework.verbs import Love
        >>> feed = Feed('a doctest')
        >>> added = feed.add_many([Activity(1, Love, 100), Activity(1, Love, 101)])
        >>> feed.count_new()
        2
        >>> feed.mark_seen(until=feed[1:2][0])
        >>> feed.count_new()
        1
        >>> feed.delete()
        """
        seen.mark_seen(self, until)

    def count_new(self) -> int:
        """How many entries are newer than the mark of :meth:`mark_seen`, filters aside; all, where there is no mark.

        One round trip. It is counted, not kept: nothing is written for it when activities come or go.

        :raises ConfigurationError: for a storage that keeps no marks
        """
        return seen.count_new([self])[0]

    #: Whether what is new is counted by the library's own :meth:`count_new`.
    counts_new_as_usual = unchanged('count_new')

    def delete(self) -> Any:
        """Delete the feed, and how far it was seen; activities stay in the activity storage. One round trip."""
        return self.timeline_storage.delete(self.key)

    def index_of(self, activity_or_id: Any) -> int:
        """The position of an activity, given itself or by its id: 0 for the newest.

        On Redis it costs a search in the sorted set; on Cassandra reading the ids down to it.

        :raises ValueError: if it isn't there
        """
        return self.timeline_storage.index_of(self.key, activity_or_id)

    def __getitem__(self, item: slice | int) -> list[Any]:
        """``feed[a:b]``, newest first; ``feed[i]`` is a list of at most one.

        :raises ValueError: for a negative index, or a step
        :raises TypeError: for an index that is neither int nor slice of ints
        """
        if isinstance(item, slice):
            if item.step not in (None, 1):
                raise ValueError(f'feed {self.key!r} is read in slices without a step, not {item!r}')
            start, stop = _position(item.start) or 0, _position(item.stop)
        else:
            index = _position(item)
            if index is None:
                raise TypeError(f'feed {self.key!r} is read by feed[a:b] or feed[i], not by feed[None]')
            start, stop = index, index + 1
        if stop is not None and stop <= start:
            return []
        return self.get_activity_slice(start, stop)

    def __iter__(self) -> NoReturn:
        raise TypeError(f'feed {self.key!r} can not be iterated over, it may be very long: read a slice, feed[:25]')

    def get_activity_slice(
        self, start: int | None = None, stop: int | None = None, rehydrate: bool = True
    ) -> list[Any]:
        """The activities at the positions from ``start`` up to, not including, ``stop``.

        A position whose activity has left the activity storage, or whose group has none, is skipped, and the read goes
        on behind ``stop`` until as many as asked for are found, or the feed ends: a short page means the end.

        :param rehydrate: ``False`` returns references as they are in the timeline
        """
        if self._wanted:
            criteria = filters.Criteria(self._wanted, self.activity_class)
            whole = [] if criteria.is_void else filters.read(self, criteria, stop)[start or 0 :]
            dehydrate = not rehydrate and self.timeline_storage.keeps_references
            return [activity.get_dehydrated() for activity in whole] if dehydrate else whole
        if not rehydrate:
            return self._read(start, stop)
        hydrated, found = self._read_page(start, stop)
        if stop is None:
            return hydrated
        wanted = stop - (start or 0)
        step = wanted
        while len(hydrated) < wanted and found == step:
            start, step = stop, max(wanted - len(hydrated), 25)
            stop = start + step
            more, found = self._read_page(start, stop)
            hydrated += more
        return hydrated[:wanted]

    def needs_hydration(self, activities: Iterable[Any]) -> bool:
        """Whether any of these is only a reference."""
        return any(activity.dehydrated for activity in activities)

    def hydrate_activities(self, activities: Iterable[Any]) -> list[Any]:
        """References, or groups of them, with the whole activities in their places; one round trip.

        Those whose activity is gone are left out.
        """
        activities = list(activities)
        wanted = [key for activity in activities if activity.dehydrated for key in activity._activity_ids]
        whole = self.whole_activities.get_map(wanted) if wanted else {}
        hydrated: list[Any] = []
        for activity in activities:
            if type(activity) is DehydratedActivity:
                if activity.serialization_id in whole:
                    hydrated.append(whole[activity.serialization_id])
            elif not activity.dehydrated:
                if not _is_empty(activity):
                    hydrated.append(activity)
            elif isinstance(activity, AggregatedActivity):
                group = activity.get_hydrated(whole)
                if group.activities:
                    hydrated.append(group)
            elif activity.serialization_id in whole:
                hydrated.append(activity.get_hydrated(whole))
        return hydrated

    def filter(self, **kwargs: Any) -> Any:
        """A copy of the feed that shows only part of it; filters add up, and positions count what passes.

        :param kwargs: ``activity_id__gt``, ``activity_id__gte``, ``activity_id__lt``, ``activity_id__lte`` -> an id;
            on flat feeds ``verb`` -> a verb or its id, ``object_id`` and ``actor_id`` -> an id, or an object that has
            one; on notification feeds ``unseen`` and ``unread`` -> whether
        :raises ValueError: for another filter, or a value that can't be
        :raises TypeError: for a feed whose storage can't filter

        >>> from stream_framework.feeds.memory import Feed
        >>> Feed('a doctest').filter(activity_id__lt=13732667550000000000042003)[:25]
        []
        """
        if not self.filtering_supported:
            raise TypeError(f'{type(self).__name__} does not support filtering')
        wanted = {name: value for name, value in kwargs.items() if name in self.criteria}
        bounds = {name: value for name, value in kwargs.items() if name not in wanted}
        for name in bounds:
            if name in filters.CRITERIA or name in filters.STATES:
                known = ', '.join((*FILTERS, *self.criteria))
                raise ValueError(f'{type(self).__name__} can not be filtered by {name!r}: use one of {known}')
        self.timeline_storage.bounds(bounds)
        filtered: Any = copy.copy(self)
        filtered._wanted = filters.combine(self._wanted, wanted)
        filtered._filter_kwargs = filters.both_bounds(self._filter_kwargs, bounds, self.timeline_storage)
        return filtered

    def order_by(self, *args: str) -> Any:
        """A copy of the feed in another order.

        :param args: ``'activity_id'`` for oldest first, ``'-activity_id'`` for newest first
        :raises ValueError: for another order
        :raises TypeError: for a feed whose storage can't order
        """
        if not self.ordering_supported:
            raise TypeError(f'{type(self).__name__} does not support ordering')
        self.timeline_storage.ascends(args)
        ordered = copy.copy(self)
        ordered._ordering_args = args  # type: ignore[misc]
        return ordered

    def __repr__(self) -> str:
        return f'<{type(self).__name__}: {self.key}>'

    def _read(self, start: int | None, stop: int | None) -> list[Any]:
        return self.timeline_storage.get_slice(
            self.key, start, stop, filter_kwargs=self._filter_kwargs, ordering_args=self._ordering_args
        )

    def _read_page_by_hooks(self, start: int | None, stop: int | None) -> tuple[list[Any], int]:
        found = self._read(start, stop)
        if not (self.needs_hydration(found) or any(map(_is_empty, found))):
            return found, len(found)
        return self.hydrate_activities(found), len(found)

    @shortcut('needs_hydration', 'hydrate_activities', plain='_read_page_by_hooks')
    def _read_page(self, start: int | None, stop: int | None) -> tuple[list[Any], int]:
        """What is at these positions, with whole activities; and how many entries that were in the timeline."""
        if not self.timeline_storage.holds_references:
            return self._read_page_by_hooks(start, stop)
        return self.timeline_storage.get_page(
            self.whole_activities, self.key, start, stop, self._filter_kwargs, self._ordering_args
        )

    @property
    def whole_activities(self) -> Any:
        """The activity storage.

        :raises ConfigurationError: if there is none
        """
        storage = self.activity_storage
        if storage is None:
            name = type(self).__name__
            raise ConfigurationError(
                f'{name} holds only references in its timeline, and has no activity storage to look them up in: set '
                f'{name}.activity_storage_class, or a timeline_serializer that stores whole activities'
            )
        return storage

    #: Whether a slice of the feed is what its timeline holds, read by the library's hooks.
    reads_as_usual = unchanged(
        '__getitem__', 'get_activity_slice', 'needs_hydration', 'hydrate_activities', 'get_timeline_storage',
        'get_timeline_storage_options', 'get_activity_storage',
    )  # fmt: skip
    #: Whether storing whole activities is the activity storage's work alone.
    inserts_as_usual = unchanged('insert_activity', 'insert_activities')
    #: Whether nobody looks at what is added.
    adds_as_usual = unchanged('add', 'add_many', 'on_update_feed', 'trim')

    @property
    def takes_references(self) -> bool:
        """Whether references are all that adding needs: the timeline holds ids, and no hook looks at the activities."""
        storage = self.timeline_storage
        return self.adds_as_usual and storage.serializes_once and storage.serializer.holds_references

    def _checked(self, activities: Any, references: bool = False) -> Any:
        # References, as a timeline gives them, are all that following needs of a flat feed's activities.
        activities = _as_list(activities)
        for activity in activities:
            kind: Any = type(activity)
            wanted: Any = self.activity_class
            if not (_fits(kind, wanted) or (references and issubclass(kind, DehydratedActivity))):
                raise ValueError(
                    f'feed {self.key!r} holds {self.activity_class.__name__}, not {type(activity).__name__}: '
                    f'{activity!r} can not be added. (A subclass fits unless it overrides serialization_id.)'
                )
        return activities

    def _store(self, activities: Any) -> None:
        if self.activity_storage_class is not None and not _stored_already.get():
            self.insert_activities(activities)

    def trim_mode_by_hooks(self, trim: bool) -> str | None:
        """Say whether a write is followed by :meth:`trim`: ``'after'`` or ``None``."""
        return 'after' if trim and self.trim_chance > 0 and random.random() < self.trim_chance else None

    @shortcut('trim', plain='trim_mode_by_hooks')
    def trim_mode(self, trim: bool) -> str | None:
        """Say how a write trims the feed: ``'within'`` its own step, ``'after'`` it by :meth:`trim`, or ``None``.

        Draws with probability ``trim_chance`` where trimming isn't free.
        """
        if not trim or self.trim_chance <= 0:
            return None
        return self._draw_trim_mode(self.timeline_storage)

    @classmethod
    def _draw_trim_mode(cls, storage: Any) -> str | None:
        if not storage.trims_each_write and random.random() >= cls.trim_chance:
            return None
        return 'within' if storage.trims_within else 'after'

    def _written(self, new: Any, deleted: Any, batch_interface: Any, trim: bool) -> None:
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


def _keys(key_format: str, user_ids: Sequence[Any]) -> list[str]:
    """The keys of users' feeds."""
    head, id_itself, tail = key_format.partition('%(user_id)s')
    if id_itself and '%' not in head + tail:
        # The same in half the time, for nearly all formats.
        return [f'{head}{user_id!s}{tail}' for user_id in user_ids]
    return [key_format % {'user_id': user_id} for user_id in user_ids]


def _is_empty(item: Any) -> bool:
    return isinstance(item, AggregatedActivity) and not item.dehydrated and not item.activities


def _as_list(values: Any) -> Any:
    if isinstance(values, (BaseActivity, str, bytes)):
        raise TypeError(f'{values!r}: give a list of activities')
    return values if isinstance(values, (list, tuple)) else list(values)


def still_stored(feed: BaseFeed, activities: list[Any]) -> list[Any]:
    """Return those of a feed's activities that an update stores: not those that have left the activity storage."""
    if feed.activity_storage is None or not feed.timeline_storage.keeps_references:
        return activities
    stored = feed.activity_storage.get_many([feed.timeline_storage.activity_to_id(activity) for activity in activities])
    return _of_ids(activities, map(feed.timeline_storage.activity_to_id, stored), feed.timeline_storage)


def _of_ids(activities: Iterable[Any], activity_ids: Iterable[Any], storage: Any) -> list[Any]:
    """Return those activities that have some of these ids."""
    wanted = set(activity_ids)
    return [activity for activity in activities if storage.activity_to_id(activity) in wanted]


def _position(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int):
        raise TypeError(f'{value!r} is no position in a feed: feeds are read by slices of ints, feed[0:25]')
    if value < 0:
        raise ValueError(f'{value} is no position in a feed: feeds are read from the start, by positions of 0 or more')
    return int(value)


@functools.lru_cache(maxsize=1024)
def _fits(given: type, wanted: type) -> bool:
    if given is wanted:
        return True
    return issubclass(given, wanted) and getattr(given, 'serialization_id', 0) is getattr(wanted, 'serialization_id', 1)


def _key_pattern(key_format: str) -> str:
    literal = re.sub(r'([*?\[\]\\])', r'[\1]', key_format)
    return re.sub(r'%\(\w+\)[^a-zA-Z%]*[a-zA-Z]', '*', literal).replace('%%', '%')


__all__ = ['FILTERS', 'ORDERINGS', 'BaseFeed', 'UserBaseFeed']
