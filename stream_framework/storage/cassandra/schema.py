"""The tables that feed classes need. :func:`sync` creates the missing ones, and never drops anything.

>>> from stream_framework.storage.cassandra import schema
>>> schema.sync('myapp.feeds', replication_factor=3)  # doctest: +SKIP
['CREATE KEYSPACE IF NOT EXISTS ...', 'CREATE TABLE IF NOT EXISTS ...']

From the command line: ``python -m stream_framework.storage.cassandra sync myapp.feeds --dry-run``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, StorageError
from stream_framework.storage.cassandra import connection, features, follow_tables, intents, ledger, seen
from stream_framework.storage.cassandra.client import run
from stream_framework.storage.cassandra.driver import SimpleStatement
from stream_framework.storage.cassandra.errors import translated
from stream_framework.storage.cassandra.follow_storage import CassandraFollowStorage
from stream_framework.storage.cassandra.tables import LISTS
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage
from stream_framework.utils import feed_classes

#: The options of new tables. A feed's partition is written to for as long as it lives, and read from its newest end:
#: levels keep it in few files, and drop trimmed rows early. Deleted rows are remembered for three days, and every node
#: has to be repaired within them; the fewer deleted rows there are, the faster are reads.
TABLE_OPTIONS = "compaction = {'class': 'LeveledCompactionStrategy'} AND gc_grace_seconds = 259200"

#: How many replicas a new keyspace has, where there are as many nodes.
REPLICATION_FACTOR = 3


def sync(
    *targets: Any,
    keyspace: str | None = None,
    replication: str | dict[str, Any] | None = None,
    replication_factor: int | None = None,
    dry_run: bool = False,
    say: Callable[[str], Any] | None = None,
) -> list[str]:
    """Create the keyspace and the tables of feed classes where they are missing, and add the columns that old tables
    lack. Nothing is ever dropped or altered; doing it again does nothing.

    :param targets: import paths of modules, modules, feed classes, follow storages, managers
    :param keyspace: instead of ``STREAM_DEFAULT_KEYSPACE``
    :param replication: how a keyspace that is missing is replicated, as a dict or in CQL
    :param replication_factor: the same in short: so many replicas in each data center; default 3, or as many as there
        are nodes
    :param dry_run: only tell
    :param say: called with each line of the report
    :returns: the statements
    :raises ConfigurationError: where two of the classes would write the same keys into one table
    :raises StorageError: if the server refuses a statement
    """
    say = say or (lambda line: None)
    classes = find_feed_classes(targets)
    check_keys(classes)
    keyspace = keyspace or settings.STREAM_DEFAULT_KEYSPACE
    cluster = connection.get_session().cluster
    with translated():
        cluster.refresh_schema_metadata()
    statements = []
    if keyspace not in cluster.metadata.keyspaces:
        nodes = len(cluster.metadata.all_hosts())
        factor = replication_factor or min(REPLICATION_FACTOR, nodes)
        statements.append(_create_keyspace(keyspace, replication, factor))
    for name, models in _tables(classes, keyspace).items():
        statements += _table_statements(cluster, name, models, say)
    if _found(cluster, (keyspace, intents.TABLE)) is None:
        statements.append(intents.create_query(keyspace))
    if _found(cluster, (keyspace, ledger.TABLE)) is None:
        statements.append(ledger.create_query(keyspace))
    if _found(cluster, (keyspace, seen.TABLE)) is None:
        statements.append(seen.create_query(keyspace))
    if keeps_follows(targets):
        missing = [table for table in follow_tables.TABLES if _found(cluster, (keyspace, table)) is None]
        statements += (follow_tables.create_query(keyspace, table, TABLE_OPTIONS) for table in missing)
    for statement in statements:
        say(f'{statement};')
        if not dry_run:
            _execute(statement, say)
    if not statements:
        say(f'-- keyspace {keyspace}: everything is there')
    return statements


def _execute(statement: str, say: Callable[[str], Any]) -> None:
    try:
        run([SimpleStatement(statement)])
    except StorageError as error:
        if getattr(error, 'refused_feature', None) != features.STATIC:
            raise
        if any(f'"{name}"' in statement for name in LISTS):
            raise ConfigurationError(
                f'the servers refuse static columns, in which notification feeds keep their markers ({error}): give '
                'the feed class timeline_model = models.AggregatedActivity and a markers_storage_class of another '
                'backend, or keep notification feeds on another backend'
            ) from error
        # The only other static column is the version, and feeds of groups work without it, unguarded.
        say('-- the servers refuse static columns: feeds of groups are not guarded without the column version')
        without = re.sub(r'(, )?"version" int static', '', statement)
        if statement.startswith('CREATE'):
            run([SimpleStatement(without)])


def find_feed_classes(targets: Iterable[Any]) -> list[Any]:
    """Return the feed classes on Cassandra that modules, feed classes and managers name.

    A module stands for the classes defined in it or below it, and for the classes that its managers name.

    :raises ConfigurationError: for a module without any, or one that can't be imported
    """
    found: dict[Any, None] = {}
    for target in targets:
        classes = [feed_class for feed_class in feed_classes.find_feed_classes([target]) if is_on_cassandra(feed_class)]
        if not classes and not keeps_follows([target]):
            raise ConfigurationError(
                f'{target!r} has no feed class on Cassandra: name a module that defines some, derived from '
                'CassandraFeed, CassandraAggregatedFeed or CassandraNotificationFeed'
            )
        found.update(dict.fromkeys(classes))
    return list(found)


def keeps_follows(targets: Iterable[Any]) -> bool:
    """Return whether modules, follow storages or managers name a follow storage on Cassandra."""
    return any(issubclass(found, CassandraFollowStorage) for found in feed_classes.find_follow_storages(targets))


def is_on_cassandra(feed_class: Any) -> bool:
    """Whether a feed class keeps its timelines on Cassandra."""
    # Feeds import storages, never the other way round, so the storage class decides here.
    return issubclass(feed_class.timeline_storage_class, CassandraTimelineStorage)


def check_keys(feed_classes: Iterable[Any]) -> None:
    """Refuse classes that would write the same keys into one table.

    :raises ConfigurationError: naming two of them
    """
    for one, other in itertools.combinations(feed_classes, 2):
        if share_keys(one, other):
            raise ConfigurationError(clash(one, other))


def share_keys(one: Any, other: Any) -> bool:
    """Whether two feed classes write the same keys into one table; a class and one derived from it are meant to."""
    return (
        one.timeline_cf_name == other.timeline_cf_name
        and _sample(one) == _sample(other)
        and getattr(one.timeline_model, '__keyspace__', None) == getattr(other.timeline_model, '__keyspace__', None)
        and not issubclass(one, other)
        and not issubclass(other, one)
    )


def clash(one: Any, other: Any) -> str:
    """Return the message about two classes that share keys."""
    return (
        f'{_path(one)} and {_path(other)} both write keys {one.key_format!r} into the table '
        f'{one.timeline_cf_name!r}, so they would overwrite each other: give one of them another key_format or '
        'timeline_cf_name'
    )


def _sample(feed_class: Any) -> Any:
    try:
        return feed_class.key_format % {'user_id': 7}
    except (TypeError, KeyError, ValueError):
        # Only the class itself can make a key of this format.
        return feed_class.key_format


def _path(feed_class: Any) -> str:
    return f'{feed_class.__module__}.{feed_class.__qualname__}'


def _tables(feed_classes: Iterable[Any], keyspace: str) -> dict[tuple[str, str], list[Any]]:
    """Return keyspace and table -> the models of the feed classes that share it."""
    tables: dict[tuple[str, str], list[Any]] = {}
    for feed_class in feed_classes:
        model = feed_class.get_timeline_storage().model
        name = (model.__keyspace__ or keyspace, model._raw_column_family_name())
        tables.setdefault(name, []).append(model)
    return tables


def _create_keyspace(keyspace: str, replication: str | dict[str, Any] | None, factor: int) -> str:
    if replication is None:
        replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': factor}
    if not isinstance(replication, str):
        items = ', '.join(f"'{name}': '{value}'" for name, value in replication.items())
        replication = f'{{{items}}}'
    return f'CREATE KEYSPACE IF NOT EXISTS "{keyspace}" WITH replication = {replication}'


def _found(cluster: Any, name: tuple[str, str]) -> Any:
    keyspace = cluster.metadata.keyspaces.get(name[0])
    return None if keyspace is None else keyspace.tables.get(name[1])


def _table_statements(cluster: Any, name: tuple[str, str], models: list[Any], say: Callable[[str], Any]) -> list[str]:
    quoted = f'"{name[0]}"."{name[1]}"'
    columns = {column.db_field_name: column for model in models for column in model._columns.values()}
    existing = _found(cluster, name)
    if existing is None:
        return [_create_table(quoted, models[0], columns)]
    statements = []
    for column_name, column in columns.items():
        there = existing.columns.get(column_name)
        if there is None:
            statements.append(f'ALTER TABLE {quoted} ADD {_definition(column)}')
        elif there.cql_type != column.db_type:
            say(
                f'-- {quoted}: {column_name} is {there.cql_type}, not {column.db_type}, and stays so: what does not '
                'fit is refused; another timeline_cf_name gets a new table'
            )
    return statements


def _create_table(quoted: str, model: Any, columns: dict[str, Any]) -> str:
    partition = ', '.join(f'"{column.db_field_name}"' for column in model._partition_keys.values())
    clustering = list(model._clustering_keys.values())
    keys = ''.join(f', "{column.db_field_name}"' for column in clustering)
    order = ', '.join(f'"{column.db_field_name}" {(column.clustering_order or "asc").upper()}' for column in clustering)
    definitions = ', '.join(_definition(column) for column in columns.values())
    options = f'CLUSTERING ORDER BY ({order}) AND {TABLE_OPTIONS}' if order else TABLE_OPTIONS
    return f'CREATE TABLE IF NOT EXISTS {quoted} ({definitions}, PRIMARY KEY (({partition}){keys})) WITH {options}'


def _definition(column: Any) -> str:
    return f'"{column.db_field_name}" {column.db_type}{" static" if column.static else ""}'
