"""The servers that tests start end with the process that started them, whatever ends that."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.servers import processes

SLEEPER = """
import sys, time
from tests.servers.processes import Server, new_folder
server = Server(['sleep', '600'], new_folder('test'))
print(server.pid, server.folder, flush=True)
{}
"""


def starter(then: str) -> tuple[subprocess.Popen[str], int, pathlib.Path]:
    """A process that has started a server: itself, the server's pid and folder."""
    process = subprocess.Popen(
        [sys.executable, '-c', SLEEPER.format(then)], stdout=subprocess.PIPE, text=True, cwd=processes.ROOT
    )
    assert process.stdout is not None
    pid, folder = process.stdout.readline().split()
    return process, int(pid), pathlib.Path(folder)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signals(number: signal.Signals) -> None:
    process, pid, folder = starter('time.sleep(600)')
    assert folder.exists()
    process.send_signal(number)
    process.wait()
    processes.wait_until(lambda: gone(pid) and not folder.exists(), 30, 'the server to be gone')


@pytest.mark.parametrize('then', ['', 'sys.exit(3)', 'raise KeyError', 'server.stop()', 'server.kill()'])
def test_ends(then: str) -> None:
    process, pid, folder = starter(then)
    process.wait()
    processes.wait_until(lambda: gone(pid) and not folder.exists(), 30, 'the server to be gone')


def test_forks_leave_servers_alone() -> None:
    _, pid, folder = starter('import os\nif os.fork() == 0: sys.exit()\nos.wait(); time.sleep(2); server.stop()')
    time.sleep(1)
    assert not gone(pid)
    processes.wait_until(lambda: gone(pid) and not folder.exists(), 30, 'the server to be gone')


def test_free_ports() -> None:
    ports = processes.free_ports(5, ['127.0.0.1', '127.0.0.2'])
    assert len(set(ports)) == 5
    assert all(processes.is_free('127.0.0.2', port) for port in ports)


DOCKER = """#!/bin/sh
echo "$CASSANDRA_PORT $@" >> {log}
case "$*" in
  *" up "*) trap 'echo stopped >> {log}; exit 0' TERM; for i in $(seq 600); do sleep 0.1; done;;
  *) exit {code};;
esac
"""


@pytest.fixture
def docker(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A ``docker`` that only writes down how it is called; what it writes to."""
    log = tmp_path / 'log'
    program = tmp_path / 'docker'
    program.write_text(DOCKER.format(log=log, code=0))
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    processes.has_docker_engine.cache_clear()
    yield log
    processes.has_docker_engine.cache_clear()


def test_docker_compose(docker: pathlib.Path) -> None:
    assert processes.has_docker_engine()
    asked: list[int] = []
    server, port = processes.compose(
        'cassandra', 'CASSANDRA_PORT', lambda host, port: bool(asked.append(port)) or ' up ' in docker.read_text()
    )
    assert asked[-1] == port
    server.stop()
    lines = docker.read_text().splitlines()
    start = f'{port} compose --project-name {lines[2].split()[3]} --file {processes.ROOT}/docker-compose.yml'
    assert lines[2:] == [f'{start} up cassandra', 'stopped', f'{start} down --volumes']


def test_without_a_docker_engine(docker: pathlib.Path) -> None:
    program = docker.with_name('docker')
    program.write_text(program.read_text().replace('exit 0;;', 'exit 1;;').replace('*) exit', '*) exit 1; exit'))
    assert not processes.has_docker_engine()
