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

>>> import pickle
>>> loads(pickle.dumps({'when': datetime.date(2014, 1, 2)}).decode('latin-1'))
{'when': datetime.date(2014, 1, 2)}
>>> loads("cos\\nsystem\\n(S'ls'\\ntR.")
Traceback (most recent call last):
    ...
stream_framework.exceptions.SerializationException: ... no pickle of plain data: it names os.system, ...
"""

from __future__ import annotations

import codecs
import datetime
import inspect
import re
import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

import pytz

from stream_framework import ids
from stream_framework.activity import MissingObject
from stream_framework.exceptions import SerializationException
from stream_framework.serializers import codec
from stream_framework.serializers.utils import short
from stream_framework.verbs import VERB_DICT, get_verb_storage
from stream_framework.verbs.base import Verb

#: The longest pickle that is read, in bytes.
MAX_SIZE = 16 * 2**20
#: How deep containers may be nested: what is deeper can't be written again either.
MAX_DEPTH = codec.MAX_DEPTH
#: How many values there may be, each counted as often as it is referred to: a list of ten lists of ten lists ... of the
#: same text is short as a pickle, and endless for whoever walks through it.
MAX_VALUES = 100_000
#: How long their texts and numbers may be together, counted likewise, in characters.
MAX_TEXT = 4 * MAX_SIZE
# Numbers beyond these are no data: reading the first from decimal digits takes quadratic time.
_MAX_DIGITS = 4000
_MAX_INT_BYTES = 1700


def loads(data: str | bytes, classes: Iterable[type] = ()) -> Any:
    """What a pickle of plain data says.

    :param data: the pickle; text is a pickle decoded as latin-1
    :param classes: the activity classes that it may hold, besides what the module names
    :raises SerializationException: for anything else; nothing was run and nothing was changed
    """
    try:
        return _Reader(data.encode('latin-1') if isinstance(data, str) else bytes(data), classes).load()
    except _ERRORS as error:
        raise SerializationException(f'{short(data)} is no pickle of plain data: {_reason(error)}') from error


# What the repr of a str is escaped with in Python 2; Python warns of others.
_ESCAPES = re.compile(rb"""\\(?:[\\'"nrt]|x[0-9a-f]{2})""")

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


def _reason(error: BaseException) -> str:
    if isinstance(error, SerializationException):
        return str(error)
    return f'{type(error).__name__}: {error}'


def _refuse(reason: str) -> NoReturn:
    raise SerializationException(reason)


class _Name(NamedTuple):
    """What a name in a pickle stands for: an entry of the table, never the thing itself."""

    name: str
    #: Called with the arguments that the pickle gives; checks them itself.
    make: Callable[..., Any] | None = None
    #: The class, where the pickle makes an empty instance first and fills it in afterwards.
    empty: Any = None


def _bytes(value: Any) -> bytes:
    """Bytes, which Python 2 wrote as str."""
    if type(value) is str:
        return value.encode('latin-1')
    if type(value) is not bytes:
        _refuse(f'{short(value)} instead of bytes')
    return value


def _make_moment(kind: Any, length: int) -> Callable[..., Any]:
    def make(state: Any, *zone: Any) -> Any:
        packed = _bytes(state)
        if len(packed) != length or len(zone) > 1 or not all(isinstance(item, datetime.tzinfo) for item in zone):
            _refuse(f'{short(state)} is no {kind.__name__}')
        return kind(packed, *zone)

    return make


def _make_timedelta(days: Any = 0, seconds: Any = 0, microseconds: Any = 0) -> datetime.timedelta:
    if not all(type(item) is int for item in (days, seconds, microseconds)):
        _refuse('a timedelta that is not made of ints')
    return datetime.timedelta(days, seconds, microseconds)


def _make_timezone(offset: Any, *name: Any) -> datetime.timezone:
    if type(offset) is not datetime.timedelta or not all(type(item) is str for item in name):
        _refuse(f'{short(offset)} is no offset from UTC')
    return datetime.timezone(offset, *name)


def _make_pytz_zone(name: Any, *variant: Any) -> Any:
    """A zone of pytz; localized datetimes have a variant of it (summer time, say), which is looked up, never added."""
    if type(name) is not str or name not in pytz.all_timezones_set:
        _refuse(f'{short(name)} is no time zone of pytz')
    zone: Any = pytz.timezone(name)
    if not variant:
        return zone
    offset, saving, abbreviation = variant
    wanted = (datetime.timedelta(seconds=offset), datetime.timedelta(seconds=saving), abbreviation)
    return zone._tzinfos[wanted]


def _make_decimal(text: Any) -> Decimal:
    if type(text) is not str or len(text) > _MAX_DIGITS:
        _refuse(f'{short(text)} is no Decimal')
    return Decimal(text)


def _make_complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        _refuse('a complex number that is not made of floats')
    return complex(real, imaginary)


def _make_encoded(text: Any, encoding: Any = 'latin1') -> bytes:
    """Bytes as the protocols before 3 write them."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        _refuse('bytes that are no text in latin-1')
    return text.encode('latin-1')


def _make_bytearray(value: Any = b'', *encoding: Any) -> bytearray:
    return bytearray(value if type(value) is bytes else _make_encoded(value, *encoding))


def _make_bytes() -> bytes:
    return b''


def _items(value: Any = ()) -> Any:
    if type(value) not in (list, tuple):
        _refuse(f'{short(value)} instead of a list')
    return value


_NAMES: dict[tuple[str, str], _Name] = {}
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
    _NAMES[_module, _name] = _Name(f'{_module}.{_name}', make=_make)
_SET = _NAMES['builtins', 'set'] = _Name('builtins.set')
_FROZENSET = _NAMES['builtins', 'frozenset'] = _Name('builtins.frozenset')
_ORDERED_DICT = _NAMES['collections', 'OrderedDict'] = _Name('collections.OrderedDict')
_OBJECT = _NAMES['builtins', 'object'] = _Name('builtins.object')
_RECONSTRUCTOR = _NAMES['copyreg', '_reconstructor'] = _Name('copyreg._reconstructor')
_NAMES['uuid', 'UUID'] = _Name('uuid.UUID', empty=uuid.UUID)

# Python 2's names for the same modules, which Python 3 too writes in the protocols of Python 2.
_PYTHON_2 = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}


class _Mark:
    """Where a group of items begins on the stack."""


_MARK = _Mark()


class _Reader:
    """One run of one pickle."""

    def __init__(self, data: bytes, classes: Iterable[type]) -> None:
        if len(data) > MAX_SIZE:
            _refuse(f'it is longer than {MAX_SIZE} bytes')
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.classes = {(cls.__module__, cls.__qualname__): cls for cls in classes}
        #: Instances that were made and not filled in yet: id -> the instance and its entry of the table.
        self.unfinished: dict[int, tuple[Any, _Name]] = {}
        #: How many values the hashes of keys walked through.
        self.hashed = 0

    def load(self) -> Any:
        # A value takes about two instructions, and may take more memory than them.
        for _ in range(4 * MAX_VALUES):
            code = self.read(1)[0]
            if code == 0x2E:  # STOP
                break
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                _refuse(f'instruction {bytes([code])!r} at position {self.position - 1} is not allowed')
            instruction(self)
        else:
            _refuse('it has more instructions than are read')
        found = self.pop()
        if self.stack:
            _refuse(f'{len(self.stack)} more values are left')
        if self.position != len(self.data):
            _refuse(f'there is more after position {self.position}')
        for _, name in self.unfinished.values():
            _refuse(f'a {name.name} is not filled in')
        _check_size(found)
        return found

    # Reading: never more than there is, whatever length is announced.

    def read(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            _refuse('it is cut off')
        found = self.data[self.position : end]
        self.position = end
        return found

    def read_line(self) -> bytes:
        end = self.data.find(b'\n', self.position)
        if end < 0:
            _refuse('it is cut off')
        found = self.data[self.position : end]
        self.position = end + 1
        return found

    def read_number(self, length: int) -> int:
        return int.from_bytes(self.read(length), 'little')

    # The stack.

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            _refuse('a value is missing')
        return value

    def pop_to_mark(self) -> list[Any]:
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is _MARK:
                found = self.stack[start + 1 :]
                del self.stack[start:]
                return found
        _refuse('a mark is missing')

    def top(self, *kinds: type) -> Any:
        """The container on top, which only this pickle can have made: nothing else has these very types."""
        value = self.stack[-1]
        if type(value) not in kinds:
            _refuse(f'it puts something into a {type(value).__name__}')
        return value

    # Names and what is made by them.

    def push_name(self, module: str, name: str) -> None:
        key = (_PYTHON_2.get(module, module), name)
        known: Any = _NAMES.get(key)
        if known is None and key in self.classes:
            known = _Name(f'{module}.{name}', empty=self.classes[key])
        if known is None:
            known = _registered_verbs().get(key)
        if known is None:
            _refuse(f'it names {short(module)[1:-1]}.{short(name)[1:-1]}, which is neither plain data nor allowed here')
        self.push(known)

    def reduce(self) -> None:
        arguments, name = self.pop(), self.pop()
        if type(arguments) is not tuple:
            _refuse('it calls something without a tuple of arguments')
        if type(name) is not _Name:
            _refuse(f'it calls {short(name)}')
        if name.make is not None:
            self.push(name.make(*arguments))
        elif name is _SET:
            self.push(set(self.checked_keys(_items(*arguments))))
        elif name is _FROZENSET:
            self.push(frozenset(self.checked_keys(_items(*arguments))))
        elif name is _ORDERED_DICT:
            found: OrderedDict[Any, Any] = OrderedDict()
            for pair in _items(*arguments):
                key, value = _items(pair)
                self.put(found, key, value)
            self.push(found)
        elif name is _RECONSTRUCTOR:
            cls, base, state = arguments
            if base is not _OBJECT or state is not None:
                _refuse('it makes an object in an unusual way')
            self.push_empty(cls)
        else:
            _refuse(f'it calls {name.name}')

    def new_object(self) -> None:
        arguments, name = self.pop(), self.pop()
        if arguments != ():
            _refuse('it makes an object with arguments')
        self.push_empty(name)

    def push_empty(self, name: Any) -> None:
        if type(name) is not _Name or name.empty is None:
            _refuse(f'it makes a {short(name)}')
        made = object.__new__(name.empty)
        self.unfinished[id(made)] = (made, name)
        self.push(made)

    def build(self) -> None:
        """Fill in an instance that this pickle made, once; no method of its class is called."""
        state = self.pop()
        made = self.stack[-1]
        unfinished = self.unfinished.pop(id(made), None)
        if unfinished is None or type(state) is not dict:
            _refuse(f'it changes a {type(made).__name__}')
        name = unfinished[1]
        if not all(type(key) is str for key in state):
            _refuse(f'the attributes of {name.name} are no names')
        if name.empty is uuid.UUID:
            _fill_uuid(made, state)
        else:
            _fill_activity(made, state)

    # Containers.

    def put(self, container: Any, key: Any, value: Any) -> None:
        container[self.checked_key(key)] = value

    def checked_keys(self, keys: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
        for key in keys:
            self.checked_key(key)
        return keys

    def checked_key(self, key: Any) -> Any:
        """Refuse what can't be hashed without running code of an application, or not within bounds.

        The hash of a tuple walks through all that it leads to, in C, and so without any limit of Python's.
        """
        pending = [(key, 0)]
        while pending:
            value, depth = pending.pop()
            self.hashed += 1
            if depth > MAX_DEPTH or self.hashed > MAX_VALUES:
                _refuse('its keys are too large')
            kind = type(value)
            if kind is tuple or kind is frozenset:
                pending.extend((item, depth + 1) for item in value)
            elif kind not in _KEYS and not _is_verb(value) or id(value) in self.unfinished:
                _refuse(f'a {kind.__name__} can not be a key')
        return key


def _fill_uuid(made: uuid.UUID, state: dict[str, Any]) -> None:
    number = state.get('int')
    if type(number) is not int or not 0 <= number < 1 << 128 or not state.keys() <= {'int', 'is_safe'}:
        _refuse('a UUID that is no number of 128 bits')
    # Its own __setattr__ refuses.
    object.__setattr__(made, 'int', number)
    object.__setattr__(made, 'is_safe', uuid.SafeUUID.unknown)


def _fill_activity(made: Any, state: dict[str, Any]) -> None:
    cls = type(made)
    for name in state:
        # An instance's attribute hides the class's method of that name.
        found = inspect.getattr_static(cls, name, None)
        hides = isinstance(found, type) or (hasattr(type(found), '__get__') and not isinstance(found, MissingObject))
        if name[:1] == '_' or not name.isidentifier() or hides:
            _refuse(f'{short(name)} is no attribute of an activity')
    if state.get('dehydrated', False) is not False:
        _refuse('an activity that is dehydrated')
    # Activities of the system have no actor.
    for name, kinds in (('actor_id', _IDS_OR_NONE), ('object_id', _IDS), ('target_id', _IDS_OR_NONE)):
        if not isinstance(state.get(name), kinds):
            _refuse(f'{name} is {short(state.get(name))}')
    if not _is_verb(state.get('verb')):
        _refuse(f'verb is {short(state.get("verb"))}')
    if type(state.get('time')) is not datetime.datetime or type(state.get('extra_context')) is not dict:
        _refuse('an activity without a time or a context')
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


_IDS = (int, str, uuid.UUID)
_IDS_OR_NONE = (*_IDS, type(None))
_KEYS = {
    type(None), bool, int, float, complex, str, bytes, Decimal, uuid.UUID,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
}  # fmt: skip


def _is_verb(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Verb)


def _registered_verbs() -> dict[tuple[str, str], type[Verb]]:
    values = getattr(get_verb_storage(), 'values', VERB_DICT.values)
    return {(verb.__module__, verb.__qualname__): verb for verb in values()}


def _check_size(root: Any) -> None:
    """Refuse what is too deep, or too large for whoever walks through it, and what contains itself.

    Sizes are summed up from the leaves, each object once, however often it is referred to.
    """
    sizes: dict[int, tuple[int, int, int]] = {}  # id -> height, values, characters
    pending = [(root, False)]
    open_ids: set[int] = set()
    while pending:
        value, entered = pending.pop()
        key = id(value)
        if key in sizes:
            continue
        children = _children(value)
        if children is None:
            sizes[key] = 0, 1, _characters(value)
        elif not entered:
            if key in open_ids:
                _refuse('something contains itself')
            if len(children) > MAX_VALUES:
                _refuse('it stands for more values than are read')
            open_ids.add(key)
            pending.append((value, True))
            pending.extend((child, False) for child in children)
        else:
            open_ids.remove(key)
            found = [sizes[id(child)] for child in children]
            height = 1 + max((size[0] for size in found), default=0)
            values = 1 + sum(size[1] for size in found)
            characters = sum(size[2] for size in found)
            if height > MAX_DEPTH:
                _refuse(f'it is nested deeper than {MAX_DEPTH} levels')
            if values > MAX_VALUES or characters > MAX_TEXT:
                _refuse('it stands for more values than are read')
            sizes[key] = height, values, characters


def _children(value: Any) -> list[Any] | None:
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return [item for pair in value.items() for item in pair]
    if kind in (list, tuple, set, frozenset):
        return list(value)
    if kind in _KEYS or kind is bytearray or _is_verb(value) or isinstance(value, datetime.tzinfo):
        return None
    if kind is _Name:
        _refuse(f'it holds {value.name} itself')
    # An activity: all else was never made.
    return list(value.__dict__.values())


def _characters(value: Any) -> int:
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    if isinstance(value, int):
        return value.bit_length() // 3
    return 0


# The instructions, by the byte that they begin with.


def _parse_int(line: bytes) -> int:
    if len(line) > _MAX_DIGITS:
        _refuse('a number is too long')
    return int(line)


def _int(reader: _Reader) -> None:
    line = reader.read_line()
    # Python 2 has no other instruction for booleans.
    reader.push(line == b'01' if line in (b'00', b'01') else _parse_int(line))


def _long(reader: _Reader) -> None:
    line = reader.read_line()
    reader.push(_parse_int(line[:-1] if line.endswith(b'L') else line))


def _binary_long(width: int) -> Callable[[_Reader], None]:
    def run(reader: _Reader) -> None:
        length = reader.read_number(width)
        if length > _MAX_INT_BYTES:
            _refuse('a number is too long')
        reader.push(int.from_bytes(reader.read(length), 'little', signed=True))

    return run


def _quoted(reader: _Reader) -> None:
    line = reader.read_line()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        _refuse('a text is not quoted')
    if b'\\' in line and b'\\' in _ESCAPES.sub(b'', line):
        _refuse('a text is escaped in a way that Python 2 has not')
    reader.push(codecs.escape_decode(line[1:-1])[0].decode('latin-1'))


def _sized(width: int, decode: Callable[[bytes], Any]) -> Callable[[_Reader], None]:
    return lambda reader: reader.push(decode(reader.read(reader.read_number(width))))


def _latin_1(data: bytes) -> str:
    return data.decode('latin-1')


def _utf_8(data: bytes) -> str:
    return data.decode('utf-8', 'surrogatepass')


def _raw_unicode(reader: _Reader) -> None:
    reader.push(reader.read_line().decode('raw-unicode-escape'))


def _constant(value: Any) -> Callable[[_Reader], None]:
    return lambda reader: reader.push(value)


def _tuple(length: int) -> Callable[[_Reader], None]:
    return lambda reader: reader.push(tuple(reversed([reader.pop() for _ in range(length)])))


def _pairs(reader: _Reader, container: Any, items: list[Any]) -> None:
    if len(items) % 2:
        _refuse('a key without a value')
    for key, value in zip(items[::2], items[1::2], strict=True):
        reader.put(container, key, value)


def _dict(reader: _Reader) -> None:
    found: dict[Any, Any] = {}
    _pairs(reader, found, reader.pop_to_mark())
    reader.push(found)


def _set_item(reader: _Reader) -> None:
    value, key = reader.pop(), reader.pop()
    reader.put(reader.top(dict, OrderedDict), key, value)


def _set_items(reader: _Reader) -> None:
    items = reader.pop_to_mark()
    _pairs(reader, reader.top(dict, OrderedDict), items)


def _append(reader: _Reader) -> None:
    value = reader.pop()
    reader.top(list).append(value)


def _append_all(reader: _Reader) -> None:
    items = reader.pop_to_mark()
    reader.top(list).extend(items)


def _add_all(reader: _Reader) -> None:
    items = reader.pop_to_mark()
    reader.top(set).update(reader.checked_keys(items))


def _protocol(reader: _Reader) -> None:
    if reader.read_number(1) > 5:
        _refuse('it is of a protocol that is newer than 5')


def _frame(reader: _Reader) -> None:
    if reader.read_number(8) > len(reader.data) - reader.position:
        _refuse('it is cut off')


def _remember(read: Callable[[_Reader], int]) -> Callable[[_Reader], None]:
    def run(reader: _Reader) -> None:
        number = read(reader)
        value = reader.pop()
        reader.memo[number] = value
        reader.push(value)

    return run


def _recall(read: Callable[[_Reader], int]) -> Callable[[_Reader], None]:
    return lambda reader: reader.push(reader.memo[read(reader)])


def _number(width: int) -> Callable[[_Reader], int]:
    return lambda reader: reader.read_number(width)


def _number_line(reader: _Reader) -> int:
    return _parse_int(reader.read_line())


def _global(reader: _Reader) -> None:
    module, name = reader.read_line(), reader.read_line()
    reader.push_name(module.decode('utf-8'), name.decode('utf-8'))


def _stack_global(reader: _Reader) -> None:
    name, module = reader.pop(), reader.pop()
    if type(name) is not str or type(module) is not str:
        _refuse('a name that is no text')
    reader.push_name(module, name)


_INSTRUCTIONS: dict[int, Callable[[_Reader], None]] = {
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
        '(': lambda reader: reader.push(_MARK),
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
        'R': _Reader.reduce,
        '\x81': _Reader.new_object,
        'b': _Reader.build,
    }.items()
}
