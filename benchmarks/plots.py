"""Draws what was measured: one figure for each backend, of the few works that matter most; all others are in tables.

A figure has the width of a page, and letters of the page's size: how fast the library is beside what is written by
hand, then what one unit of each work costs as things grow.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any

#: Part -> what is drawn of it: what the work is called in the figure, and a pattern of its name.
WORKS: dict[str, dict[str, str]] = {
    'redis': {
        'fan-out to empty feeds, chunks of 100': 'fan-out to .* flat feeds, empty, chunks of 100',
        'fan-out to empty feeds, chunks of 1,000': 'fan-out to .* flat feeds, empty, chunks of 1000',
        'fan-out to feeds of 100, chunks of 100': 'fan-out to .* flat feeds, holding 100, chunks of 100',
        'fan-out to aggregated feeds': 'fan-out to .* aggregated feeds .*, joins a group',
        'fan-out to aggregated feeds, no two alike': 'fan-out to .* aggregated feeds .*, no two alike',
        'fan-out to notification feeds': 'fan-out to .* notification feeds .*, joins a group',
        'adding to a notification feed': 'notification add',
        'feed[:25], with activities': r'feed\[:25\]',
        'feed[:25] of an aggregated feed': r'aggregated feed\[:25\], 20 groups of 3',
    },
    'cassandra': {
        'fan-out, chunks of 100': 'fan-out to .* flat feeds, chunks of 100',
        'fan-out, chunks of 1,000': 'fan-out to .* flat feeds, chunks of 1000',
        'fan-out to aggregated feeds': 'fan-out to .* aggregated feeds .*, guarded',
        'feed[:25]': r'feed\[:25\]',
        'following 20 users': 'following .*',
    },
}
#: Part -> what is drawn of a series: what it is called, and a pattern of its work and axis.
SERIES: dict[str, dict[str, str]] = {
    'redis-scale': {
        'fan-out: a follower': 'fan-out .*, followers',
        'fan-out: a feed of 100, by users': 'fan-out .*, users',
        'feed[:25], by activities': r'feed\[:25\], each other activities, activities',
        'feed[:25], by entries of a feed': r'feed\[:25\], entries of a feed',
        'feed.add(), by entries of a feed': r'feed\.add.*, entries of a feed',
        'an entry, by entries of a feed': 'memory of an entry .*',
        'a group of 3, by groups of a feed': 'memory of a group .*',
        'an activity, by activities': 'memory of an activity, .*',
    },
    'cassandra-scale': {
        'fan-out: a follower': 'fan-out .*, followers',
        'feed[:25], by entries of a feed': r'feed\[:25\], entries of a feed',
        'feed.add(), by entries of a feed': r'feed\.add.*, entries of a feed',
    },
}

# Inches: the width of a page, and the height of a line of text.
_WIDTH, _LINE = 7.0, 0.21


def draw(found: dict[str, Any], folder: pathlib.Path) -> None:
    """Draw the figures that there is data for.

    :param found: what ``results.json`` holds
    """
    import matplotlib

    matplotlib.use('svg')
    # Text as text, and the same file for the same numbers.
    matplotlib.rcParams.update({'svg.fonttype': 'none', 'svg.hashsalt': 'benchmarks', 'font.size': 9})
    from matplotlib import pyplot

    for backend in WORKS:
        bars = _bars(found['rows'], backend)
        times, bytes_ = _lines(found['rows'], f'{backend}-scale')
        panels = [panel for panel in (bars, times, bytes_) if panel]
        if not panels:
            continue
        heights = [_LINE * (len(bars) + 4)] * bool(bars) + [2.4] * bool(times) + [2.4] * bool(bytes_)
        figure = pyplot.figure(figsize=(_WIDTH, sum(heights)), layout='constrained')
        parts = figure.subfigures(len(panels), height_ratios=heights, squeeze=False)[:, 0]
        remaining = [part.subplots() for part in parts]
        if bars:
            _draw_bars(remaining.pop(0), bars)
        if times:
            _draw_lines(remaining.pop(0), times, 'microseconds')
        if bytes_:
            _draw_lines(remaining.pop(0), bytes_, 'bytes')
        figure.savefig(folder / f'{backend}.svg', metadata={'Date': None})
        pyplot.close(figure)


def _bars(rows: list[dict[str, Any]], part: str) -> list[tuple[str, float | None]]:
    """Lines of text: a work without a number, then contenders, with how fast the library is beside them.

    Of each work the fastest contender, and the slowest.
    """
    lines: list[tuple[str, float | None]] = []
    for title, pattern in WORKS[part].items():
        beside = sorted(
            # Times are turned over, so that more is always better.
            (row['ratio'] if row['unit'].endswith('/s') else 1 / row['ratio'], row['contender'])
            for row in rows
            if row['part'] == part
            and re.fullmatch(pattern, row['work'])
            and 'ratio' in row
            and not row['contender'].startswith('library')
        )
        if beside:
            lines.append((title, None))
            lines += [(name, ratio) for ratio, name in dict.fromkeys((beside[0], beside[-1]))]
    return lines


def _draw_bars(panel: Any, lines: list[tuple[str, float | None]]) -> None:
    values = [value for _, value in lines if value is not None]
    low, high = min(0.5, *values) / 1.3, max(2.0, *values) * 1.3
    for place, (text, value) in enumerate(lines):
        if value is None:
            panel.text(
                -0.01, place, text, transform=panel.get_yaxis_transform(), ha='right', va='center', weight='bold'
            )
            continue
        panel.barh(place, value - 1, left=1, height=0.7, color='tab:green' if value >= 1 else 'tab:blue')
        panel.text(-0.01, place, text, transform=panel.get_yaxis_transform(), ha='right', va='center')
        panel.text(1.01, place, f'{value:.2f}', transform=panel.get_yaxis_transform(), va='center')
    panel.axvline(1, color='black', linewidth=0.8)
    panel.set(xscale='log', xlim=(low, high), ylim=(len(lines) - 0.4, -0.6), yticks=[])
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if low < tick < high]
    panel.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    panel.minorticks_off()
    panel.grid(axis='x', alpha=0.3)
    panel.set_title('Speed of the library, with that of each contender as 1', fontsize=10)


_Lines = dict[str, list[tuple[float, float]]]


def _lines(rows: list[dict[str, Any]], part: str) -> tuple[_Lines, _Lines]:
    """What is called how -> its points, as microseconds of each unit; and as bytes."""
    times: _Lines = {}
    bytes_: _Lines = {}
    for title, pattern in SERIES.get(part, {}).items():
        for row in rows:
            named = f'{row["work"]}, {row.get("axis")}'
            if row['part'] != part or row['contender'] != 'library' or not re.fullmatch(pattern, named):
                continue
            value, unit = row['median'], row['unit']
            if unit == 'bytes':
                bytes_.setdefault(title, []).append((row['at'], value))
            else:
                each = 1e6 / value if unit.endswith('/s') else 1000 * value
                times.setdefault(title, []).append((row['at'], each))
    return times, bytes_


def _draw_lines(panel: Any, lines: _Lines, label: str) -> None:
    for title, points in lines.items():
        panel.plot(*zip(*sorted(points), strict=True), label=title, marker='o', markersize=3)
    panel.set(xscale='log', yscale='log', xlabel='how many there are', ylabel=f'{label}, each')
    # A line that rises by a half shall not look like one that explodes.
    low, high = panel.get_ylim()
    panel.set_ylim(low / 3, high * 3)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)
