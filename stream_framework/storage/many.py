"""Writing to many timelines in one go, and replacing what timelines still hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from stream_framework.activity import Activity, BaseActivity
from stream_framework.storage.batch import BaseBatch
from stream_framework.storage.reading import ReadsTimelines
from stream_framework.typing import ActivityId
from stream_framework.utils.shortcuts import shortcut, unchanged


class WritesManyTimelines(ReadsTimelines):
    """The part of a timeline storage that fan-outs and updates use; see :class:`~.base.BaseTimelineStorage`."""

    # Defined by BaseTimelineStorage.
    add_many: ClassVar[Any]
    remove_many: ClassVar[Any]
    serialize_removed: ClassVar[Any]
    trim: ClassVar[Any]
    add_to_storage: ClassVar[Any]
    remove_from_storage: ClassVar[Any]

    def is_like(self, other: WritesManyTimelines) -> bool:
        """Return whether another storage does the same, as those of two feeds of one class do."""
        return (
            type(self) is type(other)
            and self.serializer_class is other.serializer_class
            and self.options == other.options
            and self._has_only_hooks_of_its_class
            and other._has_only_hooks_of_its_class
        )

    @property
    def _has_only_hooks_of_its_class(self) -> bool:
        return not any(
            callable(value) and not isinstance(value, type) and hasattr(type(self), name)
            for name, value in vars(self).items()
        )

    _serializes_as_usual = unchanged(
        'serialize_activities', 'serialize_activity', 'activity_to_id', 'activities_to_ids'
    )

    @property
    def serializes_once(self) -> bool:
        """Whether what is the same for many timelines may be serialized once for all of them."""
        return self._serializes_as_usual and self.serializer.writes_as_usual

    def add_to_many_by_hooks(
        self, keys: Sequence[str], activities: Sequence[BaseActivity], batch: BaseBatch, trim_length: int | None
    ) -> None:
        """Queue adding the same activities to many timelines, by :meth:`add_many` for each."""
        for key in keys:
            self.add_many(key, activities, batch_interface=batch)
            if trim_length is not None:
                self.trim(key, trim_length, batch_interface=batch)

    @shortcut('add', 'add_many', plain='add_to_many_by_hooks')
    def add_to_many(
        self, keys: Sequence[str], activities: Sequence[BaseActivity], batch: BaseBatch, trim_length: int | None
    ) -> None:
        """Queue adding the same activities to many timelines: serialized once, one write.

        :param trim_length: keep only the newest so many of each
        """
        if not self.serializes_once:
            self.add_to_many_by_hooks(keys, activities, batch, trim_length)
        else:
            batch.write(self, 'add', keys, self.serialize_activities(activities), trim_length)

    def remove_from_many_by_hooks(
        self,
        keys: Sequence[str],
        activities: Sequence[BaseActivity | ActivityId],
        batch: BaseBatch,
        trim_length: int | None,
    ) -> None:
        """Queue removing the same entries from many timelines, by :meth:`remove_many` for each."""
        for key in keys:
            self.remove_many(key, activities, batch_interface=batch)
            if trim_length is not None:
                self.trim(key, trim_length, batch_interface=batch)

    @shortcut('remove', 'remove_many', plain='remove_from_many_by_hooks')
    def remove_from_many(
        self,
        keys: Sequence[str],
        activities: Sequence[BaseActivity | ActivityId],
        batch: BaseBatch,
        trim_length: int | None,
    ) -> None:
        """Queue removing the same entries from many timelines: one write."""
        if not self.serializes_once:
            self.remove_from_many_by_hooks(keys, activities, batch, trim_length)
        else:
            batch.write(self, 'remove', keys, self.serialize_removed(activities), trim_length)

    def update_many(
        self, key: str, activities: Iterable[Activity], batch_interface: BaseBatch | None = None
    ) -> list[int] | None:
        """Replace activities of a flat timeline by what is given, where they still are; nothing comes back by it.

        :param activities: under the ids that they have
        :param batch_interface: queue instead
        :returns: the ids of those that are there; ``None`` if queued
        """
        data = self.serialize_activities(activities)
        if isinstance(batch_interface, BaseBatch):
            if data and not self.keeps_references:
                batch_interface.defer(update_in_storages, key, (self, key, data))
            return None
        return self.update_in_storage([(key, data)])[0] if data else []

    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, object]]]) -> list[list[int]]:
        """Replace the data of entries, where they still are.

        Here, for backends that can't do better, in two steps: an entry that goes in between comes back.

        :param updates: for each timeline its key, and id -> data; where entries are ids alone nothing is written
        :returns: for each of them the ids that are there
        """
        found = []
        for key, data in updates:
            there = [activity_id for activity_id in data if self._is_there(key, activity_id)]
            if there and not self.keeps_references:
                self.add_to_storage(key, {activity_id: data[activity_id] for activity_id in there})
            found.append(there)
        return found

    def _is_there(self, key: str, activity_id: int) -> bool:
        only = {'activity_id__gte': activity_id, 'activity_id__lte': activity_id}
        return bool(self.get_slice_from_storage(key, 0, 1, filter_kwargs=only))


def update_in_storages(updates: Iterable[tuple[WritesManyTimelines, str, Mapping[int, object]]]) -> None:
    """Replace entries of many timelines: those of storages that do the same together."""
    runs: list[tuple[WritesManyTimelines, list[tuple[str, Mapping[int, object]]]]] = []
    for storage, key, data in updates:
        if not runs or not (storage is runs[-1][0] or storage.is_like(runs[-1][0])):
            runs.append((storage, []))
        runs[-1][1].append((key, data))
    for storage, of_storage in runs:
        storage.update_in_storage(of_storage)


__all__ = ['WritesManyTimelines', 'update_in_storages']
