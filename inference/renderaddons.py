"""Which files a request adds to a checkpoint, by id or by a tag in the prompt: found, readable by who asks, and of a fitting family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from inference import renderfiles, renderlimits
from inference.diffusion import jobs, prompts
from inference.diffusion.jobs import AddOn
from inference.renderfiles import Weights
from inference.renderlimits import NoRender
from registry import queries
from registry.identify.agreement import same_family
from registry.models import File, User
from registry.names import EXTENSIONS

Wanted = Mapping[str, Any]
NETWORK_ROLES = {prompts.LORA: jobs.LORA, prompts.HYPERNET: jobs.HYPERNETWORK}
LOOKED_AT = 50
"""Files of one name that are compared with the checkpoint's family."""


@dataclass
class AddOns:
    """The files of a job in their order, the checkpoint first, and what of them acts in its shots."""

    user: User
    checkpoint: Weights
    files: list[Weights] = field(default_factory=list)
    acting: list[AddOn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files.append(self.checkpoint)

    def add(self, weights: Weights, strength: float = 1.0, text_strength: float | None = None) -> None:
        """Add a file once; the first word on its strength holds. Raises `NoRender` `render:does-not-fit`, `render:too-many-files`."""
        if any(one.file.pk == weights.file.pk for one in self.files):
            return
        if len(self.files) > renderlimits.MAX_ADDONS:
            raise NoRender("render:too-many-files", f"At most {renderlimits.MAX_ADDONS} files are added to a checkpoint.")
        fit = weights.fit(self.checkpoint)
        if fit.fits is False and not fit.applied:
            raise NoRender("render:does-not-fit", fit.sentence)
        if fit.fits is False:
            self.notes.append(fit.sentence)
        self.files.append(weights)
        self.acting.append(AddOn(len(self.files) - 1, strength, text_strength))

    def add_networks(self, networks: Sequence[prompts.Network]) -> None:
        """The files that tags of a prompt name. Raises `NoRender` `render:unknown-network` for one that this hub does not have."""
        if len(networks) > renderlimits.MAX_ADDONS:
            raise NoRender(
                "render:too-many-files", f"A prompt may name at most {renderlimits.MAX_ADDONS} add-ons; this one names {len(networks)}."
            )
        for one in networks:
            found = _by_name(self.user, NETWORK_ROLES[one.kind], one.name, self.checkpoint.families)
            strength, text = renderlimits.strength(one.strength, one.name), renderlimits.strength(one.text_strength, one.name)
            self.add(found, strength, None if text == strength else text)

    def add_listed(self, wanted: Sequence[Wanted], roles: tuple[str, ...], what: str) -> None:
        """The files that a list names by id. Raises `NoRender` `render:role` for one of another kind."""
        if len(wanted) > renderlimits.MAX_ADDONS:
            raise NoRender("render:too-many-files", f"At most {renderlimits.MAX_ADDONS} files are added to a checkpoint.")
        for one in wanted:
            found = renderfiles.find(self.user, one, what=what)
            if found.role not in roles:
                raise NoRender("render:role", f"{found.file.name} is no {roles[0]}, so it does not belong into `{what}`.")
            self.add(found, renderlimits.strength(one.get("strength", _recommended(found)), found.file.name))

    def check_words(self, *texts: str) -> None:
        """Raises `NoRender` `render:word-missing` for an embedding whose word stands in no prompt: it would do nothing."""
        said = "\n".join(texts).casefold()
        for one in self.files:
            if one.role == jobs.EMBEDDING and one.name.casefold() not in said:
                text = f'The embedding {one.file.name} acts where its word "{one.name}" stands in a prompt. Put it into one of them.'
                raise NoRender("render:word-missing", text)


def choose(user: User, checkpoint: Weights, subject: Weights, networks: Sequence[prompts.Network], **lists: Sequence[Wanted]) -> AddOns:
    """All add-ons of a request. `lists`: loras, embeddings, vaes. The subject of the render is one of them where it is no checkpoint.

    Raises `NoRender`, `NoWeights`.
    """
    found = AddOns(user, checkpoint)
    found.add_listed(lists.get("loras", ()), (jobs.LORA, jobs.HYPERNETWORK), "loras")
    found.add_networks(networks)
    found.add_listed(lists.get("embeddings", ()), (jobs.EMBEDDING,), "embeddings")
    found.add_listed(lists.get("vaes", ()), (jobs.VAE,), "vae")
    if subject.role != jobs.CHECKPOINT:
        found.add(subject, 1.0 if subject.role == jobs.REFINER else _recommended(subject))
    if sum(one.role == jobs.VAE for one in found.files) > 1:
        raise NoRender("render:vae", "A picture is decoded by one VAE; this request names two.")
    return found


def _recommended(weights: Weights) -> float:
    """The strength that the creator of an add-on recommends, where it can be followed."""
    weight = weights.file.version.weight
    return weight if weight is not None and abs(weight) <= renderlimits.MAX_STRENGTH else 1.0


def _by_name(user: User, role: str, name: str, family: str) -> Weights:
    """The file that a tag means, of those that this user is led to: called so, or of a model called so; own ones first.

    What is unlisted is never found by its name, lest names of it can be tried.
    """
    kinds = [kind for kind, one in renderfiles.ROLES.items() if one == role]
    stems = [f"{name}{ending}" for ending in EXTENSIONS]
    called = Q(version__entry__name__iexact=name) | Q(version__entry__slug__iexact=name)
    for stem in stems:
        called |= Q(name__iexact=stem) | Q(source__name__iexact=stem)
    led = Q(version__entry__in=queries.listed(), version__in=queries.published_versions())
    led |= Q(version__entry__owner=user, version__entry__deleted_at=None, version__deleted_at=None)
    files = queries.downloadable_files().filter(called, led, blob__container=renderfiles.CONTAINER, blob__detected__kind__in=kinds)
    rows = files.select_related("blob", "source", "version__entry__owner").order_by("-version__entry__download_count", "-version_id", "pk")
    known = [Weights(file, role) for file in rows[:LOOKED_AT] if not file.version.gone]
    fitting = [one for one in known if same_family(one.families, family) is not False]
    if not fitting:
        reason = (
            f"the ones of this name are for other families than {family}" if known else "this hub has none of this name that you may use"
        )
        raise NoRender("render:unknown-network", f'The prompt names the {role} "{_shown(name)}", but {reason}.')
    return min(fitting, key=lambda one: (one.file.version.entry.owner_id != user.pk, not _is_called(one.file, name)))


def _is_called(file: File, name: str) -> bool:
    return Weights(file, "").name.casefold() == name.casefold()


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])
