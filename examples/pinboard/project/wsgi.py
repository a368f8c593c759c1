"""For a WSGI server. With feeds in memory it must be one process, with as many threads as you like."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'project.settings')
application = get_wsgi_application()
