"""For Django projects: an app that registers verbs and checks settings, and paginators for views and REST framework.

- ``INSTALLED_APPS = [..., 'stream_framework.contrib.django']``: :mod:`stream_framework.contrib.django.apps`
- for Celery's ``autodiscover_tasks()``: :mod:`stream_framework.contrib.django.tasks`
- in views: :mod:`stream_framework.contrib.django.pagination`
- in Django REST framework: :mod:`stream_framework.contrib.django.rest_framework`
"""
