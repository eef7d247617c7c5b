"""The Celery application. Tasks live in `scanner.tasks`, `inference.tasks` and `hub.tasks`; when they are sent is `pipeline.py`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
app = Celery("weighhouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["scanner", "inference", "hub"])
