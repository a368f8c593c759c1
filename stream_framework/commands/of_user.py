"""Options and look-ups that the commands about one user share."""

from __future__ import annotations

import argparse
import uuid
from typing import Any

from stream_framework.commands import application
from stream_framework.exceptions import ConfigurationError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``MANAGER``, ``USER_ID`` and what finds them."""
    parser.add_argument('manager', metavar='MANAGER', help='import path of a class: myapp.feeds:PinManager')
    parser.add_argument('user_id', metavar='USER_ID', help='whose')
    parser.add_argument(
        '--id-type',
        choices=('int', 'str', 'uuid'),
        help='what USER_ID is (default: an int if it is written as one, else a str)',
    )
    parser.add_argument(
        '--app', '-A', metavar='APP', help="the Celery application, as for Celery's own -A: myapp.celery"
    )
    application.add_options(parser)


def find(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return the manager, and the user's id.

    :raises ConfigurationError: for what can't be imported, and for an id that is none
    """
    from celery.app.utils import find_app

    from stream_framework import paths

    application.load(options)
    if options.app:
        try:
            app = find_app(options.app)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f'--app {options.app}: no Celery application can be imported: {error}') from error
        app.set_default()
        app.loader.import_default_modules()
    return paths.resolve_manager(options.manager)(), user_id_of(options.user_id, options.id_type)


def user_id_of(text: str, id_type: str | None = None) -> Any:
    """Read an id.

    >>> user_id_of('17'), user_id_of('17', 'str'), user_id_of('anna')
    (17, '17', 'anna')
    """
    if id_type == 'str' or (id_type is None and not text.removeprefix('-').isdecimal()):
        return text
    try:
        return uuid.UUID(text) if id_type == 'uuid' else int(text)
    except ValueError as error:
        raise ConfigurationError(f'{text!r} is no {id_type or "int"}: see --id-type') from error
