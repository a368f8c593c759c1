"""The same as :mod:`~stream_framework.feed_managers.follow_task` where the library keeps the follows.

What is done is what the state of the follows says, not what was published. So it does not matter which of several tasks
runs when. A task reads the state, writes, and must not miss what has changed meanwhile. Whoever ends a follow, mutes or
blocks writes the state first, then the intent of that follow, then publishes the task that removes. So a task that has
copied reads these intents, with those of the authors in one question: if there is none, the task that removes is still
to come; if there is one, it reads the state again. A task that has removed always reads the state again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stream_framework.feed_managers.copying import HasFeeds, remove_by_actors
from stream_framework.feed_managers.follow_task import FollowTask
from stream_framework.feed_managers.intents import ADDED, FOLLOWED, LEFT, REMOVED, UNFOLLOWED, Intents
from stream_framework.storage.base_follow_storage import BaseFollowStorage


class KeptFollowTask(FollowTask):
    """One user's follows of some targets, by the follow storage."""

    def __init__(
        self,
        manager: HasFeeds,
        intents: Intents | None,
        user_id: Any,
        target_ids: Iterable[Any],
        limit: int,
        storage: BaseFollowStorage,
    ) -> None:
        super().__init__(manager, intents or NoIntents(), user_id, target_ids, limit)
        self.storage = storage
        self.keeps_intents = intents is not None
        #: Name of a follow's intent -> the state that its feeds were brought to.
        self.states: dict[str, str] = {}
        #: The targets that are hidden, by the state that was read last.
        self.hidden: set[Any] = set()
        #: Whether the feeds were brought to the state before.
        self.has_begun = False

    def do(self, intent: str, names: list[str]) -> Mapping[str, str] | None:
        """Bring the feeds to the state of some targets, or carry out an intent for some activities."""
        if intent in (REMOVED, ADDED):
            return super().do(intent, names)
        # The first time, both ends of the follows are made to agree.
        self.states.update(self._read_states(names, repair=not self.has_begun))
        self.has_begun = True
        gone = [self.targets[name] for name in names if self.states[name] == UNFOLLOWED]
        self._remove([target_id for target_id in gone if target_id not in self.hidden])
        # What a hidden target did leaves the notifications, too.
        self._remove([target_id for target_id in gone if target_id in self.hidden], notifications=True)
        there = self._copy([self.targets[name] for name in names if self.states[name] == FOLLOWED])
        return {**there, **{name: self.states[name] for name in names}}

    def wanted(self) -> Mapping[str, str | None]:
        """Return the states of the follows, and the intents of the activities that were copied."""
        copied = [target_id for target_id in self.targets.values() if target_id in self.copied]
        if not copied or not self.keeps_intents:
            return self._read_states(list(self.targets))
        follows = self.intents.of_follows(self.user_id, copied)
        found = self.intents.get([*follows, *self.intents.of_authors(copied)])
        has_ended = any(intent in (UNFOLLOWED, LEFT) for intent in found[: len(copied)])
        is_settled = not has_ended and len(copied) == len(self.targets)
        wanted: dict[str, str | None] = {**(self.states if is_settled else self._read_states(list(self.targets)))}
        self.changing = [
            target_id
            for target_id, name, of_author in zip(copied, follows, found[len(copied) :], strict=True)
            if of_author is not None and wanted[name] == FOLLOWED
        ]
        return {**wanted, **self._of_activities(self.changing)} if self.changing else wanted

    def _remove(self, target_ids: list[Any], notifications: bool = False) -> None:
        if target_ids:
            remove_by_actors(self.manager, self.user_id, target_ids, notifications)
        for target_id in target_ids:
            self.copied.pop(target_id, None)

    def _read_states(self, names: list[str], repair: bool = False) -> dict[str, str]:
        """Return what is to be done for some follows: ``FOLLOWED``, ``UNFOLLOWED``, or ``LEFT`` for nothing."""
        targets = {name: self.targets[name] for name in names}
        followed, self.hidden, may_hide = self.storage.read_states(self.user_id, targets.values(), repair)
        self.hides = may_hide or self.manager.hides_by_hook()
        states = {
            name: FOLLOWED if target_id in followed and target_id not in self.hidden else UNFOLLOWED
            for name, target_id in targets.items()
        }
        gone = [name for name, target_id in targets.items() if target_id not in followed | self.hidden]
        left = zip(gone, self.intents.get(gone) if gone else (), strict=True)
        return {**states, **{name: LEFT for name, intent in left if intent == LEFT}}


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
