"""What a task message may hold: it comes out as it went in, or is refused on both sides."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import os
import subprocess
import sys
import uuid
from typing import Any

import kombu.utils.json
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_framework import messages, paths, settings
from stream_framework.activity import Activity, ActorSafeIdMixin, AggregatedActivity, DehydratedActivity
from stream_framework.exceptions import ConfigurationError, MessageError
from stream_framework.feeds.base import BaseFeed
from stream_framework.verbs import Comment, Love
from stream_framework.verbs.base import Verb

FANOUT = ('feed_manager', 'feed_class', 'user_ids', 'operation', 'operation_kwargs')
FOLLOW = ('feed_manager', 'user_id', 'target_ids', 'follow_limit')
TIME = datetime.datetime(2013, 7, 8, 6, 59, 15, 123456)


class PlainManager:
    """No subclass of Manager: a method fanout is all it takes."""

    def fanout(self, user_ids: Any, feed_class: Any, operation: Any, operation_kwargs: Any) -> None:
        """Nothing."""

    class Inner:
        def fanout(self) -> None:
            """Nothing."""


class NeedsArguments(PlainManager):
    def __init__(self, shard: int) -> None:
        self.shard = shard


class HasDefaults(PlainManager):
    def __init__(self, shard: int = 1, *args: Any, **kwargs: Any) -> None:
        self.shard = shard


class SomeFeed(BaseFeed):
    """A feed of this application."""


class Pin(Activity):
    """An activity of this application."""


class SafePin(ActorSafeIdMixin, Activity):
    """Another kind of id."""


class ShortId(Activity):
    @property
    def serialization_id(self) -> int:
        return self.object_id * 1000 + self.actor_id


class RandomId(Activity):
    @property
    def serialization_id(self) -> int:
        return id(self)


class OwnConstructor(Activity):
    def __init__(self, pin: int) -> None:
        super().__init__(1, Love, pin, time=TIME)


class Unregistered(Verb):
    id = 998
    infinitive = 'test'
    past_tense = 'tested'


class Level(enum.IntEnum):
    ONE = 1


def an_operation(feed: Any, activities: Any = (), batch_interface: Any = None) -> None:
    """An operation of this application."""


a_lambda = lambda feed: None  # noqa: E731
another_name = an_operation


def fanout_kwargs(**changes: Any) -> dict[str, Any]:
    kwargs = {
        'feed_manager': PlainManager(),
        'feed_class': SomeFeed,
        'user_ids': [1, 2],
        'operation': an_operation,
        'operation_kwargs': {'activities': [Activity(1, Love, 2, time=TIME)], 'trim': True},
    }
    kwargs.update(changes)
    return kwargs


def wire(**changes: Any) -> dict[str, Any]:
    """A message that is all right, but for the changes."""
    return {
        'feed_manager': f'{__name__}:PlainManager',
        'feed_class': f'{__name__}:SomeFeed',
        'user_ids': [1, 2],
        'operation': f'{__name__}:an_operation',
        'operation_kwargs': '{"classes":[],"kwargs":{}}',
        **changes,
    }


def kwargs_text(row: Any = None, **changes: Any) -> str:
    """Operation kwargs with one activity, as a message holds them."""
    row = [0, 1, 3, 2, None, TIME.isoformat(), {}, None] if row is None else row
    message = {'classes': ['stream_framework.activity:Activity'], 'kwargs': {'activities': {'activities': [row]}}}
    return json.dumps({**message, **changes})


def through(kwargs: dict[str, Any]) -> dict[str, Any]:
    """To a worker and back."""
    _, encoded = messages.encode(FANOUT, (), kwargs)
    assert json.loads(json.dumps(encoded)) == encoded
    assert kombu.utils.json.loads(kombu.utils.json.dumps(encoded)) == encoded
    _, decoded = messages.decode(FANOUT, (), json.loads(json.dumps(encoded)))
    return decoded


def refused(match: str | None, **changes: Any) -> None:
    with pytest.raises(MessageError, match=match):
        messages.decode(FANOUT, (), wire(**changes))


def unpublishable(match: str, **changes: Any) -> None:
    with pytest.raises(MessageError, match=match):
        messages.encode(FANOUT, (), fanout_kwargs(**changes))


def test_a_message_is_paths_and_json():
    _, encoded = messages.encode(FANOUT, (), fanout_kwargs())
    assert encoded == wire(operation_kwargs=encoded['operation_kwargs'])
    assert json.loads(encoded['operation_kwargs']) == {
        'classes': ['stream_framework.activity:Activity'],
        'kwargs': {
            'activities': {'activities': [[0, 1, 3, 2, None, '2013-07-08T06:59:15.123456', {}, None]]},
            'trim': {'value': True},
        },
    }


def test_what_arrives_is_what_was_sent():
    decoded = through(fanout_kwargs())
    assert type(decoded['feed_manager']) is PlainManager
    assert decoded['feed_class'] is SomeFeed
    assert decoded['user_ids'] == [1, 2]
    assert decoded['operation'] is an_operation
    assert decoded['operation_kwargs'] == {'activities': [Activity(1, Love, 2, time=TIME)], 'trim': True}


def test_checking_publishes_nothing_and_encodes_once():
    kwargs = messages.prepare({'activities': [Activity(1, Love, 2, time=TIME)]})
    assert messages.check({**fanout_kwargs(), 'operation_kwargs': kwargs}) is None
    text = kwargs.encoded()
    messages.check({'operation_kwargs': kwargs})
    assert kwargs.encoded() is text


@pytest.mark.parametrize(
    ('named', 'match'),
    [
        ({'operation_kwargs': {'activities': [Activity(1, Unregistered, 2)]}}, 'not registered'),
        ({'operation_kwargs': {'activities': [Activity(1, Love, 2, extra_context={'x': object()})]}}, "'x'"),
        ({'feed_manager': NeedsArguments(1)}, 'shard'),
        ({'feed_class': int}, 'feed'),
        ({'operation': a_lambda}, 'lambda'),
        ({'user_ids': [1, 2.5]}, '2.5'),
        ({'user_id': None}, 'None'),
        ({'target_ids': 'anna'}, 'anna'),
        ({'follow_limit': 'all'}, 'all'),
    ],
    ids=str,
)
def test_checking_some_arguments(named, match):
    with pytest.raises(MessageError, match=match):
        messages.check(named)


def test_activities_without_an_actor():
    sent = Activity(None, Love, 2, time=TIME)
    (found,) = through(fanout_kwargs(operation_kwargs={'activities': [sent]}))['operation_kwargs']['activities']
    assert (found.actor, found.actor_id) == (None, None)
    assert found == sent


def test_an_instance_of_a_verb_is_taken_for_its_class():
    sent = Activity(1, Love, 2, time=TIME)
    sent.verb = Love()
    (found,) = through(fanout_kwargs(operation_kwargs={'activities': [sent]}))['operation_kwargs']['activities']
    assert found.verb is Love


def test_contexts_that_need_a_serializer_of_ones_own():
    class Money:
        pass

    sent = Activity(1, Love, 2, time=TIME, extra_context={'price': Money()})
    with pytest.raises(MessageError, match=r"\['price'\].*register_type") as caught:
        messages.encode(FANOUT, (), fanout_kwargs(operation_kwargs={'activities': [sent]}))
    assert 'PickleSerializer' not in str(caught.value)


@pytest.mark.parametrize('positional', range(6))
def test_positional_arguments_stay_positional(positional):
    values = list(fanout_kwargs().values())
    given_kwargs = dict(zip(FANOUT[positional:], values[positional:], strict=True))
    args, kwargs = messages.encode(FANOUT, values[:positional], given_kwargs)
    assert len(args) == positional and list(kwargs) == list(FANOUT[positional:])
    args, kwargs = messages.decode(FANOUT, args, kwargs)
    assert len(args) == positional
    assert [*args, *kwargs.values()][1:4] == [SomeFeed, [1, 2], an_operation]


def test_encoding_twice_changes_nothing():
    kwargs = fanout_kwargs(user_ids=[1, 'a', uuid.UUID(int=3)])
    once = messages.encode(FANOUT, (), kwargs)
    assert messages.encode(FANOUT, *once) == once
    follow = messages.encode(FOLLOW, (HasDefaults(), uuid.UUID(int=1)), {'target_ids': {'x'}, 'follow_limit': None})
    assert (
        messages.encode(FOLLOW, *follow)
        == follow
        == (
            (f'{__name__}:HasDefaults', {'uuid': uuid.UUID(int=1).hex}),
            {'target_ids': ['x'], 'follow_limit': None},
        )
    )


@pytest.mark.parametrize('manager', [PlainManager, PlainManager(), HasDefaults(5), PlainManager.Inner()])
def test_managers_are_made_by_their_class(manager):
    decoded = through(fanout_kwargs(feed_manager=manager))
    assert type(decoded['feed_manager']) is (manager if isinstance(manager, type) else type(manager))


@pytest.mark.parametrize(
    ('user_ids', 'expected'),
    [
        ([1, 'two', uuid.UUID(int=3), 10**30, -1, ''], [1, 'two', uuid.UUID(int=3), 10**30, -1, '']),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        (iter([5]), [5]),
        ({'a': 1}.keys(), ['a']),
        ([Level.ONE, True], [1, 1]),
        ([], []),
    ],
)
def test_ids(user_ids, expected):
    decoded = through(fanout_kwargs(user_ids=user_ids))['user_ids']
    assert decoded == expected and [type(x) for x in decoded] == [type(x) for x in expected]


@pytest.mark.parametrize('user_ids', ['abc', b'abc', 5, None, [None], [1.5], [b'x'], [object()], [{'id': 1}]])
def test_what_is_no_id_is_not_published(user_ids):
    unpublishable('user_ids', user_ids=user_ids)


@pytest.mark.parametrize(
    'activity',
    [
        Activity(1, Love, 2, time=TIME),
        Activity(1, Love, 2, 3, TIME, {'text': 'a;b,c', 'when': TIME, 'tags': {'x', 'y'}, 1: (2, [3])}),
        Activity('ann', Comment, uuid.UUID(int=5), '17', TIME, {'price': decimal.Decimal('1.10')}),
        Activity(17, Love, 'x', uuid.UUID(int=9), TIME),
        Activity(1, Love, 2, time=datetime.datetime(1969, 12, 31, 23, 0, 0, 1)),
        Pin(1, Love, 2, time=TIME),
        SafePin(1, Love, 10**20, 7, time=TIME),
        ShortId(1, Love, 2, time=TIME),
    ],
    ids=repr,
)
def test_activities_arrive_as_they_were(activity):
    sent = {'activities': [activity], 'one': activity, 'mixed': (activity, 5, 'x', uuid.UUID(int=1))}
    got = through(fanout_kwargs(operation_kwargs=sent))['operation_kwargs']
    assert got['mixed'][1:] == [5, 'x', uuid.UUID(int=1)]
    for received in (got['activities'][0], got['one'], got['mixed'][0]):
        assert type(received) is type(activity)
        assert received.serialization_id == activity.serialization_id
        for name in ('actor_id', 'object_id', 'target_id', 'verb', 'time', 'extra_context'):
            assert getattr(received, name) == getattr(activity, name)
            assert type(getattr(received, name)) is type(getattr(activity, name))


def test_the_id_of_an_activity_that_was_stored_survives():
    activity = Activity(1, Love, 2, time=TIME)
    activity.stored_under(activity.serialization_id + 1000)
    got = through(fanout_kwargs(operation_kwargs={'activities': [activity]}))['operation_kwargs']['activities'][0]
    assert got.serialization_id == activity.stored_id


def test_actors_travel_as_ids():
    class User:
        id = 7

    got = through(fanout_kwargs(operation_kwargs={'activity': Activity(User(), Love, User())}))
    assert got['operation_kwargs']['activity'].actor_id == 7


def test_references_travel():
    got = through(fanout_kwargs(operation_kwargs={'activities': [DehydratedActivity(5)]}))['operation_kwargs']
    assert got['activities'] == [DehydratedActivity(5)]


def test_other_values_travel_and_the_batch_interface_does_not():
    sent = {'trim': False, 'ids': [1, 'a'], 'at': TIME, 'pair': (1, 2), 'none': None}
    got = through(fanout_kwargs(operation_kwargs={**sent, 'batch_interface': object()}))['operation_kwargs']
    assert got == sent
    assert through(fanout_kwargs(operation_kwargs=None))['operation_kwargs'] is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_json_value_travels(value):
    got = messages.decode_operation_kwargs(messages.encode_operation_kwargs({'x': value}))
    assert got == {'x': value}


def test_kwargs_are_encoded_once(monkeypatch):
    calls = []
    encode = messages.encode_operation_kwargs
    monkeypatch.setattr(messages, 'encode_operation_kwargs', lambda *args: calls.append(1) or encode(*args))
    kwargs = messages.prepare({'activities': [Activity(1, Love, 2, time=TIME)], 'trim': True})
    assert messages.prepare(kwargs) is kwargs and messages.prepare(None) is None
    texts = [messages.encode(FANOUT, (), fanout_kwargs(operation_kwargs=kwargs))[1]['operation_kwargs'] for _ in 'abc']
    assert len(calls) == 1 and len(set(texts)) == 1
    kwargs['trim'] = False
    assert '"trim":{"value":false}' in kwargs.encoded()
    kwargs['activities'].append(Activity(1, Love, 3, time=TIME))
    assert len(messages.decode_operation_kwargs(kwargs.encoded())['activities']) == 2
    del kwargs['trim']
    assert 'trim' not in kwargs.encoded()
    assert len(calls) == 4


def test_publishing_refuses_what_has_no_path():
    class Local(PlainManager):
        pass

    class LocalFeed(BaseFeed):
        pass

    class LocalActivity(Activity):
        pass

    for kwargs in (
        {'feed_manager': Local()},
        {'feed_class': LocalFeed},
        {'operation': lambda feed: None},
        {'operation': a_lambda},
        {'operation_kwargs': {'activities': [LocalActivity(1, Love, 2)]}},
    ):
        unpublishable('at the top of a module', **kwargs)
        with pytest.raises(MessageError, match='at the top of a module'):
            messages.encode(FANOUT, (), fanout_kwargs(**kwargs), local=True)


@pytest.mark.parametrize(
    ('changes', 'match'),
    [
        ({'feed_manager': NeedsArguments(1)}, 'shard.*without any'),
        ({'feed_manager': NeedsArguments}, 'shard.*without any'),
        ({'feed_manager': f'{__name__}:NeedsArguments'}, 'shard.*without any'),
        ({'feed_manager': object()}, 'no class with a fanout'),
        ({'feed_manager': None}, 'no class with a fanout'),
        ({'feed_class': SomeFeed(1)}, 'no subclass of'),
        ({'feed_class': dict}, 'no subclass of'),
        ({'operation': print}, 'no function'),
        ({'operation': PlainManager().fanout}, 'no function'),
        ({'operation': PlainManager.fanout}, 'at the top of'),
        ({'operation': json.dumps}, 'standard library'),
        ({'operation': pytest.importorskip}, 'STREAM_TASK_MODULES'),
        ({'operation': 'os:system'}, 'standard library'),
        ({'operation_kwargs': {'activities': [AggregatedActivity('x')]}}, 'publish its activities'),
        ({'operation_kwargs': {'x': object()}}, r"operation_kwargs\['x'\]"),
        ({'operation_kwargs': {'x': [[Activity(1, Love, 2)]]}}, r"operation_kwargs\['x'\]"),
        ({'operation_kwargs': {1: 2}}, 'keyword'),
        ({'operation_kwargs': [1]}, 'must be a dict'),
        ({'operation_kwargs': {'a': Activity(1, Love, 2, extra_context={'x': object()})}}, 'extra_context'),
        ({'operation_kwargs': {'a': Activity(1, Unregistered, 2)}}, 'register'),
        ({'operation_kwargs': {'a': RandomId(1, Love, 2)}}, 'another serialization_id'),
        ({'operation_kwargs': {'a': OwnConstructor(1)}}, "can't make a OwnConstructor"),
        ({'extra': 1}, 'given were'),
    ],
)
def test_publishing_refuses_at_once(changes, match):
    unpublishable(match, **changes)


def test_publishing_refuses_a_name_that_leads_elsewhere(monkeypatch):
    unpublishable('there is no Gone', feed_class=type('Gone', (BaseFeed,), {'__module__': __name__}))
    replaced = SomeFeed
    monkeypatch.setitem(globals(), 'SomeFeed', type('SomeFeed', (BaseFeed,), {}))
    unpublishable('the name that it was defined with', feed_class=replaced)


@pytest.mark.parametrize('name', ['feed_manager', 'feed_class', 'operation'])
@pytest.mark.parametrize(
    'path',
    [
        'os:system',
        'posix:system',
        'builtins:eval',
        'subprocess:Popen',
        'importlib:import_module',
        'test.support:run_unittest',
        '__main__:x',
        '__builtin__:eval',
        'stream_framework.feeds.base:__builtins__.eval',
        'stream_framework.feeds.base:BaseFeed.__init__',
        'stream_framework.feeds.base:BaseFeed.__init__.__globals__',
        'stream_framework.feeds.base:copy.deepcopy',
        'stream_framework.feeds.base:functools',
        'stream_framework.feeds.base:nothing',
        'stream_framework.no_such_module:x',
        'no_such_package_at_all:x',
        'stream_framework.verbs:Love',
        f'{__name__}:another_name',
        f'{__name__}:json',
        f'{__name__}:an_operation.x',
        'os.system',
        '',
        ':',
        'a:',
        ':b',
        'a b:c',
        '../../etc:passwd',
        'a' * 600 + ':b',
        'stream_framework.feeds.base:BaseFeed\n',
        None,
        5,
        ['os:system'],
        {'os': 'system'},
        True,
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_worker_refuses_bad_paths(name, path):
    before = set(sys.modules)
    if name == 'operation' and path == f'{__name__}:another_name':
        refused('at the top of|no function', **{name: path})
    else:
        refused(None, **{name: path})
    new = {module for module in set(sys.modules) - before if not module.startswith('stream_framework')}
    assert not new


def test_a_worker_imports_nothing_that_a_message_may_not_name(tmp_path, monkeypatch):
    (tmp_path / 'stream_hostile.py').write_text('def operation(feed, **kwargs):\n    pass\n')
    monkeypatch.syspath_prepend(tmp_path)
    refused('STREAM_TASK_MODULES', operation='stream_hostile:operation')
    assert 'stream_hostile' not in sys.modules
    monkeypatch.setattr(settings, 'STREAM_TASK_MODULES', ['stream_host'])
    refused('STREAM_TASK_MODULES', operation='stream_hostile:operation')
    assert 'stream_hostile' not in sys.modules
    monkeypatch.setattr(settings, 'STREAM_TASK_MODULES', ['stream_hostile'])
    decoded = messages.decode(FANOUT, (), wire(operation='stream_hostile:operation'))[1]
    assert decoded['operation'] is sys.modules.pop('stream_hostile').operation


def test_a_module_that_fails_to_import_is_a_bad_message(tmp_path, monkeypatch):
    (tmp_path / 'stream_broken.py').write_text('1 / 0\n')
    monkeypatch.syspath_prepend(tmp_path)
    refused("can't import stream_broken .ZeroDivisionError", feed_class='stream_broken:Feed')


def test_the_setting_replaces_the_package_of_the_manager_and_the_feed(monkeypatch):
    monkeypatch.setattr(settings, 'STREAM_TASK_MODULES', [])
    refused('STREAM_TASK_MODULES', operation=f'{__name__}:an_operation')
    unpublishable('STREAM_TASK_MODULES')
    library = 'stream_framework.utils:make_list_unique'
    assert messages.decode(FANOUT, (), wire(operation=library))[1]['operation'].__name__ == 'make_list_unique'
    monkeypatch.setattr(settings, 'STREAM_TASK_MODULES', [__name__])
    through(fanout_kwargs())
    monkeypatch.setattr(settings, 'STREAM_TASK_MODULES', ['tests.test_mess'])
    refused('STREAM_TASK_MODULES')
    monkeypatch.setattr(settings, 'STREAM_TASK_MODULES', 'tests')
    with pytest.raises(ConfigurationError, match='list'):
        messages.decode(FANOUT, (), wire())


def test_the_package_of_the_feed_counts_too():
    kwargs = fanout_kwargs(feed_manager='tests.test_messages:PlainManager', feed_class=BaseFeed)
    assert messages.decode(FANOUT, (), messages.encode(FANOUT, (), kwargs)[1])[1]['operation'] is an_operation
    owners = (BaseFeed, SomeFeed)
    assert paths.resolve_operation(f'{__name__}:an_operation', owners) is an_operation
    with pytest.raises(MessageError, match='STREAM_TASK_MODULES'):
        paths.resolve_operation(f'{__name__}:an_operation', (BaseFeed,))


def test_standard_modules_that_python_does_not_list_are_refused_too():
    assert 'test' not in sys.stdlib_module_names
    assert paths._is_standard('test') and not paths._is_standard('tests') and not paths._is_standard('pytest')


@pytest.mark.parametrize(
    'changes',
    [
        {'user_ids': '12'},
        {'user_ids': {'a': 1}},
        {'user_ids': None},
        {'user_ids': [1.5]},
        {'user_ids': [True]},
        {'user_ids': [None]},
        {'user_ids': [[1]]},
        {'user_ids': [{'uuid': 'x'}]},
        {'user_ids': [{'uuid': 5}]},
        {'user_ids': [{'uuid': '0' * 32, 'more': 1}]},
        {'user_ids': [uuid.UUID(int=1)]},
        {'operation_kwargs': {}},
        {'operation_kwargs': {'activities': []}},
        {'operation_kwargs': 'nonsense'},
        {'operation_kwargs': '[]'},
        {'operation_kwargs': '{}'},
        {'operation_kwargs': '[' * 100_000},
        {'operation_kwargs': b'{}'},
        {'operation_kwargs': kwargs_text(more=1)},
        {'operation_kwargs': kwargs_text(classes='stream_framework.activity:Activity')},
        {'operation_kwargs': kwargs_text(classes=['os:system'])},
        {'operation_kwargs': kwargs_text(classes=['stream_framework.feeds.base:BaseFeed'])},
        {'operation_kwargs': kwargs_text(kwargs={'batch_interface': {'value': 1}})},
        {'operation_kwargs': kwargs_text(kwargs={'x': 1})},
        {'operation_kwargs': kwargs_text(kwargs={'x': {}})},
        {'operation_kwargs': kwargs_text(kwargs={'x': {'value': 1, 'activity': []}})},
        {'operation_kwargs': kwargs_text(kwargs={'x': {'pickle': 'gASVBQ=='}})},
        {'operation_kwargs': kwargs_text(kwargs={'x': {'activities': {}}})},
        {'operation_kwargs': kwargs_text(kwargs={'x': {'activities': [None]}})},
        {'operation_kwargs': kwargs_text([])},
        {'operation_kwargs': kwargs_text([0, 5])},
        {'operation_kwargs': kwargs_text([1, 1, 3, 2, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([-1, 1, 3, 2, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([True, 1, 3, 2, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, None, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 12345, 2, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 'love', 2, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, [3], 2, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, 2.5, None, TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, 2, [], TIME.isoformat(), {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, 2, None, 'yesterday', {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, 2, None, 5, {}, None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, 2, None, TIME.isoformat(), 'x', None])},
        {'operation_kwargs': kwargs_text([0, 1, 3, 2, None, TIME.isoformat(), {}, 'x'])},
        {'extra': 1},
    ],
    ids=lambda value: repr(value)[:80],
)
def test_a_worker_refuses_what_is_no_message(changes):
    messages.decode(FANOUT, (), wire(operation_kwargs=kwargs_text()))
    refused(None, **changes)


def test_a_worker_refuses_objects_as_an_old_pickled_message_holds_them():
    real = fanout_kwargs()
    for name in ('feed_manager', 'feed_class', 'operation', 'operation_kwargs'):
        refused(None, **{name: real[name]})


@pytest.mark.parametrize('missing', FANOUT)
def test_a_worker_refuses_a_message_that_lacks_something(missing):
    message = wire()
    del message[missing]
    with pytest.raises(MessageError, match='the task takes'):
        messages.decode(FANOUT, (), message)


@pytest.mark.parametrize('args', [(1,), (1, 2, 3, 4, 5, 6)])
def test_a_worker_refuses_too_many_arguments(args):
    with pytest.raises(MessageError, match='the task takes'):
        messages.decode(FANOUT, args, wire())


@pytest.mark.parametrize('changes', [{'user_id': None}, {'user_id': [1]}, {'target_ids': 5}, {'follow_limit': 'x'}])
def test_a_worker_refuses_bad_follows(changes):
    message = {'feed_manager': f'{__name__}:PlainManager', 'user_id': 1, 'target_ids': [2], 'follow_limit': 5}
    messages.decode(FOLLOW, (), message)
    with pytest.raises(MessageError):
        messages.decode(FOLLOW, (), {**message, **changes})


def test_here_real_objects_are_taken_as_they_are():
    kwargs = fanout_kwargs(operation=a_lambda, user_ids=iter([1]), feed_manager=NeedsArguments(1))
    assert messages.decode(FANOUT, (), kwargs, local=True)[1] == kwargs


def test_here_names_are_resolved_as_in_a_worker():
    decoded = messages.decode(FANOUT, (), wire(), local=True)[1]
    assert decoded['operation'] is an_operation and type(decoded['feed_manager']) is PlainManager
    with pytest.raises(MessageError):
        messages.decode(FANOUT, (), wire(operation='os:system'), local=True)


def test_a_doctest_publishes_to_itself_classes_that_are_in_no_module():
    namespace: dict[str, Any] = {'__name__': '__main__'}
    exec(
        'from stream_framework.feeds.base import BaseFeed\n'
        'class M:\n    def fanout(self): pass\n'
        'class F(BaseFeed): pass\n'
        'def operation(feed): pass\n',
        namespace,
    )
    kwargs = fanout_kwargs(feed_manager=namespace['M'](), feed_class=namespace['F'], operation=namespace['operation'])
    decoded = messages.decode(FANOUT, (), messages.encode(FANOUT, (), kwargs, local=True)[1], local=True)[1]
    assert decoded['operation'] is namespace['operation'] and decoded['feed_class'] is namespace['F']
    with pytest.raises(MessageError, match='script that was started'):
        messages.encode(FANOUT, (), kwargs)


SCRIPT = """
from celery import Celery
from stream_framework import tasks
from stream_framework.exceptions import MessageError
from stream_framework.feeds.base import BaseFeed

app = Celery(broker='memory://')

class ScriptManager:
    def fanout(self, user_ids, feed_class, operation, operation_kwargs):
        for user_id in user_ids:
            operation(feed_class(user_id), **operation_kwargs)

class ScriptFeed(BaseFeed):
    pass

def script_operation(feed, word):
    print(word, feed.key)

def publish():
    tasks.fanout_operation.delay(ScriptManager(), ScriptFeed, [1, 'b'], script_operation, {'word': 'hello'})

try:
    publish()
except MessageError as error:
    print('refused:', error)
app.conf.task_always_eager = True
publish()
"""


def test_a_script_publishes_eagerly_only(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    root = os.path.dirname(os.path.dirname(os.path.abspath(messages.__file__)))
    environment = {**os.environ, 'PYTHONPATH': root}
    done = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith('refused: manager __main__:ScriptManager') and 'move it into a module' in first
    assert others == ['hello feed_1', 'hello feed_b']
