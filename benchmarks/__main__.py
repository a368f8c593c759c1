"""``python -m benchmarks redis``: measure, and print a table."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import platform
from collections.abc import Sequence

from benchmarks import servers
from benchmarks.measure import Report


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description=__doc__)
    parser.add_argument('backend', nargs='?', default='redis', choices=tuple(_MEASURES), help='default: redis')
    parser.add_argument('--address', help='host:port of a server that runs already; default: one is started')
    parser.add_argument('--runs', type=int, default=5, help='how many runs each median is of (default 5)')
    parser.add_argument('--scale', type=float, default=1.0, help='1 is the full size of each work (default)')
    parser.add_argument('--only', nargs='*', default=(), metavar='TEXT', help='only works that have this in their name')
    parser.add_argument('--no-pin', action='store_true', help='leave the processes to all cores')
    options = parser.parse_args(arguments)
    report = Report(options.runs, tuple(options.only))
    pinned = _MEASURES[options.backend](report, options)
    versions = [f'{name} {_version(name)}' for name in _CLIENTS[options.backend]]
    print(f'Python {platform.python_version()}, {", ".join(versions)}; {pinned}; medians of {options.runs} runs')
    print(report.table())
    return report


def _redis(report: Report, options: argparse.Namespace) -> str:
    from benchmarks.redis import RedisBenchmark

    with contextlib.ExitStack() as stack:
        server = None
        if options.address is None:
            port, server = stack.enter_context(servers.redis_server())
            host = '127.0.0.1'
        else:
            host, _, text = options.address.rpartition(':')
            port = int(text)
        pinned = servers.pin(None if options.no_pin else server)
        RedisBenchmark(report, host, port, options.scale).run()
        return pinned


def _cassandra(report: Report, options: argparse.Namespace) -> str:
    from benchmarks.cassandra import CassandraBenchmark

    if options.address is None:
        from tests.servers import cassandra

        # One node, found or started as for the tests.
        configuration = cassandra()
    else:
        host, _, port = options.address.rpartition(':')
        configuration = {'STREAM_CASSANDRA_HOSTS': [host], 'CASSANDRA_DRIVER_KWARGS': {'port': int(port)}}
    CassandraBenchmark(report, configuration, options.scale).run()
    return 'nothing is pinned'


def _codec(report: Report, options: argparse.Namespace) -> str:
    from benchmarks.codec import CodecBenchmark

    CodecBenchmark(report, options.scale).run()
    return 'nothing is pinned'


_MEASURES = {'redis': _redis, 'cassandra': _cassandra, 'codec': _codec}
_CLIENTS = {'redis': ('redis', 'hiredis'), 'cassandra': ('cassandra-driver',), 'codec': ('kombu',)}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return '(not installed)'


if __name__ == '__main__':
    main()
