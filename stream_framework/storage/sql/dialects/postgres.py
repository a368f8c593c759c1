"""What is PostgreSQL's own: lists of values are arrays; what writes several tables is one statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from stream_framework.storage.sql.dialects.base import Dialect, Values

_PLACEHOLDER = re.compile(r'(?<![:\w]):([a-z_]+)')


class Postgres(Dialect):
    """Statements for PostgreSQL 13 and later. Rows are locked in the order of their keys: nobody waits in a circle."""

    name = 'postgresql'
    fragments = {
        'keys': 'unnest(:keys::text[]) WITH ORDINALITY AS k(key, position)',
        'ids': 'SELECT unnest(:ids::bigint[])',
        'rows': 'unnest(:numbers::bytea[], :datas::text[]) AS d(number, data)',
        'items': (
            'unnest(:lists::text[], :items::text[], :ns::int[], :positions::bigint[]) AS i(list, item, n, position)'
        ),
        'in_actors': '= ANY(:actors::text[])',
        'in_users': '= ANY(:users::text[])',
        'join': 'JOIN',
        'for_update': 'FOR UPDATE OF i',
        'bytewise': 'COLLATE "C"',
        'find': 'strpos',
        'starts': 'starts_with(a.data, :head::text)',
    }

    #: Makes feeds that are not there as well: gives how many there are, and how many entries were new.
    add_entries = """
        WITH known AS (SELECT id FROM {feeds} WHERE key = ANY(:keys::text[])),
        made AS (
            INSERT INTO {feeds} (key, version) SELECT k.key, :version::bigint FROM {keys}
            WHERE NOT EXISTS (SELECT 1 FROM {feeds} f WHERE f.key = k.key) ORDER BY k.key
            ON CONFLICT (key) DO NOTHING RETURNING id),
        f AS (SELECT id FROM known UNION ALL SELECT id FROM made),
        put AS (
            INSERT INTO {entries} (feed, number, data) SELECT f.id, d.number, d.data FROM f CROSS JOIN {rows}
            ORDER BY f.id, d.number ON CONFLICT (feed, number) DO NOTHING RETURNING 1)
        SELECT (SELECT count(*) FROM f), (SELECT count(*) FROM put)"""
    put_entries = add_entries.replace('DO NOTHING RETURNING 1)', 'DO UPDATE SET data = excluded.data RETURNING 1)')
    #: Gives position of each source, its numbers in one text, and whether the feed to copy to is there.
    copy_newest = """
        WITH picked AS (
            SELECT k.position - 1 AS position, e.number FROM {keys} JOIN {feeds} f ON f.key = k.key
            CROSS JOIN LATERAL (
                SELECT number FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT :length) e),
        known AS (SELECT id FROM {feeds} WHERE key = :key),
        made AS (
            INSERT INTO {feeds} (key, version) SELECT :key, :version::bigint
            WHERE NOT EXISTS (SELECT 1 FROM known) AND EXISTS (SELECT 1 FROM picked)
            ON CONFLICT (key) DO NOTHING RETURNING id),
        f AS (SELECT id FROM known UNION ALL SELECT id FROM made),
        put AS (
            INSERT INTO {entries} (feed, number)
            SELECT f.id, p.number FROM f CROSS JOIN (SELECT DISTINCT number FROM picked) p ORDER BY p.number
            ON CONFLICT (feed, number) DO NOTHING)
        SELECT position, string_agg(encode(number, 'hex'), ','), EXISTS (SELECT 1 FROM f) FROM picked
        GROUP BY position"""
    replace_entries = """
        UPDATE {entries} e SET data = d.data FROM {rows}
        WHERE e.feed = (SELECT id FROM {feeds} WHERE key = :key) AND e.number = d.number
        RETURNING e.number"""
    make_feeds = Dialect.make_feeds.replace(':version', ':version::bigint')
    touch_feeds = Dialect.touch_feeds.replace(':version', ':version::bigint')
    put_intents = Dialect.put_intents.replace(':expires', ':expires::float8').replace(':value', ':value::text')
    put_ledger = Dialect.put_ledger.replace(':expires', ':expires::float8').replace(':minute', ':minute::bigint')
    turn_ledger = """
        UPDATE {ledger} l SET entry = i.item, expires = :expires FROM {items}
        WHERE l.minute = :minute AND l.id = i.list"""
    newest_of_many = """
        SELECT k.position - 1, f.version, e.number, e.data FROM {keys} JOIN {feeds} f ON f.key = k.key
        LEFT JOIN LATERAL (
            SELECT number, data FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT :length) e ON true
        ORDER BY k.position, e.number DESC"""
    groups_of_many = """
        SELECT k.position - 1, f.version, e.number, e.data FROM {keys} JOIN {feeds} f ON f.key = k.key
        LEFT JOIN LATERAL (
            SELECT number, data FROM (
                SELECT number, data FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT :length) o
            WHERE split_part(data, ';;', 1) = ANY(:names::text[]) OR strpos(data, ';;') = 0
                OR NOT starts_with(data, :identifier::text)) e ON true
        ORDER BY k.position, e.number DESC"""
    guard = """
        INSERT INTO {feeds} AS f (key, version)
        SELECT g.key, g.version
        FROM unnest(:keys::text[], :versions::bigint[], :known::bool[]) AS g(key, version, known)
        WHERE NOT g.known OR EXISTS (SELECT 1 FROM {feeds} o WHERE o.key = g.key) ORDER BY g.key
        ON CONFLICT (key) DO UPDATE SET version = f.version + 1 WHERE f.version = excluded.version RETURNING key, id"""
    change = """
        WITH gone AS (
            DELETE FROM {entries} e USING unnest(:old_feeds::bigint[], :olds::bytea[]) AS o(feed, number)
            WHERE e.feed = o.feed AND e.number = o.number),
        come AS (
            INSERT INTO {entries} (feed, number, data)
            SELECT * FROM unnest(:new_feeds::bigint[], :numbers::bytea[], :datas::text[])
            ON CONFLICT (feed, number) DO UPDATE SET data = excluded.data),
        o AS (SELECT * FROM unnest(:o_changes::int[], :o_lists::text[], :o_items::text[], :o_go::bool[])
            AS o(change, list, item, goes)),
        m AS (SELECT * FROM unnest(
            :m_changes::int[], :m_lists::text[], :m_items::text[], :m_renew::bool[], :m_lengths::int[])
            AS m(change, list, item, renew, length)),
        marked AS (
            SELECT DISTINCT o.change FROM o JOIN {items_table} i ON i.list = o.list AND i.item = o.item),
        unmarked AS (
            DELETE FROM {items_table} i USING o WHERE o.goes AND i.list = o.list AND i.item = o.item),
        put AS (
            INSERT INTO {items_table} (list, item, n, position)
            SELECT m.list, m.item, 0, m.change + 1 + coalesce(
                (SELECT max(i.position) FROM {items_table} i WHERE i.list = m.list), 0)
            FROM m WHERE m.renew OR m.change IN (SELECT change FROM marked)
            ON CONFLICT (list, item, n) DO NOTHING RETURNING list)
        DELETE FROM {items_table} WHERE (list, item, n) IN (
            SELECT list, item, n FROM (
                SELECT i.list, i.item, i.n, l.length,
                    row_number() OVER (PARTITION BY i.list ORDER BY i.position DESC, i.item, i.n)
                    + (SELECT count(*) FROM put WHERE put.list = i.list) AS place
                FROM (SELECT DISTINCT list, length FROM m) l JOIN {items_table} i ON i.list = l.list
                WHERE NOT EXISTS (SELECT 1 FROM o WHERE o.goes AND o.list = i.list AND o.item = i.item)) placed
            WHERE place > length)"""
    #: Lets one at a time append to lists; in the order of their keys.
    lock_lists = 'SELECT pg_advisory_xact_lock(hashtextextended(k.key, 0)) FROM {keys} ORDER BY k.key'

    def compile(self, text: str) -> str:
        """psycopg's placeholders."""
        return _PLACEHOLDER.sub(r'%(\1)s', super().compile(text))

    def keys(self, keys: Sequence[str]) -> Any:
        """A list."""
        return list(keys)

    def ids(self, ids: Sequence[int]) -> Any:
        """A list."""
        return list(ids)

    def rows(self, numbers: Sequence[bytes], datas: Sequence[str | None] | None = None) -> Iterator[Values]:
        """All at once."""
        if numbers:
            yield {'numbers': list(numbers), 'datas': [None] * len(numbers) if datas is None else list(datas)}

    def items(self, items: Sequence[tuple[str, str, int, int]]) -> Values:
        """An array for each column."""
        lists, texts, ns, positions = zip(*items, strict=True) if items else ((), (), (), ())
        return {'lists': list(lists), 'items': list(texts), 'ns': list(ns), 'positions': list(positions)}

    def guard_values(self, feeds: Sequence[tuple[str, int | None]]) -> Values:
        """An array for each column."""
        fresh = self.fresh_version()
        return {
            'keys': [key for key, _ in feeds],
            'versions': [fresh if version is None else version for _, version in feeds],
            'known': [version is not None for _, version in feeds],
        }

    def change_values(
        self,
        removed: Sequence[tuple[int, bytes]],
        added: Sequence[tuple[int, bytes, str | None]],
        markers: Sequence[tuple[str, Sequence[str], str | None, bool, int | None]],
    ) -> Iterator[Values]:
        """An array for each column. What comes back in the same statement doesn't go: one row is written only once."""
        coming = {(feed, number) for feed, number, _ in added}
        removed = [pair for pair in removed if pair not in coming]
        kept = {(key, item) for key, _, item, _, _ in markers if item is not None}
        olds = [
            (change, key, old, (key, old) not in kept)
            for change, (key, old_items, _, _, _) in enumerate(markers)
            for old in old_items
        ]
        news = {
            (key, item): (change, key, item, renew, 2**31 - 1 if length is None else length)
            for change, (key, _, item, renew, length) in enumerate(markers)
            if item is not None
        }
        new_rows = list(news.values())
        yield {
            'old_feeds': [feed for feed, _ in removed],
            'olds': [number for _, number in removed],
            'new_feeds': [row[0] for row in added],
            'numbers': [row[1] for row in added],
            'datas': [row[2] for row in added],
            **{name: [row[i] for row in olds] for i, name in enumerate(('o_changes', 'o_lists', 'o_items', 'o_go'))},
            **{
                name: [row[i] for row in new_rows]
                for i, name in enumerate(('m_changes', 'm_lists', 'm_items', 'm_renew', 'm_lengths'))
            },
        }
