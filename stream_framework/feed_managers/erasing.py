"""Take back what a user did: with one object, or all of it, and all that is kept about him."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from stream_framework import ids, ledger
from stream_framework.exceptions import InvalidArgumentError, UpdateConflictError
from stream_framework.feed_managers import notifying, publishing, sweeping
from stream_framework.feed_managers.intents import REMOVED, UNFOLLOWED, intents_of
from stream_framework.storage.abilities import ListsActivities
from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.utils import chunks

#: How many activities are read, and taken back, at a time.
ACTIVITIES_AT_A_TIME = 500


class Erases(publishing.Publisher, notifying.Notifies, Protocol):
    """What erasing needs of a manager."""

    user_feed_class: Any
    operation_ttl: float
    keep_ledger: bool

    def get_user_feed(self, user_id: Any) -> Any:
        """Return the feed of what a user did."""

    def get_feeds(self, user_id: Any) -> dict[str, Any]:
        """Return name -> feed."""

    def get_follow_storage(self) -> BaseFollowStorage | None:
        """Return the follow storage."""

    def remove_user_activity(self, user_id: Any, activity: Any) -> None:
        """Take back what a user did."""


def activities_in(feed: Any) -> Iterator[Any]:
    """Iterate over the activities of a feed, newest first, some at a time. Those that come meanwhile are left out."""
    if not feed.filtering_supported:
        start = 0
        while page := feed[start : start + ACTIVITIES_AT_A_TIME]:
            yield from page
            start += ACTIVITIES_AT_A_TIME
        return
    page = feed[:ACTIVITIES_AT_A_TIME]
    while page:
        yield from page
        page = feed.filter(activity_id__lt=page[-1].serialization_id)[:ACTIVITIES_AT_A_TIME]


def remove_object(manager: Erases, user_id: Any, object_id: Any, verb: Any = None) -> int:
    """Remove all that a user did with an object; parameters as of the manager's method."""
    verb_id = getattr(verb, 'id', verb)
    if verb_id is not None and not isinstance(verb_id, int):
        raise InvalidArgumentError(f'verb is {verb!r}: give a verb, its id, or None for all')
    # All are found first, because the feed changes while they are removed.
    found = [
        activity
        for activity in activities_in(manager.get_user_feed(user_id))
        if activity.object_id == object_id and verb_id in (None, activity.verb.id)
    ]
    for activity in found:
        manager.remove_user_activity(user_id, activity)
    return len(found)


class Erasure:
    """Everything about one user goes: step by step, each of which may be done again.

    The order is what makes it resumable. Followers are told while they are known, and what was done is in the activity
    storage until it has left all feeds. Follows end before feeds are looked through and deleted, because a task that is
    late takes back what it wrote to somebody who does not follow.

    :param remove_operation: what a fan-out of removed activities does
    :param priority: of the tasks for notifications
    :param progress: called with how many activities are done
    """

    def __init__(
        self,
        manager: Erases,
        user_id: Any,
        remove_operation: Callable[..., Any],
        priority: Any,
        progress: Callable[[int], Any] | None = None,
    ) -> None:
        self.manager = manager
        self.user_id = ids.object_id(user_id)
        self.remove_operation = remove_operation
        self.priority = priority
        self.progress = progress
        self.user_feed = manager.get_user_feed(self.user_id)
        self.intents = intents_of(manager)
        self.activity_storage = manager.user_feed_class.get_activity_storage()
        classes = [*manager.feed_classes.values(), manager.notification_feed_class, manager.user_feed_class]
        self.sweep = sweeping.Sweep([cls for cls in classes if cls is not None], self.user_id)

    def run(self) -> dict[str, int]:
        """Do all of it; returns counts."""
        published = self._take_back_published()
        relations = self._end_relations()
        stored = self._remove_stored()
        self.sweep.remove_copies()
        counts = {'activities': max(published, stored), 'feeds': self._delete_feeds(), **relations}
        if self.manager.keep_ledger and self.sweep.is_complete:
            ledger.forget_user(self.manager, self.user_id)
        return counts

    def _take_back_published(self) -> int:
        """Take back what is in the user feed, by the tasks of a removal; returns how many activities."""
        done, last = 0, None
        while part := self.user_feed[:ACTIVITIES_AT_A_TIME]:
            if part[0].serialization_id == last:
                raise UpdateConflictError(f'{self.user_feed!r} still holds {part[0]!r}, which was removed: erase again')
            last = part[0].serialization_id
            self._take_back(part)
            done += len(part)
            if self.progress is not None:
                self.progress(done)
        return done

    def _take_back(self, activities: list[Any]) -> None:
        """Take back some activities: from the user feed last, so that they are found again if this dies."""
        kwargs: Mapping[str, Any] = {'activities': activities, 'trim': False}
        # Not by a worker: when that runs, nobody may follow him any more.
        publications: list[notifying.Publishes] = [
            publishing.Publication(self.manager, self.user_id, self.remove_operation, kwargs, self._has_stock_tasks())
        ]
        if self.manager.notification_feed_class is not None:
            publications.append(notifying.Notices(self.manager, self.priority, self.remove_operation, kwargs))
        self._set_removed(activities)
        for publication in publications:
            publication.publish()
        if not _is_ours(self.manager.remove_user_activity):
            for activity in activities:
                self.manager.remove_user_activity(self.user_id, activity)
        if self.activity_storage is not None and not self._lists_activities():
            self.activity_storage.remove_many(activities)
        self.user_feed.remove_many(activities)

    def _remove_stored(self) -> int:
        """Remove all that he did from the activity storage, and from all feeds that refer to it; returns how many."""
        if not self._lists_activities():
            return 0
        done = 0
        for part in chunks(sweeping.stored_by(self.activity_storage, self.user_id), sweeping.IDS_AT_A_TIME):
            activity_ids = self.activity_storage.activities_to_ids(part)
            for some_ids in chunks(activity_ids, ACTIVITIES_AT_A_TIME):
                self._set_removed(list(some_ids))
            self.sweep.remove_ids(activity_ids)
            for some_ids in chunks(activity_ids, ACTIVITIES_AT_A_TIME):
                self.activity_storage.remove_many(some_ids)
            done += len(set(activity_ids))
        return done

    def _set_removed(self, activities: list[Any]) -> None:
        """Say that activities were removed, so that a task that is late does not bring them back."""
        if self.intents is not None:
            names = [*self.intents.of_activities(activities), *self.intents.of_authors([self.user_id])]
            self.intents.set(names, REMOVED)

    def _end_relations(self) -> dict[str, int]:
        """End follows, mutes and blocks, in both directions; returns counts."""
        storage = self.manager.get_follow_storage()
        if storage is None:
            return {}
        if self.intents is not None:
            # Tasks that read these look who follows. Before the follows end, because then nobody knows whom to name.
            self.intents.set(self.intents.of_losses([self.user_id]), UNFOLLOWED)
            for targets in chunks(storage.iter_followed(self.user_id), ACTIVITIES_AT_A_TIME):
                names = [*self.intents.of_losses(targets), *self.intents.of_follows(self.user_id, targets)]
                self.intents.set(names, UNFOLLOWED)
        return storage.erase(self.user_id)

    def _delete_feeds(self) -> int:
        """Delete his feeds, with all marks; returns how many had something in them."""
        count = 0
        for feed in self.manager.get_feeds(self.user_id).values():
            count += bool(feed.count())
            feed.delete()
        self.user_feed.delete()
        return count

    def _lists_activities(self) -> bool:
        return isinstance(self.activity_storage, ListsActivities)

    def _has_stock_tasks(self) -> bool:
        return _is_ours(self.manager.create_fanout_tasks)


def _is_ours(method: Any) -> bool:
    """Return whether a method is the library's own, and no override."""
    function = getattr(method, '__func__', None)
    return getattr(function, '__globals__', {}).get('__name__', '').startswith('stream_framework.feed_managers.')
