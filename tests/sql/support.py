"""Feeds, managers, and what counts statements."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy

from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.aggregated_feed.sql import SqlAggregatedFeed
from stream_framework.feeds.base import UserBaseFeed
from stream_framework.feeds.notification_feed.sql import SqlNotificationFeed
from stream_framework.feeds.sql import SqlFeed
from stream_framework.storage.sql.connection import get_engine
from stream_framework.storage.sql.follow_storage import SqlFollowStorage

#: User id -> the ids of those who follow.
FOLLOWERS: dict[Any, list[Any]] = {}


class Flat(SqlFeed):
    key_format = 'flat:%(user_id)s'
    trim_chance = 0


class UserFeed(UserBaseFeed, SqlFeed):
    key_format = 'user:%(user_id)s'


class Grouped(SqlAggregatedFeed):
    key_format = 'grouped:%(user_id)s'
    trim_chance = 0


class Notifications(SqlNotificationFeed):
    key_format = 'notifications:%(user_id)s'
    markers_key_format = 'notifications:%(user_id)s'
    trim_chance = 0


class FlatManager(Manager):
    feed_classes = {'normal': Flat}
    user_feed_class = UserFeed

    def get_user_follower_ids(self, user_id: Any) -> Any:
        return {FanoutPriority.HIGH: FOLLOWERS.get(user_id, [])}


class AllManager(FlatManager):
    feed_classes = {'normal': Flat, 'grouped': Grouped, 'notifications': Notifications}


class KeptManager(Manager):
    feed_classes = {'normal': Flat}
    user_feed_class = UserFeed
    follow_storage_class = SqlFollowStorage


class KeepingManager(FlatManager):
    keep_ledger = True


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements that the driver is given, but for those that begin and end transactions."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith('BEGIN'):
            found.append(statement)

    engine = get_engine()
    sqlalchemy.event.listen(engine, 'before_cursor_execute', note)
    try:
        yield found
    finally:
        sqlalchemy.event.remove(engine, 'before_cursor_execute', note)
