"""Small things that the rest uses; none of them knows about feeds."""

from __future__ import annotations

import collections
import datetime
import functools
import importlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, DuplicateActivityException

logger = logging.getLogger(__name__)

_EPOCH = datetime.datetime(1970, 1, 1)
_MISSING = object()


def chunks(iterable: Iterable[Any], n: int = 10000) -> Iterator[tuple[Any, ...]]:
    """The items in tuples of ``n``, the last one perhaps shorter; an iterator is read as far as needed.

    :raises ValueError: for ``n`` below 1

    >>> list(chunks(range(5), 2))
    [(0, 1), (2, 3), (4,)]
    """
    if n < 1:
        raise ValueError(f'n is {n}: a chunk has at least one item')
    iterator = iter(iterable)
    while chunk := tuple(itertools.islice(iterator, n)):
        yield chunk


def datetime_to_epoch(dt: datetime.datetime) -> float:
    """Seconds since 1970 of a naive UTC datetime.

    >>> datetime_to_epoch(datetime.datetime(2013, 7, 8, 6, 59, 15))
    1373266755.0
    """
    return (dt - _EPOCH).total_seconds()


def epoch_to_datetime(seconds: float) -> datetime.datetime:
    """The naive UTC datetime of seconds since 1970.

    >>> epoch_to_datetime(1373266755.5)
    datetime.datetime(2013, 7, 8, 6, 59, 15, 500000)
    """
    return _EPOCH + datetime.timedelta(seconds=float(seconds))


def make_list_unique(sequence: Iterable[Any], marker_function: Callable[[Any], Any] | None = None) -> list[Any]:
    """The first of each kind, in order.

    :param marker_function: what tells kinds apart, by default the item itself

    >>> make_list_unique([3, 1, 3, 2])
    [3, 1, 2]
    """
    unique: dict[Any, Any] = {}
    for item in sequence:
        unique.setdefault(item if marker_function is None else marker_function(item), item)
    return list(unique.values())


def warn_on_error(f: Callable[..., Any], exceptions: Any) -> Callable[..., Any]:
    """``f``, whose exceptions of these classes are logged as warnings, with the traceback, instead of raised.

    :param exceptions: a class or a tuple of classes
    :returns: a function that returns what ``f`` does, or ``None`` where that has raised one of them
    """

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return f(*args, **kwargs)
        except exceptions as error:
            logger.warning('%s', error, exc_info=True)
            return None

    return wrapper


def warn_on_duplicate(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, whose :class:`~stream_framework.exceptions.DuplicateActivityException` is logged instead of raised."""
    return warn_on_error(f, (DuplicateActivityException,))


class memoized:  # noqa: N801
    """A function that is called once for each set of arguments; unhashable ones are passed through.

    >>> @memoized
    ... def twice(number):
    ...     return 2 * number
    >>> twice(2), twice(2)
    (4, 4)
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.cache: dict[Any, Any] = {}
        functools.update_wrapper(self, func)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = (args, tuple(sorted(kwargs.items()))) if kwargs else args
        try:
            value = self.cache.get(key, _MISSING)
        except TypeError:
            return self.func(*args, **kwargs)
        if value is _MISSING:
            value = self.cache[key] = self.func(*args, **kwargs)
        return value

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


class LRUCache:
    """A dict of at most ``capacity`` items that forgets what was used longest ago; for one thread.

    >>> cache = LRUCache(1)
    >>> cache.set('a', 1)
    >>> cache.set('b', 2)
    >>> cache.get('a'), cache.get('b')
    (None, 2)
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.cache: collections.OrderedDict[Any, Any] = collections.OrderedDict()

    def get(self, key: Any, default: Any = None) -> Any:
        """The value, which is now the one used last; or the default."""
        try:
            self.cache.move_to_end(key)
        except KeyError:
            return default
        return self.cache[key]

    def set(self, key: Any, value: Any) -> None:
        """Keep a value, which is now the one used last."""
        self.cache[key] = value
        self.cache.move_to_end(key)
        while len(self.cache) > self.capacity:
            self.cache.popitem(last=False)


_NO_METRICS = 'stream_framework.metrics.base.Metrics'
_metrics: tuple[Any, Any, Any] = (None, None, None)


def get_metrics_instance() -> Any:
    """The metrics that the settings name; made once, and again when the settings have changed.

    :returns: an instance of ``STREAM_METRIC_CLASS``, made with ``STREAM_METRICS_OPTIONS``
    :raises ImportError: where there is no such class
    :raises ConfigurationError: where a setting has the wrong type, or the class doesn't take the options
    """
    global _metrics
    path = settings.STREAM_METRIC_CLASS
    made_for, made_with, metrics = _metrics
    if path == made_for == _NO_METRICS:
        # What does nothing does the same with all options.
        return metrics
    options = settings.STREAM_METRICS_OPTIONS
    if made_for != path or made_with != options:
        metrics = _make_metrics(path, options)
        _metrics = (path, dict(options), metrics)
    return metrics


def _make_metrics(path: Any, options: Any) -> Any:
    if not isinstance(path, str):
        raise ConfigurationError(f"STREAM_METRIC_CLASS is {path!r}: give an import path, 'package.module.Name'")
    # Only kinds and names: among the values may be a password.
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise ConfigurationError(
            f'STREAM_METRICS_OPTIONS is a {type(options).__name__}: give a dict of keywords of {path}'
        )
    made = get_class_from_string(path)
    try:
        return made(**options)
    except TypeError as error:
        raise ConfigurationError(
            f'STREAM_METRIC_CLASS {path} can not be made with the keywords {", ".join(options) or "none"} of '
            f'STREAM_METRICS_OPTIONS: {error}'
        ) from error


class MetricsOfSettings:
    """A class attribute that is :func:`get_metrics_instance`, until something else is assigned to it."""

    def __get__(self, thing: Any, owner: type | None = None) -> Any:
        return get_metrics_instance()


def count_task(name: str, event: str, count: int = 1) -> None:
    """Tell the metrics what happened to a task.

    :param name: the task's name
    :param event: as of :meth:`stream_framework.metrics.base.Metrics.on_task`
    """
    # A class that an application wrote for 1.4.0 need not derive from ours.
    on_task = getattr(get_metrics_instance(), 'on_task', None)
    if on_task is not None:
        on_task(name.rpartition('.')[2], event, count)


def get_class_from_string(path: str, default: Any = None) -> Any:
    """What an import path names.

    :param path: ``'package.module.Name'``; the module is imported
    :param default: returned, if given, where there is no such thing
    :raises ImportError: where there is no such thing, and no default

    >>> get_class_from_string('collections.OrderedDict')
    <class 'collections.OrderedDict'>
    """
    module, _, name = path.rpartition('.')
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        if default is not None:
            return default
        raise ImportError(
            f"{path!r} names nothing that can be imported ({error}): give 'package.module.Name'"
        ) from error
