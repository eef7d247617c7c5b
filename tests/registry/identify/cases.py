"""Every architecture and flavour that the rules know, with the answer: what a file is and what it must be called.

`MODELS` are checkpoints and diffusion models, `ADD_ONS` all else; `CASES` is both. Each file is built when it is asked for.
"""

from __future__ import annotations

from tests.registry.identify.case import Case
from tests.registry.identify.cases_loras import LORAS
from tests.registry.identify.cases_models import ALONE, CHECKPOINTS
from tests.registry.identify.cases_parts import PARTS

MODELS: dict[str, Case] = {**CHECKPOINTS, **ALONE}
ADD_ONS: dict[str, Case] = {**LORAS, **PARTS}
CASES: dict[str, Case] = {**MODELS, **ADD_ONS}
