"""Groups of whole activities as rows of a Cassandra table."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.compat import pickles
from stream_framework.exceptions import SerializationException
from stream_framework.restoring import restored
from stream_framework.serializers import codec
from stream_framework.serializers.base import BaseAggregatedSerializer
from stream_framework.serializers.utils import check_ids, short
from stream_framework.utils.lazy import lazy_property
from stream_framework.verbs import get_verb_by_id, get_verb_storage

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_timedelta = datetime.timedelta
#: How many of a group's last changes it keeps the versions of.
SIGNATURES = 8
# A text of numbers after the list of the last activity.
_SIGNATURES = re.compile(rb'(?<=\]),"([0-9 ]{1,100})"\]\Z')
#: Columns that tables of 1.4.0 lack.
_OPTIONAL = ('minimized_activities', 'seen_at', 'read_at')


class CassandraAggregatedActivitySerializer(BaseAggregatedSerializer):
    """A group is a row; its activities are one JSON text in ``activities``.

    Each activity is ``[id, actor, verb, object, target, microseconds since 1970, context]``. After the last one there
    may be a text: the versions (see :mod:`stream_framework.storage.cassandra.guard`) of the group's last changes. In
    rows of 1.4.0 the column holds a pickle of the activities, read by the restricted unpickler.

    :param model: the model of cqlengine whose instances are made
    """

    def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model

    def dumps(self, aggregated: Any) -> Any:
        """Make an instance of the model of a group, without ``feed_id``.

        :raises ValueError: for a wrong type
        :raises SerializationException: for a dehydrated group, or an id, a time or a context that can't be stored
        """
        return self.model(**self.dump_columns(aggregated))

    def dump_columns(self, aggregated: AggregatedActivity) -> dict[str, Any]:
        """Return the values of the columns that the model has."""
        self.check_type(aggregated)
        if aggregated.dehydrated:
            raise SerializationException(
                f'group {short(aggregated.group)} is dehydrated, but {type(self).__name__} stores whole activities: '
                'hydrate it first'
            )
        columns = {
            'activity_id': int(aggregated.serialization_id),
            'activities': dump_activities(aggregated.activities),
            'group': str(aggregated.group),
            'created_at': aggregated.created_at,
            'updated_at': aggregated.updated_at,
        }
        columns.update((name, getattr(aggregated, name)) for name in _OPTIONAL if name in self.model._columns)
        return columns

    def loads(self, serialized_aggregated: Any) -> Any:
        """Make the group of a row, with the id that it is stored under.

        :param serialized_aggregated: a dict of columns, or an instance of the model
        :raises SerializationException: for what can't be read
        """
        row = serialized_aggregated if isinstance(serialized_aggregated, dict) else dict(serialized_aggregated)
        try:
            if row.get('group') is None or row.get('updated_at') is None:
                raise ValueError('it has no name, or no updated_at')
            aggregated = self.aggregated_activity_class(
                row['group'],
                activities=self._load_activities(row.get('activities')),
                created_at=row.get('created_at'),
                updated_at=row['updated_at'],
            )
            aggregated.seen_at, aggregated.read_at = row.get('seen_at'), row.get('read_at')
            aggregated.minimized_activities = row.get('minimized_activities') or 0
            if row.get('activity_id') is not None:
                aggregated.stored_under(row['activity_id'])
        except (ValueError, TypeError, KeyError, OverflowError, SerializationException) as error:
            reason = error.args[0] if isinstance(error, KeyError) and error.args else error
            raise SerializationException(f'{short(row.get("group"))} is no stored group: {reason}') from error
        return aggregated

    def peek_group(self, data: object) -> str | None:
        """Return the name of a stored group."""
        return data.get('group') if isinstance(data, dict) else getattr(data, 'group', None)

    @lazy_property
    def _verbs(self) -> Any:
        # A setting names the storage: it is looked up once, not for each activity.
        return get_verb_storage()

    def _load_activities(self, data: Any) -> list[Any]:
        if not data:
            return []
        # No pickle starts with a bracket.
        if data[:1] == b'[':
            return [self._load_activity(*parts) for parts in codec.loads(_SIGNATURES.sub(b']', data))]
        activities = pickles.loads(data, [self.activity_class])
        if not isinstance(activities, list) or not all(isinstance(item, Activity) for item in activities):
            raise SerializationException(f'{short(activities)} is no list of activities')
        return activities

    def _load_activity(
        self, stored_id: Any, actor: Any, verb_id: Any, object_id: Any, target: Any, time: Any, context: Any
    ) -> Any:
        if type(stored_id) is not int or type(time) is not int or not isinstance(context, dict):
            raise ValueError(f'{short([stored_id, time, context])} are no id, time and context of an activity')
        check_ids(object_id, *(part for part in (actor, target) if part is not None))
        verb = self._verbs.get(verb_id) or get_verb_by_id(verb_id)
        moment = _EPOCH + _timedelta(microseconds=time)
        activity = restored(self.activity_class, actor, verb, object_id, target, moment, context)
        activity.stored_under(stored_id)
        return activity


def dump_activities(activities: Iterable[Activity]) -> bytes:
    """Serialize activities as one JSON text.

    :raises SerializationException: for an id, a time or a context that can't be stored
    """
    return f'[{",".join(map(_dump_activity, activities))}]'.encode('ascii')


def sign_activities(data: Any, versions: list[int]) -> Any:
    """Append the versions of the group's last changes to a text of :func:`dump_activities`.

    An empty list, or a pickle, stays as it is.
    """
    data = _SIGNATURES.sub(b']', data) if isinstance(data, bytes) else data
    if not isinstance(data, bytes) or not data.startswith(b'[[') or not data.endswith(b']]'):
        return data
    return data[:-1] + f',"{" ".join(map(str, versions[-SIGNATURES:]))}"]'.encode('ascii')


def read_signatures(data: object) -> list[int]:
    """Return the versions of the last changes of a stored group."""
    found = _SIGNATURES.search(data) if isinstance(data, bytes) else None
    return [int(text) for text in found[1].split()] if found else []


def _dump_activity(activity: Activity) -> str:
    context = activity.extra_context
    if context is None or context == {}:
        context_text = '{}'
    elif isinstance(context, dict):
        context_text = codec.dumps(context, name='extra_context')
    else:
        raise SerializationException(
            f'extra_context is {short(context)}, of type {type(context).__name__}: only a dict can be stored'
        )
    parts = [activity.actor_id, activity.verb.id, activity.object_id, activity.target_id]
    texts = [str(part) if type(part) is int else codec.dumps(part, name='an id') for part in parts]
    microseconds = (activity.time - _EPOCH) // _MICROSECOND
    return f'[{ids.normalize_id(activity.serialization_id)},{",".join(texts)},{microseconds},{context_text}]'
