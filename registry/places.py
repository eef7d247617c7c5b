"""Finds places of the trainer's machine in what a file says of itself: folder names that were never meant to be published.

It judges text only; who may see it all the same is asked by the caller.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "hidden: it holds folder names of the trainer's machine"
"""What stands in the place of such a value, on pages and in answers."""

FOLDERS = frozenset({"ss_dataset_dirs", "ss_reg_dataset_dirs"})
"""Metadata that kohya's trainers fill with the names of training folders (train_util.py), path or not."""

TOPS = "home|Users|root|mnt|media|content|workspace|kaggle|notebooks|data|datasets|var|tmp|opt|srv|private|Volumes|storage|teamspace"
"""First folders of where people and rented machines keep training sets."""

BEGIN = r"""(?:^|[\s"'=,;:(\[{])"""
"""Where a text, or a word in it, begins: what follows is not the middle of an address or of a word."""
PLACE = re.compile(
    rf"""{BEGIN}(?:[A-Za-z]:(?:\\{{1,4}}|/)\w|\\{{2,8}}[\w.$-]+\\{{1,4}}\w|~/\w|file:/|/(?:{TOPS})/\w)"""
    r"""|(?:^|["'\s])/[\w.$-]+/[\w.$-]+/[\w.$-]"""
)
"""A drive (backslashes are doubled in JSON, and again in JSON within it), a network share, a home, a known first folder; or three deep."""


def names_place(key: str, text: str) -> bool:
    """Whether the metadata under `key` tells a folder of somebody's machine."""
    return key in FOLDERS or PLACE.search(text) is not None


def without_places(metadata: dict[str, str]) -> dict[str, str]:
    """The metadata as everybody may see it: values that name places are `HIDDEN`."""
    return {key: HIDDEN if names_place(key, text) else text for key, text in metadata.items()}


def hide(value: Any) -> Any:
    """Plain data that came out of a file (as JSON has it), with every text that names a place as `HIDDEN`."""
    if isinstance(value, str):
        return HIDDEN if names_place("", value) else value
    if isinstance(value, list):
        return [hide(item) for item in value]
    if isinstance(value, dict):
        return {key: hide(item) for key, item in value.items()}
    return value
