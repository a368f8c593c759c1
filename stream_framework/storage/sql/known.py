"""Which feeds a process has found in a SQLite file, so that writing to them needs no look for their keys.

It is a hint, which the statements check. An id that is gone adds nothing, since ids are never used again, and what was
added is counted. Only another file in the same place, such as a restored backup, may give an id to another feed. So a
statement also looks for the newest feed that is known, with its version, which is random. If it is there, all that is
known is of this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: How many feeds a process remembers.
MOST = 200_000
#: How often a feed of groups may change until the newest feed that is known is no proof any more.
CHANGES = 10**9

#: ``(key, id, version)`` of a feed.
Feed = tuple[str, int, int]


#: Id and version of the newest feed where none is known.
NOTHING = (0, 0)


class _Generation:
    """What is known until all of it is forgotten."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        #: Id and version of the newest.
        self.newest = NOTHING


class KnownFeeds:
    """The ids of feeds; threads may share it.

    >>> known = KnownFeeds()
    >>> known.add([('feed_1', 7, 1000), ('feed_2', 8, 2000)])
    >>> known.find(['feed_2', 'feed_1'])
    ([8, 7], (8, 2000))
    >>> known.find(['feed_1', 'feed_3'])
    """

    def __init__(self) -> None:
        self._generation = _Generation()

    def find(self, keys: Sequence[str]) -> tuple[list[int], tuple[int, int]] | None:
        """Return the ids of feeds, with id and version of the newest feed known; ``None`` if one is not known."""
        generation = self._generation
        try:
            ids = list(map(generation.ids.__getitem__, keys))
        except KeyError:
            return None
        # After the ids: it is never older than they are.
        return ids, generation.newest

    def add(self, feeds: Iterable[Feed]) -> None:
        """Remember feeds that are there: committed, and not only seen by a transaction."""
        feeds = list(feeds)
        if not feeds:
            return
        if len(self._generation.ids) > MOST:
            self.clear()
        generation = self._generation
        generation.newest = max(generation.newest, *((number, version) for _, number, version in feeds))
        generation.ids.update((key, number) for key, number, _ in feeds)

    def discard(self, key: str) -> None:
        """Forget a feed."""
        self._generation.ids.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._generation = _Generation()
