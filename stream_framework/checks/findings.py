"""What a check found, and what must not be printed of it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stream_framework import settings


class Finding(NamedTuple):
    """One thing that was looked at.

    >>> print(Finding('warning', 'STREAM_PAGE', 'is no setting', 'remove it'))
    warning: STREAM_PAGE: is no setting; remove it
    """

    #: ``'error'``: it can't work; ``'warning'``: it works, but not as it should; ``'note'``: good to know; ``'ok'``.
    level: str
    #: The setting or the server.
    subject: str
    #: What is the case.
    message: str
    #: What to do, where something is to be done.
    remedy: str = ''
    #: A number that stays the same, ``'E001'``: Django's checks are silenced by it. Empty for what servers said.
    code: str = ''

    def __str__(self) -> str:
        return f'{self.level}: {self.subject}: {self.message}' + (f'; {self.remedy}' if self.remedy else '')


def secrets() -> list[str]:
    """Return the passwords in the settings of servers, which nothing that is printed may show."""
    places = [
        settings.STREAM_REDIS_CONFIG,
        settings.CASSANDRA_DRIVER_KWARGS,
        settings.STREAM_SQL_URL,
        settings.STREAM_SQL_OPTIONS,
    ]
    found = {secret for place in places for secret in _secrets_in(place)}
    # The longest first: one may be part of another. What is shorter than this is a part of any text.
    return sorted((secret for secret in found if len(secret) > 2), key=len, reverse=True)


def redacted(text: str) -> str:
    """Return a text without the passwords of the settings."""
    for secret in secrets():
        text = text.replace(secret, '***')
    return text


def _secrets_in(value: Any, name: str = '', depth: int = 0) -> Iterator[str]:
    if depth > 5:
        return
    if isinstance(value, str):
        if 'password' in name.lower():
            yield value
        yield from _password_of_address(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets_in(item, str(key), depth + 1)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _secrets_in(item, name, depth + 1)
    elif hasattr(value, 'authenticate') or hasattr(value, 'new_authenticator'):
        # The driver's auth_provider, which holds the password as an attribute.
        yield from _secrets_in(vars(value), name, depth + 1)


def _password_of_address(text: str) -> Iterator[str]:
    scheme, found, rest = text.partition('://')
    user_and_password, at, _ = rest.rpartition('@')
    _, colon, password = user_and_password.partition(':')
    if found and at and colon and password:
        yield password
        yield urllib.parse.unquote(password)
    query = urllib.parse.parse_qs(rest.partition('?')[2])
    for name, values in query.items():
        if 'password' in name.lower():
            yield from values
