"""``python -m stream_framework republish``: publish again what brokers and workers have lost, see
:mod:`stream_framework.ledger`.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

from stream_framework.commands import application
from stream_framework.exceptions import ConfigurationError


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'republish',
        help='publish again the tasks that have been open in the ledger of a manager for too long',
        description='Publish again the tasks that have been open in the ledger of a manager (keep_ledger = True) for '
        "too long. Celery's beat does the same by the task stream_framework.tasks.republish. The exit code is 0, or 1 "
        'if tasks were given up.',
    )
    parser.add_argument('managers', nargs='+', metavar='MANAGER', help='import path of a class: myapp.feeds:PinManager')
    parser.add_argument(
        '--app', '-A', required=True, metavar='APP', help="the Celery application, as for Celery's own -A: myapp.celery"
    )
    parser.add_argument(
        '--older-than',
        type=float,
        metavar='SECONDS',
        help='for how long a task must have been open since it was last published (default: 900)',
    )
    parser.add_argument('--given-up', action='store_true', help='those that were given up, instead of the others')
    parser.add_argument('--discard', action='store_true', help='delete them from the ledger instead')
    parser.add_argument('--dry-run', action='store_true', help='only tell')
    application.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Publish.

    :returns: 1 if there are tasks that were given up, else 0
    """
    from celery.app.utils import find_app

    from stream_framework import ledger, paths

    application.load(options)
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    try:
        app = find_app(options.app)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f'--app {options.app}: no Celery application can be imported: {error}') from error
    app.set_default()
    app.loader.import_default_modules()
    older_than = ledger.OLDER_THAN if options.older_than is None else options.older_than
    given_up = 0
    for path in options.managers:
        found = ledger.republish(
            paths.resolve_manager(path)(),
            older_than,
            given_up=options.given_up,
            discard=options.discard,
            dry_run=options.dry_run,
        )
        done = 'discarded' if options.discard else 'published again'
        print(f'{path}: {found.open} open, {found.published} {done}, {found.given_up} given up')
        given_up += found.given_up
    return 1 if given_up and not options.given_up else 0
