"""What is counted and timed. :class:`Metrics` does nothing with it: derive from it, and name your class in settings.

>>> class Deliveries(Metrics):
...     count = 0
...     def on_fanout(self, feed_class, operation, activities_count=1):
...         self.count += activities_count

Then ``STREAM_METRIC_CLASS = 'myapp.metrics.Deliveries'``, and for the arguments of its constructor
``STREAM_METRICS_OPTIONS``. One instance is made for each process; its methods are called by whatever thread does the
work, so they should be quick.
"""

from __future__ import annotations

import contextlib
from typing import Any

_NOTHING: Any = contextlib.nullcontext()


class Metrics:
    """The metrics of an application that wants none, and the base of those that do something."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def fanout_timer(self, feed_class: type) -> Any:
        """A context manager around each fan-out task.

        :param feed_class: the class of the feeds that it writes
        """
        return _NOTHING

    def feed_reads_timer(self, feed_class: type) -> Any:
        """A context manager around each read of a slice, or of activities.

        :param feed_class: the class of the storage that is read, as in 1.4.0
        """
        return _NOTHING

    def on_feed_read(self, feed_class: type, activities_count: int) -> None:
        """So many activities, or groups, were read from a storage of this class."""

    def on_feed_remove(self, feed_class: type, activities_count: int) -> None:
        """So many are removed from a storage of this class; in a batch, just before it is sent."""

    def on_feed_write(self, feed_class: type, activities_count: int) -> None:
        """So many are written to a storage of this class; in a batch, just before it is sent."""

    def on_fanout(self, feed_class: type, operation: Any, activities_count: int = 1) -> None:
        """A fan-out task has written to feeds.

        :param feed_class: the class of the feeds
        :param operation: the function that was applied to each
        :param activities_count: how many activities, times how many feeds
        """

    def publish_timer(self, feed_class: type) -> Any:
        """A context manager around each publishing of a fan-out's tasks.

        :param feed_class: the class of the feeds that they write
        """
        return _NOTHING

    def on_task(self, task: str, event: str, count: int = 1) -> None:
        """Something has happened to a task.

        :param task: its name without the module: ``'fanout_operation'``
        :param event: ``'published'``; ``'done'``; ``'retried'``, after an error of a connection; ``'failed'``, for
            good; ``'rejected'``, a message that was refused; ``'skipped'``, somebody had done the work; of a ledger's
            entries ``'republished'`` and ``'given_up'``
        :param count: how often
        """

    def on_activity_published(self) -> None:
        """A manager has added an activity."""

    def on_activity_removed(self) -> None:
        """A manager has removed an activity."""
