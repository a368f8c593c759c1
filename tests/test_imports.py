"""Imports flow one way: no module of the library imports, directly or through others, what imports it.

Imports for type checkers (``if TYPE_CHECKING``) and imports within functions count, too: who reads one room of a circle
has to know all of them.
"""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterable, Mapping

import stream_framework

ROOT = pathlib.Path(stream_framework.__file__).parent

#: Circles that are still there. None may be added, or grow.
KNOWN = (
    {'contrib.django.enriching', 'contrib.django.pagination'},
    {'storage.redis.changes', 'storage.redis.pages', 'storage.redis.timeline_storage'},
    {'storage.sql.client', 'storage.sql.tables'},
    {'storage.sql.groups', 'storage.sql.timeline_storage'},
)


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported(source: str, modules: Iterable[str]) -> set[str]:
    """Return the modules that a source imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = (f'{node.module}.{alias.name}' for alias in node.names)
            found.update(name if name in modules else f'{node.module}' for name in names)
    return found.intersection(modules)


def circles(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that import one another.

    >>> [sorted(circle) for circle in circles({'a': {'b'}, 'b': {'c'}, 'c': {'b'}, 'd': {'d'}})]
    [['b', 'c'], ['d']]
    """
    reached = {name: _reached_from(name, imports) for name in imports}
    found: list[set[str]] = []
    for name, others in reached.items():
        if name in others and not any(name in circle for circle in found):
            found.append({other for other in others if name in reached[other]})
    return found


def _reached_from(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports[waiting.pop()] - reached:
            reached.add(name)
            waiting.append(name)
    return reached


def test_no_circle() -> None:
    sources = {module_name(path): path.read_text('utf-8') for path in ROOT.rglob('*.py')}
    imports = {name: imported(source, sources) - {name} for name, source in sources.items()}
    assert 'stream_framework.feeds.base' in imports['stream_framework.feed_managers.base']
    known = [{f'stream_framework.{name}' for name in circle} for circle in KNOWN]
    new = [sorted(circle) for circle in circles(imports) if not any(circle <= others for others in known)]
    assert new == []
