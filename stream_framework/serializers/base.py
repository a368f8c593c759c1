"""What every serializer has; the base classes themselves pass activities through as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.serializers.utils import short
from stream_framework.utils.shortcuts import unchanged


class BaseSerializer:
    """Turns activities into what is stored, and back.

    :param activity_class: the class to read, and the only one (with its subclasses) to write

    >>> serializer = BaseSerializer(Activity)
    >>> serializer.dumps('not an activity')
    Traceback (most recent call last):
        ...
    ValueError: BaseSerializer stores Activity, not 'not an activity'
    """

    activity_class: Any

    #: Whether no hook is overridden: what the serializer makes of an activity is the same each time, and may be shared.
    writes_as_usual = unchanged('dumps', 'dump_columns', 'check_type')
    reads_as_usual = unchanged('loads', 'peek_group', 'peek')
    #: Whether what is stored is the id and nothing else.
    holds_references: bool | unchanged = False

    def __init__(self, activity_class: Any = Activity, *args: Any, **kwargs: Any) -> None:
        self.activity_class = activity_class

    def check_type(self, data: Any) -> None:
        """Refuse what isn't an activity of the class.

        :raises ValueError: naming both
        """
        if not isinstance(data, self.activity_class):
            self._wrong_type(data, self.activity_class)

    def dumps(self, activity: Any) -> Any:
        """Return what to store of an activity.

        :raises ValueError: for a wrong type
        :raises SerializationException: for what the format can't hold
        """
        self.check_type(activity)
        return activity

    def loads(self, serialized_activity: Any) -> Any:
        """Return the activity that was stored.

        :raises SerializationException: for what can't be read
        """
        return serialized_activity

    def _wrong_type(self, data: Any, expected: Any) -> None:
        raise ValueError(f'{type(self).__name__} stores {expected.__name__}, not {short(data)}')


class BaseAggregatedSerializer(BaseSerializer):
    """Turns groups of activities into what is stored, and back.

    :param aggregated_activity_class: the class to read, and the only one (with its subclasses) to write
    :param activity_class: the class of the activities in it
    """

    #: Whether only the ids of a group's activities are stored; an activity storage keeps the activities then.
    dehydrate = False

    aggregated_activity_class: Any

    def __init__(self, aggregated_activity_class: Any = AggregatedActivity, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.aggregated_activity_class = aggregated_activity_class

    def check_type(self, data: Any) -> None:
        """Refuse what isn't a group of the class.

        :raises ValueError: naming both
        """
        if not isinstance(data, self.aggregated_activity_class):
            self._wrong_type(data, self.aggregated_activity_class)

    def peek_group(self, data: Any) -> str | None:
        """Return the name of a stored group without reading the rest; ``None`` if that can't be done."""
        return None

    def select(self, entries: Iterable[tuple[Any, Any]], names: Collection[str]) -> list[tuple[Any, Any]]:
        """Select the entries ``(id, data)`` whose groups have one of these names, or a name that can't be read."""
        if not self.reads_as_usual:
            return list(entries)
        return [entry for entry in entries if (name := self.peek_group(entry[1])) is None or name in names]
