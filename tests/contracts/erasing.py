"""Taking back all of an object, erasing and exporting a user, on every backend."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework.activity import Activity
from stream_framework.exceptions import InvalidArgumentError
from stream_framework.feed_managers import erasing, sweeping
from stream_framework.verbs import Comment, Love
from tests import managers
from tests.contracts.manager import Queue, ids_of
from tests.contracts.stores import holding
from tests.contracts.support import act, ids

USER = 987654321


def owner(self: Any, activity: Any) -> Any:
    return [] if activity.target_id is None else [activity.target_id]


def told(self: Any, activity: Any) -> Any:
    # What others did does not name the user: it is theirs.
    return self.told_by_others if activity.actor_id == 5 else activity.extra_context.get('tells', [])


def _dying(usual: Any, alive: list[int]) -> Any:
    """The same, until it has been called so many times."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if alive[0] == 0:
            alive[0] = -1
            raise KeyboardInterrupt
        alive[0] -= 1
        return usual(*args, **kwargs)

    return call


class Pin(Activity):
    """An application's own; its storages take no other."""


class Scenario:
    """A user who leaves traces wherever that is possible."""

    def __init__(self, backend: Any, user: Any) -> None:
        self.backend = backend
        self.user = user
        self.number = re.findall('[0-9]+', str(user))[0]
        self.manager = managers.with_follows(backend, notifies=True, get_notified_ids=told, told_by_others=[7, user])()
        # What he did first is trimmed from his user feed, and stays in those of others.
        self.kept = 6
        self.manager.user_feed_class.max_length, self.manager.user_feed_class.trim_chance = self.kept, 1
        self.done: list[Any] = []

    def by_him(self, n: int, *tells: Any) -> Any:
        return act(n, actor=self.user, object=n % 4, extra_context={'tells': list(tells)})

    def play(self) -> None:
        manager, user = self.manager, self.user
        for reader in (1, 2, 3, 4, 6):
            manager.follow_many_users(reader, [user, 5])
        manager.follow_many_users(user, [5, 1])
        self.done = [self.by_him(n, 7, 8) for n in range(10)]
        for activity in self.done:
            manager.add_user_activity(user, activity)
        for n in range(20, 24):
            manager.add_user_activity(5, act(n, actor=5, object=n % 4))
        # It no longer notifies 8, where a copy stays.
        manager.update_user_activity(self.by_him(9, 7))
        manager.remove_user_activity(user, self.done[8])
        self.kept -= 1
        manager.unfollow_user(2, user, keep_history=True)
        manager.unfollow_user(3, user)
        manager.mute_user(4, user)
        manager.block_user(6, user)
        manager.mute_user(user, 6)
        manager.block_user(user, 9)
        manager.unfollow_user(user, 1, keep_history=True)
        for feed in manager.get_feeds(user).values():
            feed.mark_seen()
        manager.get_feeds(user)['notifications'].mark_all(seen=True)
        manager.get_feeds(7)['notifications'].mark_seen()

    def of_others(self) -> list[Any]:
        """What others did, in all feeds of others, without the marks of this user's."""
        found = []
        for reader in range(1, 10):
            for name, feed in self.manager.get_feeds(reader).items():
                own = [activity for item in feed[:] for activity in getattr(item, 'activities', [item])]
                found.append((reader, name, sorted(ids([one for one in own if one.actor_id != self.user]))))
        return [*found, ids(self.manager.get_user_feed(5)[:]), sorted(self.manager.is_following(1, [5, 7]))]

    def writers(self) -> list[tuple[type, str]]:
        """What writes, of all storages."""
        manager = self.manager
        feed_classes = [*manager.feed_classes.values(), manager.notification_feed_class, manager.user_feed_class]
        storages = {type(cls.get_timeline_storage()): None for cls in feed_classes}
        activity_storage = type(manager.user_feed_class.get_activity_storage())
        found: list[tuple[type, str]] = [(cls, name) for cls in feed_classes for name in ('remove_many', 'delete')]
        found += [(cls, name) for cls in storages for name in ('remove_from_storage', 'apply_changes', 'delete')]
        found += [(activity_storage, name) for name in ('remove_from_storage', 'set_intents')]
        found += [(type(manager), 'create_fanout_tasks')]
        return found + [(manager.follow_storage_class, name) for name in ('erase_pairs', 'delete_user')]


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

    @pytest.fixture(params=['int', 'text'])
    def eraser(self, backend: Any, request: pytest.FixtureRequest) -> Any:
        """A user whose id is nothing else's, with a manager: see :class:`Scenario`."""
        if backend.follow_storage_class is None:
            pytest.skip(f'{backend} keeps no follows')
        number = random.randrange(10**11, 10**12)
        return Scenario(backend, number if request.param == 'int' else f'user {number}, "the first"; of all')

    def test_nothing_holds_the_id(self, backend: Any, eraser: Any) -> None:
        eraser.play()
        text = eraser.number
        assert holding(backend, text)
        others = eraser.of_others()
        counts = eraser.manager.erase_user(eraser.user)
        assert holding(backend, text) == []
        assert eraser.of_others() == others
        assert counts['activities'] == (len(eraser.done) if not backend.whole_activities else eraser.kept)
        assert set(eraser.manager.erase_user(eraser.user).values()) == {0}

    def test_nothing_holds_the_id_when_late_tasks_have_run(
        self, backend: Any, eraser: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue = Queue(monkeypatch)
        eraser.play()
        eraser.manager.erase_user(eraser.user)
        order = list(range(len(queue.messages)))
        random.Random(5).shuffle(order)
        queue.run(order)
        # Only his notifications come back, by others who did not know yet. Of an empty feed a row may be left.
        notifications = eraser.manager.notification_feed_class
        keys = [each.partition('%')[0] for each in (notifications.key_format, notifications.markers_key_format)]
        for row in holding(backend, eraser.number):
            is_empty = row.startswith('stream_feeds ') or ' activity_id None ' in row
            # Who has left keeps what comes late of what was trimmed from the user feed, if no storage knows of it.
            is_kept = backend.whole_activities and ':2 ' in row
            assert is_empty or is_kept or any(key in row for key in keys), row
        assert eraser.manager.erase_user(eraser.user)['activities'] == 0
        assert holding(backend, eraser.number) == []

    def test_killed_at_any_write(self, backend: Any, eraser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever write it dies before, running it again ends the same."""
        eraser.play()
        others, deaths = eraser.of_others(), 0
        while True:
            with monkeypatch.context() as context:
                alive = [deaths]
                for cls, name in eraser.writers():
                    context.setattr(cls, name, _dying(getattr(cls, name), alive))
                try:
                    eraser.manager.erase_user(eraser.user)
                except KeyboardInterrupt:
                    # Each time one write later: what came before is done again, with nothing left to do.
                    deaths += 1
                else:
                    break
        assert deaths > 10
        assert holding(backend, eraser.number) == []
        assert eraser.of_others() == others

    def test_storages_that_can_not_be_gone_through(self, manager: Any, done: list[Any], monkeypatch: Any) -> None:
        storage_class = type(manager.user_feed_class.get_activity_storage())
        monkeypatch.setattr(erasing, 'ListsActivities', type('Nothing', (), {}))
        monkeypatch.setattr(sweeping, 'ListsTimelines', type('Nothing', (), {}))
        assert manager.erase_user(USER)['activities'] == 8
        assert self.everywhere(manager) == {5}
        assert storage_class(None).get_many(ids(done)) == []

    def test_another_class_with_a_format_that_fits(self, backend: Any, manager: Any) -> None:
        """Keys of groups match the pattern of a flat feed, and each feed is read by its own class."""
        normal, aggregated = (manager.feed_classes[name] for name in ('normal', 'aggregated'))
        aggregated.key_format = normal.key_format.replace('%(user_id)s', 'groups:%(user_id)s')
        manager.follow_user(1, USER)
        for n in range(3):
            manager.add_user_activity(USER, act(n, actor=USER))
        manager.unfollow_user(1, USER, keep_history=True)
        manager.get_feeds('groups')['normal'].add(act(1, actor=USER))
        manager.erase_user(USER)
        assert self.everywhere(manager, [1, 'groups']) == set()
        assert manager.get_feeds(1)['aggregated'].count() == manager.get_feeds(1)['normal'].count() == 0

    def test_a_class_of_activities_of_the_application(self, backend: Any, manager: Any) -> None:
        for feed_class in (*manager.feed_classes.values(), manager.user_feed_class, manager.notification_feed_class):
            feed_class.activity_class = Pin
        manager.follow_many_users(1, [USER, 5])
        activities = [act(n, cls=Pin, actor=actor, object=n, target=4) for n, actor in enumerate([USER, USER, 5])]
        for activity in activities:
            manager.add_user_activity(activity.actor_id, activity)
        manager.remove_user_activity(USER, activities[0])
        # What is removed from the feeds stays in the activity storage, where there is one.
        assert manager.erase_user(USER)['activities'] == (1 if backend.whole_activities else 2)
        assert self.everywhere(manager) == {5}
        if not backend.whole_activities:
            storage = manager.user_feed_class.get_activity_storage()
            assert ids(storage.get_many([one.serialization_id for one in activities])) == ids(activities[2:])

    def test_long_feeds(self, backend: Any, manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is deeper than one part, and than the length of the feed."""
        monkeypatch.setattr(sweeping, 'ENTRIES_AT_A_TIME', 4)
        monkeypatch.setattr(sweeping, 'ENTRIES_OF_LONG_FEEDS', 5)
        monkeypatch.setattr(sweeping, 'IDS_AT_A_TIME', 6)
        his = [act(n, actor=USER, object=n) for n in range(0, 30, 2)]
        others = [act(n, actor=5, object=n) for n in range(1, 30, 2)]
        manager.user_feed_class.insert_activities([*his, *others])
        feeds = manager.get_feeds(1).values()
        for feed in feeds:
            monkeypatch.setattr(type(feed), 'max_length', 3)
            feed.add_many([*his, *others], trim=False)
        manager.erase_user(USER)
        for feed in feeds:
            assert sorted(ids_of(feed)) == ids(others)
            assert feed.count() == len(others)

    def test_ids_that_look_alike(self, manager: Any) -> None:
        """17 and '17' are two users."""
        for user in (17, '17'):
            activity = act(1, actor=user)
            manager.user_feed_class.insert_activity(activity)
            manager.follow_user(user, 5)
            for feed in manager.get_feeds(4).values():
                feed.add(activity)
        manager.erase_user('17')
        for feed in manager.get_feeds(4).values():
            assert [type(actor) for item in feed[:] for actor in getattr(item, 'actor_ids', [17])] == [int]
        assert (manager.is_following(17, [5]), manager.is_following('17', [5])) == ({5}, set())

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
