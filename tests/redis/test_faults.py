"""Servers that are down, slow, full, replicas, somebody else's: one clear error that names the server and the key, or a
retry that works; and whatever failed half-way can be run again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from stream_framework.exceptions import StorageConnectionError, StorageError
from stream_framework.feed_managers.base import add_operation
from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed
from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis.connection import get_redis_connection
from tests.contracts.support import VERBS, act, acts
from tests.redis.test_round_trips import manager
from tests.servers import processes, redis_nodes

FEEDS = [RedisFeed, RedisAggregatedFeed, RedisNotificationFeed]


def fails(work: Any, kind: Any, driver: Any, *parts: str) -> StorageError:
    """Run work that must fail with an error of ours, which is the driver's as well, and names what it should."""
    with pytest.raises(StorageError) as caught:
        work()
    error = caught.value
    assert isinstance(error, kind)
    assert isinstance(error, driver)
    assert error.__cause__ is not None
    for part in parts:
        assert part in str(error)
    return error


@pytest.fixture
def server(own_server: Any, use: Any) -> Any:
    made = own_server()
    use(made.config)
    return made


def address(server: Any) -> str:
    return f'127.0.0.1:{server.port}'


@pytest.mark.parametrize('feed_class', FEEDS)
def test_down_at_the_start(use: Any, feed_class: Any) -> None:
    [port] = processes.free_ports(1)
    use({'host': '127.0.0.1', 'port': port})
    for work in (lambda: feed_class(1)[:5], lambda: feed_class(1).add(act(1)), lambda: feed_class(1).count()):
        fails(work, StorageConnectionError, redis.ConnectionError, f'127.0.0.1:{port}', 'key ')
    fails(lambda: feed_class(1).count(), StorageConnectionError, redis.ConnectionError, repr(feed_class(1).key))


def test_a_server_that_refuses_is_reported_soon(use: Any) -> None:
    [port] = processes.free_ports(1)
    use({'host': '127.0.0.1', 'port': port})
    start = time.monotonic()
    fails(lambda: RedisFeed(1).count(), StorageConnectionError, redis.ConnectionError)
    # Not after minutes of trying again.
    assert time.monotonic() - start < 10


def test_a_cluster_that_is_down(use: Any) -> None:
    [port] = processes.free_ports(1)
    use({'host': '127.0.0.1', 'port': port, 'cluster': True})
    fails(lambda: RedisFeed(1).count(), StorageConnectionError, Exception, f'127.0.0.1:{port}')


@pytest.mark.parametrize('feed_class', FEEDS)
def test_restarted_in_the_middle(server: Any, feed_class: Any) -> None:
    feed = feed_class(1)
    feed.add_many(acts(3))
    assert feed[:5]
    server.stop()
    fails(lambda: feed.count(), StorageConnectionError, redis.ConnectionError, address(server), repr(feed.key))
    server.start()
    # Neither its data nor our scripts are there any more: nobody has to know.
    feed.add_many(acts(3))
    assert feed[:5]
    server.stop()
    server.start()
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(50):
            feed_class(user_id).add(act(7), batch_interface=batch)
    feed_class.insert_activity(act(7))
    assert all(feed_class(user_id)[:5] for user_id in range(50))
    feed.remove(act(7))
    assert feed.count() == 0


@pytest.mark.parametrize('feed_class', FEEDS)
def test_scripts_that_the_server_has_forgotten(server: Any, feed_class: Any) -> None:
    feed = feed_class(1)
    feed.add_many(acts(40))
    page = feed[:5]
    for work in (
        lambda: feed.add(act(50)),
        lambda: feed[:5],
        lambda: feed.filter(activity_id__lt=page[0].serialization_id)[:5],
        lambda: feed.trim(5),
        lambda: feed.remove(act(50)),
    ):
        server.client().script_flush()
        work()
    assert feed[:]


def test_connections_that_were_cut(server: Any) -> None:
    feed = RedisFeed(1)
    feed.add(act(1))
    for _ in range(3):
        server.client().client_kill_filter(_type='normal', skipme=True)
        feed.add(act(2))
        server.client().client_kill_filter(_type='normal', skipme=True)
        assert len(feed[:5]) == 2


class Slow(threading.Thread):
    """Somebody who listens, reads, and says nothing."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.connections: list[socket.socket] = []

    def run(self) -> None:
        try:
            while True:
                self.connections.append(self.socket.accept()[0])
        except OSError:
            pass

    def stop(self) -> None:
        self.socket.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def slow() -> Iterator[Slow]:
    thread = Slow()
    thread.start()
    yield thread
    thread.stop()


def test_no_answer_in_time(use: Any, slow: Slow) -> None:
    use({'host': '127.0.0.1', 'port': slow.port, 'socket_timeout': 0.1})
    feed = RedisFeed(1)
    for work in (feed.count, lambda: feed[:5], lambda: feed.add(act(1))):
        fails(work, StorageConnectionError, redis.TimeoutError, f'127.0.0.1:{slow.port}', 'socket_timeout')


def test_a_server_that_is_busy(server: Any, use: Any) -> None:
    use({**server.config, 'socket_timeout': 0.2})
    feed = RedisFeed(1)
    feed.add(act(1))
    server.client().execute_command('CLIENT', 'PAUSE', 700)
    fails(feed.count, StorageConnectionError, redis.TimeoutError, address(server), repr(feed.key))
    time.sleep(1)
    assert feed.count() == 1
    # What was sent when the time was over is not taken for the answer to what comes next.
    assert feed[:5] == [act(1)]


def test_a_wrong_password(own_server: Any, use: Any) -> None:
    server = own_server(password='right-horse')
    for config in ({'password': 'wrong-horse'}, {'password': None}, {'username': 'nobody', 'password': 'wrong-horse'}):
        use({**server.config, **config})
        error = fails(
            lambda: RedisFeed(1).count(), StorageConnectionError, redis.RedisError, address(server), 'password'
        )
        assert 'horse' not in str(error) + repr(error.__cause__)
    use({'url': f'redis://:wrong-horse@127.0.0.1:{server.port}/0'})
    error = fails(lambda: RedisFeed(1).count(), StorageConnectionError, redis.RedisError, address(server))
    assert 'horse' not in str(error)
    use(server.config)
    assert RedisFeed(1).count() == 0


def test_a_password_and_tls(own_server: Any, use: Any) -> None:
    server = own_server(password='right-horse', tls=True)
    use(server.config)
    feed = RedisFeed(1)
    feed.add_many(acts(3))
    assert len(feed[:5]) == 3
    use({'url': f'rediss://:right-horse@127.0.0.1:{server.port}/0', 'ssl_ca_certs': server.config['ssl_ca_certs']})
    assert len(feed[:5]) == 3
    # A certificate that nobody vouches for.
    use({key: value for key, value in server.config.items() if key != 'ssl_ca_certs'})
    fails(feed.count, StorageConnectionError, redis.ConnectionError, address(server))
    use({'host': '127.0.0.1', 'port': server.port, 'password': 'right-horse', 'socket_timeout': 1})
    fails(feed.count, StorageConnectionError, redis.RedisError, address(server))


@pytest.mark.parametrize('feed_class', FEEDS)
def test_out_of_memory(server: Any, feed_class: Any) -> None:
    feed_class(1).add_many(acts(5))
    before = feed_class(1)[:]
    client = server.client()
    client.config_set('maxmemory-policy', 'noeviction')
    client.config_set('maxmemory', 1)
    fails(lambda: feed_class(1).add(act(9)), StorageError, redis.ResponseError, address(server), 'maxmemory', 'key ')
    assert feed_class(1)[:] == before
    with pytest.raises(StorageError, match='maxmemory'):
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(30):
                feed_class(user_id).add(act(9), batch_interface=batch)
    # What takes memory away goes on. (A group that shrinks is written anew.)
    feed_class(1).trim(3)
    if feed_class is RedisFeed:
        feed_class(1).remove(act(4))
    if feed_class is RedisNotificationFeed:
        feed_class(1).mark_activities(feed_class(1)[:1], read=True)
        feed_class(1).mark_all()
        assert feed_class(1).count_unseen() == 0
    client.config_set('maxmemory', 0)
    feed_class.insert_activity(act(9))
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(30):
            feed_class(user_id).add(act(9), batch_interface=batch)
    for user_id in range(30):
        items = feed_class(user_id)[:]
        assert any(act(9).serialization_id in (item.activity_ids if hasattr(item, 'group') else [item.serialization_id])
                   for item in items)  # fmt: skip


@pytest.mark.parametrize('feed_class', FEEDS)
def test_another_kind_of_value_at_a_key(server: Any, feed_class: Any) -> None:
    feed = feed_class(7)
    feed_class.insert_activity(act(1))
    server.client().set(feed.key, 'somebody else')
    for work in (
        lambda: feed.add(act(1)),
        lambda: feed[:5],
        lambda: feed.count(),
        lambda: feed.remove(act(1)),
        lambda: feed.index_of(act(1)) if feed_class is RedisFeed else feed.index_of('13732667560000000000000001'),
        lambda: feed.trim(),
        lambda: feed.filter(activity_id__lt=10**26)[:5],
    ):
        fails(work, StorageError, redis.ResponseError, address(server), repr(feed.key), 'WRONGTYPE')
    assert server.client().get(feed.key) == 'somebody else'


@pytest.mark.parametrize('feed_class', FEEDS)
def test_a_batch_that_failed_for_one_feed_is_run_again(server: Any, feed_class: Any) -> None:
    feed_class.insert_activities(acts(3))
    bad = feed_class(50)
    server.client().set(bad.key, 'somebody else')

    def fan_out() -> None:
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(100):
                feed_class(user_id).add_many(acts(3), batch_interface=batch)

    fails(fan_out, StorageError, redis.ResponseError, address(server), repr(bad.key))
    server.client().delete(bad.key)
    fan_out()
    fan_out()
    for user_id in range(100):
        items = feed_class(user_id)[:]
        count = len(items) if feed_class is RedisFeed else sum(item.activity_count for item in items)
        assert count == 3
        if feed_class is RedisNotificationFeed:
            assert feed_class(user_id).count_unseen() == len(items)


def test_a_manager_names_the_feed_that_failed(server: Any) -> None:
    bad = RedisFeed(13)
    server.client().set(bad.key, 'somebody else')

    class Feeds:
        name = 'redis'
        user_feed_class = type('UserFeed', (RedisFeed,), {'key_format': 'user:%(user_id)s'})

    work = manager(Feeds, normal=RedisFeed)
    kwargs = {'activities': [act(1)], 'trim': True}
    fails(
        lambda: work.fanout(range(100), RedisFeed, add_operation, kwargs),
        StorageError,
        redis.ResponseError,
        repr(bad.key),
    )
    assert RedisFeed(99).count() == 1


def test_another_kind_of_value_at_the_marks(server: Any) -> None:
    feed = RedisNotificationFeed(7)
    key = feed.feed_markers.get_key('unseen')
    server.client().set(key, 'somebody else')
    fails(lambda: feed.add(act(1)), StorageError, redis.ResponseError, address(server), 'WRONGTYPE', repr(key))
    # Neither the group nor half of its marks.
    assert feed.count() == 0
    fails(feed.count_unseen, StorageError, redis.ResponseError, repr(key))


@pytest.mark.parametrize('feed_class', FEEDS)
def test_a_replica(server: Any, own_server: Any, use: Any, feed_class: Any) -> None:
    feed = feed_class(1)
    feed.add_many([act(n, verb=VERBS[n]) for n in range(3)])
    replica = own_server(replicaof=f'127.0.0.1 {server.port}')
    processes.wait_until(lambda: replica.client().exists(feed.key), 30, 'the replica')
    use(replica.config)
    assert feed[:5]
    for work in (
        lambda: feed.add(act(9)),
        lambda: feed.remove(act(1, verb=VERBS[1])),
        lambda: feed.trim(1),
        lambda: feed.delete(),
        lambda: _fan_out(feed_class),
    ):
        fails(work, StorageError, redis.ResponseError, address(replica), 'replica', 'primary')


def _fan_out(feed_class: Any) -> None:
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(3):
            feed_class(user_id).add(act(9), batch_interface=batch)


def test_a_node_of_a_cluster_taken_for_a_plain_server(use: Any, own_cluster: Any) -> None:
    use(own_cluster.nodes[0].config)
    moved = 0
    for user_id in range(20):
        try:
            RedisFeed(user_id).count()
        except StorageError as error:
            moved += 1
            assert "'cluster': True" in str(error)
    assert moved


@pytest.fixture(scope='module')
def own_cluster() -> Iterator[Any]:
    try:
        cluster = redis_nodes.LocalCluster()
    except LookupError as error:
        pytest.skip(str(error))
    with cluster:
        yield cluster


def _move(cluster: Any, slot: int, finish: bool = True) -> Any:
    """Move a slot to the next node; returns what finishes the move."""
    clients = [node.client() for node in cluster.nodes]
    names = [client.execute_command('CLUSTER MYID') for client in clients]
    slots = cluster.client().nodes_manager.slots_cache
    source = next(i for i, node in enumerate(cluster.nodes) if node.port == slots[slot][0].port)
    target = (source + 1) % len(clients)
    clients[target].execute_command('CLUSTER SETSLOT', slot, 'IMPORTING', names[source])
    clients[source].execute_command('CLUSTER SETSLOT', slot, 'MIGRATING', names[target])

    def move_keys() -> None:
        keys = clients[source].execute_command('CLUSTER GETKEYSINSLOT', slot, 1000)
        for key in keys:
            clients[source].execute_command('MIGRATE', '127.0.0.1', cluster.nodes[target].port, key, 0, 5000)

    def done() -> None:
        move_keys()
        for client in (clients[target], clients[source]):
            client.execute_command('CLUSTER SETSLOT', slot, 'NODE', names[target])

    if finish:
        done()
    return move_keys, done


@pytest.mark.parametrize('feed_class', FEEDS)
def test_a_slot_that_moves(own_cluster: Any, use: Any, feed_class: Any) -> None:
    use(own_cluster.config)
    feed = feed_class(f'moving {feed_class.__name__}')
    client = get_redis_connection()
    feed.add_many(acts(3))
    feed[:5]
    own_cluster.client().script_flush()
    _move(own_cluster, client.keyslot(feed.key))
    # To a node that has the key and never saw our scripts.
    feed.add(act(5))
    assert _contains(feed, 5)
    _, done = _move(own_cluster, client.keyslot(feed.key), finish=False)
    feed.add(act(6))
    done()
    feed.add(act(7))
    assert _contains(feed, 6) and _contains(feed, 7)
    # In the middle of the move, the key being at the new node already.
    move_keys, done = _move(own_cluster, client.keyslot(feed.key), finish=False)
    move_keys()
    feed.add(act(8))
    assert _contains(feed, 8)
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in (*(f'{feed.user_id} {n}' for n in range(10)), feed.user_id):
            feed_class(user_id).add(act(9), batch_interface=batch)
    done()
    assert _contains(feed, 9) and _contains(feed_class(f'{feed.user_id} 3'), 9)
    feed.remove(act(9))
    assert not _contains(feed, 9)


def _contains(feed: Any, n: int) -> bool:
    feed.insert_activity(act(n))
    return any(act(n).serialization_id in getattr(item, 'activity_ids', [item.serialization_id]) for item in feed[:])


def test_a_node_of_the_cluster_that_is_gone(use: Any, own_server: Any) -> None:
    cluster = own_server(redis_nodes.LocalCluster)
    use({**cluster.config, 'socket_timeout': 2})
    feeds = [RedisFeed(user_id) for user_id in range(30)]
    for feed in feeds:
        feed.timeline_storage.add(feed.key, act(1))
    cluster.nodes[2].stop()
    failed = 0
    for feed in feeds:
        try:
            assert feed.count() == 1
        except StorageConnectionError as error:
            failed += 1
            assert isinstance(error, (redis.RedisError, redis.exceptions.RedisClusterException))
            assert repr(feed.key) in str(error)
    assert 0 < failed < 30


def test_sentinels(own_server: Any, use: Any) -> None:
    service = own_server(redis_nodes.LocalSentinel)
    use(service.config)
    feed = RedisFeed(1)
    feed.add_many(acts(3))
    assert len(feed[:5]) == 3
    use({**service.config, 'service_name': 'nobody'})
    fails(feed.count, StorageConnectionError, redis.ConnectionError, "'nobody'", 'Sentinel')
    use(service.config)
    processes.wait_until(lambda: service.replica.client().exists(feed.key), 30, 'the replica')
    service.primary.stop()
    deadline = time.monotonic() + 60
    while True:
        try:
            feed.add(act(9))
            break
        except StorageError:
            assert time.monotonic() < deadline, 'no fail-over'
            time.sleep(0.2)
    assert len(feed[:5]) == 4
