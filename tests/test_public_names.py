"""Every public name is where 1.4.0 had it, and importing any of them needs no client, no Django and no network."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parent.parent

#: Module -> names.
NAMES: dict[str, str] = {
    'stream_framework': 'settings',
    'stream_framework.activity': 'MAX_AGGREGATED_ACTIVITIES_LENGTH BaseActivity Activity DehydratedActivity '
    'AggregatedActivity NotificationActivity ActorSafeIdMixin',
    'stream_framework.activity_streams': 'as2_activity as2_iri',
    'stream_framework.contrib.django': 'LEFT_OUT enrich',
    'stream_framework.contrib.django.enriching': 'LEFT_OUT enrich',
    'stream_framework.verbs': 'VERB_DICT Verb get_verb_by_id register get_verb_storage Follow Comment Love Add',
    'stream_framework.verbs.base': 'VERB_DICT Verb get_verb_by_id register get_verb_storage Follow Comment Love Add',
    'stream_framework.exceptions': 'SerializationException DuplicateActivityException ActivityNotFound '
    'StreamFrameworkError StorageError StorageConnectionError',
    'stream_framework.aggregators.base': 'BaseAggregator RecentRankMixin RecentVerbAggregator NotificationAggregator',
    'stream_framework.feeds.base': 'BaseFeed UserBaseFeed',
    'stream_framework.feeds.memory': 'Feed',
    'stream_framework.feeds.redis': 'RedisFeed',
    'stream_framework.feeds.aggregated_feed.base': 'AggregatedFeed',
    'stream_framework.feeds.aggregated_feed.memory': 'AggregatedFeed',
    'stream_framework.feeds.aggregated_feed.redis': 'RedisAggregatedFeed',
    'stream_framework.feeds.aggregated_feed.notification_feed': 'NotificationFeed RedisNotificationFeed',
    'stream_framework.feeds.notification_feed.base': 'BaseNotificationFeed',
    'stream_framework.feeds.notification_feed.memory': 'NotificationFeed',
    'stream_framework.feeds.notification_feed.redis': 'RedisNotificationFeed',
    'stream_framework.feed_managers.base': 'Manager FanoutPriority add_operation remove_operation',
    'stream_framework.tasks': 'fanout_operation fanout_operation_hi_priority fanout_operation_low_priority follow_many '
    'unfollow_many publish_fanout republish',
    'stream_framework.ledger': 'republish',
    'stream_framework.storage.base': 'BaseStorage BaseActivityStorage BaseTimelineStorage',
    'stream_framework.storage.base_lists_storage': 'BaseListsStorage',
    'stream_framework.storage.base_follow_storage': 'BaseFollowStorage Follow',
    'stream_framework.storage.memory': 'InMemoryActivityStorage InMemoryTimelineStorage InMemoryListsStorage '
    'InMemoryFollowStorage '
    'timeline_store activity_store reverse_bisect_left',
    'stream_framework.storage.redis.connection': 'get_redis_connection setup_redis',
    'stream_framework.storage.redis.activity_storage': 'RedisActivityStorage ActivityCache',
    'stream_framework.storage.redis.timeline_storage': 'RedisTimelineStorage TimelineCache',
    'stream_framework.storage.redis.lists_storage': 'RedisListsStorage',
    'stream_framework.storage.redis.follow_storage': 'RedisFollowStorage',
    'stream_framework.storage.sql.follow_storage': 'SqlFollowStorage',
    'stream_framework.storage.redis.structures.base': 'RedisCache',
    'stream_framework.storage.redis.structures.hash': 'RedisHashCache FallbackHashCache ShardedHashCache '
    'ShardedDatabaseFallbackHashCache',
    'stream_framework.storage.redis.structures.list': 'RedisListCache FallbackRedisListCache',
    'stream_framework.storage.redis.structures.sorted_set': 'RedisSortedSetCache',
    'stream_framework.storage.cassandra.connection': 'setup_connection',
    'stream_framework.serializers.base': 'BaseSerializer BaseAggregatedSerializer',
    'stream_framework.serializers.dummy': 'DummySerializer DummyAggregatedSerializer',
    'stream_framework.serializers.pickle_serializer': 'PickleSerializer AggregatedActivityPickleSerializer',
    'stream_framework.serializers.simple_timeline_serializer': 'SimpleTimelineSerializer',
    'stream_framework.serializers.activity_serializer': 'ActivitySerializer',
    'stream_framework.serializers.aggregated_activity_serializer': 'AggregatedActivitySerializer '
    'NotificationSerializer',
    'stream_framework.serializers.utils': 'check_reserved',
    'stream_framework.settings': 'STREAM_REDIS_CONFIG STREAM_CASSANDRA_HOSTS STREAM_DEFAULT_KEYSPACE '
    'CASSANDRA_DRIVER_KWARGS STREAM_CASSANDRA_READ_RETRY_ATTEMPTS STREAM_CASSANDRA_WRITE_RETRY_ATTEMPTS '
    'STREAM_METRIC_CLASS STREAM_METRICS_OPTIONS STREAM_VERB_STORAGE configure',
    'stream_framework.metrics.base': 'Metrics',
    'stream_framework.metrics.statsd': 'StatsdMetrics',
    'stream_framework.metrics.python_statsd': 'StatsdMetrics',
    'stream_framework.utils': 'chunks datetime_to_epoch epoch_to_datetime make_list_unique warn_on_error '
    'warn_on_duplicate memoized LRUCache get_metrics_instance get_class_from_string logger',
    'stream_framework.utils.timing': 'timer',
    'stream_framework.utils.validate': 'validate_type_strict validate_list_of_strict',
    'stream_framework.utils.five': 'long_t',
}

#: What rests on the driver's model classes, and so can't be imported without it.
CASSANDRA: dict[str, str] = {
    'stream_framework.storage.cassandra.models': 'BaseActivity Activity AggregatedActivity NotificationActivity',
    'stream_framework.storage.cassandra.activity_storage': 'CassandraActivityStorage',
    'stream_framework.storage.cassandra.follow_storage': 'CassandraFollowStorage',
    'stream_framework.storage.cassandra.timeline_storage': 'CassandraTimelineStorage Batch',
    'stream_framework.serializers.cassandra.activity_serializer': 'CassandraActivitySerializer',
    'stream_framework.serializers.cassandra.aggregated_activity_serializer': ('CassandraAggregatedActivitySerializer'),
    'stream_framework.feeds.cassandra': 'CassandraFeed',
    'stream_framework.feeds.aggregated_feed.cassandra': 'CassandraAggregatedFeed',
    'stream_framework.feeds.notification_feed.cassandra': 'CassandraNotificationFeed',
}

#: Modules that may refuse to be imported without a client, as long as the error says which pip command helps.
MAY_NEED_A_CLIENT = {
    'stream_framework.storage.cassandra.activity_storage',
    'stream_framework.serializers.cassandra.activity_serializer',
    'stream_framework.serializers.cassandra.aggregated_activity_serializer',
}

_PROBE = """
import importlib, json, socket, sys, warnings

warnings.simplefilter('ignore')
module, names = sys.argv[1], sys.argv[2].split()
blocked = sys.argv[3].split()


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in blocked:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)


sys.meta_path.insert(0, Blocker())
opened = []
sys.addaudithook(
    lambda event, args: opened.append(event) if event.startswith('socket.') and event != 'socket.gethostname' else None
)
result = {}
try:
    importlib.import_module(module)
    result['missing'] = []
    for name in names:
        try:
            exec(f'from {module} import {name}')
        except ImportError as error:
            if type(error) is not ImportError:
                raise
            result['missing'].append(name)
except Exception as error:
    result['error'] = [type(error).__name__, [cls.__name__ for cls in type(error).__mro__], str(error)]
result['opened'] = opened
result['loaded'] = [name for name in ('redis', 'cassandra', 'django') if name in sys.modules]
print(json.dumps(result))
"""


def probe(module: str, names: str, blocked: str) -> dict[str, Any]:
    """Import a module in a process of its own."""
    done = subprocess.run(
        [sys.executable, '-c', _PROBE, module, names, blocked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


needs_cassandra = pytest.mark.skipif(
    not (ROOT / 'stream_framework' / 'storage' / 'cassandra').exists(),
    reason='the project has no Cassandra backend yet',
)


@pytest.mark.parametrize(
    'module', [pytest.param(name, marks=needs_cassandra if '.cassandra' in name else ()) for name in NAMES]
)
def test_names_without_any_client(module: str) -> None:
    found = probe(module, NAMES[module], 'redis cassandra django hiredis statsd')
    assert 'error' not in found, found['error']
    assert found['missing'] == []
    assert found['opened'] == []
    assert found['loaded'] == []


@needs_cassandra
@pytest.mark.parametrize('module', CASSANDRA)
def test_cassandra_names_without_the_driver(module: str) -> None:
    found = probe(module, CASSANDRA[module], 'redis cassandra django hiredis')
    if 'error' in found:
        name, parents, message = found['error']
        assert name == 'MissingDependencyError', message
        assert 'ImportError' in parents
        assert 'pip install stream-framework[cassandra]' in message.replace("'", '').replace('"', '')
    else:
        assert module in MAY_NEED_A_CLIENT, 'rests on the models of the driver'
        assert found['missing'] == []
    assert found['opened'] == []


@needs_cassandra
@pytest.mark.parametrize('module', CASSANDRA)
def test_cassandra_names_without_redis(module: str) -> None:
    pytest.importorskip('cassandra')
    found = probe(module, CASSANDRA[module], 'redis django hiredis')
    assert 'error' not in found, found['error']
    if module.endswith('timeline_storage') and found['missing'] == ['Batch']:
        found['missing'] = []  # an attribute of the storage class, not of the module
    assert found['missing'] == []
    assert found['opened'] == []


def test_redis_names_without_cassandra() -> None:
    pytest.importorskip('redis')
    for module in ('stream_framework.feeds.redis', 'stream_framework.feeds.notification_feed.redis'):
        found = probe(module, NAMES[module], 'cassandra django')
        assert 'error' not in found, found['error']
        assert found['missing'] == found['opened'] == []


@pytest.mark.parametrize(
    ('client', 'feed', 'extra'), [('redis', 'redis.RedisFeed', 'redis'), ('sqlalchemy', 'sql.SqlFeed', 'sql')]
)
def test_using_a_backend_without_its_client_names_the_remedy(client: str, feed: str, extra: str) -> None:
    module, name = feed.split('.')
    code = (
        'import sys\n'
        f"sys.modules['{client}'] = None\n"
        f'from stream_framework.feeds.{module} import {name}\n'
        'from stream_framework.exceptions import StreamFrameworkError\n'
        'try:\n'
        f'    {name}(1)[:10]\n'
        'except ImportError as error:\n'
        '    assert isinstance(error, StreamFrameworkError), type(error)\n'
        '    print(error)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f'pip install stream-framework[{extra}]' in done.stdout.replace("'", '').replace('"', '')


def test_the_older_notification_feed_warns() -> None:
    code = (
        'import warnings\n'
        'with warnings.catch_warnings(record=True) as caught:\n'
        "    warnings.simplefilter('always')\n"
        '    import stream_framework.feeds.aggregated_feed.notification_feed\n'
        "print([w.category.__name__ for w in caught if 'stream_framework' in str(w.filename) or 'notification' in "
        'str(w.message)])\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 'DeprecationWarning' in done.stdout


def test_the_manager_without_redis() -> None:
    code = (
        'import sys\n'
        "sys.modules['redis'] = sys.modules['cassandra'] = None\n"
        'from stream_framework.feed_managers.base import Manager\n'
        'from stream_framework.feeds.redis import RedisFeed\n'
        "assert Manager.feed_classes == {'normal': RedisFeed}\n"
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
