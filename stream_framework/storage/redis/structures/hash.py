"""Hashes: fields and values under one key, or sharded over several; with a fallback for what isn't there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stream_framework.exceptions import NotDefinedError
from stream_framework.storage.redis.structures.base import VALUES_AT_A_TIME, RedisCache, as_text, as_texts, in_parts
from stream_framework.utils.shortcuts import shortcut


class RedisHashCache(RedisCache):
    """A hash. Fields may be anything whose ``str`` names them; results are under the field as it was given."""

    def get_key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the hash that holds a field: here always the same."""
        return self.key

    def get_keys(self) -> list[str]:
        """The keys of all hashes: here one."""
        return [self.get_key()]

    def count(self) -> int:
        """How many fields there are."""
        return sum(self._run([('HLEN', key) for key in self.get_keys()]))

    def contains(self, field: Any) -> bool:
        """Whether the field is there."""
        return bool(self._run_one('HEXISTS', self.get_key(field), str(field)))

    def get(self, field: Any) -> Any:
        """The value, or ``None``."""
        return self.get_many([field])[field]

    def keys(self) -> list[str]:
        """All fields, in no order: for small hashes, and tests."""
        return [
            field for fields in self._run([('HKEYS', key) for key in self.get_keys()]) for field in as_texts(fields)
        ]

    def delete(self) -> int:
        """Delete everything; returns how many keys were there."""
        return sum(reply or 0 for reply in self._run([('DEL', key) for key in self.get_keys()]))

    def delete_many(self, fields: Iterable[Any]) -> dict[Any, bool]:
        """Delete fields.

        :returns: field -> whether it was there
        """
        fields = list(dict.fromkeys(fields))
        replies = self._run([('HDEL', self.get_key(field), str(field)) for field in fields])
        return {field: bool(reply) for field, reply in zip(fields, replies, strict=True)}

    def get_many(self, fields: Iterable[Any]) -> dict[Any, Any]:
        """Field -> value, or ``None`` where there is none, in the order given."""
        fields = list(fields)
        results: dict[Any, Any] = dict.fromkeys(fields)
        asked = [
            (key, part) for key, in_hash in self.by_key(results).items() for part in in_parts(in_hash, VALUES_AT_A_TIME)
        ]
        for (_, part), values in zip(
            asked, self._run([('HMGET', key, *map(str, part)) for key, part in asked]), strict=True
        ):
            results.update(zip(part, as_texts(values or [None] * len(part)), strict=True))
        return results

    def set(self, key: Any, value: Any) -> bool:
        """Set one field.

        :param key: the field
        """
        return self.set_many([(key, value)])[0]

    def set_many(self, key_value_pairs: Iterable[tuple[Any, Any]] | Mapping[Any, Any]) -> list[bool]:
        """Set fields: ``set_many([('a', 1), ('b', 2)])``; the last of equal fields wins.

        :returns: ``True`` for each pair
        """
        pairs = list(key_value_pairs.items() if isinstance(key_value_pairs, Mapping) else key_value_pairs)
        values = dict(pairs)
        commands = [
            ('HSET', key, *(item for field in part for item in (str(field), values[field])))
            for key, in_hash in self.by_key(values).items()
            for part in in_parts(in_hash, VALUES_AT_A_TIME)
        ]
        self._run(commands)
        return [True] * len(pairs)

    def by_key(self, fields: Iterable[Any]) -> dict[str, list[Any]]:
        """Return the key of each hash that is needed, with the fields that it holds; by :meth:`get_key` of each."""
        by_key: dict[str, list[Any]] = {}
        for field in fields:
            by_key.setdefault(self.get_key(field), []).append(field)
        return by_key


class FallbackHashCache(RedisHashCache):
    """A hash before something slower: what isn't in it is fetched from there, and written back."""

    def get_many(self, fields: Iterable[Any], database_fallback: bool = True) -> dict[Any, Any]:
        """Field -> value, or ``None``; a second round trip writes back what the fallback gave.

        :param database_fallback: ask the fallback for what is missing
        """
        results = super().get_many(fields)
        missing = [field for field, value in results.items() if value is None]
        if missing and database_fallback:
            found = self.get_many_from_fallback(missing)
            if found:
                results.update(found)
                self.set_many(found)
        return results

    def get_many_from_fallback(self, missing_keys: Sequence[Any]) -> dict[Any, Any]:
        """Field -> value of what isn't in the hash; the subclass defines it. What it doesn't know is left out."""
        raise NotDefinedError(f'{type(self).__name__} must define get_many_from_fallback(missing_keys)')


class ShardedHashCache(RedisHashCache):
    """A hash cut into several, so that each stays small, and a cluster can spread them."""

    #: How many hashes there are. Changing it makes what is stored unreachable.
    number_of_keys: int = 10

    def get_keys(self) -> list[str]:
        """``<key>:0``, ``<key>:1`` and so on."""
        return [f'{self.key}:{number}' for number in range(self.number_of_keys)]

    def get_key(self, field: Any, *args: Any, **kwargs: Any) -> str:
        """The key of the hash that holds a field: the MD5 of the field, as a number, modulo ``number_of_keys``.

        :param field: the field; any type with a ``str``
        """
        if type(field) is not str:
            field = _text_of(field)
        return f'{self.key}:{_md5(field) % self.number_of_keys}'

    @shortcut('get_key', 'get_keys')
    def by_key(self, fields: Iterable[Any]) -> dict[str, list[Any]]:
        """Return the key of each hash that is needed, with the fields that it holds."""
        keys, number, md5 = self.get_keys(), self.number_of_keys, hashlib.md5
        found: dict[str, list[Any]] = {}
        for field in fields:
            text = field if type(field) is str else _text_of(field)
            # get_key(), written out: calling it takes as long as what it does.
            key = keys[int.from_bytes(md5(text.encode(), usedforsecurity=False).digest(), 'big') % number]
            if key in found:
                found[key].append(field)
            else:
                found[key] = [field]
        return found

    def contains(self, field: Any) -> bool:
        """Not for sharded hashes, as ever: ``get(field) is not None`` says it."""
        raise NotImplementedError(f'{type(self).__name__} has no contains(): use get({field!r}) is not None')


class ShardedDatabaseFallbackHashCache(ShardedHashCache, FallbackHashCache):
    """A sharded hash before something slower."""


def _text_of(field: Any) -> str:
    return as_text(field) if isinstance(field, bytes) else str(field)


def _md5(field: str) -> int:
    """Return the MD5 of a field as a number."""
    return int.from_bytes(hashlib.md5(field.encode(), usedforsecurity=False).digest(), 'big')
