"""The settings: ``from stream_framework import settings``, then ``settings.STREAM_REDIS_CONFIG``.

Their names, defaults and units are in :mod:`stream_framework.default_settings`. Each is looked up when it is read, in
this order; the first that has it wins:

1. what :func:`configure`, or an assignment to this module, has set; of the two, whichever came last
2. Django's settings, where Django is configured (``DJANGO_SETTINGS_MODULE``, or ``django.conf.settings.configure()``)
3. the environment: ``STREAM_REDIS_URL``, ``STREAM_CASSANDRA_HOSTS`` (separated by commas), ``STREAM_DEFAULT_KEYSPACE``,
   ``STREAM_CASSANDRA_CONSISTENCY_LEVEL``, ``STREAM_SQL_URL``
4. the default

A change takes effect with the next connection that is made.

>>> from stream_framework import settings
>>> settings.configure(STREAM_DEFAULT_KEYSPACE='news')
>>> settings.STREAM_DEFAULT_KEYSPACE
'news'
>>> del settings.STREAM_DEFAULT_KEYSPACE
>>> settings.STREAM_DEFAULT_KEYSPACE
'stream_framework'
"""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import sys
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from stream_framework import default_settings
from stream_framework.exceptions import ConfigurationError

if TYPE_CHECKING:
    from stream_framework.default_settings import *  # noqa: F403

#: The names of all settings.
NAMES = tuple(name for name in vars(default_settings) if name.isupper())

_configured: dict[str, Any] = {}
_listeners: list[Callable[[], None]] = []
_missing = object()


def configure(**values: Any) -> None:
    """Set some settings; the others stay as they are.

    :param values: name -> value
    :raises ConfigurationError: for a name that is no setting; nothing is set then
    """
    for name in values:
        _check_name(name)
    _configured.update(values)
    _tell_listeners()


def on_change(listener: Callable[[], None]) -> None:
    """Call a function after each :func:`configure`, assignment and ``del``."""
    _listeners.append(listener)


def _tell_listeners() -> None:
    for listener in _listeners:
        listener()


def _check_name(name: str) -> None:
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, 1)
        hint = f' (did you mean {close[0]}?)' if close else ''
        raise ConfigurationError(f'{name} is no setting{hint}; there are {", ".join(NAMES)}')


def _look_up(name: str) -> Any:
    found = _from_django(name)
    if found is _missing:
        found = _from_environment(name)
    return getattr(default_settings, name) if found is _missing else found


def source_of(name: str) -> str:
    """Return where a setting's value comes from.

    :returns: ``'configure'``, ``'Django'``, ``'environment'`` or ``'default'``
    :raises ConfigurationError: for a name that is no setting

    >>> from stream_framework import settings
    >>> settings.source_of('STREAM_METRICS_OPTIONS')
    'default'
    """
    _check_name(name)
    if name in _configured:
        return 'configure'
    if _from_django(name) is not _missing:
        return 'Django'
    return 'default' if _from_environment(name) is _missing else 'environment'


def unknown_names() -> dict[str, tuple[str, str | None]]:
    """Find names that look like settings of the library but are none: nothing reads them.

    :returns: name -> where it was found, ``'Django'`` or ``'environment'``, and the nearest name that there is, or
        ``None``. (:func:`configure` refuses such names at once.)
    """
    django = _django_settings()
    variables = [variable for variable, _ in _ENVIRONMENT.values()]
    found: dict[str, tuple[str, str | None]] = {}
    for name in os.environ:
        if name.startswith('STREAM_') and name not in variables:
            found[name] = ('environment', _nearest(name, variables))
    for name in () if django is _missing else dir(django):
        if name.isupper() and name.startswith(('STREAM_', 'CASSANDRA_DRIVER')) and name not in NAMES:
            found[name] = ('Django', _nearest(name, NAMES))
    return found


def _nearest(name: str, known: Iterable[str]) -> str | None:
    # Closer than for a name that must be a setting: STREAM_PAGE_SIZE may well be the application's own.
    return next(iter(difflib.get_close_matches(name, known, 1, 0.75)), None)


def _from_django(name: str) -> Any:
    return getattr(_django_settings(), name, _missing)


def _django_settings() -> Any:
    # Nobody can have configured Django without importing this, or naming the module of its settings.
    django_conf = sys.modules.get('django.conf')
    if django_conf is None and not _variable('DJANGO_SETTINGS_MODULE'):
        return _missing
    if django_conf is None:
        try:
            django_conf = importlib.import_module('django.conf')
        except ImportError:
            return _missing
    settings = getattr(django_conf, 'settings', None)
    if settings is None or not (settings.configured or _variable('DJANGO_SETTINGS_MODULE')):
        return _missing
    return settings


def _from_environment(name: str) -> Any:
    variable, read = _ENVIRONMENT.get(name, (None, None))
    text = _variable(variable).strip() if variable else ''
    return read(text) if read and text else _missing


def _variable(name: str) -> str:
    """Return an environment variable, ``''`` where there is none.

    Settings are looked up seven times for a page. ``os.environ.get`` takes most of that time for a variable that isn't
    there, because it raises two exceptions; the dict behind it raises none.
    """
    data: dict[bytes, bytes] | None = getattr(os.environ, '_data', None)
    if data is not None and os.name == 'posix' and name.encode() not in data:
        return ''
    return os.environ.get(name, '')


@functools.lru_cache(maxsize=8)
def _redis_by_url(url: str) -> dict[str, Any]:
    return {'default': {'url': url}}


@functools.lru_cache(maxsize=8)
def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(',') if part.strip()]


def _number_or_name(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


# Setting -> the variable, and what makes a value of its text.
_ENVIRONMENT: dict[str, tuple[str, Any]] = {
    'STREAM_REDIS_CONFIG': ('STREAM_REDIS_URL', _redis_by_url),
    'STREAM_CASSANDRA_HOSTS': ('STREAM_CASSANDRA_HOSTS', _listed),
    'STREAM_DEFAULT_KEYSPACE': ('STREAM_DEFAULT_KEYSPACE', str),
    'STREAM_CASSANDRA_CONSISTENCY_LEVEL': ('STREAM_CASSANDRA_CONSISTENCY_LEVEL', _number_or_name),
    'STREAM_SQL_URL': ('STREAM_SQL_URL', str),
}


class _Settings(types.ModuleType):
    """This module, with the settings among its attributes."""

    def __getattr__(self, name: str) -> Any:
        # Runs only for what isn't there.
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}; the settings are {", ".join(NAMES)}')

    def __setattr__(self, name: str, value: Any) -> None:
        if name.isupper() and name != 'NAMES':
            configure(**{name: value})
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Forget what was set, so that Django, the environment or the default decides again."""
        if name in NAMES:
            _configured.pop(name, None)
            _tell_listeners()
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *NAMES]


def _value(name: str, module: Any) -> Any:
    found = _configured.get(name, _missing)
    return _look_up(name) if found is _missing else found


# Properties are found faster than by a __getattr__, and some settings are read with every page and every chunk.
for _name in NAMES:
    setattr(_Settings, _name, property(functools.partial(_value, _name)))

sys.modules[__name__].__class__ = _Settings
