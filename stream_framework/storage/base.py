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

from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from typing import Any, ClassVar

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity, BaseActivity
from stream_framework.exceptions import InvalidIdError, NotDefinedError, SerializationException
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer
from stream_framework.serializers.dummy import DummySerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.abilities import GuardsGroups, KeepsIntents, KeepsLedger
from stream_framework.storage.batch import BaseBatch, Write, call_all, iter_parts, runs
from stream_framework.storage.changes import Change, MarkerChange, Pairs, Snapshot, apply_by_hooks
from stream_framework.utils import MetricsOfSettings
from stream_framework.utils.shortcuts import shortcut, unchanged
from stream_framework.utils.tails import handed_on

#: The filters that every timeline understands.
FILTERS = ('activity_id__gt', 'activity_id__gte', 'activity_id__lt', 'activity_id__lte')
#: The orders that every timeline understands; the second is the default.
ORDERINGS = ('activity_id', '-activity_id')

_ALL_INTS = frozenset({int})
# The keywords that adding to, and removing from, a timeline takes.
_KNOWN = frozenset({'batch_interface', 'trim_length'})
_KNOWN_WITHOUT_TRIMMING = frozenset({'batch_interface'})
# Verb -> the hook that the methods of this verb call.
_HOOKS = {'add': 'add_to_storage', 'get': 'get_from_storage', 'remove': 'remove_from_storage'}


class BaseStorage:
    """What activity storages and timeline storages share.

    :param serializer_class: turns activities into what is stored; default ``default_serializer_class``
    :param activity_class: what is made of stored activities
    :param options: anything else that the backend understands, kept in ``options``; ``aggregated_activity_class``
        says what is made of stored groups
    """

    #: Used where the feed names no serializer.
    default_serializer_class: type[BaseSerializer] = DummySerializer
    activity_class: type[Activity] = Activity
    aggregated_activity_class: type[AggregatedActivity] = AggregatedActivity

    _serializer: Any = None

    def __init__(
        self, serializer_class: Any = None, activity_class: type[Activity] | None = None, **options: Any
    ) -> None:
        self.serializer_class = serializer_class or self.default_serializer_class
        if activity_class is not None:
            self.activity_class = activity_class
        if options.get('aggregated_activity_class') is not None:
            self.aggregated_activity_class = options['aggregated_activity_class']
        self.options = options

    #: What counts and times reads and writes: see :mod:`stream_framework.metrics.base`.
    metrics: Any = MetricsOfSettings()

    @property
    def serializer(self) -> Any:
        """The serializer, made on first use."""
        if self._serializer is None:
            self._serializer = self.serializer_class(**self.serializer_options())
        return self._serializer

    def serializer_options(self) -> dict[str, Any]:
        """The keywords that the serializer class is called with."""
        return {
            'activity_class': self.activity_class,
            'aggregated_activity_class': self.aggregated_activity_class,
        }

    def flush(self) -> None:
        """Delete everything that the storage holds; does nothing where a subclass defines none."""

    def activity_to_id(self, activity: Any) -> Any:
        """The id of an activity or a group; an id is its own.

        :param activity: one of these, or anything else with a ``serialization_id``
        :returns: an int for an activity and for any id; the ``serialization_id`` (str) for a group
        :raises InvalidIdError: for anything else
        """
        if isinstance(activity, AggregatedActivity):
            return activity.serialization_id
        if isinstance(activity, BaseActivity):
            return ids.normalize_id(activity.serialization_id)  # type: ignore[attr-defined]
        return ids.normalize_id(getattr(activity, 'serialization_id', activity))

    def activities_to_ids(self, activities: Iterable[Any]) -> list[Any]:
        """:meth:`activity_to_id` of each."""
        to_id = self.activity_to_id
        return [activity if type(activity) is int else to_id(activity) for activity in activities]

    def serialize_activity(self, activity: Any) -> Any:
        """What is stored of one activity or group."""
        return self.serializer.dumps(activity)

    def serialize_activities(self, activities: Iterable[Any]) -> dict[Any, Any]:
        """Id -> what is stored of it, in the order given."""
        dumps, to_id = self.serialize_activity, self.activity_to_id
        return {to_id(activity): dumps(activity) for activity in activities}

    def deserialize_activities(self, data: Mapping[Any, Any] | Iterable[Any]) -> list[Any]:
        """The activities or groups that stored data stands for.

        :param data: a list of what the serializer made, or a dict id -> that
        """
        return self.load_many(None, data.items() if isinstance(data, Mapping) else ((None, item) for item in data))

    def load_by_hooks(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Deserialize pairs through :meth:`deserialize_activities`, which knows no ids."""
        return list(self.deserialize_activities([data for _, data in pairs]))

    @shortcut('deserialize_activities', plain='load_by_hooks')
    def load_all(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Deserialize pairs ``(id, data)``, through :meth:`deserialize_activities` where a subclass overrides it."""
        return self.load_many(key, pairs)

    def load(self, key: str | None, activity_id: Any, data: Any) -> Any:
        """The activity or group of one stored value; see :meth:`load_many`."""
        return self.load_many(key, [(activity_id, data)])[0]

    def load_many(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """The activities or groups of stored values, with the ids that they are stored under.

        :param key: the feed's key, for the message if one can't be read
        :param pairs: ``(id, data)``; the id is ``None`` if it isn't known
        :raises SerializationException: naming key and id
        """
        if isinstance(self.serializer, ActivitySerializer) and self.serializer.reads_as_usual:
            pairs = list(pairs)
            try:
                return self.serializer.load_many(pairs)
            except SerializationException:
                # Which one can't be read will be seen below.
                pass
        loads = self.serializer.loads
        loaded: list[Any] = []
        activity_id = None
        try:
            for activity_id, data in pairs:
                activity = loads(data)
                if activity_id is None:
                    pass
                elif isinstance(activity, Activity):
                    activity.stored_under(activity_id if type(activity_id) is int else ids.normalize_id(activity_id))
                elif (
                    isinstance(activity, AggregatedActivity)
                    and activity.updated_at is not None
                    and activity.serialization_id != str(activity_id)
                ):
                    activity.stored_under(ids.normalize_id(activity_id))
                loaded.append(activity)
        except SerializationException as error:
            where = self.place_of(activity_id) if key is None else f'feed {key!r}'
            raise SerializationException(f'{where}, id {activity_id}: {error}') from error
        return loaded

    def place_of(self, activity_id: Any) -> str:
        """Where what can't be read is, for the message."""
        return type(self).__name__


class BaseActivityStorage(BaseStorage):
    """Keeps whole activities, by id, for all the feeds whose timelines hold only references.

    Hooks: :meth:`add_to_storage`, :meth:`get_from_storage`, :meth:`remove_from_storage`. What a storage may be able to
    do besides is in :mod:`stream_framework.storage.abilities`: ``KeepsIntents``, ``KeepsLedger``.
    """

    #: Whether an application looks activities up by the library's hooks.
    gives_as_usual = unchanged('get', 'get_many', 'get_from_storage', 'deserialize_activities')

    def add(self, activity: Activity, *args: Any, **kwargs: Any) -> Any:
        """Store one activity; see :meth:`add_many`."""
        return self.add_many([activity], *args, **kwargs)

    def add_many(self, activities: Iterable[Activity], *args: Any, **kwargs: Any) -> Any:
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

    def get(self, activity_id: Any, *args: Any, **kwargs: Any) -> Activity | None:
        """The activity, or ``None`` if it isn't there."""
        found = self.get_many([activity_id], *args, **kwargs)
        return found[0] if found else None

    def get_many(self, activity_ids: Iterable[Any], *args: Any, **kwargs: Any) -> list[Activity]:
        """The activities of these ids that are there, in the order of the ids."""
        if args or kwargs:
            args, kwargs = self._handed_on('get', 'activity_ids', args, kwargs)
        return list(self._found(activity_ids, *args, **kwargs).values())

    def get_map_by_hooks(self, activity_ids: Iterable[Any]) -> dict[int, Activity]:
        """Return id -> activity, through :meth:`get_many`."""
        return {self.activity_to_id(activity): activity for activity in self.get_many(activity_ids)}

    @shortcut('get_many', plain='get_map_by_hooks')
    def get_map(self, activity_ids: Iterable[Any]) -> dict[int, Activity]:
        """Return id -> activity, for those that are there, in the order of the ids. One round trip."""
        return self._found(activity_ids)

    def _found(self, activity_ids: Iterable[Any], *args: Any, **kwargs: Any) -> dict[int, Activity]:
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

    def remove(self, activity_or_id: Any, *args: Any, **kwargs: Any) -> Any:
        """Remove one activity, given itself or by its id."""
        return self.remove_many([activity_or_id], *args, **kwargs)

    def remove_many(self, activities: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
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
        """Id -> data, for those that are there."""
        raise NotDefinedError(f'{type(self).__name__} must define get_from_storage(activity_ids)')

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> Any:
        """Remove these ids."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_from_storage(activity_ids)')


class BaseTimelineStorage(BaseStorage):
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

    #: Whether an application reads, or writes, by the library's hooks: else feeds go by the hooks, one by one.
    reads_as_usual = unchanged('get_slice', 'get_slice_from_storage', 'deserialize_activities')
    writes_as_usual = unchanged(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage'
    )
    _serializes_as_usual = unchanged(
        'serialize_activities', 'serialize_activity', 'activity_to_id', 'activities_to_ids'
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.max_length = options.get('max_length') or self.max_length

    @property
    def holds_groups(self) -> bool:
        """Whether the entries are groups of activities, which sort as :func:`stream_framework.ids.group_order` says."""
        return isinstance(self.serializer, BaseAggregatedSerializer)

    @property
    def trims_within(self) -> bool:
        """Whether writes trim in the same step: the backend can, and no subclass has a way of its own."""
        return self.trims_on_write and self.writes_as_usual

    _trims_as_usual = unchanged('trim', 'trim_storage')

    @property
    def trims_each_write(self) -> bool:
        """Whether trimming costs next to nothing, so that chance has no say in it."""
        return self.trims_on_write and self.trims_for_free and self._trims_as_usual

    @property
    def serializes_once(self) -> bool:
        """Whether what is the same for many timelines may be serialized once for all of them."""
        return self._serializes_as_usual and self.serializer.writes_as_usual

    def is_like(self, other: BaseTimelineStorage) -> bool:
        """Whether another storage does the same, as those that feeds of one class make for themselves."""
        return (
            type(self) is type(other)
            and self.serializer_class is other.serializer_class
            and self.options == other.options
            and self._has_no_hooks_of_its_own
            and other._has_no_hooks_of_its_own
        )

    @property
    def _has_no_hooks_of_its_own(self) -> bool:
        return not any(
            callable(value) and not isinstance(value, type) and hasattr(type(self), name)
            for name, value in vars(self).items()
        )

    def order(self, activity_id: Any) -> int:
        """The number that an entry of this id sorts by."""
        return ids.group_order(activity_id) if self.holds_groups else ids.normalize_id(activity_id)

    def add(self, key: str, activity: Any, *args: Any, **kwargs: Any) -> Any:
        """Add one activity or group; see :meth:`add_many`."""
        return self.add_many(key, [activity], *args, **kwargs)

    def add_many(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
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

    def add_to_many_by_hooks(
        self, keys: Sequence[str], activities: Sequence[Any], batch: BaseBatch, trim_length: int | None
    ) -> None:
        """Queue adding the same activities to many timelines, by :meth:`add_many` for each."""
        for key in keys:
            self.add_many(key, activities, batch_interface=batch)
            if trim_length is not None:
                self.trim(key, trim_length, batch_interface=batch)

    @shortcut('add', 'add_many', plain='add_to_many_by_hooks')
    def add_to_many(
        self, keys: Sequence[str], activities: Sequence[Any], batch: BaseBatch, trim_length: int | None
    ) -> None:
        """Queue adding the same activities to many timelines: serialized once, one write.

        :param trim_length: keep only the newest so many of each
        """
        if not self.serializes_once:
            self.add_to_many_by_hooks(keys, activities, batch, trim_length)
        else:
            batch.write(self, 'add', keys, self.serialize_activities(activities), trim_length)

    def remove(self, key: str, activity: Any, *args: Any, **kwargs: Any) -> Any:
        """Remove one entry; see :meth:`remove_many`."""
        return self.remove_many(key, [activity], *args, **kwargs)

    def remove_many(self, key: str, activities: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
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

    def serialize_removed(self, activities: Iterable[Any]) -> dict[Any, Any]:
        """Return id -> what is stored of it, or the id where only that was given."""
        activities = list(activities)
        whole = [activity for activity in activities if isinstance(activity, BaseActivity)]
        serialized = self.serialize_activities(whole) if whole else {}
        if len(whole) < len(activities):
            others = [activity for activity in activities if not isinstance(activity, BaseActivity)]
            serialized = {**serialized, **{item: item for item in self.activities_to_ids(others)}}
        return serialized

    def remove_from_many_by_hooks(
        self, keys: Sequence[str], activities: Sequence[Any], batch: BaseBatch, trim_length: int | None
    ) -> None:
        """Queue removing the same entries from many timelines, by :meth:`remove_many` for each."""
        for key in keys:
            self.remove_many(key, activities, batch_interface=batch)
            if trim_length is not None:
                self.trim(key, trim_length, batch_interface=batch)

    @shortcut('remove', 'remove_many', plain='remove_from_many_by_hooks')
    def remove_from_many(
        self, keys: Sequence[str], activities: Sequence[Any], batch: BaseBatch, trim_length: int | None
    ) -> None:
        """Queue removing the same entries from many timelines: one write."""
        if not self.serializes_once:
            self.remove_from_many_by_hooks(keys, activities, batch, trim_length)
        else:
            batch.write(self, 'remove', keys, self.serialize_removed(activities), trim_length)

    def update_many(self, key: str, activities: Iterable[Activity], batch_interface: Any = None) -> list[int] | None:
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

    @property
    def keeps_references(self) -> bool:
        """Whether entries hold only ids, so that there is nothing to replace in them."""
        return isinstance(self.serializer, SimpleTimelineSerializer) or getattr(self.serializer, 'dehydrate', False)

    def get_slice(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> list[Any]:
        """The entries from ``start`` up to, not including, ``stop``; newest first.

        :param filter_kwargs: ``activity_id__gt``, ``__gte``, ``__lt``, ``__lte`` -> an id; positions count what passes
        :param ordering_args: ``('activity_id',)`` for oldest first
        :raises SerializationException: naming key and id of an entry that can't be read
        """
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)):
            pairs = self.get_slice_from_storage(
                key, start, stop, filter_kwargs=filter_kwargs, ordering_args=ordering_args
            )
        activities = self.load_all(key, pairs or ())
        metrics.on_feed_read(type(self), len(activities))
        return activities

    @property
    def holds_references(self) -> bool:
        """Whether entries are ids and nothing else, read by no hook of a subclass: :meth:`get_ids` will do."""
        return self.reads_as_usual and self.serializer.holds_references

    def get_ids(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> list[int]:
        """What :meth:`get_slice` returns, as ids; for storages that hold references."""
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)):
            pairs = self.get_slice_from_storage(
                key, start, stop, filter_kwargs=filter_kwargs, ordering_args=ordering_args
            )
        found = [data for _, data in pairs or ()]
        if not _ALL_INTS.issuperset(map(type, found)):
            found = [reference.serialization_id for reference in self.load_many(key, pairs)]
        metrics.on_feed_read(type(self), len(found))
        return found

    def get_page(
        self,
        activity_storage: Any,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Any = None,
        ordering_args: Any = None,
    ) -> tuple[list[Activity], int]:
        """A slice with whole activities instead of references; for storages that hold references.

        :param activity_storage: where the activities are
        :returns: those that are there, and how many references there were
        """
        activity_ids = self.get_ids(key, start, stop, filter_kwargs=filter_kwargs, ordering_args=ordering_args)
        whole = activity_storage.get_map(activity_ids) if activity_ids else {}
        return list(whole.values()), len(activity_ids)

    def index_of(self, key: str, activity_or_id: Any) -> int:
        """The position of an entry, 0 for the newest.

        :raises ValueError: if it isn't there
        """
        [activity_id] = self.activities_to_ids([activity_or_id])
        return self.get_index_of(key, activity_id)

    def contains(self, key: str, activity_or_id: Any) -> bool:
        """Whether an entry is there."""
        try:
            self.index_of(key, activity_or_id)
        except InvalidIdError:
            raise
        except ValueError:
            return False
        return True

    def trim(self, key: str, length: int | None = None, batch_interface: Any = None) -> Any:
        """Keep the newest ``length`` entries.

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
        """A context manager: whatever is done with it as ``batch_interface`` is sent when the block ends."""
        return BaseBatch(self)

    def bounds(self, filter_kwargs: Mapping[str, Any] | None) -> tuple[int | None, int | None]:
        """Filters as the lowest and the highest :meth:`order` number that passes; ``None`` for no bound.

        :raises ValueError: for a filter that isn't one of ``FILTERS``, or a value that is no id
        """
        low: int | None = None
        high: int | None = None
        for name, value in (filter_kwargs or {}).items():
            if name not in FILTERS:
                raise ValueError(f'feeds can not be filtered by {name!r}: use one of {", ".join(FILTERS)}')
            number = self.order(self.activity_to_id(value))
            if name.startswith('activity_id__g'):
                number += name == 'activity_id__gt'
                low = number if low is None else max(low, number)
            else:
                number -= name == 'activity_id__lt'
                high = number if high is None else min(high, number)
        return low, high

    def ascends(self, ordering_args: Iterable[str] | None) -> bool:
        """Whether the oldest comes first.

        :raises ValueError: for an order that isn't one of ``ORDERINGS``
        """
        ascending = False
        for name in ordering_args or ():
            if name not in ORDERINGS:
                raise ValueError(f'feeds can not be ordered by {name!r}: use one of {", ".join(map(repr, ORDERINGS))}')
            ascending = name == 'activity_id'
        return ascending

    def load_entry(self, key: str, entry: tuple[Any, Any]) -> Any:
        """The group of one entry of a :class:`Snapshot`."""
        return self.load(key, *entry)

    def select_groups(self, entries: Pairs, names: Collection[str]) -> Pairs:
        """Those entries of a :class:`Snapshot` whose groups have one of these names, or where only loading can tell."""
        select = getattr(self.serializer, 'select', None)
        return entries if select is None else select(entries, names)

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Add id -> data to a timeline; an id that is there already stays one entry, with the new data."""
        raise NotDefinedError(f'{type(self).__name__} must define add_to_storage(key, activities)')

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Remove ids (the keys) from a timeline; those that aren't there are skipped."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_from_storage(key, activities)')

    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
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

    def get_slice_from_storage(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Pairs:
        """Pairs ``(id, data)``; parameters as of :meth:`get_slice`."""
        raise NotDefinedError(f'{type(self).__name__} must define get_slice_from_storage(key, start, stop)')

    def get_index_of(self, key: str, activity_id: Any) -> int:
        """The position of an id, 0 for the newest; ``ValueError`` if it isn't there."""
        raise NotDefinedError(f'{type(self).__name__} must define get_index_of(key, activity_id)')

    def trim_storage(self, key: str, length: int) -> Any:
        """Keep the newest ``length`` entries, at least one; a timeline shorter than that is untouched."""
        raise NotDefinedError(f'{type(self).__name__} must define trim_storage(key, length)')

    def count(self, key: str) -> int:
        """How many entries there are."""
        raise NotDefinedError(f'{type(self).__name__} must define count(key)')

    def delete(self, key: str) -> Any:
        """Delete the timeline."""
        raise NotDefinedError(f'{type(self).__name__} must define delete(key)')

    def flush_matching(self, pattern: str) -> None:
        """Delete the timelines whose keys match a glob; here, for backends that can't tell, all of them."""
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


def update_in_storages(updates: Iterable[tuple[BaseTimelineStorage, str, Mapping[int, Any]]]) -> None:
    """Replace entries of many timelines: those of storages that do the same together."""
    runs: list[tuple[BaseTimelineStorage, list[tuple[str, Mapping[int, Any]]]]] = []
    for storage, key, data in updates:
        if not runs or not (storage is runs[-1][0] or storage.is_like(runs[-1][0])):
            runs.append((storage, []))
        runs[-1][1].append((key, data))
    for storage, of_storage in runs:
        storage.update_in_storage(of_storage)


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
