"""What people can do. ``stream_framework.contrib.django`` registers the verbs that it finds here."""

from __future__ import annotations

from stream_framework.verbs import Comment, Follow, Love
from stream_framework.verbs.base import Verb


class Pin(Verb):
    """Somebody put something on a board."""

    id = 100  # stored with every activity: never change it
    infinitive = 'pin'
    past_tense = 'pinned'


#: The library brings three of the four.
__all__ = ['Comment', 'Follow', 'Love', 'Pin']
