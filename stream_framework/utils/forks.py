"""Locks and processes that are forked."""

from __future__ import annotations

import os
from typing import Any


def held_over_forks(lock: Any) -> Any:
    """The lock; from here on whoever forks the process takes it first, so that no fork finds it taken.

    In a fork there are no other threads that could give back what they had taken.
    """
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
