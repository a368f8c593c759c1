"""What was published last wins, in whatever order workers run the tasks.

An *intent* says what was published last for an activity (``added``, ``removed``) or for a follow (``followed``,
``unfollowed``, ``left``). It is a small value in the activity storage, and expires. Three rules make the order of tasks
irrelevant:

- The intent is set before the task is published.
- A task writes first, and reads the intents afterwards.
- Where an intent says something else than the task did, the task does that and reads again, until both agree.

So whichever task is the last to read has seen what was published last, and it also was the last to write.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from stream_framework.exceptions import UpdateConflictError
from stream_framework.storage.abilities import KeepsIntents
from stream_framework.utils.keys import own_key

Thing = TypeVar('Thing', bound=Hashable)

ADDED = 'added'
REMOVED = 'removed'
FOLLOWED = 'followed'
UNFOLLOWED = 'unfollowed'
#: No longer followed, and what came from there stays.
LEFT = 'left'
#: What a task was published for, but no intent: an update leaves what was published last as it is.
UPDATED = 'updated'

#: All intents, in the order in which they are carried out. What takes away comes first: otherwise trimming drops old
#: activities to make room for new ones, and then the room of those that are taken away stays empty.
INTENTS = (REMOVED, UNFOLLOWED, LEFT, ADDED, FOLLOWED)

#: How often :func:`settle` carries out intents that keep changing before it gives up.
ATTEMPTS = 100


def settle(
    intent: str,
    things: Iterable[Thing],
    do: Callable[[str, list[Thing]], Mapping[Thing, str] | None],
    wanted: Callable[[], Mapping[Thing, str | None]],
) -> None:
    """Carry out an intent, then whatever is wanted instead, until what was done is what is wanted.

    It may be run again after it died at any moment: it then begins with ``intent`` once more.

    :param intent: what a task was published for, one of ``INTENTS``
    :param things: what it was published about
    :param do: carries out an intent for some things; returns what it did to other things by that, if anything
    :param wanted: reads the intents; things without one are left out, or are ``None``
    :raises UpdateConflictError: if the intents kept changing during :data:`ATTEMPTS` attempts

    >>> feed, published = set(), {'first': 'added', 'second': 'removed'}
    >>> def do(intent, things):
    ...     (feed.update if intent == 'added' else feed.difference_update)(things)
    >>> settle('added', ['first', 'second'], do, lambda: published)
    >>> feed
    {'first'}
    """
    done: dict[Thing, str] = {}
    todo = {intent: list(things)}
    for _ in range(ATTEMPTS):
        for each in INTENTS:
            if each in todo:
                others = do(each, todo[each])
                done.update(dict.fromkeys(todo[each], each))
                done.update(others or {})
        todo = {}
        for thing, now in wanted().items():
            if now in INTENTS and now != done.get(thing):
                todo.setdefault(now, []).append(thing)
        if not todo:
            return
    raise UpdateConflictError(
        f'{next(iter(todo.values()))[0]!r} and perhaps others: what was published for them kept changing during '
        f'{ATTEMPTS} attempts to carry it out; run the same task again'
    )


class Intents:
    """The intents of one class of managers, by name, in an activity storage.

    :param storage: where they are kept: an activity storage that is a
        :class:`~stream_framework.storage.abilities.KeepsIntents`
    :param manager_class: managers of other classes have intents of their own, even in the same storage
    :param ttl: for how long they are kept, in seconds
    """

    def __init__(self, storage: Any, manager_class: type, ttl: float) -> None:
        self.storage = storage
        self.ttl = ttl
        self._prefix = _prefix(manager_class)

    def of_activities(self, activities: Iterable[Any]) -> list[str]:
        """Return the names of the intents of activities, given themselves or by their ids."""
        return [f'{self._prefix}:{activity_id}' for activity_id in self.storage.activities_to_ids(activities)]

    def of_updates(self, activities: Iterable[Any]) -> list[str]:
        """Return the names of what says how activities, given themselves or by their ids, were updated last."""
        return [f'{self._prefix}:updated {activity_id}' for activity_id in self.storage.activities_to_ids(activities)]

    def of_follows(self, user_id: Any, target_ids: Iterable[Any]) -> list[str]:
        """Return the names of the intents of one user's follows."""
        follower = _plain(user_id)
        return [self._without_ids(f'{follower!r}>{_plain(target_id)!r}') for target_id in target_ids]

    def of_authors(self, user_ids: Iterable[Any]) -> list[str]:
        """Return the names of what says that some activities of a user were removed or updated lately."""
        return [self._without_ids(f'by {_plain(user_id)!r}') for user_id in user_ids]

    def of_losses(self, user_ids: Iterable[Any]) -> list[str]:
        """Return the names of what says that somebody unfollowed, muted or blocked some user lately."""
        return [self._without_ids(f'lost by {_plain(user_id)!r}') for user_id in user_ids]

    def _without_ids(self, text: str) -> str:
        # No key holds a user's id, because one who is erased must not be found anywhere.
        return f'{self._prefix}:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}'

    def set(self, names: Sequence[str], intent: str, existing: bool = False) -> None:
        """Set intents.

        :param existing: set only those that there are
        """
        self.storage.set_intents(names, intent, self.ttl, existing=existing)

    def get(self, names: Sequence[str]) -> list[str | None]:
        """Return intents, in the order of their names; ``None`` for those that there are not. One round trip."""
        return self.storage.get_intents(names)

    def store(self, feed_class: Any, insert: Callable[..., Any], given: Any, activities: Iterable[Any]) -> None:
        """Store activities, and turn the intents that there are to ``added``; in one step where that is possible.

        :param insert: ``feed_class.insert_activity`` or ``feed_class.insert_activities``
        :param given: what ``insert`` is called with
        """
        names = self.of_activities(activities)
        if feed_class.inserts_as_usual:
            self.storage.add_and_turn(list(activities), names, ADDED, self.ttl)
        else:
            insert(given)
            self.set(names, ADDED, existing=True)


def _prefix(manager_class: type) -> str:
    return own_key('published', _digest(manager_class))


class HasIntents(Protocol):
    """What intents need of a manager."""

    user_feed_class: Any
    operation_ttl: float


def intents_of(manager: HasIntents) -> Intents | None:
    """Return the intents of a manager; ``None`` where its activity storage keeps none."""
    storage = manager.user_feed_class.get_activity_storage()
    if not isinstance(storage, KeepsIntents):
        return None
    return Intents(storage, type(manager), manager.operation_ttl)


@functools.lru_cache(maxsize=256)
def _digest(manager_class: type) -> str:
    name = f'{manager_class.__module__}.{manager_class.__qualname__}'
    return hashlib.blake2b(name.encode(), digest_size=6).hexdigest()


def _plain(user_id: Any) -> Any:
    """Return an id as it comes out of a message, so that an intent has one name in the publisher and in the worker."""
    if isinstance(user_id, str):
        return str.__str__(user_id)
    try:
        return operator.index(user_id)
    except TypeError:
        return user_id
