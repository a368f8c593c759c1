"""The library's session as a connection of cqlengine, the driver's object mapper.

The models of feeds name this connection and find the keyspace of the settings, so cqlengine's own calls work for them
whatever else an application has set up. It is registered when this module is imported, and connects on first use.

It is the default connection too, as in 1.4.0, but only while the application has set up none: one that it sets up,
before or after, stays the default, and so does its default keyspace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra.driver import (
    DEFAULT_CONNECTION,
    CQLEngineException,
    MapperConnection,
    Model,
    default_keyspace,
    registered_connections,
    set_default_keyspace,
    show_default_session,
)

#: The connection's name in cqlengine's registry.
NAME = 'stream_framework'


class SharedConnection(MapperConnection):
    """A connection of cqlengine that always has the library's current session.

    cqlengine calls :meth:`handle_lazy_connect` before each use, so reconnecting, a fork or new settings need no more.
    """

    def __init__(self, get_session: Callable[[], Any]) -> None:
        super().__init__(NAME, hosts=None)
        self._get_session = get_session

    def handle_lazy_connect(self) -> None:
        """Connect, or connect anew, if need be.

        :raises StorageError: which is a ``CQLEngineException`` as well: cqlengine goes on where it needs no connection
        """
        try:
            self.use(self._get_session())
        except StorageError as error:
            raise _mapper_error(type(error))(*error.args) from error

    def use(self, session: Any) -> None:
        """Take over a session; ``None`` to let go of the last one."""
        self.session = session
        self.cluster = None if session is None else session.cluster


class DefaultConnection(SharedConnection):
    """The same as cqlengine's default connection, to which an application may give another session.

    cqlengine's ``set_session`` changes the connection that is the default. It must not change that of the feeds.
    """

    _shared_session: Any = None

    @property
    def is_given(self) -> bool:
        """Whether an application has given it a session."""
        return self.session is not self._shared_session

    def handle_lazy_connect(self) -> None:
        """Connect, unless an application has given it a session.

        :raises StorageError: as of the base class
        """
        if not self.is_given:
            super().handle_lazy_connect()

    def use(self, session: Any) -> None:
        """Take over a session, unless an application has given it one."""
        if not self.is_given:
            super().use(session)
            self._shared_session = session
            if registered_connections().get(DEFAULT_CONNECTION) is self:
                show_default_session(self.cluster, session)


class FeedModel(Model):
    """A model whose table is in the library's keyspace, reached by the library's connection."""

    __abstract__ = True
    __connection__ = NAME

    @classmethod
    def _get_keyspace(cls) -> str:
        return cls.__keyspace__ or settings.STREAM_DEFAULT_KEYSPACE


_shared: SharedConnection | None = None
_default: DefaultConnection | None = None
# The default keyspace, as it was last set here.
_keyspace: str | None = None
_mapper_errors: dict[type[StorageError], type[StorageError]] = {}


def register(get_session: Callable[[], Any]) -> None:
    """Register the connection with cqlengine, as the default one if there is no other; nothing is connected."""
    global _shared, _default
    _shared, _default = SharedConnection(get_session), DefaultConnection(get_session)
    settings.on_change(_follow_keyspace)
    _take_place()


def use(session: Any) -> None:
    """Let cqlengine use a new session, for the feeds' models and where the application has set up no default."""
    # Rows come as dicts from here on: the mapper sees to that.
    MapperConnection.from_session(NAME, session)
    _take_place()
    _share(session)


def let_go() -> None:
    """Let cqlengine forget the session; the next use gets a new one."""
    _share(None)


def _share(session: Any) -> None:
    for connection in (_shared, _default):
        if connection is not None:
            connection.use(session)


def _take_place() -> None:
    registered = registered_connections()
    registered[NAME] = _shared
    registered.setdefault(DEFAULT_CONNECTION, _default)
    _follow_keyspace()


def _follow_keyspace() -> None:
    """Make the settings' keyspace cqlengine's default, unless the application has set up another, or a connection."""
    global _keyspace
    current = registered_connections().get(DEFAULT_CONNECTION)
    is_free = isinstance(current, DefaultConnection) and not current.is_given
    if is_free and default_keyspace() in (None, _keyspace):
        _keyspace = settings.STREAM_DEFAULT_KEYSPACE
        set_default_keyspace(_keyspace)


def _mapper_error(kind: type[StorageError]) -> type[StorageError]:
    """Return the error class that also derives from cqlengine's; it is made once."""
    if kind not in _mapper_errors:
        namespace = {'__module__': kind.__module__, '__doc__': kind.__doc__}
        _mapper_errors[kind] = type(kind.__name__, (kind, CQLEngineException), namespace)
    return _mapper_errors[kind]
