"""``python -m stream_framework check`` on Redis servers of every kind: up, down, full, refusing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('redis')

from stream_framework.checks.redis import check_redis
from stream_framework.commands import main
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis import connection
from tests.servers import redis_nodes


class Short(RedisFeed):
    max_length = 127


class Long(RedisFeed):
    max_length = 128


class Whole(UserBaseFeed, RedisFeed):
    pass


class Elsewhere(RedisFeed):
    max_length = 500
    redis_server = 'nowhere'


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    connection.reset()


def found(server_name: str = 'default', feed_classes: Any = ()) -> dict[str, str]:
    """Level -> what was said at it."""
    said: dict[str, str] = {}
    for finding in check_redis(server_name, feed_classes):
        said[finding.level] = f'{said.get(finding.level, "")}{finding.message} -> {finding.remedy}\n'
    return said


def test_a_server(redis_backend: Any) -> None:
    said = found()
    assert 'error' not in said
    assert 'answers, the first time after' in said['ok']
    assert 'PING takes' in said['ok']
    assert 'all slots served' in said['ok'] or redis_backend.name == 'redis'
    assert 'Redis ' in said['ok'] or 'Valkey ' in said['ok']


def test_the_command(own_server: Any, use: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = own_server(password='hunter2', maxmemory='50mb')
    use(server.config)
    assert main(['check', __name__]) == 1, 'a feed names a server that there is none of'
    printed = capsys.readouterr().out
    assert f'{server.host}:{server.port}/0 answers' in printed
    assert "STREAM_REDIS_CONFIG has no server 'nowhere'" in printed
    assert 'maxmemory-policy noeviction; ' in printed
    assert 'of 50 MiB' in printed
    assert 'keeps nothing on disk' in printed
    assert 'Long has max_length 128: past 128 entries' in printed
    for name in ('Short', 'Whole'):
        assert f'{name} has max_length' not in printed
    assert main(['check']) == 0
    assert 'hunter2' not in printed + capsys.readouterr().out


@pytest.mark.parametrize(
    ('policy', 'words'), [('allkeys-lru', 'drops feeds and activities'), ('volatile-ttl', 'drops what expires')]
)
def test_a_policy_that_evicts(own_server: Any, use: Any, policy: str, words: str) -> None:
    use(own_server(maxmemory='50mb', maxmemory_policy=policy).config)
    said = found()
    assert words in said['warning']
    assert policy in said['warning']
    assert 'error' not in said


def test_memory_that_is_nearly_full(own_server: Any, use: Any) -> None:
    server = own_server()
    client = server.client()
    client.config_set('maxmemory', client.info('memory')['used_memory'] + 1000)
    use(server.config)
    assert 'memory is nearly full' in found()['warning']


def test_a_limit_that_is_high_enough(own_server: Any, use: Any) -> None:
    server = own_server()
    use(server.config)
    assert 'Long' in found(feed_classes=[Short, Long, Whole])['warning']
    client = server.client()
    for name in client.config_get('zset-max-*entries'):
        client.config_set(name, 129)
    said = found(feed_classes=[Short, Long, Whole])
    assert 'warning' not in said
    assert 'entries 129' in said['ok']


def test_one_that_is_down(own_server: Any, use: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = own_server(password='hunter2')
    use(server.config)
    server.stop()
    assert main(['check']) == 1
    printed = capsys.readouterr().out
    assert f'({server.host}:{server.port}/0)' in printed
    assert 'is it running, and reachable from here?' in printed
    assert '1 error, ' in printed
    server.start()
    assert main(['check']) == 0
    assert 'hunter2' not in printed + capsys.readouterr().out


@pytest.mark.parametrize('password', ['wrong-one', None])
def test_wrong_credentials(own_server: Any, use: Any, password: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = own_server(password='hunter2')
    use({**server.config, 'password': password})
    assert main(['check']) == 1
    printed = capsys.readouterr().out
    assert "check 'password'" in printed
    assert 'wrong-one' not in printed


def test_a_user_that_may_do_little(own_server: Any, use: Any) -> None:
    server = own_server()
    client = server.client()
    client.execute_command('ACL SETUSER feeds on >hunter2 ~* +@all -info -config')
    use({**server.config, 'username': 'feeds', 'password': 'hunter2'})
    said = found()
    assert 'version, role and memory are not told' in said['note']
    assert 'the limit of compact feeds is not told' in said['note']
    assert 'error' not in said
    client.execute_command('ACL SETUSER feeds -eval')
    said = found()
    assert 'ACL SETUSER' in said['error'], 'without scripts there are no feeds'


def test_a_replica(own_server: Any, use: Any) -> None:
    primary = own_server()
    use(own_server(replicaof=f'{primary.host} {primary.port}').config)
    assert 'is a replica' in found()['error']


def test_a_cluster_that_lacks_slots(own_server: Any, use: Any) -> None:
    cluster = own_server(redis_nodes.LocalCluster)
    use(cluster.config)
    assert 'a cluster of 3 primaries' in found()['ok']
    connection.reset()
    cluster.nodes[2].client().execute_command('CLUSTER DELSLOTS', 16383)
    said = found()
    assert 'error' in said


def test_a_cluster_taken_for_a_server_and_the_reverse(own_server: Any, use: Any) -> None:
    server = own_server()
    use({**server.config, 'cluster': True})
    assert 'error' in found()


def test_sentinels(own_server: Any, use: Any) -> None:
    sentinel = own_server(redis_nodes.LocalSentinel)
    use(sentinel.config)
    assert "primary of 'feeds' at Sentinels" in found()['ok']
    use({**sentinel.config, 'service_name': 'other'})
    assert "check 'sentinels' and 'service_name'" in found()['error']


def test_a_ready_client(own_server: Any, use: Any) -> None:
    server = own_server()
    use({'client': server.client(decode_responses=False)})
    said = found(feed_classes=[Long])
    assert 'error' not in said
    assert 'Long has max_length' in said['warning']


def test_a_value_that_the_client_refuses(use: Any) -> None:
    use({'host': '127.0.0.1', 'port': 1, 'max_connections': 'many'})
    assert 'error' in found()
