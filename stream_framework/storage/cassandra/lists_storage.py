"""The unseen and the unread ids of a notification feed, in the feed's own partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_framework import ids
from stream_framework.exceptions import ConfigurationError
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.cassandra.groups import LISTS, GroupStorage


class CassandraListsStorage(BaseListsStorage):
    """Two sets of ids beside the groups that they mark, so that both change in one step.

    It knows the lists ``unseen`` and ``unread`` only, keeps an id once, in ascending order, and of too many the
    highest. The feed makes it: ``feed.feed_markers``.

    :param key: the feed's key
    :param timeline_storage: the feed's timeline storage, whose table has the two columns
    """

    def __init__(
        self,
        key: Any,
        key_format: str | None = None,
        max_length: int | None = None,
        data_type: Any = None,
        timeline_storage: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(key, key_format=key_format, max_length=max_length, data_type=data_type, **options)
        if not isinstance(timeline_storage, GroupStorage):
            raise ConfigurationError(
                f'{type(self).__name__} keeps ids in the partition of a feed on Cassandra: let '
                f'CassandraNotificationFeed make it, or give the timeline_storage of one, not {timeline_storage!r}'
            )
        self.timeline_storage = timeline_storage

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        """Read the lists and write the difference, in one step; an id that is there already stays as it is."""
        _check_names(lists)
        self.timeline_storage.add_marks(str(self.base_key), lists, self.max_length)

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        """One step."""
        _check_names(lists)
        self.timeline_storage.remove_marks(str(self.base_key), lists)

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        """One query."""
        return [len(items) for items in self.get_from_storage(names)]

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        """One query; in ascending order."""
        _check_names(names)
        [(_, marks)] = self.timeline_storage.read_marks([str(self.base_key)])
        return [sorted(marks[name], key=ids.group_order) for name in names]

    def flush_storage(self, names: Sequence[str]) -> None:
        """One step."""
        _check_names(names)
        self.timeline_storage.clear_marks(str(self.base_key), names)


def _check_names(names: Any) -> None:
    for name in names:
        if name not in LISTS:
            raise ConfigurationError(f'{name!r} is no list of a feed on Cassandra: there are {" and ".join(LISTS)}')
