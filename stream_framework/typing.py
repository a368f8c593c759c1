"""Types that signatures share. Nothing here is needed at run time: it is for type checkers, and for those who read.

A feed class says by its ``activity_class`` what a slice of it holds, and a manager by its ``user_feed_class`` what
``get_user_feed`` returns. The protocols here are how a type checker knows:

- ``PinFeed(1)[:25]`` is a ``list[PinActivity]``, where ``PinFeed.activity_class = PinActivity``;
- ``PinGroups(1)[:25]`` is a list of the feed's ``aggregated_activity_class``;
- ``PinManager().get_user_feed(1)`` is a feed of the manager's ``user_feed_class``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

#: Who does something, whose feed it is: any id. 17 and ``'17'`` are two.
UserId: TypeAlias = int | str | uuid.UUID
#: What an activity is known by; an activity's object is another kind of id, of the same types.
ActivityId: TypeAlias = int | str | uuid.UUID
#: The bounds that a timeline is read between: ``activity_id__gt`` and so on -> an id.
Filters: TypeAlias = Mapping[str, ActivityId]
#: The order that a timeline is read in: ``('activity_id',)`` or ``('-activity_id',)``.
Ordering: TypeAlias = Sequence[str]
#: Entries of a timeline, in order: the id, and what the serializer made, which only the serializer knows.
Pairs: TypeAlias = Iterable[tuple[Any, Any]]

Kept_co = TypeVar('Kept_co', covariant=True)
Feed_co = TypeVar('Feed_co', covariant=True)


class HoldsActivities(Protocol[Kept_co]):
    """A feed of activities."""

    @property
    def activity_class(self) -> type[Kept_co]:
        """What the feed holds."""


class HoldsGroups(Protocol[Kept_co]):
    """A feed of groups."""

    @property
    def aggregated_activity_class(self) -> type[Kept_co]:
        """What the feed holds."""


class HasUserFeeds(Protocol[Feed_co]):
    """A manager, for what it keeps of each user."""

    @property
    def user_feed_class(self) -> type[Feed_co]:
        """The feed of what a user did."""


class HasId(Protocol):
    """An object of the application that an activity can be about: its id is kept."""

    @property
    def id(self) -> UserId:
        """Its id."""


__all__ = [
    'ActivityId', 'Filters', 'HasId', 'HasUserFeeds', 'HoldsActivities', 'HoldsGroups', 'Ordering', 'Pairs', 'UserId',
]  # fmt: skip
