"""The features of CQL that some servers refuse, and the statements that need them.

:mod:`stream_framework.storage.cassandra.fallbacks` finds ways around them.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra.errors import refuses

#: Counting in the server. Without it: ids are counted here, in pages.
COUNT = 'COUNT'
#: Reading the newest rows of many partitions by one statement. Without it: one statement for each.
PARTITION_LIMIT = 'PER PARTITION LIMIT'
#: Conditional batches. Without them: changes of groups are not guarded.
CONDITIONS = 'conditional batches'
#: Deleting older versions of rows, by time. Without it: columns are set to null instead, which leaves more tombstones.
TIMESTAMP = 'USING TIMESTAMP'
#: Emptying a table by one statement. Without it: feeds are deleted one by one.
TRUNCATE = 'TRUNCATE'
#: Static columns. Without them: groups are not guarded, and notification feeds need another storage for their markers.
STATIC = 'static columns'

#: Feature -> what the library does without it.
WITHOUT = {
    COUNT: 'ids are counted in pages',
    PARTITION_LIMIT: 'each feed is read by another statement',
    CONDITIONS: 'concurrent changes of one feed may overwrite each other',
    TIMESTAMP: 'columns are set to null where rows are replaced',
    TRUNCATE: 'tables are emptied feed by feed',
    STATIC: 'concurrent changes of one feed may overwrite each other',
}
#: The features whose absence is logged as a warning.
UNSAFE = (CONDITIONS, STATIC)


def feature_of(query: str) -> str | None:
    """Return the feature that a statement needs, or ``None``."""
    if query.startswith('TRUNCATE'):
        return TRUNCATE
    if query.startswith(('CREATE TABLE', 'ALTER TABLE')):
        return STATIC if ' static' in query else None
    if query.startswith(('UPDATE', 'DELETE')) and ' IF ' in query:
        return CONDITIONS
    if query.startswith('DELETE') and 'USING TIMESTAMP' in query:
        return TIMESTAMP
    if query.startswith('SELECT COUNT('):
        return COUNT
    return PARTITION_LIMIT if 'PER PARTITION LIMIT' in query else None


def blame(error: StorageError, queries: Iterable[str]) -> StorageError:
    """Note in an error which feature of these statements the server has refused, if any."""
    if refuses(error):
        found = {feature_of(query) for query in queries}
        vars(error)['refused_feature'] = next((feature for feature in WITHOUT if feature in found), None)
    return error
