"""``python -m stream_framework erase``: remove everything about a user."""

from __future__ import annotations

import argparse
import json
from typing import Any

from stream_framework.commands import of_user, progress


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'erase',
        help='remove everything about a user',
        description='Remove everything that a user did from all feeds and the activity storage, his own feeds, '
        'follows, mutes and blocks. Other feeds are written by tasks: workers must run. If it was interrupted, run it '
        'again.',
    )
    of_user.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Erase, and print how many of what as JSON."""
    manager, user_id = of_user.find(options)
    show = progress.bar(manager.get_user_feed(user_id).count())
    print(json.dumps(manager.erase_user(user_id, **({} if show is None else {'progress': show}))))
    return 0
