"""Rounds of fan-outs while workers are killed, the broker is restarted, the storage is away: what must be there then.

The followers' feeds are compared with what they are by definition. Of a group that has had more activities than it
keeps, only the count may be higher: one that it has dropped can't be told from a new one when it is delivered again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from kombu.exceptions import OperationalError

from stream_framework import ledger, settings
from stream_framework.activity import Activity
from stream_framework.exceptions import StorageConnectionError
from stream_framework.verbs import Love
from tests.servers.redis_nodes import LocalRedis
from tests.workers import feeds
from tests.workers.support import Worker, publisher

AUTHORS = range(1, 5)
READERS = range(100, 130)
#: Follow somebody while everything goes wrong.
LATE = range(200, 204)
#: More activities than a group keeps, none of which is removed: what was dropped would not come back.
BUSY = (500, 501)
QUIET = range(510, 518)
ADDED, REMOVED = 70, 14

_START = datetime.datetime(2026, 1, 1)
# Errors of whoever publishes, who then does it again.
_LATER = (OperationalError, ConnectionError, StorageConnectionError)


class Stage:
    """The storage, the broker and two workers, one of which forks; all of this test's own.

    :param broker: ``LocalRedis`` or ``LocalRabbitMQ``, running
    :param options: of the broker's transport
    :param values: settings of a storage that runs already, instead of a Redis server of its own
    """

    def __init__(
        self, broker: Any, options: dict[str, Any] | None = None, values: dict[str, Any] | None = None
    ) -> None:
        self.broker = broker
        self.options = options or {}
        # Its own: the broker outlives a round, and so may second copies of messages, which a worker finds in the next.
        self.queue = uuid.uuid4().hex
        self.workers: list[Worker] = []
        self.storage: LocalRedis | None = None
        if values is None:
            self.folder = tempfile.TemporaryDirectory(prefix='stream-framework-storage-')
            # What it has acknowledged it has on disk.
            self.storage = LocalRedis(appendonly='yes', appendfsync='always', dir=self.folder.name)
            values = {'STREAM_REDIS_CONFIG': {'default': self.storage.config}}
        self.values = values

    @property
    def url(self) -> str:
        """The broker's."""
        if isinstance(self.broker, LocalRedis):
            return f'redis://{self.broker.host}:{self.broker.port}/0'
        return self.broker.url

    @property
    def config(self) -> dict[str, Any]:
        """What publisher and workers have in common."""
        return {'broker_transport_options': self.options, 'task_default_queue': self.queue}

    def open(self) -> None:
        """Start workers."""
        config = {**self.config, 'task_annotations': _IMPATIENT}
        environment = {
            'CELERY_BROKER_URL': self.url,
            'WORKER_CONFIG': json.dumps(config),
            'STREAM_SETTINGS': json.dumps(self.values),
            **{name: os.environ[name] for name in ('FEEDS_BACKEND', 'FEEDS_RUN') if name in os.environ},
        }
        self.workers = [
            Worker('tests.workers.plain', environment, 'prefork', arguments=('-n', 'prefork@%h')),
            Worker('tests.workers.plain', environment, 'threads', arguments=('-n', 'threads@%h')),
        ]

    def close(self) -> None:
        """End everything but the broker."""
        for worker in self.workers:
            worker.stop(or_kill=True)
        if self.storage is not None:
            self.storage.stop()
            self.folder.cleanup()

    # What goes wrong.

    def kill(self, chance: random.Random) -> None:
        """A worker, or one of its processes."""
        worker = chance.choice(self.workers)
        if chance.random() < 0.3 and worker.children():
            worker.kill_one(chance)
        else:
            worker.kill()
            worker.start()

    def restart_broker(self) -> None:
        """Redis forgets all that it had; RabbitMQ has it on disk."""
        if isinstance(self.broker, LocalRedis):
            self.broker.stop()
        else:
            self.broker.kill()
        self.broker.start()

    def storage_away(self) -> None:
        """For ten seconds."""
        assert self.storage is not None
        self.storage.stop()
        time.sleep(10)
        self.storage.start()


# Retries soon, so that a round is over soon.
_IMPATIENT = {'*': {'retry_backoff': 0.5, 'retry_backoff_max': 4.0, 'max_retries': 20}}


def play(stage: Stage, seed: int, kills: int = 3, event: Callable[[], None] | None = None) -> dict[str, Any]:
    """One round; returns numbers about it.

    :param kills: how many workers are killed, at random moments
    :param event: what else happens, somewhere in between
    """
    chance = random.Random(seed)
    graph = {author: [reader for reader in READERS if chance.random() < 0.7] for author in AUTHORS}
    feeds.GRAPH.clear()
    feeds.GRAPH.update(graph)
    manager = feeds.LedgerManager()
    added, removed, steps = _script(chance, manager, graph)
    before = {name: getattr(settings, name) for name in stage.values}
    settings.configure(**stage.values)
    stage.open()
    started = time.monotonic()
    try:
        with (
            publisher(stage.url, **stage.config),
            _trouble(stage, chance, kills, event) as over,
        ):
            for step in steps:
                _insist(step)
                time.sleep(chance.uniform(0, 0.04))
            published = time.monotonic()
            over.wait(120)
            calm = time.monotonic()
            again = _drain(manager, stage.workers)
            recovered = time.monotonic()
        for worker in stage.workers:
            worker.stop(or_kill=True)
        _compare(manager, graph, [activity for activity in added if activity not in removed])
    except BaseException:
        for worker in stage.workers:
            print(worker.log[-6000:])
        raise
    finally:
        feeds.GRAPH.clear()
        settings.configure(**before)
    return {
        'seed': seed,
        'publishing': round(published - started, 1),
        'recovery': round(recovered - calm, 1),
        'published again': again,
    }


def _script(chance: random.Random, manager: Any, graph: dict[int, list[int]]) -> Any:
    """What is added and removed in all, and the steps."""
    times = list(range(ADDED))
    chance.shuffle(times)
    added = []
    for number, at in enumerate(times):
        object_id = chance.choice(BUSY) if number % 7 < 4 else chance.choice(QUIET)
        time_ = _START + datetime.timedelta(seconds=10 * at)
        added.append(Activity(chance.choice(AUTHORS), Love, object_id, time=time_, extra_context={'number': number}))
    removable = [activity for activity in added if activity.object_id in QUIET]
    removed = chance.sample(removable, min(REMOVED, len(removable)))
    steps: list[tuple[float, Callable[[], None]]] = []
    for number, activity in enumerate(added):
        steps.append((number, _add(manager, activity)))
        if activity in removed:
            # At once, or much later.
            steps.append((number + chance.choice([0.5, 0.5, 10, 40]), _remove(manager, activity)))
    for reader in LATE:
        steps.append((chance.uniform(0, ADDED), _follow(manager, reader, chance.choice(AUTHORS), graph)))
    steps.sort(key=lambda step: step[0])
    return added, removed, [step for _, step in steps]


def _add(manager: Any, activity: Activity) -> Callable[[], None]:
    return lambda: manager.add_user_activity(activity.actor_id, activity)


def _remove(manager: Any, activity: Activity) -> Callable[[], None]:
    return lambda: manager.remove_user_activity(activity.actor_id, activity)


def _follow(manager: Any, reader: int, author: int, graph: dict[int, list[int]]) -> Callable[[], None]:
    def follow() -> None:
        for followers in (graph[author], feeds.GRAPH[author]):
            if reader not in followers:
                followers.append(reader)
        manager.follow_user(reader, author)

    return follow


def _insist(step: Callable[[], None]) -> None:
    """As somebody who gets an error and tries again."""
    end = time.monotonic() + 120
    while True:
        try:
            return step()
        except _LATER:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def _trouble(
    stage: Stage, chance: random.Random, kills: int, event: Callable[[], None] | None
) -> Iterator[threading.Event]:
    over = threading.Event()
    failed: list[BaseException] = []
    own = random.Random(chance.random())
    middle = own.randrange(kills + 1) if event else -1

    def run() -> None:
        try:
            for number in range(kills + 1):
                # A worker needs about two seconds until it works.
                time.sleep(own.uniform(0.5, 3.5))
                if number == middle and event is not None:
                    event()
                elif number < kills:
                    stage.kill(own)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            failed.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield over
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _drain(manager: Any, workers: list[Worker]) -> int:
    """Publish again what is open for long, until nothing is; returns how many were published again."""
    again = 0
    end = time.monotonic() + 150
    while True:
        for worker in workers:
            # Kombu 5.7 may fail over a broker that has gone away, and Celery's worker ends with it.
            worker.start_if_ended()
        try:
            found = ledger.republish(manager, older_than=2)
            again += found.published
            left = ledger.republish(manager, older_than=0, dry_run=True).open
        except _LATER:
            left = -1
        if not left:
            return again
        assert time.monotonic() < end, f'{left} tasks are still open'
        time.sleep(0.3)


def _compare(manager: Any, graph: dict[int, list[int]], left: list[Activity]) -> None:
    for reader in [*READERS, *LATE]:
        followed = [author for author, followers in graph.items() if reader in followers]
        expected = sorted((a for a in left if a.actor_id in followed), key=lambda a: a.serialization_id, reverse=True)
        found = manager.get_feeds(reader)
        _same(found['flat'][:], expected, f'flat feed of {reader}')
        groups: dict[str, list[Activity]] = {}
        for activity in expected:
            groups.setdefault(f'{Love.id}-{activity.object_id}', []).append(activity)
        for name in ('grouped', 'notifications'):
            there = found[name][:]
            where = f'{name} of {reader}'
            assert [group.group for group in there] == list(groups), f'{where}: {there}'
            for group in there:
                of_group = groups[group.group]
                kept = of_group[: group.max_aggregated_activities_length]
                _same(group.last_activities, kept, f'{where}: {group.group}')
                if len(of_group) == len(kept):
                    assert group.activity_count == len(of_group), f'{where}: {group.group}'
                else:
                    assert group.activity_count >= len(of_group), f'{where}: {group.group}'
        assert found['notifications'].count_unseen() == len(groups), reader
        assert found['notifications'].count_unread() == len(groups), reader


def _same(found: list[Activity], expected: list[Activity], where: str) -> None:
    extra = [activity for activity in found if activity not in expected]
    missing = [activity for activity in expected if activity not in found]
    assert not extra and not missing, f'{where}: {extra} should not be there, {missing} should'
    assert found == expected, f'{where}: the order is wrong'


def main(values: str, seed: str) -> None:
    """A round on a storage that runs already, in a process of its own: its feeds are on that backend."""
    with LocalRedis() as broker:
        stage = Stage(broker, values=json.loads(values))
        settings.configure(**stage.values)
        if 'STREAM_CASSANDRA_HOSTS' in stage.values:
            from stream_framework.storage.cassandra import schema

            schema.sync(feeds.LedgerManager)
        try:
            print(play(stage, int(seed)))
        finally:
            stage.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
