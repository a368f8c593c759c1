"""The manager: stores what a user did, and fans it out to the feeds of everybody who follows.

A manager is made of four classes, each in a module that has what applications call and override:

- :mod:`~stream_framework.feed_managers.base` adds, removes, updates, imports and erases activities;
- :mod:`~stream_framework.feed_managers.fan_outs` publishes the tasks of a fan-out, and does their work;
- :mod:`~stream_framework.feed_managers.follows` follows and unfollows;
- :mod:`~stream_framework.feed_managers.relations` knows who follows, mutes and blocks whom.

The other modules of the package do the work: :mod:`~stream_framework.feed_managers.publishing` publishes tasks,
:mod:`~stream_framework.feed_managers.applying` writes feeds in a task,
:mod:`~stream_framework.feed_managers.following` copies activities into the feeds of a new follower, and
:mod:`~stream_framework.feed_managers.intents` lets what was published last win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stream_framework import messages
from stream_framework.activity import Activity
from stream_framework.feed_managers import erasing, publishing
from stream_framework.feed_managers.fan_outs import FanoutPriority, FanOuts
from stream_framework.feed_managers.intents import ADDED, REMOVED, UPDATED, intents_of
from stream_framework.feed_managers.updating import is_updating, set_fingerprint, updating
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.feeds.seen import count_new
from stream_framework.feeds.stored import still_stored, stored_already
from stream_framework.utils import chunks


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


class Manager(FanOuts):
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
    #: Intent -> the operation that carries it out.
    operations = {ADDED: add_operation, REMOVED: remove_operation, UPDATED: update_operation}

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

        >>> manager.add_user_activity(13, Activity(13, Love, 42))
        >>> manager.count_new(1)
        {'normal': 1}
        """
        feeds = self.get_feeds(user_id)
        together = [feed for feed in feeds.values() if feed.counts_new_as_usual]
        counts = {id(feed): count for feed, count in zip(together, count_new(together), strict=True)}
        return {name: counts[id(feed)] if id(feed) in counts else feed.count_new() for name, feed in feeds.items()}

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


__all__ = ['FanoutPriority', 'Manager', 'add_operation', 'remove_operation', 'update_operation']
