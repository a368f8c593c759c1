"""Reading timelines: what a page needs, whatever the backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from stream_framework import ids
from stream_framework.activity import Activity, BaseActivity
from stream_framework.exceptions import InvalidIdError, NotDefinedError
from stream_framework.serializers.base import BaseAggregatedSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.changes import Pairs
from stream_framework.storage.serializing import BaseStorage
from stream_framework.typing import ActivityId, Filters, Ordering
from stream_framework.utils.shortcuts import unchanged

#: The filters that every timeline understands.
FILTERS = ('activity_id__gt', 'activity_id__gte', 'activity_id__lt', 'activity_id__lte')
#: The orders that every timeline understands; the second is the default.
ORDERINGS = ('activity_id', '-activity_id')

_ALL_INTS = frozenset({int})


class GivesActivities(Protocol):
    """An activity storage, as far as pages need it."""

    def get_map(self, activity_ids: Iterable[int]) -> dict[int, Activity]:
        """Return id -> activity."""


class ReadsTimelines(BaseStorage):
    """The part of a timeline storage that reads; see :class:`~stream_framework.storage.base.BaseTimelineStorage`."""

    #: Whether reading goes by the library's own hooks: else feeds call the hooks, one by one.
    reads_as_usual = unchanged('get_slice', 'get_slice_from_storage', 'deserialize_activities')

    @property
    def holds_groups(self) -> bool:
        """Whether the entries are groups of activities, which sort as :func:`stream_framework.ids.group_order` says."""
        return isinstance(self.serializer, BaseAggregatedSerializer)

    @property
    def holds_references(self) -> bool:
        """Whether entries are ids and nothing else, read by no hook of a subclass: :meth:`get_ids` will do."""
        return self.reads_as_usual and self.serializer.holds_references

    @property
    def keeps_references(self) -> bool:
        """Whether entries hold only ids, so that there is nothing to replace in them."""
        return isinstance(self.serializer, SimpleTimelineSerializer) or getattr(self.serializer, 'dehydrate', False)

    def order(self, activity_id: ActivityId) -> int:
        """Return the number that an entry of this id sorts by."""
        return ids.group_order(activity_id) if self.holds_groups else ids.normalize_id(activity_id)

    def get_slice(
        self,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Filters | None = None,
        ordering_args: Ordering | None = None,
    ) -> list[Any]:
        """Return the entries from ``start`` up to, not including, ``stop``; newest first.

        :param filter_kwargs: ``activity_id__gt``, ``__gte``, ``__lt``, ``__lte`` -> an id; positions count what passes
        :param ordering_args: ``('activity_id',)`` for oldest first
        :raises SerializationException: naming key and id of an entry that can't be read
        """
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)):
            pairs = self.get_slice_from_storage(
                key, start, stop, filter_kwargs=filter_kwargs, ordering_args=ordering_args
            )
        activities = self.load_all(key, pairs or ())
        metrics.on_feed_read(type(self), len(activities))
        return activities

    def get_ids(
        self,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Filters | None = None,
        ordering_args: Ordering | None = None,
    ) -> list[int]:
        """Return what :meth:`get_slice` returns, as ids; for storages that hold references. One round trip."""
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)):
            pairs = self.get_slice_from_storage(
                key, start, stop, filter_kwargs=filter_kwargs, ordering_args=ordering_args
            )
        found = [data for _, data in pairs or ()]
        if not _ALL_INTS.issuperset(map(type, found)):
            found = [reference.serialization_id for reference in self.load_many(key, pairs)]
        metrics.on_feed_read(type(self), len(found))
        return found

    def get_page(
        self,
        activity_storage: GivesActivities,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Filters | None = None,
        ordering_args: Ordering | None = None,
    ) -> tuple[list[Activity], int]:
        """Return a slice with whole activities instead of references; for storages that hold references.

        :param activity_storage: where the activities are
        :returns: those that are there, and how many references there were
        """
        activity_ids = self.get_ids(key, start, stop, filter_kwargs=filter_kwargs, ordering_args=ordering_args)
        whole = activity_storage.get_map(activity_ids) if activity_ids else {}
        return list(whole.values()), len(activity_ids)

    @property
    def chooses_by_id(self) -> bool:
        """Whether entries can be chosen by their ids before activities are read: :meth:`get_chosen` will do."""
        return self.reads_as_usual and not self.holds_groups and (self.holds_references or not self.keeps_references)

    def get_chosen(
        self,
        activity_storage: GivesActivities | None,
        key: str,
        length: int,
        choose: Callable[[list[int]], list[int]],
        filter_kwargs: Filters | None = None,
        ordering_args: Ordering | None = None,
    ) -> tuple[list[int], list[Activity]]:
        """Read the ids of the first entries, and those of the activities that are chosen by them.

        :param activity_storage: where the activities are; ``None`` if the entries themselves are whole
        :param length: how many entries are looked at
        :param choose: returns some of the ids that it is given, in their order
        :returns: all the ids, and the chosen activities that are there
        """
        if activity_storage is not None:
            activity_ids = self.get_ids(key, 0, length, filter_kwargs=filter_kwargs, ordering_args=ordering_args)
            chosen = choose(activity_ids)
            return activity_ids, list(activity_storage.get_map(chosen).values()) if chosen else []
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)):
            found = self.get_slice_from_storage(
                key, 0, length, filter_kwargs=filter_kwargs, ordering_args=ordering_args
            )
        pairs = {ids.normalize_id(activity_id): (activity_id, data) for activity_id, data in found or ()}
        metrics.on_feed_read(type(self), len(pairs))
        return list(pairs), self.load_all(key, map(pairs.__getitem__, choose(list(pairs))))

    def index_of(self, key: str, activity_or_id: BaseActivity | ActivityId) -> int:
        """Return the position of an entry, 0 for the newest.

        :raises ValueError: if it isn't there
        """
        [activity_id] = self.activities_to_ids([activity_or_id])
        return self.get_index_of(key, activity_id)

    def contains(self, key: str, activity_or_id: BaseActivity | ActivityId) -> bool:
        """Return whether an entry is there. One round trip."""
        try:
            self.index_of(key, activity_or_id)
        except InvalidIdError:
            raise
        except ValueError:
            return False
        return True

    def bounds(self, filter_kwargs: Filters | None) -> tuple[int | None, int | None]:
        """Return the lowest and the highest :meth:`order` number that passes filters; ``None`` for no bound.

        :raises ValueError: for a filter that isn't one of ``FILTERS``, or a value that is no id
        """
        low: int | None = None
        high: int | None = None
        for name, value in (filter_kwargs or {}).items():
            if name not in FILTERS:
                raise ValueError(f'feeds can not be filtered by {name!r}: use one of {", ".join(FILTERS)}')
            number = self.order(self.activity_to_id(value))
            if name.startswith('activity_id__g'):
                number += name == 'activity_id__gt'
                low = number if low is None else max(low, number)
            else:
                number -= name == 'activity_id__lt'
                high = number if high is None else min(high, number)
        return low, high

    def ascends(self, ordering_args: Iterable[str] | None) -> bool:
        """Return whether the oldest comes first.

        :raises ValueError: for an order that isn't one of ``ORDERINGS``
        """
        ascending = False
        for name in ordering_args or ():
            if name not in ORDERINGS:
                raise ValueError(f'feeds can not be ordered by {name!r}: use one of {", ".join(map(repr, ORDERINGS))}')
            ascending = name == 'activity_id'
        return ascending

    def get_slice_from_storage(
        self,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Filters | None = None,
        ordering_args: Ordering | None = None,
    ) -> Pairs:
        """Return pairs ``(id, data)``; parameters as of :meth:`get_slice`."""
        raise NotDefinedError(f'{type(self).__name__} must define get_slice_from_storage(key, start, stop)')

    def get_index_of(self, key: str, activity_id: int) -> int:
        """Return the position of an id, 0 for the newest; ``ValueError`` if it isn't there."""
        raise NotDefinedError(f'{type(self).__name__} must define get_index_of(key, activity_id)')

    def count(self, key: str) -> int:
        """Count the entries."""
        raise NotDefinedError(f'{type(self).__name__} must define count(key)')


__all__ = ['FILTERS', 'ORDERINGS', 'ReadsTimelines']
