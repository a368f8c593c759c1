"""The feed classes of an application, for commands that look after what these need."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterable
from typing import Any

from stream_framework.exceptions import ConfigurationError


def find_feed_classes(targets: Iterable[Any]) -> list[type]:
    """The feed classes among, or in, modules, feed classes and managers.

    Of a module: those that are defined in it, or below it, and those that its managers name.

    :param targets: import paths of modules, modules, feed classes, managers
    :raises ConfigurationError: for a module that can't be imported

    >>> find_feed_classes(['stream_framework.feeds.memory'])
    [<class 'stream_framework.feeds.memory.Feed'>]
    """
    return list(dict.fromkeys(found for target in targets for found in _in_target(target)))


def _in_target(target: Any) -> list[type]:
    if isinstance(target, str):
        try:
            target = importlib.import_module(target)
        except ImportError as error:
            raise ConfigurationError(f'{target} can not be imported: {error}') from error
    if not isinstance(target, types.ModuleType):
        return _in_class(target if isinstance(target, type) else type(target))
    name = target.__name__
    classes = []
    for value in vars(target).values():
        if isinstance(value, type) and (value.__module__ == name or value.__module__.startswith(f'{name}.')):
            classes += _in_class(value)
    return classes


def _in_class(value: type) -> list[type]:
    # Told by what they have: a manager need not derive from the library's.
    if hasattr(value, 'timeline_storage_class'):
        named: list[Any] = [value]
    else:
        of_manager = getattr(value, 'feed_classes', None)
        named = [*of_manager.values()] if isinstance(of_manager, dict) else []
        named.append(getattr(value, 'user_feed_class', None))
    return [feed_class for feed_class in named if isinstance(getattr(feed_class, 'timeline_storage_class', None), type)]
