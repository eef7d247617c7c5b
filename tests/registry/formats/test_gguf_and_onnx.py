"""GGUF and ONNX: what the walk counts, and that each byte has to belong to something."""

from __future__ import annotations

import io
import struct

import pytest

from registry.formats.errors import FormatError
from registry.formats.gguf import read_gguf
from registry.formats.onnx import is_plain_file_name, looks_like_onnx, read_onnx
from registry.formats.window import Window
from tests.attacks.writers import gguf, gguf_tensor, onnx, onnx_external, onnx_graph, onnx_node, onnx_tensor, part


def window(data: bytes) -> Window:
    return Window(io.BytesIO(data))


def test_a_model_is_counted_to_its_last_tensor() -> None:
    tensors = [gguf_tensor("a", (4, 2), 1), gguf_tensor("b", (256, 3), 14, 32), gguf_tensor("c", (0, 5), 0, 672)]
    model = read_gguf(window(gguf(tensors=tensors, data=bytes(32 + 640))))
    assert (model.version, model.tensors, model.nbytes, model.templates) == (3, 3, 16 + 630, ())


def test_every_template_is_handed_out() -> None:
    keys = {"tokenizer.chat_template": "{{ a }}", "tokenizer.chat_template.tools": "{{ b }}", "other.Template.x": "{{ c }}", "x": "y"}
    assert [raw for _, raw in read_gguf(window(gguf(keys))).templates] == [b"{{ a }}", b"{{ b }}", b"{{ c }}"]


def test_padding_at_the_end_may_be_left_out() -> None:
    whole = gguf()
    assert read_gguf(window(whole[:-16])).tensors == read_gguf(window(whole)).tensors == 1
    with pytest.raises(FormatError, match="F-TRUNCATED"):
        read_gguf(window(whole[:-17]))
    with pytest.raises(FormatError, match="G-TRAILING"):
        read_gguf(window(whole + b"\0"))


def test_every_other_kind_of_value_is_passed_over_exactly() -> None:
    wide = {kind: struct.pack("<I", kind) + bytes(size) for kind, size in ((0, 1), (2, 2), (5, 4), (6, 4), (10, 8), (12, 8))}
    nested = struct.pack("<IIQIQ", 9, 9, 1, 0, 3) + b"abc"
    keys = {f"k{kind}": raw for kind, raw in wide.items()} | {"nested": nested, "flags": [True, False], "texts": ["a", ""]}
    assert read_gguf(window(gguf(keys))).tensors == 1


@pytest.mark.parametrize("keys", [{"flag": struct.pack("<IB", 7, 2)}, {"general.alignment": 24}, {"general.alignment": "32"}])
def test_values_that_no_program_writes_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        read_gguf(window(gguf(keys)))


def test_an_onnx_model_is_counted() -> None:
    inner = onnx_graph(onnx_tensor())
    graph = onnx_graph(onnx_tensor(), onnx_external("a.bin"), nodes=[onnx_node("If", "my.ops", part(1, "then") + part(6, inner))])
    model = read_onnx(window(onnx(graph)))
    assert (model.tensors, model.bytes, model.external, model.domains) == (3, 32, ["a.bin"], ["my.ops"])


def test_numbers_may_come_packed_or_one_by_one() -> None:
    packed = part(1, b"\2\2") + part(2, 1) + part(4, struct.pack("<4f", 1, 2, 3, 4))
    single = part(1, 2) + part(1, 2) + part(2, 1) + b"".join(b"\x25" + struct.pack("<f", 1) for _ in range(4))
    assert read_onnx(window(onnx(onnx_graph(packed, single)))).tensors == 2


@pytest.mark.parametrize("name", ["model.onnx_data", "weights 1.bin", "重み.bin", "a..b"])
def test_plain_names_are_plain(name: str) -> None:
    assert is_plain_file_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "...", "a/b", "a\\b", "C:x", "x\n", " x", "x ", "a|b", "~x", "$x", "\u202ex", "x" * 256, "CON", "lpt1.bin"]
)
def test_names_that_may_lead_elsewhere_are_not(name: str) -> None:
    assert not is_plain_file_name(name)


@pytest.mark.parametrize("head", [b"", b"\x08\x08", b"\x80\x02}", b"(dp0", b"\x08\x00\x12", b"\x08\x08\x99"])
def test_other_files_are_not_taken_for_onnx(head: bytes) -> None:
    assert not looks_like_onnx(head)
    assert looks_like_onnx(onnx()[:8])
