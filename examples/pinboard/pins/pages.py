"""Pages of feeds, with the rows that their activities name.

Feeds give ids (``activity.actor_id``). Looking each up would be a query for every line, so all of a page are looked up
in one query for each table. What is no longer there is left out: a feed may name a row that was deleted a moment ago.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count

from pins import verbs
from pins.models import Love, Person, Pin
from stream_framework.contrib.django import enrich


class Cards:
    """Pins as one reader sees them: with their authors, counts, and whether the reader loves them."""

    def __init__(self, reader: Person) -> None:
        self.reader = reader

    def of_pins(self, pins: Iterable[Pin]) -> list[Pin]:
        """The same pins, with what cards show. Two queries."""
        ids = [pin.pk for pin in pins]
        found = self.of_ids(ids)
        return [found[pin_id] for pin_id in ids if pin_id in found]

    def of_activities(self, activities: Iterable[Any]) -> list[Pin]:
        """The pins that activities are about, each with its ``activity``, in their order."""
        activities = list(activities)
        found = self.of_ids(activity.object_id for activity in activities)
        cards = []
        for activity in activities:
            if activity.object_id in found:
                card = found[activity.object_id]
                card.activity = activity
                cards.append(card)
        return cards

    def of_ids(self, ids: Iterable[int]) -> dict[int, Pin]:
        """Id -> pin."""
        counted = Pin.objects.select_related('author').annotate(
            love_count=Count('loves', distinct=True), comment_count=Count('comments', distinct=True)
        )
        found: dict[int, Pin] = counted.in_bulk(list(ids))
        loved = set(Love.objects.filter(person=self.reader, pin__in=found).values_list('pin_id', flat=True))
        for pin in found.values():
            pin.loved = pin.pk in loved
        return found


class Line:
    """A group of activities, as a sentence: who, did what, to which."""

    def __init__(self, group: Any) -> None:
        self.group = group
        self.verb = group.verb
        newest_first = group.last_activities
        self.people: list[Person] = list(dict.fromkeys(activity.actor for activity in newest_first))
        self.pins: list[Pin] = []
        if self.is_about_pins:
            self.pins = list(dict.fromkeys(activity.object for activity in newest_first))
        #: How many people are not named by :attr:`people`.
        self.others = max(group.actor_count - 2, 0) if len(self.people) > 1 else 0

    @property
    def is_about_pins(self) -> bool:
        """Or else about a person."""
        return self.verb is not verbs.Follow

    @property
    def text(self) -> str:
        """What was said last, where something was."""
        return str(self.group.last_activity.extra_context.get('text', ''))

    @property
    def url(self) -> str:
        """Where it leads."""
        return self.pins[0].get_absolute_url() if self.is_about_pins else self.people[0].get_absolute_url()


def lines(groups: Iterable[Any]) -> list[Line]:
    """Groups as sentences, but for those about what is gone. Two queries."""
    pins = Pin.objects.select_related('author')
    # Follows are about people, and the sentence names the one who follows.
    about = {verbs.Pin: pins, verbs.Love: pins, verbs.Comment: pins}
    return [Line(group) for group in enrich(list(groups), actor=Person, object=about)]
