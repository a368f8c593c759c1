"""What 1.4.0 left in Redis reads back as 1.4.0 read it, and goes on: added to, removed from, trimmed, marked."""

from __future__ import annotations

import datetime
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.feed_managers.base import Manager
from stream_framework.feeds.aggregated_feed.redis import RedisAggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.notification_feed.redis import RedisNotificationFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.verbs import Add, Comment, Follow, Love
from tests.backends import unavailable
from tests.servers import redis_nodes

DATA = json.loads((pathlib.Path(__file__).parent.parent / 'fixtures' / 'redis.json').read_text())
EXPECTED = DATA['expected']


class NormalFeed(RedisFeed):
    key_format = DATA['feeds']['flat']


class UserFeed(UserBaseFeed, RedisFeed):
    key_format = DATA['feeds']['user']


class AggregatedFeed(RedisAggregatedFeed):
    key_format = DATA['feeds']['aggregated']


class OldManager(Manager):
    feed_classes = {'normal': NormalFeed, 'aggregated': AggregatedFeed}
    user_feed_class = UserFeed


@pytest.fixture(
    scope='module', params=[redis_nodes.LocalRedis, redis_nodes.LocalCluster], ids=['redis', 'redis-cluster']
)
def own(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A server with nothing else in it: the data has the keys that applications use."""
    try:
        server = request.param()
    except LookupError as error:
        unavailable(str(error))
    with server:
        yield server


@pytest.fixture(autouse=True)
def restored(own: Any, use: Any) -> None:
    use(own.config)
    client = get_redis_connection()
    client.flushall()
    for entry in DATA['keys']:
        key, value = entry['key'], entry['value']
        if entry['type'] == 'zset':
            client.zadd(key, {member: float(score) for member, score in value})
        elif entry['type'] == 'hash':
            client.hset(key, mapping=value)
        else:
            client.rpush(key, *value)


def ids_of(items: Any) -> list[str]:
    return [str(item.serialization_id) for item in items]


def described(group: Any) -> dict[str, Any]:
    return {
        'group': group.group,
        'activity_ids': [str(item) for item in group.activity_ids],
        'minimized': group.minimized_activities,
        'updated_at': group.updated_at.isoformat(),
        'created_at': group.created_at.isoformat(),
    }


def notified(group: Any) -> dict[str, Any]:
    return {
        'group': group.group,
        'actor_ids': group.actor_ids,
        'activity_ids': [str(item) for item in group.activity_ids],
        'is_seen': group.is_seen,
        'is_read': group.is_read,
        'updated_at': group.updated_at.isoformat(),
    }


def later(minutes: int, actor: int = 13, verb: Any = Love, object: int = 902) -> Activity:
    return Activity(actor, verb, object, time=datetime.datetime(2013, 7, 8, 12, minutes, 0, 123456))


def test_everything_reads_as_1_4_0_read_it() -> None:
    for user_id, expected in EXPECTED['flat'].items():
        assert ids_of(NormalFeed(user_id)[:]) == expected
        assert ids_of(NormalFeed(user_id)[10:20]) == expected[10:20]
    for user_id, expected in EXPECTED['user'].items():
        assert ids_of(UserFeed(user_id)[:]) == expected
    for user_id, expected in EXPECTED['aggregated'].items():
        assert [described(group) for group in AggregatedFeed(user_id)[:]] == expected
    feed = RedisNotificationFeed(1)
    assert [notified(group) for group in feed[:]] == EXPECTED['notification']['1']
    assert feed.count_unseen() == EXPECTED['notification']['unseen']
    assert feed.count_unread() == EXPECTED['notification']['unread']
    found = RedisActivityStorage(serializer_class=ActivitySerializer, activity_class=Activity).get_map(
        EXPECTED['activities']
    )
    assert len(found) == len(EXPECTED['activities'])
    for activity_id, expected in EXPECTED['activities'].items():
        activity = found[int(activity_id)]
        assert expected == {
            'actor_id': activity.actor_id,
            'verb': activity.verb.id,
            'object_id': activity.object_id,
            'target_id': activity.target_id,
            'time': activity.time.isoformat(),
            'extra_context': activity.extra_context,
        }


def test_pages_by_cursor() -> None:
    for feed_class, user_id in ((NormalFeed, 1), (AggregatedFeed, 1), (RedisNotificationFeed, 1)):
        feed = feed_class(user_id)
        whole = ids_of(feed[:])
        seen: list[str] = []
        page = feed[:3]
        while page:
            seen += ids_of(page)
            page = feed.filter(activity_id__lt=page[-1].serialization_id)[:3]
        assert seen == whole
        assert ids_of(feed.order_by('activity_id')[:]) == whole[::-1]


def test_a_flat_feed_goes_on() -> None:
    feed, expected = NormalFeed(1), EXPECTED['flat']['1']
    new = later(0)
    feed.add(new)
    feed.add(new)
    assert ids_of(feed[:]) == [str(new.serialization_id), *expected]
    feed.remove(int(expected[3]))
    feed.remove(expected[4])
    left = [str(new.serialization_id), *expected[:3], *expected[5:]]
    assert ids_of(feed[:]) == left
    feed.trim(10)
    assert ids_of(feed[:]) == left[:10]
    assert feed.index_of(int(left[9])) == 9


def test_unfollowing_removes_what_was_followed_then() -> None:
    made = OldManager()
    made.unfollow_user(1, 14, async_=False)
    assert NormalFeed(1).count() < len(EXPECTED['flat']['1'])
    assert all(activity.actor_id != 14 for activity in NormalFeed(1)[:])
    groups = AggregatedFeed(1)[:]
    assert groups and all(14 not in group.actor_ids for group in groups)
    made.follow_user(1, 10, async_=False)
    assert set(EXPECTED['user']['10']) <= set(ids_of(NormalFeed(1)[:]))


def test_groups_go_on() -> None:
    feed, expected = AggregatedFeed(1), EXPECTED['aggregated']['1']
    before = {group.group: group for group in feed[:]}
    new = later(1, object=77)
    feed.add(new)
    feed.add(new)
    groups = feed[:]
    assert [group.group for group in groups] == ['3-2013-07-08', '4-2013-07-08', '2-2013-07-08', '1-2013-07-08']
    grown, old = groups[0], before['3-2013-07-08']
    assert grown.activity_ids == [*old.activity_ids[1:], new.serialization_id]
    assert (grown.activity_count, grown.minimized_activities) == (old.activity_count + 1, 1)
    assert len(grown.serialization_id) == 26 and grown.updated_at == new.time
    # The group that 1.4.0 wrote is gone, not beside ours.
    assert feed.count() == len(expected)
    assert feed.index_of(grown) == 0 and feed.index_of(before['4-2013-07-08']) == 1
    feed.remove_many([new, int(expected[0]['activity_ids'][2])])
    shrunk = {group.group: group for group in feed[:]}
    assert int(expected[0]['activity_ids'][2]) not in shrunk['4-2013-07-08'].activity_ids
    assert new.serialization_id not in shrunk['3-2013-07-08'].activity_ids
    assert shrunk['3-2013-07-08'].updated_at == old.updated_at
    assert shrunk['1-2013-07-08'].activity_ids == before['1-2013-07-08'].activity_ids
    feed.trim(2)
    assert [group.group for group in feed[:]] == ['4-2013-07-08', '3-2013-07-08']


def test_groups_of_1_4_0_are_removed_as_they_were_read() -> None:
    feed = AggregatedFeed(1)
    groups = feed[:]
    feed.remove_many_aggregated(groups[1:3])
    assert [group.group for group in feed[:]] == [groups[0].group, groups[3].group]


def test_marks_go_on() -> None:
    feed, expected = RedisNotificationFeed(1), EXPECTED['notification']['1']
    # What 1.4.0 marked is unmarked by the id that the group is read with, and by the bare 13 digits.
    feed.mark_activity(feed[0][0].serialization_id)
    assert feed.count_unseen() == 1 and feed[0][0].is_seen
    feed.mark_activities(['1373267835000'], read=True)
    assert [group.is_read for group in feed[:]] == [False, True, True, False]
    new = later(2)
    feed.add(new)
    groups = feed[:]
    assert groups[0].group == expected[1]['group']
    assert (groups[0].is_seen, groups[0].is_read) == (False, False)
    assert len(groups[0].activities) == 6 and len(groups) == 4
    assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 3}
    # A group that only shrinks keeps its marks, under its new id.
    feed.remove(int(expected[3]['activity_ids'][-1]))
    last = feed[:][-1]
    assert last.group == expected[3]['group'] and (last.is_seen, last.is_read) == (False, False)
    assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 3}
    feed.mark_all(seen=True, read=True)
    assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
    assert all(group.is_seen and group.is_read for group in feed[:])


def test_formats_stay_as_documented() -> None:
    client = get_redis_connection()
    activity = Activity(
        13, Comment, 42, 7, time=datetime.datetime(2013, 7, 8, 12, 0, 0, 123456), extra_context={'a': 'b'}
    )
    NormalFeed(3).add(activity)
    [(member, score)] = client.zrange('feed:normal:3', 0, -1, withscores=True)
    assert member == str(activity.serialization_id) and score == float(activity.serialization_id)
    held = {key: client.hget(key, member) for key in (f'global:{n}' for n in range(10))}
    assert [value for value in held.values() if value] == ['13,2,42,7,1373284800.123456,{"a":"b"}']
    AggregatedFeed(3).add(activity)
    [(member, score)] = client.zrange('feed:aggregated:3', 0, -1, withscores=True)
    time = '1373284800.123456'
    assert member == f'v32-2013-07-08;;{time};;{time};;-1;;-1;;{activity.serialization_id};;0'
    assert score == 1373284800123
    RedisNotificationFeed(3).add(activity)
    [(member, score)] = client.zrange('notification_feed:3', 0, -1, withscores=True)
    assert member == f'v32-42-2013-07-08;;{time};;{time};;-1;;-1;;13,2,42,7,{time},{{"a":"b"}};;0'
    for name in ('unseen', 'unread'):
        [marked] = client.lrange(f'list:notification_feed:3:{name}', 0, -1)
        assert re.fullmatch(r'1373284800123\d{13}', marked)
    # What has no context is what 1.4.0 would have written, to the letter.
    plain = Activity(10, Follow, 500, 1, time=datetime.datetime(2013, 7, 8, 6, 59, 15))
    stored = next(entry['value'] for entry in DATA['keys'] if entry['key'] == 'global:3')
    [activity_id] = [item for item, value in stored.items() if value.startswith('15,2,505,0,1373267055.185000')]
    old = RedisActivityStorage().get(activity_id)
    assert ActivitySerializer(Activity).dumps(old) == stored[activity_id]
    assert ActivitySerializer(Activity).dumps(plain) == '10,1,500,1,1373266755.000000,'
    assert {Follow.id, Comment.id, Love.id, Add.id} == {1, 2, 3, 4}
