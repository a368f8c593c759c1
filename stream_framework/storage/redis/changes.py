"""How groups and their marks change: only if what was read is still there, in one step where one is possible.

On a plain server a script changes a feed and its marks in one step. On a cluster they lie in different slots, unless
their keys share a hash tag (``{...}``): there one round trip marks what is new, one changes the feeds, and one takes
away the marks of what is gone. Whatever happens in between, a group may then be unread though it was read, never the
reverse; and since every writer that finds the feed as it has read it tidies up, the next write puts that right.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stream_framework import ids
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.changes import Change, MarkerChange, Snapshot, unmark_trimmed
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.commands import is_cluster
from stream_framework.storage.redis.lists_storage import RedisListsStorage
from stream_framework.storage.redis.structures.base import as_text

if TYPE_CHECKING:
    from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage

#: Feeds whose groups one script call changes.
CHANGES_PER_CALL = 25

# What the script that changes feeds says of each.
_WRITTEN, _TO_BE_TRIMMED, _AS_READ, _TRIMMED = 1, 2, 4, 8


def apply(storage: RedisTimelineStorage, changes: Sequence[Change]) -> list[Change]:
    """Write changes, each only if its snapshot still holds.

    :returns: those that were refused
    """
    together: list[Change] = []
    apart: list[Change] = []
    elsewhere: list[Change] = []
    for change in changes:
        lists = change.lists
        if lists is None or not change.markers:
            together.append(change)
        elif not (_are_beside(lists, storage) and _are_marked_alike(change)):
            elsewhere.append(change)
        elif is_cluster(storage.redis) and not _share_a_slot(storage.redis, change):
            apart.append(change)
        else:
            together.append(change)
    refused = _refused(together, _apply(storage, [change for change in together if not change.is_empty]))
    if apart:
        refused += _apply_in_steps(storage, apart)
    for change in elsewhere:
        # The base class knows the order of the steps.
        change.mark_new()
        if _refused([change], _apply(storage, [change], with_marks=False)):
            refused.append(change)
        else:
            change.unmark_old()
    return refused


def _are_beside(lists: Any, storage: RedisTimelineStorage) -> bool:
    on_one_server = isinstance(lists, RedisListsStorage) and lists.redis_server == storage.redis_server
    return on_one_server and lists.writes_as_usual


def _are_marked_alike(change: Change) -> bool:
    first, *others = change.markers.values()
    return all(marks == first for marks in others)


def _share_a_slot(client: Any, change: Change) -> bool:
    if '{' not in change.key:
        return False
    slot = client.keyslot(change.key)
    return all(client.keyslot(key) == slot for key in _list_keys(change))


def _list_keys(change: Change) -> list[str]:
    lists: Any = change.lists
    return [lists.get_key(name) for name in change.markers]


def _refused(changes: Sequence[Change], statuses: dict[int, int]) -> list[Change]:
    return [change for change in changes if not statuses.get(id(change), _WRITTEN)]


def _apply(storage: RedisTimelineStorage, changes: Sequence[Change], with_marks: bool = True) -> dict[int, int]:
    """Send changes.

    :param with_marks: whether the marks change in the same step
    :returns: the change's ``id()`` -> what the script said
    """
    parts = list(iter_parts(changes, 1 if is_cluster(storage.redis) else CHANGES_PER_CALL))
    commands = []
    entries = _Entries(storage)
    for part in parts:
        keys: list[str] = []
        arguments: list[Any] = []
        for change in part:
            _encode(entries, change, with_marks, keys, arguments)
        commands.append(scripts.APPLY_CHANGES.call(keys, arguments))
    statuses: dict[int, int] = {}
    to_be_trimmed: list[tuple[str, int]] = []
    trimmed: list[Change] = []
    for part, reply in zip(parts, storage.send(commands), strict=True):
        for change, status in zip(part, reply, strict=True):
            # An error about a list comes with the list's key.
            status, key = status if isinstance(status, list) else (status, change.key)
            statuses[id(change)] = storage.checked_reply(as_text(key), status)
            if status & _TO_BE_TRIMMED and change.trim_length is not None:
                to_be_trimmed.append((change.key, change.trim_length))
            # Where the script trims, and has the lists, it has unmarked what is gone.
            if status & _TO_BE_TRIMMED or (status & _TRIMMED and not with_marks):
                trimmed.append(change)
    if to_be_trimmed:
        storage.trim_many(to_be_trimmed)
    for change in trimmed:
        unmark_trimmed(storage, change)
    return statuses


class _Entries:
    """What goes and what comes as the script takes it; once for the changes that share it."""

    def __init__(self, storage: RedisTimelineStorage) -> None:
        self._score = storage.score
        self._encoded: dict[tuple[int, int], list[Any]] = {}

    def encoded(self, change: Change) -> list[Any]:
        shared = id(change.removed), id(change.added)
        if (found := self._encoded.get(shared)) is None:
            found = [len(change.removed), *(member for _, member in change.removed), len(change.added)]
            for item, member in change.added.items():
                found += [self._score(item), member]
            self._encoded[shared] = found
        return found


def _encode(entries: _Entries, change: Change, with_marks: bool, keys: list[str], arguments: list[Any]) -> None:
    """One change as the script takes it."""
    keys.append(change.key)
    guard, length, digest = '0', 0, ''
    if change.snapshot is not None:
        guard, length = '1', change.snapshot.token
        if change.creates:
            guard = '2' if change.snapshot.partial else '3'
        if guard == '3' or (change.markers and not with_marks and not change.snapshot.partial):
            digest = _digest(change.snapshot)
    arguments += [guard, length, digest, -1 if change.trim_length is None else change.trim_length]
    arguments += entries.encoded(change)
    if change.lists is None or not change.markers or not with_marks:
        arguments += [0, -1, 0]
        return
    keys += _list_keys(change)
    marks = next(iter(change.markers.values()))
    arguments += [len(change.markers), _longest(change), len(marks)]
    for mark in marks:
        arguments += _encoded_mark(mark)


def _digest(snapshot: Snapshot) -> str:
    newest = b'\n'.join(binary(member) for _, member in snapshot.entries)
    return hashlib.sha1(newest, usedforsecurity=False).hexdigest()


def _longest(change: Change) -> int:
    longest = None if change.lists is None else change.lists.max_length
    return -1 if longest is None else longest


def _encoded_mark(mark: MarkerChange) -> list[Any]:
    return [int(mark.renew), mark.new_id or '', len(mark.old_ids), *mark.old_ids]


def _apply_in_steps(storage: RedisTimelineStorage, changes: Sequence[Change]) -> list[Change]:
    writer = secrets.token_hex(8)
    send_marks(storage, 'before', writer, [(change, None) for change in changes])
    statuses = _apply(storage, changes, with_marks=False)
    written = [change for change in changes if statuses[id(change)]]
    known = [(change, _there(storage, change) if statuses[id(change)] & _AS_READ else None) for change in written]
    send_marks(storage, 'after', writer, known)
    return _refused(changes, statuses)


def _there(storage: RedisTimelineStorage, change: Change) -> tuple[int, list[str]]:
    """Of a feed that was as it was read: down to which moment all its groups are known, in milliseconds; their ids."""
    snapshot: Any = change.snapshot
    gone = {binary(member) for _, member in change.removed}
    there = list(change.added)
    for score, member in snapshot.entries:
        if binary(member) not in gone:
            there.append(storage.entry_id(change.key, member, score))
    complete = len(snapshot.entries) < snapshot.token
    return -1 if complete else int(float(snapshot.entries[-1][0])), [ids.format_group_id(int(item)) for item in there]


def send_marks(
    storage: RedisTimelineStorage,
    moment: str,
    writer: str,
    changes: Sequence[tuple[Change, tuple[int, list[str]] | None]],
) -> None:
    """One step of those that change the marks beside a feed: ``'before'`` or ``'after'``.

    :param writer: a name that no other writer has
    :param changes: with what is known of the feed's groups
    """
    commands = []
    for change, known in changes:
        floor, there = ('', []) if known is None else known
        for key, marks in zip(_list_keys(change), change.markers.values(), strict=True):
            arguments: list[Any] = [moment, writer, _longest(change), floor, len(there), *there]
            for mark in marks:
                arguments += _encoded_mark(mark)
            commands.append(scripts.MARKS.call([key, _writer_key(key)], arguments))
    storage.send(commands)


def _writer_key(key: str) -> str:
    """A key in the slot of another."""
    # A key without braces is its own tag; in one that has a tag, or might have, what follows doesn't count.
    return f'{{{key}}}:writer' if '{' not in key and '}' not in key else f'{key}:writer'


def binary(member: Any) -> bytes:
    """A member as the server has it."""
    if isinstance(member, (bytes, bytearray, memoryview)):
        return bytes(member)
    # An application's serializer may make numbers, which redis-py sends as text.
    return str(member).encode('utf-8', 'surrogateescape')
