"""What a flat feed does, on every backend."""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity, ActorSafeIdMixin
from stream_framework.exceptions import SerializationException
from stream_framework.verbs import Add, Comment, Follow, Love
from tests.contracts.support import START, act, acts, at, ids

FIXTURES = pathlib.Path(__file__).parent.parent / 'fixtures'


class ShortId(Activity):
    """Ids of 1 to 5 digits."""

    @property
    def serialization_id(self) -> int:
        return self.object_id  # type: ignore[return-value]


class UuidId(Activity):
    """Ids that are UUIDs."""

    @property
    def serialization_id(self) -> Any:
        return uuid.UUID(int=2**100 + self.object_id)  # type: ignore[operator]


class Subclass(Activity):
    """Adds nothing that matters for the id."""


class Other(Activity):
    """An id of its own."""

    @property
    def serialization_id(self) -> int:
        return super().serialization_id + 1


class WithActor(Activity):
    """The usual id, and the actor."""

    @property
    def serialization_id(self) -> int:
        return super().serialization_id * 1000 + self.actor_id % 1000


class InMicroseconds(Activity):
    """An id of the time, as exact as it is given."""

    @property
    def serialization_id(self) -> int:
        return (self.time - START) // datetime.timedelta(microseconds=1) * 1000 + self.object_id % 1000 + 10**18


class MixedIn:
    @property
    def serialization_id(self) -> Any:
        return super().serialization_id * 1000 + 7  # type: ignore[misc]


class WithAMixin(MixedIn, Activity):
    """The usual id, changed by a class that is no activity."""


OWN_IDS = [UuidId, WithActor, InMicroseconds, WithAMixin]


class SafeActivity(ActorSafeIdMixin, Activity):
    """An id that includes the actor."""


class FlatFeedContract:
    @pytest.fixture
    def feed(self, backend: Any) -> Any:
        """A feed that never trims by itself."""
        return backend.flat()(1)

    @pytest.fixture
    def ten(self, feed: Any) -> list[int]:
        """Fills the feed with ten activities; their ids, newest first."""
        activities = acts(10)
        feed.add_many(activities)
        return ids(activities)[::-1]

    # construction

    def test_a_list_that_is_filled_anew_in_a_batch(self, backend: Any) -> None:
        feed_class = backend.flat()
        feed_class.insert_activities(acts(4))
        activities: list[Activity] = []
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3):
                activities[:] = [act(user_id)]
                feed_class(user_id).add_many(activities, batch_interface=batch)
        assert [feed_class(user_id)[:] for user_id in (1, 2, 3)] == [[act(1)], [act(2)], [act(3)]]

    def test_what_was_refused_is_refused_again(self, backend: Any) -> None:
        feed_class, wrong = backend.flat(), [Other(1, Love, 2)]
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2):
                with pytest.raises(ValueError, match='can not be added'):
                    feed_class(user_id).add_many(wrong, batch_interface=batch)
        assert [feed_class(user_id).count() for user_id in (1, 2)] == [0, 0]

    def test_instance_attributes(self, backend: Any) -> None:
        feed = backend.flat(key_format='contract:%(user_id)s:x')(13)
        assert feed.user_id == 13
        assert feed.key == 'contract:13:x'
        assert isinstance(feed.timeline_storage, backend.timeline_storage_class)
        assert isinstance(feed.activity_storage, backend.activity_storage_class)

    def test_filtering_and_ordering_are_supported(self, feed: Any) -> None:
        assert feed.filtering_supported is True
        assert feed.ordering_supported is True

    def test_timeline_storage_options(self, backend: Any) -> None:
        feed_class = backend.flat(activity_class=Subclass)
        options = feed_class.get_timeline_storage_options()
        assert options['activity_class'] is Subclass
        assert options['serializer_class'] is feed_class.timeline_serializer

    def test_class_methods_give_storages(self, backend: Any) -> None:
        feed_class = backend.flat()
        assert isinstance(feed_class.get_timeline_storage(), backend.timeline_storage_class)
        assert isinstance(feed_class.get_activity_storage(), backend.activity_storage_class)

    def test_activity_storage_is_none_where_the_class_has_none(self, backend: Any) -> None:
        feed_class = backend.flat(activity_storage_class=None)
        assert feed_class.get_activity_storage() is None

    def test_user_feed(self, backend: Any) -> None:
        feed = backend.make(backend.user_feed_class)(3)
        assert feed.max_length == 10**6
        assert backend.user_feed_class.key_format == 'user_feed:%(user_id)s'
        feed.add_many(acts(3))
        assert ids(feed[:]) == ids(acts(3))[::-1]

    @pytest.mark.parametrize('user_id', ['anna', uuid.UUID(int=7), 10**12, 'Zoë', "a'b", 'a b/c%d'])
    def test_user_ids_of_any_kind(self, backend: Any, user_id: Any) -> None:
        feed_class = backend.flat()
        feed_class(user_id).add(act(1))
        assert ids(feed_class(user_id)[:]) == ids([act(1)])
        assert feed_class('somebody else')[:] == []

    # activities

    def test_insert_and_remove_activities(self, backend: Any) -> None:
        if backend.whole_activities:
            pytest.skip('there is no activity storage behind timelines that hold whole activities')
        feed_class = backend.flat()
        one, two = acts(2, first=77)
        feed_class.insert_activities([one])
        feed_class.insert_activity(two)
        storage = feed_class.get_activity_storage()
        assert storage.get(one.serialization_id) == one
        assert storage.get(two.serialization_id) == two
        feed_class.remove_activity(one)
        feed_class.remove_activity(two.serialization_id)
        assert storage.get(one.serialization_id) is None
        assert storage.get(two.serialization_id) is None

    def test_inserting_puts_nothing_into_timelines(self, feed: Any) -> None:
        type(feed).insert_activity(act(1))
        assert feed[:] == []

    def test_add_stores_the_activity_too(self, feed: Any) -> None:
        activity = act(1, target=5, extra_context={'a': 1})
        feed.add(activity)
        [found] = type(feed)(1)[:]
        assert isinstance(found, Activity)
        assert (found.actor_id, found.verb, found.object_id, found.target_id) == (1001, Love, 501, 5)
        assert found.time == at(1)
        assert found.extra_context == {'a': 1}
        assert found.dehydrated is False

    def test_no_target_comes_back_as_none(self, feed: Any) -> None:
        feed.add(act(1))
        [found] = feed[:]
        assert found.target is None
        assert found.target_id is None
        assert found.extra_context == {}

    def test_read_activities_know_only_ids(self, feed: Any) -> None:
        class Person:
            id = 12

        feed.add(act(1, actor=Person()))
        [found] = feed[:]
        assert found.actor_id == 12
        with pytest.raises(AttributeError, match='actor_id'):
            _ = found.actor

    def test_activity_class_of_the_feed_is_used(self, backend: Any) -> None:
        feed = backend.flat(activity_class=Subclass)(1)
        feed.add(act(1, cls=Subclass))
        assert type(feed[:][0]) is Subclass

    # adding and removing

    def test_add_many_newest_first(self, feed: Any) -> None:
        activities = acts(5)
        feed.add_many([activities[i] for i in (3, 0, 4, 2, 1)])
        assert ids(feed[:]) == ids(activities)[::-1]

    def test_adding_again_changes_nothing(self, feed: Any, ten: list[int]) -> None:
        feed.add(act(4))
        feed.add_many(acts(10))
        feed.add_many([act(3), act(3)])
        assert feed.count() == 10
        assert ids(feed[:]) == ten

    def test_adding_nothing(self, feed: Any) -> None:
        feed.add_many([])
        assert feed.count() == 0

    def test_remove_by_activity_and_by_id(self, feed: Any, ten: list[int]) -> None:
        feed.remove(act(9))
        assert ids(feed[:]) == ten[1:]
        feed.remove(act(8).serialization_id)
        assert ids(feed[:]) == ten[2:]
        feed.remove_many([act(7), act(6).serialization_id, str(act(5).serialization_id)])
        assert ids(feed[:]) == ten[5:]
        feed.remove_many([uuid.UUID(int=act(4).serialization_id)])
        assert ids(feed[:]) == ten[6:]

    def test_removing_what_is_absent_is_no_error(self, feed: Any, ten: list[int]) -> None:
        feed.remove(act(99))
        feed.remove_many([act(98), 5])
        feed.remove_many([])
        assert ids(feed[:]) == ten

    def test_removed_can_come_back(self, feed: Any, ten: list[int]) -> None:
        feed.remove(act(5))
        feed.add(act(5))
        assert ids(feed[:]) == ten

    def test_feeds_are_apart(self, backend: Any) -> None:
        feed_class = backend.flat()
        feed_class(1).add(act(1))
        feed_class(2).add(act(2))
        assert ids(feed_class(1)[:]) == ids([act(1)])
        assert ids(feed_class(2)[:]) == ids([act(2)])

    @pytest.mark.parametrize('wrong', ['x', 5, None, object()])
    def test_only_activities_can_be_added(self, feed: Any, wrong: Any) -> None:
        with pytest.raises(ValueError):
            feed.add(wrong)
        with pytest.raises(ValueError):
            feed.add_many([act(1), wrong])
        assert feed.count() == 0

    def test_references_can_not_be_added_either(self, feed: Any) -> None:
        feed.insert_activity(act(1))
        with pytest.raises(ValueError):
            feed.add(act(1).get_dehydrated())
        assert feed.count() == 0

    def test_subclasses_with_the_same_id_are_accepted(self, feed: Any) -> None:
        feed.add(act(1, cls=Subclass))
        assert ids(feed[:]) == ids([act(1)])

    def test_subclasses_with_an_id_of_their_own_are_not(self, feed: Any) -> None:
        with pytest.raises(ValueError):
            feed.add(act(1, cls=Other))
        assert feed.count() == 0

    def test_parents_of_the_activity_class_are_not_accepted(self, backend: Any) -> None:
        with pytest.raises(ValueError):
            backend.flat(activity_class=Subclass)(1).add(act(1))

    def test_writes_go_through_the_timeline_storage(self, backend: Any) -> None:
        calls = []

        class Recording(backend.timeline_storage_class):
            def add_many(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
                activities = list(activities)
                calls.append(('add', key, ids(activities)))
                return super().add_many(key, activities, *args, **kwargs)

            def remove_many(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('remove', key, len(list(activities))))
                return super().remove_many(key, activities, *args, **kwargs)

        feed = backend.flat(timeline_storage_class=Recording)(1)
        feed.add(act(1))
        feed.remove(act(1))
        assert calls == [('add', feed.key, ids([act(1)])), ('remove', feed.key, 1)]
        assert feed.count() == 0

    def test_on_update_feed(self, backend: Any) -> None:
        calls = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            calls.append((list(new), list(deleted)))

        feed = backend.flat(on_update_feed=on_update_feed)(1)
        activities = acts(2)
        feed.add_many(activities)
        assert calls == [(activities, [])]
        feed.remove_many(activities)
        assert len(calls) == 2
        assert calls[1][0] == []
        assert len(calls[1][1]) == 2

    def test_add_and_remove_go_through_the_many(self, backend: Any) -> None:
        calls = []
        base = backend.feed_class

        def add_many(self: Any, activities: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append('add')
            return base.add_many(self, activities, *args, **kwargs)

        def remove_many(self: Any, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append('remove')
            return base.remove_many(self, activity_ids, *args, **kwargs)

        feed = backend.flat(add_many=add_many, remove_many=remove_many)(1)
        feed.add(act(1))
        feed.remove(act(1))
        assert calls == ['add', 'remove']

    # trimming

    def test_trims_by_itself(self, backend: Any) -> None:
        feed = backend.flat(trim_chance=1, max_length=5)(1)
        feed.add_many(acts(8))
        assert feed.count() == 5
        assert ids(feed[:]) == ids(acts(8))[:2:-1]
        feed.add(act(20))
        assert ids(feed[:]) == ids([act(20), *acts(8)[:3:-1]])
        feed.add(act(-20))
        assert act(-20).serialization_id not in ids(feed[:])

    @pytest.mark.parametrize('chance', [0, -1])
    def test_never_trims_by_itself(self, backend: Any, chance: float) -> None:
        feed = backend.flat(trim_chance=chance, max_length=5)(1)
        for activity in acts(12):
            feed.add(activity)
        feed.remove(act(0))
        assert feed.count() == 11

    def test_trim_false(self, backend: Any) -> None:
        feed = backend.flat(trim_chance=1, max_length=5)(1)
        feed.add_many(acts(8), trim=False)
        feed.add(act(9), trim=False)
        assert feed.count() == 9

    def test_trim_to_a_length(self, feed: Any, ten: list[int]) -> None:
        feed.trim(4)
        assert feed.count() == 4
        assert ids(feed[:]) == ten[:4]

    @pytest.mark.parametrize('args', [(), (None,), (0,)])
    def test_trim_without_a_length(self, backend: Any, args: Any) -> None:
        feed = backend.flat(max_length=6)(1)
        feed.add_many(acts(10))
        feed.trim(*args)
        assert ids(feed[:]) == ids(acts(10))[:3:-1]

    @pytest.mark.parametrize('length', [10, 11, 1000])
    def test_trim_leaves_shorter_feeds_alone(self, feed: Any, ten: list[int], length: int) -> None:
        feed.trim(length)
        assert ids(feed[:]) == ten

    def test_trim_empty(self, feed: Any) -> None:
        feed.trim(5)
        feed.trim()
        assert feed[:] == []

    # reading

    def test_count_and_len(self, feed: Any) -> None:
        assert (feed.count(), len(feed)) == (0, 0)
        feed.add_many(acts(7))
        assert (feed.count(), len(feed)) == (7, 7)

    def test_delete(self, feed: Any, ten: list[int]) -> None:
        feed.delete()
        assert feed.count() == 0
        assert feed[:] == []
        feed.add(act(1))
        assert feed.count() == 1

    def test_delete_leaves_other_feeds_alone(self, backend: Any) -> None:
        feed_class = backend.flat()
        feed_class(1).add(act(1))
        feed_class(2).add(act(1))
        feed_class(1).delete()
        assert feed_class(2).count() == 1

    def test_flush(self, backend: Any) -> None:
        if not backend.may_flush:
            pytest.skip('flush() empties what other tests, or other users of the server, may hold')
        feed_class = backend.flat()
        feed_class(1).add(act(1))
        feed_class.flush()
        assert feed_class(1)[:] == []
        assert feed_class.get_activity_storage().get(act(1).serialization_id) is None

    def test_flush_calls_a_storage_with_a_flush_of_its_own(self, backend: Any) -> None:
        if not backend.may_flush:
            pytest.skip('flush() empties what other tests, or other users of the server, may hold')
        flushed = []

        class Recording(backend.timeline_storage_class):  # type: ignore[misc,name-defined]
            def flush(self) -> None:
                flushed.append(self)
                super().flush()

        feed_class = backend.flat(timeline_storage_class=Recording)
        feed_class(1).add(act(1))
        feed_class.flush()
        assert len(flushed) == 1
        assert feed_class(1).count() == 0

    def test_a_hook_that_raises_stops_no_other_feeds(self, backend: Any) -> None:
        calls = []

        def on_update_feed(self: Any, new: Any, deleted: Any) -> None:
            calls.append(self.user_id)
            raise KeyError(self.user_id)

        feed_class = backend.flat(on_update_feed=on_update_feed, max_length=1, trim_chance=1)
        with pytest.raises(KeyError) as failed, feed_class.get_timeline_batch_interface() as batch:
            for user_id in (1, 2, 3):
                feed_class(user_id).add_many(acts(2), batch_interface=batch)
        assert (calls, failed.value.args) == ([1, 2, 3], (1,))
        # Where a batch is one transaction, nothing was written.
        assert [feed_class(user_id).count() for user_id in (1, 2, 3)] in ([1] * 3, [0] * 3)

    @pytest.mark.parametrize('cls', OWN_IDS, ids=lambda cls: cls.__name__)
    def test_what_is_read_has_the_id_that_it_is_stored_under(self, backend: Any, cls: Any) -> None:
        feed = backend.flat(activity_class=cls)(1)
        given = [act(n, time=at(n).replace(microsecond=123456 + n), cls=cls) for n in range(3)]
        feed.add_many(given)
        found = feed[:][::-1]
        assert found == given
        assert [item.serialization_id for item in found] == [item.serialization_id for item in given]
        assert [type(item.serialization_id) for item in found] == [type(item.serialization_id) for item in given]
        assert [feed.index_of(item) for item in found] == [2, 1, 0]
        feed.add_many(found)
        assert feed.count() == 3
        changed = feed[0][0]
        changed.object_id = 9
        assert changed.serialization_id != given[2].serialization_id
        feed.remove_many(found[:2])
        assert feed[:] == given[2:]

    @pytest.mark.parametrize('odd', '*?[]\\^!-', ids=ascii)
    def test_flush_takes_keys_as_they_are(self, backend: Any, odd: str) -> None:
        if not backend.may_flush:
            pytest.skip('flush() empties what other tests, or other users of the server, may hold')
        name = backend.flat().key_format.replace('%', '%%')
        feed_class = backend.flat(key_format=f'{name}{odd}b:%(user_id)s')
        other_class = backend.flat(key_format=f'{name}xb:%(user_id)s')
        for feed in (feed_class(1), feed_class('a]'), other_class(1)):
            feed.add(act(1))
        feed_class.flush()
        assert feed_class(1).count() == feed_class('a]').count() == 0
        assert other_class(1).count() == 1

    def test_index_of(self, feed: Any, ten: list[int]) -> None:
        assert [feed.index_of(activity_id) for activity_id in ten] == list(range(10))
        assert feed.index_of(act(9)) == 0
        assert feed.index_of(act(2)) == 7
        assert feed.index_of(str(act(2).serialization_id)) == 7
        assert feed.index_of(uuid.UUID(int=act(2).serialization_id)) == 7

    def test_index_of_what_is_absent(self, feed: Any, ten: list[int]) -> None:
        with pytest.raises(ValueError):
            feed.index_of(act(99))
        with pytest.raises(ValueError):
            feed.index_of(act(4).serialization_id + 1)
        with pytest.raises(ValueError):
            feed.index_of(12)

    @pytest.mark.parametrize(
        'bounds', [(a, b) for a in (None, 0, 1, 4, 9, 10, 25) for b in (None, 0, 1, 4, 9, 10, 11, 30)]
    )
    def test_slices(self, feed: Any, ten: list[int], bounds: Any) -> None:
        found = feed[slice(*bounds)]
        assert isinstance(found, list)
        assert ids(found) == ten[slice(*bounds)]

    def test_single_items_are_lists(self, feed: Any, ten: list[int]) -> None:
        assert ids(feed[0]) == ten[:1]
        assert ids(feed[9]) == ten[9:]
        assert isinstance(feed[3], list)
        assert feed[10] == []
        assert feed[1000] == []

    @pytest.mark.parametrize('index', [-1, slice(-1, None), slice(None, -1), slice(-3, -1), slice(2, -1)], ids=str)
    def test_negative_indexes(self, feed: Any, ten: list[int], index: Any) -> None:
        with pytest.raises(ValueError):
            feed[index]

    @pytest.mark.parametrize('index', ['1', 1.5, None, (1, 2), slice('a', None), slice(0, 2.5)], ids=str)
    def test_other_types(self, feed: Any, ten: list[int], index: Any) -> None:
        with pytest.raises(TypeError):
            feed[index]

    def test_only_slices_are_read(self, feed: Any, ten: list[int]) -> None:
        with pytest.raises(TypeError):
            iter(feed)
        with pytest.raises(TypeError):
            list(feed)
        with pytest.raises(TypeError):
            for _ in feed:
                pass

    def test_slices_call_get_activity_slice(self, backend: Any) -> None:
        calls = []
        base = backend.feed_class

        def get_activity_slice(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            return base.get_activity_slice(self, *args, **kwargs)

        feed = backend.flat(get_activity_slice=get_activity_slice)(1)
        feed.add_many(acts(5))
        assert ids(feed[1:3]) == ids(acts(5))[3:1:-1]
        assert calls == [((1, 3), {})]
        feed[2]
        assert calls[1:] == [((2, 3), {})]
        feed[2:]
        [(args, kwargs)] = calls[2:]
        assert (len(args), args[0], args[1], kwargs) == (2, 2, None, {})

    def test_get_activity_slice(self, feed: Any, ten: list[int]) -> None:
        assert ids(feed.get_activity_slice()) == ten
        assert ids(feed.get_activity_slice(2, 5)) == ten[2:5]
        assert ids(feed.get_activity_slice(start=2, stop=5, rehydrate=True)) == ten[2:5]

    def test_without_rehydrating(self, backend: Any, feed: Any, ten: list[int]) -> None:
        found = feed.get_activity_slice(0, 5, rehydrate=False)
        assert ids(found) == ten[:5]
        if backend.whole_activities:
            assert not feed.needs_hydration(found)
            pytest.skip('timelines hold whole activities: nothing needs hydration')
        assert all(activity.dehydrated for activity in found)
        assert feed.needs_hydration(found) is True
        hydrated = feed.hydrate_activities(found)
        assert ids(hydrated) == ten[:5]
        assert [activity.dehydrated for activity in hydrated] == [False] * 5
        assert feed.needs_hydration(hydrated) is False
        assert hydrated[0].actor_id == 1009

    def test_missing_activities_are_left_out(self, backend: Any, feed: Any, ten: list[int]) -> None:
        if backend.whole_activities:
            pytest.skip('timelines hold whole activities: none can be missing')
        for n in (9, 7, 6, 2):
            type(feed).remove_activity(act(n))
        kept = [activity_id for n, activity_id in zip(range(9, -1, -1), ten, strict=True) if n not in (9, 7, 6, 2)]
        assert ids(feed[:]) == kept
        assert ids(feed[:3]) == kept[:3], 'a page is filled as long as there is something to fill it with'
        assert ids(feed[:6]) == kept
        assert ids(feed[:8]) == kept
        assert ids(feed[0]) == kept[:1]

    def test_pages_past_missing_activities_end_with_the_feed(self, backend: Any) -> None:
        if backend.whole_activities:
            pytest.skip('timelines hold whole activities: none can be missing')
        feed = backend.flat()(1)
        feed.add_many(acts(200))
        for n in range(50, 190):
            type(feed).remove_activity(act(n))
        assert ids(feed[:25]) == ids([*acts(10, first=190)[::-1], *acts(15, first=35)[::-1]])
        cursor, seen = None, []
        while True:
            page = (feed.filter(activity_id__lt=cursor) if cursor else feed)[:7]
            seen += ids(page)
            if len(page) < 7:
                break
            cursor = page[-1].serialization_id
        assert seen == ids([*acts(10, first=190)[::-1], *acts(50)[::-1]])

    def test_all_activities_missing(self, backend: Any, feed: Any, ten: list[int]) -> None:
        if backend.whole_activities:
            pytest.skip('timelines hold whole activities: none can be missing')
        for n in range(10):
            type(feed).remove_activity(act(n))
        assert feed[:] == []
        assert feed[:5] == []

    # filters and order

    @pytest.mark.parametrize('as_type', [int, str])
    def test_filters(self, feed: Any, ten: list[int], as_type: Any) -> None:
        middle = ten[4]
        assert ids(feed.filter(activity_id__gt=as_type(middle))[:]) == ten[:4]
        assert ids(feed.filter(activity_id__gte=as_type(middle))[:]) == ten[:5]
        assert ids(feed.filter(activity_id__lt=as_type(middle))[:]) == ten[5:]
        assert ids(feed.filter(activity_id__lte=as_type(middle))[:]) == ten[4:]

    def test_filters_add_up(self, feed: Any, ten: list[int]) -> None:
        assert ids(feed.filter(activity_id__gt=ten[7], activity_id__lte=ten[2])[:]) == ten[2:7]
        assert ids(feed.filter(activity_id__gt=ten[7]).filter(activity_id__lte=ten[2])[:]) == ten[2:7]
        assert ids(feed.filter(activity_id__lt=ten[2]).filter(activity_id__lte=ten[5])[:]) == ten[5:]
        assert ids(feed.filter(activity_id__lt=ten[2], activity_id__gt=ten[2])[:]) == []

    def test_the_same_filter_twice_adds_up(self, feed: Any, ten: list[int]) -> None:
        assert ids(feed.filter(activity_id__lt=ten[5]).filter(activity_id__lt=ten[2])[:]) == ten[6:]
        assert ids(feed.filter(activity_id__gte=ten[2]).filter(activity_id__gte=ten[5])[:]) == ten[:3]

    def test_filters_on_ids_that_are_not_there(self, feed: Any, ten: list[int]) -> None:
        assert ids(feed.filter(activity_id__gt=ten[4] - 1)[:]) == ten[:5]
        assert ids(feed.filter(activity_id__lt=ten[4] + 1)[:]) == ten[4:]
        assert ids(feed.filter(activity_id__lt=1)[:]) == []
        assert ids(feed.filter(activity_id__gt=10**27)[:]) == []

    def test_filters_and_slices(self, feed: Any, ten: list[int]) -> None:
        older = feed.filter(activity_id__lt=ten[2])
        assert ids(older[:3]) == ten[3:6]
        assert ids(older[2:4]) == ten[5:7]
        assert ids(older[0]) == ten[3:4]
        assert ids(older[6:]) == ten[9:]

    def test_order(self, feed: Any, ten: list[int]) -> None:
        assert ids(feed.order_by('activity_id')[:]) == ten[::-1]
        assert ids(feed.order_by('-activity_id')[:]) == ten
        assert ids(feed.order_by('activity_id')[:3]) == ten[::-1][:3]
        assert ids(feed.order_by('activity_id')[2:5]) == ten[::-1][2:5]
        assert ids(feed.order_by('activity_id').order_by('-activity_id')[:2]) == ten[:2]

    def test_order_and_filters(self, feed: Any, ten: list[int]) -> None:
        rising = feed.filter(activity_id__gt=ten[6]).order_by('activity_id')
        assert ids(rising[:2]) == ten[5:3:-1]
        assert ids(rising[:]) == ten[5::-1]
        assert ids(feed.order_by('activity_id').filter(activity_id__lte=ten[6])[1:3]) == [ten[8], ten[7]]

    def test_copies(self, feed: Any, ten: list[int]) -> None:
        filtered, ordered = feed.filter(activity_id__lt=ten[5]), feed.order_by('activity_id')
        assert filtered is not feed
        assert ordered is not feed
        assert type(filtered) is type(feed)
        assert ids(feed[:]) == ten
        further = filtered.filter(activity_id__gt=ten[8])
        assert ids(further[:]) == ten[6:8]
        assert ids(filtered[:]) == ten[6:]

    @pytest.mark.parametrize(
        'field', ['activity', 'id', 'activity_id', 'activity_id__in', 'time__gt', 'target_id', 'activity_id_gt']
    )
    def test_unknown_filters(self, feed: Any, field: str) -> None:
        with pytest.raises(ValueError):
            feed.filter(**{field: 1})

    @pytest.mark.parametrize('field', ['time', '+activity_id', 'activity_id__gt', '--activity_id', ''])
    def test_unknown_orders(self, feed: Any, field: str) -> None:
        with pytest.raises(ValueError):
            feed.order_by(field)

    @pytest.mark.parametrize('ascending', [False, True])
    def test_paging_within_one_millisecond(self, backend: Any, ascending: bool) -> None:
        feed = backend.flat()(1)
        activities = [act(0, object=n) for n in range(1000)]
        feed.add_many(activities)
        assert len(set(ids(activities))) == 1000
        expected = sorted(ids(activities), reverse=not ascending)
        ordered = feed.order_by('activity_id') if ascending else feed
        bound = 'activity_id__gt' if ascending else 'activity_id__lt'
        page, seen = ordered[:7], []
        while page:
            seen += ids(page)
            page = ordered.filter(**{bound: page[-1].serialization_id})[:7]
        assert seen == expected
        assert ids(feed[500:510]) == sorted(ids(activities), reverse=True)[500:510]
        assert feed.index_of(activities[3]) == 996
        assert ids(feed.filter(activity_id__gte=ids(activities)[4], activity_id__lte=ids(activities)[6])[:]) == [
            activities[n].serialization_id for n in (6, 5, 4)
        ]

    def test_trimming_within_one_millisecond(self, backend: Any) -> None:
        feed = backend.flat()(1)
        activities = [act(0, object=n) for n in range(50)]
        feed.add_many(activities[::-1])
        feed.trim(10)
        assert ids(feed[:]) == ids(activities)[:39:-1]

    # ids

    def test_ids_of_different_lengths_order_by_number(self, backend: Any) -> None:
        feed = backend.flat(activity_class=ShortId)(1)
        numbers = [5, 9, 10, 99, 100, 1234, 99999, 9, 10]
        feed.add_many([act(0, object=n, cls=ShortId) for n in numbers])
        expected = [99999, 1234, 100, 99, 10, 9, 5]
        assert ids(feed[:]) == expected
        assert ids(feed.filter(activity_id__lt=100)[:]) == [99, 10, 9, 5]
        assert ids(feed.filter(activity_id__gte='9').order_by('activity_id')[:3]) == [9, 10, 99]
        assert feed.index_of(10) == 4
        feed.trim(3)
        assert ids(feed[:]) == expected[:3]
        feed.remove('1234')
        assert ids(feed[:]) == [99999, 100]

    def test_removing_many_by_int_and_str(self, backend: Any) -> None:
        feed = backend.flat(activity_class=ShortId)(1)
        feed.add_many([act(0, object=n, cls=ShortId) for n in (123, 124)])
        feed.remove_many(['123'])
        assert ids(feed[:]) == [124]

    def test_uuids_as_serialization_ids(self, backend: Any) -> None:
        feed = backend.flat(activity_class=UuidId)(1)
        activities = [UuidId(1, Love, n, time=at(0)) for n in range(5)]
        feed.add_many(activities)
        assert ids(feed[:]) == [2**100 + n for n in (4, 3, 2, 1, 0)]
        assert feed.index_of(uuid.UUID(int=2**100 + 3)) == 1
        assert feed.index_of(2**100 + 3) == 1
        assert feed.index_of(activities[3]) == 1
        assert ids(feed.filter(activity_id__lt=2**100 + 3)[:1]) == [2**100 + 2]
        feed.remove(activities[4])
        feed.remove(uuid.UUID(int=2**100))
        assert ids(feed[:]) == [2**100 + n for n in (3, 2, 1)]

    @pytest.mark.parametrize('safe', [False, True])
    def test_ids_of_any_kind_come_back(self, backend: Any, safe: bool) -> None:
        cls = SafeActivity if safe else Activity
        feed = backend.flat(activity_class=cls)(1)
        kinds = [
            (17, 18, None),
            ('17', '18', None),
            ('anna', 'pin:5', 'board;7,8'),
            (uuid.UUID(int=17), uuid.UUID(int=18), uuid.UUID(int=2**127)),
            ('', 'x' * 300, '0'),
            ('Zoë 雪', 5, 6),
        ]
        activities = [cls(a, Comment, o, t, time=at(n)) for n, (a, o, t) in enumerate(kinds)]
        feed.add_many(activities)
        found = feed[:][::-1]
        assert ids(found) == ids(activities)
        for activity, (actor, object_, target) in zip(found, kinds, strict=True):
            got = (activity.actor_id, activity.object_id, activity.target_id)
            assert got == (actor, object_, target)
            assert [type(value) for value in got] == [type(value) for value in (actor, object_, target)]

    def test_str_ids_page_exactly(self, backend: Any) -> None:
        feed = backend.flat()(1)
        activities = [Activity(f'user {n}', Love, uuid.UUID(int=n), time=START) for n in range(100)]
        feed.add_many(activities)
        assert len(set(ids(activities))) == 100
        expected = sorted(ids(activities), reverse=True)
        page, seen = feed[:7], []
        while page:
            seen += ids(page)
            page = feed.filter(activity_id__lt=page[-1].serialization_id)[:7]
        assert seen == expected
        feed.remove_many(activities[:50])
        assert ids(feed[:]) == sorted(ids(activities[50:]), reverse=True)

    def test_ids_read_are_ids_stored(self, backend: Any) -> None:
        rows = json.loads((FIXTURES / 'ids.json').read_text())['rows']
        feed = backend.flat()(1)
        epoch = datetime.datetime(1970, 1, 1)
        verbs = {1: Follow, 2: Comment, 3: Love, 4: Add}
        activities = [
            Activity(n, verbs[verb], object_, time=epoch + datetime.timedelta(microseconds=time))
            for n, (time, object_, verb, _) in enumerate(rows[-200:])
        ]
        assert ids(activities) == [int(row[3]) for row in rows[-200:]]
        feed.add_many(activities)
        assert ids(feed[:]) == sorted(set(ids(activities)), reverse=True)
        found = feed[:][0]
        feed.remove(found)
        assert found.serialization_id not in ids(feed[:])

    def test_an_activity_that_was_read_and_changed_is_another(self, feed: Any) -> None:
        feed.add(act(1))
        [found] = feed[:5]
        found.time = at(9)
        assert found.serialization_id == act(1, time=at(9)).serialization_id
        feed.add(found)
        assert ids(feed[:5]) == ids([act(1, time=at(9)), act(1)])

    # contexts

    @pytest.mark.parametrize(
        'context',
        [
            {'a': 'text', 'n': None, 'f': 1.5, 'i': 2**70, 'b': True, 'l': [1, [2]], 'd': {'x': {'y': []}}},
            {'t': (1, 2, (3,)), 's': {1, 2}, 'mixed': [(1,), {'k': ('v',)}]},
            {1: 'int', (1, 2): 'tuple', None: 'none', 1.5: 'float', True and 'x': 'y'},
            {'dt': datetime.datetime(2013, 7, 8, 1, 2, 3, 4), 'd': datetime.date(2013, 7, 8)},
            {'time': datetime.time(1, 2, 3), 'delta': datetime.timedelta(days=1, microseconds=5)},
            {'dec': decimal.Decimal('1.10'), 'uuid': uuid.UUID(int=5), 'bytes': b'\x00\xff;,'},
            {'text': ';;,v3:"\'\n\r\t\\ 雪 \U0001f600 \u2028', ';': ','},
            {'__type__': 'datetime', '__value__': '2013'},
            {'nested': {'__type__': 'uuid', '__value__': {'hex': '1'}}},
            {'x' * 1000: 'y' * 10000},
        ],
        ids=range(10),
    )
    def test_contexts_come_back_equal(self, backend: Any, context: Any) -> None:
        feed = backend.flat()(1)
        feed.add(act(1, extra_context=context))
        [found] = type(feed)(1)[:]
        assert found.extra_context == context
        assert repr(_sorted_sets(found.extra_context)) == repr(_sorted_sets(context)), 'types come back, too'

    @pytest.mark.parametrize(
        'value', [object(), open, float, lambda: None], ids=['object', 'function', 'class', 'lambda']
    )
    def test_contexts_come_back_equal_or_are_refused(self, backend: Any, value: Any) -> None:
        feed = backend.flat()(1)
        try:
            feed.add(act(1, extra_context={'key': value}))
        except SerializationException as error:
            assert 'key' in str(error)
            assert feed[:] == []
        else:
            assert feed[:][0].extra_context == {'key': value}

    def test_contexts_are_as_they_were_when_stored(self, backend: Any) -> None:
        feed = backend.flat()(1)
        context = {'list': [1]}
        feed.add(act(1, extra_context=context))
        context['list'].append(2)
        context['more'] = 1
        assert feed[:][0].extra_context == {'list': [1]}

    # batches

    def test_batches_write_on_exit(self, backend: Any) -> None:
        feed_class = backend.flat()
        activities = acts(3)
        feed_class.insert_activities(activities)
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(5):
                feed_class(user_id).add_many(activities, batch_interface=batch)
            assert [feed_class(user_id).count() for user_id in range(5)] == [0] * 5
        assert [ids(feed_class(user_id)[:]) for user_id in range(5)] == [ids(activities)[::-1]] * 5
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(5):
                feed_class(user_id).remove_many(activities[:2], batch_interface=batch)
            assert [feed_class(user_id).count() for user_id in range(5)] == [3] * 5
        assert [ids(feed_class(user_id)[:]) for user_id in range(5)] == [ids(activities)[2:]] * 5

    def test_batches_are_dropped_on_errors(self, backend: Any) -> None:
        feed_class = backend.flat()
        feed_class(1).add(act(1))
        with pytest.raises(KeyError), feed_class.get_timeline_batch_interface() as batch:
            feed_class(1).add_many(acts(3, first=5), batch_interface=batch)
            feed_class(1).remove_many([act(1)], batch_interface=batch)
            raise KeyError
        assert ids(feed_class(1)[:]) == ids([act(1)])

    def test_batches_keep_the_order_of_work(self, backend: Any) -> None:
        feed_class = backend.flat()
        feed_class.insert_activities(acts(2))
        with feed_class.get_timeline_batch_interface() as batch:
            feed = feed_class(1)
            feed.add_many([act(0), act(1)], batch_interface=batch)
            feed.remove_many([act(0)], batch_interface=batch)
            feed.remove_many([act(1)], batch_interface=batch)
            feed.add_many([act(1)], batch_interface=batch)
        assert ids(feed_class(1)[:]) == ids([act(1)])

    def test_batches_trim(self, backend: Any) -> None:
        feed_class = backend.flat(trim_chance=1, max_length=4)
        feed_class.insert_activities(acts(10))
        with feed_class.get_timeline_batch_interface() as batch:
            feed_class(1).add_many(acts(10), batch_interface=batch)
            feed_class(2).add_many(acts(10), batch_interface=batch, trim=False)
        assert ids(feed_class(1)[:]) == ids(acts(10))[:5:-1]
        assert feed_class(2).count() == 10

    def test_empty_batches(self, backend: Any) -> None:
        with backend.flat().get_timeline_batch_interface():
            pass

    def test_large_batches(self, backend: Any) -> None:
        feed_class = backend.flat()
        feed_class.insert_activity(act(1))
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(350):
                feed_class(user_id).add(act(1), batch_interface=batch)
        assert [feed_class(user_id).count() for user_id in range(350)] == [1] * 350


def _sorted_sets(value: Any) -> Any:
    """A copy whose ``repr`` doesn't depend on the order of sets."""
    if isinstance(value, dict):
        return {key: _sorted_sets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_sorted_sets(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, sorted(value)
    return value
