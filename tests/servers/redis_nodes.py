"""Redis servers: from the environment, else by Docker Compose, else processes of this machine.

==========================================  ==========================================================================
in the environment                          what it names
==========================================  ==========================================================================
``TEST_REDIS_URL``                          a plain server, ``redis://...``
``TEST_REDIS_HOST`` and ``TEST_REDIS_PORT``  the same by its parts; each has a default (127.0.0.1, 6379)
``TEST_REDIS_CLUSTER``                      a node of a Redis Cluster, ``host:port``
==========================================  ==========================================================================

What the environment names is used, never stopped and never flushed: tests delete no more than their own keys. Servers
that are to fail, refuse, or move slots are always processes of this machine.
"""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import shutil
import subprocess
from typing import Any

from tests.servers import processes

#: How long a server may take until it answers, in seconds.
PATIENCE = 30
#: Primaries of the cluster.
NODES = 3

_SLOTS = 16384
# What a connection of the cluster's bus is at: the port that clients use and 10,000.
_BUS = 10000


def given(*names: str) -> bool:
    """Whether the environment names a server: then it isn't the tests' own."""
    return any(os.environ.get(f'TEST_REDIS_{name}') for name in names)


@functools.cache
def one() -> dict[str, Any]:
    """A plain server, as an entry of ``STREAM_REDIS_CONFIG``."""
    if given('URL'):
        return {'url': os.environ['TEST_REDIS_URL']}
    if given('HOST', 'PORT'):
        host, port = os.environ.get('TEST_REDIS_HOST'), os.environ.get('TEST_REDIS_PORT')
        return {'host': host or '127.0.0.1', 'port': int(port or 6379)}
    if processes.has_docker_engine():
        try:
            _, port = processes.compose(
                'redis', 'REDIS_PORT', lambda host, port: _answers({'host': host, 'port': port})
            )
        except LookupError:
            # An engine that can't get the image, say.
            return LocalRedis().config
        return {'host': '127.0.0.1', 'port': port}
    return LocalRedis().config


@functools.cache
def cluster() -> dict[str, Any]:
    """A Redis Cluster of three primaries, as an entry of ``STREAM_REDIS_CONFIG``.

    Never by Docker Compose: nodes in containers tell clients addresses that are of no use outside.
    """
    if given('CLUSTER'):
        host, _, port = os.environ['TEST_REDIS_CLUSTER'].partition(',')[0].rpartition(':')
        return {'host': host, 'port': int(port), 'cluster': True}
    return LocalCluster().config


class LocalRedis:
    """A ``redis-server`` of this machine, at a free port of the loopback interface. It keeps its data in memory.

    :param password: what clients must know
    :param tls: whether it speaks TLS, and nothing else
    :param sentinel: lines of configuration that make it a Sentinel
    :param options: further lines of configuration: ``maxmemory='10mb'`` becomes ``maxmemory 10mb``
    """

    def __init__(
        self, password: str | None = None, tls: bool = False, sentinel: list[str] | None = None, **options: Any
    ) -> None:
        self.host = '127.0.0.1'
        self.port = _free_port()
        self._password = password
        self._tls = certificates() if tls else None
        self._sentinel = sentinel
        self._options = options
        self._process: processes.Server | None = None
        self.start()

    @property
    def config(self) -> dict[str, Any]:
        """An entry of ``STREAM_REDIS_CONFIG``."""
        config: dict[str, Any] = {'host': self.host, 'port': self.port}
        if self._password:
            config['password'] = self._password
        if self._tls:
            config |= {'ssl': True, 'ssl_ca_certs': str(self._tls / 'server.crt')}
        return config

    def client(self, **options: Any) -> Any:
        """A new client, for what the library has no hand in."""
        import redis

        return redis.Redis(**{**self.config, 'decode_responses': True, **options})

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None, 'it was stopped'
        return self._process.pid

    def start(self) -> None:
        """Start it, after :meth:`stop` at the port it had, and wait until it answers.

        :raises LookupError: if it does not
        """
        program = server_program()
        folder = processes.new_folder('redis')
        (folder / 'redis.conf').write_text('\n'.join([*self._lines(folder), '']))
        command = [program, str(folder / 'redis.conf'), *(['--sentinel'] if self._sentinel else [])]
        process = self._process = processes.Server(command, folder, grace=5)

        def ready() -> bool:
            if not process.running:
                raise LookupError(f'{program} ended: {process.last_words()}')
            return _answers(self.config)

        processes.wait_until(ready, PATIENCE, f'{program} at port {self.port}')

    def stop(self) -> None:
        """Stop it, as a crash does: what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.stop()
            self._process = None

    def __enter__(self) -> LocalRedis:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def _lines(self, folder: pathlib.Path) -> list[str]:
        lines = [f'bind {self.host}', f'dir {folder}', 'protected-mode no']
        if self._sentinel:
            return [*lines, f'port {self.port}', *(f'sentinel {line}' for line in self._sentinel)]
        lines += ['save ""', 'appendonly no', 'repl-diskless-sync-delay 0']
        if self._tls:
            key, certificate = self._tls / 'server.key', self._tls / 'server.crt'
            lines += ['port 0', f'tls-port {self.port}', 'tls-auth-clients no']
            lines += [f'tls-key-file {key}', f'tls-cert-file {certificate}', f'tls-ca-cert-file {certificate}']
        else:
            lines.append(f'port {self.port}')
        if self._password:
            lines.append(f'requirepass {self._password}')
        return lines + [f'{name.replace("_", "-")} {value}' for name, value in self._options.items()]


class LocalCluster:
    """A Redis Cluster of three primaries, without replicas: slots 0 to 5460, to 10921 and to 16383."""

    def __init__(self) -> None:
        enabled = {'cluster_enabled': 'yes', 'cluster_node_timeout': 5000}
        self.nodes = [LocalRedis(**enabled) for _ in range(NODES)]
        clients = [node.client() for node in self.nodes]
        edges = [_SLOTS * number // NODES for number in range(NODES + 1)]
        for number, client in enumerate(clients):
            client.execute_command('CLUSTER ADDSLOTS', *range(edges[number], edges[number + 1]))
            client.execute_command('CLUSTER SET-CONFIG-EPOCH', number + 1)
            for node in self.nodes[:number]:
                client.execute_command('CLUSTER MEET', node.host, node.port)
        processes.wait_until(lambda: all(map(_knows_all_slots, clients)), PATIENCE, 'the nodes of a Redis Cluster')
        for client in clients:
            client.close()

    @property
    def config(self) -> dict[str, Any]:
        """An entry of ``STREAM_REDIS_CONFIG``."""
        return {**self.nodes[0].config, 'cluster': True}

    def client(self) -> Any:
        """A new client, for what the library has no hand in."""
        import redis.cluster

        return redis.cluster.RedisCluster(host=self.nodes[0].host, port=self.nodes[0].port, decode_responses=True)

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()


class LocalSentinel:
    """A primary, its replica, and a Sentinel that calls them ``feeds``."""

    def __init__(self) -> None:
        self.primary = LocalRedis()
        self.replica = LocalRedis(replicaof=f'{self.primary.host} {self.primary.port}')
        address = f'{self.primary.host} {self.primary.port}'
        self.sentinel = LocalRedis(sentinel=[f'monitor feeds {address} 1', 'down-after-milliseconds feeds 1000'])

    @property
    def config(self) -> dict[str, Any]:
        """An entry of ``STREAM_REDIS_CONFIG``."""
        return {'sentinels': [(self.sentinel.host, self.sentinel.port)], 'service_name': 'feeds'}

    def stop(self) -> None:
        """Stop all three."""
        for server in (self.sentinel, self.replica, self.primary):
            server.stop()

    def __enter__(self) -> LocalSentinel:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()


@functools.cache
def server_program() -> str:
    """The path of ``redis-server``, or of Valkey's, which is the same to us.

    :raises LookupError: if there is none, and none can be installed
    """
    remedy = 'redis-server is not on the PATH: install Redis, or set TEST_REDIS_URL'
    return processes.find_program(_found_program, 'redis-server', remedy)


def _found_program() -> str | None:
    return shutil.which('redis-server') or shutil.which('valkey-server')


@functools.cache
def certificates() -> pathlib.Path:
    """A folder with ``server.key`` and ``server.crt`` for 127.0.0.1; the certificate is its own authority.

    :raises LookupError: without openssl
    """
    folder = processes.new_folder('certificates')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=localhost']
    command += ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    command += ['-keyout', str(folder / 'server.key'), '-out', str(folder / 'server.crt')]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LookupError(f'no certificates for a TLS server: {error}') from error
    return folder


def _answers(config: dict[str, Any]) -> bool:
    import redis

    try:
        with redis.Redis(**config, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _free_port() -> int:
    while True:
        [port] = processes.free_ports(1)
        if not processes.answers('127.0.0.1', port + _BUS):
            return port


def _knows_all_slots(client: Any) -> bool:
    info = client.execute_command('CLUSTER INFO')
    state = info.get('cluster_state') if isinstance(info, dict) else 'ok' * ('cluster_state:ok' in info)
    return state == 'ok' and len(client.execute_command('CLUSTER SLOTS')) == NODES
