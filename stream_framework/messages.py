"""What travels through the broker: the arguments of the tasks as plain JSON.

==================  ===================================================================================================
argument            in a message
==================  ===================================================================================================
feed_manager        ``"package.module:QualName"`` of its class; the worker calls that without arguments
feed_class          ``"package.module:QualName"``
operation           ``"package.module:QualName"`` of a function; :mod:`stream_framework.paths` says which
user_id, user_ids   ints and strs as they are, a ``uuid.UUID`` as ``{"uuid": "<32 hex digits>"}``; likewise
                    target_ids, source_ids
follow_limit        an int or null
operation_kwargs    null, or one str of JSON: it is written once for all the chunks of a fan-out, and what is inside is
                    safe from brokers and serializers that give a meaning of their own to some objects
==================  ===================================================================================================

Encoding what is encoded already changes nothing, since a retry publishes again what it was given. What
``operation_kwargs`` holds is written by :mod:`stream_framework.serializers.codec`: each value is ``{"value": ...}``,
``{"activity": row}`` or ``{"activities": [row or id, ...]}``; :mod:`stream_framework.activity_rows` says what a row is.
"""

from __future__ import annotations

import operator
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stream_framework import paths
from stream_framework.activity import BaseActivity
from stream_framework.activity_rows import activity_of, activity_row, known_id, plain_id
from stream_framework.exceptions import MessageError, SerializationException
from stream_framework.serializers import codec

#: What ``Manager.fanout`` makes itself, in the worker; it is never published.
BATCH_INTERFACE = 'batch_interface'

_PLAIN = frozenset({int, str})

_ID_LISTS = ('user_ids', 'target_ids', 'source_ids')


class OperationKwargs(dict[str, Any]):
    """``operation_kwargs`` that are encoded once, however many chunks of a fan-out they are published with.

    They are encoded anew when a key is set to another value, and when a list in them gets or loses items; not when an
    activity itself changes between two chunks.
    """

    _seen: tuple[Any, ...] | None = None
    _text: str = ''

    def encoded(self, local: bool = False) -> str:
        """Return their JSON.

        :raises MessageError: for what can't travel
        """
        seen = (local, *self._parts())
        if self._seen is None or len(seen) != len(self._seen) or not all(map(operator.is_, seen, self._seen)):
            self._text = encode_operation_kwargs(self, local)
            self._seen = seen
        return self._text

    def _parts(self) -> Iterable[Any]:
        for name, value in self.items():
            yield name
            yield value
            if isinstance(value, list):
                yield from value

    def __reduce__(self) -> Any:
        return type(self), (dict(self),)


class Encoded(dict[str, Any]):
    """Keyword arguments as :func:`encode` made them, which need no other look before they are published."""


def prepare(operation_kwargs: Mapping[str, Any] | None) -> OperationKwargs | None:
    """Return the same ``operation_kwargs``, to be encoded only once if they are published many times.

    >>> kwargs = prepare({'trim': False})
    >>> kwargs == {'trim': False}, kwargs.encoded() is kwargs.encoded()
    (True, True)
    """
    if operation_kwargs is None or isinstance(operation_kwargs, OperationKwargs):
        return operation_kwargs
    return OperationKwargs(operation_kwargs)


def is_complete(parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a task is given all its arguments, so that each value is known by its name."""
    return len(args) + len(kwargs) == len(parameters) and set(parameters[len(args) :]) == set(kwargs)


def check(named: Mapping[str, Any], local: bool = False) -> None:
    """Refuse what can't travel in a message, without publishing anything: before something is stored, say.

    What is checked is encoded, so ``operation_kwargs`` that :func:`prepare` returned are encoded only this once.

    :param named: some arguments of tasks by their names; operations are looked for where ``feed_manager`` and
        ``feed_class``, if they are given, allow it
    :param local: the message stays in this process, so ``__main__`` may be named
    :raises MessageError: for what can't travel, with the remedy

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.verbs.base import Verb
    >>> class Unknown(Verb):
    ...     id, past_tense = 890, 'did something'
    >>> check({'operation_kwargs': prepare({'activities': [Activity(1, Unknown, 2)]})})
    Traceback (most recent call last):
        ...
    stream_framework.exceptions.MessageError: the verb of Activity(did something) 1 2 is not registered: ...
    """
    encode(tuple(named), (), named, local)


def encode(
    parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], local: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Encode arguments for a message; positional ones stay positional.

    :param parameters: the names of what the task takes
    :param local: the message stays in this process, so ``__main__`` may be named
    :raises MessageError: for what can't travel, with the remedy
    """
    named = _bind(parameters, args, kwargs)
    encoded: dict[str, Any] = {}
    owners: list[type] = []
    if 'feed_manager' in named:
        encoded['feed_manager'] = path = paths.manager_path(named['feed_manager'], local)
        owners.append(paths.resolve_manager(path, local))
    if 'feed_class' in named:
        encoded['feed_class'] = path = paths.feed_path(named['feed_class'], local)
        owners.append(paths.resolve_feed(path, local))
    for name, value in named.items():
        if name == 'operation':
            encoded[name] = paths.operation_path(value, owners, local)
        elif name == 'operation_kwargs':
            encoded[name] = _encode_kwargs(value, local)
        elif name in _ID_LISTS:
            encoded[name] = _encode_ids(name, value)
        elif name == 'user_id':
            encoded[name] = _encode_id(name, value)
        elif name not in encoded:
            encoded[name] = _limit(name, value)
    return _unbind(parameters, len(args), encoded)


def summary(parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Describe encoded arguments in few words.

    >>> summary(['feed_class', 'user_ids'], ('myapp.feeds:News',), {'user_ids': [1, 2, 3]})
    "{'feed_class': 'myapp.feeds:News', 'user_ids': <3>}"
    """
    named = {**dict(zip(parameters, args, strict=False)), **kwargs}
    parts = (
        f'{name!r}: <{len(value)}>' if isinstance(value, list) else f'{name!r}: {paths.short(value)}'
        for name, value in named.items()
        if name != 'operation_kwargs'
    )
    return f'{{{", ".join(parts)}}}'


def decode(
    parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], local: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Decode the arguments of a message.

    :param parameters: the names of what the task takes
    :param local: the arguments were never out of this process: ``__main__`` may be named, and what is no encoded value
        is taken as it is
    :raises MessageError: for a message that isn't what it must be; nothing was run then
    """
    named = _bind(parameters, args, kwargs)
    decoded = dict(named)
    owners: list[type] = []
    manager_class = None
    if 'feed_manager' in named:
        manager = named['feed_manager']
        if _is_encoded(manager, local):
            manager_class = paths.resolve_manager(manager, local)
        owners.append(manager_class or type(manager))
    if 'feed_class' in named:
        if _is_encoded(named['feed_class'], local):
            decoded['feed_class'] = paths.resolve_feed(named['feed_class'], local)
        owners.append(decoded['feed_class'])
    for name, value in named.items():
        if name == 'operation':
            if _is_encoded(value, local):
                decoded[name] = paths.resolve_operation(value, owners, local)
        elif name == 'operation_kwargs':
            if value is not None and _is_encoded(value, local):
                decoded[name] = decode_operation_kwargs(value, local)
        elif name in _ID_LISTS:
            decoded[name] = _decode_ids(name, value, local)
        elif name == 'user_id':
            decoded[name] = _decode_id(name, value, local)
        elif name == 'follow_limit' and not local:
            _limit(name, value)
    if manager_class is not None:
        decoded['feed_manager'] = manager_class()
    return _unbind(parameters, len(args), decoded)


def without_user(
    parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], user_id: Any
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return encoded arguments without what a user did, and without him among those whose feeds are written.

    :returns: ``None`` if nothing is left to do
    :raises MessageError: for what is no message
    """
    named = _bind(parameters, args, kwargs)
    own = _encode_id('user_id', user_id)
    if named.get('user_id') == own:
        return None
    for name in _ID_LISTS:
        if own in named.get(name, ()):
            named[name] = [item for item in named[name] if item != own]
            if not named[name]:
                return None
    if isinstance(named.get('operation_kwargs'), str):
        decoded = decode_operation_kwargs(named['operation_kwargs'])
        activities = decoded.get('activities')
        if isinstance(activities, list) and activities:
            left = [activity for activity in activities if getattr(activity, 'actor_id', None) != user_id]
            if not left:
                return None
            if len(left) < len(activities):
                named['operation_kwargs'] = encode_operation_kwargs({**decoded, 'activities': left})
    return _unbind(parameters, len(args), named)


def encode_operation_kwargs(operation_kwargs: Mapping[str, Any], local: bool = False) -> str:
    """Encode ``operation_kwargs`` as JSON, without ``batch_interface``.

    :raises MessageError: for a value that can't travel, naming it
    """
    classes: list[str] = []
    values: dict[str, Any] = {}
    for name, value in operation_kwargs.items():
        if not isinstance(name, str):
            raise MessageError(f'operation_kwargs has the key {name!r}: keyword arguments are named by a str')
        if name == BATCH_INTERFACE:
            continue
        if isinstance(value, BaseActivity):
            values[name] = {'activity': activity_row(value, classes, local)}
        elif isinstance(value, (list, tuple, set, frozenset)) and any(isinstance(item, BaseActivity) for item in value):
            values[name] = {
                'activities': [
                    activity_row(item, classes, local) if isinstance(item, BaseActivity) else plain_id(name, item)
                    for item in value
                ]
            }
        else:
            values[name] = {'value': value}
    try:
        return codec.dumps({'classes': classes, 'kwargs': values}, name='operation_kwargs')
    except SerializationException as error:
        raise MessageError(
            f'what can not be written as JSON can not travel in a task message: {_blame(operation_kwargs) or error}'
        ) from error


def _blame(operation_kwargs: Mapping[str, Any]) -> str | None:
    """Find the one value that can't be written, and describe it in the publisher's terms."""
    for name, value in operation_kwargs.items():
        parts = {f'operation_kwargs[{name!r}]': value}
        if name == BATCH_INTERFACE:
            continue
        if isinstance(value, (BaseActivity, list, tuple, set, frozenset)):
            items = [value] if isinstance(value, BaseActivity) else value
            activities = [item for item in items if isinstance(item, BaseActivity)]
            if activities:
                parts = {
                    f'extra_context of {paths.short(item)}': getattr(item, 'extra_context', None) for item in activities
                }
        for part, content in parts.items():
            try:
                codec.dumps(content, name=part)
            except SerializationException as error:
                return str(error)
    return None


def decode_operation_kwargs(text: Any, local: bool = False) -> dict[str, Any]:
    """Decode what :func:`encode_operation_kwargs` wrote.

    :raises MessageError: if it isn't that
    """
    if not isinstance(text, str):
        raise MessageError(f'operation_kwargs is {paths.short(text)}: it must be a str of JSON, or null')
    try:
        message = codec.loads(text)
    except SerializationException as error:
        raise MessageError(f'operation_kwargs is not readable: {error}') from error
    if not isinstance(message, dict) or message.keys() != {'classes', 'kwargs'}:
        raise MessageError('operation_kwargs must hold "classes" and "kwargs", nothing else')
    class_paths, values = message['classes'], message['kwargs']
    if not isinstance(class_paths, list) or not isinstance(values, dict) or BATCH_INTERFACE in values:
        raise MessageError(
            'operation_kwargs must hold a list of classes, and keyword arguments without batch_interface'
        )
    classes = [paths.resolve_activity(path, local) for path in class_paths]
    kwargs = {}
    for name, tagged in values.items():
        kind, value = next(iter(tagged.items())) if isinstance(tagged, dict) and len(tagged) == 1 else (None, None)
        if not isinstance(name, str):
            raise MessageError(
                f'operation_kwargs has the key {paths.short(name)}: keyword arguments are named by a str'
            )
        if kind == 'value':
            kwargs[name] = value
        elif kind == 'activity':
            kwargs[name] = activity_of(value, classes)
        elif kind == 'activities' and isinstance(value, list):
            kwargs[name] = [
                activity_of(item, classes) if isinstance(item, list) else known_id(name, item) for item in value
            ]
        else:
            raise MessageError(
                f'operation_kwargs[{name!r}] must be one of a value, an activity or a list of activities'
            )
    return kwargs


def _encode_kwargs(value: Any, local: bool) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        decode_operation_kwargs(value, local)
        return value
    if isinstance(value, OperationKwargs):
        return value.encoded(local)
    if isinstance(value, Mapping):
        return encode_operation_kwargs(value, local)
    raise MessageError(f'operation_kwargs is {paths.short(value)}: it must be a dict of keyword arguments, or None')


def _encode_ids(name: str, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise MessageError(f'{name} is {paths.short(value)}: it must be a list of ids')
    items = list(value)
    # Nearly always they are plain, and there are many of them.
    return items if _PLAIN.issuperset(map(type, items)) else [_encode_id(name, item) for item in items]


def check_ids(name: str, user_ids: Iterable[Any]) -> None:
    """Refuse ids that can't travel.

    :param name: what has them, for the error
    :raises MessageError: with the value, and what ids may be
    """
    if not _PLAIN.issuperset(map(type, user_ids)):
        for user_id in user_ids:
            _encode_id(name, user_id)


def _encode_id(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        _decode_id(name, value, False)
        return value
    value = plain_id(name, value)
    return {'uuid': value.hex} if isinstance(value, uuid.UUID) else value


def _decode_ids(name: str, value: Any, local: bool) -> Any:
    if not isinstance(value, list):
        if local:
            return value
        raise MessageError(f'{name} is {paths.short(value)}: it must be a list of ids')
    return value if _PLAIN.issuperset(map(type, value)) else [_decode_id(name, item, local) for item in value]


def _decode_id(name: str, value: Any, local: bool) -> Any:
    if type(value) is int or type(value) is str:
        return value
    if isinstance(value, dict) and value.keys() == {'uuid'} and isinstance(value['uuid'], str):
        try:
            return uuid.UUID(hex=value['uuid'])
        except ValueError as error:
            raise MessageError(f'{name} has {paths.short(value)}, which is no UUID') from error
    if local:
        return value
    raise MessageError(f'{name} has {paths.short(value)}: ids in a task message are int, str or {{"uuid": hex digits}}')


def _limit(name: str, value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    try:
        return int(operator.index(value))
    except TypeError as error:
        raise MessageError(f'{name} is {paths.short(value)}: it must be an int or None') from error


def _is_encoded(value: Any, local: bool) -> bool:
    # In a worker whatever comes has to be; what resolves it complains if it isn't.
    return not local or isinstance(value, str)


def _bind(parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    named = dict(zip(parameters, args, strict=False))
    wrong = [name for name in kwargs if name not in parameters or name in named]
    named.update(kwargs)
    missing = [name for name in parameters if name not in named]
    if len(args) > len(parameters) or wrong or missing:
        raise MessageError(
            f'the task takes ({", ".join(parameters)}); given were {len(args)} positional and '
            f'({paths.short(", ".join(map(str, kwargs)))})'
        )
    return named


def _unbind(
    parameters: Sequence[str], positional: int, named: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args = tuple(named[name] for name in parameters[:positional])
    return args, {name: named[name] for name in parameters[positional:]}
