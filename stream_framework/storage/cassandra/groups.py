"""Changing feeds of groups: each feed and its markers in one step, see :mod:`stream_framework.storage.cassandra.guard`.

In a table that 1.4.0 made, a change also moves the feed's groups under ids of 13 digits to longer ids, in the same
batch (:mod:`stream_framework.compat.cassandra_groups`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_framework import ids
from stream_framework.compat import cassandra_groups as legacy_groups
from stream_framework.serializers.cassandra.aggregated_activity_serializer import (
    CassandraAggregatedActivitySerializer,
    read_signatures,
    sign_activities,
)
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.cassandra import guard, markers, snapshots
from stream_framework.storage.cassandra.batches import conditional, unlogged
from stream_framework.storage.cassandra.client import run
from stream_framework.storage.cassandra.errors import refused
from stream_framework.storage.cassandra.guard import Attempt
from stream_framework.storage.cassandra.lists_storage import CassandraListsStorage
from stream_framework.storage.cassandra.pages import ids_by_feed, newest_ids
from stream_framework.storage.cassandra.protocols import Timelines
from stream_framework.storage.cassandra.tables import Table
from stream_framework.storage.changes import Change, Snapshot, unmark_trimmed

#: The largest change of one feed, in bytes.
MAX_CHANGE_BYTES = 2**20
#: How many changes are made at a time.
CHANGES_AT_A_TIME = 250

_DELETE_ROW = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id = ?'
_DELETE_OLDER = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id < ?'


def apply(storage: Timelines, changes: Sequence[Change]) -> list[Change]:
    """Apply changes: a conditional batch for each feed, or an unconditional one where feeds are not guarded.

    One wave; another before it where feeds are trimmed, another after it for batches that timed out.

    :returns: the changes that were refused
    """
    foreign = [change for change in changes if not _changes_markers_along(storage, change)]
    if foreign:
        others = [change for change in changes if _changes_markers_along(storage, change)]
        return _apply_in_steps(storage, foreign) + (apply(storage, others) if others else [])
    table = storage.table
    guarded = guard.is_guarded(storage, table)
    inconsistent = [
        change for change in changes if guarded and change.snapshot and not change.snapshot.token.is_consistent
    ]
    changes = [change for change in changes if not any(change is other for other in inconsistent)]
    lists = markers.before(table, changes)
    cuts = _cuts(table, changes)
    attempts = [
        _attempt(storage, table, change, guarded, lists.get(id(change), {}), cuts.get(id(change))) for change in changes
    ]
    if not guarded:
        run((attempt.statement for attempt in attempts), changes[0].key if len(changes) == 1 else None)
        return inconsistent
    return inconsistent + guard.send(table, attempts)


def apply_in_order(storage: Timelines, changes: Sequence[Change]) -> None:
    """Apply changes that depend on nothing that was read, one after the other with those that do.

    :raises UpdateConflictError: after :data:`~stream_framework.storage.cassandra.guard.ATTEMPTS`
    """
    for part in iter_parts(changes, CHANGES_AT_A_TIME):
        pending: Sequence[Change] = part
        for attempt in range(guard.ATTEMPTS):
            read = snapshots.read if attempt == 0 else snapshots.read_latest
            for change, snapshot in zip(pending, read(storage, [change.key for change in pending], 1), strict=True):
                change.snapshot = snapshot
            pending = apply(storage, pending)
            if not pending:
                break
            guard.wait(attempt)
        else:
            raise guard.conflict(pending[0].key)


def _changes_markers_along(storage: Timelines, change: Change) -> bool:
    """Whether a change has no markers, or they are in the feed's partition and change in the same step."""
    lists = change.lists
    if lists is None or not change.markers:
        return True
    return isinstance(lists, CassandraListsStorage) and lists.writes_as_usual and lists.is_beside(storage)


def _apply_in_steps(storage: Timelines, changes: Sequence[Change]) -> list[Change]:
    """Change groups whose markers are elsewhere, in steps: mark new groups, write, unmark old groups.

    In this order a crash may leave a group marked too long, or a marker without a group, but never a new group without
    a marker. Doing the same work again puts it right.
    """
    for change in changes:
        change.mark_new()
    # Where the markers are in the same partition, marking the new groups has changed the version.
    read = [change for change in changes if change.snapshot is not None and _moves_version(storage, change)]
    unchanged = snapshots.renew(storage, [change.snapshot for change in read if change.snapshot is not None])
    outdated = {id(change) for change, same in zip(read, unchanged, strict=True) if not same}
    written = [change for change in changes if id(change) not in outdated]
    kept = [(change, change.lists, change.markers) for change in written]
    for change in written:
        change.lists, change.markers = None, {}
    not_done = apply(storage, written)
    for change, lists, of_change in kept:
        change.lists, change.markers = lists, of_change
        if not any(change is other for other in not_done):
            change.unmark_old()
            unmark_trimmed(storage, change)
    return [change for change in changes if id(change) in outdated] + not_done


def _moves_version(storage: Timelines, change: Change) -> bool:
    """Whether changing the markers of a feed by other means changes its version."""
    # A feed that overrides update_markers hands over a wrapper around its markers storage.
    lists: Any = getattr(change.lists, 'storage', change.lists)
    is_beside = isinstance(lists, CassandraListsStorage) and lists.is_beside(storage)
    return is_beside and guard.is_guarded(storage, storage.table)


def _attempt(
    storage: Timelines,
    table: Table,
    change: Change,
    guarded: bool,
    lists: markers.Lists,
    cut: int | None,
) -> Attempt:
    """Return the batch that makes a change.

    :param lists: the markers before
    :param cut: the lowest id that trimming keeps
    """
    key = change.key
    statements = []
    token = change.snapshot.token if change.snapshot is not None else None
    version = guard.new_version()
    if guarded and token is not None:
        statements.append(guard.if_version(table, key, version, token.version))
    elif guarded:
        statements.append(guard.in_order(table, key, version))
    gone, coming = _gone_and_coming(storage, change)
    if cut is not None:
        coming = {item: data for item, data in coming.items() if item >= cut}
    signs = guarded and token is not None and _keeps_signatures(storage)
    if signs:
        coming = {item: _sign(data, change, version) for item, data in coming.items()}
    size = 0
    name = table.key(key)
    for item, data in coming.items():
        row = table.encode(data, replaces=item in gone or _may_be_there(change.snapshot, item), key=key)
        statements.append(table.insert(name, row))
        size += row.bytes
    # A row that is both deleted and written in one batch would be gone: at equal times the deletion wins.
    statements += [table.statement(_DELETE_ROW, key, item) for item in gone if item not in coming]
    if cut is not None:
        statements.append(table.statement(_DELETE_OLDER, key, cut))
    statements += markers.statements_of(table, change, lists, cut)
    if size > MAX_CHANGE_BYTES:
        raise refused(
            f'a change of {size} bytes is too large, {MAX_CHANGE_BYTES} is the most that is written in one step', key
        )
    if not guarded:
        return Attempt(change, unlogged(statements), version)
    return Attempt(change, conditional(statements), version, signed=signs and bool(coming))


def _gone_and_coming(storage: Timelines, change: Change) -> tuple[dict[int, None], dict[int, Any]]:
    """Return the ids to delete, and id -> data to write; groups of 1.4.0 move to longer ids."""
    gone = dict.fromkeys(ids.normalize_id(item) for item, _ in change.removed)
    coming: dict[int, Any] = {ids.normalize_id(item): data for item, data in change.added.items()}
    for row in change.snapshot.token.legacy if change.snapshot is not None else ():
        if row['activity_id'] not in gone:
            gone[row['activity_id']] = None
            coming.setdefault(legacy_groups.moved_id(row), legacy_groups.moved(storage, change.key, row))
    return gone, coming


def _may_be_there(snapshot: Snapshot | None, activity_id: int) -> bool:
    """Whether a feed may have a row of this id: of older rows nobody knows, only the newest were read."""
    if snapshot is None:
        return True
    if not snapshot.entries:
        return False
    order = ids.group_order(activity_id)
    orders = [ids.group_order(entry_id) for entry_id, _ in snapshot.entries]
    return order <= min(orders) or order in orders


def _keeps_signatures(storage: Timelines) -> bool:
    """Whether groups keep the versions of their changes: only where the serializer is the library's."""
    kind, stock = type(storage.serializer), CassandraAggregatedActivitySerializer
    return all(
        getattr(kind, name, None) is getattr(stock, name)
        for name in ('dumps', 'dump_columns', 'loads', '_load_activities')
    )


def _sign(data: Any, change: Change, version: int) -> Any:
    """Append the version of a change to the versions that its group keeps."""
    is_dict = isinstance(data, dict)
    blob = data.get('activities') if is_dict else data.activities
    name = data.get('group') if is_dict else data.group
    before: list[int] = []
    for _, row in change.snapshot.entries if change.snapshot is not None else ():
        if row.get('group') == name:
            before = read_signatures(row.get('activities'))
            break
    signed = sign_activities(blob, [*before, version])
    if is_dict:
        return {**data, 'activities': signed}
    data.activities = signed
    return data


def _cuts(table: Table, changes: Sequence[Change]) -> dict[int, int]:
    """Return the lowest id that trimming keeps, by the id() of the change. A wave where feeds are trimmed."""
    trimmed = [change for change in changes if change.trim_length is not None]
    if not trimmed:
        return {}
    limits = {change.key: (change.trim_length or 0) + len(change.removed) + 1 for change in trimmed}
    found = ids_by_feed(run(newest_ids(table, limits)))
    cuts = {}
    for change in trimmed:
        length = change.trim_length or 0
        there = set(found.get(change.key, ()))
        for row in change.snapshot.token.legacy if change.snapshot is not None else ():
            there.discard(row['activity_id'])
            there.add(legacy_groups.moved_id(row))
        there -= {ids.normalize_id(item) for item, _ in change.removed}
        there |= {ids.normalize_id(item) for item in change.added}
        if len(there) > length:
            cuts[id(change)] = sorted(there, reverse=True)[length - 1]
    return cuts
