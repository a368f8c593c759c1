"""Cassandra: whether the nodes answer, keyspace and tables are there, and the consistency level can be reached."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from stream_framework import settings
from stream_framework.checks.findings import Finding, redacted
from stream_framework.exceptions import ConfigurationError, MissingDependencyError, StorageError
from stream_framework.storage.cassandra import config, connection

#: The oldest server that works.
OLDEST = (4, 0)
#: The command that makes what is missing.
SYNC = 'python -m stream_framework sync'

_AT_LEAST = {'TWO': 2, 'THREE': 3}

_Line = tuple[str, str, str]


def check_cassandra(
    feed_classes: Iterable[Any] = (), modules: Iterable[str] = (), follow_storages: Iterable[Any] = ()
) -> Iterator[Finding]:
    """Ask the nodes of ``STREAM_CASSANDRA_HOSTS``; nothing is written there. Each finding comes as soon as it is known.

    :param feed_classes: the tables of those that are on Cassandra are compared with what they need
    :param modules: where they were found, for the command that creates tables
    :param follow_storages: the tables of those that are on Cassandra are looked for
    :returns: what was found; an error comes last where the servers can't be used
    """
    try:
        for level, message, remedy in _ask(list(feed_classes), ' '.join(modules) or 'MODULE', list(follow_storages)):
            yield Finding(level, 'Cassandra', redacted(message), redacted(remedy))
    except (ConfigurationError, MissingDependencyError, StorageError) as error:
        yield Finding('error', 'Cassandra', redacted(str(error)))


def _ask(feed_classes: list[Any], modules: str, follow_storages: list[Any]) -> Iterator[_Line]:
    config.require_driver()
    from stream_framework.storage.cassandra.driver import ConsistencyLevel, SimpleStatement
    from stream_framework.storage.cassandra.errors import translated

    started = time.perf_counter()
    session = connection.get_session()
    took = (time.perf_counter() - started) * 1000
    with translated():
        # Whatever the level of feeds is, there is but one node that knows this.
        query = SimpleStatement(
            'SELECT cluster_name, data_center FROM system.local', consistency_level=ConsistencyLevel.ONE
        )
        local = session.execute(query).one()
    yield (
        'ok',
        f'{config.address()} answers: cluster {local["cluster_name"]!r}, data center {local["data_center"]!r}, '
        f'connected in {took:.0f} ms, protocol {session.cluster.protocol_version}',
        '',
    )
    yield from _hosts(session.cluster.metadata)
    with translated():
        session.cluster.refresh_schema_metadata()
    keyspace = session.cluster.metadata.keyspaces.get(settings.STREAM_DEFAULT_KEYSPACE)
    if keyspace is None:
        yield (
            'error',
            f'keyspace {settings.STREAM_DEFAULT_KEYSPACE!r} is missing',
            f'{SYNC} {modules} creates it, and the tables of the feed classes in {modules}',
        )
        return
    yield from _replication(session.cluster.metadata, keyspace, local['data_center'])
    yield from _tables(feed_classes, modules, follow_storages)
    yield from _reads(session, keyspace)


def _hosts(metadata: Any) -> Iterator[_Line]:
    for host in sorted(metadata.all_hosts(), key=lambda host: str(host.endpoint)):
        version = host.release_version or ''
        numbers = tuple(int(part) for part in version.split('.')[:2] if part.isdecimal())
        if host.is_up is False:
            yield 'warning', f'node {host.endpoint} is down', 'see nodetool status, and start it'
        elif numbers and numbers < OLDEST:
            yield 'error', f'node {host.endpoint}: Cassandra {version} is too old', 'Cassandra 4.0 or later is needed'
        else:
            yield 'ok', f'node {host.endpoint} is up: Cassandra {version}', ''


def _replication(metadata: Any, keyspace: Any, data_center: str) -> Iterator[_Line]:
    level = _level_name()
    strategy = keyspace.replication_strategy
    replicas = _replicas(strategy)
    if replicas is None:
        yield 'note', f'keyspace {keyspace.name!r} has replication {strategy.export_for_schema()}', ''
        return
    counted = replicas.get(data_center, 0) if level.startswith('LOCAL') else sum(replicas.values())
    told = ', '.join(f'{name}: {count}' if name else str(count) for name, count in replicas.items())
    needed = _AT_LEAST.get(level, 1)
    if counted < needed:
        yield (
            'error',
            f'keyspace {keyspace.name!r} has replicas {told}, too few for consistency level {level}',
            'lower STREAM_CASSANDRA_CONSISTENCY_LEVEL, or ALTER KEYSPACE and repair',
        )
    else:
        yield 'ok', f'keyspace {keyspace.name!r} is there, replicas {told}; consistency level {level}', ''
    for name, count in replicas.items():
        nodes = sum(1 for host in metadata.all_hosts() if name in ('', host.datacenter))
        if count > nodes:
            yield (
                'warning',
                f'keyspace {keyspace.name!r} wants {count} replicas{f" in {name!r}" if name else ""}, and there are '
                f'{nodes} nodes',
                'add nodes, or ALTER KEYSPACE',
            )


def _replicas(strategy: Any) -> dict[str, int] | None:
    """Return data center, or '' for all of them -> replicas."""
    of_data_centers = getattr(strategy, 'dc_replication_factors', None)
    if isinstance(of_data_centers, dict):
        return {str(name): int(strategy.dc_replication_factors[name]) for name in of_data_centers}
    factor = getattr(strategy, 'replication_factor', None)
    return None if factor is None else {'': int(factor)}


def _tables(feed_classes: list[Any], modules: str, follow_storages: list[Any]) -> Iterator[_Line]:
    from stream_framework.storage.cassandra import intents, ledger, schema, seen

    classes = [feed_class for feed_class in feed_classes if schema.is_on_cassandra(feed_class)]
    lines: list[str] = []
    storages = [storage for storage in follow_storages if schema.keeps_follows([storage])]
    statements = schema.sync(*classes, *storages, dry_run=True, say=lines.append)
    remedy = f'{SYNC} {modules}'
    for statement in statements:
        words = statement.split()
        name = words[5] if words[0] == 'CREATE' else words[2]
        if words[0] == 'ALTER':
            yield 'warning', f'table {name} has no column {words[4]}, so that it keeps less', remedy
        elif name.endswith(f'{intents.TABLE}"'):
            yield 'warning', f'table {name} is missing; the first removal or unfollow tries to create it', remedy
        elif name.endswith(f'{ledger.TABLE}"'):
            yield 'warning', f'table {name} is missing; a manager with keep_ledger tries to create it', remedy
        elif name.endswith(f'{seen.TABLE}"'):
            yield 'warning', f'table {name} is missing; the first mark_seen() tries to create it', remedy
        else:
            yield 'error', f'table {name} is missing', remedy
    for line in lines:
        if line.startswith('-- "'):
            yield 'note', line.removeprefix('-- '), ''
    if not statements:
        yield (
            'ok',
            'all tables are there, with all columns' if classes else 'the tables of marks and of the ledger are there',
            '',
        )
    if storages and not statements:
        yield 'ok', 'the tables of follows are there', ''
    if not classes:
        yield 'note', 'no feed classes were named, so that their tables were not looked for', ''


def _reads(session: Any, keyspace: Any) -> Iterator[_Line]:
    """Read a row that isn't there, at the level of plain reads, and at that of guarded changes."""
    from stream_framework.storage.cassandra import intents
    from stream_framework.storage.cassandra.driver import ConsistencyLevel, SimpleStatement
    from stream_framework.storage.cassandra.errors import translated

    if intents.TABLE not in keyspace.tables:
        return
    serial = connection.serial_consistency()
    for level in (config.consistency(), serial):
        query = f'SELECT value FROM "{keyspace.name}"."{intents.TABLE}" WHERE name = %s'
        statement = SimpleStatement(query, consistency_level=level)
        started = time.perf_counter()
        try:
            with translated():
                session.execute(statement, ('check',))
        except StorageError as error:
            yield 'error', f'reading at {ConsistencyLevel.value_to_name[level]}: {error}', ''
            continue
        took = (time.perf_counter() - started) * 1000
        yield 'ok', f'reading at {ConsistencyLevel.value_to_name[level]} takes {took:.1f} ms', ''


def _level_name() -> str:
    from cassandra import ConsistencyLevel

    return str(ConsistencyLevel.value_to_name[config.consistency()])
