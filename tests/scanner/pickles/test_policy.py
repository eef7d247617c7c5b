"""The rules themselves: every entry can be explained and checked, and what is not listed is a no."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scanner.pickles import policy
from scanner.pickles.contracts import CONTRACTS
from scanner.pickles.policy import POLICY

RAW = json.loads(Path(policy.__file__).with_name("policy.json").read_text("utf-8"))
NAMED_ONLY = {"name", "dtype", "constant", "storage"}


def test_every_entry_has_a_reason_and_a_contract() -> None:
    for entry in RAW["allowed"]:
        assert entry["reason"]
        assert entry["safety"] == ("name-only" if entry["contract"] in NAMED_ONLY else "allowed")
        assert entry["contract"] in NAMED_ONLY | CONTRACTS.keys() | {"rebuild_from_type"}
    for group in (*RAW["dangerous_roots"], *RAW["dangerous_modules"], *RAW["third_party"]):
        assert group["reason"]


def test_no_global_is_listed_twice() -> None:
    listed = [(module, name) for entry in RAW["allowed"] for module in entry["modules"] for name in entry["names"]]
    assert len(listed) == len(set(listed))


def test_every_contract_is_used() -> None:
    assert {entry["contract"] for entry in RAW["allowed"]} >= CONTRACTS.keys()


@pytest.mark.parametrize("module", sorted(sys.stdlib_module_names))
def test_unlisted_names_of_the_standard_library_are_dangerous(module: str) -> None:
    assert POLICY.judge(module, "anything").safety == "dangerous"
    assert POLICY.judge(f"{module}.sub", "Anything").safety == "dangerous"


@pytest.mark.parametrize(
    ("module", "name", "safety"),
    [
        ("torch", "FloatStorage", "name-only"),
        ("torch", "EvilStorage", "dangerous"),
        ("torch.storage", "_load_from_bytes", "dangerous"),
        ("torch._utils", "_rebuild_wrapper_subclass", "dangerous"),
        ("torch._utils", "_rebuild_tensor_v2", "allowed"),
        ("torch.nn.modules.linear", "Linear", "unknown"),
        ("torch.nn.modules.module", "_addindent", "dangerous"),
        ("collections", "OrderedDict", "allowed"),
        ("collections", "_sys", "dangerous"),
        ("collections", "OrderedDict.fromkeys", "dangerous"),
        ("collections ", "OrderedDict", "dangerous"),
        ("Collections", "OrderedDict", "dangerous"),
        ("OS", "system", "dangerous"),
        ("_interpreters", "exec", "dangerous"),
        ("_cffi_backend", "FFI", "dangerous"),
        ("annotationlib", "ForwardRef", "dangerous"),
        ("compression.zstd", "open", "dangerous"),
        ("ultralytics.nn.tasks", "DetectionModel", "unknown"),
        ("somewhere.else_", "Model", "unknown"),
        ("somewhere", "__import__", "dangerous"),
        ("somewhere.__init__", "os", "dangerous"),
        ("__main__", "Model", "dangerous"),
        ("", "", "dangerous"),
        ("tоrch", "load", "dangerous"),
        ("a" * 1000, "b", "dangerous"),
        ("os\n", "system", "dangerous"),
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", "name-only"),
        ("numpy", "load", "dangerous"),
        ("numpy", "float32", "name-only"),
        ("ultralytics.nn.tasks", "torch_safe_load", "dangerous"),
        ("dnnlib.util", "EasyDict", "unknown"),
        ("dnnlib.util", "get_obj_by_name", "dangerous"),
        ("torch.nn.parallel.data_parallel", "DataParallel", "unknown"),
        ("torch.nn.parallel.distributed", "RRef", "dangerous"),
        ("torch.nn.modules.module", "_WrappedHook", "unknown"),
        ("xxlimited_35", "Xxo", "dangerous"),
        ("tkSimpleDialog", "Dialog", "dangerous"),
        ("transformers.dynamic_module_utils", "get_class_from_dynamic_module", "dangerous"),
    ],
)
def test_judgement(module: str, name: str, safety: str) -> None:
    rule = POLICY.judge(module, name)
    assert rule.safety == safety
    assert rule.reason


@pytest.mark.parametrize("rule", [rule for group in RAW["dangerous_modules"] for rule in group["modules"]])
def test_every_dangerous_module_or_name_is_reached_by_the_rules(rule: str) -> None:
    module, _, name = rule.rpartition(".")
    assert POLICY.judge(rule, "Anything").safety == "dangerous"
    assert not module or POLICY.judge(module, name).safety == "dangerous"
