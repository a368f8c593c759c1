"""Whole activities as rows of a Cassandra table."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity
from stream_framework.compat import pickles
from stream_framework.exceptions import SerializationException
from stream_framework.restoring import restored
from stream_framework.serializers import codec
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.utils import check_ids, short
from stream_framework.utils.lazy import lazy_property
from stream_framework.verbs import get_verb_by_id, get_verb_storage

#: Integers of a ``bigint`` are below this, and not below its negative.
_BIGINT = 2**63

_PARTS = ('actor', 'object', 'target')
#: The columns of an activity. Any other column of a model is the application's.
_OWN_COLUMNS = frozenset(('feed_id', 'activity_id', 'verb', 'time', 'extra_context', 'ids', *_PARTS))


class CassandraActivitySerializer(BaseSerializer):
    """An activity is a row.

    =====================  =========================================================================================
    column                 holds
    =====================  =========================================================================================
    actor, object, target  the ids, where they are ints of 64 bits; null where there is no actor, or no target
    ids                    the others, as JSON: ``{"actor":"anna"}``; null where there are none
    time                   to the millisecond, which is what Cassandra keeps
    extra_context          JSON (see :mod:`~stream_framework.serializers.codec`), null for ``{}``; in rows of 1.4.0 a
                           pickle, read by the restricted unpickler
    =====================  =========================================================================================

    More columns of an application's model are handed to its activity class, if that takes them; to write them, override
    :meth:`dumps`.

    :param model: the model of cqlengine whose instances are made
    """

    def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model

    def dumps(self, activity: Any) -> Any:
        """Make an instance of the model of an activity, without ``feed_id``.

        :raises ValueError: for a wrong type
        :raises SerializationException: for an id, a time or a context that can't be stored
        """
        return self.model(**self.dump_columns(activity))

    def dump_columns(self, activity: Activity) -> dict[str, Any]:
        """Return the values of the columns that are not null."""
        self.check_type(activity)
        verb_id = activity.verb.id
        if type(verb_id) is not int:
            raise SerializationException(f'the id of {activity.verb!r} is {short(verb_id)}, not an int')
        columns = {
            'activity_id': ids.normalize_id(activity.serialization_id),
            'verb': verb_id,
            'time': activity.time,
        }
        if context := dump_context(activity.extra_context):
            columns['extra_context'] = context
        others: dict[str, Any] = {}
        for part, value in (
            ('actor', activity.actor_id),
            ('object', activity.object_id),
            ('target', activity.target_id),
        ):
            if type(value) is int and -_BIGINT <= value < _BIGINT:
                columns[part] = value
            elif value is not None:
                others[part] = value
        if others:
            if 'ids' not in self.model._columns:
                raise SerializationException(
                    f'{self.model.__name__} has no column for ids that are no int, such as {others!r}: derive it from '
                    'stream_framework.storage.cassandra.models.Activity, or give it a column ids = columns.Text()'
                )
            columns['ids'] = codec.dumps(others, name='ids')
        return columns

    def loads(self, serialized_activity: Any) -> Any:
        """Make the activity of a row, with the id that it is stored under.

        :param serialized_activity: a dict of columns, or an instance of the model
        :raises SerializationException: if it can't be read: the verb isn't registered, the context is damaged
        """
        row = serialized_activity if isinstance(serialized_activity, dict) else dict(serialized_activity)
        get = row.get
        try:
            actor, object_id, target, time, verb_id = (
                get('actor'),
                get('object'),
                get('target'),
                get('time'),
                get('verb'),
            )
            if others := get('ids'):
                values = _load_ids(others)
                actor, object_id = values.get('actor', actor), values.get('object', object_id)
                target = values.get('target', target)
            # There may be no actor: a message of the system.
            if object_id is None or time is None or verb_id is None:
                raise ValueError('a column that every activity has is null')
            verb = self._verbs.get(verb_id) or get_verb_by_id(verb_id)
            context = get('extra_context')
            extra_context = load_context(context, (self.activity_class,)) if context else {}
            if self._has_more_columns and (more := self._more_columns(row)):
                activity = self.activity_class(
                    actor=actor,
                    verb=verb,
                    object=object_id,
                    target=target,
                    time=time,
                    extra_context=extra_context,
                    **more,
                )
            else:
                activity = restored(self.activity_class, actor, verb, object_id, target, time, extra_context)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            reason = error.args[0] if isinstance(error, KeyError) and error.args else error
            raise SerializationException(f'{short(row)} is no stored activity: {reason}') from error
        stored_id = get('activity_id')
        if stored_id is not None and isinstance(activity, Activity):
            activity.stored_under(stored_id)
        return activity

    @lazy_property
    def _verbs(self) -> Any:
        # A setting names the storage: it is looked up once, not for each activity.
        return get_verb_storage()

    @lazy_property
    def _has_more_columns(self) -> bool:
        return not _OWN_COLUMNS.issuperset(self.model._columns)

    def _more_columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        takes, takes_any = _keywords(self.activity_class)
        return {name: value for name, value in row.items() if name not in _OWN_COLUMNS and (takes_any or name in takes)}


def dump_context(context: object) -> bytes | None:
    """Serialize a context; ``None`` for an empty one.

    :raises SerializationException: if JSON can't hold a value
    """
    if not context:
        return None
    if not isinstance(context, dict):
        raise SerializationException(
            f'extra_context is {short(context)}, of type {type(context).__name__}: only a dict can be stored'
        )
    return codec.dumps(context, name='extra_context').encode('ascii')


def load_context(data: bytes | None, classes: tuple[type[Any], ...] = ()) -> dict[Any, Any]:
    """Read a context that this library or 1.4.0 stored.

    :param classes: the activity classes that a pickle of 1.4.0 may hold
    :raises SerializationException: for anything else
    """
    if not data:
        return {}
    # No pickle starts with a brace.
    context = codec.loads(data) if data[:1] == b'{' else pickles.loads(data, classes)
    if not isinstance(context, dict):
        raise SerializationException(f'the context is {short(context)}, not a dict')
    return context


def _load_ids(text: str) -> dict[str, Any]:
    others = codec.loads(text)
    if not isinstance(others, dict) or not set(_PARTS).issuperset(others):
        raise SerializationException(f'{short(text)} are no ids')
    check_ids(*others.values())
    return others


@functools.lru_cache(maxsize=256)
def _keywords(activity_class: Any) -> tuple[frozenset[str], bool]:
    """Return the keywords that a class takes, and whether it takes any."""
    parameters = inspect.signature(activity_class).parameters.values()
    return (
        frozenset(parameter.name for parameter in parameters),
        any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters),
    )
