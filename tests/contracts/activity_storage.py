"""What an activity storage does, on every backend that keeps activities apart from timelines."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.storage.abilities import KeepsIntents, KeepsLedger
from tests.contracts.support import act, acts, at, ids


class ActivityStorageContract:
    @pytest.fixture
    def storage(self, backend: Any) -> Any:
        if backend.whole_activities:
            pytest.skip('this activity storage stores nothing: timelines hold whole activities')
        return backend.activity_storage()

    def test_stores_nothing_where_timelines_hold_whole_activities(self, backend: Any) -> None:
        if not backend.whole_activities:
            pytest.skip('this activity storage stores activities')
        storage = backend.activity_storage_class()
        storage.add(act(1))
        assert storage.get(act(1).serialization_id) is None
        assert list(storage.get_many(ids([act(1)]))) == []
        storage.remove(act(1))

    def test_add_and_get(self, storage: Any) -> None:
        activity = act(1, target=9, extra_context={'a': [1, (2,)]})
        storage.add(activity)
        found = storage.get(activity.serialization_id)
        assert isinstance(found, Activity)
        assert found == activity
        assert (found.actor_id, found.object_id, found.target_id, found.time) == (1001, 501, 9, at(1))
        assert found.verb is activity.verb
        assert found.extra_context == {'a': [1, (2,)]}

    def test_instances_share_what_they_store(self, backend: Any, storage: Any) -> None:
        storage.add(act(1))
        assert backend.activity_storage().get(act(1).serialization_id) == act(1)

    def test_missing(self, storage: Any) -> None:
        storage.remove(act(50))
        assert storage.get(act(50).serialization_id) is None
        assert list(storage.get_many([act(50).serialization_id])) == []
        assert list(storage.get_many([])) == []

    def test_get_many(self, storage: Any) -> None:
        storage.add_many(acts(5))
        storage.remove(act(99))
        found = storage.get_many([*ids(acts(5)), act(99).serialization_id])
        assert sorted(ids(found)) == ids(acts(5))

    def test_adding_again_replaces(self, storage: Any) -> None:
        storage.add(act(1, extra_context={'version': 1}))
        storage.add(act(1, extra_context={'version': 2}))
        assert storage.get(act(1).serialization_id).extra_context == {'version': 2}

    def test_adding_nothing(self, storage: Any) -> None:
        storage.add_many([])
        storage.remove_many([])

    def test_remove_by_activity_and_by_id(self, storage: Any) -> None:
        storage.add_many(acts(4))
        storage.remove(act(0))
        storage.remove(act(1).serialization_id)
        storage.remove_many([act(2)])
        assert ids(storage.get_many(ids(acts(4)))) == ids([act(3)])
        storage.remove_many([act(3).serialization_id])
        assert storage.get(act(3).serialization_id) is None

    def test_removing_what_is_absent(self, storage: Any) -> None:
        storage.remove(act(70))
        storage.remove(act(70))
        storage.remove_many([act(70), 5])

    def test_uuids_and_strings_as_ids(self, storage: Any) -> None:
        storage.add(act(1))
        number = act(1).serialization_id
        assert storage.get(uuid.UUID(int=number)) == act(1)
        assert storage.get(str(number)) == act(1)
        storage.remove(uuid.UUID(int=number))
        assert storage.get(number) is None

    def test_ids_to_ids(self, storage: Any) -> None:
        number = act(1).serialization_id
        assert storage.activity_to_id(act(1)) == number
        assert storage.activity_to_id(number) == number
        assert list(storage.activities_to_ids([act(1), number])) == [number, number]

    def test_serialize_and_deserialize(self, storage: Any) -> None:
        serialized = storage.serialize_activities(acts(3))
        assert set(serialized) == set(ids(acts(3)))
        assert serialized[act(1).serialization_id] == storage.serialize_activity(act(1))
        assert sorted(ids(storage.deserialize_activities(serialized))) == ids(acts(3))
        assert ids(storage.deserialize_activities(list(serialized.values()))) == ids(acts(3))

    def test_hooks(self, backend: Any, storage: Any) -> None:
        calls = []

        class Recording(backend.activity_storage_class):
            def add_to_storage(self, serialized: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('add', set(serialized)))
                return super().add_to_storage(serialized, *args, **kwargs)

            def get_from_storage(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('get', set(activity_ids)))
                return super().get_from_storage(activity_ids, *args, **kwargs)

            def remove_from_storage(self, activity_ids: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(('remove', set(activity_ids)))
                return super().remove_from_storage(activity_ids, *args, **kwargs)

        recording = Recording(serializer_class=storage.serializer_class, activity_class=Activity)
        one = {act(1).serialization_id}
        recording.add(act(1))
        recording.get(act(1).serialization_id)
        recording.remove(act(1))
        assert calls == [('add', one), ('get', one), ('remove', one)]

    def test_options(self, backend: Any) -> None:
        storage = backend.activity_storage_class(activity_class=Activity, mine=5)
        assert storage.options['mine'] == 5
        assert storage.activity_class is Activity
        assert storage.metrics is not None
        assert storage.serializer is not None

    # marks, with which what was published last wins

    @pytest.fixture
    def marks(self, backend: Any) -> Any:
        storage = backend.activity_storage_class(activity_class=Activity)
        assert isinstance(storage, KeepsIntents)
        return storage

    @pytest.fixture
    def marked(self) -> list[str]:
        """Names that no other test has."""
        unique = uuid.uuid4().hex
        return [f'{unique}:{name}' for name in ('a', "'é;狗'>5", 'c d')]

    def test_marks(self, marks: Any, marked: list[str]) -> None:
        assert marks.get_intents(marked) == [None, None, None]
        marks.set_intents(marked[:2], 'removed', 60)
        assert marks.get_intents(marked) == ['removed', 'removed', None]
        marks.set_intents(marked[1:], 'added', 60)
        assert marks.get_intents(marked) == ['removed', 'added', 'added']
        assert marks.get_intents(marked[::-1]) == ['added', 'added', 'removed']
        assert marks.get_intents([marked[0], marked[0]]) == ['removed', 'removed']
        assert list(marks.get_intents([])) == []
        marks.set_intents([], 'added', 60)

    def test_marks_that_exist_already(self, marks: Any, marked: list[str]) -> None:
        marks.set_intents(marked, 'added', 60, existing=True)
        assert marks.get_intents(marked) == [None, None, None]
        marks.set_intents(marked[:1], 'removed', 60)
        marks.set_intents(marked, 'added', 60, existing=True)
        assert marks.get_intents(marked) == ['added', None, None]

    def test_adding_turns_marks(self, backend: Any, marks: Any, marked: list[str]) -> None:
        marks.set_intents(marked[:1], 'removed', 60)
        marks.add_and_turn([act(1)], marked, 'added', 60)
        assert marks.get_intents(marked) == ['added', None, None]

    def test_marks_expire(self, marks: Any, marked: list[str]) -> None:
        marks.set_intents(marked[:1], 'removed', 1)
        marks.set_intents(marked[1:2], 'removed', 600)
        end = time.monotonic() + 30
        while marks.get_intents(marked[:1]) != [None]:
            assert time.monotonic() < end, 'the mark has not expired in time'
            time.sleep(0.1)
        marks.set_intents(marked[:1], 'added', 60, existing=True)
        assert marks.get_intents(marked) == [None, 'removed', None]

    # a ledger of what was published and isn't done

    @pytest.fixture
    def ledger(self, backend: Any) -> Any:
        storage = backend.activity_storage_class(activity_class=Activity)
        assert isinstance(storage, KeepsLedger) == backend.keeps_ledger
        if not backend.keeps_ledger:
            pytest.skip('this activity storage keeps no ledger')
        return storage

    @pytest.fixture
    def minute(self) -> int:
        """One that no other test has: in the future, since memory forgets what is over."""
        return int(time.time() // 60) + uuid.uuid4().int % 10**7

    def test_a_ledger(self, ledger: Any, minute: int) -> None:
        texts = {f'id-{number}': f'{{"é;狗": {number}}}' for number in range(20)}
        assert list(ledger.read_ledger([minute, minute + 1])) == []
        ledger.write_ledger(minute, texts, 60)
        ledger.write_ledger(minute + 1, {'id-0': 'another'}, 60)
        found = list(ledger.read_ledger([minute, minute + 1]))
        assert sorted(found) == sorted(
            [*((minute, name, text) for name, text in texts.items()), (minute + 1, 'id-0', 'another')]
        )
        assert ledger.find_in_ledger(minute, 'id-7') == texts['id-7']
        ledger.delete_from_ledger(minute, 'id-7')
        ledger.delete_from_ledger(minute, 'id-7')
        assert ledger.find_in_ledger(minute, 'id-7') is None
        assert ledger.find_in_ledger(minute + 1, 'id-0') == 'another'
        assert len(list(ledger.read_ledger(range(minute, minute + 2)))) == 20
        assert list(ledger.read_ledger([])) == []
        ledger.write_ledger(minute, {}, 60)

    def test_a_ledgers_entries_change_only_while_they_are_there(self, ledger: Any, minute: int) -> None:
        ledger.write_ledger(minute, {'open': 'first', 'done': 'first'}, 60)
        ledger.delete_from_ledger(minute, 'done')
        time.sleep(1)  # on Cassandra entries count time in seconds
        for name in ('open', 'done'):
            ledger.write_ledger(minute, {name: 'second'}, 60, existing=True)
        assert list(ledger.read_ledger([minute])) == [(minute, 'open', 'second')]

    def test_many_entries(self, ledger: Any, minute: int) -> None:
        texts = {f'{number:06}': 'x' * 50 for number in range(3000)}
        for start in range(0, 3000, 500):
            part = list(texts.items())[start : start + 500]
            ledger.write_ledger(minute, dict(part), 60)
        assert {name: text for _, name, text in ledger.read_ledger([minute])} == texts

    def test_entries_expire(self, ledger: Any) -> None:
        minute = int(time.time() // 60) - 1000 - uuid.uuid4().int % 10**7
        ledger.write_ledger(minute, {'a': 'text'}, 1)
        end = time.monotonic() + 30
        while list(ledger.read_ledger([minute])):
            assert time.monotonic() < end, 'the entry has not expired in time'
            time.sleep(0.1)
            # In memory the next write looks.
            ledger.write_ledger(minute + 1, {'b': 'text'}, 1)
