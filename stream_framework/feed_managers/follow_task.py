"""A user's follows of some targets, while a task carries them out.

While a task copies, an author may remove what is being copied, and the fan-out of that removal does not know the new
follower yet. So an intent of the author says whether something of his was removed lately; where it is there, the task
looks at the intents of all that it has copied, and takes back what was removed. What an earlier run of the task copied
before it died is found in the follower's feeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream_framework.feed_managers.copying import (
    HasFeeds,
    activities_of,
    copy_newest,
    remove_by_actors,
    remove_from_feeds,
)
from stream_framework.feed_managers.intents import ADDED, FOLLOWED, LEFT, REMOVED, UNFOLLOWED, Intents, settle
from stream_framework.feed_managers.updating import catch_up


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
        #: Whether anything may be hidden from the user.
        self.hides = manager.hides_by_hook()
        #: Name of a follow's intent -> its target.
        self.targets = {name: id_ for id_ in target_ids for name in intents.of_follows(user_id, [id_])}
        #: Target -> the ids of what this run has copied from it; none of those that are not followed.
        self.copied: dict[Any, Iterable[Any]] = {}
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
        copied = copy_newest(self.manager, self.user_id, list(target_ids), self.limit, self.hides)
        self.copied.update(copied)
        there = {activity_id for some in copied.values() for activity_id in some} if self.taken_back else ()
        return {name: ADDED for name in self.taken_back if self.activities[name][0] in there}
