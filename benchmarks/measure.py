"""Timing: contenders take turns, the median of all runs counts, what is printed are absolute numbers and ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

#: Numbers of one contender: ``'writes/s'`` -> a number, and so on.
Numbers = dict[str, float]


@dataclass(slots=True)
class Row:
    """One line of the table: what was done, by whom, and what came of it."""

    work: str
    contender: str
    value: float
    unit: str
    #: How the library compares with this contender, 1 for equal; ``None`` for the library itself.
    ratio: float | None = None


@dataclass(slots=True)
class Contender:
    """One way to do a piece of work. ``run`` is timed; ``prepare`` comes before each run and is not."""

    name: str
    run: Callable[[], Any]
    prepare: Callable[[], Any] | None = None


@dataclass(slots=True)
class Report:
    """What was measured, as it is printed."""

    runs: int
    #: Only works with one of these in their names; all, if there is none.
    only: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)

    def wants(self, work: str) -> bool:
        """Whether a piece of work is to be measured."""
        return not self.only or any(part in work for part in self.only)

    def rate(self, work: str, amount: int, *contenders: Contender, unit: str = 'writes/s') -> None:
        """Measure works of ``amount`` writes each; a ratio above 1 means that the library is faster."""
        seconds = self._alternate(work, contenders)
        self._add(work, {name: amount / statistics.median(found) for name, found in seconds.items()}, unit)

    def duration(self, work: str, *contenders: Contender) -> None:
        """Measure how long works take, in milliseconds; a ratio below 1 means that the library is faster."""
        seconds = self._alternate(work, contenders)
        self._add(work, {name: 1000 * statistics.median(found) for name, found in seconds.items()}, 'ms')

    def latencies(self, work: str, arguments: Iterable[Any], *contenders: tuple[str, Callable[[Any], Any]]) -> None:
        """Call each contender once for each argument, in turns; p50 and p99, each the median of all runs."""
        if not self.wants(work):
            return
        arguments = list(arguments)
        found: dict[str, list[list[float]]] = {name: [] for name, _ in contenders}
        for number in range(self.runs + 1):
            gc.collect()
            times: dict[str, list[float]] = {name: [] for name, _ in contenders}
            for turn, argument in enumerate(arguments):
                for name, call in _rotated(contenders, turn):
                    start = time.perf_counter()
                    call(argument)
                    times[name].append(time.perf_counter() - start)
            if number:
                for name, taken in times.items():
                    found[name].append(sorted(taken))
        for label, share in (('p50', 0.5), ('p99', 0.99)):
            values = {
                name: 1000 * statistics.median(taken[int(share * (len(taken) - 1))] for taken in runs)
                for name, runs in found.items()
            }
            self._add(f'{work}, {label}', values, 'ms')

    def value(self, work: str, value: float, unit: str) -> None:
        """Put down a number that was found in another way."""
        self.rows.append(Row(work, 'library', value, unit))

    def _alternate(self, work: str, contenders: tuple[Contender, ...]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        if not self.wants(work):
            return {}
        # One run more than asked for: the first, which loads scripts and fills caches, doesn't count.
        for number in range(self.runs + 1):
            for contender in _rotated(contenders, number):
                if contender.prepare is not None:
                    contender.prepare()
                gc.collect()
                start = time.perf_counter()
                contender.run()
                taken = time.perf_counter() - start
                if number:
                    found[contender.name].append(taken)
        return found

    def _add(self, work: str, values: dict[str, float], unit: str) -> None:
        # The first contender is the library.
        ours = next(iter(values.values()), 0.0)
        for number, (name, value) in enumerate(values.items()):
            self.rows.append(Row(work, name, value, unit, ours / value if number else None))

    def table(self) -> str:
        """The rows as text; each work is named once."""
        lines = [('work', 'contender', 'median', 'unit', 'library : contender')]
        last = None
        for row in self.rows:
            ratio = '' if row.ratio is None else f'{row.ratio:.2f}'
            lines.append((row.work if row.work != last else '', row.contender, _number(row.value), row.unit, ratio))
            last = row.work
        widths = [max(len(line[column]) for line in lines) for column in range(5)]
        aligned = [
            '  '.join(
                cell.rjust(width) if column in (2, 4) else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        aligned.insert(1, '  '.join('-' * width for width in widths))
        return '\n'.join(aligned)


def _rotated(items: Any, number: int) -> Any:
    start = number % len(items)
    return (*items[start:], *items[:start])


def _number(value: float) -> str:
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.3f}'
