"""What a group says of its activities: "12 and 3 others loved 845", seen and read."""

from __future__ import annotations

import datetime
import uuid
from typing import Generic, Protocol, TypeVar

from stream_framework.utils import make_list_unique
from stream_framework.utils.dates import utcnow
from stream_framework.verbs.base import Verb

Id = int | str | uuid.UUID


class Happening(Protocol):
    """An activity, as far as groups look at it."""

    @property
    def serialization_id(self) -> int:
        """Its id."""

    @property
    def actor_id(self) -> Id | None:
        """Who did it."""

    @property
    def object_id(self) -> Id:
        """What it was done to."""

    @property
    def verb(self) -> type[Verb]:
        """What was done."""

    @property
    def time(self) -> datetime.datetime:
        """When."""


Member = TypeVar('Member', bound=Happening)


class GroupSummary(Generic[Member]):
    """The part of a group that is shown; see :class:`~stream_framework.activity.AggregatedActivity`."""

    activities: list[Member]
    minimized_activities: int
    updated_at: datetime.datetime | None
    seen_at: datetime.datetime | None
    read_at: datetime.datetime | None

    def __len__(self) -> int:
        return len(self.activities)

    @property
    def actor_count(self) -> int:
        """How many actors: exact while nothing was dropped, after that an upper bound (each dropped one counts).

        >>> group.actor_count
        3
        """
        return len(self.actor_ids) + self.minimized_activities

    @property
    def other_actor_count(self) -> int:
        """The number in "X and 2 others".

        >>> group.other_actor_count
        2
        """
        return self.actor_count - 1

    @property
    def activity_count(self) -> int:
        """How many activities, dropped ones included.

        >>> group.activity_count
        3
        """
        return len(self) + self.minimized_activities

    @property
    def last_activity(self) -> Member:
        """The newest activity.

        >>> group.last_activity
        Activity(loved) 3 42
        """
        return self.activities[-1]

    @property
    def last_activities(self) -> list[Member]:
        """The activities, newest first.

        >>> group.last_activities[:2]
        [Activity(loved) 3 42, Activity(loved) 2 42]
        """
        return self.activities[::-1]

    @property
    def verb(self) -> type[Verb]:
        """The verb of the first activity; most aggregators group by it, so it is the verb of them all.

        >>> group.verb.past_tense
        'loved'
        """
        return self.activities[0].verb

    @property
    def verbs(self) -> list[type[Verb]]:
        """The distinct verbs, in order of the activities.

        >>> [verb.past_tense for verb in group.verbs]
        ['loved']
        """
        return make_list_unique([activity.verb for activity in self.activities])

    @property
    def actor_ids(self) -> list[Id | None]:
        """The distinct actors, in order of the activities; ``None`` stands for nobody.

        >>> group.actor_ids
        [1, 2, 3]
        """
        return make_list_unique([activity.actor_id for activity in self.activities])

    @property
    def object_ids(self) -> list[Id]:
        """The distinct objects, in order of the activities.

        >>> group.object_ids
        [42]
        """
        return make_list_unique([activity.object_id for activity in self.activities])

    def is_seen(self) -> bool:
        """Return whether it was marked as seen since it last changed.

        >>> group.is_seen()
        False
        """
        return self.seen_at is not None and (self.updated_at is None or self.seen_at >= self.updated_at)

    def is_read(self) -> bool:
        """Return whether it was marked as read since it last changed.

        >>> group.is_read()
        False
        """
        return self.read_at is not None and (self.updated_at is None or self.read_at >= self.updated_at)

    def update_seen_at(self) -> None:
        """Mark as seen now.

        >>> group.update_seen_at(), group.is_seen()
        (None, True)
        """
        self.seen_at = utcnow()

    def update_read_at(self) -> None:
        """Mark as read now.

        >>> group.update_read_at(), group.is_read()
        (None, True)
        """
        self.read_at = utcnow()


__all__ = ['GroupSummary', 'Happening', 'Id', 'Member']
