"""The activity storage of feeds on Cassandra: their timelines hold whole activities, so there is nothing to store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_framework.storage.abilities import KeepsIntents, KeepsLedger
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.storage.cassandra import intents, ledger, models
from stream_framework.storage.cassandra.tables import get_model
from stream_framework.utils.shortcuts import unchanged


class CassandraActivityStorage(KeepsIntents, KeepsLedger, BaseActivityStorage):
    """Stores no activities; only intents (:mod:`stream_framework.storage.cassandra.intents`) and a ledger
    (:mod:`stream_framework.storage.cassandra.ledger`).

    :param modelClass: the model that is handed to a serializer which makes rows; an option
    :param column_family_name: the table that goes with it; an option
    """

    #: Whether a timeline storage may read intents in the wave of its writes.
    reads_intents_as_usual = unchanged('get_intents')

    def serializer_options(self) -> dict[str, Any]:
        """Return the keywords that the serializer class is called with."""
        options = super().serializer_options()
        base = self.options.get('modelClass') or models.Activity
        options['model'] = get_model(base, self.options.get('column_family_name') or 'example')
        return options

    def add_to_storage(self, serialized_activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        """Store nothing."""
        return 0

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, Any]:
        """Find nothing."""
        return {}

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> int:
        """Remove nothing."""
        return 0

    def set_intents(self, names: Sequence[str], value: str, ttl: float, existing: bool = False) -> None:
        """Set intents. Two waves; one where ``existing`` finds none."""
        intents.set_intents(names, value, ttl, existing)

    def get_intents(self, names: Sequence[str]) -> list[str | None]:
        """Return intents. One wave."""
        return intents.get_intents(names)

    def write_ledger(self, minute: int, entries: Mapping[str, str], ttl: float, existing: bool = False) -> None:
        """Write entries. One wave. A deleted entry stays deleted in any case, so ``existing`` changes nothing."""
        ledger.write(minute, entries, ttl)

    def delete_from_ledger(self, minute: int, entry_id: str) -> None:
        """Delete an entry. One statement."""
        ledger.delete(minute, entry_id)

    def find_in_ledger(self, minute: int, entry_id: str) -> str | None:
        """Return an entry's text. One statement."""
        return ledger.find(minute, entry_id)

    def read_ledger(self, minutes: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """Yield entries. One statement for every 25 minutes, whose entries are in memory together."""
        return ledger.read(minutes)

    def flush(self) -> None:
        """Do nothing: intents, and a ledger, expire by themselves."""
