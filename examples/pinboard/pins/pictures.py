"""Pictures for pins: small SVGs, drawn from a number, so that the example needs no files and no network.

Every board has a motif; chance, always the same for a number, gives colours and shapes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from pins.models import BOARDS

WIDTH, HEIGHT = 400, 500


def draw(board: str, number: int) -> str:
    """The picture of pin ``number`` on a board.

    :returns: an SVG, 2 to 6 kB

    >>> draw('sea', 1) == draw('sea', 1) != draw('sea', 2)
    True
    """
    chance = random.Random(f'{board} {number}')
    back, front = (hue + chance.randint(-18, 18) for hue in BOARDS[board])
    dusk = chance.random() < 0.3
    sky = [_hsl(back, 55, 24 if dusk else 88), _hsl(back - 15, 55, 42) if dusk else _hsl(back + 25, 60, 74)]
    shapes = _MOTIFS[board](chance, back, front, dusk)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        '<defs><linearGradient id="s" x1="0" y1="0" x2=".3" y2="1">'
        f'<stop offset="0" stop-color="{sky[0]}"/><stop offset="1" stop-color="{sky[1]}"/></linearGradient></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#s)"/>{"".join(shapes)}</svg>'
    )


def _hsl(hue: float, saturation: float, lightness: float) -> str:
    return f'hsl({hue % 360:.0f} {saturation:.0f}% {lightness:.0f}%)'


def _circle(x: float, y: float, radius: float, fill: str, opacity: float = 1) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.0f}" fill="{fill}" opacity="{opacity:.2f}"/>'


def _path(d: str, fill: str, opacity: float = 1) -> str:
    return f'<path d="{d}" fill="{fill}" opacity="{opacity:.2f}"/>'


def _line(d: str, stroke: str, width: float, opacity: float = 1) -> str:
    return (
        f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{width:.1f}" stroke-linecap="round" '
        f'opacity="{opacity:.2f}"/>'
    )


def _sun(chance: random.Random, dusk: bool) -> list[str]:
    x, y, radius = chance.randint(90, 310), chance.randint(80, 190), chance.randint(26, 52)
    fill = '#fdf3d7' if dusk else _hsl(chance.randint(20, 48), 95, 72)
    return [_circle(x, y, radius * 1.7, fill, 0.18), _circle(x, y, radius, fill, 0.95)]


def _ridge(chance: random.Random, base: float, height: float, steps: int, smooth: bool) -> str:
    points = [
        (WIDTH * step / steps, base - chance.random() * height * (1 if step % 2 else 0.35)) for step in range(steps + 1)
    ]
    d = f'M0 {HEIGHT} L{points[0][0]:.0f} {points[0][1]:.0f}'
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        middle = (x0 + x1) / 2
        d += f' C{middle:.0f} {y0:.0f} {middle:.0f} {y1:.0f} {x1:.0f} {y1:.0f}' if smooth else f' L{x1:.0f} {y1:.0f}'
    return f'{d} L{WIDTH} {HEIGHT} Z'


def _mountains(chance: random.Random, back: int, front: int, dusk: bool) -> list[str]:
    shapes = _sun(chance, dusk)
    for layer in range(4):
        lightness = (40 if dusk else 70) - layer * (8 if dusk else 13)
        d = _ridge(chance, 270 + layer * 62, 150 - layer * 22, 5 + layer, smooth=False)
        shapes.append(_path(d, _hsl(back + layer * (front - back) / 3, 38, lightness)))
    return shapes


def _sea(chance: random.Random, back: int, front: int, dusk: bool) -> list[str]:
    shapes = _sun(chance, dusk)
    for layer in range(6):
        base = 255 + layer * 42
        swell = chance.uniform(8, 20)
        phase = chance.random() * math.tau
        d = f'M0 {HEIGHT} L0 {base}'
        for x in range(0, WIDTH + 1, 20):
            d += f' L{x} {base + swell * math.sin(x / 62 + phase):.0f}'
        shapes.append(
            _path(f'{d} L{WIDTH} {HEIGHT} Z', _hsl(front - layer * 4, 55, (46 if dusk else 66) - layer * 6), 0.9)
        )
    if chance.random() < 0.7:
        x, y = chance.randint(90, 290), chance.randint(262, 330)
        shapes.append(_path(f'M{x - 34} {y} H{x + 34} L{x + 20} {y + 20} H{x - 20} Z', '#fff8ec'))
        shapes.append(
            _path(f'M{x + 2} {y - 6} V{y - 74} L{x + 36} {y - 8} Z', _hsl(chance.choice((8, 38, 350)), 75, 62))
        )
        shapes.append(_path(f'M{x - 3} {y - 6} V{y - 58} L{x - 26} {y - 8} Z', '#fff8ec', 0.9))
    return shapes


def _tea(chance: random.Random, back: int, front: int, dusk: bool) -> list[str]:
    glaze = chance.choice((front, 170, 205, 345, 45))
    dark, light = _hsl(glaze, 38, 42), _hsl(glaze, 42, 62)
    x, y, width, height = 200, 285, chance.randint(66, 92), chance.randint(96, 130)
    shapes = [
        _circle(200, 215, 165, '#fff', 0.22),
        f'<ellipse cx="200" cy="{y + height + 8}" rx="140" ry="20" fill="#0002"/>',
    ]
    for offset in (-26, 4, 32):
        rise = chance.randint(80, 130)
        bend = chance.choice((-24, 24))
        d = f'M{x + offset} {y - 26} c{bend} -{rise / 3:.0f} -{bend} -{rise * 2 / 3:.0f} 0 -{rise}'
        shapes.append(_line(d, '#fff', 6, 0.55))
    body = f'M{x - width} {y} C{x - width} {y + height} {x - 42} {y + height} {x - 34} {y + height} H{x + 34}'
    body += f' C{x + 42} {y + height} {x + width} {y + height} {x + width} {y} Z'
    shapes.append(_line(f'M{x + width - 6} {y + 22} c58 -16 58 62 -14 54', dark, 13))
    shapes.append(_path(body, dark))
    shine = f'M{x - width} {y} C{x - width} {y + height} {x - 42} {y + height} {x - 34} {y + height} H{x - 8}'
    shapes.append(_path(f'{shine} C{x - 30} {y + 60} {x - 30} {y + 30} {x - 26} {y} Z', light))
    shapes.append(f'<ellipse cx="{x}" cy="{y}" rx="{width}" ry="15" fill="{light}"/>')
    shapes.append(
        f'<ellipse cx="{x}" cy="{y + 2}" rx="{width - 9}" ry="10" fill="{_hsl(chance.choice((28, 18, 70)), 60, 34)}"/>'
    )
    return shapes


def _city(chance: random.Random, back: int, front: int, dusk: bool) -> list[str]:
    shapes = _sun(chance, dusk)
    for layer in range(3):
        x = -20.0
        fill = _hsl(front - layer * 22, 34, (44 if dusk else 66) - layer * 17)
        while x < WIDTH:
            width, top = chance.randint(42, 84), chance.randint(190 + layer * 62, 330 + layer * 50)
            shapes.append(f'<rect x="{x:.0f}" y="{top}" width="{width}" height="{HEIGHT - top}" fill="{fill}"/>')
            if layer:
                for row in range(top + 14, min(top + 150, HEIGHT - 12), 22):
                    for column in range(int(x) + 9, int(x) + width - 12, 16):
                        if chance.random() < 0.4:
                            shapes.append(
                                f'<rect x="{column}" y="{row}" width="7" height="10" fill="#ffe9a8" opacity=".85"/>'
                            )
            x += width + chance.randint(-6, 10)
    return shapes


def _garden(chance: random.Random, back: int, front: int, dusk: bool) -> list[str]:
    shapes = [_path(_ridge(chance, 420, 60, 6, smooth=True), _hsl(front, 36, 34 if dusk else 48))]
    for _ in range(chance.randint(5, 7)):
        x, y, radius = chance.randint(45, 355), chance.randint(110, 340), chance.randint(20, 40)
        bend = chance.randint(-40, 40)
        shapes.append(_line(f'M{x} {y} Q{x + bend} {(y + HEIGHT) / 2:.0f} {x + bend} {HEIGHT}', _hsl(front, 40, 30), 5))
        middle = (y + HEIGHT) / 2
        shapes.append(_path(f'M{x + bend / 2:.0f} {middle:.0f} q34 -34 58 -8 q-26 26 -58 8', _hsl(front - 12, 42, 40)))
        hue = chance.choice((345, 12, 45, 290, 325, 205))
        petals = chance.choice((5, 6, 8))
        for petal in range(petals):
            angle = math.tau * petal / petals
            shapes.append(
                _circle(
                    x + radius * math.cos(angle), y + radius * math.sin(angle), radius * 0.62, _hsl(hue, 72, 68), 0.92
                )
            )
        shapes.append(_circle(x, y, radius * 0.52, _hsl(44, 90, 60)))
    return shapes


def _ceramics(chance: random.Random, back: int, front: int, dusk: bool) -> list[str]:
    shapes = [f'<rect y="392" width="{WIDTH}" height="{HEIGHT - 392}" fill="{_hsl(back, 30, 30 if dusk else 58)}"/>']
    for place in (95, 210, 318):
        height, belly, neck = chance.randint(110, 240), chance.randint(38, 60), chance.randint(12, 26)
        top, foot = 400 - height, belly * 0.55
        hue, light = chance.choice((front, 200, 165, 350, 30)), chance.randint(44, 70)
        d = f'M{place - neck} {top} C{place - neck} {top + height * 0.3:.0f} {place - belly} {top + height * 0.3:.0f} '
        d += f'{place - belly} {top + height * 0.6:.0f} C{place - belly} {top + height * 0.85:.0f} '
        d += f'{place - foot:.0f} {top + height * 0.95:.0f} {place - foot:.0f} 400 H{place + foot:.0f} '
        d += f'C{place + foot:.0f} {top + height * 0.95:.0f} {place + belly} {top + height * 0.85:.0f} '
        d += f'{place + belly} {top + height * 0.6:.0f} C{place + belly} {top + height * 0.3:.0f} '
        d += f'{place + neck} {top + height * 0.3:.0f} {place + neck} {top} Z'
        shapes.append(f'<ellipse cx="{place}" cy="404" rx="{belly}" ry="9" fill="#0003"/>')
        shapes.append(_path(d, _hsl(hue, 36, light)))
        for stripe in range(chance.randint(0, 3)):
            y = top + height * (0.52 + stripe * 0.1)
            shapes.append(
                _line(
                    f'M{place - belly * 0.9:.0f} {y:.0f} Q{place} {y + 12:.0f} {place + belly * 0.9:.0f} {y:.0f}',
                    '#fff',
                    4,
                    0.6,
                )
            )
        shapes.append(f'<ellipse cx="{place}" cy="{top}" rx="{neck}" ry="5" fill="{_hsl(hue, 36, light - 22)}"/>')
    return shapes


_MOTIFS: dict[str, Callable[[random.Random, int, int, bool], list[str]]] = {
    'mountains': _mountains,
    'sea': _sea,
    'tea': _tea,
    'city': _city,
    'garden': _garden,
    'ceramics': _ceramics,
}
