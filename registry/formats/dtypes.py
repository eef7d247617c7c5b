"""Element types of tensors: their safetensors names, sizes in bytes and torch's names for them. A table, not a converter.

Names and sizes: safetensors `Dtype` (safetensors/src/tensor.rs, 0.8); storage classes: torch/serialization.py (2.13).
"""

from __future__ import annotations

SIZES: dict[str, int] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "C64": 8, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
"""safetensors dtype name -> bytes per element. Sub-byte types (F4, F6) are refused: no SD file uses them."""

FLOATS: frozenset[str] = frozenset(name for name in SIZES if name.startswith(("F", "BF")))

WRITE_ORDER: tuple[str, ...] = (
    "U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16",
    "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL",
)  # fmt: skip
"""Order in which the reference writer lays tensors out (dtype first, then name). Checked against `safetensors.torch.save_file`."""

TORCH_STORAGES: dict[str, str] = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL", "ComplexFloatStorage": "C64",
}  # fmt: skip
"""torch storage class (without its module) -> dtype. `UntypedStorage` has none: `_rebuild_tensor_v3` names it."""

TORCH_DTYPES: dict[str, str] = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
    "complex64": "C64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}  # fmt: skip
"""torch dtype name (without `torch.`) -> dtype, for `_rebuild_tensor_v3` and dtype constants."""
