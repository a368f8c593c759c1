"""Who of a chunk of readers may get what: asked before a fan-out writes, and once more if that changed lately.

Who publishes the tasks of a fan-out to the followers that the library keeps leaves out those from whom the author is
hidden: one question for the whole fan-out, where they are few. Its tasks need not ask again. Else, and where the
application has a ``hidden_from`` of its own, each task asks once for its chunk.

Somebody may unfollow, mute or block while a fan-out that would reach him is on its way. Whoever does that writes the
state first, then the intent of a *loss* of the author, then publishes the task that removes. A fan-out writes first and
reads that intent afterwards, with the other intents. If there is none, the task that removes is still to come. If there
is one, the fan-out looks at the state, and takes out what it should not have written.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from stream_framework.exceptions import InvalidArgumentError
from stream_framework.feed_managers.intents import LEFT, Intents
from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.storage.follow_values import id_from_text, id_to_text
from stream_framework.utils import chunks

#: The key of ``operation_kwargs`` that says whose followers a fan-out is for, where the library keeps the follows.
SOURCE = 'source_id'
#: The key that says when those from whom the activities are hidden were left out, in seconds since 1970.
VISIBLE_SINCE = 'visible_since'
#: How many followers are asked about at a time where an author is hidden from many.
ASKED_AT_A_TIME = 1000


class Hides(Protocol):
    """What an audience needs of a manager."""

    def hidden_from(self, activities: Sequence[Any], user_ids: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        """Return who must not get what."""

    def may_hide(self) -> bool:
        """Return whether anything may be hidden from anybody."""

    def hides_by_hook(self) -> bool:
        """Return whether the application says what is hidden."""

    def get_follow_storage(self) -> BaseFollowStorage | None:
        """Return the follow storage."""


def find_hidden(manager: Hides, activities: Sequence[Any], user_ids: Sequence[Any]) -> set[tuple[Any, Any]]:
    """Ask a manager's ``hidden_from``.

    :returns: ``(id of an activity, user_id)``
    :raises InvalidArgumentError: if it returns something else than pairs of an activity and a user's id
    """
    if not activities or not user_ids:
        return set()
    name = f'hidden_from of {type(manager).__name__}'
    pairs = manager.hidden_from(activities, user_ids)
    found = set()
    try:
        for activity, user_id in pairs:
            found.add((activity.serialization_id, user_id))
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidArgumentError(
            f'{name} returned something else than pairs: return a list of (activity, user_id), [] for nothing hidden '
            f'({error})'
        ) from error
    return found


def leave_out_at_once(
    manager: Hides, kwargs: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Callable[[Iterable[Any]], Iterable[Any]] | None]:
    """Return how to leave out the followers from whom an author is hidden, when the tasks of a fan-out are published.

    :param kwargs: ``operation_kwargs``
    :returns: the same, which say so to the tasks, and what leaves them out; ``None`` where each task has to ask
    """
    storage = manager.get_follow_storage()
    actors = {getattr(activity, 'actor_id', None) for activity in kwargs.get('activities') or ()} - {None}
    if storage is None or SOURCE not in kwargs or len(actors) != 1 or manager.hides_by_hook():
        return kwargs, None
    return {**kwargs, VISIBLE_SINCE: time.time()}, functools.partial(visible_readers, storage, actors.pop())


def visible_readers(storage: BaseFollowStorage, actor_id: Any, user_ids: Iterable[Any]) -> Iterable[Any]:
    """Return the users from whom an actor is not hidden. Asks once, or where many are, for :data:`ASKED_AT_A_TIME`."""
    hidden = storage.hidden_readers(actor_id)
    if hidden is None:
        return itertools.chain.from_iterable(
            _without(part, {user_id for _, user_id in storage.hidden_from([actor_id], part)})
            for part in chunks(user_ids, ASKED_AT_A_TIME)
        )
    return _without(user_ids, hidden) if hidden else user_ids


def _without(user_ids: Iterable[Any], hidden: set[Any]) -> Iterator[Any]:
    return (user_id for user_id in user_ids if user_id not in hidden)


def is_recent(visible_since: float | None, ttl: float) -> bool:
    """Return whether what was left out then still holds: what has changed since is said by an intent, for so long."""
    # Half of it, because clocks differ.
    return visible_since is not None and abs(time.time() - visible_since) < ttl / 2


class Audience:
    """The readers of one chunk of a fan-out.

    :param source: the text of the id whose followers they are; ``None`` if the library does not know
    :param is_visible: whether those from whom the activities are hidden have been left out
    """

    def __init__(
        self,
        manager: Hides,
        user_ids: Sequence[Any],
        activities: Sequence[Any],
        source: str | None = None,
        is_visible: bool = False,
    ) -> None:
        self.manager = manager
        self.user_ids = user_ids
        self.activities = activities
        self.storage = manager.get_follow_storage()
        self.source_text = source
        self.source = None if source is None else id_from_text(source)
        self._hidden: set[tuple[Any, Any]] | None = set() if is_visible else None

    def parts(self, activities: Sequence[Any]) -> list[tuple[list[Any], list[Any]]]:
        """Return ``(user_ids, activities)``: who gets what. Asks at the first call, for all activities at once."""
        if self._hidden is None:
            self._hidden = find_hidden(self.manager, self.activities, self.user_ids)
        if not self._hidden:
            return [(list(self.user_ids), list(activities))]
        parts: dict[tuple[int, ...], list[Any]] = {}
        for user_id in self.user_ids:
            seen = tuple(
                place
                for place, activity in enumerate(activities)
                if (activity.serialization_id, user_id) not in self._hidden
            )
            if seen:
                parts.setdefault(seen, []).append(user_id)
        return [(user_ids, [activities[place] for place in seen]) for seen, user_ids in parts.items()]

    def losses(self, intents: Intents) -> list[str]:
        """Return the names of the intents that say that the audience of these activities has become smaller lately."""
        if self.storage is None:
            return []
        sources = [] if self.source is None else [self.source]
        return intents.of_losses(dict.fromkeys([*sources, *self._authors()]))

    def outsiders(self, intents: Intents | None) -> dict[Any, list[Any]]:
        """Return reader -> activities that he must not have, by the state of follows, mutes and blocks now."""
        storage = self.storage
        if storage is None:
            return {}
        found: dict[Any, list[Any]] = {}
        authors = self._authors()
        for author, user_id in storage.hidden_from(authors, self.user_ids):
            found.setdefault(user_id, []).extend(authors[author])
        if self.source is None:
            return found
        followers = storage.followers_among(self.source, self.user_ids)
        gone = [user_id for user_id in self.user_ids if user_id not in followers]
        for user_id in gone:
            # Who has left may keep what he has.
            if intents is None or intents.get(intents.of_follows(user_id, [self.source])) != [LEFT]:
                found[user_id] = list(self.activities)
        return found

    def _authors(self) -> dict[Any, list[Any]]:
        authors: dict[Any, list[Any]] = {}
        for activity in self.activities:
            if (actor_id := getattr(activity, 'actor_id', None)) is not None:
                authors.setdefault(actor_id, []).append(activity)
        return authors


def leave_out(
    audience: Audience,
    intents: Intents | None,
    remove: Callable[[list[Any], list[Any]], Any],
    again: Callable[[list[Any]], Any],
) -> None:
    """Take out what was written to readers who must not have it any more.

    :param remove: called with user ids and activities
    :param again: called with those who followed again, or saw again, in the meantime: they get the activities once more
    """
    out = audience.outsiders(intents)
    if not out:
        return
    for user_id, activities in out.items():
        remove([user_id], activities)
    still = audience.outsiders(intents)
    back = [user_id for user_id, activities in out.items() if len(still.get(user_id, ())) < len(activities)]
    if back:
        again(back)


def with_source(kwargs: Mapping[str, Any], user_id: Any) -> dict[str, Any]:
    """Return ``operation_kwargs`` that say whose followers a fan-out is for."""
    return {**kwargs, SOURCE: id_to_text(user_id)}
