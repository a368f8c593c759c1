"""How many statements each work takes, counted at the driver."""

from __future__ import annotations

from typing import Any

import pytest

from stream_framework.feed_managers.base import add_operation, remove_operation
from stream_framework.storage.sql import intents, ledger
from tests.contracts.support import act, acts
from tests.sql.support import AllManager, Flat, FlatManager, Grouped, KeptManager, Notifications, UserFeed, statements

READERS = list(range(100))


@pytest.fixture(autouse=True)
def nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in a hundred times, one more statement deletes what has expired."""
    for module in (intents, ledger):
        monkeypatch.setattr(module, 'FORGET_CHANCE', 0)


@pytest.mark.parametrize('trim', [False, True])
@pytest.mark.parametrize('operation', [add_operation, remove_operation])
def test_fan_out_to_flat_feeds(database: Any, operation: Any, trim: bool) -> None:
    manager, activity = FlatManager(), act(1)
    UserFeed.insert_activity(activity)
    feed_class = type('Trimmed', (Flat,), {'trim_chance': 1, 'max_length': 3}) if trim else Flat
    for _ in range(2):
        # At first the feeds are new.
        with statements() as found:
            manager.fanout(READERS, feed_class, operation, {'activities': [activity]})
        assert 1 <= len(found) <= 2 + trim, found
        with statements() as found:
            manager.fanout(READERS, feed_class, operation, {'activities': [activity := act(2)]})
        assert 1 <= len(found) <= 2 + trim, found


@pytest.mark.parametrize('feed_class', [Grouped, Notifications])
def test_fan_out_to_feeds_of_groups(database: Any, feed_class: Any) -> None:
    manager = AllManager()
    for number in range(4):
        activity = act(number, object=7)
        UserFeed.insert_activity(activity)
        with statements() as found:
            manager.fanout(READERS, feed_class, add_operation, {'activities': [activity]})
        assert 1 <= len(found) <= 4, found
    # Some have the group, some another one, some are new.
    feed_class(0).delete()
    feed_class(1).add(act(50, object=8))
    UserFeed.insert_activity(act(5, object=7))
    with statements() as found:
        manager.fanout([*READERS, 'new'], feed_class, add_operation, {'activities': [act(5, object=7)]})
    assert 1 <= len(found) <= 4, found
    assert [feed_class(reader)[:1][0].activity_count for reader in (0, 2, 'new')] == [1, 5, 1]


def test_reading_flat_feeds(database: Any) -> None:
    feed = Flat(1)
    feed.add_many(acts(30))
    for page in (feed, feed.filter(activity_id__lt=act(29).serialization_id), feed.order_by('activity_id')):
        with statements() as found:
            assert len(page[:25]) == 25
        assert len(found) == 1


@pytest.mark.parametrize('feed_class', [Grouped, Notifications])
def test_reading_feeds_of_groups(database: Any, feed_class: Any) -> None:
    feed = feed_class(1)
    for number in range(30):
        feed.add(act(number * 86400, object=number))
    with statements() as found:
        assert len(feed[:25]) == 25
    assert len(found) <= 2, found


def test_following_twenty_users(database: Any) -> None:
    manager = FlatManager()
    for user in range(100, 120):
        manager.batch_import(user, acts(100, first=user * 100, actor=user), fanout=False)
    with statements() as found:
        manager.follow_many_users(1, range(100, 120), async_=False)
    assert len(found) <= 6, found
    assert Flat(1).count() == 2000
    with statements() as found:
        manager.follow_many_users(1, range(100, 120), async_=False)
    assert len(found) <= 6, found


def test_following_twenty_users_that_the_library_keeps(database: Any) -> None:
    manager = KeptManager()
    for user in range(100, 120):
        manager.batch_import(user, acts(100, first=user * 100, actor=user), fanout=False)
    with statements() as found:
        manager.follow_many_users(1, range(100, 120), async_=False)
    assert len(found) <= 6, found
    assert Flat(1).count() == 2000
    assert manager.is_following(1, range(200)) == set(range(100, 120))
    with statements() as found:
        manager.unfollow_many_users(1, range(100, 120), async_=False)
    assert len(found) <= 8, found
    assert Flat(1).count() == 0


def test_the_badge(database: Any) -> None:
    feed = Notifications(1)
    feed.add(act(1))
    with statements() as found:
        assert feed.get_notification_data() == {'unseen_count': 1, 'unread_count': 1}
    assert len(found) == 1


def test_what_is_new_in_all_feeds_of_a_user(database: Any) -> None:
    manager = AllManager()
    for feed in manager.get_feeds(7).values():
        feed.add_many(acts(4))
        feed.mark_seen(until=act(1))
    with statements() as found:
        assert manager.count_new(7) == {'normal': 2, 'grouped': 1, 'notifications': 2}
    assert len(found) == 1, found
    with statements() as found:
        assert manager.get_feeds(7)['normal'].count_new() == 2
    assert len(found) == 1, found
