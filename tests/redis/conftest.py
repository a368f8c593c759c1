"""Servers of this folder's tests: the shared ones, plain and cluster, and some of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.storage.redis import connection
from tests.backends import Redis, RedisCluster, running, unavailable
from tests.servers import redis_nodes

_made: dict[Any, Any] = {}


@pytest.fixture(params=[Redis, RedisCluster], ids=lambda backend: backend.name)
def redis_backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The backend on the plain server, and on the cluster."""
    yield from _running(request, request.param)


@pytest.fixture
def plain_backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The backend on the plain server."""
    yield from _running(request, Redis)


def _running(request: pytest.FixtureRequest, backend: Any) -> Iterator[Any]:
    chosen = request.config.getoption('--backend')
    if chosen and backend.name not in chosen:
        pytest.skip(f'--backend does not name {backend.name}')
    if backend not in _made:
        _made[backend] = backend()
    yield from running(_made[backend])


@pytest.fixture
def use() -> Iterator[Any]:
    """``use(config)`` makes a server the default one during a test; ``use(default=..., other=...)`` names several."""
    before = settings.STREAM_REDIS_CONFIG

    def configure(config: Any = None, **servers: Any) -> None:
        settings.configure(STREAM_REDIS_CONFIG=servers if config is None else {'default': config, **servers})

    yield configure
    connection.reset()
    settings.configure(STREAM_REDIS_CONFIG=before)


@pytest.fixture
def own_server() -> Iterator[Any]:
    """``own_server(maxmemory='10mb')`` starts a server of the test's own, and stops it afterwards."""
    started: list[Any] = []

    def start(kind: Any = redis_nodes.LocalRedis, **options: Any) -> Any:
        try:
            started.append(kind(**options))
        except LookupError as error:
            unavailable(str(error))
        return started[-1]

    yield start
    for server in reversed(started):
        server.stop()
