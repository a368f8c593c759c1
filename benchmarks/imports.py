"""What importing costs: the library and its feeds, beside the clients alone; each in fresh processes, in turns."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys

from benchmarks.measure import Report

#: Client -> what imports it, and what imports the library's feeds.
IMPORTS = {
    'redis': (
        'redis',
        ('feeds.redis', 'feeds.aggregated_feed.redis', 'feeds.notification_feed.redis'),
    ),
    'cassandra': (
        'cassandra.cluster, cassandra.query, cassandra.concurrent',
        ('feeds.cassandra', 'feeds.aggregated_feed.cassandra', 'feeds.notification_feed.cassandra'),
    ),
}


class ImportsBenchmark:
    """Processor time of ``import``, without what starting Python takes."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def run(self) -> None:
        """Measure everything."""
        for client, (alone, feeds) in IMPORTS.items():
            work = f'import the feeds on {client}'
            if importlib.util.find_spec(client) is None or not self.report.wants(work):
                continue
            statements = {
                'library': f'import {", ".join(f"stream_framework.{name}" for name in feeds)}',
                'the client alone': f'import {alone}',
                'nothing': 'pass',
            }
            found: dict[str, list[float]] = {name: [] for name in statements}
            for number in range(self.report.runs + 1):
                for name, statement in statements.items():
                    taken = _seconds(statement)
                    # The first reads the files, and perhaps compiles them.
                    if number:
                        found[name].append(taken)
            start = min(found.pop('nothing'))
            self.report.durations(work, {name: [each - start for each in taken] for name, taken in found.items()})


def _seconds(statement: str) -> float:
    # What is installed is compiled; a clone would be compiled each time where Python may not keep what came of it.
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, '-c', statement], check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
