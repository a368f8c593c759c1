"""Activities without an actor, messages of the system, on every backend: stored, read, published, removed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework.activity import Activity, ActorSafeIdMixin
from stream_framework.verbs import Comment, Love
from tests import managers
from tests.contracts.support import act, at, ids


class SafeActivity(ActorSafeIdMixin, Activity):
    """An id that includes the actor."""


def system(n: int, object: Any = None, **kwargs: Any) -> Activity:
    """Activity number ``n`` of nobody."""
    cls = kwargs.pop('cls', Activity)
    return cls(None, Love, 500 + n if object is None else object, time=at(n), **kwargs)


FORMS: list[dict[str, Any]] = [
    {},
    {'target': 7},
    {'extra_context': {'text': 'None,;"'}},
    {'object': 'pin;None,'},
    {'object': uuid.UUID(int=9), 'target': 'None'},
    {'object': 10**10, 'target': 2**70, 'cls': SafeActivity},
    {'cls': SafeActivity},
]


class NoActorContract:
    def check(self, found: Any, made: Any) -> None:
        assert (found.actor, found.actor_id) == (None, None)
        assert (found.object_id, found.target_id) == (made.object_id, made.target_id)
        assert (found.verb, found.time, found.extra_context) == (made.verb, made.time, made.extra_context)
        assert found.serialization_id == made.serialization_id

    @pytest.mark.parametrize('form', FORMS, ids=str)
    def test_in_a_flat_feed(self, backend: Any, form: Any) -> None:
        made = system(1, **form)
        feed = backend.flat(activity_class=type(made))(1)
        feed.add_many([made, act(2, cls=type(made))])
        newer, found = feed[:]
        assert newer.actor_id == 1002
        self.check(found, made)
        assert feed.index_of(made) == 1
        feed.remove(system(1, **form))
        assert ids(feed[:]) == ids([newer])

    @pytest.mark.parametrize('form', FORMS, ids=str)
    def test_in_a_notification_feed(self, backend: Any, form: Any) -> None:
        made = system(1, **form)
        feed = backend.notification(activity_class=type(made))(1)
        feed.add(made)
        feed.add(type(made)(5, Love, made.object_id, made.target_id, time=at(9)))
        (group,) = feed[:]
        assert group.actor_ids == [None, 5]
        assert (group.actor_count, group.other_actor_count) == (2, 1)
        self.check(group.activities[0], made)
        assert feed.count_unseen() == 1
        feed.remove(system(1, **form))
        (group,) = feed[:]
        assert group.actor_ids == [5]

    def test_in_an_aggregated_feed(self, backend: Any) -> None:
        feed = backend.aggregated()(1)
        feed.insert_activities([system(1), act(2)])
        feed.add_many([system(1), act(2)])
        (group,) = feed[:]
        assert group.actor_ids == [None, 1002]
        self.check(group.activities[0], system(1))
        assert feed.contains(system(1))
        assert not feed.contains(system(1, object=3))
        feed.remove_many([system(1), act(2)])
        assert feed[:] == []

    def test_removing_what_was_made_anew_without_its_actor(self, backend: Any) -> None:
        # The usual id holds no actor, so 1.4.0's applications remove without knowing him.
        for feed in (backend.flat()(1), backend.notification()(1)):
            feed.add(act(1))
            feed.remove(system(1))
            assert feed.count() == 0

    def test_pages(self, backend: Any) -> None:
        feed = backend.flat()(1)
        made = [system(n) if n % 2 else act(n) for n in range(6)]
        feed.add_many(made)
        assert [activity.actor_id for activity in feed[:]] == [None, 1004, None, 1002, None, 1000]
        assert [activity.actor_id for activity in feed.filter(activity_id__lt=made[4].serialization_id)[:2]] == [
            None,
            1002,
        ]

    def test_in_the_activity_storage(self, backend: Any) -> None:
        if backend.whole_activities:
            pytest.skip('this activity storage stores nothing')
        storage = backend.activity_storage()
        storage.add(system(1, target=8))
        self.check(storage.get(system(1).serialization_id), system(1, target=8))

    @pytest.fixture
    def eager(self) -> Iterator[None]:
        conf = current_app.conf
        before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
        conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        conf.update(before)

    @pytest.mark.usefixtures('eager')
    def test_published(self, backend: Any) -> None:
        managers.FOLLOWERS.clear()
        managers.FOLLOWERS['system'] = {'HIGH': ['reader', 17]}
        manager = backend.manager_class()()
        made = system(1, extra_context={'text': 'down for an hour'})
        manager.add_user_activity('system', made)
        manager.add_user_activity('system', Activity(3, Comment, 4, time=at(2)))
        for user_id in ('reader', 17):
            feeds = manager.get_feeds(user_id)
            self.check(feeds['normal'][1:2][0], made)
            self.check(feeds['notification'][1:2][0].activities[0], made)
        self.check(manager.get_user_feed('system')[1:2][0], made)
        manager.follow_user('later', 'system')
        self.check(manager.get_feeds('later')['normal'][1:2][0], made)
        manager.unfollow_user('later', 3)
        assert [activity.actor_id for activity in manager.get_feeds('later')['normal'][:]] == [None]
        manager.remove_user_activity('system', system(1))
        for user_id in ('reader', 17):
            for feed in manager.get_feeds(user_id).values():
                assert feed.count() == 1
