"""Who follows a target: partitions of bounded size.

The first followers of a target are in bucket 0. Those who come when it is full go to 16 more buckets, then to 256 more,
then to 4096 more. Bucket 0 says how many there are.
"""

from __future__ import annotations

import heapq
import random
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stream_framework.storage.base import iter_parts
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.client import IN_FLIGHT
from stream_framework.storage.cassandra.follow_client import IDS_PER_QUERY, FollowClient
from stream_framework.storage.cassandra.followed import Edge
from stream_framework.storage.follow_values import Pair, Position

#: How many buckets are added at a time.
_WIDTHS = (16, 256, 4096)

#: Target -> the numbers of buckets that were added.
Widths = Mapping[str, tuple[int, ...]]


class Followers:
    """Who follows targets, under one name."""

    def __init__(self, client: FollowClient) -> None:
        self.client = client

    def write(self, edges: Mapping[Pair, Edge]) -> None:
        """Write the targets' ends of edges, with their versions as timestamps."""
        query = (
            'INSERT INTO {followers} (name, target_id, bucket, since, user_id) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?'
        )
        self.client.write(
            query,
            (
                (self.client.name, target, edge.bucket, edge.since, user, edge.version)
                for (user, target), edge in edges.items()
            ),
        )

    def delete(self, edges: Mapping[Pair, Edge]) -> None:
        """Delete the targets' ends of edges; what was written with the same version is deleted."""
        query = (
            'DELETE FROM {followers} USING TIMESTAMP ? '
            'WHERE name = ? AND target_id = ? AND bucket = ? AND since = ? AND user_id = ?'
        )
        self.client.write(
            query,
            (
                (edge.version, self.client.name, target, edge.bucket, edge.since, user)
                for (user, target), edge in edges.items()
            ),
        )

    def delete_all(self, target: str, latest: int) -> None:
        """Delete all that was written of a target up to a version."""
        query = 'DELETE FROM {followers} USING TIMESTAMP ? WHERE name = ? AND target_id = ? AND bucket = ?'
        # Bucket 0 last: it says which others there are.
        buckets = reversed(_buckets(self.widths([target]).get(target, ())))
        for part in iter_parts(list(buckets), IN_FLIGHT):
            self.client.run(self.client.bind(query, latest, self.client.name, target, bucket) for bucket in part)

    def count(self, target: str, limit: int) -> int:
        """Count the followers of a target, up to a limit. One wave, two where there are many buckets."""
        query = 'SELECT COUNT(*) AS n FROM {followers} WHERE name = ? AND target_id = ? AND bucket = ?'
        first = self.client.bind(query, self.client.name, target, 0)
        widths, rows = self.client.run([self._widths_statement([target]), first])
        count = rows[0]['n']
        for part in iter_parts(_buckets(_read_widths(widths).get(target, ()))[1:], IN_FLIGHT):
            if count >= limit:
                break
            found = self.client.run([self.client.bind(query, self.client.name, target, bucket) for bucket in part])
            count += sum(rows[0]['n'] for rows in found)
        return min(count, limit)

    def read_page(self, target: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """Return ``(user, milliseconds)``, newest first. One wave; with many buckets one for each 32."""
        widths, rows = self.client.run([self._widths_statement([target]), self._page(target, 0, limit, before)])
        newest = [(row['since'], row['user_id']) for row in rows]
        for part in iter_parts(_buckets(_read_widths(widths).get(target, ()))[1:], IN_FLIGHT):
            found = self.client.run([self._page(target, bucket, limit, before) for bucket in part])
            newest = heapq.nlargest(limit, newest + [(row['since'], row['user_id']) for rows in found for row in rows])
        return [(text, since) for since, text in newest]

    def iter_pages(self, target: str) -> Iterator[list[str]]:
        """Iterate over the followers of a target, one bucket after the other. One wave for each page."""
        size = self.client.page_size
        connection.get_session()
        for bucket in _buckets(self.widths([target]).get(target, ())):
            before: Position | None = None
            while True:
                [rows] = self.client.run([self._page(target, bucket, size, before)])
                yield [row['user_id'] for row in rows]
                if len(rows) < size:
                    break
                before = (rows[-1]['since'], rows[-1]['user_id'])

    def widths(self, targets: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Return target -> the numbers of buckets that were added, for those that have more than one."""
        parts = iter_parts(list(targets), IDS_PER_QUERY)
        rows = self.client.run(self._widths_statement(list(part)) for part in parts)
        return _read_widths(row for some in rows for row in some)

    def widen(self, edges: Mapping[Pair, Edge], widths: Widths, bucket_size: int, chance: float) -> None:
        """Count the buckets of some by chance, and add buckets where one is full."""
        chosen = [(target, edge.bucket) for (_, target), edge in edges.items() if random.random() < chance]
        for target, bucket in dict.fromkeys(chosen):
            last = max(widths.get(target, (1,)))
            larger = [width for width in _WIDTHS if width > last]
            if not larger or bucket < last - 1:
                continue
            query = 'SELECT COUNT(*) AS n FROM {followers} WHERE name = ? AND target_id = ? AND bucket = ?'
            [rows] = self.client.run([self.client.bind(query, self.client.name, target, bucket)])
            if rows[0]['n'] >= bucket_size:
                query = 'UPDATE {followers} SET widths = widths + ? WHERE name = ? AND target_id = ? AND bucket = 0'
                self.client.run([self.client.bind(query, {larger[0]}, self.client.name, target)])

    def _widths_statement(self, targets: list[str]) -> Any:
        query = (
            'SELECT DISTINCT name, target_id, bucket, widths FROM {followers} '
            'WHERE name = ? AND target_id IN ? AND bucket = 0'
        )
        return self.client.bind(query, self.client.name, targets)

    def _page(self, target: str, bucket: int, limit: int, before: Position | None) -> Any:
        query = 'SELECT user_id, since FROM {followers} WHERE name = ? AND target_id = ? AND bucket = ?'
        values: list[Any] = [self.client.name, target, bucket]
        if before is not None:
            query += ' AND (since, user_id) < (?, ?)'
            values += before
        return self.client.bind(f'{query} LIMIT ?', *values, limit)


def bucket_of(user: str, widths: Iterable[int]) -> int:
    """Return the bucket that a new follower goes to.

    :param widths: how many buckets were added, time after time

    >>> bucket_of('7', []), 15 <= bucket_of('7', [16]) <= 30
    (0, True)
    """
    width = max(widths, default=1)
    return width - 1 + zlib.crc32(user.encode()) % width


def _buckets(widths: Iterable[int]) -> list[int]:
    """All buckets that there are, when so many were added.

    >>> _buckets([16])[:4]
    [0, 15, 16, 17]
    """
    return [0, *(bucket for width in widths for bucket in range(width - 1, 2 * width - 1))]


def _read_widths(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    return {row['target_id']: tuple(sorted(row['widths'])) for row in rows if row['widths']}
