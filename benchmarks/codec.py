"""What is stored, in memory: the serializers beside ``json`` and ``pickle`` of the same parts."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

from benchmarks import works
from benchmarks.measure import Contender, Report
from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.aggregators.base import RecentVerbAggregator
from stream_framework.serializers import codec
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.aggregated_activity_serializer import (
    AggregatedActivitySerializer,
    NotificationSerializer,
)

CONTEXT = {'title': 'One; two', 'tags': ['a', 'b'], 'count': 3, 'by': {'name': 'Anna', 'score': 0.5}}


class CodecBenchmark:
    """Writes and reads of one kind after the other."""

    def __init__(self, report: Report, scale: float = 1.0) -> None:
        self.report = report
        self.count = max(int(5000 * scale), 2)

    def run(self) -> None:
        """Measure everything."""
        self.pair(
            'context', CONTEXT, lambda value: codec.dumps(value, ';'), codec.loads, ('json', json.dumps, json.loads)
        )
        serializer = ActivitySerializer(Activity)
        plain = works.activities(self.count)
        rich = works.activities(self.count)
        for item in rich:
            item.extra_context = dict(CONTEXT)
        for name, activities in (('activity', plain), ('activity with a context', rich)):
            self.each(name, activities, serializer.dumps, serializer.loads)
        [group] = RecentVerbAggregator(AggregatedActivity, Activity).aggregate(works.activities(15))
        aggregated = AggregatedActivitySerializer(AggregatedActivity)
        self.pair('group of 15 ids', group, aggregated.dumps, aggregated.loads)
        [group] = RecentVerbAggregator(NotificationActivity, Activity).aggregate(works.activities(15))
        notification = NotificationSerializer(NotificationActivity)
        self.pair('notification of 15 activities', group, notification.dumps, notification.loads)

    def each(self, name: str, values: list[Any], dumps: Any, loads: Any) -> None:
        """Write, then read, each of some values; beside pickles of the very same."""
        stored = [dumps(value) for value in values]
        pickled = [pickle.dumps(value) for value in values]
        self._rate(f'write {name}', ('library', dumps, values), ('pickle', pickle.dumps, values))
        self._rate(f'read {name}', ('library', loads, stored), ('pickle', pickle.loads, pickled))

    def pair(self, name: str, value: Any, dumps: Any, loads: Any, other: Any = None) -> None:
        """The same with one value, many times."""
        other_name, other_dumps, other_loads = other or ('pickle', pickle.dumps, pickle.loads)
        many = [value] * self.count
        stored, theirs = [dumps(value)] * self.count, [other_dumps(value)] * self.count
        self._rate(f'write {name}', ('library', dumps, many), (other_name, other_dumps, many))
        self._rate(f'read {name}', ('library', loads, stored), (other_name, other_loads, theirs))

    def _rate(self, work: str, *ways: tuple[str, Callable[[Any], Any], list[Any]]) -> None:
        contenders = [
            Contender(name, lambda call=call, values=values: _all(call, values)) for name, call, values in ways
        ]
        self.report.rate(work, self.count, *contenders, unit='values/s')


def _all(call: Callable[[Any], Any], values: list[Any]) -> None:
    for value in values:
        call(value)
