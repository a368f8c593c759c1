"""Trimming by id, exactly, with one range delete; and what a feed costs to read after that."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.feed_managers.base import add_operation
from stream_framework.storage.cassandra import trimming
from stream_framework.verbs import Love
from tests.cassandra.support import KINDS, made, new_key_format, requests, sessions
from tests.cassandra.support import feed_class as feed_class_of
from tests.contracts.support import act, acts, at, ids


@pytest.fixture
def feed(one: Any) -> Any:
    return made(one, 'flat')[0](1)


def tombstones(one: Any, feed: Any, limit: int) -> int:
    """How many tombstones the server goes over for the first page."""
    table = type(feed).get_timeline_storage().model.column_family_name()
    statement = f'SELECT * FROM {table} WHERE feed_id = %s LIMIT {limit}'
    trace = sessions(one.settings()).execute(statement, [feed.key], trace=True).get_query_trace(max_wait_sec=60)
    found = [re.search(r'and (\d+) tombstone', event.description) for event in trace.events]
    counts = [int(match[1]) for match in found if match]
    assert counts
    return max(counts)


@pytest.fixture
def filled(one: Any) -> Any:
    """A class of feeds that are trimmed by chance, 30 of which have 8 entries."""
    feed_class = made(one, 'flat', trim_chance=0.5, max_length=3)[0]
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(30):
            feed_class(user_id).add_many(acts(8), batch_interface=batch, trim=False)
    return feed_class


@pytest.mark.parametrize('drawn', [0.2, 0.7])
def test_chance_decides_once_for_a_chunk(one: Any, filled: Any, monkeypatch: pytest.MonkeyPatch, drawn: float) -> None:
    draws = iter([drawn])
    monkeypatch.setattr(random, 'random', lambda: next(draws))
    with requests() as sent:
        one.manager_class()().fanout(range(30), filled, add_operation, {'activities': acts(1, first=8), 'trim': True})
    trimmed = drawn < 0.5
    reads = [text for request in sent for text in request.statements if text.startswith('SELECT feed_id, activity_id')]
    assert len(reads) == (2 if trimmed else 0), 'of 20 feeds each'
    assert [filled(user_id).count() for user_id in range(30)] == [3 if trimmed else 9] * 30
    assert ids(filled(27)[:3]) == ids(acts(3, first=6))[::-1]


def test_chance_decides_for_each_feed_that_is_written_by_itself(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = itertools.cycle([0.2, 0.7, 0.9])
    monkeypatch.setattr(random, 'random', lambda: next(drawn))
    with filled.get_timeline_batch_interface() as batch:
        for user_id in range(30):
            filled(user_id).add(act(8), batch_interface=batch)
    assert [filled(user_id).count() for user_id in range(30)] == [3, 9, 9] * 10
    assert ids(filled(27)[:]) == ids(acts(3, first=6))[::-1]


@pytest.mark.parametrize('length', [3, 1200])
def test_many_feeds_are_trimmed_with_few_ids_at_a_time(one: Any, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(trimming, 'IDS_AT_A_TIME', 3 * (length + 2))
    feed_class = made(one, 'flat', trim_chance=0, max_length=length)[0]
    stored = acts(length + 5)
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(10):
            feed_class(user_id).add_many(stored[: length + user_id - 4], batch_interface=batch)
    feed_class.trim_chance = 1
    newest = act(10**6)
    with requests() as sent, feed_class.get_timeline_batch_interface() as batch:
        for user_id in range(10):
            feed_class(user_id).add(newest, batch_interface=batch)
    looked_at = [r for r in sent if any(' activity_id FROM ' in text or 'COUNT' in text for text in r.statements)]
    assert len(looked_at) >= 4
    for user_id in range(10):
        kept = ids(stored[: length + user_id - 4])[::-1][: length - 1]
        assert ids(feed_class(user_id)[:]) == [newest.serialization_id, *kept]


def test_a_long_feed(one: Any, feed: Any) -> None:
    everything = ids(acts(10_000))[::-1]
    feed.add_many(acts(10_000))
    assert feed.count() == 10_000
    with requests() as sent:
        feed.trim(100)
    assert len(sent) <= 2
    deletes = [text for request in sent for text in request.statements if text.startswith('DELETE')]
    assert len(deletes) == 1
    assert ids(feed[:]) == everything[:100]
    assert feed.count() == 100
    assert tombstones(one, feed, 25) <= 2
    assert tombstones(one, feed, 1000) <= 4
    with requests() as sent:
        feed[:25]
    assert (len(sent), sent.rows) == (1, 25)


def test_in_small_steps(one: Any) -> None:
    feed = made(one, 'flat', trim_chance=1, max_length=50)[0](1)
    for n in range(300):
        feed.add(act(n))
    assert ids(feed[:]) == ids(acts(50, first=250))[::-1]
    assert tombstones(one, feed, 25) <= 2


def test_what_is_new_by_id_stays_whenever_it_was_written(feed: Any) -> None:
    # 1.4.0 deleted by the time of writing: what was imported later, or written in the same moment, went wrong.
    newest, oldest = acts(20, first=80), acts(20)
    feed.add_many(newest)
    feed.add_many(acts(60, first=20))
    feed.add_many(oldest)
    feed.trim(20)
    assert ids(feed[:]) == ids(newest)[::-1]
    feed.add_many(oldest)
    feed.trim(30)
    assert ids(feed[:]) == [*ids(newest)[::-1], *ids(oldest)[::-1][:10]]


def test_of_one_millisecond(feed: Any) -> None:
    same = [Activity(1, Love, n, time=at(5)) for n in range(100)]
    feed.add_many(same)
    feed.trim(37)
    assert ids(feed[:]) == sorted(ids(same), reverse=True)[:37]


@pytest.mark.parametrize('length', [5, 6, 100])
def test_feeds_that_are_shorter(feed: Any, length: int) -> None:
    feed.trim(length)
    assert feed[:] == []
    feed.add_many(acts(5))
    feed.trim(length)
    assert ids(feed[:]) == ids(acts(5))[::-1]


@pytest.mark.parametrize('length', [None, 0])
def test_the_feeds_own_length(one: Any, length: Any) -> None:
    feed = made(one, 'flat', max_length=7)[0](1)
    feed.add_many(acts(30))
    feed.trim(length)
    assert ids(feed[:]) == ids(acts(7, first=23))[::-1]


@pytest.mark.parametrize('guard', [True, False])
@pytest.mark.parametrize('kind', KINDS)
def test_groups(one: Any, kind: str, guard: bool) -> None:
    attributes: dict[str, Any] = {} if guard else {'guard_updates': False, 'timeline_cf_name': f'unguarded_{kind}'}
    feed_class, _ = made(one, kind, merge_max_length=200, **attributes)
    feed = feed_class(1)
    feed.add_many(acts(120))
    with requests() as sent:
        feed.trim(10)
    assert any(request.conditional for request in sent) is guard
    deletes = [text for request in sent for text in request.statements if text.startswith('DELETE')]
    assert len(deletes) == 1
    assert [group.activities[0].object_id for group in feed[:]] == list(range(619, 609, -1))
    # Guarded writers go on where trimming has written.
    feed.add(act(500, object=615))
    assert [group.activity_count for group in feed[:3]] == [2, 1, 1]
    assert feed.count() == 10


@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_deleting(one: Any, kind: str) -> None:
    feed_class, _ = made(one, kind)
    feed, other = feed_class(1), feed_class(2)
    for some in (feed, other):
        some.add_many(acts(30))
    feed.delete()
    assert (feed.count(), feed[:]) == (0, [])
    assert other.count() == 30
    feed.delete()
    feed.add_many(acts(2))
    assert feed.count() == 2
    if kind == 'notification':
        assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 2}
        feed.delete()
        assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}


def test_removing_again_and_again(one: Any, feed: Any) -> None:
    feed.add_many(acts(100))
    for n in range(50):
        feed.remove(act(n))
        feed.remove(act(n))
    feed.remove_many(acts(25, first=50))
    assert ids(feed[:]) == ids(acts(25, first=75))[::-1]
    feed.add_many(acts(100))
    assert feed.count() == 100


def test_new_tables_suit_feeds(one: Any) -> None:
    """Options that keep tombstones from piling up are set where ``sync`` makes a table."""
    from stream_framework.storage.cassandra import schema

    feed_class = feed_class_of('flat', new_key_format(), timeline_cf_name='synced')
    schema.sync(feed_class)
    settings = one.settings()
    [row] = sessions(settings).execute(
        "SELECT * FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'synced'",
        [settings['STREAM_DEFAULT_KEYSPACE']],
    )
    assert 'Leveled' in row['compaction']['class'] or 'Unified' in row['compaction']['class']
    assert 0 < row['gc_grace_seconds'] < 864_000
