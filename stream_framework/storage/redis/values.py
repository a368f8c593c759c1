"""The values of an entry of ``STREAM_REDIS_CONFIG``: each of the type that the client needs, or refused by name.

Settings often come from the environment, where everything is text: numbers and truth values may be written as text. An
empty one stands for the default, as ``urlparse(url).path[1:]`` gives it for a database that is left out.

>>> checked("STREAM_REDIS_CONFIG['default']", {'port': '6380', 'db': '1', 'ssl': 'false'})
{'port': 6380, 'db': 1, 'ssl': False}
>>> checked("STREAM_REDIS_CONFIG['default']", {'port': '', 'db': ''})
{'db': 0}
>>> checked("STREAM_REDIS_CONFIG['default']", {'ssl': 'maybe'})
Traceback (most recent call last):
    ...
stream_framework.exceptions.ConfigurationError: STREAM_REDIS_CONFIG['default']: 'ssl' is 'maybe': give True or False
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from stream_framework.exceptions import ConfigurationError

#: Which words stand for true and for false; upper and lower case are the same.
TRUE, FALSE = ('true', 'yes', 'on', '1'), ('false', 'no', 'off', '0', '')

_HIGHEST_PORT = 65535


class _Wrong(Exception):
    """What is wrong with a value, and what to give instead."""


def checked(where: str, given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the keywords of a client with values of the right types.

    :param where: the entry's name, for the message
    :param given: the entry
    :raises ConfigurationError: for a value that can't work, naming key, value and remedy; never a password
    """
    return {key: _checked(where, key, value) for key, value in given.items() if not _is_left_out(key, value)}


def _is_left_out(key: Any, value: Any) -> bool:
    return isinstance(value, str) and not value.strip() and _CONVERTERS.get(key) in (_port, _count, _seconds)


def _checked(where: str, key: Any, value: Any) -> Any:
    convert = _CONVERTERS.get(key)
    return value if convert is None else _convert(where, key, value, convert)


def _convert(where: str, key: str, value: Any, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(value)
    except _Wrong as error:
        # What ought to be text may be a password, so only its kind is said.
        said = _kind(value) if convert in (_text, _credential) else repr(value)
        raise ConfigurationError(f'{where}: {key!r} is {said}: {error}') from None


def _text(value: Any) -> Any:
    if not isinstance(value, (str, bytes, type(None))):
        raise _Wrong('give a str')
    return value


def _credential(value: Any) -> Any:
    # A password of digits works as an int with redis-py, and so did it in 1.4.0.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _truth(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in TRUE and word not in FALSE:
        raise _Wrong('give True or False')
    return word in TRUE


def _whole(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Wrong('give an int')
    return value


def _port(value: Any) -> Any:
    number = _whole(value)
    if number is not None and not 0 <= number <= _HIGHEST_PORT:
        raise _Wrong(f'give a number from 0 to {_HIGHEST_PORT}')
    return number


def _count(value: Any) -> Any:
    number = _whole(value)
    if number is not None and number < 0:
        raise _Wrong('give 0, 1, ...')
    return number


def _database(value: Any) -> int:
    return 0 if value == '' else _count(value) or 0


def _seconds(value: Any) -> Any:
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number >= 0 or not math.isfinite(number):
        raise _Wrong('give a number of seconds')
    return number


def _addresses(value: Any) -> Any:
    if value is not None and not isinstance(value, (list, tuple, set, frozenset)):
        raise _Wrong("give a list of addresses, [('10.0.0.1', 26379)]")
    return value


def _keywords(value: Any) -> Any:
    if value is not None and not isinstance(value, Mapping):
        raise _Wrong('give a dict of keywords')
    return value


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f'{"an" if name[0] in "aeiou" else "a"} {name}'


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            'host', 'unix_socket_path', 'url', 'service_name', 'client_name', 'encoding',
            'encoding_errors', 'ssl_keyfile', 'ssl_certfile', 'ssl_ca_certs', 'ssl_ca_path', 'ssl_password',
        ),
        _text,
    ),
    **dict.fromkeys(
        (
            'cluster', 'decode_responses', 'dynamic_startup_nodes', 'legacy_responses', 'read_from_replicas',
            'require_full_coverage', 'retry_on_timeout', 'single_connection_client', 'socket_keepalive', 'ssl',
            'ssl_check_hostname', 'ssl_validate_ocsp', 'ssl_validate_ocsp_stapled',
        ),
        _truth,
    ),
    **dict.fromkeys(('socket_timeout', 'socket_connect_timeout', 'health_check_interval'), _seconds),
    **dict.fromkeys(
        (
            'cluster_error_retry_attempts', 'max_connections', 'min_other_sentinels', 'protocol', 'reinitialize_steps',
            'socket_read_size',
        ),
        _count,
    ),
    'username': _credential,
    'password': _credential,
    'port': _port,
    'db': _database,
    'sentinels': _addresses,
    'startup_nodes': _addresses,
    'sentinel_kwargs': _keywords,
}  # fmt: skip
