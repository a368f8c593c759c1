"""Ids as bytes that sort as the numbers do.

Ids have 26 digits and more: too long for 64 bits. As 12 bytes, big-endian, they take a third of what their digits take,
and both databases compare bytes one by one, which is the order of the numbers. Numbers that don't fit are longer and
start with a byte that puts them below or above all others, then their length:

===============================  ====================================================================================
number                           bytes
===============================  ====================================================================================
within about ±3.9e28             12: the number plus 2**95; the first byte is never ``00`` or ``ff``
above                            ``ff``, 4 bytes of length, the number
below                            ``00``, then 4 bytes of length and the number, both with all bits turned over
===============================  ====================================================================================

>>> encode(13732667550000000000500001).hex()
'800b5c01664b4e04e28aa121'
>>> decode(encode(-5)), decode(encode(10**40))
(-5, 10000000000000000000000000000000000000000)
>>> sorted([10**40, -1, 7, -10**40, 10**26], key=encode) == sorted([10**40, -1, 7, -10**40, 10**26])
True
"""

from __future__ import annotations

from collections.abc import Iterable

#: How many bytes nearly all ids take.
WIDTH = 12

_OFFSET = 1 << 95
_LOWEST = (1 << 88) - _OFFSET
_HIGHEST = (255 << 88) - 1 - _OFFSET
_LENGTH = 0xFFFFFFFF

#: Below and above every id: for what has no bound.
BELOW_ALL = b''
ABOVE_ALL = b'\xff' * 6


def encode(number: int) -> bytes:
    """Return the bytes of a number."""
    if _LOWEST <= number <= _HIGHEST:
        return (number + _OFFSET).to_bytes(WIDTH, 'big')
    magnitude = abs(number)
    size = (magnitude.bit_length() + 7) // 8
    digits = size.to_bytes(4, 'big') + magnitude.to_bytes(size, 'big')
    return b'\xff' + digits if number > 0 else b'\x00' + bytes(255 - byte for byte in digits)


def decode(stored: bytes) -> int:
    """Return the number of such bytes."""
    if len(stored) == WIDTH:
        return int.from_bytes(stored, 'big') - _OFFSET
    stored = bytes(stored)
    if stored[0] == 255:
        return int.from_bytes(stored[5:], 'big')
    return -int.from_bytes(bytes(255 - byte for byte in stored[5:]), 'big')


def decode_all(stored: Iterable[bytes]) -> list[int]:
    """Return the numbers of some bytes; quicker than one by one.

    >>> decode_all([encode(17), encode(10**40)]) == [17, 10**40]
    True
    """
    from_bytes = int.from_bytes
    return [from_bytes(each, 'big') - _OFFSET if len(each) == WIDTH else decode(each) for each in stored]
