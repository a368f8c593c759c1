"""Mutes and blocks: the part of a follow storage that says who must not see what whom does."""

from __future__ import annotations

from collections.abc import Iterable

from stream_framework.storage.follow_hooks import FollowHooks
from stream_framework.storage.follow_values import (
    UserId,
    id_from_text,
    id_to_text,
    ids_from_texts,
    to_limit,
    to_pairs,
    to_texts,
)


class Hiding(FollowHooks):
    """Mutes and blocks."""

    def mute(self, user_id: UserId, target_id: UserId) -> None:
        """Hide what a target does from a user; the follow stays. Doing it again changes nothing.

        One round trip and one step on one Redis server; three round trips on a cluster, where the user's end is written
        first, see :meth:`repair`.

        :raises InvalidIdError: for what is no id, and for muting oneself

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.mute(7, 13)
        >>> storage.get_muted(7)
        {13}
        >>> storage.hidden_from([13], [7, 8])
        {(13, 7)}
        >>> storage.flush()
        """
        self.add_hidden('mute', to_pairs(user_id, [target_id], 'mute'))

    def unmute(self, user_id: UserId, target_id: UserId) -> None:
        """End a mute; one that isn't there is no error. Costs what :meth:`mute` does.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').unmute(7, 13)
        """
        self.remove_hidden('mute', to_pairs(user_id, [target_id], 'unmute'))

    def get_muted(self, user_id: UserId) -> set[UserId]:
        """Return the ids of those whom a user has muted. One round trip for each :attr:`page_size` of them.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').get_muted(7)
        set()
        """
        return {id_from_text(text) for text in self.iter_hidden('mute', id_to_text(user_id))}

    def block(self, user_id: UserId, target_id: UserId) -> None:
        """Hide a user and a target from each other, and end their follows in both directions.

        First the block is stored, then the follows end. Follows that are made later stay hidden until :meth:`unblock`.

        :raises InvalidIdError: for what is no id, and for blocking oneself

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(13, [7])
        >>> storage.block(7, 13)
        >>> storage.is_following(13, [7]), storage.get_blocked(7)
        (set(), {13})
        >>> storage.hidden_from([7, 13], [7, 13]) == {(7, 13), (13, 7)}
        True
        >>> storage.flush()
        """
        pairs = to_pairs(user_id, [target_id], 'block')
        self.add_hidden('block', pairs)
        self.remove_follows([*pairs, *((target, user) for user, target in pairs)])

    def unblock(self, user_id: UserId, target_id: UserId) -> None:
        """End a block; the follows that it ended stay ended. What the target has blocked stays blocked.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').unblock(7, 13)
        """
        self.remove_hidden('block', to_pairs(user_id, [target_id], 'unblock'))

    def get_blocked(self, user_id: UserId) -> set[UserId]:
        """Return the ids of those whom a user has blocked; like :meth:`get_muted`.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').get_blocked(7)
        set()
        """
        return {id_from_text(text) for text in self.iter_hidden('block', id_to_text(user_id))}

    def hidden_from(self, actor_ids: Iterable[UserId], user_ids: Iterable[UserId]) -> set[tuple[UserId, UserId]]:
        """Return the pairs ``(actor_id, user_id)`` where the user must not see what the actor does: he has muted him,
        or one of the two has blocked the other.

        One round trip for a chunk of a fan-out: a few actors and many users, or many actors and one user.

        :raises InvalidIdError: for what is no id

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.mute(7, 13)
        >>> storage.hidden_from([13, 14], [7, 8, 9])
        {(13, 7)}
        >>> storage.flush()
        """
        actors, users = to_texts('actor_ids', actor_ids), to_texts('user_ids', user_ids)
        if not actors or not users:
            return set()
        return {(id_from_text(actor), id_from_text(user)) for actor, user in self.find_hidden(actors, users)}

    def hidden_readers(self, actor_id: UserId, limit: int = 1000) -> set[UserId] | None:
        """Return the users from whom an actor is hidden; ``None`` if they are too many to be read in one round trip.

        A fan-out asks once: nothing is hidden from the followers of most actors.

        :param limit: how many are too many

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.mute(7, 13)
        >>> storage.block(13, 8)
        >>> storage.hidden_readers(13) == {7, 8}, storage.hidden_readers(7), storage.hidden_readers(13, limit=1)
        (True, set(), None)
        >>> storage.flush()
        """
        found = self.find_readers(id_to_text(actor_id), to_limit(limit))
        return None if found is None else set(ids_from_texts(found))

    def is_hiding(self, user_id: UserId) -> bool:
        """Return whether anybody is hidden from a user: he has muted or blocked somebody, or was blocked.

        At most three round trips.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.block(7, 13)
        >>> storage.is_hiding(7), storage.is_hiding(13), storage.is_hiding(14)
        (True, True, False)
        >>> storage.flush()
        """
        return self.may_hide(id_to_text(user_id))
