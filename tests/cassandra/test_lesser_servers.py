"""Servers that speak less than Cassandra's CQL: a real one, with a session that refuses what they refuse."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cassandra import InvalidRequest, OperationTimedOut

from stream_framework.exceptions import ConfigurationError, StorageError
from stream_framework.feed_managers.base import add_operation
from stream_framework.storage.cassandra import connection, features, pages, schema, trimming
from tests.backends import RUN
from tests.cassandra.support import KINDS, _statements, assert_groups, by_object, made, new_key_format, requests
from tests.contracts.support import act, acts, ids

#: What is refused -> whether a statement has it.
REFUSED: dict[str, Callable[[str], bool]] = {
    'aggregates': lambda query: 'COUNT(' in query.upper(),
    'limits of partitions': lambda query: 'PER PARTITION LIMIT' in query,
    'conditions': lambda query: ' IF ' in query and 'IF NOT EXISTS' not in query,
    'timestamps': lambda query: 'USING TIMESTAMP' in query and 'DELETE' in query,
    'truncating': lambda query: query.startswith('TRUNCATE'),
    'static columns': lambda query: ' static' in query,
}
REFUSED['all of them'] = lambda query: any(test(query) for name, test in REFUSED.items() if name != 'all of them')


class Refusing:
    """Makes the library's session refuse some statements, when they are prepared or when they are sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
        self.monkeypatch, self.stage = monkeypatch, stage
        #: What was refused.
        self.refused: list[str] = []

    def __call__(self, test: Callable[[str], bool], error: BaseException | None = None) -> None:
        session = connection.get_session()
        prepare, execute = session.prepare, session.execute_async

        def check(query: str) -> None:
            if test(query):
                self.refused.append(query)
                raise error or InvalidRequest(f'Error from server: code=2200 message="{query[:9]} is unsupported"')

        def checked_prepare(query: str, *args: Any, **kwargs: Any) -> Any:
            if self.stage == 'prepared':
                check(query)
            return prepare(query, *args, **kwargs)

        def checked_execute(statement: Any, *args: Any, **kwargs: Any) -> Any:
            for query in _statements(statement):
                check(query)
            return execute(statement, *args, **kwargs)

        self.monkeypatch.setattr(session, 'prepare', checked_prepare)
        self.monkeypatch.setattr(session, 'execute_async', checked_execute)


@pytest.fixture(params=['prepared', 'sent'])
def refusing(one: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Refusing]:
    connection.reset()
    yield Refusing(monkeypatch, request.param)
    monkeypatch.undo()
    connection.reset()


@pytest.mark.parametrize('what', REFUSED)
def test_flat_feeds(one: Any, refusing: Refusing, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trimming, 'COUNTED_BEFORE_TRIMMING', 5)
    monkeypatch.setattr(pages, 'IDS_PER_PAGE', 7)
    refusing(REFUSED[what])
    feed_class = made(one, 'flat')[0]
    feed = feed_class(1)
    everything = acts(40)
    feed.add_many(everything)
    assert feed.count() == len(feed) == 40
    for n in (39, 20, 0):
        assert feed.index_of(act(n)) == 39 - n
    with pytest.raises(ValueError, match='is not in feed'):
        feed.index_of(act(99))
    feed.trim(40)
    feed.trim(41)
    assert feed.count() == 40
    feed.trim(30)
    assert ids(feed[:]) == ids(everything[10:])[::-1]
    feed.trim(4)
    assert ids(feed[:]) == ids(everything[36:])[::-1]
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(2, 30):
            add_operation(feed_class(user_id), activities=everything[:3], batch_interface=batch)
    assert {feed_class(user_id).count() for user_id in range(2, 30)} == {3}
    feed.add(act(39, extra_context={'text': 'old'}, target=4))
    feed.add(act(39))
    assert (feed[0][0].extra_context, feed[0][0].target_id) == ({}, None)
    feed.remove(act(39))
    feed.delete()
    assert feed.count() == 0


@pytest.mark.parametrize('what', ['aggregates', 'limits of partitions', 'conditions', 'all of them'])
@pytest.mark.parametrize('kind', KINDS)
def test_feeds_of_groups(one: Any, refusing: Refusing, what: str, kind: str) -> None:
    feed_class = made(one, kind, large=True, aggregator_class=_by_object())[0]
    refusing(REFUSED[what])
    activities = [act(n, object=n % 4) for n in range(40)]
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(25):
            add_operation(feed_class(user_id), activities=activities[:20], batch_interface=batch)
    random.Random(5).shuffle(activities)
    feed = feed_class(1)
    for activity in activities[:10]:
        feed.add(activity)
    feed.add_many(activities[10:])
    assert_groups(feed, by_object(activities))
    assert_groups(feed_class(24), by_object([act(n, object=n % 4) for n in range(20)]))
    if kind == 'notification':
        assert feed.count_unseen() == 4
        feed.mark_all(seen=True, read=True)
        assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
        feed.add(act(50, object=1))
        assert feed.count_unseen() == 1
        feed.remove(act(50, object=1))
    feed.remove_many([act(n, object=n % 4) for n in range(40) if n % 4 == 1])
    assert feed.count() == 3
    assert feed.index_of(feed[2][0]) == 2
    feed.trim(2)
    assert len(feed[:]) == 2
    feed.delete()
    assert feed[:] == []
    assert refusing.refused


def _by_object() -> Any:
    from tests.contracts.aggregated_feed import ByObject

    return ByObject


def test_it_is_found_out_once(one: Any, refusing: Refusing, caplog: pytest.LogCaptureFixture) -> None:
    refusing(REFUSED['all of them'])
    feed_class = made(one, 'aggregated')[0]
    with caplog.at_level(logging.INFO, logger='stream_framework.storage.cassandra.fallbacks'):
        for _ in range(2):
            for user_id in range(3):
                feed = feed_class(user_id)
                feed.add_many(acts(3))
                feed.trim(2)
                assert feed.count() == 2
            seen = len(refusing.refused)
            said = levels(caplog)
    for user_id in range(3, 9):
        feed_class(user_id).add_many(acts(3))
        assert feed_class(user_id).count() == 3
    assert len(refusing.refused) == seen
    assert said == levels(caplog)
    assert said.count('WARNING') == 1, 'that changes are not guarded'


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name.startswith('stream_framework')]


def test_unguarded_changes_are_plain(one: Any, refusing: Refusing) -> None:
    refusing(REFUSED['conditions'])
    feed = made(one, 'notification')[0](1)
    feed.add(act(1))
    with requests() as sent:
        feed.add(act(2))
        feed.mark_all()
        feed.remove(act(2))
        feed.delete()
    assert not any(request.conditional for request in sent)


def test_a_new_session_asks_again(one: Any, refusing: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(REFUSED['conditions'])
    feed = made(one, 'aggregated')[0](1)
    feed.add(act(1))
    monkeypatch.undo()
    connection.reset()
    feed = made(one, 'aggregated')[0](1)
    with requests() as sent:
        feed.add(act(2))
    assert any(request.conditional for request in sent)


@pytest.mark.parametrize(
    'error',
    [
        InvalidRequest('Batch too large'),
        InvalidRequest('table example does not exist'),
        InvalidRequest('Undefined column name version in table'),
        OperationTimedOut(),
    ],
    ids=str,
)
def test_other_errors_decide_nothing(one: Any, refusing: Refusing, error: Any) -> None:
    feed = made(one, 'aggregated')[0](1)
    feed.add(act(1))
    refusing(lambda query: True, error)
    for work in (lambda: feed.add(act(2)), feed.count, lambda: feed.trim(1)):
        with pytest.raises(StorageError):
            work()
    assert connection.lacking() == set()


def test_what_fails_without_a_feature_too_decides_nothing(one: Any, refusing: Refusing) -> None:
    feed = made(one, 'aggregated')[0](1)
    feed.add(act(1))
    refusing(lambda query: 'INSERT' in query or ' IF ' in query)
    with pytest.raises(InvalidRequest, match='unsupported'):
        feed.add(act(2))
    assert connection.lacking() == set()


def test_sync_without_static_columns(one: Any, refusing: Refusing) -> None:
    from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
    from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed
    from stream_framework.storage.cassandra import models

    def feed_class(base: Any, **attributes: Any) -> Any:
        name = f'no_static_{refusing.stage}_{base.__name__}_{RUN}'.lower()[:48]
        return type('Feed', (base,), {'key_format': new_key_format(), 'timeline_cf_name': name, **attributes})

    refusing(REFUSED['static columns'])
    grouped = feed_class(CassandraAggregatedFeed)
    said: list[str] = []
    schema.sync(grouped, say=said.append)
    assert any('static columns' in line for line in said)
    grouped(1).add_many(acts(3))
    grouped(1).remove(act(1))
    assert [len(group) for group in grouped(1)[:]] == [2]
    notifications = feed_class(CassandraNotificationFeed)
    with pytest.raises(ConfigurationError, match='static columns.*timeline_model = models.AggregatedActivity'):
        schema.sync(notifications)
    from stream_framework.storage.memory import InMemoryListsStorage

    there = feed_class(
        CassandraNotificationFeed,
        timeline_model=models.AggregatedActivity,
        markers_storage_class=InMemoryListsStorage,
        markers_key_format=new_key_format(),
    )
    schema.sync(there)
    there(1).add_many(acts(3))
    assert there(1).count_unseen() == 3
    there(1).mark_all()
    assert (there(1).count_unseen(), there(1).count()) == (0, 3)


def test_flushing(one: Any, refusing: Refusing) -> None:
    feed_class = made(one, 'flat', timeline_cf_name=f'flushed_{refusing.stage}_{RUN}'.lower())[0]
    storage = feed_class.get_timeline_storage()
    for user_id in range(5):
        feed_class(user_id).add(act(1))
    refusing(REFUSED['truncating'])
    storage.flush()
    assert [feed_class(user_id).count() for user_id in range(5)] == [0] * 5


@pytest.mark.parametrize(
    ('query', 'feature'),
    [
        (f'SELECT {pages.COUNTED} FROM a WHERE b = ?', features.COUNT),
        ('SELECT a FROM b WHERE c IN ? PER PARTITION LIMIT ?', features.PARTITION_LIMIT),
        ('UPDATE a SET b = ? WHERE c = ? IF b = ?', features.CONDITIONS),
        ('DELETE b FROM a WHERE c = ? IF b != 0', features.CONDITIONS),
        ('CREATE TABLE IF NOT EXISTS a (b int, c int static, PRIMARY KEY (b))', features.STATIC),
        ('CREATE TABLE IF NOT EXISTS a (b int PRIMARY KEY)', None),
        ('INSERT INTO a (b) VALUES (?) USING TTL ? AND TIMESTAMP ?', None),
        ('SELECT a FROM b WHERE c = ?', None),
        ('TRUNCATE a', features.TRUNCATE),
    ],
)
def test_features_of_statements(query: str, feature: Any) -> None:
    assert features.feature_of(query) == feature
