"""A hash, a list, a sorted set under a key: what each method does, and returns, on a plain server and on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stream_framework.storage.redis.activity_storage import ActivityCache, RedisActivityStorage
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.structures.base import RedisCache
from stream_framework.storage.redis.structures.hash import (
    FallbackHashCache,
    RedisHashCache,
    ShardedDatabaseFallbackHashCache,
    ShardedHashCache,
)
from stream_framework.storage.redis.structures.list import FallbackRedisListCache, RedisListCache
from stream_framework.storage.redis.structures.sorted_set import RedisSortedSetCache
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage, TimelineCache


@pytest.fixture
def key(redis_backend: Any) -> str:
    return redis_backend.key()


class TestBase:
    def test_key_and_client(self, key: str) -> None:
        cache = RedisCache(key)
        assert cache.key == cache.get_key() == key
        assert cache.redis is get_redis_connection()
        assert RedisCache(key, redis_server='default').redis is cache.redis

    def test_a_client_of_ones_own(self, key: str) -> None:
        marker = object()
        assert RedisCache(key, redis=marker).redis is marker
        cache = RedisCache(key)
        cache.redis = marker
        assert cache.redis is marker

    def test_nothing_is_connected_before_it_is_used(self, use: Any) -> None:
        use({'host': '127.0.0.1', 'port': 1})
        assert RedisCache('a').redis is not None

    def test_delete(self, key: str) -> None:
        cache = RedisListCache(key)
        cache.append('a')
        cache.delete()
        assert cache.count() == 0
        cache.delete()

    def test_writing_into_a_pipeline(self, key: str) -> None:
        pipeline = get_redis_connection().pipeline(transaction=False)
        RedisListCache(key, redis=pipeline).append_many(['a', 'b'])
        RedisListCache(key, redis=pipeline).remove('a')
        assert RedisListCache(key)[:] == []
        pipeline.execute()
        assert RedisListCache(key)[:] == ['b']


@pytest.mark.parametrize(
    'kind', [RedisHashCache, FallbackHashCache, ShardedHashCache, ShardedDatabaseFallbackHashCache]
)
class TestHash:
    def test_set_and_get(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set('a', 1)
        cache.set('a', 2)
        cache.set(7, 'seven')
        assert cache.get_many(['a', 7], **self.without(kind)) == {'a': '2', 7: 'seven'}
        assert cache.get('a') == '2' and cache.get(7) == 'seven'
        assert cache.count() == 2
        assert sorted(cache.keys()) == ['7', 'a']

    def test_many(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set_many([(str(n), f'value {n}') for n in range(2500)])
        assert cache.count() == 2500
        found = cache.get_many([str(n) for n in range(2490, 2510)], **self.without(kind))
        assert list(found) == [str(n) for n in range(2490, 2510)]
        assert found['2499'] == 'value 2499' and found['2500'] is None

    def test_a_dict_of_pairs(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set_many({'a': '1', 'b': '2'})
        assert cache.get_many(['b', 'a']) == {'b': '2', 'a': '1'}

    def test_delete_many(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set_many([('a', 1), ('b', 2), ('c', 3)])
        assert cache.delete_many(['a', 'c', 'x']) == {'a': True, 'c': True, 'x': False}
        assert cache.keys() == ['b']
        assert cache.delete_many([]) == {}

    def test_nothing(self, key: str, kind: Any) -> None:
        cache = kind(key)
        assert (cache.get_many([]), cache.count(), cache.keys()) == ({}, 0, [])
        cache.set_many([])
        cache.delete()

    def test_delete(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set_many([(n, n) for n in range(50)])
        cache.delete()
        assert cache.count() == 0

    def test_contains(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set('a', 1)
        if isinstance(cache, ShardedHashCache):
            with pytest.raises(NotImplementedError):
                cache.contains('a')
        else:
            assert cache.contains('a') is True
            assert cache.contains('b') is False

    def without(self, kind: Any) -> dict[str, bool]:
        return {'database_fallback': False} if issubclass(kind, FallbackHashCache) else {}


class Fallback(FallbackHashCache):
    asked: list[list[Any]]

    def get_many_from_fallback(self, missing_keys: Sequence[Any]) -> dict[Any, Any]:
        self.asked = [*getattr(self, 'asked', []), list(missing_keys)]
        return {item: f'<{item}>' for item in missing_keys if item != 'nowhere'}


class ShardedFallback(ShardedDatabaseFallbackHashCache):
    get_many_from_fallback = Fallback.get_many_from_fallback


@pytest.mark.parametrize('kind', [Fallback, ShardedFallback])
class TestFallbackHash:
    def test_what_is_missing_is_fetched_and_kept(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.set('a', 'held')
        assert cache.get_many(['a', 'b', 'nowhere']) == {'a': 'held', 'b': '<b>', 'nowhere': None}
        assert cache.asked == [['b', 'nowhere']]
        assert cache.get_many(['a', 'b'], database_fallback=False) == {'a': 'held', 'b': '<b>'}
        assert cache.get_many(['a', 'b']) == {'a': 'held', 'b': '<b>'}
        assert cache.asked == [['b', 'nowhere']]
        assert cache.get('c') == '<c>'

    def test_without_the_fallback(self, key: str, kind: Any) -> None:
        cache = kind(key)
        assert cache.get_many(['b'], database_fallback=False) == {'b': None}
        assert not hasattr(cache, 'asked')

    def test_it_has_to_be_defined(self, key: str, kind: Any) -> None:
        with pytest.raises(NotImplementedError):
            kind.__mro__[1](key).get_many(['a'])


class TestSharded:
    def test_keys(self, key: str) -> None:
        assert ShardedHashCache.number_of_keys == 10
        assert ShardedHashCache(key).get_keys() == [f'{key}:{n}' for n in range(10)]
        fewer = type('Fewer', (ShardedHashCache,), {'number_of_keys': 3})(key)
        assert fewer.get_keys() == [f'{key}:{n}' for n in range(3)]
        assert {fewer.get_key(field) for field in range(100)} == set(fewer.get_keys())

    def test_where_a_field_is(self) -> None:
        # md5('13732667550000000000500001') modulo 10, as in the data of 1.4.0.
        assert ActivityCache('global').get_key('13732667550000000000500001') == 'global:1'
        assert ActivityCache('global').get_key(13732667550000000000500001) == 'global:1'
        assert ActivityCache('global').get_key(field='13732667550000000000500001') == 'global:1'

    def test_the_activity_storages_hashes(self, redis_backend: Any) -> None:
        cache = RedisActivityStorage(key='mine').get_cache()
        assert isinstance(cache, ActivityCache)
        assert cache.get_keys()[0] == 'mine:0'
        assert RedisActivityStorage().get_cache().get_keys()[9] == 'global:9'


class TestList:
    def test_append(self, key: str) -> None:
        cache = RedisListCache(key)
        assert cache.append('a') == 1
        assert cache.append_many(['b', 'c', 'a']) == [2, 3, 4]
        assert cache[:] == ['a', 'b', 'c', 'a']
        assert cache.count() == 4
        assert cache.append_many([]) == []

    @pytest.mark.parametrize(
        'bounds', [(0, 3), (None, 3), (2, None), (None, None), (1, 4), (3, 3), (4, 2), (5, 100), (100, 200)]
    )
    def test_slices_are_pythons(self, key: str, bounds: Any) -> None:
        cache, items = RedisListCache(key), [f'item {n}' for n in range(7)]
        cache.append_many(items)
        assert cache[slice(*bounds)] == items[slice(*bounds)]
        assert cache.get_results(*bounds) == items[slice(*bounds)]

    def test_a_single_item(self, key: str) -> None:
        cache = RedisListCache(key)
        cache.append_many(['a', 'b'])
        assert (cache[0], cache[1], cache[2]) == (['a'], ['b'], [])

    @pytest.mark.parametrize('item', [-1, slice(-3, None), slice(0, -1), slice(0, 5, 2)])
    def test_no_negative_indices_nor_steps(self, key: str, item: Any) -> None:
        with pytest.raises(ValueError):
            RedisListCache(key)[item]

    @pytest.mark.parametrize('item', ['a', 1.5, None, slice('a', 'b')])
    def test_only_ints(self, key: str, item: Any) -> None:
        with pytest.raises(TypeError):
            RedisListCache(key)[item]

    def test_it_does_not_iterate_for_ever(self, key: str) -> None:
        with pytest.raises(TypeError):
            list(RedisListCache(key))

    def test_remove(self, key: str) -> None:
        cache = RedisListCache(key)
        cache.append_many(['a', 'b', 'a', 'c'])
        assert cache.remove('a') == 2
        assert cache.remove_many(['b', 'x']) == [1, 0]
        assert cache[:] == ['c']

    def test_trim_keeps_the_first(self, key: str) -> None:
        assert RedisListCache.max_items == 1000
        cache = type('Short', (RedisListCache,), {'max_items': 3})(key)
        cache.append_many('abcdef')
        cache.trim()
        assert cache[:] == ['a', 'b', 'c']
        cache.trim()
        assert cache.count() == 3

    def test_many(self, key: str) -> None:
        cache = RedisListCache(key)
        assert cache.append_many(map(str, range(2500)))[-1] == 2500
        assert cache[2400:2410] == [str(n) for n in range(2400, 2410)]


class ListFallback(FallbackRedisListCache):
    behind = tuple(f'item {n}' for n in range(10))
    calls = 0

    def get_fallback_results(self, start: int, stop: int | None) -> list[str]:
        type(self).calls += 1
        return list(self.behind[start:stop])


class TestFallbackList:
    @pytest.fixture
    def cache(self, key: str) -> Any:
        return type('Cache', (ListFallback,), {})(key)

    def test_what_is_missing_is_fetched_and_kept(self, cache: Any) -> None:
        assert cache[0:4] == list(cache.behind[:4])
        assert cache.source == 'fallback'
        assert cache[0:4] == cache[:4] == list(cache.behind[:4])
        assert (cache.source, cache.calls) == ('redis', 1)
        assert cache[0:8] == list(cache.behind[:8])
        assert cache.calls == 2
        assert RedisListCache(cache.key)[:] == list(cache.behind[:8])

    def test_from_the_middle(self, cache: Any) -> None:
        assert cache[3:5] == list(cache.behind[3:5])
        # Kept from the beginning only: a list has no holes.
        assert cache.count() == 0

    def test_everything(self, cache: Any) -> None:
        assert cache[:] == list(cache.behind)
        assert cache[:] == list(cache.behind)
        assert cache.calls == 1

    def test_cache_and_overwrite(self, cache: Any) -> None:
        cache.cache(['a', 'b'])
        assert RedisListCache(cache.key)[:] == ['a', 'b']
        cache.overwrite(['c'])
        assert RedisListCache(cache.key)[:] == ['c']
        cache.overwrite(map(str, range(2500)))
        assert cache.count() == 2500
        cache.overwrite([])
        assert cache.count() == 0

    def test_it_has_to_be_defined(self, key: str) -> None:
        with pytest.raises(NotImplementedError):
            FallbackRedisListCache(key)[0:3]


class Ascending(RedisSortedSetCache):
    sort_asc = True


class TestSortedSet:
    def test_defaults(self) -> None:
        assert RedisSortedSetCache.sort_asc is False
        assert TimelineCache.sort_asc is False
        cache = RedisTimelineStorage().get_cache('a')
        assert isinstance(cache, TimelineCache) and cache.key == 'a'

    def test_add(self, key: str) -> None:
        cache = RedisSortedSetCache(key)
        cache.add(1, 'a')
        cache.add(2.5, key='b')
        cache.add(3, 'a')
        cache.add_many([(0, 'c'), (10**25, 'd')])
        assert cache[:] == [('d', 1e25), ('a', 3.0), ('b', 2.5), ('c', 0.0)]
        assert cache.count() == 4
        cache.add_many([])

    @pytest.mark.parametrize('score', ['1', 'a', None, True, float('nan'), b'1', [1]])
    def test_scores_are_numbers(self, key: str, score: Any) -> None:
        cache = RedisSortedSetCache(key)
        with pytest.raises(ValueError):
            cache.add(score, 'a')
        with pytest.raises(ValueError):
            cache.add_many([(1, 'fine'), (score, 'a')])
        assert cache.count() == 0

    @pytest.mark.parametrize(
        'bounds', [(0, 3), (None, 3), (2, None), (None, None), (1, 4), (3, 3), (5, 100), (100, 200)]
    )
    @pytest.mark.parametrize('kind', [RedisSortedSetCache, Ascending])
    def test_slices(self, key: str, kind: Any, bounds: Any) -> None:
        cache = kind(key)
        pairs = [(f'value {n}', float(n)) for n in range(7)]
        cache.add_many([(score, value) for value, score in pairs])
        if kind is RedisSortedSetCache:
            pairs.reverse()
        assert cache[slice(*bounds)] == pairs[slice(*bounds)]
        assert cache.get_results(*bounds) == pairs[slice(*bounds)]
        assert cache[2] == pairs[2:3]

    @pytest.mark.parametrize('kind', [RedisSortedSetCache, Ascending])
    def test_results_between_scores(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.add_many([(n, str(n)) for n in range(10)])

        def found(**kwargs: Any) -> list[int]:
            return sorted(int(value) for value, _ in cache.get_results(**kwargs))

        assert found(min_score=7) == [7, 8, 9]
        assert found(max_score=2) == [0, 1, 2]
        assert found(min_score=3, max_score=5) == [3, 4, 5]
        assert found(min_score='(3', max_score='(5') == [4]
        assert found(min_score='-inf', max_score='+inf') == list(range(10))
        assert found(min_score=20) == []
        page = cache.get_results(start=1, stop=3, min_score=3, max_score=8)
        assert [value for value, _ in page] == (['4', '5'] if cache.sort_asc else ['7', '6'])
        for wrong in ('soon', '((3', [3], True):
            with pytest.raises(ValueError):
                cache.get_results(min_score=wrong)
            with pytest.raises(ValueError):
                cache.get_results(max_score=wrong)

    def test_remove(self, key: str) -> None:
        cache = RedisSortedSetCache(key)
        cache.add_many([(n, str(n)) for n in range(5)])
        cache.remove_many(['1', '4', 'x'])
        assert [value for value, _ in cache[:]] == ['3', '2', '0']
        cache.remove_many([])

    def test_remove_by_scores(self, key: str) -> None:
        cache = RedisSortedSetCache(key)
        cache.add_many([(1, 'a'), (1, 'b'), (2, 'c'), (3, 'd')])
        cache.remove_by_scores([1, 3, 9])
        assert cache[:] == [('c', 2.0)]

    @pytest.mark.parametrize('kind', [RedisSortedSetCache, Ascending])
    def test_where_a_value_stands(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.add_many([(n, str(n)) for n in range(5)])
        assert cache.contains('3') is True
        assert cache.contains('x') is False
        assert cache.index_of('4') == (4 if cache.sort_asc else 0)
        assert cache.index_of(cache[1:2][0][0]) == 1
        with pytest.raises(ValueError):
            cache.index_of('x')

    @pytest.mark.parametrize('kind', [RedisSortedSetCache, Ascending])
    def test_trim_keeps_the_first(self, key: str, kind: Any) -> None:
        cache = kind(key)
        cache.add_many([(n, str(n)) for n in range(150)])
        first = cache[:]
        cache.trim(120)
        assert cache[:] == first[:120]
        cache.trim()
        assert cache[:] == first[:100]
        cache.trim(1000)
        assert cache.count() == 100

    def test_values_that_are_no_text(self, key: str) -> None:
        cache = RedisSortedSetCache(key)
        cache.add(1, b'\xff\xfe')
        [(value, _)] = cache[:]
        assert cache.contains(value)
        cache.remove_many([value])
        assert cache.count() == 0
