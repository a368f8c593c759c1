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
import operator
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import pytz

from stream_framework import ids
from stream_framework.exceptions import ConfigurationError, InvalidArgumentError, InvalidIdError, NotDefinedError

#: What a user, or whatever else is followed, is known by.
UserId = int | str | uuid.UUID

#: One end of a pair: those who follow somebody, or those whom somebody follows.
Side = Literal['followers', 'followed']
#: How somebody hides somebody.
Kind = Literal['mute', 'block']
#: Texts of a user, and of the target.
Pair = tuple[str, str]
#: Where a page goes on: milliseconds since 1970, and a text.
Position = tuple[int, str]

#: How long an id may be, in bytes of UTF-8: what is a key on every backend.
MAX_ID_LENGTH = 1000

_EPOCH = datetime.datetime(1970, 1, 1)
# Python refuses to write integers with more digits than some thousand.
_MAX_BITS = 3000


class Follow(NamedTuple):
    """That somebody follows somebody.

    >>> Follow(7, 13, datetime.datetime(2024, 5, 1)).target_id
    13
    """

    #: Who follows.
    user_id: UserId
    #: Who is followed.
    target_id: UserId
    #: Since when: naive UTC, in whole milliseconds.
    since: datetime.datetime


def id_to_text(value: Any) -> str:
    """Write an id as text that says of what type it is.

    :param value: an int, a str or a ``uuid.UUID``
    :returns: digits for an int; ``s`` and the text itself for a str; ``u`` and 32 hexadecimal digits for a UUID
    :raises InvalidIdError: for anything else, for text that is no UTF-8, and for what is longer than
        :data:`MAX_ID_LENGTH`

    >>> id_to_text(17), id_to_text('17'), id_to_text(uuid.UUID(int=17))
    ('17', 's17', 'u00000000000000000000000000000011')
    """
    if type(value) is int:
        if value.bit_length() > _MAX_BITS:
            raise InvalidIdError(f'an id of {value.bit_length()} bits is too long: an int may have {_MAX_BITS}')
        return str(value)
    if isinstance(value, str):
        return f's{_checked_text(str.__str__(value))}'
    if isinstance(value, uuid.UUID):
        return f'u{value.hex}'
    if not isinstance(value, bool) and type(value).__name__ not in ('bool_', 'bool'):
        try:
            return id_to_text(int(operator.index(value)))  # an IntEnum, a number of numpy's
        except TypeError:
            pass
    raise InvalidIdError(f'{_short(value)} is a {type(value).__name__}, and no id: give an int, a str or a uuid.UUID')


def id_from_text(text: str) -> UserId:
    """Read an id as :func:`id_to_text` wrote it.

    >>> id_from_text('17'), id_from_text('s17')
    (17, '17')
    """
    if text.startswith('s'):
        return text[1:]
    if text.startswith('u'):
        return uuid.UUID(hex=text[1:])
    return int(text)


class BaseFollowStorage:
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

    #: How many pairs are written at a time: bounds the memory here, and how long a server is busy with them.
    pairs_at_a_time: int = 500
    #: How many pairs are read at a time.
    page_size: int = 1000

    def __init__(self, follow_name: str = 'follow') -> None:
        if not isinstance(follow_name, str) or not 0 < len(follow_name) <= 100:
            raise ConfigurationError(f'follow_name is {_short(follow_name)}: give a str of 1 to 100 characters')
        try:
            follow_name.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(f'follow_name is {_short(follow_name)}, which UTF-8 can not write') from error
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
        moment = _milliseconds(since)
        for part in self._parts(_pairs(user_id, target_ids, 'follow')):
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
        for part in self._parts(_pairs(user_id, target_ids, 'unfollow')):
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
            self.add_follows(list({row[:2]: row for row in reversed([_row(follow) for follow in part])}.values()))
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
        for part in self._parts(_pairs(user_id, target_ids, 'repair')):
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
        user, targets = id_to_text(user_id), _texts('target_ids', target_ids)
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
        target, users = id_to_text(target_id), _texts('user_ids', user_ids)
        return {id_from_text(text) for text in self.find_followers(target, users)} if users else set()

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
        position = None if before is None else _position(before, 'target_id', user_id)
        user, user_id = _both(user_id)
        pages = self._read('followers', user, _limit(limit), position)
        return [Follow(id_from_text(text), user_id, _moment(since)) for page in pages for text, since in page]

    def get_followed(self, user_id: UserId, limit: int = 25, before: Follow | None = None) -> list[Follow]:
        """Return a page of those whom a user follows, newest first; like :meth:`get_followers`.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> storage = InMemoryFollowStorage('a doctest')
        >>> storage.follow(7, [13], since=datetime.datetime(2024, 5, 1))
        >>> storage.get_followed(7)
        [Follow(user_id=7, target_id=13, since=datetime.datetime(2024, 5, 1, 0, 0))]
        >>> storage.flush()
        """
        position = None if before is None else _position(before, 'user_id', user_id)
        user, user_id = _both(user_id)
        pages = self._read('followed', user, _limit(limit), position)
        return [Follow(user_id, id_from_text(text), _moment(since)) for page in pages for text, since in page]

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
        return map(id_from_text, self.iter_side('followers', id_to_text(user_id)))

    def iter_followed(self, user_id: UserId) -> Iterator[UserId]:
        """Iterate over the ids of all whom a user follows; like :meth:`iter_followers`.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> list(InMemoryFollowStorage('a doctest').iter_followed(7))
        []
        """
        return map(id_from_text, self.iter_side('followed', id_to_text(user_id)))

    # hiding

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
        self.add_hidden('mute', _pairs(user_id, [target_id], 'mute'))

    def unmute(self, user_id: UserId, target_id: UserId) -> None:
        """End a mute; one that isn't there is no error. Costs what :meth:`mute` does.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').unmute(7, 13)
        """
        self.remove_hidden('mute', _pairs(user_id, [target_id], 'unmute'))

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
        pairs = _pairs(user_id, [target_id], 'block')
        self.add_hidden('block', pairs)
        self.remove_follows([*pairs, *((target, user) for user, target in pairs)])

    def unblock(self, user_id: UserId, target_id: UserId) -> None:
        """End a block; the follows that it ended stay ended. What the target has blocked stays blocked.

        >>> from stream_framework.storage.memory import InMemoryFollowStorage
        >>> InMemoryFollowStorage('a doctest').unblock(7, 13)
        """
        self.remove_hidden('block', _pairs(user_id, [target_id], 'unblock'))

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
        actors, users = _texts('actor_ids', actor_ids), _texts('user_ids', user_ids)
        if not actors or not users:
            return set()
        return {(id_from_text(actor), id_from_text(user)) for actor, user in self.find_hidden(actors, users)}

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
        user = id_to_text(user_id)
        found = (self.iter_hidden('mute', user), self.iter_hidden('block', user), self.iter_hiders('block', user))
        return any(True for each in found for _ in each)

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

    # What a backend defines. Texts are of ids, pairs are (user, target), and no list is empty.

    def add_follows(self, follows: Sequence[tuple[str, str, int]]) -> None:
        """Store ``(user, target, milliseconds)``, each pair once: first whom the user follows, then the target's
        followers, with the same milliseconds; a pair that is there keeps its own, and the other end is written anew."""
        raise NotDefinedError(f'{type(self).__name__} must define add_follows(follows)')

    def remove_follows(self, pairs: Sequence[Pair]) -> None:
        """Remove pairs: first from those whom the user follows, then from the target's followers."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_follows(pairs)')

    def repair_pairs(self, pairs: Sequence[Pair]) -> None:
        """Make the targets' ends of follows, mutes and blocks agree with the users' ends. Read these again after
        writing, and write again what has changed since."""
        raise NotDefinedError(f'{type(self).__name__} must define repair_pairs(pairs)')

    def find_followed(self, user: str, targets: Sequence[str]) -> Iterable[str]:
        """Return those of the targets whom the user follows. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define find_followed(user, targets)')

    def find_followers(self, target: str, users: Sequence[str]) -> Iterable[str]:
        """Return those of the users who follow the target, by the users' ends; default one by one."""
        return [user for user in users if list(self.find_followed(user, [target]))]

    def count_side(self, side: Side, user: str) -> int:
        """Count the user's ``'followers'``, or those ``'followed'``. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define count_side(side, user)')

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """Return ``(text, milliseconds)`` of at most ``limit`` (1 to :attr:`page_size`) on one side of a user, in
        descending order of milliseconds, then of the text's bytes; those below ``before``, if it is given."""
        raise NotDefinedError(f'{type(self).__name__} must define read_page(side, user, limit, before)')

    def iter_side(self, side: Side, user: str) -> Iterator[str]:
        """Iterate over all texts of one side; default by :meth:`read_page`. They may be removed while it runs."""
        for page in self._read(side, user, None, None):
            for text, _ in page:
                yield text

    def add_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """Store that users have muted (``'mute'``) or blocked (``'block'``) targets: first what the users have muted or
        blocked, then from whom the targets are hidden, with a block also from whom the users are."""
        raise NotDefinedError(f'{type(self).__name__} must define add_hidden(kind, pairs)')

    def remove_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """Remove it again, in the same order. Other kinds, and the same kind the other way round, stay."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_hidden(kind, pairs)')

    def iter_hidden(self, kind: Kind, user: str) -> Iterator[str]:
        """Iterate over those whom a user has muted or blocked, in pages. They may be removed while it runs."""
        raise NotDefinedError(f'{type(self).__name__} must define iter_hidden(kind, user)')

    def iter_hiders(self, kind: Kind, user: str) -> Iterator[str]:
        """Iterate over those who have muted or blocked a user, in pages. They may be removed while it runs."""
        raise NotDefinedError(f'{type(self).__name__} must define iter_hiders(kind, user)')

    def find_hidden(self, actors: Sequence[str], users: Sequence[str]) -> Iterable[Pair]:
        """Return the ``(actor, user)`` where the user has muted the actor, or one has blocked the other. One round trip
        for as much as fits into one."""
        raise NotDefinedError(f'{type(self).__name__} must define find_hidden(actors, users)')

    def erase_user(self, user: str) -> dict[str, int]:
        """Remove everything about a user, in parts; return counts. Default by the hooks that remove pairs."""
        counts = {
            'followed': self._erase(user, 'follow', ((user, one) for one in self.iter_side('followed', user))),
            'followers': self._erase(user, 'follow', ((one, user) for one in self.iter_side('followers', user))),
            'muted': self._erase(user, 'mute', ((user, one) for one in self.iter_hidden('mute', user))),
            'muted_by': self._erase(user, 'mute', ((one, user) for one in self.iter_hiders('mute', user))),
            'blocked': self._erase(user, 'block', ((user, one) for one in self.iter_hidden('block', user))),
            'blocked_by': self._erase(user, 'block', ((one, user) for one in self.iter_hiders('block', user))),
        }
        self.delete_user(user)
        return counts

    def erase_pairs(self, user: str, kind: Kind | Literal['follow'], pairs: Sequence[Pair]) -> None:
        """Remove pairs that a user is one of, from the other's keys first: what is left after a crash is then found
        again by the user's own. Default as for all pairs."""
        if kind == 'follow':
            self.remove_follows(pairs)
        else:
            self.remove_hidden(kind, pairs)

    def delete_user(self, user: str) -> None:
        """Delete whatever is left under a user's own keys, when all pairs have been removed."""
        raise NotDefinedError(f'{type(self).__name__} must define delete_user(user)')

    def flush_storage(self) -> None:
        """Delete everything under this name, and nothing else."""
        raise NotDefinedError(f'{type(self).__name__} must define flush_storage()')

    def _parts(self, items: Iterable[Any]) -> Iterator[list[Any]]:
        iterator = iter(items)
        while part := list(itertools.islice(iterator, self.pairs_at_a_time)):
            yield part

    def _read(
        self, side: Side, user: str, limit: int | None, before: Position | None
    ) -> Iterator[list[tuple[str, int]]]:
        while limit is None or limit > 0:
            size = self.page_size if limit is None else min(limit, self.page_size)
            page = self.read_page(side, user, size, before)
            yield page
            if len(page) < size:
                return
            text, since = page[-1]
            before = (since, text)
            limit = None if limit is None else limit - size

    def _erase(self, user: str, kind: Kind | Literal['follow'], pairs: Iterable[Pair]) -> int:
        count = 0
        for part in self._parts(pairs):
            self.erase_pairs(user, kind, part)
            count += len(part)
        return count


def _pairs(user_id: Any, target_ids: Any, what: str) -> list[Pair]:
    """Texts of a user and of each target, each target once."""
    user, targets = id_to_text(user_id), _texts('target_ids', target_ids)
    if user in targets and what in ('follow', 'mute', 'block'):
        raise InvalidIdError(f'{_short(user_id)} can not {what} itself: leave it out of target_ids')
    return [(user, target) for target in targets]


def _texts(name: str, values: Any) -> list[str]:
    if isinstance(values, (str, bytes, uuid.UUID)):
        raise InvalidArgumentError(f'{name} is {_short(values)}: give a list of ids, [{_short(values)}]')
    try:
        iterator = iter(values)
    except TypeError as error:
        raise InvalidArgumentError(f'{name} is {_short(values)}: give a list of ids') from error
    return list(dict.fromkeys(map(id_to_text, iterator)))


def _both(user_id: Any) -> tuple[str, UserId]:
    text = id_to_text(user_id)
    return text, id_from_text(text)


def _row(follow: Any) -> tuple[str, str, int]:
    try:
        user_id, target_id, since = follow
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f'{_short(follow)} is no follow: give Follow(user_id, target_id, since), or a tuple of these three'
        ) from error
    [(user, target)] = _pairs(user_id, [target_id], 'follow')
    return user, target, _milliseconds(since)


def _position(before: Any, name: str, user_id: UserId) -> Position:
    """Where the page after a follow begins."""
    if not isinstance(before, tuple) or len(before) != 3:
        raise InvalidArgumentError(f'before is {_short(before)}: give the last Follow of the page before')
    follow = Follow(*before)
    if id_to_text(getattr(follow, name)) != id_to_text(user_id):
        raise InvalidArgumentError(
            f'before is {_short(before)}, and its {name} is not {_short(user_id)}: give the last Follow of the page '
            'before'
        )
    if follow.since is None:
        raise InvalidArgumentError(f'before is {_short(before)}, without since: give a Follow as it was returned')
    other = follow.user_id if name == 'target_id' else follow.target_id
    return _milliseconds(follow.since), id_to_text(other)


def _limit(limit: Any) -> int:
    try:
        if isinstance(limit, bool):
            raise TypeError('a bool')
        number = operator.index(limit)
    except TypeError as error:
        raise InvalidArgumentError(f'limit is {_short(limit)}: give an int of at least 0') from error
    if number < 0:
        raise InvalidArgumentError(f'limit is {number}: it must not be negative')
    return int(number)


def _milliseconds(since: Any) -> int:
    if since is None:
        return time.time_ns() // 1_000_000
    if not isinstance(since, datetime.datetime):
        raise InvalidArgumentError(f'since is {_short(since)}: give a datetime, naive UTC or aware')
    if since.tzinfo is not None and since.utcoffset() is not None:
        since = since.astimezone(pytz.utc)
    return ids.to_milliseconds(since.replace(tzinfo=None))


def _moment(milliseconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(milliseconds=milliseconds)


def _checked_text(text: str) -> str:
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidIdError(f'{_short(text)} can not be an id, since UTF-8 can not write it') from error
    if length > MAX_ID_LENGTH:
        raise InvalidIdError(f'{_short(text)} has {length} bytes: an id may have {MAX_ID_LENGTH}')
    return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
