"""Take back what a user did: with one object, or all of it, and all that is kept about him."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from stream_framework.exceptions import InvalidArgumentError, UpdateConflictError
from stream_framework.feed_managers import notifying, publishing
from stream_framework.feed_managers.intents import REMOVED, intents_of
from stream_framework.storage.base_follow_storage import BaseFollowStorage

#: How many activities are read, and taken back, at a time.
ACTIVITIES_AT_A_TIME = 500


class Erases(publishing.Publisher, notifying.Notifies, Protocol):
    """What erasing needs of a manager."""

    user_feed_class: Any
    operation_ttl: float

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


def erase_user(
    manager: Erases,
    user_id: Any,
    remove_operation: Callable[..., Any],
    priority: Any,
    progress: Callable[[int], Any] | None = None,
) -> dict[str, int]:
    """Remove everything about a user; parameters as of the manager's method.

    :param remove_operation: what a fan-out of removed activities does
    :param priority: of the tasks for notifications
    """
    storage = manager.get_follow_storage()
    user_feed = manager.get_user_feed(user_id)
    activities, last = 0, None
    while part := user_feed[:ACTIVITIES_AT_A_TIME]:
        if part[0].serialization_id == last:
            raise UpdateConflictError(f'{user_feed!r} still holds {part[0]!r} after it was removed: erase again')
        last = part[0].serialization_id
        _take_back(manager, user_id, part, remove_operation, priority)
        activities += len(part)
        if progress is not None:
            progress(activities)
    feeds = 0
    for feed in [*manager.get_feeds(user_id).values(), user_feed]:
        feeds += bool(feed is not user_feed and feed.count())
        feed.delete()
    # Last, because the tasks go to those who follow him.
    return {'activities': activities, 'feeds': feeds, **(storage.erase(user_id) if storage is not None else {})}


def _take_back(
    manager: Erases, user_id: Any, activities: list[Any], remove_operation: Callable[..., Any], priority: Any
) -> None:
    """Take back some activities: from all other places first, so that they are found again if this dies."""
    kwargs: Mapping[str, Any] = {'activities': activities, 'trim': False}
    # Not by a worker: when that runs, nobody may follow him any more.
    publications: list[notifying.Publishes] = [
        publishing.Publication(manager, user_id, remove_operation, kwargs, _has_stock_tasks(manager))
    ]
    if manager.notification_feed_class is not None:
        publications.append(notifying.Notices(manager, priority, remove_operation, kwargs))
    if (intents := intents_of(manager)) is not None:
        intents.set([*intents.of_activities(activities), *intents.of_authors([user_id])], REMOVED)
    for publication in publications:
        publication.publish()
    if not _is_ours(manager.remove_user_activity):
        for activity in activities:
            manager.remove_user_activity(user_id, activity)
    storage = manager.user_feed_class.get_activity_storage()
    if storage is not None:
        storage.remove_many(activities)
    manager.get_user_feed(user_id).remove_many(activities)


def _has_stock_tasks(manager: Erases) -> bool:
    return _is_ours(manager.create_fanout_tasks)


def _is_ours(method: Any) -> bool:
    """Return whether a method is the library's own, and no override."""
    function = getattr(method, '__func__', None)
    return getattr(function, '__globals__', {}).get('__name__', '').startswith('stream_framework.feed_managers.')
