"""Rows of Cassandra's tables, made and read without a server."""

from __future__ import annotations

import datetime
import json
import pickle
import uuid
from typing import Any

import pytest

pytest.importorskip('cassandra')

from cassandra.cqlengine import columns

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.exceptions import SerializationException
from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
from stream_framework.serializers.cassandra.aggregated_activity_serializer import CassandraAggregatedActivitySerializer
from stream_framework.storage.cassandra import models, tables
from stream_framework.verbs import Comment, Love
from tests.contracts.support import act, acts, at, ids

FLAT = tables.get_model(models.Activity, 'flat_rows')
GROUPS = tables.get_model(models.AggregatedActivity, 'group_rows')


@pytest.fixture
def flat() -> Any:
    return CassandraActivitySerializer(FLAT, activity_class=Activity)


@pytest.fixture
def groups() -> Any:
    return CassandraAggregatedActivitySerializer(
        GROUPS, activity_class=Activity, aggregated_activity_class=AggregatedActivity
    )


def row(instance: Any, **values: Any) -> dict[str, Any]:
    """An instance as it is read: a dict of columns, times cut to milliseconds."""
    found = {**dict(instance), **values}
    for name, value in found.items():
        if isinstance(value, datetime.datetime):
            found[name] = value.replace(microsecond=value.microsecond // 1000 * 1000)
    return found


def parts(activity: Any) -> tuple[Any, ...]:
    return (activity.actor_id, activity.verb, activity.object_id, activity.target_id, activity.extra_context)


def test_an_activity_is_an_instance_of_the_model(flat: Any) -> None:
    instance = flat.dumps(act(1, target=5, extra_context={'a': (1, {2})}))
    assert isinstance(instance, FLAT)
    assert instance.activity_id == act(1).serialization_id
    assert (instance.actor, instance.object, instance.target, instance.verb) == (1001, 501, 5, 3)
    assert instance.ids is None
    assert instance.time == at(1)
    assert json.loads(instance.extra_context)['a']


@pytest.mark.parametrize('context', [{}, {'a': (1, {2})}, {'é;': ['x', None], 5: b'\xff'}])
@pytest.mark.parametrize('target', [None, 0, 7])
def test_activities_come_back(flat: Any, context: Any, target: Any) -> None:
    activity = act(1, target=target, extra_context=context, verb=Comment)
    found = flat.loads(row(flat.dumps(activity)))
    assert parts(found) == parts(activity)
    assert found.serialization_id == activity.serialization_id
    assert found.time == activity.time


def test_an_activity_keeps_the_id_that_it_was_stored_under(flat: Any) -> None:
    activity = act(1, time=at(1, us=123999))
    found = flat.loads(row(flat.dumps(activity)))
    assert found.time == at(1, us=123000)
    assert found.serialization_id == activity.serialization_id
    assert flat.dumps(found).activity_id == activity.serialization_id


@pytest.mark.parametrize(
    'given',
    [('anna', 5, None), (uuid.UUID(int=7), 'x', uuid.UUID(int=2**100)), (2**70, 1, -(2**63) - 1), ('1', '2', '3')],
)
def test_ids_that_no_column_holds_are_beside(flat: Any, given: Any) -> None:
    activity = Activity(given[0], Love, given[1], given[2], time=at(0))
    if isinstance(given[2], int):
        activity.stored_under(5)
    instance = flat.dumps(activity)
    assert instance.actor is None
    found = flat.loads(row(instance))
    assert (found.actor_id, found.object_id, found.target_id) == given
    assert [type(value) for value in (found.actor_id, found.object_id, found.target_id)] == [*map(type, given)]


def test_pickles_of_1_4_0_are_read(flat: Any) -> None:
    for protocol in range(5):
        stored = row(flat.dumps(act(1)), extra_context=pickle.dumps({'a': [1, 'é'], 'when': at(5)}, protocol))
        assert flat.loads(stored).extra_context == {'a': [1, 'é'], 'when': at(5)}


@pytest.mark.parametrize(
    'values',
    [
        {'verb': 999},
        {'verb': None},
        {'object': None},
        {'time': None},
        {'extra_context': b'{"a"'},
        {'extra_context': b'\x80\x04X'},
        {'extra_context': b"cos\nsystem\n(S'true'\ntR."},
        {'extra_context': pickle.dumps([1])},
        {'ids': '{"verb":1}'},
        {'ids': '[]'},
        {'ids': '{"actor":[1]}'},
        {'ids': '{"object":1.5}'},
        {'ids': '{"target":null}'},
    ],
    ids=str,
)
def test_what_can_not_be_read(flat: Any, values: Any) -> None:
    with pytest.raises(SerializationException):
        flat.loads(row(flat.dumps(act(1)), **values))


@pytest.mark.parametrize('wrong', ['x', None, AggregatedActivity('x')], ids=['str', 'none', 'group'])
def test_wrong_types(flat: Any, groups: Any, wrong: Any) -> None:
    with pytest.raises(ValueError):
        flat.dumps(wrong)
    with pytest.raises(ValueError):
        groups.dumps(act(1))


def test_a_context_that_json_can_not_hold(flat: Any, groups: Any) -> None:
    with pytest.raises(SerializationException, match='key'):
        flat.dumps(act(1, extra_context={'key': object()}))
    with pytest.raises(SerializationException, match='key'):
        groups.dumps(AggregatedActivity('x', [act(1, extra_context={'key': object()})], at(1), at(1)))


class Placed(Activity):
    """Has a part that the library doesn't know."""

    def __init__(self, *args: Any, place: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place = place


class PlacedRow(models.Activity):
    place = columns.Text()


class PlacedSerializer(CassandraActivitySerializer):
    """As an application wrote it for 1.4.0."""

    def dumps(self, activity: Any) -> Any:
        instance = super().dumps(activity)
        instance.place = activity.place
        return instance


def test_columns_of_an_application() -> None:
    model = tables.get_model(PlacedRow, 'placed')
    serializer = PlacedSerializer(model, activity_class=Placed)
    instance = serializer.dumps(Placed(1, Love, 2, place='here'))
    assert instance.place == 'here'
    assert serializer.loads(row(instance)).place == 'here'
    # A class that doesn't take the column is read without it.
    assert CassandraActivitySerializer(model, activity_class=Activity).loads(row(instance)).actor_id == 1


def group(n: int = 3) -> AggregatedActivity:
    made = AggregatedActivity('my group', acts(n, extra_context={'t': (1,)}), at(-5), at(n, us=123456))
    made.seen_at, made.read_at, made.minimized_activities = at(60), at(70), 12
    return made


def test_a_group_is_an_instance_of_the_model(groups: Any) -> None:
    instance = groups.dumps(group())
    assert isinstance(instance, GROUPS)
    assert instance.activity_id == int(group().serialization_id)
    assert instance.group == 'my group'
    assert instance.minimized_activities == 12
    assert json.loads(instance.activities)
    assert group().dehydrated is False


def test_groups_come_back(groups: Any) -> None:
    found = groups.loads(row(groups.dumps(group())))
    assert found == group()
    assert (found.group, found.minimized_activities) == ('my group', 12)
    assert (found.seen_at, found.read_at, found.created_at) == (at(60), at(70), at(-5))
    assert found.serialization_id == group().serialization_id
    assert [parts(activity) for activity in found.activities] == [parts(activity) for activity in group().activities]
    assert [activity.time for activity in found.activities] == [at(n) for n in range(3)]


def test_activities_in_groups_keep_their_ids_and_microseconds(flat: Any, groups: Any) -> None:
    read = flat.loads(row(flat.dumps(act(1, time=at(1, us=999999)))))
    exact = act(2, time=at(2, us=123456))
    found = groups.loads(row(groups.dumps(AggregatedActivity('x', [read, exact], at(1), at(2))))).activities
    assert ids(found) == ids([read, exact])
    assert found[1].time == at(2, us=123456)


def test_groups_of_activities_with_ids_of_any_kind(groups: Any) -> None:
    activities = [
        Activity('anna', Love, 'a;b"c', time=at(0)),
        Activity(uuid.UUID(int=5), Love, 7, 'ö', time=at(1)),
    ]
    found = groups.loads(row(groups.dumps(AggregatedActivity('x', activities, at(0), at(1)))))
    assert [parts(activity) for activity in found.activities] == [parts(activity) for activity in activities]
    assert ids(found.activities) == ids(activities)


def test_a_group_of_1_4_0(groups: Any) -> None:
    stored = row(groups.dumps(group()), activity_id=1373266758000, activities=pickle.dumps(acts(3), 4))
    for name in ('minimized_activities', 'seen_at', 'read_at'):
        del stored[name]
    found = groups.loads(stored)
    assert ids(found.activities) == ids(acts(3))
    assert found.serialization_id == '1373266758000'
    assert (found.minimized_activities, found.seen_at) == (0, None)
    changed = groups.dumps(found)
    assert changed.activities.startswith(b'[[')


def test_a_dehydrated_group_is_refused(groups: Any) -> None:
    with pytest.raises(SerializationException, match='hydrate'):
        groups.dumps(group().get_dehydrated())


@pytest.mark.parametrize(
    'values',
    [
        {'group': None},
        {'updated_at': None},
        {'activities': b'[[1,2]]'},
        {'activities': b'[1]'},
        {'activities': b'[['},
        {'activities': b'[[1,1,3,1,null,99999999999999999999999999,{}]]'},
        {'activities': b'[[1,1,3,1,null,1.5,{}]]'},
        {'activities': b'[["1",1,3,1,null,1,{}]]'},
        {'activities': b'[[1,[1],3,1,null,1,{}]]'},
        {'activities': b'[[1,1,3,null,null,1,{}]]'},
        {'activities': b'[[1,1,3,1,{},1,{}]]'},
        {'activities': b'[[1,1,3,1,null,1,[]]]'},
        {'activities': b'[[1,1,[],1,null,1,{}]]'},
        {'activities': pickle.dumps({'a': 1})},
        {'activities': pickle.dumps([1, 2])},
        {'activities': b"cos\nsystem\n(S'true'\ntR."},
    ],
    ids=str,
)
def test_groups_that_can_not_be_read(groups: Any, values: Any) -> None:
    with pytest.raises(SerializationException):
        groups.loads(row(groups.dumps(group()), **values))
