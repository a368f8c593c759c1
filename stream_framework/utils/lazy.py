"""Attributes that are made on first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class lazy_property:  # noqa: N801  # a decorator
    """:func:`functools.cached_property` without its lock.

    Before Python 3.12 all instances share that lock, so a process that is forked while another thread holds it hangs.
    Threads that come at once may each make the value; one of them is kept.

    >>> class Feed:
    ...     @lazy_property
    ...     def name(self):
    ...         print('made')
    ...         return 'user'
    >>> feed = Feed()
    >>> feed.name, feed.name
    made
    ('user', 'user')
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        # From here on the instance's own attribute is found first.
        value = instance.__dict__[self._name] = self._make(instance)
        return value
