"""Follows on Cassandra: whom a user follows in one partition, the followers of a target in partitions of bounded size.

How the two ends agree
    Whom a user follows changes in conditional batches, so two writers of one pair come one after the other. Each follow
    gets a version there. The target's end is written with the version as its timestamp, and deleted with the same: a
    deletion wins over what was written with the same timestamp. So it doesn't matter in which order they arrive, or how
    often. An unfollow first notes that the follow is ``gone``, then deletes the target's end, then deletes the note.
    Whoever finds a note does the rest.

How partitions stay small
    The first followers of a target are in bucket 0, about :attr:`CassandraFollowStorage.bucket_size` of them. Those who
    come then go to 16 more buckets, then to 256 more, then to 4096 more. The row of the follow says in which bucket its
    other end is. Bucket 0 says how many there are.

Mutes and blocks
    The two ends of a mute are two rows with one timestamp, so of two writers the same one wins at both. What is over
    stays as a row that says so, so that the next writer sees its timestamp and takes a later one.
"""

from __future__ import annotations

import heapq
import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework import settings
from stream_framework.exceptions import UpdateConflictError
from stream_framework.storage.base import iter_parts
from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.storage.cassandra import config, connection
from stream_framework.storage.cassandra.batches import Unbound, batched, conditional, of_each
from stream_framework.storage.cassandra.client import IN_FLIGHT, run, run_conditional
from stream_framework.storage.cassandra.driver import ConsistencyLevel
from stream_framework.storage.cassandra.follow_tables import FOLLOWED, FOLLOWERS, HIDDEN, quoted
from stream_framework.storage.cassandra.tables import expect_batches
from stream_framework.storage.follow_hooks import States
from stream_framework.storage.follow_values import Kind, Pair, Position, Side

#: How many ids one statement asks for.
IDS_PER_QUERY = 100
#: How many follows of one user one conditional batch changes.
FOLLOWS_PER_BATCH = 100
#: Counting ends here.
COUNTED = 10_000
#: How often a change is tried again when others have changed the same, and for how long it waits at most, in seconds.
ATTEMPTS, WAIT = 30, 0.05

#: How many buckets are added at a time.
_WIDTHS = (16, 256, 4096)
# About what the server counts for a row besides its texts.
_ROW_BYTES = 80
_PAIR = 'name = ? AND user_id = ? AND place = 0 AND since = 0 AND target_id'
_OWN: dict[Kind, str] = {'mute': 'muted', 'block': 'blocked'}
_BY: dict[Kind, str] = {'mute': 'm', 'block': 'b'}
# A row's place -> the place of the other end.
_OPPOSITE = {'muted': 'm', 'blocked': 'b', 'm': 'muted', 'b': 'blocked'}
_COUNTED_AS = {'muted': 'muted', 'blocked': 'blocked', 'm': 'muted_by', 'b': 'blocked_by'}
_LOCAL = (ConsistencyLevel.LOCAL_ONE, ConsistencyLevel.LOCAL_QUORUM)


class _Edge(NamedTuple):
    """What stands with whom a user follows."""

    since: int
    bucket: int
    version: int
    #: The follow has ended; the target's end may still be there.
    gone: bool


#: An edge, or ``None`` where there is none -> statements that change it, each with ``IF version = ...``.
_Decide = Callable[[Pair, '_Edge | None'], list[Any]]


class CassandraFollowStorage(BaseFollowStorage):
    """Follows, mutes and blocks on Cassandra, in the tables that ``sync`` makes. Everything is read and written at a
    quorum, follows with light-weight transactions in the user's own partition."""

    #: How many followers a bucket gets, about, before there are more buckets.
    bucket_size: int = 20_000
    #: How likely a new follower has his bucket counted; 1 always, for tests.
    widen_chance: float = 0.001

    def add_follows(self, follows: Sequence[tuple[str, str, int]]) -> None:
        """Three waves: read, one conditional batch for each 100 targets of a user, the targets' ends."""
        connection.get_session()
        moments = {(user, target): since for user, target, since in follows}
        widths = self._widths({target for _, target in moments})
        written: dict[Pair, _Edge] = {}

        def decide(pair: Pair, edge: _Edge | None) -> list[Any]:
            if edge is not None and not edge.gone:
                written[pair] = edge
                return []
            version = max(time.time_ns() // 1000, edge.version + 1 if edge is not None else 0)
            bucket = _bucket(pair[0], max(widths.get(pair[1], (1,))))
            written[pair] = new = _Edge(moments[pair], bucket, version, False)
            return [self._set(pair, new, edge), self._by_time('INSERT', pair, new.since)]

        self._change(list(moments), decide, clean=True)
        self._write_followers(written)
        self._widen(written, widths)

    def remove_follows(self, pairs: Sequence[Pair]) -> None:
        """Four waves: read, note that the follows are gone, the targets' ends, forget the note."""
        connection.get_session()
        gone: dict[Pair, _Edge] = {}

        def decide(pair: Pair, edge: _Edge | None) -> list[Any]:
            gone.pop(pair, None)
            if edge is None:
                return []
            gone[pair] = edge._replace(gone=True)
            if edge.gone:
                return []
            return [self._set(pair, gone[pair], edge), self._by_time('DELETE', pair, edge.since)]

        self._change(pairs, decide)
        self._finish(gone)

    def repair_pairs(self, pairs: Sequence[Pair]) -> None:
        """Two waves, two more for follows that are gone; nothing has to be looked at again."""
        connection.get_session()
        edges = self._edges(pairs)
        self._write_followers({pair: edge for pair, edge in edges.items() if not edge.gone})
        self._finish({pair: edge for pair, edge in edges.items() if edge.gone})
        for kind in _OWN:
            rows = self._hides(kind, pairs)
            self._write_hides([(_BY[kind], target, user, rows[user, target]) for user, target in rows])

    def find_followed(self, user: str, targets: Sequence[str]) -> Iterable[str]:
        """One wave, a statement for each 100."""
        connection.get_session()
        edges = self._edges([(user, target) for target in targets])
        return [target for (_, target), edge in edges.items() if not edge.gone]

    def find_followers(self, target: str, users: Sequence[str]) -> Iterable[str]:
        """One wave, a statement for each 100."""
        connection.get_session()
        query = (
            'SELECT user_id, version, gone FROM {followed} '
            'WHERE name = ? AND user_id IN ? AND place = 0 AND since = 0 AND target_id = ?'
        )
        parts = iter_parts(users, IDS_PER_QUERY)
        found = self._run(self._bind(query, self.follow_name, list(part), target) for part in parts)
        return [row['user_id'] for rows in found for row in rows if row['version'] is not None and not row['gone']]

    def find_states(self, user: str, targets: Sequence[str], repair: bool = False) -> States:
        """One wave, and those of :meth:`repair_pairs`."""
        connection.get_session()
        pairs = [(user, target) for target in targets]
        if repair:
            self.repair_pairs(pairs)
        query = 'SELECT other_id, active FROM {hidden} WHERE name = ? AND user_id = ? AND place IN ? AND other_id IN ?'
        any_query = 'SELECT active FROM {hidden} WHERE name = ? AND user_id = ? AND place = ? LIMIT ?'
        places = ['muted', 'blocked', 'b']
        parts = [list(part) for part in iter_parts(targets, IDS_PER_QUERY)]
        edges = self._edges_statements(pairs)
        rows = self._run(
            [
                *(self._bind(any_query, self.follow_name, user, place, IDS_PER_QUERY) for place in places),
                *(self._bind(query, self.follow_name, user, places, part) for part in parts),
                *(statement for _, statement in edges),
            ]
        )
        # What is over stays as a row: many rows say that there may be more behind them.
        may_hide = any(row['active'] for some in rows[:3] for row in some) or any(
            len(some) == IDS_PER_QUERY for some in rows[:3]
        )
        hidden = {row['other_id'] for some in rows[3 : 3 + len(parts)] for row in some if row['active']}
        found = self._read_edges(edges, rows[3 + len(parts) :])
        return States([target for (_, target), edge in found.items() if not edge.gone], hidden, may_hide)

    def count_side(self, side: Side, user: str) -> int:
        """One wave, two where there are many buckets; no more than :data:`COUNTED`."""
        connection.get_session()
        if side == 'followed':
            query = 'SELECT since FROM {followed} WHERE name = ? AND user_id = ? AND place = 1 LIMIT ?'
            return len(self._rows(query, user, COUNTED))
        query = 'SELECT COUNT(*) AS n FROM {followers} WHERE name = ? AND target_id = ? AND bucket = ?'
        first = self._bind(query, self.follow_name, user, 0)
        widths, rows = self._run([self._widths_statement([user]), first])
        count = rows[0]['n']
        for part in iter_parts(_buckets(_read_widths(widths).get(user, ()))[1:], IN_FLIGHT):
            if count >= COUNTED:
                break
            found = self._run([self._bind(query, self.follow_name, user, bucket) for bucket in part])
            count += sum(rows[0]['n'] for rows in found)
        return min(count, COUNTED)

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """One wave; for the followers of somebody with many buckets one for each 32."""
        connection.get_session()
        if side == 'followed':
            [rows] = self._run([self._page(side, user, 0, limit, before)])
            return [(row['target_id'], row['since']) for row in rows]
        widths, rows = self._run([self._widths_statement([user]), self._page(side, user, 0, limit, before)])
        newest = [(row['since'], row['user_id']) for row in rows]
        for part in iter_parts(_buckets(_read_widths(widths).get(user, ()))[1:], IN_FLIGHT):
            found = self._run([self._page(side, user, bucket, limit, before) for bucket in part])
            newest = heapq.nlargest(limit, newest + [(row['since'], row['user_id']) for rows in found for row in rows])
        return [(text, since) for since, text in newest]

    def iter_pages(self, side: Side, user: str) -> Iterator[Sequence[str]]:
        """One wave for each page; the followers one bucket after the other."""
        if side == 'followed':
            yield from super().iter_pages(side, user)
            return
        connection.get_session()
        for bucket in _buckets(self._widths([user]).get(user, ())):
            before: Position | None = None
            while True:
                [rows] = self._run([self._page(side, user, bucket, self.page_size, before)])
                yield [row['user_id'] for row in rows]
                if len(rows) < self.page_size:
                    break
                before = (rows[-1]['since'], rows[-1]['user_id'])

    def add_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """Three waves: read, the users' ends, the targets'."""
        self._set_hidden(kind, pairs, True)

    def remove_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """Three waves: read, the users' ends, the targets'."""
        self._set_hidden(kind, pairs, False)

    def iter_hidden(self, kind: Kind, user: str) -> Iterator[str]:
        """One wave for each page."""
        return (other for other, active in self._scan_hidden(_OWN[kind], user) if active)

    def iter_hiders(self, kind: Kind, user: str) -> Iterator[str]:
        """One wave for each page."""
        return (other for other, active in self._scan_hidden(_BY[kind], user) if active)

    def find_hidden(self, actors: Sequence[str], users: Sequence[str]) -> Iterable[Pair]:
        """One wave: a statement for each actor and 100 users, or for each user and 100 actors, whichever are fewer."""
        connection.get_session()
        by_actor = len(actors) <= len(users)
        owners, others = (actors, users) if by_actor else (users, actors)
        places = ['m', 'b', 'blocked'] if by_actor else ['muted', 'blocked', 'b']
        query = 'SELECT other_id, active FROM {hidden} WHERE name = ? AND user_id = ? AND place IN ? AND other_id IN ?'
        asked = [(owner, part) for owner in owners for part in iter_parts(others, IDS_PER_QUERY)]
        found = self._run(self._bind(query, self.follow_name, owner, places, list(part)) for owner, part in asked)
        pairs = [
            (owner, row['other_id'])
            for (owner, _), rows in zip(asked, found, strict=True)
            for row in rows
            if row['active']
        ]
        return pairs if by_actor else [(actor, user) for user, actor in pairs]

    def find_readers(self, actor: str, limit: int) -> Iterable[str] | None:
        """One wave."""
        connection.get_session()
        query = 'SELECT other_id, active FROM {hidden} WHERE name = ? AND user_id = ? AND place = ? LIMIT ?'
        found = self._run(
            self._bind(query, self.follow_name, actor, place, limit + 1) for place in ('m', 'b', 'blocked')
        )
        rows = [row for some in found for row in some]
        return [row['other_id'] for row in rows if row['active']] if len(rows) <= limit else None

    def erase_user(self, user: str) -> dict[str, int]:
        """Delete the others' ends first, then the user's own: whole partitions, but for whom he follows."""
        counts = dict.fromkeys(('followed', 'followers', 'muted', 'muted_by', 'blocked', 'blocked_by'), 0)
        latest = time.time_ns() // 1000
        for followed in self._parts(self._scan_followed(user)):
            pairs = [(user, target) for target, _ in followed]
            self._delete_followers(self._edges(pairs))
            self._forget(pairs)
            counts['followed'] += sum(not gone for _, gone in followed)
        for followers in self._parts(self.iter_side('followers', user)):
            latest = max(latest, self._forget([(follower, user) for follower in followers]))
            counts['followers'] += len(followers)
        query = 'DELETE FROM {followers} USING TIMESTAMP ? WHERE name = ? AND target_id = ? AND bucket = ?'
        # Bucket 0 last: it says which others there are.
        buckets = reversed(_buckets(self._widths([user]).get(user, ())))
        for part in iter_parts(list(buckets), IN_FLIGHT):
            self._run(self._bind(query, latest, self.follow_name, user, bucket) for bucket in part)
        query = 'DELETE FROM {hidden} WHERE name = ? AND user_id = ? AND place = ? AND other_id = ?'
        for place, opposite in _OPPOSITE.items():
            for hidden in self._parts(self._scan_hidden(place, user)):
                self._write(query, [(self.follow_name, other, opposite, user) for other, _ in hidden])
                counts[_COUNTED_AS[place]] += sum(active for _, active in hidden)
        self._run([self._bind('DELETE FROM {hidden} WHERE name = ? AND user_id = ?', self.follow_name, user)])
        return counts

    def flush_storage(self) -> None:
        """Delete by looking through all partitions of the tables: for tests, not for every day."""
        connection.get_session()
        for table, key in (
            ('{followed}', ('name', 'user_id')),
            ('{followers}', ('name', 'target_id', 'bucket')),
            ('{hidden}', ('name', 'user_id')),
        ):
            [rows] = self._run([self._bind(f'SELECT DISTINCT {", ".join(key)} FROM {table}')])
            query = f'DELETE FROM {table} WHERE {" AND ".join(f"{column} = ?" for column in key)}'
            mine = [tuple(row[column] for column in key) for row in rows if row['name'] == self.follow_name]
            self._run(self._bind(query, *values) for values in mine)

    # follows

    def _change(self, pairs: Sequence[Pair], decide: _Decide, clean: bool = False) -> None:
        """Change whom users follow, one conditional batch for some targets of a user, until nobody comes in between.

        :param decide: makes the statements of a pair from its edge
        :param clean: delete the targets' ends of follows that are gone before anything is changed
        """
        waiting = list(pairs)
        for attempt in range(ATTEMPTS):
            edges = self._edges(waiting, serial=attempt > 0)
            if clean:
                self._delete_followers({pair: edge for pair, edge in edges.items() if edge.gone})
            batches: list[tuple[list[Pair], Any]] = []
            for some in _by_user(waiting):
                statements = [statement for pair in some for statement in decide(pair, edges.get(pair))]
                if statements:
                    batch = conditional(statements)
                    batch.consistency_level = _quorum()
                    batches.append((some, batch))
            outcomes = run_conditional([batch for _, batch in batches]) if batches else []
            waiting = [
                pair
                for (some, _), rows in zip(batches, outcomes, strict=True)
                if rows is None or not rows[0]['[applied]']
                for pair in some
            ]
            if not waiting:
                return
            time.sleep(random.uniform(0, WAIT))
        raise UpdateConflictError(
            f'others changed whom {waiting[0][0]!r} follows during each of {ATTEMPTS} attempts: do it again later'
        )

    def _finish(self, gone: Mapping[Pair, _Edge]) -> None:
        """Delete the targets' ends of follows that are gone, then forget them."""
        if not gone:
            return
        self._delete_followers(gone)

        def decide(pair: Pair, edge: _Edge | None) -> list[Any]:
            if edge is None or not edge.gone or edge.version != gone[pair].version:
                return []
            return [self._delete(pair, edge)]

        self._change(list(gone), decide)

    def _forget(self, pairs: Sequence[Pair]) -> int:
        """Delete whom users follow in one step, whatever becomes of the targets' ends; return the latest version."""
        latest = 0

        def decide(pair: Pair, edge: _Edge | None) -> list[Any]:
            nonlocal latest
            if edge is None:
                return []
            latest = max(latest, edge.version)
            by_time = [] if edge.gone else [self._by_time('DELETE', pair, edge.since)]
            return [self._delete(pair, edge), *by_time]

        self._change(pairs, decide)
        return latest

    def _edges(self, pairs: Sequence[Pair], serial: bool = False) -> dict[Pair, _Edge]:
        asked = self._edges_statements(pairs)
        level = connection.serial_consistency() if serial else _quorum()
        return self._read_edges(asked, self._run((statement for _, statement in asked), level))

    def _edges_statements(self, pairs: Sequence[Pair]) -> list[tuple[str, Any]]:
        """Users, and the statements that ask for some of whom they follow."""
        query = f'SELECT target_id, moment, bucket, version, gone FROM {{followed}} WHERE {_PAIR} IN ?'
        return [
            (part[0][0], self._bind(query, self.follow_name, part[0][0], [target for _, target in part]))
            for some in _by_user(pairs)
            for part in iter_parts(some, IDS_PER_QUERY)
        ]

    @staticmethod
    def _read_edges(asked: Sequence[tuple[str, Any]], found: Sequence[Any]) -> dict[Pair, _Edge]:
        return {
            (user, row['target_id']): _Edge(row['moment'], row['bucket'], row['version'], bool(row['gone']))
            for (user, _), rows in zip(asked, found, strict=True)
            for row in rows
            if row['version'] is not None
        }

    def _scan_followed(self, user: str) -> Iterator[tuple[str, bool]]:
        """Whom a user follows, and whether that is gone."""
        query = (
            'SELECT target_id, gone FROM {followed} '
            'WHERE name = ? AND user_id = ? AND place = 0 AND since = 0 AND target_id > ? '
            'ORDER BY place DESC, since ASC, target_id ASC LIMIT ?'
        )
        for row in self._scan(query, 'target_id', user):
            yield row['target_id'], bool(row['gone'])

    def _set(self, pair: Pair, new: _Edge, old: _Edge | None) -> Any:
        query = (
            f'UPDATE {{followed}} SET moment = ?, bucket = ?, version = ?, gone = ? WHERE {_PAIR} = ? IF version = ?'
        )
        known = None if old is None else old.version
        return self._bind(query, new.since, new.bucket, new.version, new.gone, self.follow_name, *pair, known)

    def _delete(self, pair: Pair, edge: _Edge) -> Any:
        query = f'DELETE FROM {{followed}} WHERE {_PAIR} = ? IF version = ?'
        return self._bind(query, self.follow_name, *pair, edge.version)

    def _by_time(self, verb: str, pair: Pair, since: int) -> Any:
        if verb == 'INSERT':
            query = 'INSERT INTO {followed} (name, user_id, place, since, target_id) VALUES (?, ?, 1, ?, ?)'
        else:
            query = (
                'DELETE FROM {followed} WHERE name = ? AND user_id = ? AND place = 1 AND since = ? AND target_id = ?'
            )
        return self._bind(query, self.follow_name, pair[0], since, pair[1])

    def _write_followers(self, edges: Mapping[Pair, _Edge]) -> None:
        query = (
            'INSERT INTO {followers} (name, target_id, bucket, since, user_id) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?'
        )
        self._write(
            query,
            (
                (self.follow_name, target, edge.bucket, edge.since, user, edge.version)
                for (user, target), edge in edges.items()
            ),
        )

    def _delete_followers(self, edges: Mapping[Pair, _Edge]) -> None:
        query = (
            'DELETE FROM {followers} USING TIMESTAMP ? '
            'WHERE name = ? AND target_id = ? AND bucket = ? AND since = ? AND user_id = ?'
        )
        self._write(
            query,
            (
                (edge.version, self.follow_name, target, edge.bucket, edge.since, user)
                for (user, target), edge in edges.items()
            ),
        )

    # buckets

    def _widths(self, targets: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Target -> the numbers of buckets that were added, for those that have more than one."""
        parts = iter_parts(list(targets), IDS_PER_QUERY)
        rows = self._run(self._widths_statement(list(part)) for part in parts)
        return _read_widths(row for some in rows for row in some)

    def _widths_statement(self, targets: list[str]) -> Any:
        query = (
            'SELECT DISTINCT name, target_id, bucket, widths FROM {followers} '
            'WHERE name = ? AND target_id IN ? AND bucket = 0'
        )
        return self._bind(query, self.follow_name, targets)

    def _widen(self, edges: Mapping[Pair, _Edge], widths: Mapping[str, tuple[int, ...]]) -> None:
        """Count the buckets of some by chance, and add buckets where one is full."""
        chosen = [(target, edge.bucket) for (_, target), edge in edges.items() if random.random() < self.widen_chance]
        for target, bucket in dict.fromkeys(chosen):
            last = max(widths.get(target, (1,)))
            larger = [width for width in _WIDTHS if width > last]
            if not larger or bucket < last - 1:
                continue
            query = 'SELECT COUNT(*) AS n FROM {followers} WHERE name = ? AND target_id = ? AND bucket = ?'
            [rows] = self._run([self._bind(query, self.follow_name, target, bucket)])
            if rows[0]['n'] >= self.bucket_size:
                query = 'UPDATE {followers} SET widths = widths + ? WHERE name = ? AND target_id = ? AND bucket = 0'
                self._run([self._bind(query, {larger[0]}, self.follow_name, target)])

    def _page(self, side: Side, user: str, bucket: int, limit: int, before: Position | None) -> Any:
        if side == 'followed':
            query = 'SELECT target_id, since FROM {followed} WHERE name = ? AND user_id = ? AND place = 1'
            values: list[Any] = [self.follow_name, user]
            column = 'target_id'
        else:
            query = 'SELECT user_id, since FROM {followers} WHERE name = ? AND target_id = ? AND bucket = ?'
            values = [self.follow_name, user, bucket]
            column = 'user_id'
        if before is not None:
            query += f' AND (since, {column}) < (?, ?)'
            values += before
        return self._bind(f'{query} LIMIT ?', *values, limit)

    # mutes and blocks

    def _set_hidden(self, kind: Kind, pairs: Sequence[Pair], active: bool) -> None:
        connection.get_session()
        rows = self._hides(kind, pairs)
        now = time.time_ns() // 1000
        for pair in pairs:
            there, written = rows.get(pair, (False, 0))
            if there != active:
                rows[pair] = (active, max(now, written + 1))
        for place, turned in ((_OWN[kind], False), (_BY[kind], True)):
            self._write_hides(
                (place, *(reversed(pair) if turned else pair), rows[pair]) for pair in pairs if pair in rows
            )

    def _hides(self, kind: Kind, pairs: Sequence[Pair]) -> dict[Pair, tuple[bool, int]]:
        """Pair -> whether the user hides the target, and the timestamp of that, in microseconds."""
        query = (
            'SELECT other_id, active, WRITETIME(active) AS written FROM {hidden} '
            'WHERE name = ? AND user_id = ? AND place = ? AND other_id IN ?'
        )
        asked = [
            (part[0][0], [target for _, target in part])
            for some in _by_user(pairs)
            for part in iter_parts(some, IDS_PER_QUERY)
        ]
        found = self._run(self._bind(query, self.follow_name, user, _OWN[kind], targets) for user, targets in asked)
        return {
            (user, row['other_id']): (row['active'], row['written'])
            for (user, _), rows in zip(asked, found, strict=True)
            for row in rows
            if row['active'] is not None
        }

    def _write_hides(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows ``(place, owner, other, (active, timestamp))``."""
        query = (
            'UPDATE {hidden} USING TIMESTAMP ? SET active = ? '
            'WHERE name = ? AND user_id = ? AND place = ? AND other_id = ?'
        )
        self._write(
            query,
            (
                (written, active, self.follow_name, owner, place, other)
                for place, owner, other, (active, written) in rows
            ),
        )

    def _scan_hidden(self, place: str, user: str) -> Iterator[tuple[str, bool]]:
        """Others of one place of a user, and whether they are active."""
        query = (
            'SELECT other_id, active FROM {hidden} '
            'WHERE name = ? AND user_id = ? AND place = ? AND other_id > ? LIMIT ?'
        )
        for row in self._scan(query, 'other_id', user, place):
            yield row['other_id'], bool(row['active'])

    def _scan(self, query: str, column: str, *values: Any) -> Iterator[dict[str, Any]]:
        """Rows in the order of a text, which may be deleted meanwhile."""
        after = ''
        while True:
            connection.get_session()
            [rows] = self._run([self._bind(query, self.follow_name, *values, after, self.page_size)])
            yield from rows
            if len(rows) < self.page_size:
                return
            after = rows[-1][column]

    # statements

    def _bind(self, query: str, *values: Any) -> Any:
        return self._prepare(query).bind(values)

    def _prepare(self, query: str) -> Any:
        tables = {'followed': quoted(FOLLOWED), 'followers': quoted(FOLLOWERS), 'hidden': quoted(HIDDEN)}
        return connection.prepare(query.format(**tables))

    def _run(self, statements: Iterable[Any], level: Any = None) -> list[Any]:
        def at_level() -> Iterator[Any]:
            for statement in statements:
                statement.consistency_level = _quorum() if level is None else level
                yield statement

        return run(at_level())

    def _rows(self, query: str, user: str, limit: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._run([self._bind(query, self.follow_name, user, limit)])[0]
        return rows

    def _write(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows, those of one partition in few batches, those of several where the same nodes have them."""
        prepared = self._prepare(query)
        for table in (FOLLOWERS, HIDDEN):
            expect_batches(settings.STREAM_DEFAULT_KEYSPACE, table)
        partitions: dict[bytes, list[Unbound]] = {}
        for values in rows:
            statement = prepared.bind(values)
            size = _ROW_BYTES + sum(len(value) for value in statement.values)
            partitions.setdefault(statement.routing_key, []).append(Unbound(prepared, statement.values, size))
        if partitions:
            self._run(batched(settings.STREAM_DEFAULT_KEYSPACE, of_each(partitions)))


def _by_user(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """Pairs of one user each, at most as many as one batch changes."""
    users: dict[str, list[Pair]] = {}
    for pair in pairs:
        users.setdefault(pair[0], []).append(pair)
    for some in users.values():
        yield from (list(part) for part in iter_parts(some, FOLLOWS_PER_BATCH))


def _read_widths(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    return {row['target_id']: tuple(sorted(row['widths'])) for row in rows if row['widths']}


def _buckets(widths: Iterable[int]) -> list[int]:
    """All buckets that there are, when so many were added.

    >>> _buckets([16])[:4]
    [0, 15, 16, 17]
    """
    return [0, *(bucket for width in widths for bucket in range(width - 1, 2 * width - 1))]


def _bucket(user: str, width: int) -> int:
    """The bucket that a new follower goes to.

    >>> _bucket('7', 1), 15 <= _bucket('7', 16) <= 30
    (0, True)
    """
    return width - 1 + zlib.crc32(user.encode()) % width


def _quorum() -> Any:
    return ConsistencyLevel.LOCAL_QUORUM if config.consistency() in _LOCAL else ConsistencyLevel.QUORUM
