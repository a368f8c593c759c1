"""``python -m stream_framework.storage.cassandra sync MODULE``: create what feed classes need on Cassandra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StreamFrameworkError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :returns: 0, or 1 after telling what is wrong
    """
    parser = argparse.ArgumentParser(
        prog='python -m stream_framework.storage.cassandra',
        description='Manage what feeds on Cassandra need. The servers are those of the settings, which a module may '
        'configure, or the environment: STREAM_CASSANDRA_HOSTS, STREAM_DEFAULT_KEYSPACE.',
    )
    commands = parser.add_subparsers(dest='command', required=True)
    add_sync(commands)
    options = parser.parse_args(arguments)
    try:
        return sync(options)
    except StreamFrameworkError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1


def add_sync(commands: Any) -> argparse.ArgumentParser:
    """Add the command ``sync`` to the commands of a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'sync',
        help='create the keyspace, the tables and the columns that are missing; nothing is ever dropped',
        description='Create the keyspace and the tables of all feed classes of some modules, and of their managers, '
        'and add the columns that old tables lack. Nothing is ever dropped; doing it again does nothing.',
    )
    parser.add_argument(
        'modules', nargs='+', metavar='MODULE', help='import path of a module of feed classes: myapp.feeds'
    )
    parser.add_argument('--dry-run', action='store_true', help='only print the statements')
    parser.add_argument('--keyspace', help='instead of STREAM_DEFAULT_KEYSPACE')
    parser.add_argument('--hosts', help='instead of STREAM_CASSANDRA_HOSTS, separated by commas')
    parser.add_argument(
        '--replication-factor',
        type=int,
        metavar='N',
        help='of a keyspace that is missing: replicas in each data center (default: 3, or as many as there are nodes)',
    )
    parser.add_argument(
        '--replication',
        metavar='MAP',
        help="the same in CQL: \"{'class': 'NetworkTopologyStrategy', 'dc1': 3}\"",
    )
    return parser


def sync(options: argparse.Namespace) -> int:
    """Do what the options of ``sync`` say.

    :returns: 0
    :raises StreamFrameworkError: for what is wrong
    """
    from stream_framework.storage.cassandra import connection, schema

    if options.hosts:
        settings.STREAM_CASSANDRA_HOSTS = [host.strip() for host in options.hosts.split(',')]
    try:
        schema.sync(
            *options.modules,
            keyspace=options.keyspace,
            replication=options.replication,
            replication_factor=options.replication_factor,
            dry_run=options.dry_run,
            say=print,
        )
    finally:
        connection.reset()
    return 0


if __name__ == '__main__':
    sys.exit(main())
