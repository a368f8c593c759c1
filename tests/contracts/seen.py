"""What is new in feeds: ``mark_seen`` and ``count_new``, on every kind of feed and every backend."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_framework.activity import Activity
from stream_framework.aggregators.base import NotificationAggregator
from stream_framework.exceptions import ConfigurationError
from stream_framework.feed_managers.base import Manager
from stream_framework.storage.abilities import KeepsSeen
from stream_framework.verbs import Comment, Love
from tests.contracts.support import act, acts, at, ids

KINDS = ('flat', 'aggregated', 'notification')


def made(backend: Any, kind: str, **attributes: Any) -> Any:
    """A feed class whose entries are one for each activity of another object."""
    if kind != 'flat':
        attributes.setdefault('aggregator_class', NotificationAggregator)
    return getattr(backend, kind)(**attributes)


@pytest.mark.parametrize('kind', KINDS)
class SeenContract:
    @pytest.fixture
    def feed(self, backend: Any, kind: str) -> Any:
        """An empty feed, where the backend keeps marks."""
        feed = made(backend, kind)(1)
        if not isinstance(feed.timeline_storage, KeepsSeen):
            with pytest.raises(ConfigurationError, match='KeepsSeen'):
                feed.count_new()
            pytest.skip(f'{backend} keeps no seen marks')
        return feed

    def test_all_is_new_where_there_is_no_mark(self, feed: Any) -> None:
        assert feed.count_new() == 0
        feed.add_many(acts(5))
        assert feed.count_new() == 5

    def test_nothing_is_new_up_to_the_newest(self, feed: Any) -> None:
        feed.add_many(acts(5))
        feed.mark_seen()
        assert feed.count_new() == 0
        feed.add_many(acts(3, first=5))
        assert feed.count_new() == 3

    def test_an_empty_feed_gets_no_mark(self, feed: Any) -> None:
        feed.mark_seen()
        feed.add_many(acts(2))
        assert feed.count_new() == 2

    def test_what_comes_in_below_the_mark_is_not_new(self, feed: Any) -> None:
        feed.add_many(acts(2, first=10))
        feed.mark_seen()
        feed.add_many(acts(2))
        assert feed.count_new() == 0

    def test_up_to_an_entry_however_it_is_given(self, backend: Any, kind: str, feed: Any) -> None:
        feed_class = type(feed)
        for user_id, spell in enumerate((lambda entry: entry, lambda entry: str(entry.serialization_id), ids_of), 20):
            other = feed_class(user_id)
            other.add_many(acts(5))
            other.mark_seen(until=spell(other[2:3][0]))
            assert other.count_new() == 2
            other.mark_seen(spell(other[1:2][0]))
            assert other.count_new() == 1

    def test_an_activity_stands_for_its_time_on_feeds_of_groups(self, feed: Any) -> None:
        feed.add_many(acts(5))
        feed.mark_seen(until=act(2))
        assert feed.count_new() == 2

    def test_the_mark_never_moves_back(self, feed: Any) -> None:
        feed.add_many(acts(5))
        feed.mark_seen(until=feed[1:2][0])
        feed.mark_seen(until=feed[3:4][0])
        assert feed.count_new() == 1

    def test_within_one_millisecond(self, feed: Any) -> None:
        feed.add_many([act(0, object=100 + n, time=at(0)) for n in range(7)])
        entries = feed[:]
        assert len(entries) == 7
        for place in reversed(range(7)):
            feed.mark_seen(until=entries[place])
            assert feed.count_new() == place

    def test_after_removals(self, feed: Any) -> None:
        feed.add_many(acts(6))
        feed.mark_seen(until=act(2))
        feed.remove_many([act(5), act(1)])
        assert feed.count_new() == 2
        feed.remove(act(2))
        assert feed.count_new() == 2

    def test_of_a_feed_that_is_cut(self, backend: Any, kind: str, feed: Any) -> None:
        short = made(backend, kind, max_length=3, trim_chance=1)(1)
        short.add_many(acts(2))
        short.mark_seen()
        for n in range(2, 8):
            short.add(act(n))
        short.trim()
        assert short.count_new() == 3

    def test_what_is_only_in_the_timeline_counts(self, backend: Any, kind: str, feed: Any) -> None:
        if kind == 'flat' and not backend.whole_activities:
            feed.add_many(acts(3))
            feed.remove_activity(act(1))
            assert feed.count_new() == 3

    def test_filters_and_orders_change_nothing(self, feed: Any) -> None:
        feed.add_many(acts(5))
        feed.order_by('activity_id').filter(activity_id__lt=feed[2:3][0].serialization_id).mark_seen()
        assert feed.count_new() == 0

    def test_more_than_a_page(self, feed: Any) -> None:
        feed.add_many(acts(230), trim=False)
        assert feed.count_new() == feed.count()
        feed.mark_seen(until=feed[180:181][0])
        assert feed.count_new() == 180

    def test_each_user_has_a_mark_of_his_own(self, feed: Any) -> None:
        other = type(feed)(2)
        for one in (feed, other):
            one.add_many(acts(3))
        feed.mark_seen()
        assert (feed.count_new(), other.count_new()) == (0, 3)

    def test_deleting_and_flushing_take_the_mark_along(self, feed: Any) -> None:
        for forget in (feed.delete, type(feed).flush):
            feed.add_many(acts(3))
            feed.mark_seen()
            forget()
            assert feed.timeline_storage.get_seen([feed.key]) == [None]
            feed.add_many(acts(3))
            assert feed.count_new() == 3

    @pytest.mark.parametrize('value', ['x', 1.5, object(), [1], ''])
    def test_what_is_no_id(self, feed: Any, value: Any) -> None:
        with pytest.raises(ValueError):
            feed.mark_seen(until=value)

    def test_a_group_that_grows_is_new_again(self, kind: str, feed: Any) -> None:
        if kind != 'flat':
            feed.add_many([act(n, object=500) for n in range(3)])
            feed.mark_seen()
            feed.add(act(9, object=500))
            assert (feed.count_new(), feed.count()) == (1, 1)

    def test_ids_that_are_no_recipe_of_ours(self, backend: Any, kind: str, feed: Any) -> None:
        feed.add_many([Activity(str(n), Love, uuid.UUID(int=n), time=at(n // 4)) for n in range(12)])
        for place in (11, 6, 0):
            entries = feed[:]
            feed.mark_seen(until=entries[place])
            assert feed.count_new() == place

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        steps=st.lists(
            st.tuples(st.sampled_from(('add', 'remove', 'mark', 'trim')), st.integers(0, 2), st.integers(1, 12)),
            max_size=8,
        )
    )
    def test_it_is_what_a_slice_says(self, kind: str, feed: Any, steps: list[tuple[str, int, int]]) -> None:
        feed.delete()
        storage = feed.timeline_storage
        mark = None
        for step, millisecond, number in steps:
            activity = act(0, object=number, verb=(Love, Comment)[number % 2], time=at(ms=millisecond))
            if step == 'add':
                feed.add(activity)
            elif step == 'remove':
                feed.remove(activity)
            elif step == 'trim':
                feed.trim(number)
            elif entries := feed[:]:
                until = entries[number % len(entries)]
                feed.mark_seen(until)
                mark = max(mark or 0, storage.order(until.serialization_id))
            newer = [one for one in feed[:] if mark is None or storage.order(one.serialization_id) > mark]
            assert feed.count_new() == len(newer)

    def test_all_feeds_of_a_user(self, backend: Any, kind: str, feed: Any) -> None:
        classes = {name: made(backend, name) for name in KINDS}
        values = {'feed_classes': {**classes, 'more': made(backend, kind)}, 'user_feed_class': backend.user_feed_class}
        manager = type('SeenManager', (Manager,), values)()
        feeds = manager.get_feeds(7)
        assert manager.count_new(7) == dict.fromkeys(feeds, 0)
        for number, one in enumerate(feeds.values()):
            one.add_many(acts(5))
            if number:
                one.mark_seen(until=act(number))
        assert manager.count_new(7) == {'flat': 5, 'aggregated': 3, 'notification': 2, 'more': 1}

    def test_an_application_counts_in_its_own_way(self, backend: Any, kind: str, feed: Any) -> None:
        class Own(type(feed)):  # type: ignore[misc]
            key_format = feed.key_format + 'own'

            def count_new(self) -> int:
                return min(super().count_new(), 2)

        values = {'feed_classes': {'own': Own, 'usual': type(feed)}, 'user_feed_class': backend.user_feed_class}
        manager = type('OwnManager', (Manager,), values)()
        for one in manager.get_feeds(7).values():
            one.add_many(acts(4))
        assert manager.count_new(7) == {'own': 2, 'usual': 4}


def ids_of(entry: Any) -> int:
    """The id as an int."""
    return ids([entry])[0]
