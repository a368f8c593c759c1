"""A store of real size on Redis, loaded by raw commands: what pages are read from."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from benchmarks import plain, works
from benchmarks.redis_by_hand import LENGTH, ByHand

#: Groups of an aggregated feed, and activities of each.
GROUPS, OF = 20, 3

# Activities, and feeds, that one pipeline loads.
_AT_A_TIME = 5000
_FEEDS_AT_A_TIME = 100

# From one activity of the store to the next: a second later, of the next object.
_FIRST = works.activity(0).serialization_id
_STEP = works.activity(1).serialization_id - _FIRST


class Store:
    """Activities, and feeds of some of them, taken at random: no two pages are alike.

    :param seed: the same store for the same
    """

    def __init__(self, by_hand: ByHand, seed: int = 7) -> None:
        self.by_hand = by_hand
        self.chance = random.Random(seed)
        #: How many activities there are.
        self.size = 0

    def grow(self, size: int) -> None:
        """Add activities until there are so many."""
        client = self.by_hand.client
        numbers = iter(range(self.size, size))
        while some := list(itertools.islice(numbers, _AT_A_TIME)):
            by_hash: dict[str, list[str]] = {}
            for number in some:
                key, field, text = self.by_hand.stored(works.activity(number))
                by_hash.setdefault(key, []).extend((field, text))
            pipeline = client.pipeline(transaction=False)
            for key, values in by_hash.items():
                pipeline.execute_command('HSET', key, *values)
            pipeline.execute()
        self.size = max(size, self.size)

    def numbers(self, count: int) -> list[int]:
        """Some activities, oldest first."""
        return sorted(self.chance.sample(range(self.size), min(count, self.size)))

    def fill_flat(self, users: range) -> None:
        """Feeds of 100 activities each."""
        for some in _in_parts(users):
            pipeline = self.by_hand.client.pipeline(transaction=False)
            for user in some:
                pairs = (part for number in self.numbers(LENGTH) for part in (id_of(number), id_of(number)))
                pipeline.execute_command('ZADD', f'{works.TOKEN}:flat:{user}', *pairs)
            pipeline.execute()

    def fill_groups(self, users: range) -> None:
        """Feeds of 20 groups of 3 activities each, kept as ids."""
        for some in _in_parts(users):
            pipeline = self.by_hand.client.pipeline(transaction=False)
            for user in some:
                pairs = [part for number in range(GROUPS) for part in self.group(number)]
                pipeline.execute_command('ZADD', f'{works.TOKEN}:aggregated:{user}', *pairs)
            pipeline.execute()

    def group(self, number: int) -> tuple[int, str]:
        """Score and text of a group."""
        activities = [works.activity(number) for number in self.numbers(OF)]
        created, updated = activities[0].time, activities[-1].time
        group = plain.PlainGroup(f'3-{number}-{updated:%Y-%m-%d}', activities, created, updated)
        return int((updated - plain.EPOCH).total_seconds() * 1000), self.by_hand.groups.dumps(group)


def id_of(number: int) -> int:
    """The id of an activity of the store, without making it."""
    return _FIRST + number * _STEP


def _in_parts(users: range) -> Iterator[range]:
    for start in range(0, len(users), _FEEDS_AT_A_TIME):
        yield users[start : start + _FEEDS_AT_A_TIME]
