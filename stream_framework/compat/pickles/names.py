"""What the names in a pickle of 1.4.0 stand for: entries of a table, never the things themselves."""

from __future__ import annotations

import datetime
import inspect
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import pytz

from stream_framework import ids
from stream_framework.compat.pickles.limits import MAX_DIGITS, is_verb, refuse
from stream_framework.missing_object import MissingObject
from stream_framework.serializers.utils import short
from stream_framework.verbs import VERB_DICT, get_verb_storage
from stream_framework.verbs.base import Verb

_IDS = (int, str, uuid.UUID)
_IDS_OR_NONE = (*_IDS, type(None))


class Name(NamedTuple):
    """What a name in a pickle stands for: an entry of the table, never the thing itself."""

    name: str
    #: Called with the arguments that the pickle gives; checks them itself.
    make: Callable[..., Any] | None = None
    #: The class, where the pickle makes an empty instance first and fills it in afterwards.
    empty: Any = None


def _bytes(value: Any) -> bytes:
    """Return bytes, which Python 2 wrote as str."""
    if type(value) is str:
        return value.encode('latin-1')
    if type(value) is not bytes:
        refuse(f'{short(value)} instead of bytes')
    return value


def _make_moment(kind: Any, length: int) -> Callable[..., Any]:
    def make(state: Any, *zone: Any) -> Any:
        packed = _bytes(state)
        if len(packed) != length or len(zone) > 1 or not all(isinstance(item, datetime.tzinfo) for item in zone):
            refuse(f'{short(state)} is no {kind.__name__}')
        return kind(packed, *zone)

    return make


def _make_timedelta(days: Any = 0, seconds: Any = 0, microseconds: Any = 0) -> datetime.timedelta:
    if not all(type(item) is int for item in (days, seconds, microseconds)):
        refuse('a timedelta that is not made of ints')
    return datetime.timedelta(days, seconds, microseconds)


def _make_timezone(offset: Any, *name: Any) -> datetime.timezone:
    if type(offset) is not datetime.timedelta or not all(type(item) is str for item in name):
        refuse(f'{short(offset)} is no offset from UTC')
    return datetime.timezone(offset, *name)


def _make_pytz_zone(name: Any, *variant: Any) -> Any:
    """Look up a zone of pytz, and of localized datetimes the variant (summer time, say); none is ever added."""
    if type(name) is not str or name not in pytz.all_timezones_set:
        refuse(f'{short(name)} is no time zone of pytz')
    zone: Any = pytz.timezone(name)
    if not variant:
        return zone
    offset, saving, abbreviation = variant
    wanted = (datetime.timedelta(seconds=offset), datetime.timedelta(seconds=saving), abbreviation)
    return zone._tzinfos[wanted]


def _make_decimal(text: Any) -> Decimal:
    if type(text) is not str or len(text) > MAX_DIGITS:
        refuse(f'{short(text)} is no Decimal')
    return Decimal(text)


def _make_complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        refuse('a complex number that is not made of floats')
    return complex(real, imaginary)


def _make_encoded(text: Any, encoding: Any = 'latin1') -> bytes:
    """Return bytes as the protocols before 3 write them."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        refuse('bytes that are no text in latin-1')
    return text.encode('latin-1')


def _make_bytearray(value: Any = b'', *encoding: Any) -> bytearray:
    return bytearray(value if type(value) is bytes else _make_encoded(value, *encoding))


def _make_bytes() -> bytes:
    return b''


def items(value: Any = ()) -> Any:
    """Return a list or a tuple of the pickle, refuse anything else."""
    if type(value) not in (list, tuple):
        refuse(f'{short(value)} instead of a list')
    return value


_NAMES: dict[tuple[str, str], Name] = {}
for _module, _name, _make in (
    ('datetime', 'datetime', _make_moment(datetime.datetime, 10)),
    ('datetime', 'date', _make_moment(datetime.date, 4)),
    ('datetime', 'time', _make_moment(datetime.time, 6)),
    ('datetime', 'timedelta', _make_timedelta),
    ('datetime', 'timezone', _make_timezone),
    ('pytz', '_UTC', lambda: pytz.utc),
    ('pytz', '_p', _make_pytz_zone),
    ('decimal', 'Decimal', _make_decimal),
    ('_codecs', 'encode', _make_encoded),
    ('builtins', 'complex', _make_complex),
    ('builtins', 'bytes', _make_bytes),
    ('builtins', 'bytearray', _make_bytearray),
):
    _NAMES[_module, _name] = Name(f'{_module}.{_name}', make=_make)
SET = _NAMES['builtins', 'set'] = Name('builtins.set')
FROZENSET = _NAMES['builtins', 'frozenset'] = Name('builtins.frozenset')
ORDERED_DICT = _NAMES['collections', 'OrderedDict'] = Name('collections.OrderedDict')
OBJECT = _NAMES['builtins', 'object'] = Name('builtins.object')
RECONSTRUCTOR = _NAMES['copyreg', '_reconstructor'] = Name('copyreg._reconstructor')
_NAMES['uuid', 'UUID'] = Name('uuid.UUID', empty=uuid.UUID)

# Python 2's names for the same modules, which Python 3 too writes in the protocols of Python 2.
_PYTHON_2 = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}


def fill_uuid(made: uuid.UUID, state: dict[str, Any]) -> None:
    """Fill in a UUID that a pickle made, or refuse what is no number of 128 bits."""
    number = state.get('int')
    if type(number) is not int or not 0 <= number < 1 << 128 or not state.keys() <= {'int', 'is_safe'}:
        refuse('a UUID that is no number of 128 bits')
    # Its own __setattr__ refuses.
    object.__setattr__(made, 'int', number)
    object.__setattr__(made, 'is_safe', uuid.SafeUUID.unknown)


def fill_activity(made: Any, state: dict[str, Any]) -> None:
    """Fill in an activity that a pickle made, or refuse what no activity has; none of its methods is called."""
    cls = type(made)
    for name in state:
        # An instance's attribute hides the class's method of that name.
        found = inspect.getattr_static(cls, name, None)
        hides = isinstance(found, type) or (hasattr(type(found), '__get__') and not isinstance(found, MissingObject))
        if name[:1] == '_' or not name.isidentifier() or hides:
            refuse(f'{short(name)} is no attribute of an activity')
    if state.get('dehydrated', False) is not False:
        refuse('an activity that is dehydrated')
    # Activities of the system have no actor.
    for name, kinds in (('actor_id', _IDS_OR_NONE), ('object_id', _IDS), ('target_id', _IDS_OR_NONE)):
        if not isinstance(state.get(name), kinds):
            refuse(f'{name} is {short(state.get(name))}')
    if not is_verb(state.get('verb')):
        refuse(f'verb is {short(state.get("verb"))}')
    if type(state.get('time')) is not datetime.datetime or type(state.get('extra_context')) is not dict:
        refuse('an activity without a time or a context')
    made.__dict__.update(
        state,
        time=ids.naive_utc(state['time']),
        actor_id=state.get('actor_id'),
        target_id=state.get('target_id'),
    )
    for name in ('actor', 'target'):
        if made.__dict__[f'{name}_id'] is None:
            made.__dict__.setdefault(name, None)
    made.__dict__.pop('dehydrated', None)


def find(module: str, name: str, classes: Mapping[tuple[str, str], type]) -> Any:
    """Return what a name stands for: an entry of the table, one of the classes, or a registered verb; else ``None``."""
    key = (_PYTHON_2.get(module, module), name)
    if key in _NAMES:
        return _NAMES[key]
    if key in classes:
        return Name(f'{module}.{name}', empty=classes[key])
    return _registered_verbs().get(key)


def _registered_verbs() -> dict[tuple[str, str], type[Verb]]:
    values = getattr(get_verb_storage(), 'values', VERB_DICT.values)
    return {(verb.__module__, verb.__qualname__): verb for verb in values()}
