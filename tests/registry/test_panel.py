"""Tensors of stored files without loading them: equal to the reference reader, by few ranged bytes, and never of what is not served."""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from registry import panel, storage
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.models import Blob, File, TensorIndex
from registry.places import HIDDEN
from registry.refusals import Refusal
from tests.factories import VersionFactory
from tests.hub.published import published_file
from tests.intake import drain, upload_bytes, upload_path
from tests.tiny import lightning_checkpoint

pytestmark = pytest.mark.django_db

TENSORS = {
    "model.diffusion_model.out.2.bias": np.zeros(4, np.float32),
    "model.diffusion_model.out.2.weight": np.zeros((4, 320, 3, 3), np.float16),
    "model_ema.diffusion_modelout2bias": np.zeros(4, np.float32),
    "first_stage_model.quant_conv.bias": np.zeros(8, np.float16),
    "cond_stage_model.transformer.text_model.embeddings.position_ids": np.zeros((1, 77), np.int64),
    "betas": np.zeros((), np.float32),
}


@pytest.fixture(autouse=True)
def nothing_at_hand() -> Iterator[None]:
    panel.forget()
    yield
    panel.forget()


def stored(owner: Any, tensors: dict[str, Any] | None = None, metadata: dict[str, str] | None = None, **fields: Any) -> File:
    return published_file(owner, save(TENSORS if tensors is None else tensors, metadata), **fields)


def test_names_shapes_types_and_places_are_those_of_the_file(creator: Any) -> None:
    data = save(TENSORS, {"format": "pt"})
    found = panel.of_file(published_file(creator, data))
    assert found is not None
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert (found.metadata, found.source) == (header.pop("__metadata__"), "header")
    told = {row.name: (row.dtype, list(row.shape), [row.begin - 8 - length, row.end - 8 - length]) for row in found.rows}
    assert told == {name: (one["dtype"], one["shape"], one["data_offsets"]) for name, one in header.items()}


def test_totals_count_by_type_and_by_part(creator: Any) -> None:
    found = panel.of_file(stored(creator))
    assert found is not None
    assert {one.name: (one.tensors, one.numbers, one.bytes) for one in found.dtypes} == {
        "F16": (2, 11528, 23056), "I64": (1, 77, 616), "F32": (3, 9, 36),
    }  # fmt: skip
    assert [(one.name, one.tensors, one.bytes) for one in found.parts] == [
        ("unet", 2, 23056), ("text_encoder", 1, 616), ("vae", 1, 16), ("ema", 1, 16), ("other", 1, 4),
    ]  # fmt: skip
    assert (found.whole.tensors, found.whole.bytes) == (6, 23708)


def test_a_file_that_is_one_part_needs_no_prefixes(creator: Any) -> None:
    tensors = {"encoder.conv_in.weight": np.zeros(3, np.float32), "decoder.conv_in.weight": np.zeros(3, np.float32)}
    found = panel.of_file(stored(creator, tensors, blob_detected={"kind": "vae"}))
    assert found is not None
    assert [(one.name, one.tensors) for one in found.parts] == [("vae", 2)]


def test_pages_go_on_where_the_last_ended_and_lose_nothing(creator: Any) -> None:
    names = [f"layer.{number}.weight" for number in range(250)]
    found = panel.of_file(stored(creator, {name: np.zeros(1, np.float32) for name in names}))
    assert found is not None
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = found.page(after=after, limit=33)
        assert page.matched == 250
        seen += [row.name for row in page.rows]
        after = page.next
    assert seen == sorted(names)
    assert [row.name for row in found.page(text="LAYER.24").rows] == ["layer.24.weight", *(f"layer.24{n}.weight" for n in range(10))]
    assert (found.page(part="vae").rows, found.page(after="z").next) == ((), None)


def test_a_pickle_is_told_by_its_scan_with_its_training_state(creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, lightning_checkpoint(tmp_path / "a.ckpt"))
    drain()
    found = panel.of_file(File.objects.select_related("blob", "version__entry").get(pk=file.pk))
    assert found is not None
    parts = {one.name: one.tensors for one in found.parts}
    assert found.source == "scan"
    assert parts["training"] == 40 * 3
    assert {"unet", "vae", "text_encoder", "ema", "training"} <= set(parts)
    data = (tmp_path / "a.ckpt").read_bytes()
    decay = next(row for row in found.rows if row.name.endswith("model_ema.decay"))
    assert struct.unpack("<f", data[decay.begin : decay.end])[0] == pytest.approx(0.9999)


@pytest.mark.parametrize("change", ["sealed", "withdrawn", "danger"])
def test_bytes_that_are_not_served_are_not_read(creator: Any, change: str) -> None:
    file = upload_bytes(VersionFactory(entry__owner=creator), creator, "a.safetensors", save(TENSORS))
    drain()
    file = File.objects.select_related("blob", "version__entry").get(pk=file.pk)
    assert file.blob is not None
    storage.path_of("models", storage.blob_name(file.blob.sha256)).unlink()
    if change == "withdrawn":
        file.version.status = "withdrawn"
    elif change == "sealed":
        file.blob.sealed = True
    else:
        file.blob.verdict = "danger"
    found = panel.of_file(file)
    assert found is not None
    assert (found.source, found.whole.tensors) == ("scan", 6)
    with pytest.raises(Refusal) as refused:
        panel.raw_header(file)
    assert (refused.value.code, refused.value.status) == ("header:not-served", 409)


def test_a_store_that_lost_the_bytes_is_no_error_while_the_scan_is_known(creator: Any, caplog: Any) -> None:
    file = stored(creator)
    assert file.blob is not None
    TensorIndex.keep(file.blob, panel.header_of(file.blob).to_json())
    storage.path_of("models", storage.blob_name(file.blob.sha256)).unlink()
    with caplog.at_level(logging.CRITICAL):
        found = panel.of_file(file)
    assert found is not None
    assert (found.source, found.whole.tensors) == ("scan", 6)


def test_a_hostile_header_is_refused_and_not_shown(creator: Any, caplog: Any) -> None:
    data = struct.pack("<Q", 1 << 40) + b"{}"
    with caplog.at_level(logging.CRITICAL):
        assert panel.of_file(published_file(creator, data)) is None


def test_the_raw_header_is_byte_for_byte_the_stored_one(creator: Any) -> None:
    data = save(TENSORS, {"format": "pt", "a": "\u00e4"})
    (length,) = struct.unpack("<Q", data[:8])
    file = published_file(creator, data)
    assert panel.raw_header(file) == data[8 : 8 + length]
    assert panel.public_header(panel.raw_header(file)) == (data[8 : 8 + length], [])


def test_the_public_header_differs_in_what_is_hidden_alone(creator: Any) -> None:
    raw = panel.raw_header(stored(creator, metadata={"format": "pt", "ss_dataset_dirs": "{}", "ss_output_name": "C:\\x\\y"}))
    shown, hidden = panel.public_header(raw)
    assert hidden == ["ss_dataset_dirs", "ss_output_name"]
    before, after = json.loads(raw), json.loads(shown)
    assert after.pop("__metadata__") == before.pop("__metadata__") | dict.fromkeys(hidden, HIDDEN)
    assert after == before


def test_more_tensors_than_a_page_should_take_apart_are_refused_unread(creator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = stored(creator)
    assert file.blob is not None
    TensorIndex.keep(file.blob, panel.header_of(file.blob).to_json())
    for limit in ("MAX_LISTED_HEADER", "MAX_LISTED_INDEX"):
        monkeypatch.setattr(panel, limit, 100)
    with pytest.raises(panel.TooMany):
        panel.of_file(file)
    with pytest.raises(panel.TooMany):
        panel.directory_of(file)
    file.blob.sealed = True
    with pytest.raises(panel.TooMany):
        panel.of_file(file)


def test_a_list_that_packs_to_nothing_is_refused_all_the_same(creator: Any) -> None:
    """200,000 views of one storage are half a megabyte as they are kept, and 8 seconds as a page."""
    file = stored(creator)
    assert file.blob is not None
    Blob.objects.filter(pk=file.blob.pk).update(container="zip")
    file.blob.refresh_from_db()
    for count in (panel.MAX_LISTED + 1, 200_000):
        views = tuple(TensorEntry((f"{number:06}",), "F16", (0,), 0, 0, (1,)) for number in range(count))
        TensorIndex.keep(file.blob, TensorDirectory("zip", (Storage("data", 0, 4),), views, {}).to_json())
        assert len(TensorIndex.objects.get(blob=file.blob).packed) < 1 << 20
        for ask in (panel.of_file, panel.directory_of, lambda file: panel.scanned(file.blob)):
            with pytest.raises(panel.TooMany):
                ask(file)


@pytest.mark.parametrize("tensors", [3, 20_000], ids=["small", "long"])
def test_an_object_on_s3_is_read_by_its_head_alone(s3_stores: None, creator: Any, tensors: int) -> None:
    from registry.remote import FIRST

    data = save({f"layer.{n}.weight": np.zeros(200, np.float32) for n in range(tensors)} | {"big": np.zeros(2_000_000, np.float32)})
    (length,) = struct.unpack("<Q", data[:8])
    blob = Blob.objects.create(sha256="ab" * 32, size_bytes=len(data), verdict="success", container="safetensors")
    bucket = storage.bucket("models")
    bucket.put_object(Key=storage.blob_name(blob.sha256), Body=data)
    asked: list[int] = []

    def note(request: Any, **_: Any) -> None:
        wanted = request.headers["Range"]
        first, last = (wanted.decode() if isinstance(wanted, bytes) else wanted).removeprefix("bytes=").split("-")
        asked.append(int(last) - int(first) + 1)

    bucket.meta.client.meta.events.register("before-send.s3.GetObject", note)
    try:
        assert len(panel.header_of(blob).tensors) == tensors + 1
    finally:
        bucket.meta.client.meta.events.unregister("before-send.s3.GetObject", note)
    assert 0 < sum(asked) <= 8 + length + FIRST
    assert len(data) > 4 * sum(asked) or tensors > 3


def test_lists_at_hand_are_bounded_by_rows(creator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "MAX_KEPT_TENSORS", 300)
    for number in range(12):
        panel.of_file(stored(creator, {f"layer.{number}.{n}": np.zeros(1, np.float32) for n in range(50)}))
    assert sum(len(one.rows) for one in panel._kept._panels.values() if one) <= 300
