"""Django's entry to the hub app: connects the pipeline and the system checks when Django starts."""

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "hub"
    verbose_name = "Hub"

    def ready(self) -> None:
        from hub import celery, checks, pipeline  # noqa: F401  (makes our Celery app the current one; registers the checks)

        pipeline.connect()
