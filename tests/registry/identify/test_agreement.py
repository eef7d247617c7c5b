"""Declared against proved: families are compared, names that tensors cannot tell apart never conflict."""

from __future__ import annotations

import pytest

from registry.identify.agreement import agrees


@pytest.mark.parametrize(
    ("declared", "family", "answer"),
    [
        ("SD 1.5", "SD 1.x", True),
        ("SD 1.4", "SD 1.x", True),
        ("SD 1.5 LCM", "SD 1.x", True),
        ("Pony", "SDXL", True),
        ("Illustrious", "SDXL", True),
        ("SDXL 1.0", "SDXL Refiner", True),
        ("SD 2.1 Unclip", "SD 2.x unCLIP", True),
        ("SD 3.5 Large", "SD 3.5", True),
        ("Flux.1 D", "SD 3 / Flux.1", True),
        ("Flux.1 D", "SD 1.x", False),
        ("SD 1.5", "SDXL", False),
        ("SDXL 1.0", "SD 2.x", False),
        ("Pony V7", "SDXL", False),
        ("Other", "SDXL", None),
        ("Something new", "SDXL", None),
        ("SD 1.5", "", None),
    ],
)
def test_a_declaration_is_held_against_the_family_that_tensors_prove(declared: str, family: str, answer: bool | None) -> None:
    assert agrees(declared, {"family": family}) is answer
