"""Feeds of groups: "12 and 3 others wrote to 845"."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity, DehydratedActivity
from stream_framework.aggregators.base import BaseAggregator, RecentVerbAggregator
from stream_framework.feeds.aggregated_feed import updates
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.fan_out import OF_EACH_FEED
from stream_framework.feeds.stored import as_list, of_ids, still_stored
from stream_framework.serializers.aggregated_activity_serializer import AggregatedActivitySerializer
from stream_framework.storage.batch import BaseBatch
from stream_framework.storage.changes import Change, Snapshot
from stream_framework.typing import ActivityId, HoldsGroups, Kept_co
from stream_framework.utils.shortcuts import shortcut, unchanged
from stream_framework.utils.tails import handed_on

Groups = list[AggregatedActivity]

# What adding and removing take, for the message about what they don't.
ADDED = ('activities', 'trim', 'current_activities', 'batch_interface')
REMOVED = ('activities', 'batch_interface', 'trim', 'current_activities')

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

    #: A group has no verb, object or actor of its own.
    criteria: ClassVar[tuple[str, ...]] = ()
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

    if TYPE_CHECKING:

        def __getitem__(self: HoldsGroups[Kept_co], item: slice | int) -> list[Kept_co]:  # type: ignore[override]
            """``feed[a:b]``, the last updated first; ``feed[i]`` is a list of at most one."""

        def get_activity_slice(  # type: ignore[override]
            self: HoldsGroups[Kept_co], start: int | None = None, stop: int | None = None, rehydrate: bool = True
        ) -> list[Kept_co]:
            """Return the groups at these positions."""

        def add(self, activity: Activity, *args: Any, **kwargs: Any) -> Groups:  # type: ignore[override]
            """Add one activity; see :meth:`add_many`."""

        def remove(  # type: ignore[override]
            self, activity_or_id: Activity | AggregatedActivity | ActivityId, *args: Any, **kwargs: Any
        ) -> Groups:
            """Remove an activity or a group; see :meth:`remove_many`."""

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """The keywords that the timeline storage is made with.

        >>> groups.get_timeline_storage_options()['aggregated_activity_class'].__name__
        'AggregatedActivity'
        """
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
        :raises TypeError: for a keyword that nobody reads

        >>> [group] = groups.add_many([Activity(actor, Love, 40 + actor) for actor in (1, 2, 3)])
        >>> group.group.startswith('3-'), groups[0][0].actor_ids
        (True, [1, 2, 3])
        """
        batch_interface = kwargs.pop('batch_interface', None)
        if args or kwargs:
            handed_on('add_many', ADDED, args, kwargs, (self, ('add_many', 'add')))
        activities = self._checked(activities)
        if not activities:
            return []
        if batch_interface is None:
            self._store(activities)
        if isinstance(batch_interface, BaseBatch):
            # They are merged when the batch is sent; what the caller does with them until then is for other feeds.
            activities = [_as_given(activity) for activity in activities]
        step = updates.Step(added=list(activities))
        return self._update(updates.Update(self, [step], trim=trim, hint=current_activities), batch_interface)

    @shortcut(*OF_EACH_FEED, 'add', 'add_many', plain='add_to_many_by_hooks')
    @classmethod
    def add_to_many(cls, user_ids: Iterable[Any], activities: Any, batch_interface: Any, trim: bool = True) -> None:
        """Add the same activities to the feeds of many users; see :meth:`~BaseFeed.add_to_many`.

        What feeds that hold the same groups get is found once for all of them.

        >>> activity = Activity(13, Love, 42)
        >>> groups.insert_activity(activity)
        >>> with groups.get_timeline_batch_interface() as batch:
        ...     groups.add_to_many([1, 2, 3], [activity], batch)
        >>> groups[:5][0].actor_ids
        [13]
        """
        feeds = [cls(user_id) for user_id in user_ids]
        if not feeds or not isinstance(batch_interface, BaseBatch):
            cls.add_to_many_by_hooks([feed.user_id for feed in feeds], activities, batch_interface, trim)
            return
        activities = feeds[0]._checked(activities)
        if activities:
            cls._update_many(feeds, updates.Step(added=list(activities)), batch_interface, trim)

    @shortcut(*OF_EACH_FEED, 'remove', 'remove_many', plain='remove_from_many_by_hooks')
    @classmethod
    def remove_from_many(
        cls, user_ids: Iterable[Any], activities: Any, batch_interface: Any, trim: bool = True
    ) -> None:
        """Remove the same activities from the feeds of many users; see :meth:`~BaseFeed.remove_from_many`.

        >>> activity = Activity(13, Love, 42)
        >>> added = groups.add(activity)
        >>> with groups.get_timeline_batch_interface() as batch:
        ...     groups.remove_from_many([1, 2, 3], [activity], batch)
        >>> groups[:5]
        []
        """
        feeds = [cls(user_id) for user_id in user_ids]
        if not feeds or not isinstance(batch_interface, BaseBatch):
            cls.remove_from_many_by_hooks([feed.user_id for feed in feeds], activities, batch_interface, trim)
            return
        step = feeds[0]._removal(as_list(activities))
        if not step.only_adds:
            cls._update_many(feeds, step, batch_interface, trim)

    @classmethod
    def _update_many(cls, feeds: list[Any], step: updates.Step, batch: BaseBatch, trim: bool) -> None:
        storage = feeds[0].timeline_storage
        for feed in feeds:
            feed.timeline_storage = storage
            batch.defer(updates.run, feed.key, updates.Update(feed, [step], trim=trim))

    def remove_many(  # type: ignore[override]
        self,
        activities: Any,
        batch_interface: Any = None,
        trim: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> Groups:
        """Take activities out of their groups, or whole groups out of the feed; looks within ``max_length``.

        :param activities: activities or their ids (an int, a UUID); groups or their ids (a str)
        :param batch_interface: queue instead
        :param trim: trim to ``max_length`` groups with probability ``trim_chance``
        :param current_activities: look at these groups only, as they are stored now
        :returns: the groups that became smaller, ranked; ``[]`` in a batch
        :raises UpdateConflictError: if other writers got in between too many times
        :raises TypeError: for a keyword that nobody reads

        >>> activities = [Activity(actor, Love, 40 + actor) for actor in (1, 2, 3)]
        >>> added = groups.add_many(activities)
        >>> smaller = groups.remove_many(activities[:1])
        >>> groups[0][0].actor_ids
        [2, 3]
        >>> removed = groups.remove_many(groups[:1])
        >>> groups.count()
        0
        """
        current_activities = kwargs.pop('current_activities', None)
        if args or kwargs:
            handed_on('remove_many', REMOVED, args, kwargs, (self, ('remove_many', 'remove')))
        step = self._removal(as_list(activities))
        if step.only_adds:
            return []
        return self._update(updates.Update(self, [step], trim=trim, hint=current_activities), batch_interface)

    def _removal(self, items: Any) -> updates.Step:
        """What to take out: a str is the id of a group, as its ``serialization_id`` is, or else of an activity."""
        to_id = self.timeline_storage.activity_to_id
        whole = [item for item in items if isinstance(item, AggregatedActivity)]
        removed = [to_id(item) for item in items if not isinstance(item, AggregatedActivity)]
        dropped = [item for item in items if isinstance(item, str)] + [group.serialization_id for group in whole]
        return updates.Step(removed=frozenset(removed), dropped=dropped)

    def update_many(self, activities: Iterable[Activity], batch_interface: Any = None) -> list[Activity]:
        """Replace activities in the groups that still keep them; all else of the groups stays as it is.

        Looks at the newest ``max_length`` groups. Those of references need no change. Parameters and result are as of
        :meth:`BaseFeed.update_many`.

        >>> activity = Activity(13, Love, 42)
        >>> added = groups.add(activity)
        >>> activity.extra_context['board'] = 'tea'
        >>> groups.update_many([activity, Activity(13, Love, 43)])
        [Activity(loved) 13 42]
        >>> groups[0][0].last_activity.extra_context
        {'board': 'tea'}
        """
        activities = self._checked(activities)
        to_id = self.timeline_storage.activity_to_id
        given = {to_id(activity): activity for activity in activities}
        held: set[int] = set()

        def edit(group: AggregatedActivity) -> bool:
            held.update(given.keys() & set(group.activity_ids))
            if group.dehydrated:
                return False
            kept = [given.get(to_id(activity), activity) for activity in group.activities]
            changes = any(new is not old for new, old in zip(kept, group.activities, strict=True))
            group.activities = kept
            return changes

        if not given or (batch_interface is not None and self.timeline_storage.keeps_references):
            return []
        self._update(updates.Update(self, [updates.Step(edit=edit)], trim=False, is_told=False), batch_interface)
        found = of_ids(activities, held, self.timeline_storage) if batch_interface is None else []
        if found and (stored := still_stored(self, found)):
            self._store(stored)
        return found

    def add_many_aggregated(self, aggregated: Iterable[AggregatedActivity], *args: Any, **kwargs: Any) -> Any:
        """Write groups as they are, beside what is there.

        :raises ValueError: for anything but instances of ``aggregated_activity_class``

        >>> from stream_framework.activity import AggregatedActivity
        >>> activity = Activity(13, Love, 42)
        >>> groups.insert_activity(activity)
        >>> group = AggregatedActivity('loves of 42')
        >>> group.append(activity)
        >>> added = groups.add_many_aggregated([group])
        >>> groups[0][0].group
        'loves of 42'
        """
        groups, args, kwargs = self._given_groups('add', aggregated, args, kwargs)
        if (collected := self._collected()) is not None:
            collected[2].extend(groups)
            return None
        return self.timeline_storage.add_many(self.key, groups, *args, **kwargs)

    def remove_many_aggregated(self, aggregated: Iterable[AggregatedActivity], *args: Any, **kwargs: Any) -> Any:
        """Remove groups as they were read.

        :raises ValueError: for anything but instances of ``aggregated_activity_class``

        >>> added = groups.add(Activity(13, Love, 42))
        >>> removed = groups.remove_many_aggregated(groups[:1])
        >>> groups.count()
        0
        """
        groups, args, kwargs = self._given_groups('remove', aggregated, args, kwargs)
        if (collected := self._collected()) is not None:
            collected[1].extend(groups)
            return None
        return self.timeline_storage.remove_many(self.key, groups, *args, **kwargs)

    def contains(self, activity: Activity | ActivityId) -> bool:
        """Return whether any group has an activity of the same verb, actor, object and target, at whatever time.

        "Has she loved this already?" Reads the newest ``max_length`` groups with their activities.

        :param activity: an activity, or the id of one. An id that no group has is looked up in the activity storage,
            where the feed has one, because only that tells what happened
        :raises ValueError: for anything else

        >>> activity = Activity(13, Love, 42)
        >>> added = groups.add(activity)
        >>> groups.contains(Activity(13, Love, 42)), groups.contains(activity.serialization_id), groups.contains(5)
        (True, True, False)
        """
        given: Any = activity
        if isinstance(given, Activity):
            return self._has_happened(given, self[: self.max_length])
        activity_id = ids.normalize_id(given.serialization_id if isinstance(given, DehydratedActivity) else given)
        groups = self[: self.max_length]
        if any(group.contains(activity_id) for group in groups):
            return True
        stored = None if self.activity_storage is None else self.activity_storage.get(activity_id)
        return stored is not None and self._has_happened(stored, groups)

    @staticmethod
    def _has_happened(activity: Activity, groups: Groups) -> bool:
        wanted = _what_happened(activity)
        return any(_what_happened(one) == wanted for group in groups for one in group.activities)

    def get_aggregator(self) -> BaseAggregator:
        """A new aggregator of this feed's class.

        >>> type(groups.get_aggregator()).__name__
        'RecentVerbAggregator'
        """
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
        return self._checked_groups(to_remove), self._checked_groups(to_add)

    def plan_markers(self, change: Change, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> None:
        """Put into a change what happens to the groups' marks; a hook for feeds that have some.

        >>> from stream_framework.storage.changes import Change
        >>> change = Change(groups.key)
        >>> groups.plan_markers(change, [], [], [])
        """

    def plan_diff_by_hooks(
        self, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups
    ) -> tuple[Groups, Groups, Groups]:
        """Collect what the feed's own :meth:`_update_from_diff` would write."""
        with self.collect() as (removed, added):
            result = self._update_from_diff(new, changed, deleted)
        return removed, added, result

    @shortcut('_update_from_diff', 'add_many_aggregated', 'remove_many_aggregated', plain='plan_diff_by_hooks')
    def plan_diff(self, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> tuple[Groups, Groups, Groups]:
        """``(to_remove, to_add, result)``: what :meth:`_update_from_diff` would write, and what it returns.

        >>> [group] = groups.add(Activity(13, Love, 42))
        >>> groups.plan_diff([group], [], []) == ([], [group], [group])
        True
        """
        to_remove, to_add = self._translate_diff(new, changed, deleted)
        return to_remove, to_add, to_add

    def load_groups_by_hooks(
        self, snapshot: Snapshot, entries: Any, length: int
    ) -> list[tuple[tuple[Any, Any], AggregatedActivity]]:
        """Read groups through the feed's own slices, and find their entries."""
        by_id = {}
        for entry in snapshot.entries:
            by_id[self.timeline_storage.load_entry(snapshot.key, entry).serialization_id] = entry
        unfiltered = copy.copy(self)
        unfiltered._filter_kwargs, unfiltered._ordering_args, unfiltered._wanted = {}, (), {}
        groups = unfiltered[:length]
        return [(by_id.get(group.serialization_id, (group.serialization_id, None)), group) for group in groups]

    @shortcut(
        '__getitem__', 'get_activity_slice', 'needs_hydration', 'hydrate_activities', plain='load_groups_by_hooks'
    )
    def load_groups(
        self, snapshot: Snapshot, entries: Any, length: int
    ) -> list[tuple[tuple[Any, Any], AggregatedActivity]]:
        """The groups of some entries of a snapshot, as they are stored, each with its entry.

        >>> added = groups.add(Activity(13, Love, 42))
        >>> [snapshot] = groups.timeline_storage.read_newest([groups.key], 20)
        >>> [(entry, group)] = groups.load_groups(snapshot, snapshot.entries, 20)
        >>> group.activity_count
        1
        """
        storage = self.timeline_storage
        if not storage.reads_as_usual:
            return self.load_groups_by_hooks(snapshot, entries, length)
        return [(entry, storage.load_entry(snapshot.key, entry)) for entry in entries]

    _loads_as_usual = unchanged('__getitem__', 'get_activity_slice', 'needs_hydration', 'hydrate_activities')
    _finds_differences_as_usual = unchanged(
        'get_aggregator', 'plan_diff', '_translate_diff', '_update_from_diff', 'add_many_aggregated',
        'remove_many_aggregated', 'on_update_feed',
    )  # fmt: skip

    @property
    def merges_references(self) -> bool:
        """Whether merging needs no whole activities, since no hook of an application looks at them.

        >>> groups.merges_references
        True
        """
        return self._loads_as_usual and self.aggregated_activity_class.merges_references

    @property
    def loads_by_name(self) -> bool:
        """Whether only the groups that an activity may join have to be read.

        >>> groups.loads_by_name
        True
        """
        storage = self.timeline_storage
        return (
            self.merges_references
            and storage.reads_as_usual
            and storage.writes_as_usual
            and storage.serializer.reads_as_usual
        )

    @property
    def merges_alike(self) -> bool:
        """Whether what an update makes of groups is the same for all feeds of the class, and no hook is given it.

        >>> groups.merges_alike
        True
        """
        return self.loads_by_name and self._finds_differences_as_usual and self.timeline_storage.serializes_once

    @contextlib.contextmanager
    def collect(self) -> Iterator[tuple[Groups, Groups]]:
        """While the block runs, this feed's groups to remove and to add are collected instead of written.

        >>> [group] = groups.add(Activity(13, Love, 42))
        >>> with groups.collect() as (removed, added):
        ...     groups.remove_many_aggregated([group])
        >>> len(removed), groups.count()
        (1, 1)
        """
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
            batch_interface.defer(updates.run, self.key, update)
            return []
        updates.run([update])
        return update.result

    def _given_groups(
        self, verb: str, aggregated: Iterable[AggregatedActivity], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Groups, tuple[Any, ...], dict[str, Any]]:
        """Return what was given to ``add_many_aggregated`` or ``remove_many_aggregated``, checked."""
        if args or kwargs:
            method, hook = f'{verb}_many_aggregated', 'add_to_storage' if verb == 'add' else 'remove_from_storage'
            over, under = (self, (method,)), (self.timeline_storage, (f'{verb}_many', hook))
            args, kwargs = handed_on(method, ('aggregated', 'batch_interface'), args, kwargs, over, under)
        return self._checked_groups(aggregated), args, kwargs

    def _checked_groups(self, aggregated: Iterable[AggregatedActivity]) -> Groups:
        groups = list(aggregated)
        for group in groups:
            if not isinstance(group, self.aggregated_activity_class):
                raise ValueError(
                    f'feed {self.key!r} holds {self.aggregated_activity_class.__name__}, '
                    f'not {type(group).__name__}: {group!r} can not be written'
                )
        return groups


def _as_given(activity: Any) -> Any:
    """An activity as it is now, whatever happens to it later."""
    kept = copy.copy(activity)
    if getattr(kept, 'extra_context', None):
        kept.extra_context = copy.deepcopy(kept.extra_context)
    return kept


def _what_happened(activity: Activity) -> tuple[Any, ...]:
    """Verb, actor, object and target, with the types of the ids: 17 is not '17'."""
    parts = (activity.actor_id, activity.object_id, activity.target_id)
    return activity.verb.id, *[(_kind(part), part) for part in parts]


def _kind(value: Any) -> type:
    return next((kind for kind in (int, str, uuid.UUID) if isinstance(value, kind)), type(value))
