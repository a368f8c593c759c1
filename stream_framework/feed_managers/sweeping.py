"""Look for what a user did where no task is sent any more, and remove it: the last step of erasing him.

Tasks reach those who follow him now. Copies are elsewhere, too: in the feeds of those who followed him once and kept
what they had, of those whom an activity notified before it was updated; and what was removed, or trimmed from his user
feed, is still in the activity storage. So all activities that are stored, and all feeds, are gone through, some
hundreds at a time. That takes no memory to speak of, and may be done again from the start.

- Flat feeds, and groups, that hold references: an id says nothing about the actor, so the ids of what he did are found
  in the activity storage first, :data:`IDS_AT_A_TIME` at a time.
- Feeds that hold whole activities (all of Cassandra, notification feeds): these say whose they are.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.exceptions import SerializationException
from stream_framework.feeds.stored import key_pattern
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.abilities import ListsTimelines
from stream_framework.storage.base_follow_storage import id_to_text
from stream_framework.utils import chunks
from stream_framework.verbs import Love

#: How many ids of activities are held at a time; for so many, all feeds that hold references are read once.
IDS_AT_A_TIME = 100_000
#: How many feeds are read at a time, how many entries of each, and how many of what is deeper in a long one.
FEEDS_AT_A_TIME, ENTRIES_AT_A_TIME, ENTRIES_OF_LONG_FEEDS = 100, 200, 1000

_USER_ID = re.compile(r'%\(user_id\)[^a-zA-Z%]*[a-zA-Z]')

#: Returns the ids of those activities of an entry that a user did.
Finder = Callable[[Any], Collection[int]]


def stored_by(storage: Any, user_id: Any) -> Iterator[Activity]:
    """Iterate over the activities of a user in an activity storage: reads all that is stored, in parts.

    :param storage: one that :class:`~stream_framework.storage.abilities.ListsActivities`
    """
    beginning = _beginning(storage, user_id)
    for part in storage.iter_stored():
        pairs = part if beginning is None else [pair for pair in part if _begins(pair[1], beginning)]
        for activity in storage.load_all(None, pairs):
            if is_by(activity, user_id):
                yield activity


def is_by(activity: Any, user_id: Any) -> bool:
    """Return whether somebody did an activity; 17 and ``'17'`` are two."""
    actor_id = getattr(activity, 'actor_id', None)
    return actor_id == user_id and actor_id is not None and id_to_text(actor_id) == id_to_text(user_id)


class Sweep:
    """All feeds of a manager's classes that can be gone through.

    :param feed_classes: the classes, each once
    :param user_id: whose activities are looked for
    """

    def __init__(self, feed_classes: Iterable[Any], user_id: Any) -> None:
        self._user_id = user_id
        classes = [(feed_class, feed_class.get_timeline_storage()) for feed_class in dict.fromkeys(feed_classes)]
        listed = [pair for pair in classes if isinstance(pair[1], ListsTimelines)]
        #: Whether all feeds can be gone through.
        self.is_complete = len(listed) == len(classes)
        self._of_references = [(cls, storage) for cls, storage in listed if storage.keeps_references]
        self._of_copies = [(cls, storage) for cls, storage in listed if not storage.keeps_references]
        self._formats = [cls.key_format for cls, _ in classes]

    def remove_ids(self, activity_ids: Collection[int]) -> None:
        """Remove activities from all feeds that hold references."""
        wanted = frozenset(activity_ids)

        def find(entry: Any) -> Collection[int]:
            return wanted.intersection(map(ids.normalize_id, entry._activity_ids))

        for feed_class, storage in self._of_references:
            self._clear(feed_class, storage, find)

    def remove_copies(self) -> None:
        """Remove the user's activities from all feeds that hold whole ones."""
        for feed_class, storage in self._of_copies:
            self._clear(feed_class, storage, self._copies_in)

    def _copies_in(self, entry: Any) -> list[int]:
        activities = entry.activities if isinstance(entry, AggregatedActivity) else [entry]
        return [ids.normalize_id(one.serialization_id) for one in activities if is_by(one, self._user_id)]

    def _clear(self, feed_class: Any, storage: Any, find: Finder) -> None:
        keys = storage.iter_keys(key_pattern(feed_class.key_format))
        for some_keys in chunks((key for key in keys if self._is_of(feed_class, key)), FEEDS_AT_A_TIME):
            for snapshot in storage.read_newest(list(some_keys), ENTRIES_AT_A_TIME):
                self._clear_one(feed_class, storage, snapshot, find)

    def _clear_one(self, feed_class: Any, storage: Any, snapshot: Any, find: Finder) -> None:
        key, looked_at = snapshot.key, 0
        entries = _readable(partial(storage.load_entry, key), snapshot.entries)
        size, found_there = ENTRIES_AT_A_TIME, len(snapshot.entries)
        while entries:
            looked_at += len(entries)
            found = {activity_id for entry in entries for activity_id in find(entry)}
            if found:
                feed = _feed_of(feed_class, key)
                # Feeds of groups look for what is removed within their length, and more may be there.
                feed.max_length = max(feed.max_length, looked_at)
                feed.remove_many(sorted(found), trim=False)
            if found_there < size:
                return
            older = {'activity_id__lt': entries[-1].serialization_id}
            size = ENTRIES_OF_LONG_FEEDS
            pairs = storage.get_slice_from_storage(key, 0, size, filter_kwargs=older)
            entries = _readable(lambda pair: storage.load(key, *pair), pairs)
            found_there = len(pairs)

    def _is_of(self, feed_class: Any, key: str) -> bool:
        """Return whether a key is of this class, and of none whose format says more: ``feed:7``, ``feed:groups:7``."""
        fitting = [key_format for key_format in self._formats if _user_id_in(key_format, key) is not None]
        return feed_class.key_format == max(fitting, key=_literal_length, default=None)


def _readable(load: Callable[[Any], Any], stored: Iterable[Any]) -> list[Any]:
    """Return the entries that can be read: a key of another program may fit the format."""
    entries = []
    for one in stored:
        with contextlib.suppress(SerializationException):
            entries.append(load(one))
    return entries


def _feed_of(feed_class: Any, key: str) -> Any:
    feed = feed_class(_user_id_in(feed_class.key_format, key))
    feed.key = key
    return feed


def _user_id_in(key_format: str, key: str) -> str | None:
    """Return the user's id, as text, in the key of a feed; ``None`` if the key has another format.

    >>> _user_id_in('feed:%(user_id)s', 'feed:7')
    '7'
    """
    parts = [re.escape(part.replace('%%', '%')) for part in _USER_ID.split(key_format)]
    match = re.fullmatch('(.*)'.join(parts), key, re.DOTALL)
    return None if match is None else match[1] if match.groups() else ''


def _literal_length(key_format: str) -> int:
    return len(_USER_ID.sub('', key_format))


def _beginning(storage: Any, user_id: Any) -> str | None:
    """Return what the stored text of a user's activities begins with; ``None`` if only reading it tells."""
    serializer = storage.serializer
    if type(serializer) is not ActivitySerializer or not storage.gives_as_usual:
        return None
    # The format is the same for every class of activities; this one can be made of three ids.
    return ActivitySerializer(Activity).dumps(Activity(user_id, Love, 0)).partition(',')[0] + ','


def _begins(data: Any, beginning: str) -> bool:
    return data.startswith(beginning.encode() if isinstance(data, bytes) else beginning)
