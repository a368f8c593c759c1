"""What the rooms of this backend need of a timeline storage, for type checkers.

The storage uses the rooms, so they can't import it: they name this protocol instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from stream_framework.storage.cassandra.mapper import FeedModel
from stream_framework.storage.cassandra.tables import Table
from stream_framework.typing import ActivityId

#: A lowest and a highest id, both included; ``None`` for no bound.
Range = tuple[int | None, int | None]


class Timelines(Protocol):
    """A timeline storage on Cassandra."""

    #: The model of the table.
    model: type[FeedModel]
    #: What the storage was made with: ``guard_updates`` and so on.
    options: dict[str, Any]

    @property
    def serializer(self) -> Any:
        """Makes rows of activities or groups."""

    @property
    def table(self) -> Table:
        """The table, as the server has it."""

    @property
    def holds_groups(self) -> bool:
        """Whether the timelines are of groups."""

    @property
    def has_bare_ids(self) -> bool:
        """Whether groups may be under ids of 13 digits, which 1.4.0 gave them."""

    def order(self, activity_id: ActivityId) -> int:
        """Return the number by which an entry sorts."""

    def ranges_above(self, table: Table, number: int) -> list[Range]:
        """Return the ids of entries above a number by which they sort."""

    def seen_name(self, key: str) -> str:
        """Return the name of a feed's seen mark."""

    def load(self, key: str | None, activity_id: ActivityId | None, data: object) -> Any:
        """Return the activity or the group of a row."""

    def serialize_activity(self, activity: Any) -> Mapping[str, Any]:
        """Return the columns of an activity or a group."""
