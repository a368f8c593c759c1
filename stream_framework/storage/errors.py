"""What the errors of all drivers have in common: classes that are ours and the driver's own, and what to do about each.

An application that catches the driver's errors goes on doing so, and one that doesn't know the driver catches
:class:`~stream_framework.exceptions.StorageError`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from stream_framework.exceptions import StorageConnectionError, StorageError


class Advice(NamedTuple):
    """What to do about an error of this class (by name, parents included) or with these words."""

    classes: tuple[str, ...]
    words: tuple[str, ...]
    remedy: str
    #: Whether it means that a server can't be reached, or doesn't answer in time.
    unreachable: bool = False


OTHERWISE = Advice((), (), "see the server's own words")

#: Client -> the module that knows its errors, by ``may_succeed_later(error)``.
CLIENTS = {
    'redis': 'stream_framework.storage.redis.errors',
    'cassandra': 'stream_framework.storage.cassandra.errors',
    'sqlalchemy': 'stream_framework.storage.sql.errors',
}

# An error travels between processes by what its class is made of.
_classes: dict[tuple[Any, ...], Any] = {}


def advice_by_class(all_advice: Sequence[Advice], driver_class: type) -> Advice:
    """The first advice about a class, else about its parent, and so on."""
    for parent in driver_class.__mro__:
        for advice in all_advice:
            if parent.__name__ in advice.classes:
                return advice
    return OTHERWISE


def error_class(backend: str, module: str, driver_class: type, unreachable: bool) -> Any:
    """The class of ours that derives from one of a driver's; made once.

    :param backend: what the class's name begins with
    :param module: where it is found by name
    :param unreachable: whether it is a :class:`~stream_framework.exceptions.StorageConnectionError`
    """
    made_of = (backend, module, driver_class, unreachable)
    made = _classes.get(made_of)
    if made is None:
        base = StorageConnectionError if unreachable else StorageError
        body = {
            '__module__': module,
            '__init__': _initialize,
            '__str__': Exception.__str__,
            '__reduce__': _reduce,
            '__doc__': f'A {base.__name__} that is also a {driver_class.__module__}.{driver_class.__qualname__}.',
            '_made_of': made_of,
        }
        made = _classes.setdefault(made_of, type(f'{backend}{driver_class.__name__}', (base, driver_class), body))
    return made


def may_succeed_later(error: BaseException) -> bool:
    """Return whether an error is one of a client's own that running the same work again may not meet.

    Those that the library raises are a :class:`~stream_framework.exceptions.StorageConnectionError` then; this is for
    those that an application's own code lets through. A client that nobody has imported is not imported for it.

    >>> may_succeed_later(ValueError('wrong in any case'))
    False
    """
    return any(
        importlib.import_module(module).may_succeed_later(error)
        for client, module in CLIENTS.items()
        if client in sys.modules
    )


def plain_attributes(error: BaseException) -> dict[str, Any]:
    """What an error carries, as far as any process can unpickle it."""
    return {
        name: value for name, value in vars(error).items() if isinstance(value, (str, int, float, tuple, type(None)))
    }


def _initialize(self: Any, *args: Any) -> None:
    # The drivers' own constructors take a server's reply apart, or make up a message.
    Exception.__init__(self, *args)


def _reduce(self: Any) -> Any:
    return _rebuild, (self._made_of, self.args, plain_attributes(self))


def _rebuild(made_of: tuple[Any, ...], args: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    made = error_class(*made_of)(*args)
    made.__dict__.update(attributes)
    return made
