"""An application as one wrote it for 1.4.0: feeds, managers, storages and serializers that override what they may."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app, shared_task

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.exceptions import MessageError
from stream_framework.feed_managers.base import FanoutPriority, Manager, add_operation
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.memory import (
    InMemoryActivityStorage,
    InMemoryListsStorage,
    InMemoryTimelineStorage,
)
from stream_framework.tasks import StreamTask, fanout_operation
from stream_framework.verbs import Comment
from tests.contracts.support import act, acts, ids, names

ROOT = pathlib.Path(__file__).parent.parent

CALLS: list[Any] = []


def called(name: str) -> int:
    return CALLS.count(name)


class PinActivity(Activity):
    """With a constructor and attributes of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.board = self.extra_context.get('board')


class PinSerializer(ActivitySerializer):
    def dumps(self, activity: Any) -> Any:
        CALLS.append('dumps')
        return 'pin:' + super().dumps(activity)

    def loads(self, serialized_activity: Any) -> Any:
        return super().loads(serialized_activity.removeprefix('pin:'))


class LoggedActivities(InMemoryActivityStorage):
    def add_to_storage(self, serialized_activities: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('store')
        return super().add_to_storage(serialized_activities, *args, **kwargs)

    def get_many(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('get_many')
        return super().get_many(activity_ids, *args, **kwargs)


class LoggedTimelines(InMemoryTimelineStorage):
    def add_to_storage(self, key: Any, activities: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('timeline')
        return super().add_to_storage(key, activities, *args, **kwargs)

    def serialize_activity(self, activity: Any) -> Any:
        CALLS.append('serialize')
        return super().serialize_activity(activity)

    def deserialize_activities(self, data: Any) -> Any:
        CALLS.append('deserialize')
        return super().deserialize_activities(data)


class PinFeed(Feed):
    key_format = 'app:feed:normal:%(user_id)s'
    activity_class = PinActivity
    activity_serializer = PinSerializer
    activity_storage_class = LoggedActivities
    timeline_storage_class = LoggedTimelines
    max_length = 5
    trim_chance = 1

    def add_many(self, activities: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('add_many')
        wanted = [activity for activity in activities if activity.board != 'secret']
        return super().add_many(wanted, *args, **kwargs)

    def remove_many(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('remove_many')
        return super().remove_many(activity_ids, *args, **kwargs)

    def trim(self, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('trim')
        return super().trim(*args, **kwargs)

    def on_update_feed(self, new: Any, deleted: Any) -> None:
        CALLS.append(('update', self.user_id, len(new), len(deleted), self.count()))

    def get_activity_slice(self, start: Any = None, stop: Any = None, rehydrate: bool = True) -> Any:
        CALLS.append('slice')
        activities = super().get_activity_slice(start, stop, rehydrate)
        for activity in activities:
            activity.shown_to = self.user_id
        return activities


class UserPinFeed(PinFeed):
    key_format = 'app:feed:user:%(user_id)s'
    max_length = 1000

    @classmethod
    def insert_activity(cls, activity: Any, **kwargs: Any) -> None:
        CALLS.append('insert')
        super().insert_activity(activity, **kwargs)

    def add(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append('add')
        return super().add(activity, *args, **kwargs)


class ByBoard(RecentRankMixin, BaseAggregator):
    """Groups that are no str."""

    def get_group(self, activity: Any) -> Any:
        return (activity.verb.id, activity.target_id)


class LargestFirst(BaseAggregator):
    def get_group(self, activity: Any) -> Any:
        return activity.object_id

    def rank(self, aggregated: Any) -> Any:
        aggregated.sort(key=lambda group: group.activity_count, reverse=True)
        return aggregated


class Three(AggregatedActivity):
    max_aggregated_activities_length = 3

    @property
    def headline(self) -> str:
        return f'{self.last_activity.actor_id} and {self.other_actor_count} others'


class BoardFeed(AggregatedFeed):
    key_format = 'app:feed:aggregated:%(user_id)s'
    activity_class = PinActivity
    activity_serializer = PinSerializer
    aggregator_class = ByBoard
    aggregated_activity_class = Three
    trim_chance = 0

    def add_many(
        self, activities: Any, trim: bool = True, current_activities: Any = None, *args: Any, **kw: Any
    ) -> Any:
        CALLS.append('aggregate')
        return super().add_many(activities, trim=trim, current_activities=current_activities, *args, **kw)  # noqa: B026

    def add_many_aggregated(self, aggregated: Any, *args: Any, **kwargs: Any) -> Any:
        CALLS.append(('groups', len(aggregated)))
        return super().add_many_aggregated(aggregated, *args, **kwargs)


class PinNotifications(NotificationFeed):
    key_format = 'app:feed:notification:%(user_id)s'
    markers_key_format = 'app:feed:notification:%(user_id)s'
    activity_class = PinActivity
    track_unread = False
    trim_chance = 0


@shared_task(base=StreamTask)
def own_fanout(feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, operation_kwargs: Any) -> Any:
    """An application's own task, of our class: gets what ``create_fanout_tasks`` gives, whatever travels."""
    assert isinstance(feed_manager, PinManager)
    assert operation is add_operation
    CALLS.append(('own task', len(user_ids)))
    return fanout_operation(feed_manager, feed_class, user_ids, operation, operation_kwargs)


class PinManager(Manager):
    feed_classes = {'normal': PinFeed, 'aggregated': BoardFeed, 'notification': PinNotifications}
    user_feed_class = UserPinFeed
    fanout_chunk_size = 2
    followers: Any = {FanoutPriority.HIGH: [1, 2, 3], FanoutPriority.LOW: [4]}

    def get_user_follower_ids(self, user_id: Any) -> Any:
        return self.followers


class CarefulManager(PinManager):
    """Overrides how fan-outs are made."""

    followers = {FanoutPriority.HIGH: (1, 2, 3), FanoutPriority.LOW: [4], None: {5}}

    def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
        if priority == FanoutPriority.LOW:
            return None
        return super().get_fanout_task(priority, feed_class)

    def create_fanout_tasks(
        self,
        follower_ids: Any,
        feed_class: Any,
        operation: Any,
        operation_kwargs: Any = None,
        fanout_priority: Any = None,
    ) -> Any:
        active = [follower_id for follower_id in follower_ids if follower_id != 2]
        return super().create_fanout_tasks(active, feed_class, operation, operation_kwargs, fanout_priority)

    def fanout(self, user_ids: Any, feed_class: Any, operation: Any, operation_kwargs: Any) -> Any:
        CALLS.append(('fanout', list(user_ids), feed_class.__name__, operation.__name__))
        return super().fanout(user_ids, feed_class, operation, operation_kwargs)


@shared_task
def plain_fanout(feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, operation_kwargs: Any) -> Any:
    """As for 1.4.0, whose messages were pickles: works where the application has Celery send pickles."""
    CALLS.append(('plain task', len(user_ids)))
    return feed_manager.fanout(user_ids, feed_class, operation, operation_kwargs)


class PlainTaskManager(PinManager):
    priority_fanout_task = {FanoutPriority.HIGH: plain_fanout, FanoutPriority.LOW: plain_fanout}


class OwnTaskManager(PinManager):
    def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
        return own_fanout


def greet_operation(feed: Any, greeting: str, batch_interface: Any = None) -> None:
    """An operation that is about no activities."""
    CALLS.append((feed.user_id, greeting, batch_interface is not None))


def pin(n: int, board: Any = None, **kwargs: Any) -> PinActivity:
    kwargs.setdefault('actor', 9)
    return act(n, cls=PinActivity, extra_context={'board': board} if board else {}, **kwargs)  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    conf = current_app.conf
    before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
    conf.update(task_always_eager=True, task_eager_propagates=True)
    empty()
    yield
    conf.update(before)
    empty()


def empty() -> None:
    for feed_class in (PinFeed, UserPinFeed, BoardFeed):
        feed_class.flush()
    for user_id in range(10):
        PinNotifications(user_id).delete()
    CALLS.clear()


class TestFeeds:
    def test_everything_that_is_overridden_is_called(self) -> None:
        feed = PinFeed(1)
        feed.add_many([pin(n) for n in range(7)] + [pin(8, 'secret')])
        for name in ('add_many', 'store', 'dumps', 'timeline', 'serialize', 'trim'):
            assert called(name) >= 1, name
        assert CALLS[-1] == ('update', 1, 7, 0, 5)
        found = feed[:3]
        assert ids(found) == ids([pin(6), pin(5), pin(4)])
        assert {activity.shown_to for activity in found} == {1}
        assert type(found[0]) is PinActivity
        for name in ('slice', 'get_many', 'deserialize'):
            assert called(name) >= 1, name
        feed.remove(pin(6))
        assert called('remove_many') == 1
        assert CALLS[-1][:1] == ('update',)
        assert CALLS[-1][2:] == (0, 1, 4)

    def test_an_attribute_of_the_context(self) -> None:
        feed = PinFeed(1)
        feed.add(pin(1, 'cats'))
        assert feed[0][0].board == 'cats'

    def test_hooks_set_on_one_feed(self) -> None:
        feed = Feed('app:hooks')
        updates: list[Any] = []
        feed.on_update_feed = lambda new, deleted: updates.append((ids(new), deleted))  # type: ignore[method-assign]
        feed.add(act(1))
        assert updates == [(ids([act(1)]), [])]
        feed.delete()

    def test_count_of_ones_own(self) -> None:
        class Capped(Feed):
            def count(self) -> int:
                return min(super().count(), 2)

        feed = Capped('app:capped')
        feed.add_many(acts(5))
        assert len(feed) == feed.count() == 2
        feed.delete()

    def test_storages_of_ones_own_on_the_base_classes(self) -> None:
        """A user feed that names storages only shares its activities with the feeds that name serializers too."""

        class Own(UserBaseFeed):
            key_format = 'app:own:%(user_id)s'
            activity_storage_class = InMemoryActivityStorage
            timeline_storage_class = InMemoryTimelineStorage

        Own(1).add(act(1))
        Feed('app:shared').add_many([act(1), act(2)])
        Own(1).add_many([act(2)], batch_interface=None)
        assert ids(Own(1)[:]) == ids(Feed('app:shared')[:]) == ids([act(2), act(1)])
        assert InMemoryActivityStorage().get(act(1).serialization_id) == act(1)
        for feed in (Own(1), Feed('app:shared')):
            feed.delete()


class TestGroups:
    def test_groups_that_are_no_str(self) -> None:
        feed = BoardFeed(1)
        feed.add_many([pin(n, target=n % 2) for n in range(8)])
        feed.add(pin(8, target=0, verb=Comment))
        groups = feed[:]
        assert names(groups) == ['(2, 0)', '(3, 1)', '(3, 0)']
        assert [group.activity_count for group in groups] == [1, 4, 4]
        assert [len(group) for group in groups] == [1, 3, 3]
        assert type(groups[0]) is Three
        assert groups[1].headline == '9 and 1 others'
        assert ('groups', 2) in CALLS
        feed.remove_many([pin(7, target=1), pin(8, target=0, verb=Comment)])
        assert names(feed[:]) == ['(3, 0)', '(3, 1)']
        assert feed.contains(pin(6, target=0))

    def test_a_rank_of_ones_own(self) -> None:
        class Largest(BoardFeed):
            key_format = 'app:largest:%(user_id)s'
            aggregator_class = LargestFirst

        feed = Largest(1)
        returned = feed.add_many([pin(1, object=7), pin(2, object=7), pin(3, object=8)])
        assert names(returned) == [7, 8]
        assert names(feed[:]) == ['8', '7']
        feed.delete()

    def test_an_aggregator_that_merges_in_its_own_way(self) -> None:
        class Bounded(ByBoard):
            """Keeps no more than two groups: the oldest go."""

            def merge(self, aggregated: Any, activities: Any) -> Any:
                new, changed, deleted = super().merge(aggregated, activities)
                everything = [*new, *aggregated]
                return new, changed, deleted + everything[2:]

        class TwoBoards(BoardFeed):
            key_format = 'app:two:%(user_id)s'
            aggregator_class = Bounded

        feed = TwoBoards(1)
        for n in range(5):
            feed.add(pin(n, target=n))
        assert names(feed[:]) == ['(3, 4)', '(3, 3)']
        feed.delete()


def manager_counts(manager: Any) -> list[int]:
    return [manager.get_feeds(user_id)['normal'].count() for user_id in (1, 2, 3, 4)]


class TestManagers:
    def test_fan_out(self) -> None:
        manager = PinManager()
        for n in range(3):
            manager.add_user_activity(9, pin(n, target=1))
        assert called('insert') == called('add') == 3
        expected = ids([pin(2), pin(1), pin(0)])
        for user_id in (1, 2, 3, 4):
            feeds = manager.get_feeds(user_id)
            assert ids(feeds['normal'][:]) == expected
            assert [group.activity_count for group in feeds['aggregated'][:]] == [3]
            assert feeds['notification'].get_notification_data() == {'unseen_count': 3}
        assert ids(manager.get_user_feed(9)[:]) == expected
        manager.remove_user_activity(9, pin(1, target=1))
        assert ids(manager.get_feeds(4)['normal'][:]) == ids([pin(2), pin(0)])
        assert manager.get_feeds(4)['notification'].count_unseen() == 2

    def test_updates_are_told_after_the_batch(self) -> None:
        PinManager().add_user_activity(9, pin(1))
        updates = [call for call in CALLS if call[0] == 'update']
        assert sorted(updates) == [('update', user_id, 1, 0, 1) for user_id in (1, 2, 3, 4, 9)]

    def test_filters_of_the_feed_hold_in_fan_outs(self) -> None:
        manager = PinManager()
        manager.add_user_activity(9, pin(1, 'secret'))
        assert manager.get_feeds(1)['normal'][:] == []
        assert manager.get_feeds(1)['aggregated'].count() == 1

    def test_trimming_of_the_feeds(self) -> None:
        manager = PinManager()
        manager.batch_import(9, [pin(n, target=1) for n in range(20)])
        assert [manager.get_feeds(user_id)['normal'].count() for user_id in (1, 2, 3, 4)] == [5] * 4
        assert manager.get_user_feed(9).count() == 20

    def test_fan_outs_made_in_ones_own_way(self) -> None:
        manager = CarefulManager()
        manager.add_user_activity(9, pin(1))
        counts = {user_id: manager.get_feeds(user_id)['normal'].count() for user_id in range(1, 6)}
        assert counts == {1: 1, 2: 0, 3: 1, 4: 0, 5: 1}
        assert ('fanout', [1, 3], 'PinFeed', 'add_operation') in CALLS
        assert ('fanout', [5], 'BoardFeed', 'add_operation') in CALLS

    def test_a_task_of_ones_own(self) -> None:
        manager = OwnTaskManager()
        manager.add_user_activity(9, pin(1))
        assert CALLS.count(('own task', 2)) == 3
        assert CALLS.count(('own task', 1)) == 6
        assert manager.get_feeds(4)['normal'].count() == 1

    def test_a_plain_task_needs_pickles_or_our_class(self) -> None:
        with pytest.raises(MessageError, match='base=stream_framework.tasks.StreamTask'):
            PlainTaskManager().add_user_activity(9, pin(1))
        empty()
        before = current_app._get_current_object()
        pickling = Celery('pickling', set_as_current=True)
        pickling.conf.update(task_always_eager=True, task_serializer='pickle', accept_content=['pickle', 'json'])
        try:
            pickling.set_default()
            PlainTaskManager().add_user_activity(9, pin(2))
        finally:
            before.set_default()
            before.set_current()
        assert CALLS.count(('plain task', 2)) == 3
        assert manager_counts(PlainTaskManager()) == [1, 1, 1, 1]

    def test_feed_classes_that_change(self) -> None:
        manager = PinManager()
        manager.feed_classes = dict(manager.feed_classes)
        manager.feed_classes['other'] = Feed
        assert set(manager.get_feeds(1)) == {'normal', 'aggregated', 'notification', 'other'}
        del manager.feed_classes['other']
        assert set(PinManager.feed_classes) == {'normal', 'aggregated', 'notification'}

    def test_operations_of_ones_own(self) -> None:
        results = PinManager().create_fanout_tasks([1, 2, 3], PinFeed, greet_operation, {'greeting': 'hello'})
        assert len(results) == 2
        assert CALLS == [(1, 'hello', True), (2, 'hello', True), (3, 'hello', True)]

    def test_direct_fan_outs(self) -> None:
        manager = PinManager()
        manager.fanout([1, 2], PinFeed, add_operation, {'activities': [pin(1)], 'trim': False})
        PinFeed.insert_activity(pin(1))
        assert [PinFeed(user_id).count() for user_id in (1, 2)] == [1, 1]
        fanout_operation(manager, PinFeed, (3,), add_operation, {'activities': [pin(1)]})
        assert ids(PinFeed(3)[:]) == ids([pin(1)])

    @pytest.mark.parametrize('async_', [True, False])
    def test_following(self, async_: bool) -> None:
        manager = PinManager()
        manager.batch_import(9, [pin(n, target=1) for n in range(3)], fanout=False)
        assert manager.get_feeds(6)['normal'].count() == 0
        manager.follow_user(6, 9, async_=async_)
        assert ids(manager.get_feeds(6)['normal'][:]) == ids([pin(2), pin(1), pin(0)])
        assert [group.activity_count for group in manager.get_feeds(6)['aggregated'][:]] == [3]
        manager.unfollow_user(6, 9, async_=async_)
        assert [feed.count() for feed in manager.get_feeds(6).values()] == [0, 0, 0]


DJANGO = """
import django
from django.conf import settings as django_settings

django_settings.configure(
    INSTALLED_APPS=[],
    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
    STREAM_DEFAULT_KEYSPACE='from_django',
)
django.setup()

from celery import Celery
from django.db import connection, models
from django.utils.safestring import mark_safe

from stream_framework import settings
from stream_framework.activity import Activity
from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.memory import Feed
from stream_framework.verbs import Love

Celery(set_as_current=True).conf.task_always_eager = True
assert settings.STREAM_DEFAULT_KEYSPACE == 'from_django'


class User(models.Model):
    name = models.CharField(max_length=10)

    class Meta:
        app_label = 'app'


class Follow(models.Model):
    user_id = models.IntegerField()
    target_id = models.IntegerField()

    class Meta:
        app_label = 'app'


with connection.schema_editor() as editor:
    editor.create_model(User)
    editor.create_model(Follow)
author = User.objects.create(name='anna')
Follow.objects.bulk_create([Follow(user_id=100 + n, target_id=author.id) for n in range(250)])


class UserFeed(Feed):
    key_format = 'user:%(user_id)s'


class PinManager(Manager):
    feed_classes = {'normal': Feed}
    user_feed_class = UserFeed

    def get_user_follower_ids(self, user_id):
        ids = Follow.objects.filter(target_id=user_id).values_list('user_id', flat=True)
        return {FanoutPriority.HIGH: ids, FanoutPriority.LOW: ids.none(), None: ids.iterator()}


manager = PinManager()
activity = Activity(author, Love, 42, extra_context={'html': mark_safe('<b>;</b>')})
assert activity.actor is author and activity.actor_id == author.id
manager.add_user_activity(author.id, activity)
for n in range(250):
    [found] = Feed(100 + n)[:5]
    assert found.actor_id == author.id and found.extra_context == {'html': '<b>;</b>'}
manager.remove_user_activity(author.id, activity)
assert not any(Feed(100 + n).count() for n in range(250))
try:
    Activity(User(name='unsaved'), Love, 42)
except TypeError as error:
    assert 'saved' in str(error), error
else:
    raise AssertionError('an unsaved object has no id')
print('done')
"""


def test_a_django_application(tmp_path: pathlib.Path) -> None:
    pytest.importorskip('django')
    script = tmp_path / 'application.py'
    script.write_text(DJANGO)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env={'PYTHONPATH': str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'done\n'


def test_lists_storages_of_ones_own() -> None:
    class Logged(InMemoryListsStorage):
        key_format = 'app:lists:%(key)s:%(list)s'
        max_length = 3
        data_type = int

        def add(self, **lists: Any) -> None:
            CALLS.append('lists')
            super().add(**lists)

    lists = Logged('k')
    lists.add(unseen=[1, 2, 3, 4], unread=[1])
    assert lists.get('unseen', 'unread') == ([2, 3, 4], [1])
    assert lists.count('unseen') == 3
    lists.flush('unseen', 'unread')
