"""What can be made of a file of weights: which tensors are kept, and how precise they stay. Plans, no bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

Keep = Literal["all", "weights", "ema"]
Precision = Literal["keep", "fp32", "fp16", "bf16"]
KEEPS: tuple[Keep, ...] = get_args(Keep)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

DTYPES: dict[str, str] = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}
WIDE: frozenset[str] = frozenset({"F32", "F64"})

SCHEDULE: frozenset[str] = frozenset(
    [
        *("betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod"),
        *("log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_variance"),
        *("posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2", "lvlb_weights", "logvar", "scale_factor"),
        *("edm_mean", "edm_std"),
    ]
)
"""Last part of the names of noise schedules and latent scales (ldm's `register_schedule`, model-toolkit's table of buffers, Playground's
two). 60 kB in all; A1111's merger leaves them in fp32 beside halved weights, and in half precision they change every picture.
"""
EXACT: frozenset[str] = frozenset(
    ["model_ema.decay", "denoiser.sigmas", "denoiser.log_sigmas", "edm_vpred.sigma_max", "edm_vpred.sigma_min", "v_pred", "ztsnr"]
)
"""Single numbers and marks of a model as a whole, by their full names. A decay of 0.9999 would be 1.0 in half precision."""


def stays_exact(name: str) -> bool:
    """Whether a tensor keeps its type whatever precision is asked for."""
    return name in EXACT or name.rpartition(".")[2] in SCHEDULE


@dataclass(frozen=True, slots=True)
class Recipe:
    """`keep`: every tensor of the model ("all"), without the EMA averages ("weights"), or with the averages in the
    weights' place ("ema"). Training state beside the model is never kept. `precision`: of floating point tensors;
    whole numbers, 8-bit floats and what `stays_exact` stay as they are.
    """

    keep: Keep = "all"
    precision: Precision = "keep"

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def twin_recipe() -> Recipe:
    """The safetensors twin of a pickle: the same tensors with the same bits, and nothing that is not the model."""
    return Recipe("all", "keep")


def variant_suffix(recipe: Recipe) -> str:
    """What a variant's file name adds to its source's: "-pruned-fp16", "-ema-fp16"; nothing for the twin."""
    kept = {"all": "", "weights": "-pruned", "ema": "-ema"}[recipe.keep]
    return kept + ("" if recipe.precision == "keep" else f"-{recipe.precision}")
