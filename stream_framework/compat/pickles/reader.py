"""The machine that a pickle of 1.4.0 runs on: a stack, a memo, and containers that this very pickle made."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from stream_framework.compat.pickles import names
from stream_framework.compat.pickles.limits import MAX_DEPTH, MAX_SIZE, MAX_VALUES, SCALARS, is_verb, refuse
from stream_framework.compat.pickles.names import Name
from stream_framework.serializers.utils import short


class Mark:
    """Where a group of items begins on the stack."""


MARK = Mark()


class Reader:
    """One run of one pickle."""

    def __init__(self, data: bytes, classes: Iterable[type]) -> None:
        if len(data) > MAX_SIZE:
            refuse(f'it is longer than {MAX_SIZE} bytes')
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.classes = {(cls.__module__, cls.__qualname__): cls for cls in classes}
        #: Instances that were made and not filled in yet: id -> the instance and its entry of the table.
        self.unfinished: dict[int, tuple[Any, Name]] = {}
        #: How many values the hashes of keys walked through.
        self.hashed = 0

    # Reading: never more than there is, whatever length is announced.

    def read(self, length: int) -> bytes:
        """Read bytes."""
        end = self.position + length
        if end > len(self.data):
            refuse('it is cut off')
        found = self.data[self.position : end]
        self.position = end
        return found

    def read_line(self) -> bytes:
        """Read up to the end of a line."""
        end = self.data.find(b'\n', self.position)
        if end < 0:
            refuse('it is cut off')
        found = self.data[self.position : end]
        self.position = end + 1
        return found

    def read_number(self, length: int) -> int:
        """Read a number of so many bytes."""
        return int.from_bytes(self.read(length), 'little')

    # The stack.

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take a value off the stack."""
        value = self.stack.pop()
        if value is MARK:
            refuse('a value is missing')
        return value

    def pop_to_mark(self) -> list[Any]:
        """Take all values above the last mark off the stack."""
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is MARK:
                found = self.stack[start + 1 :]
                del self.stack[start:]
                return found
        refuse('a mark is missing')

    def top(self, *kinds: type) -> Any:
        """Return the container on top, which only this pickle can have made: nothing else has these very types."""
        value = self.stack[-1]
        if type(value) not in kinds:
            refuse(f'it puts something into a {type(value).__name__}')
        return value

    # Names and what is made by them.

    def push_name(self, module: str, name: str) -> None:
        """Put what a name stands for on the stack."""
        known = names.find(module, name, self.classes)
        if known is None:
            refuse(f'it names {short(module)[1:-1]}.{short(name)[1:-1]}, which is neither plain data nor allowed here')
        self.push(known)

    def reduce(self) -> None:
        """Make what a name and its arguments stand for."""
        arguments, name = self.pop(), self.pop()
        if type(arguments) is not tuple:
            refuse('it calls something without a tuple of arguments')
        if type(name) is not Name:
            refuse(f'it calls {short(name)}')
        if name.make is not None:
            self.push(name.make(*arguments))
        elif name is names.SET:
            self.push(set(self.checked_keys(names.items(*arguments))))
        elif name is names.FROZENSET:
            self.push(frozenset(self.checked_keys(names.items(*arguments))))
        elif name is names.ORDERED_DICT:
            found: OrderedDict[Any, Any] = OrderedDict()
            for pair in names.items(*arguments):
                key, value = names.items(pair)
                self.put(found, key, value)
            self.push(found)
        elif name is names.RECONSTRUCTOR:
            cls, base, state = arguments
            if base is not names.OBJECT or state is not None:
                refuse('it makes an object in an unusual way')
            self.push_empty(cls)
        else:
            refuse(f'it calls {name.name}')

    def new_object(self) -> None:
        """Make an empty instance, to be filled in."""
        arguments, name = self.pop(), self.pop()
        if arguments != ():
            refuse('it makes an object with arguments')
        self.push_empty(name)

    def push_empty(self, name: Any) -> None:
        """Put an empty instance on the stack, to be filled in."""
        if type(name) is not Name or name.empty is None:
            refuse(f'it makes a {short(name)}')
        made = object.__new__(name.empty)
        self.unfinished[id(made)] = (made, name)
        self.push(made)

    def build(self) -> None:
        """Fill in an instance that this pickle made, once; no method of its class is called."""
        state = self.pop()
        made = self.stack[-1]
        unfinished = self.unfinished.pop(id(made), None)
        if unfinished is None or type(state) is not dict:
            refuse(f'it changes a {type(made).__name__}')
        name = unfinished[1]
        if not all(type(key) is str for key in state):
            refuse(f'the attributes of {name.name} are no names')
        if name.empty is uuid.UUID:
            names.fill_uuid(made, state)
        else:
            names.fill_activity(made, state)

    # Containers.

    def put(self, container: Any, key: Any, value: Any) -> None:
        """Set a key of a dict."""
        container[self.checked_key(key)] = value

    def checked_keys(self, keys: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
        """Return keys, or refuse them."""
        for key in keys:
            self.checked_key(key)
        return keys

    def checked_key(self, key: Any) -> Any:
        """Refuse what can't be hashed without running code of an application, or not within bounds.

        The hash of a tuple walks through all that it leads to, in C, and so without any limit of Python's.
        """
        pending = [(key, 0)]
        while pending:
            value, depth = pending.pop()
            self.hashed += 1
            if depth > MAX_DEPTH or self.hashed > MAX_VALUES:
                refuse('its keys are too large')
            kind = type(value)
            if kind is tuple or kind is frozenset:
                pending.extend((item, depth + 1) for item in value)
            elif kind not in SCALARS and not is_verb(value) or id(value) in self.unfinished:
                refuse(f'a {kind.__name__} can not be a key')
        return key
