"""Publish fan-outs: the followers in pieces, the pieces in chunks, each chunk as a task, by a ledger if one is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, Protocol

from kombu.exceptions import EncodeError

from stream_framework import ledger, messages, tasks
from stream_framework.exceptions import MessageError
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.utils import chunks


class Publisher(Protocol):
    """What publishing needs of a manager."""

    feed_classes: Any
    fanout_chunk_size: int
    publish_in_worker: bool
    metrics: Any

    def get_user_follower_ids(self, user_id: Any) -> Mapping[Any, Iterable[Any]]:
        """Return priority -> ids."""

    def create_fanout_tasks(
        self,
        follower_ids: Iterable[Any],
        feed_class: Any,
        operation: Callable[..., Any],
        operation_kwargs: Any = None,
        fanout_priority: Any = None,
    ) -> list[Any]:
        """Publish the tasks for some followers."""


def fan_out(
    manager: Publisher, user_id: Any, operation: Callable[..., Any], parts: Iterable[Mapping[str, Any] | None]
) -> int:
    """Publish the tasks for all feeds of a user's followers.

    :param parts: ``operation_kwargs``, once for each part that travels by itself
    :returns: how many tasks were published, as far as ``create_fanout_tasks`` tells
    """
    prepared = [messages.prepare(part) for part in parts]
    published = 0
    for priority, follower_ids in manager.get_user_follower_ids(user_id=user_id).items():
        for some_ids in pieces(follower_ids, manager.fanout_chunk_size):
            for operation_kwargs in prepared:
                for feed_class in manager.feed_classes.values():
                    results = manager.create_fanout_tasks(
                        some_ids,
                        feed_class,
                        operation,
                        operation_kwargs=operation_kwargs,
                        fanout_priority=priority,
                    )
                    published += len(results) if isinstance(results, Sized) else 0
    return published


def fan_out_in_worker(
    manager: Publisher, user_id: Any, operation: Callable[..., Any], parts: Iterable[Mapping[str, Any] | None]
) -> None:
    """Publish one task for each part, which finds the followers and publishes the rest."""
    for part in parts:
        tasks.publish_fanout.delay(
            feed_manager=manager, user_id=user_id, operation=operation, operation_kwargs=messages.prepare(part)
        )


def pieces(follower_ids: Iterable[Any], size: int) -> Iterator[Iterable[Any]]:
    """Return what has a length as it is, and an iterator in pieces, because it can be read only once.

    >>> list(pieces([1, 2, 3], 2)), list(pieces(iter([1, 2, 3]), 2))
    ([[1, 2, 3]], [(1, 2), (3,)])
    """
    if isinstance(follower_ids, Sized):
        yield follower_ids
    else:
        yield from chunks(follower_ids, size)


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
            return [task.delay(**kwargs) for kwargs in messages_of_chunks]
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
