"""Cassandra for tests: at an address from the environment, in Docker, or out of Maven Central's jars.

``TEST_CASSANDRA_HOST`` and ``TEST_CASSANDRA_PORT`` name a node that is there; else Docker Compose starts one where an
engine answers; else a node runs from the jars, which Maven fetches once into the cache folder. Three nodes always come
from the jars, since tests kill and freeze them. ``TEST_CASSANDRA_VERSION`` (5.0.8; a 4.1.x wants Java 11) and
``TEST_CASSANDRA_JAVA`` choose what runs, ``TEST_CASSANDRA_JVM_ARGS`` overrides how: the defaults start fast, while
``-XX:TieredStopAtLevel=4 -Xmx1G`` serves fast in the long run.
"""

from __future__ import annotations

import fcntl
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

from tests.servers import processes

CONF = pathlib.Path(__file__).with_name('cassandra_conf')
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'stream-framework-tests'
VERSION = os.environ.get('TEST_CASSANDRA_VERSION', '5.0.8')
SERIES = VERSION.rpartition('.')[0]
#: Series -> the Java that it wants.
JAVA = {'5.0': 17, '4.1': 11}
CLUSTER_HOSTS = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
#: For how many seconds a node may start.
PATIENCE = 240


class Node:
    """A node that runs from the jars.

    :param host: its loopback address
    :param port: for clients, the same on every node of a cluster
    :param storage_port: for other nodes, likewise; the one after it must be free too
    :param index: its number in a cluster of three, ``None`` for a node by itself
    :param lasting: whether it may be killed and started again; one that may not is faster
    :param extra: further lines of its ``cassandra.yaml``
    """

    def __init__(
        self,
        host: str,
        port: int,
        storage_port: int,
        index: int | None = None,
        lasting: bool = True,
        extra: str = '',
    ) -> None:
        self.host = host
        self.port = port
        self.folder = processes.new_folder('cassandra')
        self.server: processes.Server | None = None
        self._storage_port = storage_port
        self._index = index
        self._lasting = lasting
        self._write_configuration(extra)

    def launch(self) -> None:
        """Start the process; :meth:`wait` says when it answers."""
        self.server = processes.Server(self._command(), self.folder)

    def wait(self) -> None:
        """Until it answers."""
        server = self.server
        assert server is not None
        processes.wait_until(
            lambda: not server.running or speaks_cql(self.host, self.port), PATIENCE, f'Cassandra on {self.host}'
        )
        if not server.running:
            raise LookupError(f'Cassandra {VERSION} stopped while starting:\n{server.last_words()}')

    def start(self) -> None:
        """Start it, again perhaps, and wait until it answers."""
        self.launch()
        self.wait()

    def kill(self) -> None:
        """``kill -9``; its data stays."""
        assert self.server is not None
        self.server.kill()

    def freeze(self) -> None:
        """``kill -STOP``: it keeps its connections and answers nothing."""
        assert self.server is not None
        os.kill(self.server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """``kill -CONT``."""
        assert self.server is not None
        os.kill(self.server.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, and delete its data."""
        if self.server is not None:
            self.server.stop()

    def _write_configuration(self, extra: str) -> None:
        text = (CONF / f'cassandra-{SERIES}.yaml').read_text()
        text = re.sub(r'(?m)^(listen_address|rpc_address):.*', rf'\1: {self.host}', text)
        if self._index is not None:
            text += f"initial_token: '{-(2**63) + self._index * 2**64 // 3}'\n"
            # A frozen node must not hold up its peers for as long as a busy machine may hold up a single one.
            text = re.sub(r'(?m)^(\w*_timeout): 30s', r'\1: 5s', text)
        (self.folder / 'cassandra.yaml').write_text(text + extra)
        for name in ('data', 'tmp', 'triggers'):
            (self.folder / name).mkdir()

    def _command(self) -> list[str]:
        libraries = fetch()
        folder = self.folder
        options = {
            'java.io.tmpdir': folder / 'tmp',
            'jna.tmpdir': folder / 'tmp',
            'logback.configurationFile': 'logback.xml',
            'cassandra-foreground': 'yes',
            'cassandra.config': f'file://{folder}/cassandra.yaml',
            'cassandra.storagedir': folder / 'data',
            'cassandra.logdir': folder,
            'cassandra.triggers_dir': folder / 'triggers',
            'cassandra.native_transport_port': self.port,
            'cassandra.storage_port': self._storage_port,
            'cassandra.ssl_storage_port': self._storage_port + 1,
            'cassandra.skip_wait_for_gossip_to_settle': 0,
            'cassandra.ring_delay_ms': 5000 if self._index else 1000,
            'cassandra.superuser_setup_delay_ms': 0,
            'cassandra.size_recorder_interval': 0,
        }
        if not self._lasting:
            # Nothing outlives the process: no flush of system tables, no fsync.
            options |= {
                'cassandra.unsafesystem': 'true',
                'cassandra.skip_sync': 'true',
                'cassandra.test.flush_local_schema_changes': 'false',
            }
        if self._index:
            # It takes its token at once, with no data to wait for.
            options |= {'cassandra.auto_bootstrap': 'false', 'cassandra.consistent.rangemovement': 'false'}
        heap = '640M' if self._index is None else '448M'
        return [
            'env',
            'MALLOC_ARENA_MAX=4',
            find_java(),
            f'@{CONF}/jvm-common.args',
            f'@{CONF}/jvm-{SERIES}-java{JAVA[SERIES]}.args',
            f'-Xms{heap}',
            f'-Xmx{heap}',
            *os.environ.get('TEST_CASSANDRA_JVM_ARGS', '').split(),
            f'-javaagent:{next(libraries.glob("jamm-*.jar"))}',
            *(f'-D{name}={value}' for name, value in options.items()),
            '-cp',
            f'{CONF}:{libraries}/*',
            'org.apache.cassandra.service.CassandraDaemon',
        ]


def one() -> dict[str, Any]:
    """Settings for one node, with a keyspace of this process's own."""
    return dict(_one())


@functools.lru_cache(None)
def _one() -> dict[str, Any]:
    if host := os.environ.get('TEST_CASSANDRA_HOST'):
        port = int(os.environ.get('TEST_CASSANDRA_PORT') or 9042)
        if not speaks_cql(host, port):
            raise LookupError(f'no Cassandra answers at TEST_CASSANDRA_HOST, {host}:{port}')
        return make_keyspace([host], port, 1, drop=True)
    if processes.has_docker_engine():
        _, port = processes.compose('cassandra', 'CASSANDRA_PORT', speaks_cql, PATIENCE)
        return make_keyspace(['127.0.0.1'], port, 1)
    node = single(lasting=False)
    node.start()
    return make_keyspace(['127.0.0.1'], node.port, 1)


def single(lasting: bool = True, extra: str = '') -> Node:
    """A node by itself at a free port, not started yet."""
    port, storage_port = _ports(['127.0.0.1'])
    return Node('127.0.0.1', port, storage_port, lasting=lasting, extra=extra)


@functools.lru_cache(None)
def nodes() -> list[Node]:
    """Three nodes of one cluster, which tests may kill, freeze and start again."""
    port, storage_port = _ports(CLUSTER_HOSTS)
    made = [Node(host, port, storage_port, index) for index, host in enumerate(CLUSTER_HOSTS)]
    made[0].start()
    for node in made[1:]:
        node.launch()
    for node in made[1:]:
        node.wait()
    return made


def cluster() -> dict[str, Any]:
    """Settings for three nodes, with a keyspace of this process's own that is on all three."""
    return dict(_cluster())


@functools.lru_cache(None)
def _cluster() -> dict[str, Any]:
    settings = make_keyspace(CLUSTER_HOSTS, nodes()[0].port, 3)
    wait_for_all(settings)
    return settings


def wait_for_all(settings: dict[str, Any]) -> None:
    """Until each node knows the keyspace and takes all nodes for up: it can write to every replica."""
    port, table = nodes()[0].port, f'{settings["STREAM_DEFAULT_KEYSPACE"]}.probe'
    for node in nodes():
        for statement in (
            f'CREATE TABLE IF NOT EXISTS {table} (id int PRIMARY KEY)',
            f'INSERT INTO {table} (id) VALUES (1)',
        ):
            processes.wait_until(
                lambda node=node, statement=statement: _succeeds(node.host, port, statement),
                120,
                f'the node on {node.host} to see the others',
            )


def _succeeds(host: str, port: int, statement: str) -> bool:
    from cassandra import DriverException
    from cassandra.cluster import NoHostAvailable

    try:
        execute([host], port, statement, level='ALL')
    except (DriverException, NoHostAvailable):
        return False
    return True


def stop_cluster() -> None:
    """End the three nodes; who asks for them again gets new ones, with another keyspace."""
    if nodes.cache_info().currsize:
        for node in nodes():
            node.stop()
    nodes.cache_clear()
    _cluster.cache_clear()


def make_keyspace(hosts: list[str], port: int, replicas: int, drop: bool = False) -> dict[str, Any]:
    """Create a keyspace with a name that is new, and give the settings for it.

    :param drop: drop it when the tests end, where the server goes on
    """
    keyspace = f'test_{uuid.uuid4().hex[:12]}'
    replication = f"{{'class': 'SimpleStrategy', 'replication_factor': {replicas}}}"
    execute(hosts, port, f'CREATE KEYSPACE {keyspace} WITH replication = {replication}')
    if drop:
        processes.at_end(lambda: execute(hosts, port, f'DROP KEYSPACE {keyspace}'))
    return {
        'STREAM_CASSANDRA_HOSTS': list(hosts),
        'STREAM_DEFAULT_KEYSPACE': keyspace,
        'CASSANDRA_DRIVER_KWARGS': {'port': port},
    }


def execute(hosts: list[str], port: int, statement: str, level: str = 'ONE') -> list[Any]:
    """Execute one statement through a connection of its own, to one of these hosts and no other."""
    from cassandra import ConsistencyLevel
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import WhiteListRoundRobinPolicy

    profile = ExecutionProfile(
        WhiteListRoundRobinPolicy(hosts),
        request_timeout=60,
        consistency_level=ConsistencyLevel.name_to_value[level],
    )
    profiles = {EXEC_PROFILE_DEFAULT: profile}
    with Cluster(hosts, port=port, connect_timeout=20, execution_profiles=profiles) as connected:
        return list(connected.connect().execute(statement))


def speaks_cql(host: str, port: int) -> bool:
    """Whether an ``OPTIONS`` frame (protocol 4) is answered by a ``SUPPORTED`` frame."""
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b'\x04\x00\x00\x00\x05\x00\x00\x00\x00')
            reply = connection.recv(9, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(reply) == 9 and reply[0] == 0x84 and reply[4] == 0x06


def fetch() -> pathlib.Path:
    """The folder with the server's jars, which Maven fills on first use."""
    folder = CACHE / f'cassandra-{VERSION}'
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        maven = shutil.which('mvn')
        if maven is None:
            processes.install_on_debian('maven')
            maven = 'mvn'
        filling = folder.with_suffix('.filling')
        shutil.rmtree(filling, ignore_errors=True)
        print(f'fetching the jars of Cassandra {VERSION} into {folder}', file=sys.stderr)
        done = subprocess.run(
            [
                *(maven, '--batch-mode', '--no-transfer-progress', '--file', str(CONF / 'pom.xml')),
                *(f'-Dcassandra.version={VERSION}', f'-Dcassandra.series={SERIES}', f'-Dcassandra.lib.dir={filling}'),
                'dependency:copy-dependencies',
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode or not list(filling.glob(f'cassandra-all-{VERSION}.jar')):
            raise LookupError(f'Maven could not fetch Cassandra {VERSION}:\n{done.stdout[-2000:]}{done.stderr[-1000:]}')
        filling.rename(folder)
    return folder


@functools.lru_cache(None)
def find_java() -> str:
    """The program of the Java that the version wants."""
    if SERIES not in JAVA:
        raise LookupError(f'tests know Cassandra {" and ".join(JAVA)}, not TEST_CASSANDRA_VERSION {VERSION}')
    wanted = JAVA[SERIES]
    for _ in range(2):
        for program in _javas():
            if _java_version(program) == wanted:
                return program
        if wanted == 17:
            processes.install_on_debian('openjdk-17-jre-headless')
    raise LookupError(f'Cassandra {VERSION} needs Java {wanted}: name one in TEST_CASSANDRA_JAVA')


def _javas() -> Iterator[str]:
    if program := os.environ.get('TEST_CASSANDRA_JAVA'):
        yield program
        return
    if home := os.environ.get('JAVA_HOME'):
        yield f'{home}/bin/java'
    if program := shutil.which('java'):
        yield program
    yield from map(str, pathlib.Path('/usr/lib/jvm').glob('*/bin/java'))


def _java_version(program: str) -> int | None:
    try:
        said = subprocess.run([program, '-version'], check=False, capture_output=True, text=True).stderr
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def _ports(hosts: list[str]) -> tuple[int, int]:
    """A port for clients, and one for nodes with a free neighbour."""
    for _ in range(50):
        port, storage_port = processes.free_ports(2, hosts)
        if all(processes.is_free(host, storage_port + 1) for host in hosts):
            return port, storage_port
    raise LookupError('no two neighbouring ports are free')
