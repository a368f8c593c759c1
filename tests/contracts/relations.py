"""Follows, mutes and blocks that the library keeps, on every backend that has a follow storage."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework.exceptions import InvalidArgumentError, InvalidIdError, NotDefinedError
from stream_framework.feed_managers import publishing
from stream_framework.feed_managers.base import FanoutPriority, add_operation
from stream_framework.storage.base_follow_storage import Follow
from tests import managers
from tests.contracts.manager import Queue
from tests.contracts.support import act, acts, ids


class Counting:
    """A hook that notes what it is asked."""

    asked: list[tuple[int, int]]

    def hidden_from(self, activities: Any, user_ids: Any) -> Any:
        self.asked.append((len(activities), len(user_ids)))
        return [
            (activity, user_id)
            for activity in activities
            for user_id in user_ids
            if user_id in activity.extra_context.get('not_for', ())
        ]


class RelationsContract:
    @pytest.fixture(autouse=True)
    def eager(self) -> Iterator[None]:
        conf = current_app.conf
        before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
        conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        conf.update(before)

    @pytest.fixture
    def manager_class(self, backend: Any) -> Any:
        if backend.follow_storage_class is None:
            pytest.skip(f'{backend} keeps no follows')
        return self.made(backend)

    def made(self, backend: Any, **attributes: Any) -> Any:
        """A manager class of the test's own, with a name that its messages can name."""
        return managers.with_follows(backend, **attributes)

    @pytest.fixture
    def manager(self, manager_class: Any) -> Any:
        return manager_class()

    @pytest.fixture
    def queue(self, manager: Any, monkeypatch: pytest.MonkeyPatch) -> Queue:
        return Queue(monkeypatch)

    @staticmethod
    def feed(manager: Any, user_id: Any) -> list[int]:
        return ids(manager.get_feeds(user_id)['normal'][:])

    @staticmethod
    def groups(manager: Any, user_id: Any) -> list[int]:
        feed = manager.get_feeds(user_id)['aggregated'][:]
        return sorted((int(each) for group in feed for each in group.activity_ids), reverse=True)

    def both(self, manager: Any, user_id: Any) -> list[int]:
        found = self.feed(manager, user_id)
        assert found == self.groups(manager, user_id)
        return found

    # following

    def test_follow_and_unfollow(self, manager: Any) -> None:
        old, new = act(0, actor=13), act(1, actor=13)
        manager.add_user_activity(13, old)
        manager.follow_user(7, 13)
        assert self.both(manager, 7) == ids([old])
        manager.add_user_activity(13, new)
        assert self.both(manager, 7) == ids([new, old])
        manager.unfollow_user(7, 13)
        assert self.both(manager, 7) == []
        manager.add_user_activity(13, act(2, actor=13))
        assert self.both(manager, 7) == []

    @pytest.mark.parametrize('async_', [True, False])
    def test_many(self, manager: Any, async_: bool) -> None:
        manager.follow_many_users(7, iter([13, 14, 13]), async_)
        assert manager.is_following(7, [13, '13', 14, 15]) == {13, 14}
        manager.unfollow_many_users(7, iter([13]), async_)
        assert set(manager.get_user_followed_ids(7)) == {14}

    def test_questions(self, manager: Any) -> None:
        for user_id in (1, '1', uuid.UUID(int=1)):
            manager.follow_user(user_id, 13)
        assert manager.count_followers(13) == 3
        assert manager.count_followed(1) == 1
        followers = manager.get_user_follower_ids(user_id=13)
        assert list(followers) == [FanoutPriority.HIGH]
        assert iter(followers[FanoutPriority.HIGH]) is followers[FanoutPriority.HIGH]
        assert set(followers[FanoutPriority.HIGH]) == {1, '1', uuid.UUID(int=1)}
        first = manager.get_followers(13, limit=2)
        rest = manager.get_followers(13, 2, first[-1])
        assert {follow.user_id for follow in first + rest} == {1, '1', uuid.UUID(int=1)}
        assert isinstance(first[0], Follow)
        [only] = manager.get_followed(1)
        assert only.target_id == 13

    def test_ids_of_all_kinds(self, manager: Any) -> None:
        for reader in (7, '7', uuid.UUID(int=7)):
            manager.follow_user(reader, 'tag:tea')
        activity = act(0, actor=13)
        manager.add_user_activity('tag:tea', activity)
        for reader in (7, '7', uuid.UUID(int=7)):
            assert self.feed(manager, reader) == ids([activity])

    def test_copy_limit(self, manager: Any) -> None:
        activities = acts(5, actor=13)
        manager.batch_import(13, activities)
        manager.follow_user(7, 13, copy_limit=2)
        assert self.feed(manager, 7) == ids(activities[:2:-1])
        manager.follow_many_users(8, [13], copy_limit=0)
        assert self.feed(manager, 8) == []
        assert manager.is_following(8, [13]) == {13}
        manager.add_user_activity(13, act(9, actor=13))
        assert self.feed(manager, 8) == ids([act(9, actor=13)])

    def test_keep_history(self, manager: Any) -> None:
        manager.add_user_activity(13, act(0, actor=13))
        manager.follow_user(7, 13)
        manager.unfollow_user(7, 13, keep_history=True)
        manager.add_user_activity(13, act(1, actor=13))
        assert self.both(manager, 7) == ids([act(0, actor=13)])
        assert manager.is_following(7, [13]) == set()

    def test_keep_history_whatever_runs_late(self, manager: Any, queue: Queue) -> None:
        manager.add_user_activity(13, act(0, actor=13))
        queue.run()
        manager.follow_user(7, 13)
        late = list(queue.messages)
        queue.run()
        manager.unfollow_user(7, 13, keep_history=True)
        queue.messages = late + queue.messages
        queue.run()
        assert self.both(manager, 7) == ids([act(0, actor=13)])

    def test_two_managers_of_one_name_share(self, backend: Any, manager_class: Any, manager: Any) -> None:
        same = type('Same', (manager_class,), {})()
        other = type('Other', (manager_class,), {'follow_name': f'{manager_class.follow_name} other'})()
        manager.follow_user(7, 13)
        assert same.is_following(7, [13]) == {13}
        assert other.is_following(7, [13]) == set()

    def test_a_fanout_on_its_way_does_not_reach_who_has_left(self, manager: Any, queue: Queue) -> None:
        manager.follow_many_users(7, [13])
        manager.follow_many_users(8, [13])
        queue.run()
        manager.add_user_activity(13, act(0, actor=13))
        late, queue.messages = queue.messages, []
        manager.unfollow_user(7, 13)
        queue.run()
        queue.messages = late
        queue.run()
        assert self.both(manager, 7) == []
        assert self.both(manager, 8) == ids([act(0, actor=13)])

    def test_state_before_task(self, manager: Any, queue: Queue) -> None:
        """A task that died, and runs again when everything is different, does what holds then."""
        manager.add_user_activity(13, act(0, actor=13))
        manager.follow_user(7, 13)
        manager.unfollow_user(7, 13)
        manager.follow_user(7, 13)
        queue.run(reversed(range(len(queue.messages))))
        assert self.both(manager, 7) == ids([act(0, actor=13)])

    # muting and blocking

    def test_mute(self, manager: Any) -> None:
        mine, others = act(0, actor=13), act(1, actor=14)
        manager.follow_many_users(7, [13, 14])
        for activity in (mine, others):
            manager.add_user_activity(activity.actor_id, activity)
        manager.mute_user(7, 13)
        manager.add_user_activity(13, act(2, actor=13))
        assert self.both(manager, 7) == ids([others])
        assert manager.get_muted(7) == {13}
        assert manager.is_following(7, [13]) == {13}
        manager.unmute_user(7, 13)
        assert self.both(manager, 7) == ids([act(2, actor=13), others, mine])
        assert manager.get_muted(7) == set()

    def test_unmuting_brings_nothing_of_whom_one_does_not_follow(self, manager: Any) -> None:
        manager.add_user_activity(13, act(0, actor=13))
        manager.mute_user(7, 13)
        manager.unmute_user(7, 13)
        assert self.both(manager, 7) == []

    def test_following_a_muted_user_copies_nothing(self, manager: Any) -> None:
        manager.add_user_activity(13, act(0, actor=13))
        manager.mute_user(7, 13)
        manager.follow_user(7, 13)
        assert self.both(manager, 7) == []

    def test_block(self, manager: Any) -> None:
        manager.follow_user(7, 13)
        manager.follow_user(13, 7)
        manager.add_user_activity(13, act(0, actor=13))
        manager.add_user_activity(7, act(1, actor=7))
        manager.block_user(7, 13)
        assert manager.get_blocked(7) == {13}
        assert manager.get_blocked(13) == set()
        assert manager.is_following(7, [13]) == manager.is_following(13, [7]) == set()
        assert self.both(manager, 7) == self.both(manager, 13) == []
        manager.follow_user(13, 7)
        assert self.both(manager, 13) == []
        manager.add_user_activity(7, act(2, actor=7))
        assert self.both(manager, 13) == []
        manager.unblock_user(7, 13)
        assert self.both(manager, 13) == ids([act(2, actor=7), act(1, actor=7)])
        assert self.both(manager, 7) == []

    def test_a_mute_while_a_fanout_is_on_its_way(self, manager: Any, queue: Queue) -> None:
        manager.follow_user(7, 13)
        queue.run()
        manager.add_user_activity(13, act(0, actor=13))
        manager.mute_user(7, 13)
        queue.run(reversed(range(len(queue.messages))))
        assert self.both(manager, 7) == []
        manager.unmute_user(7, 13)
        queue.run()
        assert self.both(manager, 7) == ids([act(0, actor=13)])

    def test_a_mute_between_looking_and_writing(self, manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        manager.follow_user(7, 13)
        cls, usual = type(manager), type(manager).hidden_from

        def slow(self: Any, activities: Any, user_ids: Any) -> Any:
            found = usual(self, activities, user_ids)
            monkeypatch.setattr(cls, 'hidden_from', usual)
            cls().mute_user(7, 13, async_=False)
            return found

        monkeypatch.setattr(cls, 'hidden_from', slow)
        manager.add_user_activity(13, act(0, actor=13))
        assert self.feed(manager, 7) == []

    # the hook

    @pytest.fixture
    def counting(self, backend: Any, manager_class: Any) -> Any:
        cls = self.made(backend, hidden_from=Counting.hidden_from, asked=[])
        return cls()

    def test_the_hook_is_asked_once_for_a_chunk(self, counting: Any) -> None:
        counting.asked.clear()
        counting.fanout_chunk_size = type(counting).fanout_chunk_size = 2
        for reader in (1, 2, 3):
            counting.follow_user(reader, 13)
        counting.asked.clear()
        private = act(0, actor=13, extra_context={'not_for': [2]})
        counting.add_user_activity(13, private)
        kinds = len(counting.feed_classes)
        assert sorted(counting.asked) == sorted([(1, 2), (1, 1)] * kinds)
        assert [self.both(counting, reader) for reader in (1, 2, 3)] == [ids([private]), [], ids([private])]
        counting.asked.clear()
        counting.remove_user_activity(13, private)
        assert counting.asked == []
        assert [self.both(counting, reader) for reader in (1, 2, 3)] == [[], [], []]

    def test_followers_are_published_in_pieces(
        self, backend: Any, manager_class: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pieces: list[int] = []

        class Counts(manager_class):
            fanout_chunk_size = 2

            def create_fanout_tasks(self, follower_ids: Any, *args: Any, **kwargs: Any) -> Any:
                follower_ids = list(follower_ids)
                pieces.append(len(follower_ids))
                return []

        monkeypatch.setattr(publishing, 'PIECE', 5)
        manager = Counts()
        manager.get_follow_storage().import_follows((reader, 13, None) for reader in range(100, 111))
        manager.add_user_activity(13, act(0, actor=13))
        assert pieces == [size for size in (4, 4, 3) for _ in manager.feed_classes]

    def test_parts_of_a_batch(self, counting: Any) -> None:
        for reader in (1, 2):
            counting.follow_user(reader, 13)
        counting.asked.clear()
        activities = [act(n, actor=13, extra_context={'not_for': [1 + n % 2]}) for n in range(4)]
        counting.batch_import(13, activities)
        assert set(counting.asked) == {(4, 2)}
        assert self.both(counting, 1) == ids([activities[3], activities[1]])
        assert self.both(counting, 2) == ids([activities[2], activities[0]])

    def test_the_limit_applies_after_hiding(self, counting: Any) -> None:
        activities = [act(n, actor=13, extra_context={'not_for': [7] if n % 3 else []}) for n in range(12)]
        counting.batch_import(13, activities)
        counting.follow_user(7, 13, copy_limit=3)
        assert self.both(counting, 7) == ids([activities[n] for n in (9, 6, 3)])
        counting.asked.clear()
        counting.follow_user(8, 13, copy_limit=3)
        assert counting.asked == [(3, 1)]
        counting.follow_user(9, 13)
        assert len(self.feed(counting, 9)) == 12

    @pytest.mark.parametrize('wrong', [5, [5], [(1, 2)], None])
    def test_a_hook_that_returns_something_else(self, counting: Any, wrong: Any, monkeypatch: Any) -> None:
        counting.follow_user(7, 13)
        monkeypatch.setattr(type(counting), 'hidden_from', lambda self, activities, user_ids: wrong)
        with pytest.raises(InvalidArgumentError, match='hidden_from of'):
            counting.add_user_activity(13, act(0, actor=13))

    def test_a_hook_without_a_storage(self, backend: Any) -> None:
        asked: list[Any] = []
        cls = managers.with_follows(backend, hidden_from=Counting.hidden_from, asked=asked, follow_storage_class=None)
        feed_class = cls.feed_classes['normal']
        private = act(0, actor=13, extra_context={'not_for': [2]})
        feed_class.insert_activity(private)
        cls().fanout([1, 2], feed_class, add_operation, {'activities': [private]})
        assert asked == [(1, 2)]
        assert (ids(feed_class(1)[:]), ids(feed_class(2)[:])) == (ids([private]), [])

    # bad input

    def test_bad_input_stores_nothing(self, manager: Any) -> None:
        for wrong in (7, 1.5, None, [1]):
            for method in (manager.follow_user, manager.mute_user, manager.block_user):
                with pytest.raises((InvalidIdError, TypeError)):
                    method(7, wrong)
        with pytest.raises(InvalidIdError):
            manager.follow_many_users(7, [13, 7])
        for limit in (-1, 1.5, 'all'):
            with pytest.raises(InvalidArgumentError, match='copy_limit'):
                manager.follow_user(7, 13, copy_limit=limit)
            with pytest.raises(InvalidArgumentError, match='copy_limit'):
                manager.follow_many_users(7, [], copy_limit=limit)
        with pytest.raises(InvalidArgumentError):
            manager.get_followers(13, limit=-1)
        assert manager.count_followed(7) == 0
        assert manager.get_muted(7) == manager.get_blocked(7) == set()

    def test_unknown_users(self, manager: Any) -> None:
        manager.unfollow_user(404, 405)
        manager.unmute_user(404, 405)
        manager.unblock_user(404, 405)
        assert manager.get_followers(404) == manager.get_followed(404) == []
        assert manager.count_followers(404) == 0

    def test_without_a_storage(self, backend: Any) -> None:
        manager = managers.with_follows(backend, follow_storage_class=None)()
        for name, arguments in (
            ('get_user_followed_ids', (7,)),
            ('get_user_follower_ids', (7,)),
            ('is_following', (7, [13])),
            ('count_followers', (7,)),
            ('count_followed', (7,)),
            ('get_followers', (7,)),
            ('get_followed', (7,)),
            ('mute_user', (7, 13)),
            ('unmute_user', (7, 13)),
            ('get_muted', (7,)),
            ('block_user', (7, 13)),
            ('unblock_user', (7, 13)),
            ('get_blocked', (7,)),
        ):
            with pytest.raises(NotDefinedError, match='follow_storage_class'):
                getattr(manager, name)(*arguments)

    def test_overrides_of_1_4_0(self, manager_class: Any, backend: Any) -> None:
        called: list[Any] = []

        def follow_many_users(self: Any, user_id: Any, target_ids: Any, async_: bool = True) -> None:
            called.append(('follow', user_id, target_ids, async_))

        def unfollow_many_users(self: Any, user_id: Any, target_ids: Any, async_: bool = True) -> None:
            called.append(('unfollow', user_id, target_ids, async_))

        cls = type('Old', (manager_class,), {'follow_many_users': follow_many_users})
        cls.unfollow_many_users = unfollow_many_users
        cls().follow_user(7, 13)
        cls().unfollow_user(7, 13, False)
        assert called == [('follow', 7, [13], True), ('unfollow', 7, [13], False)]
        with pytest.raises(TypeError):
            cls().follow_user(7, 13, copy_limit=3)
