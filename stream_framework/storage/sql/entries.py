"""Write entries to one timeline or to many, in a transaction that the caller has."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from stream_framework.storage.batch import iter_parts
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.numbers import decode, encode
from stream_framework.storage.sql.texts import pack, unpack

#: How many rows one statement writes.
ROWS_AT_A_TIME = 50_000
#: How many feeds a process remembers to have been there.
KNOWN = 200_000
#: How often PostgreSQL is asked again for feeds that another transaction was just making.
ATTEMPTS = 5

#: ``(number, what is stored beside it)``; ``None`` where that is only the number.
Rows = Sequence[tuple[bytes, str | None]]


def rows_of(order: Any, data: Mapping[Any, Any]) -> Rows:
    """Return id -> data as rows.

    :param order: gives the number of an id
    """
    rows = []
    for item, value in data.items():
        number = order(item)
        rows.append((encode(number), None if type(value) is int and value == number else pack(value)))
    return rows


def add(
    work: Work, keys: Sequence[str], rows: Rows, wanted: Sequence[str] = (), replacing: bool = False
) -> tuple[int, list[str | None] | None]:
    """Add the same entries to many timelines, and make those that are new.

    :param keys: packed
    :param replacing: whether what is there gets the new data, and counts as new
    :param wanted: the names of intents to read along, where the database can
    :returns: how many entries were new, and the intents, or ``None``
    """
    keys = list(dict.fromkeys(keys))
    new, found = 0, None
    for some_rows in iter_parts(rows, ROWS_AT_A_TIME):
        for some_keys in iter_parts(keys, max(1, ROWS_AT_A_TIME // len(some_rows))):
            if work.dialect.name == 'sqlite':
                count, found = _add_on_sqlite(work, some_keys, some_rows, wanted, replacing)
            else:
                count = _add_on_postgres(work, some_keys, some_rows, replacing)
            new += count
    return new, found


def _add_on_sqlite(
    work: Work, keys: Sequence[str], rows: Rows, wanted: Sequence[str], replacing: bool
) -> tuple[int, list[str | None] | None]:
    values = {'keys': work.dialect.keys(keys)}
    found = None
    known = work.known.issuperset(keys)
    if not known:
        _, found = _make(work, keys, wanted)
    new = _insert(work, values, rows, replacing)
    if known and new < len(keys) * len(rows):
        # Either it was there already, or some feeds are not there any more.
        made, found = _make(work, keys, wanted)
        if made:
            new += _insert(work, values, rows, replacing)
    return new, found


def _make(work: Work, keys: Sequence[str], wanted: Sequence[str]) -> tuple[bool, list[str | None]]:
    """Make feeds, and read intents in the same statement: while this transaction writes, nobody sets any.

    :returns: whether any feed is new, and the intents
    """
    values = {
        'keys': work.dialect.keys(keys),
        'version': work.dialect.fresh_version(),
        'names': work.dialect.keys(list(map(pack, wanted))),
        'now': time.time(),
    }
    rows = work.rows(work.dialect.make_and_read, values)  # type: ignore[attr-defined]
    if len(work.known) > KNOWN:
        work.known.clear()
    work.known.update(keys)
    found = {unpack(name): value for name, value in json.loads(rows[0][1]).items()} if rows else {}
    return any(row[0] for row in rows), [found.get(name) for name in wanted]


def _insert(work: Work, values: dict[str, Any], rows: Rows, replacing: bool) -> int:
    if len(rows) == 1 and rows[0][1] is None:
        return work.count(work.dialect.add_entry, {**values, 'number': rows[0][0]})  # type: ignore[attr-defined]
    numbers, datas = [row[0] for row in rows], [row[1] for row in rows]
    statement = work.dialect.put_entries if replacing else work.dialect.add_entries
    return sum(work.count(statement, {**values, **part}) for part in work.dialect.rows(numbers, datas))


def _add_on_postgres(work: Work, keys: Sequence[str], rows: Rows, replacing: bool) -> int:
    statement = work.dialect.put_entries if replacing else work.dialect.add_entries
    values = {'keys': work.dialect.keys(keys), 'version': work.dialect.fresh_version()}
    new = 0
    for part in work.dialect.rows([row[0] for row in rows], [row[1] for row in rows]):
        for _ in range(ATTEMPTS):
            [(feeds, count)] = work.rows(statement, {**values, **part})
            new += count
            if feeds >= len(keys):
                break
    return new


def replace(work: Work, key: str, rows: Rows) -> set[int]:
    """Replace what is stored of entries that are there, in one timeline; returns their numbers."""
    return _found(work, work.dialect.replace_entries, key, rows)


def find(work: Work, key: str, rows: Rows) -> set[int]:
    """Return the numbers of those entries that are there, in one timeline."""
    return _found(work, work.dialect.existing_entries, key, rows)


def _found(work: Work, statement: str, key: str, rows: Rows) -> set[int]:
    found: set[int] = set()
    for part in work.dialect.rows([row[0] for row in rows], [row[1] for row in rows]):
        found.update(decode(number) for (number,) in work.rows(statement, {'key': key, **part}))
    return found


def remove(work: Work, keys: Sequence[str], numbers: Sequence[bytes]) -> int:
    """Remove the same entries from many timelines; returns how many were there."""
    removed = 0
    for some in iter_parts(list(dict.fromkeys(numbers)), ROWS_AT_A_TIME):
        for some_keys in iter_parts(keys, max(1, ROWS_AT_A_TIME // len(some))):
            values = {'keys': work.dialect.keys(some_keys)}
            for part in work.dialect.rows(some):
                removed += work.count(work.dialect.remove_entries, {**values, **part})
    return removed


def trim(work: Work, keys: Sequence[str], length: int) -> list[tuple[int, bytes]]:
    """Keep the newest entries of many timelines.

    :returns: the feed's id and the number of each that went
    """
    values = {'keys': work.dialect.keys(list(dict.fromkeys(keys))), 'last': max(length, 1) - 1}
    return [(feed, bytes(number)) for feed, number in work.rows(work.dialect.trim_entries, values)]


def touch(work: Work, keys: Sequence[str]) -> dict[str, int]:
    """Count up the versions of timelines, and make those that are new; returns key -> id."""
    values = {
        'keys': work.dialect.keys(list(dict.fromkeys(keys))),
        'version': work.dialect.fresh_version(),
    }
    return {row[0]: row[1] for row in work.rows(work.dialect.touch_feeds, values)}
