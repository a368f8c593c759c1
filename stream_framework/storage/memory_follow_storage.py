"""Follows in this process's memory: the reference, complete and thread-safe; for tests, examples and small programs."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence

from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.storage.follow_values import Kind, Pair, Position, Side
from stream_framework.utils.forks import held_over_forks

_lock = held_over_forks(threading.RLock())


class _Edges:
    """One side of one user."""

    __slots__ = ('order', 'since')

    def __init__(self) -> None:
        #: Text -> milliseconds.
        self.since: dict[str, int] = {}
        #: The same in ascending order.
        self.order: list[Position] = []

    def put(self, text: str, since: int) -> int:
        if text not in self.since:
            self.since[text] = since
            insort(self.order, (since, text))
        return self.since[text]

    def pop(self, text: str) -> None:
        since = self.since.pop(text, None)
        if since is not None:
            del self.order[bisect_left(self.order, (since, text))]


class _Store:
    """What is stored under one name."""

    def __init__(self) -> None:
        #: Side and user -> edges.
        self.sides: dict[tuple[Side, str], _Edges] = {}
        #: Kind and user -> those whom he has muted or blocked, in the order of time.
        self.hidden: dict[tuple[Kind, str], dict[str, None]] = {}
        #: Kind and target -> those who have muted or blocked it.
        self.hiders: dict[tuple[Kind, str], dict[str, None]] = {}


#: Name -> what is stored under it.
follow_store: dict[str, _Store] = {}


class InMemoryFollowStorage(BaseFollowStorage):
    """Follows, mutes and blocks in dicts, and in lists that are sorted by time. Every method is one step.

    >>> storage = InMemoryFollowStorage('a doctest')
    >>> storage.follow(7, [13])
    >>> InMemoryFollowStorage('a doctest').is_following(7, [13])
    {13}
    >>> storage.flush()
    """

    @property
    def _store(self) -> _Store:
        return follow_store.get(self.follow_name) or _Store()

    def add_follows(self, follows: Sequence[tuple[str, str, int]]) -> None:
        """In one step; a lookup and a move in memory for each."""
        with _lock:
            sides = follow_store.setdefault(self.follow_name, _Store()).sides
            for user, target, since in follows:
                since = sides.setdefault(('followed', user), _Edges()).put(target, since)
                sides.setdefault(('followers', target), _Edges()).put(user, since)

    def remove_follows(self, pairs: Sequence[Pair]) -> None:
        """In one step."""
        with _lock:
            for user, target in pairs:
                self._remove('followed', user, target)
                self._remove('followers', target, user)

    def repair_pairs(self, pairs: Sequence[Pair]) -> None:
        """Nothing to do: both ends change in one step."""

    def find_followed(self, user: str, targets: Sequence[str]) -> Iterable[str]:
        """As of one moment."""
        with _lock:
            edges = self._store.sides.get(('followed', user))
            return [] if edges is None else [target for target in targets if target in edges.since]

    def find_followers(self, target: str, users: Sequence[str]) -> Iterable[str]:
        """As of one moment."""
        with _lock:
            edges = self._store.sides.get(('followers', target))
            return [] if edges is None else [user for user in users if user in edges.since]

    def count_side(self, side: Side, user: str) -> int:
        """The length."""
        edges = self._store.sides.get((side, user))
        return 0 if edges is None else len(edges.order)

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """By binary search."""
        with _lock:
            edges = self._store.sides.get((side, user))
            if edges is None:
                return []
            stop = len(edges.order) if before is None else bisect_left(edges.order, before)
            return [(text, since) for since, text in edges.order[max(stop - limit, 0) : stop][::-1]]

    def add_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """In one step."""
        with _lock:
            store = follow_store.setdefault(self.follow_name, _Store())
            for user, target in pairs:
                store.hidden.setdefault((kind, user), {})[target] = None
                store.hiders.setdefault((kind, target), {})[user] = None

    def remove_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """In one step."""
        with _lock:
            store = self._store
            for user, target in pairs:
                _discard(store.hidden, (kind, user), target)
                _discard(store.hiders, (kind, target), user)

    def iter_hidden(self, kind: Kind, user: str) -> Iterator[str]:
        """All as of one moment."""
        with _lock:
            return iter(list(self._store.hidden.get((kind, user), ())))

    def iter_hiders(self, kind: Kind, user: str) -> Iterator[str]:
        """All as of one moment."""
        with _lock:
            return iter(list(self._store.hiders.get((kind, user), ())))

    def find_hidden(self, actors: Sequence[str], users: Sequence[str]) -> Iterable[Pair]:
        """As of one moment; three lookups for each pair."""
        with _lock:
            store, found = self._store, []
            for actor in actors:
                muted_by = store.hiders.get(('mute', actor), {})
                blocked_by = store.hiders.get(('block', actor), {})
                blocked = store.hidden.get(('block', actor), {})
                if muted_by or blocked_by or blocked:
                    found += [
                        (actor, user) for user in users if user in muted_by or user in blocked_by or user in blocked
                    ]
            return found

    def find_readers(self, actor: str, limit: int) -> Iterable[str] | None:
        """As of one moment."""
        with _lock:
            store = self._store
            found = [
                *store.hiders.get(('mute', actor), ()),
                *store.hiders.get(('block', actor), ()),
                *store.hidden.get(('block', actor), ()),
            ]
        return found if len(found) <= limit else None

    def may_hide(self, user: str) -> bool:
        """Three lookups."""
        store = self._store
        return ('mute', user) in store.hidden or ('block', user) in store.hidden or ('block', user) in store.hiders

    def delete_user(self, user: str) -> None:
        """Nothing to do: what is empty is forgotten at once."""

    def flush_storage(self) -> None:
        """Forget all that is under this name."""
        with _lock:
            follow_store.pop(self.follow_name, None)

    def _remove(self, side: Side, user: str, other: str) -> None:
        edges = self._store.sides.get((side, user))
        if edges is not None:
            edges.pop(other)
            if not edges.order:
                del self._store.sides[side, user]


def _discard(places: dict[tuple[Kind, str], dict[str, None]], key: tuple[Kind, str], text: str) -> None:
    found = places.get(key, {})
    found.pop(text, None)
    if not found:
        places.pop(key, None)
