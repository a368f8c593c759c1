"""Celery without a framework: ``celery -A tests.workers.plain worker``; broker and storage are in the environment."""

from __future__ import annotations

import json
import os

from celery import Celery

from stream_framework import settings

settings.configure(**json.loads(os.environ.get('STREAM_SETTINGS', '{}')))
app = Celery('plain', include=['stream_framework.tasks'])
app.conf.update(json.loads(os.environ.get('WORKER_CONFIG', '{}')))
