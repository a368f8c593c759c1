"""The names under which metrics are sent, as 1.4.0 sent them; who sends them only counts and times by name."""

from __future__ import annotations

from typing import Any

from stream_framework.metrics.base import Metrics


class NamedMetrics(Metrics):
    """What the fan-out, the storages and the manager do, as counters and timers with a name each.

    >>> class Printed(NamedMetrics):
    ...     def count(self, name, number):
    ...         print(name, number)
    >>> from stream_framework.feed_managers.base import add_operation
    >>> from stream_framework.feeds.memory import Feed
    >>> Printed().on_fanout(Feed, add_operation, 25)
    Feed.fanout.add_operation 25
    """

    def count(self, name: str, number: int) -> None:
        """Add to a counter."""
        raise NotImplementedError

    def timer(self, name: str) -> Any:
        """A context manager that sends how long its block took."""
        raise NotImplementedError

    def fanout_timer(self, feed_class: type) -> Any:
        """Times a fan-out task."""
        return self.timer(f'{feed_class.__name__}.fanout_latency')

    def feed_reads_timer(self, feed_class: type) -> Any:
        """Times reading a slice, or activities."""
        return self.timer(f'{feed_class.__name__}.read_latency')

    def on_feed_read(self, feed_class: type, activities_count: int) -> None:
        """Counts what was read."""
        self.count(f'{feed_class.__name__}.reads', activities_count)

    def on_feed_remove(self, feed_class: type, activities_count: int) -> None:
        """Counts what is removed."""
        self.count(f'{feed_class.__name__}.deletes', activities_count)

    def on_feed_write(self, feed_class: type, activities_count: int) -> None:
        """Counts what is written."""
        self.count(f'{feed_class.__name__}.writes', activities_count)

    def on_fanout(self, feed_class: type, operation: Any, activities_count: int = 1) -> None:
        """Counts what a fan-out task delivered."""
        # An operation may be a partial, or an object that is called.
        name = getattr(operation, '__name__', type(operation).__name__)
        self.count(f'{feed_class.__name__}.fanout.{name}', activities_count)

    def publish_timer(self, feed_class: type) -> Any:
        """Times publishing the tasks of a fan-out."""
        return self.timer(f'{feed_class.__name__}.publish_latency')

    def on_task(self, task: str, event: str, count: int = 1) -> None:
        """Counts what happened to tasks."""
        self.count(f'tasks.{task}.{event}', count)

    def on_activity_published(self) -> None:
        """Counts an activity."""
        self.count('activities.published', 1)

    def on_activity_removed(self) -> None:
        """Counts a removal."""
        self.count('activities.removed', 1)
