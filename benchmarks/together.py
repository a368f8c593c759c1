"""The same work by some processes at once, on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import servers
from benchmarks.measure import Contender

#: How many read at once.
READERS = 8
# Seconds until processes that are not ready, or not done, count as hung.
_PATIENCE = 120


class Together:
    """Forks of this process, of which each calls a function once for each of its arguments.

    Each opens a connection of its own, and calls the function once, before time is taken.
    """

    def __init__(self, call: Callable[[Any], Any], arguments: Sequence[Any], processes: int = READERS) -> None:
        self.call = call
        self.parts = [arguments[number::processes] or arguments[:1] for number in range(processes)]
        #: How many calls they make, all together.
        self.amount = sum(map(len, self.parts))
        self.context = multiprocessing.get_context('fork')
        self.processes: list[Any] = []

    def contender(self, name: str) -> Contender:
        """A contender that is timed from when all are ready until the last is done."""
        return Contender(name, self.run, self.prepare)

    def prepare(self) -> None:
        """Start them, and wait until all of them could go on."""
        self.go = self.context.Event()
        self.ready = self.context.Semaphore(0)
        self.processes = [self.context.Process(target=self._work, args=(part,)) for part in self.parts]
        for process in self.processes:
            process.start()
        for _ in self.processes:
            if not self.ready.acquire(timeout=_PATIENCE):
                raise RuntimeError(f'a process was not ready after {_PATIENCE} s')

    def run(self) -> None:
        """Let them go on, and wait for the last."""
        self.go.set()
        for process in self.processes:
            process.join(_PATIENCE)
        if failed := [process.exitcode for process in self.processes if process.exitcode != 0]:
            raise RuntimeError(f'processes ended with {failed}')

    def _work(self, arguments: Sequence[Any]) -> None:
        # Where the parent is kept to one core, these are not.
        if servers.CORES:
            os.sched_setaffinity(0, servers.CORES)
        self.call(arguments[0])
        self.ready.release()
        self.go.wait()
        for argument in arguments:
            self.call(argument)
