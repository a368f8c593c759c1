"""``python manage.py serve``: makes everything ready, and serves the site."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from pins.models import Person
from stream_framework.exceptions import StorageError, StreamFrameworkError


class Command(BaseCommand):
    """In memory everything is made anew; else what was there before is there again. On Redis there is a worker, too."""

    help = 'Make database and feeds ready, and serve the site; with PINBOARD_BACKEND=redis, start a worker, too.'

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument('--host', default='127.0.0.1')
        parser.add_argument('--port', type=int, default=8000)
        parser.add_argument('--end', help='see seed')
        parser.add_argument('--pins', type=int, default=12, help='see seed')
        parser.add_argument('--no-worker', action='store_true', help='start none: yours is running already')

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until it is interrupted."""
        in_memory = settings.PINBOARD_BACKEND == 'memory'
        _check_port(options['host'], options['port'])
        if in_memory:
            # Feeds begin empty, so the database has to.
            _delete_database()
        elif settings.PINBOARD_BACKEND == 'redis':
            _ask_redis()
        else:
            _make_tables()
        call_command('migrate', verbosity=0)
        if not Person.objects.exists():
            call_command('seed', end=options['end'], pins=options['pins'], stdout=self.stdout)
        # Asked to end, it ends as by Ctrl-C: the worker is not left behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        has_worker = settings.PINBOARD_BACKEND == 'redis' and not options['no_worker']
        worker = _start_worker() if has_worker else None
        self.stdout.write(f'Pinboard is at http://{options["host"]}:{options["port"]}/ (Ctrl-C ends it)')
        if in_memory:
            self.stdout.write('Feeds are in memory: what you do is forgotten when it ends.')
        self.stdout.flush()
        # It is for one's own machine: README.md says what to do for others.
        os.environ.setdefault('DJANGO_RUNSERVER_HIDE_WARNING', 'true')
        try:
            # Feeds in memory are this process's own: the reloader would serve from another one.
            call_command('runserver', f'{options["host"]}:{options["port"]}', use_reloader=False)
        finally:
            if worker is not None:
                worker.terminate()
                worker.wait()
            if in_memory:
                _delete_database()


def _check_port(host: str, port: int) -> None:
    # Before anything is made for it.
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f'{host}:{port} can not be served at ({error}): choose another port, PORT=9000'
            ) from error


def _delete_database() -> None:
    connection.close()
    for suffix in ('', '-wal', '-shm'):
        pathlib.Path(f'{settings.DATABASES["default"]["NAME"]}{suffix}').unlink(missing_ok=True)


def _make_tables() -> None:
    from stream_framework.storage.sql import connection as of_feeds
    from stream_framework.storage.sql import tables

    try:
        tables.sync(of_feeds.get_database())
    except StreamFrameworkError as error:
        raise CommandError(str(error)) from error


def _ask_redis() -> None:
    from stream_framework.storage.redis.connection import get_redis_connection

    try:
        get_redis_connection().ping()
    except Exception as error:
        if not isinstance(error, (StorageError, OSError)) and type(error).__module__.partition('.')[0] != 'redis':
            raise
        raise CommandError(
            f'Redis does not answer at {settings.REDIS_URL.rpartition("@")[2]} ({error}): start one '
            '(docker compose up -d redis, or redis-server), or say where it is by STREAM_REDIS_URL'
        ) from error


def _start_worker() -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        '-m',
        'celery',
        '--app',
        'project',
        'worker',
        '--concurrency',
        '2',
        '--loglevel',
        'WARNING',
    ]
    return subprocess.Popen(command, cwd=settings.BASE_DIR, env={**os.environ, 'PINBOARD_DEBUG': '0'})
