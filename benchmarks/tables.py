"""Writes what was measured as tables, which the documentation includes: no number there is typed by hand."""

from __future__ import annotations

import csv
import pathlib
from typing import Any

from benchmarks.measure import named, number


def write(found: dict[str, Any], folder: pathlib.Path) -> None:
    """Write one table for each part, and one that describes the machine.

    :param found: what ``results.json`` holds
    """
    described = found['machine']
    versions = [
        *described['servers'].values(),
        *(f'{name} {version}' for name, version in described['clients'].items()),
    ]
    about = [
        ('Processor', f'{described["cpu"]}, {described["cores"]} cores, {described["memory_gb"]} GB of memory'),
        ('Python', f'{described["python"]} on {described["system"]}'),
        ('Servers and clients', ', '.join(versions)),
        ('Runs', f'{found["runs"]} of each work, at {found["scale"]:g} of its full size, {found["seconds"]} s in all'),
        *(('Note', note) for note in found['notes']),
    ]
    _write(folder / 'machine.csv', ('', ''), about)
    for part in dict.fromkeys(row['part'] for row in found['rows']):
        lines, last = [], None
        for row in found['rows']:
            if row['part'] == part:
                work = named(row['work'], row.get('axis'), row.get('at'))
                lines.append((work if work != last else '', *_cells(row)))
                last = work
        header = ('Work', 'By', 'Median', 'p90', 'p99', 'Unit', 'Ratio')
        if part == 'models':
            header = (*header, '1.4.0')
        _write(folder / f'{part}.csv', header, [line[: len(header)] for line in lines])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    spread = (number(row['p90']), number(row['p99'])) if row['samples'] > 1 else ('', '')
    ratio = f'{row["ratio"]:.2f}' if 'ratio' in row else ''
    reference = f'{row["reference"]:,.0f}' if 'reference' in row else ''
    return (row['contender'], number(row['median']), *spread, row['unit'], ratio, reference)


def _write(path: pathlib.Path, header: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    with path.open('w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows([header, *lines])
