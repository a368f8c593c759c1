"""The tables: one schema for all feed classes.

======================  ==============================================================================================
table                   a row for
======================  ==============================================================================================
``stream_feeds``        each timeline: its key, a small id, and a version, by which changes of groups are guarded
``stream_entries``      each entry of a timeline; ``data`` is empty where the entry is only an id
``stream_activities``   each whole activity
``stream_items``        each item of a list (the markers of notification feeds); ``n`` tells equal items of a list apart
``stream_intents``      each intent: what was published last
``stream_seen``         each timeline that was marked as seen: how far
``stream_ledger``       each message that was published and isn't done
``stream_follows``      each follow: both ends in one row, with the milliseconds since which it is
``stream_hides``        each mute and each block
``stream_schema``       the version of these tables
======================  ==============================================================================================

Ids are bytes, see :mod:`~stream_framework.storage.sql.numbers`; texts are as :mod:`~stream_framework.storage.sql.texts`
packs them, and compare byte by byte.
"""

from __future__ import annotations

import functools
from typing import Any

from stream_framework.storage.sql import config
from stream_framework.storage.sql.config import sqlalchemy as sa

#: The version of the tables; raised whenever they change.
VERSION = 1
#: What all names begin with.
PREFIX = 'stream_'
TABLES = ('feeds', 'entries', 'activities', 'items', 'intents', 'seen', 'ledger', 'follows', 'hides', 'schema')

# On SQLite: what `INSERT INTO stream_changes` does to groups and to their markers, a row for each, in one statement.
_CHANGES_VIEW = """
CREATE VIEW IF NOT EXISTS stream_changes AS
SELECT NULL AS feed, NULL AS old, NULL AS number, NULL AS data,
       NULL AS list, NULL AS olds, NULL AS item, NULL AS renew, NULL AS max_length
"""
_CHANGE_ENTRY = """
CREATE TRIGGER IF NOT EXISTS stream_change_entry INSTEAD OF INSERT ON stream_changes WHEN NEW.feed IS NOT NULL
BEGIN
    DELETE FROM stream_entries WHERE feed = NEW.feed AND number = NEW.old;
    INSERT INTO stream_entries (feed, number, data) SELECT NEW.feed, NEW.number, NEW.data WHERE NEW.number IS NOT NULL
    ON CONFLICT (feed, number) DO UPDATE SET data = excluded.data;
END
"""
_CHANGE_ITEM = """
CREATE TRIGGER IF NOT EXISTS stream_change_item INSTEAD OF INSERT ON stream_changes WHEN NEW.list IS NOT NULL
BEGIN
    INSERT INTO stream_items (list, item, n, position)
    SELECT NEW.list, NEW.item, 0, coalesce((SELECT max(position) FROM stream_items WHERE list = NEW.list), 0) + 1
    WHERE NEW.item IS NOT NULL AND (NEW.renew OR EXISTS (
        SELECT 1 FROM stream_items WHERE list = NEW.list AND item IN (SELECT value FROM json_each(NEW.olds))))
    ON CONFLICT (list, item, n) DO NOTHING;
    DELETE FROM stream_items
    WHERE list = NEW.list AND item IN (SELECT value FROM json_each(NEW.olds)) AND item IS NOT NEW.item;
    DELETE FROM stream_items
    WHERE list = NEW.list AND position < (
        SELECT position FROM stream_items WHERE list = NEW.list
        ORDER BY position DESC LIMIT 1 OFFSET NEW.max_length - 1);
END
"""
#: What is made on SQLite besides the tables.
SQLITE_EXTRAS = (_CHANGES_VIEW, _CHANGE_ENTRY, _CHANGE_ITEM)


@functools.cache
def metadata(schema: str | None = None) -> Any:
    """Return SQLAlchemy's metadata of the tables.

    :param schema: the PostgreSQL schema that they are in
    """
    config.require_sqlalchemy()
    made = sa.MetaData(schema=schema)
    # Byte by byte, as SQLite compares: an order by language would differ from server to server.
    text = sa.Text().with_variant(sa.Text(collation='C'), 'postgresql')
    number = sa.LargeBinary()
    big = sa.BigInteger()

    def table(name: str, *columns: Any, **options: Any) -> Any:
        return sa.Table(PREFIX + name, made, *columns, **options)

    def column(name: str, kind: Any, **options: Any) -> Any:
        return sa.Column(name, kind, nullable=False, **options)

    table(
        'feeds',
        sa.Column(
            'id',
            big.with_variant(sa.Integer(), 'sqlite'),
            sa.Identity(always=False),
            primary_key=True,
            autoincrement=True,
        ),
        column('key', text, unique=True),
        column('version', big),
        # Ids are never used again: what another process remembers of a deleted feed must not mean a new one.
        sqlite_autoincrement=True,
    )
    table(
        'entries',
        column('feed', big, primary_key=True, autoincrement=False),
        column('number', number, primary_key=True),
        sa.Column('data', sa.Text()),
        sqlite_with_rowid=False,
    )
    table(
        'activities',
        column('id', number, primary_key=True),
        column('data', sa.Text()),
        sqlite_with_rowid=False,
    )
    table(
        'items',
        column('list', text, primary_key=True),
        column('item', text, primary_key=True),
        column('n', sa.Integer(), primary_key=True, autoincrement=False),
        column('position', big),
        sa.Index('stream_items_by_position', 'list', 'position'),
        sqlite_with_rowid=False,
    )
    table(
        'intents',
        column('name', text, primary_key=True),
        column('value', sa.Text()),
        column('expires', sa.Double(), index=True),
        sqlite_with_rowid=False,
    )
    table(
        'seen',
        column('key', text, primary_key=True),
        column('number', number),
        sqlite_with_rowid=False,
    )
    table(
        'ledger',
        column('minute', big, primary_key=True, autoincrement=False),
        column('id', text, primary_key=True),
        column('entry', sa.Text()),
        column('expires', sa.Double(), index=True),
        sqlite_with_rowid=False,
    )
    table(
        'follows',
        column('name', text, primary_key=True),
        column('user_id', text, primary_key=True),
        column('target_id', text, primary_key=True),
        column('since', big),
        sa.Index('stream_follows_followed', 'name', 'user_id', 'since', 'target_id'),
        sa.Index('stream_follows_followers', 'name', 'target_id', 'since', 'user_id'),
        sqlite_with_rowid=False,
    )
    table(
        'hides',
        column('name', text, primary_key=True),
        column('kind', text, primary_key=True),
        column('user_id', text, primary_key=True),
        column('target_id', text, primary_key=True),
        sa.Index('stream_hides_by_target', 'name', 'kind', 'target_id', 'user_id'),
        sqlite_with_rowid=False,
    )
    table('schema', column('version', sa.Integer(), primary_key=True, autoincrement=False))
    return made
