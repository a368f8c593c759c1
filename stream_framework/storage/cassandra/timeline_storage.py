"""Timelines on Cassandra: a partition for each feed, in it a row for each entry, whole, the newest first."""

from __future__ import annotations

import fnmatch
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework import ids
from stream_framework.exceptions import ConfigurationError
from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
from stream_framework.serializers.cassandra.aggregated_activity_serializer import CassandraAggregatedActivitySerializer
from stream_framework.storage.abilities import GuardsGroups, KeepsSeen
from stream_framework.storage.batch import BaseBatch, Write, runs
from stream_framework.storage.cassandra import connection, features, intents, models, seen, tables
from stream_framework.storage.cassandra.activity_storage import CassandraActivityStorage
from stream_framework.storage.cassandra.driver import IntegerType, LongType, SimpleStatement
from stream_framework.storage.cassandra.fallbacks import adapts, lacks
from stream_framework.storage.cassandra.groups import GroupStorage, ids_by_feed
from stream_framework.storage.cassandra.statements import Rows, Unbound, batched, bound, run
from stream_framework.storage.cassandra.tables import Table, get_table
from stream_framework.storage.changes import Change, Pairs, Snapshot
from stream_framework.utils.shortcuts import shortcut, unchanged

#: How many entries are skipped by reading them; to skip more, their ids are read first, in a query of their own.
SKIPPED_BY_READING = 100
#: Trimming to more than this counts first, rather than read the ids of all that are to stay.
COUNTED_BEFORE_TRIMMING = 1000
#: How many ids are held at a time to find out where to cut.
IDS_AT_A_TIME = 20_000
#: How many ids are read along with a seen mark: one more than the longest feed whose new entries take one wave.
IDS_WITH_SEEN = 101
#: How many ids are read at a time where the server doesn't count.
IDS_PER_PAGE = 5000

_DELETE_ROW = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id = ?'
_DELETE_OLDER = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id < ?'
_DELETE_FEED = 'DELETE FROM {table} WHERE feed_id = ?'
_COUNTED = 'COUNT(activity_id) AS count'
_COUNT = f'SELECT {_COUNTED} FROM {{table}} WHERE feed_id = ?'
_ONE_ID = 'SELECT activity_id FROM {table} WHERE feed_id = ? AND activity_id = ?'
_STOCK_SERIALIZERS = (CassandraActivitySerializer, CassandraAggregatedActivitySerializer)
_LEGACY = ids.LEGACY_GROUP_LIMIT
#: About what the server counts for the deletion of a row.
_DELETE_BYTES = 64


class Batch(BaseBatch):
    """Queued writes, sent in waves of concurrent batches."""

    def send_writes(self, writes: list[Write]) -> None:
        """Send in order; runs of writes to storages that do the same go together."""
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
        """The intents that are wanted, if nothing else is to be written before and what is written reads nothing."""
        if self.wanted_intents is None or storage.holds_groups:
            return ()
        kept_in, names = self.wanted_intents
        return names if isinstance(kept_in, CassandraActivityStorage) and kept_in.reads_intents_as_usual else ()


class _Work(NamedTuple):
    """What is to happen to a feed, or to many: rows that come, ids that go, the length to trim to."""

    rows: dict[Any, Any]
    gone: dict[Any, None]
    length: int | None

    @classmethod
    def of(cls, operation: str, data: Any, length: int | None) -> _Work:
        """What one write does."""
        return cls(data if operation == 'add' else {}, dict.fromkeys(data) if operation == 'remove' else {}, length)

    @property
    def kept(self) -> int:
        """How many entries stay where the feed is trimmed."""
        return self.length or 0

    @property
    def is_counted(self) -> bool:
        """Whether to count before ids are read: most of what would be read is to stay."""
        return self.kept > COUNTED_BEFORE_TRIMMING

    @property
    def looked_at(self) -> int:
        """How many of the newest ids tell where to cut."""
        return self.kept + len(self.gone) + 1

    def then(self, later: _Work) -> _Work:
        """This, and that after it."""
        # A group's id may be an int in one and text in the other.
        leaving, coming = (set(map(ids.normalize_id, items)) for items in (later.gone, later.rows))
        rows = {item: data for item, data in self.rows.items() if ids.normalize_id(item) not in leaving}
        gone = {item: None for item in self.gone if ids.normalize_id(item) not in coming}
        return _Work({**rows, **later.rows}, {**gone, **later.gone}, later.length)


class CassandraTimelineStorage(KeepsSeen, GroupStorage):
    """Timelines on Cassandra.

    Costs: a page is one query, whatever is filtered and however it is ordered, and one more if it lies deeper than
    :data:`SKIPPED_BY_READING` entries; counting, and finding a position, read all the ids that they count.

    :param serializer_class: makes rows of activities
    :param modelClass: the table's model, one of :mod:`stream_framework.storage.cassandra.models` or derived from it
    :param column_family_name: the table's name
    :param options: kept in ``options``
    """

    default_serializer_class: Any = CassandraActivitySerializer
    trims_on_write = True
    trims_for_free = False
    Batch: Any = Batch

    #: Whether no subclass has its own way to write to a timeline.
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
        """The model of one table: the base model with the table's name."""
        return tables.get_model(base_model, column_family_name)

    def serializer_options(self) -> dict[str, Any]:
        """The keywords that the serializer class is called with."""
        return {**super().serializer_options(), 'model': self.model}

    def serialize_activity(self, activity: Any) -> Any:
        """What is stored of one activity or group: a dict of columns, or an instance of the model."""
        return self.serializer.dump_columns(activity) if self._writes_dicts else self.serializer.dumps(activity)

    def serialize_activities(self, activities: Iterable[Any]) -> dict[Any, Any]:
        """Id -> what is stored of it, in the order given."""
        dumps, to_id = self.serialize_activity, self.activity_to_id
        return {to_id(activity): dumps(activity) for activity in activities}

    @functools.cached_property
    def _writes_dicts(self) -> bool:
        # Making an instance of the model takes longer than all the rest: it is made for those who may look at it.
        defaults = any(column.has_default for column in self.model._columns.values())
        stock = isinstance(self.serializer, _STOCK_SERIALIZERS) and self.serializes_once and self.writes_as_usual
        return stock and not defaults

    def get_batch_interface(self) -> Any:
        """A context manager: see :class:`~stream_framework.storage.base.BaseBatch`."""
        return self.Batch(self)

    def is_like(self, other: Any) -> bool:
        """As of the base class, and into the same table."""
        return super().is_like(other) and self.model is other.model

    @property
    def table(self) -> Table:  # type: ignore[override]
        """The table, as the server has it."""
        return get_table(self.model)

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        """One wave, and one more to trim; adding again what is there writes it again. Nobody knows what was new."""
        self.write_many([('add', [key], activities, kwargs.get('trim_length'))])

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        """One wave, and one more to trim. Nobody knows what was there."""
        self.write_many([('remove', [key], activities, kwargs.get('trim_length'))])

    def remove_many(self, key: str, activities: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """As of the base class; it takes only their ids, so what can't be stored any more can be removed."""
        by_ids = self.has_stock_hooks and self.serializes_once
        wanted = self.activities_to_ids(activities) if by_ids else activities
        return super().remove_many(key, wanted, *args, **kwargs)

    def trim_storage(self, key: str, length: int) -> None:
        """One query for the id to cut at, one range deletion of exactly what is older."""
        self.write_many([('trim', [key], None, length)])

    @shortcut('add_to_storage')
    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
        """One wave to read when the rows were written, and one to write them as of right after that.

        So whatever was removed since, or is trimmed meanwhile, stays away: the removal is the later write.
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

    def write_many(
        self, writes: Iterable[tuple[str, Sequence[str], Any, int | None]], intent_names: Sequence[str] = ()
    ) -> list[str | None]:
        """Write to many timelines: one wave, and one more where something is to be trimmed.

        :param writes: ``('add' | 'remove' | 'trim', keys, id -> data, trim length)``
        :param intent_names: intents to read in the last wave of writes, as they are after it; not for feeds of groups
        :returns: the values of the intents
        """
        return self._write_phases(list(self._phases(writes)), intent_names)

    @adapts
    def _write_phases(self, phases: list[dict[str, _Work]], intent_names: Sequence[str]) -> list[str | None]:
        table = self.table
        found: list[str | None] = []
        for works in phases:
            if self.holds_groups:
                works = self._locate_bare(table, works)
                if self.guards(table) or table.is_legacy:
                    self.change_groups(
                        [
                            Change(
                                key,
                                removed=[(item, None) for item in work.gone],
                                added=work.rows,
                                trim_length=work.length,
                            )
                            for key, work in works.items()
                        ]
                    )
                    continue
            found = self._write(table, works, intent_names if works is phases[-1] else ())
        return found

    def _phases(self, writes: Iterable[tuple[str, Sequence[str], Any, int | None]]) -> Iterator[dict[str, _Work]]:
        """Writes, each feed's as one; whatever comes after a feed is trimmed is a phase of its own."""
        works: dict[str, _Work] = {}
        for operation, keys, data, length in writes:
            new = _Work.of(operation, data, length)
            if works.keys().isdisjoint(keys):
                # A fan-out does the very same to every follower's feed.
                works.update(dict.fromkeys(keys, new))
                continue
            for key in keys:
                work = works.get(key)
                if work is not None and work.length is not None:
                    yield works
                    works, work = {}, None
                works[key] = new if work is None else work.then(new)
        if works:
            yield works

    def _locate_bare(self, table: Table, works: dict[str, _Work]) -> dict[str, _Work]:
        """A bare whole second, as 1.4.0 named groups, means ours of that moment too."""
        located = {}
        for key, work in works.items():
            ours = [self._stored_as(table, key, item) for item in work.gone if is_bare(item)]
            gone = {**work.gone, **dict.fromkeys(item for items in ours for item in items)} if ours else work.gone
            located[key] = work._replace(gone=gone)
        return located

    def _write(self, table: Table, works: dict[str, _Work], intent_names: Sequence[str]) -> list[str | None]:
        parts = list(_parts_to_trim(works))
        looks = list(self._looks(table, parts[0])) if parts else []
        only = next(iter(works)) if len(works) == 1 else None

        def statements() -> Iterator[Any]:
            # What tells where to cut the first part can be under way together with the writes.
            yield from batched(table.keyspace, self._rows(table, works), table.clear)
            yield from looks

        if intent_names:
            results, found = intents.run_and_read(statements, intent_names, only)
        else:
            results, found = run(statements(), only), []
        looked = results[len(results) - len(looks) :]
        for number, part in enumerate(parts):
            if number > 0:
                looked = run(self._looks(table, part), only)
            run(self._deletions(table, part, looked, only), only)
        return found

    def _rows(self, table: Table, works: dict[str, _Work]) -> Iterator[Rows]:
        # A fan-out does the very same to every follower's feed.
        for _, alike in itertools.groupby(works, lambda key: id(works[key])):
            keys = list(alike)
            rows = list(self._rows_of(table, works[keys[0]]))
            names = table.keys(keys)
            if rows:
                yield Rows(names, functools.partial(_with_keys, rows), sum(row.size for row in rows))

    def _rows_of(self, table: Table, work: _Work) -> Iterator[Unbound]:
        """What is written, but for the feed's key, the first of the values."""
        clears = connection.has_timestamps() and not lacks(features.TIMESTAMP)
        for data in work.rows.values():
            row = table.encode(data, replaces=not clears)
            replaced = None if row.is_whole else row.id
            yield Unbound(connection.prepare(row.query), row.values, row.bytes, replaced)
        if work.gone:
            delete = connection.prepare(table.sql(_DELETE_ROW))
            for item in work.gone:
                yield Unbound(delete, [IntegerType.serialize(ids.normalize_id(item), 0)], _DELETE_BYTES)

    def _looks(self, table: Table, works: dict[str, _Work]) -> Iterator[Any]:
        """What tells where to cut feeds; first, for each that is to stay long, whether to."""
        limits = {key: work.looked_at for key, work in works.items() if not work.is_counted}
        for key, work in works.items():
            if work.is_counted and not lacks(features.COUNT):
                yield table.statement(_COUNT, key)
        yield from self.newest_ids(table, limits)

    def _deletions(self, table: Table, works: dict[str, _Work], looked: Sequence[Any], only: Any) -> Iterator[Any]:
        """What deletes all that is older than the newest, by what :meth:`_looks` found."""
        counted = [key for key, work in works.items() if work.is_counted]
        if lacks(features.COUNT):
            for key in counted:
                cut = self._cut_in_pages(table, key, works[key])
                if cut is not None:
                    yield table.statement(_DELETE_OLDER, key, cut)
            works = {key: work for key, work in works.items() if not work.is_counted}
            counted = []
        longer = {
            key: works[key].looked_at
            for key, [row] in zip(counted, looked, strict=False)
            if row['count'] + len(works[key].rows) > works[key].kept
        }
        found = ids_by_feed([*looked[len(counted) :], *run(self.newest_ids(table, longer), only)])
        for key, work in works.items():
            # What was read may be from before or after what was written at the same time.
            there = found.get(key, set()).union(map(ids.normalize_id, work.rows))
            there.difference_update(map(ids.normalize_id, work.gone))
            if len(there) > work.kept:
                yield table.statement(_DELETE_OLDER, key, sorted(there, reverse=True)[work.kept - 1])

    def _cut_in_pages(self, table: Table, key: str, work: _Work) -> int | None:
        """The lowest id that stays where a feed is trimmed, found without counting; ``None`` if all of them do."""
        gone = set(map(ids.normalize_id, work.gone))
        total, cut = 0, None
        for page in self._pages_of_ids(table, key, None, None):
            staying = [item for item in page if item not in gone]
            if cut is not None and staying:
                return cut
            if total < work.kept <= total + len(staying):
                cut = staying[work.kept - total - 1]
            total += len(staying)
            if total > work.kept:
                return cut
        return None

    def get_slice(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> list[Any]:
        """As of the base class; groups without activities are left out, and the read goes on until the page is full."""
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
        """One query; one more before it if the slice starts deeper than :data:`SKIPPED_BY_READING`."""
        low, high = self.bounds(filter_kwargs)
        ascending = self.ascends(ordering_args)
        start = start or 0
        if stop is not None and stop <= start:
            return []
        table = self.table
        if table.is_legacy and self.holds_groups:
            return self._slice_of_legacy(table, key, start, stop, low, high, ascending)
        if start > SKIPPED_BY_READING:
            skipped = self._read(table, 'activity_id', key, low, high, ascending, start + 1)
            if len(skipped) <= start:
                return []
            first = skipped[start]['activity_id']
            low, high = (first, high) if ascending else (low, first)
            stop = None if stop is None else stop - start
            start = 0
        rows = self._read(table, '{columns}', key, low, high, ascending, stop)
        return [(row['activity_id'], row) for row in table.rows(rows)[start:]]

    def _slice_of_legacy(
        self, table: Table, key: str, start: int, stop: int | None, low: int | None, high: int | None, ascending: bool
    ) -> Pairs:
        """Where groups may be under ids of 13 digits: they are read apart, and put in their places."""
        newest, oldest = _LEGACY - 1, -_LEGACY + 1
        statements = [
            self._select(table, '{columns}', key, _LEGACY if low is None else max(low, _LEGACY), high, ascending, stop),
            self._select(
                table,
                '{columns}',
                key,
                oldest if low is None else max(-(-low // ids.REST), oldest),
                newest if high is None else min(high // ids.REST, newest),
                ascending,
                stop,
            ),
        ]
        rows = [row for found in run(statements, key) for row in table.rows(found)]
        rows.sort(key=lambda row: ids.group_order(row['activity_id']), reverse=not ascending)
        return [(row['activity_id'], row) for row in rows[start:stop]]

    def _read(
        self, table: Table, what: str, key: str, low: int | None, high: int | None, ascending: bool, limit: int | None
    ) -> list[dict[str, Any]]:
        return run([self._select(table, what, key, low, high, ascending, limit)], key)[0]

    def _select(
        self, table: Table, what: str, key: str, low: int | None, high: int | None, ascending: bool, limit: int | None
    ) -> Any:
        query = f'SELECT {what} FROM {{table}} WHERE feed_id = ?'
        values: list[Any] = [key]
        table.key(key)
        for bound_, comparison in ((low, '>='), (high, '<=')):
            if bound_ is not None:
                query += f' AND activity_id {comparison} ?'
                values.append(bound_)
        if ascending:
            query += ' ORDER BY activity_id ASC'
        if limit is not None:
            query += ' LIMIT ?'
            values.append(min(limit, 2**31 - 1))
        return table.statement(query, *values)

    @adapts
    def get_index_of(self, key: str, activity_id: Any) -> int:
        """One wave: whether it is there, and how many are newer, which reads their ids."""
        table = self.table
        table.key(key)
        number = ids.normalize_id(activity_id)
        if self.holds_groups and is_bare(number):
            stored = self._stored_as(table, key, number)
            if not stored:
                raise ValueError(f'id {activity_id} is not in feed {key!r}')
            number = max(stored, key=ids.group_order)
        ranges: list[tuple[int, int | None]] = [(number + 1, None)]
        if self.holds_groups:
            order = ids.group_order(number)
            ranges = [(max(order, _LEGACY) + 1, None)]
            if table.is_legacy:
                ranges.append((order // ids.REST + 1, _LEGACY - 1))
        statements = [table.statement(_ONE_ID, key, number)]
        if not lacks(features.COUNT):
            statements += [self._select(table, _COUNTED, key, low, high, False, None) for low, high in ranges]
        there, *counted = run(statements, key)
        if not there:
            raise ValueError(f'id {activity_id} is not in feed {key!r}')
        if lacks(features.COUNT):
            return sum(self._count_in_pages(table, key, low, high) for low, high in ranges)
        return sum(rows[0]['count'] for rows in counted)

    def _stored_as(self, table: Table, key: str, number: int) -> list[int]:
        """The ids of the groups that a bare number of milliseconds, an id of 1.4.0, means."""
        number = ids.normalize_id(number)
        statements = [table.statement(_ONE_ID, key, number)]
        if number % 1000 == 0:
            first = number * ids.REST
            statements.append(self._select(table, 'activity_id', key, first, first + ids.REST - 1, False, None))
        exact, *ours = run(statements, key)
        found = exact or [row for rows in ours for row in rows]
        return [row['activity_id'] for row in found]

    @adapts
    def count(self, key: str) -> int:
        """One query, which reads all the ids of the feed in the server."""
        table = self.table
        table.key(key)
        if lacks(features.COUNT):
            return self._count_in_pages(table, key, None)
        return run([table.statement(_COUNT, key)], key)[0][0]['count']

    def _count_in_pages(self, table: Table, key: str, low: int | None, high: int | None = None) -> int:
        """Count by reading ids, for servers that don't count."""
        return sum(map(len, self._pages_of_ids(table, key, low, high)))

    def _pages_of_ids(self, table: Table, key: str, low: int | None, high: int | None) -> Iterator[list[int]]:
        """The ids between two, newest first, :data:`IDS_PER_PAGE` at a time."""
        while True:
            rows = self._read(table, 'activity_id', key, low, high, False, IDS_PER_PAGE)
            # A partition without rows may still have static columns.
            page = [row['activity_id'] for row in rows if row['activity_id'] is not None]
            yield page
            if len(page) < IDS_PER_PAGE:
                return
            high = page[-1] - 1

    @adapts
    def delete(self, key: str) -> None:
        """One deletion of the whole partition, and one of how far it was seen."""
        table = self.table
        table.key(key)
        if self.guards(table):
            self.delete_group_feed(table, key)
        else:
            run([table.statement(_DELETE_FEED, key)], key)
        seen.forget([self._seen_name(key)])

    def _seen_name(self, key: str) -> str:
        """The name of a feed's seen mark: feeds of two tables may have the same key."""
        return f'{self.column_family_name}:{key}'

    def set_seen(self, key: str, number: int) -> None:
        """Two waves: see :mod:`stream_framework.storage.cassandra.seen`."""
        seen.write(self._seen_name(key), number)

    def get_seen(self, keys: Sequence[str]) -> list[int | None]:
        """One wave."""
        return seen.read([self._seen_name(key) for key in keys])

    def counts_along(self, other: KeepsSeen) -> bool:
        """All that is on Cassandra."""
        return isinstance(other, CassandraTimelineStorage)

    @adapts
    def count_new(self, timelines: Sequence[tuple[Any, str]]) -> list[int]:
        """One wave: the marks, and the newest ids. A second one counts, for feeds with more than a hundred new ones."""
        marks = seen.read_statements([storage._seen_name(key) for storage, key in timelines])
        newest = [
            storage._select(storage.table, 'activity_id', key, None, None, False, IDS_WITH_SEEN)
            for storage, key in timelines
        ]
        found = run([*marks, *newest], timelines[0][1] if len(timelines) == 1 else None)
        numbers = [seen.number_of(rows) for rows in found[: len(marks)]] or [None] * len(timelines)
        counts: list[int | None] = []
        for (storage, _), number, rows in zip(timelines, numbers, found[len(marks) :], strict=True):
            # A partition without rows may still have static columns.
            orders = [storage.order(row['activity_id']) for row in rows if row['activity_id'] is not None]
            new = sum(number is None or order > number for order in orders)
            # Ids of 13 digits, which 1.4.0 gave groups, are read last, whatever their time.
            is_known = len(orders) < IDS_WITH_SEEN or (new < len(orders) and not storage.has_bare_ids)
            counts.append(new if is_known else None)
        unknown = [
            (place, storage, key, numbers[place])
            for place, (storage, key) in enumerate(timelines)
            if counts[place] is None
        ]
        statements: list[Any] = []
        owners: list[int] = []
        for place, storage, key, number in unknown:
            for low, high in storage._ranges_above(number):
                if lacks(features.COUNT):
                    counted = storage._count_in_pages(storage.table, key, low, high)
                    counts[place] = (counts[place] or 0) + counted
                else:
                    statements.append(storage._select(storage.table, _COUNTED, key, low, high, False, None))
                    owners.append(place)
        for place, rows in zip(owners, run(statements), strict=True):
            counts[place] = (counts[place] or 0) + rows[0]['count']
        return [count or 0 for count in counts]

    @property
    def has_bare_ids(self) -> bool:
        """Whether groups may be under ids of 13 digits."""
        return self.holds_groups and self.table.is_legacy

    def _ranges_above(self, number: int | None) -> list[tuple[int | None, int | None]]:
        """The ids of entries above a number by which they sort: ranges, both ends included."""
        if number is None:
            return [(None, None)]
        if not self.holds_groups:
            return [(number + 1, None)]
        ranges: list[tuple[int | None, int | None]] = [(max(number, _LEGACY) + 1, None)]
        if self.table.is_legacy:
            ranges.append((number // ids.REST + 1, _LEGACY - 1))
        return ranges

    @shortcut(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage',
        plain='apply_changes_by_hooks',
    )  # fmt: skip
    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Each feed in one step, markers included; see :class:`GroupStorage`."""
        return super().apply_changes(changes)

    def apply_changes_by_hooks(self, changes: Sequence[Change]) -> list[Change]:
        """Apply changes through the hooks of a subclass."""
        return GuardsGroups.apply_changes(self, changes)

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """One statement."""
        now = self.read_latest([snapshot.key], len(snapshot.entries) + 1)[0]
        same = now.token.version == snapshot.token.version
        return same and now.entries[: len(snapshot.entries)] == snapshot.entries

    @adapts
    def flush(self) -> None:
        """Empty the table: whatever feeds are in it, of whatever class."""
        if lacks(features.TRUNCATE):
            self.flush_matching('*')
        else:
            run([SimpleStatement(f'TRUNCATE {self.table.name}')])
            seen.forget_matching(self._seen_name('*'))

    def flush_matching(self, pattern: str) -> None:
        """Delete the feeds whose keys match, by going through all the keys of the table: for tests, not every day."""
        table = self.table
        [rows] = run([table.statement('SELECT DISTINCT feed_id FROM {table}')])
        for key in fnmatch.filter([row['feed_id'] for row in rows], pattern):
            self.delete(key)
        seen.forget_matching(self._seen_name(pattern))


def _with_keys(rows: list[Unbound], names: list[bytes]) -> list[Unbound]:
    """The statements of :meth:`CassandraTimelineStorage._rows_of` for each of some feeds."""
    return [
        Unbound(prepared, [name, *values], size, replaced)
        for name in names
        for prepared, values, size, replaced in rows
    ]


def _parts_to_trim(works: dict[str, _Work]) -> Iterator[dict[str, _Work]]:
    """What trims feeds, in parts of which :data:`IDS_AT_A_TIME` ids are read."""
    part: dict[str, _Work] = {}
    total = 0
    for key, work in works.items():
        if work.length is None:
            continue
        if part and total + work.looked_at > IDS_AT_A_TIME:
            yield part
            part, total = {}, 0
        part[key] = work
        total += work.looked_at
    if part:
        yield part


def is_bare(activity_id: Any) -> bool:
    """Whether a group's id is only milliseconds, as those of 1.4.0 are."""
    return abs(ids.normalize_id(activity_id)) < _LEGACY
