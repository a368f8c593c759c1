"""Damaged and hostile values in every format: an error that names the key and the id, and nothing else happens."""

from __future__ import annotations

import os
import pickle
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.exceptions import SerializationException
from stream_framework.storage.redis.connection import get_redis_connection
from tests.contracts.support import act, acts, at
from tests.redis.test_concurrency import ByObject

GOOD = act(1, object=7, extra_context={'a': 'b'})

HOSTILE = pickle.dumps(type('Evil', (), {'__reduce__': lambda self: (os.mkdir, ('/nonexistent/evil',))})(), 0)

BAD_ACTIVITIES: dict[str, bytes] = {
    'empty': b'',
    'cut off': b'13,3,42,0',
    'cut off in the context': b'13,3,42,0,1373266755.000000,{"a":',
    'not UTF-8': b'13,3,42,0,1373266755.000000,\xff\xfe',
    'not UTF-8 at all': b'\x80\x81\x82',
    'unknown verb': b'13,999,42,0,1373266755.000000,',
    'no number': b'13,3,forty-two,0,1373266755.000000,',
    'no time': b'13,3,42,0,yesterday,',
    'a time beyond all calendars': b'13,3,42,0,999999999999.000000,',
    'a pickle that does something': b'13,3,42,0,1373266755.000000,' + HOSTILE,
    'a context that is no dict': b'13,3,42,0,1373266755.000000,[1]',
}
BAD_GROUPS: dict[str, bytes] = {
    'empty': b'',
    'cut off': b'v3object-7;;1373266755.000000;;13732',
    'unknown version': b'v9object-7;;1373266756.000000;;1373266756.000000;;-1;;-1;;1;;0',
    'not UTF-8': b'v3\xff\xfe;;1373266756.000000;;1373266756.000000;;-1;;-1;;1;;0',
    'no dates': b'v3object-7;;soon;;later;;-1;;-1;;1;;0',
    'never updated': b'v3object-7;;-1;;-1;;-1;;-1;;1;;0',
    'no count': b'v3object-7;;1373266756.000000;;1373266756.000000;;-1;;-1;;1;;many',
    'no ids': b'v3object-7;;1373266756.000000;;1373266756.000000;;-1;;-1;;one;two;;0',
    'too many parts': b'v3object-7;;1373266756.000000;;1373266756.000000;;-1;;-1;;1;;0;;0',
}


def raw_client() -> Any:
    """A client that sends bytes as they are."""
    return get_redis_connection()


@pytest.mark.parametrize('value', BAD_ACTIVITIES.values(), ids=BAD_ACTIVITIES)
@pytest.mark.parametrize('kind', ['flat', 'aggregated'])
def test_activities(redis_backend: Any, kind: str, value: bytes) -> None:
    feed = getattr(redis_backend, kind)()(1)
    feed.add_many([act(0), GOOD])
    cache = feed.activity_storage.get_cache()
    key = cache.get_key(GOOD.serialization_id)
    raw_client().hset(key, str(GOOD.serialization_id), value)
    with pytest.raises(SerializationException) as caught:
        feed[:10]
    assert repr(key) in str(caught.value)
    assert str(GOOD.serialization_id) in str(caught.value)
    # One bad entry is not dropped in silence, nor does it keep the rest from being repaired.
    feed.insert_activity(GOOD)
    assert feed[:10]


@pytest.mark.parametrize(
    'member', [b'', b'abc', b'12;13', b'\xff\xfe', b'1_000', b' 12', '٣'.encode(), '²'.encode(), b'12.5']
)
def test_ids(redis_backend: Any, member: bytes) -> None:
    feed = redis_backend.flat()(1)
    feed.add_many(acts(3))
    raw_client().zadd(feed.key, {member: float(act(1).serialization_id)})
    with pytest.raises(SerializationException) as caught:
        feed[:10]
    assert repr(feed.key) in str(caught.value)
    with pytest.raises(SerializationException):
        feed.filter(activity_id__lte=act(2).serialization_id)[:10]
    with pytest.raises(SerializationException):
        feed.order_by('activity_id')[:10]


@pytest.mark.parametrize('value', BAD_GROUPS.values(), ids=BAD_GROUPS)
@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_groups(redis_backend: Any, kind: str, value: bytes) -> None:
    feed = getattr(redis_backend, kind)(aggregator_class=ByObject)(1)
    feed.add_many([act(0, object=6), act(2, object=8)])
    if kind == 'notification' and b';;1;;' in value:
        value = value.replace(b';;1;;', b';;13,3,42,0,1373266755.000000,;;')
    raw_client().zadd(feed.key, {value: 1373266756000})
    for read in (
        lambda: feed[:10],
        lambda: feed.filter(activity_id__gt=0)[:10],
        lambda: feed.order_by('activity_id')[:10],
    ):
        with pytest.raises(SerializationException) as caught:
            read()
        assert repr(feed.key) in str(caught.value)
        assert '1373266756000' in str(caught.value)


@pytest.mark.parametrize('value', BAD_ACTIVITIES.values(), ids=BAD_ACTIVITIES)
def test_activities_within_groups(redis_backend: Any, value: bytes) -> None:
    feed = redis_backend.notification()(1)
    feed.add(act(0))
    time = b'1373266756.000000'
    entry = b';;'.join([b'v33-42-2013-07-08', time, time, b'-1', b'-1', b'13,3,42,0,' + time + b',;' + value, b'0'])
    raw_client().zadd(feed.key, {entry: 1373266756000})
    with pytest.raises(SerializationException) as caught:
        feed[:10]
    assert repr(feed.key) in str(caught.value)
    assert '1373266756000' in str(caught.value)


def test_bytes_that_are_no_text_survive_what_is_done_beside_them(redis_backend: Any) -> None:
    feed = redis_backend.aggregated(aggregator_class=ByObject, max_length=10, trim_chance=1)(1)
    bad = b'v3\xff\xfe;;1373266756.000000;;1373266756.000000;;-1;;-1;;1;;0'
    raw_client().zadd(feed.key, {bad: 1373266756000})
    # Whoever adds to another group doesn't look at it.
    feed.add(act(5, object=9))
    feed.add(act(6, object=9))
    found = raw_client().zrange(feed.key, 0, -1)
    assert len(found) == 2
    assert found[0].encode('utf-8', 'surrogateescape') == bad


def test_text_that_is_no_unicode(redis_backend: Any) -> None:
    feed = redis_backend.flat()('\ud800')
    for work in (feed.count, lambda: feed.add(act(1)), lambda: feed[:5]):
        with pytest.raises(SerializationException, match='UTF-8'):
            work()


def test_bytes_that_are_no_text_are_removed(redis_backend: Any) -> None:
    feed = redis_backend.flat()(1)
    feed.add_many(acts(3))
    raw_client().zadd(feed.key, {b'\xff\xfe': 5})
    feed.timeline_storage.get_cache(feed.key).remove_many(['\udcff\udcfe'])
    assert len(feed[:]) == 3


def test_a_group_without_activities_is_skipped(redis_backend: Any) -> None:
    feed = redis_backend.aggregated(aggregator_class=ByObject)(1)
    feed.add_many([act(n, object=n) for n in range(3)])
    raw_client().zadd(feed.key, {'v3object-7;;1373266756.000000;;1373266756.000000;;-1;;-1;;;;0': 1373266756000})
    assert [group.group for group in feed[:3]] == ['object-2', 'object-1', 'object-0']


def test_a_client_of_the_application_that_is_strict_about_text(redis_backend: Any, use: Any) -> None:
    import redis

    from stream_framework import settings

    config = dict(settings.STREAM_REDIS_CONFIG['default'])
    cluster = config.pop('cluster', False)
    if 'url' in config:
        client = redis.Redis.from_url(config['url'], decode_responses=True)
    else:
        client = (redis.cluster.RedisCluster if cluster else redis.Redis)(**config, decode_responses=True)
    feed = redis_backend.flat()(1)
    feed.add_many([act(0), GOOD])
    key = feed.activity_storage.get_cache().get_key(GOOD.serialization_id)
    raw_client().hset(key, str(GOOD.serialization_id), b'\xff\xfe')
    use({'client': client})
    with pytest.raises(SerializationException, match='UTF-8'):
        feed[:10]
    feed.insert_activity(GOOD)
    assert len(feed[:10]) == 2


@pytest.mark.parametrize('decode', [True, False])
def test_clients_of_the_application(redis_backend: Any, use: Any, decode: bool) -> None:
    """Whatever a ready client makes of replies."""
    import redis

    from stream_framework import settings

    config = dict(settings.STREAM_REDIS_CONFIG['default'])
    cluster = config.pop('cluster', False)
    if 'url' in config:
        client = redis.Redis.from_url(config['url'], decode_responses=decode)
    else:
        client = (redis.cluster.RedisCluster if cluster else redis.Redis)(**config, decode_responses=decode)
    use({'client': client})
    flat, groups = redis_backend.flat(max_length=30, trim_chance=1)(1), redis_backend.notification()(1)
    flat.add_many(acts(40))
    assert flat[:30] == acts(30, first=10)[::-1]
    assert flat.filter(activity_id__lt=act(20).serialization_id)[:5] == acts(5, first=15)[::-1]
    assert flat.index_of(act(39)) == 0
    groups.add_many([Activity(1, GOOD.verb, n, time=at(n // 3)) for n in range(9)])
    groups.add(Activity(2, GOOD.verb, 4, time=at(50)))
    assert [len(group) for group in groups[:]] == [2] + [1] * 8
    assert groups.get_notification_data() == {'unseen_count': 9, 'unread_count': 9}
    groups.mark_activity(groups[0][0])
    assert [group.is_seen for group in groups[:2]] == [True, False]
    groups.remove(Activity(2, GOOD.verb, 4, time=at(50)))
    assert len(groups[:]) == 9
    assert groups.index_of(groups[3][0]) == 3
