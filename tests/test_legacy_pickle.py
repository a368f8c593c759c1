"""Pickles of 1.4.0 are read; whatever else a pickle says is refused, and neither run nor done."""

from __future__ import annotations

import datetime
import json
import pathlib
import pickle
import struct
import sys
import threading
import tracemalloc
import uuid
from collections import OrderedDict, defaultdict
from decimal import Decimal
from typing import Any

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.compat import pickles
from stream_framework.exceptions import SerializationException
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.aggregated_activity_serializer import NotificationSerializer
from stream_framework.verbs import Comment, Love
from stream_framework.verbs.base import Verb
from tests.contracts.support import at

FIXTURES = pathlib.Path(__file__).parent / 'fixtures'

#: What the pickles of Python 2.7 stand for; its str is read as latin-1.
PYTHON_2: dict[str, Any] = {
    'text': ['café 狗', '😀', 'plain', 'cafÃ©', "it's", 'a\nb', 'a\nb\\u'],
    'numbers': [0, 1, -1, 255, 65536, 2**31, 2**80, -(2**80), 1.5, 1e300, float('inf'), True, False, None, 1 + 2j],
    'containers': {
        'l': [1, [2]],
        't': (),
        't1': (1,),
        't2': (1, 2),
        't3': (1, 2, 3),
        't4': (1, 2, 3, 4),
        1: {},
        (1, 2): 'x',
        's': {1},
        'f': frozenset(['a']),
    },
    'ordered': OrderedDict([('b', 1), ('a', [2])]),
    'times': [
        datetime.datetime(2014, 1, 2, 3, 4, 5, 678901),
        datetime.date(2014, 1, 2),
        datetime.time(3, 4, 5),
        datetime.timedelta(-1, 5, 6),
    ],
    'decimal': [Decimal('1.50'), Decimal('-1E+9')],
    'uuid': [uuid.UUID('12345678123456781234567812345678')],
    'bytearray': [bytearray(b'\x00\xff')],
    'shared': [['same'] * 3, ['same'] * 3],
}
PYTHON_2_ROWS = json.loads((FIXTURES / 'pickles_py27.json').read_text())['rows']

zone = pytz.timezone('Europe/Amsterdam')
#: More that a context of Python 3 may have held.
PYTHON_3: dict[str, Any] = {
    **PYTHON_2,
    'bytes': [b'', b'\x00\xff;,', b'x' * 300],
    'long texts': ['x' * 300, 'é' * 70000, '\ud800'],
    'aware': [
        datetime.datetime(2014, 1, 2, tzinfo=pytz.utc),
        datetime.datetime(2014, 1, 2, tzinfo=datetime.timezone.utc),
        datetime.datetime(2014, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2), 'two')),
        zone.localize(datetime.datetime(2014, 7, 2)),
        datetime.time(1, tzinfo=pytz.utc),
    ],
    'fold': [datetime.datetime(2014, 10, 26, 2, 30, fold=1)],
    'safe uuid': [uuid.uuid1()],
    'verbs': [Love, Comment],
    'empty': [set(), frozenset(), {}, [], OrderedDict()],
    'sets': [{1, 'a', (1, 2)}, frozenset([1, 2]), frozenset([frozenset([1])])],
    'keys': {None: 1, 1.5: 2, Decimal(1): 3, datetime.date(2014, 1, 2): 4, uuid.UUID(int=7): 5, b'x': 6},
}


class Hug(Verb):
    """Never registered."""

    id = 77


class Shout(Activity):
    """An application's own activity class."""

    loud = False
    level: int

    def hears(self) -> str:
        return 'everybody'


class Holder:
    class Inner(Activity):
        pass


def exactly(value: Any) -> Any:
    """A value with the types of everything in it, since 1 == True == 1.0."""
    if isinstance(value, dict):
        return type(value), [(exactly(key), exactly(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exactly(item) for item in value]
    return type(value), value


class TestWhat140Left:
    def test_every_kind_was_written(self) -> None:
        assert {row['name'] for row in PYTHON_2_ROWS} == {*PYTHON_2, 'activities'}
        assert {row['protocol'] for row in PYTHON_2_ROWS} == {0, 1, 2}

    @pytest.mark.parametrize('number', [n for n, row in enumerate(PYTHON_2_ROWS) if row['name'] in PYTHON_2])
    def test_python_2(self, number: int) -> None:
        row = PYTHON_2_ROWS[number]
        found, expected = pickles.loads(row['pickle']), PYTHON_2[row['name']]
        if row['name'] == 'containers':
            assert found == expected
            assert type(found['s']) is set
            assert type(found['f']) is frozenset
        else:
            assert exactly(found) == exactly(expected)

    @pytest.mark.parametrize('number', [n for n, row in enumerate(PYTHON_2_ROWS) if row['name'] == 'activities'])
    def test_activities_of_python_2(self, number: int) -> None:
        first, second = pickles.loads(PYTHON_2_ROWS[number]['pickle'], [Activity])
        assert first is second
        expected = Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15, 123456), extra_context={'n': 1})
        assert vars(first) == vars(expected)
        assert first == expected
        assert first.target is None

    @pytest.mark.parametrize('protocol', range(6))
    @pytest.mark.parametrize('name', PYTHON_3)
    def test_python_3(self, name: str, protocol: int) -> None:
        data = pickle.dumps(PYTHON_3[name], protocol)
        for form in (data, data.decode('latin-1')):
            found = pickles.loads(form)
            assert exactly(found) == exactly(pickle.loads(data))
            assert exactly(found) == exactly(PYTHON_3[name])

    @pytest.mark.parametrize('protocol', range(6))
    @pytest.mark.parametrize('cls', [Activity, Shout, Holder.Inner])
    def test_activity_classes(self, cls: Any, protocol: int) -> None:
        made = cls(1, Love, uuid.UUID(int=2), 'three', time=at(1), extra_context={'a': [1]})
        if cls is Shout:
            made.loud, made.level = True, 11
        if cls is Holder.Inner and protocol < 4:
            pytest.skip('these protocols write no dotted names')
        data = pickle.dumps([made], protocol)
        (found,) = pickles.loads(data, [cls])
        assert type(found) is cls
        assert vars(found) == vars(made)
        assert found.serialization_id == made.serialization_id
        with pytest.raises(SerializationException, match=cls.__name__.split('.')[-1]):
            pickles.loads(data)

    @pytest.mark.parametrize('protocol', range(6))
    def test_activities_without_an_actor(self, protocol: int) -> None:
        made = Activity(None, Love, 2, time=at(1))
        (found,) = pickles.loads(pickle.dumps([made], protocol), [Activity])
        assert vars(found) == vars(made)
        del made.actor
        (found,) = pickles.loads(pickle.dumps([made], protocol), [Activity])
        assert (found.actor, found.actor_id) == (None, None)

    def test_aware_times_of_activities(self) -> None:
        made = Activity(1, Love, 2, time=at(1))
        made.time = zone.localize(datetime.datetime(2014, 7, 2, 12))
        found = pickles.loads(pickle.dumps(made), [Activity])
        assert found.time == datetime.datetime(2014, 7, 2, 10)

    def test_the_serializer_reads_contexts(self) -> None:
        for name in ('activities.json', 'activities_py27.json'):
            for row in json.loads((FIXTURES / name).read_text())['rows']:
                text = row['extra_context_repr']
                expected = eval(text, {'datetime': datetime})
                found = ActivitySerializer(Activity).loads(row['serialized'])
                assert exactly(found.extra_context) == exactly(expected)
                assert found.actor_id == row['actor_id']
                assert found.object_id == row['object_id']
                assert found.target_id == row['target_id']
                assert found.verb.id == row['verb']
                assert found.time == datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=row['time_us'])
                if 'serialization_id' in row:
                    assert str(found.serialization_id) == row['serialization_id']
                # ... and goes on as JSON.
                again = ActivitySerializer(Activity).loads(ActivitySerializer(Activity).dumps(found))
                assert exactly(again.extra_context) == exactly(expected)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.tuples(inner, inner)
                | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
                | st.sets(st.integers() | st.text(), max_size=4)
            ),
            max_leaves=20,
        ),
        st.integers(0, 5),
    )
    def test_any_plain_value(self, value: Any, protocol: int) -> None:
        assert exactly(pickles.loads(pickle.dumps(value, protocol))) == exactly(value)


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def proto_4_name(module: str, name: str) -> bytes:
    texts = [bytes([0x8C, len(part)]) + part.encode() for part in (module, name)]
    return b''.join(texts) + b'\x93'


def laughs(container: bytes, levels: int = 40) -> bytes:
    """Ten of the one before, level after level; ``container`` makes one of what is on the stack since the mark."""
    steps = [b'\x80\x04]\x94']
    for level in range(levels):
        steps.append(b'(' + bytes([0x68, level]) * 10 + container + b'\x94')
    return b''.join(steps) + b'.'


_first = b"cos\nsystem\n(S'echo no > /dev/null'\ntR."

HOSTILE: dict[str, bytes] = {
    'os.system': _first,
    'posix.system': b"cposix\nsystem\n(S'true'\ntR.",
    'nt.system': b"cnt\nsystem\n(S'true'\ntR.",
    'os.system, protocol 4': b'\x80\x04' + proto_4_name('os', 'system') + b'\x8c\x04true\x85R.',
    'subprocess': pickle.dumps(Calls(__import__('subprocess').getoutput, 'true')),
    'eval': pickle.dumps(Calls(eval, '1')),
    'exec': pickle.dumps(Calls(exec, 'x = 1')),
    'eval of Python 2': b"c__builtin__\neval\n(S'1'\ntR.",
    'open': pickle.dumps(Calls(open, '/nowhere', 'w')),
    'import': b"c__builtin__\n__import__\n(S'antigravity'\ntR.",
    'getattr': pickle.dumps(Calls(getattr, datetime.datetime, 'now')),
    'a getattr chain': b'c__builtin__\ngetattr\n(' * 2 + b"c__builtin__\nobject\nS'__class__'\ntRS'mro'\ntR.",
    'setattr': pickle.dumps(Calls(setattr, Love, 'id', 5)),
    'a verb is called': b'cstream_framework.verbs.base\nLove\n(tR.',
    'a verb is instantiated': b'cstream_framework.verbs.base\nLove\n)\x81.',
    'a verb is changed': b"cstream_framework.verbs.base\nLove\n(dS'id'\nI5\nsb.",
    'a class is changed': b"cdecimal\nDecimal\n(dS'evil'\nI5\nsb.",
    'an activity class is changed': b"cstream_framework.activity\nActivity\n(dS'evil'\nI5\nsb.",
    'an activity class is called': b'cstream_framework.activity\nActivity\n(I1\nI2\nI3\ntR.',
    'slots are set': b"cstream_framework.activity\nActivity\n)\x81(N(dS'evil'\nI5\nstb.",
    'a date is changed': b"cdatetime\ndate\n(S'\\x07\\xde\\x01\\x02'\ntR(dS'evil'\nI5\nsb.",
    'a dict is changed as an object': b"}(dS'evil'\nI5\nsb.",
    'an unfinished activity': b'cstream_framework.activity\nActivity\n)\x81.',
    'an empty activity': b'cstream_framework.activity\nActivity\n)\x81}b.',
    'an unfinished UUID': b'cuuid\nUUID\n)\x81.',
    'an unfinished UUID as a key': b'}cuuid\nUUID\n)\x81I1\ns.',
    'a UUID of text': b"cuuid\nUUID\n)\x81}S'int'\nS'x'\nsb.",
    'a UUID too large': b"cuuid\nUUID\n)\x81}S'int'\nL" + str(2**128).encode() + b'L\nsb.',
    'a UUID filled in twice': b"cuuid\nUUID\n)\x81}S'int'\nI1\nsb}S'int'\nI2\nsb.",
    'a UUID with more': b"cuuid\nUUID\n)\x81}S'int'\nI1\nsS'hex'\nI1\nsb.",
    'a UUID is called': b"cuuid\nUUID\n(S'12345678123456781234567812345678'\ntR.",
    'the class itself': b'cdatetime\ndatetime\n.',
    'a class in a list': b'(lcdecimal\nDecimal\na.',
    'object itself': b'c__builtin__\nobject\n)\x81.',
    'an empty dict by its class': b'c__builtin__\ndict\n)\x81.',
    'an unknown verb': pickle.dumps(Hug),
    'a function of an allowed module': b'cdatetime\nsys\n.',
    'a dotted name': b'\x80\x04' + proto_4_name('datetime', 'datetime.now') + b')R.',
    'a dotted way through a module': b'\x80\x04' + proto_4_name('uuid', 'os.system') + b'\x8c\x04true\x85R.',
    'a dotted way through a verb': b'\x80\x04'
    + proto_4_name('stream_framework.verbs.base', 'Love.__init__.__globals__')
    + b'.',
    'a verb by another name': b'\x80\x04' + proto_4_name('stream_framework.verbs', 'Love') + b'.',
    'a name that is no text': b'\x80\x04K\x01K\x02\x93.',
    'an extension': b'\x80\x02\x82\x01.',
    'a long extension': b'\x80\x02\x84\x01\x00\x00\x00.',
    'a persistent id': b'Pevil\n.',
    'a persistent id of the stack': b'K\x01Q.',
    'an instance of Python 2': b'(ios\nsystem\n.',
    'an object of Python 2': b'(cos\nsystem\no.',
    'keyword arguments': b'\x80\x04' + proto_4_name('stream_framework.activity', 'Activity') + b')}\x92.',
    'a buffer': b'\x80\x05\x97.',
    'reconstructing an int': b'ccopy_reg\n_reconstructor\n(cuuid\nUUID\nc__builtin__\nint\nI5\ntR.',
    'reconstructing a class': b'ccopy_reg\n_reconstructor\n(cdecimal\nDecimal\nc__builtin__\nobject\nNtR.',
    'another codec': b"c_codecs\nencode\n(Vabc\nS'rot13'\ntR.",
    'a default dict': pickle.dumps(defaultdict(list)),
    'range': pickle.dumps(range(10**9)),
    'a zone that is none': b"cpytz\n_p\n(S'../../etc/passwd'\ntR.",
    'a variant of a zone that is none': b"cpytz\n_p\n(S'Europe/Amsterdam'\nI77\nI0\nS'XXX'\ntR.",
    'datetime of ints': b'cdatetime\ndatetime\n(I2014\nI1\nI2\ntR.',
    'datetime of nonsense': b"cdatetime\ndatetime\n(S'0123456789'\ntR.",
    'timedelta of floats': b'cdatetime\ntimedelta\n(F1e300\ntR.',
    'timedelta too large': b'cdatetime\ntimedelta\n(I99999999999\ntR.',
    'Decimal of nonsense': b"cdecimal\nDecimal\n(S'nonsense'\ntR.",
    'a list as a key': b'}]I1\ns.',
    'an activity as a key': b'}cstream_framework.activity\nActivity\n)\x81I1\ns.',
    'a list in a set': b'\x80\x04\x8f(]\x90.',
    'put into a tuple': b')I1\na.',
    'put into a frozenset': b'\x80\x04(\x91(K\x01\x90.',
    'put into a name': b'c__builtin__\nset\nI1\na.',
    'set an item of a list': b']I1\nI1\ns.',
    'a key without a value': b'(I1\nd.',
    'a list that contains itself': b'(lp0\ng0\na.',
    'a dict that contains itself': b'(dp0\nI1\ng0\ns.',
    'an activity that contains itself': (
        lambda made: made.extra_context.update(me=made) or pickle.dumps(made)  # type: ignore[func-returns-value]
    )(Activity(1, Love, 2, time=at(1))),
    'a memo that was not written': b'h\x05.',
    'nothing': b'',
    'only the end': b'.',
    'two values': b'NN.',
    'a mark': b'(.',
    'a marked value': b'(\x940.',
    'more after the end': b'N.N.',
    'a newer protocol': b'\x80\x06N.',
    'no pickle': b'no pickle at all',
    'text not quoted': b'Sabc\n.',
    'text half quoted': b"S'abc\n.",
    'bad utf-8': b'\x8c\x02\xff\xff.',
    'bad float': b'Fx\n.',
    'bad int': b'Ix\n.',
}

#: What would take memory or time, or overflow a stack.
BOMBS: dict[str, bytes] = {
    'deep lists': b']' * 50_000 + b'a' * 49_999 + b'.',
    'deep tuples': b')' + b'\x85' * 50_000 + b'.',
    'a deep tuple as a key': b'})' + b'\x85' * 1000 + b'Ns.',
    'a very deep tuple as a key': b'})' + b'\x85' * 450_000 + b'Ns.',
    'billion laughs of lists': laughs(b'l'),
    'billion laughs of tuples': laughs(b't'),
    'laughs in a key': b'\x80\x04}' + laughs(b't')[2:-1].replace(b']\x94', b')\x94') + b'Ns.',
    'a long text, ten by ten': b'\x80\x04X' + struct.pack('<I', 10**6) + b'x' * 10**6 + laughs(b'l', 3)[3:],
    'an int of many digits': b'I' + b'9' * 10**6 + b'\n.',
    'a long of many digits': b'L' + b'9' * 10**6 + b'L\n.',
    'a long of many bytes': b'\x8b' + struct.pack('<I', 10**6) + b'\xff' * 10**6 + b'.',
    'a long that is announced only': b'\x8b\xff\xff\xff\x7f\x01.',
    'a text that is announced only': b'X\xff\xff\xff\xff\x01.',
    'a text of 2**63 bytes': b'\x8d' + struct.pack('<Q', 2**63) + b'x.',
    'bytes of 2**63 bytes': b'\x8e' + struct.pack('<Q', 2**63) + b'x.',
    'a bytearray of 2**63 bytes': b'\x96' + struct.pack('<Q', 2**63) + b'x.',
    'a frame of 2**63 bytes': b'\x80\x04\x95' + struct.pack('<Q', 2**63) + b'N.',
    'a Decimal of many digits': b"cdecimal\nDecimal\n(S'" + b'9' * 10**6 + b"'\ntR.",
    'many values': b'(' + b'N' * 110_000 + b'l.',
    'too long': b'X' + struct.pack('<I', 17 * 2**20) + b'x' * (17 * 2**20) + b'.',
}


class TestHostile:
    @pytest.mark.parametrize('name', [*HOSTILE, *BOMBS])
    def test_is_refused(self, name: str) -> None:
        """... and runs nothing, imports nothing, opens nothing, and changes no class."""
        data, events = {**HOSTILE, **BOMBS}[name], []
        watched = ('os.', 'subprocess.', 'import', 'exec', 'compile', 'open', 'pickle.', 'socket.')
        before = {cls: dict(vars(cls)) for cls in (Activity, Love, Decimal, uuid.UUID, datetime.datetime, OrderedDict)}
        modules = set(sys.modules)
        # Of this thread: clients that other tests have used may have threads of their own at work.
        here = threading.get_ident()
        on = True

        def watch(event: str, args: Any) -> None:
            if on and threading.get_ident() == here and event.startswith(watched):
                events.append((event, args))

        sys.addaudithook(watch)
        try:
            for form in (data, data.decode('latin-1')):
                with pytest.raises(SerializationException) as caught:
                    pickles.loads(form, [Activity])
                assert len(str(caught.value)) < 1000
        finally:
            on = False
        assert events == []
        assert {cls: dict(vars(cls)) for cls in before} == before
        assert set(sys.modules) == modules

    @pytest.mark.parametrize('name', BOMBS)
    def test_costs_little_memory(self, name: str) -> None:
        data = BOMBS[name]
        tracemalloc.start()
        try:
            with pytest.raises(SerializationException):
                pickles.loads(data, [Activity])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 64 * 2**20 + 4 * len(data)

    @pytest.mark.parametrize('row', [r for r in PYTHON_2_ROWS if r['name'] in ('containers', 'activities')])
    def test_truncated(self, row: Any) -> None:
        for end in range(len(row['pickle'])):
            with pytest.raises(SerializationException):
                pickles.loads(row['pickle'][:end], [Activity])

    @given(st.sampled_from([row['pickle'] for row in PYTHON_2_ROWS]), st.data())
    def test_changed_anywhere(self, text: str, data: st.DataObject) -> None:
        changed = bytearray(text.encode('latin-1'))
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        try:
            pickles.loads(bytes(changed), [Activity])
        except SerializationException:
            pass

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        try:
            pickles.loads(data, [Activity])
        except SerializationException:
            pass

    @pytest.mark.parametrize(
        ('name', 'value'),
        [
            ('_stored_id', 5),
            ('__class__', 5),
            ('serialization_id', 5),
            ('get_dehydrated', 5),
            ('hears', 5),
            ('with space', 5),
            ('verb', 3),
            ('verb', Hug),
            ('time', 5),
            ('time', None),
            ('object_id', None),
            ('actor_id', 1.5),
            ('object_id', [1]),
            ('target_id', 1.5),
            ('extra_context', None),
            ('extra_context', [1]),
            ('dehydrated', True),
        ],
    )
    def test_attributes_that_no_activity_has(self, name: str, value: Any) -> None:
        state = {**vars(Shout(1, Love, 2, time=at(1))), name: value}
        text = b'\x80\x04' + proto_4_name(Shout.__module__, 'Shout') + b')\x81' + pickle.dumps(state)[2:-1] + b'b.'
        with pytest.raises(SerializationException):
            pickles.loads(text, [Shout])

    def test_text_that_is_no_latin_1(self) -> None:
        with pytest.raises(SerializationException):
            pickles.loads('狗')

    def test_in_a_stored_activity(self) -> None:
        line = '1,3,42,0,1373266755.123456,' + _first.decode('latin-1')
        with pytest.raises(SerializationException, match='os.system'):
            ActivitySerializer(Activity).loads(line)
        group = f'v3group;;1373266755.123456;;1373266755.123456;;-1;;-1;;{line};;0'
        with pytest.raises(SerializationException, match='os.system'):
            NotificationSerializer(AggregatedActivity).loads(group)

    def test_a_pickle_that_is_no_dict(self) -> None:
        with pytest.raises(SerializationException, match='not a dict'):
            ActivitySerializer(Activity).loads('1,3,42,0,1373266755.123456,(lp0\n.')
