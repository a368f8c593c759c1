"""The instructions of pickles that plain data needs, by the byte that they begin with: see Python's ``pickletools``."""

from __future__ import annotations

import codecs
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from stream_framework.compat.pickles.limits import MAX_DIGITS, MAX_INT_BYTES, refuse
from stream_framework.compat.pickles.reader import MARK, Reader

# What the repr of a str is escaped with in Python 2; Python warns of others.
_ESCAPES = re.compile(rb"""\\(?:[\\'"nrt]|x[0-9a-f]{2})""")


def _parse_int(line: bytes) -> int:
    if len(line) > MAX_DIGITS:
        refuse('a number is too long')
    return int(line)


def _int(reader: Reader) -> None:
    line = reader.read_line()
    # Python 2 has no other instruction for booleans.
    reader.push(line == b'01' if line in (b'00', b'01') else _parse_int(line))


def _long(reader: Reader) -> None:
    line = reader.read_line()
    reader.push(_parse_int(line[:-1] if line.endswith(b'L') else line))


def _binary_long(width: int) -> Callable[[Reader], None]:
    def run(reader: Reader) -> None:
        length = reader.read_number(width)
        if length > MAX_INT_BYTES:
            refuse('a number is too long')
        reader.push(int.from_bytes(reader.read(length), 'little', signed=True))

    return run


def _quoted(reader: Reader) -> None:
    line = reader.read_line()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        refuse('a text is not quoted')
    if b'\\' in line and b'\\' in _ESCAPES.sub(b'', line):
        refuse('a text is escaped in a way that Python 2 has not')
    reader.push(codecs.escape_decode(line[1:-1])[0].decode('latin-1'))


def _sized(width: int, decode: Callable[[bytes], Any]) -> Callable[[Reader], None]:
    return lambda reader: reader.push(decode(reader.read(reader.read_number(width))))


def _latin_1(data: bytes) -> str:
    return data.decode('latin-1')


def _utf_8(data: bytes) -> str:
    return data.decode('utf-8', 'surrogatepass')


def _raw_unicode(reader: Reader) -> None:
    reader.push(reader.read_line().decode('raw-unicode-escape'))


def _constant(value: Any) -> Callable[[Reader], None]:
    return lambda reader: reader.push(value)


def _tuple(length: int) -> Callable[[Reader], None]:
    return lambda reader: reader.push(tuple(reversed([reader.pop() for _ in range(length)])))


def _pairs(reader: Reader, container: Any, items: list[Any]) -> None:
    if len(items) % 2:
        refuse('a key without a value')
    for key, value in zip(items[::2], items[1::2], strict=True):
        reader.put(container, key, value)


def _dict(reader: Reader) -> None:
    found: dict[Any, Any] = {}
    _pairs(reader, found, reader.pop_to_mark())
    reader.push(found)


def _set_item(reader: Reader) -> None:
    value, key = reader.pop(), reader.pop()
    reader.put(reader.top(dict, OrderedDict), key, value)


def _set_items(reader: Reader) -> None:
    items = reader.pop_to_mark()
    _pairs(reader, reader.top(dict, OrderedDict), items)


def _append(reader: Reader) -> None:
    value = reader.pop()
    reader.top(list).append(value)


def _append_all(reader: Reader) -> None:
    items = reader.pop_to_mark()
    reader.top(list).extend(items)


def _add_all(reader: Reader) -> None:
    items = reader.pop_to_mark()
    reader.top(set).update(reader.checked_keys(items))


def _protocol(reader: Reader) -> None:
    if reader.read_number(1) > 5:
        refuse('it is of a protocol that is newer than 5')


def _frame(reader: Reader) -> None:
    if reader.read_number(8) > len(reader.data) - reader.position:
        refuse('it is cut off')


def _remember(read: Callable[[Reader], int]) -> Callable[[Reader], None]:
    def run(reader: Reader) -> None:
        number = read(reader)
        value = reader.pop()
        reader.memo[number] = value
        reader.push(value)

    return run


def _recall(read: Callable[[Reader], int]) -> Callable[[Reader], None]:
    return lambda reader: reader.push(reader.memo[read(reader)])


def _number(width: int) -> Callable[[Reader], int]:
    return lambda reader: reader.read_number(width)


def _number_line(reader: Reader) -> int:
    return _parse_int(reader.read_line())


def _global(reader: Reader) -> None:
    module, name = reader.read_line(), reader.read_line()
    reader.push_name(module.decode('utf-8'), name.decode('utf-8'))


def _stack_global(reader: Reader) -> None:
    name, module = reader.pop(), reader.pop()
    if type(name) is not str or type(module) is not str:
        refuse('a name that is no text')
    reader.push_name(module, name)


INSTRUCTIONS: dict[int, Callable[[Reader], None]] = {
    ord(code): run
    for code, run in {
        '\x80': _protocol,
        '\x95': _frame,
        'N': _constant(None),
        '\x88': _constant(True),
        '\x89': _constant(False),
        'I': _int,
        'L': _long,
        'J': lambda reader: reader.push(int.from_bytes(reader.read(4), 'little', signed=True)),
        'K': lambda reader: reader.push(reader.read_number(1)),
        'M': lambda reader: reader.push(reader.read_number(2)),
        '\x8a': _binary_long(1),
        '\x8b': _binary_long(4),
        'F': lambda reader: reader.push(float(reader.read_line())),
        'G': lambda reader: reader.push(struct.unpack('>d', reader.read(8))[0]),
        'S': _quoted,
        'T': _sized(4, _latin_1),
        'U': _sized(1, _latin_1),
        'V': _raw_unicode,
        '\x8c': _sized(1, _utf_8),
        'X': _sized(4, _utf_8),
        '\x8d': _sized(8, _utf_8),
        'C': _sized(1, bytes),
        'B': _sized(4, bytes),
        '\x8e': _sized(8, bytes),
        '\x96': _sized(8, bytearray),
        '(': lambda reader: reader.push(MARK),
        ')': _constant(()),
        '\x85': _tuple(1),
        '\x86': _tuple(2),
        '\x87': _tuple(3),
        't': lambda reader: reader.push(tuple(reader.pop_to_mark())),
        ']': lambda reader: reader.push([]),
        'l': lambda reader: reader.push(reader.pop_to_mark()),
        'a': _append,
        'e': _append_all,
        '}': lambda reader: reader.push({}),
        'd': _dict,
        's': _set_item,
        'u': _set_items,
        '\x8f': lambda reader: reader.push(set()),
        '\x90': _add_all,
        '\x91': lambda reader: reader.push(frozenset(reader.checked_keys(reader.pop_to_mark()))),
        'p': _remember(_number_line),
        'q': _remember(_number(1)),
        'r': _remember(_number(4)),
        '\x94': _remember(lambda reader: len(reader.memo)),
        'g': _recall(_number_line),
        'h': _recall(_number(1)),
        'j': _recall(_number(4)),
        'c': _global,
        '\x93': _stack_global,
        'R': Reader.reduce,
        '\x81': Reader.new_object,
        'b': Reader.build,
    }.items()
}
