"""Follow and unfollow: what the tasks ``follow_many`` and ``unfollow_many`` do with the feeds of a user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stream_framework.feed_managers.copying import HasFeeds, copy_newest, remove_by_actors
from stream_framework.feed_managers.follow_task import FollowTask
from stream_framework.feed_managers.intents import FOLLOWED, Intents
from stream_framework.feed_managers.kept_follow_task import KeptFollowTask

#: How many activities following copies at a time, so that following many users does not hold all that they did.
COPIED_AT_A_TIME = 100_000


def carry_out(
    manager: HasFeeds, intents: Intents | None, intent: str, user_id: Any, target_ids: Iterable[Any], limit: int
) -> None:
    """Follow, or unfollow, and then do what was published later.

    :param manager: whose feeds are read and written
    :param intents: ``None`` where none are kept
    :param intent: ``FOLLOWED`` or ``UNFOLLOWED``
    :param user_id: who follows, or no longer does
    :param target_ids: who is followed, or no longer is
    :param limit: how many activities of each target are copied
    """
    target_ids = list(dict.fromkeys(target_ids))
    storage = manager.get_follow_storage()
    if storage is not None:
        KeptFollowTask(manager, intents, user_id, target_ids, limit, storage).run(intent)
    elif intents is not None:
        FollowTask(manager, intents, user_id, target_ids, limit).run(intent)
    elif intent == FOLLOWED:
        copy_newest(manager, user_id, target_ids, limit, manager.hides_by_hook())
    else:
        remove_by_actors(manager, user_id, target_ids)
