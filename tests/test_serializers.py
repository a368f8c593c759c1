"""What is stored: the formats of 1.4.0, and contexts as JSON that comes back equal or is refused."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import json
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import pytest
import pytz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_framework.activity import (
    Activity,
    ActorSafeIdMixin,
    AggregatedActivity,
    DehydratedActivity,
    NotificationActivity,
)
from stream_framework.exceptions import SerializationException, StreamFrameworkError
from stream_framework.serializers import codec
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.aggregated_activity_serializer import (
    AggregatedActivitySerializer,
    NotificationSerializer,
)
from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer
from stream_framework.serializers.dummy import DummyAggregatedSerializer, DummySerializer
from stream_framework.serializers.pickle_serializer import AggregatedActivityPickleSerializer, PickleSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.serializers.utils import check_reserved
from stream_framework.verbs import Add, Comment, Follow, Love
from stream_framework.verbs.base import Verb
from tests.contracts.support import act, acts, at

FIXTURES = pathlib.Path(__file__).parent / 'fixtures'

plain = settings(derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


class Pin(Activity):
    """An application's own."""


class Safe(ActorSafeIdMixin, Activity):
    pass


class Hug(Verb):
    """Not registered."""

    id = 777
    infinitive = 'hug'
    past_tense = 'hugged'


class Colour(str, enum.Enum):
    RED = 'red'


class Loud(str):
    """Equal to nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


Point = collections.namedtuple('Point', 'x y')


def group(count: int = 3, name: str = '3-2013-07-08', cls: Any = AggregatedActivity) -> Any:
    made = cls(name)
    for activity in acts(count):
        made.append(activity)
    return made


def exactly(value: Any) -> Any:
    """A value with the types of all that is in it."""
    if isinstance(value, dict):
        return type(value), {(type(key), exactly(key)): exactly(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), tuple(exactly(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return type(value), frozenset((type(item), exactly(item)) for item in value)
    return type(value), value


class TestActivitySerializer:
    serializer = ActivitySerializer(Activity)

    def test_the_format_of_1_4_0(self) -> None:
        activity = Activity(13, Love, 42, 7, time=datetime.datetime(2013, 7, 8, 6, 59, 15, 123456))
        assert self.serializer.dumps(activity) == '13,3,42,7,1373266755.123456,'
        activity = Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15))
        assert self.serializer.dumps(activity) == '13,3,42,0,1373266755.000000,'

    @pytest.mark.parametrize('name', ['activities.json', 'activities_py27.json'])
    def test_what_1_4_0_wrote_loads(self, name: str) -> None:
        for row in json.loads((FIXTURES / name).read_text())['rows']:
            expected = Activity(
                row['actor_id'],
                {verb.id: verb for verb in (Follow, Comment, Love, Add)}[row['verb']],
                row['object_id'],
                row['target_id'],
                time=datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=row['time_us']),
                extra_context=eval(row['extra_context_repr'], {'datetime': datetime}),
            )
            for form in (row['serialized'], row['serialized'].encode()):
                found = self.serializer.loads(form)
                assert vars(found) == vars(expected)
                assert found == expected
            if not expected.extra_context:
                assert self.serializer.dumps(expected) == row['serialized']

    def test_nobody(self) -> None:
        activity = Activity(None, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15))
        # As 1.4.0 wrote it, which could not read it.
        text = 'None,3,42,0,1373266755.000000,'
        assert self.serializer.dumps(activity) == text
        found = self.serializer.loads(text)
        assert vars(found) == vars(activity)
        (found,) = self.serializer.load_many([(activity.serialization_id, text)])
        assert (found.actor, found.actor_id, found.stored_id) == (None, None, activity.serialization_id)
        by_name = Activity('None', Love, 42)
        assert self.serializer.loads(self.serializer.dumps(by_name)).actor_id == 'None'
        for wrong in ('none', 'null', '', ' None'):
            with pytest.raises(SerializationException):
                self.serializer.loads(text.replace('None', wrong))
        with pytest.raises(SerializationException):
            self.serializer.loads('1,3,None,0,1373266755.000000,')

    def test_contexts_are_json(self) -> None:
        text = self.serializer.dumps(act(1, extra_context={'a': [1, None, True, 'é;']}))
        assert json.loads(text.split(',', 5)[5]) == {'a': [1, None, True, 'é;']}
        assert ';' not in text
        assert text.isascii()
        assert '\n' not in text

    @pytest.mark.parametrize('target', [None, 0, 7, -7, 'seven', '', '0', uuid.UUID(int=7)])
    def test_targets(self, target: Any) -> None:
        found = self.serializer.loads(self.serializer.dumps(act(1, target=target)))
        assert (found.target_id, type(found.target_id)) == (target, type(target))
        if target is None:
            assert found.target is None
        else:
            with pytest.raises(AttributeError, match='target_id'):
                _ = found.target

    @pytest.mark.parametrize(
        'time',
        [
            datetime.datetime(1970, 1, 1),
            datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
            datetime.datetime(1, 1, 1),
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime.datetime(2038, 1, 19, 3, 14, 7, 1),
            datetime.datetime(2001, 9, 9, 1, 46, 39, 999999),
        ],
    )
    def test_times_are_exact(self, time: datetime.datetime) -> None:
        activity = Safe(1, Love, 2, time=time)
        assert ActivitySerializer(Safe).loads(ActivitySerializer(Safe).dumps(activity)).time == time

    def test_the_class_that_was_asked_for(self) -> None:
        assert type(ActivitySerializer(Pin).loads('13,3,42,0,1373266755.123456,')) is Pin
        assert ActivitySerializer(activity_class=Pin).activity_class is Pin

    @pytest.mark.parametrize('wrong', [None, 1, 'text', object(), Activity, DehydratedActivity(1), group(1)])
    def test_wrong_types(self, wrong: Any) -> None:
        with pytest.raises(ValueError):
            self.serializer.dumps(wrong)
        with pytest.raises(ValueError):
            self.serializer.check_type(wrong)
        with pytest.raises(ValueError):
            ActivitySerializer(Pin).dumps(act(1))

    @pytest.mark.parametrize(
        'data',
        [
            '',
            'nonsense',
            b'\xff\xfe',
            None,
            5,
            [],
            ',,,,,',
            '1,3,42,0,1373266755.123456',
            '1,3,42,0,,',
            '1,3,42,0,x,',
            '1,3,x,0,1373266755.1,',
            '1,x,42,0,1373266755.1,',
            '1,999,42,0,1373266755.1,',
            '1,3,42,0,1373266755.1234567,',
            '1,3,42,0,99999999999999.1,',
            '1,3,42,0,1e9,',
            '1, 3,42,0,1373266755.1,',
            '١,3,42,0,1373266755.123456,',
            '1_0,3,42,0,1373266755.123456,',
            '1,3,42,0,1373266755.123456,{',
            '1,3,42,0,1373266755.123456,{"a":1}x',
            '1,3,42,0,1373266755.123456,[]',
            '1,3,42,0,1373266755.123456,nonsense',
            '1,3,42,0,1373266755.123456,{"a":NaN}',
            's:%ZZ,3,42,0,1373266755.123456,',
            'u:12,3,42,0,1373266755.123456,',
            's:a%20b%2,3,42,0,1373266755.123456,',
            'v3group;;-1;;-1;;-1;;-1;;;;0',
            '1,3,42,0,1373266755.123456,{"__stream__":["nonsense",1]}',
            '1,3,42,0,1373266755.123456,{"__type__":"nonsense","__value__":1}',
        ],
    )
    def test_what_can_not_be_read(self, data: Any) -> None:
        with pytest.raises(SerializationException) as caught:
            self.serializer.loads(data)
        assert isinstance(caught.value, StreamFrameworkError)

    def test_unknown_verbs_are_named(self) -> None:
        with pytest.raises(SerializationException, match='777.*register'):
            self.serializer.loads('1,777,42,0,1373266755.123456,')

    @pytest.mark.parametrize('context', [[1], (), '', 'text', 5, 0, {1, 2}])
    def test_contexts_that_are_no_dict(self, context: Any) -> None:
        activity = act(1)
        activity.extra_context = context
        with pytest.raises(SerializationException, match='extra_context'):
            self.serializer.dumps(activity)

    @pytest.mark.parametrize('attribute', ['actor_id', 'object_id', 'target_id'])
    def test_ids_that_are_none(self, attribute: str) -> None:
        activity = act(1)
        setattr(activity, attribute, 1.5)
        with pytest.raises(SerializationException):
            self.serializer.dumps(activity)

    def test_what_a_class_of_ones_own_refuses(self) -> None:
        class Small(Activity):
            def __init__(self, actor: Any, *args: Any, **kwargs: Any) -> None:
                if actor > 10:
                    raise ValueError(f'{actor} is too much')
                super().__init__(actor, *args, **kwargs)

        with pytest.raises(SerializationException, match='42,3,1,.* is no stored activity: 42 is too much'):
            ActivitySerializer(Small).loads('42,3,1,0,1373266755.123456,')

    def test_long_errors_are_cut(self) -> None:
        with pytest.raises(SerializationException) as caught:
            self.serializer.loads('x' * 10**6)
        assert len(str(caught.value)) < 1000

    def test_what_was_read_is_shared_by_nobody(self) -> None:
        text = '1,3,42,0,1373266755.123456,{"a":[1]}'
        first, second = self.serializer.loads(text), self.serializer.loads(text)
        first.extra_context['a'].append(2)
        first.object_id = 43
        assert (second.extra_context, second.object_id) == ({'a': [1]}, 42)

    @pytest.mark.parametrize(
        'text',
        [
            '1,3,42,0,1373266755.123456,',
            '1,3,42,00,1373266755.123456,',
            '01,3,42,7,0.000000,',
            '1,3,42,7,99999999999.999999,',
            '1,3,42,7,-1.500000,',
            '-1,3,42,7,1373266755.123456,{"a":1}',
            's:a,3,42,7,1373266755.123456,',
            '1,3,42,7,1373266755.1,',
        ],
    )
    def test_pages_are_read_as_single_activities_are(self, text: str) -> None:
        alone = self.serializer.loads(text)
        in_page, unknown, as_bytes = self.serializer.load_many([(5, text), (None, text), ('5', text.encode())])
        alone.stored_under(5)
        assert vars(in_page) == vars(as_bytes) == vars(alone)
        assert unknown.stored_id is None and unknown.serialization_id != 5

    @pytest.mark.parametrize('text', ['1,999,42,0,1.000000,', '1,3,42,0,999999999999.000000,', '1,3,,0,1.000000,', ''])
    def test_pages_that_can_not_be_read(self, text: str) -> None:
        with pytest.raises(SerializationException):
            self.serializer.load_many([(5, '1,3,42,0,1373266755.123456,'), (6, text)])


class TestAggregatedActivitySerializer:
    serializer = AggregatedActivitySerializer(AggregatedActivity)

    def test_the_format_of_1_4_0(self) -> None:
        made = group(2)
        made.seen_at = datetime.datetime(2013, 7, 8, 7, 0, 0, 5)
        made.minimized_activities = 4
        first, second = made.activity_ids
        text = self.serializer.dumps(made)
        assert text == (
            f'v33-2013-07-08;;1373266755.000000;;1373266756.000000;;1373266800.000005;;-1;;{first};{second};;4'
        )
        found = self.serializer.loads(text)
        assert type(found) is AggregatedActivity
        assert found.dehydrated
        assert found.activity_ids == [first, second]
        assert (found.group, found.created_at, found.updated_at) == (made.group, made.created_at, made.updated_at)
        assert (found.seen_at, found.read_at, found.minimized_activities) == (made.seen_at, None, 4)

    def test_notifications_hold_whole_activities(self) -> None:
        serializer = NotificationSerializer(NotificationActivity)
        made = group(2, cls=NotificationActivity)
        made.activities[0].extra_context = {'text': 'a;b;;c,d'}
        text = serializer.dumps(made)
        assert text.startswith('v33-2013-07-08;;1373266755.000000;;1373266756.000000;;-1;;-1;;1000,3,500,0,')
        found = serializer.loads(text)
        assert type(found) is NotificationActivity
        assert not found.dehydrated
        assert [vars(activity) for activity in found.activities] == [vars(activity) for activity in made.activities]

    def test_what_is_given_is_not_changed(self) -> None:
        made = group(3)
        before = (made.dehydrated, list(made.activities), list(made._activity_ids))
        self.serializer.dumps(made)
        assert (made.dehydrated, made.activities, made._activity_ids) == before

    def test_dehydrated_groups(self) -> None:
        made = group(3)
        text = self.serializer.dumps(made)
        assert self.serializer.dumps(group(3).get_dehydrated()) == text
        with pytest.raises(SerializationException, match='dehydrated'):
            NotificationSerializer(AggregatedActivity).dumps(made.get_dehydrated())

    def test_attributes(self) -> None:
        for cls in (AggregatedActivitySerializer, NotificationSerializer):
            assert cls.identifier == 'v3'
            assert cls.activity_serializer_class is ActivitySerializer
        assert AggregatedActivitySerializer.dehydrate is True
        assert NotificationSerializer.dehydrate is False
        assert BaseAggregatedSerializer.dehydrate is False
        assert issubclass(NotificationSerializer, AggregatedActivitySerializer)

    @pytest.mark.parametrize('name', ['a;b', ';', 'a;;b', 'end;'])
    @pytest.mark.parametrize('cls', [AggregatedActivitySerializer, NotificationSerializer])
    def test_reserved_characters_in_the_name(self, cls: Any, name: str) -> None:
        with pytest.raises(SerializationException, match='reserve'):
            cls(AggregatedActivity).dumps(group(1, name=name))

    @pytest.mark.parametrize('name', ['', 'a,b', 'é狗', 'v3', '-1', 'a b\nc', '%3B'])
    @pytest.mark.parametrize('cls', [AggregatedActivitySerializer, NotificationSerializer])
    def test_other_names(self, cls: Any, name: str) -> None:
        text = cls(AggregatedActivity).dumps(group(1, name=name))
        assert cls(AggregatedActivity).loads(text).group == name
        assert cls(AggregatedActivity).loads(text.encode()).group == name

    def test_applications_override(self) -> None:
        class Short(ActivitySerializer):
            def dumps(self, activity: Any) -> str:
                return f'{activity.actor_id}@{activity.object_id}'

            def loads(self, serialized_activity: Any) -> Any:
                actor, object_ = serialized_activity.split('@')
                return self.activity_class(int(actor), Love, int(object_), time=at(0))

        class Own(NotificationSerializer):
            identifier = 'own1:'
            activity_serializer_class = Short

        serializer = Own(NotificationActivity, activity_class=Pin)
        text = serializer.dumps(group(2, cls=NotificationActivity))
        assert text.startswith('own1:3-2013-07-08;;')
        assert ';;1000@500;1001@501;;0' in text
        found = serializer.loads(text)
        assert [(type(activity), activity.actor_id) for activity in found.activities] == [(Pin, 1000), (Pin, 1001)]
        for other in (NotificationSerializer(NotificationActivity), self.serializer):
            with pytest.raises(SerializationException, match='v3'):
                other.loads(text)
        with pytest.raises(SerializationException, match='own1:'):
            serializer.loads(self.serializer.dumps(group(1)))

    def test_an_activity_serializer_that_writes_what_is_reserved(self) -> None:
        class Bad(ActivitySerializer):
            def dumps(self, activity: Any) -> str:
                return 'a;b'

        class Own(NotificationSerializer):
            activity_serializer_class = Bad

        with pytest.raises(SerializationException, match='reserve'):
            Own(AggregatedActivity).dumps(group(1))

    @pytest.mark.parametrize('wrong', [None, 1, 'text', act(1), DehydratedActivity(1), AggregatedActivity])
    @pytest.mark.parametrize('cls', [AggregatedActivitySerializer, NotificationSerializer])
    def test_wrong_types(self, cls: Any, wrong: Any) -> None:
        with pytest.raises(ValueError):
            cls(AggregatedActivity).dumps(wrong)
        with pytest.raises(ValueError):
            cls(NotificationActivity).dumps(group(1))

    @pytest.mark.parametrize(
        'data',
        [
            '',
            'v3',
            'v4group;;-1;;-1;;-1;;-1;;;;0',
            'v3group;;-1;;-1;;-1;;-1;;0',
            'v3group;;-1;;-1;;-1;;-1;;-1;;;;0',
            'v3group;;-1;;-1;;-1;;-1;;1;;2;;0',
            'v3group;;-1;;-1;;-1;;-1;;1;+2;;0',
            'v3group;;.123456;;-1;;-1;;-1;;;;0',
            'v3group;;x;;-1;;-1;;-1;;;;0',
            'v3group;;-1;;-1;;-1;;-1;;x;;0',
            'v3group;;-1;;-1;;-1;;-1;;;;x',
            'v3group;;-1;;-1;;-1;;-1;;;;-1',
            'v3group;;-1;;-1;;-1;;-1;;1;;2;;0',
            'v3group;;-1;;-1;;-1;;-1;;1;;2;;0;;5',
            None,
            5,
            b'\xff',
            '1,3,42,0,5.5,',
        ],
    )
    @pytest.mark.parametrize('cls', [AggregatedActivitySerializer, NotificationSerializer])
    def test_what_can_not_be_read(self, cls: Any, data: Any) -> None:
        with pytest.raises(SerializationException):
            cls(AggregatedActivity).loads(data)

    def test_unknown_verbs_inside(self) -> None:
        text = 'v3g;;1373266755.000000;;1373266755.000000;;-1;;-1;;1,777,42,0,1373266755.123456,;;0'
        with pytest.raises(SerializationException, match='777'):
            NotificationSerializer(NotificationActivity).loads(text)

    def test_dates_of_the_second_before_1970(self) -> None:
        made = AggregatedActivity('g', [act(1)], datetime.datetime(1969, 12, 31, 23, 59, 59), at(1))
        found = self.serializer.loads(self.serializer.dumps(made))
        assert (found.created_at, found.seen_at) == (made.created_at, None)


class TestTheOthers:
    def test_base(self) -> None:
        serializer = BaseSerializer(Activity)
        activity = act(1)
        assert serializer.dumps(activity) is activity
        assert serializer.loads(activity) is activity
        assert serializer.activity_class is Activity
        with pytest.raises(ValueError):
            serializer.dumps('text')
        BaseSerializer(Activity, 1, 2, any=3)

    def test_base_aggregated(self) -> None:
        serializer = BaseAggregatedSerializer(NotificationActivity, activity_class=Pin)
        assert serializer.aggregated_activity_class is NotificationActivity
        assert serializer.activity_class is Pin
        with pytest.raises(ValueError):
            serializer.check_type(group(1))
        serializer.check_type(group(1, cls=NotificationActivity))

    def test_dummy(self) -> None:
        activity = act(1)
        assert DummySerializer(Activity).dumps(activity) is activity
        assert DummySerializer(Activity).loads('anything') == 'anything'
        made = group(1)
        assert DummyAggregatedSerializer(AggregatedActivity).dumps(made) is made

    @pytest.mark.parametrize('serializer', [DummySerializer(Activity), DummyAggregatedSerializer(AggregatedActivity)])
    @pytest.mark.parametrize(
        'thing', [None, 5, 'text', {'a': [1]}, act(1), act(1).get_dehydrated(), group(1), object()]
    )
    def test_dummies_take_anything(self, serializer: Any, thing: Any) -> None:
        serializer.check_type(thing)
        assert serializer.dumps(thing) is thing
        assert serializer.loads(thing) is thing

    @pytest.mark.parametrize('form', [int, str, lambda number: str(number).encode(), lambda n: uuid.UUID(int=n)])
    def test_timelines_hold_ids(self, form: Any) -> None:
        serializer = SimpleTimelineSerializer(Activity)
        number = act(1).serialization_id
        assert serializer.dumps(act(1)) == number
        found = serializer.loads(form(number))
        assert type(found) is DehydratedActivity
        assert found.serialization_id == number
        assert found._activity_ids == [number]

    @pytest.mark.parametrize('wrong', ['x', '', None, '1.5', b'\xff', object(), '1_0', ' 1'])
    def test_timelines_of_something_else(self, wrong: Any) -> None:
        with pytest.raises(SerializationException):
            SimpleTimelineSerializer(Activity).loads(wrong)
        with pytest.raises(ValueError):
            SimpleTimelineSerializer(Activity).dumps(wrong)

    def test_pickles(self) -> None:
        activity = act(1, extra_context={'any': {1, 2}, 'thing': fractions.Fraction(1, 3)})
        data = PickleSerializer(Activity).dumps(activity)
        assert isinstance(data, bytes)
        assert PickleSerializer(Activity).loads(data).extra_context == activity.extra_context
        assert PickleSerializer(Activity).loads(data.decode('latin-1')) == activity
        for wrong in (b'', b'nonsense', data[:-1], PickleSerializer(Activity).dumps(activity)[:5]):
            with pytest.raises(SerializationException):
                PickleSerializer(Activity).loads(wrong)
        with pytest.raises(SerializationException):
            PickleSerializer(Activity).dumps(act(1, extra_context={'f': lambda: 1}))
        with pytest.raises(ValueError):
            PickleSerializer(Activity).dumps('text')
        with pytest.raises(SerializationException):
            PickleSerializer(Pin).loads(data)

    def test_pickled_groups(self) -> None:
        made = group(3)
        serializer = AggregatedActivityPickleSerializer(AggregatedActivity)
        found = serializer.loads(serializer.dumps(made))
        assert found.dehydrated
        assert found.activity_ids == made.activity_ids
        assert not made.dehydrated

        class Whole(AggregatedActivityPickleSerializer):
            dehydrate = False

        assert Whole(AggregatedActivity).loads(Whole(AggregatedActivity).dumps(made)).activities == made.activities
        with pytest.raises(ValueError):
            serializer.dumps(act(1))

    def test_check_reserved(self) -> None:
        check_reserved('3-2013-07-08', [';', ';;', ','])
        check_reserved('', [';'])
        for text, reserved in (('a;b', [';']), ('a;;b', [';;']), ('a,b', ';,')):
            with pytest.raises(SerializationException):
                check_reserved(text, reserved)


#: Values of every kind that come back equal, and of their own type.
VALUES: dict[str, Any] = {
    'nothing': None,
    'booleans': [True, False],
    'ints': [0, -1, 2**31, 2**63, -(2**64), 10**600, -(10**5000), 7**9000],
    'floats': [0.1, -0.0, 1e308, 5e-324, float('inf'), float('-inf')],
    'texts': ['', 'é狗', ';,\n\r\t\x00"\\', 'a;;b', '\ud800', '\udc00\ud800', '\ud800' + '\udc00', '😀', ' ', '\u2028'],
    'like tags': [
        {'__stream__': 1},
        {'__type__': 'x', '__value__': 2},
        {'__type__': 1},
        {'__stream__': ['tuple', [1]]},
    ],
    'text like tags': ['"__stream__"', '{"__type__":"date","__value__":"2014-01-02"}', '\\u003b', '\\ud83d\\ude00'],
    'tuples': [(), (1,), ((1, 'a'), [2])],
    'sets': [set(), {1, 'a', (2, 3), None}, frozenset(), frozenset([frozenset([1]), 2])],
    'keys': {1: 'a', '1': 'b', None: 'c', 1.5: 'd', (1, 2): 'e', b'x': 'f', False: 'g', '\ud800' + '\udc00': 'h'},
    'date keys': {datetime.date(2014, 1, 2): 1, uuid.UUID(int=5): 2, Decimal('1.10'): 3, frozenset([1]): 4},
    'bytes': [b'', b'text', b'\xff\x00;', 'é'.encode()],
    'datetimes': [
        datetime.datetime(2014, 1, 2, 3, 4, 5, 678901),
        datetime.datetime(1, 1, 1),
        datetime.datetime(2014, 1, 2, tzinfo=datetime.timezone.utc),
        datetime.datetime(2014, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))),
        datetime.datetime(2014, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(seconds=3601))),
        datetime.datetime(2014, 7, 2, tzinfo=zoneinfo.ZoneInfo('Europe/Amsterdam')),
        datetime.datetime(2014, 10, 26, 2, 30, tzinfo=zoneinfo.ZoneInfo('Europe/Amsterdam')),
        datetime.datetime(2014, 10, 26, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo('Europe/Amsterdam')),
        pytz.timezone('Europe/Amsterdam').localize(datetime.datetime(2014, 10, 26, 2, 30), is_dst=True),
        pytz.utc.localize(datetime.datetime(2014, 10, 26, 2, 30)),
    ],
    'dates and times': [datetime.date(2014, 1, 2), datetime.time(1, 2, 3, 4), datetime.time(1, tzinfo=pytz.utc)],
    'timedeltas': [datetime.timedelta(), datetime.timedelta(-5, 6, 7), datetime.timedelta.max, datetime.timedelta.min],
    'decimals': [Decimal('1.10'), Decimal('-0'), Decimal('1E+5000'), Decimal('Infinity'), Decimal('0.1') ** 50],
    'uuids': [uuid.UUID(int=5), uuid.uuid5(uuid.NAMESPACE_DNS, 'x')],
    'deep': [[[[[[[[[[{'a': [[[[(1, {2})]]]]}]]]]]]]]]],
    'long': ['x' * 100_000, list(range(5000))],
}

#: Equal to a plain value, and come back as that.
AS_PLAIN: dict[str, tuple[Any, Any]] = {
    'enum of str': (Colour.RED, 'red'),
    'enum of int': (enum.IntEnum('Size', 'BIG').BIG, 1),
    'named tuple': (Point(1, 2), (1, 2)),
    'default dict': (collections.defaultdict(list, a=[1]), {'a': [1]}),
    'counter': (collections.Counter('aab'), {'a': 2, 'b': 1}),
    'ordered dict': (collections.OrderedDict([('b', 1), ('a', 2)]), {'b': 1, 'a': 2}),
}

REFUSED: dict[str, Any] = {
    'object': object(),
    'class': Activity,
    'function': len,
    'lambda': lambda: 1,
    'nan': float('nan'),
    'decimal nan': Decimal('nan'),
    'signalling nan': Decimal('snan'),
    'complex': 1j,
    'fraction': fractions.Fraction(1, 3),
    'equal to nothing': Loud('x'),
    'activity': act(1),
    'path': pathlib.PurePath('x'),
    'iterator': iter([1]),
    'bytearray': bytearray(b'x'),
    'range': range(3),
    'deep': functools.reduce(lambda inner, _: [inner], range(5000), 1),
    'fields of a dict': {'a': {'b': object()}},
    'key': {object: 1},
    'nan as a key': {float('nan'): 1},
}


class TestContexts:
    def round_trip(self, context: Any) -> Any:
        """Through activities, and through notifications, which reserve more."""
        activity = act(1, extra_context=context)
        alone = ActivitySerializer(Activity)
        found = alone.loads(alone.dumps(activity)).extra_context
        made = AggregatedActivity('g')
        made.append(activity)
        made.append(act(2, extra_context={'after': ';;'}))
        whole = NotificationSerializer(AggregatedActivity)
        in_group = whole.loads(whole.dumps(made)).activities[0].extra_context
        assert exactly(in_group) == exactly(found)
        return found

    @pytest.mark.parametrize('name', VALUES)
    def test_come_back_equal(self, name: str) -> None:
        context = {'value': VALUES[name]}
        found = self.round_trip(context)
        assert found == context
        if name not in ('datetimes', 'dates and times', 'floats'):
            assert exactly(found) == exactly(context)

    def test_keys_of_the_context_itself(self) -> None:
        for context in ({1: 2}, {(1, 2): 3, 'a': 4}, {'__stream__': 1}, {'': 1}, {None: None}, {b'x': b'y'}):
            assert exactly(self.round_trip(context)) == exactly(context)

    @pytest.mark.parametrize('name', AS_PLAIN)
    def test_come_back_as_the_plain_value(self, name: str) -> None:
        value, expected = AS_PLAIN[name]
        found = self.round_trip({'value': value})['value']
        assert found == value
        assert exactly(found) == exactly(expected)

    @pytest.mark.parametrize('name', REFUSED)
    def test_or_are_refused_when_stored(self, name: str) -> None:
        value = REFUSED[name]
        for serializer in (ActivitySerializer(Activity), NotificationSerializer(AggregatedActivity)):
            given_: Any = act(1, extra_context={'the key': [1, value]})
            if serializer.__class__ is NotificationSerializer:
                given_, activity = AggregatedActivity('g'), given_
                given_.append(activity)
            with pytest.raises(SerializationException) as caught:
                serializer.dumps(given_)
            assert 'the key' in str(caught.value)
            assert len(str(caught.value)) < 2000

    def test_the_message_names_the_path_and_the_type(self) -> None:
        with pytest.raises(SerializationException, match=r"extra_context\['a'\]\[1\]\['b'\].*fractions\.Fraction"):
            self.round_trip({'a': [0, {'b': fractions.Fraction(1, 3)}]})

    def test_what_contains_itself(self) -> None:
        context: dict[str, Any] = {}
        context['me'] = context
        with pytest.raises(SerializationException):
            self.round_trip(context)

    def test_registered_types(self) -> None:
        """In a process of its own: registering is for good."""
        code = """
from kombu.utils.json import register_type
from fractions import Fraction
from stream_framework.serializers import codec
register_type(Fraction, 'fraction', lambda f: [f.numerator, f.denominator], lambda pair: Fraction(*pair))
assert codec.loads(codec.dumps({'a': Fraction(1, 3)})) == {'a': Fraction(1, 3)}
"""
        subprocess.run([sys.executable, '-c', code], check=True, cwd=FIXTURES.parent.parent)

    def test_the_types_of_kombu_are_spelled_as_it_spells_them(self) -> None:
        from kombu.utils import json as kombu_json

        for value in (
            datetime.datetime(2014, 1, 2, 3),
            datetime.datetime(2014, 1, 2, 3, tzinfo=datetime.timezone.utc),
            datetime.time(1, 2),
            Decimal('1.10'),
            uuid.UUID(int=5),
            b'text',
        ):
            assert kombu_json.loads(codec.dumps([value])) == [value]
            assert codec.loads(kombu_json.dumps([value])) == [value]

    def test_a_fixed_text_for_each_context(self) -> None:
        """... in every process, whatever the seed of its hashes."""
        code = "from stream_framework.serializers import codec; print(codec.dumps({'s': {'a', 'b', 'c', 'd', 1, 2}}))"
        texts = {
            subprocess.run(
                [sys.executable, '-c', code],
                check=True,
                cwd=FIXTURES.parent.parent,
                capture_output=True,
                env={'PYTHONHASHSEED': seed},
            ).stdout
            for seed in ('1', '2', '3')
        }
        assert len(texts) == 1

    @pytest.mark.parametrize(
        'text',
        [
            '',
            '{',
            '{"a":}',
            '[1',
            '{"a":1}}',
            'NaN',
            '{"a":Infinity}',
            '{"__stream__":5}',
            '{"__stream__":[]}',
            '{"__stream__":["set",[[]]]}',
            '{"__stream__":["set",[{}]]}',
            '{"__stream__":["int","x"]}',
            '{"__stream__":["float","nan"]}',
            '{"__stream__":["timedelta",["x"]]}',
            '{"__stream__":["timedelta",[1e99]]}',
            '{"__stream__":["dict",[[1,2],[1,3]]]}',
            '{"__stream__":["dict",[[[],1]]]}',
            '{"__stream__":["zoned",[1]]}',
            '{"__stream__":["zoned",["2014-01-02",0,"../../etc/passwd"]]}',
            '{"__stream__":["zoned",["2014-01-02",0,"X"]]}',
            '{"__type__":"datetime","__value__":"x"}',
            '{"__type__":"uuid","__value__":{"hex":"x"}}',
            '{"__type__":"decimal","__value__":"x"}',
            '{"__type__":"base64","__value__":"!"}',
            '{"__type__":"uuid","__value__":5}',
            '{"__type__":["date"],"__value__":5}',
            '[' * 100_000,
            '{"a":' * 100_000,
            b'\xff',
            '"\\ud8"',
        ],
    )
    def test_what_was_not_written_by_it(self, text: Any) -> None:
        with pytest.raises(SerializationException):
            codec.loads(text)

    def test_reserved_characters(self) -> None:
        text = codec.dumps({'a;b': 'c|;~', 'é': ';'}, reserved=';|~')
        assert not set(text) & set(';|~')
        assert codec.loads(text) == {'a;b': 'c|;~', 'é': ';'}
        for impossible in ('a', '"', '{', ',', '5', '\\'):
            with pytest.raises(ValueError):
                codec.dumps({'a': f'{impossible}5,'}, reserved=impossible)


hashable = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**700), 10**700)
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(st.characters(categories=('Cs', 'Po', 'Cc', 'Lu')))
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
hashable = hashable | st.tuples(hashable, hashable) | st.frozensets(hashable, max_size=3)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.dictionaries(st.sampled_from(['__type__', '__value__', '__stream__', 'a']), inner, max_size=3)
    ),
    max_leaves=15,
)
contexts = st.dictionaries(st.text() | hashable, values, max_size=5)
any_id = st.integers(0, 10**10 - 1) | st.integers() | st.text() | st.uuids()
times = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(9999, 12, 30))


class TestAnyInput:
    @plain
    @given(contexts)
    def test_contexts(self, context: Any) -> None:
        """What comes back equals what went in, or is refused when it goes in."""
        activity = act(1, extra_context=context)
        try:
            text = ActivitySerializer(Activity).dumps(activity)
        except SerializationException:
            return
        assert ';' not in text
        found = ActivitySerializer(Activity).loads(text)
        assert found.extra_context == context
        assert ActivitySerializer(Activity).dumps(found) == text

    @plain
    @given(
        st.dictionaries(
            st.text(),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            ),
        )
    )
    def test_any_json_context_is_taken(self, context: Any) -> None:
        serializer = ActivitySerializer(Activity)
        found = serializer.loads(serializer.dumps(act(1, extra_context=context)))
        assert exactly(found.extra_context) == exactly(context)

    @plain
    @given(any_id, any_id, st.none() | any_id, times, st.sampled_from([Follow, Comment, Love, Add]), st.text())
    def test_activities(self, actor: Any, object_: Any, target: Any, time: Any, verb: Any, text: str) -> None:
        activity = Safe(actor, verb, object_, target, time=time, extra_context={'text': text})
        serializer = ActivitySerializer(Safe)
        data = serializer.dumps(activity)
        assert not set(';\n\r') & set(data)
        for form in (data, data.encode()):
            found = serializer.loads(form)
            assert exactly((found.actor_id, found.object_id, found.target_id)) == exactly((actor, object_, target))
            assert (found.time, found.verb, found.extra_context) == (time, verb, {'text': text})
            assert found.serialization_id == activity.serialization_id

    @plain
    @given(
        st.text(),
        st.lists(st.tuples(any_id, any_id, times, st.text()), min_size=1, max_size=20),
        st.integers(0, 10**6),
        st.none() | times,
        st.none() | times,
    )
    def test_groups(self, name: str, parts: Any, minimized: int, seen_at: Any, read_at: Any) -> None:
        made = NotificationActivity(name)
        for actor, object_, time, text in parts:
            activity = Safe(actor, Love, object_, time=time, extra_context={text: text})
            if not made.contains(activity):
                made.append(activity)
        made.minimized_activities += minimized
        made.seen_at, made.read_at = seen_at, read_at
        for cls in (AggregatedActivitySerializer, NotificationSerializer):
            serializer = cls(NotificationActivity, activity_class=Safe)
            try:
                data = serializer.dumps(made)
            except SerializationException:
                assert ';' in name or not name.isprintable() or name != name.encode(errors='ignore').decode()
                continue
            found = serializer.loads(data)
            assert found.group == name
            assert found.activity_ids == made.activity_ids
            assert found.minimized_activities == made.minimized_activities
            for attribute in ('created_at', 'updated_at', 'seen_at', 'read_at'):
                assert getattr(found, attribute) == getattr(made, attribute)
            assert found.serialization_id == made.serialization_id
            if cls is NotificationSerializer:
                assert [one.extra_context for one in found.activities] == [one.extra_context for one in made.activities]

    @plain
    @given(st.text() | st.binary())
    def test_anything_is_read_or_refused(self, data: Any) -> None:
        for serializer in (
            ActivitySerializer(Activity),
            AggregatedActivitySerializer(AggregatedActivity),
            NotificationSerializer(AggregatedActivity),
            SimpleTimelineSerializer(Activity),
        ):
            try:
                serializer.loads(data)
            except SerializationException:
                pass

    @plain
    @given(st.data())
    def test_damaged_data_is_read_or_refused(self, data: st.DataObject) -> None:
        made = group(3)
        for serializer, value in (
            (ActivitySerializer(Activity), act(1, target=5, extra_context={'a': (1, {2})})),
            (AggregatedActivitySerializer(AggregatedActivity), made),
            (NotificationSerializer(AggregatedActivity), made),
        ):
            text = serializer.dumps(value)
            position = data.draw(st.integers(0, len(text) - 1))
            changed = text[:position] + data.draw(st.text(max_size=2)) + text[position + data.draw(st.integers(0, 2)) :]
            try:
                serializer.loads(changed)
            except SerializationException:
                pass


def test_decimal_contexts_of_the_thread_do_not_matter() -> None:
    value = Decimal('1.23456789012345678901234567890')
    with decimal.localcontext() as context:
        context.prec = 5
        assert codec.loads(codec.dumps({'a': value})) == {'a': value}
