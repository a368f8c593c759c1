"""Processes, ports, folders, Docker Compose and Debian packages: what starting any server needs."""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence

ROOT = pathlib.Path(__file__).parent.parent.parent
KEEPER = pathlib.Path(__file__).with_name('keeper.py')

#: Below the range that outgoing connections take their ports from.
PORTS = range(15000, 22000)


class Server:
    """A process that ends with this one.

    :param command: program and arguments
    :param folder: its working folder, deleted when it is stopped
    :param grace: for how many seconds it may tidy up before it is killed; 0 where nothing is worth tidying up
    """

    def __init__(self, command: Sequence[str], folder: pathlib.Path, grace: float = 0) -> None:
        self.folder = folder
        self.log = folder / 'log'
        self._owner = os.getpid()
        # Its own session: an interrupt from the keyboard is for pytest.
        self._keeper = subprocess.Popen(
            [sys.executable, '-I', '-S', str(KEEPER), str(folder), str(self.log), str(grace), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            raise LookupError(f'{command[0]} can not be run')
        self.pid = int(line)
        atexit.register(self.stop)

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """``kill -9``, and wait until it is gone; its folder stays."""
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.running, 30, f'process {self.pid} to be gone')

    def stop(self) -> None:
        """End it, and delete its folder. A fork of the process that started it leaves it alone."""
        if os.getpid() != self._owner or self._keeper.poll() is not None:
            return
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors='replace')[-3000:] if self.log.exists() else ''


def new_folder(name: str) -> pathlib.Path:
    """A new folder; a :class:`Server` that gets it deletes it."""
    return pathlib.Path(tempfile.mkdtemp(prefix=f'stream-framework-{name}-'))


def free_ports(count: int, hosts: Sequence[str] = ('127.0.0.1',)) -> list[int]:
    """Ports that nobody listens at, on any of the hosts."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, 500):
        if all(is_free(host, port) for host in hosts):
            found.append(port)
        if len(found) == count:
            return found
    raise LookupError(f'no {count} free ports on {", ".join(hosts)}')


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as listener:
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def wait_until(check: Callable[[], bool], seconds: float, what: str) -> None:
    """Until something is so.

    :raises LookupError: if it takes longer
    """
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise LookupError(f'waited {seconds:g} s for {what}')
        time.sleep(0.05)


_at_end: list[Callable[[], object]] = []


def at_end(call: Callable[[], object]) -> None:
    """Have something done on a server that goes on when the tests end: earlier than ``atexit``, while threads start."""
    _at_end.append(call)


def end() -> None:
    """Do what :func:`at_end` was told; pytest calls this when it ends."""
    while _at_end:
        _at_end.pop()()


@functools.lru_cache(None)
def has_docker_engine() -> bool:
    """Whether ``docker compose`` is there and an engine answers it."""
    if not shutil.which('docker'):
        return False
    try:
        for command in (['docker', 'compose', 'version'], ['docker', 'version']):
            subprocess.run(command, check=True, timeout=10, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def compose(
    service: str, variable: str, ready: Callable[[str, int], bool], patience: float = 180
) -> tuple[Server, int]:
    """Start a service of the project's ``docker-compose.yml``, at a free port of 127.0.0.1.

    :param variable: the environment variable that the file takes the service's published port from
    :param ready: whether the service works, at this host and port; that the port is open says nothing with Docker
    :param patience: for how many seconds to wait for that; images may have to be pulled
    :returns: the process and the port
    :raises LookupError: if it doesn't work
    """
    [port] = free_ports(1)
    project = f'stream-framework-{uuid.uuid4().hex[:8]}'
    command = ['docker', 'compose', '--project-name', project, '--file', str(ROOT / 'docker-compose.yml')]
    server = Server(
        ['env', f'{variable}={port}', 'sh', '-c', _COMPOSE, service, *command], new_folder(service), grace=60
    )
    wait_until(lambda: ready('127.0.0.1', port) or not server.running, patience, f'{service} in Docker')
    if not server.running:
        raise LookupError(f'docker compose up {service} failed: {server.last_words()}')
    return server, port


# Containers and volumes go when the process ends: ``$0`` is the service, ``$@`` the command.
_COMPOSE = """
trap 'kill -TERM $up' TERM
"$@" up "$0" &
up=$!
wait $up || wait $up
"$@" down --volumes
"""


def find_program(find: Callable[[], str | None], package: str, remedy: str) -> str:
    """The path of a program, whose Debian package is installed if it isn't there.

    :param find: gives the path, or ``None``
    :param remedy: what to do where there is none
    :raises LookupError: if there is none, and none can be installed
    """
    found = find()
    if found is None:
        install_on_debian(package)
        found = find()
    if found is None:
        raise LookupError(remedy)
    return found


def install_on_debian(*packages: str) -> None:
    """Install packages with apt, where that is possible.

    :raises LookupError: where it is not
    """
    wanted = ' '.join(packages)
    if not shutil.which('apt-get'):
        raise LookupError(f'install what Debian calls {wanted}')
    if os.geteuid():
        raise LookupError(f'run as root: apt-get install {wanted}')
    # The package of a server would start one of its own; the run level says that there is no init system to do so.
    environment = {'RUNLEVEL': '1', **os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    install = ['apt-get', 'install', '--yes', '--no-install-recommends', *packages]
    for command in (install, ['apt-get', 'update'], install):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if command is install and not done.returncode:
            return
    raise LookupError(f'{" ".join(install)} failed: {done.stderr[-1000:]}')
