"""The Celery application: ``celery --app project worker``."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'project.settings')

app = Celery('pinboard')
app.config_from_object('django.conf:settings', namespace='CELERY')
# Those of the library are the only ones: fan-outs, following, unfollowing.
app.autodiscover_tasks()
