"""Lists: values in the order they were appended; with a fallback for what isn't there."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from stream_framework.exceptions import NotDefinedError
from stream_framework.storage.redis.structures.base import VALUES_AT_A_TIME, RedisCache, as_texts, in_parts

logger = logging.getLogger(__name__)


class BaseRedisListCache(RedisCache):
    """What is read in slices: ``cache[0:10]``, ``cache[:]``; ``cache[3]`` is a list of at most one."""

    #: How many items the structure keeps where trimming names no length.
    max_length: int = 100

    def __getitem__(self, item: slice | int) -> list[Any]:
        """Read a slice.

        :raises ValueError: for a negative index, or a step
        :raises TypeError: for an index that is neither an int nor a slice of ints
        """
        if isinstance(item, slice):
            if item.step not in (None, 1):
                raise ValueError(f'{self.key!r} is read in slices without a step, not {item!r}')
            start, stop = self._position(item.start), self._position(item.stop)
        else:
            start = self._position(item)
            if start is None:
                raise TypeError(f'{self.key!r} is read by slices of ints, [0:25], not by {item!r}')
            stop = start + 1
        start = start or 0
        return [] if stop is not None and stop <= start else self.get_results(start, stop)

    def __iter__(self) -> Any:
        raise TypeError(f'{self.key!r} can not be iterated over: read a slice, [0:25], or all, [:]')

    def get_results(self, start: Any = None, stop: Any = None) -> list[Any]:
        """The items from ``start`` up to, not including, ``stop``; ``None`` is the beginning and the end."""
        raise NotDefinedError(f'{type(self).__name__} must define get_results(start, stop)')

    def _position(self, value: Any) -> int | None:
        if value is None:
            return None
        try:
            position = value.__index__()
        except AttributeError:
            raise TypeError(f'{self.key!r} is read by slices of ints, [0:25], not by {value!r}') from None
        if position < 0:
            raise ValueError(f'{self.key!r} can not be read from its end: {position} is negative')
        return position


class RedisListCache(BaseRedisListCache):
    """A list. Values come back as str."""

    #: How many items :meth:`trim` keeps.
    max_items: int = 1000

    def get_results(self, start: int | None = None, stop: int | None = None) -> list[Any]:
        """The items from ``start`` up to, not including, ``stop``."""
        if stop is not None and stop <= (start or 0):
            return []
        return as_texts(self._run_one('LRANGE', self.get_key(), start or 0, -1 if stop is None else stop - 1))

    def append(self, value: Any) -> int | None:
        """Append one value; returns the list's length."""
        return self.append_many([value])[0]

    def append_many(self, values: Iterable[Any]) -> list[Any]:
        """Append values in order.

        :returns: the list's length after each
        """
        values = list(values)
        key = self.get_key()
        parts = list(in_parts(values, VALUES_AT_A_TIME))
        lengths: list[Any] = []
        for part, after in zip(parts, self._run([('RPUSH', key, *part) for part in parts]), strict=True):
            lengths += [None if after is None else after - len(part) + 1 + i for i in range(len(part))]
        return lengths

    def remove(self, value: Any) -> int | None:
        """Remove a value wherever it stands; returns how many there were."""
        return self.remove_many([value])[0]

    def remove_many(self, values: Iterable[Any]) -> list[Any]:
        """Remove values wherever they stand.

        :returns: for each value how often it was there
        """
        key = self.get_key()
        return self._run([('LREM', key, 0, value) for value in values])

    def count(self) -> int:
        """How many items there are."""
        return self._run_one('LLEN', self.get_key())

    def trim(self) -> bool:
        """Keep the first ``max_items``."""
        if self.max_items <= 0:
            self.delete()
        else:
            self._run_one('LTRIM', self.get_key(), 0, self.max_items - 1)
        return True


class FallbackRedisListCache(RedisListCache):
    """A list before something slower: where it is too short for what is read, that is asked, and written back.

    ``[start:]`` can't tell a short list from a complete one: it asks the fallback only where there is nothing.
    """

    #: Where the last read came from: ``'redis'`` or ``'fallback'``.
    source: str = 'unknown'

    def get_results(self, start: int | None = None, stop: int | None = None) -> list[Any]:
        """The items from ``start`` up to, not including, ``stop``; a second round trip writes back.

        Only what begins at the first item is written back, so that the list never has a hole.
        """
        start = start or 0
        if stop is not None and stop <= start:
            return []
        results = super().get_results(start, stop)
        if results and (stop is None or len(results) == stop - start):
            self.source = 'redis'
            return results
        self.source = 'fallback'
        found = list(self.get_fallback_results(start, stop))
        if start == 0 and found:
            logger.debug('writing %s items to %s', len(found), self.get_key())
            if results:
                self.overwrite(found)
            else:
                self.cache(found)
        return found

    def get_fallback_results(self, start: int, stop: int | None) -> list[Any]:
        """The items from ``start`` up to ``stop`` of what is behind the list; the subclass defines it."""
        raise NotDefinedError(f'{type(self).__name__} must define get_fallback_results(start, stop)')

    def cache(self, fallback_results: Iterable[Any]) -> None:
        """Write to an empty list."""
        # Emptied all the same: two readers that found nothing at once would else both append.
        self.overwrite(fallback_results)

    def overwrite(self, fallback_results: Iterable[Any]) -> None:
        """Replace the list, in one step."""
        key = self.get_key()
        parts = in_parts(fallback_results, VALUES_AT_A_TIME)
        self._run([('DEL', key), *(('RPUSH', key, *part) for part in parts)], atomic=True)
