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
from stream_framework.aggregators.base import BaseAggregator
from stream_framework.exceptions import UpdateConflictError
from stream_framework.storage.base import Change, MarkChange, Pairs, Snapshot, call_all, iter_parts

#: How many feeds are read, and then written, at a time: bounds memory and what is in flight.
FEEDS_AT_A_TIME = 250
#: How often a feed that others keep changing is tried before giving up.
ATTEMPTS = 200


@dataclass(slots=True)
class Update:
    """What is to happen to one feed, and after :func:`run` what came of it."""

    feed: Any
    added: Sequence[Activity] = ()
    removed: Sequence[int] = ()
    trim: bool = True
    #: Changes a copy of each of the newest ``max_length`` groups; says whether it did.
    edit: Callable[[AggregatedActivity], bool] | None = None
    #: The newest groups as the caller knows them.
    hint: list[AggregatedActivity] | None = None
    #: The ids that attempts which were refused may have marked already.
    tried: set[str] = field(default_factory=set)
    #: The groups that the feed has got, ranked.
    result: list[AggregatedActivity] = field(default_factory=list)


@dataclass(slots=True)
class _Slot:
    """A group of the feed: as it is stored, as it was read, and as it is going to be (``None``: gone)."""

    entry: tuple[Any, Any]
    old: AggregatedActivity
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
    by_kind: dict[type, dict[str, Update]] = {}
    for update in updates:
        feeds = by_kind.setdefault(type(update.feed), {})
        key = update.feed.key
        feeds[key] = _joined(feeds[key], update) if key in feeds else update
    for feeds in by_kind.values():
        for part in iter_parts(list(feeds.values()), FEEDS_AT_A_TIME):
            _run_part(part)


def _joined(first: Update, second: Update) -> Update:
    # What is said last of an activity is what holds.
    to_id = first.feed.timeline_storage.activity_to_id
    adds = {to_id(activity): activity for activity in first.added}
    removes = dict.fromkeys(first.removed)
    for activity in second.added:
        adds[to_id(activity)] = activity
        removes.pop(to_id(activity), None)
    for activity_id in second.removed:
        removes[activity_id] = None
        adds.pop(activity_id, None)
    return Update(first.feed, list(adds.values()), list(removes), first.trim or second.trim)


def _run_part(updates: Sequence[Update]) -> None:
    storage = updates[0].feed.timeline_storage
    pending = list(updates)
    for attempt in range(ATTEMPTS):
        plans = _plans(storage, pending, first=attempt == 0)
        by_change = {id(plan.change): plan for plan in plans if plan.change is not None}
        changes = [plan.change for plan in plans if plan.change is not None]
        refused = {id(change) for change in (storage.apply_changes(changes) if changes else ())}
        written = [plan for plan in plans if plan.change is not None and id(plan.change) not in refused]
        _count(storage, written)
        call_all(functools.partial(_finish, plan) for plan in written)
        pending = [_tried(by_change[number]) for number in refused]
        if not pending:
            return
        # Of the writers that met, one got through: the others wait for a random while, longer each time.
        shortest, longest = storage.retry_waits
        time.sleep(random.random() * min(longest, shortest * 2 ** min(attempt, 10)))
    raise UpdateConflictError(
        f'feed {pending[0].feed.key!r}{f" and {len(pending) - 1} more" if len(pending) > 1 else ""}: other writers '
        f'changed it during each of {ATTEMPTS} attempts; run the same work again'
    )


def _plans(storage: Any, updates: Sequence[Update], first: bool) -> list[_Plan]:
    plans: list[_Plan] = []
    unread: list[Update] = []
    for update in updates:
        if first and update.hint is not None and not update.feed.guard_updates and not (update.removed or update.edit):
            plans.append(_hinted(storage, update))
        else:
            unread.append(update)
    for (length, names), group in _by_need(unread).items():
        keys = [update.feed.key for update in group]
        if names is None:
            snapshots = (storage.read_newest if first else storage.read_latest)(keys, length)
        else:
            snapshots = storage.read_groups(keys, length, names, latest=not first)
        for update, snapshot in zip(group, snapshots, strict=True):
            entries = snapshot.entries if names is None else storage.select_groups(snapshot.entries, names)
            plans.append(_Plan(update, snapshot, entries))
    # Followers often have the same groups, or none of those that are looked for: what becomes of them is found once.
    alike: dict[Any, list[_Plan]] = {}
    for plan in plans:
        alike.setdefault(_likeness(plan), []).append(plan)
    firsts = [same[0] for same in alike.values()]
    for plan in firsts:
        plan.slots += [_Slot.of(entry, storage.load_entry(plan.snapshot.key, entry)) for entry in plan.entries]
    _hydrate(firsts)
    for plan in firsts:
        _shrink(plan)
        _edit(plan)
        plan.difference = _grown(plan)
    for same in alike.values():
        for plan in same:
            plan.difference = same[0].difference
            _write(plan)
    return plans


def _likeness(plan: _Plan) -> Any:
    """What the difference depends on, the same for feeds that are alike; of its own where it may depend on the feed."""
    update, feed = plan.update, plan.update.feed
    if plan.slots or update.edit is not None or _looks_at_all(feed) or not feed.differs_by_groups():
        return id(plan)
    classes = feed.aggregator_class, feed.aggregated_activity_class, feed.activity_class
    work = tuple(map(id, update.added)), tuple(update.removed)
    likeness = (classes, feed.merge_max_length, work, tuple(plan.entries))
    try:
        hash(likeness)
    except TypeError:
        # Of rows.
        return id(plan)
    return likeness


def _by_need(updates: Iterable[Update]) -> dict[tuple[int, frozenset[str] | None], list[Update]]:
    """Updates by how many of the newest groups they need, and the names of those they may touch (``None``: any)."""
    needs: dict[tuple[int, frozenset[str] | None], list[Update]] = {}
    names: frozenset[str] | None
    for update in updates:
        feed = update.feed
        if update.removed or update.edit is not None:
            # What is to be removed may be in any group that the feed shows; what is added joins only the newest.
            length, names = max(feed.max_length, feed.merge_max_length), None
        elif _looks_at_all(feed):
            length, names = feed.merge_max_length, None
        else:
            group_name = feed.get_aggregator()._group_name
            length, names = feed.merge_max_length, frozenset([group_name(activity) for activity in update.added])
        needs.setdefault((length, names), []).append(update)
    return needs


def _hinted(storage: Any, update: Update) -> _Plan:
    groups = update.hint or []
    data = storage.serialize_activities(groups)
    snapshot = Snapshot(update.feed.key, list(data.items()))
    slots = [_Slot.of(entry, group) for entry, group in zip(data.items(), groups, strict=True)]
    return _Plan(update, snapshot, slots=slots)


def _looks_at_all(feed: Any) -> bool:
    # An application's own way of merging may look at any group, whole.
    aggregator, group = feed.aggregator_class, feed.aggregated_activity_class
    return (
        aggregator.merge is not BaseAggregator.merge
        or aggregator.group_activities is not BaseAggregator.group_activities
        or group.append is not AggregatedActivity.append
        or group.contains is not AggregatedActivity.contains
    )


def _hydrate(plans: Sequence[_Plan]) -> None:
    """Look up the activities that the groups which an update needs whole refer to, in one go."""
    incomplete: list[AggregatedActivity] = []
    for plan in plans:
        removed = set(plan.update.removed)
        everything = _looks_at_all(plan.update.feed)
        for slot in plan.slots:
            if slot.old.dehydrated and (everything or not removed.isdisjoint(slot.old.activity_ids)):
                incomplete.append(slot.old)
    if not incomplete:
        return
    feed = plans[0].update.feed
    wanted = [activity_id for group in incomplete for activity_id in group.activity_ids]
    whole = feed.activity_storage.get_map(wanted)
    for group in incomplete:
        # Ids are kept beside: an activity that is gone from the storage can still be taken out of its group.
        kept = list(group._activity_ids)
        group.get_hydrated(whole)
        group._activity_ids = kept


def _shrink(plan: _Plan) -> None:
    removed = set(plan.update.removed)
    to_id = plan.update.feed.timeline_storage.activity_to_id
    for slot in plan.slots if removed else ():
        group = slot.old
        stored = group._activity_ids or group.activity_ids
        if removed.isdisjoint(stored):
            continue
        left = [activity for activity in group.activities if to_id(activity) not in removed]
        if not left:
            slot.now = None
            continue
        slot.now = copy.copy(group)
        slot.now.activities = sorted(left)
        slot.now._activity_ids = []
        slot.now.updated_at = slot.now.last_activity.time
    for slot in plan.slots:
        if not slot.old.dehydrated:
            slot.old._activity_ids = []
    # What an application's own way of merging would find empty is left as it is.
    plan.slots = [slot for slot in plan.slots if slot.now is None or len(slot.now)]


def _edit(plan: _Plan) -> None:
    edit = plan.update.edit
    if edit is None:
        return
    for slot in plan.slots:
        edited = copy.copy(slot.now)
        if edited is not None and edit(edited):
            slot.now = edited


def _grown(plan: _Plan) -> _Difference | None:
    """The difference when all is merged; ``None`` if there is none."""
    update, feed = plan.update, plan.update.feed
    aggregator = feed.get_aggregator()
    new: list[AggregatedActivity] = []
    current = [slot.now for slot in plan.slots[: feed.merge_max_length] if slot.now is not None]
    merged: list[tuple[AggregatedActivity, AggregatedActivity]] = []
    deleted: list[AggregatedActivity] = []
    if update.added:
        new, pairs, deleted = aggregator.merge(current, update.added)
        merged = [(_among(current, old), updated) for old, updated in pairs]
        deleted = [_among(current, group) for group in deleted]
    grown = {id(old): updated for old, updated in merged}
    dropped = set(map(id, deleted))
    changed, gone = [], []
    for slot in plan.slots:
        now = slot.now
        if now is None or id(now) in dropped:
            gone.append(slot.old)
        elif (now := grown.get(id(now), now)) is not slot.old:
            changed.append((slot.old, now))
    # An aggregator's own way of merging may speak of groups that it knows from elsewhere.
    known = set(map(id, current))
    changed += [pair for pair in merged if id(pair[0]) not in known]
    gone += [group for group in deleted if id(group) not in known]
    if not (new or changed or gone):
        return None
    storage = feed.timeline_storage
    entries = {id(slot.old): slot.entry for slot in plan.slots}
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


def _among(current: Sequence[AggregatedActivity], group: AggregatedActivity) -> AggregatedActivity:
    """Which of the groups that were merged an aggregator speaks of: its own way of merging may return copies."""
    if any(group is one for one in current):
        return group
    return next((one for one in current if one.serialization_id == group.serialization_id), group)


def _write(plan: _Plan) -> None:
    update, feed, difference = plan.update, plan.update.feed, plan.difference
    snapshot = plan.snapshot if feed.guard_updates else None
    if difference is None:
        if snapshot is not None and feed.timeline_storage.repairs_marks:
            # What this call was to do may be done, but whoever did it may have been killed before the marks were right.
            change = Change(feed.key, snapshot=snapshot)
            feed.plan_marks(change, [], [], [])
            plan.change = change if change.lists is not None else None
        return
    update.result = difference.result
    rides, plan.trim_after = feed._trimming(update.trim, batched=True)
    plan.change = Change(
        feed.key,
        snapshot=snapshot,
        removed=difference.removed,
        added=difference.added,
        creates=bool(difference.new),
        trim_length=feed.max_length if rides else None,
    )
    feed.plan_marks(plan.change, difference.new, difference.changed, difference.gone)
    if update.tried:
        # Where marks and groups can't change in one step, an attempt that was refused has left marks of groups that
        # were never written: they go with this one.
        for marks in plan.change.marks.values():
            stale = update.tried.difference(mark.new_id for mark in marks if mark.new_id is not None)
            marks.append(MarkChange(tuple(sorted(stale)), None, renew=False))


def _tried(plan: _Plan) -> Update:
    if plan.change is not None:
        for marks in plan.change.marks.values():
            plan.update.tried.update(mark.new_id for mark in marks if mark.new_id is not None)
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
    if difference is not None and (difference.to_add or difference.to_remove):
        plan.update.feed._written(difference.to_add, difference.to_remove, None, plan.trim_after)


def mark_ids(group: AggregatedActivity) -> tuple[str, ...]:
    """The ids that a group may be marked under: its own, and the one that 1.4.0 would have used."""
    own = group.serialization_id
    legacy = ids.legacy_group_id(int(own))
    return (own,) if legacy is None else (own, ids.format_group_id(legacy))
