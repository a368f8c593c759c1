"""The work that a batch has with each feed: its queued writes, combined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stream_framework import ids

#: ``('add' | 'remove' | 'trim', keys, id -> data, the length to trim to)``
FeedWrite = tuple[str, Sequence[str], Any, int | None]


class Work(NamedTuple):
    """Work on one feed, or the same on many: rows to write, ids to delete, the length to trim to."""

    rows: Mapping[Any, Any]
    gone: Mapping[Any, None]
    length: int | None

    @classmethod
    def of(cls, operation: str, data: Any, length: int | None) -> Work:
        """Return the work of one write."""
        return cls(data if operation == 'add' else {}, dict.fromkeys(data) if operation == 'remove' else {}, length)

    @property
    def kept(self) -> int:
        """How many entries trimming keeps."""
        return self.length or 0

    @property
    def looked_at(self) -> int:
        """How many of the newest ids have to be read to know where to cut."""
        return self.kept + len(self.gone) + 1

    def then(self, later: Work) -> Work:
        """Return this work combined with later work."""
        # A group's id may be an int in one and text in the other.
        leaving, coming = (set(map(ids.normalize_id, items)) for items in (later.gone, later.rows))
        rows = {item: data for item, data in self.rows.items() if ids.normalize_id(item) not in leaving}
        gone = {item: None for item in self.gone if ids.normalize_id(item) not in coming}
        return Work({**rows, **later.rows}, {**gone, **later.gone}, later.length)


def phases(writes: Iterable[FeedWrite]) -> Iterator[dict[str, Work]]:
    """Yield key -> work, by phases: writes to a feed after it is trimmed are in the next phase."""
    works: dict[str, Work] = {}
    for operation, keys, data, length in writes:
        new = Work.of(operation, data, length)
        if works.keys().isdisjoint(keys):
            # A fan-out does the same to the feed of every follower.
            works.update(dict.fromkeys(keys, new))
            continue
        for key in keys:
            work = works.get(key)
            if work is not None and work.length is not None:
                yield works
                works, work = {}, None
            works[key] = new if work is None else work.then(new)
    if works:
        yield works
