"""Activities as Activity Streams 2.0 objects."""

from __future__ import annotations

import datetime
import enum
import json
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_framework.activity import Activity, ActorSafeIdMixin
from stream_framework.activity_streams import as2_iri
from stream_framework.feeds.memory import Feed
from stream_framework.verbs import Add, Comment, Follow, Love
from stream_framework.verbs.base import Verb

TIME = datetime.datetime(2013, 7, 8, 6, 59, 15)


class Pin(Verb):
    id = 5
    infinitive = 'pin'
    past_tense = 'pinned'


class Repin(Verb):
    id = 6
    infinitive = 'repin'
    past_tense = 'repinned'
    as2_type = 'Announce'


class Adore(Love):
    id = 7
    infinitive = 'adore'
    past_tense = 'adored'


class Colour(enum.Enum):
    RED = 'red'


def test_what_is_said() -> None:
    activity = Activity(13, Love, 42, target=7, time=TIME, extra_context={'board': 'tea'})
    assert activity.to_as2() == {
        '@context': 'https://www.w3.org/ns/activitystreams',
        'type': 'Like',
        'id': 'urn:stream-framework:activity:13732667550000000000042003',
        'actor': 'urn:stream-framework:actor:13',
        'object': 'urn:stream-framework:object:42',
        'target': 'urn:stream-framework:target:7',
        'published': '2013-07-08T06:59:15Z',
        'verb': 'love',
        'extra_context': {'board': 'tea'},
    }


def test_what_is_not_there_is_left_out() -> None:
    said = Activity(None, Love, 42, time=TIME).to_as2()
    assert set(said) == {'@context', 'type', 'id', 'object', 'published', 'verb'}


@pytest.mark.parametrize(
    'verb, type_',
    [
        (Love, 'Like'),
        (Comment, 'Create'),
        (Follow, 'Follow'),
        (Add, 'Add'),
        (Pin, 'Activity'),
        (Repin, 'Announce'),
        (Adore, 'Like'),
        (Verb, 'Activity'),
    ],
)
def test_the_type_of_a_verb(verb: Any, type_: str) -> None:
    assert verb.as2_type == type_
    assert Activity(1, verb, 2).to_as2()['type'] == type_


def test_times_are_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    activity = Activity(1, Love, 2, time=datetime.datetime(2013, 7, 8, 12, 29, 15, 250, tzinfo=zone))
    published = activity.to_as2()['published']
    assert published == '2013-07-08T06:59:15.000250Z'
    assert datetime.datetime.fromisoformat(published.replace('Z', '+00:00')).replace(tzinfo=None) == activity.time


def test_objects_and_their_ids_are_the_same() -> None:
    class User:
        id = 13

    assert Activity(User(), Love, 42, time=TIME).to_as2() == Activity(13, Love, 42, time=TIME).to_as2()


def test_an_application_names_addresses() -> None:
    class PinActivity(ActorSafeIdMixin, Activity):
        def as2_iri(self, role: str, value: Any) -> Any:
            if role == 'actor':
                return {'type': 'Person', 'id': f'https://example.com/people/{value}'}
            return f'https://example.com/pins/{value}'

    said = PinActivity(1, Love, 2, time=TIME).to_as2()
    assert said['actor'] == {'type': 'Person', 'id': 'https://example.com/people/1'}
    assert said['object'] == 'https://example.com/pins/2'


def test_what_was_read_from_a_feed_says_the_same() -> None:
    feed = Feed('activity streams')
    context = {'when': TIME, 'tags': {'b', 'a'}, 'price': Decimal('1.50')}
    activity = Activity('anna', Love, uuid.UUID(int=42), time=TIME, extra_context=context)
    feed.add(activity)
    [read] = feed[:1]
    assert read.to_as2() == activity.to_as2()
    feed.delete()


NESTED: list[Any] = []
NESTED.append(NESTED)


@pytest.mark.parametrize(
    'value, said',
    [
        (TIME, '2013-07-08T06:59:15Z'),
        (TIME.date(), '2013-07-08'),
        (TIME.time(), '06:59:15'),
        (datetime.timedelta(minutes=1), 60.0),
        (Decimal('9.50'), '9.50'),
        (uuid.UUID(int=1), '00000000-0000-0000-0000-000000000001'),
        (b'tea', 'dGVh'),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({'a'}), ['a']),
        (Colour.RED, 'red'),
        (2**53 - 1, 2**53 - 1),
        (2**53, '9007199254740992'),
        (-(2**60), '-1152921504606846976'),
        (float('inf'), 'inf'),
        (True, True),
        (None, None),
        ({1: 'int', '1': 'str', None: 0, TIME.date(): 1}, {'1': 'str', 'int:1': 'int', 'None': 0, '2013-07-08': 1}),
    ],
)
def test_a_context_is_json(value: Any, said: Any) -> None:
    found = Activity(1, Love, 2, extra_context={'it': value}).to_as2()
    assert found['extra_context'] == {'it': said}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_number_of_very_many_digits() -> None:
    found = Activity(1, Love, 2, extra_context={'it': 10**5000}).to_as2()
    assert int(found['extra_context']['it'], 16) == 10**5000


def test_a_context_that_contains_itself_or_what_json_does_not_know() -> None:
    found = Activity(1, Love, 2, extra_context={'it': NESTED, 'kind': object}).to_as2()
    json.dumps(found, allow_nan=False)
    assert found['extra_context']['kind'] == "<class 'object'>"


IDS = st.one_of(st.integers(), st.text(), st.uuids())


@given(IDS, IDS)
def test_two_ids_have_two_iris(one: Any, other: Any) -> None:
    assert (as2_iri('actor', one) == as2_iri('actor', other)) == (type(one) is type(other) and one == other)


@given(IDS)
def test_an_iri_is_absolute_and_ascii(value: Any) -> None:
    iri = as2_iri('object', value)
    assert iri.isascii() and ' ' not in iri and urlsplit(iri).scheme == 'urn'


@given(st.recursive(st.one_of(st.none(), st.floats(), st.integers(), st.binary(), st.text(), st.datetimes()),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner)))  # fmt: skip
def test_any_context_is_json(value: Any) -> None:
    said = Activity(1, Love, 2, extra_context={'it': value}).to_as2()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
