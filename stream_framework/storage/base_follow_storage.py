"""Who follows whom, who has muted and blocked whom: what a manager's ``follow_storage_class`` can do.

A backend defines the hooks. They take and return texts: :func:`id_to_text` writes the type of an id into its text, so
17 and ``'17'`` are two ids on every backend, and come back with their type.

Each pair of a user and a target is stored at two ends, because it is asked for from both. The *user's end* (whom he
follows, has muted, has blocked) is written first, and is the truth. The *target's end* (who follows it, from whom it is
hidden) is derived from that. A process that dies in between leaves the two ends different: doing the same again, or
:meth:`BaseFollowStorage.repair`, makes them agree. Where one server holds both ends, they change in one step.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stream_framework.exceptions import ConfigurationError
from stream_framework.storage.follow_hiding import Hiding
from stream_framework.storage.follow_values import (
    Follow,
    Side,
    UserId,
    id_from_text,
    id_to_text,
    ids_from_texts,
    short,
    to_limit,
    to_milliseconds,
    to_moment,
    to_pairs,
    to_position,
    to_row,
    to_text_and_id,
    to_texts,
)

__all__ = ['BaseFollowStorage', 'Follow', 'UserId', 'id_from_text', 'id_to_text']


class BaseFollowStorage(Hiding):
    """Follows, mutes and blocks under one name. Instances with the same name share them.

    Ids are ints, strs or ``uuid.UUID``; 17 and ``'17'`` are two ids. Whatever can't be stored is refused with an error
    before anything is stored. All methods may be called twice, and by several threads and processes at once.

    :param follow_name: the name, of at most 100 characters
    :raises ConfigurationError: for a name that is none

    >>> from stream_framework.storage.memory import InMemoryFollowStorage
    >>> storage = InMemoryFollowStorage('a doctest')
    >>> storage.follow(7, [13, 'tag:tea'])
    >>> sorted(map(str, storage.iter_followed(7)))
    ['13', 'tag:tea']
    >>> storage.flush()
    """

    def __init__(self, follow_name: str = 'follow') -> None:
        if not isinstance(follow_name, str) or not 0 < len(follow_name) <= 100:
            raise ConfigurationError(f'follow_name is {short(follow_name)}: give a str of 1 to 100 characters')
        try:
            follow_name.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(f'follow_name is {short(follow_name)}, which UTF-8 can not write') from error
        #: The name.
        self.follow_name = follow_name

    # following

    def follow(self, user_id: UserId, target_ids: Iterable[UserId], since: datetime.datetime | None = None) -> None:
        """Make a user follow targets. Following again changes nothing: ``since`` stays what it was.

        For each :attr:`pairs_at_a_time` targets it costs one round trip on Redis, three on a cluster, and three waves
        on Cassandra. On one Redis server that is one step; elsewhere the user's end is written first, see
        :meth:`repair`.

        :param target_ids: whom; anything with an id, a topic as well: ``'tag:tea'``
        :param since: since when; naive UTC or aware, default now. Kept in whole milliseconds
        :raises InvalidIdError: for what is no id, and for following oneself; nothing is stored then
        :raises InvalidArgumentError: for ``target_ids`` that are no list, and a ``since`` that is no datetime
        :raises StorageError: for what the server refuses

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13, 14])
        >>> storage.is_following(7, [13, 14, 15]) == {13, 14}
        True
        >>> storage.flush()
        """
        moment = to_milliseconds(since)
        for part in self._parts(to_pairs(user_id, target_ids, 'follow')):
            self.add_follows([(user, target, moment) for user, target in part])

    def unfollow(self, user_id: UserId, target_ids: Iterable[UserId]) -> None:
        """End follows; what isn't followed is skipped. Costs what :meth:`follow` does, and is one step where that is.

        :raises InvalidIdError: for what is no id; nothing is changed then

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13, 14])
        >>> storage.unfollow(7, [13, 99])
        >>> list(storage.iter_followed(7))
        [14]
        >>> storage.flush()
        """
        for part in self._parts(to_pairs(user_id, target_ids, 'unfollow')):
            self.remove_follows(part)

    def import_follows(
        self,
        follows: Iterable[Follow | tuple[UserId, UserId, datetime.datetime | None]],
        progress: Callable[[int], Any] | None = None,
    ) -> int:
        """Store many follows, of many users: those of an existing table, say. Running it again changes nothing.

        They are drawn and stored :attr:`pairs_at_a_time` at a time, so a generator of millions takes little memory.
        Follows of one user that come one after the other are cheaper on Cassandra. An error ends it; what came before
        is stored, unless it is among the last :attr:`pairs_at_a_time`.

        :param follows: ``Follow(user_id, target_id, since)``, or tuples of these three; ``since`` may be ``None``
        :param progress: called after each part with how many are done
        :returns: how many there were
        :raises InvalidArgumentError: for what is no follow

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.import_follows([(7, 13, datetime.datetime(2013, 7, 8)), (8, 13, None)], progress=print)
        2
        2
        >>> storage.get_followers(13)[-1]
        Follow(user_id=7, target_id=13, since=datetime.datetime(2013, 7, 8, 0, 0))
        >>> storage.flush()
        """
        done = 0
        for part in self._parts(follows):
            self.add_follows(list({row[:2]: row for row in reversed([to_row(follow) for follow in part])}.values()))
            done += len(part)
            if progress is not None:
                progress(done)
        return done

    def repair(self, user_id: UserId, target_ids: Iterable[UserId]) -> None:
        """Make the targets' ends of pairs agree with the user's: follows, mutes and blocks.

        The task that copies after following calls it. It reads the user's end again when it has written, and writes
        again if that has changed. So the two ends agree when the last of several writers has repaired, in whatever
        order they wrote. Costs about what :meth:`follow` does.

        :raises InvalidIdError: for what is no id

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').repair(7, [13])
        """
        for part in self._parts(to_pairs(user_id, target_ids, 'repair')):
            self.repair_pairs(part)

    def is_following(self, user_id: UserId, target_ids: Iterable[UserId]) -> set[UserId]:
        """Return those of some targets whom a user follows. One round trip for any number.

        :raises InvalidIdError: for what is no id

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13])
        >>> storage.is_following(7, [13, '13', 14])
        {13}
        >>> storage.flush()
        """
        user, targets = id_to_text(user_id), to_texts('target_ids', target_ids)
        return {id_from_text(text) for text in self.find_followed(user, targets)} if targets else set()

    def followers_among(self, target_id: UserId, user_ids: Iterable[UserId]) -> set[UserId]:
        """Return those of some users who follow a target. One round trip for any number, in memory and on Redis.

        :raises InvalidIdError: for what is no id

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13])
        >>> storage.followers_among(13, [7, '7', 8])
        {7}
        >>> storage.flush()
        """
        target, users = id_to_text(target_id), to_texts('user_ids', user_ids)
        return {id_from_text(text) for text in self.find_followers(target, users)} if users else set()

    def read_states(
        self, user_id: UserId, target_ids: Iterable[UserId], repair: bool = False
    ) -> tuple[set[UserId], set[UserId], bool]:
        """Return whom of some targets a user follows, who of them is hidden from him, and whether anybody may be.

        One round trip on Redis and in a SQL database. The task that copies after following asks this.

        :param repair: make both ends of the pairs agree first, as :meth:`repair` does
        :returns: the followed, the hidden; ``False`` if nobody at all is hidden from him
        :raises InvalidIdError: for what is no id

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13])
        >>> storage.mute(7, 14)
        >>> storage.read_states(7, [13, 14, 15])
        ({13}, {14}, True)
        >>> storage.flush()
        """
        user, targets = id_to_text(user_id), to_texts('target_ids', target_ids)
        states = [self.find_states(user, part, repair) for part in self._parts(targets)]
        followed = {id_from_text(text) for found in states for text in found.followed}
        hidden = {id_from_text(text) for found in states for text in found.hidden}
        return followed, hidden, any(found.may_hide for found in states)

    def count_followers(self, user_id: UserId) -> int:
        """Count those who follow a user. One round trip; on Cassandra at most 10,000, which means so many or more.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13])
        >>> storage.count_followers(13), storage.count_followers(7)
        (1, 0)
        >>> storage.flush()
        """
        return self.count_side('followers', id_to_text(user_id))

    def count_followed(self, user_id: UserId) -> int:
        """Count those whom a user follows; like :meth:`count_followers`.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').count_followed(7)
        0
        """
        return self.count_side('followed', id_to_text(user_id))

    def get_followers(self, user_id: UserId, limit: int = 25, before: Follow | None = None) -> list[Follow]:
        """Return a page of those who follow a user, newest first.

        Those of one millisecond are in descending order of their ids' texts. Paging to the end gives each exactly once,
        whatever is followed and unfollowed meanwhile, the last one of a page as well. One round trip for each
        :attr:`page_size` of ``limit``.

        :param limit: how many at most
        :param before: the last one of the page before
        :raises InvalidArgumentError: for a limit that is negative or no int, and a ``before`` of something else

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> for user_id in (1, 2, 3):
        ...     storage.follow(user_id, [13], since=datetime.datetime(2024, 5, user_id))
        >>> page = storage.get_followers(13, limit=2)
        >>> [follow.user_id for follow in page]
        [3, 2]
        >>> storage.get_followers(13, limit=2, before=page[-1])
        [Follow(user_id=1, target_id=13, since=datetime.datetime(2024, 5, 1, 0, 0))]
        >>> storage.flush()
        """
        position = None if before is None else to_position(before, 'target_id', user_id)
        user, user_id = to_text_and_id(user_id)
        pages = self._read('followers', user, to_limit(limit), position)
        return [Follow(id_from_text(text), user_id, to_moment(since)) for page in pages for text, since in page]

    def get_followed(self, user_id: UserId, limit: int = 25, before: Follow | None = None) -> list[Follow]:
        """Return a page of those whom a user follows, newest first; like :meth:`get_followers`.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13], since=datetime.datetime(2024, 5, 1))
        >>> storage.get_followed(7)
        [Follow(user_id=7, target_id=13, since=datetime.datetime(2024, 5, 1, 0, 0))]
        >>> storage.flush()
        """
        position = None if before is None else to_position(before, 'user_id', user_id)
        user, user_id = to_text_and_id(user_id)
        pages = self._read('followed', user, to_limit(limit), position)
        return [Follow(user_id, id_from_text(text), to_moment(since)) for page in pages for text, since in page]

    def iter_followers(self, user_id: UserId) -> Iterator[UserId]:
        """Iterate over the ids of all who follow a user, in no order that is promised.

        They are read :attr:`page_size` at a time, so millions take little memory. Who follows all the while comes
        exactly once; who begins or ends meanwhile may come or not.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13])
        >>> list(storage.iter_followers(13))
        [7]
        >>> storage.flush()
        """
        return self._iter('followers', id_to_text(user_id))

    def iter_followed(self, user_id: UserId) -> Iterator[UserId]:
        """Iterate over the ids of all whom a user follows; like :meth:`iter_followers`.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> list(InMemoryFollowStorage('a doctest').iter_followed(7))
        []
        """
        return self._iter('followed', id_to_text(user_id))

    def _iter(self, side: Side, user: str) -> Iterator[UserId]:
        return itertools.chain.from_iterable(map(ids_from_texts, self.iter_pages(side, user)))

    # erasing

    def erase(self, user_id: UserId) -> dict[str, int]:
        """Remove everything about a user, in both directions: follows, mutes, blocks.

        It works in parts, so it takes little memory whatever their number. Killed at any moment and called again, it
        ends the same. What is stored about the user while it runs may stay: call it again.

        :returns: how many were removed by this call: ``followed``, ``followers``, ``muted``, ``muted_by``, ``blocked``,
            ``blocked_by``
        :raises InvalidIdError: for what is no id

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13, 14])
        >>> storage.mute(8, 7)
        >>> storage.erase(7)['followed'], storage.erase(7)['followed']
        (2, 0)
        >>> storage.hidden_from([7], [8])
        set()
        >>> storage.flush()
        """
        return self.erase_user(id_to_text(user_id))

    def flush(self) -> None:
        """Remove everything that is stored under this name. It looks through all keys of the server: for tests.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').flush()
        """
        self.flush_storage()
