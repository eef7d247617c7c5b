"""Whether an add-on's file fits a checkpoint's, and which checkpoints of this hub it fits. The rules are `registry.identify.fitting`'s."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from registry import panel, queries
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify import fitting
from registry.models import File
from registry.refusals import Refusal

log = logging.getLogger(__name__)
TROUBLE = (FormatError, OSError, BotoCoreError, ClientError)
"""One file that cannot be read or compared is no reason to show none."""
ADDONS = frozenset({"lora", "embedding", "vae", "hypernetwork"})
"""Detected kinds that are asked about."""
SHOWN, LOOKED_AT = 5, 60
"""Checkpoints that a list shows, and files that are looked at to find that many different ones."""
MAX_TENSORS = 20_000
"""Of an add-on that a page compares with several checkpoints; the largest real ones have a tenth of that."""


@dataclass(frozen=True)
class Fit:
    """What `registry.identify.fitting` says of an add-on and one checkpoint: `fits` is None where names and shapes cannot tell."""

    checkpoint: File
    found: fitting.Fit

    @property
    def fits(self) -> bool | None:
        return self.found.fits

    @property
    def sentence(self) -> str:
        return self.found.sentence

    @property
    def percent(self) -> int:
        """Of the add-on's parts that would apply, rounded down: only what applies as a whole is 100."""
        return int(100 * self.found.share)


def compare(addon: File, checkpoint: File) -> Fit:
    """Raises `Refusal` (409) where nobody knows the tensors of one of them, FormatError where they cannot be compared."""
    return _compare(_known(addon), checkpoint)


def _compare(addon: TensorDirectory, checkpoint: File) -> Fit:
    return Fit(checkpoint, fitting.fits(addon, _known(checkpoint)))


def _known(file: File) -> TensorDirectory:
    directory = panel.directory_of(file)
    if directory is None:
        raise Refusal("fits:unknown", f"No tensors are known of {printable(file.name, 120)}: it was not examined yet, or it holds none.")
    return directory


def asked_about(file: File) -> bool:
    """Whether a file is an add-on whose fitting checkpoints are worth a list."""
    detected = file.blob.detected if file.blob else {}
    tensors = detected.get("tensors")
    return detected.get("kind") in ADDONS and bool(families(detected)) and type(tensors) is int and tensors <= MAX_TENSORS


def families(detected: dict[str, Any]) -> list[str]:
    """["SD 3", "Flux.1"] of a layout that both share."""
    return [name for name in str(detected.get("family") or "").split(" / ") if name]


def suitable(user: Any, addon: File, cap: int) -> list[Fit]:
    """Checkpoints of the same family that this user finds in this hub, the best fit first; each version and each content once."""
    found = queries.checkpoints_of(user, families(addon.blob.detected if addon.blob else {}), cap)
    results: list[Fit] = []
    try:
        own = _known(addon)
    except TROUBLE:
        return results
    for checkpoint in _different(found[:LOOKED_AT]):
        try:
            results.append(_compare(own, checkpoint))
        except TROUBLE:
            log.info("%s cannot be compared with %s", addon, checkpoint, exc_info=True)
        if len(results) == SHOWN:
            break
    return sorted(results, key=lambda fit: (fit.fits is not True, -fit.found.share))


def _different(files: Iterable[File]) -> Iterable[File]:
    seen: set[tuple[str, int | None]] = set()
    for file in files:
        keys = {("version", file.version_id), ("blob", file.blob_id)}
        if not keys & seen:
            seen |= keys
            yield file
