"""The manager: stores what a user did, and fans it out to the feeds of everybody who follows.

**What was published last wins**, in whatever order workers run the tasks. Before a removal is published, a mark
``removed`` is set in the activity storage; adding an activity turns a mark that is there to ``added``. A task that has
written its chunk reads the marks of its activities, and where one says the opposite of what the task did, it does the
opposite and looks again, until both agree. Mark before publish, write before read (on Cassandra, by the timestamps of
the writes): so whichever task runs last sees the mark of what was published last. Follow and unfollow do the same, with
a mark for each user and target. What was removed while following copied it is taken back: a mark of its author says
when to look.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

from kombu.exceptions import EncodeError

from stream_framework import ledger, messages, tasks
from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.exceptions import MessageError, NotDefinedError, UpdateConflictError
from stream_framework.feeds.base import BaseFeed, UserBaseFeed
from stream_framework.feeds.redis import RedisFeed
from stream_framework.serializers.simple_timeline_serializer import SimpleTimelineSerializer
from stream_framework.storage.base import BaseActivityStorage, BaseBatch, keeps_promise
from stream_framework.utils import MetricsOfSettings, chunks
from stream_framework.utils.lazy import lazy_property

logger = logging.getLogger(__name__)

#: How often a task whose marks keep changing while it looks does the opposite of what it did.
RECONCILE_ATTEMPTS = 100

#: How many activities following copies at a time, so that following many users does not hold all that they did.
COPIED_AT_A_TIME = 100_000


class FanoutPriority:
    """How urgent a fan-out is: which of the manager's tasks, and so which queue, it goes through."""

    HIGH = 'HIGH'
    LOW = 'LOW'


def add_operation(feed: Any, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """What a fan-out of new activities does with each feed.

    :param feed: a feed of a follower
    :param activities: a list of activities
    :param trim: whether the feed may be trimmed
    :param batch_interface: the batch of all feeds of the fan-out
    """
    feed.add_many(activities, batch_interface=batch_interface, trim=trim)


def remove_operation(feed: Any, activities: Any, trim: bool = True, batch_interface: Any = None) -> None:
    """What a fan-out of removed activities does with each feed; parameters as of :func:`add_operation`."""
    feed.remove_many(activities, batch_interface=batch_interface, trim=trim)


class Manager:
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
    feed_classes: Any = {'normal': RedisFeed}
    #: The class of the feed of what a user did.
    user_feed_class: Any = UserBaseFeed
    #: How many activities are copied from the user feed of somebody who is followed.
    follow_activity_limit: int = 5000
    #: How many followers' feeds one task writes.
    fanout_chunk_size: int = 100
    #: Priority -> the task of its fan-outs.
    priority_fanout_task: Any = {
        FanoutPriority.HIGH: tasks.fanout_operation_hi_priority,
        FanoutPriority.LOW: tasks.fanout_operation_low_priority,
    }
    #: For how long after publishing the order of adding and removing is known, in seconds.
    operation_ttl: float = 24 * 3600
    #: Whether each task's message is written into a ledger before it is published, so that what the broker loses is
    #: published again: see :mod:`stream_framework.ledger`.
    keep_ledger: bool = False
    #: Whether a worker finds the followers and publishes the tasks, by ``stream_framework.tasks.publish_fanout``, so
    #: that adding and removing take the same few milliseconds whatever the audience.
    publish_in_worker: bool = False

    #: What counts and times the manager's work: see :mod:`stream_framework.metrics.base`.
    metrics: Any = MetricsOfSettings()

    def get_user_follower_ids(self, user_id: Any) -> Mapping[Any, Iterable[Any]]:
        """Who gets what a user does: priority -> ids. The application defines it.

        :param user_id: always given as a keyword
        :returns: for each :class:`FanoutPriority` (or ``None``) any iterable of ids; an iterator is consumed once, in
            chunks
        """
        raise NotDefinedError(f'{type(self).__name__} must define get_user_follower_ids(self, user_id)')

    def add_user_activity(self, user_id: Any, activity: Activity) -> None:
        """Store what a user did: in the activity storage, in the user feed, and in the feeds of all followers.

        Returns when the tasks are published; writing the followers' feeds is theirs. Adding again what is there already
        changes nothing.

        :param user_id: whose user feed gets it, and whose followers: usually ``activity.actor_id``
        :param activity: an instance of the ``activity_class`` of the feeds
        :raises MessageError: for what can't travel in a task message
        :raises StorageError: for what the server refuses
        """
        # By the methods for one activity, which applications override.
        self._store(self.user_feed_class.insert_activity, activity, [activity])
        user_feed = self.get_user_feed(user_id)
        # In a batch, since outside one the feed would store the activity a second time.
        with user_feed.get_timeline_batch_interface() as batch_interface:
            user_feed.add(activity, batch_interface=batch_interface)
        self._fan_out(user_id, add_operation, [[activity]])
        self.metrics.on_activity_published()

    def remove_user_activity(self, user_id: Any, activity: Activity) -> None:
        """Take back what a user did: from the user feed, and from the feeds of all followers.

        The activity storage is left alone: other feeds may refer to the activity. What was added and then removed ends
        removed, in whatever order workers run the tasks.

        :param activity: the activity, or an equal one: what counts is its ``serialization_id``
        """
        storage = self.user_feed_class.get_activity_storage()
        if storage is not None and storage.supports_marks:
            names = [*self._activity_marks(storage, [activity]), *self._author_marks([user_id])]
            storage.set_marks(names, 'removed', self.operation_ttl)
        self.get_user_feed(user_id).remove(activity)
        self._fan_out(user_id, remove_operation, [[activity]])
        self.metrics.on_activity_removed()

    def update_user_activities(self, activities: Iterable[Activity]) -> None:
        """Store activities anew, under the ids that they have; feeds that refer to them show the new state.

        Feeds that hold whole activities (notification feeds, everything on Cassandra) keep what they were given.

        :param activities: with the time, object and verb that they had, since ids are made of those
        """
        self.user_feed_class.insert_activities(list(activities))

    def update_user_activity(self, activity: Activity) -> None:
        """:meth:`update_user_activities` for one."""
        self.update_user_activities([activity])

    def get_feeds(self, user_id: Any) -> dict[str, Any]:
        """Name -> feed, for one user."""
        return {name: feed_class(user_id) for name, feed_class in self.feed_classes.items()}

    def get_user_feed(self, user_id: Any) -> Any:
        """The feed of what a user did."""
        return self.user_feed_class(user_id)

    def follow_user(self, user_id: Any, target_user_id: Any, async_: bool = True) -> None:
        """:meth:`follow_many_users` for one."""
        self.follow_many_users(user_id, [target_user_id], async_)

    def follow_many_users(self, user_id: Any, target_ids: Iterable[Any], async_: bool = True) -> None:
        """Copy the newest ``follow_activity_limit`` activities of each of those who are followed into a user's feeds.

        Who follows whom is kept by the application: change that first, then call this.

        :param user_id: who follows
        :param target_ids: who is followed
        :param async_: through Celery, or at once
        """
        target_ids = list(target_ids)
        if not target_ids:
            return
        self._mark_follows(user_id, target_ids, 'followed', existing=True)
        if async_:
            tasks.follow_many.delay(self, user_id, target_ids, follow_limit=self.follow_activity_limit)
        else:
            tasks.follow_many(self, user_id, target_ids, follow_limit=self.follow_activity_limit)

    def unfollow_user(self, user_id: Any, target_user_id: Any, async_: bool = True) -> None:
        """:meth:`unfollow_many_users` for one."""
        self.unfollow_many_users(user_id, [target_user_id], async_)

    def unfollow_many_users(self, user_id: Any, target_ids: Iterable[Any], async_: bool = True) -> None:
        """Remove what these users did from a user's feeds: activities whose ``actor_id`` is among them.

        Reads the user's feeds from end to end.

        :param user_id: who stops following
        :param target_ids: who is no longer followed
        :param async_: through Celery, or at once
        """
        target_ids = list(target_ids)
        if not target_ids:
            return
        self._mark_follows(user_id, target_ids, 'unfollowed', existing=False)
        if async_:
            tasks.unfollow_many.delay(self, user_id, target_ids)
        else:
            tasks.unfollow_many(self, user_id, target_ids)

    def follow_feed(self, feed: Any, source_feed: Any) -> Any:
        """Copy the newest ``follow_activity_limit`` activities of one feed into another.

        :returns: the activities
        """
        activities = source_feed[: self.follow_activity_limit]
        if activities:
            with feed.get_timeline_batch_interface() as batch_interface:
                feed.add_many(activities, batch_interface=batch_interface)
        return activities

    def unfollow_feed(self, feed: Any, source_feed: Any) -> Any:
        """Remove the activities of one feed from another."""
        activities = source_feed[:]
        return feed.remove_many(activities)

    def apply_follow(self, user_id: Any, target_ids: Iterable[Any], follow_limit: int | None = None) -> None:
        """What following does, now, in this process; the task ``follow_many`` calls it."""
        limit = self.follow_activity_limit if follow_limit is None else follow_limit
        for some_ids in chunks(target_ids, max(COPIED_AT_A_TIME // max(limit, 1), 1)):
            self._reconcile_follows(user_id, list(some_ids), 'followed', limit)

    def apply_unfollow(self, user_id: Any, source_ids: Iterable[Any]) -> None:
        """What unfollowing does, now, in this process; the task ``unfollow_many`` calls it."""
        self._reconcile_follows(user_id, list(source_ids), 'unfollowed', self.follow_activity_limit)

    def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
        """The task that fans out with this priority; falsy for none, then nothing is fanned out.

        :param priority: a :class:`FanoutPriority`, or ``None``
        :param feed_class: which feeds are to be written; for applications that override this
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
        """
        task = self.get_fanout_task(fanout_priority, feed_class=feed_class)
        if not task:
            return []
        operation_kwargs = messages.prepare(operation_kwargs)
        many = (
            {
                'feed_manager': self,
                'feed_class': feed_class,
                'user_ids': list(user_ids),
                'operation': operation,
                'operation_kwargs': operation_kwargs,
            }
            for user_ids in chunks(follower_ids, self.fanout_chunk_size)
        )
        # Run eagerly, nothing is published.
        published = isinstance(task, tasks.StreamTask) and not task.app.conf.task_always_eager
        timer = getattr(self.metrics, 'publish_timer', None) if published else None
        try:
            with timer(feed_class) if timer else contextlib.nullcontext():
                storage = ledger.storage_of(self) if published and task.use_ledger else None
                if storage is None:
                    return [task.delay(**kwargs) for kwargs in many]
                return self._publish_by_ledger(storage, task, many)
        except EncodeError as error:
            raise MessageError(
                f'{task!r} can not be published ({error}): declare a fan-out task of your own with '
                '@shared_task(base=stream_framework.tasks.StreamTask), or have Celery send pickles'
            ) from error

    def _publish_by_ledger(self, storage: BaseActivityStorage, task: Any, many: Iterable[dict[str, Any]]) -> list[Any]:
        """Publish tasks, each after it was written into the ledger; some at a time, however many there are."""
        encoded = (messages.encode(task.parameters, (), kwargs) for kwargs in many)
        results = []
        for entries in ledger.batches(task.entry(args, kwargs, self) for args, kwargs in encoded):
            ledger.write(storage, entries)
            results += [entry.publish(task) for entry in entries]
        return results

    def publish_fanout(self, user_id: Any, operation: Callable[..., Any], operation_kwargs: Any) -> int:
        """Find a user's followers and publish the tasks for all their feeds; what ``publish_fanout``, the task, does.

        :param user_id: whose followers
        :param operation: as of :meth:`create_fanout_tasks`, and so is ``operation_kwargs``
        :returns: how many tasks were published, as far as :meth:`create_fanout_tasks` tells
        """
        return self._publish(user_id, operation, [messages.prepare(operation_kwargs)])

    def fanout(
        self, user_ids: Iterable[Any], feed_class: Any, operation: Callable[..., Any], operation_kwargs: Any
    ) -> None:
        """Apply an operation to the feeds of some users, as one batch; what a fan-out task does.

        :param operation: called with each feed and ``operation_kwargs``, which has ``batch_interface`` besides
        """
        kwargs = dict(operation_kwargs or {})
        activities = kwargs.get('activities')
        user_ids = list(user_ids)
        metrics = self.metrics
        with metrics.fanout_timer(feed_class):
            marked = None
            if operation in (add_operation, remove_operation) and activities:
                marked = self._marked(kwargs)
            marks = self._operate(user_ids, feed_class, operation, kwargs, marked)
            if marked is not None:
                self._reconcile(user_ids, feed_class, operation, kwargs, marked, marks)
        count = len(activities) if isinstance(activities, Sized) else 1
        metrics.on_fanout(feed_class, operation, count * len(user_ids))

    def batch_import(
        self, user_id: Any, activities: Iterable[Activity], fanout: bool = True, chunk_size: int = 500
    ) -> None:
        """Store many activities of one user at once.

        :param fanout: whether the followers' feeds get them too
        :param chunk_size: how many activities are written, and travel in a task, at a time
        :raises ValueError: if any of them is another actor's; nothing is stored then
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
        parts = [list(part) for part in chunks(activities, chunk_size)]
        user_feed = self.get_user_feed(user_id)
        for part in parts:
            self._store(self.user_feed_class.insert_activities, part, part)
            with user_feed.get_timeline_batch_interface() as batch_interface:
                user_feed.add_many(part, batch_interface=batch_interface, trim=False)
        if fanout:
            self._fan_out(user_id, add_operation, parts)

    def _store(self, insert: Callable[..., Any], given: Any, activities: list[Activity]) -> None:
        """Store activities, and turn marks that are there to ``added``."""
        storage = self.user_feed_class.get_activity_storage()
        if storage is None or not storage.supports_marks:
            insert(given)
            return
        names = self._activity_marks(storage, activities)
        if _inserts_as_usual(self.user_feed_class) and keeps_promise(type(storage), 'supports_marks', *_STORING):
            insert(given, turn_marks=(names, 'added', self.operation_ttl))
        else:
            # What an application has written for 1.4.0 need not pass on what it doesn't know.
            insert(given)
            storage.set_marks(names, 'added', self.operation_ttl, existing=True)

    def _fan_out(self, user_id: Any, operation: Callable[..., Any], parts: list[list[Activity]]) -> None:
        kwargs = [messages.prepare({'activities': part, 'trim': True}) for part in parts]
        if not self.publish_in_worker:
            self._publish(user_id, operation, kwargs)
            return
        for operation_kwargs in kwargs:
            tasks.publish_fanout.delay(
                feed_manager=self, user_id=user_id, operation=operation, operation_kwargs=operation_kwargs
            )

    def _publish(self, user_id: Any, operation: Callable[..., Any], kwargs: list[Any]) -> int:
        published = 0
        for priority, follower_ids in self.get_user_follower_ids(user_id=user_id).items():
            for some_ids in self._pieces(follower_ids):
                for operation_kwargs in kwargs:
                    for feed_class in self.feed_classes.values():
                        results = self.create_fanout_tasks(
                            some_ids,
                            feed_class,
                            operation,
                            operation_kwargs=operation_kwargs,
                            fanout_priority=priority,
                        )
                        published += len(results) if isinstance(results, Sized) else 0
        return published

    def _pieces(self, follower_ids: Iterable[Any]) -> Iterator[Iterable[Any]]:
        # What has a length can be gone through once for each feed class; an iterator can't, so it comes in chunks.
        if isinstance(follower_ids, Sized):
            yield follower_ids
        else:
            yield from chunks(follower_ids, self.fanout_chunk_size)

    def _operate(
        self,
        user_ids: list[Any],
        feed_class: Any,
        operation: Callable[..., Any],
        kwargs: Any,
        marked: tuple[BaseActivityStorage, list[str]] | None = None,
    ) -> list[str | None] | None:
        """Apply an operation to the feeds, and read marks when that is done, if the batch can."""
        if not user_ids:
            return None
        with feed_class.get_timeline_batch_interface() as batch_interface:
            kwargs = {**kwargs, 'batch_interface': batch_interface}
            shared = batch_interface.storage if isinstance(batch_interface, BaseBatch) else None
            for done, user_id in enumerate(user_ids):
                feed = feed_class(user_id)
                if shared is not None:
                    if 'timeline_storage' not in vars(feed):
                        feed.timeline_storage = shared
                    if (
                        done == 1
                        and operation is add_operation
                        and _differ_in_keys(feed_class)
                        and batch_interface.repeats(feed, kwargs.get('activities'), kwargs.get('trim', True))
                    ):
                        # What the first got is queued for all others, without making a feed for each.
                        batch_interface.repeat(_keys(feed_class.key_format, user_ids[2:]))
                        break
                operation(feed, **kwargs)
            if shared is not None and marked is not None:
                batch_interface.then_read_marks(*marked)
        return batch_interface.marks if shared is not None else None

    def _marked(self, kwargs: Any) -> tuple[BaseActivityStorage, list[str]] | None:
        """Where the marks of an operation's activities are, and their names."""
        storage = self.user_feed_class.get_activity_storage()
        if storage is None or not storage.supports_marks:
            return None
        return storage, self._activity_marks(storage, kwargs['activities'])

    def _reconcile(
        self,
        user_ids: list[Any],
        feed_class: Any,
        operation: Callable[..., Any],
        kwargs: Any,
        marked: tuple[BaseActivityStorage, list[str]],
        marks: list[str | None] | None,
    ) -> None:
        storage, names = marked
        activities = list(kwargs['activities'])
        done = [operation] * len(activities)
        for _ in range(RECONCILE_ATTEMPTS):
            wanted = [_OPERATIONS.get(mark) for mark in (marks or storage.get_marks(names))]
            marks = None
            opposite = [i for i, operation in enumerate(wanted) if operation is not None and operation is not done[i]]
            if not opposite:
                return
            for other in (remove_operation, add_operation):
                if some := [activities[i] for i in opposite if wanted[i] is other]:
                    self._operate(user_ids, feed_class, other, {**kwargs, 'activities': some})
            for i in opposite:
                done[i] = wanted[i] or done[i]
        raise UpdateConflictError(
            f'{activities!r} kept being added and removed while {RECONCILE_ATTEMPTS} attempts to follow were made'
        )

    def _activity_marks(self, storage: BaseActivityStorage, activities: Iterable[Any]) -> list[str]:
        return [f'{self._marks_prefix}:{activity_id}' for activity_id in storage.activities_to_ids(activities)]

    def _follow_marks(self, user_id: Any, target_ids: list[Any]) -> list[str]:
        follower = _plain(user_id)
        return [f'{self._marks_prefix}:{follower!r}>{_plain(target_id)!r}' for target_id in target_ids]

    def _author_marks(self, user_ids: Iterable[Any]) -> list[str]:
        return [f'{self._marks_prefix}:by {_plain(user_id)!r}' for user_id in user_ids]

    @lazy_property
    def _marks_prefix(self) -> str:
        # Two managers that share an activity storage don't share the order of their operations.
        name = f'{type(self).__module__}.{type(self).__qualname__}'
        return 'stream:published:' + hashlib.blake2b(name.encode(), digest_size=6).hexdigest()

    def _mark_follows(self, user_id: Any, target_ids: list[Any], value: str, existing: bool) -> None:
        storage = self.user_feed_class.get_activity_storage()
        if storage is not None and storage.supports_marks:
            storage.set_marks(self._follow_marks(user_id, target_ids), value, self.operation_ttl, existing=existing)

    def _reconcile_follows(self, user_id: Any, target_ids: list[Any], state: str, limit: int) -> None:
        storage = self.user_feed_class.get_activity_storage()
        done = dict.fromkeys(target_ids, state)
        todo = {state: list(done)}
        copied: dict[Any, list[Any]] = {}
        withdrawn: set[Any] = set()
        for _ in range(RECONCILE_ATTEMPTS):
            if todo.get('followed'):
                copied.update(self._follow_now(user_id, todo['followed'], limit))
                withdrawn.difference_update(*(copied[target_id] for target_id in todo['followed']))
            if todo.get('unfollowed'):
                self._unfollow_now(user_id, todo['unfollowed'])
            if storage is None or not storage.supports_marks:
                return
            todo = {}
            marks = storage.get_marks([*self._follow_marks(user_id, list(done)), *self._author_marks(done)])
            changeable = {}
            for target_id, mark, author_mark in zip(list(done), marks[: len(done)], marks[len(done) :], strict=True):
                if mark is not None and mark != done[target_id]:
                    todo.setdefault(mark, []).append(target_id)
                    done[target_id] = mark
                elif done[target_id] == 'followed' and author_mark is not None:
                    changeable[target_id] = list(copied.get(target_id, []))
            if changeable:
                # What an earlier run of this task copied before it died, and this one no longer finds at its source.
                for activity in self._found_of(user_id, changeable):
                    changeable[activity.actor_id].append(activity.serialization_id)
            gone, back = self._changed_meanwhile(storage, changeable, withdrawn)
            if gone:
                self._remove_from_feeds(user_id, gone)
                withdrawn.update(gone)
            if back:
                todo.setdefault('followed', []).extend(back)
            if not todo and not gone:
                return
        raise UpdateConflictError(
            f'user {user_id!r} kept following and unfollowing while {RECONCILE_ATTEMPTS} attempts to keep up were made'
        )

    def _changed_meanwhile(
        self, storage: BaseActivityStorage, copied: dict[Any, list[Any]], withdrawn: set[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Of what was copied, by target: the ids that were removed since, and the targets that added some again."""
        found = [(target_id, activity_id) for target_id, copies in copied.items() for activity_id in copies]
        if not found:
            return [], []
        marks = storage.get_marks(self._activity_marks(storage, [activity_id for _, activity_id in found]))
        gone, back = [], {}
        for (target_id, activity_id), mark in zip(found, marks, strict=True):
            if mark == 'removed' and activity_id not in withdrawn:
                gone.append(activity_id)
            elif mark == 'added' and activity_id in withdrawn:
                back[target_id] = True
        return gone, list(back)

    def _follow_now(self, user_id: Any, target_ids: list[Any], limit: int) -> dict[Any, list[Any]]:
        """Copy; returns target -> the ids of what was copied from it."""
        feeds = self.get_feeds(user_id).values()
        found = self._newest(target_ids, limit)
        activities = [activity for newest in found.values() for activity in newest]
        # Flat feeds take references as they are; looking the activities up is for those that look at them.
        if activities and not all(_takes_references(feed) for feed in feeds):
            source = self.get_user_feed(target_ids[0])
            if source.needs_hydration(activities):
                activities = source.hydrate_activities(activities)
        for feed in feeds if activities else ():
            with feed.get_timeline_batch_interface() as batch_interface:
                feed.add_many(activities, batch_interface=batch_interface)
        return {target_id: [activity.serialization_id for activity in newest] for target_id, newest in found.items()}

    def _newest(self, target_ids: list[Any], limit: int) -> dict[Any, list[Any]]:
        """Target -> what its user feed has, perhaps as references; one round trip."""
        sources = {target_id: self.get_user_feed(target_id) for target_id in target_ids}
        if any(_reads_its_own_way(source) for source in sources.values()):
            return {target_id: source[:limit] for target_id, source in sources.items()}
        storage = sources[target_ids[0]].timeline_storage
        snapshots = storage.read_newest([source.key for source in sources.values()], limit)
        return {
            target_id: [storage.load_entry(snapshot.key, entry) for entry in snapshot.entries]
            for target_id, snapshot in zip(sources, snapshots, strict=True)
        }

    def _unfollow_now(self, user_id: Any, source_ids: list[Any]) -> None:
        for feed in self.get_feeds(user_id).values():
            if activities := _by_actors(feed, source_ids):
                with feed.get_timeline_batch_interface() as batch_interface:
                    feed.remove_many(activities, batch_interface=batch_interface)

    def _found_of(self, user_id: Any, actor_ids: Iterable[Any]) -> list[Any]:
        """The activities of some actors that are in a user's feeds, each once. Reads the feeds."""
        feeds = self.get_feeds(user_id).values()
        found = {activity.serialization_id: activity for feed in feeds for activity in _by_actors(feed, actor_ids)}
        return list(found.values())

    def _remove_from_feeds(self, user_id: Any, activity_ids: list[Any]) -> None:
        for feed in self.get_feeds(user_id).values():
            with feed.get_timeline_batch_interface() as batch_interface:
                feed.remove_many(activity_ids, batch_interface=batch_interface)


#: What each mark of an activity says should have been done.
_OPERATIONS: dict[str | None, Callable[..., Any]] = {'added': add_operation, 'removed': remove_operation}


def _by_actors(feed: Any, actor_ids: Iterable[Any]) -> list[Any]:
    """The activities of some actors in a feed, those in groups as well."""
    wanted = set(actor_ids)
    found = []
    for item in feed[:]:
        of_item = item.activities if isinstance(item, AggregatedActivity) else [item]
        found += [activity for activity in of_item if activity.actor_id in wanted]
    return found


def _plain(user_id: Any) -> Any:
    """A user's id as it comes out of a message: a mark has one name in the publisher and in the worker."""
    if isinstance(user_id, str):
        return str.__str__(user_id)
    try:
        return operator.index(user_id)
    except TypeError:
        return user_id


def _differ_in_keys(feed_class: Any) -> bool:
    """Whether feeds of a class are made as the library makes them, and add as the library does."""
    return (
        feed_class.__init__ is BaseFeed.__init__
        and feed_class.__new__ is object.__new__
        and feed_class.add_many is BaseFeed.add_many
        and isinstance(feed_class.key_format, str)
        and not hasattr(feed_class, 'key')
    )


_STOCK_INSERTS: dict[str, Any] = {
    'insert_activity': BaseFeed.insert_activity.__func__,  # type: ignore[attr-defined]
    'insert_activities': BaseFeed.insert_activities.__func__,  # type: ignore[attr-defined]
}

#: What takes ``turn_marks``.
_STORING = ('add', 'add_many', 'add_to_storage')


def _inserts_as_usual(feed_class: Any) -> bool:
    return all(getattr(getattr(feed_class, name), '__func__', None) is own for name, own in _STOCK_INSERTS.items())


def _keys(key_format: str, user_ids: Iterable[Any]) -> list[str]:
    """The keys of users' feeds."""
    head, id_itself, tail = key_format.partition('%(user_id)s')
    if id_itself and '%' not in head + tail:
        # The same in half the time, for nearly all formats.
        return [f'{head}{user_id!s}{tail}' for user_id in user_ids]
    return [key_format % {'user_id': user_id} for user_id in user_ids]


def _reads_its_own_way(feed: Any) -> bool:
    """Whether a feed is read as its class says, or from a storage that it has made for itself."""
    cls = type(feed)
    return (
        cls.get_activity_slice is not BaseFeed.get_activity_slice
        or cls.__getitem__ is not BaseFeed.__getitem__
        or 'timeline_storage' in vars(feed)
    )


def _takes_references(feed: Any) -> bool:
    return (
        type(feed).add_many is BaseFeed.add_many
        and type(feed).on_update_feed is BaseFeed.on_update_feed
        and feed.timeline_serializer is SimpleTimelineSerializer
    )
