"""A real network on Redis: everything that people did is fanned out, and everybody follows whom they write to."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Iterator
from typing import Any

from benchmarks import works
from benchmarks.measure import Contender
from benchmarks.redis import RedisBenchmark
from stream_framework.activity import Activity
from stream_framework.feed_managers.base import FanoutPriority
from stream_framework.verbs import Love

_EPOCH = datetime.datetime(1970, 1, 1)


class ReplayBenchmark(RedisBenchmark):
    """Events ``(actor, target, seconds)``: the actor's followers get an activity, then the actor follows the target."""

    def replay(self, path: str) -> None:
        """Measure one replay of all events of a file with lines ``ACTOR TARGET UNIXTIME``.

        :raises SystemExit: for a file that can't be read
        """
        try:
            with open(path) as file:
                events = [(int(actor), int(target), int(seconds)) for actor, target, seconds in map(str.split, file)]
        except (OSError, ValueError) as error:
            raise SystemExit(f'{path} can not be replayed: {error}') from error
        events = events[: max(int(len(events) * self.scale), 10)]
        writes = sum(len(followers) for _, _, _, followers, _ in _with_followers(events))
        try:
            self.report.rate(
                f'replay of {len(events):,} events, {writes:,} entries written to followers',
                len(events),
                Contender('library', lambda: self.replay_by_manager(events), self.clear),
                Contender('redis-py, one pipeline for each event', lambda: self.replay_by_hand(events), self.clear),
                unit='events/s',
                runs=1,
            )
        finally:
            self.clear()
            self.report.server_seconds = None
            self.raw.close()

    def replay_by_manager(self, events: list[tuple[int, int, int]]) -> None:
        followers: dict[int, list[int]] = collections.defaultdict(list)

        class Inline:
            """What the manager publishes is done at once."""

            def delay(self, feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, **kwargs: Any) -> None:
                feed_manager.fanout(user_ids, feed_class, operation, kwargs['operation_kwargs'])

        class Network(type(self.manager)):  # type: ignore[misc]
            def get_user_follower_ids(self, user_id: Any) -> dict[Any, Any]:
                return {FanoutPriority.HIGH: followers[user_id]}

            def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
                return Inline()

        manager = Network()
        for item, actor, target, _, follows in _with_followers(events, followers):
            manager.add_user_activity(actor, item)
            if follows:
                manager.follow_user(actor, target, async_=False)

    def replay_by_hand(self, events: list[tuple[int, int, int]]) -> None:
        user = f'{works.TOKEN}:user:%s'
        flat = f'{works.TOKEN}:flat:%s'
        for item, actor, target, followers, follows in _with_followers(events):
            activity_id = item.serialization_id
            pair = {str(activity_id): activity_id}
            pipeline = self.raw.pipeline(transaction=False)
            pipeline.hset(*self.by_hand.stored(item))
            pipeline.zadd(user % actor, pair)
            for follower in followers:
                pipeline.zadd(flat % follower, pair)
                pipeline.zremrangebyrank(flat % follower, 0, -101)
            pipeline.execute()
            if follows:
                pairs = self.raw.zrevrange(user % target, 0, 4999, withscores=True)
                if pairs:
                    pipeline = self.raw.pipeline(transaction=False)
                    pipeline.zadd(flat % actor, dict(pairs))
                    pipeline.zremrangebyrank(flat % actor, 0, -101)
                    pipeline.execute()


def _with_followers(
    events: list[tuple[int, int, int]], followers: dict[int, list[int]] | None = None
) -> Iterator[tuple[Activity, int, int, list[int], bool]]:
    """Each event as an activity: with actor, target, the actor's followers then, and whether the actor follows anew.

    :param followers: person -> followers, kept up to date
    """
    if followers is None:
        followers = collections.defaultdict(list)
    known: set[tuple[int, int]] = set()
    for number, (actor, target, seconds) in enumerate(events, 1):
        time = _EPOCH + datetime.timedelta(seconds=seconds)
        follows = (actor, target) not in known and actor != target
        yield Activity(actor, Love, number, target, time), actor, target, followers[actor], follows
        if follows:
            known.add((actor, target))
            followers[target].append(actor)
