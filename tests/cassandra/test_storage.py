"""What the storages on Cassandra do beyond the contracts: intents, versions, what a time-out hides, sizes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('cassandra')

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, StorageError, UpdateConflictError
from stream_framework.storage.cassandra import connection, features, guard, intents
from stream_framework.storage.cassandra.activity_storage import CassandraActivityStorage
from stream_framework.storage.cassandra.timeline_storage import Batch, CassandraTimelineStorage
from stream_framework.verbs import Love
from tests.backends import Cassandra
from tests.contracts.support import act, acts, ids, members


@pytest.fixture(scope='module')
def made() -> Any:
    return Cassandra()


@pytest.fixture
def cassandra(made: Any) -> Any:
    made.start()
    return made


def execute(query: str, *values: Any) -> list[Any]:
    return list(connection.get_session().execute(query, values))


def partition(feed: Any) -> list[Any]:
    """All that is left of a feed, static columns included."""
    table = feed.timeline_storage.table.name
    return execute(f'SELECT * FROM {table} WHERE feed_id = %s', feed.key)


# intents


@pytest.fixture
def storage(cassandra: Any) -> Iterator[CassandraActivityStorage]:
    """No intents, and no table for them."""
    execute(f'DROP TABLE IF EXISTS {intents._table()}')
    yield CassandraActivityStorage()


def test_intents_without_their_table(storage: Any) -> None:
    assert storage.get_intents(['a', 'b']) == [None, None]
    storage.set_intents(['a'], 'added', 60, existing=True)
    assert storage.get_intents(['a']) == [None]
    keyspace = settings.STREAM_DEFAULT_KEYSPACE
    tables = execute('SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s', keyspace)
    assert intents.TABLE not in [row['table_name'] for row in tables]


def test_the_first_intent_makes_the_table(storage: Any) -> None:
    storage.set_intents(['a', 'b', 'a'], 'removed', 60)
    assert storage.get_intents(['b', 'c', 'a']) == ['removed', None, 'removed']


def test_only_existing_intents_turn(storage: Any) -> None:
    storage.set_intents(['a'], 'removed', 60)
    storage.add_and_turn([act(1)], ['a', 'b'], 'added', 60)
    assert storage.get_intents(['a', 'b']) == ['added', None]


def test_many_intents(storage: Any) -> None:
    names = [f'name {n}' for n in range(350)]
    storage.set_intents(names, 'removed', 60)
    assert storage.get_intents(names) == ['removed'] * 350


def test_intents_expire(storage: Any) -> None:
    storage.set_intents(['a'], 'removed', 60)
    [row] = execute(f'SELECT TTL(value) AS ttl FROM {intents._table()} WHERE name = %s', 'a')
    assert 0 < row['ttl'] <= 60


def test_an_intent_that_is_set_later_wins_by_any_clock(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = intents.time.time_ns()
    storage.set_intents(['a'], 'removed', 60)
    monkeypatch.setattr(intents.time, 'time_ns', lambda: now - 3600 * 10**9)
    storage.set_intents(['a'], 'added', 60, existing=True)
    assert storage.get_intents(['a']) == ['added']
    storage.set_intents(['a'], 'removed', 60)
    assert storage.get_intents(['a']) == ['removed']


# guarded changes


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_deleting_leaves_nothing(cassandra: Any, kind: str) -> None:
    feed = getattr(cassandra, kind)()(1)
    feed.add_many(acts(5))
    assert partition(feed)[0]['version'] > 0
    feed.delete()
    assert partition(feed) == []


def test_every_write_to_a_guarded_feed_sets_a_new_version(cassandra: Any) -> None:
    feed = cassandra.notification()(1)
    versions = []

    def written() -> None:
        versions.append(partition(feed)[0]['version'])

    feed.add_many([act(n, object=n) for n in range(5)])
    written()
    feed.remove(act(1, object=1))
    written()
    feed.trim(2)
    written()
    feed.mark_all()
    written()
    feed.mark_activity(feed[0][0])
    written()
    feed.update_markers(unseen_ids=[feed[0][0].serialization_id])
    written()
    feed.remove_many_aggregated(feed[1])
    written()
    feed.add_many_aggregated(feed.get_aggregator().aggregate([act(9, object=9)]))
    written()
    assert len(set(versions)) == len(versions)


def test_an_unguarded_feed_has_no_version(cassandra: Any) -> None:
    feed = cassandra.notification(guard_updates=False)(1)
    feed.add_many(acts(3))
    feed.remove(act(1))
    feed.mark_all()
    assert {row['version'] for row in partition(feed)} == {None}


@pytest.mark.parametrize('done', [True, False])
def test_a_change_of_which_nobody_knows_whether_it_was_done(
    cassandra: Any, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """As after a time-out: what was done isn't done again, what wasn't is."""
    feed = cassandra.notification()(1)
    feed.add_many(acts(20))
    sent = []

    def run_conditional(statements: Any) -> Any:
        sent.append(len(statements))
        if len(sent) > 1:
            return real(statements)
        if done:
            real(statements)
        return [None] * len(statements)

    real = guard.run_conditional
    monkeypatch.setattr(guard, 'run_conditional', run_conditional)
    feed.add(act(-1, object=500))
    assert len(sent) == (1 if done else 2)
    assert sum(group.activity_count for group in feed[:]) == 21
    assert feed.count_unseen() == feed.count()


def test_a_feed_that_others_keep_changing(cassandra: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = cassandra.aggregated()(1)
    feed.add(act(1))
    monkeypatch.setattr(guard, 'ATTEMPTS', 3)
    monkeypatch.setattr(
        guard, 'run_conditional', lambda statements: [[{'[applied]': False, 'version': 1}]] * len(statements)
    )
    with pytest.raises(UpdateConflictError, match=feed.key):
        feed.trim(1)
    with pytest.raises(UpdateConflictError, match=feed.key):
        feed.delete()


def test_threads_that_change_everything_about_a_feed(cassandra: Any) -> None:
    feed_class = cassandra.notification(max_length=1000)
    errors = []

    def work(number: int) -> None:
        try:
            feed = feed_class(1)
            for n in range(8):
                feed.add(act(number * 100 + n, object=number))
                feed.mark_activities([feed[0][0]])
                feed.trim(900)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    feed = feed_class(1)
    assert sorted(members(feed[:])) == sorted(
        (f'3-{number}-2013-07-08', ids(act(number * 100 + n, object=number) for n in range(8)), 0)
        for number in range(4)
    )
    assert set(feed.feed_markers.get('unseen')) <= {group.serialization_id for group in feed[:]}


# batches


def test_one_list_for_two_tables(cassandra: Any) -> None:
    """The same activities are other rows for another model."""
    one = cassandra.flat()
    other = cassandra.make(cassandra.user_feed_class)
    activities = acts(3)
    with one.get_timeline_batch_interface() as batch:
        for feed_class in (one, other, one):
            feed_class(1).add_many(activities, batch_interface=batch)
    assert one(1).count() == other(1).count() == 3


def test_batch_is_a_name_of_the_module_and_of_the_storage(cassandra: Any) -> None:
    feed_class = cassandra.flat()
    assert isinstance(feed_class.get_timeline_batch_interface(), Batch)
    assert CassandraTimelineStorage.Batch is Batch


def test_a_storage_that_writes_in_its_own_way_is_asked_for_each_feed(cassandra: Any) -> None:
    keys = []

    class Own(CassandraTimelineStorage):
        def add_to_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
            keys.append(key)
            assert all(isinstance(data, self.model) for data in activities.values())
            return super().add_to_storage(key, activities, *args, **kwargs)

    feed_class = cassandra.flat(timeline_storage_class=Own)
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in (1, 2):
            feed_class(user_id).add_many(acts(2), batch_interface=batch)
    assert keys == [feed_class(1).key, feed_class(2).key]
    assert feed_class(2).count() == 2


def test_removing_adding_and_trimming_one_feed_in_one_batch(cassandra: Any) -> None:
    feed_class = cassandra.flat()
    feed = feed_class(1)
    feed.add_many(acts(6))
    storage = feed.timeline_storage
    with storage.get_batch_interface() as batch:
        storage.remove_many(feed.key, [act(5)], batch_interface=batch)
        storage.add_many(feed.key, [act(7), act(5)], batch_interface=batch)
        storage.remove_many(feed.key, [act(4)], batch_interface=batch)
        storage.trim(feed.key, 3, batch_interface=batch)
        storage.add_many(feed.key, [act(-5)], batch_interface=batch)
    assert ids(feed[:]) == ids([act(7), act(5), act(3), act(-5)])


# sizes, and what can't be


def test_a_change_that_is_too_large(cassandra: Any) -> None:
    feed = cassandra.notification()(1)
    feed.add(act(1))
    large = [act(n, verb=Love, object=n, extra_context={'text': 'x' * 200_000}) for n in range(7)]
    with pytest.raises(StorageError, match='too large') as failed:
        feed.add_many(large)
    assert repr(feed.key) in str(failed.value)
    assert feed.count() == feed.count_unseen() == 1
    feed.add_many(large[:4])
    assert feed.count() == 5


def test_lists_are_the_feeds_business(cassandra: Any) -> None:
    lists = cassandra.notification()(1).feed_markers
    with pytest.raises(ConfigurationError, match='unseen and unread'):
        lists.add(other=['1'])
    with pytest.raises(ConfigurationError, match='CassandraNotificationFeed'):
        cassandra.notification_feed_class.markers_storage_class('key')


def test_a_storage_needs_a_table() -> None:
    with pytest.raises(ConfigurationError, match='timeline_cf_name'):
        CassandraTimelineStorage()


def test_flush_deletes_only_the_feeds_of_the_class(cassandra: Any) -> None:
    one, other = cassandra.flat(), cassandra.flat()
    for feed_class in (one, other):
        feed_class(1).add(act(1))
    one.flush()
    assert (one(1).count(), other(1).count()) == (0, 1)


@pytest.mark.parametrize('truncates', [True, False])
def test_flush_calls_a_storage_with_a_flush_of_its_own(
    cassandra: Any, truncates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    class Recording(cassandra.timeline_storage_class):  # type: ignore[misc,name-defined]
        def flush(self) -> None:
            flushed.append(self)
            super().flush()

    feed_class = cassandra.flat(timeline_storage_class=Recording, timeline_cf_name='with_own_flush')
    feed_class(1).add(act(1))
    if not truncates:
        monkeypatch.setattr(connection._open, 'lacking', {features.TRUNCATE})
    feed_class.flush()
    assert (len(flushed), feed_class(1).count()) == (1, 0)


def test_requests_do_not_wait_for_acknowledgements(cassandra: Any) -> None:
    """What is larger than the driver's buffer would take 40 ms more."""
    cassandra.flat()(1).add(act(1))
    pools = connection.get_session().get_pools()
    sockets = [made._socket for pool in pools for made in pool.get_connections()]
    assert sockets
    assert all(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for made in sockets)
