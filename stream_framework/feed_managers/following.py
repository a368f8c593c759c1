"""Copy what somebody did into the feeds of a new follower, and take it out again.

While a task copies, an author may remove what is being copied, and the fan-out of that removal does not know the new
follower yet. So an intent of the author says whether something of his was removed lately; where it is there, the task
looks at the intents of all that it has copied, and takes back what was removed. What an earlier run of the task copied
before it died is found in the follower's feeds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from stream_framework.activity import AggregatedActivity
from stream_framework.feed_managers.audience import find_hidden
from stream_framework.feed_managers.intents import ADDED, FOLLOWED, LEFT, REMOVED, UNFOLLOWED, Intents, settle
from stream_framework.feed_managers.updating import catch_up
from stream_framework.storage.base_follow_storage import BaseFollowStorage

#: The name of the feed of declared notifications.
NOTIFICATIONS = 'notifications'

#: How many activities are read at a time in the place of those that are hidden.
READ_ON = 500

#: How many activities following copies at a time, so that following many users does not hold all that they did.
COPIED_AT_A_TIME = 100_000


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


def carry_out(
    manager: HasFeeds, intents: Intents | None, intent: str, user_id: Any, target_ids: Iterable[Any], limit: int
) -> None:
    """Follow, or unfollow, and then do what was published later.

    :param manager: whose feeds are read and written
    :param intents: ``None`` where none are kept
    :param intent: ``FOLLOWED`` or ``UNFOLLOWED``
    :param user_id: who follows, or no longer does
    :param target_ids: who is followed, or no longer is
    :param limit: how many activities of each target are copied
    """
    target_ids = list(dict.fromkeys(target_ids))
    storage = manager.get_follow_storage()
    if storage is not None:
        KeptFollowTask(manager, intents, user_id, target_ids, limit, storage).run(intent)
    elif intents is not None:
        FollowTask(manager, intents, user_id, target_ids, limit).run(intent)
    elif intent == FOLLOWED:
        copy_newest(manager, user_id, target_ids, limit)
    else:
        remove_by_actors(manager, user_id, target_ids)


class FollowTask:
    """One user's follows of some targets, while a task carries them out; parameters as of :func:`carry_out`.

    The things of its intents are their names, because activities and targets may have the same ids.
    """

    def __init__(
        self, manager: HasFeeds, intents: Intents, user_id: Any, target_ids: Iterable[Any], limit: int
    ) -> None:
        self.manager = manager
        self.intents = intents
        self.user_id = user_id
        self.limit = limit
        #: Name of a follow's intent -> its target.
        self.targets = {name: id_ for id_ in target_ids for name in intents.of_follows(user_id, [id_])}
        #: Target -> the ids of what this run has copied from it; none of those that are not followed.
        self.copied: dict[Any, list[Any]] = {}
        #: Name of an activity's intent -> its id, and its author.
        self.activities: dict[str, tuple[Any, Any]] = {}
        #: The names of the intents of those that this run has taken back.
        self.taken_back: set[str] = set()
        #: The targets of which something is copied, and was removed or updated lately.
        self.changing: list[Any] = []

    def run(self, intent: str) -> None:
        """Carry out what was published, and what was published later."""
        settle(intent, self.targets, self.do, self.wanted)
        if self.changing:
            self._catch_up()

    def do(self, intent: str, names: list[str]) -> Mapping[str, str] | None:
        """Carry out an intent for some targets, or for some activities."""
        if intent == LEFT:
            return None
        if intent == REMOVED:
            self.taken_back.update(names)
            remove_from_feeds(self.manager, self.user_id, [self.activities[name][0] for name in names])
            return None
        if intent == ADDED:
            # Added again after it was taken back: it is copied with all that its author has.
            return self._copy(dict.fromkeys(self.activities[name][1] for name in names))
        target_ids = [self.targets[name] for name in names]
        if intent == FOLLOWED:
            return self._copy(target_ids)
        remove_by_actors(self.manager, self.user_id, target_ids)
        for target_id in target_ids:
            self.copied.pop(target_id, None)
        return None

    def wanted(self) -> Mapping[str, str | None]:
        """Return the intents of the follows, and of the activities that were copied."""
        targets = list(self.targets.values())
        found = self.intents.get([*self.targets, *self.intents.of_authors(targets)])
        wanted = dict(zip(self.targets, found[: len(targets)], strict=True))
        # Of a target that is no longer followed nothing will be left, whatever its author removed or updated.
        self.changing = [
            target_id
            for target_id, intent, of_author in zip(targets, wanted.values(), found[len(targets) :], strict=True)
            if of_author is not None and intent != UNFOLLOWED and target_id in self.copied
        ]
        return {**wanted, **self._of_activities(self.changing)} if self.changing else wanted

    def _of_activities(self, target_ids: list[Any]) -> Mapping[str, str | None]:
        """Return the intents of what was copied from some targets."""
        authors = {activity_id: target_id for target_id in target_ids for activity_id in self.copied[target_id]}
        for activity in activities_of(self.manager, self.user_id, target_ids):
            authors.setdefault(activity.serialization_id, activity.actor_id)
        if not authors:
            return {}
        names = self.intents.of_activities(authors)
        self.activities.update(zip(names, authors.items(), strict=True))
        found = zip(names, self.intents.get(names), strict=True)
        # Those that were added again matter only if they were taken back before.
        return {name: intent for name, intent in found if intent == REMOVED or name in self.taken_back}

    def _catch_up(self) -> None:
        """Bring copies to the state of their last update."""
        authors = {
            activity_id: target_id for target_id in self.changing for activity_id in self.copied.get(target_id, ())
        }

        def write(current: list[Any]) -> None:
            for feed in self.manager.get_feeds(self.user_id).values():
                with feed.get_timeline_batch_interface() as batch_interface:
                    feed.update_many(current, batch_interface=batch_interface)

        if authors:
            catch_up(self.manager, self.intents, authors, [None] * len(authors), write)

    def _copy(self, target_ids: Iterable[Any]) -> Mapping[str, str]:
        """Copy from targets; returns which of the activities that were taken back are there again."""
        copied = copy_newest(self.manager, self.user_id, list(target_ids), self.limit)
        self.copied.update(copied)
        there = {activity_id for some in copied.values() for activity_id in some} if self.taken_back else ()
        return {name: ADDED for name in self.taken_back if self.activities[name][0] in there}


class KeptFollowTask(FollowTask):
    """The same where the library keeps the follows: what is done is what their state says, not what was published.

    So it does not matter which of several tasks runs when. The state is read again when all is written.
    """

    def __init__(
        self,
        manager: HasFeeds,
        intents: Intents | None,
        user_id: Any,
        target_ids: Iterable[Any],
        limit: int,
        storage: BaseFollowStorage,
    ) -> None:
        self.storage = storage
        self.keeps_intents = intents is not None
        super().__init__(manager, intents or NoIntents(), user_id, target_ids, limit)

    def run(self, intent: str) -> None:
        """Make both ends of the follows agree, then bring the feeds to what they say."""
        self.storage.repair(self.user_id, self.targets.values())
        super().run(intent)

    def do(self, intent: str, names: list[str]) -> Mapping[str, str] | None:
        """Bring the feeds to the state of some targets, or carry out an intent for some activities."""
        if intent in (REMOVED, ADDED):
            return super().do(intent, names)
        targets = [self.targets[name] for name in names]
        hidden, states = self._states(targets)
        gone = [target_id for target_id in targets if states[target_id] == UNFOLLOWED]
        for some, notifications in (
            ([target_id for target_id in gone if target_id not in hidden], False),
            ([target_id for target_id in gone if target_id in hidden], True),
        ):
            if some:
                remove_by_actors(self.manager, self.user_id, some, notifications)
        for target_id in gone:
            self.copied.pop(target_id, None)
        there = self._copy([target_id for target_id in targets if states[target_id] == FOLLOWED])
        return {**there, **{name: states[self.targets[name]] for name in names}}

    def wanted(self) -> Mapping[str, str | None]:
        """Return the states of the follows, and the intents of the activities that were copied."""
        _, states = self._states(list(self.targets.values()))
        wanted = {name: states[target_id] for name, target_id in self.targets.items()}
        if not self.copied or not self.keeps_intents:
            return wanted
        copied = list(self.copied)
        found = self.intents.get(self.intents.of_authors(copied))
        self.changing = [
            target_id
            for target_id, of_author in zip(copied, found, strict=True)
            if of_author is not None and states[target_id] == FOLLOWED
        ]
        return {**wanted, **self._of_activities(self.changing)} if self.changing else wanted

    def _states(self, targets: list[Any]) -> tuple[set[Any], dict[Any, str]]:
        """Return who is hidden, and what is to be done: ``FOLLOWED``, ``UNFOLLOWED``, or ``LEFT`` for nothing."""
        hidden = {target_id for target_id, _ in self.storage.hidden_from(targets, [self.user_id])}
        followed = self.storage.is_following(self.user_id, targets)
        states = {
            target_id: FOLLOWED if target_id in followed and target_id not in hidden else UNFOLLOWED
            for target_id in targets
        }
        gone = [target_id for target_id in targets if target_id not in followed and target_id not in hidden]
        found = self.intents.get(self.intents.of_follows(self.user_id, gone)) if gone else []
        states.update((target_id, LEFT) for target_id, intent in zip(gone, found, strict=True) if intent == LEFT)
        return hidden, states


class NoIntents(Intents):
    """Stands in for the intents where the activity storage keeps none."""

    def __init__(self) -> None:
        """Keep nothing."""

    def of_follows(self, user_id: Any, target_ids: Iterable[Any]) -> list[str]:
        """Return names to tell targets apart."""
        return [repr(target_id) for target_id in target_ids]

    def get(self, names: Sequence[str]) -> list[str | None]:
        """Return that there are none."""
        return [None] * len(names)


def copy_newest(manager: HasFeeds, user_id: Any, target_ids: Sequence[Any], limit: int) -> dict[Any, list[Any]]:
    """Copy the newest activities of each target into a user's feeds.

    :returns: target -> the ids of what was copied from it
    """
    feeds = feeds_of_followed(manager, user_id).values()
    sources = {target_id: manager.get_user_feed(target_id) for target_id in target_ids}
    found = newest(sources, limit) if sources and limit else {}
    if found and manager.may_hide() and may_be_hidden(manager, user_id):
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


def may_be_hidden(manager: HasFeeds, user_id: Any) -> bool:
    """Return whether anything may be hidden from a user: looking the activities up is for those who hide something."""
    storage = manager.get_follow_storage()
    if storage is None or manager.hides_by_hook():
        return True
    return storage.is_hiding(user_id)


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
