"""Apply an operation to the feeds of some users, as one batch: what a fan-out's tasks do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream_framework.feed_managers.intents import ADDED, REMOVED, UPDATED, Intents, settle
from stream_framework.feed_managers.updating import HasUserFeeds, catch_up, fingerprint
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
    manager: HasUserFeeds,
    intents: Intents,
    intent: str,
    operations: Mapping[str, Callable[..., Any]],
    feed_class: Any,
    user_ids: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Apply a stock operation; then, for each activity, what was published for it later.

    :param intent: what the task was published for: ``ADDED``, ``REMOVED`` or ``UPDATED``
    :param operations: intent -> operation
    :param kwargs: ``activities``, and what else the operations are called with
    """
    activities = list(kwargs['activities'])
    updates = intents.of_updates(activities)
    names = [*updates, *intents.of_activities(activities)] if intent != UPDATED else updates
    read: Sequence[str | None] = ()

    def do(each: str, positions: list[int]) -> None:
        # The batch reads the intents in the same round trip that writes, where it can.
        nonlocal read
        some = {**kwargs, 'activities': [activities[position] for position in positions]}
        read = apply(operations[each], feed_class, user_ids, some, each, intents, names) or ()

    def wanted() -> dict[int, str | None]:
        nonlocal read
        read = read or intents.get(names)
        return dict(enumerate(read[len(updates) :]))

    def write(current: list[Any]) -> None:
        apply(operations[UPDATED], feed_class, user_ids, {'activities': current})

    if intent == UPDATED:
        do(UPDATED, list(range(len(activities))))
        wanted()
    else:
        settle(intent, range(len(activities)), do, wanted)
    found = read[: len(updates)]
    if any(found):
        authors = dict(zip(intents.storage.activities_to_ids(activities), map(_author, activities), strict=True))
        catch_up(manager, intents, authors, list(map(fingerprint, activities)), write, found)


def _author(activity: Any) -> Any:
    return getattr(activity, 'actor_id', None)
