"""A stop watch."""

from __future__ import annotations

import time


class timer:  # noqa: N801
    """Seconds since it was made, or since the last ``next()``.

    >>> watch = timer()
    >>> watch.next() >= 0
    True
    """

    def __init__(self) -> None:
        self.times = [time.perf_counter()]
        self.total = 0.0
        self.next()

    def __iter__(self) -> timer:
        return self

    def next(self) -> float:
        """Seconds since the last call."""
        now = time.perf_counter()
        passed = now - self.times[-1]
        self.times.append(now)
        self.total += passed
        return passed

    __next__ = next
