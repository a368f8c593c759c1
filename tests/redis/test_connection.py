"""Clients: made once, cheap to get, never shared with a fork, made of what the setting says."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import threading
import time
from typing import Any

import pytest
import redis

from stream_framework.exceptions import ConfigurationError, StorageError
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis import connection
from stream_framework.storage.redis.connection import get_redis_connection, setup_redis
from tests.contracts.support import act, acts
from tests.redis.test_concurrency import PATIENCE, Worker


def _counted(original: Any, made: list[Any]) -> Any:
    @functools.wraps(original)
    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append(type(self))
        original(self, *args, **kwargs)

    return counted


def test_one_client_for_all(redis_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    for kind in (redis.Redis, redis.cluster.RedisCluster):
        original = kind.__init__

        monkeypatch.setattr(kind, '__init__', _counted(original, made))
    feed_class = redis_backend.flat()
    feed_class(0).add(act(0))
    made.clear()
    for user_id in range(100):
        feed = feed_class(user_id)
        feed.add(act(1))
        assert feed[:5]
        feed.timeline_storage.get_cache(feed.key).count()
    assert made == []
    assert get_redis_connection() is get_redis_connection('default')


def test_getting_it_does_no_work(plain_backend: Any) -> None:
    get_redis_connection()
    calls = 0

    def count(*args: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        get_redis_connection()
    finally:
        sys.setprofile(None)
    # A look at the setting, a comparison: nothing that parses, copies or constructs.
    assert calls < 50


def test_it_follows_the_setting(use: Any, own_server: Any) -> None:
    first, second = own_server(), own_server()
    use(first.config)
    RedisFeed(1).add(act(1))
    use(second.config)
    assert RedisFeed(1).count() == 0
    use(first.config)
    assert RedisFeed(1).count() == 1


def test_it_follows_an_entry_that_is_changed_in_place(use: Any, own_server: Any) -> None:
    from stream_framework import settings

    first, second = own_server(), own_server()
    use(dict(first.config))
    RedisFeed(1).add(act(1))
    settings.STREAM_REDIS_CONFIG['default']['port'] = second.port
    assert RedisFeed(1).count() == 0


def test_several_servers(use: Any, own_server: Any) -> None:
    first, second = own_server(), own_server()
    use(default=first.config, other=second.config)
    feed_class = type('Elsewhere', (RedisFeed,), {'redis_server': 'other'})
    feed_class(1).add_many(acts(3))
    assert feed_class(1)[:] == acts(3)[::-1]
    assert RedisFeed(1).count() == 0
    # The timeline is there, the activities, which all feeds share, are here.
    assert second.client().dbsize() == 1
    assert second.client().type(feed_class(1).key) == 'zset'
    assert set(map(first.client().type, first.client().keys())) == {'hash'}
    from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed

    notifications = type('There', (RedisNotificationFeed,), {'redis_server': 'other'})
    notifications(1).add(act(1))
    assert second.client().llen(notifications(1).feed_markers.get_key('unseen')) == 1
    assert get_redis_connection('other') is not get_redis_connection()
    assert set(setup_redis()) == {'default', 'other'}


@pytest.mark.parametrize(
    ('servers', 'name', 'words'),
    [
        ({'default': {}}, 'othr', 'default'),
        ({'default': {}, 'other': {}}, 'othr', "did you mean 'other'"),
        ({'default': {'hots': 'a'}}, 'default', "did you mean 'host'"),
        ({'default': {'cluster': True, 'hots': 'a'}}, 'default', "did you mean 'host'"),
        ({'default': {'cluster': True, 'db': 3}}, 'default', 'only database 0'),
        ({'default': {'cluster': True, 'sentinels': [('a', 1)]}}, 'default', 'not both'),
        ({'default': {'sentinels': 'a:1'}}, 'default', 'list'),
        ({'default': {'url': 'http://:secret@a'}}, 'default', 'redis://'),
        ({'default': {'client': 'a'}}, 'default', 'client of redis-py'),
        ({'default': 'localhost'}, 'default', 'dict'),
    ],
)
def test_settings_that_can_not_work(use: Any, servers: Any, name: str, words: str) -> None:
    use(**servers)
    with pytest.raises(ConfigurationError) as caught:
        get_redis_connection(name)
    assert words in str(caught.value)
    assert 'secret' not in str(caught.value)
    # And not only once.
    with pytest.raises(ConfigurationError):
        get_redis_connection(name)


def test_addresses(use: Any, own_server: Any) -> None:
    server = own_server()
    for config in (
        {'url': f'redis://127.0.0.1:{server.port}/3'},
        {'host': '127.0.0.1', 'port': str(server.port), 'db': '3', 'password': None},
        {'host': '127.0.0.1', 'port': server.port, 'db': 3, 'max_connections': 5, 'socket_timeout': 3},
        {'client': redis.Redis(port=server.port, db=3)},
    ):
        use(config)
        RedisFeed(1).add(act(1))
        assert RedisFeed(1).count() == 1
    assert server.client(db=3).zcard(RedisFeed(1).key) == 1
    assert server.client().dbsize() == 0


@pytest.mark.skipif(redis.__version__ == '4.5.0', reason='redis-py 4.5.0 can not use such sockets at all')
def test_a_socket_of_this_machine(use: Any, own_server: Any, tmp_path: Any) -> None:
    path = tmp_path / 's'
    own_server(unixsocket=path)
    for config in ({'unix_socket_path': str(path)}, {'url': f'unix://{path}?db=0'}):
        use(config)
        RedisFeed(1).add(act(1))
        assert RedisFeed(1).count() == 1


def test_threads(redis_backend: Any) -> None:
    feed_class = redis_backend.flat(max_length=1000)
    aggregated = redis_backend.aggregated()
    failures: list[BaseException] = []
    connection.reset()

    def work(number: int) -> None:
        try:
            for n in range(20):
                activity = act(n * 8 + number)
                feed_class(1).add(activity)
                aggregated(1).add(activity)
                assert feed_class(1)[:5]
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not failures
    assert feed_class(1).count() == 160
    assert [group.activity_count for group in aggregated(1)[:]] == [160]


def test_forks(redis_backend: Any) -> None:
    feed_class = redis_backend.flat(max_length=10000)
    feed_class(0).add(act(0))
    parent = get_redis_connection()

    def work(user_id: int) -> Any:
        def adds(acknowledge: Any) -> None:
            assert get_redis_connection() is not parent
            for n in range(30):
                feed_class(user_id).add(act(n))
                found = feed_class(user_id)[:1]
                assert found == [act(n)], found
                acknowledge(n)

        return adds

    workers = [Worker(work(user_id)) for user_id in range(1, 5)]
    # Meanwhile the parent goes on, over its own sockets.
    for n in range(60):
        feed_class(9).add(act(n))
        assert feed_class(9)[:1] == [act(n)]
    deadline = time.monotonic() + PATIENCE
    assert [worker.wait(deadline) for worker in workers] == [0] * 4
    assert get_redis_connection() is parent
    assert feed_class(0)[:] == [act(0)]


def test_a_fork_in_the_middle_of_another_threads_work(plain_backend: Any) -> None:
    feed_class = plain_backend.flat()
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            connection.reset()
            # What one thread closes, another may be about to use.
            with contextlib.suppress(StorageError):
                feed_class(1).count()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            # The lock that a thread may hold right now is of no use to the child.
            child = Worker(lambda acknowledge: acknowledge(feed_class(2).count()))
            assert child.wait(time.monotonic() + 30) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_reset_closes_what_is_open(use: Any, own_server: Any) -> None:
    server = own_server()
    use(server.config)
    RedisFeed(1).count()
    watching = server.client()

    def others() -> int:
        return len(watching.client_list()) - 1

    assert others() == 1
    connection.reset()
    deadline = time.monotonic() + 30
    while others() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert others() == 0
    RedisFeed(1).count()
    assert others() == 1


def test_a_ready_client_is_not_closed(use: Any, own_server: Any) -> None:
    server = own_server()
    client = server.client()
    use({'client': client})
    RedisFeed(1).add(act(1))
    connection.reset()
    use(server.config)
    gc.collect()
    assert client.zcard(RedisFeed(1).key) == 1
