"""What the contracts share: a fixed clock, activities by number, verbs, recording hooks."""

from __future__ import annotations

import datetime
from typing import Any

from stream_framework.activity import Activity
from stream_framework.verbs import Add, Comment, Follow, Love

#: The moment that every test starts at.
START = datetime.datetime(2013, 7, 8, 6, 59, 15)
VERBS = (Follow, Comment, Love, Add)


def at(seconds: float = 0, *, ms: int = 0, us: int = 0, days: int = 0) -> datetime.datetime:
    """A moment after :data:`START`."""
    return START + datetime.timedelta(days=days, seconds=seconds, milliseconds=ms, microseconds=us)


def act(n: int, actor: Any = None, verb: Any = Love, object: Any = None, **kwargs: Any) -> Activity:
    """Activity number ``n``, ``n`` seconds after the start: later numbers have higher ids."""
    kwargs.setdefault('time', at(n))
    cls = kwargs.pop('cls', Activity)
    return cls(1000 + n if actor is None else actor, verb, 500 + n if object is None else object, **kwargs)


def acts(count: int, first: int = 0, **kwargs: Any) -> list[Activity]:
    """Activities of consecutive numbers, oldest first."""
    return [act(n, **kwargs) for n in range(first, first + count)]


def ids(activities: Any) -> list[int]:
    """Their serialization ids as ints, whatever they are."""
    return [int(activity.serialization_id) for activity in activities]


def names(groups: Any) -> list[str]:
    """The groups' names."""
    return [group.group for group in groups]


def members(groups: Any) -> list[tuple[str, list[int], int]]:
    """What is in groups: name, ids kept, ids dropped."""
    return [(group.group, list(group.activity_ids), group.minimized_activities) for group in groups]
