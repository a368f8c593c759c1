"""Follows on Redis: two sorted sets for each user, by time; what is hidden from whom in sets.

====================================  =================================================================================
key                                   what it holds
====================================  =================================================================================
``stream:follow:followed:<user>``     a sorted set: whom the user follows, by milliseconds since 1970
``stream:follow:followers:<user>``    a sorted set: who follows the user, likewise
``stream:follow:muted:<user>``        a set: whom the user has muted
``stream:follow:blocked:<user>``      a set: whom the user has blocked
``stream:follow:hidden:<user>``       a set: from whom the user is hidden. ``m`` and the id of who has muted him, ``b``
                                      and the id of who has blocked him, ``c`` and the id of whom he has blocked himself
====================================  =================================================================================

The first word is the setting ``STREAM_KEY_PREFIX``, the second the ``follow_name``, with ``%3A`` for a colon. Ids are
written by :func:`~stream_framework.storage.base_follow_storage.id_to_text`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from stream_framework.storage.base import iter_parts
from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.storage.follow_hooks import States
from stream_framework.storage.follow_values import Kind, Pair, Position, Side
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.commands import Command, is_cluster
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.structures.base import as_text, as_texts, in_parts
from stream_framework.storage.redis.structures.sorted_set import scored
from stream_framework.utils.keys import own_key

#: How many members one command asks for, and all commands of one round trip.
MEMBERS_PER_COMMAND, MEMBERS_PER_TRIP = 3000, 100_000
#: How many keys one round trip deletes.
KEYS_PER_DELETE = 500
#: How often a target's end is written again because others change the user's end; they repair theirs, too.
REPAIRS = 10

# Kind -> where a user's own are kept, and what marks the one that has muted or blocked.
_OWN: dict[Kind, str] = {'mute': 'muted', 'block': 'blocked'}
_BY: dict[Kind, str] = {'mute': 'm', 'block': 'b'}
# What marks the one that somebody hidden has blocked himself.
_HAS_BLOCKED = 'c'
_PLACES = ('followed', 'followers', 'muted', 'blocked', 'hidden')


class _End(NamedTuple):
    """The target's end of a pair."""

    #: What reads the truth, the user's end.
    read: Command
    #: What makes of it the commands that write the target's end.
    write: Callable[[Any], list[Command]]


class RedisFollowStorage(BaseFollowStorage):
    """Follows, mutes and blocks on Redis or a Redis Cluster.

    On one server both ends of a pair change in one step. On a cluster they lie on different nodes: the user's end is
    written first, then the target's; then the user's is read again, and if another has changed it, the target's is
    written again.

    :param redis_server: the server's name in ``STREAM_REDIS_CONFIG``
    """

    def __init__(self, follow_name: str = 'follow', redis_server: str = 'default') -> None:
        super().__init__(follow_name)
        #: The server's name in ``STREAM_REDIS_CONFIG``.
        self.redis_server = redis_server
        # Without colons no key of one name is one of another name, too.
        self._name = follow_name.replace('%', '%25').replace(':', '%3A')

    @property
    def redis(self) -> Any:
        """The client."""
        return get_redis_connection(self.redis_server)

    def get_key(self, place: str, user: str) -> str:
        """Return the key of one of a user's places.

        :param place: ``'followed'``, ``'followers'``, ``'muted'``, ``'blocked'`` or ``'hidden'``
        :param user: the text of an id
        """
        return own_key(self._name, place, user)

    def add_follows(self, follows: Sequence[tuple[str, str, int]]) -> None:
        """One round trip and one step; on a cluster three round trips."""
        pairs = [(user, target) for user, target, _ in follows]
        if is_cluster(self.redis):
            added = (('ZADD', self.get_key('followed', user), 'NX', since, target) for user, target, since in follows)
            self._settle([self._end_of_follow(*pair) for pair in pairs], added)
            return
        keys = (self.get_key(*place) for user, target in pairs for place in (('followed', user), ('followers', target)))
        self._send([scripts.FOLLOW.call(list(keys), [value for follow in follows for value in follow])])

    def remove_follows(self, pairs: Sequence[Pair]) -> None:
        """One round trip and one step; on a cluster three round trips."""
        removed: list[Command] = [('ZREM', self.get_key('followed', user), target) for user, target in pairs]
        if is_cluster(self.redis):
            self._settle([self._end_of_follow(*pair) for pair in pairs], removed)
            return
        removed += (('ZREM', self.get_key('followers', target), user) for user, target in pairs)
        self._in_one_step(removed)

    def repair_pairs(self, pairs: Sequence[Pair]) -> None:
        """One round trip and one step; on a cluster three round trips, more where others write."""
        if is_cluster(self.redis):
            hides = [self._end_of_hide(kind, *pair) for kind in _OWN for pair in pairs]
            self._settle([*(self._end_of_follow(*pair) for pair in pairs), *hides])
            return
        self._send([self._repair_in_one_step(pairs)])

    def find_followed(self, user: str, targets: Sequence[str]) -> Iterable[str]:
        """One round trip, as of one moment for each 3,000."""
        key = self.get_key('followed', user)
        replies = self._send([('ZMSCORE', key, *part) for part in iter_parts(targets, MEMBERS_PER_COMMAND)])
        scores = (score for reply in replies for score in reply)
        return [target for target, score in zip(targets, scores, strict=True) if score is not None]

    def find_followers(self, target: str, users: Sequence[str]) -> Iterable[str]:
        """One round trip."""
        scores = self._send([('ZSCORE', self.get_key('followed', user), target) for user in users])
        return [user for user, score in zip(users, scores, strict=True) if score is not None]

    def find_states(self, user: str, targets: Sequence[str], repair: bool = False) -> States:
        """One round trip; on a cluster some more to repair."""
        pairs = [(user, target) for target in targets]
        first: list[Command] = []
        if repair and is_cluster(self.redis):
            self.repair_pairs(pairs)
        elif repair:
            first = [self._repair_in_one_step(pairs)]
        commands: list[Command] = [
            ('ZMSCORE', self.get_key('followed', user), *targets),
            *self._hidden_from_one(user, targets),
            ('EXISTS', self.get_key('muted', user)),
            ('EXISTS', self.get_key('blocked', user)),
            ('SSCAN', self.get_key('hidden', user), 0, 'MATCH', 'b*', 'COUNT', self.page_size),
        ]
        scores, *hidden, has_muted, has_blocked, (cursor, hiders) = self._send([*first, *commands])[len(first) :]
        followed = [target for target, score in zip(targets, scores, strict=True) if score is not None]
        # What was not looked through may have one.
        may_hide = bool(has_muted or has_blocked or hiders or int(as_text(cursor)))
        return States(
            followed, [target for target, *there in zip(targets, *hidden, strict=True) if any(there)], may_hide
        )

    def count_side(self, side: Side, user: str) -> int:
        """One round trip, O(1)."""
        return int(self._send([('ZCARD', self.get_key(side, user))])[0])

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """One round trip, O(log(n) squared)."""
        key = self.get_key(side, user)
        if before is None:
            command: Command = ('ZREVRANGE', key, 0, limit - 1, 'WITHSCORES')
        else:
            command = scripts.FOLLOW_PAGE.call([key], [*before, limit])
        return [(text, int(score)) for text, score in scored(self._send([command])[0])]

    def iter_pages(self, side: Side, user: str) -> Iterator[Sequence[str]]:
        """One round trip for each page. Only the last one's milliseconds are read: the page goes on below them."""
        key, since, last = self.get_key(side, user), '+inf', ''
        while True:
            [reply] = self._send([scripts.FOLLOW_PAGE.call([key], [since, last, self.page_size, 'members'])])
            if not reply:
                return
            *page, since = as_texts(reply)
            yield page
            if len(page) < self.page_size:
                return
            last = page[-1]

    def add_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """One round trip and one step; on a cluster three round trips."""
        self._write_hidden('SADD', kind, pairs)

    def remove_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """One round trip and one step; on a cluster three round trips."""
        self._write_hidden('SREM', kind, pairs)

    def iter_hidden(self, kind: Kind, user: str) -> Iterator[str]:
        """One round trip for each page; small sets come whole."""
        return self._scan(self.get_key(_OWN[kind], user), '')

    def iter_hiders(self, kind: Kind, user: str) -> Iterator[str]:
        """One round trip for each page; small sets come whole."""
        return self._scan(self.get_key('hidden', user), _BY[kind])

    def find_hidden(self, actors: Sequence[str], users: Sequence[str]) -> Iterable[Pair]:
        """One round trip: for 33,000 pairs, or for one user and 100,000 actors."""
        if len(users) == 1:
            parts = list(iter_parts(actors, MEMBERS_PER_COMMAND))
            replies = self._send([command for part in parts for command in self._hidden_from_one(users[0], part)])
            return [
                (actor, users[0])
                for place, part in enumerate(parts)
                for actor, *there in zip(part, *replies[3 * place : 3 * place + 3], strict=True)
                if any(there)
            ]
        found = []
        asked = [(actor, part) for actor in actors for part in iter_parts(users, MEMBERS_PER_COMMAND // 3)]
        per_trip = max(MEMBERS_PER_TRIP // (3 * min(len(users), MEMBERS_PER_COMMAND // 3)), 1)
        for some in iter_parts(asked, per_trip):
            replies = self._send(
                [
                    ('SMISMEMBER', self.get_key('hidden', actor), *(mark + user for mark in 'mbc' for user in part))
                    for actor, part in some
                ]
            )
            for (actor, part), reply in zip(some, replies, strict=True):
                found += [(actor, part[place % len(part)]) for place, there in enumerate(reply) if there]
        return found

    def find_readers(self, actor: str, limit: int) -> Iterable[str] | None:
        """One round trip."""
        cursor, members = self._send([('SSCAN', self.get_key('hidden', actor), 0, 'COUNT', max(limit, 1))])[0]
        if int(as_text(cursor)) or len(members) > limit:
            return None
        return [member[1:] for member in as_texts(members)]

    def may_hide(self, user: str) -> bool:
        """One round trip."""
        return self.find_states(user, [user]).may_hide

    def erase_pairs(self, user: str, kind: Kind | Literal['follow'], pairs: Sequence[Pair]) -> None:
        """One round trip and one step; on a cluster four round trips."""
        if is_cluster(self.redis):
            commands = (command for pair in pairs for command in self._removals(kind, *pair))
            own = {self.get_key(place, user) for place in _PLACES}
            self._send([command for command in commands if command[1] not in own])
        super().erase_pairs(user, kind, pairs)

    def delete_user(self, user: str) -> None:
        """One round trip."""
        self._send([('UNLINK', self.get_key(place, user)) for place in _PLACES])

    def flush_storage(self) -> None:
        """Delete by scanning the key space: for tests, not for every day."""
        with translated(self.redis_server):
            for place in _PLACES:
                pattern = f'{_escaped(self.get_key(place, ""))}[-0-9su]*'
                keys = self.redis.scan_iter(match=pattern, count=1000)
                for part in in_parts(keys, KEYS_PER_DELETE):
                    self._send([('UNLINK', key) for key in part])

    def _hidden_from_one(self, user: str, actors: Sequence[str]) -> list[Command]:
        """What asks which of some actors are hidden from a user: three replies, each with an answer for each actor."""
        return [
            ('SMISMEMBER', self.get_key('muted', user), *actors),
            ('SMISMEMBER', self.get_key('blocked', user), *actors),
            ('SMISMEMBER', self.get_key('hidden', user), *(_BY['block'] + actor for actor in actors)),
        ]

    def _repair_in_one_step(self, pairs: Sequence[Pair]) -> Command:
        prefix = self.get_key('', '')[:-1]
        keys = [
            f'{prefix}{place}:{text}'
            for user, target in pairs
            for place, text in (
                ('followed', user),
                ('muted', user),
                ('blocked', user),
                ('hidden', user),
                ('followers', target),
                ('hidden', target),
            )
        ]
        return scripts.REPAIR_FOLLOWS.call(keys, itertools.chain.from_iterable(pairs))

    def _removals(self, kind: Kind | Literal['follow'], user: str, target: str) -> list[Command]:
        """What removes both ends of a pair."""
        if kind == 'follow':
            return [
                ('ZREM', self.get_key('followed', user), target),
                ('ZREM', self.get_key('followers', target), user),
            ]
        return [('SREM', self.get_key(_OWN[kind], user), target), *self._hide('SREM', kind, user, target)]

    def _write_hidden(self, command: str, kind: Kind, pairs: Sequence[Pair]) -> None:
        written: list[Command] = [(command, self.get_key(_OWN[kind], user), target) for user, target in pairs]
        if is_cluster(self.redis):
            self._settle([self._end_of_hide(kind, *pair) for pair in pairs], written)
            return
        self._in_one_step([*written, *(found for pair in pairs for found in self._hide(command, kind, *pair))])

    def _settle(self, ends: Sequence[_End], first: Iterable[Command] = ()) -> None:
        """Write the truth, read it, write the other ends by it, and go on until it is still the same afterwards.

        :param first: what writes the truth: each pair's in the same slot as what reads it, so it is done before that
        """
        reads = [end.read for end in ends]
        known = self._send([*first, *reads])[-len(reads) :]
        changed: Sequence[int] = range(len(ends))
        for _ in range(REPAIRS):
            self._send([command for place in changed for command in ends[place].write(known[place])])
            before, known = known, self._send(reads)
            changed = [place for place in changed if known[place] != before[place]]
            if not changed:
                return

    def _end_of_follow(self, user: str, target: str) -> _End:
        key = self.get_key('followers', target)

        def write(since: Any) -> list[Command]:
            return [('ZREM', key, user) if since is None else ('ZADD', key, int(float(since)), user)]

        return _End(('ZSCORE', self.get_key('followed', user), target), write)

    def _end_of_hide(self, kind: Kind, user: str, target: str) -> _End:
        def write(there: Any) -> list[Command]:
            return self._hide('SADD' if there else 'SREM', kind, user, target)

        return _End(('SISMEMBER', self.get_key(_OWN[kind], user), target), write)

    def _hide(self, command: str, kind: Kind, user: str, target: str) -> list[Command]:
        """What follows from a user's mute or block of a target."""
        commands: list[Command] = [(command, self.get_key('hidden', target), _BY[kind] + user)]
        if kind == 'block':
            commands.append((command, self.get_key('hidden', user), _HAS_BLOCKED + target))
        return commands

    def _scan(self, key: str, mark: str) -> Iterator[str]:
        """The members of a set that begin with a mark, without it; one may come twice."""
        cursor = 0
        while True:
            options = ('MATCH', f'{mark}*') if mark else ()
            cursor, members = self._send([('SSCAN', key, cursor, *options, 'COUNT', self.page_size)])[0]
            yield from (member[len(mark) :] for member in as_texts(members))
            cursor = int(as_text(cursor))
            if not cursor:
                return

    def _in_one_step(self, commands: Sequence[Command]) -> None:
        self._send([scripts.in_one_step(commands)])

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        with translated(self.redis_server):
            return scripts.send(self.redis, commands, at_a_time=5000)


def _escaped(text: str) -> str:
    return ''.join(f'\\{char}' if char in '*?[]\\' else char for char in text)
