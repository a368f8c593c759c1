"""The tables that follows, mutes and blocks are kept in; ``sync`` makes them."""

from __future__ import annotations

from stream_framework import settings

#: Whom users follow: the truth, by target (``place`` 0), and again by time (``place`` 1).
FOLLOWED = 'stream_framework_followed'
#: Who follows targets, by time, in partitions of bounded size.
FOLLOWERS = 'stream_framework_followers'
#: Whom users have muted and blocked (``muted``, ``blocked``), and who has muted and blocked them (``m``, ``b``).
HIDDEN = 'stream_framework_hidden'

_COLUMNS = {
    FOLLOWED: (
        'name text, user_id text, place int, since bigint, target_id text, '
        'moment bigint, bucket int, version bigint, gone boolean, '
        'PRIMARY KEY ((name, user_id), place, since, target_id)',
        'CLUSTERING ORDER BY (place ASC, since DESC, target_id DESC)',
    ),
    FOLLOWERS: (
        'name text, target_id text, bucket int, since bigint, user_id text, widths set<int> static, '
        'PRIMARY KEY ((name, target_id, bucket), since, user_id)',
        'CLUSTERING ORDER BY (since DESC, user_id DESC)',
    ),
    HIDDEN: (
        'name text, user_id text, place text, other_id text, active boolean, '
        'PRIMARY KEY ((name, user_id), place, other_id)',
        'CLUSTERING ORDER BY (place ASC, other_id ASC)',
    ),
}
#: All of them.
TABLES = tuple(_COLUMNS)


def create_query(keyspace: str, table: str, options: str) -> str:
    """Return the statement that creates one of the tables.

    :param options: the options of tables of feeds
    """
    columns, order = _COLUMNS[table]
    return f'CREATE TABLE IF NOT EXISTS "{keyspace}"."{table}" ({columns}) WITH {order} AND {options}'


def quoted(table: str) -> str:
    """Return a table's name for a statement."""
    return f'"{settings.STREAM_DEFAULT_KEYSPACE}"."{table}"'
