"""The unseen and the unread ids of a notification feed, in the feed's partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from stream_framework import ids
from stream_framework.exceptions import ConfigurationError
from stream_framework.storage.abilities import GuardsGroups
from stream_framework.storage.base import BaseTimelineStorage
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.cassandra import markers
from stream_framework.storage.cassandra.protocols import Timelines
from stream_framework.storage.cassandra.tables import LISTS
from stream_framework.utils.shortcuts import unchanged


class CassandraListsStorage(BaseListsStorage):
    """Two sets of ids in the partition of the groups that they mark, so that both change in one step.

    There are the lists ``unseen`` and ``unread`` only. An id is kept once, in ascending order; of too many, the highest
    stay. The feed makes this storage: ``feed.feed_markers``.

    :param key: the feed's key
    :param timeline_storage: the feed's timeline storage, whose table has the two columns
    """

    #: Whether changes of groups may write past the hooks.
    writes_as_usual = unchanged('add', 'add_once', 'remove', 'add_to_storage', 'remove_from_storage', 'get_key')

    def __init__(
        self,
        key: Any,
        key_format: str | None = None,
        max_length: int | None = None,
        data_type: Any = None,
        timeline_storage: BaseTimelineStorage | None = None,
        **options: Any,
    ) -> None:
        super().__init__(key, key_format=key_format, max_length=max_length, data_type=data_type, **options)
        if not (isinstance(timeline_storage, GuardsGroups) and hasattr(type(timeline_storage), 'table')):
            raise ConfigurationError(
                f'{type(self).__name__} keeps ids in the partition of a feed on Cassandra: let '
                f'CassandraNotificationFeed make it, or give the timeline_storage of one, not {timeline_storage!r}'
            )
        self.timeline_storage: Timelines = cast(Timelines, timeline_storage)

    def is_beside(self, storage: Timelines) -> bool:
        """Return whether the ids are in the same table as a storage's feeds."""
        return self.timeline_storage.model is storage.model

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        """Read the lists and write the difference, in one step; an id that is there already stays as it is."""
        _check_names(lists)
        markers.add(self.timeline_storage, str(self.base_key), lists, self.max_length)

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        """Remove ids in one step."""
        _check_names(lists)
        markers.remove(self.timeline_storage, str(self.base_key), lists)

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        """Count ids. One query."""
        return [len(items) for items in self.get_from_storage(names)]

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        """Return ids, in ascending order. One query."""
        _check_names(names)
        [(_, lists)] = markers.read(self.timeline_storage.table, [str(self.base_key)])
        return [sorted(lists[name], key=ids.group_order) for name in names]

    def flush_storage(self, names: Sequence[str]) -> None:
        """Empty lists in one step."""
        _check_names(names)
        markers.clear(self.timeline_storage, str(self.base_key), names)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name not in LISTS:
            raise ConfigurationError(f'{name!r} is no list of a feed on Cassandra: there are {" and ".join(LISTS)}')
