"""Publish later: while a transaction of the application's is open, what is done within it isn't published yet.

Whoever knows of a transaction (a backend) says by :func:`deferring` what to do with what would be published; whoever
publishes (the tasks) does so by :func:`publish`. Neither knows of the other.

>>> calls = []
>>> with deferring(calls.append):
...     publish(lambda: print('published'))
>>> calls[0]()
published
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

Call = Callable[[], Any]

_collect: contextvars.ContextVar[Callable[[Call], Any] | None] = contextvars.ContextVar(
    'stream_publishing', default=None
)


def publish(call: Call) -> Any:
    """Publish now, or when the transaction that this block of code is part of has been committed.

    :param call: publishes
    :returns: what the call returned; ``None`` if that is yet to come
    """
    collect = _collect.get()
    if collect is None:
        return call()
    collect(call)
    return None


@contextlib.contextmanager
def deferring(collect: Callable[[Call], Any] | None) -> Iterator[None]:
    """While the block runs, hand what would be published to ``collect``; ``None`` publishes at once."""
    token = _collect.set(collect)
    try:
        yield
    finally:
        _collect.reset(token)
