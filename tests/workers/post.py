"""A web process, as far as tasks go: ``python -m tests.workers.post tests.workers.plain MANAGER`` adds and removes."""

from __future__ import annotations

import datetime
import importlib
import sys

from stream_framework.activity import Activity
from stream_framework.verbs import Love


def activities() -> list[Activity]:
    """Six of author 1 on two objects; the last is removed again."""
    start = datetime.datetime(2026, 1, 1)
    return [Activity(1, Love, 500 + n % 2, time=start + datetime.timedelta(minutes=n)) for n in range(6)]


def main(app: str, manager_name: str) -> None:
    # The application first, as a web process imports it.
    importlib.import_module(app)
    manager = getattr(importlib.import_module('tests.workers.feeds'), manager_name)()
    for activity in activities():
        manager.add_user_activity(1, activity)
    manager.remove_user_activity(1, activities()[-1])
    manager.follow_user(99, 1)


if __name__ == '__main__':
    main(*sys.argv[1:])
