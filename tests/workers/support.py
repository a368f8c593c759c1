"""Worker processes, and how they end."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import celery

from tests.servers import processes

# For how many seconds a worker may finish what it does. One of RabbitMQ with threads often takes longer, for nothing.
_PATIENCE = 6


class Worker:
    """A ``celery worker`` with two processes or threads, or more; ends with the tests.

    :param app: ``-A``
    :param environment: for it alone
    :param pool: ``'prefork'`` or ``'threads'``
    """

    def __init__(
        self,
        app: str,
        environment: dict[str, str],
        pool: str = 'prefork',
        concurrency: int = 2,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self._command = ['env', 'C_FORCE_ROOT=1', *(f'{name}={value}' for name, value in environment.items())]
        self._command += [f'PYTHONPATH={processes.ROOT}', sys.executable, '-m', 'celery', '-A', app, 'worker']
        self._command += ['--pool', pool, '--concurrency', str(concurrency), '--loglevel', 'INFO']
        self._command += ['--without-gossip', '--without-mingle', '--without-heartbeat', *arguments]
        self._pool = pool
        self.logs: list[str] = []
        self._process: processes.Server | None = None
        self.start()

    def start(self) -> None:
        """Start it; returns at once."""
        self._process = processes.Server(self._command, processes.new_folder('worker'), grace=30)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """The processes of a pool that forks."""
        try:
            text = pathlib.Path(f'/proc/{self.pid}/task/{self.pid}/children').read_text()
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    def kill(self) -> None:
        """``kill -9`` of all of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._end()

    def kill_one(self, chance: random.Random) -> None:
        """``kill -9`` of one of the processes that do the work, as the kernel does where memory runs out."""
        children = self.children()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(children), signal.SIGKILL)

    def start_if_ended(self) -> None:
        """Start it again if it has ended, as whatever runs workers does."""
        if self._process is not None and not self._process.running:
            self._end()
            self.start()

    def stop(self, or_kill: bool = False) -> None:
        """Have it finish what it does, and end.

        :param or_kill: ``kill -9`` one that doesn't: after its broker was killed, Celery's shutdown now and then waits
            for a connection that is no more
        """
        try:
            self._end()
        except LookupError:
            if not or_kill:
                raise
            self.kill()

    def _end(self) -> None:
        if self._process is not None:
            if self._process.running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGTERM)
                processes.wait_until(
                    lambda: self._process is None or not self._process.running, 60, 'the worker to end'
                )
            self.logs.append(self._process.log.read_text(errors='replace') if self._process.log.exists() else '')
            self._process.stop()
            self._process = None

    @property
    def log(self) -> str:
        """What all of its lives have logged."""
        now = ''
        if self._process is not None and self._process.log.exists():
            now = self._process.log.read_text(errors='replace')
        return ''.join([*self.logs, now])

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: Any) -> None:
        self._end()
        if error[0] is not None:
            print(self.log[-8000:])


@contextlib.contextmanager
def publisher(broker: str, **config: Any) -> Iterator[Any]:
    """This process's Celery application, for a while."""
    before = celery.current_app._get_current_object()  # type: ignore[attr-defined]
    app = celery.Celery('publisher', broker=broker, set_as_current=True, include=['stream_framework.tasks'])
    app.conf.update(broker_connection_retry_on_startup=False, **config)
    app.set_default()
    app.loader.import_default_modules()
    try:
        yield app
    finally:
        app.close()
        before.set_default()
        before.set_current()


def wait_for(check: Callable[[], Any], seconds: float, what: str) -> None:
    """Until it is so; an assertion says what was not."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f'waited {seconds:g} s for {what}'
        time.sleep(0.05)


def as_json(value: Any) -> str:
    """For the environment of a process."""
    return json.dumps(value)
