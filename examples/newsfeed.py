"""Replays a social network through Stream Framework, and prints what one of its people then finds in the feeds.

    python examples/newsfeed.py
    python examples/newsfeed.py --no-replay
    python examples/newsfeed.py --events messages.txt --check
    python examples/newsfeed.py --backend redis --redis-url redis://localhost:6379/0

The feeds and the manager are in ``examples/social/feeds.py``: start reading there. This file is the command line.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import click
from celery import Celery
from social import check, feeds, network

from stream_framework import settings
from stream_framework.exceptions import StreamFrameworkError
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.utils import get_metrics_instance

#: The manager of each backend. Its module is imported when it is needed, since its client may not be installed.
MANAGERS = {
    'sqlite': 'social.on_sql:SqlManager',
    'postgres': 'social.on_sql:SqlManager',
    'memory': 'social.on_memory:MemoryManager',
    'redis': 'social.on_redis:RedisManager',
    'cassandra': 'social.on_cassandra:CassandraManager',
}

#: Where feeds in SQLite are: in the current folder.
SQLITE_URL = 'sqlite:///newsfeed.sqlite3'
#: How many readers ``--check`` looks at.
CHECKED_READERS = 50
#: How many groups and notifications are printed.
SHOWN = 10


@click.command(help=__doc__.split('\n\n')[0])
@click.option('--events', 'events_path', metavar='FILE', help='Replay this: lines "ACTOR TARGET UNIXTIME".')
@click.option(
    '--follows',
    'follows_path',
    metavar='FILE',
    help='Who follows whom: lines "U V", friends who follow each other. Without it, U follows V if U ever wrote to V.',
)
@click.option(
    '--backend', type=click.Choice(list(MANAGERS)), default='sqlite', show_default=True, help='Where the feeds are.'
)
@click.option(
    '--no-replay', 'kept', is_flag=True, help='Only print what an earlier run has left; not for feeds in memory.'
)
@click.option('--reader', type=int, metavar='ID', help='Whose feeds to print. Default: of somebody who follows many.')
@click.option('--check', 'checked', is_flag=True, help='Work out the feeds of 50 readers by brute force, and compare.')
@click.option('--limit', type=click.IntRange(min=1), metavar='N', help='Replay only the first N events.')
@click.option(
    '--people', type=click.IntRange(min=2), default=100, show_default=True, help='How many to make up without files.'
)
@click.option('--seed', type=int, default=1, show_default=True, help='What is made up, and who is checked.')
@click.option(
    '--sql-url',
    metavar='URL',
    help=f'Default: $STREAM_SQL_URL, or {SQLITE_URL}; postgresql://user:password@host/name.',
)
@click.option('--redis-url', metavar='URL', help='Default: $STREAM_REDIS_URL, or redis://127.0.0.1:6379/0.')
@click.option(
    '--cassandra-hosts', metavar='HOSTS', help='host:port,host:port. Default: $STREAM_CASSANDRA_HOSTS, or localhost.'
)
@click.option('--cassandra-keyspace', default='newsfeed_example', show_default=True, help='Created if it is missing.')
def main(
    events_path: str | None,
    follows_path: str | None,
    backend: str,
    kept: bool,
    reader: int | None,
    checked: bool,
    limit: int | None,
    people: int,
    seed: int,
    sql_url: str | None,
    redis_url: str | None,
    cassandra_hosts: str | None,
    cassandra_keyspace: str,
) -> None:
    """Replay a social network, and print a reader's feeds."""
    with explained_errors():
        world = make_network(events_path, follows_path, people, limit, seed)
        known = world.people
        if reader is None:
            reader = world.busiest_reader()
        elif reader not in known:
            raise click.ClickException(f'reader {reader} is not in this network; it has {some(known)}')
        if kept and backend == 'memory':
            raise click.ClickException('nothing was kept: feeds in memory end with the process')
        configure(backend, sql_url, redis_url, cassandra_hosts, cassandra_keyspace)
        manager = make_manager(backend)
        if kept:
            show_reader(manager, reader)
            return
        manager.prepare(known)

        follows = list(world.follow_pairs())
        click.echo(f'{len(known):,} people, {len(follows):,} follows, {len(world.events):,} events, on {backend}')
        import_follows(follows, manager)
        seconds = replay(world, manager)
        show_reader(manager, reader)
        show_totals(len(world.events), seconds)
        if checked and not show_check(world, manager, seed):
            raise SystemExit(1)


def make_network(
    events_path: str | None, follows_path: str | None, people: int, limit: int | None, seed: int
) -> network.Network:
    """The network that the options ask for."""
    follows = network.read_follows(follows_path) if follows_path else None
    if events_path:
        events = network.read_events(events_path, limit)
        return network.Network(events, network.follows_of(events) if follows is None else follows)
    if follows is None:
        follows = network.make_friends(people, seed)
    return network.Network(network.make_events(follows, limit or 2000, seed), follows)


def configure(
    backend: str, sql_url: str | None, redis_url: str | None, cassandra_hosts: str | None, cassandra_keyspace: str
) -> None:
    """Set up Celery and the library, as an application does when it starts."""
    # An application has workers, and a broker. Here every task runs at once, in this process.
    app = Celery('newsfeed', set_as_current=True)
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    settings.configure(STREAM_METRIC_CLASS='social.feeds.Deliveries', STREAM_DEFAULT_KEYSPACE=cassandra_keyspace)
    if sql_url or (backend == 'sqlite' and settings.source_of('STREAM_SQL_URL') == 'default'):
        settings.configure(STREAM_SQL_URL=sql_url or SQLITE_URL)
    if backend == 'postgres' and not settings.STREAM_SQL_URL.startswith('postgres'):
        raise click.ClickException('say where PostgreSQL is: --sql-url postgresql://user:password@host/name')
    if redis_url:
        settings.configure(STREAM_REDIS_CONFIG={'default': {'url': redis_url}})
    if cassandra_hosts:
        settings.configure(STREAM_CASSANDRA_HOSTS=[host.strip() for host in cassandra_hosts.split(',')])


def make_manager(backend: str) -> feeds.SocialManager:
    """The manager of a backend."""
    module, name = MANAGERS[backend].split(':')
    manager: feeds.SocialManager = getattr(importlib.import_module(module), name)()
    return manager


def import_follows(follows: list[tuple[int, int]], manager: feeds.SocialManager) -> None:
    """Have the library keep who follows whom, as an application imports its table of follows."""
    before = datetime.datetime(1970, 1, 1)
    with click.progressbar(length=len(follows), label='Follows', file=sys.stderr) as bar:
        # It says how many are done; a bar wants to know how many more.
        manager.follows.import_follows(
            ((user_id, target_id, before) for user_id, target_id in follows), lambda done: bar.update(done - bar.pos)
        )


def replay(world: network.Network, manager: feeds.SocialManager) -> float:
    """Let everything happen once more; returns how many seconds it took."""
    start = time.perf_counter()
    steps = max(len(world.events) // 200, 1)  # drawing the bar for each event would take longer than the event
    with (
        interrupted_between_events() as interrupted,
        click.progressbar(world.events, label='Replaying', file=sys.stderr, update_min_steps=steps) as events,
    ):
        for event in events:
            if interrupted.is_set():
                raise KeyboardInterrupt
            # Who writes has looked at the notifications before.
            manager.get_feeds(event.actor)['notifications'].mark_all(seen=True)
            manager.add_user_activity(event.actor, event.activity)
    return time.perf_counter() - start


@contextlib.contextmanager
def interrupted_between_events() -> Iterator[threading.Event]:
    """Ctrl-C waits for the event to end; pressed again it does not.

    Raised while Celery's results are taken down, in their ``__del__``, KeyboardInterrupt would be ignored.
    """
    interrupted = threading.Event()

    def handler(number: int, frame: Any) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def show_reader(manager: feeds.SocialManager, reader: int) -> None:
    """Print one reader's first two pages, groups and notifications."""
    mine = manager.get_feeds(reader)
    for number, page in enumerate(itertools.islice(feeds.pages(mine['news'], check.PAGE), 2), 1):
        click.echo(f'\nNews of {reader}, page {number}')
        for activity in page:
            click.echo(f'  {activity.time:%Y-%m-%d %H:%M}  {activity.actor_id} wrote to {activity.target_id}')
    click.echo(f'\nGrouped news of {reader}')
    # A type checker knows that it is one of the manager's feeds, and not which.
    for group in cast(AggregatedFeed, mine['grouped'])[:SHOWN]:
        click.echo(f'  {group.updated_at:%Y-%m-%d}  {actors(group)} wrote to {group.last_activity.target_id}')
    notifications = mine['notifications']
    click.echo(f'\nNotifications of {reader}, {notifications.count_unseen()} unseen')
    for group in notifications[:SHOWN]:
        mark = ' ' if group.is_seen else '*'
        click.echo(f'{mark} {group.updated_at:%Y-%m-%d}  {actors(group)} wrote to {reader}')


def actors(group: Any) -> str:
    """Whose activities a group holds: "12 and 3 others"."""
    others = group.other_actor_count
    last = group.last_activity.actor_id
    return f'{last} and {others} other{"s" if others > 1 else ""}' if others else f'{last}'


def show_totals(activities: int, seconds: float) -> None:
    """Print how much was done, and how fast."""
    deliveries = get_metrics_instance().count
    click.echo(
        f'\n{activities:,} activities, {deliveries:,} deliveries to feeds in {seconds:.1f} s: '
        f'{deliveries / seconds:,.0f} deliveries per second'
    )


def show_check(world: network.Network, manager: feeds.SocialManager, seed: int) -> bool:
    """Compare feeds with brute force, and print what differs; returns whether nothing does."""
    readers = check.some_readers(world, CHECKED_READERS, seed)
    differences = list(check.check(world, manager, readers))
    for difference in differences[:SHOWN]:
        click.echo(f'DIFFERENT: {difference}', err=True)
    if differences:
        click.echo(f'Check FAILED: {len(differences)} differences in the feeds of {len(readers)} readers', err=True)
    else:
        click.echo(f'Check passed: the feeds of {len(readers)} readers hold what brute force gives')
    return not differences


def some(people: list[int]) -> str:
    """A few of them."""
    return ', '.join(map(str, people[:5])) + (f' and {len(people) - 5:,} more' if len(people) > 5 else '')


@contextlib.contextmanager
def explained_errors() -> Iterator[None]:
    """Print errors that somebody can do something about as one line; click does so for its own and for Ctrl-C."""
    try:
        yield
    except (network.BadInput, StreamFrameworkError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == '__main__':
    main()
