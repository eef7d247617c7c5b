"""Keeps the garbage collector off what libraries and other tests made, while models make way for each other here."""

from __future__ import annotations

import gc

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def quiet_collector() -> None:
    """Looking at it all took a quarter of a second each time, longer than the pictures; and torch's threads wait for each other."""
    torch.set_num_threads(1)
    gc.freeze()
