"""``python -m stream_framework import-follows``: store the follows of an existing table."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from stream_framework import paths
from stream_framework.commands import application, progress
from stream_framework.commands.follow_lines import FollowLines
from stream_framework.exceptions import ConfigurationError, StorageError

#: The file that stands for the standard input.
STANDARD_INPUT = '-'


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'import-follows',
        help='store the follows of an existing table',
        description='Store follows in the follow storage of a manager. The file is CSV, with the columns user_id, '
        'target_id and since in this order, or by the names in its first line; or JSON on each line, '
        '{"user_id": 7, "target_id": 13, "since": "2024-05-01T12:00:00Z"}. Without since a follow begins now. What is '
        'stored already stays as it is, so run it again if it was interrupted. Feeds are not filled: follow_many_users '
        'does that, for follows that are there as well.',
    )
    parser.add_argument('manager', metavar='MANAGER', help='import path of a class: myapp.feeds:PinManager')
    parser.add_argument('file', metavar='FILE', help=f'the file; {STANDARD_INPUT} for the standard input')
    parser.add_argument(
        '--id-type',
        choices=('int', 'str', 'uuid'),
        help='what all ids are (default: in CSV an int if it is written as one, else a str; in JSON what it is there)',
    )
    parser.add_argument(
        '--start-line', metavar='NUMBER', type=int, default=1, help='leave out the lines before this one'
    )
    parser.add_argument('--skip-errors', action='store_true', help='print what is wrong in a line, and go on')
    application.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Import, and print how many of what as JSON.

    :returns: 1 if lines were left out, else 0
    :raises InvalidArgumentError: for a line that is no follow
    """
    application.load(options)
    manager = paths.resolve_manager(options.manager)()
    storage = manager.get_follow_storage()
    if storage is None:
        raise ConfigurationError(f'{options.manager} has no follow_storage_class to store follows in')
    wrong = 0

    def print_wrong(error: Exception) -> None:
        nonlocal wrong
        wrong += 1
        print(f'error: {error}', file=sys.stderr)

    with opened(options.file) as (file, total):
        lines = FollowLines(file, options.id_type, options.start_line, print_wrong if options.skip_errors else None)
        stored = 0
        show = progress.bar(total)

        def note(_: int) -> None:
            nonlocal stored
            stored = lines.line
            if show is not None:
                show(stored)

        try:
            done = storage.import_follows(lines, progress=note)
        except (StorageError, KeyboardInterrupt) as error:
            reason = 'interrupted' if isinstance(error, KeyboardInterrupt) else str(error)
            raise StorageError(f'{reason}; go on with --start-line {stored + 1}') from error
    if lines.error is not None:
        raise type(lines.error)(f'{lines.error}; mend it, and go on with --start-line {lines.line}')
    print(json.dumps({'follows': done, 'wrong': wrong, 'ids': dict(lines.types)}))
    return int(wrong > 0)


@contextlib.contextmanager
def opened(name: str) -> Iterator[tuple[TextIO, int | None]]:
    """Open a file; gives it, and how many lines it has, if a bar is to be shown and they can be counted.

    :raises ConfigurationError: for a file that can't be opened
    """
    if name == STANDARD_INPUT:
        yield sys.stdin, None
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(name, encoding='utf-8', newline=''))
        except OSError as error:
            raise ConfigurationError(f'{name} can not be read: {error.strerror}') from error
        yield file, count_lines(name) if file.seekable() and sys.stderr.isatty() else None


def count_lines(name: str) -> int:
    """Return how many lines a file has."""
    lines, last = 0, b''
    with open(name, 'rb') as file:
        while part := file.read(2**20):
            lines, last = lines + part.count(b'\n'), part[-1:]
    return lines + (last not in (b'', b'\n'))
