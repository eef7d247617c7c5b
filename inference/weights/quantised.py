"""Tells weights whose numbers mean something only together with scales and codes beside them. It undoes no quantisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from registry.formats.directory import TensorEntry

MARKS: dict[str, str] = {
    "quant_map": "bitsandbytes", "nested_quant_map": "bitsandbytes", "nested_absmax": "bitsandbytes", "absmax": "bitsandbytes",
    "SCB": "bitsandbytes", "qweight": "nunchaku or GPTQ", "qzeros": "GPTQ", "wscales": "nunchaku", "wtscale": "nunchaku",
    "scaled_fp8": "scaled FP8", "comfy_quant": "ComfyUI", "_data": "quanto",
}  # fmt: skip
"""Last part of a tensor's name -> whose form of quantisation it belongs to (ComfyUI's and the libraries' own loaders look for these)."""

SCALES: frozenset[str] = frozenset({"scale_weight", "scale_input", "weight_scale", "input_scale", "weight_scale_2"})
"""Scales beside a weight: they mean quantisation only where the weight of the same layer is of 8 bits or fewer."""

EIGHT_BITS: frozenset[str] = frozenset({"F8_E4M3", "F8_E5M2", "I8", "U8"})


def quantised_by(tensors: Mapping[str, TensorEntry]) -> tuple[str, str] | None:
    """Whose quantisation these tensors are in, and a name that shows it; None for weights that can be cast one by one.

    Plain 8-bit floats without scales are none: they are numbers by themselves.
    """
    for name, last in _last_parts(tensors):
        if last in MARKS and (last != "_data" or f"{name.removesuffix('_data')}_scale" in tensors):
            return MARKS[last], name
        if last.startswith("bitsandbytes__") and ".quant_state." in name:
            return "bitsandbytes", name
        if last in SCALES:
            weight = tensors.get(f"{name[: -len(last)]}weight")
            if weight is not None and weight.dtype in EIGHT_BITS:
                return "scaled 8-bit", name
    return None


def _last_parts(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    return ((name, name.rpartition(".")[2]) for name in names)
