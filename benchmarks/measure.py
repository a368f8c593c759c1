"""Timing: contenders take turns; what is kept are the median, p90 and p99 of the runs, and ratios of medians.

Beside them stands what one operation takes of processors: this process's (Python, the client) and the server's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(slots=True)
class Row:
    """One line of the table: what was done, by whom, and what came of it.

    Percentiles are of what a user waits for: the p90 of a rate is the rate of a run that was slower than nine in ten.
    With few runs both are the slowest run.
    """

    #: Which part of the benchmark: ``'redis'``.
    part: str
    work: str
    contender: str
    median: float
    p90: float
    p99: float
    unit: str
    #: How the library compares with this contender, 1 for equal; ``None`` for the library itself.
    ratio: float | None = None
    #: How many measurements there were.
    samples: int = 1
    #: Microseconds of this process's processor time for each write, page, or call; and of the server's.
    python_us: float | None = None
    server_us: float | None = None
    #: The library's ``server_us``, divided by this contender's.
    server_ratio: float | None = None
    #: Where the work is one of a series: what grows (``'followers'``), and how large it is in this row.
    axis: str | None = None
    at: int | None = None
    #: What 1.4.0 reached, where that is known; on another machine.
    reference: float | None = None


@dataclass(slots=True)
class Contender:
    """One way to do a piece of work. ``run`` is timed; ``prepare`` comes before each run and is not."""

    name: str
    run: Callable[[], Any]
    prepare: Callable[[], Any] | None = None


@dataclass(slots=True)
class Costs:
    """Seconds of processor time, added up over some operations."""

    operations: int = 0
    python: float | None = 0.0
    server: float | None = None

    def add(self, operations: int, python: float, server: float | None) -> None:
        """Add those of one turn; ``None`` where the server can't be asked."""
        self.operations += operations
        self.python = (self.python or 0.0) + python
        if server is not None:
            self.server = (self.server or 0.0) + server

    def each(self, seconds: float | None) -> float | None:
        """Microseconds for each operation, of so many seconds in all."""
        return None if seconds is None or not self.operations else 1e6 * seconds / self.operations


@dataclass(slots=True)
class Report:
    """What was measured, as it is printed and written."""

    runs: int
    #: Rates and durations are of more runs than that, up to 25, where they fit into so many seconds: on machines that
    #: others use, too, a median of five changes from one moment to the next.
    budget: float = 0.0
    #: Only works with one of these in their names; all, if there is none.
    only: tuple[str, ...] = ()
    #: The part of the benchmark that runs now.
    part: str = ''
    rows: list[Row] = field(default_factory=list)
    #: What was pinned, and what was left out, part by part.
    notes: list[str] = field(default_factory=list)
    #: Asks the server how many seconds of processor time it has taken; ``None`` where it can't be asked.
    server_seconds: Callable[[], float] | None = None

    def wants(self, *works: str) -> bool:
        """Whether any of some pieces of work is to be measured."""
        return not self.only or any(part in work for work in works for part in self.only)

    def rate(
        self,
        work: str,
        amount: int,
        *contenders: Contender,
        unit: str = 'writes/s',
        runs: int | None = None,
        elsewhere: bool = False,
        **more: Any,
    ) -> None:
        """Measure works of ``amount`` writes each; a ratio above 1 means that the library is faster.

        :param runs: other than for the rest: for works that take so long that they are not warmed up either
        :param elsewhere: the work is done by other processes: what this one takes says nothing
        """
        seconds, costs = self._alternate(work, contenders, runs, amount)
        if elsewhere:
            for each in costs.values():
                each.python = None
        # The slowest come first when sorted by time: the p90 of a rate is that of the p90 of the time.
        self._add(work, seconds, lambda taken: amount / taken, unit, more, costs)

    def rates(self, work: str, seconds: dict[str, list[float]], unit: str, **more: Any) -> None:
        """Put down rates that were measured in another way, as seconds for each write, the library's first."""
        self._add(work, seconds, lambda taken: 1 / taken, unit, more)

    def duration(self, work: str, *contenders: Contender, **more: Any) -> None:
        """Measure how long works take, in milliseconds; a ratio below 1 means that the library is faster."""
        seconds, costs = self._alternate(work, contenders)
        self._add(work, seconds, lambda taken: 1000 * taken, 'ms', more, costs)

    def durations(self, work: str, seconds: dict[str, list[float]], **more: Any) -> None:
        """Put down times that were measured in another way, the library's first."""
        self._add(work, seconds, lambda taken: 1000 * taken, 'ms', more)

    def latencies(
        self, work: str, arguments: Iterable[Any], *contenders: tuple[str, Callable[[Any], Any]], **more: Any
    ) -> None:
        """Call each contender once for each argument; percentiles of all calls, in milliseconds.

        Contenders take turns of fifty calls. Each is with other arguments meanwhile: nobody finds in a processor's
        cache what another has just read.
        """
        if not self.wants(work):
            return
        arguments = list(arguments)
        turns = [arguments[start : start + _CALLS] for start in range(0, len(arguments), _CALLS)]
        found: dict[str, list[float]] = {name: [] for name, _ in contenders}
        costs = {name: Costs() for name in found}
        for number in range(self.runs + 1):
            gc.collect()
            for turn in range(len(turns)):
                for place, (name, call) in enumerate(contenders):
                    part = turns[(turn + place * len(turns) // len(contenders)) % len(turns)]
                    taken = self._timed_calls(call, part, costs[name] if number else Costs())
                    if number:
                        found[name] += taken
        self._add(work, found, lambda taken: 1000 * taken, 'ms', more, costs)

    def _timed_calls(self, call: Callable[[Any], Any], arguments: Sequence[Any], costs: Costs) -> list[float]:
        found = []
        with self._measured(costs, len(arguments)):
            for argument in arguments:
                start = time.perf_counter()
                call(argument)
                found.append(time.perf_counter() - start)
        return found

    @contextlib.contextmanager
    def _measured(self, costs: Costs, operations: int) -> Iterator[None]:
        """Add what processors take for a while."""
        server = self.server_seconds
        server_before = server() if server else 0.0
        python_before = time.process_time()
        yield
        python = time.process_time() - python_before
        costs.add(operations, python, server() - server_before if server else None)

    def each(
        self, work: str, *contenders: tuple[str, Callable[[Any], Any], Sequence[Any]], unit: str, **more: Any
    ) -> None:
        """Call each contender with each of its values, in short turns; calls per second of processor time.

        For what takes microseconds and waits for nothing.
        """
        if not self.wants(work):
            return
        found: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
        turns = [
            [(name, call, values[start : start + _TURN]) for name, call, values in contenders]
            for start in range(0, len(contenders[0][2]), _TURN)
        ]
        gc.collect()
        gc.disable()
        try:
            for number in range(self.runs + 1):
                for turn, ways in enumerate(turns):
                    for name, call, values in _rotated(ways, turn):
                        start = time.thread_time()
                        for value in values:
                            call(value)
                        taken = time.thread_time() - start
                        if number:
                            found[name].append(taken / len(values))
        finally:
            gc.enable()
        self._add(work, found, lambda taken: 1 / taken, unit, more)

    def value(self, work: str, value: float, unit: str, **more: Any) -> None:
        """Put down a number that was found in another way."""
        self.rows.append(Row(self.part, work, 'library', value, value, value, unit, **more))

    def note(self, text: str) -> None:
        """Put down what a reader of the table has to know."""
        self.notes.append(text)
        print(text, flush=True)

    def _alternate(
        self, work: str, contenders: tuple[Contender, ...], runs: int | None = None, amount: int = 1
    ) -> tuple[dict[str, list[float]], dict[str, Costs]]:
        if not self.wants(work):
            return {}, {}
        found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        costs = {name: Costs() for name in found}
        # One run more than asked for: the first, which loads scripts and fills caches, doesn't count.
        number, last = (1, runs) if runs else (0, self.runs)
        while number <= last:
            began = time.perf_counter()
            for contender in _rotated(contenders, number):
                if contender.prepare is not None:
                    contender.prepare()
                gc.collect()
                with self._measured(costs[contender.name] if number else Costs(), amount):
                    start = time.perf_counter()
                    contender.run()
                    taken = time.perf_counter() - start
                if number:
                    found[contender.name].append(taken)
            if number == 0:
                last = max(last, min(_MOST_RUNS, int(self.budget / (time.perf_counter() - began))))
            number += 1
        return found, costs

    def _add(
        self,
        work: str,
        seconds: dict[str, list[float]],
        convert: Callable[[float], float],
        unit: str,
        more: dict[str, Any],
        costs: Mapping[str, Costs] = MappingProxyType({}),
    ) -> None:
        if not seconds:
            return
        # One who waits sees how far it is.
        print(f'{self.part}: {named(work, more.get("axis"), more.get("at"))}', file=sys.stderr, flush=True)
        library: Row | None = None
        for name, taken in seconds.items():
            values = [convert(value) for value in (statistics.median(taken), *percentiles(taken, 0.9, 0.99))]
            row = Row(self.part, work, name, *values, unit, samples=len(taken), **more)
            if name in costs:
                row.python_us = costs[name].each(costs[name].python)
                row.server_us = costs[name].each(costs[name].server)
            self.rows.append(row)
            # The first contender is the library; what 1.4.0 reached compares with it alone.
            if library is None:
                library = row
                continue
            row.reference = None
            row.ratio = library.median / row.median
            if library.server_us and row.server_us:
                row.server_ratio = library.server_us / row.server_us

    def table(self) -> str:
        """The rows as text; each work is named once."""
        lines = [('work', 'contender', *COLUMNS.values())]
        last = None
        for row in self.rows:
            work = named(row.work, row.axis, row.at)
            lines.append((work if work != last else '', row.contender, *cells(dataclasses.asdict(row))))
            last = work
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        aligned = [
            '  '.join(
                cell.ljust(width) if column in (0, 1, 2 + list(COLUMNS).index('unit')) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        aligned.insert(1, '  '.join('-' * width for width in widths))
        return '\n'.join(aligned)

    def as_json(self) -> dict[str, Any]:
        """The rows and the notes, to be written."""
        return {
            'runs': f'{self.runs} to {_MOST_RUNS}' if self.budget else self.runs,
            'notes': self.notes,
            'rows': [
                {
                    name: float(f'{value:.5g}') if isinstance(value, float) else value
                    for name, value in dataclasses.asdict(row).items()
                    if value is not None
                }
                for row in self.rows
            ],
        }


#: What a table says of each row, beside the work and the contender: name -> header.
COLUMNS = {
    'median': 'median',
    'p90': 'p90',
    'p99': 'p99',
    'unit': 'unit',
    'ratio': 'library : contender',
    'python_us': 'Python µs',
    'server_us': 'server µs',
    'server_ratio': 'server : server',
}

# How many calls of a contender are timed at once.
_TURN = 100
# How many calls of a contender come before those of the next, where each is timed.
_CALLS = 50
# Of how many runs a median is at most, unless more are asked for.
_MOST_RUNS = 25


def percentiles(values: Iterable[float], *shares: float) -> list[float]:
    """The nearest-rank percentiles of some values."""
    ordered = sorted(values)
    return [ordered[max(math.ceil(share * len(ordered)) - 1, 0)] for share in shares]


def cells(row: dict[str, Any]) -> list[str]:
    """The texts of a row in a table, one for each of ``COLUMNS``; empty for what was not measured."""
    texts = []
    for name in COLUMNS:
        value = row.get(name)
        if value is None or (name in ('p90', 'p99') and row['samples'] == 1):
            texts.append('')
        elif 'ratio' in name:
            texts.append(f'{value:.2f}')
        else:
            texts.append(value if isinstance(value, str) else number(value))
    return texts


def number(value: float) -> str:
    """A number with three or more digits that mean something."""
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.3f}'


def named(work: str, axis: str | None, at: int | None) -> str:
    """A work by its name and, in a series, by where it is in it."""
    return work if axis is None else f'{work}, {axis} = {at:,}'


def _rotated(items: Any, number: int) -> Any:
    start = number % len(items)
    return (*items[start:], *items[:start])
