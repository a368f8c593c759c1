"""How far timelines were seen, in a SQL database: a row for each, in the table ``stream_seen``."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Sequence
from typing import Any

from stream_framework.storage.abilities import KeepsSeen
from stream_framework.storage.sql import client
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.numbers import BELOW_ALL, decode, encode
from stream_framework.storage.sql.texts import pack, unpack

#: How many marks are looked at at a time.
MARKS_AT_A_TIME = 1000


class SqlKeepsSeen(KeepsSeen):
    """What a timeline storage in a SQL database does with seen marks."""

    def set_seen(self, key: str, number: int) -> None:
        """One statement."""
        client.count('put_seen', f'feed {key!r}', key=pack(key), number=encode(number))

    def get_seen(self, keys: Sequence[str]) -> list[int | None]:
        """One statement."""

        def work(work: Work) -> list[Any]:
            return work.rows(work.dialect.get_seen, {'keys': _distinct(work, keys)})

        found = {unpack(key): decode(number) for key, number in client.run(work, 'seen marks', single=True)}
        return [found.get(key) for key in keys]

    def counts_along(self, other: KeepsSeen) -> bool:
        """All that is in the database."""
        return isinstance(other, SqlKeepsSeen)

    def count_new(self, timelines: Sequence[tuple[Any, str]]) -> list[int]:
        """One statement for all of them."""
        keys = [key for _, key in timelines]

        def work(work: Work) -> list[Any]:
            return work.rows(work.dialect.count_new, {'keys': _distinct(work, keys), 'lowest': BELOW_ALL})

        found = {unpack(key): count for key, count in client.run(work, 'what is new', single=True)}
        return [int(found.get(key, 0)) for key in keys]


def forget(work: Work, keys: Sequence[str]) -> None:
    """Forget how far timelines were seen, within a transaction."""
    work.count(work.dialect.forget_seen, {'keys': _distinct(work, keys)})


def forget_matching(pattern: str) -> None:
    """Forget the marks of timelines whose keys match, by looking through all of them: for tests, not for every day."""
    after = ''
    while True:
        found = [key for (key,) in client.rows('seen_after', 'seen marks', after=after, limit=MARKS_AT_A_TIME)]
        chosen = fnmatch.filter(map(unpack, found), pattern)
        if chosen:
            client.run(functools.partial(forget, keys=chosen), 'seen marks', single=True)
        if len(found) < MARKS_AT_A_TIME:
            return
        after = found[-1]


def _distinct(work: Work, keys: Sequence[str]) -> Any:
    return work.dialect.keys(list(dict.fromkeys(map(pack, keys))))
