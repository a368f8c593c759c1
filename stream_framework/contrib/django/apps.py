"""The app: ``INSTALLED_APPS = [..., 'stream_framework.contrib.django']``.

When Django starts, it registers the verbs of all installed apps: those that stand in a module ``verbs`` of each app,
beside its ``models``. Whatever process then reads feeds, the server, a worker, a shell, knows them. An app without such
a module is fine.

It also has ``manage.py check``, which Django runs before most of its commands, look at the settings: names that nothing
reads, values that can't work. No server is asked; ``python -m stream_framework check`` does that.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from stream_framework import verbs
from stream_framework.checks import settings
from stream_framework.exceptions import ConfigurationError, MissingDependencyError
from stream_framework.verbs.base import Verb

try:
    from django.apps import AppConfig, apps
    from django.core import checks
    from django.utils.module_loading import module_has_submodule
except ImportError as error:
    raise MissingDependencyError(
        "stream_framework.contrib.django needs Django, which isn't installed: pip install django"
    ) from error

#: The tag of the checks: ``manage.py check --tag stream_framework``.
TAG = 'stream_framework'
#: The module of an app that has its verbs.
MODULE = 'verbs'

_LEVELS = {'error': checks.ERROR, 'warning': checks.WARNING, 'note': checks.INFO}


class StreamFrameworkConfig(AppConfig):
    """Registers verbs and checks when Django starts; has no models, and talks to no server."""

    name = 'stream_framework.contrib.django'
    # 1.4.0 was itself listed among the apps, and may be still: its label is the last part of its name.
    label = 'stream_framework_django'
    verbose_name = 'Stream Framework'

    def ready(self) -> None:
        """Register verbs and checks; Django calls this once all apps are loaded."""
        register_verbs(apps.get_app_configs())
        checks.register(check_settings, TAG)


def register_verbs(app_configs: Iterable[Any]) -> list[type[Verb]]:
    """Import the module ``verbs`` of each app that has one, and register the verbs that it defines.

    Classes without an ``id`` of their own are bases of others, and are left out. A module may call
    ``verbs.register`` itself, too: a second time changes nothing.

    :returns: the verbs, in the order of the apps
    :raises ConfigurationError: where such a module can't be imported, or a verb has an id that another one holds
    """
    registered = []
    for app in app_configs:
        if app.module is None or not module_has_submodule(app.module, MODULE):
            continue
        name = f'{app.name}.{MODULE}'
        try:
            for thing in list(vars(importlib.import_module(name)).values()):
                if _is_verb_of(name, thing):
                    verbs.register(thing)
                    registered.append(thing)
        except Exception as error:
            raise ConfigurationError(
                f'the verbs of app {app.label!r} can not be registered: {name}: {type(error).__name__}: {error}'
            ) from error
    return registered


def _is_verb_of(module: str, thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Verb) and thing.__module__ == module and 'id' in vars(thing)


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[Any]:
    """Check the settings; return messages of Django's: ``stream_framework.E001`` and so on.

    ``SILENCED_SYSTEM_CHECKS`` silences them by these ids.
    """
    return [
        checks.CheckMessage(
            _LEVELS[finding.level],
            f'{finding.subject} {finding.message}',
            hint=finding.remedy or None,
            id=f'{TAG}.{finding.code}',
        )
        for finding in settings.check_settings()
        if finding.level in _LEVELS
    ]
