"""The safetensors copy of a pickle that stands in for it where tensors are read: found, not made. Making it is `making`'s."""

from __future__ import annotations

from inference.weights.recipe import twin_recipe
from registry import queries
from registry.models import File, Role

CONTAINER = "safetensors"


def copy_of(file: File) -> File | None:
    """The safetensors file with all tensors of a pickle; None where there is none that may be downloaded."""
    copies = queries.downloadable_files().filter(
        source=file, role=Role.DERIVED, recipe__contains=twin_recipe().to_json(), blob__container=CONTAINER
    )
    return copies.select_related("blob", "source", "version__entry__owner").order_by("pk").first()
