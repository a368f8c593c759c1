"""The Celery tasks: fan-outs, following and unfollowing.

They belong to whatever Celery application is current, made before or after this module is imported: list
``stream_framework.tasks`` in its ``include``, or let it autodiscover. What they are given travels as plain JSON
(:mod:`stream_framework.messages`); called directly, they take what they are given as it is.

**Delivery is at least once.** A message is acknowledged when its task has ended, so work that a worker dies over is
delivered again, and part of it done twice; every operation of the library may be. (A message whose work kills each
worker it comes to, by its memory say, comes back for ever; RabbitMQ's quorum queues bound that by a delivery limit.)
Errors of connections, time-outs, and conflicts between writers are retried with growing, random delays, whoever raises
them: the library, or an application's operation or manager. After :attr:`StreamTask.max_retries` of them the task
fails, with an error in the log. A message that names what it may not is rejected, and never runs.
What a broker loses all the same is published again where the manager keeps a :mod:`ledger <stream_framework.ledger>`.

An application's own fan-out task, which its manager's ``get_fanout_task`` gives, takes the same arguments, and its
messages are plain JSON too, if it is declared with ``@shared_task(base=StreamTask)``.

Each of the attributes of :class:`StreamTask` can be set for all tasks, or some, by Celery's ``task_annotations``.
"""

from __future__ import annotations

import functools
import inspect
import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Ignore, Reject, Retry
from kombu.exceptions import OperationalError

from stream_framework import ledger, messages, paths
from stream_framework.exceptions import MessageError, StorageConnectionError, UpdateConflictError
from stream_framework.publishing_context import publish
from stream_framework.storage.errors import may_succeed_later
from stream_framework.utils import count_task

logger = logging.getLogger(__name__)


class StreamTask(Task):
    """A task whose arguments are encoded when it is published, and decoded before it runs."""

    #: Acknowledge when the work is done, not before.
    acks_late = True
    #: Work that a killed worker process had begun is delivered again.
    reject_on_worker_lost = True
    #: What is worth another try. Where ``StorageConnectionError`` is among it, so are the errors of redis-py and of the
    #: Cassandra driver that mean the same.
    retry_for: tuple[type[BaseException], ...] = (
        StorageConnectionError,
        UpdateConflictError,
        ConnectionError,
        TimeoutError,
        OperationalError,
    )
    #: How often to try again before the task fails; ``None`` for ever.
    max_retries = 10
    #: The longest delay before the first retry, in seconds; it doubles with each. Half of it, at least, is waited.
    retry_backoff: float = 1.0
    #: The longest delay of all, in seconds. Keep it well below the ``visibility_timeout`` of Redis and SQS brokers.
    retry_backoff_max: float = 300.0
    #: Whether its messages are written into the ledger of a manager that keeps one.
    use_ledger = True

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Put the application's own task class behind this one, as for any other shared task.

        Applications set ``Celery(task_cls=...)`` for what each of their tasks needs: Flask's context, say.
        """
        if cls.name is not None and not issubclass(cls, app.Task):
            cls.__bases__ = (*cls.__bases__, app.Task)
        super().on_bound(app)

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of what the task takes."""
        return tuple(inspect.signature(self.run).parameters)

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, *rest: Any, **options: Any
    ) -> Any:
        """Publish the task; before that, where its manager keeps a ledger, write it there.

        :raises MessageError: for arguments that can't travel, with the remedy
        :raises StorageError: if the ledger can't be written; nothing is published then
        """
        eager = bool(self.app.conf.task_always_eager)
        manager = self._manager(args or (), kwargs or {})
        args, kwargs = self._encode(args, kwargs)
        if not eager:
            # A retry is in the ledger already, and says so.
            if self.use_ledger and ledger.HEADER not in (options.get('headers') or {}):
                storage = self._ledger_of(manager)
                if storage is not None:
                    entry = self.entry(args, kwargs, manager, task_id, options)
                    ledger.write(storage, [entry])
                    task_id = entry.id
                    options['headers'] = {**(options.get('headers') or {}), **entry.headers()}
            if not getattr(self.request, 'stream_framework', False):
                count_task(self.name, 'published')
            # For those who look at queues. Celery would write out all the ids, which takes longer than the rest.
            options.setdefault('argsrepr', '()')
            options.setdefault('kwargsrepr', messages.summary(self.parameters, args, kwargs))
        return publish(functools.partial(super().apply_async, args, kwargs, task_id, *rest, **options))

    def entry(
        self, args: Any, kwargs: Any, manager: Any, task_id: str | None = None, options: Mapping[str, Any] | None = None
    ) -> ledger.Entry:
        """What the ledger keeps of a message.

        :param args: encoded, and so are ``kwargs``
        """
        lifetime = getattr(manager, 'operation_ttl', ledger.KEPT_FOR)
        return ledger.Entry(self.name, args, kwargs, options or {}, lifetime, task_id)

    def _manager(self, args: Any, kwargs: Any) -> Any:
        return {**dict(zip(self.parameters, args, strict=False)), **kwargs}.get('feed_manager')

    def _ledger_of(self, manager: Any) -> Any:
        # Parts of chains are encoded when they are put together.
        return ledger.storage_of(paths.resolve_manager(manager) if isinstance(manager, str) else manager)

    def signature(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """A signature, encoded at once where it is complete: chains and chords put it into the messages of others."""
        if messages.is_complete(self.parameters, args or (), kwargs or {}):
            args, kwargs = self._encode(args, kwargs)
        return super().signature(args, kwargs, *rest, **options)

    def _encode(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if isinstance(kwargs, messages.Encoded):
            return args, kwargs
        eager = bool(self.app.conf.task_always_eager)
        return messages.encode(self.parameters, args or (), kwargs or {}, local=eager)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        # Called by a worker, or by the application: directly, eagerly, or from within this very task.
        by_worker = not (request.called_directly or request.is_eager or hasattr(request, 'stream_framework'))
        if not by_worker:
            args, kwargs = messages.decode(self.parameters, args, kwargs, local=True)
            return super().__call__(*args, **kwargs)
        request.stream_framework = True
        try:
            try:
                args, kwargs = messages.decode(self.parameters, args, kwargs)
            except MessageError as error:
                count_task(self.name, 'rejected')
                logger.error('%s[%s] is rejected, nothing was run: %s', self.name, request.id, error)
                raise Reject(error, requeue=False) from error
            receipt = ledger.Receipt(self._manager(args, kwargs), request)
            if receipt.done:
                count_task(self.name, 'skipped')
                logger.info('%s[%s] was published again, and has been done meanwhile', self.name, request.id)
                return 'done already'
            result = super().__call__(*args, **kwargs)
            receipt.close()
            count_task(self.name, 'done')
            return result
        except self.retry_for as error:
            raise self._again(request, error) from error
        except (Ignore, Reject, Retry):
            raise
        except Exception as error:
            if issubclass(StorageConnectionError, tuple(self.retry_for)) and may_succeed_later(error):
                raise self._again(request, error) from error
            # Celery logs it, with the traceback.
            count_task(self.name, 'failed')
            raise
        finally:
            del request.stream_framework

    def _again(self, request: Any, error: BaseException) -> BaseException:
        if self.max_retries is not None and request.retries >= self.max_retries:
            count_task(self.name, 'failed')
            logger.error(
                '%s[%s] failed: given up after %d retries, the work is not done: %s',
                self.name,
                request.id,
                request.retries,
                error,
            )
            raise error
        delay = self._delay(request.retries)
        count_task(self.name, 'retried')
        logger.warning('%s[%s] is tried again in %.1f s: %s', self.name, request.id, delay, error)
        try:
            return self.retry(exc=error, countdown=delay, throw=False)
        except Reject as rejected:
            # The retry could not be published, so the broker has to deliver the message itself again.
            raise Reject(rejected.reason, requeue=not isinstance(rejected.reason, MessageError)) from error

    def _delay(self, retries: int) -> float:
        longest = min(self.retry_backoff * 2 ** min(retries, 60), self.retry_backoff_max)
        return longest * random.uniform(0.5, 1)


@shared_task(name='stream_framework.tasks.fanout_operation', base=StreamTask)
def fanout_operation(feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, operation_kwargs: Any) -> str:
    """Apply an operation to the feeds of some users.

    :param feed_manager: an instance of a class with a ``fanout`` method, which can be made without arguments
    :param feed_class: a subclass of ``BaseFeed``
    :param user_ids: an iterable of ids
    :param operation: a module-level function, called with each feed and ``operation_kwargs``
    :param operation_kwargs: a dict, may hold activities
    :returns: what was done, in few words
    """
    return _fan_out('fanout_operation', feed_manager, feed_class, user_ids, operation, operation_kwargs)


@shared_task(name='stream_framework.tasks.fanout_operation_hi_priority', base=StreamTask)
def fanout_operation_hi_priority(
    feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, operation_kwargs: Any
) -> str:
    """:func:`fanout_operation`, for a queue of what is urgent."""
    return _fan_out('fanout_operation_hi_priority', feed_manager, feed_class, user_ids, operation, operation_kwargs)


@shared_task(name='stream_framework.tasks.fanout_operation_low_priority', base=StreamTask)
def fanout_operation_low_priority(
    feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, operation_kwargs: Any
) -> str:
    """:func:`fanout_operation`, for a queue of what can wait."""
    return _fan_out('fanout_operation_low_priority', feed_manager, feed_class, user_ids, operation, operation_kwargs)


@shared_task(name='stream_framework.tasks.follow_many', base=StreamTask)
def follow_many(feed_manager: Any, user_id: Any, target_ids: Any, follow_limit: Any) -> None:
    """Copy the newest activities of some users into another user's feeds.

    :param target_ids: an iterable of the ids of those who are followed
    :param follow_limit: how many activities of each
    """
    target_ids = list(target_ids)
    with _timed('follow_many: %d users followed by %s', len(target_ids), user_id):
        feed_manager.apply_follow(user_id, target_ids, follow_limit)


@shared_task(name='stream_framework.tasks.unfollow_many', base=StreamTask)
def unfollow_many(feed_manager: Any, user_id: Any, source_ids: Any) -> None:
    """Remove the activities of some users from another user's feeds.

    :param source_ids: an iterable of the ids of those who are no longer followed
    """
    source_ids = list(source_ids)
    with _timed('unfollow_many: %d users unfollowed by %s', len(source_ids), user_id):
        feed_manager.apply_unfollow(user_id, source_ids)


@shared_task(name='stream_framework.tasks.publish_fanout', base=StreamTask)
def publish_fanout(feed_manager: Any, user_id: Any, operation: Any, operation_kwargs: Any) -> str:
    """Publish a fan-out's tasks: what managers with ``publish_in_worker`` leave to a worker.

    Takes as long as its followers take to be found and published; give it a queue, and workers, of its own.

    :param user_id: whose followers
    :param operation: as of :func:`fanout_operation`, and so is ``operation_kwargs``
    :returns: what was done, in few words
    """
    operation_name = _name(operation)
    with _timed('publish_fanout: %s for the followers of %s', operation_name, user_id):
        published = feed_manager.publish_fanout(user_id, operation, operation_kwargs)
    return f'{published} tasks, {operation_name} ({_summary(operation_kwargs)})'


@shared_task(name='stream_framework.tasks.republish', base=StreamTask, use_ledger=False)
def republish(feed_manager: Any) -> str:
    """Publish again what has been open in a manager's ledger for too long: for Celery's beat.

    :param feed_manager: a manager; in beat's schedule its import path, ``'myapp.feeds:PinManager'``
    :returns: what was found, in few words
    """
    with _timed('republish: ledger of %s', type(feed_manager).__name__):
        return str(ledger.republish(feed_manager))


def _fan_out(
    task: str, feed_manager: Any, feed_class: Any, user_ids: Any, operation: Any, operation_kwargs: Any
) -> str:
    user_ids = list(user_ids)
    feed_name, operation_name = _name(feed_class), _name(operation)
    with _timed('%s: %s on %d %s', task, operation_name, len(user_ids), feed_name):
        feed_manager.fanout(user_ids, feed_class, operation, operation_kwargs)
    return f'{len(user_ids)} user_ids, {feed_name}, {operation_name} ({_summary(operation_kwargs)})'


@contextmanager
def _timed(message: str, *args: Any) -> Iterator[None]:
    start = time.perf_counter()
    yield
    logger.info(message + ' in %.3f s', *args, time.perf_counter() - start)


def _name(thing: Any) -> str:
    return getattr(thing, '__name__', type(thing).__name__)


def _summary(operation_kwargs: Any) -> str:
    if not isinstance(operation_kwargs, Mapping):
        return ''
    return ', '.join(
        f'{name}={len(value) if isinstance(value, (list, tuple, set)) else repr(value)[:30]}'
        for name, value in operation_kwargs.items()
    )
