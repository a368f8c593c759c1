"""Import paths in task messages: what a message may name, and how a worker finds it.

Whoever can write to the broker can name anything, so a path is looked at before anything is imported, and what it leads
to is looked at before anything is called:

- a path is ``package.module:QualName``, of plain names; no name begins with two underscores;
- modules of the standard library are never imported, nor looked into;
- a manager is a class with a ``fanout`` method, a feed a subclass of ``BaseFeed``, an activity one of ``BaseActivity``;
- an operation is a function, defined at the top of the very module that is named, which belongs to the library or to
  the top-level package of the manager or the feed (or to what the setting ``STREAM_TASK_MODULES`` lists instead).

Publishing applies the same rules, so that what can't run fails where the mistake is. ``local`` stands for eager runs
and direct calls: nothing leaves the process, so ``__main__`` (scripts, notebooks, doctests) is allowed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from stream_framework import settings
from stream_framework.activity import BaseActivity
from stream_framework.exceptions import ConfigurationError, MessageError, StorageConnectionError
from stream_framework.feeds.base import BaseFeed

MAIN = '__main__'

_LIBRARY = __name__.partition('.')[0]
_MAX_LENGTH = 500
# Modules that a server's answer decides about may be imported later: such errors are for the task's retries.
_TRANSIENT = (ConnectionError, TimeoutError, StorageConnectionError)
_STANDARD_FOLDERS = tuple(
    {os.path.join(sysconfig.get_path(name), '') for name in ('stdlib', 'platstdlib') if sysconfig.get_path(name)}
)
_INSTALLED_FOLDERS = tuple(f'{os.sep}{name}{os.sep}' for name in ('site-packages', 'dist-packages'))

# What was published to this process itself, by path: __main__ of a doctest isn't the one in sys.modules.
_published_here: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def manager_path(manager: Any, local: bool = False) -> str:
    """Return the path of a manager's class, for a message.

    :param manager: an instance, a class, or a path
    :param local: for this process alone
    :raises MessageError: if a worker couldn't make such a manager
    """
    if isinstance(manager, str):
        _check_constructor(resolve_manager(manager, local))
        return manager
    cls = manager if isinstance(manager, type) else type(manager)
    _check_manager(cls)
    _check_constructor(cls)
    return _path_of(cls, 'manager', local)


def feed_path(feed_class: Any, local: bool = False) -> str:
    """Return the path of a feed class, for a message.

    :param feed_class: the class, or a path
    :raises MessageError: if a worker couldn't find it
    """
    if isinstance(feed_class, str):
        resolve_feed(feed_class, local)
        return feed_class
    _check_subclass(feed_class, BaseFeed, 'feed class')
    return _path_of(feed_class, 'feed class', local)


def activity_path(activity_class: type, local: bool = False) -> str:
    """Return the path of an activity's class, for a message.

    :raises MessageError: if a worker couldn't find it
    """
    _check_subclass(activity_class, BaseActivity, 'activity class')
    return _path_of(activity_class, 'activity class', local)


def operation_path(operation: Any, owners: Iterable[type], local: bool = False) -> str:
    """Return the path of an operation, for a message.

    :param operation: the function, or a path
    :param owners: the classes of the manager and the feed
    :raises MessageError: if a worker wouldn't run it
    """
    if isinstance(operation, str):
        resolve_operation(operation, owners, local)
        return operation
    if not inspect.isfunction(operation):
        raise MessageError(
            f'operation {short(operation)} is no function: write a module-level function that takes the feed and '
            'the operation_kwargs, and give that'
        )
    path = _path_of(operation, 'operation', local)
    _check_operation(path, operation, owners, local)
    return path


def resolve_manager(path: Any, local: bool = False) -> type:
    """Return the manager class that a message names.

    :raises MessageError: if it names no class with a ``fanout`` method
    """
    return _check_manager(_find(path, 'manager', local))


def resolve_feed(path: Any, local: bool = False) -> type:
    """Return the feed class that a message names.

    :raises MessageError: if it names no subclass of ``BaseFeed``
    """
    return _check_subclass(_find(path, 'feed class', local), BaseFeed, 'feed class')


def resolve_activity(path: Any, local: bool = False) -> type:
    """Return the activity class that a message names.

    :raises MessageError: if it names no subclass of ``BaseActivity``
    """
    return _check_subclass(_find(path, 'activity class', local), BaseActivity, 'activity class')


def resolve_operation(path: Any, owners: Iterable[type], local: bool = False) -> Callable[..., Any]:
    """Return the operation that a message names.

    :param owners: the classes of the manager and the feed
    :raises MessageError: if it names no function that a message to them may name; its module isn't imported then
    """
    module, _ = _split(path, 'operation', local)
    _check_package(module, owners, local)
    return _check_operation(path, _find(path, 'operation', local), owners, local)


def _path_of(thing: Any, role: str, local: bool) -> str:
    module, name = getattr(thing, '__module__', None), getattr(thing, '__qualname__', None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise MessageError(f'{role} {short(thing)} has no import path: define it at the top of a module')
    if '<' in name:
        kind = 'a lambda' if name.endswith('<lambda>') else 'defined inside a function'
        raise MessageError(
            f'{role} {module}:{name} is {kind}, so no worker can import it: define it, by its own name, at the top of '
            'a module'
        )
    path = f'{module}:{name}'
    if module == MAIN and not local:
        raise MessageError(
            f'{role} {path} is in the script that was started, which a worker can not import: move it into a module '
            'of its own and import it from there (only with task_always_eager may it stay)'
        )
    _split(path, role, local)
    if local:
        _published_here[path] = thing
    elif _find(path, role, local) is not thing:
        raise MessageError(
            f'{role} {short(thing)} is not what {path} is: give it, at the top of its module, the name that it was '
            'defined with'
        )
    return path


def _find(path: Any, role: str, local: bool) -> Any:
    module_name, names = _split(path, role, local)
    if local and path in _published_here:
        return _published_here[path]
    try:
        # Also where it is in sys.modules already: this waits while another thread is importing it.
        module = importlib.import_module(module_name)
    except _TRANSIENT:
        raise
    except Exception as error:
        raise MessageError(
            f"{role} {path}: can't import {module_name} ({type(error).__name__}: {error}); install it where the worker "
            'runs, or, if it was moved, leave an import at its old place until old messages are done'
        ) from error
    found: Any = module
    for name in names:
        # What is written in the module or class itself: no attribute of an instance, nothing that __getattr__ makes up.
        if not isinstance(found, (type, types.ModuleType)) or name not in vars(found):
            raise MessageError(
                f'{role} {path}: there is no {name} in {short(found)}; if it was moved or renamed, leave an import '
                'at its old place until old messages are done'
            )
        found = vars(found)[name]
        if isinstance(found, types.ModuleType):
            raise MessageError(f'{role} {path}: {name} is a module, a message names classes and functions')
    return found


def _split(path: Any, role: str, local: bool) -> tuple[str, list[str]]:
    if not isinstance(path, str) or len(path) > _MAX_LENGTH:
        raise MessageError(f'{role} {short(path)} is no import path: it must be a str, "package.module:QualName"')
    return _split_text(path, role, local)


@functools.lru_cache(maxsize=1024)
def _split_text(path: str, role: str, local: bool) -> tuple[str, list[str]]:
    # Nearly all messages name the same few things.
    module, colon, name = path.partition(':')
    names = name.split('.')
    parts = names if module == MAIN and local else [*module.split('.'), *names]
    if not colon or not all(part.isidentifier() for part in parts):
        raise MessageError(f'{role} {short(path)} is no import path: it must look like "package.module:QualName"')
    if any(part.startswith('__') for part in parts):
        raise MessageError(f'{role} {path}: a message may name nothing that begins with two underscores')
    top = module.partition('.')[0]
    if top != MAIN and _is_standard(top):
        raise MessageError(f'{role} {path}: a message may name nothing in the standard library')
    return module, names


@functools.lru_cache(maxsize=1024)
def _is_standard(top: str) -> bool:
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    # The list leaves some out, `test` for one, where importing a module may run all of Python's own tests.
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return False  # no such module, or one that was put into sys.modules by hand
    if spec is None:
        return False
    if spec.origin in ('built-in', 'frozen'):
        return True
    places = [spec.origin, *(spec.submodule_search_locations or ())]
    return any(
        place.startswith(_STANDARD_FOLDERS) and not any(folder in place for folder in _INSTALLED_FOLDERS)
        for place in places
        if place
    )


def _check_manager(cls: Any) -> type:
    if not isinstance(cls, type) or not callable(getattr(cls, 'fanout', None)):
        raise MessageError(f'manager {short(cls)} is no class with a fanout method')
    return cls


@functools.lru_cache(maxsize=256)
def _check_constructor(cls: type) -> None:
    try:
        inspect.signature(cls).bind()
    except ValueError:
        return  # a class in C that doesn't say
    except TypeError as error:
        raise MessageError(
            f'manager {short(cls)} needs arguments ({error}), and a worker makes it without any: give them defaults, '
            'or derive a class that fills them in'
        ) from error


def _check_subclass(cls: Any, base: type, role: str) -> type:
    if not isinstance(cls, type) or not issubclass(cls, base):
        raise MessageError(f'{role} {short(cls)} is no subclass of {base.__module__}.{base.__qualname__}')
    return cls


def _check_operation(path: str, operation: Any, owners: Iterable[type], local: bool) -> Callable[..., Any]:
    module, names = _split(path, 'operation', local)
    _check_package(module, owners, local)
    if (
        not inspect.isfunction(operation)
        or operation.__module__ != module
        or operation.__qualname__ != names[0]
        or len(names) > 1
    ):
        raise MessageError(
            f'operation {path} is no function that is defined at the top of {module}: methods, classes, callables and '
            'what is only imported there can not be named'
        )
    return operation


def _check_package(module: str, owners: Iterable[type], local: bool) -> None:
    packages = [_LIBRARY]
    if module == MAIN and local:
        return
    prefixes = settings.STREAM_TASK_MODULES
    if prefixes is None:
        packages += [owner.__module__.partition('.')[0] for owner in owners]
    elif not isinstance(prefixes, (list, tuple, set, frozenset)) or not all(isinstance(one, str) for one in prefixes):
        raise ConfigurationError(
            f"STREAM_TASK_MODULES is {prefixes!r}: give a list of prefixes, ['myapp.feeds'], or None"
        )
    else:
        packages += prefixes
    if not any(module == package or module.startswith(f'{package}.') for package in packages):
        raise MessageError(
            f'an operation in {module} can not be named by a message: allowed are {", ".join(sorted(set(packages)))}; '
            'define it in the package of the manager or the feed, or list its module in STREAM_TASK_MODULES'
        )


def short(value: Any) -> str:
    """Return a value's ``repr`` for the text of an error, cut off; one that fails is named."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the error to report is another
        text = f'<{type(value).__name__} whose repr fails: {type(error).__name__}>'
    return text if len(text) <= 200 else text[:197] + '...'
