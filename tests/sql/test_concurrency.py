"""Threads and processes that write to the same feeds: nothing is lost, no group comes twice, counts are exact."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.feed_managers.base import add_operation
from stream_framework.storage.sql import client, connection
from stream_framework.storage.sql.lists_storage import SqlListsStorage
from tests.contracts.support import act, ids
from tests.forks import in_a_fork
from tests.sql.support import AllManager, Flat, FlatManager, Grouped, Notifications, UserFeed

THREADS = 4
EACH = 15


def together(work: Callable[[int], None]) -> None:
    """Run ``work(0)`` and so on in threads that start at one moment."""
    barrier = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - the test raises it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def of(number: int) -> list[Any]:
    """What one writer adds, in an order of its own."""
    found = [act(i * THREADS + number, object=i % 3) for i in range(EACH)]
    random.Random(number).shuffle(found)
    return found


ALL = sorted(ids(activity for number in range(THREADS) for activity in of(number)), reverse=True)


def write(number: int) -> None:
    for activity in of(number):
        for feed_class in (Flat, Grouped, Notifications):
            feed_class(1).add(activity)


def check() -> None:
    assert ids(Flat(1)[:100]) == ALL
    for feed_class in (Grouped, Notifications):
        groups = feed_class(1)[:100]
        assert len({group.group for group in groups}) == len(groups)
        assert sum(group.activity_count for group in groups) == len(ALL)
    assert Notifications(1).get_notification_data() == {'unseen_count': 3, 'unread_count': 3}


def test_threads(database: Any) -> None:
    together(write)
    check()


def test_processes(database: Any) -> None:
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=_work, args=(database, number)) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * THREADS
    check()


def _work(database: Any, number: int) -> None:
    write(number)
    # The parent's exit handlers are not this process's.
    os._exit(0)


def test_fan_outs_of_the_same_followers(database: Any) -> None:
    """In opposite orders, so that they meet."""
    manager, readers = AllManager(), list(range(40))

    def work(number: int) -> None:
        for activity in of(number)[:6]:
            UserFeed.insert_activity(activity)
            for feed_class in (Flat, Grouped, Notifications):
                manager.fanout(readers[:: (-1) ** number], feed_class, add_operation, {'activities': [activity]})

    together(work)
    for reader in (0, 17, 39):
        assert Flat(reader).count() == 6 * THREADS
        assert sum(group.activity_count for group in Grouped(reader)[:50]) == 6 * THREADS
        assert sum(group.activity_count for group in Notifications(reader)[:50]) == 6 * THREADS


def test_new_feeds_are_made_once(database: Any) -> None:
    manager = FlatManager()

    def work(number: int) -> None:
        for chunk in range(10):
            readers = [f'{chunk}-{reader}' for reader in range(20)]
            manager.fanout(readers[:: (-1) ** number], Flat, add_operation, {'activities': [act(number)]})

    together(work)
    assert {Flat(f'{chunk}-{reader}').count() for chunk in range(10) for reader in range(20)} == {THREADS}


def test_deleting_meanwhile(database: Any) -> None:
    def work(number: int) -> None:
        for activity in of(number):
            if number == 0:
                Flat(1).delete()
                Grouped(1).delete()
            else:
                Flat(1).add(activity)
                Grouped(1).add(activity)

    together(work)
    Flat(1).add_many([activity for number in range(THREADS) for activity in of(number)])
    assert ids(Flat(1)[:100]) == ALL


def test_items_that_are_appended_at_once(database: Any) -> None:
    lists = SqlListsStorage('k')
    together(lambda number: [lists.add(a=['x']) for _ in range(10)])  # type: ignore[func-returns-value]
    assert lists.count('a') == 10 * THREADS
    together(lambda number: [lists.add_once(a=['x', 'y']) for _ in range(10)])  # type: ignore[func-returns-value]
    assert sorted(lists.get('a')) == ['x', 'y']


def test_first_use_by_many(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and its tables are made once."""
    settings.configure(STREAM_SQL_URL=f'sqlite:///{tmp_path}/new.sqlite3')
    connection.reset()
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=_add_one, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert Flat(1).count() == 6


def _add_one(number: int) -> None:
    Flat(1).add(act(number))
    os._exit(0)


def test_in_memory_is_one_database_for_all_threads() -> None:
    settings.configure(STREAM_SQL_URL='sqlite://')
    connection.reset()
    together(write)
    check()
    connection.reset()
    assert Flat(1)[:5] == []


def test_a_fork_has_connections_of_its_own(database: Any) -> None:
    Flat(1).add(act(1))
    engine = connection.get_engine()

    def in_child() -> Any:
        Flat(1).add(act(2))
        return [connection.get_engine() is engine, Flat(1).count()]

    assert in_a_fork(in_child) == [False, 2]
    assert Flat(1).count() == 2


def test_a_fork_while_others_write(database: Any) -> None:
    done = threading.Event()

    def go_on() -> None:
        number = 0
        while not done.is_set():
            Flat('other').add(act(number := number + 1))

    threads = [threading.Thread(target=go_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            assert in_a_fork(lambda number=number: Flat(number).add(act(number))) == 1
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_killed_while_writing(database: Any) -> None:
    """What was there stays there, whole: a group and its markers are of one moment."""
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(10_000):
                    Notifications(1).add(act(number % 700, actor=number, object=number % 5))
            finally:
                os._exit(1)
        time.sleep(random.uniform(0.2, 0.5))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        groups = Notifications(1)[:50]
        assert 1 <= len(groups) <= 5
        assert Notifications(1).get_notification_data() == {'unseen_count': len(groups), 'unread_count': len(groups)}
        assert not any(group.is_seen or group.is_read for group in groups)


def test_work_that_others_get_in_the_way_of_is_tried_again(database: Any) -> None:
    """Two transactions that take the same rows in opposite orders: one of them is undone, and done again."""
    if database.name == 'sqlite':
        pytest.skip('only one transaction writes at a time')
    barrier = threading.Barrier(2)
    tries: list[int] = []

    def work(number: int) -> None:
        def both(work: Any) -> None:
            tries.append(number)
            first, second = ('a', 'b')[:: (-1) ** number]
            work.rows(work.dialect.touch_feeds, {'keys': [first], 'version': 1})
            if tries.count(number) == 1:
                barrier.wait(20)
            work.rows(work.dialect.touch_feeds, {'keys': [second], 'version': 1})

        client.run(both)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # It may be undone more than once: who waits for the row wakes up late.
    assert len(tries) >= 3
