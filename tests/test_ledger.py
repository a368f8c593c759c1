"""The ledger of open fan-outs: what is in it when, what is published again, and what is given up."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import celery
import pytest
from celery.app.trace import trace_task

from stream_framework import ledger, messages, tasks
from stream_framework.exceptions import ConfigurationError, MessageError, StorageConnectionError
from stream_framework.feed_managers.base import FanoutPriority, add_operation
from stream_framework.storage.abilities import KeepsIntents
from stream_framework.storage.base import BaseActivityStorage
from stream_framework.storage.memory import InMemoryActivityStorage
from tests import managers
from tests.backends import Memory, running
from tests.contracts.support import act, ids

USERS = list(range(890_000, 890_030))
FIRST_TIME = 1_800_000_000.0


class Broker:
    """Takes what is published, checks that it is in the ledger, and runs it when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[dict[str, Any]] = []
        self.capacity = 10**9
        self.looks = True
        self.open: list[int] = []
        monkeypatch.setattr(celery.Task, 'apply_async', self._publisher())

    def _publisher(self) -> Any:
        def apply_async(task: Any, args: Any = None, kwargs: Any = None, task_id: Any = None, **options: Any) -> Any:
            if len(self.messages) >= self.capacity:
                raise ConnectionError('the broker is gone')
            json.dumps([args, kwargs])
            if self.looks:
                self.open.append(len(entries()))
            message = {'task': task, 'args': args or (), 'kwargs': kwargs or {}, 'id': task_id, 'options': options}
            self.messages.append(message)
            return message

        return apply_async

    def take(self) -> list[dict[str, Any]]:
        """What was published since."""
        messages, self.messages = self.messages, []
        return messages

    def run(self, message: dict[str, Any]) -> Any:
        """As a worker does: what the task returned, or raised."""
        headers = message['options'].get('headers')
        request = {'id': message['id'] or 'none', 'headers': headers, 'is_eager': False, 'called_directly': False}
        app = celery.current_app._get_current_object()  # type: ignore[attr-defined]
        task = message['task']
        outcome = trace_task(task, request['id'], message['args'], message['kwargs'], request=request, app=app)[0]
        return getattr(outcome, 'exception', outcome)


def entries(storage: Any = None) -> list[ledger.Entry]:
    """What is open, whatever its age."""
    storage = storage or InMemoryActivityStorage()
    first = int(FIRST_TIME // 60)
    return [ledger.Entry.read(*found) for found in storage.read_ledger(range(first, first + 3000))]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    return Broker(monkeypatch)


class Clock:
    now = FIRST_TIME

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ledger, 'time', clock)
    return clock


@pytest.fixture
def manager(clock: Clock) -> Iterator[Any]:
    for backend in running(Memory()):
        managers.FOLLOWERS.clear()
        managers.FOLLOWERS[USERS[0]] = {FanoutPriority.HIGH: USERS[1:10], FanoutPriority.LOW: USERS[10:]}
        manager = backend.manager_class()()
        manager.fanout_chunk_size = 5
        manager.feed_classes = {'normal': manager.feed_classes['normal']}
        manager.keep_ledger = True
        yield manager


def republish(manager: Any, **options: Any) -> tuple[int, int, int]:
    """Numbers of open entries, of those that were published, and of those that were given up."""
    found = ledger.republish(manager, **options)
    return found.open, found.published, found.given_up


@pytest.fixture
def everywhere(backend: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The manager of each backend; the ledger's present is now."""
    if not backend.keeps_ledger:
        pytest.skip('this activity storage keeps no ledger')
    managers.FOLLOWERS.clear()
    managers.FOLLOWERS[USERS[0]] = lambda: {FanoutPriority.HIGH: iter(USERS[1:10]), FanoutPriority.LOW: USERS[10:]}
    manager = backend.manager_class()()
    monkeypatch.setattr(type(manager), 'keep_ledger', True)
    monkeypatch.setattr(type(manager), 'fanout_chunk_size', 4)
    return manager


def test_what_is_lost_is_published_again(everywhere: Any, broker: Broker) -> None:
    """On every backend: half of the messages of an addition are lost; so are all of a removal, and it wins."""
    manager, kept, removed = everywhere, act(1, actor=USERS[0]), act(2, actor=USERS[0])
    assert ledger.republish(manager, older_than=0, dry_run=True).open == 0
    manager.add_user_activity(USERS[0], kept)
    manager.add_user_activity(USERS[0], removed)
    published = broker.take()
    assert len(published) == 2 * 3 * (3 + 5)
    for message in published[::2]:
        assert not isinstance(broker.run(message), Exception)
    manager.remove_user_activity(USERS[0], removed)
    broker.take()  # all of them are lost
    found = ledger.republish(manager, older_than=0, dry_run=True)
    assert (found.open, found.given_up) == (24 + 24, 0)
    assert broker.messages == []
    found = ledger.republish(manager, older_than=0)
    assert (found.open, found.published) == (48, 48)
    for message in reversed(broker.take()):
        broker.run(message)
    assert ledger.republish(manager, older_than=0).open == 0
    assert broker.take() == []
    assert [ids(manager.get_feeds(user)['normal'][:]) for user in USERS[1:]] == [ids([kept])] * 29
    for name in ('aggregated', 'notification'):
        groups = [manager.get_feeds(user)[name][:] for user in USERS[1:]]
        assert [[ids(group.activities) for group in found] for found in groups] == [[ids([kept])]] * 29


def test_written_before_it_is_published(manager: Any, broker: Broker) -> None:
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    messages = broker.take()
    assert len(messages) == 2 + 4
    assert broker.open == [2, 2, 6, 6, 6, 6]
    assert {entry.id for entry in entries()} == {message['id'] for message in messages}
    for number, message in enumerate(messages):
        assert 'user_ids' in broker.run(message)
        assert len(entries()) == 5 - number


def test_off_by_default(manager: Any, broker: Broker) -> None:
    del manager.keep_ledger
    assert manager.keep_ledger is False
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    [*messages] = broker.take()
    assert all(message['id'] is None and 'headers' not in message['options'] for message in messages)
    assert entries() == []
    assert 'user_ids' in broker.run(messages[0])


def test_turned_off_later(manager: Any, broker: Broker) -> None:
    """What the messages on their way have in the ledger goes all the same."""
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    assert not type(manager).keep_ledger  # the worker's is made from the class
    for message in broker.take():
        broker.run(message)
    assert entries() == []


def test_followers_of_any_number(manager: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are written some at a time, and what is in memory is bounded."""
    written: list[int] = []
    write = InMemoryActivityStorage.write_ledger

    def counting(self: Any, minute: int, entries: Any, ttl: float, existing: bool = False) -> None:
        assert read - sum(written) * 5 <= 5 * ledger.ENTRIES_AT_A_TIME
        written.append(len(entries))
        write(self, minute, entries, ttl, existing)

    read = 0

    def followers() -> Iterator[int]:
        nonlocal read
        for user in range(5 * 450):
            read += 1
            yield user

    monkeypatch.setattr(InMemoryActivityStorage, 'write_ledger', counting)
    kwargs = {'activities': [act(1)]}
    results = manager.create_fanout_tasks(followers(), manager.feed_classes['normal'], add_operation, kwargs)
    assert results == broker.messages
    assert written == [200, 200, 50]
    assert [user for message in broker.messages for user in message['kwargs']['user_ids']] == list(range(2250))

    monkeypatch.setattr(ledger, 'CHARACTERS_AT_A_TIME', 10)
    written.clear()
    read = 0
    manager.create_fanout_tasks(range(20), manager.feed_classes['normal'], add_operation, kwargs)
    assert written == [1, 1, 1, 1]


def test_publishing_fails_half_way(manager: Any, broker: Broker, clock: Clock) -> None:
    broker.capacity = 3
    with pytest.raises(ConnectionError):
        manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    for message in broker.take():
        broker.run(message)
    assert len(entries()) == 3
    broker.capacity = 100
    clock.now += ledger.OLDER_THAN + 60
    assert republish(manager) == (3, 3, 0)
    for message in broker.take():
        broker.run(message)
    assert entries() == []
    counts = [manager.get_feeds(user)['normal'].count() for user in USERS[1:]]
    assert counts == [1] * 29


def test_when_it_is_published_again(manager: Any, broker: Broker, clock: Clock, caplog: Any) -> None:
    """After twice as long each time, a bounded number of times; then it is given up, and says so."""
    manager.fanout_chunk_size = 100
    managers.FOLLOWERS[USERS[0]] = {FanoutPriority.HIGH: USERS[1:10]}
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    [original] = broker.take()
    ages = []
    while clock.now < FIRST_TIME + manager.operation_ttl:
        clock.now += 60
        ledger.republish(manager)
        for message in broker.take():
            ages.append((clock.now - FIRST_TIME) / ledger.OLDER_THAN)
            assert (message['id'], message['kwargs']) == (original['id'], original['kwargs'])
            assert message['task'].name == original['task'].name
    assert ages == pytest.approx([1, 3, 7, 15, 31], abs=0.5)
    [entry] = entries()
    assert entry.attempts == ledger.ATTEMPTS == 5
    caplog.clear()
    assert republish(manager) == (1, 0, 1)
    assert '1 tasks were given up' in caplog.text
    # By hand, when what was wrong is right again.
    assert republish(manager, given_up=True, dry_run=True) == (1, 1, 1)
    assert broker.messages == []
    assert republish(manager, given_up=True) == (1, 1, 1)
    broker.run(broker.take()[0])
    assert entries() == []


def test_discarding_what_was_given_up(manager: Any, broker: Broker, clock: Clock) -> None:
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    clock.now += manager.operation_ttl + 60
    assert republish(manager) == (6, 0, 6)
    assert republish(manager, given_up=True, discard=True, dry_run=True) == (6, 6, 6)
    assert republish(manager, given_up=True, discard=True) == (6, 6, 6)
    assert republish(manager) == (0, 0, 0)


def test_not_after_the_order_of_operations_is_forgotten(manager: Any, broker: Broker, clock: Clock) -> None:
    """A removal that came meanwhile would be undone: its mark may have expired."""
    manager.operation_ttl = 600
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    clock.now += 540
    assert republish(manager, older_than=300) == (6, 6, 0)
    clock.now += 120
    assert republish(manager, older_than=0) == (6, 0, 6)


def test_published_again_though_it_was_on_its_way(manager: Any, broker: Broker, clock: Clock) -> None:
    """Whichever comes first does the work; the one that was published again then has nothing to do."""
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    originals = broker.take()
    clock.now += ledger.OLDER_THAN + 60
    ledger.republish(manager)
    again = broker.take()
    broker.run(originals[0])
    assert broker.run(again[0]) == 'done already'
    assert 'user_ids' in broker.run(again[1])
    assert 'user_ids' in broker.run(originals[1])
    assert len(entries()) == 4


def test_an_entry_that_goes_while_it_is_published_again(
    manager: Any, broker: Broker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    originals = broker.take()
    clock.now += ledger.OLDER_THAN + 60
    publish = ledger.Entry.publish

    def racing(entry: Any, task: Any) -> Any:
        while originals:
            broker.run(originals.pop())
        return publish(entry, task)

    monkeypatch.setattr(ledger.Entry, 'publish', racing)
    ledger.republish(manager)
    for message in broker.take():
        assert broker.run(message) == 'done already'
    assert entries() == []


class Failing(managers.FollowersManager):
    """Its tasks fail."""

    error: Exception = ZeroDivisionError('a bug')
    keep_ledger = True
    user_feed_class = managers.managers['memory']().user_feed_class

    def fanout(self, *args: Any) -> None:
        raise self.error


@pytest.mark.parametrize('error', [ZeroDivisionError('a bug'), StorageConnectionError('not there')])
def test_what_fails_stays(error: Exception, manager: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, 'error', error)
    feed_class = manager.feed_classes['normal']
    Failing().create_fanout_tasks(USERS, feed_class, add_operation, {'activities': [act(1)]})
    [message] = broker.take()
    outcome = broker.run(message)
    if isinstance(error, ZeroDivisionError):
        assert outcome is error
        assert broker.messages == []
    else:
        # A retry is a message of the same entry.
        [retry] = broker.take()
        assert (retry['id'], retry['options']['headers']) == (message['id'], message['options']['headers'])
        assert retry['options']['countdown'] > 0
        monkeypatch.setattr(tasks.fanout_operation, 'max_retries', 0)
        broker.run(retry)
        assert broker.messages == []
    assert [entry.id for entry in entries()] == [message['id']]


def test_the_applications_own_calls_and_following(manager: Any, broker: Broker) -> None:
    manager.follow_user(USERS[0], USERS[1])
    manager.unfollow_user(USERS[0], USERS[1])
    tasks.fanout_operation.apply_async(
        (manager, manager.feed_classes['normal'], USERS, add_operation, {'activities': [act(1)]}),
        queue='mine',
        priority=3,
        headers={'trace': 'x'},
    )
    assert [entry.task.rpartition('.')[2] for entry in entries()] == [
        'follow_many',
        'unfollow_many',
        'fanout_operation',
    ]
    messages = broker.take()
    assert messages[2]['options']['headers'].keys() == {'trace', ledger.HEADER}
    ledger.republish(manager, older_than=0)
    assert {name: broker.messages[2]['options'][name] for name in ('queue', 'priority')} == {
        'queue': 'mine',
        'priority': 3,
    }
    for message in messages:
        broker.run(message)
    assert entries() == []


def test_a_storage_that_can_keep_none(manager: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutLedger(KeepsIntents, BaseActivityStorage):
        add_to_storage = InMemoryActivityStorage.add_to_storage
        set_intents = InMemoryActivityStorage.set_intents
        get_intents = InMemoryActivityStorage.get_intents

    monkeypatch.setattr(manager.user_feed_class, 'activity_storage_class', WithoutLedger)
    with pytest.raises(ConfigurationError, match='can keep no ledger: set .*Manager.keep_ledger to False'):
        manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    with pytest.raises(ConfigurationError, match='can keep no ledger'):
        ledger.republish(manager)
    manager.keep_ledger = False
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    assert len(broker.messages) == 6


def test_what_is_not_readable(manager: Any, broker: Broker, caplog: Any) -> None:
    """It is told, published by nobody, and can be discarded."""
    good = ledger.Entry('stream_framework.tasks.fanout_operation', [], {}, {}, 60)
    values = {name: getattr(good, name) for name in good.__slots__ if name not in ('id', 'minute')}
    texts = {
        'no-json': '{',
        'no-dict': '[]',
        'no-task': json.dumps({**values, 'task': 7}),
        'strange': json.dumps({**values, 'surprise': 7}),
        'options': json.dumps({**values, 'options': {'connection': 'amqp://elsewhere'}}),
        'other-task': json.dumps({**values, 'task': 'celery.backend_cleanup'}),
        'unknown-task': json.dumps({**values, 'task': 'nobody.knows'}),
    }
    InMemoryActivityStorage().write_ledger(good.minute, texts, 60)
    with caplog.at_level(logging.ERROR):
        assert republish(manager, older_than=0) == (7, 0, 7)
    for name in texts:
        assert f'entry {name} ' in caplog.text
    assert broker.messages == []
    with pytest.raises(MessageError):
        ledger.Entry.read(1, 'no-json', '{')
    assert republish(manager, older_than=0, given_up=True, discard=True) == (7, 7, 7)
    assert republish(manager, older_than=0) == (0, 0, 0)


def test_a_bounded_number_at_a_time(manager: Any, broker: Broker, clock: Clock) -> None:
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    clock.now += ledger.OLDER_THAN + 60
    broker.take()
    assert republish(manager, limit=4) == (6, 4, 0)
    assert republish(manager, limit=4) == (6, 2, 0)
    assert len({message['id'] for message in broker.take()}) == 6


def test_minutes_that_are_done_with_are_not_read_again(
    manager: Any, broker: Broker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    original = InMemoryActivityStorage.read_ledger

    def reading(self: Any, minutes: Any) -> Any:
        read.extend(minutes)
        return original(self, minutes)

    monkeypatch.setattr(InMemoryActivityStorage, 'read_ledger', reading)
    broker.looks = False
    ledger.republish(manager)
    assert len(read) == 7 * 24 * 60 - 15 + 1
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    clock.now += 7200
    read.clear()
    assert republish(manager) == (6, 6, 0)
    assert 120 <= len(read) <= 180
    clock.now += 7200
    read.clear()
    # From the oldest that is open.
    assert republish(manager)[0] == 6
    assert min(read) == FIRST_TIME // 60
    for message in broker.take()[:6]:
        broker.run(message)
    ledger.republish(manager)
    read.clear()
    ledger.republish(manager)
    assert len(read) <= 60


def test_the_task_for_beat(manager: Any, broker: Broker, clock: Clock) -> None:
    manager.add_user_activity(USERS[0], act(1, actor=USERS[0]))
    broker.take()
    clock.now += ledger.OLDER_THAN + 60
    name = f'{type(manager).__module__}:{type(manager).__qualname__}'
    tasks.republish.apply_async((name,))
    [message] = broker.take()
    assert broker.run(message) == '6 open, 6 published again, 0 given up'
    assert len(broker.messages) == 6
    assert len(entries()) == 6


def test_an_erased_user_leaves_the_ledger(everywhere: Any, broker: Broker) -> None:
    """What he did, and his feed where a task writes some; what others did stays for the others."""
    manager, his, other = everywhere, act(1, actor=USERS[0]), act(2, actor=USERS[29], extra_context={'n': 1})
    storage = manager.user_feed_class.get_activity_storage()
    normal = manager.feed_classes['normal']
    manager.add_user_activity(USERS[0], his)
    for user_ids, activities in (
        ([USERS[0], USERS[1]], [other]),
        ([USERS[0]], [other]),
        ([USERS[2]], [his]),
        ([USERS[3]], [his, other]),
    ):
        manager.create_fanout_tasks(user_ids, normal, add_operation, {'activities': activities, 'trim': True})
    broker.take()
    manager.erase_user(USERS[0])
    minute = int(time.time() // 60)
    left = [ledger.Entry.read(*found) for found in storage.read_ledger(range(minute - 10, minute + 2))]
    decoded = [
        (each.kwargs['user_ids'], messages.decode_operation_kwargs(each.kwargs['operation_kwargs'])) for each in left
    ]
    told = sorted((user_ids, ids(kwargs['activities']), kwargs['trim']) for user_ids, kwargs in decoded)
    assert told == [([USERS[1]], ids([other]), True), ([USERS[3]], ids([other]), True)]
