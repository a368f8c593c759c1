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

import operator
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Method = TypeVar('Method')

_MISSING = object()
_LIBRARY = 'stream_framework.'


class Shortcut:
    """A method, class method or property with the names of the hooks that it goes past.

    Which form is called is decided once for each class, and compared with the hooks of the class at each call: so a
    class that is patched after it was made, as tests of applications do, is no special case. (A metaclass that decides
    once would rule out ``abc.ABC`` beside a feed class, and know nothing of single objects.)
    """

    #: All shortcuts of the library, for the test that holds them to their plain forms.
    all: list[Shortcut] = []

    def __init__(self, hooks: tuple[str, ...], form: Any, plain: str | None = None) -> None:
        self.hooks = hooks
        # All hooks of a class at once, since each call of a shortcut asks for them.
        self._read = operator.attrgetter(*hooks)
        self.form = form
        self.plain = plain
        self.__doc__ = form.__doc__
        self.__wrapped__ = form
        Shortcut.all.append(self)

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name
        self._usual = [(hook, _found(owner, hook)) for hook in self.hooks]
        # Class -> whether it overrides a hook, and what its hooks were when that was found.
        self._decided: weakref.WeakKeyDictionary[type, tuple[bool, Any]] = weakref.WeakKeyDictionary()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        cls = type(instance) if owner is None else owner
        if not self.overridden_in(cls) and (instance is None or _has_none_of(instance, self.hooks)):
            return self.form.__get__(instance, cls)
        target = cls if instance is None else instance
        return getattr(target, self.plain) if self.plain else getattr(super(self.owner, target), self.name)

    def overridden_in(self, cls: type) -> bool:
        """Whether objects of a class use the plain form."""
        decided = self._decided.get(cls)
        current = self._hooks_of(cls)
        # Tuples compare what they hold by identity first; class methods, which are new objects each time, are equal.
        if decided is not None and decided[1] == current:
            return decided[0]
        overridden = any(
            found is not usual and _is_override(found, usual)
            for found, (_, usual) in zip((_found(cls, hook) for hook in self.hooks), self._usual, strict=True)
        )
        self._decided[cls] = overridden, current
        return overridden

    def _hooks_of(self, cls: type) -> Any:
        try:
            return self._read(cls)
        except AttributeError:
            return tuple(getattr(cls, hook, _MISSING) for hook in self.hooks)


def _has_none_of(instance: Any, hooks: tuple[str, ...]) -> bool:
    attributes = getattr(instance, '__dict__', None)
    return attributes is None or attributes.keys().isdisjoint(hooks)


def _found(cls: type, name: str) -> Any:
    found = getattr(cls, name, _MISSING)
    # A class method is another bound method each time; its function is what counts.
    return getattr(found, '__func__', found)


def is_of_library(found: Any) -> bool:
    """Whether a hook is the library's own, in whichever of its classes."""
    function = getattr(found, 'fget', found)
    # Not by its __module__, which functools.wraps copies.
    return isinstance(function, types.FunctionType) and function.__globals__.get('__name__', '').startswith(_LIBRARY)


def _is_override(found: Any, usual: Any) -> bool:
    if is_of_library(found):
        return False
    # Values differ from class to class (key formats, lengths): only what computes something is an override.
    return hasattr(type(usual), '__get__') or usual is _MISSING or hasattr(type(found), '__get__')


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
        self.hooks = hooks
        self._shortcut = Shortcut(hooks, None)
        Shortcut.all.remove(self._shortcut)

    def __set_name__(self, owner: type, name: str) -> None:
        self._shortcut.__set_name__(owner, name)

    def __get__(self, instance: Any, owner: type | None = None) -> bool:
        cls = type(instance) if owner is None else owner
        if self._shortcut.overridden_in(cls):
            return False
        return instance is None or _has_none_of(instance, self._shortcut.hooks)


def shortcuts_of(cls: type) -> Iterator[Shortcut]:
    """All shortcuts that a class has, its own and inherited ones."""
    for name in dir(cls):
        for base in cls.__mro__:
            found = vars(base).get(name)
            if isinstance(found, Shortcut):
                yield found
