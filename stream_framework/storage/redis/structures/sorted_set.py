"""Sorted sets: values by score."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

from stream_framework.storage.redis.structures.base import VALUES_AT_A_TIME, as_text, in_parts
from stream_framework.storage.redis.structures.list import BaseRedisListCache


class RedisSortedSetCache(BaseRedisListCache):
    """A sorted set, read from its highest score, or with ``sort_asc`` from its lowest."""

    #: Whether the lowest score comes first; it is also what is kept by :meth:`trim`.
    sort_asc: bool = False

    def add(self, score: float, key: Any) -> int | None:
        """Add one value, or change its score; returns 1 if it is new, else 0.

        :param key: the value
        :raises ValueError: if the score is no number
        """
        return self.add_many([(score, key)])[0]

    def add_many(self, score_value_pairs: Iterable[tuple[float, Any]]) -> list[Any]:
        """Add values, or change their scores: ``add_many([(1, 'a'), (2, 'b')])``.

        :returns: how many were new, for each command of at most 1,000 pairs
        :raises ValueError: if a score is no number; nothing is added then
        """
        pairs = list(score_value_pairs)
        for score, value in pairs:
            if not _is_number(score):
                raise ValueError(f'pairs are (score, value): the score of {value!r} must be a number, not {score!r}')
        key = self.get_key()
        return self._run(
            [
                ('ZADD', key, *(item for score, value in part for item in (_score(score), value)))
                for part in in_parts(pairs, VALUES_AT_A_TIME)
            ]
        )

    def remove_many(self, values: Iterable[Any]) -> list[Any]:
        """Remove values.

        :returns: for each value 1 if it was there, else 0
        """
        key = self.get_key()
        return self._run([('ZREM', key, value) for value in values])

    def remove_by_scores(self, scores: Iterable[float]) -> list[Any]:
        """Remove all values that have one of these scores.

        :returns: for each score how many there were
        """
        key = self.get_key()
        bounds = [self._bound('score', score) for score in scores]
        return self._run([('ZREMRANGEBYSCORE', key, bound, bound) for bound in bounds])

    def contains(self, value: Any) -> bool:
        """Whether the value is there."""
        return self._run_one('ZSCORE', self.get_key(), value) is not None

    def index_of(self, value: Any) -> int:
        """Where the value stands: 0 is the first of ``[:]``.

        :raises ValueError: if it isn't there
        """
        rank = self._run_one('ZRANK' if self.sort_asc else 'ZREVRANK', self.get_key(), value)
        if rank is None:
            raise ValueError(f'{value!r} is not in {self.get_key()!r}')
        return int(rank)

    def count(self) -> int:
        """How many values there are."""
        return self._run_one('ZCARD', self.get_key())

    def trim(self, max_length: int | None = None) -> int:
        """Keep the first ``max_length`` (default the class attribute).

        :returns: how many went
        """
        length = self.max_length if max_length is None else max_length
        begin, end = (length, -1) if self.sort_asc else (0, -length - 1)
        return self._run_one('ZREMRANGEBYRANK', self.get_key(), begin, end)

    def get_results(
        self,
        start: int | None = None,
        stop: int | None = None,
        min_score: float | str | None = None,
        max_score: float | str | None = None,
    ) -> list[tuple[Any, float]]:
        """Values with their scores, the first ones first.

        :param start: how many of those within the bounds to skip
        :param stop: where to stop, not included; ``None`` or -1 is the end
        :param min_score: a number, or as Redis writes it: ``'(5'`` is without 5, ``'-inf'``; default no bound
        :param max_score: likewise
        :returns: ``(value, score)``
        :raises ValueError: if a score is neither
        """
        start = start or 0
        if stop == -1:
            stop = None
        if stop is not None and stop <= start:
            return []
        low = '-inf' if min_score is None else self._bound('min_score', min_score)
        high = '+inf' if max_score is None else self._bound('max_score', max_score)
        key = self.get_key()
        if min_score is None and max_score is None:
            # By rank: a bound on scores would make Redis walk over what is skipped.
            name = 'ZRANGE' if self.sort_asc else 'ZREVRANGE'
            command: tuple[Any, ...] = (name, key, start, -1 if stop is None else stop - 1, 'WITHSCORES')
        else:
            name, near, far = ('ZRANGEBYSCORE', low, high) if self.sort_asc else ('ZREVRANGEBYSCORE', high, low)
            count = -1 if stop is None else stop - start
            command = (name, key, near, far, 'WITHSCORES', 'LIMIT', start, count)
        return scored(self._run_one(*command))

    def _bound(self, name: str, value: Any) -> Any:
        if _is_number(value):
            return _score(value)
        try:
            float(value.removeprefix('('))
        except (AttributeError, ValueError):
            raise ValueError(
                f"{name} for {self.key!r} must be a number, or text like '(5' or '-inf', not {value!r}"
            ) from None
        return value


def scored(reply: Any) -> list[tuple[Any, float]]:
    """``(value, score)`` of a reply ``WITHSCORES``: nested (RESP3) or flat (RESP2)."""
    if not reply:
        return []
    if isinstance(reply[0], (list, tuple)):
        return [(as_text(value), float(score)) for value, score in reply]
    return [(as_text(value), float(score)) for value, score in zip(reply[::2], reply[1::2], strict=True)]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def _score(value: Any) -> Any:
    """As Redis reads it back to the same double; ints of any length too."""
    return value if type(value) in (int, float) else float(value)
