"""Databases that are locked, read-only, full, damaged or away, tables that are missing: one clear error for each."""

from __future__ import annotations

import pathlib
import pickle
import resource
import signal
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, SerializationException, StorageConnectionError, StorageError
from stream_framework.feed_managers.base import add_operation
from stream_framework.storage.errors import may_succeed_later
from stream_framework.storage.sql import client, config, connection, schema, tables
from stream_framework.storage.sql.connection import get_database, get_engine
from tests.backends import unavailable
from tests.contracts.support import act, acts
from tests.servers import postgres_nodes
from tests.sql.support import Flat, FlatManager, Grouped, Notifications, UserFeed


@pytest.fixture
def path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A SQLite file of the test's own; writers give up at once."""
    monkeypatch.setattr(client, 'PATIENCE', 0.2)
    found = tmp_path / 'feeds.sqlite3'
    settings.configure(
        STREAM_SQL_URL=f'sqlite:///{found}',
        STREAM_SQL_SCHEMA=None,
        STREAM_SQL_OPTIONS={'connect_args': {'timeout': 0.05}},
    )
    yield found
    connection.reset()
    settings.configure(STREAM_SQL_OPTIONS={})


def test_a_locked_file(path: pathlib.Path) -> None:
    Flat(1).add(act(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute('BEGIN IMMEDIATE')
    # Readers don't wait.
    assert len(Flat(1)[:5]) == 1
    with pytest.raises(StorageConnectionError, match=r'feeds\.sqlite3.*database is locked.*transaction open') as caught:
        Flat(1).add(act(2))
    assert isinstance(caught.value, sqlite3.OperationalError)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    other.execute('ROLLBACK')
    Flat(1).add(act(2))
    assert len(Flat(1)[:5]) == 2


def test_a_lock_that_is_given_back(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, 'PATIENCE', 30)
    Flat(1).add(act(1))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute('BEGIN IMMEDIATE')
    threading.Timer(0.2, other.rollback).start()
    Flat(1).add(act(2))
    assert len(Flat(1)[:5]) == 2


def test_a_file_that_can_only_be_read(path: pathlib.Path) -> None:
    Flat(1).add(act(1))
    connection.reset()
    settings.configure(STREAM_SQL_URL=f'sqlite:///file:{path}?mode=ro&uri=true')
    assert len(Flat(1)[:5]) == 1
    with pytest.raises(StorageError, match='readonly database.*who owns the file'):
        Flat(1).add(act(2))


def test_a_full_disk(path: pathlib.Path) -> None:
    Flat(1).add(act(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        with pytest.raises(StorageError):
            for number in range(100):
                Flat(1).add(act(number, extra_context={'text': 'x' * 10_000}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    Flat(1).add(act(1000))
    assert Flat(1)[:1][0].object_id == 1500


def test_a_database_that_may_not_grow(path: pathlib.Path) -> None:
    Flat(1).add(act(1))

    def limit(connected: Any, record: Any) -> None:
        connected.execute('PRAGMA max_page_count = 1')

    connection.reset()
    sqlalchemy.event.listen(get_engine(), 'connect', limit)
    with pytest.raises(StorageError, match='disk is full: make room'):
        Flat(1).add(act(2, extra_context={'text': 'x' * 100_000}))
    connection.reset()
    assert len(Flat(1)[:5]) == 1


@pytest.mark.parametrize('content', [b'no database' * 1000, b'SQLite format 3\0' + b'\xff' * 5000])
def test_a_damaged_file(path: pathlib.Path, content: bytes) -> None:
    path.write_bytes(content)
    for work in (lambda: Flat(1)[:5], lambda: Flat(1).add(act(1))):
        with pytest.raises(StorageError, match='damaged.*backup'):
            work()
    assert path.read_bytes() == content


def test_a_folder_that_is_missing(path: pathlib.Path) -> None:
    settings.configure(STREAM_SQL_URL=f'sqlite:///{path.parent}/none/feeds.sqlite3')
    with pytest.raises(StorageError, match='unable to open.*folder must exist'):
        Flat(1).add(act(1))


@pytest.mark.parametrize('version', [0, 99])
def test_tables_of_another_version(path: pathlib.Path, version: int) -> None:
    Flat(1).add(act(1))
    with get_engine().begin() as connected:
        connected.exec_driver_sql(f'UPDATE stream_schema SET version = {version}')
    connection.reset()
    with pytest.raises(StorageError, match=f'version {version}.*needs 1: .*' + ('newer' if version else 'sync')):
        Flat(1)[:5]


def test_tables_of_the_example_are_no_tables_of_ours(path: pathlib.Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute('CREATE TABLE stream_entries (key text, number text)')
        other.execute('CREATE TABLE stream_schema (version integer)')
        other.execute('INSERT INTO stream_schema VALUES (1)')
    with pytest.raises(StorageError, match='sync'):
        Flat(1).add(act(1))


def test_odd_keys_ids_and_contexts(database: Any) -> None:
    users = [
        "'; DROP TABLE stream_feeds; --",
        'a"b',
        '100%',
        '_',
        '%s',
        ':key',
        '狗é',
        'a\0b',
        '\x01',
        '*[?]',
        ' ',
        'x' * 500,
    ]
    for number, user in enumerate(users):
        for feed_class in (Flat, Grouped, Notifications):
            feed = feed_class(user)
            feed.add(act(number, actor=user, object=f'{user}{number}', extra_context={user: [user, 'n' * number]}))
            assert len(feed[:5]) == feed.count() == 1
            activity = feed[:1][0] if feed_class is Flat else feed[:1][0].activities[0]
            assert (activity.actor_id, activity.object_id) == (user, f'{user}{number}')
            assert activity.extra_context == {user: [user, 'n' * number]}
        assert Notifications(user).get_notification_data() == {'unseen_count': 1, 'unread_count': 1}
    for user in users:
        assert [len(feed_class(user)[:5]) for feed_class in (Flat, Grouped, Notifications)] == [1, 1, 1]
    Flat.flush()
    assert [Flat(user).count() for user in users] == [0] * len(users)
    assert Notifications('*[?]').count() == 1


def test_a_megabyte_of_context(database: Any) -> None:
    context = {'text': 'é\0' * 250_000}
    Flat(1).add(act(1, extra_context=context))
    Notifications(1).add(act(1, extra_context=context))
    assert Flat(1)[:1][0].extra_context == context
    assert Notifications(1)[:1][0].activities[0].extra_context == context


def test_what_is_no_utf8(database: Any) -> None:
    with pytest.raises(SerializationException, match='UTF-8'):
        Flat('\ud800').add(act(1))
    with pytest.raises(SerializationException, match='UTF-8'):
        FlatManager().fanout(['\ud800'], Flat, add_operation, {'activities': [act(1)]})


def test_a_key_that_is_too_long(database: Any) -> None:
    # What compresses well would fit.
    key = ''.join(chr(0x4E00 + (number * 7919) % 20000) for number in range(4000))
    if database.name == 'sqlite':
        Flat(key).add(act(1))
        assert Flat(key).count() == 1
    else:
        with pytest.raises(StorageError, match='too long'):
            Flat(key).add(act(1))


def test_errors_hold_no_password(path: pathlib.Path) -> None:
    settings.configure(STREAM_SQL_OPTIONS={})
    for password in ('to%2Fp-secret', 'other'):
        settings.configure(STREAM_SQL_URL=f'postgresql://tests:{password}@127.0.0.1:1/feeds?sslpassword=secret2')
        with pytest.raises(StorageConnectionError) as caught:
            Flat(1)[:5]
        text = f'{caught.value!r} {caught.value}'
        assert 'postgresql+psycopg://tests@127.0.0.1:1/feeds' in text
        assert not any(secret in text for secret in ('secret', 'other', 'to/p'))


@pytest.mark.parametrize('scheme', ['postgres', 'postgresql', 'postgresql+psycopg'])
def test_urls_of_postgresql_mean_psycopg_3(path: pathlib.Path, scheme: str) -> None:
    pytest.importorskip('psycopg')
    settings.configure(STREAM_SQL_URL=f'{scheme}://anna@localhost/feeds')
    assert str(config.get_url()) == 'postgresql+psycopg://anna@localhost/feeds'


@pytest.mark.parametrize(
    ('url', 'message'),
    [
        ('mysql://user:secret@host/name', 'not in mysql'),
        ('no url: secret', 'no URL of a database'),
        (None, 'no URL of a database'),
    ],
)
def test_urls_that_can_not_work(url: Any, message: str) -> None:
    settings.configure(STREAM_SQL_URL=url)
    connection.reset()
    with pytest.raises(ConfigurationError, match=message) as caught:
        get_engine()
    assert 'secret' not in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('STREAM_SQL_OPTIONS', {'pool_sise': 3}, 'pool_sise'),
        ('STREAM_SQL_OPTIONS', 'pool_size=3', 'give a dict'),
        ('STREAM_SQL_ENGINE', 'sqlite://', 'create_engine'),
    ],
)
def test_settings_that_can_not_work(path: pathlib.Path, name: str, value: Any, message: str) -> None:
    settings.configure(**{name: value})
    try:
        with pytest.raises(ConfigurationError, match=message):
            get_engine()
    finally:
        settings.configure(STREAM_SQL_OPTIONS={}, STREAM_SQL_ENGINE=None)


@pytest.fixture(scope='module')
def server() -> Iterator[Any]:
    """A PostgreSQL that is only ours: it is killed, and has few connections."""
    try:
        made = postgres_nodes.LocalPostgres(max_connections='8', superuser_reserved_connections='1')
    except LookupError as error:
        unavailable(str(error))
    yield made
    made.stop()


@pytest.fixture
def postgres(server: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    chosen = request.config.getoption('--backend')
    if chosen and 'postgres' not in chosen:
        pytest.skip('--backend does not name postgres')
    settings.configure(**server.settings, STREAM_SQL_OPTIONS={'pool_timeout': 5})
    connection.reset()
    tables.create(get_database())
    yield server
    connection.reset()
    settings.configure(STREAM_SQL_OPTIONS={})


def test_a_missing_table(postgres: Any) -> None:
    postgres_nodes.execute(postgres.url, 'DROP TABLE stream_entries, stream_schema')
    connection.reset()
    for work in (lambda: Flat(1)[:5], lambda: Flat(1).add(act(1))):
        with pytest.raises(StorageError, match='does not exist.*python -m stream_framework sync'):
            work()
    tables.create(get_database())
    Flat(1).add(act(1))


def test_a_server_that_was_restarted(postgres: Any) -> None:
    """Connections of the pool are broken; what is asked for works all the same."""
    Flat('restarted').add(act(1))
    postgres.kill()
    with pytest.raises(StorageConnectionError, match='is it running'):
        Flat('restarted').add(act(2))
    postgres.start()
    Flat('restarted').add(act(2))
    postgres.kill()
    postgres.start()
    assert len(Flat('restarted')[:5]) == 2


def test_connections_that_were_ended(postgres: Any) -> None:
    Flat('ended').add(act(1))
    end = (
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    postgres_nodes.execute(postgres.url, end)
    Flat('ended').add(act(2))
    postgres_nodes.execute(postgres.url, end)
    assert len(Flat('ended')[:5]) == 2


def test_too_many_connections(postgres: Any) -> None:
    import psycopg

    Flat(1)[:1]
    connection.reset()
    taken = []
    try:
        with pytest.raises(psycopg.OperationalError):
            for _ in range(20):
                taken.append(psycopg.connect(postgres.url.replace('+psycopg', '')))
        with pytest.raises(StorageConnectionError, match='connections are taken') as caught:
            Flat(1)[:5]
        assert may_succeed_later(caught.value)
    finally:
        for one in taken:
            one.close()
    Flat(1)[:5]


def test_a_pool_that_is_used_up(postgres: Any) -> None:
    settings.configure(STREAM_SQL_OPTIONS={'pool_size': 1, 'max_overflow': 0, 'pool_timeout': 0.2})
    with get_engine().connect(), pytest.raises(StorageConnectionError, match='pool are taken'):
        Flat(1)[:5]
    Flat(1)[:5]


def test_a_refused_user(postgres: Any) -> None:
    settings.configure(STREAM_SQL_URL=postgres.url.replace('tests:', 'nobody:'))
    with pytest.raises(StorageConnectionError, match='other credentials') as caught:
        Flat(1)[:5]
    assert postgres_nodes.PASSWORD not in str(caught.value)
    settings.configure(STREAM_SQL_URL=postgres.url.replace('/postgres', '/missing'))
    with pytest.raises(StorageConnectionError, match='no such database'):
        Flat(1)[:5]


def test_a_schema(postgres: Any) -> None:
    settings.configure(STREAM_SQL_SCHEMA='feeds')
    with pytest.raises(StorageError, match='schema'):
        tables.sync(get_database())
    postgres_nodes.execute(postgres.url, 'CREATE SCHEMA feeds')
    assert len(tables.sync(get_database())) == len(schema.TABLES)
    assert tables.sync(get_database()) == []
    Flat(1).add_many(acts(3))
    Notifications(1).add(act(1))
    assert (Flat(1).count(), Notifications(1).count_unseen()) == (3, 1)
    assert postgres_nodes.execute(postgres.url, 'SELECT count(*) FROM feeds.stream_feeds') == [(2,)]
    UserFeed.insert_activity(act(7))
    settings.configure(STREAM_SQL_SCHEMA='feeds; DROP')
    with pytest.raises(ConfigurationError, match='STREAM_SQL_SCHEMA'):
        get_database()
    settings.configure(STREAM_SQL_SCHEMA=None)


def test_sync_by_several_at_once(postgres: Any) -> None:
    postgres_nodes.execute(postgres.url, 'CREATE SCHEMA IF NOT EXISTS together')
    settings.configure(STREAM_SQL_SCHEMA='together')
    database, made = get_database(), []
    threads = [threading.Thread(target=lambda: made.append(tables.sync(database))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, made)) == [0, 0, 0, len(schema.TABLES)]
    settings.configure(STREAM_SQL_SCHEMA=None)


def test_an_engine_of_the_applications(path: pathlib.Path) -> None:
    """Whose SQLite begins transactions by itself; readers don't wait for a writer."""
    engine = sqlalchemy.create_engine(f'sqlite:///{path}', connect_args={'timeout': 0.05})
    settings.configure(STREAM_SQL_ENGINE=engine)
    try:
        assert get_engine() is engine
        Flat(1).add_many(acts(3))
        Notifications(1).add(act(1))
        with engine.begin() as connected:
            connected.exec_driver_sql("DELETE FROM stream_feeds WHERE key = 'nobody'")
            assert len(Flat(1)[:5]) == 3
        assert (Flat(1).count(), Notifications(1).count_unseen()) == (3, 1)
        # A single statement is committed, too.
        UserFeed.insert_activity(act(7))
        Flat.get_timeline_storage().trim(Flat(1).key, 2)
        connection.reset()
        assert engine.connect().close() is None
        assert UserFeed.get_activity_storage().get_many([act(7).serialization_id]) == [act(7)]
        assert Flat(1).count() == 2
    finally:
        settings.configure(STREAM_SQL_ENGINE=None)
        engine.dispose()
