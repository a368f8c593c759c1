"""Taking part in the application's own transaction: committed with it, gone with it, published when it is committed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from stream_framework import ledger, tasks
from stream_framework.exceptions import ConfigurationError
from stream_framework.feed_managers.base import Manager
from stream_framework.storage.sql import transaction
from stream_framework.storage.sql.connection import get_engine
from tests.contracts.support import act
from tests.sql.support import FOLLOWERS, AllManager, Flat, FlatManager, Grouped, KeepingManager, Notifications, UserFeed


@pytest.fixture(autouse=True)
def _followers() -> Iterator[None]:
    FOLLOWERS[13] = [1, 2]
    yield
    FOLLOWERS.clear()


class Published(list[Any]):
    """What was published, instead of publishing it."""


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    found = Published()
    monkeypatch.setattr(
        tasks.StreamTask.__mro__[1], 'apply_async', lambda task, args, kwargs, *rest, **options: found.append(kwargs)
    )
    return found


def _connection() -> Any:
    return get_engine().connect()


@pytest.fixture(params=['connection', 'session', 'scoped session'])
def mine(request: pytest.FixtureRequest, database: Any) -> Iterator[Any]:
    """The application's: something with ``commit()``, ``rollback()`` and ``begin_nested()``."""
    if request.param == 'connection':
        made: Any = _connection()
    else:
        made = sessionmaker(get_engine())()
    yield made if request.param != 'scoped session' else scoped_session(lambda: made)
    made.close()


def _add(number: int, manager: Manager | None = None) -> None:
    (manager or FlatManager()).add_user_activity(13, act(number, actor=13))


def test_commit(mine: Any, published: Published) -> None:
    with transaction(mine):
        _add(1)
        assert len(UserFeed(13)[:5]) == 1
        assert published == []
    assert UserFeed(13)[:5] == []
    assert published == []
    mine.commit()
    assert len(UserFeed(13)[:5]) == 1
    assert len(published) == 1
    # Nothing is published twice.
    mine.commit()
    assert len(published) == 1


def test_rollback(mine: Any, published: Published) -> None:
    with transaction(mine):
        _add(1)
        Grouped(5).add(act(1))
        Notifications(5).add(act(1))
    mine.rollback()
    assert (UserFeed(13)[:5], Grouped(5)[:5], Notifications(5)[:5]) == ([], [], [])
    assert Notifications(5).get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
    assert UserFeed.get_activity_storage().get(act(1, actor=13)) is None
    with transaction(mine):
        _add(2)
    mine.commit()
    assert len(published) == 1


def test_closed_without_commit(database: Any, published: Published) -> None:
    with _connection() as connection, transaction(connection):
        _add(1)
    with contextlib.suppress(ZeroDivisionError), get_engine().begin() as connection, transaction(connection):
        _add(2)
        raise ZeroDivisionError
    assert published == []
    assert UserFeed(13)[:5] == []


def test_engine_begin(database: Any, published: Published) -> None:
    with get_engine().begin() as connection, transaction(connection):
        _add(1)
    assert len(published) == 1
    assert len(UserFeed(13)[:5]) == 1


def test_savepoints(mine: Any, published: Published) -> None:
    with transaction(mine):
        _add(1)
    savepoint = mine.begin_nested()
    with transaction(mine):
        _add(2)
    savepoint.rollback()
    with transaction(mine):
        with contextlib.suppress(ZeroDivisionError), mine.begin_nested():
            _add(3)
            with contextlib.suppress(ZeroDivisionError), mine.begin_nested():
                _add(4)
                raise ZeroDivisionError
            _add(5)
            raise ZeroDivisionError
        with mine.begin_nested():
            _add(6)
    mine.commit()
    assert len(published) == 2
    assert [activity.object_id for activity in UserFeed(13)[:9]] == [506, 501]


def test_a_savepoint_that_began_before_anybody_looked(mine: Any, published: Published) -> None:
    mine.begin_nested()
    inner = mine.begin_nested()
    with transaction(mine):
        _add(1)
    inner.rollback()
    mine.commit()
    mine.commit()
    assert published == []


def test_commit_within_the_block(mine: Any, published: Published) -> None:
    with transaction(mine):
        _add(1)
        mine.commit()
        assert len(published) == 1
        _add(2)
        mine.rollback()
        _add(3)
        mine.commit()
    assert len(published) == 2
    assert [activity.object_id for activity in UserFeed(13)[:9]] == [503, 501]


def test_nested_blocks(mine: Any, published: Published) -> None:
    with transaction(mine):
        _add(1)
        if isinstance(mine, Session):
            with transaction(mine.connection()):
                _add(2)
        with transaction(mine):
            _add(3)
        _add(4)
        assert published == []
    assert UserFeed(13)[:1] == []
    mine.commit()
    assert len(published) == 4 - (not isinstance(mine, Session))


def test_eager_tasks_run_after_the_commit(mine: Any) -> None:
    from celery import current_app

    with _eager(current_app):
        with transaction(mine):
            _add(1, AllManager())
            assert Flat(1)[:5] == []
        mine.commit()
    assert [len(feed(1)[:5]) for feed in (Flat, Grouped, Notifications)] == [1, 1, 1]


@contextlib.contextmanager
def _eager(app: Any) -> Iterator[None]:
    before = app.conf.task_always_eager
    app.conf.task_always_eager = True
    try:
        yield
    finally:
        app.conf.task_always_eager = before


def test_following_is_published_later(mine: Any, published: Published) -> None:
    manager = FlatManager()
    with transaction(mine):
        manager.follow_user(1, 13)
        manager.unfollow_user(1, 13)
        manager.remove_user_activity(13, act(1, actor=13))
        assert published == []
    mine.commit()
    assert len(published) == 3


def test_the_ledger_is_in_the_transaction(mine: Any, published: Published) -> None:
    manager = KeepingManager()
    with transaction(mine):
        _add(1, manager)
    assert ledger.republish(manager, older_than=-60, dry_run=True).open == 0
    mine.rollback()
    assert ledger.republish(manager, older_than=-60, dry_run=True).open == 0
    with transaction(mine):
        _add(2, manager)
    mine.commit()
    assert len(published) == 1
    assert ledger.republish(manager, older_than=-60, dry_run=True).open == 1


def test_publishing_that_fails_is_raised_when_all_is_committed(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError('no broker')

    monkeypatch.setattr(tasks.StreamTask.__mro__[1], 'apply_async', refuse)
    with transaction(mine):
        _add(1, KeepingManager())
    with pytest.raises(ConnectionError, match='no broker'):
        mine.commit()
    mine.close()
    assert len(UserFeed(13)[:5]) == 1
    assert ledger.republish(KeepingManager(), older_than=-60, dry_run=True).open == 1


def test_threads_take_no_part(mine: Any, published: Published, database: Any) -> None:
    if database.name == 'sqlite':
        pytest.skip('one writer at a time: the thread would wait for the transaction')
    with transaction(mine):
        thread = threading.Thread(target=_add, args=(1,))
        thread.start()
        thread.join()
        assert len(published) == 1
    mine.rollback()
    assert len(UserFeed(13)[:5]) == 1


def test_what_is_no_transaction(database: Any) -> None:
    with pytest.raises(ConfigurationError, match='Connection or Session'), transaction(get_engine()):
        pass


def test_two_phases(database: Any) -> None:
    if database.name == 'sqlite':
        pytest.skip('SQLite has none')
    with _connection() as connection:
        connection.begin_twophase()
        with pytest.raises(ConfigurationError, match='two-phase'), transaction(connection):
            pass


def test_django(database: Any, tmp_path: Any) -> None:
    """In a process of its own, since Django is configured once."""
    url = database.settings()['STREAM_SQL_URL']
    if database.name == 'sqlite':
        url = f'sqlite:///{tmp_path}/django.sqlite3'
    program = [sys.executable, '-m', 'tests.sql.on_django', url, database.settings()['STREAM_SQL_SCHEMA'] or '']
    done = subprocess.run(program, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == 'all is well'
