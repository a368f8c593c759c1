"""Feeds of groups on Cassandra: reading them for a change, and changing them only if nobody else has in between.

A guarded change is one conditional batch within the feed's partition. It depends on the static column ``version``, and
sets it to a random number. After a time-out nobody knows whether the batch was done, so the number is read: if it is
this one, it was. Others may have written since, so a group also keeps the numbers of its last few changes. Conditional
and plain writes never meet in a partition, since their timestamps come from different clocks: so trimming, removing and
deleting are conditional too, wherever changes are guarded.

In a table that 1.4.0 made there may be groups under ids of 13 digits, which Cassandra sorts after the longer ones.
Every change of such a feed also moves these groups to longer ids, in the same batch.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_framework import ids
from stream_framework.exceptions import SerializationException, UpdateConflictError
from stream_framework.serializers.cassandra.aggregated_activity_serializer import (
    CassandraAggregatedActivitySerializer,
    read_signatures,
    sign_activities,
)
from stream_framework.storage.abilities import GuardsGroups
from stream_framework.storage.base import BaseTimelineStorage
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.cassandra import connection, features
from stream_framework.storage.cassandra.errors import SYNC, refused
from stream_framework.storage.cassandra.fallbacks import adapts, lacks
from stream_framework.storage.cassandra.statements import (
    OfSeveralFeeds,
    by_replicas,
    conditional,
    run,
    run_conditional,
    unlogged,
)
from stream_framework.storage.cassandra.tables import Table
from stream_framework.storage.changes import Change, MarkerChange, Snapshot, is_below, unmark_trimmed

logger = logging.getLogger(__name__)

#: How many feeds, and how many rows of all of them, one statement reads.
FEEDS_PER_QUERY, ROWS_PER_QUERY = 20, 2000
#: The largest change of one feed, in bytes.
MAX_CHANGE_BYTES = 2**20
#: How often a change that is made here is tried.
ATTEMPTS = 200
#: How many groups more than were read are looked at to find out whether a change was made.
LOOKED_AT_BESIDES = 20
#: How many changes are made at a time.
CHANGES_AT_A_TIME = 250
#: The lists of ids that a partition keeps beside its rows.
LISTS = ('unseen', 'unread')

_LEGACY = ids.LEGACY_GROUP_LIMIT
_VERSIONS = 2**31 - 1

_GUARD = 'UPDATE {table} SET {version} = ? WHERE feed_id = ? IF {version} = ?'
# Always true, since no version is 0; but a condition puts the batch in order with other conditional ones.
_ALWAYS = 'UPDATE {table} SET {version} = ? WHERE feed_id = ? IF {version} != 0'
_DELETE_VERSION = 'DELETE {version} FROM {table} WHERE feed_id = ? IF {version} != 0'
_DELETE_FEED = 'DELETE FROM {table} WHERE feed_id = ?'
_DELETE_ROW = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id = ?'
_DELETE_OLDER = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id < ?'
_NEWEST_GROUPS = 'SELECT activities FROM {table} WHERE feed_id = ? LIMIT ?'
_NEWEST_IDS = 'SELECT feed_id, activity_id FROM {table} WHERE feed_id IN ? PER PARTITION LIMIT ?'

_NEWEST_IDS_OF_ONE = 'SELECT feed_id, activity_id FROM {table} WHERE feed_id = ? LIMIT ?'

_unguarded: set[str] = set()


@dataclass(slots=True)
class Token:
    """What a change of a feed depends on, beyond the groups that were read."""

    version: int | None = None
    #: Whether what was read by several queries is of one moment.
    is_consistent: bool = True
    #: List's name -> the ids in it.
    marks: dict[str, frozenset[str]] = field(default_factory=dict)
    #: The rows under ids of 1.4.0.
    legacy: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Attempt:
    """A change on its way to the server."""

    change: Change
    statement: Any
    #: The version that it sets.
    version: int
    #: Whether the groups that it writes keep the version.
    signed: bool = False


class GroupStorage(GuardsGroups, BaseTimelineStorage):
    """Read and change feeds of groups: the part of the timeline storage that knows the guard."""

    model: Any
    table: Table

    # Conditional batches take longer than Redis scripts, and writers that meet slow each other down.
    retry_waits = (0.01, 0.5)

    @property
    def _keeps_signatures(self) -> bool:
        # An application's own serializer may make something else of a group's activities.
        kind = type(self.serializer)
        stock = CassandraAggregatedActivitySerializer
        return all(
            getattr(kind, name, None) is getattr(stock, name)
            for name in ('dumps', 'dump_columns', 'loads', '_load_activities')
        )

    def guards(self, table: Table) -> bool:
        """Whether changes depend on the version of the feed."""
        if not self.holds_groups or not self.options.get('guard_updates', True):
            return False
        if not table.has_version and table.name not in _unguarded:
            _unguarded.add(table.name)
            logger.warning(
                'the table %s has no column version, so concurrent changes of one feed may overwrite each other: '
                'add it, %s',
                table.name,
                SYNC,
            )
        return table.has_version and not lacks(features.CONDITIONS)

    @adapts
    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """One wave: a statement for every 20 feeds of the same nodes. An entry is ``(id, columns)``."""
        table = self.table
        if lacks(features.PARTITION_LIMIT):
            return self._read_one_by_one(table, keys, length)
        names = dict.fromkeys(keys)
        found: list[list[dict[str, Any]]] = []
        for query, limited in self._queries(table, 'feed_id IN ?', 'PER PARTITION LIMIT ?'):
            statements = self._of_many(table, query, names, max(length, 1), limited)
            found.append([row for rows in run(statements) for row in rows])
        return self._snapshots(table, keys, length, found)

    def read_latest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """Read again after a change was refused: at serial consistency, one statement for each feed."""
        return self._read_one_by_one(self.table, keys, length, latest=True)

    def _read_one_by_one(self, table: Table, keys: Sequence[str], length: int, latest: bool = False) -> list[Snapshot]:
        names = list(dict.fromkeys(keys))
        found = []
        for query, limited in self._queries(table, 'feed_id = ?', 'LIMIT ?'):
            statements = [table.statement(query, key, *([max(length, 1)] if limited else [])) for key in names]
            if latest:
                _see_latest(statements)
            found.append([row for rows in run(statements) for row in rows])
        return self._snapshots(table, keys, length, found)

    def _queries(self, table: Table, which: str, limit: str) -> list[tuple[str, bool]]:
        """The groups; where there are marks, those; where there may be groups of 1.4.0, those.

        :returns: with each query whether it takes a limit
        """
        if not self.holds_groups:
            return [(f'SELECT {{columns}} FROM {{table}} WHERE {which} {limit}', True)]
        version = ', {version}' if table.has_version else ''
        queries = [(f'SELECT {{columns}}{version} FROM {{table}} WHERE {which} {limit}', True)]
        marks = [name for name in LISTS if name in table.static]
        if marks:
            lists = ''.join(f', {{{name}}}' for name in marks)
            queries.append((f'SELECT DISTINCT feed_id{version}{lists} FROM {{table}} WHERE {which}', False))
        if table.is_legacy:
            queries.append(
                (f'SELECT {{columns}}{version} FROM {{table}} WHERE {which} AND activity_id < {_LEGACY}', False)
            )
        return queries

    def _of_many(self, table: Table, query: str, keys: Iterable[str], length: int, limited: bool) -> Iterable[Any]:
        """Statements that read up to ``length`` rows of each of many feeds."""
        size = max(1, min(FEEDS_PER_QUERY, ROWS_PER_QUERY // length))
        prepared = connection.prepare(table.sql(query))
        names = {table.key(key): key for key in keys}
        for group in by_replicas(table.keyspace, names):
            for part in iter_parts(group, size):
                feeds = [names[name] for name in part]
                statement = OfSeveralFeeds(prepared).bind((feeds, length) if limited else (feeds,))
                statement.route = part[0]
                yield statement

    def newest_ids(self, table: Table, limits: Mapping[str, int]) -> Iterable[Any]:
        """Statements that read the ids of the newest entries of feeds (key -> how many, or more): see
        :func:`ids_by_feed`.
        """
        if lacks(features.PARTITION_LIMIT):
            return (table.statement(_NEWEST_IDS_OF_ONE, key, limit) for key, limit in limits.items())
        return self._of_many(table, _NEWEST_IDS, limits, max(limits.values(), default=1), limited=True)

    def _snapshots(
        self, table: Table, keys: Sequence[str], length: int, found: Sequence[list[dict[str, Any]]]
    ) -> list[Snapshot]:
        rows = _by_feed(found[0])
        if not self.holds_groups:
            return [Snapshot(key, _entries(table, rows.get(key, []))[:length]) for key in keys]
        has_marks = any(name in table.static for name in LISTS)
        statics = {row['feed_id']: row for row in found[1]} if has_marks else {}
        legacy = _by_feed(found[-1]) if table.is_legacy else {}
        snapshots = []
        for key in keys:
            of_feed = rows.get(key, [])
            token = Token(of_feed[0].get('version') if of_feed else None)
            if has_marks:
                static = statics.get(key, {})
                token.is_consistent = static.get('version') == token.version
                token.marks = {name: frozenset(static.get(name) or ()) for name in LISTS}
            token.is_consistent = token.is_consistent and all(
                row.get('version') == token.version for row in legacy.get(key, ())
            )
            entries = _entries(table, of_feed)
            if key in legacy:
                of_legacy = _entries(table, legacy[key])
                # Without a name and a time there is no new id for it; reading it will raise.
                token.legacy = [row for _, row in of_legacy if row['group'] is not None and row['updated_at']]
                every = dict(entries) | dict(of_legacy)
                entries = sorted(every.items(), key=lambda entry: ids.group_order(entry[0]), reverse=True)[:length]
            snapshots.append(Snapshot(key, entries[:length], token))
        return snapshots

    @adapts
    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Each feed in one step, marks included: a conditional batch, or where nothing guards a plain one. One wave.

        One wave more before it to trim, one after it for those that timed out.
        """
        elsewhere = [change for change in changes if self._keeps_elsewhere(change)]
        if elsewhere:
            others = [change for change in changes if not self._keeps_elsewhere(change)]
            return self._apply_beside(elsewhere) + (self.apply_changes(others) if others else [])
        table = self.table
        guarded = self.guards(table)
        inconsistent = [
            change for change in changes if guarded and change.snapshot and not change.snapshot.token.is_consistent
        ]
        changes = [change for change in changes if not any(change is other for other in inconsistent)]
        marks = self._marks_before(table, changes)
        cuts = self._cuts(table, changes)
        attempts = [
            self._attempt(table, change, guarded, marks.get(id(change), {}), cuts.get(id(change))) for change in changes
        ]
        if not guarded:
            run((attempt.statement for attempt in attempts), changes[0].key if len(changes) == 1 else None)
            return inconsistent
        return inconsistent + self._settle(table, attempts)

    def _settle(self, table: Table, attempts: Sequence[_Attempt]) -> list[Change]:
        """Send conditional batches; return the changes that were refused."""
        not_done = []
        unknown = []
        outcomes = run_conditional([attempt.statement for attempt in attempts])
        for attempt, rows in zip(attempts, outcomes, strict=True):
            if rows is None:
                unknown.append(attempt)
            elif not rows[0]['[applied]']:
                not_done.append(attempt.change)
        versions = self._versions(table, [attempt.change.key for attempt in unknown])
        maybe = []
        for attempt, version in zip(unknown, versions, strict=True):
            if version == attempt.version:
                continue
            if attempt.signed and attempt.change.snapshot and version != attempt.change.snapshot.token.version:
                maybe.append(attempt)
            else:
                not_done.append(attempt.change)
        return not_done + [attempt.change for attempt in self._without_trace(table, maybe)]

    def _without_trace(self, table: Table, attempts: Sequence[_Attempt]) -> list[_Attempt]:
        """Return the attempts that left no trace in any group, which means that they were not done."""
        statements = []
        for attempt in attempts:
            entries = attempt.change.snapshot.entries if attempt.change.snapshot is not None else ()
            statements.append(table.statement(_NEWEST_GROUPS, attempt.change.key, len(entries) + LOOKED_AT_BESIDES))
        _see_latest(statements)
        return [
            attempt
            for attempt, rows in zip(attempts, run(statements) if statements else [], strict=True)
            if not any(attempt.version in read_signatures(row['activities']) for row in rows)
        ]

    def _versions(self, table: Table, keys: Sequence[str]) -> list[int | None]:
        """Read the versions at serial consistency: whatever was under way is done by then, or never will be."""
        query = 'SELECT DISTINCT feed_id, {version} FROM {table} WHERE feed_id = ?'
        statements = [table.statement(query, key) for key in keys]
        _see_latest(statements)
        return [rows[0]['version'] if rows else None for rows in run(statements)]

    def _attempt(
        self, table: Table, change: Change, guarded: bool, marks: dict[str, frozenset[str]], cut: int | None
    ) -> _Attempt:
        key = change.key
        name = table.key(key)
        statements = []
        size = 0
        token = change.snapshot.token if change.snapshot is not None else None
        version = random.randint(1, _VERSIONS)
        if guarded and token is not None:
            statements.append(table.statement(_GUARD, version, key, token.version))
        elif guarded:
            statements.append(table.statement(_ALWAYS, version, key))
        gone = dict.fromkeys(ids.normalize_id(item) for item, _ in change.removed)
        coming: dict[int, Any] = {ids.normalize_id(item): data for item, data in change.added.items()}
        for row in token.legacy if token is not None else ():
            if row['activity_id'] not in gone:
                gone[row['activity_id']] = None
                coming.setdefault(moved_id(row), self._moved(key, row))
        if cut is not None:
            coming = {item: data for item, data in coming.items() if item >= cut}
        signs = guarded and token is not None and self._keeps_signatures
        if signs:
            coming = {item: _sign(data, change, version) for item, data in coming.items()}
        for item, data in coming.items():
            row = table.encode(data, replaces=item in gone or _may_be_there(change.snapshot, item), key=key)
            statements.append(table.insert(name, row))
            size += row.bytes
        # A row that is deleted and written in one batch would be gone: of one moment, the deletion wins.
        statements += [table.statement(_DELETE_ROW, key, item) for item in gone if item not in coming]
        if cut is not None:
            statements.append(table.statement(_DELETE_OLDER, key, cut))
        statements += self._mark_statements(table, change, marks, cut)
        if size > MAX_CHANGE_BYTES:
            raise refused(
                f'a change of {size} bytes is too large, {MAX_CHANGE_BYTES} is the most that is written in one step',
                key,
            )
        if not guarded:
            return _Attempt(change, unlogged(statements), version)
        return _Attempt(change, conditional(statements), version, signed=signs and bool(coming))

    def _moved(self, key: str, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row of 1.4.0 as it is written under its new id."""
        try:
            group = self.load(key, row['activity_id'], row)
            group._stored_id = None
            moved = dict(self.serialize_activity(group))
        except SerializationException:
            # Left as it is: reading it will raise, with the reason.
            moved = {}
        for name, value in row.items():
            if moved.get(name) is None:
                moved[name] = value
        moved['activity_id'] = moved_id(row)
        return moved

    def _cuts(self, table: Table, changes: Sequence[Change]) -> dict[int, int]:
        """Return the lowest ids that trimming keeps, by the id() of the change."""
        trimmed = [change for change in changes if change.trim_length is not None]
        if not trimmed:
            return {}
        limits = {change.key: (change.trim_length or 0) + len(change.removed) + 1 for change in trimmed}
        found = ids_by_feed(run(self.newest_ids(table, limits)))
        cuts = {}
        for change in trimmed:
            length = change.trim_length or 0
            there = set(found.get(change.key, ()))
            for row in change.snapshot.token.legacy if change.snapshot is not None else ():
                there.discard(row['activity_id'])
                there.add(moved_id(row))
            there -= {ids.normalize_id(item) for item, _ in change.removed}
            there |= {ids.normalize_id(item) for item in change.added}
            if len(there) > length:
                cuts[id(change)] = sorted(there, reverse=True)[length - 1]
        return cuts

    # marks

    def _keeps_elsewhere(self, change: Change) -> bool:
        lists: Any = change.lists
        if lists is None or not change.markers:
            return False
        return not self._is_here(lists)

    def _is_here(self, lists: Any) -> bool:
        storage = getattr(lists, 'timeline_storage', None)
        return isinstance(storage, GroupStorage) and storage.model is self.model

    def _apply_beside(self, changes: Sequence[Change]) -> list[Change]:
        """Change groups whose marks are kept elsewhere: mark, write, unmark, so that a crash leaves marks."""
        not_done = []
        for change in changes:
            lists, marks = change.lists, change.markers
            # A feed's own update_markers() writes into this very partition: done first, it would refuse the groups.
            here = self._is_here(getattr(lists, 'storage', None))
            if not here:
                change.mark_new()
            change.lists, change.markers = None, {}
            refused_ = self.apply_changes([change])
            change.lists, change.markers = lists, marks
            if refused_:
                not_done.append(change)
                continue
            if here:
                change.mark_new()
            change.unmark_old()
            unmark_trimmed(self, change)
        return not_done

    def _marks_before(self, table: Table, changes: Sequence[Change]) -> dict[int, dict[str, frozenset[str]]]:
        """Return the marks before the changes: id() of the change -> name of the list -> ids."""
        known = {}
        unknown = []
        for change in changes:
            if change.markers:
                if change.snapshot is not None:
                    known[id(change)] = change.snapshot.token.marks
                else:
                    unknown.append(change)
        for change, (_, marks) in zip(unknown, self.read_marks([change.key for change in unknown]), strict=True):
            known[id(change)] = marks
        return known

    def _mark_statements(
        self, table: Table, change: Change, marks: dict[str, frozenset[str]], cut: int | None
    ) -> list[Any]:
        statements: list[Any] = []
        for name, of_list in change.markers.items():
            before = marks.get(name, frozenset())
            after = _marked(before, of_list, change.lists.max_length if change.lists is not None else None)
            if cut is not None:
                after = frozenset(item for item in after if not is_below(item, cut))
            statements += self._from_to(table, change.key, name, before, after)
        return statements

    def _from_to(self, table: Table, key: str, name: str, before: frozenset[str], after: frozenset[str]) -> list[Any]:
        if name not in table.static:
            raise refused(f'the table {table.name} has no column {name}: Undefined column', key)
        statements = []
        for sign, items in (('+', after - before), ('-', before - after)):
            if items:
                query = f'UPDATE {{table}} SET {{{name}}} = {{{name}}} {sign} ? WHERE feed_id = ?'
                statements.append(table.statement(query, set(items), key))
        return statements

    def read_marks(
        self, keys: Sequence[str], latest: bool = False
    ) -> list[tuple[int | None, dict[str, frozenset[str]]]]:
        """For each feed its version and its marks: list's name -> ids. One wave."""
        if not keys:
            return []
        table = self.table
        missing = [name for name in LISTS if name not in table.static]
        if missing:
            raise refused(
                f'Undefined column name {missing[0]} in table {table.name}', keys[0] if len(keys) == 1 else None
            )
        version = ', {version}' if table.has_version else ''
        lists = ''.join(f', {{{name}}}' for name in LISTS)
        query = f'SELECT DISTINCT feed_id{version}{lists} FROM {{table}} WHERE feed_id = ?'
        statements = []
        for key in keys:
            table.key(key)
            statements.append(table.statement(query, key))
        if latest:
            _see_latest(statements)
        found = []
        for rows in run(statements, keys[0] if len(keys) == 1 else None):
            row = rows[0] if rows else {}
            found.append((row.get('version'), {name: frozenset(row.get(name) or ()) for name in LISTS}))
        return found

    @adapts
    def add_marks(self, key: str, added: dict[str, list[str]], max_length: int | None) -> None:
        """Add to the marks of a feed (list's name -> ids) in one step, and keep the highest ``max_length`` of each."""
        table = self.table
        guarded = self.guards(table)
        for attempt in range(ATTEMPTS):
            [(version, before)] = self.read_marks([key], latest=attempt > 0)
            statements: list[Any] = []
            for name, items in added.items():
                changes = [MarkerChange((), item, renew=True) for item in items]
                after = _marked(before[name], changes, max_length)
                statements += self._from_to(table, key, name, before[name], after)
            if not guarded:
                run([unlogged(statements)] if statements else [], key)
                return
            new = random.randint(1, _VERSIONS)
            guard = table.statement(_GUARD, new, key, version)
            if not self._settle(table, [_Attempt(Change(key), conditional([guard, *statements]), new)]):
                return
            _wait(attempt)
        raise _conflict(key)

    def remove_marks(self, key: str, removed: dict[str, list[str]]) -> None:
        """Take ids out of the marks of a feed (list's name -> ids) in one step."""
        table = self.table
        statements = []
        for name, items in removed.items():
            statements += self._from_to(table, key, name, frozenset(items), frozenset())
        self._write_marks(table, key, statements)

    def clear_marks(self, key: str, names: Sequence[str]) -> None:
        """Empty lists of marks of a feed in one step."""
        table = self.table
        statements = [table.statement(f'DELETE {{{name}}} FROM {{table}} WHERE feed_id = ?', key) for name in names]
        self._write_marks(table, key, statements)

    @adapts
    def _write_marks(self, table: Table, key: str, statements: Sequence[Any]) -> None:
        if not self.guards(table):
            run([unlogged(statements)], key)
            return
        for attempt in range(ATTEMPTS):
            version = table.statement(_ALWAYS, random.randint(1, _VERSIONS), key)
            [rows] = run_conditional([conditional([version, *statements])])
            if rows is not None and rows[0]['[applied]']:
                return
            _wait(attempt)
        raise _conflict(key)

    # changes that depend on nothing that was read

    def change_groups(self, changes: Sequence[Change]) -> None:
        """Make changes that depend on nothing that was read, in order with guarded ones."""
        for part in iter_parts(changes, CHANGES_AT_A_TIME):
            pending: Sequence[Change] = part
            for attempt in range(ATTEMPTS):
                read = self.read_newest if attempt == 0 else self.read_latest
                for change, snapshot in zip(pending, read([change.key for change in pending], 1), strict=True):
                    change.snapshot = snapshot
                pending = GroupStorage.apply_changes(self, pending)
                if not pending:
                    break
                _wait(attempt)
            else:
                raise _conflict(pending[0].key)

    def delete_group_feed(self, table: Table, key: str) -> None:
        """Delete a feed, marks and version included, in order with the guarded changes."""
        for attempt in range(ATTEMPTS):
            statements = [table.statement(_DELETE_VERSION, key), table.statement(_DELETE_FEED, key)]
            [rows] = run_conditional([conditional(statements)])
            if rows is not None and rows[0]['[applied]']:
                return
            _wait(attempt)
        raise _conflict(key)


def _by_feed(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row['feed_id'], []).append(row)
    return found


def ids_by_feed(results: Iterable[Iterable[dict[str, Any]]]) -> dict[str, set[int]]:
    """Key -> the ids that the statements of :meth:`GroupStorage.newest_ids` found in the feed, if there are any."""
    found: dict[str, set[int]] = {}
    for rows in results:
        for row in rows:
            # A partition without rows may still have marks.
            if row['activity_id'] is not None:
                found.setdefault(row['feed_id'], set()).add(row['activity_id'])
    return found


def _entries(table: Table, rows: Sequence[dict[str, Any]]) -> list[tuple[Any, Any]]:
    entries = []
    for row in table.rows(rows):
        row.pop('version', None)
        entries.append((row['activity_id'], row))
    return entries


def moved_id(row: dict[str, Any]) -> int:
    """Return the new id of a group that 1.4.0 stored under milliseconds."""
    return int(ids.group_id(row['group'], row['updated_at']))


def _marked(before: frozenset[str], changes: Iterable[MarkerChange], max_length: int | None) -> frozenset[str]:
    """Return the ids in a list after changes; the highest, if there are too many."""
    after = set(before)
    new = set()
    for change in changes:
        was = not before.isdisjoint(change.old_ids)
        after.difference_update(change.old_ids)
        if change.new_id is not None and (change.renew or was):
            new.add(change.new_id)
    after |= new
    if max_length is not None and len(after) > max_length:
        after = set(sorted(after, key=ids.group_order, reverse=True)[:max_length])
    return frozenset(after)


def _sign(data: Any, change: Change, version: int) -> Any:
    """Append the version of a change to those that a group keeps of its last changes."""
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


def _may_be_there(snapshot: Snapshot | None, activity_id: int) -> bool:
    """Whether a feed may have a row of this id: only the newest rows were read."""
    if snapshot is None:
        return True
    if not snapshot.entries:
        return False
    order = ids.group_order(activity_id)
    orders = [ids.group_order(entry_id) for entry_id, _ in snapshot.entries]
    return order <= min(orders) or order in orders


def _see_latest(statements: Iterable[Any]) -> None:
    """Have statements read what conditional batches wrote; where there are none, as always."""
    if not lacks(features.CONDITIONS):
        for statement in statements:
            statement.consistency_level = connection.serial_consistency()


def _wait(attempt: int) -> None:
    # Of writers that met, one succeeded. The others wait for a random time, longer after each attempt.
    shortest, longest = GroupStorage.retry_waits
    time.sleep(random.random() * min(longest, shortest * 2 ** min(attempt, 10)))


def _conflict(key: str) -> UpdateConflictError:
    return UpdateConflictError(
        f'feed {key!r}: other writers changed it during each of {ATTEMPTS} attempts; run the same work again'
    )
