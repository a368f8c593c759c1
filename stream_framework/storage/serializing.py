"""How storages turn activities and groups into what they store, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity, BaseActivity
from stream_framework.exceptions import SerializationException
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseSerializer
from stream_framework.serializers.dummy import DummySerializer
from stream_framework.typing import ActivityId
from stream_framework.utils import MetricsOfSettings
from stream_framework.utils.shortcuts import shortcut


class BaseStorage:
    """What activity storages and timeline storages share.

    :param serializer_class: turns activities into what is stored; default ``default_serializer_class``
    :param activity_class: what is made of stored activities
    :param options: anything else that the backend understands, kept in ``options``; ``aggregated_activity_class``
        says what is made of stored groups
    """

    #: Used where the feed names no serializer.
    default_serializer_class: type[BaseSerializer] = DummySerializer
    activity_class: type[Activity] = Activity
    aggregated_activity_class: type[AggregatedActivity] = AggregatedActivity
    _serializer: Any = None

    def __init__(
        self, serializer_class: Any = None, activity_class: type[Activity] | None = None, **options: Any
    ) -> None:
        self.serializer_class = serializer_class or self.default_serializer_class
        if activity_class is not None:
            self.activity_class = activity_class
        if options.get('aggregated_activity_class') is not None:
            self.aggregated_activity_class = options['aggregated_activity_class']
        self.options = options

    #: What counts and times reads and writes: see :mod:`stream_framework.metrics.base`.
    metrics: Any = MetricsOfSettings()

    @property
    def serializer(self) -> Any:
        """The serializer, made on first use."""
        if self._serializer is None:
            self._serializer = self.serializer_class(**self.serializer_options())
        return self._serializer

    def serializer_options(self) -> dict[str, Any]:
        """Return the keywords that the serializer class is called with."""
        return {
            'activity_class': self.activity_class,
            'aggregated_activity_class': self.aggregated_activity_class,
        }

    def flush(self) -> None:
        """Delete everything that the storage holds; does nothing where a subclass defines none."""

    def activity_to_id(self, activity: object) -> Any:
        """Return the id of an activity or a group; an id is returned as an int.

        :param activity: one of these, or anything else with a ``serialization_id``
        :returns: an int for an activity and for any id; the ``serialization_id`` (str) for a group
        :raises InvalidIdError: for anything else
        """
        if isinstance(activity, AggregatedActivity):
            return activity.serialization_id
        if isinstance(activity, BaseActivity):
            return ids.normalize_id(activity.serialization_id)  # type: ignore[attr-defined]
        return ids.normalize_id(getattr(activity, 'serialization_id', activity))

    def activities_to_ids(self, activities: Iterable[object]) -> list[Any]:
        """Return :meth:`activity_to_id` of each."""
        to_id = self.activity_to_id
        return [activity if type(activity) is int else to_id(activity) for activity in activities]

    def serialize_activity(self, activity: BaseActivity) -> Any:
        """Return what the serializer makes of one activity or group."""
        return self.serializer.dumps(activity)

    def serialize_activities(self, activities: Iterable[BaseActivity]) -> dict[Any, Any]:
        """Return id -> what the serializer makes, in the order given."""
        dumps, to_id = self.serialize_activity, self.activity_to_id
        return {to_id(activity): dumps(activity) for activity in activities}

    def deserialize_activities(self, data: Mapping[Any, Any] | Iterable[Any]) -> list[Any]:
        """Return the activities or groups that stored data stands for.

        :param data: a list of what the serializer made, or a dict id -> that
        """
        return self.load_many(None, data.items() if isinstance(data, Mapping) else ((None, item) for item in data))

    def load_by_hooks(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Deserialize pairs through :meth:`deserialize_activities`, which knows no ids."""
        return list(self.deserialize_activities([data for _, data in pairs]))

    @shortcut('deserialize_activities', plain='load_by_hooks')
    def load_all(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Deserialize pairs ``(id, data)``, through :meth:`deserialize_activities` where a subclass overrides it."""
        return self.load_many(key, pairs)

    def load(self, key: str | None, activity_id: ActivityId | None, data: object) -> Any:
        """Return the activity or group of one stored value; see :meth:`load_many`."""
        return self.load_many(key, [(activity_id, data)])[0]

    def load_many(self, key: str | None, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Return the activities or groups of stored values, with the ids that they are stored under.

        :param key: the feed's key, for the message if one can't be read
        :param pairs: ``(id, data)``; the id is ``None`` if it isn't known
        :raises SerializationException: naming key and id
        """
        if isinstance(self.serializer, ActivitySerializer) and self.serializer.reads_as_usual:
            pairs = list(pairs)
            try:
                return self.serializer.load_many(pairs)
            except SerializationException:
                # Which one can't be read will be seen below.
                pass
        loads = self.serializer.loads
        loaded: list[Any] = []
        activity_id = None
        try:
            for activity_id, data in pairs:
                activity = loads(data)
                if activity_id is None:
                    pass
                elif isinstance(activity, Activity):
                    activity.stored_under(activity_id if type(activity_id) is int else ids.normalize_id(activity_id))
                elif (
                    isinstance(activity, AggregatedActivity)
                    and activity.updated_at is not None
                    and activity.serialization_id != str(activity_id)
                ):
                    activity.stored_under(ids.normalize_id(activity_id))
                loaded.append(activity)
        except SerializationException as error:
            where = self.place_of(activity_id) if key is None else f'feed {key!r}'
            raise SerializationException(f'{where}, id {activity_id}: {error}') from error
        return loaded

    def place_of(self, activity_id: ActivityId | None) -> str:
        """Say where an entry is that can not be read, for the message."""
        return type(self).__name__


__all__ = ['BaseStorage']
