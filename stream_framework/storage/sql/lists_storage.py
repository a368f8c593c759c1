"""Lists in a SQL database: what notification feeds keep the markers of unseen and unread groups in."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.sql import client
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.texts import pack, unpack
from stream_framework.utils.shortcuts import unchanged

#: How many lists are looked at, and deleted, at a time.
LISTS_AT_A_TIME = 1000


class SqlListsStorage(BaseListsStorage):
    """Lists in the table ``stream_items``, a row for each item. Each method is one transaction.

    >>> from stream_framework.storage.sql.lists_storage import SqlListsStorage
    >>> SqlListsStorage('a doctest').get_key('unseen')
    'list:a doctest:unseen'
    """

    #: Whether changes of groups may write markers past the hooks.
    writes_as_usual = unchanged('add', 'add_once', 'remove', 'add_to_storage', 'remove_from_storage', 'get_key')

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        """Append, drop the oldest; with ``once`` what is there already moves to the end."""
        rows: list[tuple[str, str, int, int]] = []
        for name, items in lists.items():
            if once:
                items = list(dict.fromkeys(reversed(items)))[::-1]
            if self.max_length is not None:
                items = items[max(len(items) - self.max_length, 0) :]
            rows += _numbered(pack(self.get_key(name)), items)
        if not rows:
            return

        def work(work: Work) -> None:
            dialect = work.dialect
            keys = dialect.keys(sorted({row[0] for row in rows}))
            lock = getattr(dialect, 'lock_lists', None)
            if lock is not None:
                # Of two that append the same at once, one would be lost.
                work.rows(lock, {'keys': keys})
            items = dialect.items(rows)
            if once:
                work.count(dialect.remove_equals, items)
                work.count(dialect.move_items, items)
            else:
                work.count(dialect.append_items, items)
            if self.max_length is not None:
                work.count(dialect.trim_items, {'keys': keys, 'length': self.max_length})

        client.run(work, self._about(lists))

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        """Take out every occurrence."""
        rows = [row for name, items in lists.items() for row in _numbered(pack(self.get_key(name)), items)]
        client.run(
            lambda work: work.count(work.dialect.remove_items, work.dialect.items(rows)),
            self._about(lists),
            single=True,
        )

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        """Count; one statement, so as of one moment."""
        keys = [pack(self.get_key(name)) for name in names]
        found = dict(client.run(lambda work: self._read(work, 'count_items', keys), self._about(names), single=True))
        return [found.get(key, 0) for key in keys]

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        """Read; one statement, so as of one moment."""
        keys = [pack(self.get_key(name)) for name in names]
        found: dict[str, list[str]] = {key: [] for key in keys}
        for key, item in client.run(lambda work: self._read(work, 'get_items', keys), self._about(names), single=True):
            found[key].append(unpack(item))
        return [list(found[key]) for key in keys]

    def flush_storage(self, names: Sequence[str]) -> None:
        """Delete the items; one statement."""
        keys = [pack(self.get_key(name)) for name in names]
        client.run(
            lambda work: work.count(work.dialect.flush_items, {'keys': work.dialect.keys(keys)}),
            self._about(names),
            single=True,
        )

    def flush_matching(self, *names: str) -> None:
        """Delete the lists whose keys match, by looking through all of them: for tests, not for every day."""
        for name in names:
            pattern = self.get_key(name)
            after, found = '', [('',)]
            while found:
                found = client.rows('lists_after', 'lists', low='', after=after, limit=LISTS_AT_A_TIME)
                keys = [key for (key,) in found if fnmatch.fnmatchcase(unpack(key), pattern)]
                for part in iter_parts(keys, LISTS_AT_A_TIME):
                    client.run(
                        lambda work, part=part: work.count(  # type: ignore[misc]
                            work.dialect.flush_items, {'keys': work.dialect.keys(part)}
                        ),
                        'lists',
                        single=True,
                    )
                after = found[-1][0] if found else after

    def _read(self, work: Work, statement: str, keys: Sequence[str]) -> list[tuple[str, Any]]:
        values = {'keys': work.dialect.keys(list(dict.fromkeys(keys)))}
        return [(row[0], row[1]) for row in work.rows(getattr(work.dialect, statement), values)]

    def _about(self, names: Sequence[str] | Mapping[str, object]) -> str:
        return 'lists ' + ', '.join(repr(self.get_key(name)) for name in names)


def _numbered(key: str, items: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """Return ``(list, item, how many equal ones came before, position)``."""
    seen: dict[str, int] = {}
    rows = []
    for position, item in enumerate(items):
        packed = pack(item)
        rows.append((key, packed, seen.get(packed, 0), position))
        seen[packed] = seen.get(packed, 0) + 1
    return rows
