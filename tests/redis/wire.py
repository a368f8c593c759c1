"""What goes over the wire, counted at the socket: round trips, commands, and how many of them are in flight."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import redis
import redis.connection


class Wire:
    """Counts since the last :meth:`reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        #: How often something was sent after something had been read: on a cluster, the waves.
        self.trips = 0
        #: Commands sent.
        self.commands = 0
        #: The most commands, and bytes, that were sent before something was read.
        self.most_commands = self.most_bytes = 0
        self._sending = False
        self._commands = self._bytes = 0

    def sent(self, data: bytes) -> None:
        if not self._sending:
            self._sending = True
            self.trips += 1
            self._commands = self._bytes = 0
        found = _count(data)
        self.commands += found
        self._commands += found
        self._bytes += len(data)
        self.most_commands = max(self.most_commands, self._commands)
        self.most_bytes = max(self.most_bytes, self._bytes)

    def read(self) -> None:
        self._sending = False


class _Socket:
    """A socket that tells what it does."""

    def __init__(self, sock: Any, wire: Wire) -> None:
        self._sock = sock
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any, *args: Any) -> Any:
        self._wire.sent(bytes(data))
        return self._sock.sendall(data, *args)

    def recv(self, *args: Any) -> Any:
        self._wire.read()
        return self._sock.recv(*args)

    def recv_into(self, *args: Any) -> Any:
        self._wire.read()
        return self._sock.recv_into(*args)


@contextlib.contextmanager
def counted() -> Iterator[Wire]:
    """Counts what new clients in this process send and read while the block runs; close the old ones before."""
    wire = Wire()
    connect = redis.connection.Connection._connect

    def connect_and_count(self: Any) -> Any:
        return _Socket(connect(self), wire)

    redis.connection.Connection._connect = connect_and_count
    try:
        yield wire
    finally:
        redis.connection.Connection._connect = connect


def _count(data: bytes) -> int:
    # Packed commands begin with the number of their parts. Data never looks like it: tests keep '*' out of it.
    return data.count(b'*') if data else 0
