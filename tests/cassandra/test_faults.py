"""Nodes and writers that fail in the middle of their work: on three nodes, with three replicas, at QUORUM."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.checks.cassandra import check_cassandra
from stream_framework.exceptions import StorageConnectionError, StorageError, StreamFrameworkError
from tests.cassandra.support import KINDS, Writer, assert_groups, by_object, made, until_done
from tests.contracts.support import act, acts, ids

USERS = 40
OBJECTS = 5


@pytest.fixture
def machines(three: Any) -> Iterator[Any]:
    """The three nodes; whatever a test did to them, all are up again afterwards."""
    from tests.servers import cassandra_nodes

    yield cassandra_nodes.nodes()
    for node in cassandra_nodes.nodes():
        if node.server.running:
            node.thaw()
        else:
            node.start()
    cassandra_nodes.wait_for_all(three.settings())


def fan_out(feed_classes: Any, n: int) -> None:
    """Add activity ``n`` to the feeds of all users, of each class."""
    for feed_class in feed_classes:
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(USERS):
                feed_class(user_id).add_many([act(n, object=n % OBJECTS)], batch_interface=batch)


def assert_all(feed_classes: Any, numbers: Any) -> None:
    """Every feed of every user holds these activities, each once."""
    activities = [act(n, object=n % OBJECTS) for n in numbers]
    for feed_class in feed_classes:
        for user_id in range(0, USERS, 7):
            if hasattr(feed_class, 'aggregator_class'):
                assert_groups(feed_class(user_id), by_object(activities), kept=15)
            else:
                assert ids(feed_class(user_id)[:]) == ids(activities)[::-1]


@pytest.fixture
def three_kinds(three: Any) -> Any:
    return [made(three, kind)[0] for kind in ('flat', *KINDS)]


def assert_says_what(error: StorageError) -> None:
    """An error is also the driver's own, with the driver's as its cause."""
    assert error.__cause__ is not None
    assert isinstance(error, type(error.__cause__))


def test_a_node_killed_in_the_middle_of_a_fan_out(machines: Any, three_kinds: Any) -> None:
    killer = threading.Timer(0.05, machines[1].kill)
    restarter = threading.Thread(target=machines[1].start)
    for n in range(24):
        if n == 4:
            killer.start()
        if n == 12:
            killer.join()
            restarter.start()
        fan_out(three_kinds, n)
    restarter.join()
    fan_out(three_kinds, 24)
    assert_all(three_kinds, range(25))


def test_a_frozen_node(machines: Any, three_kinds: Any) -> None:
    fan_out(three_kinds, 0)
    machines[2].freeze()
    for n in range(1, 5):
        until_done(lambda n=n: fan_out(three_kinds, n))
        assert ids(three_kinds[0](n)[:]) == ids([act(i, object=i % OBJECTS) for i in range(n, -1, -1)])
    machines[2].thaw()
    fan_out(three_kinds, 5)
    assert_all(three_kinds, range(6))


def test_two_nodes_gone(machines: Any, three_kinds: Any) -> None:
    fan_out(three_kinds, 0)
    for node in machines[1:]:
        node.kill()
    for feed_class in three_kinds:
        with pytest.raises(StorageError) as failed:
            until_refused(lambda feed_class=feed_class: fan_out([feed_class], 1))
        assert_says_what(failed.value)
    with pytest.raises(StorageError) as failed:
        three_kinds[0](1)[:10]
    assert_says_what(failed.value)
    said = ' '.join(map(str, check_cassandra(three_kinds)))
    assert 'is down' in said
    machines[1].start()
    until_done(lambda: fan_out(three_kinds, 1), attempts=60)
    assert_all(three_kinds, range(2))


def until_refused(work: Callable[[], Any]) -> None:
    """Do something until it fails: a node takes a moment to notice that others are gone."""
    for _ in range(100):
        work()
        time.sleep(0.2)


def test_writes_that_time_out(machines: Any, three_kinds: Any) -> None:
    fan_out(three_kinds, 0)
    for node in machines[1:]:
        node.freeze()
    for feed_class in three_kinds:
        with pytest.raises(StorageConnectionError) as failed:
            fan_out([feed_class], 1)
        assert_says_what(failed.value)
    for node in machines[1:]:
        node.thaw()
    until_done(lambda: fan_out(three_kinds, 1))
    assert_all(three_kinds, range(2))


def test_all_nodes_gone_and_back(machines: Any, three_kinds: Any) -> None:
    fan_out(three_kinds, 0)
    # A server that is killed may forget what came in its last tenth of a second; that all three do so is no test.
    time.sleep(1)
    for node in machines:
        node.kill()
    with pytest.raises(StorageConnectionError) as failed:
        three_kinds[0](1)[:10]
    assert '127.0.0.1' in str(failed.value)
    with pytest.raises(StorageConnectionError):
        fan_out(three_kinds, 1)
    for node in machines:
        node.launch()
    for node in machines:
        node.wait()
    until_done(lambda: (time.sleep(0.5), fan_out(three_kinds, 1)), attempts=60)
    assert_all(three_kinds, range(2))


@pytest.mark.parametrize('level', ['THREE', 3])
@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_a_consistency_level_that_is_not_available(one: Any, kind: str, level: Any) -> None:
    feed_class, _ = made(one, kind)
    feed_class(1).add(act(1))
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = level
    reconnect()
    for work in (lambda: feed_class(1).add(act(2)), lambda: feed_class(1)[:10]):
        with pytest.raises(StorageError) as failed:
            work()
        assert_says_what(failed.value)
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = 'LOCAL_ONE'
    reconnect()
    feed_class(1).add(act(2))
    assert [len(group) for group in feed_class(1)[:]] == [1, 1] if kind != 'flat' else feed_class(1).count() == 2


def reconnect() -> None:
    from stream_framework.storage.cassandra import connection

    connection.reset()


COMMAND = 'python -m stream_framework.storage.cassandra sync'


@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_a_table_that_is_not_there(one: Any, kind: str) -> None:
    from tests.cassandra.support import feed_class

    missing = feed_class(kind, 'missing:%(user_id)s', timeline_cf_name=f'missing_{kind}')
    for work in (
        lambda: missing(1).add(act(1)),
        lambda: missing(1)[:10],
        lambda: missing(1).count(),
        lambda: missing(1).remove(act(1)),
        lambda: missing(1).trim(),
        lambda: missing(1).delete(),
    ):
        with pytest.raises(StorageError) as failed:
            work()
        assert f'missing_{kind}' in str(failed.value)
        assert COMMAND in str(failed.value)


@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_a_keyspace_that_is_not_there(one: Any, kind: str) -> None:
    from tests.cassandra.support import feed_class

    made_class = feed_class(kind, 'missing:%(user_id)s')
    settings.STREAM_DEFAULT_KEYSPACE = 'no_such_keyspace'
    reconnect()
    for work in (lambda: made_class(1).add(act(1)), lambda: made_class(1)[:10]):
        with pytest.raises(StorageError) as failed:
            work()
        assert 'no_such_keyspace' in str(failed.value)
        assert COMMAND in str(failed.value)


@pytest.mark.parametrize('megabytes', [2, 9, 40])
@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_oversized_rows(one: Any, kind: str, megabytes: int) -> None:
    feed_class, _ = made(one, kind)
    feed = feed_class(1)
    feed.add(act(0))
    huge = act(1, extra_context={'text': 'x' * (megabytes * 2**20)})
    if kind == 'flat' and megabytes == 2:
        feed.add(huge)
        assert feed[:1][0].extra_context == huge.extra_context
        feed.remove(huge)
    else:
        with pytest.raises(StreamFrameworkError) as failed:
            feed.add(huge)
        assert feed.key in str(failed.value) or str(huge.serialization_id) in str(failed.value)
    feed.add(act(2))
    assert feed.count() == 2
    assert len(feed[:]) == 2


def test_many_large_activities_at_once(one: Any) -> None:
    """Each fits, but batches of them, by the number of rows alone, would not."""
    feed_class, _ = made(one, 'flat')
    large = [act(n, extra_context={'text': 'x' * 400_000}) for n in range(100)]
    feed_class(1).add_many(large)
    assert feed_class(1).count() == 100
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(2, 40):
            feed_class(user_id).add_many(large[:2], batch_interface=batch)
    assert [feed_class(user_id).count() for user_id in range(2, 40)] == [2] * 38
    assert ids(feed_class(1)[:3]) == ids(acts(100)[:96:-1])


@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_writers_killed_between_and_inside_batches(one: Any, kind: str) -> None:
    attributes = {} if kind == 'flat' else {'large': True}
    feed_class, description = made(one, kind, **attributes)
    chance = random.Random(4)
    numbers, kills = list(range(40)), 0
    while numbers:
        writer = Writer(one.settings(), 'fan_out', feed=description, users=USERS, numbers=numbers, objects=OBJECTS).go()
        if kills < 6:
            writer.wait_for(1 + min(3, len(numbers)))
            time.sleep(chance.random() * 0.2)
            done = writer.kill()
            kills += 1
        else:
            done = writer.finish()
        numbers = numbers[len(done) :]
        for user_id in range(0, USERS, 13):
            feed = feed_class(user_id)
            assert len(feed[:]) == feed.count()
    assert kills >= 3
    assert_all([feed_class], range(40)) if kind == 'flat' else [
        assert_groups(feed_class(user_id), by_object(act(n, object=n % OBJECTS) for n in range(40)))
        for user_id in range(USERS)
    ]


@pytest.mark.parametrize('kind', KINDS)
def test_writers_killed_while_removing(one: Any, kind: str) -> None:
    feed_class, description = made(one, kind, large=True)
    for n in range(30):
        fan_out([feed_class], n)
    chance = random.Random(5)
    numbers = [n for n in range(30) if n % 3 or n % OBJECTS == 1]
    expected = by_object(act(n, object=n % OBJECTS) for n in range(30) if n not in numbers)
    for kill in range(100):
        job = {'feed': description, 'users': USERS, 'numbers': numbers, 'objects': OBJECTS, 'remove': True}
        writer = Writer(one.settings(), 'fan_out', **job).go()
        if kill < 4:
            writer.wait_for(1 + min(2, len(numbers)))
            time.sleep(chance.random() * 0.2)
            numbers = numbers[len(writer.kill()) :]
        else:
            writer.finish()
            break
    for user_id in range(USERS):
        assert_groups(feed_class(user_id), expected)
        if kind == 'notification':
            current = {group.serialization_id for group in feed_class(user_id)[:]}
            assert set(feed_class(user_id).feed_markers.get('unseen')) == current


@pytest.mark.soak
def test_nodes_and_writers_killed_again_and_again(three: Any, machines: Any) -> None:
    """Four writers for some minutes, one of which dies now and then, while one node after the other is killed."""
    from tests.servers import cassandra_nodes

    chance = random.Random(6)
    jobs = []
    for number in range(4):
        feed_class, description = made(three, KINDS[number % 2], large=True)
        jobs.append((feed_class, description, list(range(number, 1600, 4))))
    left = [list(numbers) for *_, numbers in jobs]

    def start(number: int) -> Writer:
        job = {'feed': jobs[number][1], 'users': USERS, 'numbers': left[number], 'objects': OBJECTS}
        return Writer(three.settings(), 'fan_out', **job).go()

    writers = [start(number) for number in range(4)]
    for turn in range(12):
        node = machines[turn % 3]
        node.kill()
        time.sleep(chance.random() * 5)
        number = chance.randrange(4)
        left[number] = left[number][len(writers[number].kill()) :]
        writers[number] = start(number)
        time.sleep(chance.random() * 5)
        node.start()
        cassandra_nodes.wait_for_all(three.settings())
    for writer in writers:
        writer.finish(3600)
    for feed_class, _, numbers in jobs:
        for user_id in range(USERS):
            assert_groups(feed_class(user_id), by_object(act(n, object=n % OBJECTS) for n in numbers))
