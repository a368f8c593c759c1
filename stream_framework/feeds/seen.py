"""What is new in feeds: how many entries are above the seen mark of each.

A mark says how far a feed was seen. Nothing else is written, and nothing in fan-outs: what is new is counted when
somebody asks, so the count is right whatever was added, removed or trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

from stream_framework import ids
from stream_framework.activity import Activity, AggregatedActivity, DehydratedActivity
from stream_framework.exceptions import ConfigurationError
from stream_framework.feeds.stored import StoredFeed
from stream_framework.storage.abilities import KeepsSeen


def storage_of(feed: StoredFeed) -> Any:
    """Return the timeline storage of a feed, which keeps seen marks.

    :raises ConfigurationError: if it keeps none
    """
    storage = feed.timeline_storage
    if not isinstance(storage, KeepsSeen):
        raise ConfigurationError(
            f'{type(storage).__name__}, where feed {feed.key!r} is, does not keep how far feeds were seen: derive it '
            'from stream_framework.storage.abilities.KeepsSeen, and define set_seen and get_seen'
        )
    return storage


def seen_number(storage: Any, until: Any) -> int:
    """Return the number up to which entries count as seen.

    :param until: the last that was seen: an activity, a group, or the id of one
    """
    if storage.holds_groups:
        if isinstance(until, (Activity, DehydratedActivity)):
            # A group's id is another one, made of the same milliseconds: all groups of that moment were seen.
            time = getattr(until, 'time', None)
            milliseconds = (
                ids.normalize_id(until.serialization_id) // ids.REST if time is None else ids.to_milliseconds(time)
            )
            return milliseconds * ids.REST + ids.REST - 1
    elif isinstance(until, AggregatedActivity):
        return max(map(storage.order, until.activity_ids))
    return storage.order(storage.activity_to_id(until))


def mark_seen(feed: StoredFeed, until: Any = None) -> None:
    """Mark a feed as seen up to an entry, or up to the newest; see :meth:`.BaseFeed.mark_seen`."""
    storage = storage_of(feed)
    if until is None:
        newest = storage.get_slice_from_storage(feed.key, 0, 1)
        if not newest:
            return
        until = newest[0][0]
    storage.set_seen(feed.key, seen_number(storage, until))


def count_new(feeds: Sequence[StoredFeed]) -> list[int]:
    """Count what is new in each of some feeds. One round trip for those that are on the same server."""
    pending = [(storage_of(feed), feed.key) for feed in feeds]
    places = list(range(len(feeds)))
    counts = [0] * len(feeds)
    while pending:
        first = pending[0][0]
        along = [storage is first or first.counts_along(storage) for storage, _ in pending]
        found = first.count_new(list(compress(pending, along)))
        for place, count in zip(compress(places, along), found, strict=True):
            counts[place] = count
        left = [not is_along for is_along in along]
        pending, places = list(compress(pending, left)), list(compress(places, left))
    return counts


__all__ = ['count_new', 'mark_seen', 'seen_number', 'storage_of']
