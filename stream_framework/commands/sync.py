"""``python -m stream_framework sync``: create what feed classes need on Cassandra.

The same as ``python -m stream_framework.storage.cassandra sync``, with the options of
:mod:`stream_framework.commands.application`.
"""

from __future__ import annotations

import argparse
from typing import Any

from stream_framework.commands import application
from stream_framework.storage.cassandra import __main__ as cassandra


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = cassandra.add_sync(commands)
    application.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Load the application, and sync."""
    application.load(options)
    return cassandra.sync(options)
