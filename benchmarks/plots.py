"""Draws what was measured: throughput and memory as they grow, and the ratios to the raw clients."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

#: What is drawn of the rows that belong to a series: file, title, label of the values, whether a row is in it.
_CURVES: tuple[tuple[str, str, str, Callable[[dict[str, Any]], bool]], ...] = (
    ('throughput.svg', 'Throughput', 'writes per second', lambda row: row['unit'].endswith('/s')),
    ('latency.svg', 'Time', 'milliseconds, median', lambda row: row['unit'] == 'ms'),
    ('memory.svg', 'Memory', 'bytes', lambda row: row['unit'] == 'bytes'),
)


def draw(found: dict[str, Any], folder: pathlib.Path) -> None:
    """Draw the plots that there is data for.

    :param found: what ``results.json`` holds
    """
    import matplotlib

    matplotlib.use('svg')
    # Text as text, and the same file for the same numbers.
    matplotlib.rcParams.update({'svg.fonttype': 'none', 'svg.hashsalt': 'benchmarks', 'font.size': 8})
    from matplotlib import pyplot

    for name, title, label, wanted in _CURVES:
        rows = [row for row in found['rows'] if 'axis' in row and wanted(row)]
        if rows:
            _save(_curves(pyplot, rows, title, label), folder / name)
    # Ratios of the library to itself, with another setting, are no matter of this plot.
    others = [row for row in found['rows'] if 'ratio' in row and not row['contender'].startswith(('library', 'with '))]
    if rows := [row for row in others if 'axis' not in row]:
        _save(_ratios(pyplot, rows), folder / 'ratios.svg')


def _curves(pyplot: Any, rows: list[dict[str, Any]], title: str, label: str) -> Any:
    """One panel for each axis, one line for each work and contender."""
    axes = list(dict.fromkeys(row['axis'] for row in rows))
    figure, panels = pyplot.subplots(1, len(axes), figsize=(4.5 * len(axes), 3.6), squeeze=False)
    for axis, panel in zip(axes, panels[0], strict=True):
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            if row['axis'] == axis:
                name = f'{row["part"].partition("-")[0].title()}: {row["work"]}, {row["contender"]}'
                lines.setdefault(name, []).append((row['at'], row['median']))
        for name, points in lines.items():
            # The library's lines are drawn through, those of others are not.
            style = '-' if name.endswith(', library') else '--'
            panel.plot(*zip(*sorted(points), strict=True), style, label=name, marker='o', markersize=3)
        panel.set(xscale='log', xlabel=axis, ylabel=label, title=f'{title} by {axis}')
        if label == 'bytes':
            panel.set(yscale='log')
        else:
            panel.set_ylim(bottom=0)
            panel.ticklabel_format(axis='y', style='plain')
        panel.grid(alpha=0.3)
        panel.legend(fontsize=6, loc='upper center', bbox_to_anchor=(0.5, -0.18))
    return figure


def _ratios(pyplot: Any, rows: list[dict[str, Any]]) -> Any:
    """A bar for each work and contender: above 1 the library is faster."""
    # Times are turned over, so that longer is always better.
    names = [f'{row["part"]}: {row["work"]} ({row["contender"]})' for row in rows]
    values = [row['ratio'] if row['unit'].endswith('/s') else 1 / row['ratio'] for row in rows]
    figure, panel = pyplot.subplots(figsize=(9, 0.5 + 0.18 * len(rows)))
    colours = ['tab:green' if value >= 1 else 'tab:blue' for value in values]
    panel.barh(names, values, color=colours)
    panel.axvline(1, color='black', linewidth=0.8)
    panel.invert_yaxis()
    panel.set(xscale='log', xlabel="speed of the library, in the raw client's", title='Ratios to the raw clients')
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if min(values) / 2 < tick < max(values) * 2]
    panel.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    panel.minorticks_off()
    panel.margins(y=0.01)
    panel.grid(axis='x', alpha=0.3)
    return figure


def _save(figure: Any, path: pathlib.Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, bbox_inches='tight', metadata={'Date': None})
    pyplot.close(figure)
