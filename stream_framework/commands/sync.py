"""``python -m stream_framework sync``: create what feed classes need, in Cassandra and in a SQL database.

For Cassandra it is the same as ``python -m stream_framework.storage.cassandra sync``, with the options of
:mod:`stream_framework.commands.application`. The tables of a SQL database are the same for all feed classes.
"""

from __future__ import annotations

import argparse
from typing import Any

from stream_framework.checks import sql
from stream_framework.commands import application
from stream_framework.storage.cassandra import __main__ as cassandra
from stream_framework.utils.feed_classes import backend_of, find_feed_classes, find_follow_storages


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = cassandra.add_sync(commands)
    for action in parser._actions:
        if action.dest == 'modules':
            action.nargs = '*'
            action.required = False
            action.help = f'{action.help}; none for a SQL database alone'
    application.add_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Load the application, and sync."""
    application.load(options)
    if not options.modules and not sql.is_configured():
        options.parser.error('name a module of feed classes, or set STREAM_SQL_URL')
    for name in options.modules:
        application.import_module(name)
    feed_classes = find_feed_classes(options.modules)
    of_follows = {backend_of(storage) for storage in find_follow_storages(options.modules)}
    in_sql = 'sql' in of_follows or any(map(sql.uses_sql, feed_classes))
    in_cassandra = 'cassandra' in of_follows or any(hasattr(found, 'timeline_cf_name') for found in feed_classes)
    if in_sql or not options.modules:
        sync_sql(options.dry_run)
    if options.modules and (in_cassandra or not in_sql):
        return cassandra.sync(options)
    return 0


def sync_sql(dry_run: bool = False) -> None:
    """Create the tables that are missing, and say what was done.

    :param dry_run: only say what would be
    :raises StorageError: for what the database refuses
    """
    from stream_framework.storage.sql import connection, tables

    try:
        database = connection.get_database()
        names = tables.find_missing(database) if dry_run else tables.sync(database)
        for name in names:
            print(f'{"would create" if dry_run else "created"} table {name} in {database.address}')
        if not names:
            print(f'{database.address}: all tables are there, nothing to do')
    finally:
        connection.reset()
