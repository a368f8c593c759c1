"""Threads that write to the same feeds in memory: nothing is lost, no group comes twice, counts are exact."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from stream_framework import tasks
from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.feed_managers.base import FanoutPriority
from tests import managers
from tests.backends import Memory
from tests.contracts.support import act, ids
from tests.forks import in_a_fork

THREADS = 8
EACH = 60


@pytest.fixture
def memory() -> Any:
    backend = Memory()
    backend.reset()
    yield backend
    backend.reset()


def together(work: Callable[[int], None]) -> None:
    """Run ``work(0)`` to ``work(7)`` in threads that start at one moment."""
    barrier = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - the test raises it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def of(number: int, each: int = EACH, objects: int = 3) -> list[Activity]:
    """What one thread adds, in an order of its own."""
    found = [act(i * THREADS + number, object=(i * THREADS + number) % objects) for i in range(each)]
    random.Random(number).shuffle(found)
    return found


def everything(objects: int = 3) -> list[Activity]:
    return sorted((activity for number in range(THREADS) for activity in of(number)), key=lambda a: a.serialization_id)


def test_flat(memory: Any) -> None:
    feed = memory.flat(max_length=10**6)(1)

    def work(number: int) -> None:
        for activity in of(number):
            feed.add(activity)
            assert len(feed[:5]) <= 5

    together(work)
    assert ids(feed[:]) == ids(everything())[::-1]
    assert feed.count() == THREADS * EACH


def test_flat_add_remove_and_trim(memory: Any) -> None:
    feed = memory.flat(max_length=100, trim_chance=1)(1)

    def work(number: int) -> None:
        for position, activity in enumerate(of(number)):
            feed.add(activity)
            if position % 3 == 0:
                feed.remove(activity)
            found = ids(feed[:20])
            assert found == sorted(set(found), reverse=True)

    together(work)
    assert feed.count() <= 100
    found = ids(feed[:])
    assert found == sorted(set(found), reverse=True)


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_groups(memory: Any, kind: str) -> None:
    feed = getattr(memory, kind)()(1)

    def work(number: int) -> None:
        for activity in of(number):
            feed.add(activity)

    together(work)
    groups = feed[:]
    objects = 3 if kind == 'notification' else 1
    assert len(groups) == feed.count() == objects
    assert len({group.group for group in groups}) == objects
    assert sum(group.activity_count for group in groups) == THREADS * EACH
    for group in groups:
        mine = [a for a in everything() if kind == 'aggregated' or a.object_id == group.activities[0].object_id]
        assert list(group.activity_ids) == ids(mine)[-15:]
        assert (group.created_at, group.updated_at) == (mine[0].time, mine[-1].time)
    if kind == 'notification':
        assert sorted(feed.feed_markers.get('unseen')) == sorted(group.serialization_id for group in groups)
        assert feed.count_unread() == objects


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_groups_in_batches(memory: Any, kind: str) -> None:
    feed_class = getattr(memory, kind)()

    def work(number: int) -> None:
        mine = of(number)
        for first in range(0, EACH, 6):
            if kind == 'aggregated':
                feed_class.insert_activities(mine[first : first + 6])
            with feed_class.get_timeline_batch_interface() as batch:
                for user_id in range(5):
                    feed_class(user_id).add_many(mine[first : first + 6], batch_interface=batch)

    together(work)
    for user_id in range(5):
        groups = feed_class(user_id)[:]
        assert len(groups) == len({group.group for group in groups}) == (3 if kind == 'notification' else 1)
        assert sum(group.activity_count for group in groups) == THREADS * EACH


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_adding_and_removing_groups(memory: Any, kind: str) -> None:
    # No group drops anything: how often a dropped activity counts depends on who comes first.
    parent = AggregatedActivity if kind == 'aggregated' else NotificationActivity
    large = type('Large', (parent,), {'max_aggregated_activities_length': 100})
    feed = getattr(memory, kind)(aggregated_activity_class=large)(1)
    kept = [activity for number in range(THREADS) for activity in of(number, each=5)[:1]]

    def work(number: int) -> None:
        mine = of(number, each=5)
        for _ in range(6):
            for activity in mine:
                feed.add(activity)
            for activity in mine[1:]:
                feed.remove(activity)

    together(work)
    groups = feed[:]
    assert len({group.group for group in groups}) == len(groups)
    assert sorted(i for group in groups for i in group.activity_ids) == sorted(ids(kept))
    assert sum(group.minimized_activities for group in groups) == 0
    if kind == 'notification':
        assert sorted(feed.feed_markers.get('unseen')) == sorted(group.serialization_id for group in groups)


def test_marking_while_adding(memory: Any) -> None:
    feed = memory.notification()(1)

    def work(number: int) -> None:
        for activity in of(number, each=30, objects=10):
            feed.add(activity)
            if number == 0:
                feed.mark_all(seen=True, read=True)

    together(work)
    current = {group.serialization_id for group in feed[:]}
    assert set(feed.feed_markers.get('unseen')) <= current
    assert set(feed.feed_markers.get('unread')) <= current
    feed.mark_all(seen=True, read=True)
    assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}


class Broker:
    """Threads that run tasks while others are published, each in an order of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
        self.random = random.Random(seed)
        self.waiting: list[Any] = []
        self.lock = threading.Condition()
        self.closed = False
        self.errors: list[BaseException] = []
        for name in ('fanout_operation', 'fanout_operation_hi_priority', 'follow_many', 'unfollow_many'):
            task = getattr(tasks, name)
            monkeypatch.setattr(task, 'apply_async', self.keeper(task))
        self.threads = [threading.Thread(target=self.work) for _ in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def keeper(self, task: Any) -> Any:
        def apply_async(args: Any = (), kwargs: Any = None, **options: Any) -> None:
            with self.lock:
                self.waiting.append((task, tuple(args or ()), dict(kwargs or {})))
                self.lock.notify()

        return apply_async

    def work(self) -> None:
        while True:
            with self.lock:
                while not self.waiting and not self.closed:
                    self.lock.wait()
                if not self.waiting:
                    return
                task, args, kwargs = self.waiting.pop(self.random.randrange(len(self.waiting)))
            try:
                task(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - the test raises it
                self.errors.append(error)

    def finish(self) -> None:
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        for thread in self.threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self.threads)
        assert self.errors == []


@pytest.mark.parametrize('seed', range(4))
def test_what_was_published_last_wins(memory: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Eight workers, while activities are added, removed, added again, in a random course."""
    author, readers = 700_000, list(range(700_001, 700_013))
    monkeypatch.setitem(managers.FOLLOWERS, author, {FanoutPriority.HIGH: readers[:6], None: readers[6:]})
    manager = memory.manager_class()()
    manager.fanout_chunk_size = 3
    course = random.Random(seed)
    activities = [act(n, actor=author, object=900 + n % 4) for n in range(12)]
    present: set[int] = set()
    broker = Broker(monkeypatch, seed)
    for _ in range(60):
        number = course.randrange(len(activities))
        if number in present:
            manager.remove_user_activity(author, activities[number])
            present.remove(number)
        else:
            manager.add_user_activity(author, activities[number])
            present.add(number)
    broker.finish()
    expected = sorted(ids([activities[number] for number in present]), reverse=True)
    assert ids(manager.get_user_feed(author)[:]) == expected
    for reader in readers:
        feeds = manager.get_feeds(reader)
        assert ids(feeds['normal'][:]) == expected
        for name in ('aggregated', 'notification'):
            groups = feeds[name][:]
            assert sorted((n for group in groups for n in group.activity_ids), reverse=True) == expected
            assert len({group.group for group in groups}) == len(groups)
        assert feeds['notification'].count_unseen() == len(feeds['notification'][:])


@pytest.mark.parametrize('seed', range(4))
def test_following_and_posting_at_once(memory: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Somebody follows and unfollows authors who go on posting, and taking back what they posted."""
    reader, authors = 710_000, list(range(710_001, 710_005))
    for author in authors:
        monkeypatch.setitem(managers.FOLLOWERS, author, {FanoutPriority.HIGH: []})
    manager = memory.manager_class()()
    course = random.Random(seed)
    posted: dict[int, list[Any]] = {author: [] for author in authors}
    followed: set[int] = set()
    broker = Broker(monkeypatch, seed)
    for n in range(80):
        author = course.choice(authors)
        step = course.random()
        if step < 0.4:
            activity = act(n, actor=author, object=900 + n)
            posted[author].append(activity)
            manager.add_user_activity(author, activity)
        elif step < 0.6 and posted[author]:
            manager.remove_user_activity(author, posted[author].pop(course.randrange(len(posted[author]))))
        elif author in followed:
            manager.unfollow_user(reader, author)
            followed.remove(author)
        else:
            manager.follow_user(reader, author)
            followed.add(author)
        monkeypatch.setitem(managers.FOLLOWERS, author, {FanoutPriority.HIGH: [reader] if author in followed else []})
    broker.finish()
    # What was posted while the reader did not follow is copied by following again: whoever is followed is there whole.
    for author in followed:
        manager.follow_user(reader, author, async_=False)
    found = ids(manager.get_feeds(reader)['normal'][:])
    gone = {activity.serialization_id for author in authors for activity in posted[author]}
    assert set(found) <= gone, 'a removed activity came back'
    for author in followed:
        assert set(ids(posted[author])) <= set(found)


def test_forks_of_a_process_whose_threads_are_writing(memory: Memory) -> None:
    feed_class = memory.notification()
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            feed_class(number).add(act(1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            # The lock that a thread may hold right now is of no use to the child.
            assert in_a_fork(lambda: [feed_class(9).add(act(1)), feed_class(9).count()][1], patience=30) == 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
