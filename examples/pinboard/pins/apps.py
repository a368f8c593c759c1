"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class PinsConfig(AppConfig):
    """Nothing but its name: ``stream_framework.contrib.django`` finds the verbs by itself."""

    name = 'pins'
