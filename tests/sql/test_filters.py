"""Filters by verb, object and actor: one statement, along the keys of the tables."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.sql.connection import get_engine
from stream_framework.verbs import Comment, Love
from tests.contracts.support import act
from tests.sql.support import Flat, UserFeed, statements


def fill(activities: list[Activity]) -> None:
    UserFeed.insert_activities(activities)
    Flat(1).add_many(activities)


def some(count: int = 200) -> list[Activity]:
    """Verbs, objects and actors whose ids look alike."""
    return [
        Activity(
            (Love.id, 7, f'{Love.id},7', uuid.UUID(int=number))[number % 4],
            (Love, Comment)[number // 4 % 2],
            (Love.id, f'%,{Comment.id}', "it's_100%", number)[number // 8 % 4],
            (None, Love.id)[number % 2],
            time=act(number).time,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(
    'wanted',
    [
        {'verb': Love},
        {'verb': Comment, 'actor_id': 7},
        {'actor_id': f'{Love.id},7'},
        {'actor_id': Love.id},
        {'object_id': "it's_100%"},
        {'object_id': Love.id, 'verb': Love},
        {'actor_id': Love.id, 'object_id': f'%,{Comment.id}'},
        {'actor_id': uuid.UUID(int=7), 'verb': Comment},
    ],
)
@pytest.mark.parametrize('ascending', [False, True])
def test_pages_are_those_of_the_whole_feed(database: Any, wanted: dict[str, Any], ascending: bool) -> None:
    fill(some())
    feed = Flat(1).order_by('activity_id') if ascending else Flat(1)

    def passes(activity: Any) -> bool:
        values = {'verb': activity.verb, 'actor_id': activity.actor_id, 'object_id': activity.object_id}
        return all(type(values[name]) is type(value) and values[name] == value for name, value in wanted.items())

    wanted_ids = [activity.serialization_id for activity in feed[:] if passes(activity)]
    assert wanted_ids
    for size in (1, 7, 25):
        assert [found.serialization_id for found in feed.filter(**wanted)[:size]] == wanted_ids[:size]
    assert [found.serialization_id for found in feed.filter(**wanted)[3:9]] == wanted_ids[3:9]
    assert [found.serialization_id for found in feed.filter(**wanted)[:]] == wanted_ids


def test_one_statement(database: Any) -> None:
    activities = [act(number, object=number % 3) for number in range(300)]
    fill(activities)
    with statements() as found:
        page = Flat(1).filter(object_id=1)[:25]
    assert len(page) == 25 and len(found) == 1, found
    with statements() as found:
        assert Flat(1).filter(actor_id=12345)[:25] == []
    assert len(found) == 1, found


def test_the_plan_goes_by_keys(database: Any) -> None:
    """The entries of one feed in their order, and each activity by its id; nothing is sorted or looked through."""
    fill([act(number) for number in range(300)])
    with statements() as found:
        assert Flat(1).filter(actor_id=act(0).actor_id)[:25]
    [statement] = found
    values: dict[str, Any] = {'key': Flat(1).key, 'low': b'', 'high': b'\xff' * 6, 'limit': 25}
    values.update(head='13,', part='', plain='\x02')
    with get_engine().connect() as connection:
        if database.name == 'sqlite':
            rows = connection.exec_driver_sql(f'EXPLAIN QUERY PLAN {statement}', values).fetchall()
        else:
            connection.exec_driver_sql('ANALYZE stream_entries, stream_activities, stream_feeds')
            connection.exec_driver_sql('SET LOCAL enable_seqscan = off')
            rows = connection.exec_driver_sql(f'EXPLAIN {statement}', values).fetchall()
    plan = '\n'.join(str(row[-1]) for row in rows)
    if database.name == 'sqlite':
        assert 'SEARCH e USING PRIMARY KEY (feed=? AND number>? AND number<?)' in plan, plan
        assert 'SEARCH a USING PRIMARY KEY (id=?)' in plan, plan
        assert 'TEMP B-TREE' not in plan and 'SCAN' not in plan, plan
    else:
        assert 'stream_entries_pkey' in plan and 'stream_activities_pkey' in plan, plan
        assert 'Seq Scan' not in plan and 'Sort' not in plan, plan


def test_texts_of_an_applications_own_are_read(database: Any) -> None:
    class Reversed(ActivitySerializer):
        def dumps(self, activity: Any) -> str:
            return super().dumps(activity)[::-1]

        def loads(self, serialized_activity: Any) -> Any:
            return super().loads(serialized_activity[::-1])

    storage = type('Storage', (Flat.activity_storage_class,), {'default_serializer_class': Reversed})
    attributes = {'activity_storage_class': storage, 'activity_serializer': Reversed, 'key_format': 'b:%(user_id)s'}
    feed_class = type('Backward', (Flat,), attributes)
    activities = [act(number, object=number % 3) for number in range(60)]
    feed_class.insert_activities(activities)
    feed_class(1).add_many(activities)
    assert len(feed_class(1).filter(object_id=1)[:]) == 20
