"""Contexts and task arguments as JSON: what comes back equals what went in, or is refused when it is written.

JSON itself says text, numbers, lists and dicts whose keys are text. For what it can't say there are two kinds of
tags:

``{"__type__": "datetime", "__value__": ...}``
    The types that ``kombu.utils.json`` (Celery's own) encodes, spelled as it spells them: datetime, date, time,
    Decimal, UUID, bytes. They are written and read here rather than by kombu, since kombu's releases differ (5.3 writes
    a version with a UUID, later ones don't): data of one process must be readable in every other. Types that the
    application registered with ``kombu.utils.json.register_type`` work too.
``{"__stream__": [kind, value]}``
    Ours: ``tuple``, ``set``, ``frozenset``, ``timedelta``, ``dict`` (keys that are no text, or a dict that looks like a
    tag itself), ``int`` (more digits than Python parses), ``float`` (the infinities), ``text`` (surrogates that JSON
    would join), ``zoned`` (a datetime in the hour that a time zone has twice).

>>> context = {'tags': ('a', 'b'), 1: datetime.date(2014, 2, 3)}
>>> loads(dumps(context)) == context
True
>>> dumps({'text': 'one; two'}, reserved=';')
'{"text":"one\\\\u003b two"}'
>>> dumps({'items': [1, object]})
Traceback (most recent call last):
    ...
stream_framework.exceptions.SerializationException: value['items'][1] is <class 'object'>, of type type: ...
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

from stream_framework.exceptions import SerializationException

#: How deep containers may be nested; what contains itself ends here too.
MAX_DEPTH = 100

_TAG = '__stream__'
_TYPE, _VALUE = '__type__', '__value__'
_ENVELOPE = {_TYPE, _VALUE}

# Written in decimal within these limits, which every setting of sys.set_int_max_str_digits() lets Python read.
_LARGE = 10**600

# The place between two surrogates that a JSON parser would join to one character.
_PAIR = re.compile('(?<=[\ud800-\udbff])(?=[\udc00-\udfff])')

_SMALL = 10**18
_CONSTANTS = {None: 'null', False: 'false', True: 'true'}

# Anything else in a JSON text of ours stands within a string, where an escape means the same.
_NOT_ESCAPABLE = re.compile(r'[^ -~]|[\w\[\]{}:,"\\.+-]')


def _no_default(value: Any) -> NoReturn:
    raise TypeError(f'{_described(value)}')


_encode = json.JSONEncoder(separators=(',', ':'), allow_nan=False, check_circular=False, default=_no_default).encode


class _Refused(Exception):
    """A value that can't be written; gathers the path to it on the way out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []


def dumps(value: Any, reserved: str = '', name: str = 'value') -> str:
    """Write a value as JSON in ASCII.

    :param value: None, bool, int, float, str, bytes, list, tuple, set, frozenset, dict with keys of any of the hashable
        ones, datetime, date, time, timedelta, Decimal, UUID, and what is registered with kombu; nested
        :data:`MAX_DEPTH` deep at most. Subclasses that are equal to the plain value (a str enum, a named tuple, a
        ``defaultdict``) come back as the plain value
    :param reserved: characters that the surrounding format needs; they are escaped (not letters, digits, or what JSON
        itself needs)
    :param name: what to call the value in an error
    :raises SerializationException: naming the path to what can't be written, and its type
    :raises ValueError: for a reserved character that can't be escaped
    """
    try:
        text = _dumps_fast(value) if type(value) is dict else None
        if text is None:
            text = _encode(_plain(value, 0))
    except _Refused as error:
        raise SerializationException(f'{name}{"".join(reversed(error.path))} {error.reason}') from error.__cause__
    except (RecursionError, ValueError, TypeError) as error:
        raise SerializationException(f'{name} of type {type(value).__name__} can not be stored: {error}') from error
    for character in reserved:
        if character in text:
            if _NOT_ESCAPABLE.match(character):
                raise ValueError(f'{character!r} can not be escaped within JSON')
            text = text.replace(character, f'\\u{ord(character):04x}')
    return text


def loads(text: str | bytes) -> Any:
    """Read what :func:`dumps` wrote.

    :raises SerializationException: for anything that :func:`dumps` doesn't write
    """
    try:
        if not isinstance(text, str):
            text = str(text, 'utf-8')
        # Without a tag in sight the hook, a call in Python for each dict, is left out.
        value, end = (_decode_tagged if '"__' in text else _decode)(text)
        if end != len(text):
            raise ValueError(f'there is more after position {end}')
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise SerializationException(f'{_short(text)} is no JSON of ours: {error}') from error
    return value


def _dumps_fast(value: dict[Any, Any]) -> str | None:
    # Most contexts are a few names with a text or a number each: nothing to tag, and no encoder to set up.
    parts = []
    for key, item in value.items():
        if type(key) is not str:
            return None
        kind = type(item)
        if kind is str:
            parts.append(f'{_encode(key)}:{_encode(item)}')
        elif kind is int and -_SMALL < item < _SMALL:
            parts.append(f'{_encode(key)}:{item}')
        elif kind is float and math.isfinite(item):
            parts.append(f'{_encode(key)}:{item!r}')
        elif kind is bool or item is None:
            parts.append(f'{_encode(key)}:{_CONSTANTS[item]}')
        else:
            return None
    text = f'{{{",".join(parts)}}}'
    # What has to be tagged.
    return None if '"__' in text or '\\ud' in text else text


def _plain(value: Any, depth: int) -> Any:
    """Return the same value in terms of JSON."""
    kind = type(value)
    if kind is str:
        if value.isascii() or not _PAIR.search(value):
            return value
        return {_TAG: ['text', _PAIR.split(value)]}
    if kind is int:
        return value if -_LARGE < value < _LARGE else {_TAG: ['int', f'{value:x}']}
    if value is None or kind is bool:
        return value
    if kind is float:
        if math.isfinite(value):
            return value
        if value != value:
            raise _Refused('is nan, which equals nothing, itself included, so it could not come back equal: use None')
        return {_TAG: ['float', str(value)]}
    writer = _WRITERS.get(kind)
    if writer is None:
        writer, value = _as_base(value)
    if depth >= MAX_DEPTH and writer in _CONTAINERS:
        raise _Refused(f'is nested deeper than {MAX_DEPTH} levels, or contains itself')
    return writer(value, depth)


def _as_base(value: Any) -> tuple[Callable[[Any, int], Any], Any]:
    """Return the plain value of a subclass's instance, if it is equal, and the function that writes it."""
    for base, convert in _BASES:
        if isinstance(value, base):
            try:
                plain = convert(value)
                equal = bool(plain == value)
            except Exception as error:
                raise _Refused(f'{_described(value)}: comparing it with a plain {base.__name__} failed') from error
            if not equal:
                raise _Refused(f'{_described(value)}: it does not equal the plain {base.__name__} that would be stored')
            return _WRITERS.get(base, _plain), plain
    return _write_registered, value


def _write_dict(value: dict[Any, Any], depth: int) -> Any:
    plain: dict[str, Any] = {}
    key: Any = None
    tagged = len(value) <= 2 and (value.keys() == {_TAG} or value.keys() == _ENVELOPE)
    try:
        for key, item in value.items():
            if type(key) is not str:
                tagged = True
                break
            if not key.isascii() and _PAIR.search(key):
                tagged = True
                break
            plain[key] = _plain(item, depth + 1)
        if not tagged:
            return plain
        pairs = []
        for key, item in value.items():
            pairs.append([_plain_key(key, depth + 1), _plain(item, depth + 1)])
        return {_TAG: ['dict', pairs]}
    except _Refused as error:
        error.path.append(f'[{_short(key)}]')
        raise


def _plain_key(key: Any, depth: int) -> Any:
    try:
        return _plain(key, depth)
    except _Refused as error:
        error.reason = f'(the key itself) {error.reason}'
        raise


def _write_list(value: Any, depth: int) -> list[Any]:
    plain = []
    try:
        for item in value:
            plain.append(_plain(item, depth + 1))
    except _Refused as error:
        error.path.append(f'[{len(plain)}]')
        raise
    return plain


def _write_tuple(value: tuple[Any, ...], depth: int) -> Any:
    return {_TAG: ['tuple', _write_list(value, depth)]}


def _write_set(value: Any, depth: int) -> Any:
    # In a fixed order: the same context is the same text, in every process.
    kind = 'set' if isinstance(value, set) else 'frozenset'
    try:
        items = [_plain(item, depth + 1) for item in value]
    except _Refused as error:
        error.path.append(' (in a set)')
        raise
    return {_TAG: [kind, sorted(items, key=_encode)]}


def _write_timedelta(value: datetime.timedelta, depth: int) -> Any:
    return {_TAG: ['timedelta', [value.days, value.seconds, value.microseconds]]}


def _write_bytes(value: bytes, depth: int) -> Any:
    try:
        return {_TYPE: 'bytes', _VALUE: _plain(value.decode('utf-8'), depth)}
    except UnicodeDecodeError:
        return {_TYPE: 'base64', _VALUE: base64.b64encode(value).decode('ascii')}


def _write_uuid(value: uuid.UUID, depth: int) -> Any:
    return {_TYPE: 'uuid', _VALUE: {'hex': value.hex}}


def _write_date(value: datetime.date, depth: int) -> Any:
    return {_TYPE: 'date', _VALUE: value.isoformat()}


def _write_time(value: datetime.time, depth: int) -> Any:
    return _checked({_TYPE: 'time', _VALUE: value.isoformat()}, value)


def _write_decimal(value: Decimal, depth: int) -> Any:
    return _checked({_TYPE: 'decimal', _VALUE: str(value)}, value)


def _write_datetime(value: datetime.datetime, depth: int) -> Any:
    zone = value.tzinfo
    if (
        isinstance(zone, zoneinfo.ZoneInfo)
        and zone.key
        and value.utcoffset() != value.replace(fold=1 - value.fold).utcoffset()
    ):
        # Python holds a time in the hour that a zone has twice equal to no time of any other zone: an offset from UTC
        # isn't enough, the zone itself has to come back.
        naive = value.replace(tzinfo=None, fold=0)
        return _checked({_TAG: ['zoned', [naive.isoformat(), value.fold, zone.key]]}, value)
    return _checked({_TYPE: 'datetime', _VALUE: value.isoformat()}, value)


def _write_registered(value: Any, depth: int) -> Any:
    # Whoever registered a type has imported the module; importing it for the others would cost more than the rest of
    # the library.
    kombu_json = sys.modules.get('kombu.utils.json')
    if kombu_json is None:
        _refuse_type(value)
    try:
        text = kombu_json.dumps(value)
        plain, back = json.loads(text), loads(text)
        equal = type(back) is type(value) and bool(back == value)
    except Exception as error:  # noqa: BLE001 - the application's own encoder may raise anything
        _refuse_type(value, error)
    if not equal:
        _refuse_type(value)
    return plain


def _checked(tagged: Any, value: Any) -> Any:
    try:
        equal = bool(_untag(tagged) == value)
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        raise _Refused(f'{_described(value)}: it can not be stored so that it comes back equal: {error}') from error
    if not equal:
        raise _Refused(f'{_described(value)}: it would not come back equal')
    return tagged


def _refuse_type(value: Any, cause: Exception | None = None) -> NoReturn:
    raise _Refused(
        f'{_described(value)}: JSON has no way to say that. Store a plain value (text, a number, a list, a dict) '
        'instead, or register its type, with kombu.utils.json.register_type, wherever activities are written or read'
    ) from cause


def _described(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__qualname__}'
    return f'is {_short(value)}, of type {name}'


_WRITERS: dict[type, Callable[[Any, int], Any]] = {
    dict: _write_dict,
    list: _write_list,
    tuple: _write_tuple,
    set: _write_set,
    frozenset: _write_set,
    datetime.datetime: _write_datetime,
    datetime.date: _write_date,
    datetime.time: _write_time,
    datetime.timedelta: _write_timedelta,
    Decimal: _write_decimal,
    uuid.UUID: _write_uuid,
    bytes: _write_bytes,
}
_CONTAINERS = frozenset({_write_dict, _write_list, _write_tuple, _write_set})


def _plain_datetime(value: datetime.datetime) -> datetime.datetime:
    return datetime.datetime.combine(value.date(), value.time(), value.tzinfo)


# Subclasses are made plain by the base's own methods: what a subclass overrides might say something else.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (bytes, lambda value: bytes(bytes.__iter__(value))),
    (datetime.datetime, _plain_datetime),
    (datetime.date, lambda value: datetime.date(value.year, value.month, value.day)),
    (datetime.time, lambda value: datetime.time.fromisoformat(datetime.time.isoformat(value))),
    (datetime.timedelta, lambda value: datetime.timedelta(value.days, value.seconds, value.microseconds)),
    (Decimal, Decimal),
    (uuid.UUID, lambda value: uuid.UUID(int=value.int)),
)


def _untag(found: dict[str, Any]) -> Any:
    """Return what a tag stands for, and other dicts as they are; the object hook of the parser."""
    if len(found) == 1 and _TAG in found:
        kind, value = found[_TAG]
        return _READERS[kind](value)
    if len(found) == 2 and found.keys() == _ENVELOPE:
        kind, value = found[_TYPE], found[_VALUE]
        reader = _KOMBU_READERS.get(kind)
        if reader is not None:
            return reader(value)
        kombu_json = sys.modules.get('kombu.utils.json')
        if kombu_json is None:
            raise ValueError(f'type {kind!r} is not known here: register it with kombu.utils.json.register_type')
        return kombu_json.object_hook(found)
    return found


def _read_zoned(value: Any) -> datetime.datetime:
    text, fold, key = value
    try:
        zone = zoneinfo.ZoneInfo(key)
    except OSError as error:
        # The name of a directory, say.
        raise ValueError(f'{_short(key)} is no time zone') from error
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def _read_dict(pairs: Any) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('a dict with one key twice')
    return found


def _read_float(text: Any) -> float:
    if text not in ('inf', '-inf'):
        raise ValueError(f'{text!r} is no float of ours')
    return float(text)


_READERS: dict[str, Callable[[Any], Any]] = {
    'tuple': tuple,
    'set': set,
    'frozenset': frozenset,
    'dict': _read_dict,
    'timedelta': lambda value: datetime.timedelta(*value),
    'int': lambda value: int(value, 16),
    'float': _read_float,
    'text': ''.join,
    'zoned': _read_zoned,
}
_KOMBU_READERS: dict[str, Callable[[Any], Any]] = {
    'datetime': datetime.datetime.fromisoformat,
    # A time of day is cut off, as kombu does.
    'date': lambda value: datetime.datetime.fromisoformat(value).date(),
    'time': datetime.time.fromisoformat,
    'decimal': lambda value: Decimal(str(value)),
    # Only the hex: kombu 5.3 also writes the version, which the hex holds already.
    'uuid': lambda value: uuid.UUID(hex=value['hex']),
    'bytes': lambda value: value.encode('utf-8'),
    'base64': lambda value: base64.b64decode(value, validate=True),
}


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the error to report is another
        text = f'<{type(value).__name__} whose repr fails: {type(error).__name__}>'
    return text if len(text) <= 100 else text[:97] + '...'


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is no JSON')


_decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode
_decode_tagged = json.JSONDecoder(object_hook=_untag, parse_constant=_no_constant).raw_decode
