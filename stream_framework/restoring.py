"""Making activities of their stored parts; pages are full of them."""

from __future__ import annotations

import datetime
from typing import Any

from stream_framework.activity import Activity, Id
from stream_framework.verbs.base import Verb


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


__all__ = ['restored']
