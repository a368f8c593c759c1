"""What a backend may be able to do besides: each ability is a class, and is asked for by ``isinstance``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from stream_framework.exceptions import NotDefinedError
from stream_framework.storage.changes import Change, Snapshot, apply_by_hooks


class KeepsIntents:
    """An activity storage that keeps *intents*: what was published last for an activity or a follow.

    An intent is a small value by name, which expires. See :mod:`stream_framework.feed_managers.intents`.
    """

    def set_intents(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """Set intents. One round trip.

        :param ttl: after how many seconds they expire
        :param existing: set only those that exist
        """
        raise NotDefinedError(f'{type(self).__name__} must define set_intents(names, value, ttl, existing)')

    def get_intents(self, names: Sequence[str]) -> list[str | None]:
        """Return the values, in order; ``None`` for what was never set or has expired. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define get_intents(names)')

    def add_and_turn(self, activities: Sequence[Any], names: Sequence[str], value: str, ttl: float) -> None:
        """Store activities, and set those of the intents that exist."""
        self.add_many(activities)  # type: ignore[attr-defined]
        self.set_intents(names, value, ttl, existing=True)


class KeepsLedger:
    """An activity storage that keeps a ledger of open tasks: see :mod:`stream_framework.ledger`."""

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
        """Return the text of an entry, or ``None``. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define find_in_ledger(minute, entry_id)')

    def read_ledger(self, minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """Yield ``(minute, id, text)`` of all entries of some minutes."""
        raise NotDefinedError(f'{type(self).__name__} must define read_ledger(minutes)')


class ListsActivities:
    """An activity storage that can go through all that it holds: erasing a user finds what he did by that."""

    def iter_stored(self) -> Iterator[Sequence[tuple[int, Any]]]:
        """Yield all ``(id, data)`` in parts of some thousand at most. What comes or goes meanwhile may be left out."""
        raise NotDefinedError(f'{type(self).__name__} must define iter_stored()')


class ListsTimelines:
    """A timeline storage that can go through its keys: erasing a user finds copies of what he did by that."""

    def iter_keys(self, pattern: str) -> Iterator[str]:
        """Yield the keys of all timelines that match a glob, read in parts; a key may come twice.

        A storage that shares a server with others may yield keys of theirs.
        """
        raise NotDefinedError(f'{type(self).__name__} must define iter_keys(pattern)')


class GuardsGroups:
    """A timeline storage that changes feeds of groups only if what was read is still there.

    A storage without this ability writes in any case: one of two workers that change one feed at once may undo what
    the other has done.
    """

    #: The longest wait after the first attempt at a change that other writers got in the way of, and after any, in
    #: seconds: about what one write takes, and what many take.
    retry_waits: ClassVar[tuple[float, float]] = (0.001, 0.1)

    @property
    def repairs_markers(self) -> bool:
        """Whether a change that finds nothing to do is sent all the same, since it tidies up a feed's markers."""
        return False

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """Return the newest ``length`` entries of each of many timelines, with what tells whether they still are."""
        raise NotDefinedError(f'{type(self).__name__} must define read_newest(keys, length)')

    def read_latest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """Read again after a change was refused, such that the conflicting write is visible."""
        return self.read_newest(keys, length)

    def read_groups(
        self, keys: Sequence[str], length: int, names: Collection[str], latest: bool = False
    ) -> list[Snapshot]:
        """Read the newest entries; those of groups of other names may be left out."""
        return (self.read_latest if latest else self.read_newest)(keys, length)

    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Apply changes, each in one step, and only if its snapshot still holds.

        Here, for subclasses with hooks of their own: these are called, feed by feed, after a look at what is there; so
        not in one step.

        :returns: those that were refused, since somebody else wrote in between
        """
        return apply_by_hooks(self, changes, self.is_as_read)

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """Whether a timeline's newest entries are still those of a snapshot; compares stored bytes, or identity."""
        raise NotDefinedError(f'{type(self).__name__} must define is_as_read(snapshot)')


class KeepsSeen:
    """A timeline storage that keeps, for each timeline, how far its reader has seen it.

    That is one number, the *seen mark*, by which :meth:`~.base.BaseTimelineStorage.order` sorts entries. Writes to a
    timeline leave it alone; what is new is counted when somebody asks. Deleting the timeline forgets it.
    """

    def set_seen(self, key: str, number: int) -> None:
        """Move the seen mark of a timeline forward; one that is there already, and higher, stays."""
        raise NotDefinedError(f'{type(self).__name__} must define set_seen(key, number)')

    def get_seen(self, keys: Sequence[str]) -> list[int | None]:
        """Return the seen marks of timelines, in order; ``None`` where there is none. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define get_seen(keys)')

    def counts_along(self, other: KeepsSeen) -> bool:
        """Whether another storage's timelines can be counted in one round trip with those of this one."""
        return other is self

    def count_new(self, timelines: Sequence[tuple[Any, str]]) -> list[int]:
        """Count the entries of timelines above their seen marks; all of them where there is no mark.

        Here, for backends that can't do better, by reading what is new.

        :param timelines: a storage that :meth:`counts_along` with this one, and a key; for each
        """
        counts = []
        for storage, key in timelines:
            [seen] = storage.get_seen([key])
            above = {} if seen is None else {'activity_id__gt': seen}
            counts.append(len(storage.get_slice_from_storage(key, 0, None, filter_kwargs=above)))
        return counts


class CopiesNewest:
    """A timeline storage that copies entries from timelines to another one; they never come to this process."""

    def copies_from(self, source: Any) -> bool:
        """Whether entries of another storage's timelines can be copied, and no hook of a subclass looks at them."""
        raise NotDefinedError(f'{type(self).__name__} must define copies_from(source)')

    def copy_newest(
        self, sources: Sequence[str], key: str, length: int, trim_length: int | None
    ) -> list[Iterable[int]]:
        """Add the newest ``length`` entries of each of some timelines to another one, in one step.

        :param sources: the keys of timelines of storages that :meth:`copies_from` allows
        :param trim_length: keep only the newest so many
        :returns: for each source the ids that it had
        """
        raise NotDefinedError(f'{type(self).__name__} must define copy_newest(sources, key, length, trim_length)')


class FiltersPages:
    """A timeline storage that finds activities by what they are, without reading all the others of a timeline."""

    def filter_page(
        self,
        activity_storage: Any,
        key: str,
        wanted: Mapping[str, Any],
        limit: int | None,
        filter_kwargs: Any = None,
        ordering_args: Any = None,
    ) -> list[Any] | None:
        """Return the first activities of a flat timeline that have some values; perhaps others among them.

        :param activity_storage: where the activities are
        :param wanted: ``verb`` (its id), ``object_id`` or ``actor_id`` -> value
        :param limit: how many
        :returns: so many, or all that there are; ``None`` where the storage can't tell
        """
        raise NotDefinedError(f'{type(self).__name__} must define filter_page(activity_storage, key, wanted, limit)')


__all__ = [
    'CopiesNewest',
    'FiltersPages',
    'GuardsGroups',
    'KeepsIntents',
    'KeepsLedger',
    'KeepsSeen',
    'ListsActivities',
    'ListsTimelines',
]
