"""Where the people come from, and what they do: read from files, or made up."""

from __future__ import annotations

import collections
import datetime
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from social.feeds import Write
from stream_framework.activity import Activity

#: What a line of a file with events, and one with follows, must look like.
EVENT = 'ACTOR TARGET UNIXTIME'
FOLLOW = 'U V'

_EPOCH = datetime.datetime(1970, 1, 1)
_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that a datetime knows
_MAX_ID = 2**63 - 1  # Cassandra's bigint


class BadInput(Exception):
    """A file that can't be read, or a line in it; the message says which, and what was expected."""


class Event(NamedTuple):
    """Somebody wrote to somebody."""

    #: The line in the file, counted from 1: it tells repeated events apart.
    number: int
    actor: int
    target: int
    #: In seconds since 1970.
    seconds: int

    @property
    def time(self) -> datetime.datetime:
        """When it happened, in UTC."""
        return _EPOCH + datetime.timedelta(seconds=self.seconds)

    @property
    def activity(self) -> Activity:
        """The same, as the library knows it."""
        return Activity(self.actor, Write, self.number, target=self.target, time=self.time)


@dataclass
class Network:
    """People, who follows whom, and what they did."""

    #: In the order in which they happened.
    events: list[Event]
    #: Person -> those whom he or she follows.
    follows: dict[int, set[int]]

    @property
    def people(self) -> list[int]:
        """Everybody who did something, was written to, follows or is followed."""
        people = {person for event in self.events for person in (event.actor, event.target)}
        people.update(self.follows, *self.follows.values())
        return sorted(people)

    def follow_pairs(self) -> Iterator[tuple[int, int]]:
        """Iterate over who follows and who is followed, one reader after the other."""
        for reader in sorted(self.follows):
            for person in sorted(self.follows[reader]):
                yield reader, person

    def busiest_reader(self) -> int:
        """Whoever follows the most people, of those with whom somebody has had the last word."""
        waiting: set[int] = set()
        for event in self.events:
            waiting.discard(event.actor)
            waiting.add(event.target)
        return max(self.people, key=lambda person: (person in waiting, len(self.follows.get(person, ())), -person))


def read_events(path: str, limit: int | None = None) -> list[Event]:
    """The events of a file with lines ``ACTOR TARGET UNIXTIME``, in order of time.

    :param limit: read only so many lines
    :raises BadInput: naming file, line number and what was expected
    """
    events = []
    for number, line in _lines(path):
        if limit is not None and number > limit:
            break
        actor, target, seconds = _numbers(path, number, line, EVENT, 3)
        if not 1 <= seconds <= _LAST_SECOND:
            raise BadInput(f'{path}, line {number}: UNIXTIME {seconds} is not within 1 and {_LAST_SECOND} (seconds)')
        events.append(Event(number, actor, target, seconds))
    if not events:
        raise BadInput(f'{path} holds no events: expected lines {EVENT}')
    return sorted(events, key=lambda event: (event.seconds, event.number))


def read_follows(path: str) -> dict[int, set[int]]:
    """Who follows whom, from a file with lines ``U V``: friends, each of whom follows the other; nobody himself.

    :raises BadInput: naming file, line number and what was expected
    """
    follows: dict[int, set[int]] = collections.defaultdict(set)
    for number, line in _lines(path):
        one, other = _numbers(path, number, line, FOLLOW, 2)
        if one != other:
            follows[one].add(other)
            follows[other].add(one)
    return dict(follows)


def follows_of(events: Iterable[Event]) -> dict[int, set[int]]:
    """Who follows whom, if one follows everybody else to whom one ever wrote."""
    follows: dict[int, set[int]] = collections.defaultdict(set)
    for event in events:
        if event.actor != event.target:
            follows[event.actor].add(event.target)
    return dict(follows)


def make_friends(people: int, seed: int) -> dict[int, set[int]]:
    """A made-up network: people 1 to ``people``, a few of whom nearly everybody knows."""
    chance = random.Random(seed)
    everybody = range(1, people + 1)
    # The lower the number the better known: person n comes up in proportion to 1 / n.
    weights = [1 / person for person in everybody]
    return {
        person: set(chance.choices(everybody, weights, k=20)) - {person} or {person % people + 1}
        for person in everybody
    }


def make_events(follows: dict[int, set[int]], count: int, seed: int) -> list[Event]:
    """Made-up events: people write to those whom they follow, about 1,400 messages a day."""
    chance = random.Random(seed + 1)
    actors = sorted(person for person, followed in follows.items() if followed)
    known = {person: sorted(follows[person]) for person in actors}
    seconds = 1_600_000_000
    events = []
    for number in range(1, count + 1):
        seconds += chance.randrange(120)
        actor = chance.choice(actors)
        events.append(Event(number, actor, chance.choice(known[actor]), seconds))
    return events


def _lines(path: str) -> Iterator[tuple[int, str]]:
    try:
        with open(path, encoding='ascii', errors='backslashreplace') as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise BadInput(f'{path} can not be read: {error.strerror or error}') from error


def _numbers(path: str, number: int, line: str, expected: str, count: int) -> list[int]:
    words = line.split()
    # The length first: Python refuses to read numbers of thousands of digits.
    if len(words) != count or not all(word.isdigit() and len(word) < 20 and int(word) <= _MAX_ID for word in words):
        shown = line.strip()
        shown = shown if len(shown) <= 60 else f'{shown[:57]}...'
        raise BadInput(f'{path}, line {number}: expected {expected}, {count} whole numbers, found {shown!r}')
    return [int(word) for word in words]
