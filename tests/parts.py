"""Run the whole suite as a few pytest processes side by side, as many as there are cores: ``python -m tests.parts``.

Each test is in one part, and each part starts servers of its own. What a part prints is shown as it comes; what it says
of failures, and its closing line, in one piece when it ends. The last line counts the tests of all parts together.
"""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

#: Part -> what is in the names of its tests; a test is in the first that fits. They begin in this order: the longest,
#: then those that wait for programs that they have started.
PARTS: dict[str, tuple[str, ...]] = {
    'cassandra': ('cassandra',),
    'programs': (
        'tests/browser/',
        'tests/test_benchmarks',
        'tests/test_crashes',
        'tests/test_docs',
        'tests/test_example',
        'tests/test_packaging',
        'tests/test_pinboard',
        'tests/test_tasks_worker',
        'tests/test_workers',
    ),
    'rest': ('',),
}

_CLOSING = re.compile(r'=+ (.*\bin [\d.]+s\b.*?) =+')
_SECTION = re.compile(r'=+ (FAILURES|ERRORS|warnings summary|short test summary info|.* in [\d.]+s.*) =+')
# What is deselected in one part is in another.
_COUNTED = ('failed', 'passed', 'skipped', 'xfailed', 'xpassed', 'warnings', 'errors')


def part_of(name: str) -> str:
    """Return the part that a test is in.

    :param name: its node id

    >>> part_of('tests/test_contracts.py::TestFlatFeed::test_add[cassandra]'), part_of('tests/test_ids.py::test_int')
    ('cassandra', 'rest')
    """
    return next(part for part, words in PARTS.items() if any(word in name for word in words))


class Part:
    """One pytest process.

    :param command: it, with arguments
    :param lock: of those that print
    """

    def __init__(self, name: str, command: Sequence[str], lock: threading.Lock) -> None:
        self.name = name
        self.command = command
        self.lock = lock
        #: Its closing line, without the rules; empty if there was none.
        self.closing = ''
        self.code: int | None = None

    def run(self) -> None:
        """Run it to its end, and print what it prints."""
        held: list[str] = []
        process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            env={**os.environ, 'PYTHONUNBUFFERED': '1'},
        )
        assert process.stdout is not None
        for line in process.stdout:
            if closing := _CLOSING.match(line):
                self.closing = closing[1]
            if held or _SECTION.match(line):
                held.append(line)
            else:
                self.show(f'{self.name}: {line}')
        self.code = process.wait()
        self.show(''.join([f'\n{self.name} has ended:\n', *held, '\n']))

    def show(self, text: str) -> None:
        """Print text in one piece."""
        with self.lock:
            sys.stdout.write(text)
            sys.stdout.flush()


def run(commands: dict[str, Sequence[str]], at_once: int) -> int:
    """Run pytest processes, and print how they ended.

    :param commands: part -> command
    :returns: 0 if all ended well, else the exit code of the first that did not
    """
    lock, began = threading.Lock(), time.monotonic()
    parts = [Part(name, command, lock) for name, command in commands.items()]
    with ThreadPoolExecutor(at_once) as threads:
        for done in [threads.submit(part.run) for part in parts]:
            done.result()
    for part in parts:
        print(f'{part.name}: {part.closing or "ended without a closing line"} (exit code {part.code})')
    print(f' {added(part.closing for part in parts)} in {time.monotonic() - began:.2f}s '.center(80, '='))
    # A part that says nothing has not run its tests, whatever it ends with.
    return next((part.code or 1 for part in parts if part.code or not part.closing), 0)


def added(closings: Iterable[str]) -> str:
    """Return the sum of some closing lines of pytest.

    >>> added(['1 failed, 2 passed in 3.21s', '5 passed, 9 deselected, 1 error in 100.00s (0:01:40)'])
    '1 failed, 7 passed, 1 errors'
    """
    counts: collections.Counter[str] = collections.Counter()
    for closing in closings:
        for number, what in re.findall(r'(\d+) ([a-z]+)', closing.rpartition(' in ')[0]):
            counts[what + 's' if what in ('warning', 'error') else what] += int(number)
    return ', '.join(f'{counts[what]} {what}' for what in _COUNTED if counts[what]) or 'no tests ran'


def main() -> int:
    """Run all parts."""
    commands = {name: [sys.executable, '-m', 'pytest', '--part', name, *sys.argv[1:]] for name in PARTS}
    return run(commands, os.cpu_count() or 1)


if __name__ == '__main__':
    sys.exit(main())
