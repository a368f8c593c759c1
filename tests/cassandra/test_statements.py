"""What is sent to the server: prepared statements, in few requests, few waves of them, few under way at a time."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from cassandra import OperationTimedOut

from stream_framework.feed_managers.base import FanoutPriority, Manager, add_operation, remove_operation
from stream_framework.feed_managers.intents import intents_of
from stream_framework.storage.cassandra import client, intents
from stream_framework.storage.cassandra.connection import get_session
from tests import managers
from tests.cassandra.support import KINDS, assert_groups, by_object, made, requests
from tests.contracts.support import act, acts, ids


@pytest.fixture
def manager(one: Any) -> Any:
    managers.FOLLOWERS.clear()
    return one.manager_class()()


def fan_out(feed_class: Any, users: Any, activities: Any) -> None:
    with feed_class.get_timeline_batch_interface() as batch:
        for user_id in users:
            add_operation(feed_class(user_id), activities=activities, batch_interface=batch)


@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_everything_is_prepared(one: Any, kind: str) -> None:
    feed_class, _ = made(one, kind, trim_chance=1, max_length=3)
    feed = feed_class(1)
    with requests() as sent:
        for n in range(3):
            feed.add(act(n))
        feed.add_many(acts(5, first=10))
        fan_out(feed_class, range(30), acts(2, first=20))
        assert len(feed[:10]) <= 3
        feed[1:3]
        newest = feed[0][0]
        feed.filter(activity_id__lte=newest.serialization_id).order_by('activity_id')[:2]
        assert feed.index_of(newest) == 0
        feed.count()
        feed.remove(act(21))
        feed.remove_many(acts(2, first=10))
        feed.trim(1)
        if kind == 'notification':
            feed.mark_all(seen=True, read=True)
            feed.mark_activity(feed[0][0].serialization_id)
            feed.get_notification_data()
        feed.delete()
    assert len(sent) > 20
    assert {request.message for request in sent} <= {'ExecuteMessage', 'BatchMessage'}, sent
    for request in sent:
        for statement in request.statements:
            assert feed.key not in statement
            assert str(newest.serialization_id) not in statement


def test_fan_out_to_flat_feeds(nodes: Any) -> None:
    feed_class, _ = made(nodes, 'flat')
    fan_out(feed_class, [1000], acts(1))
    with requests() as sent:
        fan_out(feed_class, range(100), acts(1))
    assert sent.waves == ['write']
    assert len(sent) <= 10, 'unlogged batches of about 20'
    assert sum('INSERT' in statement for request in sent for statement in request.statements) == 100
    assert [feed_class(user_id).count() for user_id in range(0, 100, 9)] == [1] * 12


def test_fan_out_with_trimming(one: Any) -> None:
    feed_class, _ = made(one, 'flat', trim_chance=1, max_length=5)
    fan_out(feed_class, range(100), acts(8))
    with requests() as sent:
        fan_out(feed_class, range(100), acts(1, first=8))
    assert len(sent.waves) <= 4
    for user_id in range(0, 100, 9):
        assert ids(feed_class(user_id)[:]) == ids(acts(5, first=4))[::-1]


@pytest.fixture
def with_intents(one: Any, manager: Any) -> Any:
    """A manager whose intents have a table, and a class of flat feeds."""
    manager.user_feed_class.get_activity_storage().set_intents(['another'], 'removed', 60)
    return manager, made(one, 'flat', trim_chance=0)[0]


def test_a_fan_out_reads_the_intents_in_the_wave_that_writes(
    with_intents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, feed_class = with_intents
    manager.fanout(range(10), feed_class, add_operation, {'activities': acts(1)})
    answer, waited_for = client._answer, []
    with requests() as sent:
        monkeypatch.setattr(client, '_answer', lambda *args: waited_for.append(len(sent)) or answer(*args))
        manager.fanout(range(100), feed_class, add_operation, {'activities': acts(1, first=1)})
    assert sent.waves == ['write', 'read'], 'whoever sets an intent after this read undoes with later timestamps'
    assert waited_for == [len(sent)] * len(sent), 'all are sent before the first is waited for'
    assert len(sent) <= 6


def test_a_write_that_arrives_late_loses(with_intents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, feed_class = with_intents
    cluster = get_session().cluster
    stamp = cluster.timestamp_generator()
    manager.fanout(range(10), feed_class, remove_operation, {'activities': acts(1)})
    with monkeypatch.context() as patch:
        patch.setattr(cluster, 'timestamp_generator', lambda: stamp)
        manager.fanout(range(10), feed_class, add_operation, {'activities': acts(1)})
    assert [feed_class(user_id).count() for user_id in range(10)] == [0] * 10
    manager.fanout(range(10), feed_class, add_operation, {'activities': acts(1)})
    assert [feed_class(user_id).count() for user_id in range(10)] == [1] * 10


def test_after_a_write_is_sent_again_the_intents_are_read_again(
    with_intents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, feed_class = with_intents
    storage = manager.user_feed_class.get_activity_storage()
    answer, failed, activities = client._answer, [], acts(1, first=70)

    def fails_once(statement: Any, future: Any) -> Any:
        found = answer(statement, future)
        # The first of them, when all have been answered: the intents were read, and none was set yet.
        if not failed and len(sent) > 1 and sent[-1].rows is not None:
            failed.append(statement)
            storage.set_intents(intents_of(manager).of_activities(activities), 'removed', 60)
            raise OperationTimedOut
        return found

    with requests() as sent:
        monkeypatch.setattr(client, '_answer', fails_once)
        while not failed:
            manager.fanout(range(10), feed_class, add_operation, {'activities': activities})
    assert [feed_class(user_id).count() for user_id in range(10)] == [0] * 10


def test_a_fan_out_when_the_table_of_intents_has_gone(with_intents: Any) -> None:
    manager, feed_class = with_intents
    manager.fanout(range(10), feed_class, add_operation, {'activities': acts(1)})
    get_session().execute(f'DROP TABLE {intents._table()}')
    manager.fanout(range(10), feed_class, add_operation, {'activities': acts(1, first=1)})
    assert [feed_class(user_id).count() for user_id in range(10)] == [2] * 10


def test_trimming_in_a_fan_out_is_done_when_the_feeds_are_told(
    one: Any, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed_class, _ = made(one, 'flat', trim_chance=1, max_length=5)
    manager.fanout(range(10), feed_class, add_operation, {'activities': acts(8), 'trim': True})
    assert [feed_class(user_id).count() for user_id in range(10)] == [5] * 10
    counted = []
    monkeypatch.setattr(feed_class, 'on_update_feed', lambda feed, new, deleted: counted.append(feed.count()))
    manager.fanout(range(10), feed_class, add_operation, {'activities': acts(8, first=8), 'trim': True})
    assert counted == [5] * 10


@pytest.mark.parametrize('kind', KINDS)
def test_fan_out_to_groups(one: Any, kind: str) -> None:
    feed_class, _ = made(one, kind)
    fan_out(feed_class, range(100), acts(3))
    with requests() as sent:
        fan_out(feed_class, range(100), [act(50, object=501)])
    assert len(sent.waves) <= 2
    reads = [request for request in sent if request.reads]
    writes = [request for request in sent if not request.reads]
    assert len(reads) <= 20, 'the newest groups of many feeds at once'
    assert len(writes) == 100
    assert all(request.conditional for request in writes)
    assert sent.peak > 1


def test_fan_out_to_groups_without_the_guard(one: Any) -> None:
    feed_class, _ = made(one, 'aggregated', guard_updates=False, timeline_cf_name='unguarded_aggregated')
    fan_out(feed_class, range(100), acts(3))
    with requests() as sent:
        fan_out(feed_class, range(100), [act(50, object=501)])
        feed_class(1).remove(act(50, object=501))
        feed_class(1).trim(2)
    assert not any(request.conditional for request in sent)
    assert_groups(feed_class(2), by_object([*acts(3), act(50, object=501)]))


def test_what_is_under_way_is_bounded(one: Any) -> None:
    feed_class, _ = made(one, 'flat')
    with requests() as sent:
        fan_out(feed_class, range(6000), acts(1))
    assert 1 < sent.peak <= 200
    assert len(sent) >= 6000 / 40
    grouped, _ = made(one, 'aggregated')
    with requests() as sent:
        fan_out(grouped, range(600), acts(1))
    assert 1 < sent.peak <= 200
    assert grouped(599).count() == 1


@pytest.mark.parametrize('size', [0, 100, 2000, 6000])
def test_no_batch_is_larger_than_the_server_likes(one: Any, caplog: pytest.LogCaptureFixture, size: int) -> None:
    feed_class, _ = made(one, 'flat')
    activities = acts(3, extra_context={'text': 'x' * size})
    with caplog.at_level(logging.WARNING, logger='cassandra'), requests() as sent:
        fan_out(feed_class, range(100), activities)
        fan_out(feed_class, range(200, 300), activities[:1])
        fan_out(feed_class, range(400, 500), acts(1, extra_context={}))
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(200, 500):
                feed_class(user_id).remove_many(acts(1), batch_interface=batch)
        feed_class(1).add_many(acts(300, first=10, extra_context={'text': 'x' * size}))
    assert [record.getMessage() for record in caplog.records if 'atch' in record.getMessage()] == []
    if size == 100:
        assert len(sent) < 75
    assert feed_class(99).count() == 3
    assert feed_class(1).count() == 303


@pytest.mark.parametrize('kind', ['flat', *KINDS])
def test_the_first_page(one: Any, kind: str) -> None:
    feed = made(one, kind)[0](1)
    feed.add_many(acts(80))
    feed[:25]
    with requests() as sent:
        assert len(feed[:25]) == 25
    rows, limit = sent.rows, 2 if kind == 'notification' else 1
    assert len(sent) <= limit
    assert rows <= 25 + limit - 1
    with requests() as sent:
        assert len(feed[25:50]) == 25
    assert len(sent) <= limit + 1


@pytest.mark.parametrize('order', ['activity_id', '-activity_id'])
def test_pages_by_filter(one: Any, order: str) -> None:
    feed = made(one, 'flat')[0](1)
    feed.add_many(acts(300))
    middle = act(150).serialization_id
    name = 'activity_id__gt' if order == 'activity_id' else 'activity_id__lt'
    page = feed.filter(**{name: middle}).order_by(order)
    page[:1]
    with requests() as sent:
        found = page[:20]
    assert len(sent) == 1
    assert sent.rows == 20
    wanted = acts(20, first=151) if order == 'activity_id' else acts(20, first=130)[::-1]
    assert ids(found) == ids(wanted)


def test_deep_pages(one: Any) -> None:
    feed = made(one, 'flat')[0](1)
    everything = acts(6000)
    feed.add_many(everything)
    feed[100:125]
    for start in (500, 3000, 5990):
        with requests() as sent:
            found = feed[start : start + 25]
        assert len(sent) <= 2
        assert ids(found) == ids(everything)[::-1][start : start + 25]


def test_what_is_new_in_all_feeds_of_a_user(one: Any) -> None:
    classes = {kind: made(one, kind)[0] for kind in ('flat', *KINDS)}
    values = {'feed_classes': classes, 'user_feed_class': one.user_feed_class}
    manager = type('CountingManager', (Manager,), values)()
    for feed in manager.get_feeds(7).values():
        feed.add_many(acts(90))
        feed.mark_seen(until=act(9))
    counts = manager.count_new(7)
    assert counts['flat'] == 80
    with requests() as sent:
        assert manager.count_new(7) == counts
    # A mark, and the newest ids, of each.
    assert sent.waves == ['read']
    assert len(sent) == 2 * len(classes)
    flat = manager.get_feeds(7)['flat']
    flat.add_many(acts(110, first=100))
    with requests() as sent:
        assert flat.count_new() == 190
    # More than a hundred are counted by the server.
    assert len(sent) == 3
    assert sent.rows <= 1 + 101 + 1


def test_following(manager: Any) -> None:
    for target in range(20):
        manager.get_user_feed(target).add_many(acts(100, first=target * 100, actor=target))
    manager.feed_classes = {'normal': manager.feed_classes['normal']}
    feed = manager.get_feeds(77)['normal']
    feed.count()
    with requests() as sent:
        manager.follow_many_users(77, list(range(20)), async_=False)
    assert len(sent.waves) <= 4, sent.waves
    assert len(sent) <= 160
    assert feed.count() == 2000


def test_importing(manager: Any) -> None:
    manager.get_user_feed(505).count()
    with requests() as sent:
        manager.batch_import(505, acts(500, actor=505), fanout=False)
    assert len(sent) <= 60
    assert len(sent.waves) <= 2
    assert manager.get_user_feed(505).count() == 500


def test_publishing_and_fan_out_by_the_manager(manager: Any) -> None:
    managers.FOLLOWERS[5] = {FanoutPriority.HIGH: list(range(100, 200))}
    manager.fanout(list(range(100, 200)), manager.feed_classes['normal'], add_operation, {'activities': [act(0)]})
    with requests() as sent:
        manager.fanout(list(range(100, 200)), manager.feed_classes['normal'], add_operation, {'activities': [act(1)]})
    assert len(sent.waves) <= 2
    with requests() as sent:
        manager.fanout(
            list(range(100, 200)), manager.feed_classes['aggregated'], add_operation, {'activities': [act(1)]}
        )
    assert len(sent.waves) <= 4
