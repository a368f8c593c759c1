"""Tests of the Django integration, and what they need to be able to run in one process with all the others."""

from __future__ import annotations

import importlib.util


def configure_django() -> None:
    """Configure Django for the test process, once, with nothing that the library's settings would see."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=['*'],
            DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
            INSTALLED_APPS=['rest_framework'] if importlib.util.find_spec('rest_framework') else [],
            # There are no accounts: django.contrib.auth is not installed.
            REST_FRAMEWORK={'UNAUTHENTICATED_USER': None},
            SECRET_KEY='only for tests',
            TEMPLATES=[{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True}],
            USE_TZ=True,
        )
        django.setup()
