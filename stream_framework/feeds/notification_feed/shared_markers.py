"""A warning for notification feeds that share their markers without meaning to."""

from __future__ import annotations

import warnings
from typing import Any
from weakref import WeakSet

# Where markers are -> the classes that keep theirs there.
_classes: dict[Any, WeakSet[Any]] = {}


def warn_of_shared_markers(feed: Any, default: str) -> None:
    """Warn once of each class that shares its markers with another, because both left ``markers_key_format`` alone.

    Marking one feed of a user then marks the other, and each badge counts both.

    :param feed: an instance, with its markers storage
    :param default: the ``markers_key_format`` of a class that sets none
    """
    cls = type(feed)
    if '_markers_are_checked' in vars(cls):
        return
    cls._markers_are_checked = True
    # Elsewhere markers lie beside the feed itself, and nobody shares them.
    if cls.markers_key_format != default or getattr(feed.feed_markers, 'base_key', None) != default % vars(feed):
        return
    place = (type(feed.feed_markers), getattr(cls, 'redis_server', None))
    classes = _classes.setdefault(place, WeakSet())
    other = next((other for other in classes if other.key_format != cls.key_format), None)
    classes.add(cls)
    if other is not None:
        warnings.warn(
            f'{cls.__name__} (key_format {cls.key_format!r}) and {other.__name__} ({other.key_format!r}) share the '
            f'markers of a user, since both have the default markers_key_format {default!r}: give each class one of '
            'its own',
            UserWarning,
            stacklevel=3,
        )
