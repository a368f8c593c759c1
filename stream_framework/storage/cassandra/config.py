"""The settings about Cassandra, checked: the addresses, and the keywords of the driver's ``Cluster``.

Nothing here asks a server; :mod:`stream_framework.storage.cassandra.connection` does.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, MissingDependencyError

try:
    import cassandra as cassandra
    from cassandra import ConsistencyLevel
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile
    from cassandra.policies import (
        ConstantSpeculativeExecutionPolicy,
        DCAwareRoundRobinPolicy,
        ExponentialReconnectionPolicy,
        TokenAwarePolicy,
    )
except ImportError:
    cassandra = None

#: How long making a connection to one node may take, in seconds; ``connect_timeout`` of ``CASSANDRA_DRIVER_KWARGS``.
CONNECT_TIMEOUT = 5.0
#: How long one request may take, in seconds, unless an execution profile says otherwise.
REQUEST_TIMEOUT = 10.0
#: After how many seconds an idempotent request is sent to another node too, and to how many others: a frozen node
#: doesn't answer, and is noticed only after a while.
ASK_ANOTHER_AFTER, ASK_OTHERS = 2.0, 2
#: After how many idle seconds a connection is asked whether it lives, and after how many more it is given up.
HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT = 5, 10
#: The first and the longest wait before a node that is down is tried again, in seconds. (The driver's own default
#: grows to ten minutes.)
FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0

# Keywords of cqlengine's setup(), to which 1.4.0 handed them. They have no effect: the first use connects.
OF_CQLENGINE = ('lazy_connect', 'retry_connect')
# Keywords that the driver doesn't take beside execution profiles -> what they are called in a profile.
_OF_PROFILES = {'load_balancing_policy': 'load_balancing_policy', 'default_retry_policy': 'retry_policy'}


def require_driver() -> None:
    """Say what to install if the driver isn't there.

    :raises MissingDependencyError: if cassandra-driver can't be imported
    """
    if cassandra is None:
        raise MissingDependencyError(
            'feeds on Cassandra need cassandra-driver, which is not installed: pip install stream-framework[cassandra]'
        )


def snapshot() -> tuple[Any, ...]:
    """Return all that a connection depends on, to be compared later: settings may change, in place too."""
    hosts = settings.STREAM_CASSANDRA_HOSTS
    return (
        list(hosts) if isinstance(hosts, (list, tuple)) else hosts,
        settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL,
        driver_keywords(),
    )


def driver_keywords() -> dict[str, Any]:
    """Return ``CASSANDRA_DRIVER_KWARGS``, with numbers where the driver needs numbers.

    :raises ConfigurationError: if it is no dict, or a value has the wrong type
    """
    given = settings.CASSANDRA_DRIVER_KWARGS
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f'CASSANDRA_DRIVER_KWARGS is {given!r}: give a dict of keywords of cassandra.cluster.Cluster'
        )
    return {name: _checked(name, value) for name, value in given.items()}


# Keywords of the driver that are numbers -> whether they are integers.
_NUMBERS = {
    'port': True,
    'protocol_version': True,
    'max_schema_agreement_wait': False,
    'connect_timeout': False,
    'control_connection_timeout': False,
    'idle_heartbeat_interval': False,
    'idle_heartbeat_timeout': False,
}
_MAY_BE_NONE = ('connect_timeout', 'control_connection_timeout')


def _checked(name: str, value: Any) -> Any:
    """Return the value of a keyword; numbers may be text, as in the environment."""
    if name not in _NUMBERS or (value is None and name in _MAY_BE_NONE):
        return value
    whole, number = _NUMBERS[name], value
    if isinstance(value, str):
        try:
            number = int(value) if whole else float(value)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)):
        raise ConfigurationError(
            f'CASSANDRA_DRIVER_KWARGS[{name!r}] is {value!r}: give {"an int" if whole else "a number of seconds"}'
        )
    return number


def keyspace() -> str:
    """Return the keyspace that the setting names.

    :raises ConfigurationError: if it is no name of a keyspace
    """
    name = settings.STREAM_DEFAULT_KEYSPACE
    if not isinstance(name, str) or not _KEYSPACE.fullmatch(name):
        raise ConfigurationError(
            f'STREAM_DEFAULT_KEYSPACE is {name!r}: give 1 to 48 letters (without accents), digits and underscores'
        )
    return name


_KEYSPACE = re.compile(r'[A-Za-z0-9_]{1,48}')


def contact_points() -> list[Any]:
    """Return the nodes to connect to first; ``'host:port'`` as the driver takes it.

    :raises ConfigurationError: if the setting holds none
    """
    hosts = settings.STREAM_CASSANDRA_HOSTS
    if not isinstance(hosts, (str, list, tuple, set, frozenset, type(None))):
        raise ConfigurationError(
            f"STREAM_CASSANDRA_HOSTS is {hosts!r}: give a list of addresses, ['10.0.0.1', '10.0.0.2']"
        )
    hosts = hosts.split(',') if isinstance(hosts, str) else list(hosts or ())
    points = [_contact_point(host) for host in hosts if not isinstance(host, str) or host.strip()]
    if not points:
        raise ConfigurationError(
            f'STREAM_CASSANDRA_HOSTS is {settings.STREAM_CASSANDRA_HOSTS!r}: name the addresses of one or more nodes, '
            "['10.0.0.1', '10.0.0.2']"
        )
    return points


def _contact_point(host: Any) -> Any:
    if not isinstance(host, str):
        if not hasattr(host, 'resolve') and not (
            isinstance(host, tuple) and len(host) == 2 and isinstance(host[0], str) and isinstance(host[1], int)
        ):
            raise ConfigurationError(
                f"STREAM_CASSANDRA_HOSTS holds {host!r}: give addresses as str, 'host' or 'host:port'"
            )
        return host
    name, colon, port = host.strip().rpartition(':')
    if colon and port.isdecimal() and ':' not in name:
        return (name, int(port))
    return host.strip()


def address() -> str:
    """Return the addresses of the servers, for messages."""
    try:
        port = driver_keywords().get('port', 9042)
        points = contact_points()
    except ConfigurationError:
        return repr(settings.STREAM_CASSANDRA_HOSTS)
    return ', '.join(f'{point[0]}:{point[1]}' if isinstance(point, tuple) else f'{point}:{port}' for point in points)


# The levels that are for writes only, or for reads only.
_ONE_WAY = ('ANY', 'SERIAL', 'LOCAL_SERIAL')


def consistency() -> int:
    """Return the consistency level that the setting names.

    :raises ConfigurationError: if it is no level, or none that both reads and writes can have
    """
    level = settings.STREAM_CASSANDRA_CONSISTENCY_LEVEL
    names = {name: value for name, value in ConsistencyLevel.name_to_value.items() if name not in _ONE_WAY}
    if isinstance(level, str):
        found = names.get(level.strip().upper())
    else:
        found = level if level in names.values() and not isinstance(level, bool) else None
    if found is None:
        raise ConfigurationError(
            f'STREAM_CASSANDRA_CONSISTENCY_LEVEL is {level!r}: give one of {", ".join(names)}, or the number of one'
        )
    return found


def cluster_options() -> dict[str, Any]:
    """Return the keywords of ``Cluster``: the library's, and over them ``CASSANDRA_DRIVER_KWARGS`` as given.

    :raises ConfigurationError: if the setting is no dict, or a value has the wrong type
    """
    given = driver_keywords()
    # Nothing works without one, so this error comes before a connection is made.
    keyspace()
    options: dict[str, Any] = {
        'connect_timeout': CONNECT_TIMEOUT,
        'control_connection_timeout': CONNECT_TIMEOUT,
        # How many seconds after news of a changed schema the driver reads it.
        'schema_event_refresh_window': 0.2,
        # The driver sends pieces of 4 KB: without this, the last piece waits 40 ms for an acknowledgement.
        'sockopts': [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        'idle_heartbeat_interval': HEARTBEAT_INTERVAL,
        'idle_heartbeat_timeout': HEARTBEAT_TIMEOUT,
        'reconnection_policy': ExponentialReconnectionPolicy(FIRST_WAIT, LONGEST_WAIT),
    }
    options.update((name, value) for name, value in given.items() if name not in OF_CQLENGINE)
    if 'cloud' not in options:
        options.setdefault('contact_points', contact_points())
    profiles = dict(options.get('execution_profiles') or {})
    if EXEC_PROFILE_DEFAULT not in profiles:
        profiles[EXEC_PROFILE_DEFAULT] = _default_profile(options)
    elif not profiles[EXEC_PROFILE_DEFAULT]._consistency_level_explicit:
        profiles[EXEC_PROFILE_DEFAULT].consistency_level = consistency()
    options['execution_profiles'] = profiles
    return options


def _default_profile(options: dict[str, Any]) -> Any:
    values = {name: options.pop(key) for key, name in _OF_PROFILES.items() if key in options}
    # Replicas of the partition first, in random order, which spreads the load of partitions that many read.
    values.setdefault('load_balancing_policy', TokenAwarePolicy(DCAwareRoundRobinPolicy(), shuffle_replicas=True))
    return ExecutionProfile(
        consistency_level=consistency(),
        request_timeout=REQUEST_TIMEOUT,
        speculative_execution_policy=ConstantSpeculativeExecutionPolicy(ASK_ANOTHER_AFTER, ASK_OTHERS),
        **values,
    )
