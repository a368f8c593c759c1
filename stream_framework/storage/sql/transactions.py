"""Take part in the application's own transaction: what is done is committed with it, and published when it has been."""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from stream_framework.exceptions import ConfigurationError, MissingDependencyError
from stream_framework.publishing_context import Call, deferring
from stream_framework.storage.batch import call_all
from stream_framework.storage.sql import client, config
from stream_framework.storage.sql.client import AlchemyWork, DriverWork, Joined, Work
from stream_framework.storage.sql.config import sqlalchemy as sa
from stream_framework.storage.sql.dialects import dialect_of


@contextlib.contextmanager
def transaction(target: Any) -> Iterator[None]:
    """Make what the block does with feeds and managers in a SQL database part of a transaction of yours.

    It is committed with the transaction, and gone with its rollback, or with that of a savepoint around the block. What
    the block publishes (fan-outs, follows) is published when the transaction has been committed, not before, and not
    after a rollback. The transaction must be one of the database that the feeds are in. Threads that the block starts
    don't take part.

    :param target: a SQLAlchemy ``Connection`` or ORM ``Session``, or the alias of a Django database. Where Django has
        no ``atomic()`` block open, this is one.
    :raises ConfigurationError: for anything else

    >>> from stream_framework import settings
    >>> from stream_framework.activity import Activity
    >>> from stream_framework.feeds.sql import SqlFeed
    >>> from stream_framework.storage.sql import connection, transaction
    >>> from stream_framework.verbs import Love
    >>> settings.configure(STREAM_SQL_URL='sqlite://')
    >>> feed = SqlFeed('a doctest')
    >>> with connection.get_engine().connect() as mine:
    ...     with transaction(mine):
    ...         feed.add(Activity(1, Love, 100))
    ...     mine.rollback()
    1
    >>> feed[:5]
    []
    >>> del settings.STREAM_SQL_URL
    """
    config.require_sqlalchemy()
    if isinstance(target, str):
        with _django_transaction(target):
            yield
        return
    current = _connection_getter(target)
    dialect = dialect_of(current().engine.dialect.name, config.get_schema())
    url = current().engine.url

    def work() -> Work:
        connection = current()
        _pending_of(connection)
        return AlchemyWork(connection, dialect)

    joined = Joined(work, dialect, config.address_of(url), config.secrets_of(url))
    # From here on savepoints are seen.
    _pending_of(current())
    with _taking_part(joined, lambda call: _pending_of(current()).add(call)):
        yield


@contextlib.contextmanager
def _taking_part(joined: Joined, collect: Callable[[Call], Any]) -> Iterator[None]:
    token = client.joined.set(joined)
    try:
        with deferring(collect):
            yield
    finally:
        client.joined.reset(token)


def _outside(call: Call) -> Any:
    """Call something as if no transaction was taken part in: it may run tasks, which have their own."""
    token = client.joined.set(None)
    try:
        with deferring(None):
            return call()
    finally:
        client.joined.reset(token)


def _connection_getter(target: Any) -> Callable[[], Any]:
    """Return what gives the connection of a connection or a session; a session has another one after each commit."""
    orm = importlib.import_module('sqlalchemy.orm')
    if isinstance(target, orm.scoped_session):
        target = target()
    if isinstance(target, orm.Session):
        return target.connection
    if isinstance(target, sa.Connection):
        return lambda: target
    raise ConfigurationError(
        'transaction() takes a SQLAlchemy Connection or Session, or the alias of a Django database '
        f"('default'), not {type(target).__name__}"
    )


class Pending:
    """What is to be published when a transaction has been committed."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        #: The open savepoints, and how much there was to publish when each began.
        self.savepoints: list[tuple[str, int]] = []

    def add(self, call: Call) -> None:
        """Publish this, too."""
        self.calls.append(call)

    def begin_savepoint(self, name: str) -> None:
        """A savepoint begins."""
        self.savepoints.append((name, len(self.calls)))

    def roll_back_to(self, name: str) -> None:
        """Forget what was to be published since a savepoint began; all of it, if that was before anybody looked."""
        while self.savepoints:
            found, kept = self.savepoints.pop()
            if found == name:
                del self.calls[kept:]
                # It can be rolled back to again.
                self.savepoints.append((name, kept))
                return
        self.calls.clear()

    def take(self) -> list[Call]:
        """Return what is to be published, and forget it."""
        calls, self.calls, self.savepoints = self.calls, [], []
        return calls


_pending: weakref.WeakKeyDictionary[Any, Pending] = weakref.WeakKeyDictionary()

_SAVEPOINT = re.compile(
    r'\s*(?:(SAVEPOINT)|(ROLLBACK(?:\s+TRANSACTION|\s+WORK)?\s+TO)(?:\s+SAVEPOINT)?)\s+(\S+)', re.IGNORECASE
)


def _pending_of(connection: Any) -> Pending:
    """Return what is pending on a SQLAlchemy connection, which is listened to from now on."""
    found = _pending.get(connection)
    if found is None:
        if isinstance(connection.get_transaction(), sa.TwoPhaseTransaction):
            raise ConfigurationError(
                'a two-phase transaction can not be taken part in: what is to be published when it has been committed '
                'would have to survive until then'
            )
        found = _pending[connection] = Pending()
        sa.event.listen(connection, 'commit', _on_commit)
        sa.event.listen(connection, 'rollback', _on_rollback)
        sa.event.listen(connection, 'before_cursor_execute', _on_statement)
    return found


def _on_statement(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
    # The events of savepoints don't say which.
    match = _SAVEPOINT.match(statement)
    if match is None:
        return
    begins, _, name = match.groups()
    name = name.strip(';"')
    if begins:
        _pending_of(connection).begin_savepoint(name)
    else:
        _pending_of(connection).roll_back_to(name)


def _on_rollback(connection: Any) -> None:
    _pending_of(connection).take()


def _on_commit(connection: Any) -> None:
    """Commit, then publish. SQLAlchemy tells of a commit before it is done; committing again then does nothing."""
    calls = _pending_of(connection).take()
    if not calls:
        return
    dialect = connection.engine.dialect
    try:
        dialect.do_commit(connection.connection)
    except dialect.loaded_dbapi.Error as error:
        # Not the second time either: that would look as if it had been.
        raise sa.exc.DBAPIError.instance(None, None, error, dialect.loaded_dbapi.Error, dialect=dialect) from error
    call_all(functools.partial(_outside, call) for call in calls)


@contextlib.contextmanager
def _django_transaction(alias: str) -> Iterator[None]:
    try:
        django = importlib.import_module('django.db')
    except ImportError as error:
        raise MissingDependencyError(
            f'transaction({alias!r}) names a database of Django, which is not installed: pip install django'
        ) from error
    connection = django.connections[alias]
    dialect = dialect_of(connection.vendor, config.get_schema())

    def work() -> Work:
        connection.ensure_connection()
        connection.validate_no_broken_transaction()
        return DriverWork(connection.connection, dialect)

    def collect(call: Call) -> None:
        django.transaction.on_commit(functools.partial(_outside, call), using=alias)

    options = connection.settings_dict
    secrets = [str(options['PASSWORD'])] if options.get('PASSWORD') else []
    joined = Joined(work, dialect, f'{alias!r} of Django ({options.get("NAME")})', secrets)
    own = contextlib.nullcontext() if connection.in_atomic_block else django.transaction.atomic(using=alias)
    with own, _taking_part(joined, collect):
        yield
