"""What torch, numpy and old Pythons write beside plain state dicts is taken, and whole modules are left to a person."""

from __future__ import annotations

import io

import pytest
import torch

from scanner.pickles import scan
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
