"""The words of a model card: our kinds, base models and licences in the spellings of the Hugging Face Hub. Tables only."""

from __future__ import annotations

from registry.models import CommercialUse, Entry, Kind

HUB_MODELS = {
    "SD 1.4": "CompVis/stable-diffusion-v1-4",
    "SD 1.5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "SD 1.5 LCM": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "SD 1.5 Hyper": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "SD 2.0": "stabilityai/stable-diffusion-2-base",
    "SD 2.0 768": "stabilityai/stable-diffusion-2",
    "SD 2.1": "stabilityai/stable-diffusion-2-1-base",
    "SD 2.1 768": "stabilityai/stable-diffusion-2-1",
    "SDXL 0.9": "stabilityai/stable-diffusion-xl-base-0.9",
    "SDXL 1.0": "stabilityai/stable-diffusion-xl-base-1.0",
    "SDXL 1.0 LCM": "stabilityai/stable-diffusion-xl-base-1.0",
    "SDXL Lightning": "stabilityai/stable-diffusion-xl-base-1.0",
    "SDXL Hyper": "stabilityai/stable-diffusion-xl-base-1.0",
    "SDXL Turbo": "stabilityai/sdxl-turbo",
    "Pony": "stabilityai/stable-diffusion-xl-base-1.0",
    "Illustrious": "stabilityai/stable-diffusion-xl-base-1.0",
    "NoobAI": "stabilityai/stable-diffusion-xl-base-1.0",
    "SD 3": "stabilityai/stable-diffusion-3-medium-diffusers",
    "SD 3.5 Medium": "stabilityai/stable-diffusion-3.5-medium",
    "SD 3.5 Large": "stabilityai/stable-diffusion-3.5-large",
    "SD 3.5 Large Turbo": "stabilityai/stable-diffusion-3.5-large-turbo",
    "Flux.1 D": "black-forest-labs/FLUX.1-dev",
    "Flux.1 S": "black-forest-labs/FLUX.1-schnell",
    "Flux.1 Krea": "black-forest-labs/FLUX.1-Krea-dev",
    "Flux.1 Kontext": "black-forest-labs/FLUX.1-Kontext-dev",
}
"""Base model as creators declare it -> the Hub's id of the model that it is, or that it is a descendant of."""

FAMILY_TAGS = (
    ("SD 1", "stable-diffusion"), ("SD 2", "stable-diffusion"), ("SD 3", "stable-diffusion"), ("SDXL", "stable-diffusion-xl"),
    ("Pony", "stable-diffusion-xl"), ("Illustrious", "stable-diffusion-xl"), ("NoobAI", "stable-diffusion-xl"), ("Flux", "flux"),
)  # fmt: skip
"""How a base model begins -> the tag of its kin."""
ADAPTERS = frozenset({Kind.LORA, Kind.EMBEDDING, Kind.HYPERNETWORK, Kind.CONTROLNET})

_LICENCES = """apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0
postgresql ofl-1.1 ncsa unlicense zlib pddl"""
HUB_LICENCES = frozenset(_LICENCES.split())
"""Identifiers that a card's `license` may hold; everything else is "other" with a name."""
OWN_TERMS = "permissions-of-the-creator"
"""`license_name` of an entry without a licence text: its page's permissions are all there is."""


def licence_fields(entry: Entry) -> dict[str, str]:
    """`license`, and `license_name` where that is "other"."""
    spdx = entry.spdx.strip()
    known = spdx.lower().removesuffix("-only").removesuffix("-or-later")
    if known in HUB_LICENCES:
        return {"license": known}
    return {"license": "other", "license_name": spdx or OWN_TERMS}


def permissions(entry: Entry) -> list[str]:
    """The creator's permissions as sentences."""
    uses = [str(label) for use, label in CommercialUse.choices if use in entry.allow_commercial_use]
    kept = "They may have other permissions." if entry.allow_different_license else "They keep these permissions."
    return [
        "You may use it without naming its creator." if entry.allow_no_credit else "Name its creator when you use it.",
        f"Commercial use: {'; '.join(uses)}." if uses else "No commercial use.",
        f"Merges and fine-tunes of it may be shared. {kept}" if entry.allow_derivatives else "Do not share merges or fine-tunes of it.",
    ]


def family_tag(base_model: str) -> str:
    """The tag of a base model's kin, "" where it has none here."""
    return next((tag for start, tag in FAMILY_TAGS if base_model.startswith(start)), "")
