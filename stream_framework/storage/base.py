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

import logging
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity, BaseActivity
from stream_framework.exceptions import InvalidIdError, NotDefinedError, SerializationException
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer
from stream_framework.serializers.dummy import DummySerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.utils import MetricsOfSettings

logger = logging.getLogger(__name__)

Pairs = list[tuple[Any, Any]]

#: The filters that every timeline understands.
FILTERS = ('activity_id__gt', 'activity_id__gte', 'activity_id__lt', 'activity_id__lte')
#: The orders that every timeline understands; the second is the default.
ORDERINGS = ('activity_id', '-activity_id')

_ALL_INTS = frozenset({int})


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
        # The serializer itself, unless a subclass has its own way.
        own = type(self).serialize_activity is not BaseStorage.serialize_activity
        dumps, to_id = self.serialize_activity if own else self.serializer.dumps, self.activity_to_id
        return {to_id(activity): dumps(activity) for activity in activities}

    def deserialize_activities(self, data: Mapping[Any, Any] | Iterable[Any]) -> list[Any]:
        """The activities or groups that stored data stands for.

        :param data: a list of what the serializer made, or a dict id -> that
        """
        return self.load_many(None, data.items() if isinstance(data, Mapping) else ((None, item) for item in data))

    def load_all(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """The same as :meth:`load_many`, but in a subclass's own way if it has one."""
        if type(self).deserialize_activities is not BaseStorage.deserialize_activities:
            # A subclass has its own way.
            return list(self.deserialize_activities([data for _, data in pairs]))
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
        if type(self.serializer).loads is ActivitySerializer.loads:
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

    Hooks: :meth:`add_to_storage`, :meth:`get_from_storage`, :meth:`remove_from_storage`, and for what was published
    last to win (see :mod:`stream_framework.feed_managers.base`) :meth:`set_marks`, :meth:`get_marks`; for a ledger
    of what was published and isn't done (see :mod:`stream_framework.ledger`) :meth:`write_ledger`,
    :meth:`delete_from_ledger`, :meth:`find_in_ledger`, :meth:`read_ledger`.
    """

    #: Whether ``add_to_storage`` takes ``turn_marks`` and the mark hooks are there.
    supports_marks: ClassVar[bool] = False
    #: Whether the ledger hooks are there.
    supports_ledger: ClassVar[bool] = False

    def add(self, activity: Activity, *args: Any, **kwargs: Any) -> Any:
        """Store one activity; see :meth:`add_many`."""
        return self.add_many([activity], *args, **kwargs)

    def add_many(self, activities: Iterable[Activity], *args: Any, **kwargs: Any) -> Any:
        """Store activities; one that is there already is replaced.

        :returns: what the hook returns; in memory and on Redis the number of activities given
        """
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
        return list(self._found(activity_ids, *args, **kwargs).values())

    def get_map(self, activity_ids: Iterable[Any]) -> dict[int, Activity]:
        """Id -> activity, for those that are there, in the order of the ids. One round trip."""
        if type(self).get_many is not BaseActivityStorage.get_many:
            # An application's own way of getting them, through a cache say.
            return {self.activity_to_id(activity): activity for activity in self.get_many(activity_ids)}
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
        activity_ids = self.activities_to_ids(activities)
        if not activity_ids:
            return 0
        self.metrics.on_feed_remove(type(self), len(activity_ids))
        return self.remove_from_storage(activity_ids, *args, **kwargs)

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> Any:
        """Store id -> data.

        :param turn_marks: (keyword, where ``supports_marks``) ``(names, value, ttl in seconds)``: set those of the
            marks that exist, in the same round trip
        """
        raise NotDefinedError(f'{type(self).__name__} must define add_to_storage(serialized_activities)')

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Id -> data, for those that are there."""
        raise NotDefinedError(f'{type(self).__name__} must define get_from_storage(activity_ids)')

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> Any:
        """Remove these ids."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_from_storage(activity_ids)')

    def set_marks(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """Set marks: small values that expire.

        :param ttl: in seconds
        :param existing: set only those that exist
        """

    def get_marks(self, names: Sequence[str]) -> list[str | None]:
        """The values of marks, in order; ``None`` for what was never set or has expired. One round trip."""
        return [None] * len(names)

    def write_ledger(self, minute: int, entries: Mapping[str, str], ttl: float, existing: bool = False) -> None:
        """Write entries of a ledger. One round trip.

        :param minute: the minute, since the epoch, that they are kept under
        :param entries: id -> text
        :param ttl: for how many seconds they are kept, at least
        :param existing: write only those that are there; in one step, since they may be deleted at any moment
        """
        raise NotDefinedError(f'{type(self).__name__} must define write_ledger(minute, entries, ttl)')

    def delete_from_ledger(self, minute: int, entry_id: str) -> None:
        """Delete an entry; one that isn't there is no error. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define delete_from_ledger(minute, entry_id)')

    def find_in_ledger(self, minute: int, entry_id: str) -> str | None:
        """The text of an entry, or ``None``. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define find_in_ledger(minute, entry_id)')

    def read_ledger(self, minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """``(minute, id, text)`` of all entries of some minutes."""
        raise NotDefinedError(f'{type(self).__name__} must define read_ledger(minutes)')


@dataclass(slots=True)
class Snapshot:
    """What was read of a timeline: its newest entries."""

    key: str
    #: ``(id or whatever the storage's load_entry takes, data)``, newest first.
    entries: Pairs
    #: What the storage needs to see whether they are still the newest; ``None`` where it can't tell.
    token: Any = None
    #: Whether there are others among the newest, of groups that were not asked for.
    partial: bool = False


@dataclass(slots=True)
class MarkChange:
    """What happens to a group's marks when the group changes."""

    #: The ids that it may be marked under so far.
    old_ids: tuple[str, ...]
    #: The id it has from now on, ``None`` if it is gone.
    new_id: str | None
    #: Whether it is to be marked in any case; otherwise only if it was.
    renew: bool


@dataclass(slots=True)
class Change:
    """One feed's write. ``snapshot`` is what it depends on; ``None`` writes in any case."""

    key: str
    snapshot: Snapshot | None = None
    #: Entries of the snapshot that go.
    removed: Pairs = field(default_factory=list)
    #: Id -> data of what comes.
    added: dict[Any, Any] = field(default_factory=dict)
    #: Whether the write also depends on no other group having appeared among the newest.
    creates: bool = False
    #: Keep the newest so many, ``None`` for all.
    trim_length: int | None = None
    #: Where the marks are, ``None`` for a feed that has none.
    lists: BaseListsStorage | None = None
    #: List's name -> what happens to the marks in it.
    marks: dict[str, list[MarkChange]] = field(default_factory=dict)

    def mark_new(self) -> None:
        """Mark what is about to be written, where marks and groups can't change in one step."""
        if self.lists is None or not self.marks:
            return
        asked = [name for name, marks in self.marks.items() if any(not mark.renew for mark in marks)]
        found = self.lists.get(*asked) if asked else ()
        marked = dict(zip(asked, [found] if len(asked) == 1 else found, strict=True))
        new = {
            name: [
                mark.new_id
                for mark in marks
                if mark.new_id is not None and (mark.renew or not set(mark.old_ids).isdisjoint(marked[name]))
            ]
            for name, marks in self.marks.items()
        }
        self.lists.add_once(**new)

    def unmark_old(self) -> None:
        """Then, when it has been written, take away the marks of what is gone."""
        if self.lists is not None:
            self.lists.remove(
                **{
                    name: [old for mark in marks for old in mark.old_ids if old != mark.new_id]
                    for name, marks in self.marks.items()
                }
            )


#: Storage, ``'add' | 'remove' | 'trim'``, the keys of the timelines, id -> data, and the length to trim to.
Write = tuple['BaseTimelineStorage', str, list[str], Any, int | None]


class _Seen:
    """A list as it was: the caller may fill the same list with something else."""

    __slots__ = ('items', 'them')

    def __init__(self, items: Any) -> None:
        self.items = items
        self.them = list(items)

    def is_still(self, items: Any) -> bool:
        return items is self.items and len(items) == len(self.them) and all(map(operator.is_, items, self.them))


class BaseBatch:
    """Work on many timelines that is sent at once when the ``with`` block ends, and dropped if it raises.

    The order of the work is kept for each timeline.
    """

    def __init__(self, storage: BaseTimelineStorage) -> None:
        self.storage = storage
        self._writes: list[Write] = []
        self._updates: dict[Callable[[list[Any]], None], list[Any]] = {}
        self._after: list[Callable[[], Any]] = []
        # What was done with last: a fan-out does the same with one and the same list for every follower.
        self._memo: tuple[Any, Any, Any] = (None, None, None)
        self._checked: tuple[Any, Any] = (None, None)
        self._repeatable: tuple[Any, Any, Any] = (None, None, None)
        self._marks_wanted: tuple[BaseActivityStorage, Sequence[str]] | None = None
        #: The marks that :meth:`then_read_marks` asked for, once everything has been written.
        self.marks: list[str | None] | None = None

    def __enter__(self) -> BaseBatch:
        return self

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        try:
            if exc_type is None:
                self.send()
        finally:
            self.clear()

    def add(self, storage: BaseTimelineStorage, key: str, activities: Any, trim_length: int | None) -> None:
        """Queue adding activities to a timeline."""
        self._repeatable = (None, None, None)
        self._queue((storage, 'add', [key], self._serialized(storage, activities), trim_length))

    def remove(self, storage: BaseTimelineStorage, key: str, serialized: Any, trim_length: int | None) -> None:
        """Queue removing entries, id -> data, from a timeline."""
        self._repeatable = (None, None, None)
        self._queue((storage, 'remove', [key], serialized, trim_length))

    def is_checked(self, activities: Any, feed_class: type) -> bool:
        """Whether the last call was about the very same list and class of feeds: it need not be checked again."""
        seen, for_class = self._checked
        return seen is not None and for_class is feed_class and seen.is_still(activities)

    def has_checked(self, activities: Any, feed_class: type) -> None:
        """Remember for :meth:`is_checked` that a list of activities fits a class of feeds."""
        self._checked = (_Seen(activities), feed_class)

    def repeats(self, feed: Any, activities: Any, trim: Any) -> bool:
        """Queue for a feed what was just queued for another one, if it is the same: most of a fan-out."""
        feed_class, seen, last_trim = self._repeatable
        if type(feed) is not feed_class or trim is not last_trim or not seen.is_still(activities):
            return False
        storage, _, keys, _, _ = self._writes[-1]
        attributes = feed.__dict__
        # A feed that has more than its key and its storage may have a way of its own.
        if len(attributes) != 3 or attributes.get('timeline_storage') is not storage:
            return False
        keys.append(feed.key)
        return True

    def repeat(self, keys: Iterable[str]) -> None:
        """Queue what was queued last for other timelines of the same storage."""
        self._writes[-1][2].extend(keys)

    def repeatable(self, feed: Any, activities: Any, trim: Any) -> None:
        """What was queued last, for this feed, is the same for all others of its class."""
        if len(feed.__dict__) == 3:
            self._repeatable = (type(feed), _Seen(activities), trim)

    def trim(self, storage: BaseTimelineStorage, key: str, length: int) -> None:
        """Queue trimming a timeline."""
        self._repeatable = (None, None, None)
        self._queue((storage, 'trim', [key], None, length))

    def _queue(self, write: Write) -> None:
        """Queue a write; with the one before, if it is the same for another timeline."""
        if self._writes:
            storage, operation, keys, serialized, length = self._writes[-1]
            # Removals are made for each feed, but are mostly of the same.
            if write[0] is storage and write[1] == operation and write[4] == length and write[3] == serialized:
                keys += write[2]
                return
        self._writes.append(write)

    def defer(self, run: Callable[[list[Any]], None], update: Any) -> None:
        """Queue work that reads before it writes: ``run`` gets all updates of its kind at once."""
        self._updates.setdefault(run, []).append(update)

    def after(self, call: Callable[[], Any]) -> None:
        """Queue a call for when everything has been written."""
        self._after.append(call)

    def then_read_marks(self, storage: BaseActivityStorage, names: Sequence[str]) -> None:
        """Read marks when everything has been written: in the same round trip, where that is possible."""
        self._marks_wanted = (storage, names)

    def send(self) -> None:
        """Do what was queued."""
        if self._writes:
            self._count()
            self.send_writes(self._writes)
        for run, updates in self._updates.items():
            run(updates)
        call_all(self._after)
        if self._marks_wanted is not None and self.marks is None:
            self.marks = self.read_marks(*self._marks_wanted)

    def read_marks(self, storage: BaseActivityStorage, names: Sequence[str]) -> list[str | None]:
        """Read marks, when everything that they are about has been written."""
        return storage.get_marks(names)

    def clear(self) -> None:
        """Forget what was queued."""
        self._writes, self._updates, self._after = [], {}, []
        self._marks_wanted = None
        self._memo = (None, None, None)
        self._checked = (None, None)
        self._repeatable = (None, None, None)

    def _count(self) -> None:
        """Tell the metrics what is about to be written."""
        counts: dict[tuple[type, str], int] = {}
        for storage, operation, keys, serialized, _ in self._writes:
            if operation != 'trim':
                kind = (type(storage), operation)
                counts[kind] = counts.get(kind, 0) + len(serialized) * len(keys)
        metrics = self.storage.metrics
        for (storage_class, operation), count in counts.items():
            if operation == 'add':
                metrics.on_feed_write(storage_class, count)
            else:
                metrics.on_feed_remove(storage_class, count)

    def runs(self, writes: list[Write]) -> Iterator[list[Write]]:
        """Writes in order, those that follow each other to storages that do the same together."""
        run: list[Write] = []
        for write in writes:
            if run and write[0] is not run[-1][0] and not write[0].does_as(run[-1][0]):
                yield run
                run = []
            run.append(write)
        if run:
            yield run

    def send_writes(self, writes: list[Write]) -> None:
        """Send writes in order; here timeline by timeline."""
        for storage, operation, keys, serialized, length in writes:
            for key in keys:
                if operation == 'add':
                    storage.add_to_storage(key, serialized)
                elif operation == 'remove':
                    storage.remove_from_storage(key, serialized)
                if length is not None:
                    storage.trim(key, length)

    def _serialized(self, storage: BaseTimelineStorage, activities: Any) -> Any:
        # A fan-out adds one and the same list to every follower's feed: it is serialized once.
        return self._serialized_once(storage.serializer_class, storage, activities)

    def _serialized_once(self, kind: Any, storage: BaseTimelineStorage, activities: Any) -> Any:
        for_kind, seen, serialized = self._memo
        if for_kind != kind or seen is None or not seen.is_still(activities):
            serialized = storage.serialize_activities(activities)
            self._memo = (kind, _Seen(activities), serialized)
        return serialized


class BaseTimelineStorage(BaseStorage):
    """Keeps the timelines: for each key, entries sorted by id.

    Hooks: :meth:`add_to_storage`, :meth:`remove_from_storage`, :meth:`get_slice_from_storage`, :meth:`get_index_of`,
    :meth:`count`, :meth:`delete`, :meth:`trim_storage`, and for feeds of groups :meth:`read_newest` and
    :meth:`apply_changes`.
    """

    default_serializer_class = SimpleTimelineSerializer

    #: Whether adding takes ``trim_length`` and trims in the same step.
    trims_on_write: ClassVar[bool] = False
    #: Whether that costs next to nothing, so that every write may trim.
    trims_for_free: ClassVar[bool] = True
    #: The longest wait after the first attempt at a change that other writers got in the way of, and after any, in
    #: seconds: about what one write takes, and what many take.
    retry_waits: ClassVar[tuple[float, float]] = (0.001, 0.1)
    #: What ``trim()`` without a length leaves.
    max_length: int = 100

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.max_length = options.get('max_length') or self.max_length

    @property
    def repairs_marks(self) -> bool:
        """Whether a write that finds nothing to change is sent all the same, since it tidies up a feed's marks."""
        return False

    @property
    def holds_groups(self) -> bool:
        """Whether the entries are groups of activities, which sort as :func:`stream_framework.ids.group_order` says."""
        return isinstance(self.serializer, BaseAggregatedSerializer)

    def does_as(self, other: BaseTimelineStorage) -> bool:
        """Whether another storage does the same, as those that feeds of one class make for themselves."""
        return (
            type(self) is type(other)
            and self.serializer_class is other.serializer_class
            and self.options == other.options
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
        if not isinstance(activities, Sized):
            activities = list(activities)
        if not activities:
            return 0
        batch_interface = kwargs.get('batch_interface')
        if isinstance(batch_interface, BaseBatch):
            batch_interface.add(self, key, activities, kwargs.get('trim_length'))
            return None
        self.metrics.on_feed_write(type(self), len(activities))
        return self.add_to_storage(key, self.serialize_activities(activities), *args, **_without_batch(kwargs))

    def remove(self, key: str, activity: Any, *args: Any, **kwargs: Any) -> Any:
        """Remove one entry; see :meth:`remove_many`."""
        return self.remove_many(key, [activity], *args, **kwargs)

    def remove_many(self, key: str, activities: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Remove entries, given as activities, groups or ids (int, UUID, str of digits).

        :param batch_interface: queue instead
        :returns: how many were there; ``None`` if queued
        """
        serialized = {
            self.activity_to_id(activity): self.serialize_activity(activity)
            if isinstance(activity, BaseActivity)
            else self.activity_to_id(activity)
            for activity in activities
        }
        if not serialized:
            return 0
        if isinstance(kwargs.get('batch_interface'), BaseBatch):
            kwargs['batch_interface'].remove(self, key, serialized, kwargs.get('trim_length'))
            return None
        self.metrics.on_feed_remove(type(self), len(serialized))
        return self.remove_from_storage(key, serialized, *args, **_without_batch(kwargs))

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
        """Whether entries are ids and nothing else, read in no way of a subclass's own: :meth:`get_ids` will do."""
        cls = type(self)
        return (
            type(self.serializer) is SimpleTimelineSerializer
            and cls.get_slice is BaseTimelineStorage.get_slice
            and cls.deserialize_activities is BaseStorage.deserialize_activities
        )

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

    def get_whole(
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
        return self.get_index_of(key, self.activity_to_id(activity_or_id))

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
            return batch_interface.trim(self, key, length)
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

    def count(self, key: str, *args: Any, **kwargs: Any) -> int:
        """How many entries there are."""
        raise NotDefinedError(f'{type(self).__name__} must define count(key)')

    def delete(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """Delete the timeline."""
        raise NotDefinedError(f'{type(self).__name__} must define delete(key)')

    def flush_matching(self, pattern: str) -> None:
        """Delete the timelines whose keys match a glob; here, for backends that can't tell, all of them."""
        self.flush()

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """The newest ``length`` entries of each of many timelines; here one timeline after the other, unguarded."""
        return [Snapshot(key, self.get_slice_from_storage(key, 0, length)) for key in keys]

    def read_latest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """The same after a write was refused: what it was refused for has to show, though it be on few replicas yet."""
        return self.read_newest(keys, length)

    def read_groups(
        self, keys: Sequence[str], length: int, names: Collection[str], latest: bool = False
    ) -> list[Snapshot]:
        """As :meth:`read_newest` (or :meth:`read_latest`), but entries of groups of other names may be left out."""
        return (self.read_latest if latest else self.read_newest)(keys, length)

    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Write changes, each in one step, and only if its snapshot still holds.

        Here, for backends that can't do better: in several steps, in an order in which a crash leaves a group marked
        rather than silently unmarked, and without looking at the snapshot.

        :returns: those that were not written because somebody else wrote in between
        """
        for change in changes:
            change.mark_new()
            if change.removed:
                self.remove_from_storage(change.key, dict(change.removed))
            if change.added:
                self.add_to_storage(change.key, change.added)
            change.unmark_old()
            if change.trim_length is not None:
                self.trim(change.key, change.trim_length)
        return []

    def apply_by_hooks(self, changes: Sequence[Change]) -> list[Change]:
        """As :meth:`apply_changes`, where an application's subclass writes in its own way: its hooks are called.

        That is feed by feed, when what was read has been found to be there still; so not in one step.
        """
        refused = []
        for change in changes:
            if change.snapshot is None or self.is_as_read(change.snapshot):
                BaseTimelineStorage.apply_changes(self, [change])
            else:
                refused.append(change)
        return refused

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """Whether a timeline's newest entries are still those of a snapshot, for :meth:`apply_by_hooks`."""
        raise NotDefinedError(f'{type(self).__name__} must define is_as_read(snapshot)')


def methods(cls: Any, *names: str) -> dict[str, Any]:
    """Some methods of a class, as they are now, for :func:`uses`."""
    return {name: getattr(cls, name) for name in names}


def keeps_promise(cls: type, promise: str, *hooks: str) -> bool:
    """Whether what a class says of some hooks is said of those that it has.

    An application's subclass that defines one of them in its own way, with the signature that 1.4.0 had, inherits the
    attribute that promises more; unless it says so again, that was said of another hook.

    :param promise: the name of a class attribute
    """
    for base in cls.__mro__:
        if promise in vars(base):
            return bool(getattr(cls, promise))
        if not vars(base).keys().isdisjoint(hooks):
            return False
    return False


def uses(thing: Any, stock: Mapping[str, Any]) -> bool:
    """Whether a thing has all these methods, name -> function, and no way of its own for any of them."""
    # Not by its __dict__: once that is asked for, every attribute is slower to read.
    return all(getattr(getattr(thing, name, None), '__func__', None) is method for name, method in stock.items())


def _without_batch(kwargs: dict[str, Any]) -> dict[str, Any]:
    if kwargs.get('batch_interface', 0) is None:
        kwargs = {name: value for name, value in kwargs.items() if name != 'batch_interface'}
    return kwargs


def call_all(calls: Iterable[Callable[[], Any]]) -> None:
    """Call each: what is to be done for one feed does not depend on what the hook of another one raises.

    :raises Exception: the first that was raised, when all are done; where there are more, all are in the log
    """
    failures: list[Exception] = []
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if len(failures) > 1:
        for number, failure in enumerate(failures, 1):
            logger.error('failure %d of %d, of which the first is raised', number, len(failures), exc_info=failure)
    if failures:
        raise failures[0]


def iter_parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Consecutive parts of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
