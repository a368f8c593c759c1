"""The command line, ``python -m stream_framework COMMAND``.

Each command is a module of this package with one function, ``add_to(commands)``, which adds its parser and names the
function that runs it::

    def add_to(commands):
        parser = commands.add_parser('version', help='...', description='...')
        parser.set_defaults(run=run)


    def run(options):
        print('...')
        return 0

What it returns is the exit code: 0, or 1 for what was found to be wrong. Errors of the library are printed, and give 1.
A command that needs the application's settings takes the options of :mod:`stream_framework.commands.application`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from stream_framework import __version__
from stream_framework.commands import check, erase, export, import_follows, republish, sync, version
from stream_framework.exceptions import StreamFrameworkError

#: The modules of the commands, in the order in which ``--help`` lists them.
COMMANDS = (version, check, sync, republish, erase, export, import_follows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: by default those of the process
    :returns: the exit code
    :raises SystemExit: 2, for arguments that can't be understood; 0, after ``--help``
    """
    options = make_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except StreamFrameworkError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog='python -m stream_framework',
        description='Look after the feeds of an application: check its settings and servers, create its tables.',
        epilog='"python -m stream_framework COMMAND --help" tells more about a command.',
    )
    parser.add_argument('--version', action='version', version=f'stream_framework {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', dest='command', required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser
