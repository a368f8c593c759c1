"""What the README shows works exactly as it is printed there."""

from __future__ import annotations

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'^```python\n(.*?)^```$', README, re.MULTILINE | re.DOTALL)


def test_the_example(tmp_path: pathlib.Path) -> None:
    [example] = BLOCKS
    script = tmp_path / 'example.py'
    script.write_text(example)
    done = subprocess.run(
        # The oldest releases of six that we allow warn of their own importer.
        [sys.executable, '-W', 'error', '-W', 'ignore::ImportWarning', str(script)],
        cwd=tmp_path,
        env={'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == '[Activity(loved) 13 42]\n'
    assert f'# {done.stdout}' in example, 'what it prints is what it says that it prints'


def test_it_is_as_short_as_it_says() -> None:
    [example] = BLOCKS
    assert len([line for line in example.splitlines() if line.strip()]) <= 22


def test_the_feeds_it_names_are_there() -> None:
    for module, name in re.findall(r'(feeds\.\w+)\.(\w+Feed)', README):
        if 'cassandra' in module:
            pytest.importorskip('cassandra')
        assert hasattr(importlib.import_module(f'stream_framework.{module}'), name)


@pytest.mark.parametrize('target', re.findall(r'\]\(([^)#]+)\)', README))
def test_links_lead_somewhere(target: str) -> None:
    assert target.startswith('https://') or (ROOT / target).exists()


def test_both_commands_are_there() -> None:
    makefile = (ROOT / 'Makefile').read_text()
    for command in ('demo', 'test', 'docs'):
        assert f'make {command}' in README
        assert re.search(f'^{command}:', makefile, re.MULTILINE)
