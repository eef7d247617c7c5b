"""The word on every name a pickle may import: default is no. The rules are data (policy.json), reviewed and versioned, a reason each.

Bump "version" in policy.json with any change: verdicts are kept per version. The allowed part follows torch's own
`weights_only` list and what the official Stable Diffusion files name; anything of the standard library, torch or numpy that is
not listed is dangerous, and other packages' classes are unknown (a person must look).
"""

from __future__ import annotations

import json
import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALLOWED, NAME_ONLY, UNKNOWN, DANGEROUS = "allowed", "name-only", "unknown", "dangerous"

_PLAIN_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_TORCH_ALIASES = {"torch.tensor": "torch._tensor"}
"""torch.load's own renames (torch/serialization.py `load_module_mapping`)."""


def loaded_as(module: str, name: str, proto: int) -> tuple[str, str]:
    """What is really imported: protocols before 3 rename what Python 2 called otherwise, and torch renames modules of its own."""
    if proto < 3:
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return _TORCH_ALIASES.get(module, module), name


@dataclass(frozen=True, slots=True)
class Rule:
    """How one global may be used: `contract` names a check in `calls`, "" where there is none."""

    safety: str
    contract: str
    reason: str


class Policy:
    """The rules of one policy.json, ready to be asked."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.version: str = data["version"]
        self._exact = {
            (module, name): Rule(entry["safety"], entry["contract"], entry["reason"])
            for entry in data["allowed"]
            for module in entry["modules"]
            for name in entry["names"]
        }
        self._modules = {module: entry["reason"] for entry in data["dangerous_modules"] for module in entry["modules"]}
        self._roots = {root: entry["reason"] for entry in data["dangerous_roots"] for root in entry["roots"]}
        renamed = {module.partition(".")[0] for pair in IMPORT_MAPPING.items() for module in pair}
        for root in (*sys.stdlib_module_names, *data["removed_stdlib"], *renamed):
            self._roots.setdefault(root, data["dangerous_stdlib"])
        self._lower = {root.lower() for root in self._roots}
        self._whole = (tuple(data["whole_modules"]["prefixes"]), data["whole_modules"]["reason"])
        self._wholes = frozenset(data["whole_modules"]["classes"])
        self._third = [(tuple(entry["prefixes"]), entry["reason"]) for entry in data["third_party"]]
        self._stranger: str = data["third_party_unknown"]
        self._spelling: str = data["dangerous_spelling"]
        self._inside: str = data["dangerous_inside"]

    def judge(self, module: str, name: str) -> Rule:
        """The rule for one global; never raises, and says dangerous where nothing else is known to hold."""
        exact = self._exact.get((module, name))
        if exact is not None:
            return exact
        if len(module) > 500 or len(name) > 500 or not _PLAIN_MODULE.fullmatch(module) or not _PLAIN_NAME.fullmatch(name):
            return Rule(DANGEROUS, "", self._spelling)
        if name.startswith("__") or any(part.startswith("__") for part in module.split(".")):
            return Rule(DANGEROUS, "", self._spelling)
        if f"{module}.{name}" in self._wholes or (module.startswith(self._whole[0]) and name[:1].isupper()):
            return Rule(UNKNOWN, "", self._whole[1])
        return self._judge_package(module, name)

    def _judge_package(self, module: str, name: str) -> Rule:
        parts = [*module.split("."), name]  # a rule may be about a package, a module or one name in it
        for length in range(len(parts), 0, -1):
            reason = self._modules.get(".".join(parts[:length]))
            if reason:
                return Rule(DANGEROUS, "", reason)
        if parts[0] in self._roots:
            return Rule(DANGEROUS, "", self._roots[parts[0]])
        if parts[0].lower() in self._lower:
            return Rule(DANGEROUS, "", self._spelling)  # on a file system without case it is the same module
        if module.startswith("_"):
            return Rule(DANGEROUS, "", self._inside)  # also what Pythons newer than this one keep there (`_interpreters`)
        for prefixes, reason in self._third:
            if f"{module}.".startswith(prefixes):
                return Rule(UNKNOWN, "", reason)
        return Rule(UNKNOWN, "", self._stranger)


POLICY = Policy(json.loads(Path(__file__).with_name("policy.json").read_text("utf-8")))
POLICY_VERSION = POLICY.version
