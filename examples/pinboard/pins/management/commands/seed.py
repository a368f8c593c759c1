"""``python manage.py seed``: fills the site with made-up people, and what they do."""

from __future__ import annotations

import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from project.celery import app

from pins import actions, activities, world
from pins.managers import follows, manager
from pins.models import Person, Pin


class Command(BaseCommand):
    """Writes rows and feeds, at once: no worker is needed for it."""

    help = 'Fill the site with made-up people, pins, loves and comments: always the same for a seed and an end.'

    def add_arguments(self, parser: CommandParser) -> None:
        """The command's options."""
        parser.add_argument('--seed', type=int, default=1, help='other seeds, other events (default: 1)')
        parser.add_argument('--pins', type=int, default=12, help='how many pins everybody has (default: 12)')
        parser.add_argument('--end', help='when the last thing happened, as 2026-01-31T12:00Z (default: now)')

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        end = _moment(options['end'])
        if Person.objects.exists():
            raise CommandError('there are people already: delete the database first, or use it as it is')
        eager = app.conf.task_always_eager
        app.conf.task_always_eager = True
        try:
            # One transaction: a thousand of them would take the disk a while.
            with transaction.atomic():
                seed(end, options['seed'], options['pins'])
        finally:
            app.conf.task_always_eager = eager
        self.stdout.write(f'{Person.objects.count()} people and {Pin.objects.count()} pins')


def seed(end: datetime.datetime, number: int = 1, pins_each: int = 12) -> None:
    """Make the people, and let happen what happens."""
    people = {}
    for place, (username, (name, bio, _)) in enumerate(world.PEOPLE.items()):
        first, _, last = name.partition(' ')
        people[username] = Person(username=username, first_name=first, last_name=last, bio=bio, hue=place * 137 % 360)
        people[username].set_unusable_password()
        people[username].save()
        # Of an earlier database, where somebody else had this number.
        manager.erase_user(people[username].pk)
    events = list(world.events(end, number, pins_each))
    followed = [
        (people[event.person].pk, people[str(event.thing)].pk, event.time) for event in events if event.kind == 'follow'
    ]
    # All at once, as an existing table is imported: nothing was done yet that could be copied.
    follows.import_follows(followed)
    for follow in followed:
        manager.add_user_activity(follow[0], activities.of_follow(*follow))
    pins: dict[Any, Pin] = {}
    for event in events:
        person = people[event.person]
        if event.kind == 'follow':
            continue
        if event.kind == 'pin':
            title, board, note = event.words
            pins[event.thing] = actions.pin(person, title, board, note, event.time)
        elif event.kind == 'love':
            actions.love(person, pins[event.thing], event.time)
        else:
            actions.comment(person, pins[event.thing], event.words[0], event.time)
    # What is older than the last few things has been looked at.
    for person in people.values():
        feeds = manager.get_feeds(person.pk)
        feeds['notifications'].mark_activities(feeds['notifications'][4:], seen=True, read=True)
        for name in ('home', 'grouped'):
            for entry in feeds[name][3:4]:
                feeds[name].mark_seen(until=entry)


def _moment(text: str | None) -> datetime.datetime:
    if text is None:
        return timezone.now()
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(f'{text!r} is no time with a zone: write it as 2026-01-31T12:00Z')
    return moment
