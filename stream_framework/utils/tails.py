"""Tails: the ``*args, **kwargs`` that methods of 1.4.0 end in. Applications override them and call ``super()`` so.

A keyword that nobody reads is a misspelling, and is refused. Where a method of an application takes it, it is accepted,
and handed on to what takes it further down.

>>> class Storage:
...     def add_many(self, items, *args, **kwargs):
...         return handed_on('add_many', ['items', 'trim'], args, kwargs, above=(self, ['add_many']))
>>> Storage().add_many([], trim=False)
((), {'trim': False})
>>> Storage().add_many([], trimm=False)
Traceback (most recent call last):
TypeError: add_many() takes no 'trimm': it takes items, trim
>>> __name__ = 'application'  # what follows is not the library's
>>> class Noting(Storage):
...     def add_many(self, items, source=None, **kwargs):
...         return super().add_many(items, source=source, **kwargs)
>>> Noting().add_many([], source='import', trim=False)
((), {'trim': False})
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

from stream_framework.utils.shortcuts import is_of_library

#: An object, or a class, and the names of methods of it.
Methods = tuple[object, Sequence[str]]


def handed_on(
    method: str,
    known: Collection[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    above: Methods,
    below: Methods | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the part of a tail that is handed on: keywords that are known, and what overrides below take.

    Call it only where there is a tail, and before anything is written.

    :param method: its name, for the message
    :param known: all parameters that the method takes by name, for the message too
    :param above: whose overrides may have been called before this method, and have taken what is not known
    :param below: whose overrides may be called by this method
    :raises TypeError: for what no override takes
    """
    unknown = [name for name in kwargs if name not in known]
    if not unknown and not args:
        return args, kwargs
    over, under = _overrides(above), _overrides(below) if below else []
    for name in unknown:
        if not any(_takes(override, name) for override in (*over, *under)):
            raise TypeError(f'{method}() takes no {name!r}: it takes {", ".join(known)}')
    if args and not any(_takes(override, None) for override in (*over, *under)):
        raise TypeError(f'{method}() takes no {args[0]!r} by position: it takes {", ".join(known)}')
    return (
        args if any(_takes(override, None) for override in under) else (),
        {
            name: value
            for name, value in kwargs.items()
            if name in known or any(_takes(override, name) for override in under)
        },
    )


def _overrides(methods: Methods) -> list[Any]:
    """Return the methods of these names that an application defines: all of them, since each may call ``super()``."""
    owner, names = methods
    places = owner.__mro__ if isinstance(owner, type) else (owner, *type(owner).__mro__)
    found = [getattr(place, '__dict__', {}).get(name) for place in places for name in names]
    functions = [getattr(one, '__func__', one) for one in found if one is not None]
    return [function for function in functions if not is_of_library(function)]


def _takes(override: Any, keyword: str | None) -> bool:
    """Return whether an override takes a keyword, or for ``None`` more positional arguments."""
    try:
        parameters = inspect.signature(override).parameters
    except (TypeError, ValueError):
        return True
    if keyword in parameters:
        return True
    tail = inspect.Parameter.VAR_POSITIONAL if keyword is None else inspect.Parameter.VAR_KEYWORD
    return any(parameter.kind is tail for parameter in parameters.values())


__all__ = ['handed_on']
