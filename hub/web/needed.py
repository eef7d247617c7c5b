"""What else somebody needs who takes a file, as far as this hub knows: a checkpoint under an add-on, a VAE, text encoders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hub import usage
from hub.web import filelist, using
from hub.web.site import cap_of
from hub.wishes import Wish
from inference.models import FamilyBase, PreviewSettings
from registry import queries
from registry.identify.agreement import family_of, same_family
from registry.models import File, Kind, Version

ADDONS = (Kind.LORA, Kind.EMBEDDING, Kind.HYPERNETWORK, Kind.CONTROLNET)
LOOKED_AT = 200
"""Entries that are looked through for one that fits, most downloaded first."""
ENCODERS = {
    "SD 1.x": "CLIP-L",
    "SD 2.x": "OpenCLIP-H",
    "SDXL": "CLIP-L, OpenCLIP-G",
    "SD 3": "CLIP-L, OpenCLIP-G, T5-XXL",
    "Flux.1": "CLIP-L, T5-XXL",
}
"""Family -> the text encoders that its diffusion model was trained with, as its authors' configurations name them."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing. `file` is None where this hub has none to show; `search` is where to look among all that it has."""

    title: str
    reason: str
    file: File | None
    search: str


@dataclass(frozen=True, slots=True)
class Needs:
    """All of it, and one command that fetches what is here, the page's own file first; "" where there is nothing to add."""

    rows: list[Need]
    command: str


def of(request: HttpRequest, version: Version, file: File, wish: Wish) -> Needs:
    """What somebody needs beside this file of a version. A constant number of queries."""
    detected = _detected(file)
    family = str(detected.get("family") or "") or family_of(version.base_model)
    looked = _Looked(request.user, cap_of(request.user), family, wish)
    if version.entry.kind in ADDONS:
        rows = [_base(version, looked)]
    elif detected.get("kind") in {"checkpoint", "unet"}:
        rows = [*_vae(version, detected, looked), *_encoders(detected, looked)]
    else:
        rows = []
    return Needs(rows, _command(request, version, file, [row.file for row in rows if row.file]))


@dataclass(frozen=True, slots=True)
class _Looked:
    """Looks among what this visitor is shown, for files of a family, the most downloaded first."""

    user: Any
    cap: int
    family: str
    wish: Wish

    def of_kind(self, kinds: list[str], proved: list[str]) -> File | None:
        """The file that suits the visitor, of the most downloaded entry of these kinds whose tensors are `proved` and of the family."""
        entries = queries.listed().filter(kind__in=kinds, rating__lte=self.cap).order_by("-download_count", "-id")[:LOOKED_AT]
        ids = list(entries.values_list("pk", flat=True))  # walks the index of downloads, where one query for both would sort all files
        files = self.offered(proved).filter(version__entry__in=ids).order_by("-version__entry__download_count", "-version_id", "id")
        fitting = [file for file in files if same_family(str(_detected(file).get("family") or ""), self.family)]
        return self.suited(file for file in fitting if file.version_id == fitting[0].version_id)

    def of_versions(self, versions: list[int]) -> File | None:
        """The same of the first of these versions that is shown."""
        files = list(self.offered(["checkpoint", "unet"]).filter(version__in=versions).order_by("version_id", "id")) if versions else []
        return self.suited(file for file in files if file.version_id == files[0].version_id)

    def offered(self, proved: list[str]) -> QuerySet[File]:
        files = queries.suggested_files(self.user, self.cap).filter(blob__detected__kind__in=proved)
        return files.select_related("blob", "version__entry__owner")

    def suited(self, files: Iterable[File]) -> File | None:
        return filelist.recommended(files, self.wish)


def _base(version: Version, looked: _Looked) -> Need:
    """The base that the owner named, else the admin's default for the family, else what most people took."""
    named = PreviewSettings.objects.filter(version=version).values_list("base_id", flat=True).first()
    defaults = FamilyBase.objects.order_by("family").values_list("family", "version_id")
    wanted = [named] if named else [pk for known, pk in defaults if same_family(known, looked.family)]
    found = looked.of_versions(wanted) or looked.of_kind([Kind.CHECKPOINT], ["checkpoint", "unet"])
    reason = _("It changes a checkpoint for %(base)s and makes no pictures alone. Any one that fits will do.")
    search = f"/?{urlencode({'kind': Kind.CHECKPOINT.value, 'base': version.base_model})}"
    return Need(_("A base checkpoint"), reason % {"base": version.base_model}, found, search)


def _vae(version: Version, detected: dict[str, Any], looked: _Looked) -> list[Need]:
    if detected.get("has_vae") is not False:
        return []
    reason = _("Its creator recommends %(vae)s.") % {"vae": version.vae} if version.vae else _("It makes pictures of what comes out.")
    return [Need(_("A VAE"), reason, looked.of_kind([Kind.VAE], ["vae"]), "/?kind=vae")]


def _encoders(detected: dict[str, Any], looked: _Looked) -> list[Need]:
    if detected.get("has_text_encoder") is not False:
        return []
    names = ENCODERS.get(looked.family.split(" / ")[0])
    named = _("It reads prompts for this file, which has none inside. This family has %(encoders)s.")
    reason = named % {"encoders": names} if names else _("It reads prompts for this file, which has none inside.")
    found = looked.of_kind([Kind.OTHER, Kind.CHECKPOINT], ["text_encoder"])
    return [Need(_("Text encoders"), reason, found, "/?kind=other&q=encoder")]


def _detected(file: File) -> dict[str, Any]:
    return file.blob.detected if file.blob else {}


def _command(request: HttpRequest, version: Version, file: File, others: Iterable[File]) -> str:
    """A line for each file, into the folders of the program whose tab is open."""
    slug = using.program_of(request)
    files = [(version, file), *((other.version, other) for other in others)]
    if len(files) == 1:
        return ""
    return "\n".join(usage.fetch_line(slug, using.wanted_of(request, owner, one, [one])) for owner, one in files)
