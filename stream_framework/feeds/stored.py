"""What a feed is stored with: its key, its two storages, and the activities that all feeds share."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from stream_framework.activity import Activity, BaseActivity, DehydratedActivity
from stream_framework.exceptions import ConfigurationError
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.base import BaseActivityStorage, BaseBatch, BaseTimelineStorage
from stream_framework.typing import ActivityId, HasTimelines, Storage_co, UserId
from stream_framework.utils.shortcuts import unchanged
from stream_framework.utils.tails import handed_on

Item = TypeVar('Item')

# Whether whoever adds to a feed has stored the activities already, so that adding outside a batch need not.
_stored_already: contextvars.ContextVar[bool] = contextvars.ContextVar('stored_already', default=False)


@contextlib.contextmanager
def stored_already() -> Iterator[None]:
    """While the block runs, adding to feeds outside a batch stores no activities: the caller has stored them."""
    token = _stored_already.set(True)
    try:
        yield
    finally:
        _stored_already.reset(token)


class MadeOnFirstUse:
    """A storage of a feed, made when it is first asked for: a fan-out makes many feeds and shares one storage."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, feed: Any, owner: type | None = None) -> Any:
        if feed is None:
            return self
        storage = getattr(feed, self.method)()
        # Comes before this descriptor from now on. Not by __dict__, which makes every attribute slower to read.
        setattr(feed, self.name, storage)
        return storage


if TYPE_CHECKING:

    class TimelineStorageOfClass(MadeOnFirstUse):
        """The same for a type checker, which reads the storage's type from the feed's class."""

        def __get__(self, feed: HasTimelines[Storage_co], owner: type | None = None) -> Storage_co:
            """Return the storage."""

        def __set__(self, feed: object, storage: BaseTimelineStorage) -> None:
            """Set the storage of one feed."""

else:
    # At run time it must not define __set__, or it would come before the storage that it made.
    TimelineStorageOfClass = MadeOnFirstUse


class StoredFeed:
    """The part of a feed that knows where it is stored; see :class:`~stream_framework.feeds.base.BaseFeed`."""

    #: The key that the feed is stored under; ``%(user_id)s`` is filled in.
    key_format: str = 'feed_%(user_id)s'
    #: How many activities the feed keeps.
    max_length: int = 100
    #: What the feed holds.
    activity_class: type[Activity] = Activity
    #: Where whole activities are; ``None`` where the timeline itself holds them.
    activity_storage_class: type[BaseActivityStorage] | None = BaseActivityStorage
    #: Where the timeline is.
    timeline_storage_class: type[BaseTimelineStorage] = BaseTimelineStorage
    #: How the activity storage writes an activity.
    activity_serializer: Any = BaseSerializer
    #: How the timeline writes an entry.
    timeline_serializer: Any = SimpleTimelineSerializer
    #: How likely a write trims the feed to ``max_length``; 0 or less: never. Where trimming is free, as on Redis, any
    #: other value trims with every write. On Cassandra a chunk of a fan-out is trimmed whole, or not at all: that takes
    #: little longer than one feed alone.
    trim_chance: float = 0.01
    #: Where the timeline is: a storage of ``timeline_storage_class``.
    timeline_storage = TimelineStorageOfClass('get_timeline_storage')
    #: Where whole activities are: a storage of ``activity_storage_class``, or ``None``.
    activity_storage: BaseActivityStorage | None = cast(Any, MadeOnFirstUse('get_activity_storage'))

    def __init__(self, user_id: UserId) -> None:
        self.user_id = user_id
        self.key = self.key_format % {'user_id': user_id}

    def __repr__(self) -> str:
        return f'<{type(self).__name__}: {self.key}>'

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """Return the keywords that the timeline storage is made with.

        >>> sorted(Feed.get_timeline_storage_options())
        ['activity_class', 'serializer_class']
        """
        return {'serializer_class': cls.timeline_serializer, 'activity_class': cls.activity_class}

    @classmethod
    def get_timeline_storage(cls) -> BaseTimelineStorage:
        """Make a timeline storage.

        >>> Feed.get_timeline_storage().count('no such feed')
        0
        """
        return cls.timeline_storage_class(**cls.get_timeline_storage_options())

    @classmethod
    def get_activity_storage(cls) -> BaseActivityStorage | None:
        """Make an activity storage; ``None`` where the class has none.

        >>> Feed.get_activity_storage().get(13732667550000000000042003) is None
        True
        """
        if cls.activity_storage_class is None:
            return None
        return cls.activity_storage_class(serializer_class=cls.activity_serializer, activity_class=cls.activity_class)

    @classmethod
    def insert_activities(cls, activities: Iterable[Activity], **kwargs: object) -> None:
        """Store whole activities, for all feeds to refer to; no feed shows them by that alone. One round trip.

        :raises TypeError: for a keyword that nobody reads

        >>> activity = Activity(13, Love, 42)
        >>> Feed.insert_activities([activity])
        >>> Feed.get_activity_storage().get(activity.serialization_id)
        Activity(loved) 13 42
        """
        storage = cls.get_activity_storage()
        if kwargs:
            over, under = (cls, ('insert_activities', 'insert_activity')), (storage, ('add_many', 'add_to_storage'))
            _, kwargs = handed_on('insert_activities', ('activities', 'batch_interface'), (), kwargs, over, under)
        if storage is not None:
            storage.add_many(activities, **kwargs)

    @classmethod
    def insert_activity(cls, activity: Activity, **kwargs: object) -> None:
        """Store one whole activity; see :meth:`insert_activities`.

        >>> Feed.insert_activity(Activity(13, Love, 42))
        """
        cls.insert_activities([activity], **kwargs)

    @classmethod
    def remove_activity(cls, activity_or_id: Activity | ActivityId, **kwargs: object) -> None:
        """Remove a whole activity, given itself or by its id, from the activity storage: all feeds skip it then.

        :raises TypeError: for a keyword that nobody reads

        >>> activity = Activity(13, Love, 42)
        >>> added = feed.add(activity)
        >>> Feed.remove_activity(activity)
        >>> feed[:5]
        []
        """
        storage = cls.get_activity_storage()
        if kwargs:
            over, under = (cls, ('remove_activity',)), (storage, ('remove', 'remove_many', 'remove_from_storage'))
            _, kwargs = handed_on('remove_activity', ('activity_or_id', 'batch_interface'), (), kwargs, over, under)
        if storage is not None:
            storage.remove(activity_or_id, **kwargs)

    @classmethod
    def get_timeline_batch_interface(cls) -> BaseBatch:
        """Return a context manager: what is done with it as ``batch_interface`` is sent in few round trips at its end.

        Activities are not stored by it: insert them before.

        >>> activity = Activity(13, Love, 42)
        >>> Feed.insert_activity(activity)
        >>> with Feed.get_timeline_batch_interface() as batch:
        ...     for user_id in (1, 2, 3):
        ...         queued = Feed(user_id).add(activity, batch_interface=batch)
        >>> Feed(2)[:5]
        [Activity(loved) 13 42]
        """
        return cls.get_timeline_storage().get_batch_interface()

    @classmethod
    def flush(cls) -> None:
        """Delete all feeds of this class, and everything that is in its activity storage.

        >>> added = feed.add(Activity(13, Love, 42))
        >>> Feed.flush()
        >>> feed.count()
        0
        """
        storage = cls.get_activity_storage()
        if storage is not None:
            storage.flush()
        cls.get_timeline_storage().flush_matching(key_pattern(cls.key_format))

    #: Whether storing whole activities is the activity storage's work alone.
    inserts_as_usual = unchanged('insert_activity', 'insert_activities')

    @property
    def whole_activities(self) -> BaseActivityStorage:
        """The activity storage.

        :raises ConfigurationError: if there is none

        >>> feed.whole_activities is feed.activity_storage
        True
        """
        storage = self.activity_storage
        if storage is None:
            name = type(self).__name__
            raise ConfigurationError(
                f'{name} holds only references in its timeline, and has no activity storage to look them up in: set '
                f'{name}.activity_storage_class, or a timeline_serializer that stores whole activities'
            )
        return storage

    def _checked(self, activities: Iterable[Any], references: bool = False) -> list[Any]:
        # References, as a timeline gives them, are all that following needs of a flat feed's activities.
        activities = as_list(activities)
        for activity in activities:
            kind: Any = type(activity)
            wanted: Any = self.activity_class
            if not (_fits(kind, wanted) or (references and issubclass(kind, DehydratedActivity))):
                raise ValueError(
                    f'feed {self.key!r} holds {self.activity_class.__name__}, not {type(activity).__name__}: '
                    f'{activity!r} can not be added. (A subclass fits unless it overrides serialization_id.)'
                )
        return activities

    def _store(self, activities: Iterable[Activity]) -> None:
        if self.activity_storage_class is not None and not _stored_already.get():
            self.insert_activities(activities)


def as_list(values: Iterable[Item]) -> list[Item]:
    """Return what was given as a list, or a tuple; one activity, or a text, is a mistake.

    :raises TypeError: for these
    """
    if isinstance(values, (BaseActivity, str, bytes)):
        raise TypeError(f'{values!r}: give a list of activities')
    return values if isinstance(values, (list, tuple)) else list(values)  # type: ignore[return-value]


def of_ids(activities: Iterable[Activity], activity_ids: Iterable[Any], storage: BaseTimelineStorage) -> list[Activity]:
    """Return those activities that have some of these ids."""
    wanted = set(activity_ids)
    return [activity for activity in activities if storage.activity_to_id(activity) in wanted]


def still_stored(feed: StoredFeed, activities: list[Activity]) -> list[Activity]:
    """Return those of a feed's activities that an update stores: not those that have left the activity storage."""
    storage = feed.timeline_storage
    if feed.activity_storage is None or not storage.keeps_references:
        return activities
    stored = feed.activity_storage.get_many([storage.activity_to_id(activity) for activity in activities])
    return of_ids(activities, map(storage.activity_to_id, stored), storage)


def key_pattern(key_format: str) -> str:
    """Return the glob that the keys of a format match.

    >>> key_pattern('feed:%(user_id)s[new]')
    'feed:*[[]new[]]'
    """
    literal = re.sub(r'([*?\[\]\\])', r'[\1]', key_format)
    return re.sub(r'%\(\w+\)[^a-zA-Z%]*[a-zA-Z]', '*', literal).replace('%%', '%')


@functools.lru_cache(maxsize=1024)
def _fits(given: type, wanted: type) -> bool:
    if given is wanted:
        return True
    return issubclass(given, wanted) and getattr(given, 'serialization_id', 0) is getattr(wanted, 'serialization_id', 1)


__all__ = ['StoredFeed', 'as_list', 'key_pattern', 'of_ids', 'still_stored', 'stored_already']
