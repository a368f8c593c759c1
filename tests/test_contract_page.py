"""``CONTRACT.md`` and ``CONTRACT_NEW.md`` say which test holds which promise; here: each test that they name exists."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

from tests import test_contracts
from tests.backends import BACKENDS

TESTS = pathlib.Path(__file__).parent

#: Page -> its sections: what 1.4.0 promised, and what is new.
PAGES = {'CONTRACT.md': [str(number) for number in range(1, 15)], 'CONTRACT_NEW.md': ['A', 'B', 'C']}


def promises() -> list[tuple[str, str]]:
    """Page and number of each line that is a promise, and its text."""
    return [
        (f'{page}, line {number}', line)
        for page in PAGES
        for number, line in enumerate((TESTS / page).read_text(encoding='utf-8').splitlines(), start=1)
        if line.startswith('- ')
    ]


def named(line: str) -> list[tuple[str, str]]:
    """The file and the name of each test that a line names."""
    found, file = [], ''
    for word in re.findall(r'`([^`\s]+)`', line.rpartition(' — ')[2]):
        if word.endswith('.py'):
            file = word
        else:
            found.append((file, word))
    return found


def functions_of(file: str) -> set[str]:
    """The names of the functions in a file."""
    tree = ast.parse((TESTS / file).read_text(encoding='utf-8'))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize('file', sorted({file for _, line in promises() for file, _ in named(line)}))
def test_each_test_that_is_named_exists(file: str) -> None:
    names = {name for _, line in promises() for of, name in named(line) if of == file}
    assert all(name.startswith('test_') for name in names)
    assert names - functions_of(file) == set()


def test_each_promise_names_a_test() -> None:
    without = [f'{place}: {line}' for place, line in promises() if not named(line)]
    assert [line for line in without if not line.endswith(' — none yet')] == []


@pytest.mark.parametrize('page', PAGES)
def test_each_section_is_there(page: str) -> None:
    found = re.findall(r'^## (\w+)\. ', (TESTS / page).read_text(encoding='utf-8'), re.M)
    assert found == PAGES[page]


def test_every_contract_runs_on_sql() -> None:
    # What a contract's tests run on is in this list; none of them leaves a backend out.
    assert {'sqlite', 'postgres'} <= {backend.name for backend in BACKENDS}
    contracts = [cls for name, cls in vars(test_contracts).items() if name.startswith('Test')]
    assert len(contracts) > 20
    assert all(not hasattr(cls, 'pytestmark') or 'skip' not in str(cls.pytestmark) for cls in contracts)
