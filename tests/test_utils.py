"""The small public things: utils, verbs, exceptions."""

from __future__ import annotations

import collections
import datetime
import itertools
import logging
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework import exceptions, settings, utils, verbs
from stream_framework.activity import Activity
from stream_framework.exceptions import DuplicateActivityException, SerializationException, StreamFrameworkError
from stream_framework.feeds.memory import Feed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.base import call_all
from stream_framework.utils import (
    LRUCache,
    chunks,
    datetime_to_epoch,
    epoch_to_datetime,
    get_class_from_string,
    make_list_unique,
    memoized,
    warn_on_duplicate,
    warn_on_error,
)
from stream_framework.utils.five import long_t
from stream_framework.utils.lazy import lazy_property
from stream_framework.utils.timing import timer
from stream_framework.utils.validate import validate_list_of_strict, validate_type_strict
from stream_framework.verbs.base import Verb
from tests.contracts.support import act, at
from tests.forks import in_a_fork


class TestUtils:
    def test_chunks(self) -> None:
        assert list(chunks(range(5), 2)) == [(0, 1), (2, 3), (4,)]
        assert list(chunks([], 2)) == []
        assert list(chunks(range(4), 2)) == [(0, 1), (2, 3)]
        assert [len(chunk) for chunk in chunks(range(10001))] == [10000, 1]

    def test_chunks_take_no_more_than_asked_for(self) -> None:
        numbers = itertools.count()
        assert next(chunks(numbers, 3)) == (0, 1, 2)
        assert next(numbers) == 3

    def test_times(self) -> None:
        moment = datetime.datetime(2013, 7, 8, 6, 59, 15, 123456)
        assert datetime_to_epoch(moment) == 1373266755.123456
        assert epoch_to_datetime(1373266755.123456) == moment
        assert epoch_to_datetime(0) == datetime.datetime(1970, 1, 1)

    def test_make_list_unique(self) -> None:
        assert make_list_unique([3, 1, 3, 2, 1]) == [3, 1, 2]
        assert make_list_unique(iter('abca')) == ['a', 'b', 'c']
        assert make_list_unique(['a', 'A', 'b'], marker_function=str.lower) == ['a', 'b']

    def test_warn_on_error(self, caplog: pytest.LogCaptureFixture) -> None:
        def fail(kind: Any) -> int:
            if kind:
                raise kind('the reason')
            return 5

        wrapped = warn_on_error(fail, (KeyError, ValueError))
        assert wrapped.__name__ == 'fail'
        assert wrapped(None) == 5
        with caplog.at_level(logging.WARNING, logger=utils.logger.name):
            assert wrapped(KeyError) is None
            assert wrapped(kind=ValueError) is None
        assert [record.levelname for record in caplog.records] == ['WARNING'] * 2
        assert 'the reason' in caplog.text
        with pytest.raises(ZeroDivisionError):
            wrapped(ZeroDivisionError)

    def test_warn_on_duplicate(self, caplog: pytest.LogCaptureFixture) -> None:
        group = Feed.activity_class
        assert group is Activity

        @warn_on_duplicate
        def fail(error: Any) -> None:
            raise error

        assert fail(DuplicateActivityException('twice')) is None
        assert 'twice' in caplog.text
        with pytest.raises(ValueError):
            fail(ValueError())

    def test_memoized(self) -> None:
        calls: list[Any] = []

        @memoized
        def double(number: Any, times: int = 2) -> Any:
            """The doc."""
            calls.append(number)
            return number * times

        assert (double(2), double(2), double(3), double(2, times=3)) == (4, 4, 6, 6)
        assert calls == [2, 3, 2]
        assert (double([1]), double([1])) == ([1, 1], [1, 1])
        assert calls[3:] == [[1], [1]]
        assert double.__doc__ == 'The doc.'

    def test_memoized_methods_and_none(self) -> None:
        class Thing:
            calls = 0

            @memoized
            def method(self, number: int) -> None:
                self.calls += 1

        thing, other = Thing(), Thing()
        for _ in range(3):
            assert thing.method(1) is None
        other.method(1)
        assert (thing.calls, other.calls) == (1, 1)

    def test_lru_cache(self) -> None:
        cache = LRUCache(2)
        cache.set('a', 1)
        cache.set('b', 2)
        assert cache.get('a') == 1
        cache.set('c', 3)
        assert [cache.get(key) for key in 'abc'] == [1, None, 3]
        cache.set('a', 5)
        cache.set('d', 4)
        assert [cache.get(key) for key in 'acd'] == [5, None, 4]

    def test_get_class_from_string(self) -> None:
        assert get_class_from_string('collections.OrderedDict') is collections.OrderedDict
        assert get_class_from_string('stream_framework.feeds.memory.Feed') is Feed
        for wrong in ('nowhere.Nothing', 'collections.Nothing', 'nonsense', ''):
            with pytest.raises(ImportError):
                get_class_from_string(wrong)
            assert get_class_from_string(wrong, Feed) is Feed
            assert get_class_from_string(wrong, default=Feed) is Feed

    def test_timer(self) -> None:
        stop_watch = timer()
        first, second = stop_watch.next(), next(stop_watch)
        assert first >= 0
        assert second >= 0

    def test_validate(self) -> None:
        validate_type_strict(1, int)
        validate_type_strict(1, (str, int))
        validate_list_of_strict([1, 'a'], (str, int))
        validate_list_of_strict([], int)
        for wrong, kind in ((True, int), ('a', int), (1, (str, float)), (act(1), object)):
            with pytest.raises(ValueError):
                validate_type_strict(wrong, kind)
            with pytest.raises(ValueError):
                validate_list_of_strict([wrong], kind)

    def test_long(self) -> None:
        assert long_t is int


class Pin(Verb):
    id = 951
    infinitive = 'pin'
    past_tense = 'pinned'


class AnotherPin(Verb):
    id = 951


class Plain:
    """What an application's own verb storage needs to be able to, and no more."""

    def __init__(self) -> None:
        self.verbs: dict[int, Any] = {}

    def get(self, key: Any) -> Any:
        return self.verbs.get(key)

    def __getitem__(self, key: Any) -> Any:
        return self.verbs[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.verbs[key] = value


@pytest.fixture
def clean() -> Iterator[None]:
    before = dict(verbs.VERB_DICT)
    yield
    verbs.VERB_DICT.clear()
    verbs.VERB_DICT.update(before)


class TestVerbs:
    def test_stock_verbs(self) -> None:
        found = {verb.id: (verb.infinitive, verb.past_tense) for verb in verbs.VERB_DICT.values() if verb.id < 5}
        assert found == {
            1: ('follow', 'followed'),
            2: ('comment', 'commented'),
            3: ('love', 'loved'),
            4: ('add', 'added'),
        }
        for number, name in enumerate(('Follow', 'Comment', 'Love', 'Add'), start=1):
            assert verbs.get_verb_by_id(number) is getattr(verbs, name) is getattr(verbs.base, name)

    def test_verbs(self) -> None:
        assert str(Pin()) == 'pin'
        assert Pin().serialize() == 951

    def test_register(self, clean: None) -> None:
        verbs.register(Pin)
        verbs.register(Pin)
        assert verbs.get_verb_by_id(951) is Pin
        assert verbs.get_verb_storage() is verbs.VERB_DICT
        with pytest.raises(ValueError) as caught:
            verbs.register(AnotherPin)
        assert 'AnotherPin' in str(caught.value)
        assert ' 951' in str(caught.value)
        assert f'{__name__}.Pin' in str(caught.value)
        assert verbs.get_verb_by_id(951) is Pin

    @pytest.mark.parametrize('wrong', [None, 5, 'Pin', object, int, Pin(), Activity])
    def test_registering_what_is_no_verb(self, wrong: Any) -> None:
        with pytest.raises(ValueError):
            verbs.register(wrong)

    @pytest.mark.parametrize('wrong', [None, '3', 3.0, Pin, b'3'])
    def test_ids_that_are_no_int(self, wrong: Any) -> None:
        with pytest.raises(ValueError):
            verbs.get_verb_by_id(wrong)

    def test_unknown_ids(self) -> None:
        with pytest.raises(KeyError, match='952.*register'):
            verbs.get_verb_by_id(952)

    def test_registered_late(self, clean: None) -> None:
        serializer = ActivitySerializer(Activity)
        text = serializer.dumps(act(1, verb=Pin))
        with pytest.raises(SerializationException, match='951'):
            serializer.loads(text)
        verbs.register(Pin)
        assert serializer.loads(text).verb is Pin

    def test_reading_stored_data_registers_the_stock_verbs(self) -> None:
        script = (
            'from stream_framework.activity import Activity\n'
            'from stream_framework.serializers.activity_serializer import ActivitySerializer\n'
            "print(ActivitySerializer(Activity).loads('1,3,2,0,1373266755.000000,'))"
        )
        done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, timeout=60)
        assert (done.stdout.strip(), done.returncode) == ('Activity(loved) 1 2', 0), done.stderr

    def test_a_storage_of_ones_own(self, clean: None) -> None:
        settings.configure(STREAM_VERB_STORAGE=f'{__name__}.Plain')
        try:
            storage = verbs.get_verb_storage()
            assert isinstance(storage, Plain)
            assert verbs.get_verb_storage() is storage
            verbs.register(Pin)
            assert verbs.get_verb_by_id(951) is Pin
            with pytest.raises(ValueError):
                verbs.register(AnotherPin)
            assert verbs.get_verb_by_id(3) is verbs.Love
            with pytest.raises(KeyError, match='952.*register'):
                verbs.get_verb_by_id(952)
        finally:
            del settings.STREAM_VERB_STORAGE
        assert 951 not in verbs.VERB_DICT


class TestLazyProperty:
    def test_made_once(self) -> None:
        made = []

        class Thing:
            @lazy_property
            def value(self) -> int:
                """What it is."""
                made.append(self)
                return 5

        thing = Thing()
        assert (thing.value, thing.value, made) == (5, 5, [thing])
        assert Thing.value.__doc__ == 'What it is.'
        thing.value = 6
        assert thing.value == 6

    @pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system does not fork')
    def test_a_fork_while_another_thread_makes_one(self) -> None:
        making, go_on = threading.Event(), threading.Event()

        class Thing:
            @lazy_property
            def value(self) -> int:
                if threading.current_thread() is not threading.main_thread():
                    making.set()
                    go_on.wait()
                return 5

        thread = threading.Thread(target=lambda: Thing().value)
        thread.start()
        try:
            making.wait()
            assert in_a_fork(lambda: Thing().value, patience=30) == 5
        finally:
            go_on.set()
            thread.join()


class TestExceptions:
    def test_one_root(self) -> None:
        found = [
            value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, BaseException)
        ]
        assert len(found) > 5
        assert all(issubclass(value, StreamFrameworkError) for value in found)
        for name in ('SerializationException', 'DuplicateActivityException', 'ActivityNotFound'):
            assert getattr(exceptions, name) in found

    def test_of_ids(self) -> None:
        for wrong in ([], object(), 1.5):
            with pytest.raises(StreamFrameworkError):
                Activity(wrong, Pin, 1, time=at(0))
        feed = Feed('errors')
        for wrong in ('x', 1.5, object(), None):
            with pytest.raises((TypeError, ValueError)):
                feed.remove(wrong)
        feed.remove(uuid.UUID(int=5))


def test_all_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Of 100 feeds that could not be finished, not only one is told."""
    done = []

    def call(number: int) -> Callable[[], None]:
        def run() -> None:
            done.append(number)
            if number % 2:
                raise LookupError(f'feed {number}')

        return run

    with pytest.raises(LookupError, match='feed 1'):
        call_all(map(call, range(6)))
    assert done == list(range(6))
    assert all(f'LookupError: feed {number}' in caplog.text for number in (1, 3, 5))
    caplog.clear()
    with pytest.raises(LookupError, match='feed 7'):
        call_all([call(6), call(7)])
    assert not caplog.records, 'the only one is raised, and need not be in the log as well'
