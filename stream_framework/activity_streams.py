"""Activities as `Activity Streams 2.0 <https://www.w3.org/TR/activitystreams-core/>`_ objects: dicts that are JSON.

What is said of an activity, and how:

==================  ================================================================================================
``@context``        the vocabulary of the W3C
``type``            ``as2_type`` of the verb: ``Like`` for ``Love``, ``Activity`` for a verb that says nothing else
``id``              ``urn:stream-framework:activity:`` and the activity's id
``actor``           ``urn:stream-framework:actor:`` and the id; left out where there is none. ``object`` and ``target``
                    alike
``published``       the time, in UTC: ``2013-07-08T06:59:15Z``
``verb``            the verb's infinitive, since many verbs share a type. Not of the vocabulary; readers that don't know
                    it ignore it, as the standard tells them to
``extra_context``   the activity's context, where it has one. Not of the vocabulary either
==================  ================================================================================================

The standard wants absolute IRIs where the library has ids, so an id becomes a URN (:func:`as2_iri`). An id that is such
an address already stays as it is. An application whose people and things have addresses overrides
:meth:`Activity.as2_iri <stream_framework.activity.Activity.as2_iri>`.
"""

from __future__ import annotations

import base64
import datetime
import enum
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from stream_framework import ids

#: The vocabulary.
CONTEXT = 'https://www.w3.org/ns/activitystreams'
#: What the ids of the library begin with, where they stand for themselves.
NAMESPACE = 'urn:stream-framework'
#: How deep a context is read; below that, and of what contains itself, only the text is given.
MAX_DEPTH = 100

# Addresses, written with the characters that RFC 3986 allows.
_ADDRESS = re.compile(r"(?:https?://|urn:[a-z0-9][a-z0-9-]+:|acct:|tag:)[\w.~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII | re.I)
_NUMBER = re.compile(r'-?[0-9]+', re.ASCII)
# Larger ones lose digits in JavaScript, and in much else that reads JSON.
_MAX_EXACT_INT = 2**53 - 1


def as2_activity(activity: Any) -> dict[str, Any]:
    """Return an activity as an Activity Streams 2.0 object: a dict of what JSON knows.

    :param activity: an :class:`~stream_framework.activity.Activity`
    """
    verb = activity.verb
    said: dict[str, Any] = {
        '@context': CONTEXT,
        'type': getattr(verb, 'as2_type', 'Activity'),
        'id': f'{NAMESPACE}:activity:{ids.normalize_id(activity.serialization_id)}',
    }
    for role in ('actor', 'object', 'target'):
        value = getattr(activity, f'{role}_id')
        if value is not None:
            said[role] = activity.as2_iri(role, value)
    said['published'] = as2_time(activity.time)
    if verb.infinitive:
        said['verb'] = str(verb.infinitive)
    if activity.extra_context:
        said['extra_context'] = as_json(activity.extra_context)
    return said


def as2_iri(role: str, value: int | str | uuid.UUID) -> str:
    """Return the id of an actor, object, target as an absolute IRI; ``13`` and ``'13'`` get two.

    :param role: ``'actor'``, ``'object'`` or ``'target'``
    :param value: the id

    >>> as2_iri('actor', 13), as2_iri('actor', 'anna')
    ('urn:stream-framework:actor:13', 'urn:stream-framework:actor:anna')
    >>> as2_iri('actor', '13')
    'urn:stream-framework:actor:str:13'
    >>> as2_iri('object', uuid.UUID(int=42))
    'urn:uuid:00000000-0000-0000-0000-00000000002a'
    >>> as2_iri('object', 'https://example.com/pins/42')
    'https://example.com/pins/42'
    """
    if isinstance(value, uuid.UUID):
        return value.urn
    if isinstance(value, int):
        return f'{NAMESPACE}:{role}:{int(value)}'
    text = str.__str__(value)
    if _ADDRESS.fullmatch(text):
        return text
    kind = 'str:' if not text or _NUMBER.fullmatch(text) else ''
    return f'{NAMESPACE}:{role}:{kind}{quote(text, safe="", errors="surrogatepass")}'


def as2_time(time: datetime.datetime) -> str:
    """Return a time as the standard writes it, in UTC; a naive one is UTC already.

    >>> as2_time(datetime.datetime(2013, 7, 8, 6, 59, 15, 500000))
    '2013-07-08T06:59:15.500000Z'
    """
    return f'{ids.naive_utc(time).isoformat()}Z'


def as_json(value: Any) -> Any:
    """Return anything that a context may hold as what every JSON parser reads back.

    Times are ISO 8601, naive ones taken for UTC, time spans seconds, decimals and UUIDs text, bytes base64, tuples and
    sets lists. A number that JSON readers would change (beyond 53 bits, or an infinity) is text, too.

    >>> from decimal import Decimal
    >>> as_json({'price': Decimal('9.50'), 'on': datetime.date(2013, 7, 8), 5: {'tea'}})
    {'price': '9.50', 'on': '2013-07-08', '5': ['tea']}
    """
    return _as_json(value, 0)


def _as_json(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum) and not isinstance(value, (str, int)):
        return _as_json(value.value, depth)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int(value)
        # In hexadecimal, as Python refuses to write very many decimal digits.
        return number if abs(number) <= _MAX_EXACT_INT else str(number) if abs(number) < 10**600 else hex(number)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)):
        return _time_as_json(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode('ascii')
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return _dict_as_json(value, depth)
        if isinstance(value, (list, tuple)):
            return [_as_json(item, depth + 1) for item in value]
        if isinstance(value, (set, frozenset)):
            # Sets have no order; the same set is to be written the same each time.
            return sorted((_as_json(item, depth + 1) for item in value), key=repr)
    return str(value) if depth < MAX_DEPTH else f'<{type(value).__name__}>'


def _dict_as_json(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    said = {str.__str__(key): _as_json(item, depth + 1) for key, item in value.items() if isinstance(key, str)}
    for key, item in value.items():
        if not isinstance(key, str):
            name = str(_as_json(key, depth + 1))
            # 1 and '1' may both be there.
            while name in said:
                name = f'{type(key).__name__}:{name}'
            said[name] = _as_json(item, depth + 1)
    return said


def _time_as_json(value: datetime.date | datetime.time | datetime.timedelta) -> str | float:
    if isinstance(value, datetime.datetime):
        return as2_time(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return value.isoformat()
