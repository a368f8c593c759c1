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
    found = (feed_class for target in targets for value in _classes(target) for feed_class in _in_class(value))
    return list(dict.fromkeys(found))


def find_follow_storages(targets: Iterable[Any]) -> list[type]:
    """Return the follow storages among, or in, modules, follow storages and managers.

    :param targets: as for :func:`find_feed_classes`
    :raises ConfigurationError: for a module that can't be imported

    >>> find_follow_storages(['stream_framework.storage.memory_follow_storage'])
    [<class 'stream_framework.storage.memory_follow_storage.InMemoryFollowStorage'>]
    """
    found = (getattr(value, 'follow_storage_class', value) for target in targets for value in _classes(target))
    return list(dict.fromkeys(value for value in found if hasattr(value, 'iter_followers')))


def backend_of(storage: type) -> str | None:
    """Return which of the library's backends a storage is of: ``'redis'``, ``'cassandra'`` and so on.

    >>> from stream_framework.storage.redis.follow_storage import RedisFollowStorage
    >>> backend_of(RedisFollowStorage), backend_of(dict)
    ('redis', None)
    """
    for base in storage.__mro__:
        package, _, name = base.__module__.rpartition('.')
        if package.startswith('stream_framework.storage.'):
            return package.rpartition('.')[2]
    return None


def _classes(target: Any) -> list[type]:
    """Return the classes that a target stands for."""
    if isinstance(target, str):
        try:
            target = importlib.import_module(target)
        except ImportError as error:
            raise ConfigurationError(f'{target} can not be imported: {error}') from error
    if not isinstance(target, types.ModuleType):
        return [target if isinstance(target, type) else type(target)]
    name = target.__name__
    return [
        value
        for value in vars(target).values()
        if isinstance(value, type) and (value.__module__ == name or value.__module__.startswith(f'{name}.'))
    ]


def _in_class(value: type) -> list[type]:
    # Told by what they have: a manager need not derive from the library's.
    if hasattr(value, 'timeline_storage_class'):
        named: list[Any] = [value]
    else:
        of_manager = getattr(value, 'feed_classes', None)
        named = [*of_manager.values()] if isinstance(of_manager, dict) else []
        named += (getattr(value, name, None) for name in ('user_feed_class', 'notification_feed_class'))
    return [feed_class for feed_class in named if isinstance(getattr(feed_class, 'timeline_storage_class', None), type)]
