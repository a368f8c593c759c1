"""Pickles that 1.4.0 left, read without running what they say.

A pickle is a program: it names callables, calls them and sets attributes. A list of allowed names in a
``pickle.Unpickler`` is not enough, since an allowed class can be *changed* (``BUILD``), and so can what it leads to
(dotted names). So this is an interpreter of its own for the few instructions that plain data needs. A name in a pickle
only chooses among the entries of a table here; nothing is imported, and only containers that this very pickle made
are ever changed.

It reads what Python 2 wrote too (protocol 0 and up; its ``str`` as latin-1), of these kinds: None, bool, int, float,
complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, OrderedDict, datetime's classes (with the time zones
of pytz), Decimal, UUID, registered verbs, and the activity classes that the caller allows.

The formats are described in Python's own ``pickletools``.

>>> import datetime, pickle
>>> loads(pickle.dumps({'when': datetime.date(2014, 1, 2)}).decode('latin-1'))
{'when': datetime.date(2014, 1, 2)}
>>> loads("cos\\nsystem\\n(S'ls'\\ntR.")
Traceback (most recent call last):
    ...
stream_framework.exceptions.SerializationException: ... no pickle of plain data: it names os.system, ...
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from stream_framework.compat.pickles.instructions import INSTRUCTIONS
from stream_framework.compat.pickles.limits import MAX_DEPTH, MAX_SIZE, MAX_TEXT, MAX_VALUES, refuse
from stream_framework.compat.pickles.reader import Reader
from stream_framework.compat.pickles.sizes import check_size
from stream_framework.exceptions import SerializationException
from stream_framework.serializers.utils import short

__all__ = ['MAX_DEPTH', 'MAX_SIZE', 'MAX_TEXT', 'MAX_VALUES', 'loads']

_STOP = ord('.')

# What goes wrong with malformed instructions and with arguments that no constructor takes.
_ERRORS = (
    SerializationException,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    struct.error,
)


def loads(data: str | bytes, classes: Iterable[type] = ()) -> Any:
    """Return what a pickle of plain data says.

    :param data: the pickle; text is a pickle decoded as latin-1
    :param classes: the activity classes that it may hold, besides what the module names
    :raises SerializationException: for anything else; nothing was run and nothing was changed
    """
    try:
        return _run(Reader(data.encode('latin-1') if isinstance(data, str) else bytes(data), classes))
    except _ERRORS as error:
        raise SerializationException(f'{short(data)} is no pickle of plain data: {_reason(error)}') from error


def _reason(error: BaseException) -> str:
    if isinstance(error, SerializationException):
        return str(error)
    return f'{type(error).__name__}: {error}'


def _run(reader: Reader) -> Any:
    # A value takes about two instructions, and may take more memory than them.
    for _ in range(4 * MAX_VALUES):
        code = reader.read(1)[0]
        if code == _STOP:
            break
        instruction = INSTRUCTIONS.get(code)
        if instruction is None:
            refuse(f'instruction {bytes([code])!r} at position {reader.position - 1} is not allowed')
        instruction(reader)
    else:
        refuse('it has more instructions than are read')
    found = reader.pop()
    if reader.stack:
        refuse(f'{len(reader.stack)} more values are left')
    if reader.position != len(reader.data):
        refuse(f'there is more after position {reader.position}')
    for _, name in reader.unfinished.values():
        refuse(f'a {name.name} is not filled in')
    check_size(found)
    return found
