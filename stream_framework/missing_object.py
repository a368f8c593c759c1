"""What ``activity.actor`` finds where an activity was given only an id."""

from __future__ import annotations

import inspect
from typing import Any, NoReturn

# What activities may have as an object, or know only by its id.
OBJECTS = frozenset({'actor', 'object', 'target'})


class MissingObject:
    """Explain why ``activity.actor`` is missing: the activity was given an id. The error says where the id is.

    An activity that was given the object has it in its own ``__dict__``, which comes first. A ``__getattr__`` would say
    the same, but with it every attribute of every activity is several times as slow to read.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, activity: Any, owner: type | None = None) -> NoReturn:
        name = self.name
        raise AttributeError(
            f'this activity knows only the id of its {name}: read {name}_id, or look the {name} up by it',
            name=name,
            obj=activity,
        )


def is_missing(activity: object, name: str) -> bool:
    """Return whether an activity knows only the id of its actor, object or target."""
    return name not in vars(activity) and isinstance(inspect.getattr_static(type(activity), name), MissingObject)


__all__ = ['OBJECTS', 'MissingObject', 'is_missing']
