"""The settings: names that nothing reads, and values that can't work. No server is asked."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stream_framework import default_settings, settings
from stream_framework.checks.findings import Finding, redacted
from stream_framework.exceptions import ConfigurationError, MissingDependencyError
from stream_framework.utils import get_class_from_string
from stream_framework.utils.keys import own_key

#: The numbers of the findings, which stay the same.
MISSPELT, MALFORMED, NOT_INSTALLED, NOT_OURS, UNUSUAL = 'E001', 'E002', 'W001', 'W002', 'W003'

#: What a class of metrics is asked for.
_METRICS = (
    'fanout_timer',
    'feed_reads_timer',
    'on_feed_read',
    'on_feed_remove',
    'on_feed_write',
    'on_fanout',
    'on_activity_published',
    'on_activity_removed',
)


class _Malformed(Exception):
    """A value that can't work: what is wrong, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def check_settings() -> list[Finding]:
    """Look at every setting that the application has set, and for names that look like a setting but are none.

    Modules that settings name are imported. No message holds a password.

    :returns: errors and warnings, none where all is well

    >>> from stream_framework import settings
    >>> settings.configure(STREAM_TASK_MODULES='myapp.feeds')
    >>> for finding in check_settings():
    ...     print(finding)
    error: STREAM_TASK_MODULES: is a str, not a list of prefixes; give ['myapp.feeds'], or None
    >>> del settings.STREAM_TASK_MODULES
    """
    return [
        finding._replace(message=redacted(finding.message), remedy=redacted(finding.remedy))
        for finding in (*_unknown_names(), *_values())
    ]


def _unknown_names() -> Iterator[Finding]:
    for name, (source, nearest) in settings.unknown_names().items():
        what = 'is no environment variable' if source == 'environment' else 'is no setting'
        if nearest:
            yield Finding('error', name, f'{what} of the library', f'did you mean {nearest}?', MISSPELT)
        else:
            yield Finding(
                'warning', name, f'{what} of the library, which does not read it', 'nothing to do if it is yours',
                NOT_OURS,
            )  # fmt: skip


def _values() -> Iterator[Finding]:
    for name, check in _CHECKS.items():
        value = getattr(settings, name)
        # What the library itself has set needs no check, and no client for it.
        default = getattr(default_settings, name)
        if settings.source_of(name) == 'default' or (type(value) is type(default) and value == default):
            continue
        yield from _failures(name, check, value)
        if name == 'STREAM_REDIS_CONFIG' and isinstance(value, Mapping):
            yield from _servers(name, value)


def _failures(subject: str, check: Callable[..., None], *arguments: Any) -> Iterator[Finding]:
    try:
        check(*arguments)
    except _Malformed as error:
        yield Finding('error', subject, error.message, error.remedy, MALFORMED)
    except MissingDependencyError as error:
        yield Finding('warning', subject, 'can not be checked', str(error), NOT_INSTALLED)
    except (ConfigurationError, ValueError, TypeError) as error:
        # Messages of ours begin with the setting's name, and say what to do.
        yield Finding('error', subject, str(error).removeprefix(subject).lstrip(': '), '', MALFORMED)


def _servers(name: str, servers: Mapping[str, Any]) -> Iterator[Finding]:
    for server in servers:
        yield from _failures(f'{name}[{server!r}]', _redis_entry, server)
    if servers and 'default' not in servers:
        yield Finding(
            'warning', name, "has no server 'default', which feeds use unless they say otherwise",
            'name one so, or set redis_server in every feed class', UNUSUAL,
        )  # fmt: skip


def _redis(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise _Malformed(f'is {_kind(value)}, not a dict of servers', "give {'default': {'host': ...}}")
    if not value:
        raise _Malformed('names no server', "give {'default': {'host': ...}}")


def _redis_entry(server: str) -> None:
    from stream_framework.storage.redis import config

    config.read(server, config.get_entry(server))


def _hosts(value: Any) -> None:
    from stream_framework.storage.cassandra import config

    if not isinstance(value, (str, list, tuple, set, frozenset)):
        raise _Malformed(f'is {_kind(value)}, not a list of addresses', "give ['10.0.0.1', '10.0.0.2']")
    for point in config.contact_points():
        address = point[0] if isinstance(point, tuple) and len(point) == 2 else point
        if isinstance(address, str) and (not address or '://' in address or ' ' in address):
            raise _Malformed(f'{address!r} is no address', "give addresses as str, 'host' or 'host:port'")


def _keyspace(value: Any) -> None:
    from stream_framework.storage.cassandra import config

    config.keyspace()


def _consistency(value: Any) -> None:
    from stream_framework.storage.cassandra import config

    config.require_driver()
    config.consistency()


def _driver_kwargs(value: Any) -> None:
    from stream_framework.storage.cassandra import config

    _check_keywords(value, 'cassandra.cluster.Cluster')
    config.driver_keywords()
    config.require_driver()
    from cassandra.cluster import Cluster

    known = _parameters(Cluster)
    for key in value:
        if key not in known and key not in config.OF_CQLENGINE:
            raise _Malformed(
                f'has an unknown key {key!r}{_suggestion(key, known)}', f'known: {", ".join(sorted(known))}'
            )
    protocol = value.get('protocol_version')
    if isinstance(protocol, int) and protocol < 3:
        raise _Malformed(
            f"'protocol_version' is {protocol}, which no server since Cassandra 4.0 speaks",
            'leave it out: client and server agree on one',
        )


def _metric_class(value: Any) -> None:
    made = _import(value)
    missing = [method for method in _METRICS if not hasattr(made, method)]
    if missing:
        raise _Malformed(f'{value} has no {", ".join(missing)}', 'derive it from stream_framework.metrics.base.Metrics')


def _metrics_options(value: Any) -> None:
    _check_keywords(value, 'STREAM_METRIC_CLASS')
    try:
        made = _import(settings.STREAM_METRIC_CLASS)
        signature = inspect.signature(made)
    except (_Malformed, TypeError, ValueError):
        return
    try:
        signature.bind(**value)
    except TypeError as error:
        raise _Malformed(
            f'has {", ".join(map(repr, value))}: {settings.STREAM_METRIC_CLASS}: {error}',
            f'it takes {", ".join(_parameters(made))}',
        ) from error


def _verb_storage(value: Any) -> None:
    if value == 'in-memory':
        return
    made = _import(value)
    missing = [method for method in ('__getitem__', '__setitem__', 'get') if not hasattr(made, method)]
    if missing:
        raise _Malformed(f'{value} has no {", ".join(missing)}', 'name a class of dicts, id -> verb')


def _key_prefix(value: Any) -> None:
    own_key()


def _task_modules(value: Any) -> None:
    if value is None:
        return
    if isinstance(value, str):
        raise _Malformed('is a str, not a list of prefixes', f'give [{value!r}], or None')
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise _Malformed(f'is {_kind(value)}, not a list of prefixes', "give ['myapp.feeds'], or None")
    for prefix in value:
        if not isinstance(prefix, str) or not all(part.isidentifier() for part in prefix.split('.')):
            raise _Malformed(f'{prefix!r} is no import path', "give ['myapp.feeds'], or None")


def _sql_url(value: Any) -> None:
    from stream_framework.storage.sql import config

    config.get_url()


def _sql_options(value: Any) -> None:
    from stream_framework.storage.sql import config

    config.get_options()


def _sql_engine(value: Any) -> None:
    if value is not None and not hasattr(value, 'raw_connection'):
        raise _Malformed(f'is {_kind(value)}', 'give what sqlalchemy.create_engine() returns, or None')


def _sql_schema(value: Any) -> None:
    from stream_framework.storage.sql import config

    config.get_schema()


_CHECKS: dict[str, Callable[[Any], None]] = {
    'STREAM_REDIS_CONFIG': _redis,
    'STREAM_CASSANDRA_HOSTS': _hosts,
    'STREAM_DEFAULT_KEYSPACE': _keyspace,
    'STREAM_CASSANDRA_CONSISTENCY_LEVEL': _consistency,
    'CASSANDRA_DRIVER_KWARGS': _driver_kwargs,
    'STREAM_METRIC_CLASS': _metric_class,
    'STREAM_METRICS_OPTIONS': _metrics_options,
    'STREAM_KEY_PREFIX': _key_prefix,
    'STREAM_VERB_STORAGE': _verb_storage,
    'STREAM_TASK_MODULES': _task_modules,
    'STREAM_SQL_URL': _sql_url,
    'STREAM_SQL_OPTIONS': _sql_options,
    'STREAM_SQL_ENGINE': _sql_engine,
    'STREAM_SQL_SCHEMA': _sql_schema,
}


def _import(path: Any) -> Any:
    if not isinstance(path, str):
        raise _Malformed(f'is {_kind(path)}', "give an import path, 'package.module.Name'")
    try:
        made = get_class_from_string(path)
    except ImportError as error:
        raise _Malformed(str(error), '') from error
    if not callable(made):
        raise _Malformed(f'{path} is {_kind(made)}', 'name a class')
    return made


def _check_keywords(value: Any, of: str) -> None:
    # Kinds and names only: among the values may be a password.
    if not isinstance(value, Mapping):
        raise _Malformed(f'is {_kind(value)}', f'give a dict of keywords of {of}')
    for key in value:
        if not isinstance(key, str):
            raise _Malformed(f'has the key {key!r}', f'give a dict of keywords of {of}')


def _parameters(of: Any) -> list[str]:
    parameters = inspect.signature(of).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f' (did you mean {close[0]!r}?)' if close else ''


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f'{"an" if name[0] in "aeiou" else "a"} {name}'
