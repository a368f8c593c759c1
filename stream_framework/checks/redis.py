"""Redis: whether a server answers, how fast, and whether it will keep what feeds write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stream_framework import settings
from stream_framework.checks.findings import Finding, redacted
from stream_framework.exceptions import ConfigurationError, MissingDependencyError, StorageError
from stream_framework.storage.redis import config, connection
from stream_framework.storage.redis.errors import translated

#: The oldest server that has all commands.
OLDEST = (6, 2)
#: What a cluster divides its keys into.
SLOTS = 16384
#: How often ``PING`` is sent; the fastest counts.
PINGS = 3
#: Feeds longer than this are not worth a larger compact encoding: it is searched from end to end.
WORTH_COMPACT = 2000


def check_redis(server_name: str = 'default', feed_classes: Iterable[Any] = ()) -> Iterator[Finding]:
    """Ask one server of ``STREAM_REDIS_CONFIG``; nothing is written there. Each finding comes as soon as it is known.

    :param feed_classes: those whose ``redis_server`` is this one are compared with the server's limits
    :returns: what was found; an error comes last where the server can't be used

    >>> from stream_framework import settings
    >>> settings.configure(STREAM_REDIS_CONFIG={'default': {'hosts': '10.0.0.1'}})
    >>> [finding.level for finding in check_redis()]
    ['error']
    >>> del settings.STREAM_REDIS_CONFIG
    """
    subject = f'Redis server {server_name!r}'
    try:
        for level, message, remedy in _ask(server_name, list(feed_classes)):
            yield Finding(level, subject, redacted(message), redacted(remedy))
    except (ConfigurationError, MissingDependencyError, StorageError) as error:
        yield Finding('error', subject, redacted(str(error)))
    except (ValueError, TypeError) as error:
        # What redis-py makes of a value of the wrong type.
        yield Finding('error', subject, redacted(f'no client can be made: {error}'), 'see the settings')


_Line = tuple[str, str, str]


def _ask(server_name: str, feed_classes: list[Any]) -> Iterator[_Line]:
    config.require_client()
    server = config.read(server_name, config.get_entry(server_name))
    with translated(server_name):
        started = time.perf_counter()
        client = connection.get_redis_connection(server_name)
        nodes = _nodes(client)
        for node in nodes.values():
            node.ping()
        yield 'ok', f'{server.address} answers, the first time after {_milliseconds(started)}', ''
        if server.kind == 'cluster' or hasattr(client, 'nodes_manager'):
            yield from _cluster(nodes)
        for name, node in nodes.items():
            yield from _node(name, node, feed_classes)


def _nodes(client: Any) -> dict[str, Any]:
    """Return address, for messages -> plain client, for each server; of a cluster, the primaries."""
    if not hasattr(client, 'nodes_manager'):
        return {'': client}
    return {f'{node.name}: ': client.get_redis_connection(node) for node in client.get_primaries()}


def _cluster(nodes: dict[str, Any]) -> Iterator[_Line]:
    """Ask every node of a cluster: they may disagree."""
    for name, node in nodes.items():
        info = node.execute_command('CLUSTER INFO')
        if not isinstance(info, dict):
            info = dict(line.split(':', 1) for line in _text(info).split() if ':' in line)
        if info.get('cluster_state') != 'ok' or int(info.get('cluster_slots_assigned', 0)) < SLOTS:
            yield (
                'error',
                f'{name}the cluster is {info.get("cluster_state")}: {info.get("cluster_slots_assigned")} of {SLOTS} '
                'slots are served',
                'see CLUSTER INFO and CLUSTER NODES on any node',
            )
            return
    yield 'ok', f'a cluster of {len(nodes)} primaries, all slots served', ''


def _node(name: str, node: Any, feed_classes: list[Any]) -> Iterator[_Line]:
    times = []
    for _ in range(PINGS):
        started = time.perf_counter()
        node.ping()
        times.append(time.perf_counter() - started)
    yield 'ok', f'{name}PING takes {min(times) * 1000:.2f} ms', ''
    info, refused = _optional(node.info)
    if refused:
        yield 'note', f'{name}version, role and memory are not told: {refused}', 'let its user run INFO to check them'
    else:
        for level, message, remedy in (*_version(info), *_role(info), *_memory(info), *_persistence(info)):
            yield level, name + message, remedy
        yield from _saving(name, node, info)
    # Feeds are written and read by scripts.
    node.execute_command('EVAL', 'return 1', 0)
    yield from _compact(name, node, feed_classes)


def _version(info: dict[str, Any]) -> Iterator[_Line]:
    compatible = str(info.get('redis_version', '0'))
    product, version = 'Redis', compatible
    if 'valkey_version' in info:
        product, version = 'Valkey', str(info['valkey_version'])
    if tuple(int(part) for part in compatible.split('.')[:2] if part.isdecimal()) < OLDEST:
        yield 'error', f'{product} {version} is too old', 'Redis 6.2 or later, or Valkey, is needed'
    else:
        yield 'ok', f'{product} {version}', ''


def _role(info: dict[str, Any]) -> Iterator[_Line]:
    if info.get('role') == 'slave':
        yield (
            'error',
            f'is a replica of {info.get("master_host")}:{info.get("master_port")}, and refuses to write',
            "name the primary in STREAM_REDIS_CONFIG, or let 'sentinels' find it",
        )
    if int(info.get('loading', 0)):
        yield 'error', 'is still loading its data', 'wait until it has'


def _memory(info: dict[str, Any]) -> Iterator[_Line]:
    policy = str(info.get('maxmemory_policy', 'noeviction'))
    limit, used = int(info.get('maxmemory', 0)), int(info.get('used_memory', 0))
    holds = f'{used / 2**20:.0f} MiB are used' + (f' of {limit / 2**20:.0f} MiB' if limit else ', there is no limit')
    if policy.startswith('allkeys'):
        yield (
            'warning',
            f'maxmemory-policy {policy} drops feeds and activities when memory is full; {holds}',
            'CONFIG SET maxmemory-policy noeviction, and keep feeds on a server of their own',
        )
    elif policy.startswith('volatile'):
        yield (
            'warning',
            f'maxmemory-policy {policy} drops what expires when memory is full: the marks that keep late tasks from '
            f'undoing newer ones; {holds}',
            'CONFIG SET maxmemory-policy noeviction',
        )
    elif limit and used > 0.9 * limit:
        yield 'warning', f'memory is nearly full: {holds}', 'raise maxmemory, or lower the max_length of feeds'
    else:
        yield 'ok', f'maxmemory-policy {policy}; {holds}', ''


def _persistence(info: dict[str, Any]) -> Iterator[_Line]:
    if info.get('rdb_last_bgsave_status', 'ok') != 'ok' or info.get('aof_last_write_status', 'ok') != 'ok':
        yield 'error', 'could not save its data, and may refuse to write', 'make room on its disk, and see its log'


def _saving(name: str, node: Any, info: dict[str, Any]) -> Iterator[_Line]:
    values, _ = _optional(lambda: node.config_get('save'))
    if values and not any(map(_text, values.values())) and not int(info.get('aof_enabled', 0)):
        yield 'note', f'{name}keeps nothing on disk: a restart loses all feeds', 'CONFIG SET appendonly yes'


def _compact(name: str, node: Any, feed_classes: list[Any]) -> Iterator[_Line]:
    values, refused = _optional(lambda: node.config_get('zset-max-*'))
    if refused:
        yield 'note', f'{name}the limit of compact feeds is not told: {refused}', ''
        return
    found = {_text(key): _text(value) for key, value in values.items()}
    key = next((key for key in ('zset-max-listpack-entries', 'zset-max-ziplist-entries') if key in found), None)
    if key is None:
        return
    limit = int(found[key])
    long = [feed_class for feed_class in feed_classes if limit <= feed_class.max_length <= WORTH_COMPACT]
    for feed_class in long:
        yield (
            'warning',
            f'{name}{feed_class.__qualname__} has max_length {feed_class.max_length}: past {limit} entries ({key}) an '
            'entry takes 132 bytes instead of 52',
            f'CONFIG SET {key} {feed_class.max_length + 1}, or max_length = {limit - 1} or less',
        )
    if not long:
        yield 'ok', f'{name}{key} {limit}: flat feeds of a max_length below it stay compact', ''


def _optional(command: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return the answer, or why the server refuses to give one: managed servers allow less."""
    try:
        return command(), None
    except config.redis.ResponseError as error:
        return None, str(error)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _milliseconds(started: float) -> str:
    return f'{(time.perf_counter() - started) * 1000:.1f} ms'


def server_names() -> list[str]:
    """Return the names of all servers in the setting; none where it is no dict."""
    servers = settings.STREAM_REDIS_CONFIG
    return list(servers) if isinstance(servers, dict) else []
