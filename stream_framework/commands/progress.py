"""A progress bar, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable

WIDTH = 40


def bar(total: int | None) -> Callable[[int], None] | None:
    """Return what shows how many of a total are done, on the standard error; ``None`` where that is no terminal.

    :param total: ``None`` where nobody knows: a number is shown then, without a bar
    """
    if not sys.stderr.isatty():
        return None

    def show(done: int) -> None:
        if total is None:
            sys.stderr.write(f'\r{done:,}')
            sys.stderr.flush()
            return
        filled = WIDTH * min(done, total) // max(total, 1)
        sys.stderr.write(f'\r[{"#" * filled:{WIDTH}}] {done:,} of {total:,}')
        if done >= total:
            sys.stderr.write('\n')
        sys.stderr.flush()

    return show
