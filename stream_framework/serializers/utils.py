"""What several formats share: reserved characters, exact times."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterable
from typing import Any

import six

from stream_framework import ids
from stream_framework.exceptions import SerializationException

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_TIME = re.compile(r'(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?\Z')


def check_reserved(value: Any, reserved_characters: Iterable[str]) -> None:
    """Refuse a text that holds what a format needs for itself.

    :param value: the text
    :param reserved_characters: one or more characters each
    :raises SerializationException: naming the first that was found

    >>> check_reserved('3-2013-07-08', [';', ';;'])
    >>> check_reserved('one;two', [';'])
    Traceback (most recent call last):
        ...
    stream_framework.exceptions.SerializationException: 'one;two' holds ';', which the format reserves: ...
    """
    for reserved in reserved_characters:
        if reserved in value:
            raise SerializationException(
                f'{short(value)} holds {reserved!r}, which the format reserves: leave it out, or encode it'
            )


def check_ids(*values: Any) -> None:
    """Refuse what can't be the id of an actor, an object or a target.

    :raises ValueError: naming the first that is no int, str or ``uuid.UUID``
    """
    for value in values:
        if not isinstance(value, (int, str, uuid.UUID)):
            raise ValueError(f'{short(value)} is no id: only an int, a str or a uuid.UUID is')


def are_digits(text: str) -> bool:
    """Return whether a text is one or more of ``0`` to ``9``, and nothing else.

    Asked before ``int()``, which takes spaces, signs, underscores and other scripts' digits as well.
    """
    # A str looks up each character in the tables of Unicode, which takes five times as long.
    return text.encode('utf-8', 'surrogatepass').isdigit()


def format_time(time: datetime.datetime) -> str:
    """Write a time as seconds since 1970 with 6 decimals, exactly; aware ones are turned into UTC.

    >>> format_time(datetime.datetime(2013, 7, 8, 6, 59, 15, 123456))
    '1373266755.123456'
    >>> format_time(datetime.datetime(1969, 12, 31, 23, 59, 59, 500000))
    '-0.500000'
    """
    if time.tzinfo is not None:
        time = ids.naive_utc(time)
    passed = time - _EPOCH
    days = passed.days
    if days >= 0:
        # An f-string takes longer: a format specification is parsed each time.
        return '%d.%06d' % (days * 86400 + passed.seconds, passed.microseconds)  # noqa: UP031
    seconds, microseconds = divmod(-(passed // _MICROSECOND), 10**6)
    return f'-{seconds}.{microseconds:06d}'


def parse_time(text: str) -> datetime.datetime:
    """Read the naive UTC time that :func:`format_time`, or 1.4.0, wrote.

    :raises ValueError: if it is no number, or no time between the years 1 and 9999
    """
    seconds, _, decimals = text.partition('.')
    try:
        # Nearly all there is.
        if len(decimals) == 6 and 0 < len(seconds) <= 12 and are_digits(digits := seconds + decimals):
            return _EPOCH + int(digits) * _MICROSECOND
        match = _TIME.match(text)
        if match is None:
            raise ValueError(f'{short(text)} is no time in seconds since 1970')
        sign, seconds, decimals = match.groups()
        passed = datetime.timedelta(0, int(seconds), int((decimals or '0').ljust(6, '0')))
        return _EPOCH - passed if sign else _EPOCH + passed
    except OverflowError as error:
        raise ValueError(f'{text} is no time between the years 1 and 9999') from error


def to_text(data: Any) -> str:
    """Return stored data as text: some clients give bytes, some give bytes that are no UTF-8 as surrogates.

    :raises SerializationException: if it is neither, or no UTF-8
    """
    try:
        text = six.ensure_str(data)
        text.encode()
        return text
    except (TypeError, UnicodeError) as error:
        raise SerializationException(f'{short(data)} is no text: {error}') from error


def short(value: Any) -> str:
    """Return the ``repr`` of a value, cut off for a message."""
    if isinstance(value, (str, bytes)) and len(value) > 200:
        return f'{value[:80]!r}... ({len(value)} long)'
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + '...'
