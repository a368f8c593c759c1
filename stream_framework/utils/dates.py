"""The time now, as activities hold it."""

from __future__ import annotations

import datetime

_UTC = datetime.timezone.utc
_EPOCH = datetime.datetime(1970, 1, 1)
_EPOCH_IN_UTC = _EPOCH.replace(tzinfo=_UTC)


def utcnow() -> datetime.datetime:
    """Return the time now, as the naive UTC datetime that activities hold."""
    # Half the time of .replace(tzinfo=None), which most of making an activity would be.
    return _EPOCH + (datetime.datetime.now(_UTC) - _EPOCH_IN_UTC)


__all__ = ['utcnow']
