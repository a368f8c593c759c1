"""What a manager does, on every backend. Tasks run eagerly, or in the order that the test chooses."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework import tasks
from stream_framework.activity import Activity
from stream_framework.exceptions import MessageError
from stream_framework.feed_managers import copying, follow_task
from stream_framework.feed_managers.base import (
    FanoutPriority,
    Manager,
    add_operation,
    remove_operation,
    update_operation,
)
from stream_framework.metrics.base import Metrics
from stream_framework.verbs import Comment, Love
from stream_framework.verbs.base import Verb
from tests import managers
from tests.contracts.support import act, acts, at, ids, members, names

HIGH, LOW = FanoutPriority.HIGH, FanoutPriority.LOW

_users = itertools.count(1)


def trim_operation(feed: Any, batch_interface: Any) -> None:
    """An operation of an application that takes nothing but what every operation gets."""
    assert batch_interface is not None
    feed.trim(1)


class Recorder:
    """Stands in for a task; runs nothing."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def delay(self, *args: Any, **kwargs: Any) -> str:
        assert not args
        self.calls.append(kwargs)
        return f'result {len(self.calls)}'


class Queue:
    """Keeps what is published, until the test runs it in an order of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        for name in (
            'fanout_operation',
            'fanout_operation_hi_priority',
            'fanout_operation_low_priority',
            'follow_many',
            'unfollow_many',
            'publish_fanout',
        ):
            monkeypatch.setattr(getattr(tasks, name), 'apply_async', self._keeper(getattr(tasks, name)))

    def _keeper(self, task: Any) -> Any:
        def apply_async(args: Any = (), kwargs: Any = None, **options: Any) -> None:
            self.messages.append((task, tuple(args or ()), dict(kwargs or {})))

        return apply_async

    def run(self, order: Any = None) -> None:
        messages, self.messages = self.messages, []
        for position in order if order is not None else range(len(messages)):
            task, args, kwargs = messages[position]
            task(*args, **kwargs)
        assert self.messages == []


class Sized:
    """Any iterable of ids that knows its length, as Django's ``values_list`` does; no list."""

    def __init__(self, items: Any) -> None:
        self.items = list(items)

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def ids_of(feed: Any) -> list[int]:
    """The ids of all activities that a feed shows."""
    return [activity_id for item in feed[:] for activity_id in getattr(item, 'activity_ids', [item.serialization_id])]


def with_target(activity: Any, target: Any) -> Any:
    """An activity whose target is no id, by way of an application's own class."""
    activity.target_id = target
    return activity


class ManagerContract:
    @pytest.fixture(autouse=True)
    def eager(self) -> Iterator[None]:
        conf = current_app.conf
        before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
        conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        conf.update(before)

    @pytest.fixture
    def manager_class(self, backend: Any) -> Any:
        managers.FOLLOWERS.clear()
        managers.ASKED.clear()
        return backend.manager_class()

    @pytest.fixture
    def manager(self, manager_class: Any) -> Any:
        return manager_class()

    @pytest.fixture
    def queue(self, monkeypatch: pytest.MonkeyPatch) -> Queue:
        return Queue(monkeypatch)

    @pytest.fixture
    def users(self) -> list[int]:
        """Twenty users that no other test has."""
        first = next(_users) * 1000
        return list(range(first, first + 20))

    @pytest.fixture
    def author(self, users: list[int]) -> int:
        """Followed by nine at high, and ten at low priority."""
        managers.FOLLOWERS[users[0]] = {HIGH: users[1:10], LOW: users[10:]}
        return users[0]

    def feeds(self, manager: Any, user_ids: Any, name: str = 'normal') -> list[Any]:
        return [manager.get_feeds(user_id)[name] for user_id in user_ids]

    # feeds

    def test_get_feeds(self, manager: Any, users: list[int]) -> None:
        feeds = manager.get_feeds(users[0])
        assert set(feeds) == {'normal', 'aggregated', 'notification'}
        for name, feed in feeds.items():
            assert type(feed) is manager.feed_classes[name]
            assert feed.user_id == users[0]
        user_feed = manager.get_user_feed(users[0])
        assert type(user_feed) is manager.user_feed_class
        assert user_feed.user_id == users[0]

    def test_followers_are_the_applications_business(self) -> None:
        with pytest.raises(NotImplementedError):
            Manager().get_user_follower_ids(user_id=1)

    # adding and removing

    def test_add_user_activity(self, backend: Any, manager: Any, users: list[int], author: int) -> None:
        activity = act(1, actor=author, extra_context={'a': 1})
        manager.add_user_activity(author, activity)
        if not backend.whole_activities:
            assert manager.user_feed_class.get_activity_storage().get(activity.serialization_id) == activity
        assert ids(manager.get_user_feed(author)[:]) == ids([activity])
        for user_id in users[1:]:
            feeds = manager.get_feeds(user_id)
            [found] = feeds['normal'][:]
            assert (found.serialization_id, found.extra_context) == (activity.serialization_id, {'a': 1})
            assert members(feeds['aggregated'][:]) == [('object-501', ids([activity]), 0)]
            assert members(feeds['notification'][:]) == [('3-501-2013-07-08', ids([activity]), 0)]
            assert feeds['notification'].count_unseen() == 1
        assert all(feed[:] == [] for feed in manager.get_feeds(author).values())

    def test_activities_are_stored_before_they_are_published(self, manager_class: Any, users: list[int]) -> None:
        """First in the activity storage, then in the user feed, then for the followers; also when taken back."""
        done: list[str] = []

        class UserFeed(manager_class.user_feed_class):  # type: ignore[misc]
            @classmethod
            def insert_activities(cls, *args: Any, **kwargs: Any) -> None:
                done.append('stored')
                super().insert_activities(*args, **kwargs)

            def add_many(self, *args: Any, **kwargs: Any) -> Any:
                done.append('added')
                return super().add_many(*args, **kwargs)

            def remove_many(self, *args: Any, **kwargs: Any) -> Any:
                done.append('removed')
                return super().remove_many(*args, **kwargs)

        class Publishing(manager_class):  # type: ignore[misc]
            user_feed_class = UserFeed

            def create_fanout_tasks(self, *args: Any, **kwargs: Any) -> Any:
                done.append('published')
                return []

        managers.FOLLOWERS[users[0]] = {HIGH: users[1:2], LOW: users[2:3]}
        manager = Publishing()
        activity = act(1, actor=users[0])
        published = len(manager.feed_classes) * 2
        manager.add_user_activity(users[0], activity)
        assert list(dict.fromkeys(done)) == ['stored', 'added', 'published']
        assert done.count('published') == published
        done.clear()
        manager.remove_user_activity(users[0], activity)
        assert done == ['removed', *['published'] * published]
        done.clear()
        manager.batch_import(users[0], [activity])
        assert list(dict.fromkeys(done)) == ['stored', 'added', 'published']

    def test_a_user_feed_that_overrides_the_methods_for_one(self, manager_class: Any, users: list[int]) -> None:
        called = []

        class UserFeed(manager_class.user_feed_class):  # type: ignore[misc]
            def add(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
                called.append(('add', activity))
                return super().add(activity, *args, **kwargs)

            @classmethod
            def insert_activity(cls, activity: Any, **kwargs: Any) -> None:
                called.append(('insert_activity', activity))
                super().insert_activity(activity, **kwargs)

        manager = manager_class()
        manager.user_feed_class = UserFeed
        activity = act(1, actor=users[0])
        manager.add_user_activity(users[0], activity)
        assert called == [('insert_activity', activity), ('add', activity)]
        assert manager.get_user_feed(users[0])[:5] == [activity]

    def test_feeds_that_make_their_own_storage(self, manager_class: Any, users: list[int]) -> None:
        """A feed's constructor may give it another storage than its class: that is the one that counts."""
        manager = manager_class()
        keys = []

        def with_its_own(feed_class: Any) -> Any:
            class Storage(feed_class.timeline_storage_class):  # type: ignore[misc]
                def add_many(self, key: str, *args: Any, **kwargs: Any) -> Any:
                    keys.append(key)
                    return super().add_many(key, *args, **kwargs)

            class Feed(feed_class):  # type: ignore[misc]
                def __init__(self, user_id: Any) -> None:
                    super().__init__(user_id)
                    self.timeline_storage = Storage(**self.get_timeline_storage_options())

            return Feed

        manager.user_feed_class = with_its_own(manager_class.user_feed_class)
        normal = with_its_own(manager_class.feed_classes['normal'])
        activity = act(1, actor=users[0])
        manager.user_feed_class.insert_activity(activity)
        manager.get_user_feed(users[0]).add(activity)
        kwargs = {'activities': [activity]}
        tasks.fanout_operation(
            feed_manager=manager,
            feed_class=normal,
            user_ids=users[1:4],
            operation=add_operation,
            operation_kwargs=kwargs,
        )
        assert keys == [manager.get_user_feed(users[0]).key, *(normal(user_id).key for user_id in users[1:4])]
        assert [normal(user_id)[:] for user_id in users[1:4]] == [[activity]] * 3
        manager.follow_user(users[5], users[0], async_=False)
        assert manager.get_feeds(users[5])['normal'][:] == [activity]

    @pytest.mark.parametrize(
        'form', ['%(user_id)s:%(user_id)s', '100%%:%(user_id)s', '%(user_id)04d:x', '<%(user_id)r>']
    )
    def test_key_formats(self, backend: Any, manager: Any, users: list[int], form: str) -> None:
        base = manager.feed_classes['normal']
        feed_class = backend.flat(key_format=base.key_format.replace('%(user_id)s', form))
        feed_class.insert_activity(act(1))
        tasks.fanout_operation(
            feed_manager=manager,
            feed_class=feed_class,
            user_ids=users,
            operation=add_operation,
            operation_kwargs={'activities': [act(1)]},
        )
        assert [feed_class(user_id)[:] for user_id in users] == [[act(1)]] * len(users)

    @pytest.mark.parametrize('method', ['add_to_storage', 'add_many', 'add', 'insert_activity', 'insert_activities'])
    def test_what_passes_no_keywords_on(self, manager_class: Any, users: list[int], author: int, method: str) -> None:
        """An application's own way of storing, as it was with 1.4.0, need not know what ours is called with."""
        base = manager_class.user_feed_class
        storage_class = base.activity_storage_class

        class Storage(storage_class):  # type: ignore[misc]
            pass

        class UserFeed(base):  # type: ignore[misc]
            activity_storage_class = Storage

        if method.startswith('insert'):
            setattr(UserFeed, method, classmethod(lambda cls, given: getattr(super(UserFeed, cls), method)(given)))
        else:
            setattr(Storage, method, lambda self, given, *args, **kwargs: getattr(super(Storage, self), method)(given))
        manager = manager_class()
        manager.user_feed_class = UserFeed
        activity = act(1, actor=author)
        for _ in range(2):
            manager.add_user_activity(author, activity)
            assert manager.get_feeds(users[1])['normal'][:] == [activity]
            manager.remove_user_activity(author, activity)
            assert manager.get_feeds(users[1])['normal'][:] == []
        manager.batch_import(author, [activity])
        assert manager.get_feeds(users[1])['normal'][:] == [activity]

    def test_following_a_feed_that_shows_a_part(self, manager_class: Any, users: list[int]) -> None:
        class Even(manager_class.user_feed_class):  # type: ignore[misc]
            def __getitem__(self, item: Any) -> Any:
                return [activity for activity in super().__getitem__(item) if activity.object_id % 2 == 0]

        manager = manager_class()
        manager.user_feed_class = Even
        Even.insert_activities(acts(4, actor=users[0]))
        manager.get_user_feed(users[0]).add_many(acts(4, actor=users[0]))
        manager.follow_user(users[1], users[0], async_=False)
        assert ids(manager.get_feeds(users[1])['normal'][:]) == ids([act(2), act(0)])

    def test_metrics_may_be_assigned(self, manager: Any, users: list[int]) -> None:
        class Counting(Metrics):
            published = 0

            def on_activity_published(self) -> None:
                self.published += 1

        assert isinstance(type(manager).metrics, Metrics)
        manager.metrics = Counting()
        manager.add_user_activity(users[0], act(1, actor=users[0]))
        assert manager.metrics.published == 1
        storage = manager.user_feed_class.get_activity_storage()
        storage.metrics = Counting()
        assert isinstance(storage.metrics, Counting)

    def test_followers_are_asked_for_by_keyword(self, manager: Any, author: int) -> None:
        manager.add_user_activity(author, act(1, actor=author))
        manager.remove_user_activity(author, act(1, actor=author))
        assert managers.ASKED
        assert all(kwargs == {'user_id': author} for kwargs in managers.ASKED)

    def test_remove_user_activity(self, backend: Any, manager: Any, users: list[int], author: int) -> None:
        for activity in acts(3, actor=author, object=7):
            manager.add_user_activity(author, activity)
        gone = act(1, actor=author, object=7)
        manager.remove_user_activity(author, gone)
        left = ids([act(0, object=7), act(2, object=7)])
        assert ids(manager.get_user_feed(author)[:]) == left[::-1]
        for user_id in users[1:]:
            feeds = manager.get_feeds(user_id)
            assert ids(feeds['normal'][:]) == left[::-1]
            assert members(feeds['aggregated'][:]) == [('object-7', left, 0)]
            assert members(feeds['notification'][:]) == [('3-7-2013-07-08', left, 0)]
        if not backend.whole_activities:
            stored = manager.user_feed_class.get_activity_storage().get(gone.serialization_id)
            assert stored == gone, 'the activity storage is left alone'

    def test_add_again_after_removing(self, manager: Any, users: list[int], author: int) -> None:
        activity = act(1, actor=author)
        for _ in range(2):
            manager.add_user_activity(author, activity)
            assert [feed.count() for feed in self.feeds(manager, users[1:])] == [1] * 19
            manager.remove_user_activity(author, activity)
            assert [feed.count() for feed in self.feeds(manager, users[1:])] == [0] * 19
        manager.add_user_activity(author, activity)
        manager.add_user_activity(author, activity)
        for name in ('normal', 'aggregated', 'notification'):
            assert [feed.count() for feed in self.feeds(manager, users[1:], name)] == [1] * 19

    def versions(self, manager: Any, user_id: Any) -> dict[str, list[Any]]:
        """What the feeds of a user show of the contexts of activities, newest first."""
        feeds = {**manager.get_feeds(user_id), 'user': manager.get_user_feed(user_id)}
        shown: dict[str, list[Any]] = {}
        for name, feed in feeds.items():
            items = [getattr(item, 'activities', [item]) for item in feed[:]]
            shown[name] = [activity.extra_context.get('version') for of_item in items for activity in of_item]
        return {name: found for name, found in shown.items() if found}

    def test_update_user_activities(self, manager: Any, users: list[int], author: int) -> None:
        for activity in acts(3, actor=author, extra_context={'version': 1, 'gone': True}):
            manager.add_user_activity(author, activity)
        before = {
            user_id: [
                (group.serialization_id, group.updated_at, group.is_seen, group.activity_count)
                for group in manager.get_feeds(user_id)['notification'][:]
            ]
            for user_id in users[1:]
        }
        manager.update_user_activity(act(2, actor=author, extra_context={'version': 2}))
        manager.update_user_activities(iter(acts(2, actor=author, extra_context={'version': 3})))
        assert self.versions(manager, author) == {'user': [2, 3, 3]}
        for user_id in users[1:]:
            shown = {'normal': [2, 3, 3], 'aggregated': [2, 3, 3], 'notification': [2, 3, 3]}
            assert self.versions(manager, user_id) == shown
            feeds = manager.get_feeds(user_id)
            assert not any('gone' in activity.extra_context for activity in feeds['normal'][:])
            assert [
                (group.serialization_id, group.updated_at, group.is_seen, group.activity_count)
                for group in feeds['notification'][:]
            ] == before[user_id]

    def test_updates_call_add_user_activity(self, manager_class: Any, users: list[int]) -> None:
        """In a class, a grandchild, or a mixin; with the actor, and nothing more."""
        called = []

        class Mixin:
            def add_user_activity(self, user_id: Any, activity: Any) -> None:
                called.append(('mixin', user_id, activity))
                super().add_user_activity(user_id, activity)  # type: ignore[misc]

        class Child(manager_class):  # type: ignore[misc]
            def add_user_activity(self, user_id: Any, activity: Any) -> None:
                called.append(('child', user_id, activity))
                super().add_user_activity(user_id, activity)

        class GrandChild(Mixin, Child):
            pass

        manager = GrandChild()
        managers.FOLLOWERS[users[0]] = {}
        given = act(1, actor=users[0], extra_context={'version': 1})
        manager.add_user_activity(users[0], given)
        called.clear()
        updated = [act(1, actor=users[0], extra_context={'version': 2}), act(2, actor=users[0])]
        manager.update_user_activities(updated)
        assert [(who, user_id, id(activity)) for who, user_id, activity in called] == [
            (who, users[0], id(activity)) for activity in updated for who in ('mixin', 'child')
        ]
        assert self.versions(manager, users[0]) == {'user': [2]}

    def test_updates_publish_update_operation(self, manager_class: Any, users: list[int]) -> None:
        published = []

        class Recording(manager_class):  # type: ignore[misc]
            def create_fanout_tasks(self, follower_ids: Any, feed_class: Any, operation: Any, **kwargs: Any) -> Any:
                published.append((operation, feed_class))
                return []

        manager = Recording()
        managers.FOLLOWERS[users[0]] = {HIGH: users[1:3]}
        manager.add_user_activity(users[0], act(1, actor=users[0]))
        manager.update_user_activity(act(1, actor=users[0]))
        manager.update_user_activity(act(2, actor=users[0]))
        classes = list(manager.feed_classes.values())
        assert published == [(operation, each) for operation in (add_operation, update_operation) for each in classes]

    def test_updates_never_bring_back(self, backend: Any, manager: Any, users: list[int], author: int) -> None:
        kept, removed, trimmed, never = (
            act(n, actor=author, object=author * 10 + n, extra_context={'version': 1}) for n in (3, 2, 1, 0)
        )
        for activity in (trimmed, removed, kept):
            manager.add_user_activity(author, activity)
        manager.remove_user_activity(author, removed)
        reader = users[1]
        feeds = manager.get_feeds(reader)
        for feed in [*feeds.values(), manager.get_user_feed(author)]:
            feed.trim(1)
        shown = {name: ids_of(feed) for name, feed in feeds.items()}
        for activity in (kept, removed, trimmed, never):
            activity.extra_context = {'version': 2}
        manager.update_user_activities([kept, removed, trimmed, never])
        assert {name: ids_of(feed) for name, feed in feeds.items()} == shown
        assert self.versions(manager, reader) == {'normal': [2], 'aggregated': [2], 'notification': [2]}
        assert self.versions(manager, author) == {'user': [2]}
        if not backend.whole_activities:
            storage = manager.user_feed_class.get_activity_storage()
            assert storage.get(never) is None, 'what the user feed does not hold is not stored'
            assert storage.get(removed).extra_context == {'version': 1}

    def test_updates_leave_the_activity_storage_without_what_is_gone(
        self, backend: Any, manager: Any, users: list[int], author: int
    ) -> None:
        if backend.whole_activities:
            pytest.skip('timelines hold whole activities: there is no activity storage')
        activity = act(1, actor=author, object=author * 10)
        manager.add_user_activity(author, activity)
        manager.user_feed_class.remove_activity(activity)
        manager.update_user_activity(activity)
        assert manager.get_user_feed(author)[:] == manager.get_feeds(users[1])['normal'][:] == []

    def test_updates_leave_what_was_published_last(
        self, manager: Any, users: list[int], author: int, queue: Queue
    ) -> None:
        """Whatever the order of adding, removing and updating in the workers, what was removed stays away."""
        activity = act(1, actor=author, extra_context={'version': 1})
        managers.FOLLOWERS[author] = {HIGH: users[1:3]}
        manager.add_user_activity(author, activity)
        manager.update_user_activity(act(1, actor=author, extra_context={'version': 2}))
        manager.remove_user_activity(author, activity)
        manager.update_user_activity(act(1, actor=author, extra_context={'version': 3}))
        assert len(queue.messages) == 9
        queue.run(random.Random(1).sample(range(9), 9))
        assert self.versions(manager, users[1]) == {}
        assert self.versions(manager, author) == {}

    def test_who_follows_since_gets_the_new_state(self, manager: Any, users: list[int], author: int) -> None:
        managers.FOLLOWERS[author] = {}
        manager.add_user_activity(author, act(1, actor=author, extra_context={'version': 1}))
        manager.update_user_activity(act(1, actor=author, extra_context={'version': 2}))
        manager.follow_user(users[1], author)
        assert self.versions(manager, users[1]) == {'normal': [2], 'aggregated': [2], 'notification': [2]}

    @pytest.mark.parametrize('order', list(itertools.permutations(range(3))), ids=str)
    def test_copies_are_of_the_last_update(
        self, manager: Any, users: list[int], author: int, queue: Queue, order: Any
    ) -> None:
        """Whatever the order in which workers add, and update twice."""
        managers.FOLLOWERS[author] = {HIGH: users[1:3]}
        for version, method in enumerate(('add_user_activity', 'update_user_activity', 'update_user_activity')):
            activity = act(1, actor=author, extra_context={'version': version})
            getattr(manager, method)(*([author, activity] if method == 'add_user_activity' else [activity]))
        assert len(queue.messages) == 9
        queue.run([part * 3 + feed for part in order for feed in range(3)])
        for reader in users[1:3]:
            assert self.versions(manager, reader) == {'normal': [2], 'aggregated': [2], 'notification': [2]}

    def test_what_is_updated_while_following_copies_it(
        self, manager: Any, users: list[int], author: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reader = users[1]
        managers.FOLLOWERS[author] = {}
        for n in (1, 2):
            manager.add_user_activity(author, act(n, actor=author, extra_context={'version': 1}))
        newest = copying.newest

        def interrupted(*args: Any) -> Any:
            found = newest(*args)
            monkeypatch.setattr(copying, 'newest', newest)
            manager.update_user_activity(act(1, actor=author, extra_context={'version': 2}))
            return found

        monkeypatch.setattr(copying, 'newest', interrupted)
        manager.follow_user(reader, author)
        assert self.versions(manager, reader) == {
            'normal': [1, 2],
            'aggregated': [1, 2],
            'notification': [1, 2],
        }

    def test_updates_of_what_groups_have_dropped(self, manager: Any, users: list[int], author: int) -> None:
        posted = [act(n, actor=author, object=7, extra_context={'version': 1}) for n in range(20)]
        manager.batch_import(author, posted)
        feed = manager.get_feeds(users[1])['notification']
        before = members(feed[:])
        assert before[0][2] == 5
        manager.update_user_activities([act(n, actor=author, object=7, extra_context={'version': 2}) for n in (3, 8)])
        assert members(feed[:]) == before
        [group] = feed[:]
        assert [activity.object_id for activity in group.activities] == [7] * 15
        assert [activity.extra_context['version'] for activity in group.activities].count(2) == 1

    def test_updates_call_the_hooks_of_the_user_feed(self, manager_class: Any, users: list[int]) -> None:
        called: list[str] = []

        class UserFeed(manager_class.user_feed_class):  # type: ignore[misc]
            @classmethod
            def insert_activity(cls, activity: Any, **kwargs: Any) -> None:
                called.append('insert_activity')
                super().insert_activity(activity, **kwargs)

            def on_update_feed(self, new: Any, deleted: Any) -> None:
                called.append('on_update_feed')

        manager = manager_class()
        manager.user_feed_class = UserFeed
        manager.add_user_activity(users[0], act(1, actor=users[0]))
        called.clear()
        manager.update_user_activity(act(1, actor=users[0]))
        assert called == ['insert_activity']

    def test_what_tasks_do_within_an_update_is_none(self, manager_class: Any, users: list[int]) -> None:
        """Run eagerly, a task's hooks run within the update; what they add is added."""

        class Telling(manager_class):  # type: ignore[misc]
            def create_fanout_tasks(self, *args: Any, **kwargs: Any) -> Any:
                manager_class().add_user_activity(users[2], act(5, actor=users[2]))
                return []

        manager = Telling()
        manager_class().add_user_activity(users[0], act(1, actor=users[0]))
        managers.FOLLOWERS[users[0]] = {HIGH: [users[1]]}
        manager.update_user_activity(act(1, actor=users[0]))
        assert manager.get_user_feed(users[2]).count() == 1

    # whom to fan out to

    @pytest.mark.parametrize('kind', [list, tuple, Sized, set, dict.fromkeys, iter], ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize('priority', [HIGH, LOW, None])
    def test_followers_of_any_kind(self, manager: Any, users: list[int], kind: Any, priority: Any) -> None:
        managers.FOLLOWERS[users[0]] = lambda: {priority: kind(users[1:])}
        manager.add_user_activity(users[0], act(1, actor=users[0]))
        for name in ('normal', 'aggregated', 'notification'):
            assert [feed.count() for feed in self.feeds(manager, users[1:], name)] == [1] * 19

    def test_generators_are_consumed_once_in_chunks(self, manager_class: Any, users: list[int]) -> None:
        calls = []
        drawn = []

        class Chunked(manager_class):
            fanout_chunk_size = 5

            def create_fanout_tasks(self, follower_ids: Any, feed_class: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append((feed_class, list(follower_ids), len(drawn)))
                return []

        def generate() -> Any:
            for user_id in users[1:]:
                drawn.append(user_id)
                yield user_id

        managers.FOLLOWERS[users[0]] = lambda: {HIGH: generate()}
        manager = Chunked()
        manager.add_user_activity(users[0], act(1, actor=users[0]))
        assert drawn == users[1:]
        for feed_class in manager.feed_classes.values():
            mine = [follower_ids for called, follower_ids, _ in calls if called is feed_class]
            assert [user_id for chunk in mine for user_id in chunk] == users[1:]
            assert max(map(len, mine)) <= 5
        assert calls[0][2] < 19, 'nothing is held that does not need to be'

    def test_sized_collections_are_passed_whole(self, manager_class: Any, users: list[int]) -> None:
        calls = []

        class Whole(manager_class):
            fanout_chunk_size = 2

            def create_fanout_tasks(self, follower_ids: Any, feed_class: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append((follower_ids, feed_class))
                return []

        high, low = users[1:8], Sized(users[8:])
        managers.FOLLOWERS[users[0]] = {HIGH: high, LOW: low}
        manager = Whole()
        manager.add_user_activity(users[0], act(1, actor=users[0]))
        assert len(calls) == 6
        for feed_class in manager.feed_classes.values():
            assert [f for f, called in calls if called is feed_class and f is high]
            assert [f for f, called in calls if called is feed_class and f is low]

    # tasks

    def test_get_fanout_task(self, manager: Any) -> None:
        assert manager.get_fanout_task(HIGH) is tasks.fanout_operation_hi_priority
        assert manager.get_fanout_task(LOW) is tasks.fanout_operation_low_priority
        assert manager.get_fanout_task() is tasks.fanout_operation
        assert manager.get_fanout_task(priority=None, feed_class=manager.feed_classes['normal']) is (
            tasks.fanout_operation
        )
        assert manager.priority_fanout_task[HIGH] is tasks.fanout_operation_hi_priority
        assert manager.priority_fanout_task[LOW] is tasks.fanout_operation_low_priority

    def test_priorities_choose_the_task(self, manager_class: Any, users: list[int], author: int) -> None:
        high, low = Recorder(), Recorder()

        class Prioritized(manager_class):
            priority_fanout_task = {HIGH: high, LOW: low}

        manager = Prioritized()
        manager.add_user_activity(author, act(1, actor=author))
        assert sorted(id(call['feed_class']) for call in high.calls) == sorted(map(id, manager.feed_classes.values()))
        assert [list(call['user_ids']) for call in high.calls] == [users[1:10]] * 3
        assert [list(call['user_ids']) for call in low.calls] == [users[10:]] * 3

    def test_create_fanout_tasks(self, manager_class: Any, users: list[int]) -> None:
        task = Recorder()
        asked = []

        class Chunked(manager_class):
            fanout_chunk_size = 8

            def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
                asked.append((priority, feed_class))
                return task

        manager = Chunked()
        feed_class = manager.feed_classes['normal']
        kwargs = {'activities': [act(1)], 'trim': True}
        results = manager.create_fanout_tasks(
            users, feed_class, add_operation, operation_kwargs=kwargs, fanout_priority=HIGH
        )
        assert list(results) == ['result 1', 'result 2', 'result 3']
        assert set(asked) == {(HIGH, feed_class)}
        assert [list(call['user_ids']) for call in task.calls] == [users[:8], users[8:16], users[16:]]
        for call in task.calls:
            assert set(call) == {'feed_manager', 'feed_class', 'user_ids', 'operation', 'operation_kwargs'}
            assert call['feed_manager'] is manager
            assert call['feed_class'] is feed_class
            assert call['operation'] is add_operation
            assert call['operation_kwargs']['activities'] == [act(1)]
            assert call['operation_kwargs']['trim'] is True

    def test_create_fanout_tasks_without_arguments(self, manager: Any, users: list[int]) -> None:
        feed_class = manager.feed_classes['normal']
        for feed in self.feeds(manager, users):
            feed.add_many(acts(3))
        results = manager.create_fanout_tasks(users, feed_class, trim_operation)
        assert len(results) == 1
        assert [feed.count() for feed in self.feeds(manager, users)] == [1] * 20
        assert len(manager.create_fanout_tasks(users, feed_class, trim_operation, None, LOW)) == 1

    def test_create_fanout_tasks_of_nobody(self, manager: Any) -> None:
        assert list(manager.create_fanout_tasks([], manager.feed_classes['normal'], add_operation, {})) == []

    def test_a_falsy_task_means_none(self, manager_class: Any, users: list[int], author: int) -> None:
        class Silent(manager_class):
            def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
                return None if priority == LOW else super().get_fanout_task(priority, feed_class)

        manager = Silent()
        assert (
            manager.create_fanout_tasks(
                users, manager.feed_classes['normal'], add_operation, {'activities': [act(1)]}, fanout_priority=LOW
            )
            == []
        )
        assert [feed.count() for feed in self.feeds(manager, users)] == [0] * 20

    def test_tasks_called_directly_with_objects(self, manager: Any, users: list[int]) -> None:
        feed_class = manager.feed_classes['normal']
        activity = act(1, object=users[0])
        feed_class.insert_activity(activity)
        for task in (
            tasks.fanout_operation,
            tasks.fanout_operation_hi_priority,
            tasks.fanout_operation_low_priority,
        ):
            task(manager, feed_class, users[:5], add_operation, {'activities': [activity], 'trim': True})
            assert [feed.count() for feed in self.feeds(manager, users)] == [1] * 5 + [0] * 15
            task(
                feed_manager=manager,
                feed_class=feed_class,
                user_ids=users[:5],
                operation=remove_operation,
                operation_kwargs={'activities': [activity]},
            )
            assert [feed.count() for feed in self.feeds(manager, users)] == [0] * 20

    def test_tasks_by_delay(self, manager: Any, users: list[int]) -> None:
        feed_class = manager.feed_classes['aggregated']
        activity = act(1, object=users[0])
        feed_class.insert_activity(activity)
        tasks.fanout_operation.delay(
            feed_manager=manager,
            feed_class=feed_class,
            user_ids=users,
            operation=add_operation,
            operation_kwargs={'activities': [activity], 'trim': True},
        )
        assert [feed.count() for feed in self.feeds(manager, users, 'aggregated')] == [1] * 20

    def test_task_names(self) -> None:
        for name in (
            'fanout_operation',
            'fanout_operation_hi_priority',
            'fanout_operation_low_priority',
            'follow_many',
            'unfollow_many',
            'publish_fanout',
        ):
            assert getattr(tasks, name).name == f'stream_framework.tasks.{name}'

    def test_follow_and_unfollow_tasks(self, manager: Any, users: list[int]) -> None:
        for n in range(5):
            manager.add_user_activity(users[1], act(n, actor=users[1]))
        tasks.follow_many(manager, users[0], [users[1]], 3)
        expected = ids(acts(5))[:1:-1]
        assert ids(manager.get_feeds(users[0])['normal'][:]) == expected
        tasks.unfollow_many(manager, users[0], [users[1]])
        assert manager.get_feeds(users[0])['normal'][:] == []
        tasks.follow_many(feed_manager=manager, user_id=users[0], target_ids=[users[1]], follow_limit=1)
        assert ids(manager.get_feeds(users[0])['normal'][:]) == expected[:1]

    # fan-out

    def test_fanout_gives_one_batch_to_the_operation(self, manager: Any, users: list[int]) -> None:
        calls = []

        def operation(feed: Any, batch_interface: Any = None, **kwargs: Any) -> None:
            calls.append((type(feed), feed.user_id, batch_interface, kwargs))

        feed_class = manager.feed_classes['normal']
        manager.fanout(users, feed_class, operation, {'anything': 5})
        assert [call[:2] for call in calls] == [(feed_class, user_id) for user_id in users]
        assert calls[0][2] is not None
        assert all(call[2] is calls[0][2] for call in calls)
        assert all(call[3] == {'anything': 5} for call in calls)

    def test_operations(self, manager: Any, users: list[int]) -> None:
        feed_class = manager.feed_classes['normal']
        feed = feed_class(users[0])
        feed_class.insert_activities(acts(3))
        add_operation(feed, acts(3))
        assert feed.count() == 3
        remove_operation(feed, acts(2), trim=False)
        assert feed.count() == 1
        with feed_class.get_timeline_batch_interface() as batch:
            add_operation(feed, acts(3), trim=True, batch_interface=batch)
            assert feed.count() == 1
        assert feed.count() == 3
        with feed_class.get_timeline_batch_interface() as batch:
            remove_operation(feed, acts(1), batch_interface=batch)
            assert feed.count() == 3
        assert feed.count() == 2

    # following

    def post(self, manager: Any, user_id: int, numbers: Any) -> list[int]:
        """The user posts; the ids, newest first."""
        activities = [act(n, actor=user_id) for n in numbers]
        for activity in activities:
            manager.add_user_activity(user_id, activity)
        return ids(activities)[::-1]

    @pytest.mark.parametrize('async_', [False, True])
    def test_follow_user(self, manager: Any, users: list[int], async_: bool) -> None:
        reader, one, two = users[:3]
        of_one = self.post(manager, one, (1, 3, 5))
        of_two = self.post(manager, two, (2, 4))
        manager.follow_user(reader, one, async_=async_)
        feeds = manager.get_feeds(reader)
        assert ids(feeds['normal'][:]) == of_one
        assert names(feeds['aggregated'][:]) == ['object-505', 'object-503', 'object-501']
        manager.follow_user(reader, two, async_=async_)
        assert ids(feeds['normal'][:]) == sorted(of_one + of_two, reverse=True)
        manager.unfollow_user(reader, one, async_=async_)
        assert ids(feeds['normal'][:]) == of_two
        assert names(feeds['aggregated'][:]) == ['object-504', 'object-502']
        manager.unfollow_user(reader, two, async_=async_)
        assert feeds['normal'][:] == []
        assert feeds['aggregated'][:] == []

    @pytest.mark.parametrize('async_', [False, True])
    def test_follow_many_users(self, manager: Any, users: list[int], async_: bool) -> None:
        reader, one, two, three = users[:4]
        expected = self.post(manager, one, (1, 4)) + self.post(manager, two, (2, 5)) + self.post(manager, three, (3,))
        manager.follow_many_users(reader, [one, two, three], async_=async_)
        feeds = manager.get_feeds(reader)
        assert ids(feeds['normal'][:]) == sorted(expected, reverse=True)
        manager.unfollow_many_users(reader, [one, three], async_=async_)
        assert ids(feeds['normal'][:]) == expected[2:4]
        assert [group.actor_ids for group in feeds['aggregated'][:]] == [[two], [two]]

    def test_by_default_through_celery(self, manager: Any, users: list[int], queue: Queue) -> None:
        queue.run()
        self.post(manager, users[1], (1,))
        queue.run()
        for call in (
            lambda: manager.follow_user(users[0], users[1]),
            lambda: manager.follow_many_users(users[0], [users[1]]),
        ):
            call()
            assert manager.get_feeds(users[0])['normal'][:] == []
            assert [message[0].name for message in queue.messages] == ['stream_framework.tasks.follow_many']
            queue.messages.clear()
        manager.follow_user(users[0], users[1], async_=False)
        assert queue.messages == []
        assert manager.get_feeds(users[0])['normal'].count() == 1
        manager.unfollow_user(users[0], users[1])
        assert [message[0].name for message in queue.messages] == ['stream_framework.tasks.unfollow_many']
        queue.run()
        assert manager.get_feeds(users[0])['normal'].count() == 0

    def test_follow_activity_limit(self, manager_class: Any, users: list[int]) -> None:
        class Limited(manager_class):
            follow_activity_limit = 3

        manager = Limited()
        expected = self.post(manager, users[1], range(6))
        manager.follow_user(users[0], users[1], async_=False)
        assert ids(manager.get_feeds(users[0])['normal'][:]) == expected[:3]

    def test_what_a_run_that_died_had_copied_is_taken_back(
        self, manager: Any, users: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reader, author = users[:2]
        self.post(manager, author, range(2))
        removed = manager.get_user_feed(author)[:1][0]
        copy = follow_task.copy_newest

        def dies(*args: Any) -> Any:
            copy(*args)
            raise RuntimeError('killed after the copy')

        with monkeypatch.context() as patch:
            patch.setattr(follow_task, 'copy_newest', dies)
            with pytest.raises(RuntimeError):
                manager.apply_follow(reader, [author])
        assert manager.get_feeds(reader)['normal'].count() == 2
        # Its fan-out knows nothing of the new follower.
        manager.remove_user_activity(author, removed)
        manager.apply_follow(reader, [author])
        assert ids(manager.get_feeds(reader)['normal'][:]) == ids(manager.get_user_feed(author)[:])
        assert manager.get_feeds(reader)['normal'].count() == 1

    def test_a_follow_activity_limit_of_zero(self, manager: Any, users: list[int]) -> None:
        self.post(manager, users[1], range(3))
        manager.follow_activity_limit = 0
        manager.follow_user(users[0], users[1], async_=False)
        assert not any(feed[:] for feed in manager.get_feeds(users[0]).values())

    def test_following_many_goes_in_parts(
        self, manager: Any, users: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr('stream_framework.feed_managers.following.COPIED_AT_A_TIME', 4)
        manager.follow_activity_limit = 2
        posted = [self.post(manager, author, (author % 100, author % 100 + 50)) for author in users[1:6]]
        manager.follow_many_users(users[0], iter(users[1:6]), async_=False)
        feeds = manager.get_feeds(users[0])
        expected = sorted((number for numbers in posted for number in numbers), reverse=True)
        assert ids(feeds['normal'][:]) == expected
        assert feeds['aggregated'].count() == 10
        manager.unfollow_many_users(users[0], users[1:6], async_=False)
        assert feeds['normal'].count() == feeds['aggregated'].count() == 0

    def test_following_nobody(self, manager: Any, users: list[int]) -> None:
        manager.follow_many_users(users[0], [], async_=False)
        manager.unfollow_many_users(users[0], [], async_=False)
        manager.follow_user(users[0], users[5], async_=False)
        manager.unfollow_user(users[0], users[5], async_=False)
        assert manager.get_feeds(users[0])['normal'][:] == []

    def test_following_twice(self, manager: Any, users: list[int]) -> None:
        expected = self.post(manager, users[1], range(4))
        for _ in range(2):
            manager.follow_user(users[0], users[1], async_=False)
        feeds = manager.get_feeds(users[0])
        assert ids(feeds['normal'][:]) == expected
        assert [group.activity_count for group in feeds['aggregated'][:]] == [1] * 4

    def test_follow_feed_and_unfollow_feed(self, manager: Any, users: list[int]) -> None:
        expected = self.post(manager, users[1], range(4))
        feed, source = manager.get_feeds(users[0])['normal'], manager.get_user_feed(users[1])
        manager.follow_feed(feed, source)
        assert ids(feed[:]) == expected
        mine = act(50, actor=users[0])
        feed.add(mine)
        manager.unfollow_feed(feed, source)
        assert ids(feed[:]) == ids([mine])

    def test_unfollow_goes_by_actor(self, manager: Any, users: list[int]) -> None:
        reader, one, two = users[:3]
        feeds = manager.get_feeds(reader)
        for name in feeds:
            feeds[name].add_many([act(1, actor=one, object=7), act(2, actor=two, object=7)])
        manager.unfollow_user(reader, one, async_=False)
        assert [activity.actor_id for activity in feeds['normal'][:]] == [two]
        assert [group.actor_ids for group in feeds['aggregated'][:]] == [[two]]
        assert [group.actor_ids for group in feeds['notification'][:]] == [[two]]

    # importing

    def test_batch_import(self, manager: Any, users: list[int], author: int) -> None:
        activities = acts(25, actor=author)
        manager.batch_import(author, activities, chunk_size=10)
        assert ids(manager.get_user_feed(author)[:]) == ids(activities)[::-1]
        for user_id in (users[1], users[-1]):
            assert ids(manager.get_feeds(user_id)['normal'][:]) == ids(activities)[::-1]
            assert manager.get_feeds(user_id)['aggregated'].count() == 25

    def test_batch_import_without_fanout(self, manager: Any, users: list[int], author: int) -> None:
        manager.batch_import(author, acts(5, actor=author), fanout=False)
        assert ids(manager.get_user_feed(author)[:]) == ids(acts(5))[::-1]
        assert [feed.count() for feed in self.feeds(manager, users[1:])] == [0] * 19

    def test_batch_import_of_nothing_is_no_work(self, manager: Any, author: int) -> None:
        manager.batch_import(author, [])
        assert manager.get_user_feed(author)[:] == []
        assert managers.ASKED == []

    def test_batch_import_of_iterators(self, manager: Any, author: int) -> None:
        manager.batch_import(author, iter(acts(5, actor=author)), chunk_size=2)
        assert ids(manager.get_user_feed(author)[:]) == ids(acts(5))[::-1]

    @pytest.mark.parametrize('position', [0, 3, 11])
    def test_batch_import_of_another_actors_activities(
        self, manager: Any, users: list[int], author: int, position: int
    ) -> None:
        activities = acts(12, actor=author)
        activities[position] = act(50, actor=author + 1)
        with pytest.raises(ValueError):
            manager.batch_import(author, activities, chunk_size=5)
        assert manager.get_user_feed(author)[:] == []
        assert [feed.count() for feed in self.feeds(manager, users[1:])] == [0] * 19

    # what was published last wins

    def one_each(self, manager: Any, users: list[int]) -> dict[str, int]:
        return {name: feed.count() for name, feed in manager.get_feeds(users[1]).items()}

    @pytest.mark.parametrize('seed', range(6))
    def test_removed_ends_removed(self, manager: Any, users: list[int], queue: Queue, seed: int) -> None:
        managers.FOLLOWERS[users[0]] = {HIGH: users[1:3]}
        activity = act(1, actor=users[0])
        manager.add_user_activity(users[0], activity)
        manager.remove_user_activity(users[0], activity)
        assert len(queue.messages) == 6
        orders = {
            0: range(6),
            1: reversed(range(6)),
            2: (3, 4, 5, 0, 1, 2),
            3: (3, 0, 4, 1, 5, 2),
            4: (5, 2, 1, 4, 0, 3),
            5: (3, 4, 5, 0, 1, 2, 0, 1, 2),
        }
        queue.run(orders[seed])
        assert self.one_each(manager, users) == {'normal': 0, 'aggregated': 0, 'notification': 0}
        assert manager.get_feeds(users[1])['notification'].count_unseen() == 0

    @pytest.mark.parametrize('order', list(itertools.permutations(range(3))), ids=str)
    def test_added_again_ends_present(self, manager_class: Any, users: list[int], queue: Queue, order: Any) -> None:
        managers.FOLLOWERS[users[0]] = {HIGH: users[1:3]}
        manager = manager_class()
        activity = act(1, actor=users[0])
        manager.add_user_activity(users[0], activity)
        manager.remove_user_activity(users[0], activity)
        manager.add_user_activity(users[0], activity)
        assert len(queue.messages) == 9
        queue.run([part * 3 + feed for part in order for feed in range(3)])
        assert self.one_each(manager, users) == {'normal': 1, 'aggregated': 1, 'notification': 1}
        assert manager.get_user_feed(users[0]).count() == 1

    @pytest.mark.parametrize('order', list(itertools.permutations(range(4))), ids=str)
    def test_removed_again_ends_removed(self, manager: Any, users: list[int], queue: Queue, order: Any) -> None:
        managers.FOLLOWERS[users[0]] = {HIGH: users[1:3]}
        activity = act(1, actor=users[0])
        for _ in range(2):
            manager.add_user_activity(users[0], activity)
            manager.remove_user_activity(users[0], activity)
        queue.run([part * 3 + feed for part in order for feed in range(3)])
        assert self.one_each(manager, users) == {'normal': 0, 'aggregated': 0, 'notification': 0}
        assert manager.get_user_feed(users[0]).count() == 0

    def test_other_activities_stay(self, manager: Any, users: list[int], queue: Queue) -> None:
        managers.FOLLOWERS[users[0]] = {HIGH: users[1:3]}
        kept, gone = act(1, actor=users[0]), act(2, actor=users[0])
        for activity in (kept, gone):
            manager.add_user_activity(users[0], activity)
        manager.remove_user_activity(users[0], gone)
        queue.run(reversed(range(9)))
        assert ids(manager.get_feeds(users[1])['normal'][:]) == ids([kept])

    @pytest.mark.parametrize('seed', range(3))
    def test_published_by_workers_in_any_order(
        self, manager: Any, users: list[int], author: int, queue: Queue, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        monkeypatch.setattr(type(manager), 'publish_in_worker', True)
        kept, removed, again = acts(3, actor=author)
        for activity in (kept, removed, again):
            manager.add_user_activity(author, activity)
        for activity in (removed, again):
            manager.remove_user_activity(author, activity)
        manager.add_user_activity(author, again)
        chance = random.Random(seed)
        assert len(queue.messages) == 6
        while queue.messages:
            task, args, kwargs = queue.messages.pop(chance.randrange(len(queue.messages)))
            task(*args, **kwargs)
        for user in users[1:]:
            assert ids(manager.get_feeds(user)['normal'][:]) == ids([again, kept])

    @pytest.mark.parametrize('order', list(itertools.permutations(range(2))), ids=str)
    def test_follow_then_unfollow(self, manager: Any, users: list[int], queue: Queue, order: Any) -> None:
        self.post(manager, users[1], range(3))
        queue.run()
        manager.follow_user(users[0], users[1])
        manager.unfollow_user(users[0], users[1])
        queue.run(order)
        assert {name: feed.count() for name, feed in manager.get_feeds(users[0]).items()} == {
            'normal': 0,
            'aggregated': 0,
            'notification': 0,
        }

    @pytest.mark.parametrize('order', list(itertools.permutations(range(3))), ids=str)
    def test_follow_unfollow_follow(self, manager: Any, users: list[int], queue: Queue, order: Any) -> None:
        expected = self.post(manager, users[1], range(3))
        queue.run()
        manager.follow_user(users[0], users[1])
        manager.unfollow_user(users[0], users[1])
        manager.follow_user(users[0], users[1])
        queue.run(order)
        feeds = manager.get_feeds(users[0])
        assert ids(feeds['normal'][:]) == expected
        assert feeds['aggregated'].count() == 3

    @pytest.mark.parametrize('again', [False, True])
    def test_what_is_removed_while_following_copies_it(
        self, manager: Any, users: list[int], monkeypatch: pytest.MonkeyPatch, again: bool
    ) -> None:
        """Between the reading and the writing of a follow task somebody removes one of the activities."""
        reader, author = users[:2]
        managers.FOLLOWERS[author] = {HIGH: [reader]}
        expected = self.post(manager, author, range(3))
        for feed in manager.get_feeds(reader).values():
            feed.delete()
        gone = act(1, actor=author)
        feed_class = manager.feed_classes['normal']
        before = feed_class.add_many
        interrupted: list[Any] = []

        def add_many(feed: Any, *args: Any, **kwargs: Any) -> Any:
            if not interrupted:
                interrupted.append(feed)
                manager.remove_user_activity(author, gone)
                if again:
                    manager.add_user_activity(author, gone)
            return before(feed, *args, **kwargs)

        monkeypatch.setattr(feed_class, 'add_many', add_many)
        manager.follow_user(reader, author)
        assert interrupted
        feeds = manager.get_feeds(reader)
        if not again:
            expected.remove(gone.serialization_id)
        assert ids(feeds['normal'][:]) == expected
        for name in ('aggregated', 'notification'):
            groups = feeds[name][:]
            assert sorted(number for group in groups for number in group.activity_ids) == sorted(expected)

    def test_unfollowing_one_of_many_leaves_the_others(self, manager: Any, users: list[int], queue: Queue) -> None:
        reader, one, two = users[:3]
        of_one, of_two = self.post(manager, one, (1,)), self.post(manager, two, (2,))
        queue.run()
        manager.follow_many_users(reader, [one, two])
        manager.unfollow_user(reader, one)
        queue.run((1, 0))
        assert of_one[0] not in ids(manager.get_feeds(reader)['normal'][:])
        assert ids(manager.get_feeds(reader)['normal'][:]) == of_two

    # what can not be published is refused before anything is stored

    def refusals(self, author: int) -> dict[str, Any]:
        """What a task message can not take -> the activity that has it."""

        class Unknown(Verb):
            id = 871
            past_tense = 'did'

        class Local(Activity):
            pass

        class Reference:
            id = 5

        return {
            'verb': act(7, verb=Unknown, actor=author),
            'activity class': Local(author, Love, 17, time=at(7)),
            'context': act(7, actor=author, extra_context={'it': object()}),
            'target': with_target(act(7, actor=author), Reference()),
        }

    @pytest.mark.parametrize('in_worker', [False, True], ids=['here', 'in a worker'])
    @pytest.mark.parametrize('method', ['add', 'remove', 'update', 'import'])
    @pytest.mark.parametrize('what', ['verb', 'activity class', 'context', 'target'])
    def test_activities_that_can_not_travel(
        self, manager: Any, users: list[int], author: int, what: str, method: str, in_worker: bool
    ) -> None:
        manager.publish_in_worker = in_worker
        known = act(1, actor=author)
        manager.add_user_activity(author, known)
        wrong = self.refusals(author)[what]
        others = [act(n, actor=author, object=author * 10 + n) for n in range(5)]
        calls = {
            'add': lambda: manager.add_user_activity(author, wrong),
            'remove': lambda: manager.remove_user_activity(author, wrong),
            'update': lambda: manager.update_user_activities([act(1, actor=author, extra_context={'a': 1}), wrong]),
            'import': lambda: manager.batch_import(author, [*others, wrong], chunk_size=2),
        }
        with pytest.raises(MessageError):
            calls[method]()
        for feed in [manager.get_user_feed(author), *self.feeds(manager, users[1:])]:
            assert [(found.serialization_id, found.extra_context) for found in feed[:]] == [
                (known.serialization_id, {})
            ]
        storage = manager.user_feed_class.get_activity_storage()
        assert list(storage.get_many(others)) == []

    def test_an_import_without_fanout_stores_what_can_not_travel(self, manager: Any, users: list[int]) -> None:
        class Local(Activity):
            pass

        manager.batch_import(users[0], [Local(users[0], Love, 17, time=at(7))], fanout=False)
        assert manager.get_user_feed(users[0]).count() == 1

    @pytest.mark.parametrize('method', ['add_user_activity', 'remove_user_activity', 'batch_import'])
    @pytest.mark.parametrize(
        'followers',
        [
            [1, 2],
            None,
            {HIGH: 5},
            {HIGH: 'abc'},
            {HIGH: [1], LOW: [1, (1, 2)]},
            {HIGH: Sized([1, 2.5])},
            {HIGH: {object()}},
        ],
        ids=['a list', 'None', 'no ids', 'a str', 'tuples', 'floats', 'objects'],
    )
    def test_followers_of_a_wrong_kind(self, manager: Any, users: list[int], followers: Any, method: str) -> None:
        author, kept = users[0], act(1, actor=users[0])
        managers.FOLLOWERS[author] = {HIGH: []}
        manager.add_user_activity(author, kept)
        managers.FOLLOWERS[author] = lambda: followers
        given = kept if method == 'remove_user_activity' else act(2, actor=author, object=author)
        with pytest.raises(MessageError, match='get_user_follower_ids of'):
            getattr(manager, method)(author, [given] if method == 'batch_import' else given)
        assert ids(manager.get_user_feed(author)[:]) == ids([kept])
        if (storage := manager.user_feed_class.get_activity_storage()) is not None and given is not kept:
            assert storage.get(given) is None

    @pytest.mark.parametrize('which', ['manager', 'feed class', 'constructor'])
    @pytest.mark.parametrize('method', ['add_user_activity', 'remove_user_activity', 'batch_import'])
    def test_what_no_worker_can_import(self, manager_class: Any, users: list[int], method: str, which: str) -> None:
        author, kept = users[0], act(1, actor=users[0])
        managers.FOLLOWERS[author] = {HIGH: []}
        manager_class().add_user_activity(author, kept)
        managers.FOLLOWERS[author] = {HIGH: users[1:]}

        class Local(manager_class):  # type: ignore[misc]
            def __init__(self, needed: Any) -> None:
                pass

        if which == 'feed class':
            manager = manager_class()
            manager.feed_classes = {'local': type('<local>', (manager.feed_classes['normal'],), {})}
        else:
            Local.__qualname__ = 'Local' if which == 'constructor' else Local.__qualname__
            manager = Local(1)
        given = kept if method == 'remove_user_activity' else act(2, actor=author)
        with pytest.raises(MessageError):
            getattr(manager, method)(author, [given] if method == 'batch_import' else given)
        assert ids(manager_class().get_user_feed(author)[:]) == ids([kept])
        assert [feed.count() for feed in self.feeds(manager_class(), users[1:])] == [0] * 19

    def test_an_iterators_ids_are_seen_when_it_is_read(self, manager: Any, users: list[int]) -> None:
        """It is not read before the activity is stored; the error says how far the fan-out came."""
        author, manager.fanout_chunk_size = users[0], 5
        managers.FOLLOWERS[author] = lambda: {HIGH: iter([*users[1:12], (1, 2)])}
        with pytest.raises(MessageError, match=r'after 10 followers .*\(1, 2\)'):
            manager.add_user_activity(author, act(1, actor=author))
        assert manager.get_user_feed(author).count() == 1
        assert [feed.count() for feed in self.feeds(manager, users[1:12])] == [1] * 10 + [0]

    def test_an_instance_of_a_verb_is_taken_for_its_class(self, manager: Any, users: list[int], author: int) -> None:
        given = act(1, actor=author)
        given.verb = Love()
        manager.add_user_activity(author, given)
        [found] = manager.get_feeds(users[1])['normal'][:]
        assert found.verb is Love
        manager.remove_user_activity(author, given)
        assert manager.get_feeds(users[1])['normal'].count() == 0

    def test_a_manager_without_followers_need_not_be_importable(self, manager_class: Any, users: list[int]) -> None:
        class Local(manager_class):  # type: ignore[misc]
            pass

        for followers in ({}, {HIGH: []}, {HIGH: ()}):
            managers.FOLLOWERS[users[0]] = followers
            Local().add_user_activity(users[0], act(1, actor=users[0]))
        assert Local().get_user_feed(users[0]).count() == 1

    # overrides

    # other verbs and times

    def test_a_feed_of_several_authors(self, manager: Any, users: list[int]) -> None:
        for n, author in enumerate(users[:5]):
            managers.FOLLOWERS[author] = {HIGH: [users[10]], LOW: [users[11]]}
            manager.add_user_activity(author, act(n, actor=author, object=7, verb=Love))
            manager.add_user_activity(author, act(n, actor=author, object=7, verb=Comment))
        for reader in users[10:12]:
            feeds = manager.get_feeds(reader)
            assert feeds['normal'].count() == 10
            assert [group.activity_count for group in feeds['aggregated'][:]] == [10]
            assert sorted(names(feeds['notification'][:])) == ['2-7-2013-07-08', '3-7-2013-07-08']
            assert [group.actor_ids for group in feeds['notification'][:]] == [users[:5]] * 2
            assert feeds['notification'][:][0].updated_at == at(4)
