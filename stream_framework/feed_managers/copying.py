"""Copy what somebody did into the feeds of a reader, and take it out again: what following and unfollowing do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from stream_framework.activity import AggregatedActivity
from stream_framework.feed_managers.audience import find_hidden
from stream_framework.storage.abilities import CopiesNewest
from stream_framework.storage.base_follow_storage import BaseFollowStorage

#: The name of the feed of declared notifications.
NOTIFICATIONS = 'notifications'

#: How many activities are read at a time in the place of those that are hidden.
READ_ON = 500


class HasFeeds(Protocol):
    """What following needs of a manager."""

    feed_classes: Any
    notification_feed_class: Any

    def get_follow_storage(self) -> BaseFollowStorage | None:
        """Return the follow storage."""

    def hidden_from(self, activities: Sequence[Any], user_ids: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        """Return who must not get what."""

    def may_hide(self) -> bool:
        """Return whether anything may be hidden from anybody."""

    def hides_by_hook(self) -> bool:
        """Return whether the application says what is hidden."""

    def get_feeds(self, user_id: Any) -> dict[str, Any]:
        """Return name -> feed."""

    def get_user_feed(self, user_id: Any) -> Any:
        """Return the feed of what a user did."""


def copy_newest(
    manager: HasFeeds, user_id: Any, target_ids: Sequence[Any], limit: int, hides: bool
) -> dict[Any, Iterable[Any]]:
    """Copy the newest activities of each target into a user's feeds.

    :param hides: whether anything may be hidden from him: whole activities are looked up then, and the manager is asked
    :returns: target -> the ids of what was copied from it
    """
    feeds = feeds_of_followed(manager, user_id).values()
    sources = {target_id: manager.get_user_feed(target_id) for target_id in target_ids}
    if sources and limit and not hides and _are_copied_inside(sources, feeds):
        return _copy_inside(sources, feeds, limit)
    found = newest(sources, limit) if sources and limit else {}
    if found and hides:
        found = visible(manager, user_id, sources, found, limit)
    activities = [activity for of_target in found.values() for activity in of_target]
    # Flat feeds take references as they are; looking the activities up is for those that look at them.
    if activities and not all(feed.takes_references for feed in feeds):
        source = sources[target_ids[0]]
        if source.needs_hydration(activities):
            activities = source.hydrate_activities(activities)
    for feed in feeds if activities else ():
        with feed.get_timeline_batch_interface() as batch_interface:
            feed.add_many(activities, batch_interface=batch_interface)
    return {target_id: [activity.serialization_id for activity in some] for target_id, some in found.items()}


def _are_copied_inside(sources: Mapping[Any, Any], feeds: Collection[Any]) -> bool:
    """Whether the database itself can copy from user feeds to all of a user's feeds, past no hook."""
    first = next(iter(sources.values()))
    return (
        bool(feeds)
        and all(feed.takes_references and _copies(feed.timeline_storage, first.timeline_storage) for feed in feeds)
        and first.timeline_storage.reads_as_usual
        and all(_is_read_like(source, first) for source in sources.values())
    )


def _copies(storage: Any, source: Any) -> bool:
    return isinstance(storage, CopiesNewest) and storage.copies_from(source)


def _copy_inside(sources: Mapping[Any, Any], feeds: Collection[Any], limit: int) -> dict[Any, Iterable[Any]]:
    keys = [source.key for source in sources.values()]
    copied: list[Iterable[Any]] = []
    for feed in feeds:
        trim_length = feed.max_length if feed.trim_mode(True) else None
        copied = feed.timeline_storage.copy_newest(keys, feed.key, limit, trim_length)
    return dict(zip(sources, copied, strict=True))


def newest(sources: Mapping[Any, Any], limit: int) -> dict[Any, list[Any]]:
    """Return target -> the newest entries of its user feed, perhaps as references. One round trip.

    :param sources: target -> its user feed
    """
    first = next(iter(sources.values()))
    storage = first.timeline_storage
    if not storage.reads_as_usual or not all(_is_read_like(source, first) for source in sources.values()):
        return {target_id: source[:limit] for target_id, source in sources.items()}
    snapshots = storage.read_newest([source.key for source in sources.values()], limit)
    return {
        target_id: [storage.load_entry(snapshot.key, entry) for entry in snapshot.entries]
        for target_id, snapshot in zip(sources, snapshots, strict=True)
    }


def visible(
    manager: HasFeeds, user_id: Any, sources: Mapping[Any, Any], found: dict[Any, list[Any]], limit: int
) -> dict[Any, list[Any]]:
    """Leave out what is hidden from a user, and read on in its place: the limit is for what he may see.

    :param sources: target -> its user feed
    :param found: target -> the newest of it
    :returns: the same, whole activities
    """
    seen: dict[Any, dict[Any, Any]] = {target_id: {} for target_id in found}
    start, size = 0, limit
    while found:
        whole = _hydrated(sources, found)
        hidden = find_hidden(manager, [activity for some in whole.values() for activity in some], [user_id])
        for target_id, activities in whole.items():
            for activity in activities:
                if (activity.serialization_id, user_id) not in hidden and len(seen[target_id]) < limit:
                    seen[target_id].setdefault(activity.serialization_id, activity)
        start += size
        lacking = [target_id for target_id, some in found.items() if len(some) == size and len(seen[target_id]) < limit]
        size = max(min(limit, READ_ON), 1)
        found = {target_id: sources[target_id][start : start + size] for target_id in lacking}
    return {target_id: list(activities.values()) for target_id, activities in seen.items()}


def _hydrated(sources: Mapping[Any, Any], found: Mapping[Any, list[Any]]) -> dict[Any, list[Any]]:
    """Return the same with whole activities; those that are gone are left out. One round trip for all."""
    source = next(iter(sources.values()))
    activities = [activity for some in found.values() for activity in some]
    if not source.needs_hydration(activities):
        return dict(found)
    whole = {activity.serialization_id: activity for activity in source.hydrate_activities(activities)}
    return {
        target_id: [whole[activity.serialization_id] for activity in some if activity.serialization_id in whole]
        for target_id, some in found.items()
    }


def feeds_of_followed(manager: HasFeeds, user_id: Any) -> dict[str, Any]:
    """Return the feeds that what a user follows goes into: all but his notifications."""
    feeds = manager.get_feeds(user_id)
    if manager.notification_feed_class is not None and NOTIFICATIONS not in manager.feed_classes:
        feeds = {name: feed for name, feed in feeds.items() if name != NOTIFICATIONS}
    return feeds


def activities_of(manager: HasFeeds, user_id: Any, actor_ids: Iterable[Any]) -> list[Any]:
    """Return the activities of some actors that are in a user's feeds, each once. Reads the feeds from end to end."""
    wanted = set(actor_ids)
    feeds = feeds_of_followed(manager, user_id).values()
    found = {activity.serialization_id: activity for feed in feeds for activity in by_actors(feed, wanted)}
    return list(found.values())


def remove_by_actors(manager: HasFeeds, user_id: Any, actor_ids: Iterable[Any], notifications: bool = False) -> None:
    """Remove the activities of some actors from a user's feeds. Reads the feeds from end to end.

    :param notifications: from his notifications as well
    """
    wanted = set(actor_ids)
    feeds = manager.get_feeds(user_id) if notifications else feeds_of_followed(manager, user_id)
    for feed in feeds.values():
        _remove(feed, by_actors(feed, wanted))


def remove_from_feeds(manager: HasFeeds, user_id: Any, activity_ids: list[Any]) -> None:
    """Remove activities from all feeds of a user."""
    for feed in feeds_of_followed(manager, user_id).values():
        _remove(feed, activity_ids)


def by_actors(feed: Any, actor_ids: Collection[Any]) -> list[Any]:
    """Return the activities of some actors in a feed, those in groups as well."""
    found: list[Any] = []
    for item in feed[:]:
        of_item = item.activities if isinstance(item, AggregatedActivity) else [item]
        found += [activity for activity in of_item if activity.actor_id in actor_ids]
    return found


def _remove(feed: Any, activities: list[Any]) -> None:
    # Not in a batch, as 1.4.0 did: an override need not know the keyword.
    if activities:
        feed.remove_many(activities)


def _is_read_like(source: Any, first: Any) -> bool:
    """Whether slices of a feed show just what its timeline holds, and that is read as the first feed's is."""
    return (
        type(source) is type(first)
        and source.reads_as_usual
        and _gives_as_usual(source.activity_storage)
        and (source is first or source.timeline_storage.is_like(first.timeline_storage))
    )


def _gives_as_usual(activity_storage: Any) -> bool:
    return activity_storage is None or (activity_storage.gives_as_usual and activity_storage.serializer.reads_as_usual)
