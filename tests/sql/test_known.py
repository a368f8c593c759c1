"""What a process remembers of feeds, and copying inside the database."""

from __future__ import annotations

import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.feed_managers.base import add_operation
from stream_framework.storage.sql import connection, transaction
from stream_framework.storage.sql.connection import get_database, get_engine
from tests.contracts.support import act, acts
from tests.sql.support import AllManager, Flat, FlatManager, UserFeed


@pytest.fixture
def path(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A SQLite file of the test's own."""
    found = tmp_path / 'feeds.sqlite3'
    settings.configure(STREAM_SQL_URL=f'sqlite:///{found}', STREAM_SQL_SCHEMA=None)
    yield found
    connection.reset()


def fan_out(users: list[Any], activity: Any) -> None:
    UserFeed.insert_activity(activity)
    FlatManager().fanout(users, Flat, add_operation, {'activities': [activity]})


def test_a_backup_that_is_restored_under_a_process(path: pathlib.Path) -> None:
    fan_out([1], act(1))
    backup = sqlite3.connect(':memory:')
    with sqlite3.connect(path) as file:
        file.backup(backup)
    # This process knows the second feed by its id; the backup doesn't, so somebody else gets that id.
    fan_out([1, 2], act(2))
    other = sqlite3.connect(path)
    backup.backup(other)
    other.execute("INSERT INTO stream_feeds (key, version) VALUES ('flat:3', 77)")
    other.commit()
    fan_out([1, 2], act(3))
    assert [list(Flat(user)[:5]) for user in (1, 2, 3)] == [[act(3), act(1)], [act(3)], []]
    other.close()


def test_feeds_that_somebody_else_deleted(path: pathlib.Path) -> None:
    fan_out([1, 2, 3], act(1))
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM stream_entries WHERE feed IN (SELECT id FROM stream_feeds WHERE key <> 'flat:2')")
        other.execute("DELETE FROM stream_feeds WHERE key <> 'flat:2'")
    fan_out([1, 2, 3], act(2))
    assert [Flat(user).count() for user in (1, 2, 3)] == [1, 2, 1]
    fan_out([1, 2, 3], act(2))
    assert [Flat(user).count() for user in (1, 2, 3)] == [1, 2, 1]
    assert Flat(1).add(act(2)) == 0
    assert Flat(1).add_many([act(2), act(3)]) == 1


def test_the_newest_feed_was_deleted_by_somebody_else(path: pathlib.Path) -> None:
    fan_out([1, 2, 3], act(1))
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM stream_entries WHERE feed = (SELECT id FROM stream_feeds WHERE key = 'flat:3')")
        other.execute("DELETE FROM stream_feeds WHERE key = 'flat:3'")
    fan_out([1, 2], act(2))
    assert [Flat(user).count() for user in (1, 2, 3)] == [2, 2, 0]
    # What was known is forgotten, and known again.
    assert get_database().known.find(['flat:1', 'flat:2']) is not None
    assert get_database().known.find(['flat:3']) is None


def test_feeds_of_a_transaction_that_is_rolled_back(database: Any) -> None:
    with get_engine().connect() as mine:
        with transaction(mine):
            fan_out([1, 2], act(1))
        mine.rollback()
    fan_out([3, 4], act(2))
    fan_out([1, 2], act(3))
    assert [list(Flat(user)[:5]) for user in (1, 2, 3, 4)] == [[act(3)], [act(3)], [act(2)], [act(2)]]


def test_following_copies_what_reading_and_adding_would(database: Any) -> None:
    for user in (10, 11, 12):
        UserFeed(user).add_many(acts(7, first=user * 10, actor=user))
    Flat(1).add(act(0))
    FlatManager().follow_many_users(1, [10, 11, 13], async_=False)
    AllManager().follow_many_users(2, [10, 11, 13], async_=False)
    assert list(Flat(1)[:]) == [*Flat(2)[:], act(0)]
    assert Flat(2).count() == 14
    # What is there already stays one; the limit is for each.
    manager = FlatManager()
    manager.follow_activity_limit = 3
    manager.follow_many_users(1, [11, 12], async_=False)
    assert Flat(1).count() == 18
    manager.follow_user(3, 13, async_=False)
    assert Flat(3).count() == 0


def test_a_copy_is_trimmed(database: Any) -> None:
    UserFeed(10).add_many(acts(9, actor=10))
    trimmed = type('Trimmed', (Flat,), {'key_format': 'trimmed:%(user_id)s', 'trim_chance': 1, 'max_length': 4})
    manager = type('Manager', (FlatManager,), {'feed_classes': {'normal': trimmed}})()
    manager.follow_user(1, 10, async_=False)
    assert list(trimmed(1)[:]) == list(UserFeed(10)[:4])


def test_who_looks_at_what_is_added_sees_what_following_copies(database: Any) -> None:
    seen: list[Any] = []

    class Looking(Flat):
        key_format = 'looking:%(user_id)s'

        def on_update_feed(self, new: Any, deleted: Any) -> None:
            seen.extend(new)

    UserFeed(10).add_many(acts(3, actor=10))
    manager = type('Manager', (FlatManager,), {'feed_classes': {'normal': Looking}})()
    manager.follow_user(1, 10, async_=False)
    assert len(seen) == 3 and {activity.actor_id for activity in seen} == {10}


def test_what_was_removed_while_it_was_copied_is_taken_back(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FlatManager()
    manager.batch_import(10, acts(3, actor=10), fanout=False)
    storage = type(Flat(1).timeline_storage)
    copy = storage.copy_newest

    def late(self: Any, *args: Any) -> Any:
        found = copy(self, *args)
        monkeypatch.setattr(storage, 'copy_newest', copy)
        # Its author has no followers yet.
        manager.remove_user_activity(10, acts(3, actor=10)[1])
        return found

    monkeypatch.setattr(storage, 'copy_newest', late)
    manager.follow_user(1, 10, async_=False)
    assert Flat(1).count() == 2
