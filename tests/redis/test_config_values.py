"""Values of ``STREAM_REDIS_CONFIG``: text where numbers or truth values belong, and what can't work."""

from __future__ import annotations

from typing import Any

import pytest

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError
from stream_framework.feeds.redis import RedisFeed
from stream_framework.storage.redis import config
from stream_framework.storage.redis.connection import get_redis_connection, setup_redis
from tests.contracts.support import act

SECRET = 'horse-battery'


def options(**entry: Any) -> dict[str, Any]:
    return config.read('default', entry).options


@pytest.mark.parametrize('db', ['', None, '0', 0, ' 0 '])
def test_the_first_database(plain_backend: Any, db: Any) -> None:
    made = settings.STREAM_REDIS_CONFIG['default']
    if made.get('db'):
        pytest.skip('this run uses another database')
    key = plain_backend.flat().key_format
    feed_class = type('First', (RedisFeed,), {'key_format': key, 'trim_chance': 0})
    feed_class(1).add(act(1))
    settings.configure(STREAM_REDIS_CONFIG={'default': {**made, 'db': db}})
    try:
        assert feed_class(1)[:] == [act(1)]
    finally:
        settings.configure(STREAM_REDIS_CONFIG={'default': made})


@pytest.mark.parametrize('word', ['false', 'False', 'no', 'OFF', '0', '', 0, False, None])
def test_false(word: Any) -> None:
    assert not options(host='x', ssl=word)['ssl']
    assert config.read('default', {'host': 'x', 'cluster': word}).kind == 'plain'
    assert options(host='x', socket_keepalive=word)['socket_keepalive'] in (False, None)


@pytest.mark.parametrize('word', ['true', 'True', 'yes', 'ON', '1', ' true ', 1, True])
def test_true(word: Any) -> None:
    assert options(host='x', ssl=word)['ssl'] is True
    assert config.read('default', {'host': 'x', 'cluster': word}).kind == 'cluster'


def test_numbers_as_text() -> None:
    found = options(
        host='x', port='6380', db='2', socket_timeout='2.5', max_connections='7', health_check_interval='10'
    )
    assert (found['port'], found['db'], found['socket_timeout']) == (6380, 2, 2.5)
    assert (found['max_connections'], found['health_check_interval']) == (7, 10)
    assert options(host='x', cluster=True, port='7000')['port'] == 7000


def test_a_password_of_digits() -> None:
    assert options(host='x', password=1234)['password'] == '1234'


def test_what_is_left_empty_is_as_if_it_was_left_out() -> None:
    found = options(host='x', port='', socket_timeout='', max_connections='')
    assert found == options(host='x') | {'retry': found['retry']}
    assert options(host='x', cluster=True, port='')['port'] == 6379


@pytest.mark.parametrize(
    ('entry', 'words'),
    [
        ({'db': 'one'}, "'db' is 'one': give an int"),
        ({'db': True}, "'db' is True: give an int"),
        ({'db': 1.5}, "'db' is 1.5: give an int"),
        ({'db': -1}, "'db' is -1: give 0, 1"),
        ({'db': [0]}, r"'db' is \[0\]: give an int"),
        ({'port': 'abc'}, "'port' is 'abc': give an int"),
        ({'port': 70000}, "'port' is 70000: give a number from 0 to 65535"),
        ({'port': 6379.0}, "'port' is 6379.0: give an int"),
        ({'host': 5}, "'host' is an int: give a str"),
        ({'host': ['x']}, "'host' is a list: give a str"),
        ({'username': True}, "'username' is a bool"),
        ({'password': [SECRET]}, "'password' is a list"),
        ({'url': 5}, "'url' is no address"),
        ({'ssl': 'maybe'}, "'ssl' is 'maybe': give True or False"),
        ({'ssl': 2}, "'ssl' is 2"),
        ({'ssl': []}, "'ssl' is"),
        ({'decode_responses': 'nein'}, "'decode_responses' is 'nein'"),
        ({'cluster': 'perhaps'}, "'cluster' is 'perhaps'"),
        ({'cluster': True, 'require_full_coverage': 'x'}, "'require_full_coverage' is 'x'"),
        ({'cluster': True, 'startup_nodes': 'a:1'}, "'startup_nodes' is 'a:1': give a list"),
        ({'cluster': True, 'db': '3'}, 'only database 0'),
        ({'socket_timeout': 'soon'}, "'socket_timeout' is 'soon': give a number of seconds"),
        ({'socket_timeout': True}, "'socket_timeout' is True"),
        ({'socket_timeout': float('nan')}, "'socket_timeout' is nan"),
        ({'socket_connect_timeout': -1}, "'socket_connect_timeout' is -1"),
        ({'max_connections': 'many'}, "'max_connections' is 'many'"),
        ({'sentinels': 5}, "'sentinels' is 5: give a list"),
        ({'sentinels': 'a:26379'}, "'sentinels' is 'a:26379': give a list"),
        ({'sentinels': [('a', 'b')]}, 'is no address'),
        ({'sentinels': [('a', 1)], 'service_name': 5}, "'service_name' is an int"),
        ({'sentinels': [('a', 1)], 'sentinel_kwargs': 'x'}, "'sentinel_kwargs' is 'x': give a dict"),
        ({'sentinels': [('a', 1)], 'sentinel_kwargs': {'ssl': 'x'}}, r"\['sentinel_kwargs'\]: 'ssl' is 'x'"),
    ],
    ids=str,
)
def test_what_can_not_work(entry: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_before = settings.STREAM_REDIS_CONFIG
    settings.configure(STREAM_REDIS_CONFIG={'default': settings_before.get('default'), 'other': entry})
    try:
        with pytest.raises(ConfigurationError, match=words) as caught:
            get_redis_connection('other')
        assert "STREAM_REDIS_CONFIG['other']" in str(caught.value)
        assert SECRET not in str(caught.value)
    finally:
        settings.configure(STREAM_REDIS_CONFIG=settings_before)


@pytest.mark.parametrize('servers', [[], 'localhost', 5, None])
def test_servers_that_are_no_dict(servers: Any) -> None:
    before = settings.STREAM_REDIS_CONFIG
    settings.configure(STREAM_REDIS_CONFIG=servers)
    try:
        for work in (get_redis_connection, setup_redis):
            with pytest.raises(ConfigurationError, match='STREAM_REDIS_CONFIG must be a dict of servers'):
                work()
    finally:
        settings.configure(STREAM_REDIS_CONFIG=before)
