"""Whom users follow: the truth, which changes by conditional batches in the user's own partition."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework.exceptions import UpdateConflictError
from stream_framework.storage.base import iter_parts
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.follow_client import IDS_PER_QUERY, FollowClient, by_user
from stream_framework.storage.follow_values import Pair, Position

#: How often a change is tried again when others have changed the same, and for how long it waits at most, in seconds.
ATTEMPTS, WAIT = 30, 0.05

_PAIR = 'name = ? AND user_id = ? AND place = 0 AND since = 0 AND target_id'


class Edge(NamedTuple):
    """What stands with whom a user follows."""

    since: int
    bucket: int
    version: int
    #: The follow has ended; the target's end may still be there.
    gone: bool


#: An edge, or ``None`` where there is none -> statements that change it, each with ``IF version = ...``.
Decide = Callable[[Pair, Edge | None], list[Any]]


class Followed:
    """Whom users follow, under one name."""

    def __init__(self, client: FollowClient) -> None:
        self.client = client

    def change(
        self, pairs: Sequence[Pair], decide: Decide, before: Callable[[dict[Pair, Edge]], Any] | None = None
    ) -> None:
        """Change whom users follow, one conditional batch for some targets of a user, until nobody comes in between.

        :param decide: makes the statements of a pair from its edge
        :param before: called with the edges before anything is changed
        :raises UpdateConflictError: if others changed the same during each attempt
        """
        waiting = list(pairs)
        for attempt in range(ATTEMPTS):
            edges = self.read(waiting, serial=attempt > 0)
            if before is not None:
                before(edges)
            decided = [
                (some, [statement for pair in some for statement in decide(pair, edges.get(pair))])
                for some in by_user(waiting)
            ]
            changes = [(some, statements) for some, statements in decided if statements]
            applied = self.client.run_conditional([statements for _, statements in changes])
            waiting = [pair for (some, _), done in zip(changes, applied, strict=True) if not done for pair in some]
            if not waiting:
                return
            time.sleep(random.uniform(0, WAIT))
        raise UpdateConflictError(
            f'others changed whom {waiting[0][0]!r} follows during each of {ATTEMPTS} attempts: do it again later'
        )

    def follow(self, pair: Pair, new: Edge, old: Edge | None) -> list[Any]:
        """Return what stores an edge."""
        query = 'INSERT INTO {followed} (name, user_id, place, since, target_id) VALUES (?, ?, 1, ?, ?)'
        return [self._set(pair, new, old), self.client.bind(query, self.client.name, pair[0], new.since, pair[1])]

    def note_gone(self, pair: Pair, edge: Edge) -> list[Any]:
        """Return what notes that a follow has ended."""
        return [self._set(pair, edge._replace(gone=True), edge), self._delete_by_time(pair, edge.since)]

    def delete(self, pair: Pair, edge: Edge) -> list[Any]:
        """Return what deletes an edge, that it is gone as well."""
        query = f'DELETE FROM {{followed}} WHERE {_PAIR} = ? IF version = ?'
        deleted = self.client.bind(query, self.client.name, *pair, edge.version)
        return [deleted] if edge.gone else [deleted, self._delete_by_time(pair, edge.since)]

    def forget(self, pairs: Sequence[Pair]) -> int:
        """Delete whom users follow in one step, whatever becomes of the targets' ends; return the latest version."""
        latest = 0

        def decide(pair: Pair, edge: Edge | None) -> list[Any]:
            nonlocal latest
            if edge is None:
                return []
            latest = max(latest, edge.version)
            return self.delete(pair, edge)

        self.change(pairs, decide)
        return latest

    def forget_gone(self, gone: Mapping[Pair, Edge]) -> None:
        """Delete edges that are gone, unless they have changed."""

        def decide(pair: Pair, edge: Edge | None) -> list[Any]:
            is_same = edge is not None and edge.gone and edge.version == gone[pair].version
            return self.delete(pair, edge) if edge is not None and is_same else []

        self.change(list(gone), decide)

    def read(self, pairs: Sequence[Pair], serial: bool = False) -> dict[Pair, Edge]:
        """Return the edges that there are. One wave.

        :param serial: see what conditional batches are about to write
        """
        asked = self.questions(pairs)
        level = connection.serial_consistency() if serial else None
        return self.answers(asked, self.client.run((statement for _, statement in asked), level))

    def questions(self, pairs: Sequence[Pair]) -> list[tuple[str, Any]]:
        """Return users, and the statements that ask for some of whom they follow."""
        query = f'SELECT target_id, moment, bucket, version, gone FROM {{followed}} WHERE {_PAIR} IN ?'
        return [
            (part[0][0], self.client.bind(query, self.client.name, part[0][0], [target for _, target in part]))
            for some in by_user(pairs)
            for part in iter_parts(some, IDS_PER_QUERY)
        ]

    @staticmethod
    def answers(asked: Sequence[tuple[str, Any]], found: Sequence[Any]) -> dict[Pair, Edge]:
        """Return the edges, by what :meth:`questions` found."""
        return {
            (user, row['target_id']): Edge(row['moment'], row['bucket'], row['version'], bool(row['gone']))
            for (user, _), rows in zip(asked, found, strict=True)
            for row in rows
            if row['version'] is not None
        }

    def among(self, target: str, users: Sequence[str]) -> list[str]:
        """Return those of some users who follow a target. One wave."""
        query = (
            'SELECT user_id, version, gone FROM {followed} '
            'WHERE name = ? AND user_id IN ? AND place = 0 AND since = 0 AND target_id = ?'
        )
        parts = iter_parts(users, IDS_PER_QUERY)
        found = self.client.run(self.client.bind(query, self.client.name, list(part), target) for part in parts)
        return [row['user_id'] for rows in found for row in rows if row['version'] is not None and not row['gone']]

    def count(self, user: str, limit: int) -> int:
        """Count whom a user follows, up to a limit."""
        query = 'SELECT since FROM {followed} WHERE name = ? AND user_id = ? AND place = 1 LIMIT ?'
        [rows] = self.client.run([self.client.bind(query, self.client.name, user, limit)])
        return len(rows)

    def read_page(self, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """Return ``(target, milliseconds)``, newest first."""
        query = 'SELECT target_id, since FROM {followed} WHERE name = ? AND user_id = ? AND place = 1'
        values: list[Any] = [self.client.name, user]
        if before is not None:
            query += ' AND (since, target_id) < (?, ?)'
            values += before
        [rows] = self.client.run([self.client.bind(f'{query} LIMIT ?', *values, limit)])
        return [(row['target_id'], row['since']) for row in rows]

    def scan(self, user: str) -> Iterator[tuple[str, bool]]:
        """Iterate over whom a user follows, and whether that is gone."""
        query = (
            'SELECT target_id, gone FROM {followed} '
            'WHERE name = ? AND user_id = ? AND place = 0 AND since = 0 AND target_id > ? '
            'ORDER BY place DESC, since ASC, target_id ASC LIMIT ?'
        )
        return ((row['target_id'], bool(row['gone'])) for row in self.client.scan(query, 'target_id', user))

    def _set(self, pair: Pair, new: Edge, old: Edge | None) -> Any:
        query = (
            f'UPDATE {{followed}} SET moment = ?, bucket = ?, version = ?, gone = ? WHERE {_PAIR} = ? IF version = ?'
        )
        known = None if old is None else old.version
        return self.client.bind(query, new.since, new.bucket, new.version, new.gone, self.client.name, *pair, known)

    def _delete_by_time(self, pair: Pair, since: int) -> Any:
        query = 'DELETE FROM {followed} WHERE name = ? AND user_id = ? AND place = 1 AND since = ? AND target_id = ?'
        return self.client.bind(query, self.client.name, pair[0], since, pair[1])
