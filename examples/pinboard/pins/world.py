"""The made-up people of the example, and what they do: always the same for the same seed and the same end."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from typing import NamedTuple

from pins.models import BOARDS

#: Username -> name, what they say of themselves, their boards.
PEOPLE = {
    'anna': ('Anna Lindqvist', 'Long walks, strong tea.', ('tea', 'mountains')),
    'ben': ('Ben Okafor', 'Architect. Draws cities after dark.', ('city', 'ceramics')),
    'chiara': ('Chiara Rossi', 'A balcony, forty pots.', ('garden', 'tea')),
    'dmitri': ('Dmitri Volkov', 'Sails when there is wind, reads when there is none.', ('sea', 'city')),
    'emeka': ('Emeka Eze', 'Potter. My kiln has moods.', ('ceramics', 'garden')),
    'fumiko': ('Fumiko Tanaka', 'Teaches tea, collects bowls.', ('tea', 'ceramics')),
    'greta': ('Greta Maurer', 'Hut keeper at 2,413 m.', ('mountains', 'garden')),
    'hassan': ('Hassan Rahimi', 'Night bus photographer.', ('city', 'sea')),
    'ines': ('Inés Carrera', 'Lighthouses, mostly.', ('sea', 'mountains')),
    'jonas': ('Jonas Weber', 'Beekeeper, beginner.', ('garden', 'mountains')),
    'kavya': ('Kavya Nair', 'Chai, charcoal, clouds.', ('tea', 'sea')),
    'lior': ('Lior Ben-Ami', 'Tiles and stairs.', ('ceramics', 'city')),
}

TITLES = {
    'mountains': (
        'First light on the ridge', 'Above the clouds', 'The long way down', 'Snow in September', 'Hut to hut',
        'Three passes', 'Where the path ends', 'Blue hour, north face', 'Larches turning', 'A pass with no name',
    ),
    'sea': (
        'Paper boats', 'Low tide', 'The harbour at six', 'Wind from the west', 'Salt on everything', 'Small sails',
        'Last ferry', 'A calm day, finally', 'Between two islands', 'The keeper’s window',
    ),
    'tea': (
        'Second infusion', 'Steam', 'The blue cup', 'Rainy afternoon oolong', 'A pot for two', 'Smoke and honey',
        'Four o’clock', 'First flush', 'Chipped, still loved', 'Tea for the night shift',
    ),
    'city': (
        'Lights on the ninth floor', 'Rooftops', 'Someone is still up', 'The view from the bridge', 'After the rain',
        'Corner shop, closed', 'Quiet avenue', 'Windows', 'Sunday, five a.m.', 'Cranes at dusk',
    ),
    'garden': (
        'The dahlias are out', 'Wild corner', 'Seeds from grandmother', 'Bees love these', 'Balcony, south side',
        'After the frost', 'Cut flowers', 'Let it grow', 'Allotment 27', 'Poppies by the fence',
    ),
    'ceramics': (
        'Three from the kiln', 'Ash glaze', 'Not for sale', 'Sgraffito, first try', 'Vases, unfinished', 'Salt fired',
        'A set of odd ones', 'Thrown on a bad day', 'Kiln opening', 'Shino and luck',
    ),
}  # fmt: skip

NOTES = (
    '', '', '', 'Took me three tries.', 'For the kitchen wall.', 'Found while looking for something else.',
    'Keep this one for winter.', 'I would like to go back.', 'Does anybody know where this is?',
    'Note to self: more of this.',
)  # fmt: skip

COMMENTS = (
    'Oh, these colours!', 'Where is this?', 'I want to be there.', 'How did you do that?', 'Saving this one.',
    'Lovely.', 'That light!', 'My favourite of yours so far.', 'Makes me want to try again.',
    'Good morning to you, too.',
)  # fmt: skip


class Event(NamedTuple):
    """Somebody does something."""

    time: datetime.datetime
    #: ``'pin'``, ``'love'``, ``'comment'`` or ``'follow'``.
    kind: str
    person: str
    #: The number of the pin, counted from 0; for ``'follow'`` a username.
    thing: int | str
    #: Title and board and note of a pin; the text of a comment.
    words: tuple[str, ...] = ()


def events(end: datetime.datetime, seed: int = 1, pins_each: int = 12) -> Iterator[Event]:
    """What happens, oldest first, within the ten days before ``end``.

    :param end: aware; nothing is later
    :param seed: other seeds, other events
    :param pins_each: how many pins everybody has
    """
    chance = random.Random(seed)
    names = list(PEOPLE)
    start = end - datetime.timedelta(days=10)
    found = list(_follows(chance, names, start))
    moments = sorted(chance.uniform(0.5, 10 * 24 - 3) for _ in range(pins_each * len(names)))
    authors = names * pins_each
    chance.shuffle(authors)
    decks = {board: [] for board in BOARDS}  # type: dict[str, list[str]]
    for number, (hours, author) in enumerate(zip(moments, authors, strict=True)):
        board = chance.choice(PEOPLE[author][2])
        # Every title of a board is used before one comes again.
        if not decks[board]:
            decks[board] = chance.sample(TITLES[board], len(TITLES[board]))
        time = start + datetime.timedelta(hours=hours)
        found.append(Event(time, 'pin', author, number, (decks[board].pop(), board, chance.choice(NOTES))))
        others = [name for name in names if name != author]
        for fan in chance.sample(others, min(int(chance.expovariate(0.5)), 9)):
            found.append(Event(_later(chance, time, end), 'love', fan, number))
        for guest in chance.sample(others, chance.choice((0, 0, 0, 1, 1, 2))):
            found.append(Event(_later(chance, time, end), 'comment', guest, number, (chance.choice(COMMENTS),)))
    found.sort(key=lambda event: event.time)
    yield from found


def _follows(chance: random.Random, names: list[str], start: datetime.datetime) -> Iterator[Event]:
    for place, name in enumerate(names):
        others = [other for other in names if other != name]
        # Everybody follows the next two, so that nobody's feed is empty, and some others.
        chosen = {names[(place + 1) % len(names)], names[(place + 2) % len(names)], *chance.sample(others, 4)}
        for other in sorted(chosen):
            yield Event(start + datetime.timedelta(seconds=chance.uniform(0, 1200)), 'follow', name, other)


def _later(chance: random.Random, time: datetime.datetime, end: datetime.datetime) -> datetime.datetime:
    latest = (end - time).total_seconds() - 60
    return time + datetime.timedelta(seconds=min(chance.expovariate(1 / 20_000) + 30, latest * chance.uniform(0.5, 1)))
