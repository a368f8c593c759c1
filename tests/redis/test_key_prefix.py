"""Every key on Redis is of the application's choice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.connection import get_redis_connection
from tests import managers
from tests.contracts.support import act


@pytest.fixture
def eager() -> Iterator[None]:
    conf = current_app.conf
    before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
    conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    conf.update(before)


@pytest.fixture
def prefix(redis_backend: Any) -> Iterator[str]:
    settings.STREAM_KEY_PREFIX = redis_backend.key()
    yield settings.STREAM_KEY_PREFIX
    del settings.STREAM_KEY_PREFIX


def keys(prefix: str) -> list[str]:
    return sorted(str(key).removeprefix(prefix) for key in get_redis_connection().scan_iter(f'{prefix}:*'))


@pytest.mark.usefixtures('eager')
def test_what_was_published_last(redis_backend: Any, prefix: str) -> None:
    managers.FOLLOWERS.clear()
    manager = redis_backend.manager_class()()
    before = set(get_redis_connection().scan_iter('stream:published:*'))
    manager.add_user_activity(1, act(1))
    manager.remove_user_activity(1, act(1))
    manager.follow_user(1, 2)
    found = keys(prefix)
    assert found
    assert all(key.startswith(':published:') for key in found)
    assert set(get_redis_connection().scan_iter('stream:published:*')) == before


def test_the_ledger(redis_backend: Any, prefix: str) -> None:
    storage = RedisActivityStorage()
    storage.write_ledger(28_000_000, {'one': '{}'}, 60)
    assert keys(prefix) == [':ledger:28000000']
    assert [*storage.read_ledger([28_000_000])] == [(28_000_000, 'one', '{}')]


@pytest.mark.parametrize('wrong', ['', None, 5])
def test_no_prefix(wrong: Any) -> None:
    settings.STREAM_KEY_PREFIX = wrong
    try:
        with pytest.raises(ConfigurationError, match='STREAM_KEY_PREFIX is .*give a str'):
            RedisActivityStorage().find_in_ledger(1, 'x')
    finally:
        del settings.STREAM_KEY_PREFIX
