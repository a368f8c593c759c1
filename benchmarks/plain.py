"""What the models and serializers are measured against: the same in the plainest Python, without checks.

Same attributes, same arithmetic of ids, same texts; contexts by ``json``. It does not check what it is given, knows no
ids but ints, and reads only what it wrote itself.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

EPOCH = datetime.datetime(1970, 1, 1)


class PlainActivity:
    """An activity's attributes."""

    def __init__(
        self,
        actor: int,
        verb: Any,
        object: int,
        target: int | None = None,
        time: datetime.datetime | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        self.actor_id = actor
        self.verb = verb
        self.object_id = object
        self.target_id = target
        self.time = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) if time is None else time
        self.extra_context = {} if extra_context is None else extra_context

    @property
    def serialization_id(self) -> int:
        milliseconds = int((self.time - EPOCH).total_seconds() * 1000)
        return milliseconds * 10**13 + self.object_id * 1000 + self.verb.id


class PlainGroup:
    """A group's attributes; ``activities`` are activities or ids."""

    def __init__(
        self,
        group: str,
        activities: list[Any],
        created_at: datetime.datetime | None,
        updated_at: datetime.datetime | None,
        seen_at: datetime.datetime | None = None,
        read_at: datetime.datetime | None = None,
        minimized: int = 0,
    ) -> None:
        self.group = group
        self.activities = activities
        self.created_at = created_at
        self.updated_at = updated_at
        self.seen_at = seen_at
        self.read_at = read_at
        self.minimized_activities = minimized


class Activities:
    """Writes and reads activities.

    :param verbs: verb id -> verb
    """

    def __init__(self, verbs: dict[int, Any]) -> None:
        self.verbs = verbs

    def dumps(self, activity: Any) -> str:
        seconds = (activity.time - EPOCH).total_seconds()
        context = json.dumps(activity.extra_context) if activity.extra_context else ''
        return (
            f'{activity.actor_id},{activity.verb.id},{activity.object_id},{activity.target_id or 0},{seconds:.6f},'
            f'{context}'
        )

    def loads(self, text: str) -> PlainActivity:
        actor, verb, object_id, target, seconds, context = text.split(',', 5)
        return PlainActivity(
            int(actor),
            self.verbs[int(verb)],
            int(object_id),
            int(target) or None,
            EPOCH + datetime.timedelta(seconds=float(seconds)),
            json.loads(context) if context else {},
        )


class Groups:
    """Writes and reads groups.

    :param activities: writes and reads their activities; with none, only ids are kept
    """

    def __init__(self, activities: Activities | None = None) -> None:
        self.activities = activities

    def dumps(self, group: Any) -> str:
        dates = [
            '-1' if date is None else f'{(date - EPOCH).total_seconds():.6f}'
            for date in (group.created_at, group.updated_at, group.seen_at, group.read_at)
        ]
        if self.activities is None:
            items = [str(activity.serialization_id) for activity in group.activities]
        else:
            dumps = self.activities.dumps
            items = [dumps(activity) for activity in group.activities]
        return f'v3{group.group};;{";;".join(dates)};;{";".join(items)};;{group.minimized_activities}'

    def loads(self, text: str) -> PlainGroup:
        group, created, updated, seen, read, items, minimized = text[2:].split(';;')
        dates = [
            None if date == '-1' else EPOCH + datetime.timedelta(seconds=float(date))
            for date in (created, updated, seen, read)
        ]
        if self.activities is None:
            found: list[Any] = [int(item) for item in items.split(';')]
        else:
            loads = self.activities.loads
            found = [loads(item) for item in items.split(';')]
        return PlainGroup(group, found, *dates, int(minimized))
