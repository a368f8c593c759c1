"""Ids share scores, which are doubles: pages are exact all the same."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.verbs import Love
from tests.contracts.support import START, act, acts, at, ids
from tests.redis.test_concurrency import ByObject

MANY = 10_000


class Numbered(Activity):
    """Ids of the application's own, of any length."""

    @property
    def serialization_id(self) -> int:
        return self.extra_context['id']


def numbered(number: int) -> Numbered:
    return Numbered(1, Love, 1, time=START, extra_context={'id': number})


def store(feed: Any, activities: list[Activity]) -> None:
    for start in range(0, len(activities), 2000):
        feed.add_many(activities[start : start + 2000])


def pages(feed: Any, size: int, ascending: bool) -> list[int]:
    """All ids, page by page, each page found by the last id of the one before."""
    feed = feed.order_by('activity_id') if ascending else feed
    field = 'activity_id__gt' if ascending else 'activity_id__lt'
    seen: list[int] = []
    page = feed[:size]
    while page:
        assert len(page) <= size
        seen += ids(page)
        page = feed.filter(**{field: seen[-1]})[:size]
    return seen


@pytest.mark.parametrize('ascending', [False, True], ids=['newest first', 'oldest first'])
def test_ten_thousand_activities_of_one_millisecond(redis_backend: Any, ascending: bool) -> None:
    feed = redis_backend.flat(max_length=2 * MANY)(1)
    activities = [Activity(1, Love, number, time=START) for number in range(MANY)]
    shuffled = activities[:]
    random.Random(5).shuffle(shuffled)
    store(feed, shuffled)
    expected = ids(activities)
    assert pages(References(feed), 7, ascending) == (expected if ascending else expected[::-1])


class References:
    """A feed that is read without looking activities up."""

    def __init__(self, feed: Any) -> None:
        self.feed = feed

    def __getitem__(self, item: slice) -> list[Any]:
        return self.feed.get_activity_slice(item.start, item.stop, rehydrate=False)

    def filter(self, **kwargs: Any) -> Any:
        return References(self.feed.filter(**kwargs))

    def order_by(self, *args: str) -> Any:
        return References(self.feed.order_by(*args))


@pytest.mark.parametrize('ascending', [False, True])
def test_hydrated(redis_backend: Any, ascending: bool) -> None:
    feed = redis_backend.flat(max_length=1000)(1)
    activities = [Activity(n % 5, Love, n, time=START) for n in range(500)]
    store(feed, activities)
    assert pages(feed, 7, ascending) == ids(activities if ascending else activities[::-1])


LENGTHS = {
    'short': list(range(1, 200)),
    'around 2**53': [2**53 + n for n in range(-60, 60)],
    'around 10**16': [10**16 + n for n in range(-60, 60)],
    'around 10**26': [10**26 + n for n in range(-60, 60)],
    'mixed': [int('9' * n) for n in range(1, 40)] + [10**n for n in range(40)] + [10**n + 7 for n in range(40)],
    'beyond all doubles': [10**400 + n for n in range(5)] + [10**350, 10**308, 10**309, 1, 10**26],
    'negative': list(range(-50, 50)) + [-(10**26) - n for n in range(20)],
    'as UUIDs are': [uuid.UUID(int=random.Random(n).getrandbits(128)).int for n in range(60)],
}


@pytest.mark.parametrize('numbers', LENGTHS.values(), ids=LENGTHS)
def test_ids_of_other_lengths(redis_backend: Any, numbers: list[int]) -> None:
    feed = redis_backend.flat(activity_class=Numbered, max_length=10_000)(1)
    numbers = sorted(set(numbers))
    shuffled = numbers[:]
    random.Random(3).shuffle(shuffled)
    store(feed, [numbered(number) for number in shuffled])
    assert [reference.serialization_id for reference in References(feed)[:]] == numbers[::-1]
    assert pages(References(feed), 7, False) == numbers[::-1]
    assert pages(References(feed), 7, True) == numbers
    middle = numbers[len(numbers) // 2]
    for name, passes in (
        ('activity_id__gt', lambda number: number > middle),
        ('activity_id__gte', lambda number: number >= middle),
        ('activity_id__lt', lambda number: number < middle),
        ('activity_id__lte', lambda number: number <= middle),
    ):
        found = References(feed).filter(**{name: middle})[:]
        assert [reference.serialization_id for reference in found] == list(filter(passes, numbers))[::-1]
    for position, number in list(enumerate(numbers[::-1]))[::11]:
        assert feed.index_of(number) == position
        assert ids(References(feed)[position : position + 3]) == numbers[::-1][position : position + 3]
    feed.remove_many(numbers[::2])
    assert ids(References(feed)[:]) == sorted(set(numbers) - set(numbers[::2]), reverse=True)
    feed.trim(5)
    assert ids(References(feed)[:]) == sorted(set(numbers) - set(numbers[::2]), reverse=True)[:5]


def test_bounds_that_are_not_there(redis_backend: Any) -> None:
    feed = redis_backend.flat(max_length=1000)(1)
    activities = [Activity(1, Love, n, time=START) for n in range(0, 400, 4)]
    store(feed, activities)
    between = Activity(1, Love, 202, time=START).serialization_id
    below = [activity for activity in activities if activity.serialization_id < between]
    assert ids(feed.filter(activity_id__lt=between)[:7]) == ids(below[::-1][:7])
    assert ids(feed.filter(activity_id__lte=between)[:7]) == ids(below[::-1][:7])
    above = [activity for activity in activities if activity.serialization_id > between]
    assert ids(feed.filter(activity_id__gt=between).order_by('activity_id')[:7]) == ids(above[:7])
    window = feed.filter(
        activity_id__gte=activities[10].serialization_id, activity_id__lt=activities[20].serialization_id
    )
    assert ids(window[:]) == ids(activities[10:20][::-1])
    assert ids(window[3:6]) == ids(activities[10:20][::-1][3:6])
    assert window[20:30] == []
    assert ids(feed.filter(activity_id__lt=str(between))[:2]) == ids(below[::-1][:2])
    assert feed.filter(activity_id__gt=10**30)[:] == feed.filter(activity_id__lt=5)[:] == []


def test_ids_that_are_text_or_uuids(redis_backend: Any) -> None:
    feed = redis_backend.flat(max_length=1000)(1)
    objects = [uuid.UUID(int=n) for n in range(60)] + [f'object {n}' for n in range(60)]
    activities = sorted(Activity(f'actor {n}', Love, item, time=START) for n, item in enumerate(objects))
    store(feed, activities[::-1])
    assert pages(feed, 7, True) == ids(activities)
    assert pages(feed, 7, False) == ids(activities[::-1])
    assert [type(activity.object_id) for activity in feed[:]] == [type(item.object_id) for item in activities[::-1]]


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
@pytest.mark.parametrize('ascending', [False, True])
def test_groups_of_one_millisecond(redis_backend: Any, kind: str, ascending: bool) -> None:
    feed = getattr(redis_backend, kind)(aggregator_class=ByObject, max_length=1000, merge_max_length=1000)(1)
    # A run of groups within one millisecond, between groups of other moments.
    activities = [Activity(1, Love, n, time=at(0 if 40 <= n < 120 else n - 80)) for n in range(160)]
    random.Random(7).shuffle(activities)
    feed.add_many(activities)
    whole = feed[:]
    assert [group.updated_at for group in whole] == sorted((activity.time for activity in activities), reverse=True)
    assert len({group.group for group in whole}) == 160
    expected = [int(group.serialization_id) for group in whole]
    assert expected == sorted(expected, reverse=True)
    assert pages(feed, 7, ascending) == (expected[::-1] if ascending else expected)
    for start in (0, 35, 41, 77, 119, 150, 170):
        assert ids(feed[start : start + 13]) == expected[start : start + 13]
        assert ids(feed.order_by('activity_id')[start : start + 13]) == expected[::-1][start : start + 13]
        assert ids(feed.filter(activity_id__lt=expected[50])[start : start + 13]) == expected[51:][start : start + 13]
    for position in (0, 45, 80, 159):
        assert feed.index_of(whole[position]) == position


def test_a_page_is_full_though_activities_are_gone(redis_backend: Any) -> None:
    feed = redis_backend.flat(max_length=1000)(1)
    activities = acts(200)
    feed.add_many(activities)
    for activity in activities[100:190]:
        feed.remove_activity(activity)
    kept = activities[:100] + activities[190:]
    assert feed[:25] == kept[::-1][:25]
    assert feed[:300] == kept[::-1]
    assert (
        feed.filter(activity_id__lt=act(195).serialization_id)[:25]
        == activities[190:195][::-1] + activities[80:100][::-1]
    )
