"""Pages of flat timelines: exact, and with the activities in one round trip where one server has both.

Ids that share a score Redis sorts by their text, which is their order for ids of one length. Whatever else may be in a
page, negative ids, and ids of two lengths within one score, is read whole and sorted here: see :func:`is_odd`.

With the activities, a script reads the ids and asks the hashes for what they stand for. It can't be had on a cluster,
where the keys lie on different nodes, nor where the activities are on another server; and where the server, or a proxy
before it, permits no scripts, that is found out once for each client. There, for very long pages, and for odd ids, the
ids are read first, and the activities then. So it is when the script meets an error, too: by plain commands either all
goes well, since what was wrong is no part of the page, or the error is told as it always is.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from stream_framework import settings
from stream_framework.exceptions import SerializationException
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.activity_storage import RedisActivityStorage
from stream_framework.storage.redis.commands import Command, is_cluster
from stream_framework.storage.redis.config import redis
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.structures.base import as_texts

if TYPE_CHECKING:
    from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage

#: A page that ends so near to a bound is read by a plain command, with a few more entries than asked for: so many ids
#: as may share the bound's score. Others are read by a script.
NEAR_THE_BOUND, SHARE_A_SCORE = 100, 5
#: How many fields one call of the script looks up at most, in all hashes together: bounds how long it holds up the
#: server, to less than a millisecond. With ten hashes that makes pages of 200.
LOOK_UPS = 2000

# Doubles next to which ids of two lengths share a score, which their text then doesn't sort.
_POWERS = frozenset(float(10**exponent) for exponent in range(16, 309))

# Clients whose servers permit no scripts.
_without_scripts: weakref.WeakSet[Any] = weakref.WeakSet()


def read_ids(
    storage: RedisTimelineStorage,
    key: str,
    start: int,
    stop: int | None,
    bounds: tuple[int | None, int | None],
    ascending: bool,
) -> list[Any]:
    """The members at some positions of those between two ids. One round trip, a second one for odd ids.

    :param bounds: the lowest and the highest that pass; ``None`` for no bound
    """
    low, high = bounds
    if any(is_odd(bound) for bound in bounds if bound is not None):
        return read_odd_ids(storage, key, start, stop, bounds, ascending)
    if low is None and high is None:
        command: Command = ('ZRANGE' if ascending else 'ZREVRANGE', key, start, -1 if stop is None else stop - 1)
    else:
        near, far = (low, high) if ascending else (high, low)
        if stop is not None and stop <= NEAR_THE_BOUND and near is not None and far is None:
            page = _read_beyond(storage, key, near, stop, ascending)
            if page is not None:
                return page[start:]
        command = scripts.PAGE.call([key], _arguments(storage, start, stop, bounds, ascending))
    members = storage.send([command], key)[0]
    if not _in_order(members):
        return read_odd_ids(storage, key, start, stop, bounds, ascending)
    return members


def _read_beyond(storage: RedisTimelineStorage, key: str, near: int, stop: int, ascending: bool) -> list[Any] | None:
    """What follows a bound, by one plain command; ``None`` if that takes more.

    Ids that share the bound's score, but lie before it, come first: hardly ever more than a few.
    """
    command = ('ZRANGEBYSCORE', '+inf') if ascending else ('ZREVRANGEBYSCORE', '-inf')
    length = stop + SHARE_A_SCORE
    members = storage.send([(command[0], key, storage.score(near), command[1], 'LIMIT', 0, length)], key)[0]
    if any(is_odd(member) or not is_number(member) for member in members):
        return None
    page = [member for member in members if (int(member) >= near if ascending else int(member) <= near)]
    return page[:stop] if len(page) >= stop or len(members) < length else None


def read_odd_ids(
    storage: RedisTimelineStorage,
    key: str,
    start: int,
    stop: int | None,
    bounds: tuple[int | None, int | None],
    ascending: bool,
) -> list[Any]:
    """The same as :func:`read_ids` of what Redis may not have in order: all is read, and sorted."""
    low, high = bounds
    members = storage.send([('ZRANGE', key, 0, -1)], key)[0]
    numbers = sorted((storage.order(member), member) for member in members)
    passing = [
        member for number, member in numbers if (low is None or number >= low) and (high is None or number <= high)
    ]
    if not ascending:
        passing.reverse()
    return passing[start:stop]


def get_page(
    storage: RedisTimelineStorage,
    activity_storage: Any,
    key: str,
    start: int,
    stop: int | None,
    bounds: tuple[int | None, int | None],
    ascending: bool,
    in_two_trips: Callable[[], tuple[list[Any], int]],
) -> tuple[list[Any], int]:
    """A page's activities, those that are there, and how many ids there were.

    :param in_two_trips: reads the same, ids first
    """
    client = storage.redis
    hashes = _hashes(storage, activity_storage, client)
    refused = False
    if (
        hashes
        and stop is not None
        and 0 < (stop - start) * len(hashes) <= LOOK_UPS
        and not any(is_odd(bound) for bound in bounds if bound is not None)
    ):
        metrics, server = storage.metrics, storage.redis_server
        arguments = _arguments(storage, start, stop, bounds, ascending)
        try:
            with (
                metrics.feed_reads_timer(type(storage)),
                metrics.feed_reads_timer(type(activity_storage)),
                translated(server, key),
            ):
                reply = scripts.run(client, scripts.PAGE, (key, *hashes), arguments)
        except (redis.ResponseError, SerializationException) as error:
            refused = isinstance(error, redis.exceptions.NoPermissionError) or 'unknown command' in str(error)
        else:
            activity_ids = _ids_of(reply[::2])
            if activity_ids is not None:
                there = [pair for pair in zip(activity_ids, reply[1::2], strict=True) if pair[1] is not None]
                metrics.on_feed_read(type(storage), len(activity_ids))
                if activity_ids:
                    metrics.on_feed_read(type(activity_storage), len(there))
                return activity_storage.load_all(None, there), len(activity_ids)
    page = in_two_trips()
    if refused:
        _without_scripts.add(client)
    return page


def _hashes(storage: RedisTimelineStorage, activity_storage: Any, client: Any) -> Sequence[str] | None:
    """The keys of the hashes, where a script may read them; ``None`` where an application has a way of its own, too."""
    if (
        not isinstance(activity_storage, RedisActivityStorage)
        or not activity_storage.reads_as_usual
        or activity_storage.metrics is not storage.metrics
        or not _on_one_server(storage.redis_server, activity_storage.redis_server)
        or is_cluster(client)
        or client in _without_scripts
    ):
        return None
    return activity_storage.get_cache().get_keys()


def _on_one_server(one: str, other: str) -> bool:
    return one == other or settings.STREAM_REDIS_CONFIG.get(one, 0) == settings.STREAM_REDIS_CONFIG.get(other, 1)


def _ids_of(members: Sequence[Any]) -> list[int] | None:
    """The ids that a script has found; ``None`` if anything else is among them, or they may not be in order."""
    if not members:
        return []
    if type(members[0]) is bytes:
        members = as_texts(members)
    # An id that is written in another way, '007', is stored under another name.
    if is_number(''.join(members)) and min(members) >= '1' and _in_order(members):
        return list(map(int, members))
    return None


def _arguments(
    storage: RedisTimelineStorage, start: int, stop: int | None, bounds: tuple[int | None, int | None], ascending: bool
) -> Iterable[Any]:
    """What the script that reads a page takes."""
    edges: list[str] = []
    for bound in bounds:
        edges += ('', '') if bound is None else (storage.score(bound), str(bound))
    return (*edges, int(ascending), start, -1 if stop is None else stop - start)


def _in_order(members: Sequence[Any]) -> bool:
    if not members or (len(members[0]) == len(members[-1]) and not (is_odd(members[0]) or is_odd(members[-1]))):
        return True
    return not any(map(is_odd, members))


def is_number(member: Any) -> bool:
    """Whether a member is an id in decimal."""
    # What isdigit() alone takes for a digit, int() may not: '²'.
    return member.isascii() and member.isdigit()


def is_odd(member: Any) -> bool:
    """Whether this id, or an id of its score, may stand in the wrong place among those that share it."""
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
