"""What is SQLite's own: lists of values are JSON, which has no bytes, so ids of one length are one long value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from stream_framework.storage.sql.dialects.base import Dialect, Values

_UNLIMITED = 2**31


class Sqlite(Dialect):
    """Statements for SQLite 3.35 and later."""

    name = 'sqlite'
    fragments = {
        'keys': '(SELECT key AS position, value AS key FROM json_each(:keys)) k',
        'ids': 'SELECT value FROM json_each(:ids)',
        'rows': '(SELECT substr(:numbers, 1 + :width * key, :width) AS number, value AS data FROM json_each(:datas)) d',
        'items': """(SELECT json_extract(value, '$[0]') AS list, json_extract(value, '$[1]') AS item,
            json_extract(value, '$[2]') AS n, json_extract(value, '$[3]') AS position FROM json_each(:items)) i""",
        'in_actors': 'IN (SELECT value FROM json_each(:actors))',
        'in_users': 'IN (SELECT value FROM json_each(:users))',
        # In this order: a plan that starts with all feeds would be slow.
        'join': 'CROSS JOIN',
        'for_update': '',
        'bytewise': '',
        'find': 'instr',
        'starts': 'substr(a.data, 1, length(:head)) = :head',
    }

    # Only for feeds that are there; what makes the others comes before. OR IGNORE, because for ON CONFLICT SQLite first
    # saves each page that it changes.
    _of_known = """
        FROM json_each(:ids) k CROSS JOIN {feeds} f ON f.id = k.value{cross}
        WHERE EXISTS (SELECT 1 FROM {feeds} WHERE id = :newest AND version BETWEEN :lowest AND :highest)"""
    add_entries = (
        'INSERT OR IGNORE INTO {entries} (feed, number, data) SELECT f.id, d.number, d.data'
        + _of_known.replace('{cross}', ' CROSS JOIN {rows}')
    )
    put_entries = (
        add_entries.replace(' OR IGNORE', '') + ' ON CONFLICT (feed, number) DO UPDATE SET data = excluded.data'
    )
    #: The same for one id, which most fan-outs are about.
    add_entry = 'INSERT OR IGNORE INTO {entries} (feed, number) SELECT f.id, :number' + _of_known.replace('{cross}', '')
    _newest = """
        FROM {keys} CROSS JOIN {feeds} f ON f.key = k.key CROSS JOIN {entries} e
        ON e.feed = f.id AND e.number >= coalesce(
            (SELECT number FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT 1 OFFSET :length - 1), x'')"""
    #: The newest entries of many feeds: position of the key, and their numbers in one text.
    newest_ids = 'SELECT k.position, group_concat(hex(e.number))' + _newest + ' GROUP BY k.position'
    copy_newest = 'INSERT OR IGNORE INTO {entries} (feed, number) SELECT :feed, e.number' + _newest
    replace_entries = """
        UPDATE {entries} SET data = d.data FROM {rows}
        WHERE feed = (SELECT id FROM {feeds} WHERE key = :key) AND {entries}.number = d.number
        RETURNING number"""
    #: Makes feeds, and reads intents on the way: gives key, id and version of each, the intents as JSON, and whether
    #: the newest feed that was known is there.
    make_and_read = """
        INSERT INTO {feeds} AS f (key, version) SELECT k.key, :version FROM {keys} WHERE true
        ON CONFLICT (key) DO UPDATE SET version = f.version RETURNING key, id, version, (
            SELECT json_group_object(i.name, i.value) FROM json_each(:names) n CROSS JOIN {intents} i
            ON i.name = n.value WHERE i.expires > :now),
            EXISTS (SELECT 1 FROM {feeds} WHERE id = :newest AND version BETWEEN :lowest AND :highest)"""
    newest_of_many = """
        SELECT k.position, f.version, e.number, e.data
        FROM {keys} CROSS JOIN {feeds} f ON f.key = k.key LEFT JOIN {entries} e
        ON e.feed = f.id AND :length > 0 AND e.number >= coalesce(
            (SELECT number FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT 1 OFFSET :length - 1), x'')
        ORDER BY k.position, e.number DESC"""
    groups_of_many = """
        SELECT k.position, f.version, e.number, e.data
        FROM {keys} CROSS JOIN {feeds} f ON f.key = k.key LEFT JOIN {entries} e
        ON e.feed = f.id AND :length > 0 AND e.number >= coalesce(
            (SELECT number FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT 1 OFFSET :length - 1), x'')
            AND (substr(e.data, 1, instr(e.data, ';;') - 1) IN (SELECT value FROM json_each(:names))
                OR instr(e.data, ';;') = 0 OR substr(e.data, 1, length(:identifier)) <> :identifier)
        ORDER BY k.position, e.number DESC"""
    guard = """
        INSERT INTO {feeds} AS f (key, version)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:guarded)
        WHERE json_extract(value, '$[2]') = 0
            OR EXISTS (SELECT 1 FROM {feeds} o WHERE o.key = json_extract(value, '$[0]'))
        ON CONFLICT (key) DO UPDATE SET version = f.version + 1 WHERE f.version = excluded.version RETURNING key, id"""
    change = """
        INSERT INTO stream_changes (feed, old, number, data, list, olds, item, renew, max_length)
        SELECT json_extract(value, '$[0]'),
            CASE json_extract(value, '$[1]') WHEN 1 THEN substr(:numbers, 1 + :width * key, :width) END,
            CASE json_extract(value, '$[1]') WHEN 2 THEN substr(:numbers, 1 + :width * key, :width) END,
            json_extract(value, '$[2]'), NULL, NULL, NULL, NULL, NULL FROM json_each(:entries)
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, json_extract(value, '$[0]'), json_extract(value, '$[1]'),
            json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]')
        FROM json_each(:markers)"""

    def keys(self, keys: Sequence[str]) -> Any:
        """JSON, in which a lone surrogate can't be said: binding it raises ``UnicodeEncodeError``."""
        return _json(list(keys))

    def ids(self, ids: Sequence[int]) -> Any:
        """JSON, which a list of ints is written as."""
        return str(list(ids))

    def rows(self, numbers: Sequence[bytes], datas: Sequence[str | None] | None = None) -> Iterator[Values]:
        """All ids of one length at once; nearly all have the same."""
        if datas is None:
            datas = [None] * len(numbers)
        for width in sorted(set(map(len, numbers))):
            chosen = [i for i, number in enumerate(numbers) if len(number) == width]
            yield {
                'numbers': b''.join([numbers[i] for i in chosen]),
                'width': width,
                'datas': _json([datas[i] for i in chosen]),
            }

    def items(self, items: Sequence[tuple[str, str, int, int]]) -> Values:
        """JSON."""
        return {'items': _json(items)}

    def guard_values(self, feeds: Sequence[tuple[str, int | None]]) -> Values:
        """JSON of key, version, and whether there was such a feed."""
        fresh = self.fresh_version()
        return {
            'guarded': _json(
                [(key, fresh if version is None else version, int(version is not None)) for key, version in feeds]
            )
        }

    def change_values(
        self,
        removed: Sequence[tuple[int, bytes]],
        added: Sequence[tuple[int, bytes, str | None]],
        markers: Sequence[tuple[str, Sequence[str], str | None, bool, int | None]],
    ) -> Iterator[Values]:
        """All ids of one length at once; the markers with the first of them."""
        entries: list[tuple[int, int, bytes, str | None]] = [(feed, 1, number, None) for feed, number in removed]
        entries += [(feed, 2, number, data) for feed, number, data in added]
        given = _json(
            [
                (key, _json(list(olds)), item, int(renew), _UNLIMITED if length is None else length)
                for key, olds, item, renew, length in markers
            ]
        )
        for width in sorted({len(number) for _, _, number, _ in entries}) or [0]:
            chosen = [entry for entry in entries if len(entry[2]) == width]
            yield {
                'entries': _json([(feed, step, data) for feed, step, _, data in chosen]),
                'numbers': b''.join([number for _, _, number, _ in chosen]),
                'width': width,
                'markers': given,
            }
            given = '[]'


#: Made once: ``json.dumps`` makes one for each call that wants other separators.
_json = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode
