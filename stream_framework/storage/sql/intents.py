"""What was published last, by name: small values that expire."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from stream_framework.storage.sql import client
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.texts import pack, unpack

#: How likely setting intents deletes those that have expired: each is read over until then.
FORGET_CHANCE = 0.01


def set_intents(names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
    """Set intents.

    :param ttl: after how many seconds they expire
    :param existing: set only those that exist
    """
    if not names:
        return
    forget = not existing and random.random() < FORGET_CHANCE

    def work(work: Work) -> None:
        put(work, names, value, ttl, existing)
        if forget:
            work.count(work.dialect.forget_intents, {'now': time.time()})

    client.run(work, 'intents', single=not forget)


def put(work: Work, names: Sequence[str], value: str, ttl: float, existing: bool) -> None:
    """Set intents in a transaction."""
    now = time.time()
    values = {
        'keys': work.dialect.keys(list(dict.fromkeys(map(pack, names)))),
        'value': value,
        'expires': now + ttl,
    }
    if existing:
        work.count(work.dialect.turn_intents, {**values, 'now': now})
    else:
        work.count(work.dialect.put_intents, values)


def get_intents(names: Sequence[str]) -> list[str | None]:
    """Return the values, in order; ``None`` for what was never set or has expired."""
    return client.run(lambda work: get(work, names), 'intents', single=True) if names else []


def get(work: Work, names: Sequence[str]) -> list[str | None]:
    """Read intents in a transaction."""
    values = {'keys': work.dialect.keys(list(dict.fromkeys(map(pack, names)))), 'now': time.time()}
    found = {unpack(name): value for name, value in work.rows(work.dialect.get_intents, values)}
    return [found.get(name) for name in names]
