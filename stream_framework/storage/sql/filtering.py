"""Find activities by verb, object and actor in the text that is stored of them.

An activity is a line that begins with ``actor,verb,object,``. So a page of what actor 13 did is one statement. It goes
through the entries of one feed, looks each activity up by its id, and compares the beginning of its text. Columns and
an index for that would make each activity larger and slower to store, and the index would not help: a feed is read in
the order of its entries.

Too much may pass: the text of a verb may stand in the place of another part. Whoever asks looks at what comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.sql.texts import MARK

#: All plain text is above this; below is what is stored in another form, in which no part can be told.
PLAIN = chr(ord(MARK) + 1)


def texts_of(serializer: Any, wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """Return how the text of activities with some values begins, and what else is in it.

    :param serializer: that wrote the activities
    :param wanted: any of ``actor_id``, ``verb`` (its id) and ``object_id``
    :returns: ``head`` and ``part``, values of a statement; ``None`` where the texts are an application's own

    >>> from stream_framework.activity import Activity
    >>> serializer = ActivitySerializer(Activity)
    >>> texts_of(serializer, {'verb': 3, 'object_id': 42})
    {'head': '', 'part': ',3,42,'}
    >>> texts_of(serializer, {'actor_id': 13, 'object_id': 42})
    {'head': '13,', 'part': ',42,'}
    """
    if not (isinstance(serializer, ActivitySerializer) and serializer.writes_as_usual and serializer.reads_as_usual):
        return None
    actor, verb, object_id = serializer.leading_parts(
        wanted.get('actor_id'), wanted.get('verb'), wanted.get('object_id')
    )
    rest = [part for part in (verb, object_id) if part is not None]
    return {'head': '' if actor is None else f'{actor},', 'part': f',{",".join(rest)},' if rest else ''}


__all__ = ['PLAIN', 'texts_of']
