"""Array headers: what numpy writes is read as numpy reads it, and nothing else is read at all."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from registry.formats.errors import FormatError
from registry.formats.npy import read_npy
from registry.formats.window import Window
from tests.attacks.writers import npy


def window(data: bytes) -> Window:
    return Window(io.BytesIO(data))


@pytest.mark.parametrize("dtype", ["?", "i1", "<i2", ">i4", "u8", "f2", "<f4", ">f8", "c8", "c16", "longdouble"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_header_says_what_numpy_says(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.zeros(shape, dtype, order)
    out = io.BytesIO()
    np.save(out, array)
    header = read_npy(window(out.getvalue()))
    assert (np.dtype(header.descr), header.shape, header.size) == (array.dtype, shape, array.nbytes)
    assert header.fortran == array.flags.fnc
    assert header.start + header.size == len(out.getvalue())


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "N-OBJECT"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", "N-OBJECT"),
        ("{'descr': '|V4', 'fortran_order': False, 'shape': (4,), }", "N-OBJECT"),
        ("{'descr': '<M8', 'fortran_order': False, 'shape': (2,), }", "N-DTYPE"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2), }", "N-HEADER"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': [2, 2], }", "N-HEADER"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4), }", "N-HEADER"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), } + {}", "N-HEADER"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'descr': '|O', }", "N-OBJECT"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", "F-TRUNCATED"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", "N-SIZE"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4,01), }", "N-HEADER"),
        ("{'descr': '<f04', 'fortran_order': False, 'shape': (2, 2), }", "N-HEADER"),
        ("{" * 5000, "N-HEADER"),
    ],
)
def test_every_other_header_is_refused(header: str, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        read_npy(window(npy(header)))
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


def test_keys_may_come_in_any_order() -> None:
    assert read_npy(window(npy("{'shape': (2, 2), 'fortran_order': True, 'descr': '<f4'}"))).fortran
