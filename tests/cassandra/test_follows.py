"""Follows on Cassandra: partitions of bounded size, requests, and processes that meet or die half-way."""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, StorageError
from tests.backends import RUN
from tests.cassandra.support import requests
from tests.contracts.follow_storage import MORNING, assert_ends_agree, followers, minutes
from tests.redis.test_concurrency import PATIENCE, Worker

MODULE = """
from stream_framework.feed_managers.base import Manager
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.storage.cassandra.follow_storage import CassandraFollowStorage


class Pins(Feed):
    pass


class UserPins(UserBaseFeed, Feed):
    pass


class PinManager(Manager):
    feed_classes = {'normal': Pins}
    user_feed_class = UserPins
    follow_storage_class = CassandraFollowStorage
"""
TABLES = ['stream_framework_followed', 'stream_framework_followers', 'stream_framework_hidden']


@pytest.fixture
def storage(one: Any) -> Iterator[Any]:
    storage = one.follow_storage()
    yield storage
    storage.flush()


# partitions


def test_partitions_stay_small(storage: Any, session: Any) -> None:
    storage.bucket_size, storage.widen_chance = 30, 1
    storage.pairs_at_a_time = 10
    storage.import_follows((number, 'star', minutes(number % 50)) for number in range(900))
    rows = session.execute(
        'SELECT bucket, widths, COUNT(*) AS n FROM stream_framework_followers '
        'WHERE name = %s AND target_id = %s AND bucket IN %s GROUP BY name, target_id, bucket',
        [storage.follow_name, 'sstar', ValueSequence(range(600))],
    )
    sizes = {row['bucket']: row['n'] for row in rows}
    assert sum(sizes.values()) == 900
    assert max(sizes.values()) <= 40, 'a part more than bucket_size'
    assert set(sizes) & set(range(15, 31)) and set(sizes) & set(range(255, 511))
    assert storage.count_followers('star') == 900
    assert sorted(storage.iter_followers('star')) == list(range(900))
    expected = sorted(range(900), key=lambda number: (number % 50, str(number)), reverse=True)
    assert followers(storage, 'star', limit=170) == expected
    storage.unfollow(899, ['star'])
    storage.follow(17, ['star'])
    assert storage.count_followers('star') == 899
    assert storage.erase('star')['followers'] == 899
    assert storage.count_followers('star') == 0
    storage.follow(17, ['star'], since=MORNING)
    assert followers(storage, 'star') == [17]


def ValueSequence(values: Any) -> Any:
    from cassandra.query import ValueSequence as Values

    return Values(list(values))


def test_counting_ends(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from stream_framework.storage.cassandra import follow_storage

    monkeypatch.setattr(follow_storage, 'COUNTED', 20)
    storage.follow('user', range(19))
    storage.import_follows((number, 'star', None) for number in range(30))
    assert (storage.count_followed('user'), storage.count_followers('star')) == (19, 20)


def test_nothing_is_left(storage: Any, session: Any) -> None:
    storage.follow(1, [2, 3])
    storage.unfollow(1, [2])
    storage.mute(4, 1)
    storage.unmute(4, 1)
    storage.block(1, 5)
    storage.follow(5, [1])
    storage.erase(1)
    for table in TABLES:
        rows = [row for row in session.execute(f'SELECT * FROM {table}') if row['name'] == storage.follow_name]
        assert rows == []


# requests


def test_following(storage: Any) -> None:
    storage.follow('user', [1])
    with requests() as sent:
        storage.follow('user', range(20))
    assert sent.waves == ['read', 'write']
    assert [request.conditional for request in sent].count(True) == 1
    assert len(sent) <= 4
    with requests() as sent:
        storage.follow('user', range(20))
    assert not any(request.conditional for request in sent)
    with requests() as sent:
        storage.unfollow('user', range(20))
    assert [request.conditional for request in sent].count(True) == 2
    for request in sent:
        assert request.message in ('ExecuteMessage', 'BatchMessage')


def test_asking(storage: Any) -> None:
    storage.follow('user', range(30))
    storage.mute('user', 3)
    for ask in (
        lambda: storage.is_following('user', range(100)),
        lambda: storage.hidden_from([3], range(100)),
        lambda: storage.hidden_from(range(100), ['user']),
        lambda: storage.get_followed('user'),
        lambda: storage.get_muted('user'),
    ):
        ask()
        with requests() as sent:
            ask()
        assert len(sent) == 1
    for ask in (lambda: storage.get_followers(3), lambda: storage.count_followers(3)):
        with requests() as sent:
            ask()
        assert len(sent) == 2
        assert sent.waves == ['read']


def test_pages_are_bounded(storage: Any) -> None:
    storage.page_size = 100
    storage.import_follows((number, 'star', None) for number in range(450))
    with requests() as sent:
        assert len(list(storage.iter_followers('star'))) == 450
    assert max(request.rows or 0 for request in sent) == 100


def test_everything_is_at_a_quorum(storage: Any) -> None:
    from cassandra import ConsistencyLevel

    with requests() as sent:
        storage.follow('user', [1])
        storage.block('user', 1)
        storage.repair('user', [1])
        storage.get_followers(1)
        list(storage.iter_followers(1))
        storage.hidden_from([1], ['user'])
    assert {request.level for request in sent} <= {ConsistencyLevel.QUORUM, ConsistencyLevel.LOCAL_QUORUM}


# tables


@pytest.fixture
def keyspace(one: Any) -> Iterator[str]:
    """A keyspace of the test's own, which isn't there yet."""
    from stream_framework.storage.cassandra import connection

    name = f'follows_{RUN}'
    settings.STREAM_DEFAULT_KEYSPACE = name
    connection.get_session().execute(f'DROP KEYSPACE IF EXISTS {name}')
    yield name
    connection.get_session().execute(f'DROP KEYSPACE IF EXISTS {name}')


@pytest.fixture
def feeds(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / 'follows_to_sync.py').write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module('follows_to_sync')
    sys.modules.pop('follows_to_sync')


def test_tables(one: Any, keyspace: str, feeds: Any) -> None:
    from stream_framework.checks.cassandra import check_cassandra
    from stream_framework.storage.cassandra import schema

    statements = schema.sync('follows_to_sync', replication_factor=1)
    assert [statement.split('"')[3] for statement in statements[1:]] == [
        'stream_framework_marks',
        'stream_framework_ledger',
        'stream_framework_seen',
        *TABLES,
    ]
    assert schema.sync(feeds.PinManager) == schema.sync(one.follow_storage_class) == []
    with pytest.raises(ConfigurationError, match='feed class'):
        schema.sync(feeds.Pins)
    assert not [
        line
        for line in check_cassandra([feeds.Pins], ['follows_to_sync'], [one.follow_storage_class])
        if line.level == 'error'
    ]
    one.follow_storage_class().follow(1, [2])
    from stream_framework.storage.cassandra import connection

    connection.get_session().execute(f'DROP TABLE {keyspace}.stream_framework_followers')
    found = [
        line
        for line in check_cassandra([feeds.Pins], ['follows_to_sync'], [one.follow_storage_class])
        if line.level == 'error'
    ]
    assert [
        ('stream_framework_followers' in line.message, 'sync follows_to_sync' in line.remedy) for line in found
    ] == [(True, True)]
    assert len(schema.sync('follows_to_sync')) == 1


def test_a_missing_table_is_told(one: Any, keyspace: str) -> None:
    for call in (
        lambda: one.follow_storage_class().follow(1, [2]),
        lambda: one.follow_storage_class().get_followers(1),
        lambda: one.follow_storage_class().hidden_from([1], [2]),
    ):
        with pytest.raises(StorageError, match='sync'):
            call()


# writers that meet, and die


@pytest.mark.parametrize('work', ['follow', 'again', 'unfollow', 'mute', 'unmute', 'block', 'repair', 'erase'])
def test_killed_between_any_two_steps(storage: Any, work: str) -> None:
    everybody = ['user', 'a', 'b', 'c', 'd']
    for steps in range(40):
        storage.erase('user')
        storage.mute('user', 'a')
        storage.follow('user', ['b', 'c'], since=MORNING)
        storage.follow('a', ['user'])
        storage.mute('c', 'user')
        storage.block('d', 'user')
        if killed_after(storage, steps, work) == 0:
            assert steps > 0
            break
        if work == 'erase':
            storage.erase('user')
            assert not storage.get_followers('user') and not storage.get_followed('user')
            assert not storage.get_muted('user') and not storage.get_blocked('user')
        elif steps % 2:
            do(storage, work)
        for user in everybody:
            storage.repair(user, [one for one in everybody if one != user])
        assert_ends_agree(storage, everybody, everybody)
    else:
        raise AssertionError('it never ended by itself')


def do(storage: Any, work: str) -> None:
    if work == 'erase':
        storage.erase('user')
    elif work == 'again':
        storage.unfollow('user', ['b'])
        storage.follow('user', ['b'], since=MORNING)
    elif work in ('follow', 'unfollow', 'repair'):
        getattr(storage, work)('user', ['a', 'b'])
    else:
        getattr(storage, work)('user', 'b' if work == 'mute' else 'a')


def killed_after(storage: Any, steps: int, work: str) -> int:
    """What a process ends with that is killed when it wants to send for the next time after so often."""

    def run(acknowledge: Callable[[int], None]) -> None:
        from stream_framework.storage.cassandra import follow_client

        left = [steps]

        def dying(send: Any) -> Any:
            def send_or_die(*args: Any, **kwargs: Any) -> Any:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return send(*args, **kwargs)

            return send_or_die

        follow_client.run = dying(follow_client.run)
        follow_client.run_conditional = dying(follow_client.run_conditional)
        do(type(storage)(storage.follow_name), work)

    return Worker(run).wait(time.monotonic() + PATIENCE)


@pytest.mark.parametrize('seed', [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_processes_that_meet_and_are_killed(storage: Any, seed: int) -> None:
    meet_and_die(storage, seed)


@pytest.mark.soak
def test_processes_that_meet_on_three_nodes(three: Any) -> None:
    storage = three.follow_storage()
    meet_and_die(storage, 1)
    storage.flush()


def meet_and_die(storage: Any, seed: int) -> None:
    users, targets = ['u', 'v'], ['a', 'b', 'c']
    chance = random.Random(seed)

    def work(number: int, tasks: int) -> Callable[[Any], None]:
        def run(acknowledge: Callable[[int], None]) -> None:
            mine, draw = type(storage)(storage.follow_name), random.Random(100 * seed + number)
            for task in range(tasks):
                user, target = draw.choice(users), draw.choice(targets)
                draw.choice([mine.follow, mine.unfollow])(user, [target])
                draw.choice([mine.mute, mine.unmute, mine.block, mine.unblock])(user, target)
                mine.repair(user, [target])
                acknowledge(task)

        return run

    deadline = time.monotonic() + PATIENCE
    for _ in range(2):
        workers = [Worker(work(number, 15)) for number in range(4)]
        assert [worker.wait(deadline) for worker in workers] == [0] * 4
        assert_ends_agree(storage, users, targets)
    killed = 0
    for _ in range(3):
        workers = [Worker(work(number, 100_000)) for number in range(4)]
        for worker in workers:
            worker.wait_for(chance.randrange(1, 8), deadline)
            worker.kill()
        killed += [worker.wait(deadline) for worker in workers].count(-signal.SIGKILL)
        for user in users:
            storage.repair(user, targets)
        assert_ends_agree(storage, users, targets)
    assert killed > 0
