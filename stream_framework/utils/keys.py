"""Names of what the library keeps beside feeds and activities: what was published last, the ledger."""

from __future__ import annotations

from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError


def own_key(*parts: Any) -> str:
    """Return a name that begins with ``STREAM_KEY_PREFIX``.

    :raises ConfigurationError: if the setting is no text

    >>> own_key('ledger', 28000000)
    'stream:ledger:28000000'
    """
    prefix = settings.STREAM_KEY_PREFIX
    if not isinstance(prefix, str) or not prefix:
        raise ConfigurationError(f"STREAM_KEY_PREFIX is {prefix!r}: give a str, 'stream' for instance")
    return ':'.join((prefix, *map(str, parts)))
