"""What the tests of SQL databases share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends import Postgres, Sqlite, running

# A program, which configures Django.
collect_ignore = ['on_django.py']

_made: dict[str, Any] = {}
_CLASSES = {'sqlite': Sqlite, 'postgres': Postgres}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if 'database' in metafunc.fixturenames:
        chosen = metafunc.config.getoption('--backend')
        names = [name for name in _CLASSES if not chosen or name in chosen]
        metafunc.parametrize('database', names, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Any]:
    """SQLite in a file, and PostgreSQL, with nothing in them."""
    name = request.param
    if name not in _made:
        _made[name] = _CLASSES[name]()
    yield from running(_made[name])
