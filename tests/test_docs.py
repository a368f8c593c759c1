"""What the documentation says runs, is importable, and is complete."""

from __future__ import annotations

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

from stream_framework import settings
from tests.contrib import configure_django

# What is for Django REST framework can be imported only then.
configure_django()

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / 'docs').glob('*.rst'))
NAMES = [page.name for page in PAGES]


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_the_examples_of(page: pathlib.Path) -> None:
    if '>>> ' not in page.read_text():
        pytest.skip('this page has no examples to run')
    # In a process of its own: examples register verbs and make a Celery application.
    done = subprocess.run(
        [sys.executable, '-m', 'doctest', '-o', 'NORMALIZE_WHITESPACE', str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_what_is_imported_in(page: pathlib.Path) -> None:
    text = page.read_text()
    for module, names in re.findall(r'^[> ]*from (stream_framework[\w.]*) import ([\w, ]+)$', text, re.MULTILINE):
        if '.cassandra' in module:
            pytest.importorskip('cassandra')
        imported = importlib.import_module(module)
        for name in names.split(','):
            assert hasattr(imported, name.strip()), f'{module} has no {name}'
    for module in re.findall(r'^\.\. automodule:: (.+)$', text, re.MULTILINE):
        if '.cassandra' in module:
            pytest.importorskip('cassandra')
        importlib.import_module(module)


def test_every_setting_is_described() -> None:
    text = (ROOT / 'docs' / 'settings.rst').read_text()
    for name in settings.NAMES:
        assert f'``{name}``' in text, name


def test_every_public_module_is_in_the_reference() -> None:
    text = (ROOT / 'docs' / 'api.rst').read_text()
    from tests.test_public_names import NAMES as public

    documented = set(re.findall(r'^\.\. automodule:: (.+)$', text, re.MULTILINE))
    # The older notification feed warns when it is imported, and five holds one name.
    left_out = {
        'stream_framework',
        'stream_framework.feeds.aggregated_feed.notification_feed',
        'stream_framework.utils.five',
    }
    assert set(public) - documented - left_out == set()
    for module in documented:
        assert importlib.import_module(module).__doc__, f'{module} has no docstring'
