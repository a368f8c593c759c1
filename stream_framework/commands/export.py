"""``python -m stream_framework export``: print what a user did."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from stream_framework.commands import of_user, progress


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'export',
        help='print what a user did, as Activity Streams 2.0',
        description='Print what a user did, newest first: an Activity Streams 2.0 object of JSON on each line.',
    )
    of_user.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export to the standard output."""
    manager, user_id = of_user.find(options)
    total = 0 if sys.stdout.isatty() else manager.get_user_feed(user_id).count()
    show = progress.bar(total) if total else None
    for done, activity in enumerate(manager.export_user(user_id), 1):
        print(json.dumps(activity))
        if show is not None and (done % 100 == 0 or done == total):
            show(done)
    return 0
