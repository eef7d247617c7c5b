"""What torch, numpy and old Pythons write beside plain state dicts is taken, and whole modules are left to a person."""

from __future__ import annotations

import io
import pickle
import time

import pytest
import torch

from scanner.pickles import scan
from scanner.pickles.limits import LIMITS
from tests.scanner.honest_torch import HONEST_TORCH, WHOLE

pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls its own quantised, sparse and legacy forms deprecated


@pytest.mark.parametrize("title", HONEST_TORCH)
def test_honest_file_is_a_success(title: str) -> None:
    name, make = HONEST_TORCH[title]
    report = scan(io.BytesIO(make()), name=name)
    assert report.findings == []
    assert report.verdict == "success"


@pytest.mark.parametrize("title", WHOLE)
def test_whole_module_waits_for_a_person(title: str) -> None:
    name, make = WHOLE[title]
    report = scan(io.BytesIO(make()), name=name)
    assert {finding.code for finding in report.findings} == {"P-UNKNOWN"}
    assert report.verdict == "suspicious"
    assert report.directory is not None


def test_tensors_of_a_raw_optimizer_are_found() -> None:
    name, make = HONEST_TORCH["optimizer state"]
    data = make()
    report = scan(io.BytesIO(data), name=name)
    loaded = torch.load(io.BytesIO(data), weights_only=False)
    assert report.directory is not None
    assert len(report.directory.tensors) == sum(len(values) for values in loaded.values())


def test_number_of_a_thousand_digits_is_a_key_like_others() -> None:
    """Python writes no number of more than 4,300 digits as text; the scanner must not need to."""
    large = (1 << 32_000) - 1
    report = scan(io.BytesIO(pickle.dumps({large: 1, "a": 2, large + 1: 3}, 2)), name="a.pkl")
    assert report.verdict == "success"
    assert report.directory is not None
    assert len(report.directory.others) == 3


def test_names_used_by_many_tensors_are_quick() -> None:
    names = {"\u0378" * 1000: None}
    data = pickle.dumps([names] * 20_000, 2)
    started = time.process_time()
    assert scan(io.BytesIO(data), name="a.pkl").verdict == "success"
    assert time.process_time() - started < 2


def test_many_small_pickles_share_one_budget_and_fit_into_it() -> None:
    report = scan(io.BytesIO(pickle.dumps({"a": list(range(1000))}, 2) * 64), name="a.pkl")
    assert {finding.code for finding in report.findings} == {"P-STREAMS"}
    assert report.opcodes > 64_000
    assert report.budget.opcodes == LIMITS.opcodes - report.opcodes


def test_checkpoint_with_keys_that_are_pairs_is_taken() -> None:
    merges = {(f"a{number}", (number, f"b{number}")): number for number in range(50_000)}
    assert scan(io.BytesIO(pickle.dumps(merges, 4)), name="a.pkl").verdict == "success"
