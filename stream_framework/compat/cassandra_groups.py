"""Groups of 1.4.0 on Cassandra, under ids of 13 digits, in tables that 1.4.0 made.

Cassandra sorts these ids after the longer ones, whatever their time. So a page reads both kinds and puts them in order,
and every change of such a feed also moves its groups of 1.4.0 to longer ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stream_framework import ids
from stream_framework.exceptions import SerializationException
from stream_framework.storage.cassandra.client import Found, run
from stream_framework.storage.cassandra.pages import select, select_id
from stream_framework.storage.cassandra.protocols import Range, Timelines
from stream_framework.storage.cassandra.tables import Table

_LIMIT = ids.LEGACY_GROUP_LIMIT

#: What selects the groups of 1.4.0 in a partition.
IS_LEGACY = f'activity_id < {_LIMIT}'


def is_bare(activity_id: Any) -> bool:
    """Whether a group's id is only milliseconds, as those of 1.4.0 are."""
    return abs(ids.normalize_id(activity_id)) < _LIMIT


def ranges_above(table: Table, order: int) -> list[Range]:
    """Return the ids of groups above a number by which they sort: in a table of 1.4.0 those of 13 digits, too."""
    ranges: list[Range] = [(max(order, _LIMIT) + 1, None)]
    if table.is_legacy:
        ranges.append((order // ids.REST + 1, _LIMIT - 1))
    return ranges


def read_slice(
    table: Table, key: str, start: int, stop: int | None, low: int | None, high: int | None, ascending: bool
) -> list[Found]:
    """Read the rows of a slice where groups may be under ids of both kinds. One wave."""
    newest, oldest = _LIMIT - 1, -_LIMIT + 1
    longer = (_LIMIT if low is None else max(low, _LIMIT), high)
    shorter = (
        oldest if low is None else max(-(-low // ids.REST), oldest),
        newest if high is None else min(high // ids.REST, newest),
    )
    statements = [select(table, '{columns}', key, *bounds, ascending, stop) for bounds in (longer, shorter)]
    rows = [row for found in run(statements, key) for row in table.rows(found)]
    rows.sort(key=lambda row: ids.group_order(row['activity_id']), reverse=not ascending)
    return rows[start:stop]


def find_stored(table: Table, key: str, number: int) -> list[int]:
    """Find the ids of the groups that a bare number of milliseconds, an id of 1.4.0, stands for. One wave."""
    number = ids.normalize_id(number)
    statements = [select_id(table, key, number)]
    if number % 1000 == 0:
        first = number * ids.REST
        statements.append(select(table, 'activity_id', key, first, first + ids.REST - 1))
    exact, *longer = run(statements, key)
    return [row['activity_id'] for row in exact or [row for rows in longer for row in rows]]


def with_stored(table: Table, key: str, wanted: Iterable[Any]) -> dict[Any, None]:
    """Return ids of groups, and where one is bare milliseconds those of the groups of that moment as well."""
    found = dict.fromkeys(wanted)
    for item in list(found):
        if is_bare(item):
            found.update(dict.fromkeys(find_stored(table, key, item)))
    return found


def moved_id(row: Found) -> int:
    """Return the longer id of a group that 1.4.0 stored under milliseconds."""
    return int(ids.group_id(row['group'], row['updated_at']))


def can_move(row: Found) -> bool:
    """Whether a group can get a longer id. Without a name and a time it can't; reading it raises an error."""
    return row['group'] is not None and bool(row['updated_at'])


def moved(storage: Timelines, key: str, row: Found) -> dict[str, Any]:
    """Return a row of 1.4.0 as it is written under its longer id."""
    try:
        group = storage.load(key, row['activity_id'], row)
        group._stored_id = None
        columns = dict(storage.serialize_activity(group))
    except SerializationException:
        # Left as it is: reading it raises an error that tells the reason.
        columns = {}
    for name, value in row.items():
        if columns.get(name) is None:
            columns[name] = value
    columns['activity_id'] = moved_id(row)
    return columns
