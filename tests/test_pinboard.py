"""The tests of the example site itself, and that its database, seeds and settings are in order."""

from __future__ import annotations

import functools
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest

from tests.backends import server, unavailable
from tests.browser.site import PROJECT
from tests.servers import redis_nodes
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


@functools.cache
def own_redis() -> str:
    """Start a server: never that of somebody else, because the site's keys are the same everywhere."""
    try:
        redis = redis_nodes.LocalRedis()
    except LookupError as error:
        unavailable(f'no redis server: {error}')
    return f'redis://{redis.host}:{redis.port}/0'


def address(where: str) -> dict[str, str]:
    """Name a test server, whose tables are there, in the environment of a command."""
    if where == 'redis':
        return {'STREAM_REDIS_URL': own_redis()}
    if where == 'postgres':
        if server('postgres')['STREAM_SQL_SCHEMA']:
            pytest.skip('the site uses no schema of its own')
        url = server('postgres')['STREAM_SQL_URL']
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'STREAM_SQL_URL': url}
        subprocess.run([sys.executable, '-m', 'stream_framework', 'sync'], env=environment, check=True, timeout=120)
        return {'STREAM_SQL_URL': url}
    return {}


@pytest.mark.parametrize('where', ['memory', 'sqlite', 'redis', 'postgres'])
def test_every_page_and_button(where: str) -> None:
    assert '\nOK\n' in manage('test', PINBOARD_BACKEND=where, **address(where))


@pytest.mark.parametrize('where', ['sqlite', 'redis', 'postgres'])
def test_follows_of_an_earlier_version_move_into_the_library(where: str, tmp_path: Any) -> None:
    """With their times, and so that a follow can be taken back; back again, too."""
    environment = {'PINBOARD_BACKEND': where, 'PINBOARD_DATABASE': tmp_path / 'site.sqlite3', **address(where)}
    if where == 'sqlite':
        environment['STREAM_SQL_URL'] = f'sqlite:///{tmp_path}/feeds.sqlite3'
    environment = {name: str(value) for name, value in environment.items()}
    # A PostgreSQL server may be somebody else's, with a site of his: these are no people of that.
    first, second = 10**15 + 1, 10**15 + 2
    manage('migrate', 'pins', '0001', **environment)
    with closing(sqlite3.connect(environment['PINBOARD_DATABASE'])) as database, database:
        for pk in (first, second):
            database.execute(
                'INSERT INTO pins_person (id, username, password, is_superuser, first_name, last_name, email, '
                'is_staff, is_active, date_joined, bio, hue) '
                "VALUES (?, ?, '', 0, '', '', '', 0, 1, '2026-01-01', '', 0)",
                (pk, f'person {pk}'),
            )
        database.execute(
            "INSERT INTO pins_follow (follower_id, followed_id, created_at) VALUES (?, ?, '2026-01-02 03:04:05')",
            (first, second),
        )
    for _ in range(2):
        manage('migrate', **environment)
        said = manage(
            'shell',
            '-v0',
            '-c',
            'from pins.managers import manager\n'
            f'print(manager.get_followers({second}))\n'
            f'print([said["object"] for said in manager.export_user({first})])',
            **environment,
        )
        assert f'[Follow(user_id={first}, target_id={second}, since=datetime.datetime(2026, 1, 2, 3, 4, 5))]' in said
        assert f"['urn:stream-framework:object:{second}']" in said
        manage('migrate', 'pins', '0001', **environment)
        with closing(sqlite3.connect(environment['PINBOARD_DATABASE'])) as database:
            rows = database.execute('SELECT follower_id, followed_id, created_at FROM pins_follow').fetchall()
        assert rows == [(first, second, '2026-01-02 03:04:05')]
    erase = f'from pins.managers import manager\nmanager.erase_user({first}), manager.erase_user({second})'
    manage('shell', '-v0', '-c', erase, **environment)


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
