"""Eight processes that change the same feeds: nothing is lost, no group comes twice, counts are exact."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cassandra.support import KINDS, assert_groups, by_object, is_removed, made, together, work_of
from tests.contracts.support import act, ids

WRITERS, OBJECTS = 8, 8


def everything(each: int, without_removed: bool = False) -> Any:
    return [
        activity
        for number in range(WRITERS)
        for position, activity in enumerate(work_of(number, WRITERS, each, OBJECTS))
        if not (without_removed and is_removed(position))
    ]


def assert_markers(feed: Any) -> None:
    current = {group.serialization_id for group in feed[:]}
    unseen, unread = feed.feed_markers.get('unseen', 'unread')
    assert set(unseen) <= current
    assert set(unread) <= current
    feed.mark_all(seen=True, read=True)
    assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
    assert all(group.is_seen and group.is_read for group in feed[:])


def run(backend: Any, feeds: list[Any], each: int, mixed: bool) -> None:
    shape = {'writers': WRITERS, 'each': each, 'objects': OBJECTS, 'mixed': mixed}
    descriptions = [description for _, description in feeds]
    together(
        backend.settings(),
        [('change', {'feeds': descriptions, 'number': number, **shape}) for number in range(WRITERS)],
    )


@pytest.mark.parametrize(
    ('nodes', 'each'),
    [('one', 200), ('three', 40), pytest.param('three', 200, marks=pytest.mark.soak)],
    indirect=['nodes'],
)
def test_adding(nodes: Any, each: int) -> None:
    feeds = [made(nodes, kind) for kind in KINDS]
    run(nodes, feeds, each, mixed=False)
    for feed_class, _ in feeds:
        assert_groups(feed_class(1), by_object(everything(each)), kept=15)
    notifications = feeds[1][0](1)
    current = sorted(group.serialization_id for group in notifications[:])
    assert [sorted(marked) for marked in notifications.feed_markers.get('unseen', 'unread')] == [current, current]
    assert_markers(notifications)


@pytest.mark.parametrize(
    ('nodes', 'each'),
    [
        ('one', 60),
        ('three', 30),
        pytest.param('one', 200, marks=pytest.mark.soak),
        pytest.param('three', 200, marks=pytest.mark.soak),
    ],
    indirect=['nodes'],
)
def test_adding_removing_and_marking(nodes: Any, each: int) -> None:
    feeds = [made(nodes, kind, large=True) for kind in KINDS]
    run(nodes, feeds, each, mixed=True)
    for feed_class, _ in feeds:
        assert_groups(feed_class(1), by_object(everything(each, without_removed=True)))
    assert_markers(feeds[1][0](1))


def test_flat(one: Any) -> None:
    feeds = [made(one, 'flat', max_length=10**6)]
    run(one, feeds, 200, mixed=True)
    feed = feeds[0][0](1)
    assert ids(feed[:]) == sorted(ids(everything(200, without_removed=True)), reverse=True)
    assert feed.count() == len(feed[:])


@pytest.mark.parametrize('kind', KINDS)
def test_fan_outs_that_meet(one: Any, kind: str) -> None:
    feed_class, description = made(one, kind)
    users, each = 20, 5
    jobs = [
        ('fan_out', {'feed': description, 'users': users, 'objects': 4, 'numbers': list(range(k, 8 * each, 8))})
        for k in range(8)
    ]
    together(one.settings(), jobs)
    expected = by_object(act(n, object=n % 4) for n in range(8 * each))
    for user_id in range(users):
        assert_groups(feed_class(user_id), expected, kept=15)


@pytest.mark.parametrize('kind', KINDS)
def test_without_the_guard_each_feed_has_one_writer(one: Any, kind: str) -> None:
    feeds = [made(one, kind, guard_updates=False, timeline_cf_name=f'unguarded_{kind}') for _ in range(WRITERS)]
    shape = {'writers': WRITERS, 'each': 40, 'objects': OBJECTS}
    jobs = [
        ('change', {'feeds': [description], 'number': number, 'mixed': True, **shape})
        for number, (_, description) in enumerate(feeds)
    ]
    together(one.settings(), jobs)
    for number, (feed_class, _) in enumerate(feeds):
        mine = work_of(number, **shape)
        kept = [activity for position, activity in enumerate(mine) if not is_removed(position)]
        assert_groups(feed_class(1), by_object(kept))


@pytest.mark.parametrize('done', [True, False])
@pytest.mark.parametrize('kind', KINDS)
def test_it_is_not_known_whether_a_change_was_made(
    one: Any, monkeypatch: pytest.MonkeyPatch, kind: str, done: bool
) -> None:
    """An answer is lost, and somebody else writes before anybody can look: what was done is not done again."""
    from stream_framework.storage.cassandra import guard

    feed_class, _ = made(one, kind)
    feed = feed_class(1)
    newer = [act(n, object=1) for n in range(100, 120)]
    feed.add_many(newer)
    send = guard.run_conditional

    def lose_the_answer(statements: Any) -> Any:
        monkeypatch.setattr(guard, 'run_conditional', send)
        if done:
            send(statements)
        feed_class(1).add(act(200, object=1))
        return [None for _ in statements]

    monkeypatch.setattr(guard, 'run_conditional', lose_the_answer)
    # Older than all that the group keeps: only the count tells that it was there.
    feed.add(act(5, object=1))
    assert_groups(feed, by_object([act(5, object=1), *newer, act(200, object=1)]), kept=15)
