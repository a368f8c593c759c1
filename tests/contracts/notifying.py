"""Declared notifications, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from stream_framework.exceptions import MessageError, NotDefinedError
from stream_framework.feed_managers.base import FanoutPriority
from stream_framework.verbs import Love
from tests import managers
from tests.contracts.manager import Queue
from tests.contracts.support import act, ids


def notified(self: Any, activity: Any) -> Any:
    return activity.extra_context.get('tells', ())


def told(n: int, *user_ids: Any, **kwargs: Any) -> Any:
    """An activity of 13 that notifies some users."""
    kwargs.setdefault('actor', 13)
    return act(n, object=7, extra_context={'tells': list(user_ids)}, **kwargs)


class NotifyingContract:
    @pytest.fixture(autouse=True)
    def eager(self) -> Iterator[None]:
        conf = current_app.conf
        before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
        conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        conf.update(before)

    @pytest.fixture
    def manager(self, backend: Any) -> Any:
        nobody = {'get_user_follower_ids': lambda self, user_id: {FanoutPriority.HIGH: []}}
        more = nobody if backend.follow_storage_class is None else {}
        return managers.with_follows(backend, notifies=True, get_notified_ids=notified, **more)()

    @pytest.fixture
    def queue(self, manager: Any, monkeypatch: pytest.MonkeyPatch) -> Queue:
        return Queue(monkeypatch)

    @staticmethod
    def of(manager: Any, user_id: Any) -> list[int]:
        groups = manager.get_feeds(user_id)['notifications'][:]
        return sorted(int(each) for group in groups for each in group.activity_ids)

    def test_add_and_remove(self, manager: Any) -> None:
        first, second = told(0, 7, 8), told(1, 7)
        for activity in (first, second):
            manager.add_user_activity(13, activity)
        assert self.of(manager, 7) == ids([first, second])
        assert self.of(manager, 8) == ids([first])
        assert manager.get_feeds(7)['notifications'].count_unseen() == 1
        manager.remove_user_activity(13, first)
        assert self.of(manager, 7) == ids([second])
        assert self.of(manager, 8) == []
        assert manager.get_feeds(8)['notifications'].count_unseen() == 0

    def test_never_the_actor(self, manager: Any) -> None:
        manager.add_user_activity(13, told(0, 13, 7))
        manager.batch_import(13, [told(1, 13)])
        assert self.of(manager, 13) == []

    def test_import(self, manager: Any) -> None:
        activities = [told(0, 7), told(1, 8), told(2, 7, 8)]
        manager.batch_import(13, activities, chunk_size=2)
        assert self.of(manager, 7) == ids([activities[0], activities[2]])
        assert self.of(manager, 8) == ids([activities[1], activities[2]])
        manager.batch_import(13, [told(3, 7)], fanout=False)
        assert len(self.of(manager, 7)) == 2

    def test_update(self, manager: Any) -> None:
        manager.add_user_activity(13, told(0, 7))
        changed = told(0, 7, 8)
        changed.extra_context['version'] = 2
        manager.update_user_activity(changed)
        [group] = manager.get_feeds(7)['notifications'][:]
        assert group.activities[0].extra_context['version'] == 2
        assert self.of(manager, 8) == []

    def test_what_was_published_last_wins(self, manager: Any, queue: Queue) -> None:
        gone, back = told(0, 7), told(1, 7)
        manager.add_user_activity(13, gone)
        manager.remove_user_activity(13, gone)
        manager.add_user_activity(13, back)
        manager.remove_user_activity(13, back)
        manager.add_user_activity(13, back)
        queue.run(reversed(range(len(queue.messages))))
        assert self.of(manager, 7) == ids([back])

    def test_chunks_of_high_priority(self, manager: Any, queue: Queue) -> None:
        manager.add_user_activity(13, told(0, *range(100, 350)))
        names = [task.name.rpartition('.')[2] for task, _, _ in queue.messages]
        assert names == ['fanout_operation_hi_priority'] * 3
        assert [len(kwargs['user_ids']) for _, _, kwargs in queue.messages] == [100, 100, 50]

    def test_following_copies_no_notifications(self, backend: Any, manager: Any) -> None:
        if backend.follow_storage_class is None:
            pytest.skip(f'{backend} keeps no follows')
        manager.add_user_activity(13, told(0))
        manager.add_user_activity(13, told(1, 7))
        manager.follow_user(7, 13)
        assert len(manager.get_feeds(7)['normal'][:]) == 2
        assert self.of(manager, 7) == ids([told(1)])
        manager.add_user_activity(13, told(2))
        manager.unfollow_user(7, 13)
        assert self.of(manager, 7) == ids([told(1)])
        assert manager.get_feeds(7)['normal'][:] == []

    def test_hidden(self, backend: Any, manager: Any) -> None:
        if backend.follow_storage_class is None:
            pytest.skip(f'{backend} keeps no follows')
        manager.add_user_activity(13, told(0, 7, 8))
        manager.mute_user(7, 13)
        manager.block_user(13, 8)
        assert self.of(manager, 7) == self.of(manager, 8) == []
        manager.add_user_activity(13, told(1, 7, 8, 9))
        assert [self.of(manager, user_id) for user_id in (7, 8, 9)] == [[], [], ids([told(1)])]

    def test_the_name(self, backend: Any, manager: Any) -> None:
        assert list(manager.get_feeds(7)) == ['normal', 'aggregated', 'notifications']
        feed_classes = {'notifications': manager.feed_classes['normal']}
        cls = type('Named', (type(manager),), {'feed_classes': feed_classes})
        assert type(cls().get_feeds(7)['notifications']) is feed_classes['notifications']

    @pytest.mark.parametrize('wrong', [None, 7, 'anna', [1.5], [[1]]])
    def test_bad_ids_store_nothing(self, manager: Any, monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
        monkeypatch.setattr(type(manager), 'get_notified_ids', lambda self, activity: wrong)
        with pytest.raises(MessageError, match='get_notified_ids'):
            manager.add_user_activity(13, told(0))
        assert manager.get_user_feed(13)[:] == []

    def test_not_defined(self, manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(type(manager), 'get_notified_ids')
        with pytest.raises(NotDefinedError, match='get_notified_ids'):
            manager.add_user_activity(13, told(0, verb=Love))
        assert manager.get_user_feed(13)[:] == []
