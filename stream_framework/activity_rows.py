"""Activities within task messages: each is a list, which is a third of the size of a dict.

It holds the number of the class, the actor's id or null, the verb's id, the object's id, the target's id or null, the
time (ISO, naive UTC), extra_context, and the id that it was stored under or null. A reference is the number of its
class and the activity's id.
"""

from __future__ import annotations

import datetime
import operator
import uuid
from collections.abc import Callable
from typing import Any

from stream_framework import ids, paths
from stream_framework.activity import AggregatedActivity, DehydratedActivity
from stream_framework.exceptions import MessageError
from stream_framework.verbs import get_verb_by_id
from stream_framework.verbs.base import verb_class


def activity_row(activity: Any, classes: list[str], local: bool) -> list[Any]:
    """Encode an activity for a message.

    :param classes: the paths of the activities' classes so far; the activity's is added if it isn't there
    :param local: the message stays in this process, so ``__main__`` may be named
    :raises MessageError: for what can't travel, with the remedy
    """
    cls = type(activity)
    if isinstance(activity, AggregatedActivity):
        raise MessageError(f'{paths.short(activity)} can not travel in a task message: publish its activities instead')
    path = paths.activity_path(cls, local)
    if path not in classes:
        classes.append(path)
    number = classes.index(path)
    if isinstance(activity, DehydratedActivity):
        return [number, activity.serialization_id]
    try:
        verb, time, context = verb_class(activity.verb), activity.time, activity.extra_context
        if get_verb_by_id(verb.id) is not verb:
            raise LookupError(verb.id)
        row = [
            number,
            None if activity.actor_id is None else plain_id('actor', activity.actor_id),
            verb.id,
            plain_id('object', activity.object_id),
            None if activity.target_id is None else plain_id('target', activity.target_id),
            ids.naive_utc(time).isoformat(),
            context,
            getattr(activity, 'stored_id', None),
        ]
        if not isinstance(context, dict):
            raise MessageError(f'extra_context of {paths.short(activity)} is {paths.short(context)}: it must be a dict')
    except MessageError:
        raise
    except LookupError as error:
        raise MessageError(
            f'the verb of {paths.short(activity)} is not registered: call stream_framework.verbs.register(verb) in a '
            'module that publishers and workers import'
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise MessageError(f'{paths.short(activity)} lacks what every activity has: {error}') from error
    _check_same(activity, row, cls)
    return row


def _check_same(activity: Any, row: list[Any], cls: type) -> None:
    """Refuse an activity of an application's class that would have another id after its journey."""
    if not cls.__module__.startswith('stream_framework.'):
        *values, context, stored_id = row
        rebuilt = activity_of([0, *values[1:], dict(context), stored_id], [cls])
        if rebuilt.serialization_id != activity.serialization_id:
            raise MessageError(
                f'{paths.short(activity)} would have another serialization_id in a worker '
                f'({rebuilt.serialization_id}, not {activity.serialization_id}): {cls.__name__} must make it from '
                'actor_id, verb, object_id, target_id, time and extra_context alone'
            )


def activity_of(row: Any, classes: list[type]) -> Any:
    """Make an activity of what :func:`activity_row` returned.

    :param classes: the classes that the message lists
    :raises MessageError: if it isn't that
    """
    if not isinstance(row, list) or len(row) not in (2, 8) or type(row[0]) is not int:
        raise MessageError(f'{paths.short(row)} is no activity')
    if not 0 <= row[0] < len(classes):
        raise MessageError(f'{paths.short(row)} has a class that the message does not list')
    cls: Callable[..., Any] = classes[row[0]]
    if len(row) == 2:
        if type(row[1]) is not int or not issubclass(classes[row[0]], DehydratedActivity):
            raise MessageError(f'{paths.short(row)} is no reference to an activity')
        return cls(row[1])
    _, actor, verb_id, object_, target, time, context, stored_id = row
    if not isinstance(time, str) or not isinstance(context, dict) or not (stored_id is None or type(stored_id) is int):
        raise MessageError(f'{paths.short(row)} is no activity: its time, context or id is of the wrong type')
    try:
        verb = get_verb_by_id(verb_id)
    except (KeyError, ValueError) as error:
        raise MessageError(
            f'{paths.short(row)} has the verb id {paths.short(verb_id)}, which is not registered here: import the '
            'module that registers it where the worker starts'
        ) from error
    try:
        activity = cls(
            None if actor is None else known_id('actor', actor),
            verb,
            known_id('object', object_),
            None if target is None else known_id('target', target),
            time=datetime.datetime.fromisoformat(time),
            extra_context=context,
        )
    except MessageError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise MessageError(
            f"can't make a {classes[row[0]].__name__} of {paths.short(row)} ({error}): it must take "
            '(actor, verb, object, target, time=, extra_context=), as Activity does'
        ) from error
    if stored_id is not None:
        activity.stored_under(stored_id)
    return activity


def plain_id(name: str, value: Any) -> int | str | uuid.UUID:
    """Return an id as a plain int or str: JSON wouldn't bring back a subclass."""
    if type(value) is int or type(value) is str or isinstance(value, uuid.UUID):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    try:
        return int(operator.index(value))  # a bool, an IntEnum, a number of numpy's
    except TypeError as error:
        raise MessageError(
            f'{name} has {paths.short(value)}, a {type(value).__name__}: ids in a task message are int, '
            'str or uuid.UUID'
        ) from error


def known_id(name: str, value: Any) -> int | str | uuid.UUID:
    """Return an id of a message, or refuse what is none."""
    if type(value) is int or type(value) is str or type(value) is uuid.UUID:
        return value
    raise MessageError(f'{name} has {paths.short(value)}: ids in a task message are int, str or uuid.UUID')
