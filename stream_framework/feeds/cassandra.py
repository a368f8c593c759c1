"""The flat feed on Cassandra."""

from __future__ import annotations

import threading
import warnings
import weakref
from typing import Any

from stream_framework import settings
from stream_framework.feeds.base import BaseFeed
from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
from stream_framework.storage.cassandra import models, schema
from stream_framework.storage.cassandra.activity_storage import CassandraActivityStorage
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage
from stream_framework.utils.forks import held_over_forks


class CassandraTableMixin:
    """For feeds whose timelines are in a table that the class names."""

    #: The model of the table: one of :mod:`stream_framework.storage.cassandra.models`, or derived from it.
    timeline_model: Any = models.Activity
    #: The name of the table. Feed classes may share one as long as their ``key_format`` differs.
    timeline_cf_name: str = 'example'

    @classmethod
    def _table_options(cls) -> dict[str, Any]:
        return {'modelClass': cls.timeline_model, 'column_family_name': cls.timeline_cf_name}

    @classmethod
    def get_timeline_storage_options(cls) -> dict[str, Any]:
        """The keywords that the timeline storage is made with."""
        _check_first_use(cls)
        options = super().get_timeline_storage_options()  # type: ignore[misc]
        options['hosts'] = settings.STREAM_CASSANDRA_HOSTS
        options.update(cls._table_options())
        return options

    @classmethod
    def get_activity_storage(cls) -> Any:
        """A new activity storage, ``None`` where the class has none."""
        storage: Any = super().get_activity_storage()  # type: ignore[misc]
        if isinstance(storage, CassandraActivityStorage):
            # For a serializer that makes rows.
            storage.options.update(cls._table_options())
        return storage


class CassandraFeed(CassandraTableMixin, BaseFeed):
    """A flat feed on Cassandra; its timeline holds whole activities."""

    activity_storage_class = CassandraActivityStorage
    timeline_storage_class = CassandraTimelineStorage
    timeline_serializer = CassandraActivitySerializer
    filtering_supported = True
    ordering_supported = True


# The classes that were used, by the table.
_used: dict[str, weakref.WeakSet[Any]] = {}
_used_lock = held_over_forks(threading.Lock())


def _check_first_use(feed_class: Any) -> None:
    """Say so if another class that is in use writes the same keys into the same table."""
    classes = _used.setdefault(feed_class.timeline_cf_name, weakref.WeakSet())
    if feed_class in classes:
        return
    with _used_lock:
        others = list(classes)
        classes.add(feed_class)
    for other in others:
        # The same name once more is the same class, defined again.
        if schema.share_keys(feed_class, other) and _name(feed_class) != _name(other):
            warnings.warn(schema.clash(other, feed_class), RuntimeWarning, stacklevel=3)


def _name(feed_class: Any) -> tuple[str, str]:
    return feed_class.__module__, feed_class.__qualname__
