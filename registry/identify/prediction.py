"""What a model predicts (noise, velocity) and how its numbers are packed, where the file says so. SD 2's two kinds cannot be told by names.

Markers: ComfyUI supported_models.py (`v_pred`, `ztsnr`, `edm_*`) and its quantised layers, bitsandbytes, nunchaku; kohya, ModelSpec.
"""

from __future__ import annotations

from registry.identify.conditions import Condition, Evidence, both, claims, either, ends, has
from registry.identify.facts import Facts

V_MARKS = either(has("v_pred"), has("edm_vpred.sigma_max"), has("unet.v_pred"))
V_CLAIMS = either(
    claims("modelspec.prediction_type", "v"),
    claims("ss_v_parameterization", "true"),
    claims("modelspec.architecture", "stable-diffusion-v2-768-v"),
)
EDM = both(has("edm_mean"), has("edm_std"))
EPSILON = claims("modelspec.prediction_type", "epsilon", "eps")

QUANTIZED: tuple[tuple[str, Condition], ...] = (
    ("nf4 (bitsandbytes)", ends(".quant_state.bitsandbytes__nf4")),
    ("fp4 (bitsandbytes)", ends(".quant_state.bitsandbytes__fp4")),
    ("int4 (nunchaku)", either(ends(".qweight"), ends(".wscales"))),
    ("fp8, scaled", either(ends("scaled_fp8"), ends(".scale_weight"), ends(".weight_scale"))),
)


def prediction_of(facts: Facts) -> tuple[str, list[Evidence]]:
    """("v", "epsilon", "edm" or "", the evidence). Markers inside the file outweigh metadata."""
    for name, condition in (("v", V_MARKS), ("edm", EDM), ("v", V_CLAIMS), ("epsilon", EPSILON)):
        evidence = condition(facts)
        if evidence is not None:
            return name, [evidence]
    return "", []


def quantization_of(facts: Facts) -> str:
    """How the numbers are packed beside plain element types; "" for plain tensors."""
    return next((name for name, condition in QUANTIZED if condition(facts) is not None), "")
