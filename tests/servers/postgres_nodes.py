"""PostgreSQL: from the environment (``TEST_POSTGRES_URL``), else a process of this machine.

A server that the environment names is used, never stopped: tests make a schema of their own there, and delete it. The
other one keeps its data in a temporary folder, syncs nothing to disk, and ends with the tests. It refuses to run as
root, so root starts it as the user of Debian's package, or as nobody.
"""

from __future__ import annotations

import atexit
import functools
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import uuid
from typing import Any
from urllib.parse import quote

from tests.servers import processes

#: How long the server may take until it answers, in seconds.
PATIENCE = 60
#: The user's password; messages must not hold it, however it is spelled.
PASSWORD = 'se/cr@t'

_OPTIONS = {
    'fsync': 'off',
    'full_page_writes': 'off',
    'listen_addresses': '127.0.0.1',
    'unix_socket_directories': '',
    'max_connections': '60',
    'shared_buffers': '64MB',
}


@functools.cache
def one() -> dict[str, Any]:
    """A server, as settings."""
    url = os.environ.get('TEST_POSTGRES_URL')
    if not url:
        return LocalPostgres().settings
    schema = f'stream_test_{uuid.uuid4().hex[:8]}'
    execute(url, f'CREATE SCHEMA {schema}')
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and execute(url, f'DROP SCHEMA {schema} CASCADE'))
    return {'STREAM_SQL_URL': url, 'STREAM_SQL_SCHEMA': schema}


class LocalPostgres:
    """A ``postgres`` of this machine, at a free port of the loopback interface.

    :param options: further settings of the server: ``max_connections='5'``
    """

    def __init__(self, **options: str) -> None:
        self.port = processes.free_ports(1)[0]
        self._options = {**_OPTIONS, **options}
        self._folder = processes.new_folder('postgres')
        self._process: processes.Server | None = None
        self._initialize()
        self.start()

    @property
    def url(self) -> str:
        """Where it is, for SQLAlchemy."""
        return f'postgresql+psycopg://tests:{quote(PASSWORD, safe="")}@127.0.0.1:{self.port}/postgres'

    @property
    def settings(self) -> dict[str, Any]:
        """What to configure."""
        return {'STREAM_SQL_URL': self.url, 'STREAM_SQL_SCHEMA': None}

    def start(self) -> None:
        """Start it, after :meth:`stop` with the data it had, and wait until it answers.

        :raises LookupError: if it does not
        """
        # Its folder is another one than the data's: that of a server goes when it is stopped.
        command = [*_as_user(), str(programs() / 'postgres'), '-D', str(self._folder / 'data'), '-p', str(self.port)]
        for name, value in self._options.items():
            command += ['-c', f'{name}={value}']
        folder = processes.new_folder('postgres-log')
        if not os.geteuid():
            folder.chmod(0o755)
        process = self._process = processes.Server(command, folder, grace=5)

        def ready() -> bool:
            if not process.running:
                raise LookupError(f'postgres ended: {process.last_words()}')
            return _answers(self.url)

        processes.wait_until(ready, PATIENCE, f'postgres at port {self.port}')

    def kill(self) -> None:
        """``kill -9``; :meth:`start` starts it again."""
        if self._process is not None:
            self._process.kill()
            processes.wait_until(lambda: not processes.answers('127.0.0.1', self.port), PATIENCE, 'the port to be free')
            self._process.stop()
            self._process = None

    def stop(self) -> None:
        """Stop it; its data stays until the process ends."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> LocalPostgres:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def _initialize(self) -> None:
        owner = os.getpid()
        atexit.register(lambda: os.getpid() == owner and shutil.rmtree(self._folder, ignore_errors=True))
        (self._folder / 'password').write_text(PASSWORD)
        if not os.geteuid():
            user = _user()
            for path in (self._folder, self._folder / 'password'):
                os.chown(path, user.pw_uid, user.pw_gid)
        command = [
            *_as_user(),
            str(programs() / 'initdb'),
            '-D',
            str(self._folder / 'data'),
            '-U',
            'tests',
            '--no-sync',
        ]
        command += [
            '--pwfile',
            str(self._folder / 'password'),
            '--auth',
            'scram-sha-256',
            '-E',
            'UTF8',
            '--locale',
            'C',
        ]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LookupError(f'initdb failed: {done.stderr[-1000:]}')


@functools.cache
def programs() -> pathlib.Path:
    """The folder of ``postgres`` and ``initdb``.

    :raises LookupError: if there are none, and none can be installed
    """
    remedy = 'there is no PostgreSQL here: install it, or set TEST_POSTGRES_URL'
    return pathlib.Path(processes.find_program(_found, 'postgresql', remedy)).parent


def _found() -> str | None:
    found = sorted(
        glob.glob('/usr/lib/postgresql/*/bin/initdb'), key=lambda path: int(path.split('/')[4].split('.')[0])
    )
    return found[-1] if found else shutil.which('initdb')


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements on a connection of their own; the rows of the last."""
    import psycopg

    with psycopg.connect(url.replace('+psycopg', ''), autocommit=True, connect_timeout=5) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _answers(url: str) -> bool:
    import psycopg

    try:
        execute(url, 'SELECT 1')
    except psycopg.OperationalError:
        return False
    return True


def _user() -> pwd.struct_passwd:
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError('postgres refuses to run as root, and there is no user nobody')


def _as_user() -> list[str]:
    if os.geteuid():
        return []
    user = _user()
    return ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups']
