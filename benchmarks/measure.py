"""Timing: contenders take turns; what is kept are the median, p90 and p99 of the runs, and ratios of medians."""

from __future__ import annotations

import dataclasses
import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
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
        **more: Any,
    ) -> None:
        """Measure works of ``amount`` writes each; a ratio above 1 means that the library is faster.

        :param runs: other than for the rest: for works that take so long that they are not warmed up either
        """
        seconds = self._alternate(work, contenders, runs)
        # The slowest come first when sorted by time: the p90 of a rate is that of the p90 of the time.
        self._add(work, seconds, lambda taken: amount / taken, unit, more)

    def duration(self, work: str, *contenders: Contender, **more: Any) -> None:
        """Measure how long works take, in milliseconds; a ratio below 1 means that the library is faster."""
        self._add(work, self._alternate(work, contenders), lambda taken: 1000 * taken, 'ms', more)

    def durations(self, work: str, seconds: dict[str, list[float]], **more: Any) -> None:
        """Put down times that were measured in another way, the library's first."""
        self._add(work, seconds, lambda taken: 1000 * taken, 'ms', more)

    def latencies(
        self, work: str, arguments: Iterable[Any], *contenders: tuple[str, Callable[[Any], Any]], **more: Any
    ) -> None:
        """Call each contender once for each argument, in turns; percentiles of all calls, in milliseconds."""
        if not self.wants(work):
            return
        arguments = list(arguments)
        found: dict[str, list[float]] = {name: [] for name, _ in contenders}
        for number in range(self.runs + 1):
            gc.collect()
            for turn, argument in enumerate(arguments):
                for name, call in _rotated(contenders, turn):
                    start = time.perf_counter()
                    call(argument)
                    taken = time.perf_counter() - start
                    if number:
                        found[name].append(taken)
        self._add(work, found, lambda taken: 1000 * taken, 'ms', more)

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
        self, work: str, contenders: tuple[Contender, ...], runs: int | None = None
    ) -> dict[str, list[float]]:
        if not self.wants(work):
            return {}
        found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        # One run more than asked for: the first, which loads scripts and fills caches, doesn't count.
        number, last = (1, runs) if runs else (0, self.runs)
        while number <= last:
            began = time.perf_counter()
            for contender in _rotated(contenders, number):
                if contender.prepare is not None:
                    contender.prepare()
                gc.collect()
                start = time.perf_counter()
                contender.run()
                taken = time.perf_counter() - start
                if number:
                    found[contender.name].append(taken)
            if number == 0:
                last = max(last, min(_MOST_RUNS, int(self.budget / (time.perf_counter() - began))))
            number += 1
        return found

    def _add(
        self,
        work: str,
        seconds: dict[str, list[float]],
        convert: Callable[[float], float],
        unit: str,
        more: dict[str, Any],
    ) -> None:
        if not seconds:
            return
        # One who waits sees how far it is.
        print(f'{self.part}: {named(work, more.get("axis"), more.get("at"))}', file=sys.stderr, flush=True)
        ours = None
        for name, taken in seconds.items():
            values = [convert(value) for value in (statistics.median(taken), *percentiles(taken, 0.9, 0.99))]
            # The first contender is the library; what 1.4.0 reached compares with it alone.
            ratio = None if ours is None else ours / values[0]
            about = more if ours is None else {key: value for key, value in more.items() if key != 'reference'}
            self.rows.append(Row(self.part, work, name, *values, unit, ratio, len(taken), **about))
            if ours is None:
                ours = values[0]

    def table(self) -> str:
        """The rows as text; each work is named once."""
        lines = [('work', 'contender', 'median', 'p90', 'p99', 'unit', 'library : contender')]
        last = None
        for row in self.rows:
            work = named(row.work, row.axis, row.at)
            ratio = '' if row.ratio is None else f'{row.ratio:.2f}'
            numbers = [number(row.median)]
            numbers += ['', ''] if row.samples == 1 else [number(row.p90), number(row.p99)]
            lines.append((work if work != last else '', row.contender, *numbers, row.unit, ratio))
            last = work
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        aligned = [
            '  '.join(
                cell.ljust(width) if column in (0, 1, 5) else cell.rjust(width)
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


# How many calls of a contender are timed at once.
_TURN = 100
# Of how many runs a median is at most, unless more are asked for.
_MOST_RUNS = 25


def percentiles(values: Iterable[float], *shares: float) -> list[float]:
    """The nearest-rank percentiles of some values."""
    ordered = sorted(values)
    return [ordered[max(math.ceil(share * len(ordered)) - 1, 0)] for share in shares]


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
