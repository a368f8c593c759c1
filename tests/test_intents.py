"""What was published last wins: the loop by itself, on a dict, with tasks that run at once, twice, and die half-way."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_framework.exceptions import UpdateConflictError
from stream_framework.feed_managers import intents
from stream_framework.feed_managers.intents import ADDED, FOLLOWED, REMOVED, UNFOLLOWED, settle


class Died(Exception):
    """The worker was killed."""


class Stepper:
    """Runs functions in threads, one step of one of them at a time; a step ends where the function calls ``pause``."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[threading.Thread, threading.Semaphore]] = {}
        self.killed: set[int] = set()
        self.back = threading.Semaphore(0)
        self.mine = threading.local()

    def start(self, number: int, work: Callable[[], None]) -> None:
        turn = threading.Semaphore(0)

        def run() -> None:
            self.mine.number, self.mine.turn = number, turn
            turn.acquire()
            try:
                work()
            except Died:
                pass
            finally:
                del self.running[number]
                self.back.release()

        thread = threading.Thread(target=run, daemon=True)
        self.running[number] = (thread, turn)
        thread.start()

    def step(self, number: int) -> None:
        _, turn = self.running[number]
        turn.release()
        self.back.acquire()

    def pause(self) -> None:
        number, turn = self.mine.number, self.mine.turn
        self.back.release()
        turn.acquire()
        if number in self.killed:
            raise Died


class World:
    """The intents, a feed, and what was published and isn't done: all that outlives a worker."""

    def __init__(self, take: str, give: str) -> None:
        self.take, self.give = take, give
        self.intents: dict[str, str] = {}
        self.feed: set[str] = set()
        self.queue: list[tuple[int, str, list[str]]] = []
        self.published = 0
        self.stepper = Stepper()

    def publish(self, intent: str, things: list[str]) -> None:
        # As the manager does: what gives turns only an intent that is there, what takes always sets one.
        for thing in things:
            if intent == self.take or thing in self.intents:
                self.intents[thing] = intent
        self.published += 1
        self.queue.append((self.published, intent, things))

    def begin(self, message: tuple[int, str, list[str]]) -> None:
        number, intent, things = message

        def do(intent: str, some: list[str]) -> None:
            for thing in some:
                # A feed is written thing by thing here: a worker may die between two.
                self.stepper.pause()
                (self.feed.add if intent == self.give else self.feed.discard)(thing)

        def wanted() -> dict[str, str | None]:
            self.stepper.pause()
            return {thing: self.intents.get(thing) for thing in things}

        self.stepper.start(number, lambda: settle(intent, things, do, wanted))


@settings(max_examples=300, deadline=None)
@given(
    chance=st.randoms(use_true_random=True),
    pair=st.sampled_from([(REMOVED, ADDED), (UNFOLLOWED, FOLLOWED)]),
    to_publish=st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from('ab'), min_size=1, unique=True)), min_size=2, max_size=5
    ),
)
def test_what_was_published_last_wins(
    chance: random.Random, pair: tuple[str, str], to_publish: list[tuple[bool, list[str]]]
) -> None:
    """Tasks begin in any order, run at once, die between any two steps and are delivered again, also twice."""
    take, give = pair
    world = World(take, give)
    expected: dict[str, bool] = {}
    messages: dict[int, tuple[int, str, list[str]]] = {}
    deaths = repeats = chance.randrange(3)
    to_publish = list(to_publish)
    while to_publish or world.queue or world.stepper.running:
        running = list(world.stepper.running)
        choices = ['publish'] * bool(to_publish) + ['begin'] * bool(world.queue) + ['step'] * 2 * bool(running)
        choices += ['die'] * bool(running and deaths) + ['again'] * bool(messages and repeats)
        action = chance.choice(choices)
        if action == 'publish':
            gives, things = to_publish.pop(0)
            world.publish(give if gives else take, things)
            expected.update(dict.fromkeys(things, gives))
        elif action == 'begin':
            message = world.queue.pop(chance.randrange(len(world.queue)))
            messages[message[0]] = message
            world.begin(message)
        elif action == 'step':
            world.stepper.step(chance.choice(running))
        else:
            # A message that comes a second time is another task, perhaps while the first still runs.
            number = chance.choice(running if action == 'die' else list(messages))
            _, intent, things = messages[number]
            if action == 'die':
                deaths -= 1
                world.stepper.killed.add(number)
                world.stepper.step(number)
                if number in world.stepper.running:
                    world.stepper.step(number)
            else:
                repeats -= 1
            world.published += 1
            world.queue.append((world.published, intent, things))
    assert world.feed == {thing for thing, there in expected.items() if there}


def test_what_takes_away_comes_first() -> None:
    done = []
    wanted = {'a': REMOVED, 'b': ADDED, 'c': None, 'd': 'from a later version'}
    feed = {'a': ADDED, 'b': REMOVED}

    def do(intent: str, things: list[str]) -> dict[str, str] | None:
        done.append((intent, things))
        return feed if len(done) == 1 else None

    settle(ADDED, ['c'], do, lambda: wanted)
    assert done == [(ADDED, ['c']), (REMOVED, ['a']), (ADDED, ['b'])]


def test_what_it_did_to_others_counts_as_done() -> None:
    done = []

    def do(intent: str, things: list[str]) -> dict[str, str]:
        done.append((intent, things))
        return {'b': ADDED}

    settle(FOLLOWED, ['a'], do, lambda: {'a': FOLLOWED, 'b': ADDED})
    assert done == [(FOLLOWED, ['a'])]


def test_nothing_to_do() -> None:
    settle(ADDED, [], lambda intent, things: None, dict)


def test_giving_up() -> None:
    answers = iter([REMOVED, ADDED] * intents.ATTEMPTS)
    with pytest.raises(UpdateConflictError, match='17'):
        settle(ADDED, [17], lambda intent, things: None, lambda: {17: next(answers)})
