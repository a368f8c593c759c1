"""``python -m benchmarks``: measure, print a table, write it down."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import machine, servers
from benchmarks.measure import Report


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description='Measure the library.')
    parser.add_argument(
        'parts',
        nargs='*',
        metavar='PART',
        help=f'{", ".join(PARTS)}; default: all',
    )
    parser.add_argument('--address', help='host:port of a server that runs already; default: one is started')
    parser.add_argument('--runs', type=int, help='how many runs each median is of (default: 5 to 25)')
    parser.add_argument('--scale', type=float, help='1 is the full size of each work (default)')
    parser.add_argument(
        '--activities', type=int, help='how many the store on Redis has (default: 600,000; in series: to 10,000,000)'
    )
    parser.add_argument('--quick', action='store_true', help='one run of works that are tiny: whether it runs at all')
    parser.add_argument('--only', nargs='*', default=(), metavar='TEXT', help='only works that have this in their name')
    parser.add_argument('--no-pin', action='store_true', help='leave the processes to all cores')
    parser.add_argument('--events', metavar='FILE', help='lines ACTOR TARGET UNIXTIME, which part "replay" replays')
    parser.add_argument('--output', metavar='FOLDER', help='write results.json, tables and plots there')
    options = parser.parse_args(arguments)
    budget = 0.0 if options.runs or options.quick else _SECONDS
    options.runs = options.runs or (1 if options.quick else 5)
    options.scale = options.scale or (0.002 if options.quick else 1.0)
    if unknown := set(options.parts) - set(PARTS) - set(SOME):
        parser.error(f'there is no part {", ".join(sorted(unknown))}: choose from {", ".join([*PARTS, *SOME])}')
    if options.address and len(options.parts) != 1:
        parser.error('--address is of one server: name the part that is to use it')
    if options.output and importlib.util.find_spec('matplotlib') is None:
        parser.error("--output draws plots with matplotlib, which is missing: pip install '.[bench]'")
    report = Report(options.runs, budget, tuple(options.only))
    machine_found = machine.describe()
    began = time.monotonic()
    for part in options.parts or PARTS:
        report.part = part
        try:
            {**PARTS, **SOME}[part](report, options, machine_found['servers'])
        except LookupError as error:
            # Who named the part, and CI, want to know; others get what can be measured here.
            if options.parts or os.environ.get('CI'):
                raise SystemExit(f'{part}: {error}') from error
            report.note(f'{part} is left out: {error}')
    found = {'machine': machine_found, 'scale': options.scale, **report.as_json()}
    found['seconds'] = round(time.monotonic() - began)
    print(_first_line(found))
    print(report.table())
    if options.output:
        folder = pathlib.Path(options.output)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'results.json').write_text(json.dumps(found, indent=1) + '\n')
        from benchmarks import plots, tables

        tables.write(found, folder)
        plots.draw(found, folder)
    return report


def _models(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.models import ModelsBenchmark

    ModelsBenchmark(report, options.scale).run()


def _imports(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.imports import ImportsBenchmark

    ImportsBenchmark(report).run()


def _memory(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.memory import MemoryBenchmark

    MemoryBenchmark(report, options.scale).run()


def _sqlite(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.sql import SqliteBenchmark

    benchmark = SqliteBenchmark(report, options.scale)
    versions['sqlite'] = benchmark.version()
    benchmark.run()


def _postgres(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.sql import PostgresBenchmark
    from tests.servers.postgres_nodes import LocalPostgres

    if options.address is not None:
        raise LookupError('the tables are emptied, so the server is always one of its own: leave out --address')
    with LocalPostgres() as server:
        report.note(f'{report.part}: nothing is pinned; the server syncs nothing to disk')
        benchmark = PostgresBenchmark(report, options.scale, server.url)
        versions['postgres'] = benchmark.version()
        benchmark.run()


def _sql(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    for part, run in (('sqlite', _sqlite), ('postgres', _postgres)):
        report.part = part
        run(report, options, versions)


def _redis(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.redis import RedisBenchmark

    with _on_redis(RedisBenchmark, report, options, versions) as benchmark:
        benchmark.run()


def _redis_scale(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.scale import RedisSeries

    with _on_redis(RedisSeries, report, options, versions) as benchmark:
        benchmark.run()


def _replay(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    if options.events is None:
        needed = 'give the events by --events FILE, lines ACTOR TARGET UNIXTIME'
        if options.parts:
            raise LookupError(needed)
        report.note(f'replay is left out: {needed}')
        return
    from benchmarks.replay import ReplayBenchmark

    with _on_redis(ReplayBenchmark, report, options, versions) as benchmark:
        benchmark.replay(options.events)


def _celery(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.celery import CeleryBenchmark

    if options.address is not None:
        raise LookupError('the queues are emptied, so the server is always one of its own: leave out --address')
    with servers.redis_server() as server:
        report.note('celery: nothing is pinned; broker and storage are one server')
        CeleryBenchmark(report, server.host, server.port, options.scale).run()


def _follows(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks import follows

    follows.in_memory(report, options.scale)
    follows.on_sqlite(report, options.scale)
    with servers.redis_server(options.address) as server:
        with servers.pinned(None if options.no_pin else server.pid) as pinned:
            report.note(f'{report.part}, Redis: {pinned}')
            follows.on_redis(report, server.host, server.port, options.scale)


def _follows_cassandra(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks import follows

    with servers.cassandra_settings(options.address) as settings:
        report.note(f'{report.part}: nothing is pinned')
        follows.on_cassandra(report, settings, options.scale)


def _cassandra(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.cassandra import CassandraBenchmark

    _on_cassandra(CassandraBenchmark, report, options, versions)


def _cassandra_scale(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    from benchmarks.scale import CassandraSeries

    _on_cassandra(CassandraSeries, report, options, versions)


def _cassandra_disk(report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    if options.address:
        raise LookupError('this ends the node that it fills: it starts one of its own, and takes no --address')
    from benchmarks.disk import DiskBenchmark

    DiskBenchmark(report, options.scale).run()


@contextlib.contextmanager
def _on_redis(kind: Any, report: Report, options: argparse.Namespace, versions: dict[str, str]) -> Any:
    with servers.redis_server(options.address) as server:
        with servers.pinned(None if options.no_pin else server.pid) as pinned:
            report.note(f'{report.part}: {pinned}')
            benchmark = kind(
                report, server.host, server.port, options.scale, options.activities, own=server.pid is not None
            )
            versions['redis'] = benchmark.version()
            yield benchmark


def _on_cassandra(kind: Any, report: Report, options: argparse.Namespace, versions: dict[str, str]) -> None:
    with servers.cassandra_settings(options.address) as settings:
        report.note(f'{report.part}: nothing is pinned')
        benchmark = kind(report, settings, options.scale)
        versions['cassandra'] = benchmark.version()
        benchmark.run()


# What the turns of one work may take together, so that its median is of more than five.
_SECONDS = 8.0

#: What can be measured, in this order; each may raise ``LookupError`` where what it needs isn't there. To add a part:
#: a module with a :class:`~benchmarks.works.Benchmark`, a function here that runs it, and its works in
#: ``tests/test_benchmarks.py``; ``plots.py`` says which of them are drawn.
PARTS: dict[str, Callable[[Report, argparse.Namespace, dict[str, str]], None]] = {
    'models': _models,
    'imports': _imports,
    'memory': _memory,
    'sql': _sql,
    'redis': _redis,
    'redis-scale': _redis_scale,
    'replay': _replay,
    'celery': _celery,
    'follows': _follows,
    'follows-cassandra': _follows_cassandra,
    'cassandra': _cassandra,
    'cassandra-scale': _cassandra_scale,
    'cassandra-disk': _cassandra_disk,
}
#: Parts of a part, by themselves.
SOME: dict[str, Callable[[Report, argparse.Namespace, dict[str, str]], None]] = {
    'sqlite': _sqlite,
    'postgres': _postgres,
}


def _first_line(found: dict[str, Any]) -> str:
    described = found['machine']
    clients = ', '.join(f'{name} {version}' for name, version in described['clients'].items())
    return (
        f'{described["python"]}, {", ".join([*described["servers"].values(), clients])}, on {described["cores"]} '
        f'cores of {described["cpu"]}; {found["runs"]} runs, {found["seconds"]} s'
    )


if __name__ == '__main__':
    main()
