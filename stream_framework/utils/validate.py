"""Checks of types that don't take subclasses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def validate_type_strict(object_: Any, object_types: Any) -> None:
    """Refuse what is not of one of these very types; subclasses are refused, too.

    :param object_types: a type, or a tuple or list of types
    :raises ValueError: naming both
    """
    types = object_types if isinstance(object_types, (tuple, list)) else (object_types,)
    if type(object_) not in types:
        wanted = ', '.join(item.__name__ for item in types)
        raise ValueError(f'{object_!r} is of type {type(object_).__name__}: it must be of type {wanted}')


def validate_list_of_strict(object_list: Iterable[Any], object_types: Any) -> None:
    """:func:`validate_type_strict` for each."""
    for object_ in object_list:
        validate_type_strict(object_, object_types)
