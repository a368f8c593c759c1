"""A Django project: ``celery -A tests.workers.project worker``."""

from tests.workers.project.celery import app as celery_app

__all__ = ('celery_app',)
