"""The tests of the example site itself, and that its database, seeds and settings are in order."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.browser.site import PROJECT
from tests.servers.processes import ROOT


def manage(*arguments: str, **environment: Any) -> str:
    """Run ``manage.py``; what it prints."""
    done = subprocess.run(
        [sys.executable, '-W', 'error::ResourceWarning', 'manage.py', *arguments],
        cwd=PROJECT,
        # No command here leaves a database behind.
        env={
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'PINBOARD_DATABASE': ':memory:',
            'STREAM_SQL_URL': 'sqlite://',
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_page_and_button() -> None:
    assert '\nOK\n' in manage('test')


@pytest.mark.parametrize('where', ['memory', 'redis', 'sqlite', 'postgres'])
def test_the_project_is_in_order(where: str) -> None:
    for command in ('check', 'makemigrations'):
        arguments = [command] if command == 'check' else [command, '--check', '--dry-run']
        out = manage(*arguments, PINBOARD_BACKEND=where)
        assert 'no issues' in out or 'No changes detected' in out


def test_seeding_is_for_an_empty_site(tmp_path: Any) -> None:
    database = str(tmp_path / 'site.sqlite3')
    manage('migrate', PINBOARD_DATABASE=database)
    assert '12 people and 24 pins' in manage('seed', '--pins', '2', PINBOARD_DATABASE=database)
    with pytest.raises(AssertionError, match='there are people already'):
        manage('seed', PINBOARD_DATABASE=database)
    with pytest.raises(AssertionError, match='is no time with a zone'):
        manage('seed', '--end', 'yesterday')
