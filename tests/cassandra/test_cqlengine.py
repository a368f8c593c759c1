"""cqlengine beside the feeds: its own calls work with no other before them, and an application's defaults stay.

Its registry is of the whole process, so each example runs in a process of its own.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.cassandra.support import ROOT, new_key_format
from tests.cassandra.test_connection import environment

_names = itertools.count()

BEGIN = """
import json, os, sys
values, own, key_format, name = json.loads(sys.argv[1])
HOSTS, PORT = values['STREAM_CASSANDRA_HOSTS'], values['CASSANDRA_DRIVER_KWARGS']['port']

def configure():
    from stream_framework import settings
    settings.configure(**values)

def feed_class():
    from stream_framework.feeds.cassandra import CassandraFeed
    return type('News', (CassandraFeed,), {'key_format': key_format, 'timeline_cf_name': name})

def page_model():
    from cassandra.cqlengine import columns, models
    return type('Page', (models.Model,), {'__table_name__': name + '_page', 'id': columns.Integer(primary_key=True)})

def own_session():
    from cassandra.cluster import Cluster, EXEC_PROFILE_DEFAULT, ExecutionProfile
    from cassandra.policies import RoundRobinPolicy
    from cassandra.query import dict_factory
    profile = ExecutionProfile(RoundRobinPolicy(), row_factory=dict_factory)
    return Cluster(HOSTS, port=PORT, execution_profiles={EXEC_PROFILE_DEFAULT: profile}).connect(own)

def tables(keyspace):
    from stream_framework.storage.cassandra.connection import get_session
    query = 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s'
    return {row['table_name'] for row in get_session().execute(query, (keyspace,))}

def work_with(News, Page):
    from cassandra.cqlengine.management import sync_table
    from stream_framework.activity import Activity
    from stream_framework.verbs import Love
    sync_table(Page)
    sync_table(News.get_timeline_storage().model)
    Page.create(id=1)
    News(1).add(Activity(1, Love, 2))
    check(News, Page)

def check(News, Page, activities=1):
    from cassandra.cqlengine import models
    model = News.get_timeline_storage().model
    assert models.DEFAULT_KEYSPACE == own, models.DEFAULT_KEYSPACE
    assert Page.objects.count() == 1
    assert len(News(1)[:5]) == activities
    assert model.objects.filter(feed_id=News(1).key).count() == activities
    assert {name, name + '_page'} & tables(own) == {name + '_page'}
    assert {name, name + '_page'} & tables(values['STREAM_DEFAULT_KEYSPACE']) == {name}

"""


@pytest.fixture(scope='module')
def own_keyspace() -> str:
    """A keyspace of the application's own."""
    from tests.backends import Cassandra
    from tests.servers import cassandra_nodes

    values = Cassandra().settings()
    hosts, port = values['STREAM_CASSANDRA_HOSTS'], values['CASSANDRA_DRIVER_KWARGS']['port']
    made: str = cassandra_nodes.make_keyspace(hosts, port, 1)['STREAM_DEFAULT_KEYSPACE']
    return made


@pytest.fixture
def run(one: Any, own_keyspace: str) -> Any:
    """Runs a piece of code after :data:`BEGIN`, in a process of its own."""

    def run_code(code: str) -> str:
        arguments = [one.settings(), own_keyspace, new_key_format(), f'own_{next(_names)}']
        done = subprocess.run(
            [sys.executable, '-W', 'error::UserWarning:stream_framework', '-c', BEGIN + code, json.dumps(arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            env=environment(CQLENG_ALLOW_SCHEMA_MANAGEMENT='1'),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_code


FIRST_CALLS = {
    'sync_table of a feed': """
News = feed_class()
sync_table(News.get_timeline_storage().model)
assert name in tables(values['STREAM_DEFAULT_KEYSPACE'])
""",
    'sync_table of a storage made directly': """
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage
sync_table(CassandraTimelineStorage(column_family_name=name).model)
assert name in tables(values['STREAM_DEFAULT_KEYSPACE'])
""",
    "a model that is the application's from scratch": """
from cassandra.cqlengine import columns, models
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage
class Entry(models.Model):
    feed_id = columns.Text(partition_key=True)
    activity_id = columns.VarInt(primary_key=True, clustering_order='desc')
sync_table(CassandraTimelineStorage(modelClass=Entry, column_family_name=name).model)
assert name in tables(values['STREAM_DEFAULT_KEYSPACE'])
""",
    'create_keyspace_simple': """
import stream_framework.feeds.notification_feed.cassandra
create_keyspace_simple(own, 1)
""",
    'rows and a query': """
from stream_framework.storage.cassandra import models
from stream_framework.storage.cassandra.tables import get_model
Model = get_model(models.BaseActivity, name)
own_session().execute(
    f'CREATE TABLE "{values["STREAM_DEFAULT_KEYSPACE"]}".{name} '
    '(feed_id text, activity_id varint, PRIMARY KEY (feed_id, activity_id))'
)
Model.create(feed_id='a', activity_id=7)
assert [row.activity_id for row in Model.objects.filter(feed_id='a')] == [7]
""",
    "cqlengine's own session": """
import stream_framework.feeds.aggregated_feed.cassandra
from cassandra.cqlengine import connection
assert list(connection.execute('SELECT key FROM system.local')) == [{'key': 'local'}]
assert connection.get_session() is connection.get_session('stream_framework') is connection.session
""",
}


@pytest.mark.parametrize('code', FIRST_CALLS.values(), ids=FIRST_CALLS)
def test_the_first_call_is_cqlengines(run: Any, code: str) -> None:
    run(f'configure()\nfrom cassandra.cqlengine.management import create_keyspace_simple, sync_table\n{code}')


def test_the_model_that_feeds_derive_theirs_from_is_used_itself(run: Any) -> None:
    """cqlengine keeps a table's name in the model, where derived models find it."""
    run("""
configure()
from stream_framework.storage.cassandra import models
models.Activity.objects.filter(feed_id='a').column_family_name
assert models.Activity._raw_column_family_name() != name
News = feed_class()
from cassandra.cqlengine.management import sync_table
sync_table(News.get_timeline_storage().model)
assert name in tables(values['STREAM_DEFAULT_KEYSPACE'])
""")


def test_settings_that_come_after_the_import(run: Any) -> None:
    run("""
News, Page = feed_class(), page_model()
configure()
from cassandra.cqlengine import models
from cassandra.cqlengine.management import sync_table
sync_table(Page)
sync_table(News.get_timeline_storage().model)
assert models.DEFAULT_KEYSPACE == values['STREAM_DEFAULT_KEYSPACE']
assert {name, name + '_page'} <= tables(values['STREAM_DEFAULT_KEYSPACE'])
""")


SETUPS = {
    'setup': """
def setup():
    from cassandra.cqlengine import connection
    connection.setup(HOSTS, own, port=PORT)
""",
    'setup, lazily': """
def setup():
    from cassandra.cqlengine import connection
    connection.setup(HOSTS, own, lazy_connect=True, port=PORT)
""",
    'set_session': """
def setup():
    from cassandra.cqlengine import connection
    connection.set_session(own_session())
""",
    'a registered connection': """
def setup():
    from cassandra.cqlengine import connection, models
    connection.register_connection('pages', session=own_session(), default=True)
    models.DEFAULT_KEYSPACE = own
""",
    'the keyspace alone': """
def setup():
    from cassandra.cqlengine import models
    models.DEFAULT_KEYSPACE = own
""",
}

ORDERS = {
    'before the import': 'setup(); configure(); News = feed_class(); Page = page_model(); work_with(News, Page)',
    'after the import': 'News = feed_class(); setup(); configure(); Page = page_model(); work_with(News, Page)',
    'after the first use': """
configure()
News, Page = feed_class(), page_model()
from cassandra.cqlengine.management import sync_table
sync_table(News.get_timeline_storage().model)
News(1)[:5]
setup()
work_with(News, Page)
""",
}

LATER = """
from stream_framework import settings
from stream_framework.storage.cassandra import connection as ours
from cassandra.cqlengine import connection as theirs
before = theirs.get_connection()
ours.reset()
check(News, Page)
ours.setup_connection()
check(News, Page)
settings.CASSANDRA_DRIVER_KWARGS = {**values['CASSANDRA_DRIVER_KWARGS'], 'protocol_version': 4}
check(News, Page)
ours.forget(ours.get_session())
check(News, Page)
assert theirs.get_connection() is before
"""


@pytest.mark.parametrize('order', ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize('setup', SETUPS.values(), ids=SETUPS)
def test_what_an_application_sets_up_stays_the_default(run: Any, setup: str, order: str) -> None:
    run(setup + order + '\n' + LATER)


def test_a_fork_keeps_it(run: Any) -> None:
    # Of the application's own connection a fork has to make another, as cqlengine's documentation says.
    run(
        SETUPS['setup']
        + ORDERS['before the import']
        + """
child = os.fork()
if child == 0:
    try:
        setup()
        check(News, Page)
        from stream_framework.storage.cassandra.connection import reset
        reset()
        check(News, Page)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
check(News, Page)
"""
    )


def test_a_fork_connects_anew_where_ours_is_the_default(run: Any) -> None:
    run("""
configure()
News, Page = feed_class(), page_model()
own = values['STREAM_DEFAULT_KEYSPACE']
from cassandra.cqlengine import connection
from cassandra.cqlengine.management import sync_table
sync_table(Page)
Page.create(id=1)
before = connection.get_session()
child = os.fork()
if child == 0:
    try:
        assert Page.objects.count() == 1
        assert connection.get_session() is not before
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert connection.get_session() is before
assert Page.objects.count() == 1
""")


def test_an_own_session_where_the_feeds_servers_are_away(run: Any) -> None:
    """Handing cqlengine a session is no use of ours; nor is a model with a type of its own."""
    run(
        SETUPS['set_session']
        + """
feed_class()
from stream_framework import settings
settings.configure(STREAM_CASSANDRA_HOSTS=['127.0.0.1:1'], CASSANDRA_DRIVER_KWARGS={'connect_timeout': 1})
setup()
Page = page_model()
from cassandra.cqlengine import models
from cassandra.cqlengine.management import sync_table
assert models.DEFAULT_KEYSPACE == own
sync_table(Page)
Page.create(id=1)
assert Page.objects.count() == 1
"""
    )


def test_a_query_while_the_servers_are_away_raises_what_feeds_raise(run: Any) -> None:
    run("""
Page = page_model()
feed_class()
from cassandra.cluster import NoHostAvailable
from cassandra.cqlengine import CQLEngineException
from stream_framework import settings
from stream_framework.exceptions import StorageConnectionError
settings.configure(STREAM_CASSANDRA_HOSTS=['127.0.0.1:1'], CASSANDRA_DRIVER_KWARGS={'connect_timeout': 1})
try:
    Page.objects.count()
except StorageConnectionError as error:
    assert isinstance(error, NoHostAvailable) and isinstance(error, CQLEngineException)
    assert '127.0.0.1:1' in str(error)
else:
    raise AssertionError('nothing was raised')
""")
