"""Django's entry to the registry app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Registry"

    def ready(self) -> None:
        from registry import indexing, lifecycle

        lifecycle.moved.connect(indexing.follow_move, dispatch_uid="registry.indexing")
