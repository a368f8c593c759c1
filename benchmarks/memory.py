"""What feeds take in this process's memory, as ``tracemalloc`` counts it."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks import works
from benchmarks.measure import Report
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed


class Aggregated(AggregatedFeed):
    aggregator_class = works.ByObject


class MemoryBenchmark(works.Benchmark):
    """Bytes of feeds and activities of the memory backend."""

    def __init__(self, report: Report, scale: float = 1.0) -> None:
        super().__init__(report, scale)
        self.flat = works.feed(Feed, 'flat')
        self.aggregated = works.feed(Aggregated, 'aggregated')
        self.notification = works.feed(NotificationFeed, 'notification')

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        users = range(self.some(100))
        self.bytes_of(
            'activity', self.some(10_000), lambda: self.flat.insert_activities(works.activities(self.some(10_000)))
        )
        for work, feed_class, make in (
            ('a flat feed of 100', self.flat, lambda: works.activities(100)),
            ('an aggregated feed, 20 groups of 3', self.aggregated, lambda: works.grouped(20, of=3)),
            ('a notification feed, 20 groups of 3', self.notification, lambda: works.grouped(20, of=3)),
        ):
            # Activities belong to all feeds: they are stored before.
            feed_class.insert_activities(make())

            def fill(feed_class: Any = feed_class, make: Callable[[], Any] = make) -> None:
                for user in users:
                    feed_class(user).add_many(make())

            self.bytes_of(work, len(users), fill)
            for user in users:
                feed_class(user).delete()

    def bytes_of(self, name: str, count: int, work: Callable[[], Any]) -> None:
        """Bytes that are still there after some work, for each of so many."""
        if not self.report.wants(f'memory of {name}'):
            return
        gc.collect()
        tracemalloc.start()
        try:
            work()
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.report.value(f'memory of {name}', taken / count, 'bytes')
