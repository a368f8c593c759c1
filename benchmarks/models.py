"""Models, serializers and task messages, in memory: beside the plainest Python that does the same without checks.

No value comes twice within a run: what anything remembers of values that it has met doesn't help.
"""

from __future__ import annotations

import datetime
import itertools
import json
from typing import Any

from benchmarks import plain, works
from stream_framework import messages
from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.aggregators.base import RecentVerbAggregator
from stream_framework.feed_managers.base import Manager, add_operation
from stream_framework.feeds.memory import Feed
from stream_framework.serializers import codec
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.aggregated_activity_serializer import (
    AggregatedActivitySerializer,
    NotificationSerializer,
)
from stream_framework.verbs import Love

#: A context of more kinds than most have.
CONTEXT = {'title': 'One; two', 'tags': ['a', 'b'], 'count': 3, 'by': {'name': 'Anna', 'score': 0.5}}
#: How many activities a group has.
GROUP = 15
#: What 1.4.0 reached with Python 3.11, a second; on another machine.
REFERENCES = {
    'Activity()': 903_000,
    'serialization_id': 985_000,
    'write activity, small context': 557_000,
    'read activity, small context': 320_000,
    'write group of 15 ids': 44_000,
    'read group of 15 ids': 211_000,
    'write notification of 15 activities': 27_000,
    'read notification of 15 activities': 20_000,
}

# What a task is given, and how a message names what isn't data.
_TASK = ('feed_manager', 'feed_class', 'user_ids', 'operation', 'operation_kwargs')

_PATHS = {'feed_manager': 'a.b:Manager', 'feed_class': 'a.b:Feed', 'operation': 'a.b:add_operation'}

_numbers = itertools.count(1)


class ModelsBenchmark(works.Benchmark):
    """One kind after the other."""

    def run(self) -> None:
        """Measure everything."""
        self.models()
        self.contexts()
        self.activities()
        self.groups()
        self.tasks()

    def models(self) -> None:
        moments = [item.time for item in self.make(5000)]
        for work, arguments in (('Activity()', (None,)), ('Activity(time=...)', moments)):
            values = list(itertools.islice(itertools.cycle(arguments), self.some(5000)))
            self.compare(
                work,
                ('library', lambda time: Activity(13, Love, 42, 7, time), values),
                ('plain class', lambda time: plain.PlainActivity(13, Love, 42, 7, time), values),
                unit='activities/s',
            )
        self.compare(
            'serialization_id',
            ('library', lambda activity: activity.serialization_id, self.make(5000)),
            ('plain class', lambda activity: activity.serialization_id, self.make(5000, plain.PlainActivity)),
            unit='ids/s',
        )

    def contexts(self) -> None:
        values = [{**CONTEXT, 'number': number} for number in range(self.some(2000))]
        stored = [json.dumps(value) for value in values]
        self.compare(
            'write context', ('library', lambda value: codec.dumps(value, ';'), values), ('json', json.dumps, values)
        )
        self.compare('read context', ('library', codec.loads, stored), ('json', json.loads, stored))

    def activities(self) -> None:
        serializer, by_hand = ActivitySerializer(Activity), plain.Activities({Love.id: Love})
        for name, with_context in (('activity', False), ('activity, small context', True)):
            kept = self.make(5000, with_context=with_context)
            self.compare(f'write {name}', ('library', serializer.dumps, kept), ('plain', by_hand.dumps, kept))
            stored = [serializer.dumps(activity) for activity in kept]
            self.compare(f'read {name}', ('library', serializer.loads, stored), ('plain', by_hand.loads, stored))
        # What the newest activities say is kept: they are in many users' pages. 20,000 are more than that.
        for name, count in (('page of 25', 5000), ('page of 25, each anew', 20_000)):
            stored = [serializer.dumps(activity) for activity in self.make(count)]
            pages = [list(enumerate(stored[start : start + 25])) for start in range(0, len(stored), 25)]
            self.compare(
                f'read {name}',
                ('library', serializer.load_many, pages),
                ('plain', lambda page: [by_hand.loads(text) for _, text in page], pages),
                unit='pages/s',
            )

    def groups(self) -> None:
        for name, group_class, serializer_class, by_hand in (
            (f'group of {GROUP} ids', AggregatedActivity, AggregatedActivitySerializer, plain.Groups()),
            (
                f'notification of {GROUP} activities',
                NotificationActivity,
                NotificationSerializer,
                plain.Groups(plain.Activities({Love.id: Love})),
            ),
        ):
            serializer = serializer_class(group_class)
            aggregator = RecentVerbAggregator(group_class)
            groups = [aggregator.aggregate(self.make(GROUP, exactly=True))[0] for _ in range(self.some(1000))]
            self.compare(f'write {name}', ('library', serializer.dumps, groups), ('plain', by_hand.dumps, groups))
            stored = [serializer.dumps(group) for group in groups]
            self.compare(f'read {name}', ('library', serializer.loads, stored), ('plain', by_hand.loads, stored))

    def tasks(self) -> None:
        user_ids = list(range(1_000_000, 1_000_100))
        calls = [
            {
                'feed_manager': Manager,
                'feed_class': Feed,
                'user_ids': user_ids,
                'operation': add_operation,
                'operation_kwargs': {'activities': [activity], 'trim': True},
            }
            for activity in self.make(1000, with_context=True)
        ]

        def write(call: dict[str, Any]) -> str:
            return json.dumps(messages.encode(_TASK, (), call)[1])

        def write_plain(call: dict[str, Any]) -> str:
            activity = call['operation_kwargs']['activities'][0]
            parts = [activity.actor_id, activity.verb.id, activity.object_id, activity.target_id]
            row = [*parts, activity.time.isoformat(), activity.extra_context]
            return json.dumps({**call, **_PATHS, 'operation_kwargs': {'activities': [row], 'trim': True}})

        def read_plain(text: str) -> dict[str, Any]:
            call = json.loads(text)
            kwargs = call['operation_kwargs']
            kwargs['activities'] = [
                plain.PlainActivity(
                    actor, verbs[verb], object_id, target, datetime.datetime.fromisoformat(time), context
                )
                for actor, verb, object_id, target, time, context in kwargs['activities']
            ]
            return call

        verbs = {Love.id: Love}
        written, written_plain = list(map(write, calls)), list(map(write_plain, calls))
        self.compare(
            'write fan-out task of 100 users', ('library', write, calls), ('json', write_plain, calls), unit='tasks/s'
        )
        self.compare(
            'read fan-out task of 100 users',
            ('library', lambda text: messages.decode(_TASK, (), json.loads(text)), written),
            ('json', read_plain, written_plain),
            unit='tasks/s',
        )

    def make(self, count: int, kind: Any = Activity, with_context: bool = False, exactly: bool = False) -> list[Any]:
        """Activities that there were none like before, of one day."""
        made = []
        for _ in range(count if exactly else self.some(count)):
            number = next(_numbers)
            time = works.START + datetime.timedelta(milliseconds=number % 36_000_000, microseconds=number % 1000)
            context = {'title': f'number {number}', 'size': number} if with_context else None
            made.append(kind(number, Love, 10 * number, 7, time, context))
        return made

    def compare(self, work: str, *ways: Any, unit: str = 'values/s') -> None:
        """Measure one kind, beside what 1.4.0 reached."""
        self.report.each(work, *ways, unit=unit, reference=REFERENCES.get(work))
