"""The part of a manager that fans out: who gets what a user does, and the tasks that write their feeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any, ClassVar

from stream_framework import messages, tasks
from stream_framework.activity import Activity
from stream_framework.exceptions import NotDefinedError
from stream_framework.feed_managers import applying, notifying, publishing
from stream_framework.feed_managers.audience import (
    SOURCE,
    VISIBLE_SINCE,
    Audience,
    is_recent,
    leave_out_at_once,
    with_source,
)
from stream_framework.feed_managers.follows import Follows
from stream_framework.feed_managers.intents import ADDED, intents_of
from stream_framework.utils import MetricsOfSettings, chunks


class FanoutPriority:
    """How urgent a fan-out is: which of the manager's tasks, and so which queue, it goes through."""

    HIGH = 'HIGH'
    LOW = 'LOW'


class FanOuts(Follows):
    """Publishes the tasks of fan-outs, and does their work."""

    #: How many followers' feeds one task writes.
    fanout_chunk_size: int = 100
    #: Priority -> the task of its fan-outs.
    priority_fanout_task: Mapping[Any, Any] = {
        FanoutPriority.HIGH: tasks.fanout_operation_hi_priority,
        FanoutPriority.LOW: tasks.fanout_operation_low_priority,
    }
    #: Whether each task's message is written into a ledger before it is published, so that what the broker loses is
    #: published again: see :mod:`stream_framework.ledger`.
    keep_ledger: bool = False
    #: Whether a worker finds the followers and publishes the tasks, by ``stream_framework.tasks.publish_fanout``, so
    #: that adding and removing take the same few milliseconds whatever the audience.
    publish_in_worker: bool = False

    #: What counts and times the manager's work: see :mod:`stream_framework.metrics.base`.
    metrics: Any = MetricsOfSettings()

    # Intent -> the operation that carries it out; an operation of an application has no intent.
    operations: ClassVar[Mapping[str, Callable[..., None]]]

    def get_user_follower_ids(self, user_id: Any) -> Mapping[Any, Iterable[Any]]:
        """Return who gets what a user does: priority -> ids. The application defines it.

        Those who follow him, with a ``follow_storage_class``; they are read in pages.

        :param user_id: always given as a keyword
        :returns: for each :class:`FanoutPriority` (or ``None``) any iterable of ids; an iterator is consumed once, in
            chunks

        >>> manager.get_user_follower_ids(user_id=13)
        {'HIGH': [1, 2, 3]}
        """
        if (storage := self.get_follow_storage()) is not None:
            return {FanoutPriority.HIGH: storage.iter_followers(user_id)}
        name = type(self).__name__
        raise NotDefinedError(
            f'{name} must define get_user_follower_ids(self, user_id), or set {name}.follow_storage_class'
        )

    def get_notified_ids(self, activity: Activity) -> Iterable[Any]:
        """Return whom an activity notifies; the application defines it where it has a ``notification_feed_class``.

        It is asked before something is stored, when activities are added, removed, updated and imported. The actor
        himself is left out.

        :returns: ids: of the owner of what was loved, of those who are mentioned

        >>> class Owners(type(manager)):
        ...     def get_notified_ids(self, activity):
        ...         return [activity.extra_context['owner']]
        >>> Owners().get_notified_ids(Activity(13, Love, 42, extra_context={'owner': 7}))
        [7]
        """
        raise NotDefinedError(
            f'{type(self).__name__} has a notification_feed_class, so it must define get_notified_ids(self, activity)'
        )

    def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
        """Return the task that fans out with this priority; falsy for none, then nothing is fanned out.

        :param priority: a :class:`FanoutPriority`, or ``None``
        :param feed_class: which feeds are to be written; for applications that override this

        >>> manager.get_fanout_task(FanoutPriority.LOW).name
        'stream_framework.tasks.fanout_operation_low_priority'
        """
        return self.priority_fanout_task.get(priority, tasks.fanout_operation)

    def create_fanout_tasks(
        self,
        follower_ids: Iterable[Any],
        feed_class: Any,
        operation: Callable[..., Any],
        operation_kwargs: Any = None,
        fanout_priority: Any = None,
    ) -> list[Any]:
        """Publish one task for each ``fanout_chunk_size`` followers.

        :param follower_ids: any iterable; an iterator is read as far as needed
        :param feed_class: the class of the feeds that are written
        :param operation: :func:`add_operation`, :func:`remove_operation`, or a function of yours, at the top of a
            module; called with each feed and ``operation_kwargs``
        :param operation_kwargs: what it is called with besides: activities, and what JSON can hold
        :param fanout_priority: which of ``priority_fanout_task``
        :returns: what publishing each of them returned
        :raises MessageError: for what can't travel in a task message, with the remedy

        >>> feed_class, activity = manager.feed_classes['normal'], Activity(13, Love, 42)
        >>> feed_class.insert_activity(activity)
        >>> results = manager.create_fanout_tasks([4, 5], feed_class, add_operation, {'activities': [activity]})
        >>> len(results), feed_class(5)[:5]
        (1, [Activity(loved) 13 42])
        """
        task = publishing.task_for(self, fanout_priority, feed_class)
        if not task:
            return []
        operation_kwargs = messages.prepare(operation_kwargs)
        of_chunks = (
            {
                'feed_manager': self,
                'feed_class': feed_class,
                'user_ids': list(user_ids),
                'operation': operation,
                'operation_kwargs': operation_kwargs,
            }
            for user_ids in chunks(follower_ids, self.fanout_chunk_size)
        )
        return publishing.publish(self, task, feed_class, of_chunks)

    def publish_fanout(self, user_id: Any, operation: Callable[..., Any], operation_kwargs: Any) -> int:
        """Find a user's followers and publish the tasks for all their feeds; what ``publish_fanout``, the task, does.

        :param user_id: whose followers
        :param operation: as of :meth:`create_fanout_tasks`, and so is ``operation_kwargs``
        :returns: how many tasks were published, as far as :meth:`create_fanout_tasks` tells

        >>> manager.publish_fanout(13, remove_operation, {'activities': [Activity(13, Love, 42)]})
        1
        """
        return self._publication_here(user_id, operation, operation_kwargs).publish()

    def fanout(
        self, user_ids: Iterable[Any], feed_class: Any, operation: Callable[..., Any], operation_kwargs: Any
    ) -> None:
        """Apply an operation to the feeds of some users, as one batch; what a fan-out task does.

        :param operation: called with each feed and ``operation_kwargs``, which has ``batch_interface`` besides

        >>> def trim(feed, length, batch_interface):
        ...     feed.trim(length)
        >>> manager.fanout([1, 2], manager.feed_classes['normal'], trim, {'length': 10})
        """
        kwargs = dict(operation_kwargs or {})
        source, visible_since = kwargs.pop(SOURCE, None), kwargs.pop(VISIBLE_SINCE, None)
        activities = kwargs.get('activities')
        user_ids = list(user_ids)
        metrics = self.metrics
        with metrics.fanout_timer(feed_class):
            intent = next((intent for intent, stock in self.operations.items() if stock is operation), None)
            intents = intents_of(self) if intent is not None and activities else None
            audience = None
            if activities and self.may_hide():
                is_visible = is_recent(visible_since, self.operation_ttl)
                audience = Audience(self, user_ids, activities, source, is_visible)
            if intents is not None and intent is not None:
                applying.apply_in_order(self, intents, intent, self.operations, feed_class, user_ids, kwargs, audience)
            elif audience is not None and intent == ADDED:
                applying.apply_to_audience(self.operations, feed_class, audience, kwargs)
            else:
                applying.apply(operation, feed_class, user_ids, kwargs, stock=intent)
        count = len(activities) if isinstance(activities, Sized) else 1
        metrics.on_fanout(feed_class, operation, count * len(user_ids))

    def _publication(
        self, user_id: Any, operation: Callable[..., Any], kwargs: Mapping[str, Any]
    ) -> notifying.Publishes:
        """Return a fan-out to a user's followers, and to those whom it notifies, which can be published."""
        followers = self._followers_publication(user_id, operation, kwargs)
        if self.notification_feed_class is None:
            return followers
        return notifying.Together(followers, notifying.Notices(self, FanoutPriority.HIGH, operation, kwargs))

    def _followers_publication(
        self, user_id: Any, operation: Callable[..., Any], kwargs: Mapping[str, Any]
    ) -> publishing.Publication | publishing.PublicationInWorker:
        # The application's own may have others than those who follow.
        own_followers = getattr(self.get_user_follower_ids, '__func__', None) is not FanOuts.get_user_follower_ids
        if self.follow_storage_class is not None and not own_followers:
            kwargs = with_source(kwargs, user_id)
        if self.publish_in_worker:
            return publishing.PublicationInWorker(self, user_id, operation, kwargs, self._has_stock_tasks())
        return self._publication_here(user_id, operation, kwargs)

    def _publication_here(
        self, user_id: Any, operation: Callable[..., Any], kwargs: Mapping[str, Any]
    ) -> publishing.Publication:
        """Return a fan-out to a user's followers, without those from whom it is hidden where one question tells."""
        visible = None
        has_stock_tasks = self._has_stock_tasks()
        if operation is self.operations[ADDED] and has_stock_tasks and intents_of(self) is not None:
            kwargs, visible = leave_out_at_once(self, kwargs)
        return publishing.Publication(self, user_id, operation, kwargs, has_stock_tasks, visible)

    def _has_stock_tasks(self) -> bool:
        """Return whether fan-outs are published by the library's own :meth:`create_fanout_tasks`."""
        return getattr(self.create_fanout_tasks, '__func__', None) is FanOuts.create_fanout_tasks
