"""Servers of the benchmark's own, and processes kept to one core each."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator


def free_port() -> int:
    """A port on the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def redis_server() -> Iterator[tuple[int, int]]:
    """A ``redis-server`` without persistence; its port and its process id."""
    program = shutil.which('redis-server') or shutil.which('valkey-server')
    if program is None:
        raise SystemExit('there is no redis-server in the PATH: install it, or give --address host:port')
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        options = ['--bind', '127.0.0.1', '--port', str(port), '--save', '', '--appendonly', 'no', '--dir', directory]
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit('the server did not start')
        time.sleep(0.02)


def pin(server: int | None) -> str:
    """Keep this process on one core and the server on another; says what was done."""
    if server is None or not hasattr(os, 'sched_setaffinity'):
        return 'nothing is pinned'
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return 'nothing is pinned: there is one core'
    for thread in os.listdir(f'/proc/{server}/task'):
        os.sched_setaffinity(int(thread), cores[-1:])
    os.sched_setaffinity(0, cores[:1])
    return f'client pinned to core {cores[0]}, server to core {cores[-1]}'
