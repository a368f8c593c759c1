"""Tasks through Celery: what publishing costs, and what two worker processes do in a second. The broker is Redis.

Beside Celery alone, which sends as many messages of the same size; and beside processes that write the same entries by
hand, without any queue.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import redis

from benchmarks import celery_by_hand, works
from benchmarks.celery_by_hand import CHUNK
from benchmarks.measure import Contender, Report
from benchmarks.redis_by_hand import ByHand
from benchmarks.together import Together
from stream_framework import settings
from stream_framework.activity import Activity
from stream_framework.feed_managers.base import add_operation
from stream_framework.verbs import Love
from tests.workers import feeds
from tests.workers.support import Worker, publisher

WORKERS = 2
#: What 1.4.0, patched to run at all, delivered in a second at chunks of 100; on another machine.
REFERENCE = 9_100


class CeleryBenchmark(works.Benchmark):
    """Publishing and delivering, with and without the ledger.

    :param host: of the Redis server that is the storage (database 0) and the broker (1)
    """

    def __init__(self, report: Report, host: str, port: int, scale: float = 1.0) -> None:
        super().__init__(report, scale)
        self.storage = {'host': host, 'port': port}
        self.broker = f'redis://{host}:{port}/1'
        self.queue = redis.Redis(host, port, db=1)
        self.by_hand = ByHand(redis.Redis(host, port, decode_responses=True))
        report.server_seconds = self.server_seconds
        settings.configure(STREAM_REDIS_CONFIG={'default': self.storage})

    def run(self) -> None:
        """Measure everything, and leave nothing behind."""
        try:
            with publisher(self.broker) as app:
                self.publish(app, self.some(10_000))
                self.publish(app, self.some(1_000_000), runs=1)
                self.peak(self.some(1_000_000))
                self.deliver(app, self.some(300_000))
        finally:
            self.clear()
            self.report.server_seconds = None

    def server_seconds(self) -> float:
        """Processor time that the server has taken."""
        used = self.queue.info('cpu')
        return used['used_cpu_user'] + used['used_cpu_sys']

    def clear(self) -> None:
        """Empty the queue, and what else was written."""
        feeds.GRAPH.clear()
        self.queue.flushdb()
        redis.Redis(**self.storage).flushdb()

    def publish(self, app: Any, followers: int, runs: int | None = None) -> None:
        """In chunks of 100."""
        self.report.rate(
            f'publish a fan-out to {followers:,} followers',
            -(-followers // CHUNK),
            Contender('library', lambda: publish(feeds.FlatManager, followers), self.clear),
            Contender('celery, send_task for each chunk', lambda: celery_by_hand.publish(app, followers), self.clear),
            Contender('library, with the ledger', lambda: publish(feeds.FlatLedgerManager, followers), self.clear),
            unit='tasks/s',
            runs=runs,
        )

    def peak(self, followers: int) -> None:
        """Of a process that publishes to very many; and of one that publishes to twenty chunks."""
        if not self.report.wants('peak memory of publishing'):
            return
        for name in ('FlatManager', 'FlatLedgerManager'):
            self.clear()
            done = subprocess.run(
                [
                    sys.executable,
                    '-m',
                    'benchmarks.celery',
                    json.dumps(self.storage),
                    self.broker,
                    name,
                    str(followers),
                ],
                check=True,
                capture_output=True,
                text=True,
            )
            ledger = ', with the ledger' if name == 'FlatLedgerManager' else ''
            work = f'peak memory of publishing to {followers:,} followers{ledger}'
            few, many = map(float, done.stdout.split())
            self.report.value(work, many / 1024, 'MiB')
            self.report.value(f'{work}, before that', few / 1024, 'MiB')

    def deliver(self, app: Any, followers: int) -> None:
        """By two worker processes; beside a task written by hand, and beside processes without tasks."""
        work = f'deliver by two worker processes, chunks of {CHUNK}'
        if not self.report.wants(work):
            return
        tasks = max(followers // CHUNK, 20)
        chunks = [range(first, first + CHUNK) for first in range(10**6, 10**6 + tasks * CHUNK, CHUNK)]
        ways: tuple[tuple[str, str, Callable[[int], None]], ...] = (
            ('library', 'tests.workers.plain', functools.partial(publish, feeds.FlatManager)),
            (
                f'celery, a task of a pipeline of {CHUNK} ZADD',
                'benchmarks.celery_by_hand',
                functools.partial(celery_by_hand.publish, app),
            ),
            (
                'library, with the ledger',
                'tests.workers.plain',
                functools.partial(publish, feeds.FlatLedgerManager),
            ),
        )
        found: dict[str, list[float]] = {}
        for _ in range(min(self.report.runs, 3)):
            for name, workers, fill in ways:
                self.clear()
                fill(tasks * CHUNK)
                found.setdefault(name, []).append(self.delivered(workers, tasks) / CHUNK)
            for name, processes in (
                (f'redis-py, pipeline of {CHUNK} ZADD, no tasks, one process', 1),
                (f'redis-py, pipeline of {CHUNK} ZADD, no tasks, two processes', WORKERS),
            ):
                together = Together(self.by_hand.fan_out_by_pipeline, chunks, processes)
                self.clear()
                together.prepare()
                began = time.perf_counter()
                together.run()
                taken = (time.perf_counter() - began) / len(chunks) / CHUNK
                found.setdefault(name, []).append(taken)
        self.report.rates(work, found, 'deliveries/s', reference=REFERENCE)

    def delivered(self, app: str, tasks: int) -> float:
        """Empty a queue that is full; seconds for each task, from when a tenth is done and both processes are at work.

        :param app: the workers'
        """
        environment = {
            'CELERY_BROKER_URL': self.broker,
            'STREAM_REDIS_URL': f'redis://{self.storage["host"]}:{self.storage["port"]}/0',
        }
        with Worker(app, environment, 'prefork', WORKERS, ('--loglevel', 'WARNING')):
            self._until(lambda: self.queue.llen('celery') <= tasks * 0.9)
            began, left = time.perf_counter(), self.open()
            self._until(lambda: not self.open())
            return (time.perf_counter() - began) / left

    def open(self) -> int:
        """How many tasks wait, or are with a worker that has not acknowledged them."""
        return self.queue.llen('celery') + self.queue.hlen('unacked')

    def _until(self, check: Callable[[], bool]) -> None:
        while not check():
            time.sleep(0.005)


def publish(manager_class: Any, followers: int) -> None:
    """One activity to so many: half of them from an iterator, half from what has a length."""
    manager = manager_class()
    manager.fanout_chunk_size = CHUNK
    feeds.GRAPH[1] = range(10**6, 10**6 + followers)
    manager.publish_fanout(1, add_operation, {'activities': [Activity(1, Love, 2)], 'trim': True})


def _main(storage: str, broker: str, manager: str, followers: str) -> None:
    import resource

    settings.configure(STREAM_REDIS_CONFIG={'default': json.loads(storage)})
    with publisher(broker):
        publish(getattr(feeds, manager), 20 * CHUNK)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        publish(getattr(feeds, manager), int(followers))
    print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == '__main__':
    _main(*sys.argv[1:])
