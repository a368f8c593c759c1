"""Feeds of groups: "12 and 3 others wrote to 845"."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Iterable, Iterator
from typing import Any

from stream_framework.activity import AggregatedActivity
from stream_framework.aggregators.base import BaseAggregator, RecentVerbAggregator
from stream_framework.feeds.aggregated_feed import updates
from stream_framework.feeds.base import BaseFeed, _as_list
from stream_framework.serializers.aggregated_activity_serializer import AggregatedActivitySerializer
from stream_framework.storage.base import BaseBatch, Change, methods, uses

Groups = list[AggregatedActivity]

# While an update is planned, what the feed would write is collected here instead: (feed, removed, added).
_collecting: contextvars.ContextVar[tuple[Any, Groups, Groups] | None] = contextvars.ContextVar(
    'collecting', default=None
)


class AggregatedFeed(BaseFeed):
    """Groups of activities, the last updated first.

    A write reads the newest groups, merges, and writes the difference only if what it read is still there, or else
    tries again, so that concurrent writers lose nothing: see :mod:`stream_framework.feeds.aggregated_feed.updates`.

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
    >>> from stream_framework.verbs import Love
    >>> feed = AggregatedFeed('a doctest')
    >>> groups = feed.add_many([Activity(actor, Love, actor + 10) for actor in (1, 2, 3)])
    >>> [(group.actor_ids, group.activity_count) for group in feed[:10]]
    [([1, 2, 3], 3)]
    >>> feed.delete()
    """

    #: How activities are grouped and ranked.
    aggregator_class: type[BaseAggregator] = RecentVerbAggregator
    #: What the groups are.
    aggregated_activity_class: type[AggregatedActivity] = AggregatedActivity
    #: How many of the newest groups a new activity may join; in a deeper one's place a new group starts.
    merge_max_length: int = 20
    timeline_serializer: Any = AggregatedActivitySerializer
    #: Whether a write depends on what it was merged with being there still. Turn it off only for feeds that a single
    #: writer changes: it saves a comparison in the server.
    guard_updates: bool = True

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """The keywords that the timeline storage is made with."""
        options = super().get_timeline_storage_options()
        options['aggregated_activity_class'] = cls.aggregated_activity_class
        return options

    def add_many(  # type: ignore[override]
        self,
        activities: Any,
        trim: bool = True,
        current_activities: Groups | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Groups:
        """Sort activities into the groups of the feed.

        :param activities: instances of ``activity_class``; those that their group keeps already change nothing
        :param trim: trim to ``max_length`` groups with probability ``trim_chance``
        :param current_activities: the newest groups, if you have just read them. A hint: it spares an unguarded feed
            the reading; a guarded one checks against the store what it writes, so it reads in any case
        :param batch_interface: queue instead; reading, merging and writing happen when the batch is sent
        :returns: the new and the changed groups, ranked, perhaps dehydrated; ``[]`` in a batch
        :raises UpdateConflictError: if other writers got in between too many times
        """
        batch_interface = kwargs.pop('batch_interface', None)
        activities = self._checked(activities)
        if not activities:
            return []
        if batch_interface is None:
            self._store(activities)
        update = updates.Update(self, added=list(activities), trim=trim, hint=current_activities)
        return self._update(update, batch_interface)

    def remove_many(  # type: ignore[override]
        self, activities: Any, batch_interface: Any = None, trim: bool = True, *args: Any, **kwargs: Any
    ) -> Groups:
        """Take activities out of their groups, wherever those stand within ``max_length``.

        :param activities: activities or ids
        :param batch_interface: queue instead
        :param trim: trim to ``max_length`` groups with probability ``trim_chance``
        :returns: the groups that became smaller, ranked; ``[]`` in a batch
        :raises UpdateConflictError: if other writers got in between too many times
        """
        removed = self.timeline_storage.activities_to_ids(_as_list(activities))
        if not removed:
            return []
        return self._update(updates.Update(self, removed=removed, trim=trim), batch_interface)

    def add_many_aggregated(self, aggregated: Iterable[AggregatedActivity], *args: Any, **kwargs: Any) -> Any:
        """Write groups as they are, beside what is there.

        :raises ValueError: for anything but instances of ``aggregated_activity_class``
        """
        groups = self._checked_groups(aggregated)
        if (collected := self._collected()) is not None:
            collected[2].extend(groups)
            return None
        return self.timeline_storage.add_many(self.key, groups, *args, **kwargs)

    def remove_many_aggregated(self, aggregated: Iterable[AggregatedActivity], *args: Any, **kwargs: Any) -> Any:
        """Remove groups as they were read.

        :raises ValueError: for anything but instances of ``aggregated_activity_class``
        """
        groups = self._checked_groups(aggregated)
        if (collected := self._collected()) is not None:
            collected[1].extend(groups)
            return None
        return self.timeline_storage.remove_many(self.key, groups, *args, **kwargs)

    def contains(self, activity: Any) -> bool:
        """Whether one of the feed's newest ``max_length`` groups keeps this activity, given itself or by its id."""
        activity_id = self.timeline_storage.activity_to_id(activity)
        groups = self.get_activity_slice(0, self.max_length, rehydrate=False)
        return any(activity_id in group.activity_ids for group in groups)

    def get_aggregator(self) -> BaseAggregator:
        """A new aggregator of this feed's class."""
        return self.aggregator_class(self.aggregated_activity_class, self.activity_class)

    def _update_from_diff(self, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> Groups:
        """Write a difference that the aggregator found; returns the groups that the feed has got by it."""
        to_remove, to_add = self._translate_diff(new, changed, deleted)
        if to_remove:
            self.remove_many_aggregated(to_remove)
        if to_add:
            self.add_many_aggregated(to_add)
        return to_add

    def _translate_diff(self, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> tuple[Groups, Groups]:
        """``(to_remove, to_add)``: a changed group's old form goes, its new form comes."""
        to_remove = list(deleted) + [old for old, _ in changed]
        to_add = list(new) + [updated for _, updated in changed]
        return to_remove, to_add

    def plan_marks(self, change: Change, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> None:
        """Put into a change what happens to the groups' marks; a hook for feeds that have some."""

    def plan_diff(self, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> tuple[Groups, Groups, Groups]:
        """``(to_remove, to_add, result)``: what :meth:`_update_from_diff` would write, and what it returns."""
        if _writes_as_usual(type(self)):  # type: ignore[arg-type]
            to_remove, to_add = self._translate_diff(new, changed, deleted)
            return to_remove, self._checked_groups(to_add), to_add
        with self.collect() as (removed, added):
            result = self._update_from_diff(new, changed, deleted)
        return removed, added, result

    def differs_by_groups(self) -> bool:
        """Whether what an update makes of groups is the same for all feeds of the class, and no hook is given it."""
        return uses(self, _DIFFERENCE)

    @contextlib.contextmanager
    def collect(self) -> Iterator[tuple[Groups, Groups]]:
        """While the block runs, this feed's groups to remove and to add are collected instead of written."""
        removed: Groups = []
        added: Groups = []
        token = _collecting.set((self, removed, added))
        try:
            yield removed, added
        finally:
            _collecting.reset(token)

    def _collected(self) -> tuple[Any, Groups, Groups] | None:
        collected = _collecting.get()
        return collected if collected is not None and collected[0] is self else None

    def _update(self, update: updates.Update, batch_interface: Any) -> Groups:
        if isinstance(batch_interface, BaseBatch):
            batch_interface.defer(updates.run, update)
            return []
        updates.run([update])
        return update.result

    def _checked_groups(self, aggregated: Iterable[AggregatedActivity]) -> Groups:
        groups = list(aggregated)
        for group in groups:
            if not isinstance(group, self.aggregated_activity_class):
                raise ValueError(
                    f'feed {self.key!r} holds {self.aggregated_activity_class.__name__}, '
                    f'not {type(group).__name__}: {group!r} can not be written'
                )
        return groups


@functools.lru_cache(maxsize=1024)
def _writes_as_usual(feed_class: type[AggregatedFeed]) -> bool:
    # An application may do more than that, so its methods are called, and what they write is collected.
    names = ('_update_from_diff', 'add_many_aggregated', 'remove_many_aggregated')
    return all(getattr(feed_class, name) is getattr(AggregatedFeed, name) for name in names)


# What finds differences, or is told of them.
_DIFFERENCE = methods(
    AggregatedFeed,
    'get_aggregator',
    'plan_diff',
    '_translate_diff',
    '_update_from_diff',
    'add_many_aggregated',
    'remove_many_aggregated',
    '_checked_groups',
    'on_update_feed',
)
