"""Follows in a SQL database: statements, plans, transactions, and processes that meet or die."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework.storage.sql import transaction
from stream_framework.storage.sql.connection import get_engine
from stream_framework.storage.sql.follow_storage import SqlFollowStorage
from tests.contracts.follow_storage import MORNING, assert_ends_agree
from tests.redis.test_concurrency import PATIENCE, Worker
from tests.sql.support import statements


@pytest.fixture
def storage(database: Any) -> Iterator[Any]:
    storage = database.follow_storage()
    yield storage
    storage.flush()


def test_statements(storage: Any) -> None:
    storage.follow('user', [1])
    for work, most in (
        (lambda: storage.follow('user', range(300)), 1),
        (lambda: storage.unfollow('user', range(3)), 1),
        (lambda: storage.repair('user', range(300)), 0),
        (lambda: storage.mute('user', 3), 1),
        (lambda: storage.block('user', 3), 2),
        (lambda: storage.is_following('user', range(5000)), 1),
        (lambda: storage.followers_among(3, range(5000)), 1),
        (lambda: storage.hidden_from([3], range(1000)), 1),
        (lambda: storage.hidden_from(range(1000), ['user']), 1),
        (lambda: storage.get_followed('user'), 1),
        (lambda: storage.get_muted('user'), 1),
        (lambda: storage.count_followers(3), 1),
        (lambda: list(storage.iter_followed('user')), 1),
    ):
        with statements() as sent:
            work()
        assert len(sent) <= most, sent


def test_plans_use_indexes(storage: Any) -> None:
    from stream_framework.storage.sql import client

    storage.import_follows((number, 'star', None) for number in range(3000))
    storage.import_follows(('fan', number, None) for number in range(3000))
    storage.add_hidden('mute', [(str(number), 'sstar') for number in range(20_000)])
    with get_engine().begin() as connection:
        connection.exec_driver_sql('ANALYZE')

    plans: dict[str, str] = {}

    def explain(work: client.Work) -> None:
        name, keys = storage.follow_name, work.dialect.keys(['3', '5'])
        prefix = 'EXPLAIN QUERY PLAN ' if work.dialect.name == 'sqlite' else 'EXPLAIN '
        page = {'name': name, 'user': 'sstar', 'since': 2**62, 'other': '', 'limit': 25}
        for statement, values in (
            ('page_of_followers', page),
            ('page_of_followed', {**page, 'user': 'sfan'}),
            ('find_followed', {'name': name, 'user': 'sfan', 'keys': keys}),
            ('find_followers', {'name': name, 'target': 'sstar', 'keys': keys}),
            ('find_hides', {'name': name, 'actors': keys, 'users': keys}),
            ('hiders_after', {'name': name, 'kind': 'mute', 'user': 'sstar', 'after': '', 'limit': 10}),
        ):
            rows = work.rows(prefix + getattr(work.dialect, statement), values)
            plans[statement] = '\n'.join(str(row[-1]) for row in rows)

    client.run(explain)
    for statement, plan in plans.items():
        assert 'SCAN stream_' not in plan and 'Seq Scan' not in plan, f'{statement}: {plan}'
        if statement.startswith('page'):
            assert 'TEMP B-TREE' not in plan and 'Sort' not in plan, f'{statement}: {plan}'


def test_in_the_transaction_of_the_application(storage: Any) -> None:
    storage.follow(1, [2], since=MORNING)
    with get_engine().connect() as mine:
        with transaction(mine):
            storage.follow(1, [3])
            storage.unfollow(1, [2])
            storage.block(1, 4)
            assert storage.is_following(1, [2, 3]) == {3}
        mine.rollback()
    assert storage.is_following(1, [2, 3]) == {2}
    assert storage.get_blocked(1) == set()
    with get_engine().connect() as mine:
        with transaction(mine):
            storage.follow(1, [3])
        mine.commit()
    assert storage.is_following(1, [2, 3]) == {2, 3}


def test_ids_with_a_nul(storage: Any) -> None:
    strange = ['a\0b', '\0', '\x01s', 'a']
    storage.follow('user', strange)
    storage.follow('\0', strange[2:])
    storage.mute('user', '\0')
    assert storage.is_following('user', [*strange, 'a\0']) == set(strange)
    assert set(storage.iter_followers('\x01s')) == {'user', '\0'}
    assert len({follow.target_id for follow in storage.get_followed('user')}) == 4
    assert storage.hidden_from(strange, ['user']) == {('\0', 'user')}


@pytest.mark.parametrize('seed', [1, pytest.param(2, marks=pytest.mark.soak)])
def test_processes_that_meet_and_are_killed(storage: Any, seed: int) -> None:
    users, targets = ['u', 'v'], ['a', 'b', 'c']
    chance = random.Random(seed)

    def work(number: int, tasks: int) -> Callable[[Any], None]:
        def run(acknowledge: Callable[[int], None]) -> None:
            mine, draw = SqlFollowStorage(storage.follow_name), random.Random(100 * seed + number)
            for task in range(tasks):
                user, chosen = draw.choice(users), draw.sample(targets, 2)
                draw.choice([mine.follow, mine.unfollow])(user, chosen)
                draw.choice([mine.mute, mine.unmute, mine.block, mine.unblock])(user, chosen[0])
                acknowledge(task)

        return run

    deadline = time.monotonic() + PATIENCE
    workers = [Worker(work(number, 40)) for number in range(4)]
    assert [worker.wait(deadline) for worker in workers] == [0] * 4
    assert_ends_agree(storage, users, targets)
    killed = 0
    for _ in range(3):
        workers = [Worker(work(number, 100_000)) for number in range(4)]
        for worker in workers:
            worker.wait_for(chance.randrange(1, 10), deadline)
            worker.kill()
        killed += [worker.wait(deadline) for worker in workers].count(-signal.SIGKILL)
        assert_ends_agree(storage, users, targets)
    assert killed > 0
