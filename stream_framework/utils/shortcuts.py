"""Shortcuts: faster forms of methods, which step back where an application overrides what they go past.

A *shortcut* is a method that does in one go what its *plain form*, the method of that name further up, does by calling
*hooks* one by one. It names these hooks. Where a class, or a single object, has another hook than the class that the
shortcut stands in, the plain form is called instead, and so is every hook. Callers just call the method.

>>> class Storage:
...     def add_all(self, items):
...         for item in items:
...             self.add(item)
...     def add(self, item):
...         print('added', item)
>>> class FastStorage(Storage):
...     @shortcut('add')
...     def add_all(self, items):
...         print('added all of', items)
>>> __name__ = 'application'  # what follows is not the library's
>>> class Counting(FastStorage):
...     def add(self, item):
...         print('counted', item)
>>> FastStorage().add_all([1, 2])
added all of [1, 2]
>>> Counting().add_all([1, 2])
counted 1
counted 2
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Method = TypeVar('Method')

_MISSING = object()
_LIBRARY = 'stream_framework.'


class Shortcut:
    """A method, class method or property with the names of the hooks that it goes past.

    Which form is called is decided at each call, by some ten comparisons: so a class that is patched after it was made,
    as applications' tests do, is no special case. (A metaclass that decides once would rule out ``abc.ABC`` beside a
    feed class, and know nothing of single objects.)
    """

    #: All shortcuts of the library, for the test that holds them to their plain forms.
    all: list[Shortcut] = []

    def __init__(self, hooks: tuple[str, ...], form: Any, plain: str | None = None) -> None:
        self.hooks = hooks
        self.form = form
        self.plain = plain
        self.__doc__ = form.__doc__
        self.__wrapped__ = form
        Shortcut.all.append(self)

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name
        self._usual = [(hook, _found(owner, hook)) for hook in self.hooks]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        cls = type(instance) if owner is None else owner
        for hook, usual in self._usual:
            if _found(cls, hook) is not usual and _is_override(cls, hook, usual):
                break
        else:
            if instance is None or not hasattr(instance, '__dict__') or instance.__dict__.keys().isdisjoint(self.hooks):
                return self.form.__get__(instance, cls)
        target = cls if instance is None else instance
        return getattr(target, self.plain) if self.plain else getattr(super(self.owner, target), self.name)

    def overridden_in(self, cls: type) -> bool:
        """Whether objects of a class use the plain form."""
        return any(_found(cls, hook) is not usual and _is_override(cls, hook, usual) for hook, usual in self._usual)


def _found(cls: type, name: str) -> Any:
    found = getattr(cls, name, _MISSING)
    # A class method is another bound method each time; its function is what counts.
    return getattr(found, '__func__', found)


def _is_ours(found: Any) -> bool:
    """Whether a hook is the library's own, in whichever of its classes."""
    function = getattr(found, 'fget', found)
    # Not by its __module__, which functools.wraps copies.
    return isinstance(function, types.FunctionType) and function.__globals__.get('__name__', '').startswith(_LIBRARY)


def _is_override(cls: type, name: str, usual: Any) -> bool:
    if _is_ours(_found(cls, name)):
        return False
    # Values differ from class to class (key formats, lengths): only what computes something is an override.
    if hasattr(type(usual), '__get__') or usual is _MISSING:
        return True
    return hasattr(type(_found(cls, name)), '__get__')


def shortcut(*hooks: str, plain: str | None = None) -> Callable[[Method], Method]:
    """Mark a method, class method or property as a shortcut past these hooks.

    :param hooks: names of methods, or of attributes, of the same class
    :param plain: the name of the plain form, where it stands in the same class under a name of its own
    """

    def mark(form: Method) -> Method:
        return Shortcut(hooks, form, plain)  # type: ignore[return-value]

    return mark


class unchanged:  # noqa: N801  # reads like a property
    """Whether an object has the library's own hooks: for shortcuts of one object that go past hooks of another.

    >>> class Storage:
    ...     reads_as_usual = unchanged('get')
    ...     def get(self): ...
    >>> __name__ = 'application'  # what follows is not the library's
    >>> class Cached(Storage):
    ...     def get(self): ...
    >>> Storage().reads_as_usual, Cached().reads_as_usual
    (True, False)
    """

    def __init__(self, *hooks: str) -> None:
        self._shortcut = Shortcut(hooks, None)
        Shortcut.all.remove(self._shortcut)

    def __set_name__(self, owner: type, name: str) -> None:
        self._shortcut.__set_name__(owner, name)

    def __get__(self, instance: Any, owner: type | None = None) -> bool:
        cls = type(instance) if owner is None else owner
        if self._shortcut.overridden_in(cls):
            return False
        return instance is None or vars(instance).keys().isdisjoint(self._shortcut.hooks)


def shortcuts_of(cls: type) -> Iterator[Shortcut]:
    """All shortcuts that a class has, its own and inherited ones."""
    for name in dir(cls):
        for base in cls.__mro__:
            found = vars(base).get(name)
            if isinstance(found, Shortcut):
                yield found
