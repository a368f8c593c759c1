"""Whole activities as one line of text: ``actor,verb,object,target,time,context``."""

from __future__ import annotations

import datetime
import functools
import re
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

from stream_framework import ids
from stream_framework.activity import Activity
from stream_framework.compat import pickles
from stream_framework.exceptions import SerializationException
from stream_framework.restoring import restored
from stream_framework.serializers import codec
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.utils import are_digits, format_time, parse_time, short, to_text
from stream_framework.stored_ids import makes_own_ids
from stream_framework.verbs import get_verb_by_id, get_verb_storage

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
# Nearly all activities: plain ints, a time between 1970 and 5138, a context of ours or none.
_PLAIN = re.compile(r'([0-9]{1,20}),([0-9]{1,20}),([0-9]{1,20}),([0-9]{1,20}),([0-9]{1,11})\.([0-9]{6}),(\{[ -~]*)?\Z')
# What is kept of longer texts would take much memory.
_SHORT = 200
_INT = re.compile(r'-?[0-9]+\Z')
_UUID = re.compile(r'[0-9a-f]{32}\Z')

_Parts = tuple[Any, int, Any, Any, datetime.datetime, str]

# What an id of text keeps unescaped, besides letters, digits and _.-~ ; the rest is percent-encoded UTF-8.
_PLAIN_IN_IDS = '@:/+'


class ActivitySerializer(BaseSerializer):
    """The format of 1.4.0, with contexts in JSON.

    ==========  ======================================================================================================
    part        spelling
    ==========  ======================================================================================================
    ids         ints in decimal; ``s:`` and the percent-encoded text; ``u:`` and the 32 hexadecimal digits of a UUID
    actor       the same; ``None`` for nobody (1.4.0 wrote it so, and could not read it)
    target      the same; ``0`` for none, ``00`` for the id 0 (which 1.4.0 reads as none)
    time        seconds since 1970, with 6 decimals
    context     nothing for ``{}``, else JSON (see :mod:`~stream_framework.serializers.codec`) with ``;`` escaped; in
                data of 1.4.0 a pickle decoded as latin-1, read by the restricted unpickler
    ==========  ======================================================================================================

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.verbs import Love
    >>> serializer = ActivitySerializer(Activity)
    >>> activity = Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15), extra_context={'n': 1})
    >>> serializer.dumps(activity)
    '13,3,42,0,1373266755.000000,{"n":1}'
    >>> serializer.loads(serializer.dumps(activity)) == activity
    True
    """

    _verb_storage: Any = None

    def dumps(self, activity: Any) -> str:
        """Write an activity as text, without ``;`` and line breaks.

        :raises ValueError: for a wrong type
        :raises SerializationException: for an id, a time or a context that the format can't hold
        """
        self.check_type(activity)
        context = activity.extra_context
        if type(context) is not dict and context is not None and not isinstance(context, dict):
            raise SerializationException(
                f'extra_context is {short(context)}, of type {type(context).__name__}: only a dict can be stored'
            )
        context = codec.dumps(context, ';', 'extra_context') if context else ''
        actor, target, verb_id = activity.actor_id, activity.target_id, activity.verb.id
        if type(verb_id) is not int:
            raise SerializationException(f'the id of {activity.verb!r} is {short(verb_id)}, not an int')
        try:
            time = format_time(activity.time)
            if target is None:
                target = '0'
            elif type(target) is not int or not target:
                target = _dump_id(target, 'target') if target != 0 else '00'
            if type(actor) is not int and actor is not None:
                actor = _dump_id(actor, 'actor')
            object_id = activity.object_id
            if type(object_id) is not int:
                object_id = _dump_id(object_id, 'object')
            return f'{actor},{verb_id},{object_id},{target},{time},{context}'
        except (ValueError, TypeError, AttributeError) as error:
            raise SerializationException(f'the activity can not be stored: {error}') from error

    def leading_parts(self, actor_id: Any, verb_id: int | None, object_id: Any) -> list[str | None]:
        """Return how the first parts of an activity are written; ``None`` in the place of what isn't given.

        >>> ActivitySerializer(None).leading_parts(13, None, 'a,b')
        ['13', None, 's:a%2Cb']
        """
        return [
            None if actor_id is None else _dump_id(actor_id, 'actor'),
            None if verb_id is None else str(verb_id),
            None if object_id is None else _dump_id(object_id, 'object'),
        ]

    def loads(self, serialized_activity: Any) -> Any:
        """Read an activity.

        :param serialized_activity: text, or UTF-8
        :raises SerializationException: for what isn't in the format, or names a verb that isn't registered
        """
        data = serialized_activity
        if type(data) is not str or not data.isascii():
            data = to_text(data)
        try:
            actor_id, verb_id, object_id, target_id, moment, context = _parts(data)
            verb = self._verbs.get(verb_id) or get_verb_by_id(verb_id)
            extra_context = self._load_context(context) if context else {}
            return restored(self.activity_class, actor_id, verb, object_id, target_id, moment, extra_context)
        except SerializationException as error:
            raise SerializationException(f'{short(data)} is no stored activity: {error}') from error
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            # str() of a KeyError would quote its message.
            reason = error.args[0] if isinstance(error, KeyError) and error.args else error
            raise SerializationException(f'{short(data)} is no stored activity: {reason}') from error

    def load_many(self, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Read the activities of a page, each with the id that it was stored under.

        :param pairs: ``(id, what was stored)``; the id is ``None`` if it isn't known
        :raises SerializationException: as of :meth:`loads`
        """
        activity_class, loads, verbs = self.activity_class, self.loads, self._verbs
        ours = activity_class.__init__ is Activity.__init__ and not makes_own_ids(activity_class)
        new = activity_class.__new__
        activities: list[Any] = []
        for stored_id, data in pairs:
            plain = _plain_parts(data) if ours and type(data) is str and len(data) <= _SHORT else None
            verb = None if plain is None else verbs.get(plain[1])
            if plain is None or verb is None or type(stored_id) is not int:
                activity = loads(data)
                if stored_id is not None:
                    activity.stored_under(ids.normalize_id(stored_id))
                activities.append(activity)
                continue
            # loads(), restored() and stored_under(), written out: calling them takes as long as what they do.
            activity = new(activity_class)
            actor_id, _, object_id, target_id, time, context = plain
            activity.verb = verb
            activity.time = time
            activity.actor_id = actor_id
            activity.object_id = object_id
            activity.target_id = target_id
            if target_id is None:
                activity.target = None
            activity.extra_context = self._load_context(context) if context else {}
            activity._stored_id = stored_id
            activity._stored_as = (time, actor_id, verb, object_id, target_id)
            activities.append(activity)
        return activities

    @property
    def _verbs(self) -> Any:
        # Which storage that is, a setting says: looked up once, not for each activity.
        if self._verb_storage is None:
            self._verb_storage = get_verb_storage()
        return self._verb_storage

    def _load_context(self, text: str) -> dict[Any, Any]:
        # No pickle starts with a brace.
        context = codec.loads(text) if text[0] == '{' else pickles.loads(text, (self.activity_class,))
        if not isinstance(context, dict):
            raise SerializationException(f'the context is {short(context)}, not a dict')
        return context


@functools.lru_cache(maxsize=8192)
def _plain_parts(text: str) -> _Parts | None:
    """Return the parts of an activity in the usual form, and ``None`` for any other text.

    The newest activities are in many users' pages: what their texts say is kept, some 4 MB of it. (The groups of a
    notification feed are one user's, so what is in those is not.)
    """
    match = _PLAIN.match(text)
    if match is None:
        return None
    actor, verb, object_id, target, seconds, microseconds, context = match.groups()
    time = _EPOCH + int(seconds + microseconds) * _MICROSECOND
    return int(actor), int(verb), int(object_id), None if target == '0' else int(target), time, context or ''


def _parts(text: str) -> _Parts:
    """Take a text apart: actor, verb, object, target, time and the text of the context."""
    actor, verb, object_id, target, time, context = text.split(',', 5)
    seconds, _, decimals = time.partition('.')
    digits = seconds + decimals
    # Ids that are plain ints and times after 1970 are nearly all there is.
    if len(decimals) == 6 and 0 < len(seconds) <= 12 and are_digits(f'{actor}{verb}{object_id}{target}{digits}'):
        target_id = None if target == '0' else int(target)
        return int(actor), int(verb), int(object_id), target_id, _EPOCH + int(digits) * _MICROSECOND, context
    if not are_digits(verb):
        raise ValueError(f'{short(verb)} is no id of a verb')
    return (
        None if actor == 'None' else _load_id(actor),
        int(verb),
        _load_id(object_id),
        None if target == '0' else _load_id(target),
        parse_time(time),
        context,
    )


def _dump_id(value: Any, name: str) -> str:
    """Write an id that is no plain int with its type; an id of 1.4.0 never starts with ``s:`` or ``u:``."""
    if isinstance(value, uuid.UUID):
        return f'u:{value.hex}'
    if isinstance(value, str):
        return 's:' + quote(str.__str__(value), _PLAIN_IN_IDS, 'utf-8', 'surrogatepass')
    if isinstance(value, int):
        return str(int(value))
    raise SerializationException(
        f'the id of the {name} is {short(value)}, of type {type(value).__name__}: give an int, a str or a uuid.UUID'
    )


def _load_id(text: str) -> int | str | uuid.UUID:
    if _INT.match(text):
        return int(text)
    if text[:2] == 's:':
        found = unquote(text[2:], 'utf-8', 'surrogatepass')
        # Written in another way, it would be another text.
        if _dump_id(found, '') == text:
            return found
    elif text[:2] == 'u:' and _UUID.match(text, 2):
        return uuid.UUID(hex=text[2:])
    raise ValueError(f'{short(text)} is no id')
