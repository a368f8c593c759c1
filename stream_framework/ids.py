"""How activities and groups of activities get their ids, with the arithmetic explained.

Three kinds of id meet in a feed; each is an integer that starts with milliseconds, so that sorting by id sorts by time:

=====================  ==============================================================================================
activity, int ids      ``MMMMMMMMMMMMM OOOOOOOOOO VVV``: milliseconds, object id in 10 digits, verb id in 3 (as 1.4.0)
activity, other ids    ``MMMMMMMMMMMMM HHHHHHHHHHHHH``: milliseconds, 13 digits of a hash of who did what to what
aggregated activity    ``MMMMMMMMMMMMM GGGGGGGGGGGGG``: milliseconds of ``updated_at``, 13 digits of a hash of the group
=====================  ==============================================================================================

1.4.0 gave groups a bare ``MMMMMMMMMMMMM`` (13 digits, whole seconds). Such ids stay readable: see :func:`group_order`.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import re
import uuid
from collections.abc import Iterable
from operator import index
from typing import Any

import pytz

from stream_framework.exceptions import InvalidIdError, NoIdError
from stream_framework.utils import datetime_to_epoch

#: What follows the milliseconds in an id of ours: 13 decimal digits.
REST = 10**13

#: Every group id of 1.4.0 (bare milliseconds) is below, every one of ours above, for any time after 1970-01-01.
LEGACY_GROUP_LIMIT = 10**14

#: One past the largest object id, and verb id, that the recipe of 1.4.0 has room for.
MAX_OBJECT_ID = 10**10
MAX_VERB_ID = 10**3

#: No hash looks like the digits of a verb, or of an object, below these: ids with such digits say what happened.
SURE_VERB_ID = 20
SURE_OBJECT_ID = 10**6

_EPOCH = datetime.datetime(1970, 1, 1)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_DIGITS = re.compile(r'-?[0-9]+\Z')
# Python refuses to parse more digits than this by default; no recipe comes anywhere near it.
_MAX_DIGITS = 4000


def normalize_id(value: Any) -> int:
    """Return the integer that an activity's id stands for.

    :param value: an int, a ``uuid.UUID`` (stands for its ``.int``), or a str of decimal digits
    :returns: the int
    :raises InvalidIdError: for anything else; it is a ``ValueError`` and a ``TypeError``

    >>> normalize_id('123'), normalize_id(uuid.UUID(int=5)), normalize_id(7)
    (123, 5, 7)
    """
    if type(value) is int:
        return value
    if type(value) is str and len(value) < 100 and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, uuid.UUID):
        return value.int
    if isinstance(value, bytes):
        value = value.decode('latin-1')
    if isinstance(value, str):
        if len(value) <= _MAX_DIGITS and _DIGITS.match(value):
            return int(value)
    elif not isinstance(value, bool):
        try:
            return index(value)
        except TypeError:
            pass
    raise InvalidIdError(
        f'{_short(value)} is no id of an activity: give the activity, an int, a str of digits or a uuid.UUID'
    )


def object_id(value: Any) -> int | str | uuid.UUID:
    """Return the id of an actor, object or target, given as the id itself or as a thing with an ``.id``.

    A thing without an ``.id``, or whose ``.id`` is ``None``, is taken by its ``.pk``: Django's models have one,
    whatever their primary key is called.

    :raises NoIdError: if it is neither, or if its id is no int, str or ``uuid.UUID`` (an unsaved model's ``None``, say)
    """
    if type(value) is int or isinstance(value, (str, uuid.UUID)):
        return value
    if isinstance(value, int):
        return int(value)
    found = getattr(value, 'id', None)
    if found is None:
        found = getattr(value, 'pk', None)
    if type(found) is int or isinstance(found, (str, uuid.UUID)):
        return found
    try:
        return index(value if found is None else found)
    except TypeError:
        pass
    raise NoIdError(
        f'{_short(value)} is no id and has no usable .id or .pk ({_short(found)}): give an int, a str, a uuid.UUID, '
        'or a saved object with such an .id'
    )


def to_milliseconds(time: datetime.datetime) -> int:
    """Return the whole milliseconds since 1970 of a naive UTC datetime, rounded down, in exact integers."""
    return (time - _EPOCH) // _MILLISECOND


def activity_id(time: datetime.datetime | None, object_id: int, verb_id: int) -> int:
    """Return the id of an activity whose actor, object and target ids are ints: the recipe of 1.4.0.

    The milliseconds are ``int(seconds * 1000)`` in floating point, which is one millisecond low for about 6 in 1,000
    times. That is kept on purpose: ids are identities, and the ones that are stored must come out the same.

    :param time: naive UTC
    :param object_id: 0 to 10**10 - 1
    :param verb_id: 0 to 999
    :raises TypeError: without a time, or with an id out of range

    >>> activity_id(datetime.datetime(2013, 7, 8, 6, 59, 15), 500, 1)
    13732667550000000000500001
    """
    if time is None:
        time = _checked_time(time)
    if not 0 <= object_id < MAX_OBJECT_ID:
        raise InvalidIdError(
            f'object id {object_id} is not within 0 and {MAX_OBJECT_ID - 1}, which is what a serialization_id has room '
            'for: derive the activity from ActorSafeIdMixin, or override serialization_id'
        )
    if not 0 <= verb_id < MAX_VERB_ID:
        raise InvalidIdError(f'verb id {verb_id} is not within 0 and {MAX_VERB_ID - 1}: give the verb another id')
    # datetime_to_epoch() and _join(), written out: this runs for each activity that is read.
    milliseconds = int((time - _EPOCH).total_seconds() * 1000)
    rest = object_id * MAX_VERB_ID + verb_id
    return milliseconds * REST + (rest if milliseconds >= 0 else -rest)


def hashed_activity_id(
    time: datetime.datetime | None, actor_id: Any, verb_id: int, object_id: Any, target_id: Any
) -> int:
    """Return the id of an activity with ids of any kind: milliseconds, then 13 digits of BLAKE2b (RFC 7693).

    What is hashed is each part's type, length and text, so that ``17`` and ``'17'`` are two ids and no two lists of
    parts run into the same bytes. One hash in fifty looks like the object and verb of an id of 1.4.0, and is made anew:
    see :func:`that_may_have`.

    :raises TypeError: without a time
    """
    time = _checked_time(time)
    parts = (actor_id, verb_id, object_id, target_id)
    text = ''.join(_tagged(part) for part in parts)
    digest = _digits(text)
    while _is_sure(digest):
        text += '+'
        digest = _digits(text)
    return _join(int(datetime_to_epoch(time) * 1000), digest)


def that_may_have(activity_ids: Iterable[int], object_id: int | None, verb_id: int | None) -> list[int]:
    """Return those of some ids that may be of activities with this object, and with this verb; ``None`` is any.

    Ids of 1.4.0's recipe say so: all of those whose verb is below :data:`SURE_VERB_ID` or whose object is below
    :data:`SURE_OBJECT_ID`. Other ids may end in a hash, and are returned.

    >>> that_may_have([13732667550000000000500001, 13732667550000000000500002, 13732667550005555555555999], 500, 1)
    [13732667550000000000500001, 13732667550005555555555999]
    """
    sure = SURE_OBJECT_ID * MAX_VERB_ID
    if object_id is None:
        return [
            activity_id
            for activity_id in activity_ids
            if (verb := abs(activity_id) % MAX_VERB_ID) == verb_id
            or (verb >= SURE_VERB_ID and abs(activity_id) % REST >= sure)
        ]
    return [
        activity_id
        for activity_id in activity_ids
        if ((rest := abs(activity_id) % REST) // MAX_VERB_ID == object_id and verb_id in (None, rest % MAX_VERB_ID))
        or not _is_sure(rest)
    ]


def group_id(group: Any, updated_at: datetime.datetime | None) -> str:
    """Return the id of a group: 26 digits, unique for its name and the millisecond of its last update.

    :raises TypeError: for a group that holds no activity yet, and so has no ``updated_at``

    >>> group_id('1-2013-07-08', datetime.datetime(2013, 7, 8, 7, 55, 15, 72000))[:13]
    '1373270115072'
    """
    if updated_at is None:
        raise InvalidIdError(f'group {_short(group)} has no updated_at, so it has no id: append an activity first')
    # Never all zeros: the id of 1.4.0, which has no such digits, sorts before ours of the same millisecond.
    return format_group_id(_join(to_milliseconds(updated_at), _group_digits(str(group))))


def format_group_id(value: int) -> str:
    """Return a group's id as the text under which it is marked: 26 digits, or 13 if 1.4.0 made it."""
    return f'{value:026d}' if abs(value) >= LEGACY_GROUP_LIMIT else f'{value:013d}'


def group_order(value: Any) -> int:
    """Return a number by which ids of groups sort by time, whether ours (26 digits) or 1.4.0's (13).

    >>> group_order('1373270115000') < group_order('13732701150004711000000001') < group_order('1373270116000')
    True
    """
    number = normalize_id(value)
    return number if abs(number) >= LEGACY_GROUP_LIMIT else number * REST


def group_milliseconds(order: int) -> int:
    """Return the milliseconds in a number that :func:`group_order` returned."""
    return order // REST if order >= 0 else -(-order // REST)


def legacy_group_id(value: int) -> int | None:
    """Return the 13 digits by which 1.4.0 may have marked a group of ours, or ``None`` if it can't have.

    1.4.0 cut ids to whole seconds; where ``updated_at`` is a whole second both spellings mean the same group.
    """
    milliseconds, rest = divmod(value, REST)
    return milliseconds if rest and abs(value) >= LEGACY_GROUP_LIMIT and milliseconds % 1000 == 0 else None


def naive_utc(time: datetime.datetime) -> datetime.datetime:
    """Return the same moment as a naive datetime in UTC; a naive one is taken to be in UTC already."""
    if time.tzinfo is None or time.utcoffset() is None:
        return time
    return time.astimezone(pytz.utc).replace(tzinfo=None)


def _checked_time(time: datetime.datetime | None) -> datetime.datetime:
    if time is None:
        raise InvalidIdError('an activity without a time has no serialization_id: set activity.time')
    return time


def _join(milliseconds: int, rest: int) -> int:
    # The digits of the milliseconds followed by those of the rest; before 1970 the sign stands in front of both.
    if milliseconds < 0:
        return milliseconds * REST - rest
    return milliseconds * REST + rest


def _is_sure(rest: int) -> bool:
    return rest % MAX_VERB_ID < SURE_VERB_ID or rest < SURE_OBJECT_ID * MAX_VERB_ID


def _tagged(part: Any) -> str:
    kind = 'n' if part is None else 'i' if isinstance(part, int) else 'u' if isinstance(part, uuid.UUID) else 's'
    text = str(part)
    return f'{kind}{len(text)}:{text}'


@functools.lru_cache(maxsize=4096)
def _group_digits(group: str) -> int:
    # One group is written to the feeds of many followers, each time under a new id.
    return 1 + _digits(group) % (REST - 1)


def _digits(text: str) -> int:
    digest = hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).digest()
    return int.from_bytes(digest, 'big') % REST


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + '...'
