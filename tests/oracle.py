"""The one definition of what a feed must hold, and a machine that tries every way into a feed against it.

Users post, remove, update, follow, unfollow, mute and block. Tasks are collected instead of run; then they run in any
order, twice, late, or die half-way. When all have run, each reader's feed holds just what those did whom he follows,
but what is hidden from him. The model is plain Python: sets and dicts.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from stream_framework.feed_managers import applying, audience, copying, follow_task, kept_follow_task
from stream_framework.feed_managers.base import Manager
from stream_framework.feed_managers.intents import Intents
from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.verbs import Love
from tests import managers
from tests.contracts.manager import Queue
from tests.contracts.support import act, at

#: Ids of all kinds; few users, so that they meet. (2 and '2' would be two users with one feed: 1.4.0's keys do not tell
#: them apart.)
USERS: list[Any] = [1, 'anna', uuid.UUID(int=2)]

users = st.sampled_from(USERS)
#: Few moments, so that several activities are of one millisecond.
moments = st.integers(0, 3)
any_place = st.integers(0, 10**6)


class DiedError(BaseException):
    """What kills a task half-way."""


#: After how many more steps the running task dies; ``None`` for not at all.
fuse: list[int | None] = [None]

#: Where it may die: before each of these.
STEPS = [
    (applying, 'apply'),
    (audience, 'find_hidden'),
    (copying, 'find_hidden'),
    (follow_task, 'copy_newest'),
    (follow_task, 'remove_by_actors'),
    (follow_task, 'remove_from_feeds'),
    (kept_follow_task, 'remove_by_actors'),
    (BaseFollowStorage, 'read_states'),
    (Intents, 'get'),
    (Intents, 'set'),
]


def breakable(usual: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that dies instead of being called, or after it was, when its turn comes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        left = fuse[0]
        if left is not None:
            if left == 0:
                raise DiedError
            fuse[0] = left - 1
        return usual(*args, **kwargs)

    return call


def is_private(activity: Any, reader: Any) -> bool:
    """What the application of these tests hides: some activities, from one reader each."""
    number = activity.extra_context['number']
    return number % 4 == 0 and USERS[number // 4 % len(USERS)] == reader


def hidden_from(self: Any, activities: Any, user_ids: Any) -> Iterator[tuple[Any, Any]]:
    """The hook of an application: what the library hides, and private activities."""
    yield from Manager.hidden_from(self, activities, user_ids)
    yield from ((each, user_id) for each in activities for user_id in user_ids if is_private(each, user_id))


def machine_of(backend: Any, has_hook: bool = False, in_worker: bool = False) -> type[RuleBasedStateMachine]:
    """Return the machine for a backend.

    :param has_hook: whether the application hides private activities
    :param in_worker: whether a worker finds the followers
    """
    attributes: dict[str, Any] = {'publish_in_worker': in_worker}
    if has_hook:
        attributes['hidden_from'] = hidden_from

    class Oracle(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.patches = pytest.MonkeyPatch()
            fuse[0] = None
            for owner, name in STEPS:
                self.patches.setattr(owner, name, breakable(getattr(owner, name)))
            self.queue = Queue(self.patches)
            self.numbers = iter(range(10**9))
            #: Author -> id of an activity -> it.
            self.posted: dict[Any, dict[Any, Any]] = {user: {} for user in USERS}
            self.removed: list[Any] = []
            self.follows: set[tuple[Any, Any]] = set()
            self.mutes: set[tuple[Any, Any]] = set()
            self.blocks: set[tuple[Any, Any]] = set()

        @initialize()
        def begin(self) -> None:
            self.manager = managers.with_follows(backend, **attributes)()
            for reader in USERS:
                for author in USERS:
                    self.follow(reader, author, False)

        # what users do

        def make(self, author: Any, moment: int, kind: type) -> Any:
            number = 1000 + next(self.numbers)
            thing: Any = {int: number, str: f'pin {number}', uuid.UUID: uuid.UUID(int=number)}[kind]
            time = at(ms=moment)
            return self.made(author, thing, time, number, 1)

        @staticmethod
        def made(author: Any, thing: Any, time: Any, number: int, version: int) -> Any:
            context = {'number': number, 'version': version}
            return act(0, actor=author, verb=Love, object=thing, time=time, extra_context=context)

        @rule(author=users, moment=moments, kind=st.sampled_from([int, int, str, uuid.UUID]))
        def post(self, author: Any, moment: int, kind: type) -> None:
            activity = self.make(author, moment, kind)
            self.posted[author][activity.serialization_id] = activity
            self.manager.add_user_activity(author, activity)

        @rule(author=users, moment=moments, count=st.integers(1, 3))
        def bring(self, author: Any, moment: int, count: int) -> None:
            activities = [self.make(author, moment + n % 2, int) for n in range(count)]
            self.posted[author].update((activity.serialization_id, activity) for activity in activities)
            self.manager.batch_import(author, activities)

        @rule(author=users, place=any_place)
        def remove(self, author: Any, place: int) -> None:
            if mine := list(self.posted[author].values()):
                activity = mine[place % len(mine)]
                del self.posted[author][activity.serialization_id]
                self.removed.append(activity)
                self.manager.remove_user_activity(author, activity)

        @rule(place=any_place)
        def post_again(self, place: int) -> None:
            if self.removed:
                activity = self.removed.pop(place % len(self.removed))
                self.posted[activity.actor_id][activity.serialization_id] = activity
                self.manager.add_user_activity(activity.actor_id, activity)

        @rule(author=users, place=any_place)
        def update(self, author: Any, place: int) -> None:
            if mine := list(self.posted[author].values()):
                old = mine[place % len(mine)]
                number, version = old.extra_context['number'], old.extra_context['version'] + 1
                new = self.made(author, old.object_id, old.time, number, version)
                self.posted[author][new.serialization_id] = new
                self.manager.update_user_activity(new)

        @rule(reader=users, author=users, async_=st.booleans())
        def follow(self, reader: Any, author: Any, async_: bool) -> None:
            if reader != author:
                self.follows.add((reader, author))
                self.manager.follow_user(reader, author, async_)

        @rule(reader=users, author=users, async_=st.booleans())
        def unfollow(self, reader: Any, author: Any, async_: bool) -> None:
            self.follows.discard((reader, author))
            self.manager.unfollow_user(reader, author, async_)

        @rule(reader=users, author=users, on=st.booleans())
        def mute(self, reader: Any, author: Any, on: bool) -> None:
            if reader == author:
                return
            if on:
                self.mutes.add((reader, author))
                self.manager.mute_user(reader, author)
            else:
                self.mutes.discard((reader, author))
                self.manager.unmute_user(reader, author)

        @rule(reader=users, author=users, on=st.booleans())
        def block(self, reader: Any, author: Any, on: bool) -> None:
            if reader == author:
                return
            if on:
                self.blocks.add((reader, author))
                self.follows -= {(reader, author), (author, reader)}
                self.manager.block_user(reader, author)
            else:
                self.blocks.discard((reader, author))
                self.manager.unblock_user(reader, author)

        # what workers do

        @rule(place=any_place, again=st.booleans())
        def work(self, place: int, again: bool) -> None:
            """Run a task: one that is delivered again stays."""
            if waiting := self.queue.messages:
                task, args, kwargs = waiting[place % len(waiting)] if again else waiting.pop(place % len(waiting))
                task(*args, **kwargs)

        @rule(place=any_place, steps=st.integers(0, 6))
        def die(self, place: int, steps: int) -> None:
            """Run a task that dies after some steps; it is delivered again, some time."""
            if waiting := self.queue.messages:
                task, args, kwargs = waiting[place % len(waiting)]
                with dying(steps):
                    task(*args, **kwargs)

        @rule(order=st.randoms(use_true_random=False))
        def settle(self, order: Any) -> None:
            """Run all that is left in some order, and compare."""
            while self.queue.messages:
                messages, self.queue.messages = self.queue.messages, []
                order.shuffle(messages)
                for task, args, kwargs in messages:
                    task(*args, **kwargs)
            for reader in USERS:
                self.compare(reader)

        def teardown(self) -> None:
            try:
                if hasattr(self, 'manager'):
                    while self.queue.messages:
                        task, args, kwargs = self.queue.messages.pop()
                        task(*args, **kwargs)
                    for reader in USERS:
                        self.compare(reader)
            finally:
                self.patches.undo()

        # what must hold

        def oracle(self, reader: Any) -> list[Any]:
            """Return what a reader's feed must hold, newest first."""
            seen = [
                activity
                for target in USERS
                if (reader, target) in self.follows
                and not {(reader, target)} & (self.mutes | self.blocks)
                and (target, reader) not in self.blocks
                for activity in self.posted[target].values()
                if not (has_hook and is_private(activity, reader))
            ]
            return sorted(seen, key=lambda activity: activity.serialization_id, reverse=True)

        def compare(self, reader: Any) -> None:
            wanted = self.oracle(reader)
            feeds = self.manager.get_feeds(reader)
            found = feeds['normal'][:]
            assert versions(found) == versions(wanted), f'feed of {reader!r}'
            grouped = [activity for group in feeds['aggregated'][:] for activity in group.activities]
            grouped.sort(key=lambda activity: activity.serialization_id, reverse=True)
            assert versions(grouped) == versions(wanted), f'groups of {reader!r}'
            followed = {target for one, target in self.follows if one == reader}
            assert set(self.manager.get_user_followed_ids(reader)) == followed

    return Oracle


def versions(activities: list[Any]) -> list[tuple[Any, int]]:
    """Return what activities are compared by: their ids, and how often they were updated."""
    return [(activity.serialization_id, activity.extra_context['version']) for activity in activities]


@contextlib.contextmanager
def dying(steps: int) -> Iterator[None]:
    """While the block runs, it dies after so many steps, if it takes as many."""
    fuse[0] = steps
    try:
        yield
    except DiedError:
        pass
    finally:
        fuse[0] = None
