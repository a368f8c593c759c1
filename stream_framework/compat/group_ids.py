"""Ids of groups, which 1.4.0 made of whole seconds (13 digits) and we make unique (26 digits)."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream_framework import ids


class GroupId(NamedTuple):
    """The id of a group, as it is stored.

    >>> ours, theirs = GroupId.parse('13732701150004711000000001'), GroupId.parse(1373270115000)
    >>> theirs.is_legacy, ours.is_legacy
    (True, False)
    >>> theirs.order < ours.order < GroupId.parse('1373270116000').order
    True
    >>> ours.spellings
    ('13732701150004711000000001', '1373270115000')
    """

    number: int

    @classmethod
    def parse(cls, value: Any) -> GroupId:
        """Return the id that an int, or a str of digits, stands for.

        :raises InvalidIdError: for anything else
        """
        return cls(ids.normalize_id(value))

    @property
    def is_legacy(self) -> bool:
        """Whether 1.4.0 made it: for any time after 1970-01-01 it is below every id of ours."""
        return abs(self.number) < ids.LEGACY_GROUP_LIMIT

    @property
    def order(self) -> int:
        """A number by which ids of both kinds sort by time."""
        return ids.group_order(self.number)

    @property
    def milliseconds(self) -> int:
        """The milliseconds since 1970 of the group's last update."""
        return ids.group_milliseconds(self.order)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The texts that markers may know the group by, its own first.

        Where a group was updated at a whole second, 1.4.0 may have marked it by the bare milliseconds.
        """
        legacy = ids.legacy_group_id(self.number)
        return (str(self),) if legacy is None else (str(self), ids.format_group_id(legacy))

    def __str__(self) -> str:
        return ids.format_group_id(self.number)
