"""Apply an operation to the feeds of some users, as one batch: what a fan-out's tasks do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream_framework.feed_managers.intents import ADDED, REMOVED, Intents, settle
from stream_framework.storage.batch import BaseBatch


def apply(
    operation: Callable[..., Any],
    feed_class: Any,
    user_ids: Sequence[Any],
    kwargs: Mapping[str, Any],
    stock: str | None = None,
    intents: Intents | None = None,
    names: Sequence[str] = (),
) -> list[str | None] | None:
    """Apply an operation to the feeds of some users, and read intents when all is written.

    :param kwargs: what the operation is called with, beside the feed and the batch
    :param stock: the intent that the operation carries out, if it is the library's: feeds of a class get the same then
    :param intents: where to read intents
    :param names: the intents to read
    :returns: those intents; ``None`` where the batch can not read them
    """
    if not user_ids:
        return None
    with feed_class.get_timeline_batch_interface() as batch_interface:
        kwargs = {**kwargs, 'batch_interface': batch_interface}
        if stock in _TO_MANY and kwargs.keys() <= _KNOWN:
            getattr(feed_class, _TO_MANY[stock])(user_ids, **kwargs)
        else:
            for user_id in user_ids:
                operation(feed_class(user_id), **kwargs)
        if intents is None or not isinstance(batch_interface, BaseBatch):
            return None
        batch_interface.then_read_intents(intents.storage, names)
    return batch_interface.intents


#: Intent -> the class method of feeds that does it with many of them.
_TO_MANY: dict[str | None, str] = {ADDED: 'add_to_many', REMOVED: 'remove_from_many'}
_KNOWN = {'activities', 'batch_interface', 'trim'}


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
        read = apply(operations[each], feed_class, user_ids, some, each, intents, names)

    def wanted() -> dict[int, str | None]:
        return dict(enumerate(read or intents.get(names)))

    settle(intent, range(len(activities)), do, wanted)
