"""``CONTRACT.md`` says which test holds which promise; here: each test that it names exists."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

TESTS = pathlib.Path(__file__).parent
PAGE = TESTS / 'CONTRACT.md'

#: The sections that the contract with applications of 1.4.0 has.
SECTIONS = 14


def promises() -> list[tuple[int, str]]:
    """The number of each line that is a promise, and its text."""
    lines = PAGE.read_text(encoding='utf-8').splitlines()
    return [(number, line) for number, line in enumerate(lines, start=1) if line.startswith('- ')]


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
    without = [f'{number}: {line}' for number, line in promises() if not named(line)]
    assert [line for line in without if not line.endswith(' — none yet')] == []


def test_each_section_is_there() -> None:
    numbers = re.findall(r'^## (\d+)\. ', PAGE.read_text(encoding='utf-8'), re.M)
    assert numbers == [str(number) for number in range(1, SECTIONS + 1)]
