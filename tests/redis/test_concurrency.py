"""Processes that change the same feeds at the same time, and processes that are killed while they do."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework.activity import Activity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.verbs import Love
from tests.contracts.support import at

PROCESSES = 8
ADDS = 200
WRITERS = 40
WORK = 12
#: How long a test may take, in seconds, before it counts as a deadlock.
PATIENCE = 240


class ByObject(RecentRankMixin, BaseAggregator):
    def get_group(self, activity: Activity) -> str:
        return f'object-{activity.object_id}'


class Worker:
    """A forked process; what it acknowledges, a number at a time, arrives here."""

    def __init__(self, work: Callable[[Callable[[int], None]], None]) -> None:
        self.acknowledged: list[int] = []
        self._buffer = b''
        self._reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                os.close(self._reading)
                work(lambda number: os.write(writing, b'%d\n' % number) and None)
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                sys.stderr.flush()
                os._exit(status)
        os.close(writing)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait_for(self, count: int, deadline: float) -> None:
        """Until it has acknowledged so much, or has ended."""
        while len(self.acknowledged) < count and self._read(deadline - time.monotonic()):
            pass

    def wait(self, deadline: float) -> int:
        """Until it has ended; its exit status, negative for a signal."""
        while self._read(deadline - time.monotonic()):
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._reading)
        return status

    def _read(self, seconds: float) -> bool:
        if not select.select([self._reading], [], [], max(seconds, 0))[0]:
            self.kill()
            raise AssertionError(f'process {self.pid} is still at work: a deadlock?')
        data = os.read(self._reading, 65536)
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b'\n')
        self.acknowledged += map(int, lines)
        return bool(data)


@contextlib.contextmanager
def watched(*feeds: Any) -> Iterator[None]:
    """Meanwhile another process reads the feeds again and again: readable at every moment, no group twice."""
    reading, writing = os.pipe()

    def watch(acknowledge: Callable[[int], None]) -> None:
        os.close(writing)
        reads = 0
        while not select.select([reading], [], [], 0)[0]:
            for feed in feeds:
                groups = feed[:]
                names = [group.group for group in groups]
                assert len(names) == len(set(names)), f'a group twice: {names}'
                assert all(group.activities for group in groups)
                reads += 1
        acknowledge(reads)

    watcher = Worker(watch)
    try:
        yield
    finally:
        os.close(writing)
        status = watcher.wait(time.monotonic() + 30)
        os.close(reading)
    assert status == 0
    assert watcher.acknowledged[0] > 0


def shared(process: int, n: int) -> Activity:
    """Of one group that all processes add to."""
    return Activity(process + 1, Love, 0, time=at(ms=n * WRITERS + process))


def own(process: int, n: int) -> Activity:
    """Of groups of a process's own, each of so few that it keeps them all."""
    return Activity(process + 1, Love, 1000 * (process + 1) + n // WORK, time=at(days=1, ms=n * 100 + process))


def feeds(backend: Any) -> list[Any]:
    options = {'aggregator_class': ByObject, 'merge_max_length': 500, 'max_length': 500, 'markers_max_length': 1000}
    aggregated, notification = backend.aggregated(**options), backend.notification(**options)
    return [aggregated(1), notification(1)]


def newest(activities: list[Activity], count: int = 15) -> list[int]:
    return sorted(activity.serialization_id for activity in activities)[-count:]


def test_eight_processes(redis_backend: Any) -> None:
    both = feeds(redis_backend)

    def work(process: int) -> Callable[[Any], None]:
        def adds(acknowledge: Any) -> None:
            for n in range(ADDS // 2):
                for feed in both:
                    feed.add(shared(process, n))
                    feed.add(own(process, n))
                    if n % 7 == process % 7:
                        feed.remove(own(process, n))
                if n % 10 == process:
                    both[1].mark_all(seen=True, read=process % 2 == 0)

        return adds

    with watched(*both):
        workers = [Worker(work(process)) for process in range(PROCESSES)]
        deadline = time.monotonic() + PATIENCE
        assert [worker.wait(deadline) for worker in workers] == [0] * PROCESSES

    expected: dict[str, list[Activity]] = {}
    for process in range(PROCESSES):
        for n in range(ADDS // 2):
            if n % 7 != process % 7:
                expected.setdefault(f'object-{own(process, n).object_id}', []).append(own(process, n))
    everything = [shared(process, n) for process in range(PROCESSES) for n in range(ADDS // 2)]
    for feed in both:
        groups = {group.group: group for group in feed[:]}
        assert len(groups) == feed.count() == len(expected) + 1
        together = groups.pop('object-0')
        assert together.activity_ids == newest(everything)
        assert together.activity_count == len(everything)
        assert {name: group.activity_ids for name, group in groups.items()} == {
            name: sorted(activity.serialization_id for activity in activities) for name, activities in expected.items()
        }
    assert_marks_belong_to_groups(both[1])


def assert_marks_belong_to_groups(feed: Any) -> None:
    # Where marks can't change with the group, the next write tidies up, though there is nothing for it to do.
    feed.add(shared(0, ADDS // 2 - 1))
    there = {group.serialization_id for group in feed[:]}
    for name in ('unseen', 'unread'):
        marked = feed.feed_markers.get(name)
        assert len(marked) == len(set(marked))
        assert set(marked) <= there
    assert not any(group.is_seen for group in feed[:] if group.serialization_id in feed.feed_markers.get('unseen'))


@pytest.mark.parametrize('seed', [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_forty_writers_are_killed(redis_backend: Any, seed: int) -> None:
    chance = random.Random(seed)
    flat = redis_backend.flat(max_length=1000)(1)
    both = feeds(redis_backend)
    done: dict[int, set[int]] = {writer: set() for writer in range(WRITERS)}

    def work(writer: int) -> Callable[[Any], None]:
        # Only what was not acknowledged.
        todo = [n for n in range(WORK) if n not in done[writer]]

        def adds(acknowledge: Callable[[int], None]) -> None:
            for n in todo:
                flat.add(own(writer, n))
                for feed in both:
                    feed.add_many([shared(writer, n), own(writer, n)])
                acknowledge(n)

        return adds

    killed = 0
    with watched(*both):
        for first in range(0, WRITERS, 8):
            workers = {writer: Worker(work(writer)) for writer in range(first, first + 8)}
            deadline = time.monotonic() + PATIENCE
            for worker in workers.values():
                # Somewhere in the middle of what comes after so much of its work.
                worker.wait_for(chance.randrange(WORK // 2), deadline)
                time.sleep(chance.uniform(0, 0.01))
                worker.kill()
            for writer, worker in workers.items():
                killed += worker.wait(deadline) == -signal.SIGKILL
                done[writer] |= set(worker.acknowledged)
        for first in range(0, WRITERS, 8):
            workers = {writer: Worker(work(writer)) for writer in range(first, first + 8)}
            deadline = time.monotonic() + PATIENCE
            for writer, worker in workers.items():
                assert worker.wait(deadline) == 0
                done[writer] |= set(worker.acknowledged)
    assert killed > 0
    assert all(numbers == set(range(WORK)) for numbers in done.values())

    mine = [own(writer, n) for writer in range(WRITERS) for n in range(WORK)]
    everything = [shared(writer, n) for writer in range(WRITERS) for n in range(WORK)]
    assert {activity.serialization_id for activity in flat[:]} == {activity.serialization_id for activity in mine}
    for feed in both:
        groups = {group.group: group for group in feed[:]}
        assert len(groups) == feed.count() == WRITERS + 1
        together = groups.pop('object-0')
        assert together.activity_ids == newest(everything)
        # What was dropped at once and not acknowledged can't be told from what is new.
        assert len(everything) <= together.activity_count <= len(everything) + WRITERS
        assert sorted(item for group in groups.values() for item in group.activity_ids) == newest(mine, len(mine))
        assert {group.activity_count for group in groups.values()} == {WORK}
    notifications = both[1]
    notifications.add(shared(0, 0))
    assert not any(group.is_seen or group.is_read for group in notifications[:])
    assert_marks_belong_to_groups(notifications)
    assert notifications.get_notification_data() == {'unseen_count': WRITERS + 1, 'unread_count': WRITERS + 1}
