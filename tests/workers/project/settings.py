import json
import os

SECRET_KEY = 'tests'
USE_TZ = True
INSTALLED_APPS = ['stream_framework']

STREAM_REDIS_CONFIG = json.loads(os.environ['PROJECT_REDIS'])

CELERY_BROKER_URL = os.environ['PROJECT_BROKER']
CELERY_TASK_ROUTES = {
    'stream_framework.tasks.fanout_operation_hi_priority': {'queue': 'urgent'},
    'stream_framework.tasks.fanout_operation_low_priority': {'queue': 'later'},
}
