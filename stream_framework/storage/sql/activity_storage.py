"""Activities in a SQL database, with the intents and the ledger that belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseSerializer
from stream_framework.storage.abilities import KeepsIntents, KeepsLedger, ListsActivities
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.sql import client, intents, ledger
from stream_framework.storage.sql.client import Work
from stream_framework.storage.sql.numbers import decode, encode
from stream_framework.storage.sql.texts import pack, unpack
from stream_framework.utils.shortcuts import shortcut, unchanged

#: How many activities one statement writes or reads.
ROWS_AT_A_TIME = 2000


class SqlActivityStorage(KeepsIntents, KeepsLedger, ListsActivities, BaseActivityStorage):
    """Activities in the table ``stream_activities``, which all feeds share; intents and the ledger beside it.

    >>> from stream_framework.storage.sql.activity_storage import SqlActivityStorage
    >>> SqlActivityStorage().serializer_class.__name__
    'ActivitySerializer'
    """

    default_serializer_class = ActivitySerializer

    #: Whether activities, and intents, are read by no hook of a subclass.
    reads_as_usual = unchanged('get', 'get_many', 'get_from_storage', 'deserialize_activities')
    reads_intents_as_usual = unchanged('get_intents')

    def __init__(self, serializer_class: Any = None, *args: Any, **options: Any) -> None:
        # All feeds share one table, so a storage that names no serializer has to write what the others read.
        super().__init__(None if serializer_class is BaseSerializer else serializer_class, *args, **options)

    def place_of(self, activity_id: Any) -> str:
        """The table, for messages."""
        return 'table stream_activities'

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        """Store; one step. Returns how many were given."""
        single = len(serialized_activities) == 1
        client.run(lambda work: put_activities(work, serialized_activities), 'activities', single)
        return len(serialized_activities)

    @shortcut('add', 'add_many', 'serialize_activities', 'serialize_activity', 'add_to_storage', 'set_intents')
    def add_and_turn(self, activities: Sequence[Any], names: Sequence[str], value: str, ttl: float) -> None:
        """One transaction."""
        serialized = self.serialize_activities(activities)
        self.metrics.on_feed_write(type(self), len(serialized))

        def work(work: Work) -> None:
            put_activities(work, serialized)
            intents.put(work, names, value, ttl, existing=True)

        client.run(work, 'activities')

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        """Return id -> data of those that are there; one statement for each :data:`ROWS_AT_A_TIME`."""
        found: dict[int, Any] = {}
        for some_ids in iter_parts(activity_ids, ROWS_AT_A_TIME):
            numbers = list(map(encode, some_ids))

            def work(work: Work, numbers: list[bytes] = numbers) -> list[Any]:
                values = work.dialect.rows(numbers)
                return [row for part in values for row in work.rows(work.dialect.get_activities, part)]

            single = len(set(map(len, numbers))) == 1
            for number, data in client.run(work, 'activities', single):
                found[decode(number)] = unpack(data)
        return found

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        """Remove; returns how many were there."""
        numbers = list(map(encode, activity_ids))

        def work(work: Work) -> int:
            return sum(work.count(work.dialect.remove_activities, part) for part in work.dialect.rows(numbers))

        return client.run(work, 'activities')

    def iter_stored(self) -> Iterator[Sequence[tuple[int, Any]]]:
        """Read the table in the order of ids; one statement for each :data:`ROWS_AT_A_TIME` activities."""
        after = b''
        while rows := client.rows('activities_after', 'activities', after=after, limit=ROWS_AT_A_TIME):
            after = bytes(rows[-1][0])
            yield [(decode(number), unpack(data)) for number, data in rows]

    def flush(self) -> None:
        """Delete every activity, every intent, and the ledger."""

        def work(work: Work) -> None:
            for statement in (
                work.dialect.empty_activities,
                work.dialect.empty_intents,
                work.dialect.empty_ledger,
            ):
                work.count(statement, {})

        client.run(work, 'activities')

    def set_intents(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """Set intents; now and then those that have expired are deleted on the way."""
        intents.set_intents(names, value, ttl, existing)

    def get_intents(self, names: Sequence[str]) -> list[str | None]:
        """Return the values of intents that have not expired. One statement."""
        return intents.get_intents(names)

    def write_ledger(self, minute: int, entries: Mapping[str, str], ttl: float, existing: bool = False) -> None:
        """Write entries in one statement; now and then those that have expired are deleted on the way."""
        ledger.write(minute, entries, ttl, existing)

    def delete_from_ledger(self, minute: int, entry_id: str) -> None:
        """Delete an entry. One statement."""
        ledger.delete(minute, entry_id)

    def find_in_ledger(self, minute: int, entry_id: str) -> str | None:
        """Look an entry up. One statement."""
        return ledger.find(minute, entry_id)

    def read_ledger(self, minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """Read entries, page by page."""
        return ledger.read(minutes)


def put_activities(work: Work, serialized: Mapping[int, Any]) -> None:
    """Store id -> data; what is there already is replaced."""
    for some in iter_parts(list(serialized.items()), ROWS_AT_A_TIME):
        numbers, datas = [encode(key) for key, _ in some], [pack(data) for _, data in some]
        for part in work.dialect.rows(numbers, datas):
            work.count(work.dialect.put_activities, part)
