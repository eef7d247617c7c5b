"""On which checkpoint an add-on or a refiner is rendered: the one that its owner names, else the admin's default for the family."""

from __future__ import annotations

from inference import renderfiles
from inference.diffusion import jobs
from inference.models import FamilyBase, PreviewSettings
from inference.renderfiles import NoWeights, Weights
from registry import queries
from registry.identify.agreement import same_family
from registry.models import Kind, User, Version

NO_BASE = "preview:no-base"
"""Code of what waits for somebody to name a base."""


def base_for(addon: Weights, user: User) -> Weights:
    """The checkpoint under an add-on, as far as `user` may read it. Raises `NoWeights` `preview:no-base`, `preview:base`."""
    settings = PreviewSettings.objects.select_related("base__entry__owner").filter(version=addon.file.version_id).first()
    if settings is not None and settings.base is not None:
        return _named(settings.base, user)
    return _default(addon.base_family, user)


def has_base(version: Version) -> bool:
    """Whether a version is rendered on another one: all but checkpoints that make pictures by themselves."""
    if version.entry.kind != Kind.CHECKPOINT:
        return True
    try:
        return renderfiles.of_version(version).role == jobs.REFINER
    except NoWeights:
        return False


def _named(version: Version, user: User) -> Weights:
    """The owner's own choice, whatever its family: whether the add-on fits is asked by its shapes."""
    if version.gone or not queries.may_read_version(user, version):
        raise NoWeights(NO_BASE, "The base that was named for these previews was withdrawn or is not yours to read any more. Name another.")
    try:
        found = renderfiles.of_version(version)
    except NoWeights as reason:
        raise NoWeights(NO_BASE, f"{version} is the base of these previews, but cannot be rendered now: {reason.sentence}") from None
    if found.role != jobs.CHECKPOINT:
        raise NoWeights("preview:base", f"{version} was named as base, but makes no pictures by itself. Name another.")
    return found


def _default(family: str, user: User) -> Weights:
    for row in FamilyBase.objects.select_related("version__entry__owner").order_by("family"):
        if same_family(row.family, family) and not row.version.gone and queries.may_read_version(user, row.version):
            try:
                found = renderfiles.of_version(row.version)
            except NoWeights:
                continue
            if found.role == jobs.CHECKPOINT:
                return found
    if not family:
        raise NoWeights(NO_BASE, "Its tensors do not tell to which family of models it belongs: its owner can name a base to render it on.")
    raise NoWeights(NO_BASE, f"There is no base of the family {family} to render it on: its owner can name one, or the admin a default.")
