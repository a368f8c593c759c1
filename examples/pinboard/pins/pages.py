"""The rows that pages of feeds name, and the sentences that are made of them.

Feeds give ids. :func:`~stream_framework.contrib.django.enrich` looks up all rows of a page, in one query for each
model. What is no longer there is left out: a feed may name a row that was deleted a moment ago.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet

from pins import verbs
from pins.managers import follows, manager
from pins.models import Love, Person, Pin
from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.contrib.django import enrich


def pins_for(reader: Person) -> QuerySet[Pin]:
    """Pins as one reader sees them: with their authors, how many love them, and whether the reader does."""
    loved = Love.objects.filter(person=reader, pin=OuterRef('pk'))
    return Pin.objects.select_related('author').annotate(love_count=Count('loves'), loved=Exists(loved))


class Line:
    """A group of activities, or one of them, as a sentence: who, did what, to which.

    :param item: its activities have rows for actors and objects
    """

    def __init__(self, item: Activity | AggregatedActivity) -> None:
        self.item = item
        self.id = str(item.serialization_id)
        self.verb = item.verb
        if isinstance(item, AggregatedActivity):
            newest_first, self.time = item.last_activities, item.updated_at
            self.count, actor_count = item.activity_count, item.actor_count
        else:
            newest_first, self.time = [item], item.time
            self.count = actor_count = 1
        #: Those who did it, each once, the last one first.
        self.people: list[Person] = list(dict.fromkeys(activity.actor for activity in newest_first))
        #: What it was done to: pins, or the people who were followed.
        self.things: list[Any] = list(dict.fromkeys(activity.object for activity in newest_first))
        #: How many people are not named.
        self.others = max(actor_count - 2, 0) if len(self.people) > 1 else 0
        #: What was said last, where something was.
        self.text = str(newest_first[0].extra_context.get('text', ''))

    @property
    def is_about_pins(self) -> bool:
        """Whether it is about pins, or else about people."""
        return self.verb is not verbs.Follow

    @property
    def url(self) -> str:
        """Where a notification leads: to the pin, or to the person who follows."""
        return self.things[0].get_absolute_url() if self.is_about_pins else self.people[0].get_absolute_url()


def lines(page: Iterable[Any]) -> list[Line]:
    """Make sentences of groups or activities, but for those about what is gone. One query each for people and pins."""
    pins = Pin.objects.select_related('author')
    rows = {verbs.Pin: pins, verbs.Love: pins, verbs.Comment: pins, verbs.Follow: Person}
    return [Line(item) for item in enrich(list(page), actor=Person, object=rows)]


def standing(person: Person, others: Iterable[int]) -> dict[str, Any]:
    """Return what buttons beside other people show: whom of them a person follows, has muted, has blocked."""
    return {
        'followed': manager.is_following(person.pk, others),
        'muted': manager.get_muted(person.pk),
        'blocked': manager.get_blocked(person.pk),
    }


def hidden_from(reader: Person, people: Iterable[int]) -> set[Any]:
    """Return those of some people whom a reader has muted, or who have a block with him. One round trip."""
    return {person for person, _ in follows.hidden_from(people, [reader.pk])}
