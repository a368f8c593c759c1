"""What the feeds should hold, worked out the slow way, and compared with what they do hold.

The library pushes: each activity is written to the feeds of all followers when it happens. Here a feed is pulled
instead: whenever somebody reads, the events of everyone whom he or she follows are merged and sorted. No feed, storage
or aggregator has a part in that.
"""

from __future__ import annotations

import collections
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from social.feeds import SocialManager, Write, pages
from social.network import Event, Network
from stream_framework import ids
from stream_framework.activity import MAX_AGGREGATED_ACTIVITIES_LENGTH
from stream_framework.utils import chunks

#: How many activities a page has.
PAGE = 25


@dataclass
class Group:
    """Events that a feed shows as one."""

    name: str
    #: Oldest first.
    events: list[Event]

    @property
    def order(self) -> int:
        """What groups are sorted by: the last update, and for those of the same second a hash of the name."""
        return int(ids.group_id(self.name, self.events[-1].time))

    @property
    def content(self) -> tuple[Any, ...]:
        """What is compared: name, number of events, first and last time, and the newest 15 events."""
        kept = self.events[-MAX_AGGREGATED_ACTIVITIES_LENGTH:]
        numbers = [event.number for event in kept]
        return self.name, len(self.events), self.events[0].time, self.events[-1].time, numbers


class Pull:
    """The events of a network, by who wrote and by whom somebody else wrote to."""

    def __init__(self, network: Network) -> None:
        self.follows = network.follows
        self.by_actor: dict[int, list[Event]] = collections.defaultdict(list)
        self.by_target: dict[int, list[Event]] = collections.defaultdict(list)
        for event in network.events:
            self.by_actor[event.actor].append(event)
            # Nobody is notified of what he wrote to himself.
            if event.target != event.actor:
                self.by_target[event.target].append(event)

    def news(self, reader: int) -> list[Event]:
        """What those whom the reader follows have done, oldest first."""
        merged = itertools.chain.from_iterable(self.by_actor[person] for person in self.follows.get(reader, ()))
        return sorted(merged, key=_moment)

    def notifications(self, reader: int) -> list[Event]:
        """Return what others wrote to the reader, oldest first."""
        return self.by_target[reader]

    def unseen_days(self, reader: int) -> int:
        """Count the days with unseen notifications: a reader looks at them before writing something."""
        looked = max((_moment(event) for event in self.by_actor[reader]), default=(0, 0))
        return len({event.time.date() for event in self.by_target[reader] if _moment(event) > looked})


def check(network: Network, manager: SocialManager, readers: Iterable[int]) -> Iterator[str]:
    """Compare the feeds of some readers with what they should hold.

    :returns: a sentence for each difference
    """
    pull = Pull(network)
    for reader in readers:
        feeds = manager.get_feeds(reader)
        notifications = feeds['notifications']
        news = pull.news(reader)
        followed = sorted(manager.get_user_followed_ids(reader))
        yield from _compared(f"{reader}'s follows", sorted(pull.follows.get(reader, ())), followed)
        yield from _pages(reader, feeds['news'], news)
        yield from _groups(reader, feeds['grouped'], news, lambda event: f'{Write.id}-{event.target}')
        yield from _groups(
            reader, notifications, pull.notifications(reader), lambda event: f'{Write.id}-{event.time.date()}'
        )
        unseen = min(pull.unseen_days(reader), notifications.markers_max_length)
        yield from _compared(f"{reader}'s number of unseen notifications", unseen, notifications.count_unseen())


def some_readers(network: Network, count: int, seed: int) -> list[int]:
    """So many people, by chance, of those who have something to read."""
    pull = Pull(network)
    readers = [person for person in network.people if pull.news(person) or pull.notifications(person)]
    return sorted(random.Random(seed).sample(readers, min(count, len(readers))))


def _moment(event: Event) -> tuple[int, int]:
    return event.seconds, event.number


def _pages(reader: int, feed: Any, events: Sequence[Event]) -> Iterator[str]:
    """Every page of the flat feed, up to its ``max_length``."""
    newest = [event.number for event in reversed(events)][: feed.max_length]
    expected = [list(page) for page in chunks(newest, PAGE)]
    found = itertools.islice(pages(feed, PAGE), max(len(expected), 1))
    found_numbers = [[activity.object_id for activity in page] for page in found]
    for number, (wanted, got) in enumerate(itertools.zip_longest(expected, found_numbers), 1):
        yield from _compared(f"{reader}'s news, page {number}", wanted, got)


def _groups(reader: int, feed: Any, events: Iterable[Event], name_of: Callable[[Event], str]) -> Iterator[str]:
    """The groups of an aggregated feed, up to its ``max_length``."""
    expected = [group.content for group in group_events(events, name_of, feed.merge_max_length)[: feed.max_length]]
    found = [
        (
            group.group,
            group.activity_count,
            group.created_at,
            group.updated_at,
            [activity.object_id for activity in group.activities],
        )
        for group in feed[: feed.max_length]
    ]
    for number, (wanted, got) in enumerate(itertools.zip_longest(expected, found), 1):
        yield from _compared(f'group {number} of {feed.key}', wanted, got)


def group_events(events: Iterable[Event], name_of: Callable[[Event], str], merge_max_length: int) -> list[Group]:
    """Groups of events, the last updated first.

    :param events: oldest first
    :param merge_max_length: an event joins its group only among so many of the last updated ones
    """
    groups: list[Group] = []
    for event in events:
        name = name_of(event)
        place = next((i for i, group in enumerate(groups[:merge_max_length]) if group.name == name), None)
        group = Group(name, []) if place is None else groups.pop(place)
        group.events.append(event)
        # It is the last updated one, but others may be of the same second.
        place = next((i for i, other in enumerate(groups) if other.order < group.order), len(groups))
        groups.insert(place, group)
    return groups


def _compared(what: str, expected: Any, found: Any) -> Iterator[str]:
    if expected != found:
        yield f'{what}: expected {expected}, found {found}'
