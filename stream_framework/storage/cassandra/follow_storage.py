"""Follows on Cassandra: whom a user follows in one partition, the followers of a target in partitions of bounded size.

How the two ends agree
    Whom a user follows changes in conditional batches, so two writers of one pair come one after the other. Each follow
    gets a version there. The target's end is written with the version as its timestamp, and deleted with the same: a
    deletion wins over what was written with the same timestamp. So it doesn't matter in which order they arrive, or how
    often. An unfollow first notes that the follow is ``gone``, then deletes the target's end, then deletes the note.
    Whoever finds a note does the rest.

The rooms
    :mod:`~stream_framework.storage.cassandra.followed` has whom users follow,
    :mod:`~stream_framework.storage.cassandra.followers` the targets' ends in their buckets,
    :mod:`~stream_framework.storage.cassandra.hides` mutes and blocks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stream_framework.storage.base_follow_storage import BaseFollowStorage
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.follow_client import FollowClient
from stream_framework.storage.cassandra.followed import Edge, Followed
from stream_framework.storage.cassandra.followers import Followers, bucket_of
from stream_framework.storage.cassandra.hides import BY, OPPOSITE, OWN, Hides
from stream_framework.storage.follow_hooks import States
from stream_framework.storage.follow_values import Kind, Pair, Position, Side

#: Counting ends here.
COUNTED = 10_000

_COUNTED_AS = {'muted': 'muted', 'blocked': 'blocked', 'm': 'muted_by', 'b': 'blocked_by'}


class CassandraFollowStorage(BaseFollowStorage):
    """Follows, mutes and blocks on Cassandra, in the tables that ``sync`` makes. Everything is read and written at a
    quorum, follows with light-weight transactions in the user's own partition."""

    #: How many followers a bucket gets, about, before there are more buckets.
    bucket_size: int = 20_000
    #: How likely a new follower has his bucket counted; 1 always, for tests.
    widen_chance: float = 0.001

    def add_follows(self, follows: Sequence[tuple[str, str, int]]) -> None:
        """Three waves: read, one conditional batch for each 100 targets of a user, the targets' ends."""
        followed, followers = self._followed(), self._followers()
        moments = {(user, target): since for user, target, since in follows}
        widths = followers.widths({target for _, target in moments})
        written: dict[Pair, Edge] = {}

        def decide(pair: Pair, edge: Edge | None) -> list[Any]:
            if edge is not None and not edge.gone:
                written[pair] = edge
                return []
            version = max(time.time_ns() // 1000, edge.version + 1 if edge is not None else 0)
            bucket = bucket_of(pair[0], widths.get(pair[1], ()))
            written[pair] = new = Edge(moments[pair], bucket, version, False)
            return followed.follow(pair, new, edge)

        def clean(edges: Mapping[Pair, Edge]) -> None:
            followers.delete(_gone(edges))

        followed.change(list(moments), decide, before=clean)
        followers.write(written)
        followers.widen(written, widths, self.bucket_size, self.widen_chance)

    def remove_follows(self, pairs: Sequence[Pair]) -> None:
        """Four waves: read, note that the follows are gone, the targets' ends, forget the note."""
        followed = self._followed()
        gone: dict[Pair, Edge] = {}

        def decide(pair: Pair, edge: Edge | None) -> list[Any]:
            gone.pop(pair, None)
            if edge is None:
                return []
            gone[pair] = edge
            return [] if edge.gone else followed.note_gone(pair, edge)

        followed.change(pairs, decide)
        self._finish(gone)

    def repair_pairs(self, pairs: Sequence[Pair]) -> None:
        """Two waves, two more for follows that are gone; nothing has to be looked at again."""
        edges = self._followed().read(pairs)
        self._followers().write({pair: edge for pair, edge in edges.items() if not edge.gone})
        self._finish(_gone(edges))
        self._hides().repair(pairs)

    def find_followed(self, user: str, targets: Sequence[str]) -> Iterable[str]:
        """One wave, a statement for each 100."""
        edges = self._followed().read([(user, target) for target in targets])
        return [target for (_, target), edge in edges.items() if not edge.gone]

    def find_followers(self, target: str, users: Sequence[str]) -> Iterable[str]:
        """One wave, a statement for each 100."""
        return self._followed().among(target, users)

    def find_states(self, user: str, targets: Sequence[str], repair: bool = False) -> States:
        """One wave, and those of :meth:`repair_pairs`."""
        pairs = [(user, target) for target in targets]
        if repair:
            self.repair_pairs(pairs)
        followed, hides = self._followed(), self._hides()
        of_hides, of_edges = hides.questions(user, targets), followed.questions(pairs)
        found = self._client().run([*of_hides, *(statement for _, statement in of_edges)])
        hidden, may_hide = hides.answers(found[: len(of_hides)])
        edges = followed.answers(of_edges, found[len(of_hides) :])
        return States([target for (_, target), edge in edges.items() if not edge.gone], hidden, may_hide)

    def count_side(self, side: Side, user: str) -> int:
        """One wave, two where there are many buckets; no more than :data:`COUNTED`."""
        return self._side(side).count(user, COUNTED)

    def read_page(self, side: Side, user: str, limit: int, before: Position | None) -> list[tuple[str, int]]:
        """One wave; for the followers of somebody with many buckets one for each 32."""
        return self._side(side).read_page(user, limit, before)

    def iter_pages(self, side: Side, user: str) -> Iterator[Sequence[str]]:
        """One wave for each page; the followers one bucket after the other."""
        return super().iter_pages(side, user) if side == 'followed' else self._followers().iter_pages(user)

    def add_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """Three waves: read, the users' ends, the targets'."""
        self._hides().put(kind, pairs, True)

    def remove_hidden(self, kind: Kind, pairs: Sequence[Pair]) -> None:
        """Three waves: read, the users' ends, the targets'."""
        self._hides().put(kind, pairs, False)

    def iter_hidden(self, kind: Kind, user: str) -> Iterator[str]:
        """One wave for each page."""
        return (other for other, active in self._hides().scan(OWN[kind], user) if active)

    def iter_hiders(self, kind: Kind, user: str) -> Iterator[str]:
        """One wave for each page."""
        return (other for other, active in self._hides().scan(BY[kind], user) if active)

    def find_hidden(self, actors: Sequence[str], users: Sequence[str]) -> Iterable[Pair]:
        """One wave: a statement for each actor and 100 users, or for each user and 100 actors, whichever are fewer."""
        return self._hides().find(actors, users)

    def find_readers(self, actor: str, limit: int) -> Iterable[str] | None:
        """One wave."""
        return self._hides().find_hiders(actor, limit)

    def erase_user(self, user: str) -> dict[str, int]:
        """Delete the others' ends first, then the user's own: whole partitions, but for whom he follows."""
        followed, followers, hides = self._followed(), self._followers(), self._hides()
        counts = dict.fromkeys(('followed', 'followers', 'muted', 'muted_by', 'blocked', 'blocked_by'), 0)
        latest = time.time_ns() // 1000
        for targets in self._parts(followed.scan(user)):
            pairs = [(user, target) for target, _ in targets]
            followers.delete(followed.read(pairs))
            followed.forget(pairs)
            counts['followed'] += sum(not gone for _, gone in targets)
        for users in self._parts(self.iter_side('followers', user)):
            latest = max(latest, followed.forget([(follower, user) for follower in users]))
            counts['followers'] += len(users)
        followers.delete_all(user, latest)
        for place in OPPOSITE:
            for hidden in self._parts(hides.scan(place, user)):
                hides.delete_opposite(place, user, [other for other, _ in hidden])
                counts[_COUNTED_AS[place]] += sum(active for _, active in hidden)
        hides.delete_all(user)
        return counts

    def flush_storage(self) -> None:
        """Delete by looking through all partitions of the tables: for tests, not for every day."""
        client = self._client()
        for table, key in (
            ('{followed}', ('name', 'user_id')),
            ('{followers}', ('name', 'target_id', 'bucket')),
            ('{hidden}', ('name', 'user_id')),
        ):
            [rows] = client.run([client.bind(f'SELECT DISTINCT {", ".join(key)} FROM {table}')])
            query = f'DELETE FROM {table} WHERE {" AND ".join(f"{column} = ?" for column in key)}'
            mine = [tuple(row[column] for column in key) for row in rows if row['name'] == self.follow_name]
            client.run(client.bind(query, *values) for values in mine)

    def _finish(self, gone: Mapping[Pair, Edge]) -> None:
        """Delete the targets' ends of follows that are gone, then forget them."""
        if gone:
            self._followers().delete(gone)
            self._followed().forget_gone(gone)

    def _client(self) -> FollowClient:
        # Settings may have changed since the last call.
        connection.get_session()
        return FollowClient(self.follow_name, self.page_size)

    def _followed(self) -> Followed:
        return Followed(self._client())

    def _followers(self) -> Followers:
        return Followers(self._client())

    def _hides(self) -> Hides:
        return Hides(self._client())

    def _side(self, side: Side) -> Followed | Followers:
        return self._followed() if side == 'followed' else self._followers()


def _gone(edges: Mapping[Pair, Edge]) -> dict[Pair, Edge]:
    return {pair: edge for pair, edge in edges.items() if edge.gone}
