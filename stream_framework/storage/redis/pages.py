"""Pages of flat timelines: exact, with their activities.

Ids that share a score Redis sorts by their text, which is their order for ids of one length. Negative ids, and ids of
two lengths within one score, may stand in the wrong place: see :func:`is_odd`. Where one may be in a page, the whole
timeline is read, and sorted here.

A page with its activities takes two round trips by one connection: its ids, then the fields that have the activities,
of which this side knows the hashes. A script could do both in one, but it has no MD5: it has to ask each hash for what
those before it didn't have, which takes twice the time of the server's only core, and more the more there is in the
store. That one trip can be chosen, for servers that are far away:
:attr:`~stream_framework.storage.redis.timeline_storage.RedisTimelineStorage.pages_in_one_trip`. It needs a plain server
that has both and permits scripts; elsewhere, for long pages, for odd ids, and after an error, there are two trips.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from stream_framework import ids
from stream_framework.exceptions import SerializationException
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.client import Client, Conversation
from stream_framework.storage.redis.commands import Command
from stream_framework.storage.redis.config import redis
from stream_framework.storage.redis.structures.base import as_texts
from stream_framework.storage.redis.structures.hash import ShardedHashCache

#: A page that ends so near to a bound is read by a plain command, with a few more entries than asked for: so many ids
#: as may share the bound's score. Others are read by a script.
NEAR_THE_BOUND, SHARE_A_SCORE = 100, 5
#: A page of more entries is read in parts: this is how many fields one command gets at most.
FIELDS_AT_A_TIME = 1000
#: How many fields one call of the script looks up at most, in all hashes together: bounds how long it holds up the
#: server, to less than a millisecond. With ten hashes that makes pages of 200.
LOOK_UPS = 2000

# Doubles next to which ids of two lengths share a score, which their text then doesn't sort.
_POWERS = frozenset(float(10**exponent) for exponent in range(16, 309))

# Clients whose servers permit no scripts.
_without_scripts: weakref.WeakSet[Any] = weakref.WeakSet()


class Page(NamedTuple):
    """Which part of a timeline is wanted: some positions of the entries between two ids."""

    key: str
    start: int
    stop: int | None
    #: The lowest and the highest id that pass; ``None`` for no bound.
    low: int | None
    high: int | None
    ascending: bool

    @property
    def may_be_odd(self) -> bool:
        """Whether a bound is odd, so that only reading everything gives the exact page."""
        return (self.low is not None and is_odd(self.low)) or (self.high is not None and is_odd(self.high))

    @property
    def near(self) -> int | None:
        """The bound that a page follows, if there is just this one and the page is not far from it."""
        near, far = (self.low, self.high) if self.ascending else (self.high, self.low)
        return near if far is None and self.stop is not None and self.stop <= NEAR_THE_BOUND else None

    def command(self) -> Command | None:
        """Return the plain command that reads the page; ``None`` if that takes a script."""
        if self.low is None and self.high is None:
            name = 'ZRANGE' if self.ascending else 'ZREVRANGE'
            return (name, self.key, self.start, -1 if self.stop is None else self.stop - 1)
        near = self.near
        if near is None:
            return None
        name, far = ('ZRANGEBYSCORE', '+inf') if self.ascending else ('ZREVRANGEBYSCORE', '-inf')
        return (name, self.key, score(near), far, 'LIMIT', 0, (self.stop or 0) + SHARE_A_SCORE)

    def settled(self, members: list[Any]) -> list[Any] | None:
        """Return the page, of the reply to :meth:`command`; ``None`` if that doesn't tell."""
        if self.low is None and self.high is None:
            return members if in_order(members) else None
        near, stop = self.near or 0, self.stop or 0
        if any(is_odd(member) or not is_number(member) for member in members):
            return None
        # Ids that share the bound's score, but lie before it, come first: hardly ever more than a few.
        page = [member for member in members if (int(member) >= near if self.ascending else int(member) <= near)]
        return page[self.start : stop] if len(page) >= stop or len(members) < stop + SHARE_A_SCORE else None

    def arguments(self) -> Iterable[Any]:
        """Return what the script that reads a page takes."""
        edges: list[str] = []
        for bound in (self.low, self.high):
            edges += ('', '') if bound is None else (score(bound), str(bound))
        return (*edges, int(self.ascending), self.start, -1 if self.stop is None else self.stop - self.start)


def read_ids(client: Client, page: Page) -> list[Any]:
    """Return the members of a page. One round trip, a second one for odd ids."""
    if page.may_be_odd:
        return read_odd_ids(client, page)
    command = page.command()
    if command is not None:
        found = page.settled(client.send([command], page.key)[0])
        if found is not None:
            return found
        if page.low is None and page.high is None:
            return read_odd_ids(client, page)
    members = client.send([scripts.PAGE.call([page.key], page.arguments())], page.key)[0]
    return members if in_order(members) else read_odd_ids(client, page)


def read_odd_ids(client: Client, page: Page) -> list[Any]:
    """Return the members of a page that Redis may not have in order: everything is read, and sorted."""
    members = client.send([('ZRANGE', page.key, 0, -1)], page.key)[0]
    numbers = sorted((ids.normalize_id(member), member) for member in members)
    passing = [
        member
        for number, member in numbers
        if (page.low is None or number >= page.low) and (page.high is None or number <= page.high)
    ]
    if not page.ascending:
        passing.reverse()
    return passing[page.start : page.stop]


def read_in_two_trips(
    client: Client, page: Page, hashes: ShardedHashCache, choose: Callable[[list[int]], list[int]] | None = None
) -> tuple[list[int], list[Any]] | None:
    """Return the ids of a page, and what is stored of each, ``None`` where nothing is.

    Both round trips go by one connection.

    :param hashes: where the activities are
    :param choose: returns the ids, of those that it is given, whose activities are wanted; values are of these then
    :returns: ``None`` for a page that takes more than that: :func:`read_ids` reads it
    """
    short = page.stop is not None and page.stop - page.start <= FIELDS_AT_A_TIME
    command = page.command() if short and not page.may_be_odd else None
    if command is None:
        return None

    def talk(conversation: Conversation) -> tuple[list[int], list[Any]] | None:
        conversation.send([command])
        members = page.settled(conversation.receive()[0])
        if not members:
            return None if members is None else ([], [])
        fields = members if type(members[0]) is str else as_texts(members)
        if not ''.join(fields).isascii():
            # Damaged: there is no hash for what is no UTF-8.
            return None
        activity_ids = None
        if choose is not None:
            activity_ids = numbers_of(fields)
            fields = [] if activity_ids is None else list(map(str, choose(activity_ids)))
            if not fields:
                return None if activity_ids is None else (activity_ids, [])
        by_key = hashes.by_key(fields)
        conversation.send([('HMGET', key, *in_hash) for key, in_hash in by_key.items()])
        if activity_ids is None:
            # While the server is at work.
            activity_ids = numbers_of(fields)
        values: dict[str, Any] = {}
        for in_hash, found in zip(by_key.values(), conversation.receive(), strict=True):
            values.update(zip(in_hash, found, strict=True))
        return None if activity_ids is None else (activity_ids, list(map(values.__getitem__, fields)))

    return client.converse(talk)


def read_in_one_trip(client: Client, page: Page, hashes: ShardedHashCache) -> tuple[list[int], list[Any]] | None:
    """Return the same by one script; ``None`` where that can't be."""
    stop, connection, keys = page.stop, client.redis, hashes.get_keys()
    if (
        stop is None
        or not 0 < (stop - page.start) * len(keys) <= LOOK_UPS
        or page.may_be_odd
        or connection in _without_scripts
    ):
        return None
    try:
        reply = client.run(scripts.PAGE, (page.key, *keys), page.arguments(), page.key)
    except (redis.ResponseError, SerializationException) as error:
        # By plain commands either all goes well, since what was wrong is no part of the page, or the error is told as
        # it always is.
        if isinstance(error, redis.exceptions.NoPermissionError) or 'unknown command' in str(error):
            _without_scripts.add(connection)
        return None
    activity_ids = numbers_of(reply[::2])
    return None if activity_ids is None else (activity_ids, reply[1::2])


def numbers_of(members: Sequence[Any]) -> list[int] | None:
    """Return the ids of members; ``None`` if anything else is among them, or they may not be in order."""
    if not members:
        return []
    if type(members[0]) is bytes:
        members = as_texts(members)
    # An id that is written in another way, '007', is stored under another name.
    if is_number(''.join(members)) and min(members) >= '1' and in_order(members):
        return list(map(int, members))
    return None


def score(activity_id: int) -> str:
    """Return the score of an id in a flat timeline, as Redis reads it back to the same double."""
    try:
        return repr(float(activity_id))
    except OverflowError:
        return 'inf' if activity_id > 0 else '-inf'


def in_order(members: Sequence[Any]) -> bool:
    """Return whether the server has sorted a page's members as numbers."""
    if not members or (len(members[0]) == len(members[-1]) and not (is_odd(members[0]) or is_odd(members[-1]))):
        return True
    return not any(map(is_odd, members))


def is_number(member: Any) -> bool:
    """Return whether a member is an id in decimal."""
    # What isdigit() alone takes for a digit, int() may not: '²'.
    return member.isascii() and member.isdigit()


def is_odd(member: Any) -> bool:
    """Return whether this id, or an id of its score, may stand in the wrong place among those that share it."""
    text = str(member)
    if is_number(text) and text[:2] not in ('10', '99'):
        # Nowhere near a power of ten: nearly all ids.
        return False
    try:
        number = float(int(member))
    except OverflowError:
        return True
    except ValueError:
        return False
    return number < 0 or number in _POWERS
