"""A RabbitMQ broker: from the environment, else by Docker Compose, else a process of this machine.

``TEST_RABBITMQ_URL`` (``amqp://user:password@host:port/vhost``) names one that is used and never stopped. A broker that
is to be killed is always a process of this machine.
"""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
from typing import Any

from tests.servers import processes

#: How long a broker may take until it answers, in seconds.
PATIENCE = 90


@functools.cache
def one() -> str:
    """A broker's URL."""
    if os.environ.get('TEST_RABBITMQ_URL'):
        return os.environ['TEST_RABBITMQ_URL']
    if processes.has_docker_engine():
        try:
            _, port = processes.compose('rabbitmq', 'RABBITMQ_PORT', lambda host, port: _answers(_url(port)))
        except LookupError:
            # An engine that can't get the image, say.
            return LocalRabbitMQ().url
        return _url(port)
    return LocalRabbitMQ().url


class LocalRabbitMQ:
    """A ``rabbitmq-server`` of this machine, with a node name, folders and ports of its own, on the loopback interface.

    What it holds on disk outlives :meth:`kill`, and is gone with :meth:`stop`.
    """

    def __init__(self) -> None:
        program = server_program()
        self.port, self._distribution, self._epmd_port = processes.free_ports(3)
        self.folder = processes.new_folder('rabbitmq')
        # Erlang would start its port mapper by itself, as a daemon that outlives everything.
        self._epmd = processes.Server(
            [_epmd_program(program), '-address', '127.0.0.1', '-port', str(self._epmd_port)], self.folder
        )
        processes.wait_until(
            lambda: processes.answers('127.0.0.1', self._epmd_port), PATIENCE, f'epmd at port {self._epmd_port}'
        )
        (self.folder / 'rabbitmq.conf').write_text(_CONFIG)
        (self.folder / 'env.conf').touch()
        self._command = ['env', *(f'{name}={value}' for name, value in self._environment().items()), program]
        self._process: processes.Server | None = None
        self.start()

    @property
    def url(self) -> str:
        """What Celery takes as ``broker_url``."""
        return _url(self.port)

    def start(self) -> None:
        """Start it, after :meth:`kill` with what it had on disk, and wait until it answers.

        :raises LookupError: if it does not
        """
        process = self._process = processes.Server(self._command, processes.new_folder('rabbitmq-log'), grace=20)

        def ready() -> bool:
            if not process.running:
                raise LookupError(f'rabbitmq-server ended: {process.last_words()}')
            return processes.answers('127.0.0.1', self.port) and _answers(self.url)

        processes.wait_until(ready, PATIENCE, f'rabbitmq-server at port {self.port}')

    def kill(self) -> None:
        """``kill -9``; the next :meth:`start` finds what was on disk."""
        if self._process is not None:
            self._process.kill()
            self._process.stop()
            self._process = None

    def stop(self) -> None:
        """End it, its port mapper too, and delete its folders."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        self._epmd.stop()

    def __enter__(self) -> LocalRabbitMQ:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def _environment(self) -> dict[str, Any]:
        return {
            'HOME': self.folder,  # of the cookie
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            'ERL_EPMD_PORT': self._epmd_port,
            'RABBITMQ_CONF_ENV_FILE': self.folder / 'env.conf',  # instead of the one in /etc
            'RABBITMQ_CONFIG_FILE': self.folder / 'rabbitmq',
            'RABBITMQ_ENABLED_PLUGINS_FILE': self.folder / 'enabled_plugins',
            'RABBITMQ_MNESIA_BASE': self.folder / 'data',
            'RABBITMQ_LOG_BASE': self.folder / 'logs',
            'RABBITMQ_LOGS': '-',
            'RABBITMQ_PID_FILE': self.folder / 'pid',
            'RABBITMQ_NODENAME': f'feeds{self.port}@localhost',
            'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODE_PORT': self.port,
            'RABBITMQ_DIST_PORT': self._distribution,
            # Erlang in place of the script, so that the process that is started is the one that is killed; and no
            # core kept busy while it waits.
            'RABBITMQ_ALLOW_INPUT': 'true',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                '-noinput +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}'
            ),
        }


_CONFIG = """
loopback_users.guest = true
disk_free_limit.absolute = 50MB
"""


@functools.cache
def server_program() -> str:
    """The path of the package's own ``rabbitmq-server``: Debian's on the PATH changes to a user of its own first.

    :raises LookupError: if there is none, and none can be installed
    """
    remedy = 'rabbitmq-server is not there: install RabbitMQ, or set TEST_RABBITMQ_URL'
    return processes.find_program(_found_program, 'rabbitmq-server', remedy)


def _found_program() -> str | None:
    own = sorted(pathlib.Path('/usr/lib/rabbitmq/lib').glob('rabbitmq_server-*/sbin/rabbitmq-server'))
    return str(own[-1]) if own else shutil.which('rabbitmq-server')


def _epmd_program(server: str) -> str:
    found = shutil.which('epmd')
    if found is None:
        raise LookupError(f"{server} is there, but Erlang's epmd is not on the PATH")
    return found


def _url(port: int) -> str:
    return f'amqp://guest:guest@127.0.0.1:{port}//'


def _answers(url: str) -> bool:
    import kombu

    connection = kombu.Connection(url, connect_timeout=5)
    try:
        connection.connect()
    except connection.recoverable_connection_errors:
        return False
    finally:
        connection.release()
    return True
