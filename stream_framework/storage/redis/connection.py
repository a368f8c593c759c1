"""The only place that makes clients: one for each server of ``STREAM_REDIS_CONFIG`` and process.

A client is made on first use and shared by all threads: it holds a pool of connections. It is made anew when its entry
in the setting has changed, and in a process that was forked, since two processes must not share a socket.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from stream_framework.storage.redis import config
from stream_framework.storage.redis.config import redis
from stream_framework.storage.redis.errors import translated


class _Open(NamedTuple):
    """A client, and the entry of the setting that it was made for."""

    entry: Any
    client: Any
    owned: bool


_clients: dict[str, _Open] = {}
_lock = threading.Lock()


def get_redis_connection(server_name: str = 'default') -> Any:
    """The client of one server; cheap enough to be called for every command.

    :param server_name: a key of ``STREAM_REDIS_CONFIG``
    :returns: a ``redis.Redis``, or a ``redis.cluster.RedisCluster`` where the entry says ``'cluster': True``. No
        connection is made before the first command; a cluster is asked for its nodes.
    :raises ConfigurationError: for an unknown server, or a key that no client knows
    :raises MissingDependencyError: if redis-py isn't installed
    :raises StorageConnectionError: if no node of a cluster answers
    """
    made = _clients.get(server_name)
    # Entries are compared, not the setting's identity: an entry may be changed in place.
    if made is not None and config.get_servers().get(server_name) == made.entry:
        return made.client
    return _renew(server_name)


def setup_redis() -> dict[str, Any]:
    """Make the clients of all servers.

    :returns: server name -> connection pool, as in 1.4.0; for a cluster, which has a pool for each node, the client
    """
    clients = {name: get_redis_connection(name) for name in config.get_servers()}
    return {name: getattr(client, 'connection_pool', client) for name, client in clients.items()}


def reset() -> None:
    """Close what is open; the next :func:`get_redis_connection` makes new clients.

    Ready clients, given as ``client``, are let go but not closed.
    """
    with _lock:
        closing = list(_clients.values())
        _clients.clear()
    for made in closing:
        if made.owned:
            _close(made.client, in_use=True)


def _renew(server_name: str) -> Any:
    config.require_client()
    with _lock:
        entry = config.get_entry(server_name)
        made = _clients.get(server_name)
        if made is not None and made.entry == entry:
            return made.client
        server = config.read(server_name, entry)
        with translated(server_name):
            client = _make(server)
        _clients[server_name] = _Open(_snapshot(entry), client, server.kind != 'client')
    if made is not None and made.owned:
        # Another thread may be in the middle of a command: what is in use closes when it is given back.
        _close(made.client, in_use=False)
    return client


def _make(server: config.Server) -> Any:
    options = dict(server.options)
    if server.kind == 'client':
        return options['client']
    if server.kind == 'cluster':
        return redis.cluster.RedisCluster(**options)
    if server.kind == 'sentinel':
        service_name = options.pop('service_name')
        return redis.sentinel.Sentinel(**_sentinel_options(options)).master_for(service_name)
    return redis.Redis(**options)


def _sentinel_options(options: dict[str, Any]) -> dict[str, Any]:
    """The Sentinels are asked with the same time-outs as the server, but with no retry: the next one is asked."""
    given = options.get('sentinel_kwargs') or {}
    shared = ('socket_timeout', 'socket_connect_timeout', 'socket_keepalive')
    return {**options, 'sentinel_kwargs': {**{key: options[key] for key in shared if key in options}, **given}}


def _snapshot(value: Any) -> Any:
    """A copy of the containers, so that a change in place shows; what they hold stays the same object."""
    if isinstance(value, Mapping):
        return {key: _snapshot(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_snapshot(item) for item in value]
    return value


def _close(client: Any, in_use: bool) -> None:
    pool = getattr(client, 'connection_pool', None)
    if pool is not None:
        pool.disconnect(inuse_connections=in_use)
        return
    for node in client.get_nodes():
        if node.redis_connection is not None:
            node.redis_connection.connection_pool.disconnect(inuse_connections=in_use)


def _forget_after_fork() -> None:
    """In a new process: the parent's sockets are left alone, and so is its lock, which may have been held."""
    global _lock
    _lock = threading.Lock()
    _clients.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_after_fork)
