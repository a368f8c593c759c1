"""Write entries to one timeline or to many, in a transaction that the caller has."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework.exceptions import StorageError
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.known import CHANGES, NOTHING, Feed
from stream_framework.storage.sql.numbers import decode, encode
from stream_framework.storage.sql.texts import pack, pack_all, unpack

#: How many rows one statement writes.
ROWS_AT_A_TIME = 50_000
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

    :param keys: as they are, not packed
    :param replacing: whether what is there gets the new data, and counts as new
    :param wanted: the names of intents to read along, where the database can
    :returns: how many entries were new, and the intents, or ``None``
    """
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
    known = work.known.find(keys)
    ids, newest = known or ([], NOTHING)
    new = _insert(work, ids, newest, rows, replacing) if ids else 0
    if known is not None and new == len(keys) * len(rows):
        return new, None
    # Some entries were there already; or some feeds are not there any more, or it is another file.
    made = _make(work, keys, wanted, newest)
    found_ids = [number for _, number, _ in made.feeds]
    if not made.proven or not set(found_ids).issubset(ids):
        if known is not None:
            work.known.clear()
        added = _insert(work, found_ids, max((number, version) for _, number, version in made.feeds), rows, replacing)
        new = added if replacing else new + added
    return new, made.intents


class Made(NamedTuple):
    """Feeds that are there now."""

    feeds: list[Feed]
    #: Those that were to be read along.
    intents: list[str | None]
    #: Whether the newest feed that was known is there, so that all that is known is of this file.
    proven: bool


def _make(work: Work, keys: Sequence[str], wanted: Sequence[str] = (), newest: tuple[int, int] = NOTHING) -> Made:
    """Make feeds, and read intents in the same statement: while this transaction writes, nobody sets any."""
    packed = dict(zip(pack_all(keys), keys, strict=True))
    values = {
        'keys': work.dialect.keys(list(packed)),
        'version': work.dialect.fresh_version(),
        'names': work.dialect.keys(list(map(pack, wanted))),
        'now': time.time(),
        **_proof(newest),
    }
    rows = work.rows(work.dialect.make_and_read, values)  # type: ignore[attr-defined]
    feeds = [(packed[key], number, version) for key, number, version, _, _ in rows]
    work.made += feeds
    _, _, _, names, proven = rows[0]
    found = {unpack(name): value for name, value in json.loads(names).items()}
    return Made(feeds, [found.get(name) for name in wanted], bool(proven))


def _proof(newest: tuple[int, int]) -> dict[str, int]:
    number, version = newest
    return {'newest': number, 'lowest': version, 'highest': version + CHANGES}


def _insert(work: Work, ids: Sequence[int], newest: tuple[int, int], rows: Rows, replacing: bool) -> int:
    """Add entries to feeds by their ids.

    :param newest: id and version of the newest feed that is known: nothing is added without it
    """
    values = {'ids': work.dialect.ids(ids), **_proof(newest)}
    if len(rows) == 1 and rows[0][1] is None:
        return work.count(work.dialect.add_entry, {**values, 'number': rows[0][0]})  # type: ignore[attr-defined]
    numbers, datas = [row[0] for row in rows], [row[1] for row in rows]
    statement = work.dialect.put_entries if replacing else work.dialect.add_entries
    return sum(work.count(statement, {**values, **part}) for part in work.dialect.rows(numbers, datas))


def _add_on_postgres(work: Work, keys: Sequence[str], rows: Rows, replacing: bool) -> int:
    keys = list(dict.fromkeys(pack_all(keys)))
    statement = work.dialect.put_entries if replacing else work.dialect.add_entries
    values = {'keys': work.dialect.keys(keys), 'version': work.dialect.fresh_version()}
    new = 0
    for part in work.dialect.rows([row[0] for row in rows], [row[1] for row in rows]):
        for _ in range(ATTEMPTS):
            [(feeds, count)] = work.rows(statement, {**values, **part})
            new += count
            if feeds >= len(keys):
                break
        else:
            raise StorageError(
                f'feed {keys[0]!r} and {len(keys) - 1} more: some are made and deleted all the time by other '
                'transactions; running the same work again is safe'
            )
    return new


class Ids:
    """The ids of numbers that a database joined as hexadecimal digits; few ever look at them.

    >>> list(Ids('800b5c01664b4e04e28aa121')), len(Ids(''))
    ([13732667550000000000500001], 0)
    """

    def __init__(self, joined: str) -> None:
        self._joined = joined

    def __iter__(self) -> Iterator[int]:
        return (decode(bytes.fromhex(digits)) for digits in self._joined.split(',') if digits)

    def __len__(self) -> int:
        return self._joined.count(',') + 1 if self._joined else 0


def copy_newest(work: Work, sources: Sequence[str], key: str, length: int) -> list[tuple[int, str]]:
    """Copy the newest entries of timelines to another one, which is made if it is new.

    :param sources: their keys; like ``key`` not packed
    :returns: the position of each source that has any, and what :class:`Ids` takes
    """
    values = {'keys': work.dialect.keys(list(map(pack, sources))), 'length': length}
    if work.dialect.name == 'sqlite':
        found = work.rows(work.dialect.newest_ids, values)  # type: ignore[attr-defined]
        if found:
            [(_, feed, _)] = _make(work, [key]).feeds
            work.count(work.dialect.copy_newest, {**values, 'feed': feed})
        return found
    values.update(key=pack(key), version=work.dialect.fresh_version())
    for _ in range(ATTEMPTS):
        rows = work.rows(work.dialect.copy_newest, values)
        if all(there for _, _, there in rows):
            break
    return [(place, joined) for place, joined, _ in rows]


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
