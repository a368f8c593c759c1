"""Updates: while one runs, adding an activity replaces it where it still is, and adds it nowhere.

An application overrides ``add_user_activity`` and calls ``super()``; 1.4.0 called it for updates, too. So a context
variable says what the stock method is called for.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_is_updating: contextvars.ContextVar[bool] = contextvars.ContextVar('is_updating', default=False)


def is_updating() -> bool:
    """Return whether an update runs."""
    return _is_updating.get()


@contextlib.contextmanager
def updating(on: bool = True) -> Iterator[None]:
    """While the block runs, activities are replaced instead of added; or, within such a block, added as usual.

    >>> with updating():
    ...     print(is_updating())
    ...     with updating(False):
    ...         print(is_updating())
    True
    False
    """
    token = _is_updating.set(on)
    try:
        yield
    finally:
        _is_updating.reset(token)
