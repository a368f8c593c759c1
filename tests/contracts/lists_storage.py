"""What a lists storage does, on every backend."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stream_framework.storage.base_lists_storage import BaseListsStorage


class ListsStorageContract:
    @pytest.fixture(autouse=True)
    def _of_its_own(self, backend: Any) -> None:
        if backend.lists_storage_class is None:
            pytest.skip("the lists live in the notification feed's own partition: its contract covers them")

    @pytest.fixture
    def lists(self, backend: Any) -> Any:
        return backend.lists_storage(backend.key())

    def test_is_a_lists_storage(self, lists: Any) -> None:
        assert isinstance(lists, BaseListsStorage)

    def test_defaults(self, backend: Any) -> None:
        lists = backend.lists_storage_class('k')
        assert lists.key_format == 'list:%(key)s:%(list)s'
        assert lists.max_length is None
        assert lists.data_type is str

    def test_get_key(self, backend: Any) -> None:
        assert backend.lists_storage_class('k').get_key('unseen') == 'list:k:unseen'
        lists = backend.lists_storage_class('k', key_format='x:%(list)s:%(key)s')
        assert lists.get_key('unseen') == 'x:unseen:k'

    def test_add_and_get(self, lists: Any) -> None:
        lists.add(unseen=['1', '2'])
        lists.add(unseen=['3'])
        assert lists.get('unseen') == ['1', '2', '3']

    def test_several_lists(self, lists: Any) -> None:
        lists.add(unseen=['1', '2'], unread=['2'], other=[])
        assert tuple(lists.get('unread', 'unseen', 'other')) == (['2'], ['1', '2'], [])
        assert isinstance(lists.get('unread', 'unseen'), tuple)
        assert lists.count('unread', 'unseen', 'other') == (1, 2, 0)
        lists.remove(unseen=['1'], unread=['2'])
        assert lists.get('unseen', 'unread') == (['2'], [])

    def test_one_name_one_value(self, lists: Any) -> None:
        lists.add(unseen=['1', '2'])
        assert lists.count('unseen') == 2
        assert lists.get('unseen') == ['1', '2']
        assert lists.count('never') == 0
        assert lists.get('never') == []

    def test_remove(self, lists: Any) -> None:
        lists.add(unseen=['1', '2', '3', '4'])
        lists.remove(unseen=['2', '4', '9'])
        assert lists.get('unseen') == ['1', '3']
        lists.remove(never=['1'], unseen=[])
        assert lists.get('unseen') == ['1', '3']

    def test_flush(self, lists: Any) -> None:
        lists.add(unseen=['1'], unread=['1'], other=['1'])
        lists.flush('unseen', 'unread')
        assert lists.count('unseen', 'unread', 'other') == (0, 0, 1)
        lists.flush('other', 'never')
        assert lists.get('other') == []

    def test_max_length_keeps_the_newest(self, backend: Any) -> None:
        lists = backend.lists_storage(backend.key(), max_length=3)
        lists.add(unseen=['1', '2'])
        lists.add(unseen=['3', '4'])
        assert lists.get('unseen') == ['2', '3', '4']
        lists.add(unseen=[str(n) for n in range(5, 15)])
        assert lists.get('unseen') == ['12', '13', '14']
        assert lists.count('unseen') == 3

    def test_max_length_is_for_each_list(self, backend: Any) -> None:
        lists = backend.lists_storage(backend.key(), max_length=2)
        lists.add(a=['1', '2'], b=['3'])
        lists.add(a=['4'], b=['5'])
        assert lists.get('a', 'b') == (['2', '4'], ['3', '5'])

    def test_no_max_length(self, lists: Any) -> None:
        lists.add(unseen=[str(n) for n in range(1500)])
        assert lists.count('unseen') == 1500
        assert lists.get('unseen') == [str(n) for n in range(1500)]

    def test_data_type(self, backend: Any) -> None:
        key = backend.key()
        lists = backend.lists_storage(key, data_type=int)
        lists.add(numbers=[1, 2, 10**20])
        assert lists.get('numbers') == [1, 2, 10**20]
        lists.remove(numbers=[2])
        assert lists.get('numbers') == [1, 10**20]
        assert backend.lists_storage(key).get('numbers') == ['1', str(10**20)]

    def test_text(self, lists: Any) -> None:
        lists.add(words=['Zoë', 'a b', ''])
        assert lists.get('words') == ['Zoë', 'a b', '']

    def test_instances_share(self, backend: Any) -> None:
        key = backend.key()
        backend.lists_storage(key).add(unseen=['1'])
        assert backend.lists_storage(key).get('unseen') == ['1']
        assert backend.lists_storage(backend.key()).get('unseen') == []

    def test_several_lists_change_in_one_step(self, backend: Any, lists: Any) -> None:
        if backend.name == 'redis-cluster':
            pytest.skip('one step for each list: they are on different nodes')
        rounds = range(200)

        def write() -> None:
            for number in rounds:
                lists.add(one=[str(number)], two=[str(number)])
                if number % 3 == 0:
                    lists.remove(one=[str(number)], two=[str(number)])

        writer = threading.Thread(target=write)
        writer.start()
        seen = []
        while writer.is_alive():
            seen.append((lists.count('one', 'two'), lists.get('one', 'two')))
        writer.join()
        assert all(count[0] == count[1] and found[0] == found[1] for count, found in seen)
        assert lists.get('one') == [str(number) for number in rounds if number % 3]
