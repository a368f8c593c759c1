"""Servers of the benchmark's own, or given ones, and processes kept to one core each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: What Cassandra runs with: the tests' node is made to start fast, this one to serve fast.
CASSANDRA_JVM_ARGS = '-XX:TieredStopAtLevel=4 -Xmx1G'
#: The cores that this process may use, before anything is pinned; empty where that can't be known.
CORES = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else set()


@dataclass(frozen=True)
class Redis:
    """A Redis server."""

    host: str
    port: int
    #: Its process, if it is the benchmark's own: it may be pinned, and flushed.
    pid: int | None = None


@contextlib.contextmanager
def redis_server(address: str | None = None) -> Iterator[Redis]:
    """The server at ``host:port``, or one of the benchmark's own without persistence.

    :raises LookupError: if there is none, and none can be started
    """
    if address is not None:
        yield Redis(*parts(address))
        return
    from tests.servers.redis_nodes import LocalRedis

    with LocalRedis() as server:
        yield Redis(server.host, server.port, server.pid)


@contextlib.contextmanager
def cassandra_settings(address: str | None = None) -> Iterator[dict[str, Any]]:
    """Settings for the node at ``host:port``, or for one that is found or started as for the tests.

    :raises LookupError: if there is none, and none can be started
    """
    if address is not None:
        host, port = parts(address)
        yield {'STREAM_CASSANDRA_HOSTS': [host], 'CASSANDRA_DRIVER_KWARGS': {'port': port}}
        return
    from tests.servers import cassandra

    with cassandra_for_long():
        found = cassandra()
    yield found


@contextlib.contextmanager
def cassandra_for_long() -> Iterator[None]:
    """Nodes that are started now serve fast in the long run, rather than start fast, as those of tests do."""
    variable = 'TEST_CASSANDRA_JVM_ARGS'
    given = os.environ.get(variable)
    os.environ[variable] = CASSANDRA_JVM_ARGS if given is None else given
    try:
        yield
    finally:
        if given is None:
            del os.environ[variable]


def parts(address: str) -> tuple[str, int]:
    """Host and port of an address ``host:port``.

    :raises SystemExit: for anything else
    """
    host, _, port = address.rpartition(':')
    if not host or not port.isdigit():
        raise SystemExit(f'{address!r} is no address: give host:port')
    return host, int(port)


@contextlib.contextmanager
def pinned(server: int | None) -> Iterator[str]:
    """Keep this process on one core and the server on another, for a while; says what was done."""
    if server is None or not hasattr(os, 'sched_setaffinity'):
        yield 'nothing is pinned'
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield 'nothing is pinned: there is one core'
        return
    for thread in os.listdir(f'/proc/{server}/task'):
        os.sched_setaffinity(int(thread), cores[-1:])
    os.sched_setaffinity(0, cores[:1])
    try:
        yield f'client pinned to core {cores[0]}, server to core {cores[-1]}'
    finally:
        os.sched_setaffinity(0, cores)
