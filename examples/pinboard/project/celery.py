"""The Celery application: ``celery --app project worker``."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'project.settings')

# The library's tasks are the only ones: fan-outs, following, unfollowing.
app = Celery('pinboard', include=['stream_framework.tasks'])
app.config_from_object('django.conf:settings', namespace='CELERY')
