"""Timelines in a SQL database: a row for each entry, in the order of their ids."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity
from stream_framework.storage.abilities import CopiesNewest, FiltersPages, GuardsGroups, ListsTimelines
from stream_framework.storage.base import BaseTimelineStorage
from stream_framework.storage.batch import BaseBatch, Write
from stream_framework.storage.changes import Change, Pairs, Snapshot
from stream_framework.storage.sql import client, entries, filtering, groups, intents, seen
from stream_framework.storage.sql.activity_storage import SqlActivityStorage
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.numbers import ABOVE_ALL, BELOW_ALL, decode, decode_all, encode
from stream_framework.storage.sql.seen import SqlKeepsSeen
from stream_framework.storage.sql.texts import pack, pack_all, unpack, unpack_all
from stream_framework.utils.shortcuts import shortcut, unchanged

#: How many feeds are looked at, and deleted, at a time.
FEEDS_AT_A_TIME = 1000
# More than any timeline holds; both databases know it for a number.
_NO_LIMIT = 2**62


class SqlBatch(BaseBatch):
    """Queued writes, in one transaction: the same to many timelines by one statement."""

    def send_writes(self, writes: list[Write]) -> None:
        """Send in order; timeline by timeline where an application has hooks of its own."""
        if not all(write.storage.has_stock_hooks for write in writes):  # type: ignore[attr-defined]
            super().send_writes(writes)
            return
        wanted = self._intents_to_read()

        def work(work: Work) -> list[str | None] | None:
            found = None
            for write in writes:
                found = write.storage.write(work, write, wanted)  # type: ignore[attr-defined]
            if wanted and found is None and work.dialect.name == 'sqlite':
                # Whoever sets one later publishes later: only one transaction writes at a time.
                found = intents.get(work, wanted)
            return found

        # PostgreSQL needs no transaction around one statement; on SQLite there may be another one, which makes feeds.
        single = client.current_dialect() != 'sqlite' and len(writes) == 1 and _is_one_statement(writes[0])
        found = client.run(work, _about(writes), single=single)
        if wanted and found is not None:
            self.intents = found

    def _intents_to_read(self) -> Sequence[str]:
        """The intents that are wanted, if nothing else is to be written before and they are in the same database."""
        if self.wanted_intents is None or client.current_dialect() != 'sqlite':
            # On PostgreSQL they are read when this is committed: a removal that was published before has seen it then.
            return ()
        storage, names = self.wanted_intents
        return names if isinstance(storage, SqlActivityStorage) and storage.reads_intents_as_usual else ()


class SqlTimelineStorage(SqlKeepsSeen, ListsTimelines, CopiesNewest, FiltersPages, GuardsGroups, BaseTimelineStorage):
    """Timelines in the tables ``stream_feeds`` and ``stream_entries``.

    Trimming is not free here, so a write trims by the feed's ``trim_chance``: a chunk of a fan-out as a whole.

    >>> from stream_framework.storage.sql.timeline_storage import SqlTimelineStorage
    >>> SqlTimelineStorage().trims_on_write
    True
    """

    trims_on_write = True
    trims_for_free = False

    #: Whether no subclass has its own way to write to a timeline.
    has_stock_hooks = unchanged('add_to_storage', 'remove_from_storage', 'trim_storage')
    _loads_as_usual = unchanged('get_ids', 'get_slice_from_storage', 'load_many')

    def get_batch_interface(self) -> SqlBatch:
        """A context manager: see :class:`~stream_framework.storage.batch.BaseBatch`."""
        return SqlBatch(self)

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        """Add in one transaction, trimming included; returns how many were new."""
        write = Write(self, 'add', [key], activities, kwargs.get('trim_length'))
        return client.run(lambda work: self.write_and_count(work, write), f'feed {key!r}')

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        """Remove in one transaction, trimming included; returns how many were there."""
        write = Write(self, 'remove', [key], activities, kwargs.get('trim_length'))
        return client.run(lambda work: self.write_and_count(work, write), f'feed {key!r}')

    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
        """One transaction, and one statement for each timeline, which replaces only what it finds."""

        def work(work: Work) -> list[list[int]]:
            find = entries.find if self.keeps_references else entries.replace
            found = []
            # In one order for all, so that two never wait for each other.
            for key, data in sorted(updates, key=lambda update: update[0]):
                there = find(work, pack(key), entries.rows_of(self.order, data))
                found.append((key, data, [activity_id for activity_id in data if self.order(activity_id) in there]))
            return [next(there for _, of, there in found if of is data) for _, data in updates]

        return client.run(work, 'feeds')

    def trim_storage(self, key: str, length: int) -> int:
        """Keep the newest; returns how many went."""

        def work(work: Work) -> int:
            return len(entries.trim(work, [pack(key)], length))

        return client.run(work, f'feed {key!r}', single=True)

    def write(self, work: Work, write: Write, wanted: Sequence[str] = ()) -> list[str | None] | None:
        """Write to one timeline or to many; returns intents that were read along."""
        return self._write(work, write, wanted)[1]

    def write_and_count(self, work: Work, write: Write) -> int:
        """Write to a timeline; returns how many entries were new, or gone."""
        return self._write(work, write)[0]

    def _write(self, work: Work, write: Write, wanted: Sequence[str] = ()) -> tuple[int, list[str | None] | None]:
        done, found = 0, None
        holds_groups = self.holds_groups
        adds = write.operation == 'add' and bool(write.data)
        keys = pack_all(write.keys) if holds_groups or not adds or write.trim_length is not None else ()
        if write.operation != 'trim' and holds_groups:
            # What a change was planned for isn't there any more.
            entries.touch(work, keys)
        if adds:
            rows = entries.rows_of(self.order, write.data)
            replacing = any(data is not None for _, data in rows)
            if replacing and len(write.keys) == 1:
                # So that what is new can be counted.
                entries.replace(work, pack(write.keys[0]), rows)
                replacing = False
            done, found = entries.add(work, write.keys, rows, wanted, replacing)
        elif write.operation == 'remove' and write.data:
            numbers = [self.order(item) for item in write.data]
            done = entries.remove(work, keys, list(map(encode, numbers)))
            for number in filter(self._is_bare_second, numbers):
                for key in keys:
                    values = {'key': key, 'low': encode(number), 'high': encode(number + ids.REST - 1)}
                    done += work.count(work.dialect.remove_between, values)
        if write.trim_length is not None:
            entries.trim(work, keys, write.trim_length)
        return done, found

    def _is_bare_second(self, number: int) -> bool:
        """Whether this is how 1.4.0 named a group: by a whole second, which means ours of that moment too."""
        return self.holds_groups and number % ids.REST == 0 and (number // ids.REST) % 1000 == 0

    def get_slice_from_storage(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Pairs:
        """One statement."""
        statement, values = self._page(key, start, stop, filter_kwargs, ordering_args, ('newest_first', 'oldest_first'))
        return [self.pair(number, data) for number, data in client.rows(statement, f'feed {key!r}', **values)]

    def get_page(
        self,
        activity_storage: Any,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Any = None,
        ordering_args: Any = None,
    ) -> tuple[list[Activity], int]:
        """One statement where the activities are in the same database, read by no hook of a subclass; else two."""
        if not self._reads_together(activity_storage):
            return super().get_page(activity_storage, key, start, stop, filter_kwargs, ordering_args)
        names = ('newest_hydrated', 'oldest_hydrated')
        statement, values = self._page(key, start, stop, filter_kwargs, ordering_args, names)
        return self._hydrated(activity_storage, key, statement, values)

    def filter_page(
        self,
        activity_storage: Any,
        key: str,
        wanted: Mapping[str, Any],
        limit: int | None,
        filter_kwargs: Any = None,
        ordering_args: Any = None,
    ) -> list[Activity] | None:
        """One statement: the database goes through the timeline, and looks at the text of each activity."""
        if not self._reads_together(activity_storage):
            return None
        texts = filtering.texts_of(activity_storage.serializer, wanted)
        if texts is None:
            return None
        names = ('newest_filtered', 'oldest_filtered')
        statement, values = self._page(key, 0, limit, filter_kwargs, ordering_args, names)
        values.update(texts, plain=filtering.PLAIN)
        del values['offset']
        return self._hydrated(activity_storage, key, statement, values)[0]

    def _reads_together(self, activity_storage: Any) -> bool:
        """Whether entries and activities can be read by one statement, and no hook of a subclass reads them."""
        return (
            self._loads_as_usual
            and isinstance(activity_storage, SqlActivityStorage)
            and activity_storage.reads_as_usual
            and activity_storage.metrics is self.metrics
        )

    def _hydrated(
        self, activity_storage: SqlActivityStorage, key: str, statement: str, values: Mapping[str, Any]
    ) -> tuple[list[Activity], int]:
        """Return the activities that a statement finds, and how many ids it found."""
        metrics = self.metrics
        with metrics.feed_reads_timer(type(self)), metrics.feed_reads_timer(type(activity_storage)):
            found = client.rows(statement, f'feed {key!r}', **values)
        rows = [row for row in found if row[1] is not None]
        numbers, datas = decode_all([number for number, _ in rows]), unpack_all([data for _, data in rows])
        metrics.on_feed_read(type(self), len(found))
        if found:
            metrics.on_feed_read(type(activity_storage), len(rows))
        return activity_storage.load_all(None, zip(numbers, datas, strict=True)), len(found)

    def _page(
        self, key: str, start: int | None, stop: int | None, filters: Any, orderings: Any, names: tuple[str, str]
    ) -> tuple[str, dict[str, Any]]:
        low, high = self.bounds(filters)
        start = start or 0
        return names[self.ascends(orderings)], {
            'key': pack(key),
            'low': BELOW_ALL if low is None else encode(low),
            'high': ABOVE_ALL if high is None else encode(high),
            'limit': _NO_LIMIT if stop is None else max(stop - start, 0),
            'offset': start,
        }

    def pair(self, number: bytes, data: Any) -> tuple[Any, Any]:
        """Return id and data of a row: groups are known by a str, activities by an int."""
        decoded = decode(number)
        if data is None:
            data = decoded
        return (ids.format_group_id(decoded) if self.holds_groups else decoded), unpack_data(data)

    def copies_from(self, source: Any) -> bool:
        """Whether both hold ids only, and write and read them by no hook of a subclass."""
        return (
            isinstance(source, SqlTimelineStorage)
            and source.holds_references
            and source._newest_as_usual
            and self.serializer.holds_references
            and self.writes_as_usual
            and self._copies_as_usual
        )

    _newest_as_usual = unchanged('read_newest', 'load_entry', 'pair')
    _copies_as_usual = unchanged('get_batch_interface', 'serialize_activities', 'serialize_activity')

    def copy_newest(
        self, sources: Sequence[str], key: str, length: int, trim_length: int | None
    ) -> list[Iterable[int]]:
        """One transaction: one statement on PostgreSQL, three on SQLite, and one that trims."""

        def work(work: Work) -> list[tuple[int, str]]:
            found = entries.copy_newest(work, sources, key, length)
            if trim_length is not None:
                entries.trim(work, [pack(key)], trim_length)
            return found

        found = dict(client.run(work, f'feed {key!r}'))
        copied = [entries.Ids(found.get(place, '')) for place in range(len(sources))]
        self.metrics.on_feed_write(type(self), sum(map(len, copied)))
        return list(copied)

    def get_index_of(self, key: str, activity_id: Any) -> int:
        """One statement."""
        number = self.order(activity_id)
        high = number + ids.REST - 1 if self._is_bare_second(number) else number
        found = client.rows('index_of', f'feed {key!r}', key=pack(key), low=encode(number), high=encode(high))
        if not found:
            raise ValueError(f'id {activity_id} is not in feed {key!r}')
        return int(found[0][0])

    def count(self, key: str) -> int:
        """One statement."""
        return int(client.rows('count_entries', f'feed {key!r}', key=pack(key))[0][0])

    def delete(self, key: str) -> None:
        """Delete the feed's row, its entries, and how far it was seen, in one transaction."""

        def work(work: Work) -> None:
            work.known.discard(key)
            found = [number for (number,) in work.rows(work.dialect.delete_feed, {'key': pack(key)})]
            if found:
                work.count(work.dialect.delete_entries, {'ids': work.dialect.ids(found)})
            seen.forget(work, [key])

        client.run(work, f'feed {key!r}')

    def flush(self) -> None:
        """Delete all timelines, of all feed classes."""

        def work(work: Work) -> None:
            work.known.clear()
            work.count(work.dialect.empty_entries, {})
            work.count(work.dialect.empty_feeds, {})
            work.count(work.dialect.empty_seen, {})

        client.run(work, 'feeds')

    @shortcut('flush')
    def flush_matching(self, pattern: str) -> None:
        """Delete the timelines whose keys match, by looking through all of them: for tests, not for every day."""
        for found in _all_feeds():
            chosen = [number for number, key in found if fnmatch.fnmatchcase(unpack(key), pattern)]

            def work(work: Work, chosen: list[int] = chosen) -> None:
                work.known.clear()
                values = {'ids': work.dialect.ids(chosen)}
                work.count(work.dialect.delete_feeds, values)
                work.count(work.dialect.delete_entries, values)

            if chosen:
                client.run(work, 'feeds')
        seen.forget_matching(pattern)

    def iter_keys(self, pattern: str) -> Iterator[str]:
        """Read the table of feeds in the order of keys; one statement for each :data:`FEEDS_AT_A_TIME`."""
        for found in _all_feeds():
            yield from fnmatch.filter((unpack(key) for _, key in found), pattern)

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """One statement; the token is the feed's version, and the length."""
        return groups.read(self, keys, length)

    def read_groups(
        self, keys: Sequence[str], length: int, names: Collection[str], latest: bool = False
    ) -> list[Snapshot]:
        """One statement; the database picks the entries, where it can tell their groups."""
        return groups.read_named(self, keys, length, names)

    @shortcut(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage'
    )
    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """All feeds in one transaction, each only if its version is the one that was read, markers included."""
        return groups.apply(self, changes)

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """One statement: whether the version is the one that was read."""
        length, version = snapshot.token
        return bool(self.read_newest([snapshot.key], length)[0].token[1] == version)


def _all_feeds() -> Iterator[Sequence[tuple[int, str]]]:
    """Yield ``(id, packed key)`` of all feeds, in parts. Those of a part may be deleted meanwhile."""
    after = ''
    while found := client.rows('feeds_after', 'feeds', low='', after=after, limit=FEEDS_AT_A_TIME):
        yield found
        after = found[-1][1]


def unpack_data(data: Any) -> Any:
    """Return what a serializer made."""
    return data if type(data) is int else unpack(data)


def _is_one_statement(write: Write) -> bool:
    storage: Any = write.storage
    one_part = len({len(encode(storage.order(item))) for item in write.data}) <= 1
    small = len(write.data) * len(write.keys) <= entries.ROWS_AT_A_TIME
    plain = write.operation == 'remove' or all(type(data) is int for data in write.data.values())
    return not storage.holds_groups and write.trim_length is None and one_part and small and plain


def _about(writes: Sequence[Write]) -> str:
    keys: Mapping[str, None] = dict.fromkeys(key for write in writes[:3] for key in write.keys[:2])
    first = next(iter(keys), None)
    more = sum(len(write.keys) for write in writes) - 1
    return f'feed {first!r}' + (f' and {more} more' if more > 0 else '')
