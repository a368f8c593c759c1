"""Django is configured before the modules of the tests are imported, as it is in a project."""

from __future__ import annotations

from tests.contrib import configure_django

configure_django()
