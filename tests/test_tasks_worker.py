"""The tasks through Celery's in-memory broker and a real worker, under Celery's default settings: JSON travels."""

from __future__ import annotations

import contextlib
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import celery
import pytest
from celery.contrib.testing.worker import start_worker
from celery.worker.state import reserved_requests
from kombu.transport.memory import Channel

from stream_framework import messages, settings, tasks
from stream_framework.activity import Activity
from stream_framework.exceptions import StorageConnectionError, StorageError, UpdateConflictError
from stream_framework.feed_managers.base import FanoutPriority, add_operation
from stream_framework.metrics.base import Metrics
from stream_framework.storage.errors import CLIENTS, may_succeed_later
from stream_framework.verbs import Love
from tests import managers
from tests.backends import Memory
from tests.contracts.support import act, acts, ids

USERS = list(range(880_000, 880_030))


@pytest.fixture(scope='module')
def app() -> Iterator[Any]:
    """An application with a worker: one for all tests, since stopping a worker takes seconds."""
    before = celery.current_app._get_current_object()  # type: ignore[attr-defined]
    app = celery.Celery('tests', broker='memory://', backend='cache+memory://', set_as_current=True)
    app.conf.broker_connection_retry_on_startup = False
    app.conf.broker_transport_options = {'polling_interval': 0.02}
    assert app.conf.task_serializer == 'json'
    assert app.conf.accept_content == ['json'] or set(app.conf.accept_content) == {'json'}
    app.set_default()
    with start_worker(app, perform_ping_check=False, pool='threads', concurrency=4, loglevel='WARNING'):
        yield app
    before.set_default()
    before.set_current()


@pytest.fixture
def manager(app: Any) -> Iterator[Any]:
    backend = Memory()
    backend.reset()
    managers.FOLLOWERS.clear()
    managers.FOLLOWERS[USERS[0]] = {FanoutPriority.HIGH: USERS[1:10], FanoutPriority.LOW: USERS[10:]}
    manager = backend.manager_class()()
    yield manager
    # What a test published and didn't wait for would be done, counted and logged in the next.
    wait_for(is_idle)
    backend.reset()


def is_idle() -> bool:
    """Whether nothing is published that the worker has not done."""
    return not any(queue.qsize() for queue in Channel.queues.values()) and not reserved_requests


def wait_for(check: Callable[[], bool], timeout: float = 30) -> None:
    """Until the worker has done its work."""
    end = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < end, 'the worker has not done it in time'
        time.sleep(0.02)


def counts(manager: Any, name: str, user_ids: Any) -> list[int]:
    return [manager.get_feeds(user_id)[name].count() for user_id in user_ids]


def test_fanout(manager: Any) -> None:
    activity = act(1, actor=USERS[0], extra_context={'when': act(1).time, 'tuple': (1, 2), 'set': {3}})
    manager.add_user_activity(USERS[0], activity)
    for name in ('normal', 'aggregated', 'notification'):
        wait_for(lambda name=name: counts(manager, name, USERS[1:]) == [1] * 29)  # type: ignore[misc]
    found = manager.get_feeds(USERS[5])['notification'][:][0].activities[0]
    assert found.extra_context == activity.extra_context
    assert found.time == activity.time
    assert found == activity
    manager.remove_user_activity(USERS[0], activity)
    for name in ('normal', 'aggregated', 'notification'):
        wait_for(lambda name=name: counts(manager, name, USERS[1:]) == [0] * 29)  # type: ignore[misc]


def test_ids_of_any_kind_travel(manager: Any) -> None:
    actor, other = uuid.UUID(int=5), 'user:7'
    managers.FOLLOWERS[actor] = {FanoutPriority.HIGH: [other, uuid.UUID(int=8), 9]}
    activity = Activity(actor, Love, 'pin;1', uuid.UUID(int=6), time=act(1).time)
    manager.add_user_activity(actor, activity)
    readers = [other, uuid.UUID(int=8), 9]
    wait_for(lambda: counts(manager, 'normal', readers) == [1] * 3)
    wait_for(lambda: counts(manager, 'notification', readers) == [1] * 3)
    [found] = manager.get_feeds(other)['notification'][:][0].activities
    assert (found.actor_id, found.object_id, found.target_id) == (actor, 'pin;1', uuid.UUID(int=6))


def test_following(manager: Any) -> None:
    managers.FOLLOWERS.clear()
    for activity in acts(5, actor=USERS[1]):
        manager.add_user_activity(USERS[1], activity)
    manager.follow_user(USERS[0], USERS[1])
    feed = manager.get_feeds(USERS[0])['normal']
    wait_for(lambda: feed.count() == 5)
    assert ids(feed[:]) == ids(acts(5))[::-1]
    manager.unfollow_user(USERS[0], USERS[1])
    wait_for(lambda: feed.count() == 0)


def test_the_applications_own_delay(manager: Any) -> None:
    feed_class = manager.feed_classes['normal']
    activity = act(1, object=880_000)
    feed_class.insert_activity(activity)
    result = tasks.fanout_operation.delay(
        feed_manager=manager,
        feed_class=feed_class,
        user_ids=USERS,
        operation=add_operation,
        operation_kwargs={'activities': [activity], 'trim': True},
    )
    result.get(timeout=30)
    assert counts(manager, 'normal', USERS) == [1] * 30


def test_what_cannot_be_named_fails_when_publishing(manager: Any) -> None:
    feed_class = manager.feed_classes['normal']

    class Local(type(manager)):  # type: ignore[misc]
        pass

    good = {
        'feed_manager': manager,
        'feed_class': feed_class,
        'user_ids': USERS,
        'operation': add_operation,
        'operation_kwargs': {'activities': [act(1)]},
    }
    for name, wrong in {
        'operation': lambda feed, **kwargs: None,
        'feed_manager': Local(),
        'feed_class': type('LocalFeed', (feed_class,), {}),
    }.items():
        with pytest.raises((TypeError, ValueError)):
            tasks.fanout_operation.delay(**{**good, name: wrong})
    with pytest.raises((TypeError, ValueError)):
        tasks.fanout_operation.delay(**{**good, 'operation_kwargs': {'anything': object()}})
    assert counts(manager, 'normal', USERS) == [0] * 30


class Flaky:
    """A manager of an application's own whose storage can't be reached for a while."""

    failures = 0
    error: Callable[..., Exception] = StorageConnectionError
    runs: list[Any] = []

    def fanout(self, user_ids: Any, feed_class: Any, operation: Any, operation_kwargs: Any) -> None:
        type(self).runs.append((user_ids, feed_class, operation, operation_kwargs))
        if len(self.runs) <= self.failures:
            raise type(self).__dict__['error']('not now')


@pytest.fixture
def flaky(manager: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Flaky, 'failures', 0)
    monkeypatch.setattr(Flaky, 'error', StorageConnectionError)
    monkeypatch.setattr(Flaky, 'runs', [])
    monkeypatch.setattr(tasks.fanout_operation, 'retry_backoff', 0.01)
    return {
        'feed_manager': Flaky(),
        'feed_class': manager.feed_classes['normal'],
        'user_ids': [1, 'two', uuid.UUID(int=3)],
        'operation': add_operation,
        'operation_kwargs': {'activities': [act(1)], 'trim': False},
    }


def client_error(client: str, name: str, *args: Any) -> Any:
    """An error of a client's own, as an application's code lets it through."""

    def make(text: str) -> Exception:
        made: Exception = getattr(pytest.importorskip(client), name)(*(args or (text,)))
        return made

    return pytest.param(make, id=f'{client}.{name}')


@pytest.mark.parametrize(
    'error',
    [
        StorageConnectionError,
        UpdateConflictError,
        ConnectionResetError,
        TimeoutError,
        client_error('redis', 'ConnectionError'),
        client_error('redis', 'TimeoutError'),
        client_error('redis', 'BusyLoadingError'),
        client_error('redis.exceptions', 'MaxConnectionsError'),
        client_error('redis.exceptions', 'ClusterDownError', 'CLUSTERDOWN The cluster is down'),
        client_error('cassandra', 'OperationTimedOut'),
        client_error('cassandra', 'ReadTimeout'),
        client_error('cassandra', 'Unavailable'),
        client_error('cassandra.cluster', 'NoHostAvailable', 'no node is up', {}),
        client_error('cassandra.connection', 'ConnectionShutdown'),
        client_error('cassandra.protocol', 'OverloadedErrorMessage', 0x1001, 'busy', {}),
    ],
)
def test_what_is_worth_another_try_is_tried_again(flaky: Any, error: Any) -> None:
    Flaky.failures, Flaky.error = 3, error
    result = tasks.fanout_operation.delay(**flaky)
    assert '3 user_ids' in result.get(timeout=60)
    assert len(Flaky.runs) == 4
    for run in Flaky.runs:
        assert run[0] == flaky['user_ids']
        assert run[1] is flaky['feed_class']
        assert run[2] is add_operation
        assert run[3] == flaky['operation_kwargs']


@pytest.mark.parametrize(
    'error',
    [
        ZeroDivisionError,
        StorageError,
        OSError,
        client_error('redis', 'ResponseError'),
        client_error('redis', 'DataError'),
        client_error('cassandra', 'InvalidRequest'),
        client_error('cassandra', 'Unauthorized'),
    ],
)
def test_other_errors_fail_at_once(flaky: Any, error: Any) -> None:
    Flaky.failures, Flaky.error = 3, error
    result = tasks.fanout_operation.delay(**flaky)
    with pytest.raises(type(error('not now'))):
        result.get(timeout=60)
    assert len(Flaky.runs) == 1


@pytest.mark.parametrize('client', ['redis', 'cassandra'])
def test_errors_of_clients_that_are_not_imported(monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    """Neither client is needed, or imported, to find out that an error is not one of its own."""
    for name in [name for name in sys.modules if name.partition('.')[0] == client or name in CLIENTS.values()]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'meta_path', [Refusing(client), *sys.meta_path])
    assert not may_succeed_later(ZeroDivisionError('by 0'))
    assert client not in sys.modules


class Refusing:
    """Fails for whoever imports a client."""

    def __init__(self, client: str) -> None:
        self.client = client

    def find_spec(self, name: str, *args: Any) -> None:
        if name.partition('.')[0] == self.client:
            raise AssertionError(f'{name} is imported')


def test_an_applications_own_choice_of_what_is_tried_again(flaky: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = pytest.importorskip('redis')
    monkeypatch.setattr(tasks.fanout_operation, 'retry_for', (ZeroDivisionError,))
    Flaky.failures, Flaky.error = 1, ZeroDivisionError
    tasks.fanout_operation.delay(**flaky).get(timeout=60)
    assert len(Flaky.runs) == 2
    Flaky.failures, Flaky.error = 3, redis.ConnectionError
    with pytest.raises(redis.ConnectionError):
        tasks.fanout_operation.delay(**flaky).get(timeout=60)
    assert len(Flaky.runs) == 3


def own_add(feed: Any, activities: Any, batch_interface: Any = None) -> None:
    """An operation of an application's own."""
    if OWN_ERRORS:
        raise OWN_ERRORS.pop()
    feed.add_many(activities, batch_interface=batch_interface)


OWN_ERRORS: list[Exception] = []


@pytest.mark.parametrize('where', ['operation', 'get_feeds', 'get_user_follower_ids'])
def test_whoever_raises_them(manager: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    redis = pytest.importorskip('redis')
    for task in (tasks.fanout_operation_hi_priority, tasks.follow_many, tasks.publish_fanout):
        monkeypatch.setattr(task, 'retry_backoff', 0.01)
    errors = [redis.ConnectionError('gone'), UpdateConflictError('others were faster'), redis.TimeoutError('slow')]
    monkeypatch.setattr(f'{__name__}.OWN_ERRORS', errors if where == 'operation' else [])
    if where != 'operation':
        found = getattr(type(manager), where)

        def fails(self: Any, *args: Any, **kwargs: Any) -> Any:
            if errors:
                raise errors.pop()
            return found(self, *args, **kwargs)

        monkeypatch.setattr(type(manager), where, fails)
    [activity] = acts(1, actor=USERS[0])
    feed = manager.feed_classes['normal'](USERS[1])
    if where == 'operation':
        tasks.fanout_operation_hi_priority.delay(manager, type(feed), [USERS[1]], own_add, {'activities': [activity]})
    elif where == 'get_feeds':
        manager.get_user_feed(USERS[0]).add(activity)
        manager.follow_user(USERS[1], USERS[0])
    else:
        manager.publish_in_worker = True
        manager.add_user_activity(USERS[0], activity)
    wait_for(lambda: feed.count() == 1)
    assert not errors


def test_tries_are_bounded(flaky: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    Flaky.failures = 100
    monkeypatch.setattr(tasks.fanout_operation, 'max_retries', 2)
    tasks.fanout_operation.delay(**flaky)
    # Not by its result: that the first try is to be repeated may be written down after the last one has failed.
    wait_for(lambda: 'raised unexpected' in caplog.text)
    assert "raised unexpected: StorageConnectionError('not now')" in caplog.text
    assert len(Flaky.runs) == 3
    assert 'given up after 2 retries' in caplog.text


def test_delays_grow_at_random_within_bounds() -> None:
    task = tasks.fanout_operation
    for retries, longest in ((0, 1), (1, 2), (5, 32), (8, 256), (9, 300), (1000, 300)):
        delays = [task._delay(retries) for _ in range(200)]
        assert longest / 2 <= min(delays) < max(delays) <= longest
        assert len(set(delays)) > 100


def test_tasks_are_acknowledged_late() -> None:
    for name in ('fanout_operation', 'fanout_operation_hi_priority', 'follow_many', 'unfollow_many'):
        task = getattr(tasks, name)
        assert task.acks_late
        assert task.reject_on_worker_lost
        assert task.name == f'stream_framework.tasks.{name}'


class Told(Metrics):
    """Remembers what it is told of tasks."""

    events: Counter[str] = Counter()
    timed: list[str] = []

    def on_task(self, task: str, event: str, count: int = 1) -> None:
        self.events[f'{task} {event}'] += count

    @contextlib.contextmanager
    def publish_timer(self, feed_class: type) -> Iterator[None]:
        yield
        self.timed.append(feed_class.__name__)


@pytest.fixture
def told(manager: Any) -> Iterator[type[Told]]:
    settings.configure(STREAM_METRIC_CLASS=f'{__name__}.Told')
    Told.events.clear()
    Told.timed.clear()
    yield Told
    del settings.STREAM_METRIC_CLASS


def test_metrics_of_tasks(
    app: Any, manager: Any, flaky: Any, told: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Flaky.failures = 2
    tasks.fanout_operation.delay(**flaky).get(timeout=60)
    assert told.events == {
        'fanout_operation published': 1,
        'fanout_operation retried': 2,
        'fanout_operation done': 1,
    }
    assert caplog.text.count('is tried again in') == 2
    told.events.clear()
    Flaky.failures = 100
    monkeypatch.setattr(tasks.fanout_operation, 'max_retries', 1)
    with pytest.raises(StorageConnectionError):
        tasks.fanout_operation.delay(**flaky).get(timeout=60)
    Flaky.error = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        tasks.fanout_operation.delay(**flaky).get(timeout=60)
    app.send_task('stream_framework.tasks.fanout_operation', kwargs={'surprise': 1})
    wait_for(lambda: told.events['fanout_operation rejected'] == 1)
    assert told.events == {
        'fanout_operation published': 2,
        'fanout_operation retried': 1,
        'fanout_operation failed': 2,
        'fanout_operation rejected': 1,
    }
    told.events.clear()
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    wait_for(lambda: told.events['fanout_operation_low_priority done'] == 3)
    assert told.events['fanout_operation_hi_priority published'] == 3
    assert sorted(told.timed) == sorted(2 * [feed_class.__name__ for feed_class in manager.feed_classes.values()])


class Bare:
    """Metrics of an application of 1.4.0's time, which derive from nothing."""

    def __getattr__(self, name: str) -> Any:
        if name in ('on_task', 'publish_timer'):
            raise AttributeError(name)
        return lambda *args, **kwargs: contextlib.nullcontext()


def test_metrics_that_know_nothing_of_tasks(manager: Any, flaky: Any) -> None:
    settings.configure(STREAM_METRIC_CLASS=f'{__name__}.Bare')
    try:
        Flaky.failures = 1
        tasks.fanout_operation.delay(**flaky).get(timeout=60)
        manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
        wait_for(lambda: counts(manager, 'normal', USERS[1:]) == [1] * 29)
    finally:
        del settings.STREAM_METRIC_CLASS


def test_every_task_logs_one_line(manager: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Which feeds, what was done to them, how many, and how long it took."""
    with caplog.at_level('INFO', 'stream_framework.tasks'):
        manager.publish_in_worker = True
        manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
        wait_for(lambda: counts(manager, 'notification', USERS[1:]) == [1] * 29)
        manager.follow_user(USERS[1], USERS[0])
        manager.unfollow_user(USERS[1], USERS[0])
        wait_for(lambda: ' followed by ' in caplog.text and ' unfollowed by ' in caplog.text)
        wait_for(lambda: caplog.text.count(' add_operation on ') == 6)
    lines = [record.getMessage() for record in caplog.records if record.name == 'stream_framework.tasks']
    names = [feed_class.__name__ for feed_class in manager.feed_classes.values()]
    expected = [f'fanout_operation_hi_priority: add_operation on 9 {name} in ' for name in names]
    expected += [f'fanout_operation_low_priority: add_operation on 20 {name} in ' for name in names]
    expected += [f'publish_fanout: add_operation for the followers of {USERS[0]} in ']
    expected += [f'follow_many: 1 users followed by {USERS[1]} in ']
    expected += [f'unfollow_many: 1 users unfollowed by {USERS[1]} in ']
    assert sorted(line.partition(' in ')[0] + ' in ' for line in lines) == sorted(expected)
    assert all(re.search(r' in \d+\.\d{3} s$', line) for line in lines)


def test_publishing_in_a_worker(manager: Any, told: Any) -> None:
    """Posting publishes one task; the followers are asked for by the worker."""
    manager.publish_in_worker = True
    managers.ASKED.clear()
    activity = act(1, actor=USERS[0])
    manager.add_user_activity(USERS[0], activity)
    wait_for(lambda: counts(manager, 'aggregated', USERS[1:]) == [1] * 29)
    wait_for(lambda: counts(manager, 'normal', USERS[1:]) == [1] * 29)
    assert [{'user_id': USERS[0]}] == managers.ASKED
    assert told.events['publish_fanout published'] == 1
    manager.remove_user_activity(USERS[0], activity)
    manager.batch_import(USERS[0], acts(7, actor=USERS[0])[2:], chunk_size=2)
    wait_for(lambda: counts(manager, 'normal', USERS[1:]) == [5] * 29)
    wait_for(lambda: told.events['publish_fanout done'] == 1 + 1 + 3)


HOSTILE: list[dict[str, Any]] = [
    {'operation': 'os:system', 'operation_kwargs': None},
    {'operation': 'stream_framework.paths:importlib.import_module'},
    {'operation': 'stream_framework.feed_managers.base:chunks'},
    {'operation': 'builtins:eval'},
    {'operation': 'subprocess:Popen'},
    {'operation': 'tests.managers:sys.exit'},
    {'feed_manager': 'celery:Celery'},
    {'feed_manager': 'os:_wrap_close'},
    {'feed_manager': {'__class__': 'os:system'}},
    {'feed_class': 'tests.managers:FollowersManager'},
    {'feed_class': 'stream_framework.feeds.base:BaseFeed.__init__'},
    {'user_ids': 'all of them'},
    {'user_ids': [[1]]},
    {'operation_kwargs': {'activities': []}},
    {'operation_kwargs': '{"classes": ["os:system"], "kwargs": {}}'},
    {'operation_kwargs': '{"classes": [], "kwargs": {"batch_interface": {"value": 1}}}'},
    {'operation_kwargs': '{"__type__": "pickle", "__value__": ""}'},
    {'operation_kwargs': 'cos\nsystem\n'},
]


def test_hostile_messages_are_rejected_and_run_nothing(
    app: Any, manager: Any, flaky: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come from whoever can write to the broker, so through no code of the library's."""
    parameters = tasks.fanout_operation.parameters
    _, good = messages.encode(parameters, (), flaky)
    ran: list[Any] = []
    monkeypatch.setattr('os.system', ran.append)
    for changes in HOSTILE:
        app.send_task('stream_framework.tasks.fanout_operation', kwargs={**good, **changes})
    app.send_task('stream_framework.tasks.follow_many', args=['os:system', 1, [2], 3])
    app.send_task('stream_framework.tasks.unfollow_many', args=[good['feed_manager']])
    wait_for(lambda: caplog.text.count('is rejected, nothing was run') == len(HOSTILE) + 2)
    assert Flaky.runs == []
    assert ran == []
    # The worker goes on.
    result = app.send_task('stream_framework.tasks.fanout_operation', kwargs=good)
    result.get(timeout=60)
    assert len(Flaky.runs) == 1


def test_an_application_with_a_task_class_of_its_own() -> None:
    """As Flask's documentation shows it: each task runs within the application's context."""
    calls: list[str] = []

    class ContextTask(celery.Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(self.name)
            return self.run(*args, **kwargs)

    before = celery.current_app._get_current_object()  # type: ignore[attr-defined]
    own = celery.Celery('own', task_cls=ContextTask, set_as_current=True)
    try:
        own.conf.task_always_eager = True
        own.set_default()
        result = own.tasks['stream_framework.tasks.unfollow_many'].delay(Follows(), 1, [2])
        assert result.get() is None
        assert Follows.calls[-1] == (1, [2])
    finally:
        before.set_default()
        before.set_current()
    assert calls == ['stream_framework.tasks.unfollow_many']


class Follows(Flaky):
    calls: list[Any] = []

    def apply_unfollow(self, user_id: Any, source_ids: Any) -> None:
        self.calls.append((user_id, source_ids))


def test_signatures_and_chains(flaky: Any) -> None:
    chain = celery.chain(
        tasks.fanout_operation.si(**flaky), tasks.fanout_operation.signature(kwargs=flaky, immutable=True)
    )
    chain.delay().get(timeout=60)
    assert len(Flaky.runs) == 2
    assert Flaky.runs[0][3] == flaky['operation_kwargs']


def test_tasks_called_within_a_worker_take_objects(flaky: Any) -> None:
    """An application's own task calls ours directly."""
    assert '3 user_ids' in tasks.fanout_operation(**flaky)
    assert Flaky.runs[-1][3] is flaky['operation_kwargs']
