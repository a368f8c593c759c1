"""The older notification feed, as applications of 1.4.0 may still use it; on Redis.

Seen and read are dates in the groups themselves, and the number of unseen groups is kept beside the feed and published
on a channel. Use :mod:`stream_framework.feeds.notification_feed` for anything new.
"""

from __future__ import annotations

import contextlib
import functools
import json
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from stream_framework.activity import AggregatedActivity
from stream_framework.exceptions import UpdateConflictError
from stream_framework.feeds.aggregated_feed import updates
from stream_framework.feeds.aggregated_feed.base import ADDED, REMOVED, AggregatedFeed, Groups
from stream_framework.feeds.redis import RedisServerMixin
from stream_framework.serializers.aggregated_activity_serializer import NotificationSerializer
from stream_framework.storage.base import BaseBatch
from stream_framework.storage.redis.config import redis
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage
from stream_framework.utils.tails import handed_on

warnings.warn(
    f'{__name__} is deprecated: use stream_framework.feeds.notification_feed, which counts unseen and unread groups '
    'without reading them',
    DeprecationWarning,
    stacklevel=2,
)

#: After how many seconds the lock of a holder that was killed is free again.
LOCK_TIMEOUT = 10
#: For how many seconds a writer waits for the lock before it gives up.
LOCK_PATIENCE = 60


class NotificationFeed(AggregatedFeed):
    """Groups with dates of when they were seen and read, and a count of those that are unseen."""

    max_length = 99
    key_format = 'notification_feed:1:user:%(user_id)s'
    #: Where the number of unseen groups is kept.
    count_format: str = 'notification_feed:1:user:%(user_id)s:count'
    #: The lock that adding and marking hold.
    lock_format: str = 'notification_feed:1:user:%s:lock'
    #: The channel that the count is published on.
    pubsub_main_channel: str = 'juggernaut'

    timeline_serializer: Any = NotificationSerializer
    activity_storage_class = None
    activity_serializer: Any = None
    #: The name in ``STREAM_REDIS_CONFIG`` of the server that counts and locks are on.
    redis_server: str = 'default'

    def __init__(self, user_id: Any) -> None:
        super().__init__(user_id)
        self.count_key = self.count_format % {'user_id': user_id}
        self.lock_key = self.lock_format % ({'user_id': user_id} if '%(' in self.lock_format else (user_id,))
        self.pubsub_key = user_id

    @property
    def redis(self) -> Any:
        """The client."""
        return get_redis_connection(self.redis_server)

    def add_many(  # type: ignore[override]
        self, activities: Any, trim: bool = True, current_activities: Groups | None = None, *args: Any, **kwargs: Any
    ) -> Groups:
        """Sort activities into groups, and count anew; holds the lock.

        In a batch this happens when the batch is sent, feed by feed.
        """
        batch_interface = kwargs.pop('batch_interface', None)
        if isinstance(batch_interface, BaseBatch):
            handed_on('add_many', ADDED, args, kwargs, (self, ('add_many', 'add')))
            activities = self._checked(activities)
            batch_interface.after(functools.partial(self.add_many, activities, trim, None, *args, **kwargs))
            return []
        with self._locked():
            groups = super().add_many(activities, trim, current_activities, *args, **kwargs)
            self.denormalize_count()
        return groups

    def remove_many(  # type: ignore[override]
        self, activities: Any, batch_interface: Any = None, trim: bool = True, *args: Any, **kwargs: Any
    ) -> Groups:
        """Take activities out of their groups, and count anew; holds the lock."""
        if isinstance(batch_interface, BaseBatch):
            handed_on('remove_many', REMOVED, args, kwargs, (self, ('remove_many', 'remove')))
            activities = list(activities)
            batch_interface.after(functools.partial(self.remove_many, activities, None, trim, *args, **kwargs))
            return []
        with self._locked():
            groups = super().remove_many(activities, None, trim, *args, **kwargs)
            self.denormalize_count()
        return groups

    # Each feed counts anew when it is written.
    add_to_many = AggregatedFeed.add_to_many_by_hooks
    remove_from_many = AggregatedFeed.remove_from_many_by_hooks

    def delete(self) -> Any:
        """Delete the feed and its count."""
        deleted = super().delete()
        with self._translated(self.count_key):
            self.redis.delete(self.count_key)
        return deleted

    def get_denormalized_count(self) -> int:
        """The number of unseen groups as it was last stored."""
        with self._translated(self.count_key):
            return int(self.redis.get(self.count_key) or 0)

    def set_denormalized_count(self, count: int) -> None:
        """Store the number of unseen groups, and publish it."""
        with self._translated(self.count_key):
            self.redis.set(self.count_key, count)
        self.publish_count(count)

    def publish_count(self, count: int) -> None:
        """Publish ``{"channel": user id, "data": "{\\"unread_count\\": n, \\"unseen_count\\": n}"}`` as JSON."""
        data = json.dumps({'unread_count': count, 'unseen_count': count})
        channel = self.pubsub_key if isinstance(self.pubsub_key, (int, str)) else str(self.pubsub_key)
        with self._translated(self.pubsub_main_channel):
            self.redis.publish(self.pubsub_main_channel, json.dumps({'channel': channel, 'data': data}))

    def denormalize_count(self) -> int:
        """Count the unseen groups, and store and publish the number if it has changed."""
        count = self.count_unseen()
        if count != self.get_denormalized_count():
            self.set_denormalized_count(count)
        return count

    def count_unseen(self, aggregated_activities: Iterable[AggregatedActivity] | None = None) -> int:
        """How many of these groups, by default the feed's, are unseen."""
        if aggregated_activities is None:
            aggregated_activities = self[: self.max_length]
        return sum(not group.is_seen() for group in aggregated_activities)

    def mark_all(self, seen: bool | None = True, read: bool | None = None) -> Groups:
        """Mark every group as seen, or read, or both; holds the lock.

        :returns: the feed's groups
        """

        def edit(group: AggregatedActivity) -> bool:
            changed = False
            if seen and not group.is_seen():
                group.update_seen_at()
                changed = True
            if read and not group.is_read():
                group.update_read_at()
                changed = True
            return changed

        with self._locked():
            updates.run([updates.Update(self, [updates.Step(edit=edit)], trim=False)])
            groups = self[: self.max_length]
            self.denormalize_count()
        return groups

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # The guard alone keeps groups right; the lock keeps the count right, which is written beside them.
        with self._translated(self.lock_key):
            lock = self.redis.lock(self.lock_key, timeout=LOCK_TIMEOUT, blocking_timeout=LOCK_PATIENCE, sleep=0.02)
            if not lock.acquire():
                raise UpdateConflictError(
                    f'the lock {self.lock_key!r} was not free for {LOCK_PATIENCE} s; run the same work again'
                )
        try:
            yield
        finally:
            with self._translated(self.lock_key):
                # Whoever took longer than the time-out no longer owns the lock, and has nothing to release.
                with contextlib.suppress(redis.exceptions.LockNotOwnedError):
                    lock.release()

    def _translated(self, key: str) -> Any:
        return translated(self.redis_server, key)


class RedisNotificationFeed(RedisServerMixin, NotificationFeed):
    """The older notification feed on Redis."""

    timeline_storage_class = RedisTimelineStorage
    filtering_supported = True
    ordering_supported = True
