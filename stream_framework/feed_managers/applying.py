"""Apply an operation to the feeds of some users, as one batch: what a fan-out's tasks do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from stream_framework.feed_managers.audience import Audience, Hides, leave_out
from stream_framework.feed_managers.intents import ADDED, REMOVED, UPDATED, Intents, settle
from stream_framework.feed_managers.updating import HasUserFeeds, catch_up, fingerprint
from stream_framework.storage.batch import BaseBatch


class KnowsAudience(HasUserFeeds, Hides, Protocol):
    """What fan-outs need of a manager."""


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
    manager: KnowsAudience,
    intents: Intents,
    intent: str,
    operations: Mapping[str, Callable[..., Any]],
    feed_class: Any,
    user_ids: Sequence[Any],
    kwargs: Mapping[str, Any],
    audience: Audience | None = None,
) -> None:
    """Apply a stock operation; then, for each activity, what was published for it later.

    :param intent: what the task was published for: ``ADDED``, ``REMOVED`` or ``UPDATED``
    :param operations: intent -> operation
    :param kwargs: ``activities``, and what else the operations are called with
    :param audience: who may get what is added; ``None`` for all of them
    """
    activities = list(kwargs['activities'])
    updates = intents.of_updates(activities)
    names = [*updates, *intents.of_activities(activities)] if intent != UPDATED else updates
    losses = audience.losses(intents) if audience is not None and intent != UPDATED else []
    names += losses
    read: Sequence[str | None] = ()
    added = False

    def do(each: str, positions: list[int]) -> None:
        # The batch reads the intents in the same round trip that writes, where it can.
        nonlocal read, added
        chosen = [activities[position] for position in positions]
        added = added or each == ADDED
        parts = audience.parts(chosen) if audience is not None and each == ADDED else [(user_ids, chosen)]
        read = ()
        for some_ids, some in parts:
            some_kwargs = {**kwargs, 'activities': some}
            read = apply(operations[each], feed_class, some_ids, some_kwargs, each, intents, names) or ()

    def wanted() -> dict[int, str | None]:
        nonlocal read
        read = read or intents.get(names)
        return dict(enumerate(read[len(updates) : len(updates) + len(activities)]))

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
    if audience is not None and added and losses and any(read[-len(losses) :]):
        again = functools.partial(_add_again, manager, intents, operations, feed_class, kwargs, audience.source_text)
        leave_out(audience, intents, _remover(operations, feed_class), again)


def apply_to_audience(
    operations: Mapping[str, Callable[..., Any]], feed_class: Any, audience: Audience, kwargs: Mapping[str, Any]
) -> None:
    """Add activities to the feeds of those who may get them, where no intents are kept."""

    def add(user_ids: Sequence[Any]) -> None:
        wanted = set(user_ids)
        for some_ids, some in audience.parts(audience.activities):
            chosen = [user_id for user_id in some_ids if user_id in wanted]
            apply(operations[ADDED], feed_class, chosen, {**kwargs, 'activities': some}, ADDED)

    add(audience.user_ids)
    leave_out(audience, None, _remover(operations, feed_class), add)


def _remover(operations: Mapping[str, Callable[..., Any]], feed_class: Any) -> Callable[[list[Any], list[Any]], Any]:
    def remove(user_ids: list[Any], activities: list[Any]) -> None:
        apply(operations[REMOVED], feed_class, user_ids, {'activities': activities, 'trim': False}, REMOVED)

    return remove


def _add_again(
    manager: KnowsAudience,
    intents: Intents,
    operations: Mapping[str, Callable[..., Any]],
    feed_class: Any,
    kwargs: Mapping[str, Any],
    source: str | None,
    user_ids: list[Any],
) -> None:
    audience = Audience(manager, user_ids, list(kwargs['activities']), source)
    apply_in_order(manager, intents, ADDED, operations, feed_class, user_ids, kwargs, audience)


def _author(activity: Any) -> Any:
    return getattr(activity, 'actor_id', None)
