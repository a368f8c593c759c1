"""What servers that speak less than Cassandra's CQL may refuse: features, and the statements that need them.

:mod:`stream_framework.storage.cassandra.fallbacks` does without them.
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
#: Deleting what was there before some moment. Without it: columns are made null instead, which leaves more tombstones.
TIMESTAMP = 'USING TIMESTAMP'
#: Emptying a table by one statement. Without it: feeds are deleted one by one.
TRUNCATE = 'TRUNCATE'
#: Static columns. Without them: groups are not guarded, and notification feeds need another storage for their markers.
STATIC = 'static columns'

#: Feature -> what that means.
WITHOUT = {
    COUNT: 'ids are counted in pages',
    PARTITION_LIMIT: 'each feed is read by a statement of its own',
    CONDITIONS: 'concurrent changes of one feed may overwrite each other',
    TIMESTAMP: 'columns are made null where rows are replaced',
    TRUNCATE: 'tables are emptied feed by feed',
    STATIC: 'concurrent changes of one feed may overwrite each other',
}
#: What a warning is due for.
UNSAFE = (CONDITIONS, STATIC)


def feature_of(query: str) -> str | None:
    """The feature that a statement can't do without, if any."""
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
    """Note in an error which feature the server refuses, if it is one of those in these statements."""
    if refuses(error):
        found = {feature_of(query) for query in queries}
        vars(error)['refused_feature'] = next((feature for feature in WITHOUT if feature in found), None)
    return error
