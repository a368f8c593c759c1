"""How groups change: read, merge, write only if what was read is still there, or else try again.

Many feeds (the followers in one chunk of a fan-out) are read in one go and written in one go. Only what a change
touches is looked at: of the newest groups, those that a new activity belongs to are parsed, the rest are compared as
they are; activities are looked up only to find the last one that is left in a group that shrinks.
"""

from __future__ import annotations

import copy
import functools
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.exceptions import UpdateConflictError
from stream_framework.storage.abilities import GuardsGroups
from stream_framework.storage.batch import call_all, iter_parts
from stream_framework.storage.changes import Change, MarkerChange, Pairs, Snapshot

#: How many feeds are read, and then written, at a time: bounds memory and what is in flight.
FEEDS_AT_A_TIME = 250
#: How often a feed that others keep changing is tried before giving up.
ATTEMPTS = 200


@dataclass(slots=True)
class Step:
    """One thing that is to happen to the groups of a feed; a fan-out has one step for all feeds of a chunk."""

    #: Activities that are sorted into groups.
    added: Sequence[Activity] = ()
    #: Ids of activities that are taken out of their groups.
    removed: frozenset[int] = frozenset()
    #: Ids of groups that go as a whole, in order.
    dropped: Sequence[str] = ()
    #: Changes a copy of each of the newest ``max_length`` groups; says whether it did.
    edit: Callable[[AggregatedActivity], bool] | None = None

    @property
    def only_adds(self) -> bool:
        """Whether it looks at no groups but those that activities may join."""
        return not (self.removed or self.dropped or self.edit)


@dataclass(slots=True)
class Update:
    """What is to happen to one feed, step by step, and after :func:`run` what came of it."""

    feed: Any
    steps: list[Step]
    trim: bool = True
    #: The newest groups as the caller knows them.
    hint: list[AggregatedActivity] | None = None
    #: Whether ``on_update_feed`` is called: not where groups only show other contents of the same activities.
    is_told: bool = True
    #: The ids that attempts which were refused may have marked already.
    tried: set[str] = field(default_factory=set)
    #: The groups that the feed has got, ranked.
    result: list[AggregatedActivity] = field(default_factory=list)
    #: What groups the feed's activities, for this attempt.
    aggregator: Any = None
    #: Whether it makes the same of the same for every feed of the class.
    merges_alike: bool = False

    @property
    def only_adds(self) -> bool:
        """Whether no step looks at groups but those that activities may join."""
        return all(step.only_adds for step in self.steps)


@dataclass(slots=True)
class _Slot:
    """A group: as it is stored, as it was read (``None``: it is new), as it is going to be (``None``: gone)."""

    entry: Any
    old: Any
    now: AggregatedActivity | None

    @classmethod
    def of(cls, entry: tuple[Any, Any], group: AggregatedActivity) -> _Slot:
        """Of a group that nothing has changed yet."""
        return cls(entry, group, group)


@dataclass(slots=True)
class _Difference:
    """What an update makes of the groups that it may touch."""

    new: list[AggregatedActivity]
    changed: list[tuple[AggregatedActivity, AggregatedActivity]]
    gone: list[AggregatedActivity]
    to_remove: list[AggregatedActivity]
    to_add: list[AggregatedActivity]
    #: The groups that the feed has got, ranked.
    result: list[AggregatedActivity]
    #: The entries that go, and id -> data of those that come.
    removed: Pairs
    added: dict[Any, Any]


@dataclass(slots=True)
class _Plan:
    """One attempt to change one feed."""

    update: Update
    snapshot: Snapshot
    #: The entries that the update may touch.
    entries: Pairs = field(default_factory=list)
    #: How many of the newest groups were asked for.
    length: int = 0
    slots: list[_Slot] = field(default_factory=list)
    difference: _Difference | None = None
    change: Change | None = None
    #: Whether the feed is to be trimmed when it has been written.
    trim_after: bool = False


def run(updates: Sequence[Update]) -> None:
    """Change feeds, one step for each feed, and tell each feed what came of it.

    Several updates of one feed become one. A bounded number of round trips for every 250 feeds: one to read, one to
    write; one more to look activities up where something is removed; two more for those that another writer has
    changed in between, again and again.

    :raises UpdateConflictError: if a feed was changed in between 200 times; the others are written
    """
    by_kind: dict[tuple[type, Any], dict[str, Update]] = {}
    for update in updates:
        storage = update.feed.timeline_storage
        kinds = [kind for kind in by_kind if kind[0] is type(update.feed) and kind[1].is_like(storage)]
        feeds = by_kind.setdefault(kinds[0] if kinds else (type(update.feed), storage), {})
        key = update.feed.key
        if key in feeds:
            feeds[key].steps += update.steps
            feeds[key].trim = feeds[key].trim or update.trim
        else:
            feeds[key] = update
    for feeds in by_kind.values():
        for part in iter_parts(list(feeds.values()), FEEDS_AT_A_TIME):
            _run_part(part)


def _run_part(updates: Sequence[Update]) -> None:
    storage = updates[0].feed.timeline_storage
    pending = list(updates)
    for attempt in range(ATTEMPTS):
        plans = _plans(storage, pending, first=attempt == 0)
        by_change = {id(plan.change): plan for plan in plans if plan.change is not None}
        changes = [plan.change for plan in plans if plan.change is not None]
        refused = {id(change) for change in (storage.apply_changes(changes) if changes else ())}
        written = [plan for plan in plans if plan.change is not None and id(plan.change) not in refused]
        if storage.writes_as_usual:
            # Else add_many() and remove_many() were called, which count for themselves.
            _count(storage, written)
        call_all(functools.partial(_finish, plan) for plan in written)
        pending = [note_attempt(by_change[number]) for number in refused]
        if not pending:
            return
        # Of the writers that met, one got through: the others wait for a random while, longer each time.
        shortest, longest = GuardsGroups.retry_waits if not isinstance(storage, GuardsGroups) else storage.retry_waits
        time.sleep(random.random() * min(longest, shortest * 2 ** min(attempt, 10)))
    raise UpdateConflictError(
        f'feed {pending[0].feed.key!r}{f" and {len(pending) - 1} more" if len(pending) > 1 else ""}: other writers '
        f'changed it during each of {ATTEMPTS} attempts; run the same work again'
    )


def _plans(storage: Any, updates: Sequence[Update], first: bool) -> list[_Plan]:
    plans: list[_Plan] = []
    for (length, names), group in _group_by_read(updates).items():
        keys = [update.feed.key for update in group]
        if names is not None:
            snapshots = storage.read_groups(keys, length, names, latest=not first)
        elif first or not isinstance(storage, GuardsGroups):
            snapshots = storage.read_newest(keys, length)
        else:
            snapshots = storage.read_latest(keys, length)
        for update, snapshot in zip(group, snapshots, strict=True):
            entries = snapshot.entries if names is None else storage.select_groups(snapshot.entries, names)
            plans.append(_Plan(update, snapshot, entries, length))
    # Followers often have the same groups, or none of those that are looked for: what becomes of them is found once.
    alike: dict[Any, list[_Plan]] = {}
    for plan in plans:
        alike.setdefault(_merge_key(plan), []).append(plan)
    firsts = [same[0] for same in alike.values()]
    for plan in firsts:
        update = plan.update
        if update.hint is not None and first and update.only_adds and not update.feed.guard_updates:
            plan.slots = _hinted(storage, update)
        else:
            plan.slots = [_Slot.of(*pair) for pair in update.feed.load_groups(plan.snapshot, plan.entries, plan.length)]
            if update.hint is not None and not update.only_adds:
                plan.slots = _looked_at(plan.slots, update.hint)
    _hydrate(firsts)
    for plan in firsts:
        plan.difference = _merge(plan)
    for same in alike.values():
        for plan in same:
            plan.difference = same[0].difference
            _write(plan)
    return plans


@dataclass(slots=True)
class _Kind:
    """What holds for all feeds of a class that share a storage; asked for once for all of them."""

    #: Whether only the groups that an activity may join have to be read.
    loads_by_name: bool
    #: What groups the activities of all of them, if the same is made of the same for each feed.
    aggregator: Any
    #: The id() of a step -> the names of the groups that it may touch.
    names: dict[int, frozenset[str] | None] = field(default_factory=dict)


def _kind_of(feed: Any, kinds: dict[Any, _Kind]) -> _Kind:
    # A single feed may have hooks of its own, as attributes.
    key = (type(feed), id(feed.timeline_storage), *vars(feed))
    if key not in kinds:
        aggregator = feed.get_aggregator() if feed.merges_alike else None
        stock = aggregator is not None and aggregator.is_stock
        kinds[key] = _Kind(feed.loads_by_name, aggregator if stock else None)
    return kinds[key]


def _merge_key(plan: _Plan) -> Any:
    """Key of a merge result: the same for feeds that hold the same stored texts; unique where the feed matters."""
    update = plan.update
    if not update.merges_alike or update.hint is not None or not update.only_adds:
        return id(plan)
    for _, data in plan.entries:
        if not isinstance(data, (str, bytes)):
            return id(plan)
    return type(update.feed), tuple([id(step) for step in update.steps]), tuple(plan.entries)


def _group_by_read(updates: Iterable[Update]) -> dict[tuple[int, frozenset[str] | None], list[Update]]:
    """Updates by how many of the newest groups they need, and the names of those they may touch (``None``: any)."""
    needs: dict[tuple[int, frozenset[str] | None], list[Update]] = {}
    kinds: dict[Any, _Kind] = {}
    for update in updates:
        feed = update.feed
        kind = _kind_of(feed, kinds)
        update.merges_alike = kind.aggregator is not None
        update.aggregator = kind.aggregator or feed.get_aggregator()
        names = None
        length = feed.merge_max_length
        if not update.only_adds:
            # What is to be removed may be in any group that the feed shows; what is added joins only the newest.
            length = max(feed.max_length, length)
        elif update.hint is None and kind.loads_by_name and len(update.steps) == 1:
            names = _names_of(update, kind)
        needs.setdefault((length, names), []).append(update)
    return needs


def _names_of(update: Update, kind: _Kind) -> frozenset[str] | None:
    [step] = update.steps
    if kind.aggregator is None:
        return update.aggregator.names_of(step.added)
    if id(step) not in kind.names:
        kind.names[id(step)] = kind.aggregator.names_of(step.added)
    return kind.names[id(step)]


def _hinted(storage: Any, update: Update) -> list[_Slot]:
    groups = update.hint or []
    data = storage.serialize_activities(groups)
    return [_Slot.of(entry, group) for entry, group in zip(data.items(), groups, strict=True)]


def _looked_at(slots: list[_Slot], hint: Sequence[AggregatedActivity]) -> list[_Slot]:
    """Return the groups that a hint speaks of, by their ids; those that have changed since, by their names."""
    there = {slot.old.serialization_id for slot in slots}
    hinted = {group.serialization_id for group in hint}
    stale = [group.group for group in hint if group.serialization_id not in there]
    return [slot for slot in slots if slot.old.serialization_id in hinted or slot.old.group in stale]


def _hydrate(plans: Sequence[_Plan]) -> None:
    """Look up the activities that the groups which an update needs whole refer to, in one go."""
    incomplete: list[AggregatedActivity] = []
    for plan in plans:
        steps = plan.update.steps
        removed: set[int] = set().union(*(step.removed for step in steps))
        # What is added by one step may be removed by the next: then any group may have to be whole.
        everything = not plan.update.feed.merges_references or (bool(removed) and any(step.added for step in steps))
        for slot in plan.slots:
            if slot.old.dehydrated and (everything or not removed.isdisjoint(slot.old.activity_ids)):
                incomplete.append(slot.old)
    if not incomplete:
        return
    feed = plans[0].update.feed
    wanted = [activity_id for group in incomplete for activity_id in group.activity_ids]
    whole = feed.whole_activities.get_map(wanted)
    for group in incomplete:
        # Ids are kept beside: an activity that is gone from the storage can still be taken out of its group.
        kept = list(group._activity_ids)
        group.get_hydrated(whole)
        group._activity_ids = kept


def _merge(plan: _Plan) -> _Difference | None:
    """Take the steps of an update one by one; ``None`` if they change nothing."""
    update = plan.update
    slots = plan.slots
    for step in update.steps:
        if step.dropped:
            _drop(slots, step.dropped)
        if step.removed:
            _take_out(slots, step.removed, update.feed.timeline_storage.activity_to_id)
        if not step.only_adds:
            # What an application's own way of merging would find empty is left as it is.
            kept = [slot for slot in slots if (slot.old is not None if slot.now is None else len(slot.now))]
            slots = sorted(kept, key=_order, reverse=True)
        if step.edit is not None:
            _edit(slots, step.edit)
        if step.added:
            slots = _add(slots, step.added, update)
    for slot in plan.slots:
        if not slot.old.dehydrated:
            slot.old._activity_ids = []
    return _difference(plan, slots)


def _take_out(slots: list[_Slot], removed: frozenset[int], to_id: Callable[[Any], Any]) -> None:
    for slot in slots:
        group = slot.now
        # An earlier step may have added to the group since its ids were kept beside.
        if group is None or removed.isdisjoint([*group._activity_ids, *group.activity_ids]):
            continue
        left = [activity for activity in group.activities if to_id(activity) not in removed]
        if not left:
            slot.now = None
            continue
        slot.now = copy.copy(group)
        slot.now.activities = sorted(left)
        slot.now._activity_ids = []
        slot.now.updated_at = slot.now.last_activity.time


def _drop(slots: list[_Slot], dropped: Sequence[str]) -> None:
    wanted = {ids.format_group_id(ids.normalize_id(group_id)) for group_id in dropped}
    for slot in slots:
        if slot.now is not None and not wanted.isdisjoint(mark_ids(slot.now)):
            slot.now = None


def _edit(slots: list[_Slot], edit: Callable[[AggregatedActivity], bool]) -> None:
    for slot in slots:
        edited = copy.copy(slot.now)
        if edited is not None and edit(edited):
            slot.now = edited


def _order(slot: _Slot) -> int:
    group = slot.old if slot.now is None else slot.now
    return ids.group_order(group.serialization_id)


def _add(slots: list[_Slot], added: Sequence[Activity], update: Update) -> list[_Slot]:
    feed, aggregator = update.feed, update.aggregator
    current = [slot.now for slot in slots if slot.now is not None][: feed.merge_max_length]
    new, pairs, deleted = aggregator.merge(current, added)
    by_group = {id(slot.now): slot for slot in slots if slot.now is not None}
    for old, updated in pairs:
        slot = by_group.get(id(_find_in(current, old)))
        if slot is not None:
            slot.now = updated
        else:
            # An aggregator's own way of merging may speak of groups that it knows from elsewhere.
            slots = [*slots, _Slot(None, old, updated)]
    for group in deleted:
        slot = by_group.get(id(_find_in(current, group)))
        if slot is not None:
            slot.now = None
        else:
            slots = [*slots, _Slot(None, group, None)]
    slots = slots + [_Slot(None, None, group) for group in new]
    return sorted(slots, key=_order, reverse=True) if len(update.steps) > 1 else slots


def _find_in(current: Sequence[AggregatedActivity], group: AggregatedActivity) -> AggregatedActivity:
    """Which of the groups that were merged an aggregator speaks of: its own way of merging may return copies."""
    if any(group is one for one in current):
        return group
    return next((one for one in current if one.serialization_id == group.serialization_id), group)


def _difference(plan: _Plan, slots: Sequence[_Slot]) -> _Difference | None:
    feed, aggregator = plan.update.feed, plan.update.aggregator
    new = [slot.now for slot in slots if slot.old is None and slot.now is not None]
    known = [slot for slot in slots if slot.old is not None]
    changed = [(slot.old, slot.now) for slot in known if slot.now is not None and slot.now is not slot.old]
    gone = [slot.old for slot in known if slot.now is None]
    if not (new or changed or gone):
        return None
    storage = feed.timeline_storage
    entries = {id(slot.old): slot.entry for slot in known}
    to_remove, to_add, result = feed.plan_diff(new, changed, gone)
    return _Difference(
        new,
        changed,
        gone,
        to_remove,
        to_add,
        aggregator.rank(result),
        removed=[entries.get(id(group)) or (storage.activity_to_id(group), None) for group in to_remove],
        added=storage.serialize_activities(to_add),
    )


def _write(plan: _Plan) -> None:
    update, feed, difference = plan.update, plan.update.feed, plan.difference
    snapshot = plan.snapshot if feed.guard_updates else None
    if difference is None:
        if snapshot is not None and getattr(feed.timeline_storage, 'repairs_markers', False):
            # What this call was to do may be done, but whoever did it may have been killed before the marks were right.
            change = Change(feed.key, snapshot=snapshot)
            feed.plan_markers(change, [], [], [])
            plan.change = change if change.lists is not None else None
        return
    update.result = difference.result
    mode = feed.trim_mode(update.trim)
    plan.trim_after = mode == 'after'
    plan.change = Change(
        feed.key,
        snapshot=snapshot,
        removed=difference.removed,
        added=difference.added,
        removed_groups=difference.to_remove,
        added_groups=difference.to_add,
        creates=bool(difference.new),
        trim_length=feed.max_length if mode == 'within' else None,
    )
    feed.plan_markers(plan.change, difference.new, difference.changed, difference.gone)
    if update.tried:
        # Where marks and groups can't change in one step, an attempt that was refused has left marks of groups that
        # were never written: they go with this one.
        for markers in plan.change.markers.values():
            stale = update.tried.difference(marker.new_id for marker in markers if marker.new_id is not None)
            markers.append(MarkerChange(tuple(sorted(stale)), None, renew=False))


def note_attempt(plan: _Plan) -> Update:
    """Remember the ids that a refused attempt may have marked."""
    if plan.change is not None:
        for markers in plan.change.markers.values():
            plan.update.tried.update(marker.new_id for marker in markers if marker.new_id is not None)
    return plan.update


def _count(storage: Any, plans: Sequence[_Plan]) -> None:
    """Tell the metrics how many groups were written, and how many went, the former states of those that changed too."""
    differences = [plan.difference for plan in plans if plan.difference is not None]
    added = sum(len(difference.to_add) for difference in differences)
    removed = sum(len(difference.to_remove) for difference in differences)
    if added or removed:
        metrics = storage.metrics
        if added:
            metrics.on_feed_write(type(storage), added)
        if removed:
            metrics.on_feed_remove(type(storage), removed)


def _finish(plan: _Plan) -> None:
    difference = plan.difference
    if difference is not None and plan.update.is_told and (difference.to_add or difference.to_remove):
        plan.update.feed._written(difference.to_add, difference.to_remove, None, plan.trim_after)


def mark_ids(group: AggregatedActivity) -> tuple[str, ...]:
    """The ids that a group may be marked under: its own, and the one that 1.4.0 would have used."""
    own = group.serialization_id
    legacy = ids.legacy_group_id(int(own))
    return (own,) if legacy is None else (own, ids.format_group_id(legacy))
