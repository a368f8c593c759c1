"""For Django projects: an app that registers verbs and checks settings, rows for ids, paginators, REST framework.

- ``INSTALLED_APPS = [..., 'stream_framework.contrib.django']``: :mod:`stream_framework.contrib.django.apps`
- for Celery's ``autodiscover_tasks()``: :mod:`stream_framework.contrib.django.tasks`
- in views: :func:`enrich`, :mod:`stream_framework.contrib.django.pagination`
- in Django REST framework: :mod:`stream_framework.contrib.django.rest_framework`
"""

from __future__ import annotations

from stream_framework.contrib.django.enriching import LEFT_OUT, enrich

__all__ = ['LEFT_OUT', 'enrich']
