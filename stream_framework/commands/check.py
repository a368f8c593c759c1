"""``python -m stream_framework check``: the settings, and the servers that they name."""

from __future__ import annotations

import argparse
import logging
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from stream_framework import settings
from stream_framework.checks import cassandra, redis, sql
from stream_framework.checks.findings import Finding
from stream_framework.checks.settings import check_settings
from stream_framework.commands import application
from stream_framework.exceptions import ConfigurationError
from stream_framework.utils.feed_classes import backend_of, find_feed_classes, find_follow_storages

#: Backends -> the settings that say that an application uses them.
BACKENDS = {
    'redis': ('STREAM_REDIS_CONFIG',),
    'cassandra': ('STREAM_CASSANDRA_HOSTS', 'CASSANDRA_DRIVER_KWARGS', 'STREAM_DEFAULT_KEYSPACE'),
    'sql': ('STREAM_SQL_URL', 'STREAM_SQL_ENGINE', 'STREAM_SQL_OPTIONS', 'STREAM_SQL_SCHEMA'),
}


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'check',
        help='check the settings, and whether Redis, Cassandra and SQL databases answer and are ready for feeds',
        description='Check the settings: names that nothing reads, values that can not work. Then connect to each '
        'configured Redis server, to Cassandra and to the SQL database: version, role, memory policy, keyspace, '
        'tables, consistency, pool. '
        'Nothing is written anywhere, and no password is printed. The exit code is 0, or 1 if there is an error; '
        'warnings alone give 0.',
    )
    parser.add_argument(
        'modules',
        nargs='*',
        metavar='MODULE',
        help='import path of a module of feed classes, myapp.feeds: their tables and limits are checked too',
    )
    parser.add_argument(
        '--backend',
        action='append',
        choices=sorted(BACKENDS),
        help='connect to this one, whatever is configured; may be repeated (default: what is configured, or what the '
        'feed classes use; Redis if that is nothing)',
    )
    parser.add_argument('--no-servers', action='store_true', help='check the settings only, connect to nothing')
    parser.add_argument('--strict', action='store_true', help='exit with 1 for warnings, too')
    application.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what is found, as it is found.

    :returns: 1 if there was an error, else 0
    """
    application.load(options)
    for name in options.modules:
        application.import_module(name)
    feed_classes = find_feed_classes(options.modules)
    if options.modules and not feed_classes:
        raise ConfigurationError(f'{", ".join(options.modules)}: no feed class there')
    # The driver tells its own story of every failure.
    logging.getLogger('cassandra').setLevel(logging.CRITICAL)
    counts = {'error': 0, 'warning': 0}
    try:
        for title, findings in _sections(options, feed_classes):
            print(title)
            for finding in findings:
                counts[finding.level] = counts.get(finding.level, 0) + 1
                _print(finding, title)
    finally:
        _close()
    print(f'{_counted(counts["error"], "error")}, {_counted(counts["warning"], "warning")}')
    return int(bool(counts['error'] or (options.strict and counts['warning'])))


def _sections(options: argparse.Namespace, feed_classes: list[Any]) -> Iterator[tuple[str, Iterable[Finding]]]:
    yield 'Settings', _settings()
    if options.no_servers:
        return
    chosen = _backends(options.backend, feed_classes, find_follow_storages(options.modules))
    if 'redis' in chosen:
        on_redis = [feed_class for feed_class in feed_classes if hasattr(feed_class, 'redis_server')]
        # A server that a feed names but the setting lacks is an error that says so.
        names = dict.fromkeys([*redis.server_names(), *(feed_class.redis_server for feed_class in on_redis)])
        for name in names or ('default',):
            named = [feed_class for feed_class in on_redis if feed_class.redis_server == name]
            yield f'Redis server {name!r}', redis.check_redis(name, named)
    if 'cassandra' in chosen:
        on_cassandra = [feed_class for feed_class in feed_classes if hasattr(feed_class, 'timeline_cf_name')]
        yield (
            'Cassandra',
            cassandra.check_cassandra(on_cassandra, options.modules, find_follow_storages(options.modules)),
        )
    if 'sql' in chosen:
        yield 'SQL', sql.check_sql()


def _settings() -> Iterator[Finding]:
    found = check_settings()
    wrong = {finding.subject.partition('[')[0] for finding in found}
    sources = {'configure': 'set by configure()', 'Django': 'set by Django', 'environment': 'set by the environment'}
    for name in settings.NAMES:
        source = settings.source_of(name)
        if source in sources and name not in wrong:
            yield Finding('ok', name, sources[source])
    if all(settings.source_of(name) == 'default' for name in settings.NAMES):
        yield Finding('note', 'none is set', 'the defaults hold')
    yield from found


def _backends(asked: list[str] | None, feed_classes: list[Any], follow_storages: list[type]) -> list[str]:
    if asked:
        return asked
    of_follows = {backend_of(storage) for storage in follow_storages}
    used = {
        'redis': 'redis' in of_follows or any(hasattr(feed_class, 'redis_server') for feed_class in feed_classes),
        'cassandra': 'cassandra' in of_follows
        or any(hasattr(feed_class, 'timeline_cf_name') for feed_class in feed_classes),
        'sql': 'sql' in of_follows or any(map(sql.uses_sql, feed_classes)),
    }
    chosen = [
        backend
        for backend, names in BACKENDS.items()
        if used[backend] or any(settings.source_of(name) != 'default' for name in names)
    ]
    return chosen if chosen or feed_classes else ['redis']


def _print(finding: Finding, title: str) -> None:
    # What a section is about need not stand in each of its lines.
    text = finding.message if finding.subject == title else f'{finding.subject}: {finding.message}'
    text = text.removeprefix(title).lstrip()
    if finding.remedy:
        text += f'\n-> {finding.remedy}'
    print(textwrap.indent(text, ' ' * 11).replace(' ' * 11, f'  {finding.level:<9}', 1), flush=True)


def _close() -> None:
    from stream_framework.storage.cassandra import connection as of_cassandra
    from stream_framework.storage.redis import connection as of_redis
    from stream_framework.storage.sql import connection as of_sql

    of_redis.reset()
    of_cassandra.reset()
    of_sql.reset()


def _counted(number: int, what: str) -> str:
    return f'{number} {what}{"" if number == 1 else "s"}'
