"""The activity storage of feeds on Cassandra: their timelines hold whole activities, so there is nothing to store."""

from __future__ import annotations

from typing import Any

from stream_framework.storage.base import BaseActivityStorage
from stream_framework.storage.cassandra import models
from stream_framework.storage.cassandra.tables import get_model


class CassandraActivityStorage(BaseActivityStorage):
    """Stores no activities.

    :param modelClass: the model that is handed to a serializer which makes rows; an option
    :param column_family_name: the table that goes with it; an option
    """

    def serializer_options(self) -> dict[str, Any]:
        """The keywords that the serializer class is called with."""
        options = super().serializer_options()
        base = self.options.get('modelClass') or models.Activity
        options['model'] = get_model(base, self.options.get('column_family_name') or 'example')
        return options

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        """Nothing."""
        return 0

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        """Nothing."""
        return {}

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        """Nothing."""
        return 0

    def flush(self) -> None:
        """Nothing."""
