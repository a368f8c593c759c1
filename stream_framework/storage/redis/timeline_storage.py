"""Timelines on Redis: a sorted set for each feed.

=================  ============================  =====================================================================
feed               member                        score
=================  ============================  =====================================================================
flat               the id, in decimal            the id as a double: ids within a few million of each other share one
aggregated         the serialized group          its ``updated_at`` in milliseconds (1.4.0: cut to whole seconds)
=================  ============================  =====================================================================

A score alone therefore never settles an order: entries that share one are put in order by their ids. Reading does so
for the page it returns, and reads the rest of a run of equal scores only where the page's edge cuts through it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework import ids
from stream_framework.activity import Activity
from stream_framework.exceptions import SerializationException, UpdateConflictError
from stream_framework.serializers.aggregated_activity_serializer import AggregatedActivitySerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.abilities import GuardsGroups, ListsTimelines
from stream_framework.storage.base import BaseTimelineStorage
from stream_framework.storage.batch import BaseBatch, Write, iter_parts, runs
from stream_framework.storage.changes import Change, Pairs, Snapshot
from stream_framework.storage.redis import pages, scripts, seen
from stream_framework.storage.redis.activity_storage import ActivityCache, RedisActivityStorage
from stream_framework.storage.redis.changes import apply, binary
from stream_framework.storage.redis.client import Client
from stream_framework.storage.redis.commands import Command, glob, is_cluster
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.pages import Page
from stream_framework.storage.redis.seen import RedisKeepsSeen
from stream_framework.storage.redis.structures.base import as_text, as_texts
from stream_framework.storage.redis.structures.sorted_set import RedisSortedSetCache
from stream_framework.utils.shortcuts import shortcut, unchanged

#: More entries than this, even for a moment, make Redis give up its compact encoding of a sorted set for good (its
#: ``zset-max-listpack-entries``, by default): 52 bytes for each entry of a flat feed then become 132.
COMPACT_LENGTH = 128
#: Keys, and values over all keys, that one script call writes or reads: bounds how long it holds up the server.
KEYS_PER_CALL = 100
VALUES_PER_CALL = 2000
#: How often an entry that others keep replacing is tried.
UPDATE_ATTEMPTS = 100
#: Keys that flushing deletes at a time.
KEYS_PER_DELETE = 500


#: ``'add' | 'remove' | 'trim'``, the keys of timelines, id -> data, and the length to trim to.
_Write = tuple[str, Sequence[str], Any, int | None]


class TimelineCache(RedisSortedSetCache):
    """One timeline, as a structure of its own."""

    sort_asc = False


class _Entry(NamedTuple):
    """One entry, with the number that it sorts by and the id that it is known by."""

    number: int
    activity_id: Any
    member: Any


class RedisBatch(BaseBatch):
    """Queued writes, sent in one pipeline: to many timelines by one command, where they are on one server."""

    def send_writes(self, writes: list[Write]) -> None:
        """Send in order; runs of writes to storages that do the same go together."""
        together = list(runs(writes))
        for run in together:
            self._send_run(run, last=run is together[-1])

    def _send_run(self, run: list[Write], last: bool) -> None:
        storage: Any = run[0].storage
        if storage.has_stock_hooks:
            names = self._intents_to_read(storage) if last else ()
            _, found = storage.write_many([tuple(write[1:]) for write in run], names)
            if names:
                self.intents = as_texts(found)
        else:
            super().send_writes(run)

    def _intents_to_read(self, storage: RedisTimelineStorage) -> Sequence[str]:
        """The intents that are wanted, if nothing else is to be written before and they are on the same server."""
        if self.wanted_intents is None:
            return ()
        kept_in, names = self.wanted_intents
        along = isinstance(kept_in, RedisActivityStorage) and kept_in.reads_intents_on(storage.redis_server, names)
        return names if along else ()


class RedisTimelineStorage(RedisKeepsSeen, ListsTimelines, GuardsGroups, BaseTimelineStorage):
    """Timelines on Redis. The option ``redis_server`` names the server in ``STREAM_REDIS_CONFIG``."""

    #: Read the page of a flat feed, and its activities, in one round trip. It takes twice the time of the server's core
    #: that two round trips take, which is why these are the default; it is quicker where the server is further away
    #: than a few tenths of a millisecond.
    pages_in_one_trip: bool = False

    trims_on_write = True
    #: Whether no subclass has its own way to write to a timeline.
    has_stock_hooks = unchanged('add_to_storage', 'remove_from_storage', 'trim_storage')
    _loads_as_usual = unchanged('get_ids', 'get_slice_from_storage', 'load_many')

    def get_cache(self, key: str) -> TimelineCache:
        """The sorted set of one timeline."""
        return TimelineCache(key, redis_server=self.redis_server)

    def get_batch_interface(self) -> RedisBatch:
        """A context manager: see :class:`~stream_framework.storage.base.BaseBatch`."""
        return RedisBatch(self)

    @property
    def redis_server(self) -> str:
        """The server's name in ``STREAM_REDIS_CONFIG``."""
        return self.options.get('redis_server') or 'default'

    @property
    def client(self) -> Client:
        """The server."""
        return Client(self.redis_server)

    @property
    def redis(self) -> Any:
        """The client of redis-py."""
        return get_redis_connection(self.redis_server)

    @property
    def holds_ids(self) -> bool:
        """Whether members are the ids themselves."""
        return isinstance(self.serializer, SimpleTimelineSerializer) and self.serializer.stores_ids

    def add_to_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        """One round trip, trimming included (a second one for what isn't just ids); returns how many were new."""
        return self.write_many([('add', [key], activities, kwargs.get('trim_length'))])[0]

    def remove_from_storage(self, key: str, activities: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        """One round trip, trimming included (a second one for what isn't just ids); returns how many were there."""
        return self.write_many([('remove', [key], activities, kwargs.get('trim_length'))])[0]

    @shortcut('add_to_storage')
    def update_in_storage(self, updates: Sequence[tuple[str, Mapping[int, Any]]]) -> list[list[int]]:
        """One round trip to find the entries, and one to replace each in one step, if it is still what was found.

        :raises UpdateConflictError: if others kept replacing the same entry
        """
        there: list[list[int]] = [[] for _ in updates]
        pending = [(number, activity_id) for number, (_, data) in enumerate(updates) for activity_id in data]
        for _ in range(UPDATE_ATTEMPTS):
            entries = self._find([(updates[number][0], activity_id) for number, activity_id in pending])
            present = [item for item, found in zip(pending, entries, strict=True) if found]
            if self.holds_ids:
                replaced = [1] * len(present)
            else:
                replaced = self.send(
                    [
                        scripts.REPLACE.call([updates[number][0]], (found[0].member, updates[number][1][activity_id]))
                        for (number, activity_id), found in zip(pending, entries, strict=True)
                        if found
                    ]
                )
            pending = []
            for (number, activity_id), done in zip(present, replaced, strict=True):
                if done:
                    there[number].append(activity_id)
                else:
                    pending.append((number, activity_id))
            if not pending:
                return there
        number, activity_id = pending[0]
        raise UpdateConflictError(
            f'feed {updates[number][0]!r}, id {activity_id}: others replaced it during each of {UPDATE_ATTEMPTS} '
            'attempts; run the same work again'
        )

    def trim_storage(self, key: str, length: int) -> int:
        """One command (two where the edge cuts through entries that Redis can't order); returns how many went."""
        return self.trim_many([(key, length)])

    def trim_many(self, wanted: Sequence[tuple[str, int]]) -> int:
        """Keep the newest entries of timelines, ``(key, length)``; returns how many went."""
        commands = [self._exact_trim(*item) for item in wanted]
        return self._finish_trims([key for key, _ in wanted], self.send(commands))

    def _finish_trims(self, keys: Sequence[str], replies: Sequence[Any]) -> int:
        """Remove what the script that trims has left to decide."""
        total = 0
        commands: list[Command] = []
        for key, (went, surplus, *run) in zip(keys, replies, strict=True):
            total += went
            if surplus > 0:
                entries = self._sorted(key, _pairs(run), ascending=True)[:surplus]
                commands.append(('ZREM', key, *(entry.member for entry in entries)))
        return total + sum(self.send(commands)) if commands else total

    def _trim(self, key: str, length: int) -> Command:
        # With each write: ids of two lengths within one score, once in a power of ten, aren't worth a script.
        return ('ZREMRANGEBYRANK', key, 0, -length - 1) if self.holds_ids else self._exact_trim(key, length)

    def _exact_trim(self, key: str, length: int) -> Command:
        return scripts.TRIM.call([key], [length, int(self.holds_ids)])

    def write_many(self, writes: Sequence[_Write], marks: Sequence[str] = ()) -> tuple[int, list[Any]]:
        """Write to many timelines, in order.

        :param marks: keys that are read along, after the writes
        :returns: how many entries were new, and how many were removed, together; the values of the marks
        """
        replaced = 0
        removals: list[_Write] = []
        if not self.holds_ids:
            writes = list(writes)
            removals = [write for write in writes if write[0] == 'remove']
            writes, replaced = self._located(writes)
        one_by_one = is_cluster(self.redis) or not self.holds_ids
        commands: list[Command] = []
        keys_of: list[Sequence[str]] = []
        for operation, keys, values, length in self._runs(writes):
            if operation == 'trim' or one_by_one or len(keys) == 1 or len(values) > VALUES_PER_CALL:
                for key in keys:
                    parts = self._one_by_one(operation, key, values, length)
                    commands += parts
                    keys_of += [[key]] * len(parts)
                continue
            step = self._values_at_a_time(operation, length)
            for some_keys in iter_parts(keys, max(1, min(KEYS_PER_CALL, VALUES_PER_CALL // len(values)))):
                commands.append(_fan_out(operation, some_keys, length, step, values))
                keys_of.append(some_keys)
        along = bool(marks and commands and commands[-1][1] == scripts.FAN_OUT.sha)
        if along:
            # The last script reads the marks, too: one command is sent faster than two.
            commands[-1] = _fan_out(operation, some_keys, length, step, values, marks)
        elif marks:
            commands.append(('MGET', *marks))
        only = keys_of[0][0] if len(writes) == 1 and [len(keys) for keys in keys_of] == [1] else None
        replies = self.send(commands, only)
        found: list[Any] = []
        if along:
            found = replies[-1][3:]
        elif marks:
            found = replies.pop()
        # What is replaced was written anew and removed, and is neither new nor gone.
        total = self._written(commands, keys_of, replies) - 2 * replaced
        located = sum(len(command) - 2 for command in commands if command[0] == 'ZREM')
        gone = sum(reply for command, reply in zip(commands, replies, strict=False) if command[0] == 'ZREM')
        if removals and gone < located:
            # Somebody has replaced an entry between the look and the removal: it is there under other data.
            total += self.write_many(removals)[0]
        return total, found

    def _written(self, commands: Sequence[Command], keys_of: Sequence[Sequence[str]], replies: Sequence[Any]) -> int:
        """How many entries were written and removed, by the replies to commands about these keys."""
        total = 0
        trimmed: list[tuple[str, Any]] = []
        for command, keys, reply in zip(commands, keys_of, replies, strict=False):
            if command[0] in ('ZADD', 'ZREM'):
                total += int(reply)
            elif command[:2] == ('EVALSHA', scripts.FAN_OUT.sha):
                count, failed, error = reply[:3]
                if failed:
                    self.checked_reply(keys[failed - 1], error)
                total += count
            elif command[0] == 'EVALSHA':
                trimmed.append((keys[0], reply))
        if trimmed:
            self._finish_trims([key for key, _ in trimmed], [reply for _, reply in trimmed])
        return total

    def _runs(self, writes: Iterable[_Write]) -> Iterable[tuple[str, list[str], list[Any], int | None]]:
        """Consecutive writes of the very same thing as one, with what is sent of it."""
        run: tuple[str, list[str], list[Any], int | None] | None = None
        same: tuple[Any, ...] = ()
        for operation, keys, data, length in writes:
            if run is not None and same == (operation, id(data), length) and operation != 'trim':
                run[1].extend(keys)
                continue
            if run is not None:
                yield run
            same = (operation, id(data), length)
            run = (operation, list(keys), self._values(operation, data or {}, length), length)
        if run is not None:
            yield run

    def _values(self, operation: str, data: Any, length: int | None) -> list[Any]:
        if operation == 'add':
            items: Iterable[tuple[Any, Any]] = data.items()
            if length is not None and len(data) > length and self.holds_ids:
                # What is trimmed at once need not be sent.
                items = sorted(items, key=lambda item: self.order(item[0]))[-length:]
            return [value for item, member in items for value in (self.score(item), member)]
        if self.holds_ids:
            return [str(item) for item in data]
        return list(data)

    def _one_by_one(self, operation: str, key: str, values: Sequence[Any], length: int | None) -> list[Command]:
        """One write to one timeline as commands."""
        if operation == 'trim':
            return [] if length is None else [self._exact_trim(key, length)]
        commands: list[Command] = []
        name, step = 'ZADD' if operation == 'add' else 'ZREM', self._values_at_a_time(operation, length)
        for part in iter_parts(values, step):
            commands.append((name, key, *part))
            if length is not None and step < VALUES_PER_CALL:
                commands.append(self._trim(key, length))
        if length is not None and step == VALUES_PER_CALL:
            commands.append(self._trim(key, length))
        return commands

    def _values_at_a_time(self, operation: str, length: int | None) -> int:
        """How many scores and members, or members, one command writes before the timeline is trimmed."""
        if operation == 'add' and length is not None and length < COMPACT_LENGTH and self.holds_ids:
            return 2 * (COMPACT_LENGTH - length)
        return VALUES_PER_CALL

    def _located(self, writes: Iterable[_Write]) -> tuple[list[_Write], int]:
        """Where members aren't ids: what is removed, or replaced by what is added, found by its id.

        :returns: the writes, and how many entries they replace
        """
        apart = [(operation, key, data, length) for operation, keys, data, length in writes for key in keys]
        found = iter(self._find([(key, item) for _, key, data, _ in apart for item in data or ()]))
        located: list[_Write] = []
        replaced = 0
        for operation, key, data, length in apart:
            there = {entry.member: None for _ in data or () for entry in next(found)}
            if operation == 'add':
                given = {binary(member) for member in data.values()}
                there = {member: None for member in there if binary(member) not in given}
                replaced += len(there)
                # Trimmed while both are there, the timeline would lose one too many.
                located.append(('add', [key], data, None if there else length))
            if there or operation == 'trim':
                located.append((operation if operation == 'trim' else 'remove', [key], there, length))
        return located, replaced

    def score(self, activity_id: Any) -> str:
        """The score of an entry of this id, as Redis reads it back to the same double."""
        number = self.order(activity_id)
        if self.holds_groups:
            return str(ids.group_milliseconds(number))
        return pages.score(number)

    def get_slice_from_storage(
        self, key: str, start: int | None, stop: int | None, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Pairs:
        """One round trip (a second one for ids that Redis may not have in order: see :func:`.pages.is_odd`)."""
        low, high = self.bounds(filter_kwargs)
        ascending = self.ascends(ordering_args)
        start = start or 0
        if stop is not None and stop <= start:
            return []
        if self.holds_ids:
            members = pages.read_ids(self.client, Page(key, start, stop, low, high, ascending))
            members = [int(member) if pages.is_number(member) else member for member in members]
            return list(zip(members, members, strict=True))
        entries = self._page(key, start, stop, low, high, ascending)
        return [(entry.activity_id, entry.member) for entry in entries]

    def _page(
        self, key: str, start: int, stop: int | None, low: int | None, high: int | None, ascending: bool
    ) -> list[_Entry]:
        scores = ['' if bound is None else self.score(bound) for bound in (low, high)]
        arguments = (int(ascending), *scores, start, -1 if stop is None else stop)
        offset, *flat = self.send([scripts.GROUPS_PAGE.call([key], arguments)], key)[0]
        entries = [
            entry
            for entry in self._sorted(key, _pairs(flat), ascending)
            if (low is None or entry.number >= low) and (high is None or entry.number <= high)
        ]
        return entries[start - offset : None if stop is None else stop - offset]

    def _sorted(self, key: str, scored: Sequence[tuple[Any, str]], ascending: bool) -> list[_Entry]:
        entries = [self._entry(key, member, score) for member, score in scored]
        return sorted(entries, key=lambda entry: entry.number, reverse=not ascending)

    def _entry(self, key: str, member: Any, score: Any) -> _Entry:
        if not self.holds_groups:
            activity_id = ids.normalize_id(self.load(key, None, member).serialization_id)
            return _Entry(activity_id, activity_id, member)
        number = self._peek_number(member)
        if number is None:
            number = int(self._load_group(key, member, score).serialization_id)
        number = _as_stored(number, score)
        return _Entry(ids.group_order(number), ids.format_group_id(number), member)

    def entry_id(self, key: str, member: Any, score: Any) -> Any:
        """The id that an entry is known by."""
        return self._entry(key, member, score).activity_id

    def _peek_number(self, member: Any) -> int | None:
        """The id of a group from its name and ``updated_at``, without the rest; ``None`` if that takes loading it."""
        if not isinstance(self.serializer, AggregatedActivitySerializer):
            return None
        try:
            group, updated_at = self.serializer.peek(member)
        except ValueError:
            return None
        return int(ids.group_id(group, updated_at))

    def _load_group(self, key: str, member: Any, score: Any) -> Any:
        try:
            group = self.serializer.loads(member)
            if group.updated_at is None:
                raise SerializationException(f'group {group.group!r} was stored without the time of its last update')
        except SerializationException as error:
            # Its id is in what can't be read; by its score, the milliseconds that the id begins with, it can be found.
            raise SerializationException(f'feed {key!r}, id {_score_text(score)}: {error}') from error
        return group

    def load_entry(self, key: str, entry: tuple[Any, Any]) -> Any:
        """The group of an entry ``(score, member)`` of a snapshot; of a flat feed, the reference."""
        score, member = entry
        if not self.holds_groups:
            return self.load(key, None, member)
        group = self._load_group(key, member, score)
        own = int(group.serialization_id)
        stored = _as_stored(own, score)
        if stored != own:
            group.stored_under(stored)
        return group

    def get_page(
        self,
        activity_storage: Any,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Any = None,
        ordering_args: Any = None,
    ) -> tuple[list[Activity], int]:
        """Two round trips, or one if :attr:`pages_in_one_trip` is set: see :mod:`.pages`."""
        hashes = self._hashes_of(activity_storage) if self._loads_as_usual else None
        if hashes is not None:
            low, high = self.bounds(filter_kwargs)
            page = Page(key, start or 0, stop, low, high, self.ascends(ordering_args))
            read = pages.read_in_one_trip if self.pages_in_one_trip else pages.read_in_two_trips
            metrics, others = self.metrics, activity_storage.metrics
            with metrics.feed_reads_timer(type(self)), others.feed_reads_timer(type(activity_storage)):
                found = read(self.client, page, hashes)
            if found is not None:
                activity_ids, values = found
                there = [pair for pair in zip(activity_ids, values, strict=True) if pair[1] is not None]
                metrics.on_feed_read(type(self), len(activity_ids))
                if activity_ids:
                    others.on_feed_read(type(activity_storage), len(there))
                return activity_storage.load_all(None, there), len(activity_ids)
        return super().get_page(activity_storage, key, start, stop, filter_kwargs, ordering_args)

    def get_chosen(
        self,
        activity_storage: Any,
        key: str,
        length: int,
        choose: Callable[[list[int]], list[int]],
        filter_kwargs: Any = None,
        ordering_args: Any = None,
    ) -> tuple[list[int], list[Activity]]:
        """Two round trips."""
        hashes = self._hashes_of(activity_storage) if self._loads_as_usual else None
        if hashes is not None:
            low, high = self.bounds(filter_kwargs)
            page = Page(key, 0, length, low, high, self.ascends(ordering_args))
            chosen: list[int] = []

            def note(activity_ids: list[int]) -> list[int]:
                chosen[:] = choose(activity_ids)
                return chosen

            metrics, others = self.metrics, activity_storage.metrics
            with metrics.feed_reads_timer(type(self)), others.feed_reads_timer(type(activity_storage)):
                found = pages.read_in_two_trips(self.client, page, hashes, note)
            if found is not None:
                activity_ids, values = found
                there = [pair for pair in zip(chosen, values, strict=True) if pair[1] is not None]
                metrics.on_feed_read(type(self), len(activity_ids))
                if chosen:
                    others.on_feed_read(type(activity_storage), len(there))
                return activity_ids, activity_storage.load_all(None, there)
        return super().get_chosen(activity_storage, key, length, choose, filter_kwargs, ordering_args)

    def _hashes_of(self, activity_storage: Any) -> ActivityCache | None:
        """The hashes; ``None`` where they are elsewhere, or reading them is not the library's work alone."""
        if not isinstance(activity_storage, RedisActivityStorage) or not activity_storage.reads_as_usual:
            return None
        client = self.client
        beside = client.is_beside(activity_storage.client) and not client.is_cluster
        return activity_storage.get_cache() if beside else None

    def get_index_of(self, key: str, activity_id: Any) -> int:
        """One round trip."""
        if self.holds_ids:
            member = str(ids.normalize_id(activity_id))
            if pages.is_odd(member):
                found = pages.read_odd_ids(self.client, Page(key, 0, None, None, None, ascending=False))
                members = [ids.normalize_id(item) for item in found]
                rank = members.index(int(member)) if int(member) in members else None
            else:
                rank = self.send([('ZREVRANK', key, member)], key)[0]
            if rank is None:
                raise ValueError(f'id {activity_id} is not in feed {key!r}')
            return int(rank)
        number, score = self.order(activity_id), self.score(activity_id)
        run, before = self.send(
            [('ZRANGEBYSCORE', key, score, score, 'WITHSCORES'), ('ZCOUNT', key, f'({score}', '+inf')], key
        )
        for position, entry in enumerate(self._sorted(key, _pairs(run), ascending=False)):
            if self._same(entry.number, number):
                return int(before) + position
        raise ValueError(f'id {activity_id} is not in feed {key!r}')

    def _same(self, number: int, wanted: int) -> bool:
        if number == wanted or not self.holds_groups:
            return number == wanted
        # A bare whole second, as 1.4.0 named groups, means ours of that moment too.
        milliseconds, rest = divmod(wanted, ids.REST)
        return rest == 0 and milliseconds % 1000 == 0 and number // ids.REST == milliseconds

    def _find(self, wanted: Sequence[tuple[str, Any]]) -> list[list[_Entry]]:
        """The entries of each ``(key, id)``; one round trip."""
        queries: list[Command] = []
        for key, item in wanted:
            score = self.score(item)
            queries.append(('ZRANGEBYSCORE', key, score, score, 'WITHSCORES'))
        found = []
        for (key, item), run in zip(wanted, self.send(queries), strict=True):
            number = self.order(item)
            entries = [self._entry(key, member, score) for member, score in _pairs(run)]
            found.append([entry for entry in entries if self._same(entry.number, number)])
        return found

    def count(self, key: str) -> int:
        """One command, O(1)."""
        return self.send([('ZCARD', key)], key)[0]

    def delete(self, key: str) -> int:
        """One round trip, with how far it was seen."""
        return self.send(seen.deletions(key), key)[0]

    def flush_matching_by_hooks(self, pattern: str) -> None:
        """Call a subclass's :meth:`flush` first: the one of this class does nothing, because others use the server."""
        self.flush()
        self._delete_matching(pattern)

    @shortcut('flush', plain='flush_matching_by_hooks')
    def flush_matching(self, pattern: str) -> None:
        """Delete the sorted sets whose keys match, by scanning the key space: for tests, not for every day."""
        self._delete_matching(pattern)

    def _delete_matching(self, pattern: str) -> None:
        with translated(self.redis_server):
            client = self.redis
            found = list(client.scan_iter(match=glob(pattern), count=1000, _type='zset'))
            for match in seen.patterns(pattern):
                found += client.scan_iter(match=glob(match), count=1000, _type='string')
            for keys in iter_parts(found, KEYS_PER_DELETE):
                self.send([('UNLINK', key) for key in keys])

    def iter_keys(self, pattern: str) -> Iterator[str]:
        """Scan the server for sorted sets, one round trip for each 1,000 keys of any kind."""
        with translated(self.redis_server):
            yield from map(as_text, self.redis.scan_iter(match=glob(pattern), count=1000, _type='zset'))

    def read_newest(self, keys: Sequence[str], length: int) -> list[Snapshot]:
        """One round trip. An entry is ``(score, member)``."""
        if length < 1:
            return [Snapshot(key, [], token=0) for key in keys]
        size = 1 if is_cluster(self.redis) else max(1, min(KEYS_PER_CALL, 10 * VALUES_PER_CALL // length))
        parts = list(iter_parts(keys, size))
        replies = self.send([scripts.READ_NEWEST.call(part, (length,)) for part in parts])
        snapshots = []
        for part, reply in zip(parts, replies, strict=True):
            for key, flat in zip(part, reply, strict=True):
                self.checked_reply(key, flat)
                snapshots.append(Snapshot(key, list(zip(flat[1::2], flat[::2], strict=True)), token=length))
        return snapshots

    def read_groups(
        self, keys: Sequence[str], length: int, names: Collection[str], latest: bool = False
    ) -> list[Snapshot]:
        """One round trip; the server picks the entries, where it can tell their groups."""
        serializer: Any = self.serializer
        # On a cluster marks are put right by what else is in the feed.
        if (
            length < 1
            or is_cluster(self.redis)
            or not self.writes_as_usual
            or not isinstance(serializer, AggregatedActivitySerializer)
            or not serializer.reads_as_usual
        ):
            return self.read_newest(keys, length)
        parts = list(iter_parts(keys, KEYS_PER_CALL))
        arguments = (length, serializer.identifier, *(serializer.identifier + name for name in names))
        replies = self.send([scripts.READ_GROUPS.call(part, arguments) for part in parts])
        snapshots = []
        for part, reply in zip(parts, replies, strict=True):
            for key, flat in zip(part, reply, strict=True):
                self.checked_reply(key, flat)
                entries = list(zip(flat[1::2], flat[::2], strict=True))
                snapshots.append(Snapshot(key, entries, token=length, partial=True))
        return snapshots

    @shortcut(
        'add', 'add_many', 'remove', 'remove_many', 'trim', 'add_to_storage', 'remove_from_storage', 'trim_storage'
    )
    def apply_changes(self, changes: Sequence[Change]) -> list[Change]:
        """Each feed in one step; one round trip for all of them, three on a cluster for feeds that have markers."""
        self._locate_removed(changes)
        return apply(self, changes)

    def is_as_read(self, snapshot: Snapshot) -> bool:
        """One round trip."""
        return self.read_newest([snapshot.key], snapshot.token)[0].entries == snapshot.entries

    @property
    def repairs_markers(self) -> bool:
        """Whether a change that finds nothing to do still has markers to tidy up: on a cluster."""
        return is_cluster(self.redis)

    def _locate_removed(self, changes: Sequence[Change]) -> None:
        """Entries that a change names by id only, looked up."""
        wanted = [(change.key, item) for change in changes for item, member in change.removed if member is None]
        if not wanted:
            return
        found = iter(self._find(wanted))
        for change in changes:
            located: Pairs = []
            for item, member in change.removed:
                if member is None:
                    located += [(item, entry.member) for entry in next(found)]
                else:
                    located.append((item, member))
            change.removed = located

    def send(self, commands: Sequence[Command], key: str | None = None) -> list[Any]:
        """Send commands in few round trips: see :meth:`.Client.send`."""
        return self.client.send(commands, key)

    def checked_reply(self, key: str, reply: Any) -> Any:
        """A script's reply for one key: see :meth:`.Client.checked_reply`."""
        return self.client.checked_reply(key, reply)


def _fan_out(
    operation: str,
    keys: Sequence[str],
    length: int | None,
    step: int,
    values: Sequence[Any],
    marks: Sequence[str] = (),
) -> Command:
    """What writes the same to many timelines; see the script."""
    arguments = (operation, -1 if length is None else length, step, len(marks), *values)
    return scripts.FAN_OUT.call((*keys, *marks), arguments)


def _as_stored(number: int, score: Any) -> int:
    """The id that a group is known by: ours, or the bare whole second under which 1.4.0 stored it."""
    stored = int(float(score))
    if stored % 1000 == 0 and stored != ids.group_milliseconds(ids.group_order(number)):
        return stored
    return number


def _pairs(reply: Sequence[Any]) -> list[tuple[Any, str]]:
    """``(member, score)`` of a reply ``WITHSCORES``, nested (RESP3) or flat (RESP2)."""
    if reply and isinstance(reply[0], (list, tuple)):
        pairs: Iterable[Any] = reply
    else:
        pairs = zip(reply[::2], reply[1::2], strict=True)
    return [(member, _score_text(score)) for member, score in pairs]


def _score_text(score: Any) -> str:
    if isinstance(score, float):
        return repr(score)
    return score.decode() if isinstance(score, bytes) else str(score)
