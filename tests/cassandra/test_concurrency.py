"""Eight processes that change the same feeds: nothing is lost, no group comes twice, counts are exact."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cassandra.support import KINDS, assert_groups, by_object, is_removed, made, together, work_of
from tests.contracts.support import act, ids

WRITERS, EACH, OBJECTS = 8, 200, 8
SHAPE = {'writers': WRITERS, 'each': EACH, 'objects': OBJECTS}


def everything(without_removed: bool = False) -> Any:
    return [
        activity
        for number in range(WRITERS)
        for position, activity in enumerate(work_of(number, **SHAPE))
        if not (without_removed and is_removed(position))
    ]


def assert_marks(feed: Any) -> None:
    current = {group.serialization_id for group in feed[:]}
    unseen, unread = feed.feed_markers.get('unseen', 'unread')
    assert set(unseen) <= current
    assert set(unread) <= current
    feed.mark_all(seen=True, read=True)
    assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
    assert all(group.is_seen and group.is_read for group in feed[:])


def run(backend: Any, feeds: list[Any], mixed: bool) -> None:
    jobs = [
        ('change', {'feeds': [description for _, description in feeds], 'number': number, 'mixed': mixed, **SHAPE})
        for number in range(WRITERS)
    ]
    together(backend.settings(), jobs)


def test_adding(nodes: Any) -> None:
    feeds = [made(nodes, kind) for kind in KINDS]
    run(nodes, feeds, mixed=False)
    for feed_class, _ in feeds:
        assert_groups(feed_class(1), by_object(everything()), kept=15)
    notifications = feeds[1][0](1)
    current = sorted(group.serialization_id for group in notifications[:])
    assert [sorted(marked) for marked in notifications.feed_markers.get('unseen', 'unread')] == [current, current]
    assert_marks(notifications)


def test_adding_removing_and_marking(nodes: Any) -> None:
    feeds = [made(nodes, kind, large=True) for kind in KINDS]
    run(nodes, feeds, mixed=True)
    for feed_class, _ in feeds:
        assert_groups(feed_class(1), by_object(everything(without_removed=True)))
    assert_marks(feeds[1][0](1))


def test_flat(one: Any) -> None:
    feeds = [made(one, 'flat', max_length=10**6)]
    run(one, feeds, mixed=True)
    feed = feeds[0][0](1)
    assert ids(feed[:]) == sorted(ids(everything(without_removed=True)), reverse=True)
    assert feed.count() == len(feed[:])


@pytest.mark.parametrize('kind', KINDS)
def test_fan_outs_that_meet(one: Any, kind: str) -> None:
    feed_class, description = made(one, kind)
    users, each = 24, 6
    together(
        one.settings(),
        [
            ('fan_out', {'feed': description, 'users': users, 'objects': 4, 'numbers': list(range(k, 8 * each, 8))})
            for k in range(8)
        ],
    )
    expected = by_object(act(n, object=n % 4) for n in range(8 * each))
    for user_id in range(users):
        assert_groups(feed_class(user_id), expected, kept=15)


@pytest.mark.parametrize('kind', KINDS)
def test_without_the_guard_each_feed_has_one_writer(one: Any, kind: str) -> None:
    feeds = [made(one, kind, guard_updates=False, timeline_cf_name=f'unguarded_{kind}') for _ in range(WRITERS)]
    jobs = [
        ('change', {'feeds': [description], 'number': number, 'mixed': True, **SHAPE, 'each': 50})
        for number, (_, description) in enumerate(feeds)
    ]
    together(one.settings(), jobs)
    for number, (feed_class, _) in enumerate(feeds):
        mine = work_of(number, **{**SHAPE, 'each': 50})
        kept = [activity for position, activity in enumerate(mine) if not is_removed(position)]
        assert_groups(feed_class(1), by_object(kept))
