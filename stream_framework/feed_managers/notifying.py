"""Declared notifications: who gets to know of an activity, beside the followers, and the tasks that tell them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from stream_framework import messages, paths, tasks
from stream_framework.exceptions import MessageError


class Notifies(Protocol):
    """What notifications need of a manager."""

    notification_feed_class: Any

    def get_notified_ids(self, activity: Any) -> Iterable[Any]:
        """Return whom an activity notifies."""

    def get_fanout_task(self, priority: Any = None, feed_class: Any = None) -> Any:
        """Return the task for some feeds."""

    def create_fanout_tasks(
        self,
        follower_ids: Iterable[Any],
        feed_class: Any,
        operation: Callable[..., Any],
        operation_kwargs: Any = None,
        fanout_priority: Any = None,
    ) -> list[Any]:
        """Publish the tasks for some users."""


class Publishes(Protocol):
    """Something that is published."""

    def publish(self) -> int:
        """Publish the tasks; returns how many."""


class Notices:
    """One operation for the notification feeds of those whom some activities notify; made, then published.

    :param priority: of the tasks
    :param operation_kwargs: ``activities``, and what else the operation is called with
    :raises MessageError: for what can not be published; nothing is published then
    """

    def __init__(
        self, manager: Notifies, priority: Any, operation: Callable[..., Any], operation_kwargs: Mapping[str, Any]
    ) -> None:
        self.manager = manager
        self.priority = priority
        self.operation = operation
        #: ``(user_ids, operation_kwargs)``: those who get the same activities are told by the same tasks.
        self.parts = [
            (user_ids, messages.prepare({**operation_kwargs, 'activities': activities}))
            for user_ids, activities in parts(manager, operation_kwargs['activities'])
        ]
        for user_ids, kwargs in self.parts:
            self._check(user_ids, kwargs)

    def publish(self) -> int:
        """Publish the tasks."""
        published = 0
        for user_ids, kwargs in self.parts:
            results = self.manager.create_fanout_tasks(
                user_ids,
                self.manager.notification_feed_class,
                self.operation,
                operation_kwargs=kwargs,
                fanout_priority=self.priority,
            )
            published += len(results) if isinstance(results, Sequence) else 0
        return published

    def _check(self, user_ids: list[Any], kwargs: Any) -> None:
        feed_class = self.manager.notification_feed_class
        task = self.manager.get_fanout_task(self.priority, feed_class=feed_class)
        if not isinstance(task, tasks.StreamTask):
            return
        message = {
            'feed_manager': self.manager,
            'feed_class': feed_class,
            'user_ids': user_ids,
            'operation': self.operation,
            'operation_kwargs': kwargs,
        }
        try:
            messages.encode(task.parameters, (), message, local=bool(task.app.conf.task_always_eager))
        except MessageError as error:
            raise MessageError(f'notifications of {type(self.manager).__name__}: {error}') from error


class Together:
    """Several publications as one."""

    def __init__(self, *publications: Publishes) -> None:
        self.publications = publications

    def publish(self) -> int:
        """Publish all of them, in this order."""
        return sum(publication.publish() for publication in self.publications)


def parts(manager: Notifies, activities: Iterable[Any]) -> list[tuple[list[Any], list[Any]]]:
    """Return ``(user_ids, activities)``: whom each of some activities notifies, never its actor."""
    activities = list(activities)
    of_users: dict[Any, list[int]] = {}
    for place, activity in enumerate(activities):
        for user_id in _notified(manager, activity):
            of_users.setdefault(user_id, []).append(place)
    found: dict[tuple[int, ...], list[Any]] = {}
    for user_id, places in of_users.items():
        found.setdefault(tuple(places), []).append(user_id)
    return [(user_ids, [activities[place] for place in places]) for places, user_ids in found.items()]


def _notified(manager: Notifies, activity: Any) -> list[Any]:
    user_ids = manager.get_notified_ids(activity)
    if isinstance(user_ids, (str, bytes)) or not isinstance(user_ids, Iterable):
        raise MessageError(
            f'get_notified_ids of {type(manager).__name__} returned {paths.short(user_ids)} for {activity!r}: it must '
            'return an iterable of ids, such as [activity.target_id]'
        )
    user_ids = list(user_ids)
    try:
        messages.check_ids('it', user_ids)
    except MessageError as error:
        raise MessageError(f'get_notified_ids of {type(manager).__name__}: {error}') from error
    actor_id = getattr(activity, 'actor_id', None)
    return [user_id for user_id in dict.fromkeys(user_ids) if user_id != actor_id]
