"""Groups of activities as one line of text, for aggregated and for notification feeds."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from typing import Any

from stream_framework import ids
from stream_framework.exceptions import InvalidIdError, SerializationException
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseAggregatedSerializer
from stream_framework.serializers.utils import are_digits, check_reserved, format_time, parse_time, short, to_text

_NEVER = '-1'


class AggregatedActivitySerializer(BaseAggregatedSerializer):
    """The format of 1.4.0: ``v3`` and ``group;;created;;updated;;seen;;read;;activities;;minimized``.

    Dates are seconds since 1970 with 6 decimals, or ``-1`` for none (a date of that very second is ``-1.000000``).
    Activities are joined by ``;``: their ids where :attr:`dehydrate` is set, else as :attr:`activity_serializer_class`
    writes them.

    >>> from stream_framework.activity import Activity, AggregatedActivity
    >>> from stream_framework.verbs import Love
    >>> serializer = AggregatedActivitySerializer(AggregatedActivity)
    >>> group = AggregatedActivity('3-2013-07-08')
    >>> group.append(Activity(13, Love, 42, time=datetime.datetime(2013, 7, 8, 6, 59, 15)))
    >>> serializer.dumps(group)
    'v33-2013-07-08;;1373266755.000000;;1373266755.000000;;-1;;-1;;13732667550000000000042003;;0'
    >>> serializer.loads(serializer.dumps(group)).dehydrated
    True
    """

    #: What stored groups start with; data that starts with anything else isn't read.
    identifier = 'v3'
    #: Only ids are stored, the activities are in the activity storage.
    dehydrate = True
    #: Writes and reads the activities where they are stored whole; what it writes may not hold a ``;``.
    activity_serializer_class: Any = ActivitySerializer
    #: What a group's name may not hold.
    reserved_characters: tuple[str, ...] = (';',)

    _activity_serializer: Any = None

    @property
    def activity_serializer(self) -> Any:
        """The serializer of the activities, made on first use."""
        if self._activity_serializer is None:
            self._activity_serializer = self.activity_serializer_class(self.activity_class)
        return self._activity_serializer

    def dumps(self, aggregated: Any) -> str:
        """Write a group as text; the group is left as it is.

        :raises ValueError: for a wrong type
        :raises SerializationException: for a group that the format can't hold: reserved characters in its name, or a
            dehydrated one where whole activities are stored
        """
        self.check_type(aggregated)
        group = str(aggregated.group)
        if not group.isascii():
            to_text(group)
        check_reserved(group, self.reserved_characters)
        try:
            dates = [
                _NEVER if date is None else format_time(date)
                for date in (aggregated.created_at, aggregated.updated_at, aggregated.seen_at, aggregated.read_at)
            ]
            activities = self._dump_ids(aggregated) if self.dehydrate else self._dump_activities(aggregated)
            minimized = int(aggregated.minimized_activities)
        except (TypeError, ValueError, AttributeError) as error:
            raise SerializationException(f'group {short(group)} can not be stored: {error}') from error
        return f'{self.identifier}{group};;{";;".join(dates)};;{activities};;{minimized}'

    def loads(self, serialized_aggregated: Any) -> Any:
        """Read a group, dehydrated where :attr:`dehydrate` is set.

        :param serialized_aggregated: text, or UTF-8
        :raises SerializationException: for what isn't in the format, an unknown identifier among it
        """
        data = serialized_aggregated
        if type(data) is not str or not data.isascii():
            data = to_text(data)
        identifier = self.identifier
        if not data.startswith(identifier):
            raise SerializationException(f'{short(data)} is no stored group: it does not start with {identifier!r}')
        try:
            named, created_at, updated_at, seen_at, read_at, activities, minimized = data.rsplit(';;', 6)
            group = named[len(identifier) :]
            if ';;' in group:
                raise ValueError('it has too many parts')
            aggregated = self.aggregated_activity_class(group)
            if created_at != _NEVER:
                aggregated.created_at = parse_time(created_at)
            if updated_at != _NEVER:
                aggregated.updated_at = parse_time(updated_at)
            if seen_at != _NEVER:
                aggregated.seen_at = parse_time(seen_at)
            if read_at != _NEVER:
                aggregated.read_at = parse_time(read_at)
            if minimized != '0':
                aggregated.minimized_activities = _load_count(minimized)
            if self.dehydrate:
                aggregated._activity_ids = _load_ids(activities) if activities else []
                aggregated.dehydrated = True
            elif activities:
                loads = self.activity_serializer.loads
                aggregated.activities = [loads(activity) for activity in activities.split(';')]
        except (SerializationException, ValueError, OverflowError) as error:
            raise SerializationException(f'{short(data)} is no stored group: {error}') from error
        return aggregated

    def peek_group(self, data: Any) -> str | None:
        """Return the name of a stored group, without reading the rest; ``None`` for what isn't in the format."""
        text = data if type(data) is str else str(data, 'utf-8', 'surrogateescape')
        identifier = self.identifier
        end = text.find(';;')
        return text[len(identifier) : end] if end >= 0 and text.startswith(identifier) else None

    def select(self, entries: Iterable[tuple[Any, Any]], names: Collection[str]) -> list[tuple[Any, Any]]:
        """Select the entries ``(id, data)`` whose groups have one of these names, or a name that can't be read.

        A fan-out asks this of every group of every follower, so text is only compared, not taken apart.
        """
        if not self.reads_as_usual:
            return list(entries)
        identifier = self.identifier
        prefixes = tuple([f'{identifier}{name};;' for name in names])
        selected = []
        for entry in entries:
            data = entry[1]
            if type(data) is str and data.startswith(identifier) and ';;' in data:
                if data.startswith(prefixes):
                    selected.append(entry)
            elif (name := self.peek_group(data)) is None or name in names:
                selected.append(entry)
        return selected

    def peek(self, data: Any) -> tuple[str, datetime.datetime]:
        """Return the name and ``updated_at`` of a stored group, without reading the rest.

        :raises ValueError: for what isn't in the format, or has no ``updated_at``
        """
        text = data if type(data) is str else str(data, 'utf-8')
        parts = text.split(';;', 3)
        if len(parts) != 4 or not text.startswith(self.identifier) or parts[2] == _NEVER:
            raise ValueError(f'{short(text)} is no stored group')
        return parts[0][len(self.identifier) :], parse_time(parts[2])

    def _dump_ids(self, aggregated: Any) -> str:
        if aggregated.dehydrated:
            found = aggregated._activity_ids
        else:
            found = [activity.serialization_id for activity in aggregated.activities]
        # Every id is a plain int but for overridden recipes.
        return ';'.join([str(item if type(item) is int else ids.normalize_id(item)) for item in found])

    def _dump_activities(self, aggregated: Any) -> str:
        if aggregated.dehydrated:
            raise SerializationException(
                f'group {short(aggregated.group)} is dehydrated, but {type(self).__name__} stores whole activities: '
                'hydrate it first'
            )
        dumps = self.activity_serializer.dumps
        texts = [dumps(activity) for activity in aggregated.activities]
        joined = ';'.join(texts)
        if joined.count(';') != max(0, len(texts) - 1):
            for text in texts:
                check_reserved(text, (';',))
        return joined


class NotificationSerializer(AggregatedActivitySerializer):
    """The same with whole activities: notification feeds have no activity storage."""

    #: Whole activities are stored.
    dehydrate = False


def _load_count(text: str) -> int:
    if not are_digits(text):
        raise ValueError(f'{short(text)} is no number of activities')
    return int(text)


def _load_ids(text: str) -> list[int]:
    found = text.split(';')
    if are_digits(''.join(found)):
        return list(map(int, found))
    try:
        return [ids.normalize_id(item) for item in found]
    except InvalidIdError as error:
        raise ValueError(str(error)) from error
