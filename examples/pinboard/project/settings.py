"""Settings of the example. These variables of the environment choose how it runs:

``PINBOARD_BACKEND``
    ``sqlite`` (the default): feeds are in a file, and fan-outs run at once, within the request.
    ``postgres``: the same in PostgreSQL.
    ``memory``: the same in this process, until it ends.
    ``redis``: feeds are on Redis, and fan-outs run in a Celery worker.
``STREAM_SQL_URL``
    where PostgreSQL is, or the SQLite file of the feeds; ``pinboard-feeds.sqlite3`` unless it says otherwise.
``STREAM_REDIS_URL``
    where Redis is; ``redis://127.0.0.1:6379/0`` unless it says otherwise.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent

PINBOARD_BACKEND = os.environ.get('PINBOARD_BACKEND', 'sqlite')
if PINBOARD_BACKEND not in ('sqlite', 'postgres', 'memory', 'redis'):
    raise ImproperlyConfigured(
        f'PINBOARD_BACKEND is {PINBOARD_BACKEND!r}: it must be sqlite, postgres, memory or redis'
    )

# Where the feeds are. A Django project writes the library's settings here.
REDIS_URL = os.environ.get('STREAM_REDIS_URL', 'redis://127.0.0.1:6379/0')
STREAM_REDIS_CONFIG = {'default': {'url': REDIS_URL}}
STREAM_SQL_URL = os.environ.get('STREAM_SQL_URL', f'sqlite:///{BASE_DIR / "pinboard-feeds.sqlite3"}')

# Who writes them. Eager tasks run in the process that publishes them: it needs neither broker nor worker.
CELERY_TASK_ALWAYS_EAGER = PINBOARD_BACKEND != 'redis'
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_BROKER_URL = 'memory://' if CELERY_TASK_ALWAYS_EAGER else os.environ.get('PINBOARD_BROKER_URL', REDIS_URL)
CELERY_TASK_DEFAULT_QUEUE = 'pinboard'
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# This is an example on your own machine: its key changes with every start, which signs everybody out.
SECRET_KEY = os.environ.get('PINBOARD_SECRET_KEY') or get_random_secret_key()
DEBUG = os.environ.get('PINBOARD_DEBUG', '1') == '1'
ALLOWED_HOSTS = ['127.0.0.1', 'localhost', '[::1]', *os.environ.get('PINBOARD_HOSTS', '').split()]

INSTALLED_APPS = [
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.messages',
    'django.contrib.sessions',
    'django.contrib.staticfiles',
    # Registers the verbs of all apps, and checks the settings of the library.
    'stream_framework.contrib.django',
    'pins',
]

MIDDLEWARE = [
    'django.middleware.security.SecurityMiddleware',
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.common.CommonMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware',
    'django.middleware.clickjacking.XFrameOptionsMiddleware',
]

ROOT_URLCONF = 'project.urls'
WSGI_APPLICATION = 'project.wsgi.application'

TEMPLATES = [
    {
        'BACKEND': 'django.template.backends.django.DjangoTemplates',
        'APP_DIRS': True,
        'OPTIONS': {
            'context_processors': [
                'django.template.context_processors.request',
                'django.contrib.auth.context_processors.auth',
                'django.contrib.messages.context_processors.messages',
                'pins.context_processors.news',
            ],
        },
    },
]

# The application's own tables: people, pins, loves, comments. Feeds and follows are not among them. The tables live as
# long as the feeds: as one process, or until they are deleted.
DATABASE = BASE_DIR / f'pinboard-{PINBOARD_BACKEND}.sqlite3'
if PINBOARD_BACKEND == 'memory':
    DATABASE = Path(tempfile.gettempdir()) / f'pinboard-{os.getpid()}.sqlite3'
DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': os.environ.get('PINBOARD_DATABASE', DATABASE),
        # The server writes while the worker reads.
        'OPTIONS': {
            'timeout': 20,
            'transaction_mode': 'IMMEDIATE',
            'init_command': 'PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;',
        },
    },
}
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
AUTH_USER_MODEL = 'pins.Person'

LOGIN_URL = 'welcome'
LOGIN_REDIRECT_URL = 'home'

LANGUAGE_CODE = 'en'
TIME_ZONE = 'UTC'
USE_TZ = True
STATIC_URL = 'static/'
