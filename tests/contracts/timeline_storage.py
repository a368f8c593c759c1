"""What a timeline storage does, on every backend."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.serializers.activity_serializer import ActivitySerializer
from tests.contracts.support import act, acts, ids


class TimelineStorageContract:
    @pytest.fixture
    def storage(self, backend: Any) -> Any:
        return backend.timeline_storage()

    @pytest.fixture
    def key(self, backend: Any) -> str:
        return backend.key()

    @pytest.fixture
    def ten(self, storage: Any, key: str) -> list[int]:
        """Ten entries; their ids, newest first."""
        storage.add_many(key, acts(10))
        return ids(acts(10))[::-1]

    def all(self, storage: Any, key: str) -> list[int]:
        return ids(storage.get_slice(key, 0, None))

    def test_add(self, storage: Any, key: str) -> None:
        storage.add(key, act(1))
        storage.add(key, act(2))
        assert self.all(storage, key) == ids([act(2), act(1)])

    def test_iterators(self, storage: Any, key: str) -> None:
        storage.add_many(key, iter(acts(3)))
        storage.add_many(key, iter([]))
        assert storage.count(key) == 3
        storage.remove_many(key, iter(acts(2)))
        assert ids(storage.get_slice(key, 0, 5)) == ids([act(2)])

    def test_entries_are_references_or_whole(self, backend: Any, storage: Any, key: str) -> None:
        storage.add(key, act(1))
        [entry] = storage.get_slice(key, 0, 1)
        assert entry.dehydrated is not backend.whole_activities

    def test_add_again(self, storage: Any, key: str, ten: list[int]) -> None:
        storage.add_many(key, acts(10))
        storage.add(key, act(3))
        assert storage.count(key) == 10
        assert self.all(storage, key) == ten

    def test_add_again_with_other_data(self, backend: Any, key: str) -> None:
        storage = backend.timeline_storage()
        if not backend.whole_activities:
            storage = type(storage)(serializer_class=ActivitySerializer, activity_class=Activity)
        for count in (1, 2, 3):
            storage.add(key, act(5, extra_context={'count': count}))
        assert storage.count(key) == 1
        [found] = storage.get_slice(key, 0, 5)
        assert found.extra_context == {'count': 3}

    def test_adding_nothing(self, storage: Any, key: str) -> None:
        storage.add_many(key, [])
        assert storage.count(key) == 0

    def test_remove(self, storage: Any, key: str, ten: list[int]) -> None:
        storage.remove(key, act(9))
        storage.remove(key, act(8).serialization_id)
        storage.remove_many(key, [act(7), act(6).serialization_id, str(ten[4]), uuid.UUID(int=ten[5])])
        assert self.all(storage, key) == ten[6:]

    def test_removing_what_is_absent(self, storage: Any, key: str, ten: list[int]) -> None:
        storage.remove(key, act(77))
        storage.remove_many(key, [1, '2', uuid.UUID(int=3)])
        storage.remove_many(key, [])
        assert self.all(storage, key) == ten

    @pytest.mark.parametrize('bounds', [(0, 3), (2, 5), (0, 100), (9, 10), (10, 12), (50, 60), (3, 3), (0, 0)])
    def test_slices(self, storage: Any, key: str, ten: list[int], bounds: Any) -> None:
        assert ids(storage.get_slice(key, *bounds)) == ten[slice(*bounds)]

    def test_open_slices(self, storage: Any, key: str, ten: list[int]) -> None:
        assert ids(storage.get_slice(key, 0, None)) == ten
        assert ids(storage.get_slice(key, None, None)) == ten
        assert ids(storage.get_slice(key, 4, None)) == ten[4:]
        assert ids(storage.get_slice(key, None, 4)) == ten[:4]

    def test_slices_of_nothing(self, storage: Any, key: str) -> None:
        assert storage.get_slice(key, 0, 10) == []

    def test_filters_and_order(self, storage: Any, key: str, ten: list[int]) -> None:
        older = {'activity_id__lt': ten[3]}
        assert ids(storage.get_slice(key, 0, 3, filter_kwargs=older)) == ten[4:7]
        assert ids(storage.get_slice(key, 1, 3, filter_kwargs=older, ordering_args=('activity_id',))) == [
            ten[8],
            ten[7],
        ]
        assert ids(storage.get_slice(key, 0, None, {'activity_id__gte': ten[3]}, ('-activity_id',))) == ten[:4]

    def test_index_of(self, storage: Any, key: str, ten: list[int]) -> None:
        assert [storage.index_of(key, activity_id) for activity_id in ten] == list(range(10))
        assert storage.index_of(key, act(0)) == 9
        with pytest.raises(ValueError):
            storage.index_of(key, act(99))

    def test_contains(self, storage: Any, key: str, ten: list[int]) -> None:
        assert storage.contains(key, ten[3]) is True
        assert storage.contains(key, ten[3] + 1) is False
        assert storage.contains(key + ':other', ten[3]) is False

    def test_count(self, storage: Any, key: str) -> None:
        assert storage.count(key) == 0
        storage.add_many(key, acts(4))
        assert storage.count(key) == 4

    @pytest.mark.parametrize('length', [1, 4, 9])
    def test_trim(self, storage: Any, key: str, ten: list[int], length: int) -> None:
        storage.trim(key, length)
        assert self.all(storage, key) == ten[:length]

    @pytest.mark.parametrize('length', [10, 11, 500])
    def test_trim_leaves_shorter_timelines_alone(self, storage: Any, key: str, ten: list[int], length: int) -> None:
        storage.trim(key, length)
        assert self.all(storage, key) == ten

    @pytest.mark.parametrize('args', [(), (None,), (0,)])
    def test_trim_without_a_length(self, backend: Any, key: str, args: Any) -> None:
        feed = backend.flat()
        storage = feed.timeline_storage_class(**feed.get_timeline_storage_options(), max_length=4)
        storage.add_many(key, acts(10))
        storage.trim(key, *args)
        assert self.all(storage, key) == ids(acts(10))[:5:-1]

    def test_trim_in_a_batch(self, storage: Any, key: str, ten: list[int]) -> None:
        with storage.get_batch_interface() as batch:
            storage.trim(key, 3, batch_interface=batch)
            assert storage.count(key) == 10
        assert self.all(storage, key) == ten[:3]

    def test_trim_empty(self, storage: Any, key: str) -> None:
        storage.trim(key, 3)
        assert self.all(storage, key) == []

    def test_delete(self, storage: Any, key: str, ten: list[int]) -> None:
        storage.add(key + ':other', act(1))
        storage.delete(key)
        storage.delete(key + ':never')
        assert storage.count(key) == 0
        assert self.all(storage, key) == []
        assert storage.count(key + ':other') == 1

    def test_batches(self, storage: Any, key: str) -> None:
        with storage.get_batch_interface() as batch:
            storage.add_many(key, acts(3), batch_interface=batch)
            storage.add(key + ':2', act(1), batch_interface=batch)
            storage.remove(key, act(2), batch_interface=batch)
            assert storage.count(key) == 0
        assert self.all(storage, key) == ids([act(1), act(0)])
        assert self.all(storage, key + ':2') == ids([act(1)])

    def test_batches_are_dropped_on_errors(self, storage: Any, key: str, ten: list[int]) -> None:
        with pytest.raises(KeyError), storage.get_batch_interface() as batch:
            storage.add_many(key, acts(3, first=20), batch_interface=batch)
            storage.remove_many(key, acts(3), batch_interface=batch)
            raise KeyError
        assert self.all(storage, key) == ten

    def test_hooks(self, backend: Any, key: str) -> None:
        calls = []
        base = backend.timeline_storage_class

        class Recording(base):
            def add_to_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('add', set(activities)))
                return super().add_to_storage(key, activities, *args, **kwargs)

            def remove_from_storage(self, key: str, activities: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('remove', {int(activity_id) for activity_id in activities}))
                return super().remove_from_storage(key, activities, *args, **kwargs)

            def get_slice_from_storage(self, key: str, *args: Any, **kwargs: Any) -> Any:
                pairs = list(super().get_slice_from_storage(key, *args, **kwargs))
                calls.append(('slice', {int(activity_id) for activity_id, _ in pairs}))
                return pairs

            def get_index_of(self, key: str, activity_id: Any) -> Any:
                calls.append(('index', {int(activity_id)}))
                return super().get_index_of(key, activity_id)

        storage = backend.flat(timeline_storage_class=Recording).get_timeline_storage()
        one = {act(1).serialization_id}
        storage.add(key, act(1))
        storage.get_slice(key, 0, 1)
        storage.index_of(key, act(1))
        storage.remove(key, act(1))
        assert calls == [('add', one), ('slice', one), ('index', one), ('remove', one)]
