"""Django's entry to the registry app: lets the search and the facts of entries follow the life of files."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Registry"

    def ready(self) -> None:
        from registry import facts, indexing, lifecycle

        lifecycle.moved.connect(indexing.follow_move, dispatch_uid="registry.indexing")
        lifecycle.moved.connect(facts.follow_move, dispatch_uid="registry.facts")
