"""The tables, as models of cqlengine: derive from them to add columns of your own.

``cassandra.cqlengine.management.sync_table(feed.get_timeline_storage().model)`` creates a feed's table, and so does
``python -m stream_framework.storage.cassandra sync``. Tables that 1.4.0 created have fewer columns, and ``int`` and
``ascii`` where these have ``bigint`` and ``text``; they are used as they are, see
:mod:`stream_framework.storage.cassandra.tables`.

Importing this needs cassandra-driver, but no server.
"""

from __future__ import annotations

from stream_framework.storage.cassandra import connection as connection  # registers it with cqlengine
from stream_framework.storage.cassandra.driver import columns
from stream_framework.storage.cassandra.mapper import FeedModel


class BaseActivity(FeedModel):
    """The columns of the primary key: a feed is a partition, an entry is a row in it, newest first."""

    __abstract__ = True

    feed_id = columns.Text(primary_key=True, partition_key=True)
    activity_id = columns.VarInt(primary_key=True, clustering_order='desc')


class Activity(BaseActivity):
    """A row is an activity. Ids that are no int of 64 bits are in ``ids``, as JSON."""

    actor = columns.BigInt(required=False)
    extra_context = columns.Bytes(required=False)
    object = columns.BigInt(required=False)
    target = columns.BigInt(required=False)
    time = columns.DateTime(required=False)
    verb = columns.Integer(required=False)
    ids = columns.Text(required=False)


class AggregatedActivity(BaseActivity):
    """A row is a group, with its activities as JSON. ``version`` changes with every guarded change of the feed."""

    activities = columns.Bytes(required=False)
    created_at = columns.DateTime(required=False)
    group = columns.Text(required=False)
    updated_at = columns.DateTime(required=False)
    minimized_activities = columns.Integer(required=False)
    seen_at = columns.DateTime(required=False)
    read_at = columns.DateTime(required=False)
    version = columns.Integer(required=False, static=True)


class NotificationActivity(AggregatedActivity):
    """The same, with the ids of the groups that are unseen, and unread, beside them in the feed's own partition."""

    unseen = columns.Set(columns.Text, required=False, static=True)
    unread = columns.Set(columns.Text, required=False, static=True)
