"""Options that say where the application's settings are, for commands that need them."""

from __future__ import annotations

import argparse
import importlib
import os
import traceback

from stream_framework.exceptions import ConfigurationError

#: What ``--help`` says below the options.
EPILOG = (
    'Settings come from a module given by --import, which calls settings.configure(...); from Django '
    '(--django, or DJANGO_SETTINGS_MODULE in the environment); or from the environment: STREAM_REDIS_URL, '
    'STREAM_CASSANDRA_HOSTS, STREAM_DEFAULT_KEYSPACE, STREAM_CASSANDRA_CONSISTENCY_LEVEL. Modules are looked for '
    'in the current folder, too.'
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--django`` and ``--import``."""
    parser.epilog = EPILOG
    group = parser.add_argument_group('the settings of the application')
    group.add_argument(
        '--django',
        metavar='SETTINGS',
        help='import path of the settings module of a Django project (default: DJANGO_SETTINGS_MODULE)',
    )
    group.add_argument(
        '--import',
        dest='imports',
        metavar='MODULE',
        action='append',
        default=[],
        help='import path of a module that calls settings.configure(...), or registers verbs; may be repeated',
    )


def load(options: argparse.Namespace) -> None:
    """Do what the options say, before any setting is read.

    :raises ConfigurationError: for a module that can't be imported, or a Django project that doesn't start
    """
    if options.django:
        os.environ['DJANGO_SETTINGS_MODULE'] = options.django
    if os.environ.get('DJANGO_SETTINGS_MODULE'):
        _set_up_django(os.environ['DJANGO_SETTINGS_MODULE'])
    for name in options.imports:
        import_module(name)


def import_module(name: str) -> object:
    """A module of the application.

    :raises ConfigurationError: if it can't be imported, whatever it raises
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        # Whatever an application's module may raise; the last line of it is its own, not the import system's.
        raise ConfigurationError(f'{name} can not be imported: {_told(error)}') from error


def _set_up_django(name: str) -> None:
    try:
        import django
    except ImportError as error:
        raise ConfigurationError(
            f'Django, which {name} is for, is not installed for this Python: run the command by the Python of the '
            'project'
        ) from error
    try:
        django.setup()
    except Exception as error:
        raise ConfigurationError(f'the Django project of {name} does not start: {_told(error)}') from error


def _told(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = '' if last.filename.startswith('<frozen') or not last.lineno else f' ({last.filename}, line {last.lineno})'
    return f'{type(error).__name__}: {error}{where}'
