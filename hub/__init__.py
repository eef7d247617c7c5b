"""The site: how people and programs reach the registry. Settings, pages, protocols, and the table that ties the apps together."""

from hub.celery import app as celery_app

__all__ = ["celery_app"]
