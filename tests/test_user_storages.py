"""Storages, serializers and feeds that an application wrote for 1.4.0 run unchanged."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.serializers.base import BaseSerializer
from stream_framework.storage.base import BaseActivityStorage, BaseStorage, BaseTimelineStorage
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.memory import InMemoryListsStorage
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage
from stream_framework.verbs import Add, Comment, Follow, Love
from tests.contracts.support import act, acts, at, ids, members, names

VERBS = {verb.id: verb for verb in (Follow, Comment, Love, Add)}


class JsonSerializer(BaseSerializer):
    """An application's own format."""

    def dumps(self, activity: Any) -> Any:
        self.check_type(activity)
        return json.dumps([activity.actor_id, activity.verb.id, activity.object_id, activity.time.isoformat()])

    def loads(self, serialized_activity: Any) -> Any:
        actor, verb, object_, time = json.loads(serialized_activity)
        return self.activity_class(actor, VERBS[verb], object_, time=at(0).fromisoformat(time))


class DictActivities(BaseActivityStorage):
    """Activities in a dict, by the three hooks alone."""

    data: dict[Any, Any] = {}

    def add_to_storage(self, serialized_activities: Any, *args: Any, **kwargs: Any) -> Any:
        self.data.update(serialized_activities)

    def get_from_storage(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
        return {activity_id: self.data.get(activity_id) for activity_id in activity_ids}

    def remove_from_storage(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
        for activity_id in activity_ids:
            self.data.pop(activity_id, None)

    def flush(self) -> None:
        self.data.clear()


class Queue:
    """A batch of the application's own: it runs what was queued when the block ends."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, exc_type: Any, *rest: Any) -> None:
        if exc_type is None:
            for call in self.calls:
                call()


class DictTimelines(BaseTimelineStorage):
    """Timelines in dicts, by the hooks of 1.4.0 alone."""

    data: Any = defaultdict(dict)

    def add_to_storage(self, key: Any, activities: Any, batch_interface: Any = None) -> Any:
        self.data[key].update({int(activity_id): value for activity_id, value in activities.items()})

    def remove_from_storage(self, key: Any, activities: Any, batch_interface: Any = None) -> Any:
        for activity_id in activities:
            self.data[key].pop(int(activity_id), None)

    def get_slice_from_storage(
        self, key: Any, start: Any, stop: Any, filter_kwargs: Any = None, ordering_args: Any = None
    ) -> Any:
        return sorted(self.data[key].items(), reverse=True)[start:stop]

    def get_index_of(self, key: Any, activity_id: Any) -> Any:
        return sorted(self.data[key], reverse=True).index(int(activity_id))

    def count(self, key: Any) -> int:
        return len(self.data[key])

    def delete(self, key: Any) -> Any:
        self.data.pop(key, None)

    def trim(self, key: Any, length: Any, batch_interface: Any = None) -> Any:
        for activity_id in sorted(self.data[key], reverse=True)[length:]:
            del self.data[key][activity_id]

    def get_batch_interface(self) -> Any:
        return Queue()


class DictFeed(BaseFeed):
    key_format = 'dict:%(user_id)s'
    activity_storage_class = DictActivities
    timeline_storage_class = DictTimelines
    activity_serializer = JsonSerializer
    trim_chance = 0


class DictGroups(AggregatedFeed):
    key_format = 'dict:groups:%(user_id)s'
    activity_storage_class = DictActivities
    timeline_storage_class = DictTimelines
    activity_serializer = JsonSerializer
    trim_chance = 0


class DictNotifications(BaseNotificationFeed):
    key_format = 'dict:notification:%(user_id)s'
    timeline_storage_class = DictTimelines
    markers_storage_class = InMemoryListsStorage
    trim_chance = 0


@pytest.fixture(autouse=True)
def _empty() -> Any:
    DictActivities.data.clear()
    DictTimelines.data.clear()
    yield
    for user_id in (1, 2):
        DictNotifications(user_id).delete()


class TestFlat:
    def test_adding_reading_removing(self) -> None:
        feed = DictFeed(1)
        feed.add_many(acts(5))
        feed.add(act(3))
        assert ids(feed[:]) == ids(acts(5))[::-1]
        assert ids(feed[1:3]) == ids([act(3), act(2)])
        assert feed[0][0].actor_id == 1004
        assert (feed.count(), len(feed), feed.index_of(act(3))) == (5, 5, 1)
        feed.remove(act(4))
        feed.remove_many([act(0).serialization_id])
        assert ids(feed[:]) == ids(acts(3, first=1))[::-1]
        with pytest.raises(ValueError):
            feed.index_of(act(4))

    def test_trimming(self) -> None:
        feed = DictFeed(1)
        feed.add_many(acts(5))
        feed.trim(2)
        assert ids(feed[:]) == ids([act(4), act(3)])
        trimmed = type('Trimmed', (DictFeed,), {'trim_chance': 1, 'max_length': 3, 'key_format': 't:%(user_id)s'})(1)
        trimmed.add_many(acts(5))
        assert trimmed.count() == 3

    def test_deleting_and_missing(self) -> None:
        feed = DictFeed(1)
        feed.add_many(acts(5))
        DictFeed.remove_activity(act(4))
        assert ids(feed[:2]) == ids([act(3), act(2)])
        feed.delete()
        assert feed[:] == []

    def test_batches_of_its_own(self) -> None:
        with DictFeed.get_timeline_batch_interface() as batch:
            assert isinstance(batch, Queue)
            DictFeed(1).add_many(acts(2), batch_interface=batch)
        assert DictFeed(1).count() == 2

    def test_without_filters(self) -> None:
        assert DictFeed.filtering_supported is False
        with pytest.raises((ValueError, TypeError, NotImplementedError)):
            DictFeed(1).filter(activity_id__lt=5)


class TestGroups:
    def test_adding_reading_removing(self) -> None:
        feed = DictGroups(1)
        for activity in acts(20):
            feed.add(activity)
        feed.add(act(3, verb=Comment))
        assert members(feed[:]) == [
            ('3-2013-07-08', ids(acts(15, first=5)), 5),
            ('2-2013-07-08', ids([act(3, verb=Comment)]), 0),
        ]
        feed.remove_many([act(19), act(3, verb=Comment)])
        assert members(feed[:]) == [('3-2013-07-08', ids(acts(14, first=5)), 5)]
        assert feed.contains(act(18))

    def test_notifications(self) -> None:
        feed = DictNotifications(1)
        feed.add_many([act(1, object=7), act(2, object=7), act(3, object=8)])
        assert names(feed[:]) == ['3-8-2013-07-08', '3-7-2013-07-08']
        assert feed.count_unseen() == 2
        feed.mark_all(seen=True, read=True)
        feed.add(act(4, object=7))
        assert feed.get_notification_data() == {'unseen_count': 1, 'unread_count': 1}
        feed.remove(act(4, object=7))
        assert feed.count_unseen() == 1


class TestBases:
    def test_options(self) -> None:
        storage = DictActivities(serializer_class=JsonSerializer, activity_class=Activity, one=1, two=2)
        assert storage.options['one'] == 1
        assert storage.options['two'] == 2
        assert isinstance(storage.serializer, JsonSerializer)
        assert storage.serializer.activity_class is Activity
        assert storage.activity_class is Activity

    def test_default_serializer_class(self) -> None:
        class Defaulting(DictActivities):
            default_serializer_class = JsonSerializer

        assert isinstance(Defaulting(activity_class=Activity).serializer, JsonSerializer)
        for base in (BaseStorage, BaseActivityStorage, BaseTimelineStorage):
            assert issubclass(base.default_serializer_class, BaseSerializer)

    def test_storages_that_name_no_serializer_keep_anything(self) -> None:
        class Thing:
            serialization_id = 7

        thing, storage = Thing(), DictActivities()
        assert storage.serialize_activity({'any': 'thing'}) == {'any': 'thing'}
        assert storage.deserialize_activities(['text', None, 5]) == ['text', None, 5]
        storage.add(thing)
        assert storage.get(7) is storage.get(thing) is thing
        storage.remove(thing)
        assert storage.get(7) is None

    @pytest.mark.parametrize('base', [BaseStorage, BaseActivityStorage, BaseTimelineStorage, RedisTimelineStorage])
    def test_flushing_what_defines_no_flush(self, base: Any, caplog: Any) -> None:
        own = type('Own', (base,), {})
        assert own().flush() is None
        assert caplog.text == ''

    def test_flushing_feeds_whose_storages_define_no_flush(self) -> None:
        class Own(BaseFeed):
            activity_storage_class = type('OwnActivities', (BaseActivityStorage,), {})
            timeline_storage_class = type('OwnTimelines', (BaseTimelineStorage,), {})

        class OwnNotifications(BaseNotificationFeed):
            timeline_storage_class = Own.timeline_storage_class
            markers_storage_class = type('OwnLists', (BaseListsStorage,), {})

        Own.flush()
        OwnNotifications.flush()

    def test_serializing(self) -> None:
        storage = DictActivities(serializer_class=JsonSerializer, activity_class=Activity)
        data = storage.serialize_activities(acts(2))
        assert list(data) == ids(acts(2))
        assert data[act(1).serialization_id] == storage.serialize_activity(act(1))
        assert ids(storage.deserialize_activities(data)) == ids(acts(2))
        assert ids(storage.deserialize_activities(list(data.values()))) == ids(acts(2))

    def test_what_a_lists_storage_gives(self) -> None:
        lists = BaseListsStorage('k')
        assert lists.get_key('unseen') == 'list:k:unseen'
        assert (lists.max_length, lists.data_type) == (None, str)
        lists = BaseListsStorage('k', key_format='%(list)s/%(key)s', max_length=5, data_type=int)
        assert lists.get_key('unseen') == 'unseen/k'
        assert (lists.max_length, lists.data_type) == (5, int)


class TestSubclasses:
    def test_storage_options_of_ones_own(self) -> None:
        class Optional(Feed):
            key_format = 'options:%(user_id)s'

            @classmethod
            def get_timeline_storage_options(cls) -> Any:
                options = super().get_timeline_storage_options()
                options['mine'] = 5
                return options

        assert Optional.get_timeline_storage().options['mine'] == 5
        assert Optional(1).timeline_storage.options['mine'] == 5

    def test_a_serializer_of_ones_own(self) -> None:
        class Own(Feed):
            key_format = 'own:%(user_id)s'
            activity_serializer = JsonSerializer

        feed = Own(1)
        feed.add(act(1))
        assert feed[0][0] == act(1)
        assert isinstance(Own.get_activity_storage().serializer, JsonSerializer)
        feed.delete()

    def test_overridden_methods_call_super_with_what_they_got(self) -> None:
        calls = []

        class Overriding(Feed):
            key_format = 'overriding:%(user_id)s'

            def add_many(self, activities: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append('add')
                return super().add_many(activities, *args, **kwargs)

            def remove_many(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append('remove')
                return super().remove_many(activity_ids, *args, **kwargs)

            def hydrate_activities(self, activities: Any) -> Any:
                calls.append('hydrate')
                return super().hydrate_activities(activities)

            def needs_hydration(self, activities: Any) -> Any:
                calls.append('needs')
                return super().needs_hydration(activities)

            def trim(self, length: Any = None) -> Any:
                calls.append('trim')
                return super().trim(length)

        feed = Overriding(1)
        feed.trim_chance = 1
        feed.add(act(1))
        assert ids(feed[:]) == ids([act(1)])
        feed.remove(act(1), trim=False)
        assert calls[0] == 'add'
        assert calls[-1] == 'remove'
        assert {'trim', 'needs', 'hydrate'} <= set(calls)
