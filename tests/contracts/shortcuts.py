"""Whatever a shortcut goes past is called as often as the plain forms call it, where an application overrides it.

The pairs are found in the library's classes, not listed here: each shortcut, and each ``unchanged``, names hooks. For
each hook, a subclass of each class that has such a shortcut counts calls. The same works run twice: once as they are,
and once with those shortcuts turned off. Both count the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream_framework.feed_managers.base import Manager, add_operation, remove_operation, update_operation
from stream_framework.utils.shortcuts import Shortcut, shortcuts_of, unchanged
from stream_framework.verbs import Comment
from tests.contracts.support import act, acts

#: What a feed is made of: what each part is called, and the attribute of the feed class that names its class.
PARTS = {
    'feed': None,
    'timeline_storage': 'timeline_storage_class',
    'activity_storage': 'activity_storage_class',
    'markers_storage': 'markers_storage_class',
    'timeline_serializer': 'timeline_serializer',
    'activity_serializer': 'activity_serializer',
    'aggregator': 'aggregator_class',
    'group': 'aggregated_activity_class',
}
KINDS = ('flat', 'aggregated', 'notification')
READERS = (1, 2, 3)


def hooks_of(cls: Any) -> dict[str, list[str]]:
    """Hook -> the names of the shortcuts of a class that go past it."""
    named: dict[str, list[str]] = {}
    for shortcut in shortcuts_of(cls):
        for hook in shortcut.hooks:
            named.setdefault(hook, []).append(shortcut.name)
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if isinstance(found, unchanged):
            for hook in found.hooks:
                named.setdefault(hook, []).append(name)
    return named


def override_of(made: Any, hook: str, calls: list[str]) -> Any:
    """Return what notes each call of a hook and goes on; ``None`` for what is no method or property."""
    usual = inspect.getattr_static(made, hook, None)
    if isinstance(usual, Shortcut):
        usual = usual.form
    if isinstance(usual, property):

        def get(self: Any) -> Any:
            calls.append(hook)
            return getattr(super(made, self), hook)

        return property(get)
    if isinstance(usual, classmethod):

        def of_class(cls: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(hook)
            return getattr(super(made, cls), hook)(*args, **kwargs)

        return classmethod(of_class)
    if inspect.isfunction(usual) and hook not in ('__init__', '__new__'):

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(hook)
            return getattr(super(made, self), hook)(*args, **kwargs)

        return method
    return None


def plain_form_past(hook: str, cls: Any) -> Callable[[Shortcut, type], bool]:
    """Return what makes every shortcut of a class past a hook step back."""
    usual = Shortcut.overridden_in
    return lambda shortcut, owner: (issubclass(owner, cls) and hook in shortcut.hooks) or usual(shortcut, owner)


class ShortcutsContract:
    """Overridden hooks are called as often as plain forms call them."""

    @pytest.fixture(params=KINDS)
    def kind(self, request: Any) -> str:
        return request.param

    @pytest.fixture(params=PARTS)
    def part(self, request: Any) -> str:
        return request.param

    @pytest.fixture(params=('overridden', 'patched'))
    def place(self, request: Any) -> str:
        return request.param

    def test_shortcuts_step_back(self, backend: Any, kind: str, part: str, place: str, monkeypatch: Any) -> None:
        base = {
            'flat': backend.feed_class,
            'aggregated': backend.aggregated_feed_class,
            'notification': backend.notification_feed_class,
        }[kind]
        cls = base if PARTS[part] is None else getattr(base, PARTS[part], None)
        if cls is None or not hooks_of(cls):
            pytest.skip(f'{base.__name__} has no {part} with shortcuts')
        differences = []
        for hook, shortcuts in hooks_of(cls).items():
            if override_of(cls, hook, []) is None:
                continue
            counts = []
            for turned_off in (False, True):
                made: Any = type(cls)(f'Counting{cls.__name__}', (cls,), {'__module__': __name__})
                feed_class = made_of(backend, base, part, made)
                if place == 'patched':
                    # Which form is called was decided once before.
                    feed_class(1).add(act(9))
                calls: list[str] = []
                setattr(made, hook, override_of(made, hook, calls))
                with monkeypatch.context() as patch:
                    if turned_off:
                        patch.setattr(Shortcut, 'overridden_in', plain_form_past(hook, made))
                    run(feed_class)
                counts.append(len(calls))
            if counts[0] != counts[1]:
                differences.append(f'{hook} (of {", ".join(shortcuts)}): {counts[0]} calls, by hooks {counts[1]}')
        assert differences == []


def made_of(backend: Any, base: Any, part: str, made: Any) -> Any:
    """A feed class of the test's own, with this class as one of its parts."""
    attributes = {} if PARTS[part] is None else {PARTS[part]: made}
    return backend.make(made if PARTS[part] is None else base, **attributes)


def run(feed_class: Any) -> None:
    """What a manager, a fan-out and an application do with feeds."""
    for work in works():
        work(feed_class)


def works() -> Iterator[Callable[[Any], object]]:
    """Yield the works, each a function of a feed class."""
    yield lambda feeds: feeds.insert_activities(acts(6))
    yield lambda feeds: fan_out(feeds, add_operation, acts(5))
    yield lambda feeds: fan_out(feeds, remove_operation, acts(2))
    yield lambda feeds: fan_out(feeds, update_operation, [act(2, extra_context={'board': 'tea'})])
    yield lambda feeds: feeds(1).add(act(5))
    yield lambda feeds: feeds(1).add_many([act(6, verb=Comment), act(7, verb=Comment)])
    yield lambda feeds: feeds(1)[:3]
    yield lambda feeds: feeds(1).get_activity_slice(0, 3, rehydrate=False)
    yield lambda feeds: feeds(1).filter(activity_id__gt=0).order_by('activity_id')[:3]
    yield lambda feeds: feeds(2).remove_many(acts(1, 3))
    yield lambda feeds: feeds(2).count()
    yield lambda feeds: feeds(2).count_new()
    yield lambda feeds: feeds(2).trim(1)
    yield lambda feeds: feeds(3).delete()
    yield lambda feeds: feeds.insert_activity(act(8))
    yield lambda feeds: feeds(3).add(act(8))
    yield lambda feeds: feeds(3).remove(act(8))
    yield lambda feeds: feeds(1).activity_storage and feeds(1).activity_storage.get(act(8))


def fan_out(feed_class: Any, operation: Any, activities: list[Any]) -> None:
    """What a task does."""
    manager = type('ShortcutsManager', (Manager,), {'user_feed_class': feed_class})()
    manager.fanout(READERS, feed_class, operation, {'activities': activities})
