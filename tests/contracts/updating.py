"""Replacing activities in feeds: only where they still are, on every backend, in feeds of each kind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stream_framework.serializers.activity_serializer import ActivitySerializer
from tests.contracts.support import act, acts, ids, members

KINDS = ('references', 'whole', 'aggregated', 'notification')


def versions(feed: Any) -> list[Any]:
    """What a feed shows of the contexts of its activities."""
    items = [getattr(item, 'activities', [item]) for item in feed[:]]
    return [activity.extra_context.get('version') for of_item in items for activity in of_item]


def updated(n: int, version: int = 2) -> Any:
    return act(n, object=7, extra_context={'version': version})


class UpdatingContract:
    @pytest.fixture(params=KINDS)
    def feed_class(self, backend: Any, request: pytest.FixtureRequest) -> Any:
        kind = request.param
        if kind == 'whole':
            if backend.whole_activities:
                return backend.flat()
            return backend.flat(timeline_serializer=ActivitySerializer, activity_storage_class=None)
        return {'references': backend.flat, 'aggregated': backend.aggregated, 'notification': backend.notification}[
            kind
        ]()

    @pytest.fixture
    def feed(self, feed_class: Any) -> Any:
        feed = feed_class(1)
        feed.add_many([act(n, object=7, extra_context={'version': 1, 'gone': True}) for n in range(3)])
        return feed

    def test_what_is_there_is_replaced(self, feed: Any) -> None:
        before = ids(feed[:])
        held = feed.update_many([updated(0), updated(2), updated(9)])
        assert sorted(ids(held)) == ids([updated(0), updated(2)])
        assert sorted(versions(feed)) == [1, 2, 2]
        assert ids(feed[:]) == before
        found = [activity for item in feed[:] for activity in getattr(item, 'activities', [item])]
        assert [activity.extra_context for activity in found].count({'version': 2}) == 2

    def test_in_a_batch(self, feed_class: Any, feed: Any) -> None:
        other, empty = feed_class(2), feed_class(3)
        other.add_many([updated(1, 1)])
        with feed_class.get_timeline_batch_interface() as batch:
            for each in (feed, other, empty):
                assert each.update_many([updated(1), updated(5)], batch_interface=batch) == []
        if feed_class.activity_storage_class is None or not feed.timeline_storage.keeps_references:
            assert versions(feed).count(2) == versions(other).count(2) == 1
        assert empty.count() == 0
        assert len(versions(feed)) == 3
        assert len(versions(other)) == 1

    def test_nothing_comes_back(self, feed: Any) -> None:
        feed.remove_many([updated(1)])
        assert ids(feed.update_many([updated(1), updated(8)])) == []
        assert versions(feed) == [1, 1]
        feed.delete()
        assert ids(feed.update_many([updated(0)])) == []
        assert feed.count() == 0

    def test_again_and_again(self, feed: Any) -> None:
        for version in range(2, 6):
            feed.update_many([updated(1, version), updated(2, version)])
            assert sorted(versions(feed)) == [1, version, version]
        feed.remove_many([updated(1)])
        feed.add_many([updated(1, 9)])
        assert sorted(versions(feed)) == [1, 5, 9]

    def test_nothing_to_do(self, feed: Any) -> None:
        assert feed.update_many([]) == []
        assert versions(feed) == [1, 1, 1]

    def test_other_things_are_refused(self, feed: Any) -> None:
        with pytest.raises(ValueError):
            feed.update_many([object()])

    def test_groups_stay_as_they_are(self, backend: Any) -> None:
        feed = backend.notification()(1)
        feed.add_many(acts(20, object=7, extra_context={'version': 1}))
        feed.mark_all(seen=True, read=False)
        [before] = feed[:]
        feed.update_many([updated(n) for n in range(20)])
        [after] = feed[:]
        assert members([after]) == members([before])
        for name in ('serialization_id', 'created_at', 'updated_at', 'is_seen', 'is_read', 'activity_count'):
            assert getattr(after, name) == getattr(before, name)
        assert versions(feed) == [2] * 15

    def test_nobody_is_told_of_groups(self, backend: Any) -> None:
        feed = backend.notification()(1)
        feed.add_many([updated(1, 1)])
        feed.on_update_feed = lambda new, deleted: pytest.fail('nothing came, and nothing went')
        feed.update_many([updated(1)])
        assert versions(feed) == [2]

    def test_while_others_remove(self, feed_class: Any) -> None:
        """Whoever is first: what was removed stays away."""
        feed_class(1).add_many([updated(n, 1) for n in range(40)])
        barrier = threading.Barrier(2)

        def update() -> None:
            feed = feed_class(1)
            barrier.wait()
            for version in range(2, 12):
                feed.update_many([updated(n, version) for n in range(40)])

        thread = threading.Thread(target=update)
        thread.start()
        barrier.wait()
        for n in range(0, 40, 5):
            feed_class(1).remove_many([updated(m) for m in range(n, n + 5)])
        thread.join()
        assert feed_class(1)[:] == []
