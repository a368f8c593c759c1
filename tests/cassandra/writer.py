"""A process that writes: ``python -m tests.cassandra.writer JSON`` with ``[settings, job, keywords]``.

It prints ``ready``, waits for a line, and then prints what it has done, piece by piece.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from typing import Any

from stream_framework import settings
from tests.cassandra.support import feed_class, is_removed, work_of
from tests.contracts.support import act


def say(what: Any) -> None:
    print(what, flush=True)


def change(feeds: list[Any], number: int, writers: int, each: int, objects: int, mixed: bool) -> None:
    """Add to some feeds, in an order of this writer's own; ``mixed``: remove and mark besides."""
    mine = list(enumerate(work_of(number, writers, each, objects)))
    random.Random(number).shuffle(mine)
    made = [feed_class(**description)(1) for description in feeds]
    for count, (position, activity) in enumerate(mine):
        for feed in made:
            feed.add(activity)
            if mixed and is_removed(position):
                feed.remove(activity)
            if mixed and number == 0 and count % 20 == 0 and hasattr(feed, 'mark_all'):
                feed.mark_all(seen=True, read=count % 40 == 0)
    say('done')


def fan_out(feed: dict[str, Any], users: int, numbers: list[int], objects: int, remove: bool = False) -> None:
    """Add (or remove) each of some activities to the feeds of all users, one batch for each activity."""
    made = feed_class(**feed)
    for n in numbers:
        activity = act(n, object=n % objects)
        with made.get_timeline_batch_interface() as batch:
            for user_id in range(users):
                if remove:
                    made(user_id).remove_many([activity], batch_interface=batch)
                else:
                    made(user_id).add_many([activity], batch_interface=batch)
        say(n)


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


JOBS = {'change': change, 'fan_out': fan_out}


if __name__ == '__main__':
    configuration, job, kwargs = json.loads(sys.argv[1])
    settings.configure(**configuration)
    from stream_framework.storage.cassandra.connection import setup_connection

    setup_connection()
    say('ready')
    sys.stdin.readline()
    threading.Thread(target=end_with_parent, daemon=True).start()
    JOBS[job](**kwargs)
