"""What a change of a feed of groups is: what was read, what goes, what comes, and what happens to the markers.

A *write* (:mod:`stream_framework.storage.batch`) happens in any case. A *change* depends on what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_framework import ids
from stream_framework.typing import Pairs as Pairs

#: List's name -> the ids in it.
Markers = Mapping[str, Iterable[str]]


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
class MarkerChange:
    """What happens to a group's markers when the group changes."""

    #: The ids that it may be marked under so far.
    old_ids: tuple[str, ...]
    #: The id it has from now on, ``None`` if it is gone.
    new_id: str | None
    #: Whether it is to be marked in any case; otherwise only if it was.
    renew: bool


@dataclass(slots=True)
class Change:
    """One feed's change. ``snapshot`` is what it depends on; ``None`` writes in any case."""

    key: str
    snapshot: Snapshot | None = None
    #: Entries of the snapshot that go.
    removed: Pairs = field(default_factory=list)
    #: Id -> data of what comes.
    added: dict[Any, Any] = field(default_factory=dict)
    #: The groups that go and that come, for storages whose own ``remove_many`` and ``add_many`` are called.
    removed_groups: Sequence[Any] = ()
    added_groups: Sequence[Any] = ()
    #: Whether the change also depends on no other group having appeared among the newest.
    creates: bool = False
    #: Keep the newest so many, ``None`` for all.
    trim_length: int | None = None
    #: Where the markers are, ``None`` for a feed that has none.
    lists: Any = None
    #: List's name -> what happens to the markers in it; every list that the feed keeps is named.
    markers: dict[str, list[MarkerChange]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.removed or self.added or any(self.markers.values()) or self.trim_length)

    def mark_new(self) -> None:
        """Mark what is about to be written, where markers and groups can't change in one step."""
        if self.lists is None:
            return
        asked = [name for name, markers in self.markers.items() if any(not marker.renew for marker in markers)]
        marked = read_lists(self.lists, asked)
        new = {
            name: [
                marker.new_id
                for marker in markers
                if marker.new_id is not None
                and (marker.renew or not set(marker.old_ids).isdisjoint(marked.get(name, ())))
            ]
            for name, markers in self.markers.items()
        }
        if any(new.values()):
            self.lists.add_once(**new)

    def unmark_old(self) -> None:
        """Then, when it has been written, take away the markers of what is gone."""
        if self.lists is None:
            return
        old = {
            name: [old for marker in markers for old in marker.old_ids if old != marker.new_id]
            for name, markers in self.markers.items()
        }
        if any(old.values()):
            self.lists.remove(**old)


def read_lists(lists: Any, names: Sequence[str]) -> dict[str, list[str]]:
    """Return list's name -> items; one round trip, none for no names."""
    if not names:
        return {}
    found = lists.get(*names)
    return dict(zip(names, [found] if len(names) == 1 else found, strict=True))


def markers_after(before: Iterable[str], changes: Iterable[MarkerChange], max_length: int | None) -> list[str]:
    """Return the ids in a list of markers after changes: the rule that Redis' script has in Lua.

    :param before: the ids in the list, oldest first
    :param max_length: how many stay, the newest; ``None`` for all

    >>> markers_after(['1', '2'], [MarkerChange(('2',), '3', renew=False), MarkerChange((), '4', renew=True)], 100)
    ['1', '3', '4']
    """
    before = list(before)
    marked = set(before)
    new: dict[str, None] = {}
    gone: set[str] = set()
    for change in changes:
        if change.new_id is not None and (change.renew or not marked.isdisjoint(change.old_ids)):
            new[change.new_id] = None
        gone.update(old for old in change.old_ids if old != change.new_id)
    after = [item for item in before if item not in gone]
    after += [item for item in new if item not in after]
    return after if max_length is None else after[max(len(after) - max_length, 0) :]


def is_below(group_id: str, oldest: int) -> bool:
    """Whether a marker is of a group older than the oldest that is left of a trimmed feed.

    :param oldest: the :func:`stream_framework.ids.group_order` of that one

    >>> is_below('1373270115000', 13732701150004711000000001), is_below('1373270116000', 13732701150004711000000001)
    (False, False)
    >>> is_below('1373270114000', 13732701150004711000000001)
    True
    """
    try:
        order = ids.group_order(group_id)
    except ValueError:
        return False
    if abs(int(group_id)) < ids.LEGACY_GROUP_LIMIT:
        # 1.4.0's whole second may mean any group of ours of that second.
        return ids.group_milliseconds(order) + 999 < ids.group_milliseconds(oldest)
    return order < oldest


def unmark_below(lists: Any, names: Sequence[str], oldest: int) -> None:
    """Take the markers of groups older than the oldest that is left; two round trips at most."""
    stale = {
        name: [item for item in map(str, items) if is_below(item, oldest)]
        for name, items in read_lists(lists, names).items()
    }
    if any(stale.values()):
        lists.remove(**stale)


def apply_by_hooks(
    storage: Any, changes: Sequence[Change], is_as_read: Callable[[Snapshot], bool] | None = None
) -> list[Change]:
    """Apply changes one by one, through the storage's own ``remove_many``, ``add_many`` and ``trim``.

    :param is_as_read: whether a snapshot still holds; ``None`` where nobody can tell
    :returns: those that were refused, since somebody else wrote in between
    """
    refused = []
    for change in changes:
        if change.snapshot is not None and is_as_read is not None and not is_as_read(change.snapshot):
            refused.append(change)
            continue
        change.mark_new()
        if storage.writes_as_usual:
            _write(storage, change)
        else:
            _write_by_hooks(storage, change)
        change.unmark_old()
        if change.trim_length is not None:
            storage.trim(change.key, change.trim_length)
            unmark_trimmed(storage, change)
    return refused


def _write(storage: Any, change: Change) -> None:
    if change.removed:
        storage.remove_from_storage(change.key, dict(change.removed))
    if change.added:
        storage.add_to_storage(change.key, change.added)


def _write_by_hooks(storage: Any, change: Change) -> None:
    if change.removed:
        storage.remove_many(change.key, change.removed_groups or [item for item, _ in change.removed])
    if change.added:
        storage.add_many(change.key, change.added_groups)


def unmark_trimmed(storage: Any, change: Change) -> None:
    """Take the markers of what trimming has dropped, by reading which entry is the last."""
    if change.lists is None or not change.markers or change.trim_length is None:
        return
    last = storage.get_slice_from_storage(change.key, change.trim_length - 1, change.trim_length)
    if last:
        unmark_below(change.lists, list(change.markers), storage.order(last[0][0]))
