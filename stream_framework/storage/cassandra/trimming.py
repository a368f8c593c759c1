"""Trimming: find the oldest id that stays in a feed, and delete exactly the older ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework import ids
from stream_framework.storage.cassandra import features
from stream_framework.storage.cassandra.client import Found, run
from stream_framework.storage.cassandra.driver import BoundStatement
from stream_framework.storage.cassandra.fallbacks import lacks
from stream_framework.storage.cassandra.pages import COUNTED, ids_by_feed, newest_ids, pages_of_ids, select
from stream_framework.storage.cassandra.tables import Table
from stream_framework.storage.cassandra.work import Work

#: Trimming to more entries than this counts them first, rather than read the ids of all that stay.
COUNTED_BEFORE_TRIMMING = 1000
#: How many ids are held in memory to find out where to cut.
IDS_AT_A_TIME = 20_000

_DELETE_OLDER = 'DELETE FROM {table} WHERE feed_id = ? AND activity_id < ?'


def parts_to_trim(works: Mapping[str, Work]) -> Iterator[dict[str, Work]]:
    """Yield the work that trims feeds, in parts for which up to :data:`IDS_AT_A_TIME` ids are read."""
    part: dict[str, Work] = {}
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


def looks(table: Table, works: Mapping[str, Work]) -> Iterator[BoundStatement]:
    """Yield the queries for where to cut feeds: their newest ids, or for long feeds first the number of entries."""
    if not lacks(features.COUNT):
        for key, work in works.items():
            if _is_counted(work):
                yield select(table, COUNTED, key)
    yield from newest_ids(table, {key: work.looked_at for key, work in works.items() if not _is_counted(work)})


def deletions(
    table: Table, works: Mapping[str, Work], looked: Sequence[list[Found]], only: str | None
) -> Iterator[BoundStatement]:
    """Yield the statements that delete all but the newest entries.

    :param looked: what the statements of :func:`looks` found
    :param only: the key of the only feed, for messages
    """
    counted = [key for key, work in works.items() if _is_counted(work)]
    if lacks(features.COUNT):
        for key in counted:
            cut = _cut_in_pages(table, key, works[key])
            if cut is not None:
                yield table.statement(_DELETE_OLDER, key, cut)
        works = {key: work for key, work in works.items() if not _is_counted(work)}
        counted = []
    longer = {
        key: works[key].looked_at
        for key, [row] in zip(counted, looked, strict=False)
        if row['count'] + len(works[key].rows) > works[key].kept
    }
    found = ids_by_feed([*looked[len(counted) :], *run(newest_ids(table, longer), only)])
    for key, work in works.items():
        # The writes of the same wave may, or may not, be in what was read.
        there = found.get(key, set()).union(map(ids.normalize_id, work.rows))
        there.difference_update(map(ids.normalize_id, work.gone))
        if len(there) > work.kept:
            yield table.statement(_DELETE_OLDER, key, sorted(there, reverse=True)[work.kept - 1])


def _is_counted(work: Work) -> bool:
    """Whether to count before ids are read, because most of the ids would be of entries that stay."""
    return work.kept > COUNTED_BEFORE_TRIMMING


def _cut_in_pages(table: Table, key: str, work: Work) -> int | None:
    """Find the lowest id that stays, without counting in the server; ``None`` if all of them do."""
    gone: set[Any] = set(map(ids.normalize_id, work.gone))
    total, cut = 0, None
    for page in pages_of_ids(table, key):
        staying = [item for item in page if item not in gone]
        if cut is not None and staying:
            return cut
        if total < work.kept <= total + len(staying):
            cut = staying[work.kept - total - 1]
        total += len(staying)
        if total > work.kept:
            return cut
    return None
