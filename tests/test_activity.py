"""Activities, groups of activities, and their ids."""

from __future__ import annotations

import datetime
import inspect
import json
import os
import pathlib
import random
import subprocess
import sys
import uuid
from typing import Any
from unittest import mock

import pytest
import pytz

from stream_framework.activity import (
    MAX_AGGREGATED_ACTIVITIES_LENGTH,
    Activity,
    ActorSafeIdMixin,
    AggregatedActivity,
    BaseActivity,
    DehydratedActivity,
    NotificationActivity,
)
from stream_framework.exceptions import ActivityNotFound, DuplicateActivityException, NoIdError
from stream_framework.verbs import Add, Comment, Follow, Love
from stream_framework.verbs.base import Verb
from tests.contracts.support import START, act, acts, at, ids

FIXTURES = pathlib.Path(__file__).parent / 'fixtures'
EPOCH = datetime.datetime(1970, 1, 1)


class Person:
    def __init__(self, id: Any) -> None:
        self.id = id


class Big(Verb):
    id = 1000
    infinitive = 'big'
    past_tense = 'bigged'


class Negative(Verb):
    id = -1
    infinitive = 'negate'
    past_tense = 'negated'


class Short(Activity):
    @property
    def serialization_id(self) -> int:
        return self.object_id  # type: ignore[return-value]


class Safe(ActorSafeIdMixin, Activity):
    pass


class TestActivity:
    def test_ids_of_1_4_0_bit_for_bit(self) -> None:
        verbs = {verb.id: verb for verb in (Follow, Comment, Love, Add)}
        rows = json.loads((FIXTURES / 'ids.json').read_text())['rows']
        assert len(rows) > 2000
        for microseconds, object_id, verb_id, expected in rows:
            time = EPOCH + datetime.timedelta(microseconds=microseconds)
            found = Activity(1, verbs[verb_id], object_id, time=time).serialization_id
            assert type(found) is int
            assert str(found) == expected

    def test_ids_are_read_like_this(self) -> None:
        found = Activity(13, Love, 42, time=START).serialization_id
        assert str(found) == '1373266755000' + '0000000042' + '003'

    def test_given_ids(self) -> None:
        activity = Activity(1, Love, 2, 3)
        assert (activity.actor_id, activity.object_id, activity.target_id) == (1, 2, 3)
        for name in ('actor', 'object', 'target'):
            with pytest.raises(AttributeError, match=f'{name}_id'):
                getattr(activity, name)
            assert not hasattr(activity, name)

    def test_given_objects(self) -> None:
        one, two, three = Person(1), Person(2), Person(3)
        activity = Activity(one, Love, two, three)
        assert (activity.actor_id, activity.object_id, activity.target_id) == (1, 2, 3)
        assert (activity.actor, activity.object, activity.target) == (one, two, three)

    def test_by_keyword(self) -> None:
        activity = Activity(actor=1, verb=Love, object=2, target=3, time=START, extra_context={'a': 1})
        assert (activity.actor_id, activity.verb, activity.object_id, activity.target_id) == (1, Love, 2, 3)
        assert (activity.time, activity.extra_context) == (START, {'a': 1})

    def test_given_models_whose_primary_key_has_another_name(self) -> None:
        class Model:
            def __init__(self, pk: Any) -> None:
                self.pk = pk

        class WithAnEmptyId(Model):
            id = None

        class WithBoth(Model):
            id = 9

        one, two, three = Model('anna'), WithAnEmptyId(2), Model(uuid.UUID(int=3))
        activity = Activity(one, Love, two, three)
        assert (activity.actor_id, activity.object_id, activity.target_id) == ('anna', 2, uuid.UUID(int=3))
        assert (activity.actor, activity.object, activity.target) == (one, two, three)
        assert Activity(WithBoth(5), Love, 1).actor_id == 9
        for wrong in (Model(None), Model(2.5), WithAnEmptyId(None)):
            with pytest.raises(NoIdError, match='pk'):
                Activity(wrong, Love, 1)

    def test_no_actor(self) -> None:
        activity = Activity(None, Love, 2, time=START)
        assert (activity.actor, activity.actor_id) == (None, None)
        assert activity.serialization_id == Activity(1, Love, 2, time=START).serialization_id
        assert activity == Activity(77, Love, 2, time=START)
        assert repr(activity) == 'Activity(loved) None 2'
        assert 'actor' in dir(activity)
        by_text = Activity(None, Love, 'pin', time=START)
        assert by_text.serialization_id != Activity('None', Love, 'pin', time=START).serialization_id
        safe = Safe(None, Love, 2, time=START)
        assert safe.serialization_id != Safe(1, Love, 2, time=START).serialization_id
        with pytest.raises(NoIdError):
            Activity(1, Love, None)

    def test_instances_of_verbs_are_taken_for_their_classes(self) -> None:
        activity = Activity(1, Love(), 2, time=START)
        assert activity.verb is Love
        activity = Activity(1, verb=Follow(), object=2)
        assert activity.verb is Follow

    @pytest.mark.parametrize('cls', [Activity, Short])
    def test_dir_lists_what_is_there(self, cls: Any) -> None:
        ids_only, by_objects = cls(1, Love, 2, 3), cls(Person(1), Love, Person(2), Person(3))
        for name in ('actor', 'object', 'target'):
            assert name not in dir(ids_only)
            assert name in dir(by_objects)
            assert f'{name}_id' in dir(ids_only)
        assert 'target' in dir(cls(1, Love, 2))
        assert all(hasattr(ids_only, name) for name in dir(ids_only))
        assert {name for name, _ in inspect.getmembers(ids_only)} == set(dir(ids_only))

    def test_what_a_subclass_defines_is_listed(self) -> None:
        class WithActor(Activity):
            @property
            def actor(self) -> Any:
                raise AssertionError('dir() reads nothing')

            @actor.setter
            def actor(self, value: Any) -> None:
                pass

        assert 'actor' in dir(WithActor(1, Love, 2))
        assert 'object' not in dir(WithActor(1, Love, 2))

    def test_objects_that_a_subclass_looks_up(self) -> None:
        class Lazy(Activity):
            def __getattr__(self, name: str) -> Any:
                if name in ('actor', 'object'):
                    return f'{name} {getattr(self, name + "_id")}'
                raise AttributeError(name)

        assert Lazy(1, Love, 2).actor == 'actor 1'
        assert not hasattr(Lazy(1, Love, 2, 3), 'target')

    def test_mocks_of_activities(self) -> None:
        spec = mock.create_autospec(Activity(1, Love, 2), instance=True)
        assert spec.actor_id is not None
        with pytest.raises(AttributeError):
            _ = spec.actor

    def test_no_target(self) -> None:
        activity = Activity(1, Love, 2)
        assert activity.target is None
        assert activity.target_id is None

    def test_other_attributes_that_are_not_there(self) -> None:
        with pytest.raises(AttributeError, match='nonsense'):
            Activity(1, Love, 2).nonsense  # type: ignore[attr-defined]  # noqa: B018

    def test_defaults(self) -> None:
        before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        activity = Activity(1, Love, 2)
        after = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        assert before <= activity.time <= after
        assert activity.time.tzinfo is None
        assert activity.extra_context == {}
        assert activity.extra_context is not Activity(1, Love, 2).extra_context
        assert activity.dehydrated is False
        assert isinstance(activity, BaseActivity)

    @pytest.mark.parametrize(
        'time',
        [
            pytz.utc.localize(START),
            START.replace(tzinfo=datetime.timezone.utc),
            pytz.timezone('America/New_York').localize(datetime.datetime(2013, 7, 8, 2, 59, 15)),
            datetime.datetime(
                2013, 7, 8, 12, 29, 15, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))
            ),
        ],
    )
    def test_aware_times_become_naive_utc(self, time: datetime.datetime) -> None:
        activity = Activity(1, Love, 2, time=time)
        assert activity.time == START
        assert activity.time.tzinfo is None
        assert activity == Activity(1, Love, 2, time=START)

    def test_aware_and_naive_activities_meet_in_a_group(self) -> None:
        group = AggregatedActivity('g')
        group.append(act(1))
        group.append(act(2, time=pytz.utc.localize(at(2))))
        assert (group.created_at, group.updated_at) == (at(1), at(2))

    def test_limits(self) -> None:
        assert Activity(1, Love, 10**10 - 1, time=START).serialization_id == 13732667550009999999999003
        for wrong in (10**10, 10**12, -1):
            with pytest.raises(TypeError):
                _ = Activity(1, Love, wrong, time=START).serialization_id
        for verb in (Big, Negative):
            with pytest.raises(TypeError):
                _ = Activity(1, verb, 2, time=START).serialization_id
        untimed = Activity(1, Love, 2)
        untimed.time = None  # type: ignore[assignment]
        with pytest.raises(TypeError):
            _ = untimed.serialization_id

    def test_actor_and_target_have_no_limit(self) -> None:
        assert Activity(10**30, Love, 2, 10**30, time=START) == Activity(1, Love, 2, time=START)

    def test_equality_and_order(self) -> None:
        one, same, other = act(1), act(1, actor=77), act(2)
        assert one == same
        assert one != other
        assert hash(one) == hash(same) == hash(one.serialization_id)
        assert one < other
        assert not other < one
        assert sorted([other, one]) == [one, other]
        assert len({one, same, other}) == 2

    @pytest.mark.parametrize('other', [5, 'x', None, object(), DehydratedActivity(5)])
    def test_comparing_with_anything_else(self, other: Any) -> None:
        with pytest.raises(ValueError):
            _ = act(1) == other
        with pytest.raises(ValueError):
            _ = act(1) != other

    def test_repr(self) -> None:
        assert repr(Activity(13, Love, 42)) == str(Activity(13, Love, 42)) == 'Activity(loved) 13 42'
        assert repr(Short(1, Love, 2)) == 'Short(loved) 1 2'
        assert repr([Activity('anna', Love, uuid.UUID(int=5))]) == f'[Activity(loved) anna {uuid.UUID(int=5)}]'

    def test_dehydrate(self) -> None:
        activity = act(1)
        dehydrated = activity.get_dehydrated()
        assert isinstance(dehydrated, DehydratedActivity)
        assert dehydrated.serialization_id == activity.serialization_id
        assert dehydrated._activity_ids == [activity.serialization_id]
        assert dehydrated.dehydrated is True
        assert dehydrated.get_hydrated({activity.serialization_id: activity}) is activity
        assert isinstance(dehydrated, BaseActivity)

    def test_ids_of_ones_own(self) -> None:
        activity = Short(1, Love, 7)
        assert activity.serialization_id == 7
        assert activity == Short(2, Love, 7)
        assert activity.get_dehydrated().serialization_id == 7
        assert hash(activity) == hash(7)


class TestIdsOfAnyKind:
    @pytest.mark.parametrize(
        'kwargs',
        [
            {'actor': 'anna', 'object': 2},
            {'actor': 1, 'object': 'pin'},
            {'actor': 1, 'object': 2, 'target': 'board'},
            {'actor': uuid.UUID(int=1), 'object': 2},
            {'actor': 1, 'object': uuid.UUID(int=2**100)},
            {'actor': Person('anna'), 'object': Person(uuid.UUID(int=4))},
        ],
        ids=str,
    )
    def test_still_an_int_of_26_digits_that_starts_with_milliseconds(self, kwargs: Any) -> None:
        found = Activity(verb=Love, time=START, **kwargs).serialization_id
        assert type(found) is int
        assert len(str(found)) == 26
        assert str(found).startswith('1373266755000')
        assert found == Activity(verb=Love, time=START, **kwargs).serialization_id

    def test_types_come_back(self) -> None:
        key = uuid.UUID(int=3)
        activity = Activity('1', Love, key, Person('t'))
        assert (activity.actor_id, activity.object_id, activity.target_id) == ('1', key, 't')
        with pytest.raises(AttributeError, match='actor_id'):
            _ = activity.actor
        with pytest.raises(AttributeError, match='object_id'):
            _ = activity.object

    def test_what_was_given_by_its_id_is_no_attribute(self) -> None:
        activity = Activity(1, Love, 2, Person(3))
        assert [hasattr(activity, name) for name in ('actor', 'object', 'target')] == [False, False, True]
        assert not hasattr(Activity, 'actor')
        activity.actor = Person(1)
        assert activity.actor.id == 1 and not hasattr(activity, 'nonsense')
        assert Activity(1, Love, 2).target is None

    def test_everything_counts(self) -> None:
        key = uuid.UUID(int=17)
        variants = [
            (a, v, o, t)
            for a in ('1', '2', 1, key, str(key))
            for v in (Love, Add)
            for o in ('7', 'x', key)
            for t in (None, '', 'None', 0, '0', 7, '7')
        ]
        found = {Activity(a, v, o, t, time=START).serialization_id for a, v, o, t in variants}
        assert len(found) == len(variants)

    def test_no_confusion_of_neighbours(self) -> None:
        pairs = [('ab', 'c'), ('a', 'bc'), ('', 'abc'), ('abc', '')]
        assert len({Activity(a, Love, o, time=START).serialization_id for a, o in pairs}) == 4

    def test_stable_from_process_to_process(self) -> None:
        # Ids are identities: a change of recipe loses what is stored.
        assert str(Activity('anna', Love, 'pin', time=START).serialization_id)[:13] == '1373266755000'
        first = Activity('anna', Love, 'pin', time=START).serialization_id
        code = (
            'import datetime; from stream_framework.activity import Activity; from stream_framework.verbs import Love;'
            "print(Activity('anna', Love, 'pin', time=datetime.datetime(2013, 7, 8, 6, 59, 15)).serialization_id)"
        )
        for seed in ('0', '1'):
            done = subprocess.run(
                [sys.executable, '-c', code],
                capture_output=True,
                text=True,
                check=True,
                cwd=pathlib.Path(__file__).parent.parent,
                env={**os.environ, 'PYTHONHASHSEED': seed},
            )
            assert int(done.stdout) == first

    def test_str_ids_have_no_limits(self) -> None:
        assert Activity('1', Love, 10**10, time=START).serialization_id
        assert Activity('1', Love, -5, time=START).serialization_id

    @pytest.mark.parametrize('wrong', [1.5, object(), [], Person(None), Person(object())])
    def test_what_is_no_id(self, wrong: Any) -> None:
        with pytest.raises((TypeError, ValueError, AttributeError)):
            Activity(wrong, Love, 2)


class TestActorSafeIdMixin:
    def test_includes_the_actor(self) -> None:
        one, two = Safe(1, Love, 42, time=START), Safe(2, Love, 42, time=START)
        assert one != two
        assert one == Safe(1, Love, 42, time=START)
        assert type(one.serialization_id) is int
        assert str(one.serialization_id).startswith('1373266755000')
        assert len(str(one.serialization_id)) == 26

    def test_includes_the_target_and_the_kind(self) -> None:
        variants = [Safe(1, Love, 42, time=START), Safe(1, Love, 42, 5, time=START), Safe('1', Love, 42, time=START)]
        assert len({activity.serialization_id for activity in variants}) == 3

    def test_no_limits(self) -> None:
        assert Safe(1, Love, 10**20, time=START).serialization_id

    def test_the_same_recipe_as_other_ids(self) -> None:
        assert Safe('a', Love, 'b', time=START) == Activity('a', Love, 'b', time=START)

    def test_sorts_by_time(self) -> None:
        found = [Safe(n, Love, n, time=at(ms=n)) for n in range(50)]
        assert sorted(found, key=lambda a: a.serialization_id) == found


def group(count: int = 3, **kwargs: Any) -> AggregatedActivity:
    made = AggregatedActivity('group')
    for activity in acts(count, **kwargs):
        made.append(activity)
    return made


class Three(AggregatedActivity):
    max_aggregated_activities_length = 3


class TestAggregatedActivity:
    def test_attributes(self) -> None:
        made = AggregatedActivity('name')
        assert made.group == 'name'
        assert made.activities == []
        assert made._activity_ids == []
        assert made.created_at is made.updated_at is made.seen_at is made.read_at is None
        assert (made.minimized_activities, made.dehydrated) == (0, False)
        assert made.activities is not AggregatedActivity('name').activities
        assert isinstance(made, BaseActivity)
        assert MAX_AGGREGATED_ACTIVITIES_LENGTH == 15
        assert AggregatedActivity.max_aggregated_activities_length == 15
        made = AggregatedActivity('name', acts(2), at(1), at(2))
        assert (ids(made.activities), made.created_at, made.updated_at) == (ids(acts(2)), at(1), at(2))
        made = AggregatedActivity(group='name', activities=acts(2), created_at=at(1), updated_at=at(2))
        assert len(made) == 2

    # ids

    def test_serialization_id(self) -> None:
        found = AggregatedActivity('g', acts(1), at(0), at(0, us=123456)).serialization_id
        assert isinstance(found, str)
        assert found.isdigit()
        assert found.startswith('1373266755123')
        assert len(found) > 13
        assert found == AggregatedActivity('g', acts(2), at(0), at(0, us=123999)).serialization_id
        assert found != AggregatedActivity('h', acts(1), at(0), at(0, us=123456)).serialization_id
        assert found != AggregatedActivity('g', acts(1), at(0), at(0, us=124456)).serialization_id

    def test_ids_of_many_groups_of_one_millisecond(self) -> None:
        found = {AggregatedActivity(f'g{n}', [], START, START).serialization_id for n in range(5000)}
        assert len(found) == 5000
        assert {len(one) for one in found} == {26}

    def test_ids_sort_by_updated_at(self) -> None:
        times = [at(ms=n * 7) for n in range(500)]
        made = [AggregatedActivity(f'g{n % 7}', [], START, time).serialization_id for n, time in enumerate(times)]
        assert sorted(made) == sorted(made, key=int) == made

    def test_hash(self) -> None:
        assert hash(group()) == hash(group().serialization_id)

    def test_an_id_needs_a_time(self) -> None:
        with pytest.raises((TypeError, AttributeError, ValueError)):
            _ = AggregatedActivity('g').serialization_id

    # appending

    def test_append(self) -> None:
        made = AggregatedActivity('g')
        made.append(act(5))
        assert (made.created_at, made.updated_at, len(made)) == (at(5), at(5), 1)
        made.append(act(9))
        assert (made.created_at, made.updated_at) == (at(5), at(9))
        made.append(act(7))
        assert (made.created_at, made.updated_at) == (at(5), at(9))
        assert made.activity_ids == ids([act(5), act(7), act(9)])
        made.append(act(2))
        assert made.created_at == at(2), 'the earliest time ever appended'
        assert made.activity_ids == ids([act(2), act(5), act(7), act(9)])

    def test_append_a_duplicate(self) -> None:
        made = group()
        with pytest.raises(DuplicateActivityException):
            made.append(act(1))
        with pytest.raises(DuplicateActivityException):
            made.append(act(1, actor=99))
        assert len(made) == 3

    @pytest.mark.parametrize('seed', range(5))
    def test_the_newest_are_kept_in_whatever_order_they_come(self, seed: int) -> None:
        arriving = acts(40)
        random.Random(seed).shuffle(arriving)
        made = AggregatedActivity('g')
        for activity in arriving:
            made.append(activity)
        assert made.activity_ids == ids(acts(15, first=25))
        assert (made.minimized_activities, made.activity_count, len(made)) == (25, 40, 15)
        assert (made.created_at, made.updated_at) == (at(0), at(39))

    def test_a_limit_of_ones_own(self) -> None:
        made = Three('g')
        for activity in acts(5):
            made.append(activity)
        assert made.activity_ids == ids(acts(3, first=2))
        assert (made.minimized_activities, made.activity_count) == (2, 5)

    # removing

    def test_remove(self) -> None:
        made = group(4)
        made.remove(act(3))
        assert made.activity_ids == ids(acts(3))
        assert made.updated_at == at(2)
        made.remove(act(0).serialization_id)
        assert made.activity_ids == ids([act(1), act(2)])
        assert (made.created_at, made.updated_at) == (at(0), at(2))

    def test_remove_what_is_absent(self) -> None:
        made = group()
        with pytest.raises(ActivityNotFound):
            made.remove(act(99))
        with pytest.raises(ActivityNotFound):
            made.remove(5)
        assert len(made) == 3

    def test_remove_the_last(self) -> None:
        made = group(1)
        with pytest.raises(ValueError):
            made.remove(act(0))
        assert made.activity_ids == ids(acts(1))
        with pytest.raises(ActivityNotFound):
            made.remove(act(1))

    def test_remove_lowers_the_count_by_one(self) -> None:
        made = group(20)
        for left in (19, 18, 17):
            made.remove(made.activities[0])
            assert made.activity_count == left
        assert made.minimized_activities == 5

    def test_remove_when_dehydrated(self) -> None:
        made = group().get_dehydrated()
        with pytest.raises(ValueError):
            made.remove(act(1))
        with pytest.raises(ValueError):
            made.remove(act(1).serialization_id)
        assert len(made) == 3

    def test_remove_many(self) -> None:
        made = group(6)
        removed = made.remove_many([act(1), act(5).serialization_id, act(99), 7])
        assert len(removed) == 2
        assert made.activity_ids == ids([act(0), act(2), act(3), act(4)])
        assert made.updated_at == at(4)
        assert list(made.remove_many([act(1)])) == []
        assert list(made.remove_many([])) == []

    def test_remove_many_leaves_one_at_least(self) -> None:
        made = group(3)
        with pytest.raises(ValueError):
            made.remove_many([*acts(3), act(99)])
        assert made.activity_ids == ids(acts(3))
        assert (made.created_at, made.updated_at, made.minimized_activities) == (at(0), at(2), 0)

    # reading

    def test_hydration(self) -> None:
        made = group(3)
        assert made.get_dehydrated() is made
        assert made.dehydrated is True
        assert made.activities == []
        assert made._activity_ids == ids(acts(3))
        assert len(made) == 3
        assert made.activity_ids == ids(acts(3))
        assert made.contains(act(1))
        with pytest.raises(ValueError):
            made.get_dehydrated()
        by_id = {activity.serialization_id: activity for activity in acts(10)}
        assert made.get_hydrated(by_id) is made
        assert made.dehydrated is False
        assert ids(made.activities) == ids(acts(3))
        assert made._activity_ids == []

    def test_hydrating_without_all_the_activities(self) -> None:
        made = group(3).get_dehydrated()
        made.get_hydrated({activity.serialization_id: activity for activity in (act(0), act(2))})
        assert ids(made.activities) == ids([act(0), act(2)])

    def test_contains(self) -> None:
        made = group(3)
        number = act(1).serialization_id
        assert made.contains(act(1)) is True
        assert made.contains(number) is True
        assert made.contains(uuid.UUID(int=number)) is True
        assert made.contains(act(9)) is False
        assert made.contains(5) is False
        for wrong in ('x', str(number), None, 1.5, object()):
            with pytest.raises(ValueError):
                made.contains(wrong)

    def test_properties(self) -> None:
        made = AggregatedActivity('g')
        for n, (actor, verb, object_) in enumerate([(1, Love, 7), (2, Add, 7), (1, Love, 8), (3, Add, 9)]):
            made.append(act(n, actor=actor, verb=verb, object=object_))
        assert made.actor_ids == [1, 2, 3]
        assert made.object_ids == [7, 8, 9]
        assert (made.actor_count, made.other_actor_count, made.activity_count) == (3, 2, 4)
        assert made.last_activity.object_id == 9
        assert [a.object_id for a in made.last_activities] == [9, 8, 7, 7]
        assert made.verb is Love
        assert made.verbs == [Love, Add]
        made.minimized_activities = 5
        assert (made.actor_count, made.other_actor_count, made.activity_count) == (8, 7, 9)

    def test_seen_and_read(self) -> None:
        made = group()
        assert (made.is_seen(), made.is_read()) == (False, False)
        made.seen_at, made.read_at = at(2), at(1)
        assert (made.is_seen(), made.is_read()) == (True, False)
        made.update_read_at()
        assert made.is_read() is True
        made.seen_at = at(1)
        assert made.is_seen() is False
        made.update_seen_at()
        assert made.is_seen() is True
        assert made.seen_at is not None
        assert made.seen_at.tzinfo is None
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        assert abs(now - made.seen_at) < datetime.timedelta(minutes=1)

    def test_equality(self) -> None:
        assert group() == group()
        assert group(2) != group(3)
        other = group()
        other.updated_at = at(2 + 10)
        assert group() == other
        other.updated_at = at(2 + 10, us=1)
        assert group() != other
        for name in ('created_at', 'updated_at', 'seen_at', 'read_at'):
            one, other = group(), group()
            setattr(one, name, at(100))
            setattr(other, name, at(105))
            assert one == other
            setattr(other, name, at(150))
            assert one != other
            setattr(other, name, None)
            assert one != other
        different = AggregatedActivity('group', [act(0), act(1), act(9)], at(0), at(2))
        assert group() != different

    @pytest.mark.parametrize('other', [5, 'x', None, act(1)], ids=['int', 'str', 'None', 'activity'])
    def test_comparing_with_anything_else(self, other: Any) -> None:
        with pytest.raises(ValueError):
            _ = group() == other
        with pytest.raises(ValueError):
            _ = group() != other

    def test_repr(self) -> None:
        made = AggregatedActivity('3-2013-07-08')
        made.append(Activity(1, Love, 42, time=EPOCH))
        made.append(Activity(2, Love, 43, time=EPOCH))
        assert repr(made) == 'AggregatedActivity(3-2013-07-08-loved) Actors 1,2: Objects [42, 43]'
        assert repr(made.get_dehydrated()) == f'Dehydrated AggregatedActivity ({made.activity_ids})'
        assert repr(AggregatedActivity('g'))


class TestNotificationActivity:
    def test_plain_booleans(self) -> None:
        made = NotificationActivity('g', acts(2), at(0), at(1))
        assert isinstance(made, AggregatedActivity)
        assert made.is_seen is False
        assert made.is_read is False
        made.is_seen = True
        assert made.is_seen is True
        assert made.is_read is False
        assert NotificationActivity(group='g').is_seen is False

    def test_groups_like_its_parent(self) -> None:
        made = NotificationActivity('g')
        for activity in acts(20):
            made.append(activity)
        assert (len(made), made.activity_count) == (15, 20)


def test_an_id_that_can_not_be_made_again_is_as_it_is_stored() -> None:
    class OfContext(Activity):
        @property
        def serialization_id(self) -> int:
            return self.extra_context['number']

    activity = OfContext(1, Love, 2)
    activity.stored_under(77)
    assert activity.serialization_id == 77
    activity.object_id, activity.extra_context = 3, {'number': 78}
    assert activity.serialization_id == 78
