"""``python -m stream_framework version``: which versions of everything are installed."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import Any

from stream_framework import __version__

#: Distributions that matter -> what to say where one is missing.
PACKAGES = {
    'celery': '',
    'kombu': '',
    'redis': 'pip install stream-framework[redis]',
    'hiredis': 'a faster parser for redis-py: pip install stream-framework[redis]',
    'cassandra-driver': 'pip install stream-framework[cassandra]',
    'Django': 'only Django projects need it',
    'statsd': 'only for metrics: pip install stream-framework[statsd]',
    'python-statsd': 'only for metrics, instead of statsd: pip install stream-framework[python-statsd]',
}


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'version',
        help='print the versions of the library, of Python and of the clients',
        description='Print the versions of the library, of Python and of the clients: what a bug report needs.',
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print them, one a line."""
    lines = {'stream_framework': __version__, 'Python': f'{platform.python_version()} on {platform.platform()}'}
    for name, hint in PACKAGES.items():
        lines[name] = installed(name) or f'not installed ({hint})'
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f'{name:<{width}}  {value}')
    return 0


def installed(name: str) -> str | None:
    """The version of a distribution, or ``None``."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
