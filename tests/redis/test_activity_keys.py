"""The option ``key`` of the activity storage: hashes of an application's own."""

from __future__ import annotations

from typing import Any

from stream_framework.activity import Activity
from stream_framework.feeds.redis import RedisFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.connection import get_redis_connection
from tests.contracts.support import act, acts, ids


def test_an_option_replaces_global_in_the_keys(redis_backend: Any) -> None:
    name = redis_backend.key()
    storage = RedisActivityStorage(serializer_class=ActivitySerializer, activity_class=Activity, key=name)
    storage.add_many(acts(40))
    client = get_redis_connection()
    held = [client.hlen(f'{name}:{number}') for number in range(10)]
    assert sum(held) == 40
    assert ids(storage.get_many(ids(acts(40)))) == ids(acts(40))
    assert RedisActivityStorage(key=name + ':other').get(act(1).serialization_id) is None
    storage.remove_many(acts(39))
    assert sum(client.hlen(f'{name}:{number}') for number in range(10)) == 1


def test_feeds_whose_activities_are_kept_apart(redis_backend: Any) -> None:
    name = redis_backend.key()

    class Apart(RedisFeed):
        key_format = name + ':feed:%(user_id)s'

        @classmethod
        def get_activity_storage(cls) -> Any:
            return RedisActivityStorage(
                serializer_class=cls.activity_serializer, activity_class=cls.activity_class, key=name
            )

    feed = Apart(1)
    feed.add_many(acts(3))
    assert ids(feed[:]) == ids(acts(3))[::-1]
    assert sum(get_redis_connection().hlen(f'{name}:{number}') for number in range(10)) == 3
    Apart.remove_activity(act(1))
    assert ids(feed[:]) == ids([act(2), act(0)])
    feed.delete()
