"""Lists on Redis: what notification feeds keep their unseen and unread ids in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.batch import iter_parts
from stream_framework.storage.redis import scripts
from stream_framework.storage.redis.commands import Command, glob, is_cluster
from stream_framework.storage.redis.connection import get_redis_connection
from stream_framework.storage.redis.errors import translated
from stream_framework.storage.redis.structures.base import as_texts
from stream_framework.utils.shortcuts import unchanged

#: How many keys one round trip deletes.
KEYS_PER_DELETE = 500


class RedisListsStorage(BaseListsStorage):
    """A Redis list for each. Each method is one round trip and one step; on a cluster, one step for each list.

    :param redis_server: the server's name in ``STREAM_REDIS_CONFIG``
    """

    #: Whether lists change by the library's own hooks.
    writes_as_usual = unchanged('add', 'add_once', 'remove', 'add_to_storage', 'remove_from_storage', 'get_key')

    def __init__(
        self,
        key: Any,
        key_format: str | None = None,
        max_length: int | None = None,
        data_type: Any = None,
        redis_server: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(key, key_format=key_format, max_length=max_length, data_type=data_type, **options)
        #: The server's name in ``STREAM_REDIS_CONFIG``.
        self.redis_server = redis_server or 'default'

    @property
    def redis(self) -> Any:
        """The client."""
        return get_redis_connection(self.redis_server)

    def add_to_storage(self, lists: dict[str, list[str]], once: bool) -> None:
        """Append, drop the oldest; with ``once`` what is there already moves to the end."""
        given = {}
        for name, items in lists.items():
            if once:
                items = list(dict.fromkeys(reversed(items)))[::-1]
            if self.max_length is not None:
                items = items[max(len(items) - self.max_length, 0) :]
            given[name] = items
        options = (int(once), -1 if self.max_length is None else self.max_length)
        given = {name: items for name, items in given.items() if items}
        parts = [[name] for name in given] if is_cluster(self.redis) else [list(given)]
        self._send(
            [
                scripts.LISTS_ADD.call(
                    [self.get_key(name) for name in part],
                    [*options, *(value for name in part for value in (len(given[name]), *given[name]))],
                )
                for part in parts
                if part
            ]
        )

    def remove_from_storage(self, lists: dict[str, list[str]]) -> None:
        """Take out every occurrence."""
        self._in_one_step([[('LREM', self.get_key(name), 0, item) for item in items] for name, items in lists.items()])

    def count_in_storage(self, names: Sequence[str]) -> list[int]:
        """The lengths."""
        return self._in_one_step([[('LLEN', self.get_key(name))] for name in names])

    def get_from_storage(self, names: Sequence[str]) -> list[list[str]]:
        """The items."""
        replies = self._in_one_step([[('LRANGE', self.get_key(name), 0, -1)] for name in names])
        return [as_texts(reply) for reply in replies]

    def flush_storage(self, names: Sequence[str]) -> None:
        """Delete the lists."""
        self._in_one_step([[('DEL', self.get_key(name))] for name in names])

    def flush_matching(self, *names: str) -> None:
        """Delete the lists whose keys match, by scanning the key space: for tests, not for every day."""
        with translated(self.redis_server):
            for name in names:
                keys = list(self.redis.scan_iter(match=glob(self.get_key(name)), count=1000, _type='list'))
                for part in iter_parts(keys, KEYS_PER_DELETE):
                    self._send([('UNLINK', key) for key in part])

    def _in_one_step(self, work: Sequence[list[Command]]) -> list[Any]:
        """Run the commands of each list; returns all replies."""
        commands = [command for of_list in work for command in of_list]
        if len(commands) == 1:
            return self._send(commands)
        if not is_cluster(self.redis):
            return self._send([scripts.in_one_step(commands)])[0]
        replies = self._send([scripts.in_one_step(of_list) for of_list in work])
        return [reply for of_list in replies for reply in of_list]

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        with translated(self.redis_server):
            return scripts.send(self.redis, commands)
