"""The feeds, managers and activities that are measured, the same on every backend."""

from __future__ import annotations

import datetime
import itertools
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.measure import Report
from stream_framework.activity import Activity
from stream_framework.aggregators.base import NotificationAggregator
from stream_framework.feed_managers.base import Manager, add_operation
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.verbs import Love

#: Keeps what this run writes apart from whatever else is on the server.
TOKEN = f'bench:{uuid.uuid4().hex[:8]}'

#: When the first activity happened; a fixed moment, so that every run writes the same.
START = datetime.datetime(2014, 2, 3, 8, 0, 0, 123456)

#: What most contexts are like.
CONTEXT = {'title': 'Sunset over the harbour', 'size': 1024}

_numbers = itertools.count(1)


class Benchmark:
    """What the works on each backend share.

    :param scale: 1 is the full size of each work
    """

    #: The manager whose fan-outs are measured.
    manager: Any

    def __init__(self, report: Report, scale: float = 1.0) -> None:
        self.report = report
        self.scale = scale

    def some(self, count: int) -> int:
        """A size, scaled."""
        return max(int(count * self.scale), 2)

    def points(self, first: int, last: int) -> list[int]:
        """What a series goes through: powers of ten from the first to the last, which is scaled."""
        found = [first]
        while found[-1] * 10 <= last * self.scale:
            found.append(found[-1] * 10)
        return found

    def agree(self, work: str, argument: Any, contenders: Sequence[tuple[str, Callable[[Any], Any]]]) -> None:
        """See to it that all contenders read the same, activities or groups; the library is the first.

        :raises RuntimeError: if they don't
        """
        pages = [(name, list(map(_content, call(argument)))) for name, call in contenders]
        for name, page in pages:
            if not page or page != pages[0][1]:
                raise RuntimeError(f'{work}: {name} reads {page[:1]} ..., {pages[0][0]} {pages[0][1][:1]} ...')

    def fan_out_by_manager(
        self,
        users: Sequence[Any],
        feed_class: Any,
        activities: Sequence[Activity] = (),
        size: int = 100,
        at_a_time: int = 1,
    ) -> None:
        """What workers do for one activity, a new one unless given, or some: task by task, each of so many feeds.

        :param at_a_time: how many tasks; more than one as a worker with so many threads does them
        """
        kwargs = {'activities': activities or [newer()], 'trim': True}

        def task(start: int) -> None:
            self.manager.fanout(users[start : start + size], feed_class, add_operation, kwargs)

        starts = range(0, len(users), size)
        if at_a_time == 1:
            for start in starts:
                task(start)
            return
        with ThreadPoolExecutor(at_a_time) as threads:
            list(threads.map(task, starts))


def activity(number: int, actor: int = 13, object_id: int | None = None) -> Activity:
    """One activity, a second after that of the number before."""
    time = START + datetime.timedelta(seconds=number)
    return Activity(actor, Love, 1000 + number if object_id is None else object_id, 7, time=time)


def activities(count: int, actor: int = 13, first: int = 0) -> list[Activity]:
    """Activities of one actor, the oldest first."""
    return [activity(number, actor) for number in range(first, first + count)]


def newer() -> Activity:
    """An activity that no feed has yet, newer than all before."""
    return activity(1_000_000 + next(_numbers))


def joining(object_id: int) -> Activity:
    """An activity that no feed has yet, of the day of all those in groups; each a millisecond after that before."""
    number = next(_numbers)
    made = activity(3600, actor=1_000_000 + number, object_id=object_id)
    made.time += datetime.timedelta(milliseconds=number)
    return made


def feed(base: Any, name: str, **attributes: Any) -> Any:
    """A feed class with keys of its own."""
    attributes.setdefault('key_format', f'{TOKEN}:{name}:%(user_id)s')
    if hasattr(base, 'markers_key_format'):
        attributes.setdefault('markers_key_format', f'{TOKEN}:{name}:%(user_id)s')
    return type(name.title(), (base,), attributes)


def user_feed(base: Any) -> Any:
    """The class of the feeds of what users did."""
    return type('User', (UserBaseFeed, base), {'key_format': f'{TOKEN}:user:%(user_id)s'})


def manager(user_feed_class: Any, **feed_classes: Any) -> Any:
    """A manager of these feeds, without followers."""

    class BenchmarkManager(Manager):
        """Whom to fan out to is given by each work."""

        def get_user_follower_ids(self, user_id: Any) -> dict[Any, Any]:
            return {}

    BenchmarkManager.user_feed_class = user_feed_class
    BenchmarkManager.feed_classes = feed_classes
    return BenchmarkManager()


def _content(item: Any) -> Any:
    if hasattr(item, 'group'):
        return item.group, list(map(_content, item.activities)), item.created_at, item.updated_at
    return item.actor_id, item.verb.id, item.object_id, item.target_id, item.time


class ByObject(NotificationAggregator):
    """One group for each object: how many groups a feed has is then how many objects there are."""


def grouped(groups: int, of: int) -> list[Activity]:
    """Activities that make so many groups of so many each, of one day."""
    return [
        activity(member * groups + group, actor=member + 1, object_id=group + 1)
        for member in range(of)
        for group in range(groups)
    ]
