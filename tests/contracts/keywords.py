"""A keyword that nobody reads is a TypeError, and nothing is stored; what an override takes is accepted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.contracts.support import act, acts, ids

_objects = itertools.count(10**7)


def fresh_acts() -> list[Any]:
    """Two activities that no other test stores: feeds share their activity storage."""
    return [act(n, object=next(_objects)) for n in (1, 2)]


class Takes:
    """Before a feed: takes a keyword of the application, and hands its whole tail on, as overrides for 1.4.0 do."""

    def add_many(self, activities: Any, *args: Any, **kwargs: Any) -> Any:
        self.source = kwargs.get('source')
        return super().add_many(activities, *args, **kwargs)  # type: ignore[misc]

    def remove_many(self, activities: Any, *args: Any, **kwargs: Any) -> Any:
        self.source = kwargs.get('source')
        return super().remove_many(activities, *args, **kwargs)  # type: ignore[misc]

    @classmethod
    def insert_activities(cls, activities: Any, **kwargs: Any) -> Any:
        return super().insert_activities(activities, **kwargs)  # type: ignore[misc]


class TakesInStorage:
    """Before a timeline storage: the same."""

    sources: list[Any] = []

    def add_many(self, key: Any, activities: Any, *args: Any, source: Any = None, **kwargs: Any) -> Any:
        self.sources.append(source)
        return super().add_many(key, activities, *args, **kwargs)  # type: ignore[misc]


class KeywordsContract:
    @pytest.fixture(params=['flat', 'aggregated', 'notification'])
    def feed_class(self, backend: Any, request: Any) -> Any:
        return getattr(backend, request.param)()

    def refuses(self, call: Any, *args: Any, known: tuple[str, ...] = (), **kwargs: Any) -> None:
        with pytest.raises(TypeError, match='trimm') as caught:
            call(*args, trimm=False, **kwargs)
        for name in known:
            assert name in str(caught.value)

    def test_of_feeds(self, feed_class: Any) -> None:
        feed = feed_class(1)
        known = ('activities', 'batch_interface', 'trim')
        self.refuses(feed.add, act(1), known=known)
        self.refuses(feed.add_many, acts(2), known=known)
        self.refuses(feed.add_many, [], known=known)
        assert feed[:] == []
        feed.add_many(acts(2))
        self.refuses(feed.remove, act(1), known=known[1:])
        self.refuses(feed.remove_many, acts(2), known=known[1:])
        assert sum(len(entry) if hasattr(entry, 'activities') else 1 for entry in feed[:]) == 2

    def test_of_feeds_by_position(self, feed_class: Any) -> None:
        feed = feed_class(1)
        for add in (feed.add_many, feed.remove_many):
            with pytest.raises(TypeError, match='extra'):
                add(acts(2), None, True, 'extra', 'extra')
        assert feed[:] == []

    def test_in_batches(self, feed_class: Any) -> None:
        feed = feed_class(1)
        with feed_class.get_timeline_batch_interface() as batch:
            self.refuses(feed.add_many, acts(2), batch_interface=batch)
            self.refuses(feed.remove_many, acts(2), batch_interface=batch)
        assert feed[:] == []

    def test_of_class_methods(self, backend: Any, feed_class: Any) -> None:
        activities = fresh_acts()
        self.refuses(feed_class.insert_activity, activities[0])
        self.refuses(feed_class.insert_activities, activities)
        if not backend.whole_activities and feed_class.activity_storage_class is not None:
            storage = feed_class.get_activity_storage()
            assert storage.get_many(ids(activities)) == []
            storage.add_many(activities)
            self.refuses(feed_class.remove_activity, activities[0])
            assert len(storage.get_many(ids(activities))) == 2

    @pytest.mark.parametrize('kind', ['aggregated', 'notification'])
    def test_of_groups(self, backend: Any, kind: str) -> None:
        feed = getattr(backend, kind)()(1)
        groups = feed.get_aggregator().aggregate(acts(2))
        self.refuses(feed.add_many_aggregated, groups, known=('aggregated', 'batch_interface'))
        assert feed[:] == []
        if kind == 'notification':
            assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
        feed.add_many_aggregated(groups)
        self.refuses(feed.remove_many_aggregated, groups)
        assert feed.count() == len(groups)

    def test_of_timeline_storages(self, backend: Any) -> None:
        feed = backend.flat()(1)
        storage = feed.timeline_storage
        self.refuses(storage.add, feed.key, act(1), known=('batch_interface',))
        self.refuses(storage.add_many, feed.key, acts(2), known=('batch_interface',))
        with storage.get_batch_interface() as batch:
            self.refuses(storage.add_many, feed.key, acts(2), batch_interface=batch)
        for method in (storage.count, storage.delete):
            self.refuses(method, feed.key)
        assert feed[:] == []
        feed.add(act(1))
        self.refuses(storage.remove, feed.key, act(1))
        self.refuses(storage.remove_many, feed.key, [act(1)])
        assert feed.count() == 1

    def test_of_activity_storages(self, backend: Any) -> None:
        storage, activities = backend.activity_storage(), fresh_acts()
        self.refuses(storage.add, activities[0])
        self.refuses(storage.add_many, activities)
        assert storage.get_many(ids(activities)) == []
        self.refuses(storage.get, activities[0].serialization_id)
        self.refuses(storage.get_many, ids(activities))
        self.refuses(storage.remove, activities[0])
        self.refuses(storage.remove_many, activities)

    @pytest.mark.parametrize('kind', ['flat', 'aggregated', 'notification'])
    def test_what_an_override_takes_is_accepted(self, backend: Any, kind: str) -> None:
        base = getattr(backend, kind)()
        feed_class = backend.make(type('Taking', (Takes, base), {}))
        feed = feed_class(1)
        feed_class.insert_activities([act(3)], source='import')
        feed.add(act(1), source='import')
        assert feed.source == 'import'
        feed.add_many([act(2)], trim=False, source='mail')
        assert feed.source == 'mail'
        with feed_class.get_timeline_batch_interface() as batch:
            feed.add_many([act(3)], batch_interface=batch, source='batch')
        assert sum(len(entry) if hasattr(entry, 'activities') else 1 for entry in feed[:]) == 3
        feed.remove_many([act(3)], source='moderator')
        assert feed.source == 'moderator'

    def test_what_an_override_of_the_storage_takes_reaches_it(self, backend: Any) -> None:
        base = backend.flat()
        storage_class = type('Taking', (TakesInStorage, base.timeline_storage_class), {'sources': []})
        feed = backend.make(base, timeline_storage_class=storage_class)(1)
        feed.add(act(1), source='import')
        feed.add_many([act(2)])
        assert storage_class.sources == ['import', None]
        assert ids(feed[:]) == ids([act(2), act(1)])

    def test_the_keywords_of_1_4_0(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed_class.insert_activities([act(3)], batch_interface=None)
        feed.add(act(1), batch_interface=None, trim=True)
        feed.add_many(acts(2), batch_interface=None, trim=False)
        with feed_class.get_timeline_batch_interface() as batch:
            feed.add(act(3), batch_interface=batch, trim=False)
            feed.remove(act(1), batch_interface=batch, trim=False)
        feed.remove_many([act(0)], trim=False)
        assert sum(len(entry) if hasattr(entry, 'activities') else 1 for entry in feed[:]) == 1
        feed_class.remove_activity(act(3), batch_interface=None)
