"""Filters by verb, object and actor on flat feeds, and by state on notification feeds."""

from __future__ import annotations

import random
import types
import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity, ActorSafeIdMixin
from stream_framework.aggregators.base import NotificationAggregator
from stream_framework.verbs import Add, Comment, Follow, Love
from stream_framework.verbs.base import Verb
from tests.contracts.support import VERBS, act, acts, at, ids


class Safe(ActorSafeIdMixin, Activity):
    """Ids that end in a hash."""


class Unknown(Verb):
    """A verb that nobody registers."""

    id = 765


def mixed(count: int, seed: int = 0, cls: type[Activity] = Activity) -> list[Activity]:
    """Activities by few actors with few objects, oldest first; some at one moment."""
    chosen = random.Random(seed)
    made = [
        cls(
            chosen.randrange(4), chosen.choice(VERBS), 10**9 + n if n % 5 == 0 else chosen.randrange(6), time=at(n // 2)
        )
        for n in range(count)
    ]
    return sorted({one.serialization_id: one for one in made}.values(), key=lambda one: one.serialization_id)


class FiltersContract:
    @pytest.fixture(params=['ints', 'hashed', 'both', 'texts'])
    def feed(self, backend: Any, request: pytest.FixtureRequest) -> Any:
        """A feed of activities with ids of either recipe, or of both."""
        kind = request.param
        feed = backend.flat(activity_class=Safe if kind == 'hashed' else Activity, max_length=1000)(1)
        activities = mixed(120, cls=Safe if kind == 'hashed' else Activity)
        if kind in ('both', 'texts'):
            activities = activities[::2] if kind == 'both' else []
            activities += [
                Activity(f'actor {n % 4}', VERBS[n % 3 + 1], n % 6 if n % 7 else f'{n % 6}', time=at(n))
                for n in range(60)
            ]
        feed.add_many(activities)
        return feed

    def expected(self, feed: Any, test: Any) -> list[int]:
        found = ids([one for one in feed[:] if test(one)])
        assert found
        return found

    def test_by_verb(self, feed: Any) -> None:
        for verb in (Love, Love(), Love.id):
            filtered = feed.filter(verb=verb)
            assert ids(filtered[:]) == self.expected(feed, lambda one: one.verb.id == Love.id)

    def test_by_object(self, feed: Any) -> None:
        for wanted in (3, types.SimpleNamespace(id=3)):
            same = self.expected(feed, lambda one: one.object_id == 3)
            assert ids(feed.filter(object_id=wanted)[:]) == same
        assert feed.filter(object_id=4711)[:] == []
        assert feed.filter(object_id=uuid.uuid4())[:5] == []

    def test_by_actor(self, feed: Any) -> None:
        actor = feed[0][0].actor_id
        assert ids(feed.filter(actor_id=actor)[:]) == self.expected(feed, lambda one: one.actor_id == actor)
        assert feed.filter(actor_id='nobody')[:10] == []

    def test_text_and_number_are_two_ids(self, backend: Any) -> None:
        feed = backend.flat()(1)
        feed.add_many([Activity(1, Love, 3, time=at(0)), Activity('1', Love, '3', time=at(1))])
        assert [one.object_id for one in feed.filter(object_id=3)[:]] == [3]
        assert [one.object_id for one in feed.filter(object_id='3')[:]] == ['3']
        assert [one.actor_id for one in feed.filter(actor_id='1')[:]] == ['1']

    def test_pages_are_parts_of_the_whole(self, feed: Any) -> None:
        for filtered in (
            feed.filter(verb=Comment),
            feed.filter(object_id=1),
            feed.filter(actor_id=feed[0][0].actor_id),
        ):
            for way in (filtered, filtered.order_by('activity_id')):
                whole = ids(way[:])
                assert [one for start in range(0, 120, 7) for one in ids(way[start : start + 7])] == whole
                assert ids(way[3:3]) == [] and ids(way[2]) == whole[2:3]

    def test_from_the_last_id_on(self, feed: Any) -> None:
        filtered = feed.filter(verb=Love)
        whole, found = ids(filtered[:]), []
        page = filtered[:4]
        while page:
            found += ids(page)
            page = filtered.filter(activity_id__lt=page[-1].serialization_id)[:4]
        assert found == whole

    def test_with_each_other_and_with_ids(self, feed: Any) -> None:
        bound = ids(feed[:])[10]
        whole = [one for one in feed[:] if ids([one])[0] <= bound]
        filtered = feed.filter(verb=Love).filter(activity_id__lte=bound, object_id=3)
        assert ids(filtered[:]) == ids([one for one in whole if one.verb is Love and one.object_id == 3])
        assert ids(feed.filter(verb=Love).filter(verb=Love)[:]) == ids(feed.filter(verb=Love)[:])
        assert feed.filter(verb=Love).filter(verb=Comment)[:] == []
        assert feed.filter(object_id=1).filter(object_id=2)[:5] == []

    def test_the_feed_itself_is_unchanged(self, feed: Any) -> None:
        whole = ids(feed[:])
        feed.filter(verb=Love)
        assert ids(feed[:]) == whole
        assert feed.filter(verb=Love).count() == len(whole)

    def test_references(self, backend: Any, feed: Any) -> None:
        found = feed.filter(verb=Love).get_activity_slice(0, 5, rehydrate=False)
        assert ids(found) == ids(feed.filter(verb=Love)[:5])
        assert all(one.dehydrated is not backend.whole_activities for one in found)

    def test_what_has_left_the_activity_storage(self, backend: Any) -> None:
        if backend.whole_activities:
            pytest.skip('the timeline holds whole activities')
        feed = backend.flat()(1)
        activities = acts(20)
        feed.add_many(activities)
        for activity in activities[5:15]:
            feed.remove_activity(activity)
        assert ids(feed.filter(verb=Love)[:8]) == ids(activities[:5] + activities[15:])[::-1][:8]

    def test_an_application_hydrates_in_its_own_way(self, backend: Any) -> None:
        class Own(backend.flat()):  # type: ignore[misc]
            def needs_hydration(self, activities: Any) -> bool:
                return True

            def hydrate_activities(self, activities: Any) -> list[Activity]:
                hydrated = super().hydrate_activities(activities)
                return [one for one in hydrated if one.object_id != 503]

        feed = Own(1)
        backend.prepare(Own)
        feed.add_many(acts(6))
        assert [one.object_id for one in feed.filter(verb=Love)[:3]] == [505, 504, 502]

    def test_few_among_many(self, backend: Any) -> None:
        feed = backend.flat(max_length=10**4)(1)
        activities = [act(n, verb=Add if n % 97 == 0 else Love, object=n % 7) for n in range(600)]
        feed.add_many(activities)
        rare = [one for one in activities if one.verb is Add][::-1]
        assert ids(feed.filter(verb=Add)[:5]) == ids(rare[:5])
        assert ids(feed.filter(verb=Add)[5:20]) == ids(rare[5:])

    @pytest.mark.parametrize(
        'wrong',
        [
            {'verb': 'love'},
            {'verb': None},
            {'verb': 999},
            {'verb': True},
            {'verb': 3.0},
            {'object_id': None},
            {'object_id': 1.5},
            {'object_id': True},
            {'object_id': [1]},
            {'actor_id': None},
            {'actor_id': object()},
            {'unseen': True},
            {'unread': False},
            {'target_id': 1},
            {'verb': Love, 'nothing': 1},
        ],
        ids=str,
    )
    def test_what_can_not_be(self, backend: Any, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            backend.flat()(1).filter(**wrong)

    def test_a_verb_that_no_entry_has(self, feed: Any) -> None:
        assert feed.filter(verb=Unknown)[:5] == []
        assert feed.filter(verb=Follow, object_id=10**12)[:5] == []

    def test_groups_have_no_verb(self, backend: Any) -> None:
        for feed in (backend.aggregated()(1), backend.notification()(1)):
            for name, value in (('verb', Love), ('object_id', 1), ('actor_id', 1)):
                with pytest.raises(ValueError, match='can not be filtered by'):
                    feed.filter(**{name: value})
        with pytest.raises(ValueError, match='can not be filtered by'):
            backend.aggregated()(1).filter(unseen=True)


class StatesContract:
    @pytest.fixture
    def feed(self, backend: Any) -> Any:
        """Thirty groups: every third is seen, every fifth is read."""
        feed = backend.notification(aggregator_class=NotificationAggregator)(1)
        feed.add_many(acts(30))
        groups = feed[:]
        feed.mark_activities(groups[::3], seen=True)
        feed.mark_activities(groups[::5], seen=False, read=True)
        return feed

    def test_each_state(self, feed: Any) -> None:
        groups = feed[:]
        for value in (True, False):
            unseen = [group.serialization_id for group in groups if group.is_seen is not value]
            unread = [group.serialization_id for group in groups if group.is_read is not value]
            both = [one for one in unseen if one in unread]
            assert len(unseen) == (20 if value else 10)
            assert [group.serialization_id for group in feed.filter(unseen=value)[:]] == unseen
            assert [group.serialization_id for group in feed.filter(unread=value)[:]] == unread
            assert [group.serialization_id for group in feed.filter(unseen=value, unread=value)[:]] == both
            assert [group.serialization_id for group in feed.filter(unseen=value).filter(unread=value)[:]] == both

    def test_the_groups_say_so(self, feed: Any) -> None:
        assert {group.is_seen for group in feed.filter(unseen=True)[:10]} == {False}
        assert {group.is_read for group in feed.filter(unread=False)[:10]} == {True}

    def test_pages_and_orders(self, feed: Any) -> None:
        for filtered in (feed.filter(unseen=True), feed.filter(unread=False), feed.filter(unseen=False, unread=True)):
            for way in (filtered, filtered.order_by('activity_id')):
                whole = ids(way[:])
                assert [one for start in range(0, 30, 4) for one in ids(way[start : start + 4])] == whole
            bound = ids(filtered[:])[1]
            assert ids(filtered.filter(activity_id__lt=bound)[:]) == ids(filtered[:])[2:]

    def test_all_and_nothing(self, feed: Any) -> None:
        feed.mark_all(seen=True)
        assert feed.filter(unseen=True)[:5] == []
        assert len(feed.filter(unseen=False)[:]) == 30
        assert feed.filter(unread=True).filter(unread=False)[:] == []

    def test_a_group_that_grows_is_unseen_again(self, feed: Any) -> None:
        feed.mark_all(seen=True, read=True)
        feed.add(act(40, object=510, verb=Love))
        assert [group.object_ids for group in feed.filter(unseen=True)[:]] == [[510]]

    @pytest.mark.parametrize('value', [None, 1, 0, 'yes', 'false'])
    def test_what_can_not_be(self, feed: Any, value: Any) -> None:
        for name in ('unseen', 'unread'):
            with pytest.raises(ValueError, match='True or False'):
                feed.filter(**{name: value})

    def test_what_is_not_tracked(self, backend: Any) -> None:
        feed = backend.notification(track_unread=False)(1)
        with pytest.raises(ValueError, match='track_unread'):
            feed.filter(unread=True)
        feed.add_many(acts(2))
        assert len(feed.filter(unseen=True)[:5]) == len(feed[:5])
