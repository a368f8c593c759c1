"""What ``STREAM_REDIS_CONFIG`` says: which servers there are, and the keywords that their clients are made with.

Nothing here talks to a server; :mod:`stream_framework.storage.redis.connection` does.

Every entry of the setting takes one of these forms:

====================================================  ==============================================================
``{'host': 'redis.example.com', 'port': 6379}``       a server; ``db``, ``username``, ``password`` and so on
``{'url': 'rediss://user:secret@example.com/0'}``     the same as an address; what the address says goes first
``{'unix_socket_path': '/run/redis.sock'}``           a server on this machine
``{'host': ..., 'port': ..., 'cluster': True}``       a Redis Cluster, by any of its nodes (or ``startup_nodes``)
``{'sentinels': [...], 'service_name': 'mymaster'}``  the primary of that name, which Sentinels find
``{'client': client}``                                a ready client of redis-py, plain or cluster
====================================================  ==============================================================

Beside them, every keyword of redis-py's client works: ``ssl``, ``ssl_ca_certs``, ``max_connections``, ``protocol``.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError, MissingDependencyError
from stream_framework.storage.redis import values

try:
    import redis as redis
    import redis.cluster
    import redis.sentinel
    from redis.backoff import ExponentialBackoff
    from redis.connection import SSLConnection, parse_url
    from redis.retry import Retry
except ImportError:
    redis = None

if redis is not None:

    class _Retry(Retry):
        """Doesn't try again what a server has refused; to redis-py wrong credentials are a broken connection."""

        def call_with_retry(self, do: Any, *args: Any, **kwargs: Any) -> Any:
            refused: list[BaseException] = []

            def attempt() -> Any:
                try:
                    return do()
                except (redis.AuthenticationError, redis.exceptions.AuthorizationError) as error:
                    refused.append(error)
                    raise _Refused from error

            try:
                return super().call_with_retry(attempt, *args, **kwargs)
            except _Refused:
                raise refused[0] from None

    class _Refused(Exception):
        """On its way past the retries."""


#: What clients are made with unless the setting says otherwise; times are in seconds.
#:
#: - Replies are str, as with 1.4.0. Bytes that are no UTF-8 come as surrogates, and go back as the same bytes: one
#:   damaged value then doesn't fail a whole page within the driver.
#: - Nothing waits for ever: ``socket_connect_timeout`` bounds connecting, ``socket_timeout`` every read and write.
#: - A connection that was idle for ``health_check_interval`` is tried before it is used.
#: - A connection that breaks while it is used is made again, ``RETRIES`` times. A time-out isn't retried: the server
#:   may still be at work. A server that refuses connections is reported within a second, wrong credentials at once.
DEFAULTS: dict[str, Any] = {
    'decode_responses': True,
    'encoding_errors': 'surrogateescape',
    'socket_connect_timeout': 5.0,
    'socket_timeout': 10.0,
    'socket_keepalive': True,
    'health_check_interval': 30,
}
#: How often a broken connection is made again before the error is raised.
RETRIES = 3
#: The first and the longest wait between these attempts, in seconds.
FIRST_WAIT, LONGEST_WAIT = 0.05, 0.5

#: Keys that are ours, not a keyword of a client.
OWN_KEYS = ('client', 'cluster', 'sentinels', 'service_name', 'url')
#: Further keys beside ``sentinels``.
SENTINEL_KEYS = ('min_other_sentinels', 'sentinel_kwargs')

_SECRETS = ('password', 'ssl_password')


class Server(NamedTuple):
    """One entry of the setting, checked."""

    #: ``'plain'``, ``'cluster'``, ``'sentinel'`` or ``'client'``.
    kind: str
    #: Where it is, for messages: never a password.
    address: str
    #: The keywords of the client; for ``'client'`` the client itself.
    options: dict[str, Any]


def require_client() -> None:
    """Check that redis-py is installed.

    :raises MissingDependencyError: with the command that installs it
    """
    if redis is None:
        raise MissingDependencyError(
            "feeds on Redis need redis-py, which isn't installed: pip install stream-framework[redis]"
        )


def get_servers() -> Mapping[str, Any]:
    """Return ``STREAM_REDIS_CONFIG``.

    :raises ConfigurationError: if it is no dict
    """
    servers = settings.STREAM_REDIS_CONFIG
    # A dict is asked for first, because that is quicker: each command comes through here.
    if not isinstance(servers, dict) and not isinstance(servers, Mapping):
        raise ConfigurationError(
            "STREAM_REDIS_CONFIG must be a dict of servers, {'default': {'host': ...}}, "
            f'not a {type(servers).__name__}'
        )
    return servers


def get_entry(server_name: str) -> Mapping[str, Any]:
    """Return the entry of one server in ``STREAM_REDIS_CONFIG``, as it is written there.

    :raises ConfigurationError: if there is no such server; the message lists those there are
    """
    servers = get_servers()
    try:
        entry = servers[server_name]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f'STREAM_REDIS_CONFIG has no server {server_name!r}{_suggestion(server_name, servers)}; '
            f'it has {_listed(servers)}'
        ) from None
    if not isinstance(entry, Mapping):
        raise ConfigurationError(
            f"STREAM_REDIS_CONFIG[{server_name!r}] must be a dict, {{'host': ...}}, not a {type(entry).__name__}"
        )
    return entry


def read(server_name: str, entry: Mapping[str, Any]) -> Server:
    """Check one entry, and turn it into the keywords of a client.

    :raises ConfigurationError: for a key that no client knows, a value of the wrong type, or keys that don't go
        together
    """
    require_client()
    where = f'STREAM_REDIS_CONFIG[{server_name!r}]'
    given = dict(entry)
    if given.get('client') is not None:
        return _ready_client(where, given)
    given.pop('client', None)
    if given.get('url') is not None:
        given.update(_from_url(where, given['url']))
    given.pop('url', None)
    given = values.checked(where, given)
    cluster = given.pop('cluster', False)
    sentinels = given.pop('sentinels', None)
    service_name = given.pop('service_name', None) or 'mymaster'
    if cluster and sentinels:
        raise ConfigurationError(f"{where}: give 'cluster' or 'sentinels', not both")
    if cluster:
        return _cluster(where, given)
    if sentinels:
        return _sentinel(where, given, sentinels, service_name)
    _check_keys(where, given, {*_keywords(redis.Redis), *OWN_KEYS})
    return Server('plain', _plain_address(given), _with_defaults(given))


def _ready_client(where: str, given: dict[str, Any]) -> Server:
    client = given.pop('client')
    if given:
        raise ConfigurationError(
            f"{where}: 'client' is a ready client, so {_listed(given)} would have no effect: give one or the other"
        )
    if not hasattr(client, 'execute_command'):
        raise ConfigurationError(f"{where}: 'client' must be a client of redis-py, not a {type(client).__name__}")
    return Server('client', client_address(client), {'client': client})


def _cluster(where: str, given: dict[str, Any]) -> Server:
    database = given.pop('db', None)
    if database:
        raise ConfigurationError(f"{where}: a Redis Cluster has only database 0, not {database!r}: leave out 'db'")
    allowed = set(_keywords(redis.cluster.RedisCluster)) | set(redis.cluster.REDIS_ALLOWED_KEYS)
    _check_keys(where, given, {*allowed, *OWN_KEYS, 'db'})
    nodes = given.get('startup_nodes')
    if nodes:
        given['startup_nodes'] = [_node(where, node) for node in nodes]
        given.pop('host', None)
        given.pop('port', None)
        address = ', '.join(f'{node.host}:{node.port}' for node in given['startup_nodes'][:3])
    else:
        given.setdefault('host', 'localhost')
        given['port'] = given.get('port') or 6379
        address = f'{given["host"]}:{given["port"]}'
    defaults = {key: value for key, value in DEFAULTS.items() if key in allowed}
    if given.get('retry') is None and 'cluster_error_retry_attempts' not in given:
        defaults['retry'] = _retry()
        if not hasattr(Retry, 'get_retries'):
            # redis-py before 6 doesn't ask the retry object how often.
            defaults['cluster_error_retry_attempts'] = RETRIES
    return Server('cluster', f'cluster {address}', {**defaults, **given})


def _sentinel(where: str, given: dict[str, Any], sentinels: Iterable[Any], service_name: str) -> Server:
    given.pop('host', None)
    given.pop('port', None)
    _check_keys(where, given, {*_keywords(redis.Redis), *OWN_KEYS, *SENTINEL_KEYS})
    if given.get('sentinel_kwargs'):
        given['sentinel_kwargs'] = values.checked(f"{where}['sentinel_kwargs']", given['sentinel_kwargs'])
    nodes = [_host_and_port(where, node, 26379) for node in sentinels]
    address = ', '.join(f'{host}:{port}' for host, port in nodes[:3])
    options = _with_defaults(given)
    options['sentinels'] = nodes
    options['service_name'] = service_name
    return Server('sentinel', f'primary of {service_name!r} at Sentinels {address}', options)


def _from_url(where: str, url: Any) -> dict[str, Any]:
    try:
        options = dict(parse_url(url))
    except (ValueError, TypeError, AttributeError) as error:
        # No part of the address is quoted, and no cause shown: either may hold a password.
        raise ConfigurationError(
            f"{where}: 'url' is no address of a Redis server: write it as redis://user:password@host:port/db "
            f'(rediss:// for TLS, unix:// for a socket); {type(error).__name__}'
        ) from None
    connection_class = options.pop('connection_class', None)
    if connection_class is not None and issubclass(connection_class, SSLConnection):
        options['ssl'] = True
    if 'path' in options:
        options['unix_socket_path'] = options.pop('path')
    return options


def _with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    options = {**DEFAULTS, **given}
    if given.get('connection_pool') is not None:
        return dict(given)
    if given.get('unix_socket_path'):
        # There is no TCP to keep alive.
        for key in ('socket_keepalive', 'host', 'port'):
            options.pop(key, None)
    if given.get('retry') is None and given.get('retry_on_error') is None and not given.get('retry_on_timeout'):
        options['retry'] = _retry()
        options['retry_on_error'] = [redis.ConnectionError]
    return {key: value for key, value in options.items() if value is not None or key not in ('host', 'port', 'db')}


def _retry() -> Any:
    return _Retry(ExponentialBackoff(LONGEST_WAIT, FIRST_WAIT), RETRIES, supported_errors=(redis.ConnectionError,))


def _keywords(function: Any) -> list[str]:
    parameters = inspect.signature(function.__init__).parameters.values()
    return [item.name for item in parameters if item.kind is not item.VAR_KEYWORD and item.name != 'self']


def _check_keys(where: str, given: Mapping[str, Any], known: set[str]) -> None:
    for key in given:
        if key not in known:
            raise ConfigurationError(
                f'{where} has an unknown key {key!r}{_suggestion(key, known)}; known: {_listed(known)}'
            )


def _suggestion(name: Any, known: Iterable[Any]) -> str:
    close = difflib.get_close_matches(str(name), [str(item) for item in known], 1)
    return f' (did you mean {close[0]!r}?)' if close else ''


def _listed(names: Iterable[Any]) -> str:
    return ', '.join(sorted(map(repr, names))) or 'none'


def _host_and_port(where: str, node: Any, default_port: int) -> tuple[str, int]:
    """Read an address, written ``('host', 1234)``, ``'host:1234'`` or ``{'host': 'host', 'port': 1234}``."""
    port: Any
    try:
        if isinstance(node, str):
            host, _, port = node.rpartition(':') if ':' in node else (node, '', '')
        elif isinstance(node, Mapping):
            host, port = node['host'], node.get('port')
        else:
            host, port = node
        return str(host), int(port or default_port)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{where}: {node!r} is no address: write ('host', port) or 'host:port'") from error


def _node(where: str, node: Any) -> Any:
    if isinstance(node, redis.cluster.ClusterNode):
        return node
    return redis.cluster.ClusterNode(*_host_and_port(where, node, 6379))


def _plain_address(options: Mapping[str, Any]) -> str:
    if options.get('connection_pool') is not None:
        return _plain_address(options['connection_pool'].connection_kwargs)
    place: Any = options.get('unix_socket_path') or options.get('path')
    if not place:
        place = f'{options.get("host") or "localhost"}:{options.get("port") or 6379}'
    return f'{place}/{options.get("db") or 0}'


def client_address(client: Any) -> str:
    """Return where a client's server is, for messages: host, port and database, never a password."""
    manager = getattr(client, 'nodes_manager', None)
    if manager is not None:
        return 'cluster ' + ', '.join(sorted(manager.startup_nodes)[:3])
    pool = getattr(client, 'connection_pool', None)
    service_name = getattr(pool, 'service_name', None)
    if service_name is not None:
        return f'primary of {service_name!r}'
    return _plain_address(getattr(pool, 'connection_kwargs', {}))


def address_of(server_name: str) -> str:
    """Return where a server of the setting is, for messages."""
    try:
        return read(server_name, get_entry(server_name)).address
    except (ConfigurationError, MissingDependencyError):
        return 'unknown address'


def secrets_of(server_name: str) -> list[str]:
    """Return the passwords of a server, which no message may show."""
    try:
        options = read(server_name, get_entry(server_name)).options
    except (ConfigurationError, MissingDependencyError):
        return []
    nested = options.get('sentinel_kwargs') or {}
    return [str(place[key]) for place in (options, nested) for key in _SECRETS if place.get(key)]
