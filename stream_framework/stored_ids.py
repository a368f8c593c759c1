"""The id that an activity, or a group, was read from storage under, beside the one that its class makes.

An id that is made again of what was stored may differ: Cassandra keeps milliseconds, and 1.4.0 wrote whole seconds.
"""

from __future__ import annotations

import uuid
from typing import Any

from stream_framework import ids


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
STOCK_RECIPES: list[Any] = []


def wrap_overridden_id(cls: Any) -> None:
    own = next(vars(base)['serialization_id'] for base in cls.__mro__ if 'serialization_id' in vars(base))
    if isinstance(own, property) and not isinstance(own, _OverriddenId) and own not in STOCK_RECIPES:
        cls.serialization_id = _OverriddenId(own)


def makes_own_ids(cls: Any) -> bool:
    """Return whether a class of activities, or of groups, overrides ``serialization_id``."""
    return isinstance(cls.serialization_id, _OverriddenId)


def as_the_class_makes_ids(thing: Any, stored_id: Any) -> Any:
    """Return a stored id in the type that the class makes ids of: some are UUIDs."""
    try:
        made = thing.serialization_id
    except Exception:  # noqa: BLE001 - whatever keeps it from being made again, it is stored under this one
        return stored_id
    kind = next((kind for kind in (uuid.UUID, str, int) if isinstance(made, kind)), type(stored_id))
    return uuid.UUID(int=int(stored_id)) if kind is uuid.UUID else kind(stored_id)


class ActorSafeIdMixin:
    """Put before :class:`Activity`: an id that includes the actor and the target, for activities with int ids too.

    The id of 1.4.0 leaves both out, so two people who love one thing in the same millisecond share one id, and one of
    the two activities is lost. This one also has no limit on object ids. Activities that are stored already keep
    their ids, so choose it for new feeds, or when starting anew.

    >>> import datetime
    >>> from stream_framework.activity import Activity
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


STOCK_RECIPES.append(ActorSafeIdMixin.serialization_id)


__all__ = ['STOCK_RECIPES', 'ActorSafeIdMixin', 'as_the_class_makes_ids', 'makes_own_ids', 'wrap_overridden_id']
