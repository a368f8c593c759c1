"""What a backend must do, hook by hook.

A backend is an activity storage, a timeline storage and a lists storage
(:mod:`stream_framework.storage.base_lists_storage`). The public methods here validate, measure, serialize and call a
hook; a backend's hooks talk to the server and do nothing else.

Three values travel between them:

- *pairs* ``(id, data)``: what a timeline holds, newest first; ``data`` is what the serializer made of it.
- :class:`Snapshot`: what was read of a timeline, so that a write can be made to depend on it.
- :class:`Change`: one feed's write: entries that go, entries that come, the length to trim to, the marks that follow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Sized
from typing import Any, ClassVar

from stream_framework import ids
from stream_framework.activity import Activity, BaseActivity
from stream_framework.exceptions import NotDefinedError
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.abilities import GuardsGroups, KeepsIntents, KeepsLedger
from stream_framework.storage.batch import BaseBatch, Write, call_all, iter_parts, runs
from stream_framework.storage.changes import Change, MarkerChange, Pairs, Snapshot, apply_by_hooks
from stream_framework.storage.many import WritesManyTimelines
from stream_framework.storage.reading import FILTERS, ORDERINGS
from stream_framework.storage.serializing import BaseStorage
from stream_framework.typing import ActivityId
from stream_framework.utils.shortcuts import shortcut, unchanged
from stream_framework.utils.tails import handed_on

_ALL_INTS = frozenset({int})
# The keywords that adding to, and removing from, a timeline takes.
_KNOWN = frozenset({'batch_interface', 'trim_length'})
_KNOWN_WITHOUT_TRIMMING = frozenset({'batch_interface'})
# Verb -> the hook that the methods of this verb call.
_HOOKS = {'add': 'add_to_storage', 'get': 'get_from_storage', 'remove': 'remove_from_storage'}


class BaseActivityStorage(BaseStorage):
    """Keeps whole activities, by id, for all the feeds whose timelines hold only references.

    Hooks: :meth:`add_to_storage`, :meth:`get_from_storage`, :meth:`remove_from_storage`. What a storage may be able to
    do besides is in :mod:`stream_framework.storage.abilities`: ``KeepsIntents``, ``KeepsLedger``.
    """

    #: Whether an application looks activities up by the library's hooks.
    gives_as_usual = unchanged('get', 'get_many', 'get_from_storage', 'deserialize_activities')

    def add(self, activity: Activity, *args: Any, **kwargs: Any) -> int | None:
        """Store one activity; see :meth:`add_many`."""
        return self.add_many([activity], *args, **kwargs)

    def add_many(self, activities: Iterable[Activity], *args: Any, **kwargs: Any) -> int | None:
        """Store activities; one that is there already is replaced.

        :returns: what the hook returns; in memory and on Redis the number of activities given
        """
        if args or kwargs:
            args, kwargs = self._handed_on('add', 'activities', args, kwargs)
        serialized = self.serialize_activities(activities)
        if not serialized:
            return 0
        self.metrics.on_feed_write(type(self), len(serialized))
        return self.add_to_storage(serialized, *args, **kwargs)

    def get(self, activity_id: Activity | ActivityId, *args: Any, **kwargs: Any) -> Activity | None:
        """Return the activity, or ``None`` if it isn't there."""
        found = self.get_many([activity_id], *args, **kwargs)
        return found[0] if found else None

    def get_many(self, activity_ids: Iterable[Activity | ActivityId], *args: Any, **kwargs: Any) -> list[Activity]:
        """Return the activities of these ids that are there, in the order of the ids."""
        if args or kwargs:
            args, kwargs = self._handed_on('get', 'activity_ids', args, kwargs)
        return list(self._found(activity_ids, *args, **kwargs).values())

    def get_map_by_hooks(self, activity_ids: Iterable[ActivityId]) -> dict[int, Activity]:
        """Return id -> activity, through :meth:`get_many`."""
        return {self.activity_to_id(activity): activity for activity in self.get_many(activity_ids)}

    @shortcut('get_many', plain='get_map_by_hooks')
    def get_map(self, activity_ids: Iterable[ActivityId]) -> dict[int, Activity]:
        """Return id -> activity, for those that are there, in the order of the ids. One round trip."""
        return self._found(activity_ids)

    def _found(self, activity_ids: Iterable[Activity | ActivityId], *args: Any, **kwargs: Any) -> dict[int, Activity]:
        wanted = list(dict.fromkeys(self.activities_to_ids(activity_ids)))
        if not wanted:
            return {}
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)):
            found = self.get_from_storage(wanted, *args, **kwargs)
        found = dict(found)
        if not _ALL_INTS.issuperset(map(type, found)):
            found = {ids.normalize_id(key): value for key, value in found.items()}
        there = [(key, found[key]) for key in wanted if found.get(key) is not None]
        metrics.on_feed_read(type(self), len(there))
        loaded = self.load_all(None, there)
        return {pair[0]: activity for pair, activity in zip(there, loaded, strict=True)}

    def remove(self, activity_or_id: Activity | ActivityId, *args: Any, **kwargs: Any) -> int | None:
        """Remove one activity, given itself or by its id."""
        return self.remove_many([activity_or_id], *args, **kwargs)

    def remove_many(self, activities: Iterable[Activity | ActivityId], *args: Any, **kwargs: Any) -> int | None:
        """Remove activities, given themselves or by their ids; those that aren't there are no error."""
        if args or kwargs:
            args, kwargs = self._handed_on('remove', 'activities', args, kwargs)
        activity_ids = self.activities_to_ids(activities)
        if not activity_ids:
            return 0
        self.metrics.on_feed_remove(type(self), len(activity_ids))
        return self.remove_from_storage(activity_ids, *args, **kwargs)

    def _handed_on(
        self, verb: str, given: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        over, under = (self, (f'{verb}_many', verb)), (self, (_HOOKS[verb],))
        return handed_on(f'{verb}_many', (given, 'batch_interface'), args, kwargs, over, under)

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> Any:
        """Store id -> data; what is there already is replaced."""
        raise NotDefinedError(f'{type(self).__name__} must define add_to_storage(serialized_activities)')

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Return id -> data, for those that are there."""
        raise NotDefinedError(f'{type(self).__name__} must define get_from_storage(activity_ids)')

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> Any:
        """Remove these ids."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_from_storage(activity_ids)')


class BaseTimelineStorage(WritesManyTimelines):
    """Keeps the timelines: for each key, entries sorted by id.

    Hooks: :meth:`add_to_storage`, :meth:`remove_from_storage`, :meth:`get_slice_from_storage`, :meth:`get_index_of`,
    :meth:`count`, :meth:`delete`, :meth:`trim_storage`. What a storage may be able to do besides is in
    :mod:`stream_framework.storage.abilities`: ``GuardsGroups``.
    """

    default_serializer_class = SimpleTimelineSerializer

    #: Whether adding takes ``trim_length`` and trims in the same step.
    trims_on_write: ClassVar[bool] = False
    #: Whether that costs next to nothing, so that every write may trim.
    trims_for_free: ClassVar[bool] = True
    #: What ``trim()`` without a length leaves.
    max_length: int = 100

    #: Whether writing goes by the library's own hooks: else feeds call the hooks, one by one.
    writes_as_usual = unchanged(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage'
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.max_length = options.get('max_length') or self.max_length

    @property
    def trims_within(self) -> bool:
        """Whether writes trim in the same step: the backend can, and no subclass overrides how it writes."""
        return self.trims_on_write and self.writes_as_usual

    _trims_as_usual = unchanged('trim', 'trim_storage')

    @property
    def trims_each_write(self) -> bool:
        """Whether every write trims, because trimming costs next to nothing."""
        return self.trims_on_write and self.trims_for_free and self._trims_as_usual

    def add(self, key: str, activity: BaseActivity, *args: Any, **kwargs: Any) -> int | None:
        """Add one activity or group; see :meth:`add_many`."""
        return self.add_many(key, [activity], *args, **kwargs)

    def add_many(self, key: str, activities: Iterable[BaseActivity], *args: Any, **kwargs: Any) -> int | None:
        """Add activities or groups to a timeline; an id that is there already stays one entry, with the new data.

        :param batch_interface: queue instead, see :meth:`get_batch_interface`
        :param trim_length: (where ``trims_on_write``) keep only the newest so many, in the same step
        :returns: how many were new; ``None`` if queued
        """
        if args or kwargs:
            args, kwargs = self._handed_on('add', args, kwargs)
        if not isinstance(activities, Sized):
            activities = list(activities)
        if not activities:
            return 0
        batch = kwargs.get('batch_interface')
        if isinstance(batch, BaseBatch):
            batch.write(self, 'add', [key], self.serialize_activities(activities), kwargs.get('trim_length'))
            return None
        self.metrics.on_feed_write(type(self), len(activities))
        return self.add_to_storage(key, self.serialize_activities(activities), *args, **kwargs)

    def remove(self, key: str, activity: BaseActivity | ActivityId, *args: Any, **kwargs: Any) -> int | None:
        """Remove one entry; see :meth:`remove_many`."""
        return self.remove_many(key, [activity], *args, **kwargs)

    def remove_many(
        self, key: str, activities: Iterable[BaseActivity | ActivityId], *args: Any, **kwargs: Any
    ) -> int | None:
        """Remove entries, given as activities, groups or ids (int, UUID, str of digits).

        :param batch_interface: queue instead
        :returns: how many were there; ``None`` if queued
        """
        if args or kwargs:
            args, kwargs = self._handed_on('remove', args, kwargs)
        serialized = self.serialize_removed(activities)
        if not serialized:
            return 0
        batch = kwargs.get('batch_interface')
        if isinstance(batch, BaseBatch):
            batch.write(self, 'remove', [key], serialized, kwargs.get('trim_length'))
            return None
        self.metrics.on_feed_remove(type(self), len(serialized))
        return self.remove_from_storage(key, serialized, *args, **kwargs)

    def _handed_on(
        self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        batch = kwargs.get('batch_interface')
        is_queued = isinstance(batch, BaseBatch)
        known = _KNOWN if is_queued or self.trims_on_write else _KNOWN_WITHOUT_TRIMMING
        if args or not kwargs.keys() <= known:
            # A queued write reaches the hooks later, with nothing but keys and data.
            under = None if is_queued else (self, (_HOOKS[verb],))
            taken = ('key', 'activities', *sorted(known))
            args, kwargs = handed_on(f'{verb}_many', taken, args, kwargs, (self, (f'{verb}_many', verb)), under)
        if batch is None and 'batch_interface' in kwargs:
            kwargs = {name: value for name, value in kwargs.items() if name != 'batch_interface'}
        return args, kwargs

    def serialize_removed(self, activities: Iterable[BaseActivity | ActivityId]) -> dict[Any, Any]:
        """Return id -> what is stored of it, or the id where only that was given."""
        activities = list(activities)
        whole = [activity for activity in activities if isinstance(activity, BaseActivity)]
        serialized = self.serialize_activities(whole) if whole else {}
        if len(whole) < len(activities):
            others = [activity for activity in activities if not isinstance(activity, BaseActivity)]
            serialized = {**serialized, **{item: item for item in self.activities_to_ids(others)}}
        return serialized

    def trim(self, key: str, length: int | None = None, batch_interface: BaseBatch | None = None) -> int | None:
        """Keep the newest ``length`` entries. One round trip; on Cassandra two.

        :param length: ``None`` or 0 means ``max_length``
        :param batch_interface: queue instead
        :raises ValueError: if it is negative
        """
        length = length or self.max_length
        if length < 0:
            raise ValueError(f'feed {key!r} can not be trimmed to {length}: give how many of the newest to keep')
        if isinstance(batch_interface, BaseBatch):
            batch_interface.write(self, 'trim', [key], trim_length=length)
            return None
        return self.trim_storage(key, length)

    def get_batch_interface(self) -> BaseBatch:
        """Return a context manager: whatever is done with it as ``batch_interface`` is sent when the block ends."""
        return BaseBatch(self)

    def load_entry(self, key: str, entry: tuple[Any, Any]) -> Any:
        """Return the group of one entry of a :class:`Snapshot`."""
        return self.load(key, *entry)

    def select_groups(self, entries: Pairs, names: Collection[str]) -> Pairs:
        """Return the entries of a :class:`Snapshot` whose groups have these names, or where only loading can tell."""
        select = getattr(self.serializer, 'select', None)
        return entries if select is None else select(entries, names)

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Add id -> data to a timeline; an id that is there already stays one entry, with the new data."""
        raise NotDefinedError(f'{type(self).__name__} must define add_to_storage(key, activities)')

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Remove ids (the keys) from a timeline; those that aren't there are skipped."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_from_storage(key, activities)')

    def trim_storage(self, key: str, length: int) -> int | None:
        """Keep the newest ``length`` entries, at least one; a timeline shorter than that is untouched."""
        raise NotDefinedError(f'{type(self).__name__} must define trim_storage(key, length)')

    def delete(self, key: str) -> object:
        """Delete the timeline."""
        raise NotDefinedError(f'{type(self).__name__} must define delete(key)')

    def flush_matching(self, pattern: str) -> None:
        """Delete the timelines whose keys match a glob.

        Here, for backends that can't tell which match, and for subclasses with a :meth:`flush` of their own, by that.
        """
        self.flush()

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """Return the newest ``length`` entries of each of many timelines; here one after the other, unguarded."""
        return [Snapshot(key, self.get_slice_from_storage(key, 0, length)) for key in keys]

    def read_groups(
        self, keys: Sequence[str], length: int, names: Collection[str], latest: bool = False
    ) -> list[Snapshot]:
        """Read the newest entries; those of groups of other names may be left out."""
        return self.read_newest(keys, length)

    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Apply changes whatever was read, in several steps, by the hooks; see :class:`~.abilities.GuardsGroups`.

        The order of the steps is such that a crash leaves a group marked rather than silently unmarked.
        """
        return apply_by_hooks(self, changes)


__all__ = [
    'FILTERS',
    'ORDERINGS',
    'BaseActivityStorage',
    'BaseBatch',
    'BaseStorage',
    'BaseTimelineStorage',
    'Change',
    'GuardsGroups',
    'KeepsIntents',
    'KeepsLedger',
    'MarkerChange',
    'Pairs',
    'Snapshot',
    'Write',
    'call_all',
    'iter_parts',
    'runs',
]
