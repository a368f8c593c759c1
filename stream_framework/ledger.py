"""The ledger of open fan-outs: what was published and isn't done yet, kept where activities are.

A broker may lose what it was given: Redis when it is restarted without persistence, or when a worker dies in the moment
between taking a message and noting down that it did. With ``keep_ledger = True`` a manager writes each task's message
into a ledger before it publishes it, in batches; the task deletes its entry when its work is done. What stays for too
long is published again::

    python -m stream_framework republish myapp.feeds:PinManager --app myapp.celery

or by Celery's beat, which is how it should run::

    app.conf.beat_schedule = {
        'republish': {
            'task': 'stream_framework.tasks.republish',
            'schedule': 60,
            'args': ['myapp.feeds:PinManager'],
        },
    }

- Publishing again is safe: every operation of the library may run twice, and what was published last wins all the same.
  A message that was published again is dropped if its entry is gone when it comes: somebody has done the work.
- Each entry is published again at most :data:`ATTEMPTS` times, the first time when it has been open for
  :data:`OLDER_THAN`, each other after twice as long as before, and never later than the manager's ``operation_ttl``
  after its first publication: until then the order of adding and removing is known. What is still open then was *given
  up*: it is logged as an error, counted, and stays in the ledger for :data:`KEPT_FOR`, so that it can be published once
  more by hand (``--given-up``), when the outage is over or the bug is fixed, or discarded.
- A task that has failed for good (its retries are exhausted, or its code is wrong) leaves its entry, which is published
  again and given up like any other.
- When publishing fails half-way, what was written already and not published is published later: the activity is in the
  user's feed by then, so it belongs into those of the followers.
- An entry is deleted by what its message says, not by ``keep_ledger``: turning that off leaves nothing behind.

An entry is a str of JSON, under the minute of its first publication::

    {"task": name, "args": [...], "kwargs": {...}, "options": {"queue": ...}, "published": epoch seconds, "last": the
     same of the last publication, "attempts": how often it was published again, "expires": epoch seconds}
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

from celery import current_app
from celery.utils import gen_unique_id

from stream_framework import messages
from stream_framework.exceptions import ConfigurationError, MessageError
from stream_framework.messages import Encoded
from stream_framework.storage.abilities import KeepsIntents, KeepsLedger
from stream_framework.utils import count_task
from stream_framework.utils.keys import own_key

logger = logging.getLogger(__name__)

#: For how long an entry is open before it is published again, in seconds; then twice as long, and so on. More than a
#: task waits in its queue and for its retries, as a rule, since until then a second message is only a burden.
OLDER_THAN = 900.0
#: How often an entry is published again.
ATTEMPTS = 5
#: How long an entry is kept at most, in seconds.
KEPT_FOR = 7 * 24 * 3600.0
#: How many entries are written at a time, and how many characters they may have together, about.
ENTRIES_AT_A_TIME = 200
CHARACTERS_AT_A_TIME = 1_000_000

#: The header of messages that are in a ledger: the minute that the entry is under, how often it was published again.
HEADER = 'stream_framework_ledger'

# What a message was published with besides, and is published again with.
_OPTIONS = ('queue', 'exchange', 'routing_key', 'priority')
# How many minutes are read at a time.
_MINUTES_AT_A_TIME = 1000
# The mark that says which minutes are done with is set this long ago at the latest, since clocks differ.
_MARGIN = 3600.0


class Entry:
    """One open message.

    :param task: the task's name
    :param args: its arguments, encoded
    :param options: what it is published with
    :param lifetime: for how many seconds it may be published again
    :param entry_id: the task's id
    """

    __slots__ = ('args', 'attempts', 'expires', 'id', 'kwargs', 'last', 'minute', 'options', 'published', 'task')

    def __init__(
        self, task: str, args: Any, kwargs: Any, options: Any, lifetime: float, entry_id: str | None = None
    ) -> None:
        self.id = entry_id or gen_unique_id()
        self.task = task
        self.args = list(args)
        self.kwargs = dict(kwargs)
        self.options = {name: options[name] for name in _OPTIONS if isinstance(options.get(name), (str, int))}
        self.published = self.last = time.time()
        self.minute = int(self.published // 60)
        self.attempts = 0
        self.expires = self.published + lifetime

    @classmethod
    def read(cls, minute: int, entry_id: str, text: str) -> Entry:
        """An entry as it was written.

        :raises MessageError: if it isn't one
        """
        entry = cls.__new__(cls)
        try:
            for name, value in json.loads(text).items():
                setattr(entry, name, value)
            entry.id, entry.minute = entry_id, minute
            if not (
                isinstance(entry.task, str)
                and isinstance(entry.args, list)
                and isinstance(entry.kwargs, dict)
                and isinstance(entry.options, dict)
                and set(entry.options) <= set(_OPTIONS)
                and type(entry.attempts) is int
                and all(isinstance(part, (int, float)) for part in (entry.published, entry.last, entry.expires))
            ):
                raise ValueError('a part of it is of the wrong type')
        except (ValueError, AttributeError) as error:
            raise MessageError(f'entry {entry_id} of the ledger is not readable: {error}') from error
        return entry

    def text(self) -> str:
        """What is written."""
        parts = {name: getattr(self, name) for name in sorted(set(self.__slots__) - {'id', 'minute'})}
        return json.dumps(parts, separators=(',', ':'))

    def headers(self) -> dict[str, str]:
        """What its message says of it."""
        return {HEADER: f'{self.minute}:{self.attempts}'}

    def publish(self, task: Any) -> Any:
        """Publish its message; returns what publishing returned."""
        return task.apply_async(
            tuple(self.args), Encoded(self.kwargs), task_id=self.id, headers=self.headers(), **self.options
        )


@dataclasses.dataclass
class Republished:
    """What :func:`republish` found: numbers of entries."""

    #: How many are open.
    open: int = 0
    #: How many were published again, or discarded.
    published: int = 0
    #: How many are open, and will not be published again by themselves.
    given_up: int = 0

    def __str__(self) -> str:
        return f'{self.open} open, {self.published} published again, {self.given_up} given up'


def storage_of(manager: Any) -> Any:
    """Where a manager's ledger is, if it keeps one: its activity storage, else ``None``.

    :raises ConfigurationError: for a storage that can't keep one
    """
    return _required(manager) if getattr(manager, 'keep_ledger', False) else None


def _possible(manager: Any) -> Any:
    """The storage of a manager that can keep a ledger, ``None`` if it can't."""
    user_feed_class = getattr(manager, 'user_feed_class', None)
    storage = None if user_feed_class is None else user_feed_class.get_activity_storage()
    return storage if isinstance(storage, KeepsLedger) else None


def _required(manager: Any) -> Any:
    storage = _possible(manager)
    if storage is None:
        name = (manager if isinstance(manager, type) else type(manager)).__name__
        raise ConfigurationError(
            f'the activity storage of the user feed of {name} can keep no ledger: set {name}.keep_ledger to False, or '
            'derive the storage from stream_framework.storage.abilities.KeepsLedger, and define its methods'
        )
    return storage


def write(storage: Any, entries: Iterable[Entry]) -> None:
    """Write entries before they are published; one round trip as a rule."""
    by_minute: dict[int, dict[str, str]] = {}
    for entry in entries:
        by_minute.setdefault(entry.minute, {})[entry.id] = entry.text()
    for minute, texts in by_minute.items():
        storage.write_ledger(minute, texts, KEPT_FOR)


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries, as many together as may be written, and held in memory, at a time."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.kwargs.get('operation_kwargs') or '') + 12 * len(entry.kwargs.get('user_ids') or ())
        if len(batch) >= ENTRIES_AT_A_TIME or size >= CHARACTERS_AT_A_TIME:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Receipt:
    """What a running task knows of its entry, from its message.

    :param manager: the one that the message names
    :param request: the task's
    """

    def __init__(self, manager: Any, request: Any) -> None:
        self._id = request.id
        header = (request.headers or {}).get(HEADER)
        # Whoever can write to the broker may write anything here.
        match = re.fullmatch(r'(\d{1,9}):(\d{1,9})', header) if isinstance(header, str) else None
        self._storage = _possible(manager) if match else None
        self._minute, attempts = (int(match[1]), int(match[2])) if match else (0, 0)
        # A message that somebody has begun to work on has to be done again, whoever else has done the same work: the
        # beginning may have been killed after it had written, and before it looked what was published last.
        begun = request.retries or (request.delivery_info or {}).get('redelivered')
        self._may_be_done = attempts > 0 and not begun

    @property
    def done(self) -> bool:
        """Whether it was published again, and somebody has done the work since."""
        if self._storage is None or not self._may_be_done:
            return False
        return self._storage.find_in_ledger(self._minute, self._id) is None

    def close(self) -> None:
        """The work is done: delete the entry."""
        if self._storage is not None:
            self._storage.delete_from_ledger(self._minute, self._id)


def republish(
    manager: Any,
    older_than: float = OLDER_THAN,
    given_up: bool = False,
    discard: bool = False,
    dry_run: bool = False,
    limit: int = 100_000,
) -> Republished:
    """Publish again what has been open for too long.

    Entries belong to the storage: managers that share one share a ledger. Two of these at once do no harm.

    :param manager: whose storage; a manager
    :param older_than: for how many seconds an entry must have been open since it was last published; that, doubled for
        each time that it was published again
    :param given_up: those that were given up, instead of the others: once more, or for the first time if their minute
        has come and gone without
    :param discard: delete them instead
    :param dry_run: only count, and log each
    :param limit: how many at most; the next call goes on
    :raises ConfigurationError: if the storage can keep no ledger
    :raises StorageError: for what the server refuses
    """
    storage = _required(manager)
    now = time.time()
    found = Republished()
    oldest: int | None = None
    end = int((now - older_than) // 60)
    for minute, entry_id, text in _read(storage, _first(storage, now), end):
        oldest = minute if oldest is None else min(oldest, minute)
        found.open += 1
        try:
            entry = Entry.read(minute, entry_id, text)
            task = _task(entry)
        except MessageError as error:
            found.given_up += 1
            logger.error('%s', error)
            if given_up and discard and not dry_run:
                storage.delete_from_ledger(minute, entry_id)
                found.published += 1
            continue
        hopeless = entry.attempts >= ATTEMPTS or now >= entry.expires
        found.given_up += hopeless
        due = hopeless if given_up else not hopeless and now - entry.last >= older_than * 2**entry.attempts
        if not due or found.published >= limit:
            continue
        found.published += 1
        what = 'discarded' if discard else 'published again'
        logger.log(
            logging.INFO if entry.attempts < 1 else logging.WARNING,
            '%s[%s] %s: open for %.0f s, published again %d times before%s',
            entry.task,
            entry_id,
            what,
            now - entry.published,
            entry.attempts,
            ' (dry run)' if dry_run else '',
        )
        if dry_run:
            continue
        if discard:
            storage.delete_from_ledger(minute, entry_id)
            continue
        entry.attempts += 1
        entry.last = now
        # First this: an entry that could not be written would be published for ever.
        storage.write_ledger(minute, {entry_id: entry.text()}, KEPT_FOR, existing=True)
        entry.publish(task)
        count_task(entry.task, 'republished')
    if not dry_run:
        _advance(storage, now, end if oldest is None else oldest)
    if found.given_up and not given_up:
        count_task('republish', 'given_up', found.given_up)
        logger.error(
            '%d tasks were given up: their work is not done. They stay in the ledger for %d days after their first '
            'publication; `python -m stream_framework republish --given-up` publishes them once more',
            found.given_up,
            KEPT_FOR // 86400,
        )
    return found


def forget_user(manager: Any, user_id: Any) -> None:
    """Take a user out of all entries: what he did, and him where he is one of those whose feeds are written.

    Entries without anything left to do are deleted. Called when he is erased, so all of that is done already, and a
    message that is still on its way does no harm. What can't be read stays.

    :param manager: whose storage; a manager
    """
    storage = _required(manager)
    now = time.time()
    for minute, entry_id, text in _read(storage, _first(storage, now), int(now // 60) + 1):
        try:
            entry = Entry.read(minute, entry_id, text)
            left = messages.without_user(_task(entry).parameters, entry.args, entry.kwargs, user_id)
        except MessageError as error:
            logger.warning('%s', error)
            continue
        if left is None:
            storage.delete_from_ledger(minute, entry_id)
        elif left != (tuple(entry.args), entry.kwargs):
            entry.args, entry.kwargs = list(left[0]), left[1]
            storage.write_ledger(minute, {entry_id: entry.text()}, KEPT_FOR, existing=True)


def _read(storage: Any, first: int, end: int) -> Iterator[tuple[int, str, str]]:
    for start in range(first, end + 1, _MINUTES_AT_A_TIME):
        yield from storage.read_ledger(range(start, min(start + _MINUTES_AT_A_TIME, end + 1)))


def _task(entry: Entry) -> Any:
    task = current_app.tasks.get(entry.task)
    # Nothing but the tasks that write entries, whatever the storage says.
    if not getattr(task, 'use_ledger', False):
        raise MessageError(
            f"entry {entry.id} of the ledger is of {entry.task}, which is no fan-out task of this process's Celery "
            'application: import the module that declares it'
        )
    return task


# The first minute that may have open entries is remembered as a mark, so that not a week of them is read each time.
def _first_name() -> str:
    return own_key('ledger', 'first')


def _first(storage: Any, now: float) -> int:
    first = int((now - KEPT_FOR) // 60)
    if isinstance(storage, KeepsIntents):
        [mark] = storage.get_intents([_first_name()])
        if mark is not None and mark.isdecimal():
            first = max(first, int(mark))
    return first


def _advance(storage: Any, now: float, minute: int) -> None:
    if isinstance(storage, KeepsIntents):
        storage.set_intents([_first_name()], str(min(minute, int((now - _MARGIN) // 60))), KEPT_FOR)
