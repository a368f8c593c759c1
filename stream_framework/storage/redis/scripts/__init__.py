"""The Lua scripts, and how they are run: by their hash, on a plain server as on a cluster.

The first call of a script on a server sends its text (``EVAL``), all later ones only its SHA-1 (``EVALSHA``), so that
loading it takes no round trip of its own. A server that was restarted, or a replica that was promoted, has forgotten it
and says ``NOSCRIPT``: then all scripts are loaded, and what was sent is sent again, which every script here allows.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from stream_framework.storage.redis import commands as wire
from stream_framework.storage.redis.commands import Command, is_cluster
from stream_framework.storage.redis.config import redis


class Script:
    """One script: its text and its hash."""

    def __init__(self, name: str) -> None:
        self.text = resources.files(__package__).joinpath(f'{name}.lua').read_text(encoding='utf-8')
        self.sha = hashlib.sha1(self.text.encode('utf-8'), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[Any], arguments: Iterable[Any]) -> Command:
        """The command that runs the script."""
        return ('EVALSHA', self.sha, len(keys), *keys, *arguments)

    def is_known(self, client: Any) -> bool:
        """Return whether the server of a client, which is no cluster, has been sent the script already."""
        known = _known.get(client)
        return known is not None and (None, self.sha) in known


FAN_OUT = Script('fan_out')
PAGE = Script('page')
GROUPS_PAGE = Script('groups_page')
READ_NEWEST = Script('read_newest')
READ_GROUPS = Script('read_groups')
APPLY_CHANGES = Script('apply_changes')
MARKS = Script('marks')
TRIM = Script('trim')
LISTS_ADD = Script('lists_add')
FOLLOW = Script('follow')
FOLLOW_PAGE = Script('follow_page')
REPAIR_FOLLOWS = Script('repair_follows')
ONE_STEP = Script('one_step')
SET_INTENTS = Script('set_intents')
HSET_EXISTING = Script('hset_existing')
REPLACE = Script('replace')
SET_SEEN = Script('set_seen')
COUNT_NEW = Script('count_new')
ALL = {script.sha: script for script in list(vars().values()) if isinstance(script, Script)}

# Client -> (node's name, or None; script's hash) of what its servers are known to have.
_known: weakref.WeakKeyDictionary[Any, set[tuple[str | None, str]]] = weakref.WeakKeyDictionary()


def in_one_step(commands: Sequence[Command]) -> Command:
    """Several commands as one; on a cluster their keys must lie in one slot."""
    arguments: list[Any] = []
    for command in commands:
        arguments += [len(command), *command]
    return ONE_STEP.call(list(dict.fromkeys(wire.key_of(command) for command in commands)), arguments)


def load(client: Any) -> None:
    """Load every script on every primary."""
    nodes = [client.get_redis_connection(node) for node in client.get_primaries()] if is_cluster(client) else [client]
    for node in nodes:
        pipeline = node.pipeline(transaction=False)
        for script in ALL.values():
            pipeline.script_load(script.text)
        pipeline.execute()


def run(client: Any, script: Script, keys: Sequence[Any], arguments: Iterable[Any]) -> Any:
    """Run one script; the short way of :func:`send` for a plain server that has it."""
    call = script.call(keys, arguments)
    if script.is_known(client):
        try:
            return client.execute_command(*call)
        except redis.exceptions.NoScriptError:
            # The server was restarted, say.
            pass
    return send(client, [call])[0]


def send(client: Any, commands: Sequence[Command], at_a_time: int = 500) -> list[Any]:
    """Send commands, scripts among them, in as few round trips as a bounded number in flight allows.

    :param commands: all of them may be run again
    :param at_a_time: how many are in flight at most
    :returns: the replies; an error that is a command's own is raised
    """
    if len(commands) <= at_a_time and all(command[0] != 'EVALSHA' for command in commands):
        return wire.send(client, commands) if commands else []
    replies: list[Any] = []
    for start in range(0, len(commands), at_a_time):
        part = commands[start : start + at_a_time]
        known = _known.get(client)
        if known is None:
            known = _known.setdefault(client, set())
        part, new = _with_texts(client, known, part)
        try:
            replies += wire.send(client, part)
        except Exception as error:
            if not _forgotten(error):
                raise
            load(client)
            replies += wire.send(client, part)
        known |= new
    return replies


def _with_texts(
    client: Any, known: set[tuple[str | None, str]], commands: Sequence[Command]
) -> tuple[Sequence[Command], set[tuple[str | None, str]]]:
    """The commands, with the text of scripts that a server hasn't got yet; and which these are."""
    cluster = is_cluster(client)
    if len(known) == len(ALL) and not cluster:
        return commands, set()
    new: set[tuple[str | None, str]] = set()
    sent = []
    for command in commands:
        if command[0] == 'EVALSHA':
            node = wire.node_of(client, command) if cluster else None
            place = (node.name if node is not None else None, command[1])
            if place not in known and place not in new:
                new.add(place)
                command = ('EVAL', ALL[command[1]].text, *command[2:])
        sent.append(command)
    return sent, new


def _forgotten(error: Exception) -> bool:
    return type(error).__name__ == 'NoScriptError' or 'NOSCRIPT' in str(error)
