"""Values of follow storages: ids as texts, follows, times; and what refuses arguments that are none.

:func:`id_to_text` writes the type of an id into its text, so 17 and ``'17'`` are two ids on every backend, and come
back with their type.
"""

from __future__ import annotations

import datetime
import operator
import time
import uuid
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import pytz

from stream_framework import ids
from stream_framework.exceptions import InvalidArgumentError, InvalidIdError

#: What a user, or whatever else is followed, is known by.
UserId = int | str | uuid.UUID

#: One end of a pair: those who follow somebody, or those whom somebody follows.
Side = Literal['followers', 'followed']
#: How somebody hides somebody.
Kind = Literal['mute', 'block']
#: Texts of a user, and of the target.
Pair = tuple[str, str]
#: Where a page goes on: milliseconds since 1970, and a text.
Position = tuple[int, str]

#: How long an id may be, in bytes of UTF-8: what is a key on every backend.
MAX_ID_LENGTH = 1000

_EPOCH = datetime.datetime(1970, 1, 1)
# Python refuses to write integers with more digits than some thousand.
_MAX_BITS = 3000


class Follow(NamedTuple):
    """That somebody follows somebody.

    >>> Follow(7, 13, datetime.datetime(2024, 5, 1)).target_id
    13
    """

    #: Who follows.
    user_id: UserId
    #: Who is followed.
    target_id: UserId
    #: Since when: naive UTC, in whole milliseconds.
    since: datetime.datetime


def id_to_text(value: Any) -> str:
    """Write an id as text that says of what type it is.

    :param value: an int, a str or a ``uuid.UUID``
    :returns: digits for an int; ``s`` and the text itself for a str; ``u`` and 32 hexadecimal digits for a UUID
    :raises InvalidIdError: for anything else, for text that is no UTF-8, and for what is longer than
        :data:`MAX_ID_LENGTH`

    >>> id_to_text(17), id_to_text('17'), id_to_text(uuid.UUID(int=17))
    ('17', 's17', 'u00000000000000000000000000000011')
    """
    if type(value) is int:
        if value.bit_length() > _MAX_BITS:
            raise InvalidIdError(f'an id of {value.bit_length()} bits is too long: an int may have {_MAX_BITS}')
        return str(value)
    if isinstance(value, str):
        return f's{_checked_text(str.__str__(value))}'
    if isinstance(value, uuid.UUID):
        return f'u{value.hex}'
    if not isinstance(value, bool) and type(value).__name__ not in ('bool_', 'bool'):
        try:
            return id_to_text(int(operator.index(value)))  # an IntEnum, a number of numpy's
        except TypeError:
            pass
    raise InvalidIdError(f'{short(value)} is a {type(value).__name__}, and no id: give an int, a str or a uuid.UUID')


def id_from_text(text: str) -> UserId:
    """Read an id as :func:`id_to_text` wrote it.

    >>> id_from_text('17'), id_from_text('s17')
    (17, '17')
    """
    if text.startswith('s'):
        return text[1:]
    if text.startswith('u'):
        return uuid.UUID(hex=text[1:])
    return int(text)


def ids_from_texts(texts: Iterable[str]) -> list[UserId]:
    """Read ids as :func:`id_to_text` wrote them; faster than one by one, because most are ints.

    >>> ids_from_texts(['17', 's17'])
    [17, '17']
    """
    texts = list(texts)
    try:
        return list(map(int, texts))
    except ValueError:
        return list(map(id_from_text, texts))


def to_pairs(user_id: Any, target_ids: Any, what: str) -> list[Pair]:
    """Texts of a user and of each target, each target once."""
    user, targets = id_to_text(user_id), to_texts('target_ids', target_ids)
    if user in targets and what in ('follow', 'mute', 'block'):
        raise InvalidIdError(f'{short(user_id)} can not {what} itself: leave it out of target_ids')
    return [(user, target) for target in targets]


def to_texts(name: str, values: Any) -> list[str]:
    if isinstance(values, (str, bytes, uuid.UUID)):
        raise InvalidArgumentError(f'{name} is {short(values)}: give a list of ids, [{short(values)}]')
    try:
        iterator = iter(values)
    except TypeError as error:
        raise InvalidArgumentError(f'{name} is {short(values)}: give a list of ids') from error
    return list(dict.fromkeys(map(id_to_text, iterator)))


def to_text_and_id(user_id: Any) -> tuple[str, UserId]:
    text = id_to_text(user_id)
    return text, id_from_text(text)


def to_row(follow: Any) -> tuple[str, str, int]:
    try:
        user_id, target_id, since = follow
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f'{short(follow)} is no follow: give Follow(user_id, target_id, since), or a tuple of these three'
        ) from error
    [(user, target)] = to_pairs(user_id, [target_id], 'follow')
    return user, target, to_milliseconds(since)


def to_position(before: Any, name: str, user_id: UserId) -> Position:
    """Where the page after a follow begins."""
    if not isinstance(before, tuple) or len(before) != 3:
        raise InvalidArgumentError(f'before is {short(before)}: give the last Follow of the page before')
    follow = Follow(*before)
    if id_to_text(getattr(follow, name)) != id_to_text(user_id):
        raise InvalidArgumentError(
            f'before is {short(before)}, and its {name} is not {short(user_id)}: give the last Follow of the page '
            'before'
        )
    if follow.since is None:
        raise InvalidArgumentError(f'before is {short(before)}, without since: give a Follow as it was returned')
    other = follow.user_id if name == 'target_id' else follow.target_id
    return to_milliseconds(follow.since), id_to_text(other)


def to_limit(limit: Any) -> int:
    try:
        if isinstance(limit, bool):
            raise TypeError('a bool')
        number = operator.index(limit)
    except TypeError as error:
        raise InvalidArgumentError(f'limit is {short(limit)}: give an int of at least 0') from error
    if number < 0:
        raise InvalidArgumentError(f'limit is {number}: it must not be negative')
    return int(number)


def to_milliseconds(since: Any) -> int:
    if since is None:
        return time.time_ns() // 1_000_000
    if not isinstance(since, datetime.datetime):
        raise InvalidArgumentError(f'since is {short(since)}: give a datetime, naive UTC or aware')
    if since.tzinfo is not None and since.utcoffset() is not None:
        since = since.astimezone(pytz.utc)
    return ids.to_milliseconds(since.replace(tzinfo=None))


def to_moment(milliseconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(milliseconds=milliseconds)


def _checked_text(text: str) -> str:
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidIdError(f'{short(text)} can not be an id, since UTF-8 can not write it') from error
    if length > MAX_ID_LENGTH:
        raise InvalidIdError(f'{short(text)} has {length} bytes: an id may have {MAX_ID_LENGTH}')
    return text


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
