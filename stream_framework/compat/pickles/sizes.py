"""How large a value is that a pickle of 1.4.0 stands for, however short the pickle is."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from typing import Any

from stream_framework.compat.pickles.limits import MAX_DEPTH, MAX_TEXT, MAX_VALUES, SCALARS, is_verb, refuse
from stream_framework.compat.pickles.names import Name


def check_size(root: Any) -> None:
    """Refuse what is too deep, or too large for whoever walks through it, and what contains itself.

    Sizes are summed up from the leaves, each object once, however often it is referred to.
    """
    sizes: dict[int, tuple[int, int, int]] = {}  # id -> height, values, characters
    pending = [(root, False)]
    open_ids: set[int] = set()
    while pending:
        value, entered = pending.pop()
        key = id(value)
        if key in sizes:
            continue
        children = _children(value)
        if children is None:
            sizes[key] = 0, 1, _characters(value)
        elif not entered:
            if key in open_ids:
                refuse('something contains itself')
            if len(children) > MAX_VALUES:
                refuse('it stands for more values than are read')
            open_ids.add(key)
            pending.append((value, True))
            pending.extend((child, False) for child in children)
        else:
            open_ids.remove(key)
            found = [sizes[id(child)] for child in children]
            height = 1 + max((size[0] for size in found), default=0)
            values = 1 + sum(size[1] for size in found)
            characters = sum(size[2] for size in found)
            if height > MAX_DEPTH:
                refuse(f'it is nested deeper than {MAX_DEPTH} levels')
            if values > MAX_VALUES or characters > MAX_TEXT:
                refuse('it stands for more values than are read')
            sizes[key] = height, values, characters


def _children(value: Any) -> list[Any] | None:
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return [item for pair in value.items() for item in pair]
    if kind in (list, tuple, set, frozenset):
        return list(value)
    if kind in SCALARS or kind is bytearray or is_verb(value) or isinstance(value, datetime.tzinfo):
        return None
    if kind is Name:
        refuse(f'it holds {value.name} itself')
    # An activity: all else was never made.
    return list(value.__dict__.values())


def _characters(value: Any) -> int:
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    if isinstance(value, int):
        return value.bit_length() // 3
    return 0
