"""The manager: stores what a user did, and fans it out to the feeds of everybody who follows.

This module has what applications call and override. How it is done is in the other modules of the package:
:mod:`~stream_framework.feed_managers.publishing` publishes the tasks,
:mod:`~stream_framework.feed_managers.applying` is what they do with feeds,
:mod:`~stream_framework.feed_managers.following` copies what somebody did into the feeds of a new follower, and
:mod:`~stream_framework.feed_managers.intents` sees to it that what was published last wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

from stream_framework import messages, tasks
from stream_framework.activity import Activity
from stream_framework.exceptions import NotDefinedError
from stream_framework.feed_managers import applying, erasing, notifying, publishing
from stream_framework.feed_managers.audience import (
    SOURCE,
    VISIBLE_SINCE,
    Audience,
    is_recent,
    leave_out_at_once,
    with_source,
)
from stream_framework.feed_managers.follows import Follows
from stream_framework.feed_managers.intents import ADDED, REMOVED, UPDATED, intents_of
from stream_framework.feed_managers.updating import is_updating, set_fingerprint, updating
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.feeds.seen import count_new
from stream_framework.feeds.stored import still_stored, stored_already
from stream_framework.utils import MetricsOfSettings, chunks


class FanoutPriority:
    """How urgent a fan-out is: which of the manager's tasks, and so which queue, it goes through."""

    HIGH = 'HIGH'
    LOW = 'LOW'


def add_operation(feed: BaseFeed, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """Add activities to a feed: what a fan-out of new activities does with each.

    :param feed: a feed of a follower
    :param activities: a list of activities
    :param trim: whether the feed may be trimmed
    :param batch_interface: the batch of all feeds of the fan-out
    """
    feed.add_many(activities, batch_interface=batch_interface, trim=trim)


def remove_operation(feed: BaseFeed, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """Remove activities from a feed, in a fan-out; parameters as of :func:`add_operation`."""
    feed.remove_many(activities, batch_interface=batch_interface, trim=trim)


def update_operation(feed: BaseFeed, activities: Any, batch_interface: Any = None) -> None:
    """Replace activities that a feed holds, in a fan-out; parameters as of :func:`add_operation`."""
    feed.update_many(activities, batch_interface=batch_interface)


class Manager(Follows):
    """Stores activities and fans them out; applications say who follows whom.

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.feeds.memory import Feed
    >>> from stream_framework.verbs import Love
    >>> class UserFeed(Feed):
    ...     key_format = 'user:%(user_id)s'
    >>> class PinManager(Manager):
    ...     feed_classes = {'normal': Feed}
    ...     user_feed_class = UserFeed
    ...     def get_user_follower_ids(self, user_id):
    ...         return {FanoutPriority.HIGH: [1, 2, 3]}
    >>> manager = PinManager()
    >>> manager.get_user_feed(13).key
    'user:13'

    ``manager.add_user_activity(13, Activity(13, Love, 42))`` now reaches the feeds of 1, 2 and 3 through Celery, and
    ``manager.get_feeds(1)['normal'][:25]`` reads one.
    """

    #: Name -> class of the feeds that every user has.
    feed_classes: Mapping[str, type[BaseFeed]] = {'normal': RedisFeed}
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

    def add_user_activity(self, user_id: Any, activity: Activity) -> None:
        """Store what a user did: in the activity storage, in the user feed, and in the feeds of all followers.

        Returns when the tasks are published; writing the followers' feeds is theirs. Adding again what is there already
        changes nothing.

        :param user_id: whose user feed gets it, and whose followers: usually ``activity.actor_id``
        :param activity: an instance of the ``activity_class`` of the feeds
        :raises MessageError: for what can't travel in a task message
        :raises StorageError: for what the server refuses

        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> manager.get_feeds(1)['normal'][:5]
        [Activity(loved) 13 42]
        """
        if is_updating():
            self._update(user_id, activity)
            return
        publication = self._publication(user_id, add_operation, {'activities': [activity], 'trim': True})
        # By the methods for one activity, because applications override them.
        self._store(self.user_feed_class.insert_activity, activity, [activity])
        with stored_already():
            self.get_user_feed(user_id).add(activity)
        publication.publish()
        self.metrics.on_activity_published()

    def remove_user_activity(self, user_id: Any, activity: Activity) -> None:
        """Take back what a user did: from the user feed, and from the feeds of all followers.

        The activity storage is left alone: other feeds may refer to the activity. What was added and then removed ends
        removed, in whatever order workers run the tasks.

        :param activity: the activity, or an equal one: what counts is its ``serialization_id``

        >>> activity = Activity(13, Love, 42)
        >>> manager.add_user_activity(13, activity)
        >>> manager.remove_user_activity(13, activity)
        >>> manager.get_feeds(1)['normal'][:5]
        []
        """
        publication = self._publication(user_id, remove_operation, {'activities': [activity], 'trim': False})
        if (intents := intents_of(self)) is not None:
            intents.set([*intents.of_activities([activity]), *intents.of_authors([user_id])], REMOVED)
        self.get_user_feed(user_id).remove(activity)
        publication.publish()
        self.metrics.on_activity_removed()

    def update_user_activities(self, activities: Iterable[Activity]) -> None:
        """Replace activities wherever they still are: in the activity storage, and in all feeds that hold copies.

        Calls :meth:`add_user_activity` for each, with its ``actor_id``. While that runs, nothing is added where it is
        not: an update never brings back what was removed, or trimmed, and an activity that the user feed does not hold
        is not stored.

        :param activities: with the time, object and verb that they had, because ids are made of those
        :raises MessageError: for what can't travel in a task message; nothing is stored then

        >>> time = datetime.datetime(2013, 7, 8)
        >>> manager.batch_import(13, [Activity(13, Love, number, time=time) for number in (1, 2)])
        >>> changed = [Activity(13, Love, number, time=time, extra_context={'board': 'tea'}) for number in (1, 2, 3)]
        >>> manager.update_user_activities(changed)
        >>> [activity.extra_context for activity in manager.get_feeds(1)['normal'][:5]]
        [{'board': 'tea'}, {'board': 'tea'}]
        """
        activities = list(activities)
        publishing.check_activities(self, {'activities': activities})
        with updating():
            for activity in activities:
                self.add_user_activity(activity.actor_id, activity)

    def update_user_activity(self, activity: Activity) -> None:
        """Replace one activity; see :meth:`update_user_activities`.

        >>> activity = Activity(13, Love, 42)
        >>> manager.add_user_activity(13, activity)
        >>> activity.extra_context['board'] = 'tea'
        >>> manager.update_user_activity(activity)
        >>> manager.get_user_feed(13)[:1][0].extra_context
        {'board': 'tea'}
        """
        self.update_user_activities([activity])

    def get_notified_ids(self, activity: Activity) -> Iterable[Any]:
        """Return whom an activity notifies; the application defines it where it has a ``notification_feed_class``.

        It is asked before something is stored, when activities are added, removed, updated and imported. The actor
        himself is left out.

        :returns: ids: of the owner of what was loved, of those who are mentioned
        """
        raise NotDefinedError(
            f'{type(self).__name__} has a notification_feed_class, so it must define get_notified_ids(self, activity)'
        )

    def remove_object(self, user_id: Any, object_id: Any, verb: Any = None) -> int:
        """Remove all that a user did with an object, each as by :meth:`remove_user_activity`. Reads his user feed.

        :param verb: only what he did with this verb: a class, an instance, or its id
        :returns: how many activities

        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> manager.remove_object(13, 42, verb=Love), manager.remove_object(13, 42)
        (1, 0)
        """
        return erasing.remove_object(self, user_id, object_id, verb)

    def erase_user(self, user_id: Any, progress: Callable[[int], Any] | None = None) -> dict[str, int]:
        """Remove everything that a user did from all feeds and the activity storage, and all that is kept about him.

        His feeds, marks, follows, mutes and blocks go. What others did to him stays theirs.

        The feeds of followers are written by tasks. Then the whole activity storage and all feeds of the manager's
        classes are gone through, for what no task reaches: what was removed or trimmed before, feeds that kept their
        history. That takes about as long as reading all of it, and little memory. Killed at any moment and called
        again, it ends the same.

        :param progress: called with how many activities are done
        :returns: how many were removed by this call: ``activities``, ``feeds``, and what the follow storage counts

        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> manager.erase_user(13)['activities'], manager.get_feeds(1)['normal'][:5]
        (1, [])
        """
        return erasing.Erasure(self, user_id, remove_operation, FanoutPriority.HIGH, progress).run()

    def export_user(self, user_id: Any) -> Iterator[dict[str, Any]]:
        """Iterate over what a user did, newest first, as Activity Streams 2.0 objects; see ``Activity.to_as2``.

        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> [said['type'] for said in manager.export_user(13)]
        ['Like']
        """
        return (activity.to_as2() for activity in erasing.activities_in(self.get_user_feed(user_id)))

    def count_new(self, user_id: Any) -> dict[str, int]:
        """Count what is new in all feeds of a user: name, as of :meth:`get_feeds`, -> ``feed.count_new()``.

        One round trip for all feeds on one server. On Cassandra a second one for feeds with more than 100 new entries.
        """
        feeds = self.get_feeds(user_id)
        together = [feed for feed in feeds.values() if feed.counts_new_as_usual]
        counts = {id(feed): count for feed, count in zip(together, count_new(together), strict=True)}
        return {name: counts[id(feed)] if id(feed) in counts else feed.count_new() for name, feed in feeds.items()}

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
            intents = intents_of(self) if operation in _INTENTS and activities else None
            audience = None
            if activities and self.may_hide():
                is_visible = is_recent(visible_since, self.operation_ttl)
                audience = Audience(self, user_ids, activities, source, is_visible)
            if intents is None and audience is not None and operation is add_operation:
                applying.apply_to_audience(_OPERATIONS, feed_class, audience, kwargs)
            elif intents is None:
                applying.apply(operation, feed_class, user_ids, kwargs, stock=_INTENTS.get(operation))
            else:
                intent = _INTENTS[operation]
                applying.apply_in_order(self, intents, intent, _OPERATIONS, feed_class, user_ids, kwargs, audience)
        count = len(activities) if isinstance(activities, Sized) else 1
        metrics.on_fanout(feed_class, operation, count * len(user_ids))

    def batch_import(
        self, user_id: Any, activities: Iterable[Activity], fanout: bool = True, chunk_size: int = 500
    ) -> None:
        """Store many activities of one user at once.

        :param fanout: whether the followers' feeds get them too
        :param chunk_size: how many activities are written, and travel in a task, at a time
        :raises ValueError: if any of them is another actor's; nothing is stored then

        >>> manager.batch_import(13, [Activity(13, Love, number) for number in (1, 2, 3)])
        >>> manager.get_feeds(1)['normal'].count()
        3
        """
        activities = list(activities)
        for activity in activities:
            if activity.actor_id != user_id:
                raise ValueError(
                    f'{activity!r} is of actor {activity.actor_id!r}: batch_import of user {user_id!r} takes only '
                    "this user's own activities"
                )
        if not activities:
            return
        parts = [messages.OperationKwargs(activities=list(part), trim=True) for part in chunks(activities, chunk_size)]
        for kwargs in parts if fanout else ():
            publishing.check_activities(self, kwargs)
        user_feed = self.get_user_feed(user_id)
        for kwargs in parts:
            publication = self._publication(user_id, add_operation, kwargs) if fanout else None
            part = kwargs['activities']
            self._store(self.user_feed_class.insert_activities, part, part)
            with stored_already():
                user_feed.add_many(part, trim=False)
            if publication is not None:
                publication.publish()

    def _store(self, insert: Callable[..., Any], given: Any, activities: list[Activity]) -> None:
        """Store activities, and turn their intents to ``added``."""
        if (intents := intents_of(self)) is None:
            insert(given)
        else:
            intents.store(self.user_feed_class, insert, given, activities)

    def _update(self, user_id: Any, activity: Activity) -> None:
        """Replace an activity in the user feed, in the activity storage, and in the followers' feeds."""
        # What is called from here on, by tasks that are run eagerly or by an application's hooks, is no update.
        with updating(False):
            publication = self._publication(user_id, update_operation, {'activities': [activity]})
            user_feed = self.get_user_feed(user_id)
            with stored_already():
                if not user_feed.update_many([activity]):
                    return
            if still_stored(user_feed, [activity]):
                self.user_feed_class.insert_activity(activity)
            if (intents := intents_of(self)) is not None:
                set_fingerprint(intents, user_id, activity)
            publication.publish()
            self.metrics.on_activity_published()

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
        own_followers = getattr(self.get_user_follower_ids, '__func__', None) is not Manager.get_user_follower_ids
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
        if operation is add_operation and has_stock_tasks and intents_of(self) is not None:
            kwargs, visible = leave_out_at_once(self, kwargs)
        return publishing.Publication(self, user_id, operation, kwargs, has_stock_tasks, visible)

    def _has_stock_tasks(self) -> bool:
        """Return whether fan-outs are published by the library's own :meth:`create_fanout_tasks`."""
        return getattr(self.create_fanout_tasks, '__func__', None) is Manager.create_fanout_tasks


#: Intent -> the operation that carries it out.
_OPERATIONS: dict[str, Callable[..., Any]] = {
    ADDED: add_operation,
    REMOVED: remove_operation,
    UPDATED: update_operation,
}
#: The reverse: an operation of an application's own has no intent.
_INTENTS = {operation: intent for intent, operation in _OPERATIONS.items()}
