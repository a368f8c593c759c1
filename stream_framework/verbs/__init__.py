"""What can be done. Importing this registers the stock verbs; register your own with :func:`register`."""

from __future__ import annotations

from stream_framework.verbs.base import (
    VERB_DICT,
    Add,
    Comment,
    Follow,
    Love,
    Verb,
    get_verb_by_id,
    get_verb_storage,
    register,
)

__all__ = [
    'VERB_DICT',
    'Add',
    'Comment',
    'Follow',
    'Love',
    'Verb',
    'get_verb_by_id',
    'get_verb_storage',
    'register',
]
