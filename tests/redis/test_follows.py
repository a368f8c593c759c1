"""Follows on Redis: keys, round trips, and processes that meet or die half-way."""

from __future__ import annotations

import datetime
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework.exceptions import StorageError
from stream_framework.storage.redis import connection
from stream_framework.storage.redis.follow_storage import RedisFollowStorage
from tests.contracts.follow_storage import MORNING, UUID, assert_ends_agree
from tests.redis.test_concurrency import PATIENCE, Worker
from tests.redis.wire import Wire, counted


@pytest.fixture
def storage(redis_backend: Any) -> Iterator[Any]:
    storage = redis_backend.follow_storage()
    yield storage
    storage.flush()


@pytest.fixture
def warm(storage: Any) -> Iterator[Wire]:
    """The round trips of what is done from here on: connections are made, scripts loaded."""
    connection.reset()
    with counted() as wire:
        storage.follow('warm', [f'warm {number}' for number in range(100)])
        storage.repair('warm', [f'warm {number}' for number in range(100)])
        for number in range(100):
            storage.get_followers(f'warm {number}', before=storage.get_followers(f'warm {number}')[0])
        storage.block('warm', 'warmer')
        wire.reset()
        yield wire
    connection.reset()


def test_keys(plain_backend: Any) -> None:
    storage = plain_backend.follow_storage('a:b%')
    client = connection.get_redis_connection()
    storage.follow(7, [13, '13', UUID], since=MORNING)
    storage.mute(7, 13)
    storage.block('x', 7)
    moment = int(MORNING.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)
    start = 'stream:a%3Ab%25:'
    assert client.zrange(f'{start}followed:7', 0, -1, withscores=True) == [
        ('13', moment),
        ('s13', moment),
        (f'u{UUID.hex}', moment),
    ]
    assert client.zrange(f'{start}followers:s13', 0, -1, withscores=True) == [('7', moment)]
    assert client.smembers(f'{start}muted:7') == {'13'}
    assert client.smembers(f'{start}blocked:sx') == {'7'}
    assert client.smembers(f'{start}hidden:13') == {'m7'}
    assert client.smembers(f'{start}hidden:7') == {'bsx'}
    assert client.smembers(f'{start}hidden:sx') == {'c7'}
    assert RedisFollowStorage().get_key('followers', '7') == 'stream:follow:followers:7'
    for user in (7, 'x'):
        storage.erase(user)
    assert client.keys(f'{start}*') == []


# round trips


def test_following(storage: Any, warm: Wire) -> None:
    most = 1 if 'Cluster' not in type(storage.redis).__name__ else 3
    for work in (storage.follow, storage.follow, storage.repair, storage.unfollow):
        warm.reset()
        work('user', range(20))
        assert 1 <= warm.trips <= (9 if work == storage.repair and most == 3 else most)
    for hide in (storage.mute, storage.unmute):
        warm.reset()
        hide('user', 'target')
        assert warm.trips <= most
    warm.reset()
    storage.block('user', 'target')
    assert warm.trips <= 2 * most


@pytest.mark.parametrize('size', [1, 100, 10_000])
def test_asking(storage: Any, warm: Wire, size: int) -> None:
    storage.follow('user', range(min(size, 100)))
    storage.mute('user', 3)
    warm.reset()
    assert len(storage.is_following('user', range(size))) == min(size, 100)
    assert warm.trips == 1
    warm.reset()
    assert len(storage.hidden_from([3], ['user', *range(size)])) == 1
    assert warm.trips == 1
    if size <= 1000:
        warm.reset()
        assert len(storage.hidden_from([*range(size), 3], ['user'])) == 1
        assert warm.trips == 1


def test_reading(storage: Any, warm: Wire) -> None:
    storage.follow('user', range(300), since=MORNING)
    last = storage.get_followed('user')[-1]
    for read in (
        lambda: storage.count_followed('user'),
        lambda: storage.count_followers(1),
        lambda: storage.get_followed('user'),
        lambda: storage.get_followed('user', before=last),
        lambda: storage.get_muted('user'),
        lambda: list(storage.iter_followed('user')),
    ):
        warm.reset()
        read()
        assert warm.trips == 1


def test_pages_of_a_hundred_thousand_of_one_moment(plain_backend: Any) -> None:
    storage = plain_backend.follow_storage()
    client = connection.get_redis_connection()
    key = storage.get_key('followers', '7')
    for start in range(0, 100_000, 10_000):
        client.zadd(key, {str(number): 5 for number in range(start, start + 10_000)})
    expected = sorted(map(str, range(100_000)), reverse=True)
    assert [str(one) for one in storage.iter_followers(7)] == expected
    assert storage.count_followers(7) == 100_000
    storage.flush()


def test_replies_are_bounded(plain_backend: Any) -> None:
    storage = plain_backend.follow_storage()
    sizes = []

    class Counting(RedisFollowStorage):
        def read_page(self, *args: Any) -> Any:
            page = super().read_page(*args)
            sizes.append(len(page))
            return page

        def iter_pages(self, *args: Any) -> Any:
            for page in super().iter_pages(*args):
                sizes.append(len(page))
                yield page

    storage.import_follows((number, 'star', None) for number in range(3500))
    counting = Counting(storage.follow_name)
    assert next(counting.iter_followers('star')) is not None
    assert sizes == [1000]
    assert len(counting.get_followers('star', limit=10_000)) == 3500
    assert max(sizes) == 1000
    assert counting.erase('star')['followers'] == 3500
    assert max(sizes) == 1000


def test_another_kind_of_value_is_told(plain_backend: Any) -> None:
    storage = plain_backend.follow_storage()
    client = connection.get_redis_connection()
    client.set(storage.get_key('followed', '7'), 'something else')
    with pytest.raises(StorageError, match='followed:7'):
        storage.follow(7, [13])
    assert list(storage.iter_followers(13)) == []
    client.delete(storage.get_key('followed', '7'))


# writers that meet, and die


@pytest.mark.parametrize('work', ['follow', 'unfollow', 'mute', 'unmute', 'block', 'unblock', 'repair', 'erase'])
def test_killed_between_any_two_steps(storage: Any, work: str) -> None:
    targets = ['a', 'b']
    for steps in range(50):
        storage.erase('user')
        storage.mute('user', 'a')
        storage.block('user', 'b')
        storage.follow('user', ['b', 'c'])
        storage.follow('a', ['user'])
        storage.mute('c', 'user')
        storage.block('d', 'user')
        if killed_after(storage, steps, work) == 0:
            assert steps > 0
            break
        everybody = ['user', *targets, 'c', 'd']
        if work == 'erase':
            storage.erase('user')
            assert not storage.get_followers('user') and not storage.get_followed('user')
            assert not storage.get_muted('user') and not storage.get_blocked('user')
        else:
            storage.repair('user', [*targets, 'c'])
            for target in targets:
                storage.repair(target, ['user'])
        assert_ends_agree(storage, everybody, everybody)
    else:
        raise AssertionError('it never ended by itself')


def killed_after(storage: Any, steps: int, work: str) -> int:
    """What a process ends with that is killed when it wants to send for the next time after so often."""

    def run(acknowledge: Callable[[int], None]) -> None:
        class Dying(RedisFollowStorage):
            left = steps

            def _send(self, commands: Any) -> Any:
                if not self.left:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.left -= 1
                return super()._send(commands)

        dying = Dying(storage.follow_name)
        if work == 'erase':
            dying.erase('user')
        elif work in ('follow', 'unfollow', 'repair'):
            getattr(dying, work)('user', ['a', 'b'])
        else:
            getattr(dying, work)('user', 'b' if work in ('unblock', 'mute') else 'a')

    return Worker(run).wait(time.monotonic() + PATIENCE)


@pytest.mark.parametrize('seed', [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_processes_that_meet_and_are_killed(storage: Any, seed: int) -> None:
    users, targets = ['u', 'v'], ['a', 'b', 'c']
    chance = random.Random(seed)

    def work(number: int, tasks: int) -> Callable[[Any], None]:
        def run(acknowledge: Callable[[int], None]) -> None:
            mine, draw = RedisFollowStorage(storage.follow_name), random.Random(100 * seed + number)
            for task in range(tasks):
                user, target = draw.choice(users), draw.choice(targets)
                draw.choice([mine.follow, mine.unfollow])(user, [target])
                draw.choice([mine.mute, mine.unmute, mine.block, mine.unblock])(user, target)
                mine.repair(user, [target])
                acknowledge(task)

        return run

    deadline = time.monotonic() + PATIENCE
    for _ in range(3):
        workers = [Worker(work(number, 60)) for number in range(4)]
        assert [worker.wait(deadline) for worker in workers] == [0] * 4
        # Everybody has repaired what he has written, and nobody does so afterwards.
        assert_ends_agree(storage, users, targets)
    killed = 0
    for _ in range(3):
        workers = [Worker(work(number, 100_000)) for number in range(4)]
        for worker in workers:
            worker.wait_for(chance.randrange(1, 20), deadline)
            worker.kill()
        killed += [worker.wait(deadline) for worker in workers].count(-signal.SIGKILL)
        # What the broker does with the tasks of workers that were killed: others do them.
        for user in users:
            storage.repair(user, targets)
        assert_ends_agree(storage, users, targets)
    assert killed > 0
