"""Taking back all of an object, erasing and exporting a user, on every backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework.exceptions import InvalidArgumentError
from stream_framework.feed_managers import erasing
from stream_framework.verbs import Comment, Love
from tests import managers
from tests.contracts.manager import Queue
from tests.contracts.support import act, ids

USER = 987654321


def owner(self: Any, activity: Any) -> Any:
    return [] if activity.target_id is None else [activity.target_id]


class ErasingContract:
    @pytest.fixture(autouse=True)
    def eager(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(erasing, 'ACTIVITIES_AT_A_TIME', 3)
        conf = current_app.conf
        before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
        conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        conf.update(before)

    @pytest.fixture
    def manager(self, backend: Any) -> Any:
        if backend.follow_storage_class is None:
            pytest.skip(f'{backend} keeps no follows')
        return managers.with_follows(backend, notifies=True, get_notified_ids=owner)()

    @pytest.fixture
    def done(self, manager: Any) -> list[Any]:
        """What a user did, and what others did besides."""
        for reader in (1, 2):
            manager.follow_many_users(reader, [USER, 5])
        manager.follow_user(USER, 5)
        manager.mute_user(3, USER)
        activities = [act(n, actor=USER, object=n % 2, target=4, verb=(Love, Comment)[n % 3 == 0]) for n in range(8)]
        for activity in activities:
            manager.add_user_activity(USER, activity)
        manager.add_user_activity(5, act(9, actor=5, object=1, target=4))
        return activities

    @staticmethod
    def everywhere(manager: Any, user_ids: Any = (1, 2, 3, 4, USER)) -> set[int]:
        """The actors of all that is in the feeds of some users."""
        return {
            activity.actor_id
            for user_id in user_ids
            for feed in manager.get_feeds(user_id).values()
            for item in feed[:]
            for activity in getattr(item, 'activities', [item])
        }

    def test_remove_object(self, manager: Any, done: list[Any]) -> None:
        assert manager.remove_object(USER, 1, verb=Love) == 3
        assert manager.remove_object(USER, '1') == manager.remove_object(USER, 77) == 0
        left = [activity for activity in done if (activity.object_id, activity.verb.id) != (1, Love.id)]
        for feed in (manager.get_user_feed(USER), manager.get_feeds(1)['normal'].filter()):
            assert [each for each in ids(feed[:]) if each in ids(done)] == ids(left)[::-1]
        assert manager.remove_object(USER, 1) == 1
        assert manager.remove_object(USER, 0, verb=Comment.id) == 2
        with pytest.raises(InvalidArgumentError, match='verb'):
            manager.remove_object(USER, 0, verb='love')

    def test_erase(self, backend: Any, manager: Any, done: list[Any]) -> None:
        counts = manager.erase_user(USER)
        assert counts['activities'] == 8
        assert counts['followers'] == 2
        assert counts['muted_by'] == counts['followed'] == 1
        assert self.everywhere(manager) == {5}
        assert manager.get_user_feed(USER)[:] == []
        assert manager.get_followers(USER) == manager.get_followed(USER) == []
        assert manager.get_muted(3) == set()
        storage = manager.user_feed_class.get_activity_storage()
        if storage is not None and not backend.whole_activities:
            assert storage.get_many(ids(done)) == []
        assert set(manager.erase_user(USER).values()) == {0}

    def test_no_key_holds_the_id(self, backend: Any, manager: Any) -> None:
        if backend.name != 'redis':
            pytest.skip('it looks through the keys of Redis')
        from stream_framework.storage.redis.connection import get_redis_connection

        redis, user, text = get_redis_connection(), 123456789123, '123456789123'
        for n in range(8):
            manager.add_user_activity(user, act(n, actor=user, object=n % 2, target=4))
        for reader in (1, 2):
            manager.follow_user(reader, user)
        manager.follow_user(user, 5)
        manager.add_user_activity(5, act(9, actor=5, target=user))
        manager.get_feeds(user)['normal'].mark_seen()
        # What another did to him is the other's.
        manager.remove_user_activity(5, act(9, actor=5, target=user))
        manager.user_feed_class.remove_activity(act(9, actor=5, target=user))
        manager.mute_user(3, user)
        manager.unfollow_user(1, user)
        manager.block_user(2, user)

        def holding() -> list[Any]:
            keys = redis.keys('*')
            return [key for key in keys if text in str(key) or text.encode() in (self._value(redis, key))]

        assert holding()
        manager.erase_user(user)
        assert holding() == []

    @staticmethod
    def _value(redis: Any, key: Any) -> bytes:
        read = {
            'string': redis.get,
            'hash': redis.hgetall,
            'zset': lambda key: redis.zrange(key, 0, -1),
            'set': redis.smembers,
            'list': lambda key: redis.lrange(key, 0, -1),
        }
        kind = redis.type(key)
        return str(read[kind if isinstance(kind, str) else kind.decode()](key)).encode()

    @pytest.mark.parametrize('step', range(12))
    def test_killed_at_any_step(
        self, manager: Any, done: list[Any], monkeypatch: pytest.MonkeyPatch, step: int
    ) -> None:
        """Whatever write dies, running it again ends the same."""
        left = [step]

        def dying(cls: Any, name: str) -> None:
            usual = getattr(cls, name)

            def call(*args: Any, **kwargs: Any) -> Any:
                if left[0] == 0:
                    left[0] = -1
                    raise KeyboardInterrupt
                left[0] -= 1
                return usual(*args, **kwargs)

            context.setattr(cls, name, call)

        with monkeypatch.context() as context:
            storage = manager.user_feed_class.get_activity_storage()
            dying(type(manager), 'create_fanout_tasks')
            dying(manager.user_feed_class, 'remove_many')
            dying(manager.user_feed_class, 'delete')
            dying(manager.follow_storage_class, 'erase')
            if storage is not None:
                dying(type(storage), 'remove_many')
            try:
                manager.erase_user(USER)
            except KeyboardInterrupt:
                pass
        manager.erase_user(USER)
        assert self.everywhere(manager) == {5}
        assert manager.get_followers(USER) == []

    def test_tasks_that_run_late(self, manager: Any, done: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        queue = Queue(monkeypatch)
        manager.add_user_activity(USER, act(20, actor=USER, object=1, target=4))
        manager.follow_user(3, USER)
        manager.erase_user(USER)
        queue.run(reversed(range(len(queue.messages))))
        assert self.everywhere(manager) == {5}

    def test_published_by_workers(self, manager: Any, done: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(manager), 'publish_in_worker', True)
        queue = Queue(monkeypatch)
        manager.erase_user(USER)
        while queue.messages:
            messages, queue.messages = queue.messages, []
            for task, args, kwargs in messages:
                task(*args, **kwargs)
        assert self.everywhere(manager) == {5}

    def test_an_own_remove_user_activity_is_called(self, manager: Any, done: list[Any]) -> None:
        removed = []

        class Own(type(manager)):  # type: ignore[misc]
            def remove_user_activity(self, user_id: Any, activity: Any) -> None:
                removed.append(activity)
                super().remove_user_activity(user_id, activity)

        Own.__module__, Own.__qualname__ = managers.__name__, 'Own'
        managers.Own = Own  # type: ignore[attr-defined]
        assert Own().erase_user(USER)['activities'] == 8
        assert sorted(ids(removed)) == ids(done)

    def test_export(self, manager: Any, done: list[Any]) -> None:
        exported = manager.export_user(USER)
        assert iter(exported) is exported
        said = list(exported)
        assert said == [activity.to_as2() for activity in reversed(done)]
        assert json.loads(json.dumps(said)) == said
        assert list(manager.export_user(404)) == []
        assert manager.get_feeds(1)['normal'].count() == 9
