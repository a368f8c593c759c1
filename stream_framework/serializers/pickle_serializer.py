"""Pickles, for those who choose them: whatever Python can pickle can be in a context.

.. warning:: Reading a pickle runs what it says. Use these only where nobody else can write to the storage.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

from stream_framework.exceptions import SerializationException
from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer
from stream_framework.serializers.utils import short


class PickleSerializer(BaseSerializer):
    """Stores activities as pickles (bytes)."""

    def dumps(self, activity: Any) -> bytes:
        """Write an activity as a pickle.

        :raises ValueError: for a wrong type
        :raises SerializationException: for what can't be pickled
        """
        self.check_type(activity)
        return _dumps(activity)

    def loads(self, serialized_activity: Any) -> Any:
        """Read an activity.

        :raises SerializationException: for what is no pickle of an activity
        """
        return _loads(serialized_activity, self.activity_class)


class AggregatedActivityPickleSerializer(BaseAggregatedSerializer):
    """Stores groups as pickles (bytes)."""

    #: Only ids are stored, the activities are in the activity storage.
    dehydrate = True

    def dumps(self, aggregated: Any) -> bytes:
        """Write a group as a pickle; the group is left as it is.

        :raises ValueError: for a wrong type
        :raises SerializationException: for what can't be pickled
        """
        self.check_type(aggregated)
        if self.dehydrate and not aggregated.dehydrated:
            aggregated = copy.copy(aggregated).get_dehydrated()
        return _dumps(aggregated)

    def loads(self, serialized_aggregated: Any) -> Any:
        """Read a group.

        :raises SerializationException: for what is no pickle of a group
        """
        return _loads(serialized_aggregated, self.aggregated_activity_class)


def _dumps(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise SerializationException(f'{short(value)} can not be pickled: {error}') from error


def _loads(data: Any, expected: Any) -> Any:
    try:
        value = pickle.loads(_to_bytes(data))
    except Exception as error:
        raise SerializationException(f'{short(data)} is no pickle that can be read: {error}') from error
    if not isinstance(value, expected):
        raise SerializationException(f'{short(data)} is the pickle of {short(value)}, not of {expected.__name__}')
    return value


def _to_bytes(data: Any) -> bytes:
    if not isinstance(data, str):
        return data
    # A client that decodes gives bytes that are no UTF-8 as surrogates; 1.4.0 kept bytes in text as latin-1.
    return data.encode('latin-1') if data[:1] == '\x80' else data.encode('utf-8', 'surrogateescape')
