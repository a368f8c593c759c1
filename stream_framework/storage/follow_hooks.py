"""What a backend defines of a follow storage. Texts are of ids, pairs are (user, target), and no list is empty."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from stream_framework.exceptions import NotDefinedError
from stream_framework.storage.follow_values import Kind, Pair, Position, Side


class States(NamedTuple):
    """What a user has to do with some targets, as of about one moment."""

    #: Those whom he follows.
    followed: Iterable[str]
    #: Those who are hidden from him.
    hidden: Iterable[str]
    #: Whether anybody may be hidden from him; ``False`` for sure.
    may_hide: bool


class FollowHooks:
    """What :class:`~stream_framework.storage.base_follow_storage.BaseFollowStorage` calls."""

    #: How many pairs are written at a time: bounds the memory here, and how long a server is busy with them.
    pairs_at_a_time: int = 500
    #: How many pairs are read at a time.
    page_size: int = 1000

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

    def find_states(self, user: str, targets: Sequence[str], repair: bool = False) -> States:
        """Return what a user has to do with targets; where it costs no more, in one round trip for all of it.

        :param repair: make both ends of the pairs agree first, as :meth:`repair_pairs` does
        """
        if repair:
            self.repair_pairs([(user, target) for target in targets])
        hidden = [actor for actor, _ in self.find_hidden(targets, [user])]
        return States(self.find_followed(user, targets), hidden, bool(hidden) or self.may_hide(user))

    def count_side(self, side: Side, user: str) -> int:
        """Count the user's ``'followers'``, or those ``'followed'``. One round trip."""
        raise NotDefinedError(f'{type(self).__name__} must define count_side(side, user)')

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """Return ``(text, milliseconds)`` of at most ``limit`` (1 to :attr:`page_size`) on one side of a user, in
        descending order of milliseconds, then of the text's bytes; those below ``before``, if it is given."""
        raise NotDefinedError(f'{type(self).__name__} must define read_page(side, user, limit, before)')

    def iter_pages(self, side: Side, user: str) -> Iterator[Sequence[str]]:
        """Iterate over all texts of one side, some at a time; default by :meth:`read_page`. They may be removed while
        it runs."""
        for page in self._read(side, user, None, None):
            yield [text for text, _ in page]

    def iter_side(self, side: Side, user: str) -> Iterator[str]:
        """Iterate over all texts of one side, by :meth:`iter_pages`."""
        return itertools.chain.from_iterable(self.iter_pages(side, user))

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

    def find_readers(self, actor: str, limit: int) -> Iterable[str] | None:
        """Return the users from whom an actor is hidden, each at least once; ``None`` if it takes more than ``limit``
        rows, or more than one round trip. Default: that."""
        return None

    def may_hide(self, user: str) -> bool:
        """Return whether anybody is hidden from a user, or may be."""
        found = (self.iter_hidden('mute', user), self.iter_hidden('block', user), self.iter_hiders('block', user))
        return any(True for each in found for _ in each)

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
