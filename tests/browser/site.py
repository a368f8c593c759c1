"""The example site, served as ``make pinboard`` does, at a free port."""

from __future__ import annotations

import pathlib
import sys
import urllib.request
from typing import Any

from tests.servers import processes, redis_nodes

PROJECT = processes.ROOT / 'examples' / 'pinboard'
#: For how many seconds to wait until it is seeded and answers.
PATIENCE = 120


class Site:
    """A running site; with ``redis``, a server of its own and a worker.

    :param backend: ``'memory'``, ``'sqlite'`` or ``'redis'``
    :param pins: how many pins everybody has
    :param folder: where its databases are: those of an earlier site, or by default a new one
    :raises LookupError: if it does not start, or there is no Redis
    """

    def __init__(self, backend: str = 'memory', pins: int = 12, folder: pathlib.Path | None = None) -> None:
        # Never the Redis of somebody else: the site's keys are the same everywhere.
        self.redis = redis_nodes.LocalRedis() if backend == 'redis' else None
        [port] = processes.free_ports(1)
        # What a server runs in goes when it ends.
        running = processes.new_folder('pinboard')
        folder = folder or running
        environment = {
            'PINBOARD_BACKEND': backend,
            'PINBOARD_DATABASE': str(folder / 'site.sqlite3'),
            'PYTHONPATH': str(processes.ROOT),
            'PYTHONUNBUFFERED': '1',
            'STREAM_SQL_URL': f'sqlite:///{folder}/feeds.sqlite3',
        }
        if self.redis is not None:
            environment['STREAM_REDIS_URL'] = f'redis://{self.redis.host}:{self.redis.port}/0'
        #: What it runs in, for commands of a test's own.
        self.environment = environment
        command = [sys.executable, str(PROJECT / 'manage.py'), 'serve', '--port', str(port), '--pins', str(pins)]
        assigned = [f'{name}={value}' for name, value in environment.items()]
        self._server = processes.Server(['env', *assigned, *command], running, grace=15)
        self.url = f'http://127.0.0.1:{port}'
        processes.wait_until(self._answers, PATIENCE, f'the site at {self.url}')

    def stop(self) -> None:
        """End it."""
        self._server.stop()
        if self.redis is not None:
            self.redis.stop()

    def last_words(self) -> str:
        """The end of what it has printed."""
        return self._server.last_words()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def _answers(self) -> bool:
        if not self._server.running:
            raise LookupError(f'the site has ended: {self.last_words()}')
        try:
            with urllib.request.urlopen(self.url, timeout=10) as response:
                return bool(response.status == 200)
        except OSError:
            return False
