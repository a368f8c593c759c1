"""Managers and feeds at module level, for every backend: task messages name them by path."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

from stream_framework.feed_managers.base import FanoutPriority, Manager
from tests.backends import BACKENDS, RUN, Backend

#: User id -> dict priority -> ids, or a function that makes it. Tests fill it.
FOLLOWERS: dict[Any, Any] = {}
_numbers = itertools.count(1)
#: What ``get_user_follower_ids`` was called with.
ASKED: list[dict[str, Any]] = []


class FollowersManager(Manager):
    """Knows the followers in ``FOLLOWERS``."""

    def get_user_follower_ids(self, *args: Any, **kwargs: Any) -> Any:
        assert not args, 'user_id is always given as a keyword'
        ASKED.append(kwargs)
        found = FOLLOWERS.get(kwargs['user_id'], {FanoutPriority.HIGH: []})
        return found() if callable(found) else found


#: Backend's name -> function that gives its manager class.
managers: dict[str, Callable[[], Any]] = {}


def _named(name: str, bases: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """A class at this module's level."""
    module = sys.modules[__name__]
    if not hasattr(module, name):
        setattr(module, name, type(name, bases, {'__module__': __name__, '__qualname__': name, **attributes}))
    return getattr(module, name)


def _make(backend: Backend, prefix: str) -> Any:
    from tests.contracts.aggregated_feed import ByObject

    def feed(kind: str, base: Any, **attributes: Any) -> Any:
        attributes['key_format'] = f'{RUN}:{prefix}:{kind}:%(user_id)s'
        if hasattr(base, 'markers_key_format'):
            attributes['markers_key_format'] = f'{RUN}:{prefix}:{kind}-markers:%(user_id)s'
        return _named(prefix + kind.capitalize(), (base,), {'trim_chance': 0, **attributes})

    feed_classes = {
        'normal': feed('normal', backend.feed_class),
        'aggregated': feed('aggregated', backend.aggregated_feed_class, aggregator_class=ByObject),
        'notification': feed('notification', backend.notification_feed_class),
    }
    return _named(
        prefix + 'Manager',
        (FollowersManager,),
        {'feed_classes': feed_classes, 'user_feed_class': feed('user', backend.user_feed_class)},
    )


for _backend in BACKENDS:
    managers[_backend.name] = lambda backend=_backend: _make(backend(), backend.name.title().replace('-', ''))


def with_follows(backend: Backend, **attributes: Any) -> Any:
    """A new manager class whose follows, feeds and keys are its own; attributes as given."""
    from tests.contracts.aggregated_feed import ByObject

    prefix = f'Follows{next(_numbers)}'
    if backend.follow_storage_class is not None:
        backend.follow_storage()  # makes its tables

    def feed(kind: str, base: Any, **more: Any) -> Any:
        more['key_format'] = f'{RUN}:{prefix}:{kind}:%(user_id)s'
        if hasattr(base, 'markers_key_format'):
            more['markers_key_format'] = f'{RUN}:{prefix}:{kind}-markers:%(user_id)s'
        feed_class = _named(prefix + kind.capitalize(), (base,), {'trim_chance': 0, **more})
        backend.prepare(feed_class)
        return feed_class

    values = {
        'feed_classes': {
            'normal': feed('normal', backend.feed_class),
            'aggregated': feed('aggregated', backend.aggregated_feed_class, aggregator_class=ByObject),
        },
        'user_feed_class': feed('user', backend.user_feed_class),
        'follow_storage_class': backend.follow_storage_class,
        'follow_name': f'{RUN} {prefix}',
        **attributes,
    }
    if values.pop('notifies', False):
        values['notification_feed_class'] = feed('notification', backend.notification_feed_class)
    return _named(prefix + 'Manager', (Manager,), values)
