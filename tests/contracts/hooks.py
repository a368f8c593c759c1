"""What an application overrides is called as often as 1.4.0 called it, with what 1.4.0 gave.

For each hook: a class that counts calls and then calls ``super()``, in every place that an application may put it. Its
signature is 1.4.0's without the tails, so that a new argument is a ``TypeError``. For each work: how many calls 1.4.0
made of it. A table of works and one of hooks; the tests are their product.
"""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from celery import current_app

from stream_framework.activity import Activity
from stream_framework.aggregators.base import BaseAggregator
from stream_framework.feed_managers.base import FanoutPriority, Manager, add_operation, remove_operation
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.base import BaseFeed, UserBaseFeed
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.serializers.base import BaseAggregatedSerializer, BaseSerializer
from stream_framework.storage.base import BaseActivityStorage, BaseTimelineStorage
from stream_framework.storage.base_lists_storage import BaseListsStorage
from tests.contracts.aggregated_feed import ByObject
from tests.contracts.support import act

HIGH, LOW = FanoutPriority.HIGH, FanoutPriority.LOW

#: The audiences of a fan-out.
AUDIENCES = ('one', 'two', 'many')
#: Where the overriding method is. The last two are patched after the class was made and used.
PLACES = ('class', 'grandchild', 'mixin before', 'mixin behind', 'patched', 'patched parent')
#: Works of one feed, done with one object.
DIRECT = ('add', 'remove', 'page', 'filtered page', 'index', 'count', 'trim', 'trimming add', 'delete', 'contains')
#: What a feed calls on its timeline storage.
CALLED = ('add_many', 'remove_many', 'get_slice', 'trim', 'count', 'delete', 'index_of')
#: How a feed says otherwise than by an attribute what it uses: then, in the class itself.
NAMED = {
    'timeline_storage': ('method',),
    'activity_storage': ('method',),
    'aggregator': ('method',),
    'timeline_serializer': ('options', 'method'),
}

_numbers = itertools.count(10**6)


@dataclass(frozen=True)
class Hook:
    """A method that an application overrides."""

    #: What has it: 'feed', 'timeline_storage' ...; 'user_feed' and 'user_timeline_storage' are those of the user feed.
    part: str
    name: str
    #: What 1.4.0 gave, without ``self``.
    parameters: str
    #: Work -> how often 1.4.0 called it: for each reader, or in all (:class:`Total`).
    calls: dict[str, Any]
    #: No more often either: it counts, publishes or writes.
    exact: bool = False
    #: Whether it is a class method.
    of_class: bool = False

    def __str__(self) -> str:
        return f'{self.part}.{self.name}'


@dataclass(frozen=True)
class Total:
    """So many calls in all, however many readers there are."""

    calls: int


def each(works: tuple[str, ...], calls: Any = 1, **more: Any) -> dict[str, Any]:
    """The same for several works, and others by name (``_`` stands for a space)."""
    return {**dict.fromkeys(works, calls), **{name.replace('_', ' '): count for name, count in more.items()}}


FAN_OUTS = tuple(f'fan-out to {count}' for count in AUDIENCES)
TAKE_BACKS = tuple(f'fan-out of a removal to {count}' for count in AUDIENCES)
READS = ('page', 'filtered page')
TRIMS = ('trimming add', 'trimming fan-out')
#: Works that add once to each reader, and that remove once from each.
ADDS = ('add', *FAN_OUTS, 'follow', *TRIMS)
REMOVES = ('remove', *TAKE_BACKS, 'unfollow')

_FOLLOWS = {'follow': Total(1), 'follow two': Total(2)}

# Each work adds, or removes, one activity for each reader; an import has two chunks of one.
FLAT = [
    Hook('feed', '__init__', 'user_id', each((*FAN_OUTS, *TAKE_BACKS, 'follow', 'unfollow', 'import'))),
    Hook('feed', 'add', 'activity', each(('add', 'trimming add')), exact=True),
    Hook('feed', 'add_many', 'activities, batch_interface=None, trim=True', each(ADDS, 1, **{'import': 2}), exact=True),
    Hook('feed', 'remove', 'activity_id', each(('remove',)), exact=True),
    Hook('feed', 'remove_many', 'activity_ids, batch_interface=None, trim=True', each(REMOVES), exact=True),
    Hook('feed', 'on_update_feed', 'new, deleted', each((*ADDS, *REMOVES), 1, **{'import': 2}), exact=True),
    Hook('feed', 'trim', 'length=None', each(('trim', *TRIMS))),
    Hook('feed', '__getitem__', 'item', each((*READS, 'unfollow'))),
    Hook('feed', 'get_activity_slice', 'start=None, stop=None, rehydrate=True', each((*READS, 'unfollow'))),
    Hook('feed', 'needs_hydration', 'activities', each((*READS, 'unfollow'))),
    Hook('feed', 'hydrate_activities', 'activities', each((*READS, 'unfollow'))),
    Hook('feed', 'filter', '**kwargs', each(('filtered page',)), exact=True),
    Hook('feed', 'count', '', each(('count',)), exact=True),
    Hook('feed', 'delete', '', each(('delete',)), exact=True),
    Hook('feed', 'index_of', 'activity_id', each(('index',)), exact=True),
    Hook('feed', 'get_timeline_storage', '', each((*ADDS, *REMOVES, *READS)), of_class=True),
    Hook('feed', 'get_timeline_storage_options', '', each((*ADDS, *REMOVES, *READS)), of_class=True),
    Hook('feed', 'get_activity_storage', '', each(READS), of_class=True),
    Hook('feed', 'get_timeline_batch_interface', '', each((*FAN_OUTS, *TAKE_BACKS), Total(1)), of_class=True),
    Hook('user_feed', '__init__', 'user_id', each(('publish', 'take back', 'import', 'follow'), Total(1))),
    Hook('user_feed', 'insert_activity', 'activity', each(('publish',), Total(1)), of_class=True),
    Hook('user_feed', 'insert_activities', 'activities', {'publish': Total(1), 'import': Total(2)}, of_class=True),
    Hook('user_feed', 'add', 'activity', each(('publish',), Total(1)), exact=True),
    Hook('user_feed', 'add_many', 'activities, trim=True', {'publish': Total(1), 'import': Total(2)}, exact=True),
    Hook('user_feed', 'remove', 'activity_id', each(('take back',), Total(1)), exact=True),
    Hook('user_feed', 'remove_many', 'activity_ids', each(('take back',), Total(1)), exact=True),
    Hook(
        'user_feed',
        'on_update_feed',
        'new, deleted',
        {'publish': Total(1), 'take back': Total(1), 'import': Total(2)},
        exact=True,
    ),
    Hook('user_feed', '__getitem__', 'item', _FOLLOWS),
    Hook('user_feed', 'get_activity_slice', 'start=None, stop=None, rehydrate=True', _FOLLOWS),
    Hook('user_feed', 'needs_hydration', 'activities', _FOLLOWS),
    Hook('user_feed', 'hydrate_activities', 'activities', _FOLLOWS),
]

_SLICE = 'key, start, stop, filter_kwargs=None, ordering_args=None'


def timeline_hooks(part: str, adds: dict[str, Any], removes: dict[str, Any], reads: dict[str, Any]) -> list[Hook]:
    """Those of a timeline storage of activities."""
    return [
        Hook(part, 'add_many', 'key, activities, batch_interface=None', adds, exact=True),
        Hook(part, 'add_to_storage', 'key, activities, batch_interface=None', adds),
        Hook(part, 'remove_many', 'key, activities, batch_interface=None', removes, exact=True),
        Hook(part, 'remove_from_storage', 'key, activities, batch_interface=None', removes),
        Hook(part, 'get_slice', _SLICE, reads),
        Hook(part, 'get_slice_from_storage', _SLICE, reads),
        Hook(part, 'serialize_activities', 'activities', {**adds, **removes}),
        Hook(part, 'serialize_activity', 'activity', {**adds, **removes}),
        Hook(part, 'activity_to_id', 'activity', {**adds, **removes}),
        Hook(part, 'deserialize_activities', 'serialized_activities', reads),
    ]


FLAT += timeline_hooks('timeline_storage', each(ADDS, 1, **{'import': 2}), each(REMOVES), each((*READS, 'unfollow')))
FLAT += timeline_hooks(
    'user_timeline_storage',
    {'publish': Total(1), 'import': Total(2)},
    each(('take back',), Total(1)),
    _FOLLOWS,
)
FLAT += [
    Hook('timeline_storage', 'trim', 'key, length', each(('trim', *TRIMS))),
    Hook('timeline_storage', 'count', 'key', each(('count',)), exact=True),
    Hook('timeline_storage', 'delete', 'key', each(('delete',)), exact=True),
    Hook('timeline_storage', 'index_of', 'key, activity_or_id', each(('index',)), exact=True),
    Hook('timeline_storage', 'get_index_of', 'key, activity_id', each(('index',))),
    Hook('timeline_storage', 'activities_to_ids', 'activities', each(('index',))),
    Hook('timeline_storage', 'get_batch_interface', '', each((*FAN_OUTS, *TAKE_BACKS), Total(1))),
    Hook('timeline_serializer', 'dumps', 'activity', each(ADDS, 1, **{'import': 2})),
    Hook('timeline_serializer', 'loads', 'serialized_activity', each((*READS, 'unfollow'))),
]

_STORES = {'insert': Total(1), 'publish': Total(1), 'import': Total(2)}
_FINDS = {'page': 1, 'filtered page': 1, 'follow': Total(1), 'follow two': Total(2)}
#: Not where the timeline holds whole activities.
ACTIVITIES = [
    Hook('activity_storage', 'add_many', 'activities', _STORES, exact=True),
    Hook('activity_storage', 'serialize_activities', 'activities', _STORES),
    Hook('activity_storage', 'serialize_activity', 'activity', _STORES),
    Hook('activity_storage', 'add_to_storage', 'activities', _STORES),
    Hook('activity_storage', 'get_many', 'activity_ids', {**_FINDS, 'get': Total(1)}),
    Hook('activity_storage', 'get_from_storage', 'activity_ids', {**_FINDS, 'get': Total(1)}),
    Hook('activity_storage', 'deserialize_activities', 'serialized_activities', {**_FINDS, 'get': Total(1)}),
    Hook('activity_storage', 'remove', 'activity', {'remove the activity': Total(1)}, exact=True),
    Hook('activity_storage', 'remove_many', 'activities', {'remove the activity': Total(1)}, exact=True),
    Hook('activity_storage', 'remove_from_storage', 'activity_ids', {'remove the activity': Total(1)}),
    Hook('activity_serializer', 'dumps', 'activity', _STORES),
    Hook('activity_serializer', 'check_type', 'data', _STORES),
    Hook('activity_serializer', 'loads', 'serialized_activity', _FINDS),
]

# Each reader has a group already, which an addition makes grow, and from which a removal takes one of two.
GROUP_ADDS = ('add', *FAN_OUTS, 'follow', *TRIMS)
GROUP_REMOVES = ('remove', *TAKE_BACKS, 'unfollow')
GROUP_CHANGES = (*GROUP_ADDS, *GROUP_REMOVES)
GROUPS = [
    Hook('feed', '__init__', 'user_id', each((*FAN_OUTS, *TAKE_BACKS, 'follow', 'unfollow', 'import'))),
    Hook(
        'feed',
        'add_many',
        'activities, trim=True, current_activities=None, batch_interface=None',
        each(GROUP_ADDS, 1, **{'import': 2}),
        exact=True,
    ),
    Hook('feed', 'remove_many', 'activities, batch_interface=None, trim=True', each(GROUP_REMOVES), exact=True),
    Hook('feed', 'on_update_feed', 'new, deleted', each(GROUP_CHANGES), exact=True),
    Hook('feed', 'get_aggregator', '', each(GROUP_ADDS)),
    Hook('feed', '_update_from_diff', 'new, changed, deleted', each(GROUP_CHANGES), exact=True),
    Hook('feed', '_translate_diff', 'new, changed, deleted', each(GROUP_CHANGES), exact=True),
    Hook('feed', 'add_many_aggregated', 'aggregated, batch_interface=None', each(GROUP_CHANGES), exact=True),
    Hook('feed', 'remove_many_aggregated', 'aggregated, batch_interface=None', each(GROUP_CHANGES), exact=True),
    Hook(
        'feed',
        'get_activity_slice',
        'start=None, stop=None, rehydrate=True',
        each((*GROUP_CHANGES, *READS, 'contains')),
    ),
    Hook('feed', 'needs_hydration', 'activities', each((*GROUP_CHANGES, *READS, 'contains'))),
    Hook('feed', 'hydrate_activities', 'activities', each((*GROUP_CHANGES, *READS, 'contains'))),
    Hook('feed', 'get_timeline_storage', '', each((*GROUP_CHANGES, *READS)), of_class=True),
    Hook('feed', 'get_timeline_storage_options', '', each((*GROUP_CHANGES, *READS)), of_class=True),
    Hook('timeline_storage', 'add_many', 'key, activities, batch_interface=None', each(GROUP_CHANGES), exact=True),
    Hook('timeline_storage', 'remove_many', 'key, activities, batch_interface=None', each(GROUP_CHANGES), exact=True),
    Hook('timeline_storage', 'add_to_storage', 'key, activities, batch_interface=None', each(GROUP_CHANGES)),
    Hook('timeline_storage', 'remove_from_storage', 'key, activities, batch_interface=None', each(GROUP_CHANGES)),
    Hook('timeline_storage', 'serialize_activities', 'activities', each(GROUP_CHANGES)),
    Hook('timeline_storage', 'serialize_activity', 'activity', each(GROUP_CHANGES)),
    Hook('timeline_storage', 'activity_to_id', 'activity', each(GROUP_CHANGES)),
    Hook('timeline_storage', 'get_slice', _SLICE, each((*GROUP_CHANGES, *READS))),
    Hook('timeline_storage', 'get_slice_from_storage', _SLICE, each((*GROUP_CHANGES, *READS))),
    Hook('timeline_storage', 'deserialize_activities', 'serialized_activities', each((*GROUP_CHANGES, *READS))),
    Hook('timeline_storage', 'trim', 'key, length', each(('trim', *TRIMS))),
    Hook('timeline_serializer', 'dumps', 'aggregated', each(GROUP_CHANGES)),
    Hook('timeline_serializer', 'loads', 'serialized_aggregated', each((*GROUP_CHANGES, *READS))),
    Hook('aggregator', 'merge', 'aggregated, activities', each(GROUP_ADDS)),
    Hook('aggregator', 'aggregate', 'activities', each(GROUP_ADDS)),
    Hook('aggregator', 'group_activities', 'activities', each(GROUP_ADDS)),
    Hook('aggregator', 'get_group', 'activity', each(GROUP_ADDS)),
    Hook('aggregator', 'rank', 'aggregated_activities', each(GROUP_ADDS)),
]

_MARK = ('mark one', 'mark many')
NOTIFICATIONS = [hook for hook in GROUPS if hook.name != 'hydrate_activities'] + [
    Hook(
        'feed',
        'update_markers',
        "unseen_ids=None, unread_ids=None, operation='add'",
        # A group that only shrinks keeps its markers as they are, if it had any.
        {**each(GROUP_ADDS, 2), **each((*GROUP_REMOVES, *_MARK))},
    ),
    Hook('feed', 'mark_activity', 'activity_id, seen=True, read=False', each(('mark one',)), exact=True),
    Hook('feed', 'mark_activities', 'activity_ids, seen=True, read=False', each(_MARK), exact=True),
    Hook('feed', 'mark_all', 'seen=True, read=False', each(('mark all',)), exact=True),
    Hook('feed', 'count_unseen', '', each(('count unseen',)), exact=True),
    Hook('lists_storage', 'add', '**lists', each(GROUP_CHANGES)),
    Hook('lists_storage', 'remove', '**lists', each((*GROUP_CHANGES, *_MARK))),
    Hook('lists_storage', 'get', '*names', each(READS)),
    Hook('lists_storage', 'count', '*names', each(('count unseen', 'notification data'))),
    Hook('lists_storage', 'flush', '*names', each(('mark all', 'delete'))),
    Hook('activity_serializer_class', 'dumps', 'activity', each(GROUP_CHANGES)),
    Hook('activity_serializer_class', 'loads', 'serialized_activity', each((*GROUP_CHANGES, *READS))),
]

# One feed class, two priorities; an import has two chunks.
MANAGER = [
    Hook(
        'manager', 'get_user_follower_ids', 'user_id', {'publish': Total(1), 'take back': Total(1), 'import': Total(2)}
    ),
    Hook(
        'manager',
        'get_user_feed',
        'user_id',
        {**each(('publish', 'take back', 'follow'), Total(1)), 'follow two': Total(2)},
    ),
    Hook('manager', 'get_feeds', 'user_id', each(('follow', 'unfollow', 'follow two'), Total(1))),
    Hook(
        'manager',
        'create_fanout_tasks',
        'follower_ids, feed_class, operation, operation_kwargs=None, fanout_priority=None',
        {'publish': Total(2), 'take back': Total(2), 'import': Total(4)},
        exact=True,
    ),
    Hook(
        'manager',
        'get_fanout_task',
        'priority=None, feed_class=None',
        {'publish': Total(2), 'take back': Total(2), 'import': Total(4)},
    ),
    Hook(
        'manager',
        'fanout',
        'user_ids, feed_class, operation, operation_kwargs',
        {'publish': Total(2), 'take back': Total(2), 'import': Total(4)},
        exact=True,
    ),
    Hook('manager', 'add_user_activity', 'user_id, activity', {'publish': Total(1), 'update': Total(1)}, exact=True),
    Hook('manager', 'update_user_activities', 'activities', {'update': Total(1)}, exact=True),
    Hook('manager', 'follow_many_users', 'user_id, target_ids, async_=True', {'follow': Total(1)}, exact=True),
    Hook('manager', 'unfollow_many_users', 'user_id, source_ids, async_=True', {'unfollow': Total(1)}, exact=True),
]

#: What 1.4.0's own class of a backend defined: a mixin behind it was never asked for these.
DEFINED = {
    'timeline_storage': {
        'contains',
        'get_index_of',
        'get_slice_from_storage',
        'add_to_storage',
        'remove_from_storage',
        'get_batch_interface',
        'count',
        'delete',
        'trim',
        'index_of',
    },
    'activity_storage': {'get_from_storage', 'add_to_storage', 'remove_from_storage', 'flush'},
    'timeline_serializer': {'dumps', 'loads'},
    'activity_serializer': {'dumps', 'loads'},
    'activity_serializer_class': {'dumps', 'loads'},
    'aggregator': {'get_group', 'rank'},
    'lists_storage': {'add', 'remove', 'get', 'count', 'flush'},
    'feed': {'get_timeline_storage_options'},
    # Bases that are no backend's: nothing stands in front of a mixin but what they define.
    'user_feed': {'get_timeline_storage_options'},
    'manager': {'get_user_follower_ids'},
}

_ABSTRACT = {
    'timeline_storage': BaseTimelineStorage,
    'activity_storage': BaseActivityStorage,
    'activity_serializer': BaseSerializer,
    'activity_serializer_class': BaseSerializer,
    'aggregator': BaseAggregator,
    'lists_storage': BaseListsStorage,
    'user_feed': UserBaseFeed,
    'manager': Manager,
}
_FEEDS = {'flat': BaseFeed, 'aggregated': AggregatedFeed, 'notification': BaseNotificationFeed}
_KINDS = {'flat': FLAT, 'aggregated': GROUPS, 'notification': NOTIFICATIONS}


def kind_of(hook: Hook) -> str:
    """The part without the feed that it belongs to."""
    return hook.part.removeprefix('user_') if hook.part != 'user_feed' else hook.part


#: Of what type 1.4.0 gave something: overrides sort it, slice it, or ask for its items.
GIVEN: dict[str, dict[str, Any]] = {
    'timeline_storage.add_many': {'key': str, 'activities': (list, tuple)},
    'timeline_storage.remove_many': {'key': str, 'activities': (list, tuple)},
    'timeline_storage.add_to_storage': {'key': str, 'activities': dict},
    'timeline_storage.remove_from_storage': {'key': str, 'activities': dict},
    'timeline_storage.serialize_activities': {'activities': (list, tuple)},
    'timeline_storage.deserialize_activities': {'serialized_activities': (list, tuple, dict)},
    'activity_storage.add_many': {'activities': (list, tuple)},
    'activity_storage.add_to_storage': {'activities': dict},
    'activity_storage.get_many': {'activity_ids': (list, tuple)},
    'activity_storage.get_from_storage': {'activity_ids': (list, tuple)},
    'activity_storage.deserialize_activities': {'serialized_activities': (list, tuple, dict)},
    'activity_storage.remove_from_storage': {'activity_ids': (list, tuple)},
    'feed.add_many': {'activities': (list, tuple)},
    'feed.remove_many': {'activity_ids': (list, tuple), 'activities': (list, tuple)},
    'feed.on_update_feed': {'new': (list, tuple), 'deleted': (list, tuple)},
    'feed.needs_hydration': {'activities': (list, tuple)},
    'feed.hydrate_activities': {'activities': (list, tuple)},
    'feed._update_from_diff': {'new': list, 'changed': list, 'deleted': list},
    'feed._translate_diff': {'new': list, 'changed': list, 'deleted': list},
    'feed.add_many_aggregated': {'aggregated': list},
    'feed.remove_many_aggregated': {'aggregated': list},
    'feed.update_markers': {'unseen_ids': list, 'unread_ids': list, 'operation': str},
    'aggregator.merge': {'aggregated': list, 'activities': (list, tuple)},
    'aggregator.aggregate': {'activities': (list, tuple)},
    'aggregator.group_activities': {'activities': (list, tuple)},
    'aggregator.rank': {'aggregated_activities': list},
    'manager.fanout': {'user_ids': (list, tuple), 'operation_kwargs': dict},
}


class Calls:
    """Counts calls while it is on: key of the reader, or ``None`` where a hook is not given it -> number."""

    def __init__(self) -> None:
        self.on = False
        self.counted: Counter[Any] = Counter()
        #: What was given that 1.4.0 gave otherwise.
        self.unlike: set[str] = set()

    def count(self, do: Callable[[], Any]) -> None:
        """Count the calls that a work makes."""
        self.counted.clear()
        self.unlike.clear()
        self.on = True
        try:
            do()
        finally:
            self.on = False

    def note(self, hook: Hook, subject: Any, given: Any, arguments: dict[str, Any]) -> None:
        if not self.on:
            return
        self.counted[self._key(hook, subject, given)] += 1
        for name, kind in GIVEN.get(f'{kind_of(hook)}.{hook.name}', {}).items():
            if name in arguments and not isinstance(arguments[name], kind):
                self.unlike.add(f'{name} is a {type(arguments[name]).__name__}')

    def _key(self, hook: Hook, subject: Any, given: Any) -> Any:
        if hook.of_class:
            return None
        if hook.name == '__init__':
            return subject.key_format % {'user_id': given}
        if hook.part in ('feed', 'user_feed'):
            return subject.key
        return given if hook.parameters.startswith('key') else None


def overriding(hook: Hook, calls: Calls, upwards: Callable[[Any], Any]) -> Any:
    """The method of an application: counts, and passes on what it was given.

    :param upwards: gives what ``super()`` has for an object or class
    """
    names = [part.strip() for part in hook.parameters.split(',') if part.strip()]
    passed = []
    for name in names:
        bare = name.split('=')[0]
        passed.append(f'{bare}={bare}' if '=' in name else bare)
    first = names[0].split('=')[0].lstrip('*') if names else 'None'
    everything = ', '.join(f'{name}={name}' for name in (name.split('=')[0].lstrip('*') for name in names))
    source = (
        f'def {hook.name}(self{"".join(", " + name for name in names)}):\n'
        f'    calls.note(hook, self, {first}, dict({everything}))\n'
        f'    return upwards(self)({", ".join(passed)})\n'
    )
    made: dict[str, Any] = {'calls': calls, 'hook': hook, 'upwards': upwards}
    exec(source, made)
    return classmethod(made[hook.name]) if hook.of_class else made[hook.name]


def override(hook: Hook, calls: Calls, base: Any, bases: tuple[Any, ...] | None = None) -> Any:
    """A class with the overriding method."""
    owner: list[Any] = []
    method = overriding(hook, calls, lambda given: getattr(super(owner[0], given), hook.name))
    owner.append(type('Overriding', (base,) if bases is None else bases, {hook.name: method, '__module__': __name__}))
    return owner[0]


def placed(hook: Hook, calls: Calls, base: Any, abstract: Any, place: str) -> tuple[Any, Callable[[Any], None]]:
    """A class whose hook is overridden in a certain place, and what to call, with a monkeypatch, to patch it."""

    def nothing(patch: Any) -> None:
        pass

    if place == 'grandchild':
        return type('Grandchild', (override(hook, calls, base),), {'__module__': __name__}), nothing
    if place == 'mixin before':
        return type('Mixed', (override(hook, calls, object, (object,)), base), {'__module__': __name__}), nothing
    if place == 'mixin behind':
        return type('Mixed', (base, override(hook, calls, abstract)), {'__module__': __name__}), nothing
    if place.startswith('patched'):
        parent = type('Parent', (base,), {'__module__': __name__})
        made = type('Patched', (parent,), {'__module__': __name__})
        target = parent if place == 'patched parent' else made

        def patch_it(patch: Any) -> None:
            original = inspect.getattr_static(target, hook.name)
            method = overriding(hook, calls, lambda given: original.__get__(*_bound(given)))
            patch.setattr(target, hook.name, method)

        return made, patch_it
    return override(hook, calls, base), nothing


def _bound(given: Any) -> tuple[Any, Any]:
    return (None, given) if isinstance(given, type) else (given, type(given))


@dataclass
class Scene:
    """Feeds, a manager, and what is overridden of one of them."""

    backend: Any
    kind: str
    feed_class: Any
    user_feed_class: Any
    manager: Any
    #: A follower's ids by priority, what ``get_user_follower_ids`` gives.
    followers: dict[str, Any] = field(default_factory=dict)
    #: How many readers an audience of many has.
    many: int = 150
    #: What a test does to a single feed.
    touch: Callable[[Any], Any] = lambda feed: feed

    def reader(self, count: int = 1) -> list[Any]:
        """Users whom nobody has written to, each with two activities in the feed: of one object, so in one group."""
        readers = [next(_numbers) for _ in range(count)]
        self.fan_out(readers, [self.activity(0), self.activity(1)], trim=False)
        return readers

    def activity(self, number: int, actor: int = 7) -> Activity:
        return act(number, actor=actor, object=3)

    def stored(self, activities: list[Activity]) -> list[Activity]:
        self.feed_class.insert_activities(activities)
        return activities

    def fan_out(
        self, readers: list[Any], activities: list[Activity], operation: Any = add_operation, trim: bool = True
    ) -> None:
        if operation is add_operation:
            self.stored(activities)
        self.manager.fanout(readers, self.feed_class, operation, {'activities': activities, 'trim': trim})

    def keys(self, readers: list[Any]) -> list[str]:
        return [self.feed_class.key_format % {'user_id': reader} for reader in readers]

    def published(self, author: int, count: int = 2) -> None:
        """Fill the user feed of somebody."""
        activities = [self.activity(number, author) for number in range(5, 5 + count)]
        self.user_feed_class.insert_activities(activities)
        self.user_feed_class(author).add_many(activities)


#: What a work gives: the keys of the feeds that it is about, and how to do it.
Work = tuple[list[str], Callable[[], Any]]


def prepare(scene: Scene, work: str) -> Work:
    """Get everything ready for a work."""
    if work.startswith('fan-out'):
        readers = scene.reader({'one': 1, 'two': 2, 'many': scene.many}[work.split()[-1]])
        if 'removal' in work:
            return scene.keys(readers), lambda: scene.fan_out(readers, [scene.activity(1)], remove_operation, False)
        return scene.keys(readers), lambda: scene.fan_out(readers, [scene.activity(2)])
    if work == 'trimming fan-out':
        readers = scene.reader(2)
        scene.feed_class.trim_chance = 1
        return scene.keys(readers), lambda: scene.fan_out(readers, [scene.activity(2)])
    if work in ('publish', 'take back', 'import', 'update'):
        return published(scene, work)
    if work.startswith('follow') or work == 'unfollow':
        return followed(scene, work)
    [reader] = scene.reader()
    activities = scene.stored([scene.activity(number) for number in range(3)])
    feed_class = scene.feed_class
    if work == 'trimming add':
        feed_class.trim_chance = 1

    def feed() -> Any:
        return scene.touch(feed_class(reader))

    first = feed()[:1] if scene.kind == 'notification' else []
    found = [group.serialization_id for group in first]
    works: dict[str, Callable[[], Any]] = {
        'add': lambda: feed().add(activities[2]),
        'trimming add': lambda: feed().add(activities[2]),
        'remove': lambda: feed().remove(activities[1]),
        'page': lambda: feed()[:5],
        'filtered page': lambda: feed().filter(activity_id__gt=0)[:5],
        'index': lambda: feed().index_of(activities[1]),
        'count': lambda: feed().count(),
        'trim': lambda: feed().trim(1),
        'delete': lambda: feed().delete(),
        'insert': lambda: feed_class.insert_activity(activities[2]),
        'get': lambda: feed_class.get_activity_storage().get(activities[1].serialization_id),
        'remove the activity': lambda: feed_class.remove_activity(activities[1]),
        'contains': lambda: feed().contains(activities[1]),
        'mark one': lambda: feed().mark_activity(found[0]),
        'mark many': lambda: feed().mark_activities(found),
        'mark all': lambda: feed().mark_all(),
        'count unseen': lambda: feed().count_unseen(),
        'notification data': lambda: feed().get_notification_data(),
    }
    return scene.keys([reader]), works[work]


def published(scene: Scene, work: str) -> Work:
    author = next(_numbers)
    readers = scene.reader(2)
    manager = scene.manager
    scene.followers.update({HIGH: readers[:1], LOW: readers[1:]})
    new = [scene.activity(number, author) for number in (3, 4)]
    if work in ('take back', 'update'):
        manager.add_user_activity(author, new[0])
    works: dict[str, Callable[[], Any]] = {
        'publish': lambda: manager.add_user_activity(author, new[0]),
        'take back': lambda: manager.remove_user_activity(author, new[0]),
        'update': lambda: manager.update_user_activity(new[0]),
        'import': lambda: manager.batch_import(author, new, chunk_size=1),
    }
    return scene.keys(readers), works[work]


def followed(scene: Scene, work: str) -> Work:
    [reader] = scene.reader()
    authors = [next(_numbers) for _ in range(2 if work == 'follow two' else 1)]
    for author in authors:
        scene.published(author)
    if work == 'unfollow':
        scene.manager.follow_user(reader, authors[0], async_=False)
        return scene.keys([reader]), lambda: scene.manager.unfollow_user(reader, authors[0], async_=False)
    if work == 'follow':
        return scene.keys([reader]), lambda: scene.manager.follow_user(reader, authors[0], async_=False)
    return scene.keys([reader]), lambda: scene.manager.follow_many_users(reader, authors, async_=False)


def importable(made: Any) -> Any:
    """The class, at this module's level: messages name classes by path."""
    made.__name__ = made.__qualname__ = f'{made.__name__}{next(_numbers)}'
    made.__module__ = __name__
    globals()[made.__name__] = made
    return made


def own(base: Any, **attributes: Any) -> Any:
    """A subclass with some attributes."""
    return type('Own', (base,), {'__module__': __name__, **attributes})


def naming(feed_class: Any, kind: str, part: Any, way: str) -> Any:
    """A feed class that says what it uses: by an attribute, the options of its timeline storage, or a method."""
    if kind == 'activity_serializer_class':
        serializer = own(feed_class.timeline_serializer, activity_serializer_class=part)
        return own(feed_class, timeline_serializer=serializer)
    if way in PLACES:
        attribute = {'aggregator': 'aggregator_class', 'lists_storage': 'markers_storage_class'}.get(
            kind, kind if kind.endswith('serializer') else f'{kind}_class'
        )
        return own(feed_class, **{attribute: part})
    if kind == 'timeline_serializer':

        def get_options(cls: Any) -> Any:
            return {**feed_class.get_timeline_storage_options.__func__(cls), 'serializer_class': part}

        if way == 'options':
            return own(feed_class, get_timeline_storage_options=classmethod(get_options))
        return own(
            feed_class,
            get_timeline_storage=classmethod(lambda cls: cls.timeline_storage_class(**get_options(cls))),
        )
    if kind == 'timeline_storage':
        return own(feed_class, get_timeline_storage=classmethod(lambda cls: part(**cls.get_timeline_storage_options())))
    if kind == 'activity_storage':
        return own(
            feed_class,
            get_activity_storage=classmethod(
                lambda cls: part(serializer_class=cls.activity_serializer, activity_class=cls.activity_class)
            ),
        )
    return own(feed_class, get_aggregator=lambda self: part(self.aggregated_activity_class, self.activity_class))


def bases_of(feed_class: Any, kind: str) -> Any:
    """What of this kind a feed class has without an application."""
    if kind == 'activity_serializer_class':
        return ActivitySerializer
    attribute = {'aggregator': 'aggregator_class', 'lists_storage': 'markers_storage_class'}.get(
        kind, kind if kind.endswith('serializer') else f'{kind}_class'
    )
    return getattr(feed_class, attribute)


class FollowersManager(Manager):
    """An application's manager."""

    followers: Any

    def get_user_follower_ids(self, user_id: Any) -> Any:
        return self.followers


def scene_of(backend: Any, kind: str, hook: Hook, place: str, calls: Calls) -> tuple[Scene, Callable[[Any], None]]:
    """The scene of a test, and what patches its hook."""
    feed_class = {
        'flat': backend.flat,
        'aggregated': lambda: backend.aggregated(aggregator_class=ByObject),
        'notification': lambda: backend.notification(aggregator_class=ByObject),
    }[kind]()
    user_feed_class = backend.make(backend.user_feed_class)
    manager_class: Any = FollowersManager
    part = kind_of(hook)
    inside = place if place in PLACES else 'class'
    if hook.part == 'manager':
        manager_class, patch = placed(hook, calls, FollowersManager, Manager, inside)
    elif place == 'object':
        patch = lambda given: None  # noqa: E731
    elif hook.part == 'feed':
        feed_class, patch = placed(hook, calls, feed_class, _FEEDS[kind], inside)
    elif hook.part == 'user_feed':
        user_feed_class, patch = placed(hook, calls, user_feed_class, UserBaseFeed, inside)
    else:
        abstract = _ABSTRACT.get(part, BaseSerializer if kind == 'flat' else BaseAggregatedSerializer)
        made, patch = placed(hook, calls, bases_of(feed_class, part), abstract, inside)
        if hook.part.startswith('user_') or part.startswith('activity_s'):
            user_feed_class = naming(user_feed_class, part, made, place)
        if not hook.part.startswith('user_'):
            feed_class = naming(feed_class, part, made, place)
    followers: dict[str, Any] = {}
    manager_class = importable(
        own(
            manager_class,
            feed_classes={'only': importable(own(feed_class))},
            user_feed_class=importable(own(user_feed_class)),
            followers=followers,
        )
    )
    manager = manager_class()
    scene = Scene(backend, kind, manager.feed_classes['only'], manager.user_feed_class, manager, followers)
    if place == 'object':
        scene.touch = lambda feed: touched(hook, calls, feed)
    return scene, patch


def touched(hook: Hook, calls: Calls, feed: Any) -> Any:
    """A feed that has the overriding method itself, or whose timeline storage has."""
    target = feed if hook.part == 'feed' else feed.timeline_storage
    method = overriding(hook, calls, lambda given: getattr(type(given), hook.name).__get__(given))
    setattr(target, hook.name, method.__get__(target))
    return feed


def applies(kind: str, hook: Hook, place: str) -> bool:
    """Whether an application of 1.4.0 could override this there."""
    part = kind_of(hook)
    if place == 'object':
        return (
            (hook.part == 'feed' and not hook.of_class and not hook.name.startswith('__'))
            or (hook.part == 'timeline_storage' and hook.name in CALLED)
        ) and not set(DIRECT).isdisjoint(hook.calls)
    if place in PLACES:
        return place != 'mixin behind' or hook.name not in DEFINED.get(part, ())
    return place in NAMED.get(part, ())


CASES = [
    pytest.param(kind, hook, place, id=f'{kind}-{hook}-{place.replace(" ", "_")}')
    for kind, hooks in {
        'flat': FLAT + ACTIVITIES + MANAGER,
        'aggregated': GROUPS,
        'notification': NOTIFICATIONS,
    }.items()
    for hook in hooks
    for place in (*PLACES, 'options', 'method', 'object')
    if applies(kind, hook, place)
]


def missed(hook: Hook, wanted: Any, keys: list[str], counted: Counter[Any]) -> str | None:
    """What differs from 1.4.0, ``None`` if nothing does."""
    if isinstance(wanted, Total) or set(counted) == {None}:
        total = wanted.calls if isinstance(wanted, Total) else wanted * len(keys)
        pairs = [(sum(counted.values()), total)]
    else:
        pairs = [(counted[key], wanted) for key in keys]
    wrong = [pair for pair in pairs if pair[0] < pair[1] or (hook.exact and pair[0] != pair[1])]
    return f'{wrong[0][0]} calls, not {wrong[0][1]}, for {len(wrong)} of {len(pairs)}' if wrong else None


class HooksContract:
    @pytest.fixture(autouse=True)
    def eager(self) -> Iterator[None]:
        conf = current_app.conf
        before = {name: conf[name] for name in ('task_always_eager', 'task_eager_propagates')}
        conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        conf.update(before)

    @pytest.mark.parametrize(('kind', 'hook', 'place'), CASES)
    def test_an_override_is_called_as_often_as_by_1_4_0(
        self, backend: Any, kind: str, hook: Hook, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if backend.whole_activities and (
            hook.part.startswith('activity_s') or hook.name in ('hydrate_activities', 'get_activity_storage')
        ):
            pytest.skip('the timeline holds whole activities')
        if hook.part == 'lists_storage' and backend.lists_storage_path is None:
            pytest.skip('markers are in the feed itself')
        if backend.name not in ('memory', 'redis') and place not in ('class', 'method'):
            pytest.skip('where it stands is the same on all backends, and tested on others')
        calls = Calls()
        scene, patch = scene_of(backend, kind, hook, place, calls)
        if place not in ('class', 'method') or backend.name == 'cassandra':
            scene.many = 20
        works = [work for work in hook.calls if place != 'object' or work in DIRECT]
        differences = {}
        for work in works:
            scene.feed_class.trim_chance = 0
            keys, do = prepare(scene, work)
            if work == works[0]:
                patch(monkeypatch)
            try:
                calls.count(do)
            except TypeError as error:
                differences[work] = str(error)
                continue
            difference = missed(hook, hook.calls[work], keys, calls.counted) or ', '.join(sorted(calls.unlike))
            if difference:
                differences[work] = difference
        assert not differences, f'{hook}, {place}: ' + '; '.join(f'{work}: {differences[work]}' for work in differences)
        if place.startswith('patched'):
            monkeypatch.undo()
            calls.count(prepare(scene, works[0])[1])
            assert not calls.counted, f'{hook} is called though nothing patches it any more'
