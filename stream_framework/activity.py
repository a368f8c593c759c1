"""What happened (:class:`Activity`), and what happened grouped (:class:`AggregatedActivity`).

Activities are plain objects: making one costs no I/O. What a feed stores of them is the serializers' business, how an
id is made is :mod:`stream_framework.ids`'s.
"""

from __future__ import annotations

import datetime
import inspect
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from stream_framework import activity_streams, ids
from stream_framework.exceptions import ActivityNotFound, DuplicateActivityException
from stream_framework.utils import make_list_unique
from stream_framework.utils.shortcuts import unchanged
from stream_framework.verbs.base import Verb, verb_class

#: How many activities a group keeps; older ones are only counted.
MAX_AGGREGATED_ACTIVITIES_LENGTH = 15

# Two groups are equal if their dates are this close: 1.4.0 wrote dates with less precision than it kept in memory.
_SAME_DATE = datetime.timedelta(seconds=10)

# What activities may have as an object, or know only by its id.
_OBJECTS = frozenset({'actor', 'object', 'target'})

_activity_id = ids.activity_id
_UTC = datetime.timezone.utc
_EPOCH = datetime.datetime(1970, 1, 1)
_EPOCH_IN_UTC = _EPOCH.replace(tzinfo=_UTC)

Id = int | str | uuid.UUID


def utcnow() -> datetime.datetime:
    """Return the time now, as the naive UTC datetime that activities hold."""
    # Half the time of .replace(tzinfo=None), which most of making an activity would be.
    return _EPOCH + (datetime.datetime.now(_UTC) - _EPOCH_IN_UTC)


class MissingObject:
    """Explain why ``activity.actor`` is missing: the activity was given an id. The error says where the id is.

    An activity that was given the object has it in its own ``__dict__``, which comes first. A ``__getattr__`` would say
    the same, but with it every attribute of every activity is several times as slow to read.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, activity: Any, owner: type | None = None) -> NoReturn:
        name = self.name
        raise AttributeError(
            f'this activity knows only the id of its {name}: read {name}_id, or look the {name} up by it',
            name=name,
            obj=activity,
        )


class BaseActivity:
    """The common parent of everything that a feed can hold."""

    #: ``True`` for what holds only ids, until a feed has looked up the rest.
    dehydrated: bool = False


class _OverriddenId(property):
    """A subclass's ``serialization_id``: the stored id while nothing has changed, else what the subclass makes.

    Made again of what was stored, such an id may differ: Cassandra keeps milliseconds, and ``super()`` would return the
    stored id, of which the subclass would then make another one.
    """

    def __init__(self, own: property) -> None:
        def serialization_id(activity: Any) -> Any:
            stored_id = activity.stored_id
            return own.__get__(activity) if stored_id is None else stored_id

        super().__init__(serialization_id, own.fset, own.fdel, own.__doc__)


#: The properties that return the stored id by themselves.
_STOCK_RECIPES: list[Any] = []


def _wrap_overridden_id(cls: Any) -> None:
    own = next(vars(base)['serialization_id'] for base in cls.__mro__ if 'serialization_id' in vars(base))
    if isinstance(own, property) and not isinstance(own, _OverriddenId) and own not in _STOCK_RECIPES:
        cls.serialization_id = _OverriddenId(own)


def makes_own_ids(cls: Any) -> bool:
    """Return whether a class of activities, or of groups, overrides ``serialization_id``."""
    return isinstance(cls.serialization_id, _OverriddenId)


def _as_the_class_makes_ids(thing: Any, stored_id: Any) -> Any:
    """Return a stored id in the type that the class makes ids of: some are UUIDs."""
    try:
        made = thing.serialization_id
    except Exception:  # noqa: BLE001 - whatever keeps it from being made again, it is stored under this one
        return stored_id
    kind = next((kind for kind in (uuid.UUID, str, int) if isinstance(made, kind)), type(stored_id))
    return uuid.UUID(int=int(stored_id)) if kind is uuid.UUID else kind(stored_id)


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
        _wrap_overridden_id(cls)

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
        """The id that the activity was read under, for as long as it isn't changed; ``None`` if it wasn't read."""
        return self._stored_id if self._stored_as == self._id_parts() else None

    def stored_under(self, stored_id: int) -> None:
        """Remember the id that the activity was read under, for as long as it isn't changed."""
        self._stored_id = None
        self._stored_id = _as_the_class_makes_ids(self, stored_id) if makes_own_ids(type(self)) else stored_id
        self._stored_as = self._id_parts()

    def _id_parts(self) -> tuple[Any, ...]:
        return self.time, self.actor_id, self.verb, self.object_id, self.target_id

    def get_dehydrated(self) -> DehydratedActivity:
        """Return the reference to this activity that a timeline keeps."""
        return DehydratedActivity(serialization_id=ids.normalize_id(self.serialization_id))

    def to_as2(self) -> dict[str, Any]:
        """Return the activity as an Activity Streams 2.0 object, ready for ``json.dumps``.

        :mod:`stream_framework.activity_streams` says what is in it.

        >>> from stream_framework.verbs import Love
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
        return [name for name in super().__dir__() if name not in _OBJECTS or not _is_missing(self, name)]


_STOCK_RECIPES.append(Activity.serialization_id)


def _is_missing(activity: Activity, name: str) -> bool:
    return name not in vars(activity) and isinstance(inspect.getattr_static(type(activity), name), MissingObject)


def restored(
    activity_class: type[Activity],
    actor_id: Id | None,
    verb: type[Verb],
    object_id: Id,
    target_id: Id | None,
    time: datetime.datetime,
    extra_context: dict[Any, Any],
) -> Activity:
    """Make an activity of its stored parts without checking them: they were checked when they were stored.

    Pages are full of these, so the constructor is called only where a subclass has one of its own.
    """
    if activity_class.__init__ is not Activity.__init__:
        return activity_class(actor_id, verb, object_id, target_id, time=time, extra_context=extra_context)
    activity = activity_class.__new__(activity_class)
    activity.verb = verb
    activity.time = time
    activity.actor_id = actor_id
    if actor_id is None:
        activity.actor = None
    activity.object_id = object_id
    activity.target_id = target_id
    if target_id is None:
        activity.target = None
    activity.extra_context = extra_context
    return activity


class ActorSafeIdMixin:
    """Put before :class:`Activity`: an id that includes the actor and the target, for activities with int ids too.

    The id of 1.4.0 leaves both out, so two people who love one thing in the same millisecond share one id, and one of
    the two activities is lost. This one also has no limit on object ids. Activities that are stored already keep
    their ids, so choose it for new feeds, or when starting anew.

    >>> from stream_framework.verbs import Love
    >>> class SafeActivity(ActorSafeIdMixin, Activity):
    ...     pass
    >>> time = datetime.datetime(2013, 7, 8, 6, 59, 15)
    >>> SafeActivity(1, Love, 42, time=time) == SafeActivity(2, Love, 42, time=time)
    False
    """

    @property
    def serialization_id(self: Any) -> int:
        """13 digits of milliseconds, 13 of a stable hash of actor, verb, object and target."""
        if self._stored_id is not None and self._stored_as == self._id_parts():
            return self._stored_id
        return ids.hashed_activity_id(self.time, self.actor_id, self.verb.id, self.object_id, self.target_id)


_STOCK_RECIPES.append(ActorSafeIdMixin.serialization_id)


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


class AggregatedActivity(BaseActivity):
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
        self.activities: list[Activity] = [] if activities is None else list(activities)
        self.created_at = created_at
        self.updated_at = updated_at
        self.seen_at: datetime.datetime | None = None
        self.read_at: datetime.datetime | None = None
        #: How many activities were dropped to keep the group small; only their number is known.
        self.minimized_activities = 0
        self.dehydrated = False
        self._activity_ids: list[int] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _wrap_overridden_id(cls)

    #: Whether a group can be merged with the ids of its activities alone: no method of an application looks at them.
    merges_references = unchanged('append', 'contains', 'activity_ids', 'get_hydrated', 'get_dehydrated')

    @property
    def stored_id(self) -> str | None:
        """The id that the group was read under, if it wouldn't be made again, for as long as it isn't changed."""
        return self._stored_id if self._stored_at == self.updated_at else None

    @property
    def serialization_id(self) -> str:
        """The id under which feeds and markers know the group: digits that sort by ``updated_at``.

        It changes whenever ``updated_at`` does.
        """
        if self._stored_id is not None and self._stored_at == self.updated_at:
            return self._stored_id
        return ids.group_id(self.group, self.updated_at)

    def stored_under(self, stored_id: int) -> None:
        """Remember the id that the group was read under, for as long as it doesn't change."""
        text = ids.format_group_id(stored_id)
        self._stored_id = None
        self._stored_id = _as_the_class_makes_ids(self, text) if makes_own_ids(type(self)) else text
        self._stored_at = self.updated_at

    def get_dehydrated(self) -> AggregatedActivity:
        """Keep only the ids of the activities; change and return this very object.

        :raises ValueError: if that is done already
        """
        if self.dehydrated:
            raise ValueError(f'{self!r} is dehydrated already')
        self._activity_ids = _ids_of(self.activities)
        self.activities = []
        self.dehydrated = True
        return self

    def get_hydrated(self, activities: Mapping[int, Activity]) -> AggregatedActivity:
        """Put the activities in place of their ids; change and return this very object.

        :param activities: id -> activity; one that is missing (removed from the activity storage) is skipped
        :raises ValueError: if the group is hydrated
        """
        if not self.dehydrated:
            raise ValueError(f'{self!r} is hydrated already')
        self.activities = [activities[key] for key in self._activity_ids if key in activities]
        self._activity_ids = []
        self.dehydrated = False
        return self

    def __len__(self) -> int:
        return len(self._activity_ids) if self.dehydrated else len(self.activities)

    @property
    def activity_ids(self) -> list[int]:
        """The ids of the activities that the group keeps, ascending."""
        if self.dehydrated:
            return list(self._activity_ids)
        return _ids_of(self.activities)

    def contains(self, activity: Activity | int | uuid.UUID) -> bool:
        """Return whether the group keeps this activity, given itself or by its id.

        :raises ValueError: for anything else
        """
        return _id_of(activity) in self.activity_ids

    def append(self, activity: Activity) -> None:
        """Add an activity where its id belongs; drop the one with the lowest id if there are too many then.

        A dehydrated group gets the id.

        :raises DuplicateActivityException: if the group keeps it already
        """
        activity_ids = self.activity_ids
        activity_id = _id_of(activity)
        if activity_id in activity_ids:
            raise DuplicateActivityException(f'activity {activity_id} is in group {self.group!r} already')
        kept: list[Any] = self._activity_ids if self.dehydrated else self.activities
        ordered = sorted(activity_ids)
        if ordered != activity_ids:  # 1.4.0 stored them in order of arrival
            kept.sort()
        kept.insert(bisect_left(ordered, activity_id), activity_id if self.dehydrated else activity)
        self.created_at = activity.time if self.created_at is None else min(self.created_at, activity.time)
        self.updated_at = activity.time if self.updated_at is None else max(self.updated_at, activity.time)
        surplus = len(kept) - self.max_aggregated_activities_length
        if surplus > 0:
            del kept[:surplus]
            self.minimized_activities += surplus

    def remove(self, activity: Activity | int | uuid.UUID) -> None:
        """Take an activity out, given itself or by its id; ``updated_at`` becomes the time of the last that is left.

        :raises ActivityNotFound: if the group doesn't keep it
        :raises ValueError: if it is the last one, or the group is dehydrated
        """
        if not self._without([activity]):
            raise ActivityNotFound(f'activity {_id_of(activity)} is not in group {self.group!r}')

    def remove_many(self, activities: Iterable[Activity | int | uuid.UUID]) -> list[Activity | int | uuid.UUID]:
        """Take out several at once; those that aren't there are skipped.

        :returns: those that were there, as they were given
        :raises ValueError: if none would be left (nothing is changed then), or the group is dehydrated
        """
        return self._without(activities)

    def _without(self, activities: Iterable[Activity | int | uuid.UUID]) -> list[Activity | int | uuid.UUID]:
        if self.dehydrated:
            raise ValueError(f'{self!r} is dehydrated: hydrate it before taking activities out')
        kept = dict(zip(_ids_of(self.activities), self.activities, strict=True))
        removed = [activity for activity in activities if kept.pop(_id_of(activity), None) is not None]
        if removed and not kept:
            raise ValueError(f'removing {removed!r} would leave group {self.group!r} empty: remove the group itself')
        if removed:
            self.activities = [kept[key] for key in sorted(kept)]
            self.updated_at = self.last_activity.time
        return removed

    @property
    def actor_count(self) -> int:
        """How many actors: exact while nothing was dropped, after that an upper bound (each dropped one counts)."""
        return len(self.actor_ids) + self.minimized_activities

    @property
    def other_actor_count(self) -> int:
        """The number in "X and 3 others"."""
        return self.actor_count - 1

    @property
    def activity_count(self) -> int:
        """How many activities, dropped ones included."""
        return len(self) + self.minimized_activities

    @property
    def last_activity(self) -> Activity:
        """The newest activity."""
        return self.activities[-1]

    @property
    def last_activities(self) -> list[Activity]:
        """The activities, newest first."""
        return self.activities[::-1]

    @property
    def verb(self) -> type[Verb]:
        """The verb of the first activity; most aggregators group by it, so it is the verb of them all."""
        return self.activities[0].verb

    @property
    def verbs(self) -> list[type[Verb]]:
        """The distinct verbs, in order of the activities."""
        return make_list_unique([activity.verb for activity in self.activities])

    @property
    def actor_ids(self) -> list[Id | None]:
        """The distinct actors, in order of the activities; ``None`` stands for nobody."""
        return make_list_unique([activity.actor_id for activity in self.activities])

    @property
    def object_ids(self) -> list[Id]:
        """The distinct objects, in order of the activities."""
        return make_list_unique([activity.object_id for activity in self.activities])

    def is_seen(self) -> bool:
        """Return whether it was marked as seen since it last changed."""
        return self.seen_at is not None and (self.updated_at is None or self.seen_at >= self.updated_at)

    def is_read(self) -> bool:
        """Return whether it was marked as read since it last changed."""
        return self.read_at is not None and (self.updated_at is None or self.read_at >= self.updated_at)

    def update_seen_at(self) -> None:
        """Mark as seen now."""
        self.seen_at = utcnow()

    def update_read_at(self) -> None:
        """Mark as read now."""
        self.read_at = utcnow()

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


_STOCK_RECIPES.append(AggregatedActivity.serialization_id)


class NotificationActivity(AggregatedActivity):
    """A group in a notification feed; the feed fills in ``is_seen`` and ``is_read`` from its markers."""

    is_seen: bool  # type: ignore[assignment]
    is_read: bool  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_seen = False
        self.is_read = False


def _id_of(activity: Any) -> int:
    if isinstance(activity, Activity):
        return ids.normalize_id(activity.serialization_id)
    if isinstance(activity, (int, uuid.UUID)):
        return ids.normalize_id(activity)
    raise ValueError(f'{activity!r} is no activity: give an Activity, an int id or a uuid.UUID')


def _ids_of(activities: Iterable[Activity]) -> list[int]:
    # Every id is a plain int but for overridden recipes, which may give a UUID.
    found = [activity.serialization_id for activity in activities]
    return [item if type(item) is int else ids.normalize_id(item) for item in found]


def _same_date(one: datetime.datetime | None, other: datetime.datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _SAME_DATE
