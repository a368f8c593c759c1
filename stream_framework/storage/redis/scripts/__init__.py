"""The Lua scripts, and how they are run: by their hash, on a plain server as on a cluster.

A script is sent once to every primary of a client (``SCRIPT LOAD``), then called by its SHA-1. A server that was
restarted, or a replica that was promoted, has forgotten it and says ``NOSCRIPT``: then it is loaded again and what was
sent is sent again, which every script here allows.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any

Command = tuple[Any, ...]


class Script:
    """One script: its text and its hash."""

    def __init__(self, name: str) -> None:
        self.text = resources.files(__package__).joinpath(f'{name}.lua').read_text(encoding='utf-8')
        self.sha = hashlib.sha1(self.text.encode('utf-8'), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[Any], arguments: Iterable[Any]) -> Command:
        """The command that runs the script."""
        return ('EVALSHA', self.sha, len(keys), *keys, *arguments)


FAN_OUT = Script('fan_out')
PAGE = Script('page')
READ_NEWEST = Script('read_newest')
APPLY_CHANGES = Script('apply_changes')
MARKS = Script('marks')
ALL = (FAN_OUT, PAGE, READ_NEWEST, APPLY_CHANGES, MARKS)

_loaded: weakref.WeakSet[Any] = weakref.WeakSet()


def is_cluster(client: Any) -> bool:
    """Whether a client talks to a Redis Cluster, where a command's keys must lie in one slot."""
    return hasattr(client, 'get_primaries')


def load(client: Any) -> None:
    """Load every script on every primary."""
    if is_cluster(client):
        for script in ALL:
            client.script_load(script.text)
    else:
        pipeline = client.pipeline(transaction=False)
        for script in ALL:
            pipeline.script_load(script.text)
        pipeline.execute()
    _loaded.add(client)


def send(client: Any, commands: Sequence[Command], at_a_time: int = 500) -> list[Any]:
    """Send commands, scripts among them, in as few round trips as a bounded number in flight allows.

    :param commands: all of them may be run again
    :param at_a_time: how many are in flight at most
    :returns: the replies; an error that is a command's own is raised
    """
    if not commands:
        return []
    if client not in _loaded and any(command[0] == 'EVALSHA' for command in commands):
        load(client)
    replies: list[Any] = []
    for start in range(0, len(commands), at_a_time):
        part = commands[start : start + at_a_time]
        try:
            replies += _send(client, part)
        except Exception as error:
            if not _forgotten(error):
                raise
            load(client)
            replies += _send(client, part)
    return replies


def _send(client: Any, commands: Sequence[Command]) -> list[Any]:
    if len(commands) == 1:
        return [client.execute_command(*commands[0])]
    pipeline = client.pipeline(transaction=False)
    execute: Callable[..., Any] = pipeline.execute_command
    for command in commands:
        execute(*command)
    return pipeline.execute()


def _forgotten(error: Exception) -> bool:
    return type(error).__name__ == 'NoScriptError' or 'NOSCRIPT' in str(error)
