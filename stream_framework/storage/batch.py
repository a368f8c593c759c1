"""Batches: work on many timelines that is sent in few round trips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from stream_framework.storage.abilities import KeepsIntents

logger = logging.getLogger(__name__)


class Batched(Protocol):
    """A timeline storage, as far as batches need it."""

    metrics: Any

    def is_like(self, other: Any) -> bool:
        """Return whether another storage does the same."""

    def add_to_storage(self, key: str, activities: dict[Any, Any]) -> object:
        """Add id -> data to a timeline."""

    def remove_from_storage(self, key: str, activities: dict[Any, Any]) -> object:
        """Remove ids from a timeline."""

    def trim(self, key: str, length: int | None = None) -> object:
        """Keep the newest entries."""


class Write(NamedTuple):
    """One queued write: the same for one timeline or for many."""

    storage: Batched
    #: ``'add'``, ``'remove'`` or ``'trim'``.
    operation: str
    #: The keys of the timelines.
    keys: Sequence[str]
    #: Id -> what is stored of it (what is removed may be given by the id alone); empty for ``'trim'``.
    data: Mapping[Any, Any]
    #: Keep the newest so many, ``None`` for all.
    trim_length: int | None


class _Phase:
    """Work that may be sent together: writes, or changes that read before they write."""

    def __init__(self, run: Callable[[list[Any]], None] | None) -> None:
        self.run = run
        self.items: list[Any] = []


class BaseBatch:
    """Work on many timelines that is sent at once when the ``with`` block ends, and dropped if it raises.

    What concerns one timeline happens in the order in which it was asked for; what concerns several may be sent
    together.
    """

    def __init__(self, storage: Batched) -> None:
        self.storage = storage
        #: The intents that :meth:`then_read_intents` asked for, once everything has been written.
        self.intents: list[str | None] | None = None
        self.clear()

    def __enter__(self) -> BaseBatch:
        return self

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        try:
            if exc_type is None:
                self.send()
        finally:
            self.clear()

    def clear(self) -> None:
        """Forget what was queued."""
        self._phases: list[_Phase] = []
        self._last: dict[str, int] = {}
        self._after: list[Callable[[], Any]] = []
        self._wanted: tuple[KeepsIntents, Sequence[str]] | None = None

    def write(
        self,
        storage: Batched,
        operation: str,
        keys: Sequence[str],
        data: Mapping[Any, Any] | None = None,
        trim_length: int | None = None,
    ) -> None:
        """Queue a write to one timeline or to many; parameters as of :class:`Write`."""
        self._queue(None, keys, Write(storage, operation, keys, data or {}, trim_length))

    def defer(self, run: Callable[[list[Any]], None], key: str, update: Any) -> None:
        """Queue work on a timeline that reads before it writes: ``run`` gets all updates that may go together."""
        self._queue(run, [key], update)

    def after(self, call: Callable[[], Any]) -> None:
        """Queue a call for when everything has been written."""
        self._after.append(call)

    def then_read_intents(self, storage: KeepsIntents, names: Sequence[str]) -> None:
        """Read intents when everything has been written: in the same round trip, where that is possible."""
        self._wanted = (storage, names)

    @property
    def wanted_intents(self) -> tuple[KeepsIntents, Sequence[str]] | None:
        """What :meth:`then_read_intents` asked for, if nothing but one phase of writes comes before it."""
        return self._wanted if len(self._phases) == 1 and not self._after else None

    def _queue(self, run: Callable[[list[Any]], None] | None, keys: Sequence[str], item: Any) -> None:
        # The first phase of its kind that is not before what the same timelines already wait for.
        number = max((self._last.get(key, 0) for key in keys), default=0) if self._last else 0
        while number < len(self._phases) and self._phases[number].run is not run:
            number += 1
        if number == len(self._phases):
            self._phases.append(_Phase(run))
        self._phases[number].items.append(item)
        self._last.update(dict.fromkeys(keys, number))

    def send(self) -> None:
        """Do what was queued."""
        for phase in self._phases:
            if phase.run is None:
                self._measure(phase.items)
                self.send_writes(phase.items)
            else:
                phase.run(phase.items)
        call_all(self._after)
        if self._wanted is not None and self.intents is None:
            storage, names = self._wanted
            self.intents = storage.get_intents(names)

    def send_writes(self, writes: list[Write]) -> None:
        """Send writes in order; here timeline by timeline, by the storage's hooks."""
        for storage, operation, keys, data, length in writes:
            for key in keys:
                if operation == 'add':
                    storage.add_to_storage(key, dict(data))
                elif operation == 'remove':
                    storage.remove_from_storage(key, dict(data))
                if length is not None:
                    storage.trim(key, length)

    def _measure(self, writes: list[Write]) -> None:
        """Tell the metrics what is about to be written."""
        counts: dict[tuple[type, str], int] = {}
        for storage, operation, keys, data, _ in writes:
            if operation != 'trim':
                kind = (type(storage), operation)
                counts[kind] = counts.get(kind, 0) + len(data) * len(keys)
        metrics = self.storage.metrics
        for (storage_class, operation), count in counts.items():
            if operation == 'add':
                metrics.on_feed_write(storage_class, count)
            else:
                metrics.on_feed_remove(storage_class, count)


def runs(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Yield writes in order, those that follow each other to storages that do the same together."""
    run: list[Write] = []
    for write in writes:
        if run and write.storage is not run[-1].storage and not write.storage.is_like(run[-1].storage):
            yield run
            run = []
        run.append(write)
    if run:
        yield run


def call_all(calls: Iterable[Callable[[], Any]]) -> None:
    """Call each: what is to be done for one feed does not depend on what the hook of another one raises.

    :raises Exception: the first that was raised, when all are done; where there are more, all are in the log
    """
    failures: list[Exception] = []
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if len(failures) > 1:
        for number, failure in enumerate(failures, 1):
            logger.error('failure %d of %d, of which the first is raised', number, len(failures), exc_info=failure)
    if failures:
        raise failures[0]


def iter_parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield consecutive parts of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
