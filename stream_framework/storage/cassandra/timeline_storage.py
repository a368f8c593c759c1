"""Timelines on Cassandra: a feed is a partition, an entry is a row that holds the whole activity; newest first."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stream_framework import ids
from stream_framework.compat import cassandra_groups as legacy_groups
from stream_framework.exceptions import ConfigurationError
from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
from stream_framework.serializers.cassandra.aggregated_activity_serializer import CassandraAggregatedActivitySerializer
from stream_framework.storage.abilities import GuardsGroups, KeepsSeen, ListsTimelines
from stream_framework.storage.base import BaseTimelineStorage
from stream_framework.storage.batch import BaseBatch, Write, runs
from stream_framework.storage.cassandra import (
    connection,
    features,
    groups,
    guard,
    intents,
    models,
    pages,
    seen,
    snapshots,
    tables,
    trimming,
)
from stream_framework.storage.cassandra.activity_storage import CassandraActivityStorage
from stream_framework.storage.cassandra.batches import Rows, Unbound, batched
from stream_framework.storage.cassandra.client import bound, run
from stream_framework.storage.cassandra.driver import IntegerType, LongType, SimpleStatement
from stream_framework.storage.cassandra.fallbacks import adapts, lacks
from stream_framework.storage.cassandra.protocols import Range
from stream_framework.storage.cassandra.tables import Table, get_table
from stream_framework.storage.cassandra.work import FeedWrite, Work, phases
from stream_framework.storage.changes import Change, Pairs, Snapshot
from stream_framework.utils.shortcuts import shortcut, unchanged

#: How many keys are read at a time where all feeds are gone through.
KEYS_AT_A_TIME = 1000

_DELETE_ROW = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id = ?'
_DELETE_FEED = 'DELETE FROM {table} WHERE feed_id = ?'
_STOCK_SERIALIZERS = (CassandraActivitySerializer, CassandraAggregatedActivitySerializer)
#: About what the server counts for the deletion of a row.
_DELETE_BYTES = 64


class Batch(BaseBatch):
    """Queued writes, sent in waves of concurrent batches."""

    def send_writes(self, writes: list[Write]) -> None:
        """Send writes in order; runs of writes to storages that do the same are sent together."""
        together = list(runs(writes))
        for run_ in together:
            storage: Any = run_[0].storage
            if storage.has_stock_hooks:
                names = self._intents_to_read(storage) if run_ is together[-1] else ()
                found = storage.write_many([tuple(write[1:]) for write in run_], names)
                if names:
                    self.intents = found
            else:
                super().send_writes(run_)

    def _intents_to_read(self, storage: CassandraTimelineStorage) -> Sequence[str]:
        """Return the intents to read in the wave of the writes; none for groups, which take more than one wave."""
        if self.wanted_intents is None or storage.holds_groups:
            return ()
        kept_in, names = self.wanted_intents
        return names if isinstance(kept_in, CassandraActivityStorage) and kept_in.reads_intents_as_usual else ()


class CassandraTimelineStorage(KeepsSeen, ListsTimelines, GuardsGroups, BaseTimelineStorage):
    """Timelines on Cassandra.

    Costs: a page is one query, whatever is filtered and however it is ordered, and one more if it lies deeper than a
    hundred entries; counting, and finding a position, read all the ids that they count.

    :param serializer_class: makes rows of activities
    :param modelClass: the table's model, one of :mod:`stream_framework.storage.cassandra.models` or derived from it
    :param column_family_name: the table's name
    :param options: kept in ``options``
    """

    default_serializer_class: Any = CassandraActivitySerializer
    trims_on_write = True
    trims_for_free = False
    retry_waits = guard.WAITS
    Batch: Any = Batch

    #: Whether writes to timelines may go past the hooks: no subclass overrides one.
    has_stock_hooks = unchanged('add_to_storage', 'remove_from_storage', 'trim_storage')

    def __init__(
        self,
        serializer_class: Any = None,
        modelClass: Any = models.Activity,
        column_family_name: str | None = None,
        **options: Any,
    ) -> None:
        if not column_family_name:
            raise ConfigurationError(
                f'{type(self).__name__} needs a column_family_name, the name of its table: set timeline_cf_name in '
                'the feed class'
            )
        super().__init__(serializer_class, **options)
        self.column_family_name = column_family_name
        #: The model of the table.
        self.model = self.get_model(modelClass, column_family_name)

    @classmethod
    def get_model(cls, base_model: Any, column_family_name: str) -> Any:
        """Return the model of one table: the base model with the table's name."""
        return tables.get_model(base_model, column_family_name)

    def serializer_options(self) -> dict[str, Any]:
        """Return the keywords that the serializer class is called with."""
        return {**super().serializer_options(), 'model': self.model}

    def serialize_activity(self, activity: Any) -> Any:
        """Return the columns of one activity or group, as a dict or an instance of the model."""
        return self.serializer.dump_columns(activity) if self._writes_dicts else self.serializer.dumps(activity)

    def serialize_activities(self, activities: Iterable[Any]) -> dict[Any, Any]:
        """Return id -> columns, in the order given."""
        dumps, to_id = self.serialize_activity, self.activity_to_id
        return {to_id(activity): dumps(activity) for activity in activities}

    @functools.cached_property
    def _writes_dicts(self) -> bool:
        # Making an instance of the model takes longest: one is made only where a subclass may look at it.
        defaults = any(column.has_default for column in self.model._columns.values())
        stock = isinstance(self.serializer, _STOCK_SERIALIZERS) and self.serializes_once and self.writes_as_usual
        return stock and not defaults

    def get_batch_interface(self) -> Any:
        """Return a batch; see :class:`~stream_framework.storage.batch.BaseBatch`."""
        return self.Batch(self)

    def is_like(self, other: Any) -> bool:
        """Return whether another storage does the same, in the same table."""
        return super().is_like(other) and self.model is other.model

    @property
    def table(self) -> Table:
        """The table, as the server has it."""
        return get_table(self.model)

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        """Write rows; a row that is there already is written again. One wave, and one more to trim.

        Returns nothing: Cassandra doesn't tell which rows are new.
        """
        self.write_many([('add', [key], activities, kwargs.get('trim_length'))])

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        """Delete rows. One wave, and one more to trim. Returns nothing: Cassandra doesn't tell which were there."""
        self.write_many([('remove', [key], activities, kwargs.get('trim_length'))])

    def remove_many(self, key: str, activities: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Remove entries by their ids alone, so that an activity that can't be serialized any more can be removed."""
        by_ids = self.has_stock_hooks and self.serializes_once
        wanted = self.activities_to_ids(activities) if by_ids else activities
        return super().remove_many(key, wanted, *args, **kwargs)

    def trim_storage(self, key: str, length: int) -> None:
        """Keep the newest entries: a query for the oldest id that stays, and one deletion of all that are older."""
        self.write_many([('trim', [key], None, length)])

    @shortcut('add_to_storage')
    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
        """Replace rows that are there. One wave reads when they were written, one writes with a time just after that.

        So a row that is removed or trimmed meanwhile stays away: its deletion has the later time.
        """
        table = self.table
        wanted = [(number, key, id_) for number, (key, data) in enumerate(updates) for id_ in data]
        query = table.sql(f'SELECT {table.write_times} FROM {{table}} WHERE feed_id = ? AND activity_id = ?')
        only = updates[0][0] if len(updates) == 1 else None
        results = run((table.statement(query, key, ids.normalize_id(id_)) for _, key, id_ in wanted), only)
        there: list[list[int]] = [[] for _ in updates]
        statements = []
        for (number, key, activity_id), rows in zip(wanted, results, strict=True):
            written = [when for row in rows for when in row.values() if when is not None]
            if written:
                there[number].append(activity_id)
                row = table.encode(updates[number][1][activity_id], replaces=True, key=key)
                timestamp = LongType.serialize(max(written) + 1, 0)
                prepared = connection.prepare(f'{row.query} USING TIMESTAMP ?')
                statements.append(bound(prepared, [table.key(key), *row.values, timestamp]))
        run(statements, only)
        return there

    def write_many(self, writes: Iterable[FeedWrite], intent_names: Sequence[str] = ()) -> list[str | None]:
        """Write to many timelines: one wave, and one more where something is to be trimmed.

        :param writes: ``('add' | 'remove' | 'trim', keys, id -> data, trim length)``
        :param intent_names: intents to read in the last wave of writes, as they are after it; not for feeds of groups
        :returns: the values of the intents
        """
        return self._write_phases(list(phases(writes)), intent_names)

    @adapts
    def _write_phases(self, works: list[dict[str, Work]], intent_names: Sequence[str]) -> list[str | None]:
        table = self.table
        found: list[str | None] = []
        for phase in works:
            if self.holds_groups:
                phase = {
                    key: work._replace(gone=legacy_groups.with_stored(table, key, work.gone))
                    for key, work in phase.items()
                }
                if guard.is_guarded(self, table) or table.is_legacy:
                    groups.apply_in_order(self, [_as_change(key, work) for key, work in phase.items()])
                    continue
            found = self._write(table, phase, intent_names if phase is works[-1] else ())
        return found

    def _write(self, table: Table, works: dict[str, Work], intent_names: Sequence[str]) -> list[str | None]:
        parts = list(trimming.parts_to_trim(works))
        looks = list(trimming.looks(table, parts[0])) if parts else []
        only = next(iter(works)) if len(works) == 1 else None

        def statements() -> Iterator[Any]:
            # The queries for where to cut the first part are sent in the same wave as the writes.
            yield from batched(table.keyspace, self._rows(table, works), table.clear)
            yield from looks

        if intent_names:
            results, found = intents.run_and_read(statements, intent_names, only)
        else:
            results, found = run(statements(), only), []
        looked = results[len(results) - len(looks) :]
        for number, part in enumerate(parts):
            if number > 0:
                looked = run(trimming.looks(table, part), only)
            run(trimming.deletions(table, part, looked, only), only)
        return found

    def _rows(self, table: Table, works: dict[str, Work]) -> Iterator[Rows]:
        # A fan-out does the same to the feed of every follower.
        alike: dict[int, list[str]] = {}
        if len(set(map(id, works.values()))) == 1:
            alike[0] = list(works)
        else:
            for key, work in works.items():
                alike.setdefault(id(work), []).append(key)
        for keys in alike.values():
            statements = list(self._rows_of(table, works[keys[0]]))
            names = table.keys(keys)
            if statements:
                yield Rows(names, statements)

    def _rows_of(self, table: Table, work: Work) -> Iterator[Unbound]:
        """Yield the statements that write to a feed. Their values lack the first one, the feed's key."""
        clears = connection.has_timestamps() and not lacks(features.TIMESTAMP)
        for data in work.rows.values():
            row = table.encode(data, replaces=not clears)
            replaced = None if row.is_whole else row.id
            yield Unbound(connection.prepare(row.query), row.values, row.bytes, replaced)
        if work.gone:
            delete = connection.prepare(table.sql(_DELETE_ROW))
            for item in work.gone:
                yield Unbound(delete, [IntegerType.serialize(ids.normalize_id(item), 0)], _DELETE_BYTES)

    def get_slice(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> list[Any]:
        """Return a slice. Groups without activities are left out; more is read until the page is full."""
        found = super().get_slice(key, start, stop, filter_kwargs, ordering_args)
        if not self.holds_groups or all(map(len, found)):
            return found
        kept = [group for group in found if len(group)]
        wanted = step = None if stop is None else stop - (start or 0)
        while wanted is not None and stop is not None and len(kept) < wanted and len(found) == step:
            start, step = stop, max(wanted - len(kept), 25)
            stop = start + step
            found = super().get_slice(key, start, stop, filter_kwargs, ordering_args)
            kept += [group for group in found if len(group)]
        return kept[:wanted]

    def get_slice_from_storage(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Pairs:
        """Read a slice. One query; one more before it if the slice starts deeper than a hundred entries."""
        low, high = self.bounds(filter_kwargs)
        ascending = self.ascends(ordering_args)
        start = start or 0
        if stop is not None and stop <= start:
            return []
        table = self.table
        read_slice = legacy_groups.read_slice if self.has_bare_ids else pages.read_slice
        rows = read_slice(table, key, start, stop, low, high, ascending)
        return [(row['activity_id'], row) for row in rows]

    @adapts
    def get_index_of(self, key: str, activity_id: Any) -> int:
        """Find an id's position. One wave: a query whether it is there, and one that counts the newer ones."""
        table = self.table
        table.key(key)
        number = ids.normalize_id(activity_id)
        if self.holds_groups and legacy_groups.is_bare(number):
            stored = legacy_groups.find_stored(table, key, number)
            if not stored:
                raise ValueError(f'id {activity_id} is not in feed {key!r}')
            number = max(stored, key=ids.group_order)
        ranges = self.ranges_above(table, ids.group_order(number) if self.holds_groups else number)
        statements = [pages.select_id(table, key, number)]
        if not lacks(features.COUNT):
            statements += [pages.select(table, pages.COUNTED, key, low, high) for low, high in ranges]
        there, *counted = run(statements, key)
        if not there:
            raise ValueError(f'id {activity_id} is not in feed {key!r}')
        if lacks(features.COUNT):
            return sum(pages.count(table, key, low, high) for low, high in ranges)
        return sum(rows[0]['count'] for rows in counted)

    @adapts
    def count(self, key: str) -> int:
        """Count entries. One query, for which the server reads all the ids of the feed."""
        return pages.count(self.table, key)

    @adapts
    def delete(self, key: str) -> None:
        """Delete the partition, and the seen mark. One statement for each."""
        table = self.table
        table.key(key)
        if guard.is_guarded(self, table):
            guard.delete_feed(table, key)
        else:
            run([table.statement(_DELETE_FEED, key)], key)
        seen.forget([self.seen_name(key)])

    def seen_name(self, key: str) -> str:
        """Return the name of a feed's seen mark: feeds of two tables may have the same key."""
        return f'{self.column_family_name}:{key}'

    def set_seen(self, key: str, number: int) -> None:
        """Move the seen mark forward. Two waves; see :mod:`stream_framework.storage.cassandra.seen`."""
        seen.write(self.seen_name(key), number)

    def get_seen(self, keys: Sequence[str]) -> list[int | None]:
        """Return seen marks. One wave."""
        return seen.read([self.seen_name(key) for key in keys])

    def counts_along(self, other: KeepsSeen) -> bool:
        """Return whether the feeds of another storage can be counted in the same wave: all on Cassandra can."""
        return isinstance(other, CassandraTimelineStorage)

    @adapts
    def count_new(self, timelines: Sequence[tuple[Any, str]]) -> list[int]:
        """Count new entries. One wave; one more where a feed has over 100 of them."""
        return seen.count_new(timelines)

    @property
    def has_bare_ids(self) -> bool:
        """Whether groups may be under ids of 13 digits, which 1.4.0 gave them."""
        return self.holds_groups and self.table.is_legacy

    def ranges_above(self, table: Table, number: int) -> list[Range]:
        """Return the ranges of the ids that sort above a number."""
        return legacy_groups.ranges_above(table, number) if self.holds_groups else [(number + 1, None)]

    @adapts
    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """Read the newest entries, ``(id, columns)``. One wave; a statement for up to 20 feeds of the same nodes."""
        return snapshots.read(self, keys, length)

    def read_latest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """Read at serial consistency, so that the conflicting write is visible. One wave, a statement for each feed."""
        return snapshots.read_latest(self, keys, length)

    @shortcut(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage',
        plain='apply_changes_by_hooks',
    )  # fmt: skip
    @adapts
    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Change each feed in one step, markers included; see :mod:`stream_framework.storage.cassandra.groups`."""
        return groups.apply(self, changes)

    def apply_changes_by_hooks(self, changes: Sequence[Change]) -> list[Change]:
        """Apply changes through the hooks of a subclass."""
        return GuardsGroups.apply_changes(self, changes)

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """Return whether the version and the newest entries are still those of a snapshot. One statement."""
        now = self.read_latest([snapshot.key], len(snapshot.entries) + 1)[0]
        same = now.token.version == snapshot.token.version
        return same and now.entries[: len(snapshot.entries)] == snapshot.entries

    @adapts
    def flush(self) -> None:
        """Empty the table. All feeds in it go, of other classes too."""
        if lacks(features.TRUNCATE):
            self._delete_matching('*')
        else:
            run([SimpleStatement(f'TRUNCATE {self.table.name}')])
            seen.forget_matching(self.seen_name('*'))

    def iter_keys(self, pattern: str) -> Iterator[str]:
        """Yield the keys in the order of their tokens. One statement for each :data:`KEYS_AT_A_TIME`."""
        query = 'SELECT DISTINCT feed_id, token(feed_id) AS place FROM {table}'
        bounds: list[Any] = []
        while True:
            where = ' WHERE token(feed_id) > ?' if bounds else ''
            [rows] = run([self.table.statement(f'{query}{where} LIMIT ?', *bounds, KEYS_AT_A_TIME)])
            yield from fnmatch.filter([row['feed_id'] for row in rows], pattern)
            if len(rows) < KEYS_AT_A_TIME:
                return
            bounds = [rows[-1]['place']]

    @shortcut('flush')
    def flush_matching(self, pattern: str) -> None:
        """Delete the feeds whose keys match. It reads all keys of the table: for tests, not for every day."""
        self._delete_matching(pattern)

    def _delete_matching(self, pattern: str) -> None:
        table = self.table
        [rows] = run([table.statement('SELECT DISTINCT feed_id FROM {table}')])
        for key in fnmatch.filter([row['feed_id'] for row in rows], pattern):
            self.delete(key)
        seen.forget_matching(self.seen_name(pattern))


def _as_change(key: str, work: Work) -> Change:
    return Change(key, removed=[(item, None) for item in work.gone], added=dict(work.rows), trim_length=work.length)
