"""Follows in a SQL database: a row for each follow, each mute and each block, with both ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.storage.follow_hooks import States
from stream_framework.storage.follow_values import Kind, Pair, Position, Side
from stream_framework.storage.sql import client
from stream_framework.storage.sql.texts import pack, unpack

# What is before all that can be stored: the largest integer of 64 bits.
_NEWEST: Position = (2**63 - 1, '')


class SqlFollowStorage(BaseFollowStorage):
    """Follows in the table ``stream_follows``, mutes and blocks in ``stream_hides``.

    Both ends of a pair are one row, so they always agree. Each hook is one statement, and part of the application's
    transaction in a block of :func:`stream_framework.storage.sql.transaction`.

    >>> storage = SqlFollowStorage('a doctest')
    >>> storage.follow(7, [13])
    >>> SqlFollowStorage('a doctest').is_following(7, [13, 14])
    {13}
    >>> storage.flush()
    """

    def add_follows(self, follows: Sequence[tuple[str, str, int]]) -> None:
        """One statement; a row that is there stays as it is."""
        self._write('add_follows', follows)

    def remove_follows(self, pairs: Sequence[Pair]) -> None:
        """One statement."""
        self._write('remove_follows', pairs)

    def repair_pairs(self, pairs: Sequence[Pair]) -> None:
        """Nothing to do: both ends are one row."""

    def find_followed(self, user: str, targets: Sequence[str]) -> Iterable[str]:
        """One statement."""
        return self._find('find_followed', targets, user=pack(user))

    def find_followers(self, target: str, users: Sequence[str]) -> Iterable[str]:
        """One statement."""
        return self._find('find_followers', users, target=pack(target))

    def find_states(self, user: str, targets: Sequence[str], repair: bool = False) -> States:
        """One statement; there is nothing to repair."""
        packed = list(map(pack, targets))

        def work(work: client.Work) -> list[Any]:
            keys = work.dialect.keys(packed)
            values = {'name': pack(self.follow_name), 'user': pack(user), 'keys': keys, 'actors': keys}
            return work.rows(work.dialect.find_states, values)

        found: dict[str, list[str]] = {'followed': [], 'hidden': [], 'any': []}
        for kind, text in client.run(work, self._about, single=True):
            found[kind].append(text)
        return States(list(map(unpack, found['followed'])), list(map(unpack, found['hidden'])), bool(found['any']))

    def count_side(self, side: Side, user: str) -> int:
        """One statement, which counts in an index."""
        return int(self._rows(f'count_{side}', user=pack(user))[0][0])

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """One statement, which reads from an index."""
        since, other = _NEWEST if before is None else before
        rows = self._rows(f'page_of_{side}', user=pack(user), limit=limit, since=since, other=pack(other))
        return [(unpack(text), moment) for text, moment in rows]

    def add_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """One statement."""
        self._write('add_hides', pairs, kind=kind)

    def remove_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """One statement."""
        self._write('remove_hides', pairs, kind=kind)

    def iter_hidden(self, kind: Kind, user: str) -> Iterator[str]:
        """One statement for each page."""
        return self._scan('hidden_after', kind, user)

    def iter_hiders(self, kind: Kind, user: str) -> Iterator[str]:
        """One statement for each page."""
        return self._scan('hiders_after', kind, user)

    def find_hidden(self, actors: Sequence[str], users: Sequence[str]) -> Iterable[Pair]:
        """One statement."""

        def work(work: client.Work) -> list[Any]:
            values = {
                'name': pack(self.follow_name),
                'actors': work.dialect.keys(list(map(pack, actors))),
                'users': work.dialect.keys(list(map(pack, users))),
            }
            return work.rows(work.dialect.find_hides, values)

        return [(unpack(actor), unpack(user)) for actor, user in client.run(work, self._about, single=True)]

    def find_readers(self, actor: str, limit: int) -> Iterable[str] | None:
        """One statement."""
        rows = self._rows('find_readers', user=pack(actor), limit=limit + 1)
        return [unpack(text) for (text,) in rows] if len(rows) <= limit else None

    def may_hide(self, user: str) -> bool:
        """One statement."""
        return bool(self._rows('may_hide', user=pack(user)))

    def delete_user(self, user: str) -> None:
        """Nothing to do: there are no keys but those of pairs."""

    def flush_storage(self) -> None:
        """Two statements."""
        for statement in ('flush_follows', 'flush_hides'):
            client.count(statement, self._about, name=pack(self.follow_name))

    @property
    def _about(self) -> str:
        return f'follows of {self.follow_name!r}'

    def _rows(self, statement: str, **values: Any) -> list[Any]:
        return client.rows(statement, self._about, name=pack(self.follow_name), **values)

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]], **values: Any) -> None:
        # The number is for rows that have none.
        items = [(pack(user), pack(target), 0, since) for user, target, since in ((*row, 0)[:3] for row in rows)]

        def work(work: client.Work) -> None:
            text = getattr(work.dialect, statement)
            work.count(text, {'name': pack(self.follow_name), **values, **work.dialect.items(items)})

        client.run(work, self._about, single=True)

    def _find(self, statement: str, texts: Sequence[str], **values: Any) -> list[str]:
        def work(work: client.Work) -> list[Any]:
            keys = work.dialect.keys(list(map(pack, texts)))
            return work.rows(getattr(work.dialect, statement), {'name': pack(self.follow_name), 'keys': keys, **values})

        return [unpack(text) for (text,) in client.run(work, self._about, single=True)]

    def _scan(self, statement: str, kind: Kind, user: str) -> Iterator[str]:
        after = ''
        while True:
            rows = self._rows(statement, kind=kind, user=pack(user), after=after, limit=self.page_size)
            yield from (unpack(text) for (text,) in rows)
            if len(rows) < self.page_size:
                return
            after = rows[-1][0]
