"""Serializers that change nothing: the memory storages keep the objects themselves."""

from __future__ import annotations

from typing import Any

from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer


class DummySerializer(BaseSerializer):
    """Passes anything through, of any type, as in 1.4.0.

    >>> from stream_framework.activity import Activity
    >>> serializer = DummySerializer(Activity)
    >>> serializer.loads(serializer.dumps('anything'))
    'anything'
    """

    def check_type(self, data: Any) -> None:
        """Accept anything."""


class DummyAggregatedSerializer(BaseAggregatedSerializer):
    """Passes anything through, of any type, as in 1.4.0."""

    def check_type(self, data: Any) -> None:
        """Accept anything."""
