"""Reading a feed: slices, with whole activities in place of references, and copies that are filtered or ordered."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from stream_framework.activity import AggregatedActivity, BaseActivity, DehydratedActivity
from stream_framework.feeds import filters
from stream_framework.feeds.stored import StoredFeed
from stream_framework.storage.base import FILTERS
from stream_framework.typing import HoldsActivities, Kept_co
from stream_framework.utils.shortcuts import shortcut, unchanged

if TYPE_CHECKING:
    from typing_extensions import Self


class SlicedFeed(StoredFeed):
    """The part of a feed that is read; see :class:`~stream_framework.feeds.base.BaseFeed`."""

    #: Whether :meth:`filter` works.
    filtering_supported: bool = False
    #: Whether :meth:`order_by` works.
    ordering_supported: bool = False
    #: What :meth:`filter` takes besides ids.
    criteria: ClassVar[tuple[str, ...]] = filters.CRITERIA

    _filter_kwargs: Mapping[str, Any] = {}
    _wanted: Mapping[str, Any] = {}
    _ordering_args: tuple[str, ...] = ()

    def __getitem__(self: HoldsActivities[Kept_co], item: slice | int) -> list[Kept_co]:
        """``feed[a:b]``, newest first; ``feed[i]`` is a list of at most one.

        :raises ValueError: for a negative index, or a step
        :raises TypeError: for an index that is neither int nor slice of ints

        >>> added = feed.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> feed[:2], feed[2], feed[3]
        ([Activity(loved) 13 3, Activity(loved) 13 2], [Activity(loved) 13 1], [])
        """
        feed: Any = self
        if isinstance(item, slice):
            if item.step not in (None, 1):
                raise ValueError(f'feed {feed.key!r} is read in slices without a step, not {item!r}')
            start, stop = _position(item.start) or 0, _position(item.stop)
        else:
            index = _position(item)
            if index is None:
                raise TypeError(f'feed {feed.key!r} is read by feed[a:b] or feed[i], not by feed[None]')
            start, stop = index, index + 1
        if stop is not None and stop <= start:
            return []
        return feed.get_activity_slice(start, stop)

    def __iter__(self) -> NoReturn:
        raise TypeError(f'feed {self.key!r} can not be iterated over, it may be very long: read a slice, feed[:25]')

    def get_activity_slice(
        self: HoldsActivities[Kept_co], start: int | None = None, stop: int | None = None, rehydrate: bool = True
    ) -> list[Kept_co]:
        """Return the activities at the positions from ``start`` up to, not including, ``stop``.

        A position whose activity has left the activity storage, or whose group has none, is skipped, and the read goes
        on behind ``stop`` until as many as asked for are found, or the feed ends: a short page means the end. Two round
        trips at most where nothing is missing.

        :param rehydrate: ``False`` returns references as they are in the timeline

        >>> added = feed.add(Activity(13, Love, 42))
        >>> feed.get_activity_slice(0, 25)
        [Activity(loved) 13 42]
        >>> feed.get_activity_slice(0, 25, rehydrate=False)[0].dehydrated
        True
        """
        feed: Any = self
        if feed._wanted:
            criteria = filters.Criteria(feed._wanted, feed.activity_class)
            whole = [] if criteria.is_void else filters.read(feed, criteria, stop)[start or 0 :]
            dehydrate = not rehydrate and feed.timeline_storage.keeps_references
            return [activity.get_dehydrated() for activity in whole] if dehydrate else whole
        if not rehydrate:
            return feed._read(start, stop)
        hydrated, found = feed._read_page(start, stop)
        if stop is None:
            return hydrated
        wanted = stop - (start or 0)
        step = wanted
        while len(hydrated) < wanted and found == step:
            start, step = stop, max(wanted - len(hydrated), 25)
            stop = start + step
            more, found = feed._read_page(start, stop)
            hydrated += more
        return hydrated[:wanted]

    def needs_hydration(self, activities: Iterable[BaseActivity]) -> bool:
        """Return whether any of these is only a reference.

        >>> feed.needs_hydration([Activity(13, Love, 42)])
        False
        >>> feed.needs_hydration([Activity(13, Love, 42).get_dehydrated()])
        True
        """
        return any(activity.dehydrated for activity in activities)

    def hydrate_activities(self, activities: Iterable[Any]) -> list[Any]:
        """Put whole activities in the places of references, in groups too; one round trip.

        Those whose activity is gone are left out.

        >>> added = feed.add(Activity(13, Love, 42))
        >>> feed.hydrate_activities(feed.get_activity_slice(0, 25, rehydrate=False))
        [Activity(loved) 13 42]
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

    def filter(self, **kwargs: Any) -> Self:
        """Return a copy of the feed that shows only part of it; filters add up, and positions count what passes.

        :param kwargs: ``activity_id__gt``, ``activity_id__gte``, ``activity_id__lt``, ``activity_id__lte`` -> an id;
            on flat feeds ``verb`` -> a verb or its id, ``object_id`` and ``actor_id`` -> an id, or an object that has
            one; on notification feeds ``unseen`` and ``unread`` -> whether
        :raises ValueError: for another filter, or a value that can't be
        :raises TypeError: for a feed whose storage can't filter

        >>> added = feed.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> [last] = feed[1]
        >>> feed.filter(activity_id__lt=last.serialization_id)[:25], feed.filter(object_id=3)[:25]
        ([Activity(loved) 13 1], [Activity(loved) 13 3])
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
        filtered = copy.copy(self)
        filtered._wanted = filters.combine(self._wanted, wanted)
        filtered._filter_kwargs = filters.both_bounds(self._filter_kwargs, bounds, self.timeline_storage)
        return filtered

    def order_by(self, *args: str) -> Self:
        """Return a copy of the feed in another order.

        :param args: ``'activity_id'`` for oldest first, ``'-activity_id'`` for newest first
        :raises ValueError: for another order
        :raises TypeError: for a feed whose storage can't order

        >>> added = feed.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> feed.order_by('activity_id')[:2]
        [Activity(loved) 13 1, Activity(loved) 13 2]
        """
        if not self.ordering_supported:
            raise TypeError(f'{type(self).__name__} does not support ordering')
        self.timeline_storage.ascends(args)
        ordered = copy.copy(self)
        ordered._ordering_args = args
        return ordered

    #: Whether a slice of the feed is what its timeline holds, read by the library's hooks.
    reads_as_usual = unchanged(
        '__getitem__', 'get_activity_slice', 'needs_hydration', 'hydrate_activities', 'get_timeline_storage',
        'get_timeline_storage_options', 'get_activity_storage',
    )  # fmt: skip

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
        """Return what is at these positions, with whole activities; and how many entries were in the timeline."""
        if not self.timeline_storage.holds_references:
            return self._read_page_by_hooks(start, stop)
        return self.timeline_storage.get_page(
            self.whole_activities, self.key, start, stop, self._filter_kwargs, self._ordering_args
        )


def _is_empty(item: BaseActivity) -> bool:
    return isinstance(item, AggregatedActivity) and not item.dehydrated and not item.activities


def _position(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int):
        raise TypeError(f'{value!r} is no position in a feed: feeds are read by slices of ints, feed[0:25]')
    if value < 0:
        raise ValueError(f'{value} is no position in a feed: feeds are read from the start, by positions of 0 or more')
    return int(value)


__all__ = ['SlicedFeed']
