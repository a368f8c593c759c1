"""The guard: conditional batches, which change a feed of groups only if nobody else has since it was read.

Such a batch depends on the static column ``version`` of the feed's partition, and sets it to a random number. After a
time-out nobody knows whether the batch was done, so the version is read: if it is this number, the batch was done.
Since others may have written in between, a group also keeps the versions that its last few changes have set.

Conditional and unconditional writes must not meet in a partition, since their times come from different clocks. So
trimming, removing and deleting are conditional too, wherever changes are guarded.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stream_framework.exceptions import UpdateConflictError
from stream_framework.serializers.cassandra.aggregated_activity_serializer import read_signatures
from stream_framework.storage.cassandra import connection, features
from stream_framework.storage.cassandra.batches import conditional
from stream_framework.storage.cassandra.client import run, run_conditional
from stream_framework.storage.cassandra.driver import BatchStatement, BoundStatement
from stream_framework.storage.cassandra.errors import SYNC
from stream_framework.storage.cassandra.fallbacks import lacks
from stream_framework.storage.cassandra.protocols import Timelines
from stream_framework.storage.cassandra.tables import Table
from stream_framework.storage.changes import Change

logger = logging.getLogger(__name__)

#: How often a change that depends on nothing that was read is tried.
ATTEMPTS = 200
#: The longest wait after the first of these attempts, and after any later one, in seconds: conditional batches take a
#: while, and writers that meet slow each other down.
WAITS = (0.01, 0.5)
#: How many more groups than were read are looked at to find out whether a change was made.
LOOKED_AT_BESIDES = 20

_VERSIONS = 2**31 - 1

_IF_VERSION = 'UPDATE {table} SET {version} = ? WHERE feed_id = ? IF {version} = ?'
# Always true, since no version is 0. The condition puts the batch in order with other conditional batches.
_ALWAYS = 'UPDATE {table} SET {version} = ? WHERE feed_id = ? IF {version} != 0'
_DELETE_VERSION = 'DELETE {version} FROM {table} WHERE feed_id = ? IF {version} != 0'
_DELETE_FEED = 'DELETE FROM {table} WHERE feed_id = ?'
_VERSION_OF = 'SELECT DISTINCT feed_id, {version} FROM {table} WHERE feed_id = ?'
_NEWEST_GROUPS = 'SELECT activities FROM {table} WHERE feed_id = ? LIMIT ?'

_warned_of: set[str] = set()


@dataclass(slots=True)
class Attempt:
    """One attempt at a change: its batch, and how to recognize later that it was done."""

    change: Change
    #: The conditional batch.
    statement: BatchStatement
    #: The version that it sets.
    version: int
    #: Whether the groups that it writes keep the version.
    signed: bool = False


def is_guarded(storage: Timelines, table: Table) -> bool:
    """Whether changes of a storage's feeds depend on their versions."""
    if not storage.holds_groups or not storage.options.get('guard_updates', True):
        return False
    if not table.has_version and table.name not in _warned_of:
        _warned_of.add(table.name)
        logger.warning(
            'the table %s has no column version, so concurrent changes of one feed may overwrite each other: '
            'add it, %s',
            table.name,
            SYNC,
        )
    return table.has_version and not lacks(features.CONDITIONS)


def new_version() -> int:
    """Return a version that no other writer is likely to set."""
    return random.randint(1, _VERSIONS)


def if_version(table: Table, key: str, version: int, before: int | None) -> BoundStatement:
    """Return the condition that a feed still has a version, which sets another."""
    return table.statement(_IF_VERSION, version, key, before)


def in_order(table: Table, key: str, version: int) -> BoundStatement:
    """Return a condition that is always true, which sets a version."""
    return table.statement(_ALWAYS, version, key)


def send(table: Table, attempts: Sequence[Attempt]) -> list[Change]:
    """Send conditional batches.

    :returns: the changes that were refused
    """
    not_done = []
    unknown = []
    outcomes = run_conditional([attempt.statement for attempt in attempts])
    for attempt, rows in zip(attempts, outcomes, strict=True):
        if rows is None:
            unknown.append(attempt)
        elif not rows[0]['[applied]']:
            not_done.append(attempt.change)
    versions = _versions(table, [attempt.change.key for attempt in unknown])
    maybe = []
    for attempt, version in zip(unknown, versions, strict=True):
        if version == attempt.version:
            continue
        if attempt.signed and attempt.change.snapshot and version != attempt.change.snapshot.token.version:
            maybe.append(attempt)
        else:
            not_done.append(attempt.change)
    return not_done + [attempt.change for attempt in _without_trace(table, maybe)]


def _without_trace(table: Table, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts whose version no group has: they were not done."""
    statements = []
    for attempt in attempts:
        entries = attempt.change.snapshot.entries if attempt.change.snapshot is not None else ()
        statements.append(table.statement(_NEWEST_GROUPS, attempt.change.key, len(entries) + LOOKED_AT_BESIDES))
    see_latest(statements)
    return [
        attempt
        for attempt, rows in zip(attempts, run(statements) if statements else [], strict=True)
        if not any(attempt.version in read_signatures(row['activities']) for row in rows)
    ]


def _versions(table: Table, keys: Sequence[str]) -> list[int | None]:
    """Read versions at serial consistency: a batch that was under way is done by then, or never will be."""
    statements = [table.statement(_VERSION_OF, key) for key in keys]
    see_latest(statements)
    return [rows[0]['version'] if rows else None for rows in run(statements)]


def see_latest(statements: Iterable[BoundStatement]) -> None:
    """Let statements read what conditional batches wrote, where the servers have those."""
    if not lacks(features.CONDITIONS):
        for statement in statements:
            statement.consistency_level = connection.serial_consistency()


def write_in_order(table: Table, key: str, statements: Sequence[BoundStatement]) -> None:
    """Write to a feed whatever its version, in order with the changes that depend on it.

    :raises UpdateConflictError: after :data:`ATTEMPTS`
    """
    for attempt in range(ATTEMPTS):
        batch = conditional([in_order(table, key, new_version()), *statements])
        if _is_applied(batch):
            return
        wait(attempt)
    raise conflict(key)


def delete_feed(table: Table, key: str) -> None:
    """Delete a feed, markers and version included, in order with the changes that depend on it.

    :raises UpdateConflictError: after :data:`ATTEMPTS`
    """
    for attempt in range(ATTEMPTS):
        batch = conditional([table.statement(_DELETE_VERSION, key), table.statement(_DELETE_FEED, key)])
        if _is_applied(batch):
            return
        wait(attempt)
    raise conflict(key)


def _is_applied(batch: BatchStatement) -> bool:
    [rows] = run_conditional([batch])
    return rows is not None and bool(rows[0]['[applied]'])


def wait(attempt: int) -> None:
    """Wait after an attempt that other writers got in the way of."""
    # Where writers meet, one succeeds. The others wait for a random time, longer after each attempt.
    shortest, longest = WAITS
    time.sleep(random.random() * min(longest, shortest * 2 ** min(attempt, 10)))


def conflict(key: str) -> UpdateConflictError:
    """Return the error for a feed that others keep changing."""
    return UpdateConflictError(
        f'feed {key!r}: other writers changed it during each of {ATTEMPTS} attempts; run the same work again'
    )
