"""How far timelines were seen, on Redis: a string for each, ``stream:seen:{<key of the timeline>}``.

It holds the score and the id of the last entry that was seen, so that the server can count what is above it. On a
cluster the braces put it where the timeline is. A key that has braces of its own is left as it is: they say it already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

from stream_framework.storage.abilities import KeepsSeen
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.client import Conversation
from stream_framework.storage.redis.commands import Command, is_cluster
from stream_framework.storage.redis.config import redis
from stream_framework.storage.redis.structures.base import as_text
from stream_framework.utils.keys import own_key

#: How many timelines one call counts.
KEYS_PER_CALL = 100

# What a cluster finds a key's slot by, if the key has it.
_HASH_TAG = re.compile(r'[^{]*\{[^}]+\}', re.DOTALL)


def seen_key(key: str) -> str:
    """Return the key of a timeline's seen mark.

    >>> seen_key('feed_7'), seen_key('feed:{7}')
    ('stream:seen:{feed_7}', 'stream:seen:feed:{7}')
    """
    return own_key('seen', _tagged(key))


def _tagged(key: str) -> str:
    return key if '{' in key and _HASH_TAG.match(key) else f'{{{key}}}'


def _command(timelines: Sequence[tuple[Any, str]], prefix: str) -> Command:
    """Return the call of the script that counts what is new in some timelines."""
    return scripts.COUNT_NEW.call(
        [name for _, key in timelines for name in (key, prefix + _tagged(key))],
        ['1' if storage.holds_ids else '0' for storage, _ in timelines],
    )


class RedisKeepsSeen(KeepsSeen):
    """What a timeline storage on Redis does with seen marks."""

    def set_seen(self: Any, key: str, number: int) -> None:
        """One round trip and one step."""
        self.send([scripts.SET_SEEN.call([seen_key(key)], (self.score(number), number))], key)

    def get_seen(self: Any, keys: Sequence[str]) -> list[int | None]:
        """One round trip."""
        found = self.send([('GET', seen_key(key)) for key in keys])
        return [None if mark is None else int(as_text(mark).split()[1]) for mark in found]

    def counts_along(self: Any, other: Any) -> bool:
        """All that is on the same server."""
        return isinstance(other, RedisKeepsSeen) and getattr(other, 'redis_server', None) == self.redis_server

    def count_new(self: Any, timelines: Sequence[tuple[Any, str]]) -> list[int]:
        """One round trip, and one script for all of them; O(log n) for each, and what shares the mark's score."""
        prefix = own_key('seen', '')
        if len(timelines) <= KEYS_PER_CALL and not is_cluster(self.redis):
            found = self._call(_command(timelines, prefix), timelines[0][1] if len(timelines) == 1 else None)
        else:
            size = 1 if is_cluster(self.redis) else KEYS_PER_CALL
            commands = [_command(part, prefix) for part in iter_parts(timelines, size)]
            found = chain.from_iterable(self.send(commands, timelines[0][1] if len(timelines) == 1 else None))
        return [
            storage.settle_new(key, *reply) if isinstance(reply, list) else reply
            for (storage, key), reply in zip(timelines, found, strict=True)
        ]

    def _call(self: Any, command: Command, key: str | None) -> list[Any]:
        """Return the reply to a script that only reads: by a bare connection if the server has the script."""
        if scripts.COUNT_NEW.is_known(self.redis):

            def talk(conversation: Conversation) -> Any:
                conversation.send([command])
                try:
                    return conversation.receive()
                except redis.exceptions.NoScriptError:
                    return None

            if (replies := self.client.converse(talk, key)) is not None:
                return replies[0]
        return self.send([command], key)[0]

    def settle_new(self: Any, key: str, count: int, score: Any, seen: Any, *run: Any) -> int:
        """Add those to a count that are new among entries of the mark's own score."""
        scored = [(member, as_text(score)) for member in run]
        return count + sum(entry.number > int(seen) for entry in self._sorted(key, scored, ascending=True))


def deletions(key: str) -> list[Command]:
    """What deletes a timeline, and how far it was seen."""
    return [('DEL', key), ('DEL', seen_key(key))]


def patterns(pattern: str) -> list[str]:
    """Return the patterns of the seen marks of the timelines whose keys match one."""
    return [own_key('seen', pattern), own_key('seen', f'{{{pattern}}}')]
