"""The activities that a group keeps: whole, or as ids only; in ascending order of id."""

from __future__ import annotations

import datetime
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stream_framework import ids
from stream_framework.exceptions import ActivityNotFound, DuplicateActivityException
from stream_framework.group_summary import GroupSummary, Happening, Member

if TYPE_CHECKING:
    from typing_extensions import Self


class GroupMembers(GroupSummary[Member]):
    """The part of a group that keeps activities; see :class:`~stream_framework.activity.AggregatedActivity`."""

    max_aggregated_activities_length: int
    group: Any
    created_at: datetime.datetime | None
    dehydrated: bool
    _activity_ids: list[int]

    @staticmethod
    def _id_of(activity: object) -> int:
        """Return the id of an activity, or an id."""
        raise NotImplementedError

    def get_dehydrated(self) -> Self:
        """Keep only the ids of the activities; change and return this very object.

        :raises ValueError: if that is done already

        >>> group = AggregatedActivity('loves', [Activity(13, Love, 42)])
        >>> group.get_dehydrated().dehydrated, group.activities, len(group)
        (True, [], 1)
        """
        if self.dehydrated:
            raise ValueError(f'{self!r} is dehydrated already')
        self._activity_ids = ids_of(self.activities)
        self.activities = []
        self.dehydrated = True
        return self

    def get_hydrated(self, activities: Mapping[int, Member]) -> Self:
        """Put the activities in place of their ids; change and return this very object.

        :param activities: id -> activity; one that is missing (removed from the activity storage) is skipped
        :raises ValueError: if the group is hydrated

        >>> activity = Activity(13, Love, 42)
        >>> group = AggregatedActivity('loves', [activity]).get_dehydrated()
        >>> group.get_hydrated({activity.serialization_id: activity}).activities
        [Activity(loved) 13 42]
        """
        if not self.dehydrated:
            raise ValueError(f'{self!r} is hydrated already')
        self.activities = [activities[key] for key in self._activity_ids if key in activities]
        self._activity_ids = []
        self.dehydrated = False
        return self

    def __len__(self) -> int:
        return len(self._activity_ids) if self.dehydrated else len(self.activities)

    @property
    def activity_ids(self) -> list[int]:
        """The ids of the activities that the group keeps, ascending.

        >>> time = datetime.datetime(2013, 7, 8, 6, 59, 15)
        >>> AggregatedActivity('loves', [Activity(13, Love, 42, time=time)]).activity_ids
        [13732667550000000000042003]
        """
        if self.dehydrated:
            return list(self._activity_ids)
        return ids_of(self.activities)

    def contains(self, activity: Member | int | uuid.UUID) -> bool:
        """Return whether the group keeps this activity, given itself or by its id.

        :raises ValueError: for anything else

        >>> activity = Activity(13, Love, 42)
        >>> AggregatedActivity('loves', [activity]).contains(activity)
        True
        """
        return self._id_of(activity) in self.activity_ids

    def append(self, activity: Member) -> None:
        """Add an activity where its id belongs; drop the one with the lowest id if there are too many then.

        A dehydrated group gets the id.

        :raises DuplicateActivityException: if the group keeps it already

        >>> group = AggregatedActivity('loves')
        >>> for actor_id in range(1, 21):
        ...     group.append(Activity(actor_id, Love, 100 + actor_id))
        >>> len(group), group.activity_count
        (15, 20)
        """
        activity_ids = self.activity_ids
        activity_id = self._id_of(activity)
        if activity_id in activity_ids:
            raise DuplicateActivityException(f'activity {activity_id} is in group {self.group!r} already')
        kept: list[Any] = self._activity_ids if self.dehydrated else self.activities
        ordered = sorted(activity_ids)
        if ordered != activity_ids:  # 1.4.0 stored them in order of arrival
            kept.sort()
        kept.insert(bisect_left(ordered, activity_id), activity_id if self.dehydrated else activity)
        self.created_at = activity.time if self.created_at is None else min(self.created_at, activity.time)
        self.updated_at = activity.time if self.updated_at is None else max(self.updated_at, activity.time)
        surplus = len(kept) - self.max_aggregated_activities_length
        if surplus > 0:
            del kept[:surplus]
            self.minimized_activities += surplus

    def remove(self, activity: Member | int | uuid.UUID) -> None:
        """Take an activity out, given itself or by its id; ``updated_at`` becomes the time of the last that is left.

        :raises ActivityNotFound: if the group doesn't keep it
        :raises ValueError: if it is the last one, or the group is dehydrated

        >>> older, newer = (Activity(actor, Love, 42 + actor) for actor in (1, 2))
        >>> group = AggregatedActivity('loves', [older, newer])
        >>> group.remove(newer)
        >>> group.activities
        [Activity(loved) 1 43]
        """
        if not self._without([activity]):
            raise ActivityNotFound(f'activity {self._id_of(activity)} is not in group {self.group!r}')

    def remove_many(self, activities: Iterable[Member | int | uuid.UUID]) -> list[Member | int | uuid.UUID]:
        """Take out several at once; those that aren't there are skipped.

        :returns: those that were there, as they were given
        :raises ValueError: if none would be left (nothing is changed then), or the group is dehydrated

        >>> first, second, other = (Activity(actor, Love, 42 + actor) for actor in (1, 2, 3))
        >>> AggregatedActivity('loves', [first, second]).remove_many([second, other])
        [Activity(loved) 2 44]
        """
        return self._without(activities)

    def _without(self, activities: Iterable[Member | int | uuid.UUID]) -> list[Member | int | uuid.UUID]:
        if self.dehydrated:
            raise ValueError(f'{self!r} is dehydrated: hydrate it before taking activities out')
        kept = dict(zip(ids_of(self.activities), self.activities, strict=True))
        removed = [activity for activity in activities if kept.pop(self._id_of(activity), None) is not None]
        if removed and not kept:
            raise ValueError(f'removing {removed!r} would leave group {self.group!r} empty: remove the group itself')
        if removed:
            self.activities = [kept[key] for key in sorted(kept)]
            self.updated_at = self.last_activity.time
        return removed


def ids_of(activities: Iterable[Happening]) -> list[int]:
    # Every id is a plain int but for overridden recipes, which may give a UUID.
    found = [activity.serialization_id for activity in activities]
    return [item if type(item) is int else ids.normalize_id(item) for item in found]


__all__ = ['GroupMembers', 'ids_of']
