"""Django's entry to the scanner app."""

from celery.signals import worker_init
from django.apps import AppConfig


class ScannerConfig(AppConfig):
    name = "scanner"
    verbose_name = "Scanner"

    def ready(self) -> None:
        from scanner import checks

        worker_init.connect(checks.refuse_to_work, dispatch_uid="scanner.sandbox")
