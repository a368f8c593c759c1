"""Publish fan-outs: the followers in pieces, the pieces in chunks, each chunk as a task, by a ledger if one is kept.

A fan-out is looked at before anything is stored, and published afterwards: what can not be published is refused while
nothing has happened yet.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import partial
from typing import Any, Protocol

from kombu.exceptions import EncodeError

from stream_framework import ledger, messages, paths, publishing_context, tasks
from stream_framework.exceptions import MessageError
from stream_framework.feed_managers.audience import SOURCE
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.utils import chunks

#: How many followers that the library keeps are published at a time, about.
PIECE = 1000


class Publisher(Protocol):
    """What publishing needs of a manager."""

    feed_classes: Any
    fanout_chunk_size: int
    priority_fanout_task: Any
    publish_in_worker: bool
    metrics: Any

    def get_user_follower_ids(self, user_id: Any) -> Mapping[Any, Iterable[Any]]:
        """Return priority -> ids."""

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
        """Publish the tasks for some followers."""


#: (priority, feed class) -> the task that a manager gave for them when a fan-out was looked at.
Tasks = dict[tuple[Any, Any], Any]

_given_tasks: contextvars.ContextVar[tuple[Publisher, Tasks] | None] = contextvars.ContextVar(
    'given_tasks', default=None
)


class Publication:
    """One operation for the feeds of a user's followers: looked at when it is made, then published.

    :param manager: asked for the followers once, and for each task once
    :param user_id: whose followers
    :param operation_kwargs: what the operation is called with
    :param has_stock_tasks: whether the manager's ``create_fanout_tasks`` is the library's. What an application's own
        does with followers, classes and operations is its business
    :param visible: given followers, returns those who may get it; called when they are published
    :raises MessageError: for what can not be published
    """

    def __init__(
        self,
        manager: Publisher,
        user_id: Any,
        operation: Callable[..., Any],
        operation_kwargs: Mapping[str, Any] | None,
        has_stock_tasks: bool = True,
        visible: Callable[[Iterable[Any]], Iterable[Any]] | None = None,
    ) -> None:
        self.manager = manager
        self.user_id = user_id
        self.visible = visible
        self.operation = operation
        self.operation_kwargs = messages.prepare(operation_kwargs)
        self.tasks: Tasks = {}
        self.followers = _followers(manager, user_id)
        if has_stock_tasks:
            self._check()
        else:
            check_activities(manager, self.operation_kwargs)

    def publish(self) -> int:
        """Publish the tasks; returns how many, as far as the manager's ``create_fanout_tasks`` tells."""
        token = _given_tasks.set((self.manager, self.tasks))
        try:
            return sum(
                self._publish(priority, piece, done)
                for priority, follower_ids in self.followers.items()
                for done, piece in pieces(self._visible(follower_ids), self._piece_size())
            )
        finally:
            _given_tasks.reset(token)

    def _piece_size(self) -> int:
        """Return how many of an iterator are in a piece.

        Followers that the library keeps come in pages: several chunks are published at once, because that costs less.
        """
        size = self.manager.fanout_chunk_size
        return size * max(PIECE // max(size, 1), 1) if SOURCE in (self.operation_kwargs or ()) else size

    def _visible(self, follower_ids: Iterable[Any]) -> Iterable[Any]:
        return follower_ids if self.visible is None else self.visible(follower_ids)

    def _publish(self, priority: Any, follower_ids: Iterable[Any], done: int) -> int:
        """Publish the tasks for a piece of the followers, of whom so many are done already."""
        published = 0
        for feed_class in self.manager.feed_classes.values():
            try:
                results = self.manager.create_fanout_tasks(
                    follower_ids,
                    feed_class,
                    self.operation,
                    operation_kwargs=self.operation_kwargs,
                    fanout_priority=priority,
                )
            except MessageError as error:
                if isinstance(self.followers[priority], Sized):
                    raise
                raise MessageError(
                    f'{_source(self.manager)} stopped after {done} followers of priority {priority!r}, whose tasks are '
                    f'published: {error}'
                ) from error
            published += len(results) if isinstance(results, Sized) else 0
        return published

    def _check(self) -> None:
        """Refuse what the library's own tasks would refuse, and an application's would not have to."""
        for priority, follower_ids in self.followers.items():
            checked = False
            for feed_class in self.manager.feed_classes.values():
                task = self.manager.get_fanout_task(priority, feed_class=feed_class)
                self.tasks[priority, feed_class] = task
                if not isinstance(task, tasks.StreamTask):
                    continue
                if not checked:
                    _check_ids(self.manager, priority, follower_ids)
                    checked = True
                if isinstance(follower_ids, Sized) and not len(follower_ids):
                    check_activities(self.manager, self.operation_kwargs)
                    continue
                message = {
                    'feed_manager': self.manager,
                    'feed_class': feed_class,
                    'user_ids': [],
                    'operation': self.operation,
                    'operation_kwargs': self.operation_kwargs,
                }
                messages.encode(task.parameters, (), message, local=_is_eager(task))


class PublicationInWorker:
    """The same as one task, which finds the followers and publishes the rest; parameters as of :class:`Publication`."""

    def __init__(
        self,
        manager: Publisher,
        user_id: Any,
        operation: Callable[..., Any],
        operation_kwargs: Mapping[str, Any] | None,
        has_stock_tasks: bool = True,
    ) -> None:
        self.message = {
            'feed_manager': manager,
            'user_id': user_id,
            'operation': operation,
            'operation_kwargs': messages.prepare(operation_kwargs),
        }
        task = tasks.publish_fanout
        messages.encode(task.parameters, (), self.message, local=_is_eager(task))
        for feed_class in manager.feed_classes.values() if has_stock_tasks else ():
            paths.feed_path(feed_class, local=_is_eager(task))

    def publish(self) -> int:
        """Publish the task."""
        tasks.publish_fanout.delay(**self.message)
        return 1


def task_for(manager: Publisher, priority: Any, feed_class: Any) -> Any:
    """Return a manager's task for some feeds: what it gave when the fan-out was looked at, else it is asked."""
    given = _given_tasks.get()
    if given is not None and given[0] is manager and (priority, feed_class) in given[1]:
        return given[1].pop((priority, feed_class))
    return manager.get_fanout_task(priority, feed_class=feed_class)


def check_activities(manager: Publisher, operation_kwargs: Mapping[str, Any] | None) -> None:
    """Refuse what the library's tasks can not take: verbs, classes, contexts, ids.

    :raises MessageError: with the remedy
    """
    stream_tasks = [task for task in manager.priority_fanout_task.values() if isinstance(task, tasks.StreamTask)]
    if operation_kwargs and stream_tasks:
        prepared = messages.prepare(operation_kwargs)
        prepared.encoded(local=_is_eager(stream_tasks[0]))  # type: ignore[union-attr]


def pieces(follower_ids: Iterable[Any], size: int) -> Iterator[tuple[int, Iterable[Any]]]:
    """Yield what has a length as it is, and an iterator in pieces, because it can be read only once.

    Before each piece stands how many came before it.

    >>> list(pieces([1, 2, 3], 2)), list(pieces(iter([1, 2, 3]), 2))
    ([(0, [1, 2, 3])], [(0, (1, 2)), (2, (3,))])
    """
    if isinstance(follower_ids, Sized):
        yield 0, follower_ids
    else:
        yield from ((number * size, piece) for number, piece in enumerate(chunks(follower_ids, size)))


def _followers(manager: Publisher, user_id: Any) -> Mapping[Any, Iterable[Any]]:
    followers = manager.get_user_follower_ids(user_id=user_id)
    if not hasattr(followers, 'items'):
        raise MessageError(
            f'{_source(manager)} returned {paths.short(followers)} for user {user_id!r}: it must return a dict, '
            'priority -> ids, such as {FanoutPriority.HIGH: [1, 2, 3]}'
        )
    return followers


def _check_ids(manager: Publisher, priority: Any, follower_ids: Any) -> None:
    """Refuse ids of a wrong kind; those of an iterator are seen when it is read."""
    if isinstance(follower_ids, (str, bytes)) or not isinstance(follower_ids, Iterable):
        raise MessageError(
            f'{_source(manager)} gave {paths.short(follower_ids)} for priority {priority!r}: it must give an iterable '
            'of ids'
        )
    if isinstance(follower_ids, Sized):
        try:
            messages.check_ids('it', follower_ids)
        except MessageError as error:
            raise MessageError(f'{_source(manager)}, priority {priority!r}: {error}') from error


def _source(manager: Publisher) -> str:
    return f'get_user_follower_ids of {type(manager).__name__}'


def _is_eager(task: tasks.StreamTask) -> bool:
    return bool(task.app.conf.task_always_eager)


def publish(manager: Publisher, task: Any, feed_class: Any, messages_of_chunks: Iterable[dict[str, Any]]) -> list[Any]:
    """Publish a task for each chunk; write it into the manager's ledger before, if that keeps one.

    :param messages_of_chunks: the keyword arguments of each task
    :returns: what publishing each of them returned
    :raises MessageError: for what can't travel in a task message, with the remedy
    """
    # Run eagerly, nothing is published.
    published = isinstance(task, tasks.StreamTask) and not task.app.conf.task_always_eager
    timer = getattr(manager.metrics, 'publish_timer', None) if published else None
    try:
        with timer(feed_class) if timer else contextlib.nullcontext():
            storage = ledger.storage_of(manager) if published and task.use_ledger else None
            if storage is not None:
                return _publish_by_ledger(storage, manager, task, messages_of_chunks)
            if isinstance(task, tasks.StreamTask):
                return [task.delay(**kwargs) for kwargs in messages_of_chunks]
            return [publishing_context.publish(partial(task.delay, **kwargs)) for kwargs in messages_of_chunks]
    except EncodeError as error:
        raise MessageError(
            f'{task!r} can not be published ({error}): declare a fan-out task of your own with '
            '@shared_task(base=stream_framework.tasks.StreamTask), or have Celery send pickles'
        ) from error


def _publish_by_ledger(
    storage: BaseActivityStorage, manager: Publisher, task: Any, messages_of_chunks: Iterable[dict[str, Any]]
) -> list[Any]:
    # Some at a time, because there may be many.
    encoded = (messages.encode(task.parameters, (), kwargs) for kwargs in messages_of_chunks)
    results: list[Any] = []
    for entries in ledger.batches(task.entry(args, kwargs, manager) for args, kwargs in encoded):
        ledger.write(storage, entries)
        results += [entry.publish(task) for entry in entries]
    return results
