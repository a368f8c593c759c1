"""What happened (:class:`Activity`), and what happened grouped (:class:`AggregatedActivity`).

Activities are plain objects: making one costs no I/O. What a feed stores of them is the serializers' business, how an
id is made is :mod:`stream_framework.ids`'s.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from stream_framework import activity_streams, ids
from stream_framework.group_members import GroupMembers
from stream_framework.group_summary import Id
from stream_framework.missing_object import OBJECTS, MissingObject, is_missing
from stream_framework.stored_ids import (
    STOCK_RECIPES,
    ActorSafeIdMixin,
    as_the_class_makes_ids,
    makes_own_ids,
    wrap_overridden_id,
)
from stream_framework.utils.dates import utcnow
from stream_framework.utils.shortcuts import unchanged
from stream_framework.verbs.base import Verb, verb_class

#: How many activities a group keeps; older ones are only counted.
MAX_AGGREGATED_ACTIVITIES_LENGTH = 15

# Two groups are equal if their dates are this close: 1.4.0 wrote dates with less precision than it kept in memory.
_SAME_DATE = datetime.timedelta(seconds=10)

_activity_id = ids.activity_id


class BaseActivity:
    """The common parent of everything that a feed can hold."""

    #: ``True`` for what holds only ids, until a feed has looked up the rest.
    dehydrated: bool = False


class Activity(BaseActivity):
    """Something that happened: ``actor`` did ``verb`` to ``object``.

    :param actor: who did it: an id (int, str or ``uuid.UUID``), an object with such an ``.id`` (or ``.pk``, as
        Django's models have), or ``None`` for nobody: a message of the system
    :param verb: what was done: a :class:`~stream_framework.verbs.base.Verb` subclass, the class itself (an instance is
        taken for its class)
    :param object: what it was done to; like ``actor``
    :param target: where or to whom, if anywhere; like ``actor``
    :param time: when; naive datetimes are UTC, aware ones are turned into naive UTC. Default: now
    :param extra_context: anything else that the application wants to keep: a dict of what JSON, or its extension in
        :mod:`stream_framework.serializers.codec`, can hold
    :raises NoIdError: for an actor, object or target that is no id and has none

    >>> from stream_framework.verbs import Love
    >>> activity = Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15))
    >>> activity.serialization_id
    13732667550000000000042003
    >>> activity
    Activity(loved) 13 42
    """

    # The id that the activity was read from storage under, and what the activity was like then. Computing the id anew
    # could differ, since Cassandra keeps milliseconds; once the activity is changed, it has an id of its own again.
    _stored_id: int | None = None
    _stored_as: tuple[Any, ...] | None = None

    verb: type[Verb]
    actor_id: Id | None
    object_id: Id
    target_id: Id | None

    actor: Any = MissingObject()
    object: Any = MissingObject()
    target: Any = MissingObject()

    def __init__(
        self,
        actor: Any,
        verb: type[Verb],
        object: Any,
        target: Any = None,
        time: datetime.datetime | None = None,
        extra_context: dict[Any, Any] | None = None,
    ) -> None:
        self.verb = verb if isinstance(verb, type) else verb_class(verb)
        if time is None:
            self.time = utcnow()
        elif isinstance(time, datetime.datetime):
            self.time = time if time.tzinfo is None else ids.naive_utc(time)
        else:
            raise TypeError(f'time is {time!r}: give a datetime.datetime, naive UTC or aware')
        # Ids that are plain ints are nearly all there is: they take the short way.
        if type(actor) is int:
            self.actor_id = actor
        elif actor is None:
            self.actor = self.actor_id = None
        else:
            self._set_object_or_id('actor', actor)
        if type(object) is int:
            self.object_id = object
        else:
            self._set_object_or_id('object', object)
        if target is None:
            self.target = self.target_id = None
        elif type(target) is int:
            self.target_id = target
        else:
            self._set_object_or_id('target', target)
        self.extra_context = {} if extra_context is None else extra_context

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        wrap_overridden_id(cls)

    def _set_object_or_id(self, name: str, value: Any) -> None:
        value_id = ids.object_id(value)
        setattr(self, f'{name}_id', value_id)
        if not isinstance(value, (int, str, uuid.UUID)):
            setattr(self, name, value)

    @property
    def serialization_id(self) -> int:
        """The id under which feeds and storages know the activity; sorts by time.

        Subclasses may override it with an int of any length.

        :raises TypeError: for an object id outside 0 to 10**10 - 1, a verb id outside 0 to 999, or no time

        >>> Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15)).serialization_id
        13732667550000000000042003
        """
        if self._stored_id is not None and self._stored_as == self._id_parts():
            return self._stored_id
        actor_id, object_id, target_id = self.actor_id, self.object_id, self.target_id
        if (
            type(object_id) is int
            and (type(actor_id) is int or actor_id is None)
            and (target_id is None or type(target_id) is int)
        ):
            return _activity_id(self.time, object_id, self.verb.id)
        return ids.hashed_activity_id(self.time, actor_id, self.verb.id, object_id, target_id)

    @property
    def stored_id(self) -> int | None:
        """The id that the activity was read under, for as long as it isn't changed; ``None`` if it wasn't read.

        >>> Activity(13, Love, 42).stored_id is None
        True
        """
        return self._stored_id if self._stored_as == self._id_parts() else None

    def stored_under(self, stored_id: int) -> None:
        """Remember the id that the activity was read under, for as long as it isn't changed.

        >>> activity = Activity(13, Love, 42)
        >>> activity.stored_under(13732667550000000000042003)
        >>> activity.serialization_id
        13732667550000000000042003
        """
        self._stored_id = None
        self._stored_id = as_the_class_makes_ids(self, stored_id) if makes_own_ids(type(self)) else stored_id
        self._stored_as = self._id_parts()

    def _id_parts(self) -> tuple[Any, ...]:
        return self.time, self.actor_id, self.verb, self.object_id, self.target_id

    def get_dehydrated(self) -> DehydratedActivity:
        """Return the reference to this activity that a timeline keeps.

        >>> Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15)).get_dehydrated()
        <DehydratedActivity: 13732667550000000000042003>
        """
        return DehydratedActivity(serialization_id=ids.normalize_id(self.serialization_id))

    def to_as2(self) -> dict[str, Any]:
        """Return the activity as an Activity Streams 2.0 object, ready for ``json.dumps``.

        :mod:`stream_framework.activity_streams` says what is in it.

        >>> said = Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15)).to_as2()
        >>> said['type'], said['actor'], said['published']
        ('Like', 'urn:stream-framework:actor:13', '2013-07-08T06:59:15Z')
        """
        return activity_streams.as2_activity(self)

    def as2_iri(self, role: str, value: Id) -> Any:
        """Return how Activity Streams 2.0 names the actor, object or target of this id. Override it to give an address.

        :param role: ``'actor'``, ``'object'`` or ``'target'``
        :param value: its id
        :returns: an absolute IRI, or an object of Activity Streams: a dict

        >>> class PinActivity(Activity):
        ...     def as2_iri(self, role, value):
        ...         return f'https://example.com/{role}/{value}'
        >>> PinActivity(13, Love, 42).to_as2()['object']
        'https://example.com/object/42'
        """
        return activity_streams.as2_iri(role, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Activity):
            raise ValueError(f'an activity can only be compared with an activity, not with {other!r}')
        return self.serialization_id == other.serialization_id

    def __lt__(self, other: Activity) -> bool:
        return self.serialization_id < other.serialization_id

    def __hash__(self) -> int:
        return hash(self.serialization_id)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.verb.past_tense}) {self.actor_id} {self.object_id}'

    def __dir__(self) -> list[str]:
        # Django's templates take an AttributeError for a bug, and raise it, if dir() has the name.
        return [name for name in super().__dir__() if name not in OBJECTS or not is_missing(self, name)]


STOCK_RECIPES.append(Activity.serialization_id)


class DehydratedActivity(BaseActivity):
    """A reference to an activity: all that a timeline holds of it where an activity storage holds the rest.

    >>> DehydratedActivity(5).dehydrated
    True
    """

    dehydrated = True

    def __init__(self, serialization_id: int) -> None:
        self.serialization_id = serialization_id
        self._activity_ids = [serialization_id]

    def get_hydrated(self, activities: Mapping[int, Activity]) -> Activity:
        """Return the full activity.

        :param activities: id -> activity
        :raises KeyError: if it isn't among them

        >>> activity = Activity(13, Love, 42)
        >>> activity.get_dehydrated().get_hydrated({activity.serialization_id: activity})
        Activity(loved) 13 42
        """
        activity_id = self.serialization_id
        return activities[activity_id if type(activity_id) is int else ids.normalize_id(activity_id)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DehydratedActivity):
            return NotImplemented
        return self.serialization_id == other.serialization_id

    def __hash__(self) -> int:
        return hash(self.serialization_id)

    def __repr__(self) -> str:
        return f'<{type(self).__name__}: {self.serialization_id}>'


class AggregatedActivity(GroupMembers[Activity], BaseActivity):
    """Activities of one group, shown to the reader as one: "12 and 3 others loved 845".

    :param group: the group's name, as the aggregator made it
    :param activities: in ascending order of id
    :param created_at: the earliest time of an activity that was ever appended, naive UTC
    :param updated_at: the latest time of an activity, naive UTC; groups sort by it

    >>> from stream_framework.verbs import Love
    >>> group = AggregatedActivity('3-2013-07-08')
    >>> for actor in (1, 2, 3):
    ...     group.append(Activity(actor, Love, 42 + actor, time=datetime.datetime(2013, 7, 8, 7, actor)))
    >>> len(group), group.actor_ids, group.other_actor_count, group.last_activity.actor_id
    (3, [1, 2, 3], 2, 3)
    """

    #: How many activities a group keeps at most; older ones are counted in ``minimized_activities``.
    max_aggregated_activities_length = MAX_AGGREGATED_ACTIVITIES_LENGTH

    # The id that the group was read under, if ours would differ (1.4.0's has 13 digits), and the updated_at it goes
    # with: once the group has changed, it gets an id of ours.
    _stored_id: str | None = None
    _stored_at: datetime.datetime | None = None

    def __init__(
        self,
        group: Any,
        activities: Iterable[Activity] | None = None,
        created_at: datetime.datetime | None = None,
        updated_at: datetime.datetime | None = None,
    ) -> None:
        self.group = group
        self.activities = [] if activities is None else list(activities)
        self.created_at = created_at
        self.updated_at = updated_at
        self.seen_at = None
        self.read_at = None
        #: How many activities were dropped to keep the group small; only their number is known.
        self.minimized_activities = 0
        self.dehydrated = False
        self._activity_ids = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        wrap_overridden_id(cls)

    @staticmethod
    def _id_of(activity: object) -> int:
        if isinstance(activity, Activity):
            return ids.normalize_id(activity.serialization_id)
        if isinstance(activity, (int, uuid.UUID)):
            return ids.normalize_id(activity)
        raise ValueError(f'{activity!r} is no activity: give an Activity, an int id or a uuid.UUID')

    #: Whether a group can be merged with the ids of its activities alone: no method of an application looks at them.
    merges_references = unchanged('append', 'contains', 'activity_ids', 'get_hydrated', 'get_dehydrated')

    @property
    def stored_id(self) -> str | None:
        """The id that the group was read under, if it wouldn't be made again, for as long as it isn't changed.

        >>> group.stored_id is None
        True
        """
        return self._stored_id if self._stored_at == self.updated_at else None

    @property
    def serialization_id(self) -> str:
        """The id under which feeds and markers know the group: digits that sort by ``updated_at``.

        It changes whenever ``updated_at`` does.

        >>> group = AggregatedActivity('loves', updated_at=datetime.datetime(2013, 7, 8, 6, 59, 15))
        >>> group.serialization_id[:13], len(group.serialization_id)
        ('1373266755000', 26)
        """
        if self._stored_id is not None and self._stored_at == self.updated_at:
            return self._stored_id
        return ids.group_id(self.group, self.updated_at)

    def stored_under(self, stored_id: int) -> None:
        """Remember the id that the group was read under, for as long as it doesn't change.

        >>> group.stored_under(1373266755000)
        >>> group.serialization_id
        '1373266755000'
        """
        text = ids.format_group_id(stored_id)
        self._stored_id = None
        self._stored_id = as_the_class_makes_ids(self, text) if makes_own_ids(type(self)) else text
        self._stored_at = self.updated_at

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AggregatedActivity):
            raise ValueError(f'a group of activities can only be compared with another, not with {other!r}')
        dates = ('created_at', 'updated_at', 'seen_at', 'read_at')
        return all(_same_date(getattr(self, date), getattr(other, date)) for date in dates) and (
            self.activity_ids == other.activity_ids
        )

    def __hash__(self) -> int:
        return hash(self.serialization_id)

    def __repr__(self) -> str:
        if self.dehydrated:
            return f'Dehydrated {type(self).__name__} ({self._activity_ids})'
        verbs = ','.join(verb.past_tense for verb in self.verbs)
        actors = ','.join(map(str, self.actor_ids))
        return f'{type(self).__name__}({self.group}-{verbs}) Actors {actors}: Objects {self.object_ids}'


STOCK_RECIPES.append(AggregatedActivity.serialization_id)


class NotificationActivity(AggregatedActivity):
    """A group in a notification feed; the feed fills in ``is_seen`` and ``is_read`` from its markers."""

    is_seen: bool  # type: ignore[assignment]
    is_read: bool  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_seen = False
        self.is_read = False


def _same_date(one: datetime.datetime | None, other: datetime.datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _SAME_DATE


__all__ = [
    'MAX_AGGREGATED_ACTIVITIES_LENGTH',
    'Activity',
    'ActorSafeIdMixin',
    'AggregatedActivity',
    'BaseActivity',
    'DehydratedActivity',
    'Id',
    'NotificationActivity',
]
