r"""Texts as both databases can hold them.

PostgreSQL's ``text`` has no NUL, and SQLite's functions stop at one; and what serializers make may be bytes. So what is
no plain text is stored as ``\x01``, the letter ``s`` (text) or ``b`` (bytes), and base64. Everything else is stored as
it is, and can be read with any tool.

>>> pack('plain'), pack('a\0b'), pack(b'\xff')
('plain', '\x01sYQBi', '\x01b/w==')
>>> unpack(pack('a\0b')), unpack(pack(b'\xff'))
('a\x00b', b'\xff')
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from stream_framework.exceptions import SerializationException
from stream_framework.serializers.utils import short

#: What starts with this isn't stored as it is.
MARK = '\x01'


def pack(value: Any) -> str:
    """Return what is stored of a text, of bytes or of a number.

    :raises SerializationException: for anything else, and for text that is no UTF-8
    """
    if type(value) is not str:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f'{MARK}b{base64.b64encode(value).decode()}'
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise SerializationException(
                f'{short(value)} is of type {type(value).__name__}: a serializer for SQL databases must return str or '
                'bytes'
            )
        value = str.__str__(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise SerializationException(f'{short(value)} can not be stored: what is no UTF-8: {error}') from error
    if '\x00' in value or value[:1] == MARK:
        return f'{MARK}s{base64.b64encode(value.encode()).decode()}'
    return value


def pack_all(values: Sequence[str]) -> list[str]:
    """Return what is stored of some texts; quick where all are plain, as keys of feeds are.

    >>> pack_all(['feed_1', 'feed_2'])
    ['feed_1', 'feed_2']
    """
    joined = ''.join(values)
    if joined.isascii() and '\x00' not in joined and MARK not in joined:
        return list(values)
    return list(map(pack, values))


def unpack(stored: Any) -> Any:
    """Return what :func:`pack` was given (of a number, its text).

    :raises SerializationException: for what it can't have made
    """
    if stored is None or stored[:1] != MARK:
        return stored
    try:
        data = base64.b64decode(stored[2:], validate=True)
        if stored[1:2] == 'b':
            return data
        if stored[1:2] == 's':
            return data.decode()
    except ValueError as error:
        raise SerializationException(f'{short(stored)} is no stored text: {error}') from error
    raise SerializationException(f'{short(stored)} is no stored text')


def unpack_all(stored: list[Any]) -> list[Any]:
    """Return what :func:`pack` was given of some texts; quick where all are plain.

    >>> unpack_all([pack('plain'), pack('a\\0b')])
    ['plain', 'a\\x00b']
    """
    if MARK in ''.join(stored):
        return list(map(unpack, stored))
    return stored
