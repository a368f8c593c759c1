"""The suite runs side by side, and a failure of any part is a failure of the whole."""

from __future__ import annotations

import sys

import pytest

from tests import parts

PASSES = "print('tests/a.py ..'); print('=== 2 passed, 1 skipped in 0.10s ===')"
FAILS = """
print('tests/b.py .F')
print('=== FAILURES ===')
print('E  what went wrong')
print('=== 1 failed, 1 passed in 0.10s ===')
raise SystemExit(1)
"""


def outcome(*programs: str) -> int:
    return parts.run({str(number): [sys.executable, '-c', text] for number, text in enumerate(programs)}, at_once=2)


def test_all_pass(capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome(PASSES, PASSES) == 0
    lines = capfd.readouterr().out.splitlines()
    assert '0: tests/a.py ..' in lines and '1: 2 passed, 1 skipped in 0.10s (exit code 0)' in lines
    assert ' 4 passed, 2 skipped in ' in lines[-1]


@pytest.mark.parametrize('programs', [(FAILS, PASSES), (PASSES, FAILS)])
def test_one_fails(programs: tuple[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome(*programs) == 1
    text = capfd.readouterr().out
    # What is said of failures stands together.
    assert '=== FAILURES ===\nE  what went wrong\n=== 1 failed, 1 passed in 0.10s ===\n' in text
    assert ' 1 failed, 3 passed, 1 skipped in ' in text.splitlines()[-1]


@pytest.mark.parametrize('program', ['', "print('tests/a.py ..')", 'import os; os.kill(os.getpid(), 9)'])
def test_one_says_nothing(program: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome(PASSES, program) != 0
    assert 'ended without a closing line' in capfd.readouterr().out


def test_no_tests_are_a_failure() -> None:
    assert outcome(PASSES, "print('=== no tests ran in 0.01s ==='); raise SystemExit(5)") == 5


def test_each_test_is_in_one_part(request: pytest.FixtureRequest) -> None:
    of_part = {
        part: {item.nodeid for item in request.session.items if parts.part_of(item.nodeid) == part}
        for part in parts.PARTS
    }
    assert sum(map(len, of_part.values())) == len({item.nodeid for item in request.session.items})
