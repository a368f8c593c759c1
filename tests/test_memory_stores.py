"""The process-wide stores of the storages in memory, which applications' tests look into, and empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.memory import Feed
from stream_framework.storage.memory import (
    InMemoryActivityStorage,
    InMemoryTimelineStorage,
    activity_store,
    timeline_store,
)
from tests.contracts.support import act, acts, ids


class Stored(Feed):
    key_format = 'stores:%(user_id)s'


class Grouped(AggregatedFeed):
    key_format = 'stores:groups:%(user_id)s'


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    for feed in (Stored(1), Stored(2), Grouped(1)):
        feed.delete()


def test_feeds_are_in_one_store_by_their_keys() -> None:
    Stored(1).add_many(acts(3))
    Grouped(1).add_many(acts(3))
    assert {'stores:1', 'stores:groups:1'} <= set(timeline_store)
    assert 'stores:2' not in timeline_store
    Stored(1).delete()
    assert 'stores:1' not in timeline_store


def test_activities_are_in_one_store_by_their_ids() -> None:
    activity = act(4711)
    Stored.insert_activity(activity)
    assert activity.serialization_id in activity_store
    Stored.remove_activity(activity)
    assert activity.serialization_id not in activity_store


def test_instances_share_the_stores() -> None:
    Stored(1).add_many(acts(3))
    for storage in (InMemoryTimelineStorage(), Stored.get_timeline_storage()):
        assert storage.count('stores:1') == 3
        assert storage.contains('stores:1', act(1).serialization_id)
    assert InMemoryActivityStorage().get(act(1).serialization_id) == act(1)


@pytest.mark.parametrize('store', [timeline_store, activity_store], ids=['timelines', 'activities'])
def test_emptying_a_store_empties_feeds(store: Any) -> None:
    Stored(1).add_many(acts(3))
    store.clear()
    assert Stored(1)[:] == []
    Stored(1).add_many(acts(3))
    assert ids(Stored(1)[:]) == ids(acts(3))[::-1]
