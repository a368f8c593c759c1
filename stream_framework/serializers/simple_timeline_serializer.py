"""Timelines that hold only ids."""

from __future__ import annotations

from typing import Any

from stream_framework import ids
from stream_framework.activity import DehydratedActivity
from stream_framework.exceptions import InvalidIdError, SerializationException
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.utils import short
from stream_framework.utils.shortcuts import unchanged


class SimpleTimelineSerializer(BaseSerializer):
    """Stores an activity's id; an activity storage keeps the rest.

    >>> SimpleTimelineSerializer().loads('13732667550000000000500001').serialization_id
    13732667550000000000500001
    """

    holds_references = unchanged('dumps', 'loads')
    #: Whether an id is stored as it is.
    stores_ids = unchanged('dumps')

    def check_type(self, data: Any) -> None:
        """Accept references to activities as well."""
        if not isinstance(data, DehydratedActivity):
            super().check_type(data)

    def dumps(self, activity: Any) -> int:
        """Return the activity's id.

        :raises ValueError: for a wrong type
        """
        self.check_type(activity)
        return ids.normalize_id(activity.serialization_id)

    def loads(self, serialized_activity: Any) -> DehydratedActivity:
        """Return a reference to the activity.

        :raises SerializationException: for what is no id
        """
        try:
            return DehydratedActivity(ids.normalize_id(serialized_activity))
        except InvalidIdError as error:
            raise SerializationException(f'{short(serialized_activity)} is no id of an activity') from error
