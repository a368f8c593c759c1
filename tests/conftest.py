"""Options and fixtures for the whole suite."""

from __future__ import annotations

import pathlib
import signal
from typing import Any

import pytest

pytest.register_assert_rewrite('tests.contracts')

from tests.backends import BACKENDS, running  # noqa: E402
from tests.parts import PARTS, part_of  # noqa: E402
from tests.servers import processes  # noqa: E402

#: Folders of tests -> what the names of their backends begin with.
FOLDERS: dict[str, tuple[str, ...]] = {
    'redis': ('redis',),
    'cassandra': ('cassandra',),
    'sql': ('sqlite', 'postgres'),
}

HERE = pathlib.Path(__file__).parent

# What test_workers.py and test_crashes.py start: programs with settings of their own, from the environment.
collect_ignore = ['workers']


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--backend',
        action='append',
        default=[],
        metavar='NAME',
        help='run the contracts on this backend only (may be repeated), and leave out the folders of the others: '
        + ', '.join(backend.name for backend in BACKENDS),
    )
    parser.addoption(
        '--part', choices=list(PARTS), help='run the tests of this part only; tests/parts.py runs all, side by side'
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if part := config.getoption('--part'):
        config.hook.pytest_deselected(items=[item for item in items if part_of(item.nodeid) != part])
        items[:] = [item for item in items if part_of(item.nodeid) == part]


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    chosen = config.getoption('--backend')
    if chosen and collection_path.parent == HERE and collection_path.name in FOLDERS:
        return not any(name.startswith(FOLDERS[collection_path.name]) for name in chosen)
    return None


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that runs this in the background has the signal ignored, by what tests start and interrupt as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    processes.end()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if 'backend' not in metafunc.fixturenames:
        return
    known = {backend.name: backend for backend in BACKENDS}
    chosen = metafunc.config.getoption('--backend') or [name for name, made in known.items() if made.exists()]
    for name in chosen:
        if name not in known:
            raise pytest.UsageError(f'--backend {name}: the backends are {", ".join(known)}')
    metafunc.parametrize('backend', [known[name] for name in chosen], ids=chosen, indirect=True, scope='function')


_made: dict[Any, Any] = {}


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Any:
    """The backend that a contract runs on, with nothing in it from the test before."""
    if request.param not in _made:
        _made[request.param] = request.param()
    yield from running(_made[request.param])
