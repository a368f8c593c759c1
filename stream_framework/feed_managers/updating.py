"""Updates: replace an activity wherever it still is, and add it nowhere.

An application overrides ``add_user_activity`` and calls ``super()``; 1.4.0 called it for updates, too. So a context
variable says what the stock method is called for.

Copies in feeds have to be those of the last update, in whatever order tasks run. So an update sets a *fingerprint* of
the activity beside its intent, when the user feed has the new state and before tasks are published. Whatever has
written copies reads the fingerprints afterwards. Where one is that of another state, the state is read from the user
feed and written, until no other update came in between.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from stream_framework import messages
from stream_framework.exceptions import MessageError, UpdateConflictError
from stream_framework.feed_managers.intents import ATTEMPTS, Intents

_is_updating: contextvars.ContextVar[bool] = contextvars.ContextVar('is_updating', default=False)


class HasUserFeeds(Protocol):
    """What updates need of a manager."""

    def get_user_feed(self, user_id: Any) -> Any:
        """Return the feed of what a user did."""


def is_updating() -> bool:
    """Return whether an update runs."""
    return _is_updating.get()


@contextlib.contextmanager
def updating(on: bool = True) -> Iterator[None]:
    """While the block runs, activities are replaced instead of added; or, within such a block, added as usual.

    >>> with updating():
    ...     print(is_updating())
    ...     with updating(False):
    ...         print(is_updating())
    True
    False
    """
    token = _is_updating.set(on)
    try:
        yield
    finally:
        _is_updating.reset(token)


def set_fingerprint(intents: Intents, user_id: Any, activity: Any) -> None:
    """Say how an activity was updated last, and that its author has updated something."""
    intents.set([*intents.of_updates([activity]), *intents.of_authors([user_id])], fingerprint(activity) or 'unknown')


def fingerprint(activity: Any) -> str | None:
    """Return a digest of all that an activity holds; ``None`` for what has none."""
    try:
        text = messages.encode_operation_kwargs({'activities': [activity]}, local=True)
    except MessageError:
        return None
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def catch_up(
    manager: HasUserFeeds,
    intents: Intents,
    authors: dict[int, Any],
    written: Sequence[str | None],
    write: Callable[[list[Any]], Any],
    found: Sequence[str | None] | None = None,
) -> None:
    """Write the states that activities have got by updates, until none comes in between.

    :param authors: id of an activity -> whose user feed has it
    :param written: the fingerprints of what was written
    :param write: replaces activities where they are
    :param found: the fingerprints of the last updates, if they were read after writing
    :raises UpdateConflictError: if updates kept coming in between
    """
    names = intents.of_updates(authors)
    for _ in range(ATTEMPTS):
        found = list(found or intents.get(names))
        changed = [
            (activity_id, authors[activity_id])
            for activity_id, now, before in zip(authors, found, written, strict=True)
            if now is not None and now != before
        ]
        if not changed:
            return
        if current := [activity for item in changed for activity in _read(manager, *item)]:
            write(current)
        written, found = found, None
    raise UpdateConflictError(
        f'activity {changed[0][0]} was updated during each of {ATTEMPTS} attempts to write it; run the same task again'
    )


def _read(manager: HasUserFeeds, activity_id: int, user_id: Any) -> list[Any]:
    """Return an activity as the user feed shows it now, or nothing."""
    user_feed = manager.get_user_feed(user_id)
    if not user_feed.filtering_supported:
        return []
    found: list[Any] = user_feed.filter(activity_id__gte=activity_id, activity_id__lte=activity_id)[:1]
    return found
