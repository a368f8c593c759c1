"""What was published and isn't done yet, by minute: see :mod:`stream_framework.ledger`."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence

from stream_framework.storage.sql import client
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.texts import pack, unpack

#: How many entries one statement reads.
ENTRIES_AT_A_TIME = 500
#: How likely writing deletes entries that have expired.
FORGET_CHANCE = 0.01


def write(minute: int, entries: Mapping[str, str], ttl: float, existing: bool) -> None:
    """Write entries.

    :param ttl: after how many seconds they expire
    :param existing: write only those that are there
    """
    if not entries:
        return
    now = time.time()
    forget = random.random() < FORGET_CHANCE

    def work(work: Work) -> None:
        items = [(pack(entry_id), pack(text), 0, 0) for entry_id, text in entries.items()]
        values = {**work.dialect.items(items), 'minute': minute, 'expires': now + ttl}
        work.count(work.dialect.turn_ledger if existing else work.dialect.put_ledger, values)
        if forget:
            work.count(work.dialect.forget_ledger, {'now': now})

    client.run(work, 'the ledger', single=not forget)


def delete(minute: int, entry_id: str) -> None:
    """Delete an entry; one that isn't there is no error."""
    client.count('delete_from_ledger', 'the ledger', minute=minute, id=pack(entry_id))


def find(minute: int, entry_id: str) -> str | None:
    """Return the text of an entry, or ``None``."""
    found = client.rows('find_in_ledger', 'the ledger', minute=minute, id=pack(entry_id), now=time.time())
    return unpack(found[0][0]) if found else None


def read(minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    """Yield ``(minute, id, text)`` of all entries of some minutes."""
    wanted = set(minutes)
    if not wanted:
        return
    bounds = {'first': min(wanted), 'last': max(wanted), 'limit': ENTRIES_AT_A_TIME}
    minute, entry_id = bounds['first'], ''
    while True:
        found = client.rows('read_ledger', 'the ledger', minute=minute, id=entry_id, now=time.time(), **bounds)
        for minute, entry_id, text in found:
            if minute in wanted:
                yield minute, unpack(entry_id), unpack(text)
        if len(found) < ENTRIES_AT_A_TIME:
            return
