"""Types that signatures share. Nothing here is needed at run time: it is for type checkers, and for those who read.

Classes of an application name other classes: a feed its ``activity_class``, a manager its ``user_feed_class``. The
protocols here tell a type checker what follows from that:

- ``PinFeed(1)[:25]`` is a ``list[PinActivity]``, where ``PinFeed.activity_class = PinActivity``;
- ``PinGroups(1)[:25]`` is a list of the feed's ``aggregated_activity_class``;
- ``PinManager().get_user_feed(1)`` is a feed of the manager's ``user_feed_class``;
- ``PinManager().get_feeds(1)['normal']`` is a feed of one of the manager's ``feed_classes``;
- ``PinFeed(1).timeline_storage`` is a storage of the feed's ``timeline_storage_class``.

Methods that applications call take a :data:`UserId`. Methods that applications define, such as
``get_user_follower_ids``, take ``Any``, because a narrower type in a subclass (``user_id: int``) is an error otherwise.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar, overload

#: Who does something, whose feed it is: any id. 17 and ``'17'`` are two.
UserId: TypeAlias = int | str | uuid.UUID
#: What an activity is known by; an activity's object is another kind of id, of the same types.
ActivityId: TypeAlias = int | str | uuid.UUID
#: The bounds that a timeline is read between: ``activity_id__gt`` and so on -> an id.
Filters: TypeAlias = Mapping[str, ActivityId]
#: The order that a timeline is read in: ``('activity_id',)`` or ``('-activity_id',)``.
Ordering: TypeAlias = Sequence[str]
#: Entries of a timeline, in order: the id, and what the serializer made, which only the serializer knows.
Pairs: TypeAlias = list[tuple[Any, Any]]

Kept = TypeVar('Kept')
Kept_co = TypeVar('Kept_co', covariant=True)
Feed_co = TypeVar('Feed_co', covariant=True)
Storage_co = TypeVar('Storage_co', covariant=True)
Notifications_co = TypeVar('Notifications_co', covariant=True)
Feed = TypeVar('Feed')
Notifications = TypeVar('Notifications')


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


class ReadInSlices(Protocol[Kept]):
    """A feed of either kind, for what reads pages of it."""

    def __getitem__(self, item: slice) -> list[Kept]:
        """Return a slice."""


class HasUserFeeds(Protocol[Feed_co]):
    """A manager, for what it keeps of each user."""

    @property
    def user_feed_class(self) -> type[Feed_co]:
        """The feed of what a user did."""


class HasFeeds(Protocol[Feed_co]):
    """A manager, for the feeds that each user has."""

    @property
    def feed_classes(self) -> Mapping[str, type[Feed_co]]:
        """Name -> class."""


class HasNotifications(HasFeeds[Feed_co], Protocol[Feed_co, Notifications_co]):
    """A manager that has a feed of notifications besides for each user."""

    @property
    def notification_feed_class(self) -> type[Notifications_co]:
        """The class of that feed."""


class FeedsAndNotifications(dict[str, Feed], Generic[Feed, Notifications]):
    """What ``get_feeds`` returns for such a manager: a ``dict``; this class is only for type checkers."""

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, name: Literal['notifications']) -> Notifications: ...
        @overload
        def __getitem__(self, name: str) -> Feed: ...
        def __getitem__(self, name: str) -> Any:
            """Return the feed of a name."""


class HasTimelines(Protocol[Storage_co]):
    """A feed, for where its timeline is."""

    @property
    def timeline_storage_class(self) -> type[Storage_co]:
        """The class of the storage."""


class HasId(Protocol):
    """An object of the application that an activity can be about: its id is kept."""

    @property
    def id(self) -> UserId:
        """Its id."""


__all__ = [
    'ActivityId', 'FeedsAndNotifications', 'Filters', 'HasFeeds', 'HasId', 'HasNotifications', 'HasTimelines',
    'HasUserFeeds', 'HoldsActivities', 'HoldsGroups', 'Ordering', 'Pairs', 'ReadInSlices', 'UserId',
]  # fmt: skip
