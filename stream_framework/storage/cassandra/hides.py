"""Who has muted and blocked whom: two rows with one timestamp, so of two writers the same one wins at both.

What is over stays as a row that says so, so that the next writer sees its timestamp and takes a later one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stream_framework.storage.base import iter_parts
from stream_framework.storage.cassandra.follow_client import IDS_PER_QUERY, FollowClient, by_user
from stream_framework.storage.follow_values import Kind, Pair

#: A kind -> the place of those whom a user has muted or blocked.
OWN: dict[Kind, str] = {'mute': 'muted', 'block': 'blocked'}
#: A kind -> the place of those who have muted or blocked him.
BY: dict[Kind, str] = {'mute': 'm', 'block': 'b'}
#: A row's place -> the place of the other end.
OPPOSITE = {'muted': 'm', 'blocked': 'b', 'm': 'muted', 'b': 'blocked'}

#: Where those stand who are hidden from a user, and those from whom he is.
HIDDEN_FROM, HIDERS = ['muted', 'blocked', 'b'], ['m', 'b', 'blocked']

_AMONG = 'SELECT other_id, active FROM {hidden} WHERE name = ? AND user_id = ? AND place IN ? AND other_id IN ?'
_ANY = 'SELECT other_id, active FROM {hidden} WHERE name = ? AND user_id = ? AND place = ? LIMIT ?'


class Hides:
    """Mutes and blocks, under one name."""

    def __init__(self, client: FollowClient) -> None:
        self.client = client

    def put(self, kind: Kind, pairs: Sequence[Pair], active: bool) -> None:
        """Begin or end mutes or blocks. Three waves: read, the users' ends, the targets'."""
        rows = self._read(kind, pairs)
        now = time.time_ns() // 1000
        for pair in pairs:
            there, written = rows.get(pair, (False, 0))
            if there != active:
                rows[pair] = (active, max(now, written + 1))
        for place, turned in ((OWN[kind], False), (BY[kind], True)):
            self._write((place, *(reversed(pair) if turned else pair), rows[pair]) for pair in pairs if pair in rows)

    def repair(self, pairs: Sequence[Pair]) -> None:
        """Write the targets' ends by the users' ends."""
        for kind in OWN:
            rows = self._read(kind, pairs)
            self._write([(BY[kind], target, user, rows[user, target]) for user, target in rows])

    def find(self, actors: Sequence[str], users: Sequence[str]) -> list[Pair]:
        """Return the ``(actor, user)`` where the actor is hidden. One wave: a statement for each actor and 100 users,
        or for each user and 100 actors, whichever are fewer."""
        by_actor = len(actors) <= len(users)
        owners, others = (actors, users) if by_actor else (users, actors)
        places = HIDERS if by_actor else HIDDEN_FROM
        asked = [(owner, list(part)) for owner in owners for part in iter_parts(others, IDS_PER_QUERY)]
        found = self.client.run(
            self.client.bind(_AMONG, self.client.name, owner, places, part) for owner, part in asked
        )
        pairs = [
            (owner, row['other_id'])
            for (owner, _), rows in zip(asked, found, strict=True)
            for row in rows
            if row['active']
        ]
        return pairs if by_actor else [(actor, user) for user, actor in pairs]

    def questions(self, user: str, targets: Sequence[str]) -> list[Any]:
        """Return statements that ask who of some targets is hidden from a user, and whether anybody is."""
        parts = [list(part) for part in iter_parts(targets, IDS_PER_QUERY)]
        return [
            *(self.client.bind(_ANY, self.client.name, user, place, IDS_PER_QUERY) for place in HIDDEN_FROM),
            *(self.client.bind(_AMONG, self.client.name, user, HIDDEN_FROM, part) for part in parts),
        ]

    @staticmethod
    def answers(found: Sequence[Any]) -> tuple[set[str], bool]:
        """Return who is hidden, and whether anybody may be, by what :meth:`questions` found."""
        of_any, of_targets = found[: len(HIDDEN_FROM)], found[len(HIDDEN_FROM) :]
        # What is over stays as a row: many rows say that there may be more behind them.
        may_hide = any(len(rows) == IDS_PER_QUERY or any(row['active'] for row in rows) for rows in of_any)
        return {row['other_id'] for rows in of_targets for row in rows if row['active']}, may_hide

    def find_hiders(self, user: str, limit: int) -> list[str] | None:
        """Return those from whom a user is hidden; ``None`` if it takes more than so many rows. One wave."""
        found = self.client.run(self.client.bind(_ANY, self.client.name, user, place, limit + 1) for place in HIDERS)
        rows = [row for some in found for row in some]
        return [row['other_id'] for row in rows if row['active']] if len(rows) <= limit else None

    def scan(self, place: str, user: str) -> Iterator[tuple[str, bool]]:
        """Iterate over others of one place of a user, and whether they are active."""
        query = (
            'SELECT other_id, active FROM {hidden} '
            'WHERE name = ? AND user_id = ? AND place = ? AND other_id > ? LIMIT ?'
        )
        return ((row['other_id'], bool(row['active'])) for row in self.client.scan(query, 'other_id', user, place))

    def delete_opposite(self, place: str, user: str, others: Iterable[str]) -> None:
        """Delete the others' ends of what stands in one place of a user."""
        query = 'DELETE FROM {hidden} WHERE name = ? AND user_id = ? AND place = ? AND other_id = ?'
        self.client.write(query, [(self.client.name, other, OPPOSITE[place], user) for other in others])

    def delete_all(self, user: str) -> None:
        """Delete all that stands with a user."""
        query = 'DELETE FROM {hidden} WHERE name = ? AND user_id = ?'
        self.client.run([self.client.bind(query, self.client.name, user)])

    def _read(self, kind: Kind, pairs: Sequence[Pair]) -> dict[Pair, tuple[bool, int]]:
        """Return pair -> whether the user hides the target, and the timestamp of that, in microseconds."""
        query = (
            'SELECT other_id, active, WRITETIME(active) AS written FROM {hidden} '
            'WHERE name = ? AND user_id = ? AND place = ? AND other_id IN ?'
        )
        asked = [
            (part[0][0], [target for _, target in part])
            for some in by_user(pairs)
            for part in iter_parts(some, IDS_PER_QUERY)
        ]
        found = self.client.run(
            self.client.bind(query, self.client.name, user, OWN[kind], targets) for user, targets in asked
        )
        return {
            (user, row['other_id']): (row['active'], row['written'])
            for (user, _), rows in zip(asked, found, strict=True)
            for row in rows
            if row['active'] is not None
        }

    def _write(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows ``(place, owner, other, (active, timestamp))``."""
        query = (
            'UPDATE {hidden} USING TIMESTAMP ? SET active = ? '
            'WHERE name = ? AND user_id = ? AND place = ? AND other_id = ?'
        )
        self.client.write(
            query,
            (
                (written, active, self.client.name, owner, place, other)
                for place, owner, other, (active, written) in rows
            ),
        )
