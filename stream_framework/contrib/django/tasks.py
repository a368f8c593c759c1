"""The library's tasks, where ``autodiscover_tasks()`` of a Celery application looks for those of the app."""

from __future__ import annotations

# Importing them registers them.
from stream_framework import tasks

__all__ = ['tasks']
