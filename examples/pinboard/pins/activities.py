"""How a row of the database becomes an activity.

An activity is made of what stands in the row, its time included. So the same row always gives the same activity, with
the same id, and what was added to feeds can be taken out of them later.
"""

from __future__ import annotations

import datetime
from typing import Any

from pins.verbs import Comment, Follow, Love, Pin
from stream_framework.activity import Activity, ActorSafeIdMixin


class PinboardActivity(ActorSafeIdMixin, Activity):
    """The id includes the actor: two people may love one pin in the same millisecond."""


def of_pin(pin: Any) -> PinboardActivity:
    """Its author pinned it."""
    return PinboardActivity(pin.author_id, Pin, pin.id, time=pin.created_at)


def of_love(love: Any) -> PinboardActivity:
    """Somebody loved a pin; whose pin it is, the target says."""
    return PinboardActivity(love.person_id, Love, love.pin_id, target=love.pin.author_id, time=love.created_at)


def of_comment(comment: Any) -> PinboardActivity:
    """Somebody commented on a pin. What was said travels along, so that showing it needs no query."""
    return PinboardActivity(
        comment.person_id,
        Comment,
        comment.pin_id,
        target=comment.pin.author_id,
        time=comment.created_at,
        extra_context={'text': comment.text},
    )


def of_follow(follower_id: int, followed_id: int, time: datetime.datetime) -> PinboardActivity:
    """Somebody followed somebody. Follows are kept by the library, so there is no row."""
    return PinboardActivity(follower_id, Follow, followed_id, target=followed_id, time=time)
