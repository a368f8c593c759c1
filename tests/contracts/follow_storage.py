"""What a follow storage does, on every backend that has one."""

from __future__ import annotations

import datetime
import enum
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from stream_framework.exceptions import ConfigurationError, InvalidArgumentError, InvalidIdError, StreamFrameworkError
from stream_framework.storage.base_follow_storage import BaseFollowStorage, Follow

MORNING = datetime.datetime(2024, 5, 1, 8)
UUID = uuid.UUID('12345678-1234-5678-1234-567812345678')
#: Ids of all kinds; several of them look alike.
IDS = [17, '17', UUID, UUID.hex, str(UUID), -3, '-3', 0, '', 'Zoë 狗', 'a:b', '*', 'm17', 'é%s{x}', 10**30, 's17', 'u']
NO_IDS = [True, False, 1.5, None, b'17', [1], {}, object(), float('nan'), 'x' * 1001, '\ud800', 10**1000]


def minutes(count: int) -> datetime.datetime:
    return MORNING + datetime.timedelta(minutes=count)


def all_pages(read: Any, limit: int) -> Iterator[list[Follow]]:
    before = None
    while page := read(limit, before):
        yield page
        before = page[-1]


def followers(storage: Any, user_id: Any, limit: int = 7) -> list[Any]:
    pages = all_pages(lambda size, before: storage.get_followers(user_id, limit=size, before=before), limit)
    return [follow.user_id for page in pages for follow in page]


def followed(storage: Any, user_id: Any, limit: int = 7) -> list[Any]:
    pages = all_pages(lambda size, before: storage.get_followed(user_id, limit=size, before=before), limit)
    return [follow.target_id for page in pages for follow in page]


class FollowStorageContract:
    @pytest.fixture
    def storage(self, backend: Any) -> Iterator[Any]:
        if backend.follow_storage_path is None:
            pytest.skip('this backend has no follow storage')
        storage = backend.follow_storage()
        yield storage
        storage.flush()

    # following

    def test_follow(self, storage: Any) -> None:
        storage.follow(1, [2, 3], since=MORNING)
        storage.follow(4, [2], since=minutes(1))
        assert storage.is_following(1, [2, 3, 4]) == {2, 3}
        assert storage.is_following(2, [1]) == set()
        assert (storage.count_followers(2), storage.count_followers(3), storage.count_followers(1)) == (2, 1, 0)
        assert (storage.count_followed(1), storage.count_followed(2)) == (2, 0)
        assert storage.get_followers(2) == [Follow(4, 2, minutes(1)), Follow(1, 2, MORNING)]
        assert storage.get_followed(1) == [Follow(1, 3, MORNING), Follow(1, 2, MORNING)]
        assert sorted(storage.iter_followers(2)) == [1, 4]
        assert sorted(storage.iter_followed(1)) == [2, 3]

    def test_unfollow(self, storage: Any) -> None:
        storage.follow(1, [2, 3, 4])
        storage.unfollow(1, [3, 99])
        storage.unfollow(1, [3])
        storage.unfollow(50, [3])
        assert storage.is_following(1, [2, 3, 4]) == {2, 4}
        assert followers(storage, 3) == list(storage.iter_followers(3)) == []
        assert storage.count_followers(3) == 0
        assert set(followed(storage, 1)) == {2, 4}

    def test_following_again_keeps_since(self, storage: Any) -> None:
        storage.follow(1, [2], since=MORNING)
        storage.follow(1, [2, 3], since=minutes(5))
        storage.follow(1, [2])
        assert storage.get_followers(2) == storage.get_followed(1)[1:] == [Follow(1, 2, MORNING)]
        assert storage.get_followers(3) == [Follow(1, 3, minutes(5))]
        storage.unfollow(1, [2])
        storage.follow(1, [2], since=minutes(9))
        assert storage.get_followers(2) == storage.get_followed(1)[:1] == [Follow(1, 2, minutes(9))]

    def test_following_again_at_the_same_time(self, storage: Any) -> None:
        for _ in range(3):
            storage.follow(1, [2], since=MORNING)
            assert storage.get_followers(2) == storage.get_followed(1) == [Follow(1, 2, MORNING)]
            storage.unfollow(1, [2])
            assert storage.get_followers(2) == storage.get_followed(1) == []

    def test_ids_of_all_kinds(self, storage: Any) -> None:
        storage.follow('me', IDS)
        found = followed(storage, 'me')
        assert len(found) == len(IDS)
        assert {(type(one), one) for one in found} == {(type(one), one) for one in IDS}
        assert {(type(one), one) for one in storage.iter_followed('me')} == {(type(one), one) for one in IDS}
        assert storage.is_following('me', [*IDS, 18, 's']) == set(IDS)
        for one in IDS:
            assert followers(storage, one) == list(storage.iter_followers(one)) == ['me']
        storage.unfollow('me', [17, UUID])
        assert storage.is_following('me', IDS) == set(IDS) - {17, UUID}
        assert storage.is_following('me', ['17', UUID.hex]) == {'17', UUID.hex}

    def test_users_of_all_kinds(self, storage: Any) -> None:
        for one in IDS:
            storage.follow(one, ['target'])
        found = followers(storage, 'target')
        assert len(found) == len(IDS) == storage.count_followers('target')
        assert {(type(one), one) for one in found} == {(type(one), one) for one in IDS}
        for one in IDS:
            assert followed(storage, one) == ['target']

    def test_subclasses_of_ids(self, storage: Any) -> None:
        class Number(enum.IntEnum):
            SEVEN = 7

        class Word(str, enum.Enum):
            TEA = 'tea'

        class Key(uuid.UUID):
            pass

        storage.follow(Number.SEVEN, [Word.TEA, Key(UUID.hex)])
        assert {(type(one), one) for one in storage.iter_followed(7)} == {(str, 'tea'), (uuid.UUID, UUID)}
        [follow] = storage.get_followers(Word.TEA)
        assert [type(part) for part in follow[:2]] == [int, str]

    def test_since(self, storage: Any) -> None:
        zone = datetime.timezone(datetime.timedelta(hours=2))
        given = [
            datetime.datetime(2024, 5, 1, 8, 0, 0, 123999),
            datetime.datetime(2024, 5, 1, 10, tzinfo=zone),
            datetime.datetime(1969, 12, 31, 23, 59, 59, 999000),
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime.datetime.min,
        ]
        for number, since in enumerate(given):
            storage.follow(number, ['target'], since=since)
        found = {follow.user_id: follow.since for follow in storage.get_followers('target')}
        assert found == {
            0: given[0].replace(microsecond=123000),
            1: MORNING,
            2: given[2],
            3: given[3].replace(microsecond=999000),
            4: given[4],
        }
        assert followers(storage, 'target', limit=1) == [3, 0, 1, 2, 4]
        before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        storage.follow(50, ['target'])
        after = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        [since] = [follow.since for follow in storage.get_followers('target') if follow.user_id == 50]
        assert before - datetime.timedelta(milliseconds=1) <= since <= after
        assert since.tzinfo is None

    def test_nothing(self, storage: Any) -> None:
        storage.follow(1, [])
        storage.unfollow(1, [])
        storage.repair(1, [])
        assert storage.is_following(1, []) == set()
        assert storage.hidden_from([], [1]) == storage.hidden_from([1], []) == set()
        assert storage.import_follows([]) == 0
        assert storage.get_followers(1) == storage.get_followed(1) == []
        assert (storage.count_followers(1), storage.count_followed(1)) == (0, 0)
        assert storage.get_muted(1) == storage.get_blocked(1) == set()

    def test_the_same_target_twice(self, storage: Any) -> None:
        storage.follow(1, [2, 2, '2', 2])
        assert set(followed(storage, 1)) == {2, '2'}
        assert storage.count_followed(1) == 2
        assert storage.is_following(1, [2, 2]) == {2}

    def test_generators(self, storage: Any) -> None:
        storage.follow(1, (number for number in range(2, 5)))
        assert storage.is_following(1, iter([2, 4, 9])) == {2, 4}
        storage.unfollow(1, {2: 'a dict', 4: 'of ids'})
        assert storage.is_following(1, range(10)) == {3}

    def test_followers_among(self, storage: Any) -> None:
        for one in IDS:
            storage.follow(one, ['target'])
        storage.unfollow(17, ['target'])
        assert storage.followers_among('target', [*IDS, 18]) == set(IDS) - {17}
        assert storage.followers_among('target', []) == storage.followers_among('other', IDS) == set()
        assert storage.followers_among('target', range(300)) == {0}

    def test_is_hiding(self, storage: Any) -> None:
        storage.mute(1, 2)
        storage.block(3, 4)
        assert [one for one in range(6) if storage.is_hiding(one)] == [1, 3, 4]
        storage.unmute(1, 2)
        storage.unblock(3, 4)
        assert not any(map(storage.is_hiding, range(6)))

    def test_states(self, storage: Any) -> None:
        assert storage.read_states(1, IDS) == (set(), set(), False)
        assert storage.read_states(1, []) == (set(), set(), False)
        storage.follow(1, IDS[:4])
        storage.mute(1, '17')
        storage.mute(2, 17)
        assert storage.read_states(1, IDS) == (set(IDS[:4]), {'17'}, True)
        storage.unmute(1, '17')
        assert storage.read_states(1, IDS) == (set(IDS[:4]), set(), False)
        storage.block(1, UUID)
        storage.block('', 1)
        assert storage.read_states(1, IDS) == (set(IDS[:4]) - {UUID}, {UUID, ''}, True)
        assert storage.read_states(1, [99]) == (set(), set(), True)
        assert storage.read_states(UUID, [1, 2]) == (set(), {1}, True)
        storage.pairs_at_a_time = 3
        assert storage.read_states(1, IDS, repair=True) == (set(IDS[:4]) - {UUID}, {UUID, ''}, True)

    def test_hidden_readers(self, storage: Any) -> None:
        assert storage.hidden_readers(13) == set()
        for one in IDS:
            storage.mute(one, 13)
        storage.block('17', 13)
        storage.block(13, 5)
        storage.block(13, 6)
        storage.unblock(13, 6)
        found = storage.hidden_readers(13)
        assert {(type(one), one) for one in found} == {(type(one), one) for one in [*IDS, 5]}
        assert storage.hidden_readers(13, limit=len(IDS)) is None
        assert storage.hidden_readers(5) == {13}
        for one in IDS:
            storage.unmute(one, 13)
        assert storage.hidden_readers(13) == {'17', 5}
        with pytest.raises(InvalidArgumentError):
            storage.hidden_readers(13, limit=-1)

    # names

    def test_names_share(self, backend: Any, storage: Any) -> None:
        storage.follow(1, [2])
        storage.mute(1, 3)
        same = backend.follow_storage(storage.follow_name)
        other = backend.follow_storage()
        assert same.is_following(1, [2]) == {2}
        assert other.is_following(1, [2]) == other.get_muted(1) == other.hidden_from([3], [1]) == set()
        assert followers(other, 2) == []
        other.follow(5, [2])
        other.flush()
        assert followers(other, 2) == []
        assert followers(storage, 2) == [1]
        assert storage.get_muted(1) == {3}

    def test_names_that_look_alike(self, backend: Any, storage: Any) -> None:
        others = [backend.follow_storage(storage.follow_name + end) for end in ('*', ':followed', ':followers:s', '%s')]
        storage.follow('1', ['2'])
        for other in others:
            assert other.is_following('1', ['2']) == set()
            other.follow('1', ['3'])
        others[0].flush()
        assert storage.is_following('1', ['2', '3']) == {'2'}
        storage.flush()
        for other in others[1:]:
            assert followed(other, '1') == ['3']
            other.flush()

    @pytest.mark.parametrize('name', ['', None, 7, b'follow', 'x' * 101, '\ud800'])
    def test_bad_names(self, backend: Any, storage: Any, name: Any) -> None:
        with pytest.raises(ConfigurationError, match='follow_name'):
            backend.follow_storage(name)

    def test_the_default_name(self, backend: Any, storage: Any) -> None:
        assert backend.follow_storage_class().follow_name == 'follow'
        assert isinstance(storage, BaseFollowStorage)

    # paging

    @pytest.mark.parametrize('limit', [1, 2, 3, 10, 11, 12])
    def test_pages(self, storage: Any, limit: int) -> None:
        for number in range(11):
            storage.follow(number, ['target'], since=minutes(number // 3))
            storage.follow('user', [number], since=minutes(number // 3))
        expected = sorted(range(11), key=lambda number: (number // 3, str(number)), reverse=True)
        assert followers(storage, 'target', limit) == expected
        assert followed(storage, 'user', limit) == expected

    def test_ties(self, storage: Any) -> None:
        storage.import_follows([(one, 'target', MORNING) for one in IDS])
        storage.follow('user', IDS, since=MORNING)
        in_one_go = followers(storage, 'target', limit=100)
        assert len(in_one_go) == len(IDS)
        for limit in (1, 2, 5):
            assert followers(storage, 'target', limit) == in_one_go
            assert followed(storage, 'user', limit) == in_one_go

    def test_the_default_page(self, storage: Any) -> None:
        storage.follow('user', range(30))
        assert len(storage.get_followed('user')) == 25
        assert storage.get_followed('user', limit=0) == []
        assert len(storage.get_followed('user', 100)) == 30

    def test_the_last_one_of_a_page_was_unfollowed(self, storage: Any) -> None:
        storage.import_follows([(number, 'target', MORNING) for number in range(10, 20)])
        page = storage.get_followers('target', limit=3)
        assert [follow.user_id for follow in page] == [19, 18, 17]
        for number in (19, 17, 16):
            storage.unfollow(number, ['target'])
        storage.follow(195, ['target'], since=MORNING)
        storage.follow(30, ['target'], since=minutes(1))
        rest = storage.get_followers('target', limit=100, before=page[-1])
        assert [follow.user_id for follow in rest] == [15, 14, 13, 12, 11, 10]

    def test_paging_while_others_come_and_go(self, storage: Any) -> None:
        stay = list(range(0, 60, 2))
        storage.import_follows([(number, 'target', minutes(number // 7)) for number in range(60)])
        found: list[int] = []
        pages = all_pages(lambda size, before: storage.get_followers('target', size, before), 5)
        for number, page in enumerate(pages):
            found += [follow.user_id for follow in page]
            storage.unfollow(59 - 2 * number, ['target'])
            storage.unfollow(2 * number + 1, ['target'])
            storage.follow(1000 + number, ['target'])
        assert [one for one in found if one in stay] == sorted(
            stay, key=lambda number: (number // 7, str(number)), reverse=True
        )
        assert len(found) == len(set(found))

    def test_a_cursor_that_went_through_json(self, storage: Any) -> None:
        storage.follow(1, [2, 3], since=MORNING)
        [first] = storage.get_followed(1, limit=1)
        assert storage.get_followed(1, before=tuple(first)) == storage.get_followed(1)[1:]

    def test_many(self, storage: Any) -> None:
        storage.page_size = 100
        storage.follow('user', range(1050), since=MORNING)
        storage.import_follows((number, 'target', minutes(number % 10)) for number in range(1050))
        assert sorted(storage.iter_followed('user')) == list(range(1050))
        assert sorted(storage.iter_followers('target')) == list(range(1050))
        assert sorted(followers(storage, 'target', 130)) == list(range(1050))
        assert (storage.count_followed('user'), storage.count_followers('target')) == (1050, 1050)
        assert storage.is_following('user', range(5000)) == set(range(1050))
        storage.unfollow('user', range(50, 2000))
        assert sorted(storage.iter_followed('user')) == list(range(50))

    def test_iterating_while_they_are_removed(self, storage: Any) -> None:
        storage.page_size = 10
        storage.follow('user', range(95))
        found = []
        for number in storage.iter_followed('user'):
            found.append(number)
            storage.unfollow('user', [number])
        assert sorted(found) == list(range(95))
        assert list(storage.iter_followed('user')) == []

    def test_iterators_are_checked_at_once(self, storage: Any) -> None:
        for method in (storage.iter_followers, storage.iter_followed):
            with pytest.raises(InvalidIdError):
                method(None)

    # importing

    def test_import(self, storage: Any) -> None:
        rows = [Follow(number % 40, f'target {number % 7}', minutes(number)) for number in range(2000)]
        done: list[int] = []
        assert storage.import_follows(iter(rows), progress=done.append) == 2000
        assert done == list(range(storage.pairs_at_a_time, 2001, storage.pairs_at_a_time))
        first: dict[Any, Any] = {}
        for row in rows:
            first.setdefault((row.user_id, row.target_id), row)
        for target in range(7):
            expected = [row for row in first.values() if row.target_id == f'target {target}']
            found = storage.get_followers(f'target {target}', limit=100)
            assert found == sorted(expected, key=lambda row: row.since, reverse=True)
        before = storage.get_followers('target 1', limit=100)
        storage.import_follows(rows)
        assert storage.get_followers('target 1', limit=100) == before

    @pytest.mark.parametrize('row', [(1, 1, None), (1, 2), 7, (1, None, MORNING), (1, 2, 'today'), (True, 2, None)])
    def test_bad_imports(self, storage: Any, row: Any) -> None:
        with pytest.raises((InvalidArgumentError, InvalidIdError)):
            storage.import_follows([(5, 6, MORNING), row])
        assert storage.is_following(5, [6]) == set()

    # bad input

    @pytest.mark.parametrize('value', NO_IDS, ids=lambda value: repr(value)[:20])
    def test_what_is_no_id(self, storage: Any, value: Any) -> None:
        for call in (
            lambda: storage.follow(1, [2, value]),
            lambda: storage.follow(value, [2]),
            lambda: storage.unfollow(1, [2, value]),
            lambda: storage.unfollow(value, [2]),
            lambda: storage.repair(value, [2]),
            lambda: storage.is_following(1, [value]),
            lambda: storage.is_following(value, []),
            lambda: storage.get_followers(value),
            lambda: storage.get_followed(value),
            lambda: storage.count_followers(value),
            lambda: storage.count_followed(value),
            lambda: storage.mute(1, value),
            lambda: storage.mute(value, 1),
            lambda: storage.unmute(1, value),
            lambda: storage.block(1, value),
            lambda: storage.block(value, 1),
            lambda: storage.unblock(1, value),
            lambda: storage.get_muted(value),
            lambda: storage.get_blocked(value),
            lambda: storage.hidden_from([1, value], [2]),
            lambda: storage.hidden_from([1], [2, value]),
            lambda: storage.erase(value),
        ):
            with pytest.raises(InvalidIdError) as raised:
                call()
            assert isinstance(raised.value, StreamFrameworkError)
        assert followed(storage, 1) == []
        assert storage.get_muted(1) == storage.get_blocked(1) == set()

    @pytest.mark.parametrize('one', [13, '13', UUID])
    def test_oneself(self, storage: Any, one: Any) -> None:
        for call in (
            lambda: storage.follow(one, [2, one]),
            lambda: storage.mute(one, one),
            lambda: storage.block(one, one),
        ):
            with pytest.raises(InvalidIdError, match='itself'):
                call()
        assert followed(storage, one) == []
        assert storage.hidden_from([one], [one]) == set()
        storage.unfollow(one, [one])
        storage.unmute(one, one)
        storage.unblock(one, one)

    def test_13_may_follow_another_13(self, storage: Any) -> None:
        storage.follow(13, ['13'])
        assert followers(storage, '13') == [13]

    @pytest.mark.parametrize('targets', ['13', b'13', 13, None, UUID])
    def test_no_list_of_targets(self, storage: Any, targets: Any) -> None:
        for call in (storage.follow, storage.unfollow, storage.repair, storage.is_following):
            with pytest.raises(InvalidArgumentError, match='target_ids'):
                call(1, targets)
        with pytest.raises(InvalidArgumentError, match='actor_ids'):
            storage.hidden_from(targets, [1])

    @pytest.mark.parametrize('limit', [-1, 1.5, '3', None, True])
    def test_bad_limits(self, storage: Any, limit: Any) -> None:
        for method in (storage.get_followers, storage.get_followed):
            with pytest.raises(InvalidArgumentError, match='limit'):
                method(1, limit=limit)

    @pytest.mark.parametrize('since', ['2024-05-01', 1714550400, datetime.date(2024, 5, 1)])
    def test_bad_times(self, storage: Any, since: Any) -> None:
        with pytest.raises(InvalidArgumentError, match='since'):
            storage.follow(1, [2], since=since)
        assert followed(storage, 1) == []

    @pytest.mark.parametrize(
        'before', [7, 'x', (1, 2), Follow(1, 3, MORNING), Follow(1, 2, None), Follow(None, 2, MORNING)]
    )
    def test_bad_cursors(self, storage: Any, before: Any) -> None:
        with pytest.raises((InvalidArgumentError, InvalidIdError)):
            storage.get_followers(2, before=before)

    # mutes and blocks

    def test_mute(self, storage: Any) -> None:
        storage.follow(1, [2])
        storage.mute(1, 2)
        storage.mute(1, 2)
        storage.mute(1, '2')
        assert storage.get_muted(1) == {2, '2'}
        assert storage.get_muted(2) == storage.get_blocked(1) == set()
        assert storage.is_following(1, [2]) == {2}
        assert storage.hidden_from([2, 3, '2'], [1, 2, '1']) == {(2, 1), ('2', 1)}
        storage.unmute(1, 2)
        storage.unmute(1, 2)
        assert storage.get_muted(1) == {'2'}
        assert storage.hidden_from([2, '2'], [1]) == {('2', 1)}

    def test_block(self, storage: Any) -> None:
        storage.follow(1, [2, 3])
        storage.follow(2, [1])
        storage.follow(3, [1])
        storage.block(1, 2)
        storage.block(1, 2)
        assert storage.is_following(1, [2, 3]) == {3}
        assert storage.is_following(2, [1]) == set()
        assert followers(storage, 1) == [3]
        assert followers(storage, 2) == []
        assert (storage.get_blocked(1), storage.get_blocked(2)) == ({2}, set())
        assert storage.hidden_from([1, 2, 3], [1, 2, 3]) == {(1, 2), (2, 1)}
        storage.follow(2, [1])
        assert storage.is_following(2, [1]) == {1}
        assert storage.hidden_from([1], [2]) == {(1, 2)}
        storage.unblock(1, 2)
        storage.unblock(1, 2)
        assert storage.hidden_from([1, 2], [1, 2]) == storage.get_blocked(1) == set()
        assert followed(storage, 1) == [3]

    def test_both_block(self, storage: Any) -> None:
        storage.block(1, 2)
        storage.block(2, 1)
        storage.unblock(1, 2)
        assert storage.hidden_from([1, 2], [1, 2]) == {(1, 2), (2, 1)}
        assert (storage.get_blocked(1), storage.get_blocked(2)) == (set(), {1})
        storage.unblock(2, 1)
        assert storage.hidden_from([1, 2], [1, 2]) == set()

    def test_mute_and_block(self, storage: Any) -> None:
        storage.mute(1, 2)
        storage.block(1, 2)
        storage.unblock(1, 2)
        assert storage.hidden_from([1, 2], [1, 2]) == {(2, 1)}
        storage.block(2, 1)
        storage.unmute(1, 2)
        assert storage.hidden_from([1, 2], [1, 2]) == {(1, 2), (2, 1)}

    def test_ids_of_all_kinds_are_muted(self, storage: Any) -> None:
        for one in IDS:
            storage.mute('me', one)
            storage.block('you', one)
        assert storage.get_muted('me') == storage.get_blocked('you') == set(IDS)
        assert storage.hidden_from(IDS, ['me']) == {(one, 'me') for one in IDS}
        assert storage.hidden_from(['you'], IDS) == {('you', one) for one in IDS}
        assert storage.hidden_from(IDS, [18, 's']) == set()

    def test_many_mutes(self, storage: Any) -> None:
        storage.page_size = 100
        for number in range(300):
            storage.mute('me', number)
            storage.mute(number, 'star')
        assert storage.get_muted('me') == set(range(300))
        assert storage.hidden_from(['star'], range(2000)) == {('star', number) for number in range(300)}
        assert storage.hidden_from([*range(2000), 'star'], ['me']) == {(number, 'me') for number in range(300)}

    # erasing

    def test_erase(self, storage: Any) -> None:
        storage.follow(1, [2, 3])
        storage.follow(2, [1, 3])
        storage.follow(4, [1])
        storage.mute(1, 5)
        storage.mute(6, 1)
        storage.mute(6, 7)
        storage.block(1, 8)
        storage.block(9, 1)
        storage.block(9, 2)
        assert storage.erase(1) == {
            'followed': 2,
            'followers': 2,
            'muted': 1,
            'muted_by': 1,
            'blocked': 1,
            'blocked_by': 1,
        }
        for one in range(1, 10):
            assert 1 not in followers(storage, one) + followed(storage, one)
            assert storage.get_muted(one) | storage.get_blocked(one) == {6: {7}, 9: {2}}.get(one, set())
        assert followed(storage, 1) == followers(storage, 1) == []
        assert followers(storage, 3) == [2]
        assert storage.hidden_from(range(1, 10), range(1, 10)) == {(7, 6), (2, 9), (9, 2)}
        assert set(storage.erase(1).values()) == {0}
        assert set(storage.erase('nobody').values()) == {0}

    def test_erase_many(self, storage: Any) -> None:
        storage.page_size = storage.pairs_at_a_time = 50
        storage.follow('star', range(120))
        storage.import_follows((number, 'star', None) for number in range(230))
        for number in range(130):
            storage.mute(number, 'star')
        found = storage.erase('star')
        assert (found['followed'], found['followers'], found['muted_by']) == (120, 230, 130)
        assert not any(followed(storage, number) or storage.get_muted(number) for number in range(0, 230, 9))

    # concurrency

    def test_threads_that_follow_and_unfollow_the_same(self, backend: Any, storage: Any) -> None:
        pairs = [(user, target) for user in (1, 2) for target in ('a', 'b')]

        def work(number: int) -> None:
            mine = backend.follow_storage(storage.follow_name)
            for step in range(25):
                user, target = pairs[(number + step) % len(pairs)]
                if (number + step) % 3:
                    mine.follow(user, [target])
                else:
                    mine.unfollow(user, [target])
                if step % 5 == 0:
                    (mine.mute if number % 2 else mine.unmute)(user, target)
                mine.repair(user, [target])

        run_threads(work, 6)
        assert_ends_agree(storage, [1, 2], ['a', 'b'])

    def test_threads_that_follow_different_targets(self, backend: Any, storage: Any) -> None:
        def work(number: int) -> None:
            mine = backend.follow_storage(storage.follow_name)
            for step in range(20):
                mine.follow('user', [f'{number}-{step}'])
                mine.follow(f'{number}-{step}', ['target'])

        run_threads(work, 5)
        expected = {f'{number}-{step}' for number in range(5) for step in range(20)}
        assert set(followed(storage, 'user')) == set(followers(storage, 'target')) == expected
        assert storage.count_followed('user') == storage.count_followers('target') == 100

    def test_two_follow_at_once_and_since_is_one(self, backend: Any, storage: Any) -> None:
        def work(number: int) -> None:
            mine = backend.follow_storage(storage.follow_name)
            for target in range(20):
                mine.follow('user', [target], since=minutes(number))
                mine.repair('user', [target])

        run_threads(work, 4)
        for target in range(20):
            assert len(storage.get_followers(target)) == 1
        assert_ends_agree(storage, ['user'], list(range(20)))

    def test_paging_while_threads_follow_and_unfollow(self, backend: Any, storage: Any) -> None:
        stay = list(range(0, 200, 2))
        storage.import_follows([(number, 'target', minutes(number // 9)) for number in range(200)])
        stop, changes = threading.Event(), [0, 0]

        def work(number: int) -> None:
            try:
                read() if number == 2 else churn(number)
            finally:
                stop.set()

        def churn(number: int) -> None:
            mine = backend.follow_storage(storage.follow_name)
            step = number
            while not stop.is_set():
                others = [1 + 2 * ((step * 7 + place * 13) % 100) for place in range(3)]
                mine.unfollow(others[0], ['target'])
                mine.import_follows([(other, 'target', minutes(other // 9)) for other in others[1:]])
                mine.follow(1000 + step % 50, ['target'])
                step += 2
                changes[number] += 1

        def read() -> None:
            mine = backend.follow_storage(storage.follow_name)
            mine.page_size = 20
            for limit in (1, 7, 45):
                before = list(changes)
                found = followers(mine, 'target', limit)
                assert [one for one in found if one in stay] == sorted(
                    stay, key=lambda number: (number // 9, str(number)), reverse=True
                )
                assert len(found) == len(set(found))
                assert sorted(one for one in mine.iter_followers('target') if one in stay) == stay
                while changes == before and not stop.wait(0.001):
                    pass

        run_threads(work, 3)

    @pytest.mark.parametrize('count', [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
    def test_many_followers_in_bounded_memory(self, backend: Any, storage: Any, count: int) -> None:
        if backend.name in ('cassandra', 'redis-cluster'):
            count //= 10
            if count < 20_000:
                pytest.skip('storing them takes long there: the soak has fewer')
        storage.follow('somebody', ['star'])
        assert list(storage.iter_followers('star')) == ['somebody']
        storage.pairs_at_a_time = 100
        peaks = []
        for work in (
            lambda: storage.import_follows((number, 'star', MORNING) for number in range(count)),
            lambda: sum(1 for _ in storage.iter_followers('star')),
            lambda: storage.count_followers('star'),
        ):
            tracemalloc.start()
            try:
                work()
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
        # A list of all takes some 100 bytes for each.
        in_process = 'memory' in backend.follow_storage_path
        assert max(peaks[1:] if in_process else peaks) < 1_000_000, peaks

    # everything at once, against sets

    def test_against_sets(self, storage: Any) -> None:
        class Machine(Model):
            pass

        Machine.storage = storage
        examples = 40 if type(storage).__name__.startswith(('InMemory', 'Redis')) else 8
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )


def assert_ends_agree(storage: Any, users: list[Any], targets: list[Any]) -> None:
    """What the users' ends say, and what the targets' ends say, is the same; of at most 1,000 each."""
    for user in users:
        there = {follow.target_id: follow for follow in storage.get_followed(user, 1000)}
        assert storage.is_following(user, targets) == set(there) == set(storage.iter_followed(user))
        assert storage.count_followed(user) == len(there) == len(storage.get_followed(user, 1000))
        muted, blocked = storage.get_muted(user), storage.get_blocked(user)
        for target in targets:
            back = [follow for follow in storage.get_followers(target, 1000) if follow.user_id == user]
            assert back == ([there[target]] if target in there else [])
            hides = target in muted or target in blocked or user in storage.get_blocked(target)
            assert storage.hidden_from([target], [user]) == ({(target, user)} if hides else set())
    for target in targets:
        found = [follow.user_id for follow in storage.get_followers(target, 1000)]
        assert sorted(map(repr, storage.iter_followers(target))) == sorted(map(repr, found))
        assert storage.count_followers(target) == len(found) == len(set(found))


def run_threads(work: Any, count: int) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


_someone = st.sampled_from([1, '1', UUID, 2, 'a'])


class Model(RuleBasedStateMachine):
    """A storage, and the sets that it has to be like."""

    storage: Any

    @initialize()
    def start(self) -> None:
        self.storage.flush()
        self.follows: dict[tuple[Any, Any], datetime.datetime] = {}
        self.mutes: set[tuple[Any, Any]] = set()
        self.blocks: set[tuple[Any, Any]] = set()

    @rule(user=_someone, others=st.lists(_someone, max_size=4), minute=st.integers(0, 3))
    def follow(self, user: Any, others: list[Any], minute: int) -> None:
        if user in others:
            with pytest.raises(InvalidIdError):
                self.storage.follow(user, others)
            return
        self.storage.follow(user, others, since=minutes(minute))
        for other in others:
            self.follows.setdefault((user, other), minutes(minute))

    @rule(user=_someone, others=st.lists(_someone, max_size=4))
    def unfollow(self, user: Any, others: list[Any]) -> None:
        self.storage.unfollow(user, others)
        for other in others:
            self.follows.pop((user, other), None)

    @rule(user=_someone, other=_someone, off=st.booleans())
    def mute(self, user: Any, other: Any, off: bool) -> None:
        if off:
            self.storage.unmute(user, other)
            self.mutes.discard((user, other))
        elif user != other:
            self.storage.mute(user, other)
            self.mutes.add((user, other))

    @rule(user=_someone, other=_someone, off=st.booleans())
    def block(self, user: Any, other: Any, off: bool) -> None:
        if off:
            self.storage.unblock(user, other)
            self.blocks.discard((user, other))
        elif user != other:
            self.storage.block(user, other)
            self.blocks.add((user, other))
            self.follows.pop((user, other), None)
            self.follows.pop((other, user), None)

    @rule(user=_someone)
    def erase(self, user: Any) -> None:
        self.storage.erase(user)
        self.follows = {pair: since for pair, since in self.follows.items() if user not in pair}
        self.mutes = {pair for pair in self.mutes if user not in pair}
        self.blocks = {pair for pair in self.blocks if user not in pair}

    @rule(user=_someone, others=st.lists(_someone, max_size=3))
    def repair(self, user: Any, others: list[Any]) -> None:
        self.storage.repair(user, others)

    @rule(user=_someone, limit=st.integers(1, 3))
    def page(self, user: Any, limit: int) -> None:
        def order(row: Follow) -> Any:
            other = row.target_id if row.user_id == user else row.user_id
            return row.since, {1: '1', '1': 's1', UUID: 'u', 2: '2', 'a': 'sa'}[other]

        rows = [Follow(*pair, since) for pair, since in self.follows.items()]
        for name, read in (('target_id', self.storage.get_followers), ('user_id', self.storage.get_followed)):
            found = [
                row
                for page in all_pages(lambda size, before, read=read: read(user, size, before), limit)
                for row in page
            ]
            expected = sorted((row for row in rows if getattr(row, name) == user), key=order, reverse=True)
            assert found == expected
            assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in expected]

    @invariant()
    def same(self) -> None:
        everybody = [1, '1', UUID, 2, 'a']
        for user in everybody:
            targets = {target for one, target in self.follows if one == user}
            assert self.storage.is_following(user, everybody) == targets
            assert self.storage.count_followed(user) == len(targets)
            users = [one for one, target in self.follows if target == user]
            assert sorted(map(repr, self.storage.iter_followers(user))) == sorted(map(repr, users))
            assert self.storage.get_muted(user) == {target for one, target in self.mutes if one == user}
            assert self.storage.get_blocked(user) == {target for one, target in self.blocks if one == user}
        hidden = {(target, user) for user, target in self.mutes | self.blocks} | self.blocks
        assert self.storage.hidden_from(everybody, everybody) == hidden
