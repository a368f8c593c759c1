"""Writes what was measured as tables, which the documentation includes: no number there is typed by hand."""

from __future__ import annotations

import csv
import pathlib
from typing import Any

from benchmarks.measure import COLUMNS, cells, named

#: Name -> header of the columns. Those that no row of a table has are left out; p90 is in ``results.json`` alone.
_HEADERS = {
    'median': 'Median',
    'p99': 'p99',
    'unit': 'Unit',
    'ratio': 'Library : contender',
    'python_us': 'Python µs',
    'server_us': 'Server µs',
    'server_ratio': 'Library : contender, server µs',
    'reference': '1.4.0',
}


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
        rows = [row for row in found['rows'] if row['part'] == part]
        columns = [name for name in _HEADERS if any(name in row for row in rows)]
        lines, last = [], None
        for row in rows:
            work = named(row['work'], row.get('axis'), row.get('at'))
            texts = dict(zip(COLUMNS, cells(row), strict=True))
            texts['reference'] = f'{row["reference"]:,.0f}' if 'reference' in row else ''
            lines.append((work if work != last else '', row['contender'], *(texts[name] for name in columns)))
            last = work
        _write(folder / f'{part}.csv', ('Work', 'Contender', *(_HEADERS[name] for name in columns)), lines)


def _write(path: pathlib.Path, header: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    with path.open('w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows([header, *lines])
