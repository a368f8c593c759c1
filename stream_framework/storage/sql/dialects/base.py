"""Statements that both databases understand, but for what a list of values is; see the two others for that.

``{feeds}`` and so on stand for the tables, ``{keys}``, ``{rows}`` and ``{items}`` for lists of values, ``:name`` for
one value.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from stream_framework.storage.sql.schema import PREFIX, TABLES

#: Values of a statement, by name.
Values = dict[str, Any]


class Dialect:
    """The statements, as text for the driver.

    :param schema: the PostgreSQL schema of the tables
    """

    #: SQLAlchemy's name.
    name: ClassVar[str]
    #: What stands for the lists of values, and for what else the databases say differently.
    fragments: ClassVar[Mapping[str, str]]

    # Feeds: their keys, ids and versions.
    make_feeds = """
        INSERT INTO {feeds} (key, version) SELECT k.key, :version FROM {keys} WHERE true ORDER BY k.key
        ON CONFLICT (key) DO NOTHING"""
    # Versions start anywhere and count up: a feed that was deleted and made again has another one.
    touch_feeds = """
        INSERT INTO {feeds} AS f (key, version) SELECT k.key, :version FROM {keys} WHERE true ORDER BY k.key
        ON CONFLICT (key) DO UPDATE SET version = f.version + 1 RETURNING key, id"""
    touch_existing = 'UPDATE {feeds} SET version = version + 1 WHERE key = :key RETURNING id'
    feeds_after = 'SELECT id, key FROM {feeds} WHERE key >= :low AND key > :after ORDER BY key LIMIT :limit'
    delete_feed = 'DELETE FROM {feeds} WHERE key = :key RETURNING id'
    delete_feeds = 'DELETE FROM {feeds} WHERE id IN ({ids})'

    # Entries: what is there stays, or is replaced.
    add_entries: str
    put_entries: str
    remove_entries = """
        DELETE FROM {entries} WHERE (feed, number) IN (
            SELECT f.id, d.number FROM {keys} {join} {feeds} f ON f.key = k.key CROSS JOIN {rows})"""
    remove_between = """
        DELETE FROM {entries}
        WHERE feed = (SELECT id FROM {feeds} WHERE key = :key) AND number BETWEEN :low AND :high"""
    #: Copies the newest entries of many timelines to another one.
    copy_newest: str
    #: Replaces the data of entries of one timeline; gives their numbers.
    replace_entries: str
    existing_entries = """
        SELECT e.number FROM {rows} {join} {entries} e
        ON e.feed = (SELECT id FROM {feeds} WHERE key = :key) AND e.number = d.number"""
    trim_entries = """
        DELETE FROM {entries} WHERE (feed, number) IN (
            SELECT e.feed, e.number FROM (
                SELECT f.id, (SELECT number FROM {entries} WHERE feed = f.id ORDER BY number DESC LIMIT 1 OFFSET :last)
                AS oldest FROM {keys} {join} {feeds} f ON f.key = k.key) cut
            {join} {entries} e ON e.feed = cut.id AND e.number < cut.oldest)
        RETURNING feed, number"""
    delete_entries = 'DELETE FROM {entries} WHERE feed IN ({ids})'
    count_entries = 'SELECT count(*) FROM {entries} WHERE feed = (SELECT id FROM {feeds} WHERE key = :key)'
    index_of = """
        SELECT (SELECT count(*) FROM {entries} o WHERE o.feed = e.feed AND o.number > e.number)
        FROM {entries} e WHERE e.feed = (SELECT id FROM {feeds} WHERE key = :key)
        AND e.number BETWEEN :low AND :high ORDER BY e.number DESC LIMIT 1"""
    _page = """
        SELECT number, data FROM {entries} WHERE feed = (SELECT id FROM {feeds} WHERE key = :key)
        AND number BETWEEN :low AND :high ORDER BY number %s LIMIT :limit OFFSET :offset"""
    # What the offset skips isn't looked up.
    _hydrated = """
        SELECT e.number, a.data FROM (
            SELECT number FROM {entries} WHERE feed = (SELECT id FROM {feeds} WHERE key = :key)
            AND number BETWEEN :low AND :high ORDER BY number %s LIMIT :limit OFFSET :offset) e
        LEFT JOIN {activities} a ON a.id = e.number ORDER BY e.number %s"""
    # In the order of the timeline, so that it can stop.
    _filtered = """
        SELECT e.number, a.data FROM {entries} e {join} {activities} a ON a.id = e.number
        WHERE e.feed = (SELECT id FROM {feeds} WHERE key = :key) AND e.number BETWEEN :low AND :high
        AND ({find}(a.data, :part) > 0 AND {starts} OR a.data < :plain {bytewise}) ORDER BY e.number %s LIMIT :limit"""
    newest_filtered = _filtered % 'DESC'
    oldest_filtered = _filtered % 'ASC'
    newest_first = _page % 'DESC'
    oldest_first = _page % 'ASC'
    newest_hydrated = _hydrated % ('DESC', 'DESC')
    oldest_hydrated = _hydrated % ('ASC', 'ASC')
    #: The newest entries of many feeds: position of the key, version, number, data.
    newest_of_many: str
    #: The same, of groups of some names only, and of those whose names can't be told.
    groups_of_many: str

    # Changes of groups.
    #: Count up the versions of feeds that are as they were when they were read; gives key and id of those.
    guard: str
    #: Entries and markers go and come; what the values are, :meth:`change_values` knows.
    change: str

    # Activities.
    put_activities = """
        INSERT INTO {activities} (id, data) SELECT d.number, d.data FROM {rows} WHERE true ORDER BY d.number
        ON CONFLICT (id) DO UPDATE SET data = excluded.data"""
    get_activities = 'SELECT a.id, a.data FROM {rows} {join} {activities} a ON a.id = d.number'
    activities_after = 'SELECT id, data FROM {activities} WHERE id > :after ORDER BY id LIMIT :limit'
    remove_activities = 'DELETE FROM {activities} WHERE id IN (SELECT d.number FROM {rows})'

    # Lists. Of items that are equal each has an n of its own.
    append_items = """
        INSERT INTO {items_table} (list, item, n, position)
        SELECT i.list, i.item,
            i.n + coalesce((SELECT max(o.n) + 1 FROM {items_table} o WHERE o.list = i.list AND o.item = i.item), 0),
            i.position + coalesce((SELECT max(o.position) + 1 FROM {items_table} o WHERE o.list = i.list), 0)
        FROM {items}"""
    move_items = """
        INSERT INTO {items_table} (list, item, n, position)
        SELECT i.list, i.item, 0,
            i.position + coalesce((SELECT max(o.position) + 1 FROM {items_table} o WHERE o.list = i.list), 0)
        FROM {items} WHERE true ORDER BY i.list, i.item
        ON CONFLICT (list, item, n) DO UPDATE SET position = excluded.position"""
    remove_equals = 'DELETE FROM {items_table} WHERE n > 0 AND (list, item) IN (SELECT i.list, i.item FROM {items})'
    remove_items = 'DELETE FROM {items_table} WHERE (list, item) IN (SELECT i.list, i.item FROM {items})'
    trim_items = """
        DELETE FROM {items_table} WHERE (list, item, n) IN (
            SELECT list, item, n FROM (
                SELECT list, item, n, row_number() OVER (PARTITION BY list ORDER BY position DESC, item, n) AS place
                FROM {items_table} WHERE list IN (SELECT k.key FROM {keys})) placed
            WHERE place > :length)"""
    get_items = """
        SELECT i.list, i.item FROM {keys} {join} {items_table} i ON i.list = k.key
        ORDER BY i.list, i.position, i.item DESC, i.n DESC"""
    count_items = 'SELECT i.list, count(*) FROM {keys} {join} {items_table} i ON i.list = k.key GROUP BY i.list'
    flush_items = 'DELETE FROM {items_table} WHERE list IN (SELECT k.key FROM {keys})'
    lists_after = """
        SELECT DISTINCT list FROM {items_table} WHERE list >= :low AND list > :after ORDER BY list LIMIT :limit"""

    # Intents.
    put_intents = """
        INSERT INTO {intents} (name, value, expires) SELECT k.key, :value, :expires FROM {keys} WHERE true
        ORDER BY k.key ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires = excluded.expires"""
    turn_intents = """
        UPDATE {intents} SET value = :value, expires = :expires WHERE name IN (
            SELECT i.name FROM {keys} {join} {intents} i ON i.name = k.key WHERE i.expires > :now
            ORDER BY i.name {for_update})"""
    get_intents = """
        SELECT i.name, i.value FROM {keys} {join} {intents} i ON i.name = k.key WHERE i.expires > :now"""
    forget_intents = 'DELETE FROM {intents} WHERE expires <= :now'

    # How far timelines were seen. A mark never moves back.
    put_seen = """
        INSERT INTO {seen} AS s (key, number) VALUES (:key, :number)
        ON CONFLICT (key) DO UPDATE SET number = excluded.number WHERE excluded.number > s.number"""
    get_seen = 'SELECT s.key, s.number FROM {keys} {join} {seen} s ON s.key = k.key'
    count_new = """
        SELECT k.key, (
            SELECT count(*) FROM {entries} e WHERE e.feed = f.id AND e.number > coalesce(s.number, :lowest))
        FROM {keys} {join} {feeds} f ON f.key = k.key LEFT JOIN {seen} s ON s.key = k.key"""
    forget_seen = 'DELETE FROM {seen} WHERE key IN (SELECT k.key FROM {keys})'
    seen_after = 'SELECT key FROM {seen} WHERE key > :after ORDER BY key LIMIT :limit'

    # The ledger.
    put_ledger = """
        INSERT INTO {ledger} (minute, id, entry, expires)
        SELECT :minute, i.list, i.item, :expires FROM {items} WHERE true ORDER BY i.list
        ON CONFLICT (minute, id) DO UPDATE SET entry = excluded.entry, expires = excluded.expires"""
    turn_ledger = """
        UPDATE {ledger} SET entry = i.item, expires = :expires FROM {items}
        WHERE {ledger}.minute = :minute AND {ledger}.id = i.list"""
    delete_from_ledger = 'DELETE FROM {ledger} WHERE minute = :minute AND id = :id'
    find_in_ledger = 'SELECT entry FROM {ledger} WHERE minute = :minute AND id = :id AND expires > :now'
    read_ledger = """
        SELECT minute, id, entry FROM {ledger} WHERE minute BETWEEN :first AND :last AND (minute, id) > (:minute, :id)
        AND expires > :now ORDER BY minute, id LIMIT :limit"""
    forget_ledger = 'DELETE FROM {ledger} WHERE expires <= :now'

    # Follows, mutes and blocks.
    add_follows = """
        INSERT INTO {follows} (name, user_id, target_id, since)
        SELECT CAST(:name AS text), i.list, i.item, i.position FROM {items} WHERE true ORDER BY i.list, i.item
        ON CONFLICT (name, user_id, target_id) DO NOTHING"""
    remove_follows = """
        DELETE FROM {follows} WHERE (name, user_id, target_id) IN (
            SELECT CAST(:name AS text), i.list, i.item FROM {items})"""
    find_followed = """
        SELECT f.target_id FROM {keys} {join} {follows} f ON f.target_id = k.key
        WHERE f.name = :name AND f.user_id = :user"""
    find_followers = """
        SELECT f.user_id FROM {keys} {join} {follows} f ON f.user_id = k.key
        WHERE f.name = :name AND f.target_id = :target"""
    count_followed = 'SELECT count(*) FROM {follows} WHERE name = :name AND user_id = :user'
    count_followers = 'SELECT count(*) FROM {follows} WHERE name = :name AND target_id = :user'
    page_of_followed = """
        SELECT target_id, since FROM {follows}
        WHERE name = :name AND user_id = :user AND (since, target_id) < (:since, :other)
        ORDER BY since DESC, target_id DESC LIMIT :limit"""
    page_of_followers = """
        SELECT user_id, since FROM {follows}
        WHERE name = :name AND target_id = :user AND (since, user_id) < (:since, :other)
        ORDER BY since DESC, user_id DESC LIMIT :limit"""
    add_hides = """
        INSERT INTO {hides} (name, kind, user_id, target_id)
        SELECT CAST(:name AS text), CAST(:kind AS text), i.list, i.item FROM {items} WHERE true ORDER BY i.list, i.item
        ON CONFLICT (name, kind, user_id, target_id) DO NOTHING"""
    remove_hides = """
        DELETE FROM {hides} WHERE (name, kind, user_id, target_id) IN (
            SELECT CAST(:name AS text), CAST(:kind AS text), i.list, i.item FROM {items})"""
    hidden_after = """
        SELECT target_id FROM {hides} WHERE name = :name AND kind = :kind AND user_id = :user AND target_id > :after
        ORDER BY target_id LIMIT :limit"""
    hiders_after = """
        SELECT user_id FROM {hides} WHERE name = :name AND kind = :kind AND target_id = :user AND user_id > :after
        ORDER BY user_id LIMIT :limit"""
    #: Pairs of an actor and a user who must not see what the actor does.
    find_hides = """
        SELECT target_id, user_id FROM {hides}
        WHERE name = :name AND kind IN ('mute', 'block') AND user_id {in_users} AND target_id {in_actors}
        UNION SELECT user_id, target_id FROM {hides}
        WHERE name = :name AND kind = 'block' AND user_id {in_actors} AND target_id {in_users}"""
    #: What a user has to do with targets: those whom he follows, those who are hidden from him, whether anybody may be.
    find_states = """
        SELECT 'followed', f.target_id FROM {keys} {join} {follows} f ON f.target_id = k.key
        WHERE f.name = :name AND f.user_id = :user
        UNION ALL SELECT 'hidden', target_id FROM {hides}
        WHERE name = :name AND kind IN ('mute', 'block') AND user_id = :user AND target_id {in_actors}
        UNION ALL SELECT 'hidden', user_id FROM {hides}
        WHERE name = :name AND kind = 'block' AND user_id {in_actors} AND target_id = :user
        UNION ALL SELECT 'any', '' WHERE
            EXISTS (SELECT 1 FROM {hides} WHERE name = :name AND kind IN ('mute', 'block') AND user_id = :user)
            OR EXISTS (SELECT 1 FROM {hides} WHERE name = :name AND kind = 'block' AND target_id = :user)"""
    may_hide = """
        SELECT 1 WHERE
            EXISTS (SELECT 1 FROM {hides} WHERE name = :name AND kind IN ('mute', 'block') AND user_id = :user)
            OR EXISTS (SELECT 1 FROM {hides} WHERE name = :name AND kind = 'block' AND target_id = :user)"""
    #: From whom an actor is hidden.
    find_readers = """
        SELECT user_id FROM {hides} WHERE name = :name AND kind IN ('mute', 'block') AND target_id = :user
        UNION SELECT target_id FROM {hides} WHERE name = :name AND kind = 'block' AND user_id = :user LIMIT :limit"""
    flush_follows = 'DELETE FROM {follows} WHERE name = :name'
    flush_hides = 'DELETE FROM {hides} WHERE name = :name'

    # All of a kind.
    empty_entries = 'DELETE FROM {entries}'
    empty_feeds = 'DELETE FROM {feeds}'
    empty_seen = 'DELETE FROM {seen}'
    empty_activities = 'DELETE FROM {activities}'
    empty_intents = 'DELETE FROM {intents}'
    empty_ledger = 'DELETE FROM {ledger}'
    #: The version of the tables.
    schema_version = 'SELECT max(version) FROM {schema}'

    def __init__(self, schema: str | None = None) -> None:
        self.schema = schema
        prefix = f'{schema}.{PREFIX}' if schema else PREFIX
        names = {table: prefix + table for table in TABLES}
        names['items_table'] = names.pop('items')
        parts = {**names, **self.fragments}
        for cls in type(self).__mro__:
            for name, text in vars(cls).items():
                if isinstance(text, str) and '{' in text and not name.startswith('_') and name not in self.__dict__:
                    setattr(self, name, self.compile(text.format(**parts)))

    def compile(self, text: str) -> str:
        """Return a statement in the words of the driver."""
        return ' '.join(text.split())

    def fresh_version(self) -> int:
        """Return a version that no feed has had."""
        return secrets.randbits(61) + 1

    def keys(self, keys: Sequence[str]) -> Any:
        """Return keys as the value of ``{keys}``."""
        raise NotImplementedError

    def ids(self, ids: Sequence[int]) -> Any:
        """Return small ids as the value of ``{ids}``."""
        raise NotImplementedError

    def rows(self, numbers: Sequence[bytes], datas: Sequence[str | None] | None = None) -> Iterator[Values]:
        """Yield ids as bytes, with what is stored of each, as values of ``{rows}``; as a rule all at once."""
        raise NotImplementedError

    def items(self, items: Sequence[tuple[str, str, int, int]]) -> Values:
        """Return ``(list, item, n, position)`` as values of ``{items}``."""
        raise NotImplementedError

    def guard_values(self, feeds: Sequence[tuple[str, int | None]]) -> Values:
        """Return ``(key, the version that was read)`` as values of :attr:`guard`; ``None``: there was no such feed."""
        raise NotImplementedError

    def change_values(
        self,
        removed: Sequence[tuple[int, bytes]],
        added: Sequence[tuple[int, bytes, str | None]],
        markers: Sequence[tuple[str, Sequence[str], str | None, bool, int | None]],
    ) -> Iterator[Values]:
        """Yield what goes and comes as values of :attr:`change`; as a rule all at once.

        :param removed: feed's id, number
        :param added: feed's id, number, data
        :param markers: key of a list, old items, new item, whether it comes in any case, how many stay
        """
        raise NotImplementedError
