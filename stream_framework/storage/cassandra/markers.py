"""The markers of a notification feed, in the feed's partition: two sets of ids, ``unseen`` and ``unread``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stream_framework import ids
from stream_framework.storage.cassandra import guard
from stream_framework.storage.cassandra.batches import conditional, unlogged
from stream_framework.storage.cassandra.client import run
from stream_framework.storage.cassandra.driver import BoundStatement
from stream_framework.storage.cassandra.errors import refused
from stream_framework.storage.cassandra.fallbacks import adapts
from stream_framework.storage.cassandra.protocols import Timelines
from stream_framework.storage.cassandra.tables import LISTS, Table
from stream_framework.storage.changes import Change, MarkerChange, is_below

#: List's name -> the ids in it.
Lists = dict[str, frozenset[str]]


def read(table: Table, keys: Sequence[str], latest: bool = False) -> list[tuple[int | None, Lists]]:
    """Read the version and the markers of each feed. One wave.

    :param latest: whether to read at serial consistency, which sees what conditional batches wrote
    :raises StorageError: for a table without the columns
    """
    if not keys:
        return []
    only = keys[0] if len(keys) == 1 else None
    missing = [name for name in LISTS if name not in table.static]
    if missing:
        raise refused(f'Undefined column name {missing[0]} in table {table.name}', only)
    version = ', {version}' if table.has_version else ''
    lists = ''.join(f', {{{name}}}' for name in LISTS)
    query = f'SELECT DISTINCT feed_id{version}{lists} FROM {{table}} WHERE feed_id = ?'
    statements = []
    for key in keys:
        table.key(key)
        statements.append(table.statement(query, key))
    if latest:
        guard.see_latest(statements)
    found = []
    for rows in run(statements, only):
        row = rows[0] if rows else {}
        found.append((row.get('version'), {name: frozenset(row.get(name) or ()) for name in LISTS}))
    return found


@adapts
def add(storage: Timelines, key: str, added: Mapping[str, Iterable[str]], longest: int | None) -> None:
    """Add to the markers of a feed in one step.

    :param added: list's name -> ids
    :param longest: how many ids of each list are kept, the highest; ``None`` for all
    """
    table = storage.table
    guarded = guard.is_guarded(storage, table)
    for attempt in range(guard.ATTEMPTS):
        [(version, before)] = read(table, [key], latest=attempt > 0)
        statements: list[BoundStatement] = []
        for name, items in added.items():
            changes = [MarkerChange((), item, renew=True) for item in items]
            statements += _from_to(table, key, name, before[name], after(before[name], changes, longest))
        if not guarded:
            run([unlogged(statements)] if statements else [], key)
            return
        new = guard.new_version()
        batch = conditional([guard.if_version(table, key, new, version), *statements])
        if not guard.send(table, [guard.Attempt(Change(key), batch, new)]):
            return
        guard.wait(attempt)
    raise guard.conflict(key)


def remove(storage: Timelines, key: str, removed: Mapping[str, Iterable[str]]) -> None:
    """Take ids (list's name -> ids) out of the markers of a feed in one step."""
    table = storage.table
    statements = []
    for name, items in removed.items():
        statements += _from_to(table, key, name, frozenset(items), frozenset())
    _write(storage, table, key, statements)


def clear(storage: Timelines, key: str, names: Sequence[str]) -> None:
    """Empty lists of markers of a feed in one step."""
    table = storage.table
    statements = [table.statement(f'DELETE {{{name}}} FROM {{table}} WHERE feed_id = ?', key) for name in names]
    _write(storage, table, key, statements)


@adapts
def _write(storage: Timelines, table: Table, key: str, statements: Sequence[BoundStatement]) -> None:
    if guard.is_guarded(storage, table):
        guard.write_in_order(table, key, statements)
    else:
        run([unlogged(statements)], key)


def before(table: Table, changes: Sequence[Change]) -> dict[int, Lists]:
    """Return the markers before changes, by the id() of the change. One wave, for feeds that were not read yet."""
    known = {}
    unknown = []
    for change in changes:
        if change.markers:
            if change.snapshot is not None:
                known[id(change)] = change.snapshot.token.markers
            else:
                unknown.append(change)
    for change, (_, lists) in zip(unknown, read(table, [change.key for change in unknown]), strict=True):
        known[id(change)] = lists
    return known


def statements_of(table: Table, change: Change, lists: Lists, cut: int | None) -> list[BoundStatement]:
    """Return the statements that change the markers of a feed.

    :param lists: the markers before
    :param cut: the lowest id that trimming keeps; ``None`` where it keeps all
    """
    statements = []
    longest = change.lists.max_length if change.lists is not None else None
    for name, changes in change.markers.items():
        before = lists.get(name, frozenset())
        left = after(before, changes, longest)
        if cut is not None:
            left = frozenset(item for item in left if not is_below(item, cut))
        statements += _from_to(table, change.key, name, before, left)
    return statements


def _from_to(table: Table, key: str, name: str, before: frozenset[str], after: frozenset[str]) -> list[BoundStatement]:
    if name not in table.static:
        raise refused(f'the table {table.name} has no column {name}: Undefined column', key)
    statements = []
    for sign, items in (('+', after - before), ('-', before - after)):
        if items:
            query = f'UPDATE {{table}} SET {{{name}}} = {{{name}}} {sign} ? WHERE feed_id = ?'
            statements.append(table.statement(query, set(items), key))
    return statements


def after(before: frozenset[str], changes: Iterable[MarkerChange], longest: int | None) -> frozenset[str]:
    """Return the ids in a list after changes; the highest, if there are too many.

    >>> sorted(after(frozenset('12'), [MarkerChange(('2',), '3', renew=False), MarkerChange((), '4', renew=True)], 2))
    ['3', '4']
    """
    found = set(before)
    new = set()
    for change in changes:
        was_marked = not before.isdisjoint(change.old_ids)
        found.difference_update(change.old_ids)
        if change.new_id is not None and (change.renew or was_marked):
            new.add(change.new_id)
    found |= new
    if longest is not None and len(found) > longest:
        found = set(sorted(found, key=ids.group_order, reverse=True)[:longest])
    return frozenset(found)
