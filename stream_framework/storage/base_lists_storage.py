"""Short lists of short values by key: what notification feeds keep their unseen and unread ids in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stream_framework.exceptions import NotDefinedError


class BaseListsStorage:
    """Several named lists under one key, changed together in one atomic step.

    :param key: what the lists belong to, a user's feed say
    :param key_format: how a list's key is made of ``%(key)s`` and ``%(list)s``; default the class attribute
    :param max_length: how many items a list keeps, ``None`` for all; the oldest are dropped
    :param data_type: what items are turned into when they are read: a callable of one str
    :param options: anything else that the backend understands
    """

    #: How the key of one list is made.
    key_format: str = 'list:%(key)s:%(list)s'
    #: How many items a list keeps; ``None`` for all.
    max_length: int | None = None
    #: What items are when they are read.
    data_type: Any = str

    def __init__(
        self,
        key: Any,
        key_format: str | None = None,
        max_length: int | None = None,
        data_type: Any = None,
        **options: Any,
    ) -> None:
        self.base_key = key
        if key_format is not None:
            self.key_format = key_format
        if max_length is not None:
            self.max_length = max_length
        if data_type is not None:
            self.data_type = data_type
        self.options = options

    def get_key(self, list_name: str) -> str:
        """The key of one list."""
        return self.key_format % {'key': self.base_key, 'list': list_name}

    def add(self, **lists: Iterable[Any]) -> None:
        """Append items to lists: ``add(unseen=[1, 2], unread=[2])``. Items may repeat."""
        if given := _given(lists):
            self.add_to_storage(given, once=False)

    def add_once(self, **lists: Iterable[Any]) -> None:
        """Append items; one that is in its list already is moved to the end instead."""
        given = _given(lists)
        if not given:
            return
        if type(self).add is BaseListsStorage.add:
            self.add_to_storage(given, once=True)
        else:
            # Written for 1.4.0, a storage has these two, and perhaps no hooks.
            self.remove(**given)
            self.add(**given)

    def remove(self, **lists: Iterable[Any]) -> None:
        """Remove items from lists, wherever they stand; those that aren't there are skipped."""
        if given := _given(lists):
            self.remove_from_storage(given)

    def count(self, *names: str) -> Any:
        """How many items lists have: an int for one name, a tuple for several."""
        return _one_or_all(self.count_in_storage(names)) if names else ()

    def get(self, *names: str) -> Any:
        """The items of lists, oldest first: a list for one name, a tuple of lists for several."""
        if not names:
            return ()
        return _one_or_all([[self.data_type(item) for item in items] for items in self.get_from_storage(names)])

    def flush(self, *names: str) -> None:
        """Empty lists."""
        if names:
            self.flush_storage(names)

    def flush_matching(self, *names: str) -> None:
        """Empty these lists of all keys that match this one's, a pattern; a hook, for flushing all feeds of a class.

        It does nothing where the lists go with the feeds that they belong to.
        """

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        """Append to lists (name -> items) in one atomic step; keep the newest ``max_length`` of each."""
        raise NotDefinedError(f'{type(self).__name__} must define add_to_storage(lists, once)')

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        """Remove from lists (name -> items) in one atomic step."""
        raise NotDefinedError(f'{type(self).__name__} must define remove_from_storage(lists)')

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        """The lengths, in order, as of one moment."""
        raise NotDefinedError(f'{type(self).__name__} must define count_in_storage(names)')

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        """The items, in order, as of one moment."""
        raise NotDefinedError(f'{type(self).__name__} must define get_from_storage(names)')

    def flush_storage(self, names: Sequence[str]) -> None:
        """Empty these lists in one atomic step."""
        raise NotDefinedError(f'{type(self).__name__} must define flush_storage(names)')


def _given(lists: dict[str, Iterable[Any]]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for name, items in lists.items():
        if isinstance(items, (str, bytes)):
            raise TypeError(f'{name}={items!r}: give a list of items')
        texts = [str(item) for item in items or ()]
        if texts:
            given[name] = texts
    return given


def _one_or_all(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)
