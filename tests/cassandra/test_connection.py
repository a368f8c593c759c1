"""Connecting: lazily, once for each process, again after a fork, and with whatever the settings say."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, StorageConnectionError, StorageError
from tests.backends import unavailable
from tests.cassandra.support import ROOT, made, sessions
from tests.contracts.support import act, acts, ids
from tests.forks import in_a_fork
from tests.servers import processes


@pytest.fixture
def feed(one: Any) -> Any:
    return made(one, 'flat')[0](1)


def connections(session: Any) -> int:
    """How many connections the server has of this process, besides the plain session's."""
    rows = session.execute('SELECT port FROM system_views.clients')
    ports = {row['port'] for row in rows}
    return len(ports & own_ports())


def own_ports() -> set[int]:
    """The local ports of this process's sockets."""
    inodes = set()
    for name in os.listdir('/proc/self/fd'):
        try:
            inodes.add(os.readlink(f'/proc/self/fd/{name}'))
        except FileNotFoundError:
            continue
    found = set()
    with open('/proc/self/net/tcp') as table:
        for line in list(table)[1:]:
            fields = line.split()
            if f'socket:[{fields[9]}]' in inodes:
                found.add(int(fields[1].rpartition(':')[2], 16))
    return found


# lazy


IMPORTS = """
import socket
def refuse(*args, **kwargs):
    raise AssertionError('a socket was opened')
socket.socket.connect = socket.getaddrinfo = refuse
import stream_framework.storage.cassandra.connection as connection
import stream_framework.feeds.cassandra as flat
import stream_framework.feeds.aggregated_feed.cassandra as aggregated
import stream_framework.feeds.notification_feed.cassandra as notification
import stream_framework.storage.cassandra.models
import stream_framework.storage.cassandra.activity_storage
import stream_framework.storage.cassandra.timeline_storage
import stream_framework.serializers.cassandra.activity_serializer
import stream_framework.serializers.cassandra.aggregated_activity_serializer
feeds = [
    flat.CassandraFeed(1), aggregated.CassandraAggregatedFeed(1), notification.CassandraNotificationFeed(1)
]
for feed in feeds:
    feed.filter(activity_id__gt=5).order_by('activity_id')
    feed.timeline_storage, feed.activity_storage, feed[5:5]
connection.reset()
print('nothing was connected')
"""


def test_importing_and_making_feeds_connects_to_nothing(one: Any) -> None:
    done = subprocess.run(
        [sys.executable, '-c', IMPORTS], capture_output=True, text=True, cwd=ROOT, env=environment(), check=False
    )
    assert done.stdout == 'nothing was connected\n', done.stderr


def environment(**values: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith('STREAM_')}
    return {**inherited, **values}


def test_no_server(one: Any, feed: Any) -> None:
    [port] = processes.free_ports(1)
    hosts = ['127.0.0.1', '127.0.0.2']
    settings.configure(STREAM_CASSANDRA_HOSTS=hosts, CASSANDRA_DRIVER_KWARGS={'port': port, 'connect_timeout': 2})
    for work in (lambda: feed.add(act(1)), lambda: feed[:10], lambda: feed.count(), lambda: feed.delete()):
        with pytest.raises(StorageConnectionError) as failed:
            work()
        for host in hosts:
            assert f'{host}:{port}' in str(failed.value)


def test_a_server_that_says_nothing(one: Any, feed: Any) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen()
        port = listener.getsockname()[1]
        settings.CASSANDRA_DRIVER_KWARGS = {'port': port, 'connect_timeout': 1}
        with pytest.raises(StorageConnectionError, match=f'127.0.0.1:{port}'):
            feed.add(act(1))
    settings.configure(**one.settings())
    feed.add(act(1))
    assert feed.count() == 1


@pytest.mark.parametrize('hosts', [[], '', ['no-such-host.invalid']], ids=repr)
def test_hosts_that_are_none(one: Any, feed: Any, hosts: Any) -> None:
    settings.STREAM_CASSANDRA_HOSTS = hosts
    with pytest.raises(StorageError if hosts else ConfigurationError) as failed:
        feed[:10]
    assert 'STREAM_CASSANDRA_HOSTS' in str(failed.value)


# a server of its own: down, up, down, up; passwords; TLS


SECURE = """
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
client_encryption_options:
  enabled: true
  optional: true
  keystore: {keystore}
  keystore_password: changeit
"""


@pytest.fixture(scope='module')
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A node that isn't started yet, wants a password, and takes TLS."""
    from tests.servers import cassandra_nodes

    try:
        keytool = os.path.join(os.path.dirname(os.path.realpath(cassandra_nodes.find_java())), 'keytool')
        if not os.path.exists(keytool):
            raise LookupError(f'this Java has no {keytool}')
    except LookupError as error:
        unavailable(str(error))
    folder = tmp_path_factory.mktemp('keys')
    keystore = folder / 'keystore'
    subprocess.run(
        [
            *(keytool, '-genkeypair', '-keystore', str(keystore), '-storepass', 'changeit', '-keypass', 'changeit'),
            *('-alias', 'node', '-keyalg', 'RSA', '-dname', 'CN=localhost', '-ext', 'SAN=ip:127.0.0.1'),
        ],
        check=True,
        capture_output=True,
    )
    node = cassandra_nodes.single(extra=SECURE.format(keystore=keystore))
    node.certificate = folder / 'certificate'
    with open(node.certificate, 'wb') as certificate:
        subprocess.run(
            [keytool, '-exportcert', '-rfc', '-keystore', str(keystore), '-storepass', 'changeit', '-alias', 'node'],
            check=True,
            stdout=certificate,
            stderr=subprocess.DEVNULL,
        )
    yield node
    node.stop()


@pytest.fixture
def up(one: Any, guarded: Any) -> Any:
    """The same node, started, with the keyspace and the table of flat feeds."""
    if guarded.server is None or not guarded.server.running:
        guarded.start()
    make_table(one, guarded)
    return guarded


def make_table(one: Any, guarded: Any) -> None:
    """Create the keyspace, and the table of flat feeds, on the node."""
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cqlengine.management import sync_table

    from stream_framework.storage.cassandra.connection import setup_connection

    provider = PlainTextAuthProvider('cassandra', 'cassandra')
    settings.CASSANDRA_DRIVER_KWARGS = {'port': guarded.port, 'auth_provider': provider, 'connect_timeout': 5}
    setup_connection().execute(
        f'CREATE KEYSPACE IF NOT EXISTS {settings.STREAM_DEFAULT_KEYSPACE} '
        "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    sync_table(one.feed_class.get_timeline_storage().model)


def test_a_server_that_comes_and_goes(one: Any, guarded: Any) -> None:
    from cassandra.auth import PlainTextAuthProvider

    flat = made(one, 'flat')[0](1)
    provider = PlainTextAuthProvider('cassandra', 'cassandra')
    settings.CASSANDRA_DRIVER_KWARGS = {'port': guarded.port, 'auth_provider': provider, 'connect_timeout': 5}
    with pytest.raises(StorageConnectionError):
        flat.add(act(1))
    guarded.start()
    make_table(one, guarded)
    flat.add_many(acts(3))
    # A server that is killed may forget what came in its last tenth of a second.
    time.sleep(1)
    guarded.kill()
    for work in (lambda: flat[:10], lambda: flat.add(act(4))):
        with pytest.raises(StorageConnectionError, match=str(guarded.port)):
            work()
    guarded.start()
    # The same process, the same feed object, and nothing was reset.
    flat.add(act(5))
    assert ids(flat[:]) == ids([act(5), *acts(3)[::-1]])


def test_a_wrong_password(one: Any, feed: Any, up: Any) -> None:
    from cassandra.auth import PlainTextAuthProvider

    for provider in (PlainTextAuthProvider('cassandra', 'pa55word'), None):
        kwargs = {'port': up.port, 'auth_provider': provider} if provider else {'port': up.port}
        settings.CASSANDRA_DRIVER_KWARGS = kwargs
        with pytest.raises(StorageConnectionError) as failed:
            feed.add(act(1))
        assert 'auth_provider' in str(failed.value)
        assert 'pa55word' not in str(failed.value)


def test_a_role_that_may_not(one: Any, feed: Any, up: Any) -> None:
    from cassandra import Unauthorized
    from cassandra.auth import PlainTextAuthProvider

    from stream_framework.storage.cassandra.connection import get_session

    port = up.port
    settings.CASSANDRA_DRIVER_KWARGS = {'port': port, 'auth_provider': PlainTextAuthProvider('cassandra', 'cassandra')}
    get_session().execute("CREATE ROLE IF NOT EXISTS reader WITH PASSWORD = 'reader' AND LOGIN = true")
    settings.CASSANDRA_DRIVER_KWARGS = {'port': port, 'auth_provider': PlainTextAuthProvider('reader', 'reader')}
    with pytest.raises(Unauthorized) as failed:
        feed.add(act(1))
    assert isinstance(failed.value, StorageError)


def test_tls(one: Any, feed: Any, up: Any) -> None:
    import ssl

    from cassandra.auth import PlainTextAuthProvider

    from stream_framework.storage.cassandra.connection import get_session

    context = ssl.create_default_context(cafile=str(up.certificate))
    kwargs = {'port': up.port, 'auth_provider': PlainTextAuthProvider('cassandra', 'cassandra')}
    context.check_hostname = False
    settings.CASSANDRA_DRIVER_KWARGS = {**kwargs, 'ssl_context': context}
    rows = get_session().execute('SELECT ssl_enabled FROM system_views.clients')
    assert any(row['ssl_enabled'] if isinstance(row, dict) else row.ssl_enabled for row in rows)
    before = get_session()
    strict = ssl.create_default_context()
    strict.check_hostname = False
    settings.CASSANDRA_DRIVER_KWARGS = {**kwargs, 'ssl_context': strict, 'connect_timeout': 3}
    with pytest.raises(StorageConnectionError):
        feed.add(act(1))
    assert before.cluster.is_shutdown, 'what the settings no longer name is let go'


# one session


def test_threads_share_one_session(one: Any, session: Any, feed: Any) -> None:
    from stream_framework.storage.cassandra.connection import get_session, reset

    reset()
    before = connections(session)
    barrier = threading.Barrier(16)
    found: list[Any] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait()
        try:
            for n in range(20):
                feed.add(act(n * 16 + number))
                feed[:5]
            found.append(get_session())
        except BaseException as error:  # noqa: BLE001  # for the main thread to show
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({id(session) for session in found}) == 1
    assert feed.count() == 320
    # One for the cluster's news, one for the work.
    assert connections(session) - before == 2


def test_reset_closes(one: Any, session: Any, feed: Any) -> None:
    from stream_framework.storage.cassandra.connection import get_session, reset

    feed.add(act(1))
    old = get_session()
    before = connections(session)
    reset()
    assert old.is_shutdown
    assert old.cluster.is_shutdown
    processes.wait_until(lambda: before - connections(session) == 2, 30, 'the server to see it')
    reset()
    assert feed.count() == 1
    assert get_session() is not old


def test_changed_settings_make_a_new_connection(one: Any, feed: Any) -> None:
    from stream_framework.storage.cassandra.connection import get_session

    feed.add(act(1))
    old = get_session()
    assert get_session() is old
    settings.CASSANDRA_DRIVER_KWARGS = {**settings.CASSANDRA_DRIVER_KWARGS, 'protocol_version': 4}
    assert feed.count() == 1
    assert get_session() is not old
    assert get_session().cluster.protocol_version == 4
    assert old.is_shutdown


def test_another_keyspace(one: Any, feed: Any) -> None:
    from tests.servers import cassandra_nodes

    host, port = settings.STREAM_CASSANDRA_HOSTS, settings.CASSANDRA_DRIVER_KWARGS['port']
    feed.add(act(1))
    first = settings.STREAM_DEFAULT_KEYSPACE
    second = cassandra_nodes.make_keyspace(host, port, 1)['STREAM_DEFAULT_KEYSPACE']
    settings.STREAM_DEFAULT_KEYSPACE = second
    with pytest.raises(StorageError, match=second):
        feed.count()
    from cassandra.cqlengine.management import sync_table

    from stream_framework.storage.cassandra.connection import setup_connection

    setup_connection()
    sync_table(type(feed).get_timeline_storage().model)
    assert feed.count() == 0
    feed.add_many(acts(2))
    assert feed.count() == 2
    settings.STREAM_DEFAULT_KEYSPACE = first
    assert feed.count() == 1


# forks


def test_a_fork_has_its_own_session(one: Any, feed: Any) -> None:
    from stream_framework.storage.cassandra.connection import get_session

    feed.add(act(1))
    old = get_session()

    def child() -> Any:
        feed.add(act(2))
        return [feed.count(), get_session() is old, len(feed[:])]

    assert in_a_fork(child) == [2, False, 2]
    assert get_session() is old
    feed.add(act(3))
    assert feed.count() == 3


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_forks_of_a_process_whose_threads_are_writing(one: Any, kind: str) -> None:
    feed_class, _ = made(one, kind)
    feed_class(1).add(act(0))
    stop = threading.Event()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            n = 0
            while not stop.is_set():
                feed_class(number).add(act(n := n + 1))
        except BaseException as error:  # noqa: BLE001  # for the main thread to show
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10, 14)]
    for thread in threads:
        thread.start()
    try:
        for n in range(1, 9):
            assert in_a_fork(lambda n=n: [feed_class(1).add(act(n)) is not None, feed_class(1)[:] != []]) == [
                True,
                True,
            ]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert sum(group.activity_count for group in feed_class(1)[:]) == 9


def test_a_fork_while_the_drivers_locks_are_taken(one: Any, feed: Any) -> None:
    from stream_framework.storage.cassandra.connection import get_session

    feed.add(act(1))
    pools = get_session()._pools.values()
    with contextlib.ExitStack() as held:
        for pool in pools:
            taken, release = threading.Event(), threading.Event()

            def hold(lock: Any = pool._connection.lock, taken: Any = taken, release: Any = release) -> None:
                with lock:
                    taken.set()
                    release.wait()

            thread = threading.Thread(target=hold)
            thread.start()
            held.callback(thread.join)
            held.callback(release.set)
            taken.wait()
        assert in_a_fork(lambda: [feed.add(act(2)), feed.count()][1], patience=30) == 2
    assert feed.count() == 2


def test_forks_of_forks(one: Any, feed: Any) -> None:
    feed.add(act(1))

    def child() -> Any:
        feed.add(act(2))
        grandchild = in_a_fork(lambda: [feed.add(act(3)), feed.count()])
        return [grandchild[1], feed.count()]

    assert in_a_fork(child) == [3, 3]


# consistency and the driver's keywords


def levels(work: Callable[[], Any]) -> set[int]:
    """The consistency levels of the requests that work makes."""
    from stream_framework.storage.cassandra.connection import get_session

    found = set()

    def remember(future: Any) -> None:
        found.add(future.message.consistency_level)

    session = get_session()
    session.add_request_init_listener(remember)
    try:
        work()
    finally:
        session.remove_request_init_listener(remember)
    return found


@pytest.mark.parametrize('level', ['LOCAL_ONE', 'local_one', 'All', 5, None], ids=str)
def test_consistency_by_name_or_value(one: Any, level: Any) -> None:
    from cassandra import ConsistencyLevel

    if level is not None:
        settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = level
    wanted = {None: 'ONE', 5: 'ALL'}.get(level, str(level).upper())
    for kind in ('flat', 'aggregated', 'notification'):
        feed = made(one, kind)[0](1)

        def work(feed: Any = feed) -> None:
            feed.add(act(1))
            assert len(feed[:10]) == 1
            feed.remove(act(1))
            feed.count()

        found = levels(work)
        assert found == {ConsistencyLevel.name_to_value[wanted]}, kind


@pytest.mark.parametrize('level', ['SOME', '', 99, 1.5, 'any', 'SERIAL', 9], ids=repr)
def test_a_consistency_level_that_is_none(one: Any, feed: Any, level: Any) -> None:
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = level
    with pytest.raises(ConfigurationError) as failed:
        feed.count()
    assert repr(level) in str(failed.value)
    assert 'LOCAL_QUORUM' in str(failed.value)


def test_no_protocol_version_is_forced(one: Any) -> None:
    from stream_framework.storage.cassandra.connection import get_session

    assert get_session().cluster.protocol_version >= 5


def test_driver_keywords_are_passed_through(one: Any, feed: Any) -> None:
    from cassandra import ConsistencyLevel
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile
    from cassandra.policies import RoundRobinPolicy

    from stream_framework.storage.cassandra.connection import get_session

    policy, provider = RoundRobinPolicy(), PlainTextAuthProvider('a', 'b')
    profile = ExecutionProfile(policy, request_timeout=17, consistency_level=ConsistencyLevel.ALL)
    settings.CASSANDRA_DRIVER_KWARGS = {
        **settings.CASSANDRA_DRIVER_KWARGS,
        'auth_provider': provider,
        'execution_profiles': {EXEC_PROFILE_DEFAULT: profile, 'reports': ExecutionProfile(policy)},
        'protocol_version': 4,
        'idle_heartbeat_interval': 11,
        'application_name': 'news',
    }
    assert levels(lambda: feed.add(act(1))) == {ConsistencyLevel.ALL}
    cluster = get_session().cluster
    assert cluster.auth_provider is provider
    assert cluster.protocol_version == 4
    assert cluster.idle_heartbeat_interval == 11
    assert cluster.application_name == 'news'
    assert cluster.profile_manager.default is profile
    assert 'reports' in cluster.profile_manager.profiles


def test_a_load_balancing_policy_alone(one: Any, feed: Any) -> None:
    from cassandra import ConsistencyLevel
    from cassandra.policies import RoundRobinPolicy

    from stream_framework.storage.cassandra.connection import get_session

    policy = RoundRobinPolicy()
    settings.CASSANDRA_DRIVER_KWARGS = {**settings.CASSANDRA_DRIVER_KWARGS, 'load_balancing_policy': policy}
    settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL = 'ALL'
    assert levels(lambda: feed.add(act(1))) == {ConsistencyLevel.ALL}
    assert get_session().cluster.profile_manager.default.load_balancing_policy is policy


@pytest.mark.parametrize('kwargs', [{'prot': 9042}, ['port'], None], ids=repr)
def test_wrong_driver_keywords(one: Any, feed: Any, kwargs: Any) -> None:
    settings.CASSANDRA_DRIVER_KWARGS = kwargs
    with pytest.raises(ConfigurationError, match='CASSANDRA_DRIVER_KWARGS'):
        feed.count()


def test_the_environment(one: Any, feed: Any, tmp_path: Any) -> None:
    """A process that knows where Cassandra is from its environment alone."""
    feed.add(act(1))
    values = one.settings()
    port = values['CASSANDRA_DRIVER_KWARGS']['port']
    code = (
        'from stream_framework.feeds.cassandra import CassandraFeed\n'
        f'CassandraFeed.key_format = {type(feed).key_format!r}\n'
        'print(CassandraFeed(1).count())'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env=environment(
            STREAM_CASSANDRA_HOSTS=','.join(f'{host}:{port}' for host in values['STREAM_CASSANDRA_HOSTS']),
            STREAM_DEFAULT_KEYSPACE=values['STREAM_DEFAULT_KEYSPACE'],
            STREAM_CASSANDRA_CONSISTENCY_LEVEL='LOCAL_ONE',
        ),
    )
    assert done.stdout == '1\n', done.stderr


def test_cqlengine_works_beside_it(one: Any, feed: Any) -> None:
    """Applications query the models themselves."""
    feed.add_many(acts(3))
    model = type(feed).get_timeline_storage().model
    assert model.objects.filter(feed_id=feed.key).count() == 3
    assert [row.actor for row in model.objects.filter(feed_id=feed.key)] == [1002, 1001, 1000]
    assert sessions(one.settings()).execute(f'SELECT count(*) FROM {model.column_family_name()}').one()['count'] >= 3
