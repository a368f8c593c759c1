"""The Django project: settings, addresses, the Celery application."""

# Celery's shared tasks belong to the application that exists when they are first used: in every process, this one.
from project.celery import app as celery_app

__all__ = ['celery_app']
