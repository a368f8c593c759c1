"""Apply an operation to the feeds of some users, as one batch: what a fan-out's tasks do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stream_framework.feed_managers.intents import ADDED, Intents, settle
from stream_framework.feeds.base import BaseFeed
from stream_framework.storage.base import BaseBatch


def apply(
    operation: Callable[..., Any],
    feed_class: Any,
    user_ids: Sequence[Any],
    kwargs: Mapping[str, Any],
    repeats: bool = False,
    intents: Intents | None = None,
    names: Sequence[str] = (),
) -> list[str | None] | None:
    """Apply an operation to the feeds of some users, and read intents when all is written.

    :param kwargs: what the operation is called with, beside the feed and the batch
    :param repeats: whether the operation does the same with each feed
    :param intents: where to read intents
    :param names: the intents to read
    :returns: those intents; ``None`` where the batch can not read them
    """
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
                    and repeats
                    and _differ_in_keys(feed_class)
                    and batch_interface.repeats(feed, kwargs.get('activities'), kwargs.get('trim', True))
                ):
                    # What the first got is queued for all others, without making a feed for each.
                    batch_interface.repeat(_keys(feed_class.key_format, user_ids[2:]))
                    break
            operation(feed, **kwargs)
        if shared is not None and intents is not None:
            batch_interface.then_read_marks(intents.storage, names)
    return batch_interface.marks if shared is not None else None


def apply_in_order(
    intents: Intents,
    intent: str,
    operations: Mapping[str, Callable[..., Any]],
    feed_class: Any,
    user_ids: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Apply a stock operation, then the opposite one to activities for which that was published later.

    :param intent: what the task was published for
    :param operations: intent -> operation
    :param kwargs: ``activities``, and what else the operations are called with
    """
    activities = list(kwargs['activities'])
    names = intents.of_activities(activities)
    read: list[str | None] | None = None

    def do(each: str, positions: list[int]) -> None:
        # The batch reads the intents in the same round trip that writes, where it can.
        nonlocal read
        some = {**kwargs, 'activities': [activities[position] for position in positions]}
        read = apply(operations[each], feed_class, user_ids, some, each == ADDED, intents, names)

    def wanted() -> dict[int, str | None]:
        return dict(enumerate(read or intents.get(names)))

    settle(intent, range(len(activities)), do, wanted)


def _differ_in_keys(feed_class: Any) -> bool:
    """Whether feeds of a class are made as the library makes them, and add as the library does."""
    return (
        feed_class.__init__ is BaseFeed.__init__
        and feed_class.__new__ is object.__new__
        and feed_class.add_many is BaseFeed.add_many
        and isinstance(feed_class.key_format, str)
        and not hasattr(feed_class, 'key')
    )


def _keys(key_format: str, user_ids: Iterable[Any]) -> list[str]:
    """The keys of users' feeds."""
    head, id_itself, tail = key_format.partition('%(user_id)s')
    if id_itself and '%' not in head + tail:
        # The same in half the time, for nearly all formats.
        return [f'{head}{user_id!s}{tail}' for user_id in user_ids]
    return [key_format % {'user_id': user_id} for user_id in user_ids]
