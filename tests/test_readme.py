"""What the README shows works exactly as it is printed there."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'^```python\n(.*?)^```$', README, re.MULTILINE | re.DOTALL)


def test_the_quick_example(tmp_path: pathlib.Path) -> None:
    assert len(BLOCKS) >= 4
    script = tmp_path / 'quick_example.py'
    script.write_text('\n'.join(BLOCKS))
    done = subprocess.run(
        # The oldest releases of six that we allow warn of their own importer.
        [sys.executable, '-W', 'error', '-W', 'ignore::ImportWarning', str(script)],
        cwd=tmp_path,
        env={'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # The assertions were not only skipped: with a wrong one the script fails.
    assert 'assert second ==' in script.read_text()


def test_it_has_feeds_a_manager_and_a_view() -> None:
    code = '\n'.join(BLOCKS)
    for part in ('(Feed):', '(AggregatedFeed):', '(NotificationFeed):', '(Manager):', 'def feed_view('):
        assert part in code


@pytest.mark.parametrize('target', re.findall(r'\]\(([^)#]+)\)', README))
def test_links_lead_somewhere(target: str) -> None:
    assert target.startswith('https://') or (ROOT / target).exists()


def test_both_commands_are_there() -> None:
    makefile = (ROOT / 'Makefile').read_text()
    for command in ('demo', 'test', 'docs'):
        assert f'make {command}' in README
        assert re.search(f'^{command}:', makefile, re.MULTILINE)
