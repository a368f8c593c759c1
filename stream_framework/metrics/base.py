"""What is counted and timed; this class does nothing with it."""

from __future__ import annotations

import contextlib
from typing import Any

_NOTHING: Any = contextlib.nullcontext()


class Metrics:
    """The metrics of an application that wants none, and the base of those that do something."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def fanout_timer(self, feed_class: type) -> Any:
        """A context manager that times a fan-out task."""
        return _NOTHING

    def feed_reads_timer(self, feed_class: type) -> Any:
        """A context manager that times reading a slice."""
        return _NOTHING

    def on_feed_read(self, feed_class: type, activities_count: int) -> None:
        """Activities were read."""

    def on_feed_remove(self, feed_class: type, activities_count: int) -> None:
        """Activities are removed."""

    def on_feed_write(self, feed_class: type, activities_count: int) -> None:
        """Activities are written."""

    def on_fanout(self, feed_class: type, operation: Any, activities_count: int = 1) -> None:
        """A fan-out task has written so many activities to feeds."""

    def on_activity_published(self) -> None:
        """A manager has added an activity."""

    def on_activity_removed(self) -> None:
        """A manager has removed an activity."""
