"""How activities become groups: which belong together, how groups are merged, in which order they are shown."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import pytz

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.exceptions import DuplicateActivityException, NotDefinedError
from stream_framework.utils.shortcuts import unchanged

Pair = tuple[AggregatedActivity, AggregatedActivity]

# Classes that keep what they have in ``__dict__``, as subclasses of an application need not.
_PLAIN = (AggregatedActivity, NotificationActivity)


class BaseAggregator:
    """Groups activities; subclasses say how, by :meth:`get_group` and :meth:`rank`.

    Counting: each distinct activity counts once. Adding again one that its group still keeps changes nothing; one
    that the group has dropped (it keeps the newest 15) can't be told from a new one, and may count again.

    :param aggregated_activity_class: the class of the groups, default the class attribute of that name
    :param activity_class: the class of the activities, default the class attribute of that name
    """

    #: The class of the groups that are made.
    aggregated_activity_class: type[AggregatedActivity] = AggregatedActivity
    #: The class of the activities in them.
    activity_class: type[Activity] = Activity
    #: The zone whose days the date in a group's name counts: "today" is the reader's day. A ``pytz`` zone.
    timezone: Any = pytz.utc

    def __init__(
        self,
        aggregated_activity_class: type[AggregatedActivity] | None = None,
        activity_class: type[Activity] | None = None,
    ) -> None:
        if aggregated_activity_class is not None:
            self.aggregated_activity_class = aggregated_activity_class
        if activity_class is not None:
            self.activity_class = activity_class

    def aggregate(self, activities: Iterable[Activity]) -> list[AggregatedActivity]:
        """Group activities.

        :param activities: in any order; duplicates count once
        :returns: the groups, ranked; inside each, activities in ascending order of id

        >>> from stream_framework.verbs import Love
        >>> [len(group) for group in RecentVerbAggregator().aggregate([Activity(1, Love, 1), Activity(1, Love, 2)])]
        [2]
        """
        return self.rank(list(self.group_activities(activities).values()))

    def merge(
        self, aggregated: Iterable[AggregatedActivity], activities: Iterable[Activity]
    ) -> tuple[list[AggregatedActivity], list[Pair], list[AggregatedActivity]]:
        """Sort activities into existing groups, and into new ones where there is none yet.

        :param aggregated: the groups that are there, newest first; they are not changed
        :param activities: in any order; those that their group keeps already are ignored
        :returns: ``(new, changed, deleted)``: new groups, ranked; pairs of an old group and its
            changed copy; an empty list

        >>> aggregator = RecentVerbAggregator()
        >>> [group] = aggregator.aggregate([Activity(1, Love, 42)])
        >>> new, changed, deleted = aggregator.merge([group], [Activity(2, Love, 43), Activity(2, Comment, 42)])
        >>> [group.verb.past_tense for group in new], [len(after) for before, after in changed]
        (['commented'], [2])
        """
        current: dict[str, AggregatedActivity] = {}
        for group in aggregated:
            current.setdefault(str(group.group), group)
        new: dict[str, AggregatedActivity] = {}
        changed: dict[str, AggregatedActivity] = {}
        self._sources = {}
        for group in self.aggregate(activities):
            name = str(group.group)
            if name not in current and name not in new:
                new[name] = group
                continue
            merged = new.get(name) or changed.get(name) or _copy(current[name])
            # What grouping them has dropped already may be among what the group that is there keeps: all of them join
            # it one by one, as they would have, had they come one by one.
            source = self._source_of(group)
            dropped = group.minimized_activities if source is None else 0
            joined = [_append(merged, activity) for activity in source or group.activities]
            if any(joined):
                merged.minimized_activities += dropped
                if name not in new:
                    changed[name] = merged
        self._sources = None
        return list(new.values()), [(current[name], group) for name, group in changed.items()], []

    #: While groups are merged: the id() of a group that was made -> it, and all that it was made of.
    _sources: dict[int, tuple[AggregatedActivity, list[Activity]]] | None = None

    def _source_of(self, group: AggregatedActivity) -> list[Activity] | None:
        """All that a group was made of; ``None`` if somebody else has made, or changed, it."""
        made, source = (self._sources or {}).get(id(group), (None, []))
        kept = len(group.activities)
        if made is not group or kept + group.minimized_activities != len(source):
            return None
        # By identity, since activities compare their ids only.
        return source if all(map(operator.is_, group.activities, source[len(source) - kept :])) else None

    def group_activities(self, activities: Iterable[Activity]) -> dict[Any, AggregatedActivity]:
        """Group activities, unranked.

        :returns: what :meth:`get_group` returned -> the group

        >>> grouped = RecentVerbAggregator().group_activities([Activity(1, Love, 42), Activity(2, Comment, 42)])
        >>> sorted(len(group) for group in grouped.values())
        [1, 1]
        """
        known, self._names = self._names or {}, None
        members: dict[str, list[Activity]] = {}
        names: dict[str, Any] = {}
        for activity in _distinct(activities):
            name = known[id(activity)] if id(activity) in known else self.get_group(activity)
            # Names that look alike when they are stored are one name.
            names.setdefault(str(name), name)
            members.setdefault(str(name), []).append(activity)
        groups: dict[Any, AggregatedActivity] = {}
        for text, of_group in members.items():
            group = groups[names[text]] = self.aggregated_activity_class(names[text])
            for activity in of_group:
                _append(group, activity)
            if self._sources is not None:
                self._sources[id(group)] = (group, of_group)
        return groups

    # What names_of() found for the activities that are to be merged next, by their id(): get_group() is called once.
    _names: dict[int, Any] | None = None

    def names_of(self, activities: Iterable[Activity]) -> frozenset[str] | None:
        """Return the names of the groups that activities belong to; ``None`` where merging may touch any group.

        >>> time = datetime.datetime(2013, 7, 8)
        >>> RecentVerbAggregator().names_of([Activity(1, Love, 42, time=time), Activity(2, Love, 43, time=time)])
        frozenset({'3-2013-07-08'})
        """
        if not self.merges_as_usual:
            return None
        self._names = {id(activity): self.get_group(activity) for activity in activities}
        return frozenset(map(str, self._names.values()))

    #: Whether merging touches only the groups that :meth:`get_group` names.
    merges_as_usual = unchanged('merge', 'aggregate', 'group_activities')
    #: Whether merging the same is the same each time: nothing of an application's own is called.
    is_stock: bool | unchanged = False

    def get_group(self, activity: Activity) -> Any:
        """The name of the group that an activity belongs to; subclasses define it.

        Activities of one name end in one group. What is stored, and read, is ``str()`` of it; ``;`` is reserved.

        >>> class ByObject(RecentRankMixin, BaseAggregator):
        ...     def get_group(self, activity):
        ...         return f'{activity.verb.id}-{activity.object_id}'
        >>> from stream_framework.verbs import Love
        >>> ByObject().get_group(Activity(1, Love, 42))
        '3-42'
        """
        raise NotDefinedError(f'{type(self).__name__} must define get_group(activity)')

    def rank(self, aggregated: list[AggregatedActivity]) -> list[AggregatedActivity]:
        """The groups in the order in which they are shown; subclasses define it.

        >>> class LargestFirst(RecentVerbAggregator):
        ...     def rank(self, aggregated):
        ...         return sorted(aggregated, key=len, reverse=True)
        >>> activities = [Activity(1, Comment, 42), Activity(1, Love, 42), Activity(2, Love, 43)]
        >>> [len(group) for group in LargestFirst().aggregate(activities)]
        [2, 1]
        """
        raise NotDefinedError(f'{type(self).__name__} must define rank(aggregated)')

    def _date(self, activity: Activity) -> str:
        if self.timezone is pytz.utc:
            return activity.time.date().isoformat()
        return pytz.utc.localize(activity.time).astimezone(self.timezone).date().isoformat()


class RecentRankMixin:
    """Ranks groups by their last update."""

    def rank(self, aggregated: list[AggregatedActivity]) -> list[AggregatedActivity]:
        """By ``updated_at``, newest first.

        >>> older = AggregatedActivity('older', updated_at=datetime.datetime(2013, 7, 8))
        >>> newer = AggregatedActivity('newer', updated_at=datetime.datetime(2013, 7, 9))
        >>> [group.group for group in RecentVerbAggregator().rank([older, newer])]
        ['newer', 'older']
        """
        return sorted(aggregated, key=lambda group: (group.updated_at, str(group.group)), reverse=True)


class RecentVerbAggregator(RecentRankMixin, BaseAggregator):
    """One group for each verb and day."""

    is_stock = unchanged('merge', 'aggregate', 'group_activities', 'get_group', 'rank')

    def get_group(self, activity: Activity) -> str:
        """``'<verb id>-<date>'``, the date in ISO form.

        >>> from stream_framework.verbs import Love
        >>> import datetime
        >>> RecentVerbAggregator().get_group(Activity(1, Love, 1, time=datetime.datetime(2013, 7, 8)))
        '3-2013-07-08'
        """
        return f'{activity.verb.id}-{self._date(activity)}'


class NotificationAggregator(RecentRankMixin, BaseAggregator):
    """One group for each verb, object and day: "anna and 3 others loved your pin"."""

    is_stock = unchanged('merge', 'aggregate', 'group_activities', 'get_group', 'rank')

    def get_group(self, activity: Activity) -> str:
        """``'<verb id>-<object id>-<date>'``, the date in ISO form.

        What the storage formats reserve in an object's id (``;`` and ``,``) is percent-encoded.

        >>> NotificationAggregator().get_group(Activity(1, Love, 42, time=datetime.datetime(2013, 7, 8)))
        '3-42-2013-07-08'
        """
        return f'{activity.verb.id}-{_quote(activity.object_id)}-{self._date(activity)}'


def _quote(value: Any) -> str:
    text = str(value)
    if isinstance(value, str):
        for character in '%;,':
            text = text.replace(character, f'%{ord(character):02X}')
    return text


def _distinct(activities: Iterable[Activity]) -> Sequence[Activity]:
    """The activities in ascending order of id, each once (the last given of those that share an id)."""
    by_id = {ids.normalize_id(activity.serialization_id): activity for activity in activities}
    return [by_id[key] for key in sorted(by_id)]


def _copy(group: AggregatedActivity) -> AggregatedActivity:
    if type(group) in _PLAIN:
        # What copy.copy() finds out each time: a fan-out copies a group for each follower.
        duplicate = type(group).__new__(type(group))
        duplicate.__dict__.update(group.__dict__)
    else:
        duplicate = copy.copy(group)
    duplicate.activities = list(group.activities)
    duplicate._activity_ids = list(group._activity_ids)
    return duplicate


def _append(group: AggregatedActivity, activity: Activity) -> bool:
    try:
        group.append(activity)
    except DuplicateActivityException:
        return False
    return True
