"""How much a pickle of 1.4.0 may hold, and how it is refused."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any, NoReturn

from stream_framework.exceptions import SerializationException
from stream_framework.serializers import codec
from stream_framework.verbs.base import Verb

#: The longest pickle that is read, in bytes.
MAX_SIZE = 16 * 2**20
#: How deep containers may be nested: what is deeper can't be written again either.
MAX_DEPTH = codec.MAX_DEPTH
#: How many values there may be, each counted as often as it is referred to: a list of ten lists of ten lists ... of the
#: same text is short as a pickle, and endless for whoever walks through it.
MAX_VALUES = 100_000
#: How long their texts and numbers may be together, counted likewise, in characters.
MAX_TEXT = 4 * MAX_SIZE
# Numbers beyond these are no data: reading the first from decimal digits takes quadratic time.
MAX_DIGITS = 4000
MAX_INT_BYTES = 1700

#: What can be a key by itself, and holds nothing else: the types of plain data.
SCALARS = {
    type(None), bool, int, float, complex, str, bytes, Decimal, uuid.UUID,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
}  # fmt: skip


def refuse(reason: str) -> NoReturn:
    """Give the pickle up.

    :raises SerializationException: always
    """
    raise SerializationException(reason)


def is_verb(value: Any) -> bool:
    """Return whether a value is a class of verbs."""
    return isinstance(value, type) and issubclass(value, Verb)
