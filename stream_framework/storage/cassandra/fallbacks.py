"""Ways around features that the server refuses; decided once for each session.

Some servers, such as Amazon Keyspaces, refuse statements with certain features. The refused statement's text shows
which feature it is. The work is done again without it; if that succeeds, the session remembers it.
"""

from __future__ import annotations

import contextvars
import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from stream_framework.exceptions import StorageError
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.features import UNSAFE, WITHOUT

logger = logging.getLogger(__name__)

# The features that are avoided while the library finds out whether that helps.
_tried: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar('tried', default=frozenset())

P = ParamSpec('P')
T = TypeVar('T')


def lacks(feature: str) -> bool:
    """Whether the session's servers are known to refuse a feature."""
    return feature in connection.lacking() or feature in _tried.get()


def adapts(work: Callable[P, T]) -> Callable[P, T]:
    """Decorate work that may be done twice: it is done again without the feature that the server refused.

    The work asks :func:`lacks` which features to avoid.
    """

    @functools.wraps(work)
    def adapted(*args: P.args, **kwargs: P.kwargs) -> T:
        before = _tried.get()
        refusals: dict[str, StorageError] = {}
        while True:
            token = _tried.set(before.union(refusals))
            try:
                done = work(*args, **kwargs)
            except StorageError as error:
                feature = getattr(error, 'refused_feature', None)
                if feature is None or feature in refusals or lacks(feature):
                    raise
                refusals[feature] = error
                continue
            finally:
                _tried.reset(token)
            for refused, refusal in refusals.items():
                _remember(refused, refusal)
            return done

    return adapted


def _remember(feature: str, error: StorageError) -> None:
    lacking = connection.lacking()
    if feature not in lacking:
        lacking.add(feature)
        level = logging.WARNING if feature in UNSAFE else logging.INFO
        logger.log(level, 'the servers refuse %s, so %s: %s', feature, WITHOUT[feature], error)
