"""The tasks through real workers, which fork or have threads, on real brokers: Redis and RabbitMQ."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework import ledger, messages, settings, tasks
from stream_framework.feed_managers.base import add_operation
from stream_framework.storage.redis import connection
from tests.backends import server, unavailable
from tests.contracts.support import act, ids
from tests.servers import processes, redis_nodes
from tests.workers import feeds, post
from tests.workers.support import Worker, publisher, wait_for

FOLLOWERS = list(range(100, 120))


@pytest.fixture(scope='module')
def redis_server() -> Iterator[Any]:
    try:
        started = redis_nodes.LocalRedis()
    except LookupError as error:
        unavailable(str(error))
    yield started
    started.stop()


@pytest.fixture
def storage(redis_server: Any, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """An empty storage: an entry of ``STREAM_REDIS_CONFIG``; this process uses it, too."""
    chosen = request.config.getoption('--backend')
    if chosen and 'redis' not in chosen:
        pytest.skip('--backend does not name redis')
    redis_server.client().flushall()
    before = settings.STREAM_REDIS_CONFIG
    settings.configure(STREAM_REDIS_CONFIG={'default': redis_server.config})
    feeds.GRAPH.clear()
    feeds.GRAPH[1] = FOLLOWERS
    yield redis_server.config
    connection.reset()
    settings.configure(STREAM_REDIS_CONFIG=before)
    feeds.GRAPH.clear()


@pytest.fixture(params=['redis', 'rabbitmq'])
def broker(request: pytest.FixtureRequest, storage: Any) -> str:
    """A broker's URL; nothing is in its queues."""
    if request.param == 'redis':
        return f'redis://{storage["host"]}:{storage["port"]}/1'
    url = server('rabbitmq')
    with publisher(url) as app, app.connection_for_write() as connection:
        for name in ('celery', 'urgent', 'later'):
            connection.default_channel.queue_delete(name)
    return url


def environment(style: str, broker: str, storage: dict[str, Any], **others: str) -> dict[str, str]:
    common = {'GRAPH': json.dumps(feeds.GRAPH), **others}
    if style == 'django':
        return {**common, 'PROJECT_BROKER': broker, 'PROJECT_REDIS': json.dumps({'default': storage})}
    url = f'redis://{storage["host"]}:{storage["port"]}/0'
    return {**common, 'CELERY_BROKER_URL': broker, 'STREAM_REDIS_URL': url}


def in_queues(storage: dict[str, Any]) -> Any:
    """A client of the database that is the broker."""
    import redis

    return redis.Redis(**{**storage, 'db': 1})


STYLES = {'plain': ('tests.workers.plain', ()), 'django': ('tests.workers.project', ('-Q', 'urgent,later,celery'))}


@pytest.mark.parametrize('pool', ['prefork', 'threads'])
def test_end_to_end(pool: str, broker: str, storage: Any) -> None:
    """Processes that share nothing but the broker and the storage, set up as the documentation shows it."""
    # Both ways of setting up on both brokers, without each of all combinations.
    style = 'django' if (pool == 'prefork') == broker.startswith('amqp') else 'plain'
    manager_name = 'InWorkerManager' if style == 'django' else 'NewsManager'
    app, arguments = STYLES[style]
    variables = environment(style, broker, storage)
    with Worker(app, variables, pool, arguments=arguments) as worker:
        subprocess.run(
            [sys.executable, '-m', 'tests.workers.post', app, manager_name],
            env={**os.environ, **variables},
            cwd=processes.ROOT,
            check=True,
            timeout=120,
        )
        manager = getattr(feeds, manager_name)()
        readers = [*FOLLOWERS, 99]
        left = post.activities()[:-1]
        wait_for(
            lambda: all(ids(manager.get_feeds(reader)['flat'][:]) == ids(left)[::-1] for reader in readers),
            120,
            'the flat feeds',
        )

        def groups(name: str, reader: int) -> dict[str, list[int]]:
            return {group.group: ids(group.activities) for group in manager.get_feeds(reader)[name][:]}

        expected = {'3-500': ids(left[::2]), '3-501': ids(left[1::2])}
        for name in ('grouped', 'notifications'):
            wait_for(lambda name=name: all(groups(name, reader) == expected for reader in readers), 120, name)
        # One line for each task: what was done, on what, and how long it took. Some may have nothing left to do.
        for line in (
            f'add_operation on {len(FOLLOWERS[::4])} NewsFeed in ',
            ' remove_operation on 5 Notifications in ',
            'follow_many: 1 users followed by 99 in ',
        ):
            wait_for(lambda line=line: line in worker.log, 60, line)
        worker.stop()
    assert (manager_name == 'InWorkerManager') == ('publish_fanout: add_operation' in worker.log)
    assert 'Traceback' not in worker.log


def test_what_is_urgent_overtakes(broker: str, storage: Any) -> None:
    """Two queues, and a worker for each: a thousand tasks wait in one, what is urgent goes through the other."""
    routes = {
        'stream_framework.tasks.fanout_operation_hi_priority': {'queue': 'urgent'},
        'stream_framework.tasks.fanout_operation_low_priority': {'queue': 'later'},
    }
    low, high = tasks.fanout_operation_low_priority, tasks.fanout_operation_hi_priority
    manager = feeds.FlatManager()
    client = connection.get_redis_connection()
    with publisher(broker, task_routes=routes):
        kwargs = {'feed_manager': manager, 'feed_class': feeds.NewsFeed, 'operation': feeds.noting_operation}
        for number in range(1000):
            low.delay(user_ids=[number], operation_kwargs={'note': 'low'}, **kwargs)
        for number in range(20):
            high.delay(user_ids=[number], operation_kwargs={'note': 'high'}, **kwargs)
    variables = environment('plain', broker, storage)
    # The one of the urgent queue starts last.
    with (
        Worker('tests.workers.plain', variables, 'threads', 1, ('-Q', 'later', '-n', 'later@%h')),
        Worker('tests.workers.plain', variables, 'threads', 1, ('-Q', 'urgent', '-n', 'urgent@%h')),
    ):
        wait_for(lambda: client.llen('workers:notes') == 1020, 120, 'all tasks')
    notes = [note.decode() if isinstance(note, bytes) else note for note in client.lrange('workers:notes', 0, -1)]
    last_high = max(position for position, note in enumerate(notes) if note.startswith('high'))
    assert len(set(notes)) == 1020
    assert notes[last_high + 1 :], 'low priority was done before'


def test_the_command_that_publishes_again(storage: Any) -> None:
    """The broker has lost what it had; a shell, and then a worker, put it right."""
    broker = f'redis://{storage["host"]}:{storage["port"]}/1'
    manager = feeds.LedgerManager()
    with publisher(broker):
        for activity in post.activities():
            manager.add_user_activity(1, activity)
    in_queues(storage).flushdb()
    variables = environment('plain', broker, storage)
    command = [sys.executable, '-m', 'stream_framework', 'republish', 'tests.workers.feeds:LedgerManager']
    command += ['--app', 'tests.workers.plain']

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *arguments],
            env={**os.environ, **variables},
            cwd=processes.ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stderr + done.stdout

    assert 'LedgerManager: 0 open, 0 published again, 0 given up' in run()[1]
    code, said = run('--older-than', '0')
    assert (code, said.splitlines()[-1]) == (
        0,
        'tests.workers.feeds:LedgerManager: 72 open, 72 published again, 0 given up',
    )
    with Worker('tests.workers.plain', variables):
        wait_for(lambda: ledger.republish(manager, older_than=0, dry_run=True).open == 0, 120, 'the ledger to be empty')
    for reader in FOLLOWERS:
        assert ids(manager.get_feeds(reader)['flat'][:]) == ids(post.activities())[::-1]
    code, said = run('--app', 'tests.workers.nothing')
    assert (code, 'error: --app tests.workers.nothing: no Celery application' in said) == (1, True)


HOSTILE: list[dict[str, Any]] = [
    {'feed_manager': 'tests.workers.feeds:Moved'},
    {'feed_manager': 'tests.nowhere:NewsManager'},
    {'feed_class': 'tests.workers.feeds:GoneFeed'},
    {'feed_class': 'tests.workers.feeds:NewsManager'},
    {'operation': 'tests.workers.feeds:no_operation'},
    {'operation': 'os:system'},
    {'operation': 'builtins:eval'},
    {'operation': 'tests.workers.feeds:NewsManager.__init__'},
    {'operation': 'tests.workers.feeds:__import__'},
    {'user_ids': 7},
    {'user_ids': [{'uuid': 'no'}]},
    {'operation_kwargs': [1]},
    {'surprise': 1},
]


@pytest.mark.parametrize('pool', ['prefork', 'threads'])
def test_bad_messages(pool: str, storage: Any, tmp_path: Any) -> None:
    """Whatever comes, the worker says what is wrong, runs nothing, and goes on."""
    broker = f'redis://{storage["host"]}:{storage["port"]}/1'
    marker = tmp_path / 'executed'
    manager = feeds.FlatManager()
    name = 'stream_framework.tasks.fanout_operation'
    with publisher(broker, accept_content=['json', 'pickle']) as app:
        _, good = messages.encode(
            tasks.fanout_operation.parameters,
            (),
            {
                'feed_manager': manager,
                'feed_class': feeds.NewsFeed,
                'user_ids': [5],
                'operation': add_operation,
                'operation_kwargs': {'activities': [act(1)]},
            },
        )
        for changes in HOSTILE:
            app.send_task(name, kwargs={**good, **changes})
        app.send_task(name, kwargs={key: value for key, value in good.items() if key != 'user_ids'})
        app.send_task(name, args=['os:system', f'touch {marker}', [1], 'os:system', None])
        app.send_task('stream_framework.tasks.publish_fanout', kwargs={'feed_manager': 'os:system'})
        # A message of 1.4.0: a pickle, of something that does something when it is read.
        app.send_task(name, kwargs={'feed_manager': Trap(str(marker))}, serializer='pickle')
        app.send_task(name, kwargs=good, headers={'stream_framework_ledger': '9' * 5000})
    feeds.NewsFeed.insert_activity(act(1))
    with Worker('tests.workers.plain', environment('plain', broker, storage), pool) as worker:
        wait_for(lambda: feeds.NewsFeed(5).count() == 1, 120, 'the good message behind the bad ones')
        worker.stop()
    assert worker.log.count('is rejected, nothing was run') == len(HOSTILE) + 3
    assert 'Refusing to deserialize' in worker.log
    assert not marker.exists()


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f'touch {self.path}',)


@pytest.mark.soak
@pytest.mark.parametrize('pool', ['prefork', 'threads'])
def test_a_worker_does_not_grow(pool: str, storage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """100,000 tasks through one worker: what it takes after the first fifth is what it takes at the end, in KiB."""
    broker = f'redis://{storage["host"]}:{storage["port"]}/1'
    total, part = 100_000, 10_000
    manager, client = feeds.LedgerManager(), in_queues(storage)
    manager.fanout_chunk_size = 1
    taken = []
    with publisher(broker), Worker('tests.workers.plain', environment('plain', broker, storage), pool, 1) as worker:
        for number in range(total // part):
            for feed_class in (feeds.NewsFeed, feeds.Notifications):
                activities = [act(number % 50, object=7)]
                kwargs = {'activities': activities, 'trim': True}
                manager.create_fanout_tasks(range(part // 2), feed_class, add_operation, kwargs)
            wait_for(lambda: not client.llen('celery') + client.hlen('unacked'), 300, 'the tasks')
            taken.append(max(map(_resident, [worker.pid, *worker.children()])))
            with capsys.disabled():
                print(f'\n{pool}: {taken[-1]:,} KiB after {part * (number + 1):,} tasks', end='', flush=True)
    assert max(taken[2:]) <= taken[1] * 1.05 + 1024


def _resident(pid: int) -> int:
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('VmRSS'))


def test_the_documentation_shows_what_is_tested() -> None:
    """The files of the Django project, but for its name; what its settings are for is theirs."""
    page = (processes.ROOT / 'docs' / 'background_tasks.rst').read_text()
    for name in ('celery.py', '__init__.py'):
        code = (processes.ROOT / 'tests' / 'workers' / 'project' / name).read_text()
        lines = code.replace('tests.workers.project', 'myproject').splitlines()
        for line in lines:
            if line and not line.startswith('"""'):
                assert f'    {line}\n' in page, f'{name}: {line}'
    routes = page.partition('task_routes = {')[2].partition('}\n\n')[0]
    for name in ('hi', 'low'):
        assert f"'stream_framework.tasks.fanout_operation_{name}_priority': {{'queue': " in routes
