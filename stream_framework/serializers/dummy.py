"""Serializers that change nothing: the memory storages keep the objects themselves."""

from __future__ import annotations

from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer


class DummySerializer(BaseSerializer):
    """Passes activities through.

    >>> from stream_framework.activity import Activity
    >>> DummySerializer(Activity).loads('anything')
    'anything'
    """


class DummyAggregatedSerializer(BaseAggregatedSerializer):
    """Passes groups through."""
