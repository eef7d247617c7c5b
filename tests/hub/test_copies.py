"""What a copy of a file is: told by hashes alone, and only of files that whoever asks may know of."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import copies
from hub.copies import Copy
from registry import catalog
from registry.models import Blob, File
from tests.hub.published import published_file

pytestmark = pytest.mark.django_db


def safetensors(values: int = 64, **metadata: str) -> bytes:
    header = {"__metadata__": metadata, "w": {"dtype": "F32", "shape": [values], "data_offsets": [0, values * 4]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(range(256)) * (values * 4 // 256)


def copy_of(data: bytes, name: str = "copy.safetensors") -> Copy:
    """As the browser tells of these bytes."""
    told: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "name": name}
    start = 8 + int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and start <= len(data):
        told["end"] = start + json.loads(data[8:start])["w"]["data_offsets"][1]
        told["data"] = hashlib.sha256(data[start:]).hexdigest()
    if len(data) >= 2 << 20:
        told["early"] = hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]
    return Copy.read(told)


@pytest.fixture
def lantern(creator: Any) -> File:
    return published_file(creator, safetensors(tool="kohya"), "lantern.safetensors")


def test_every_byte_the_same(lantern: File) -> None:
    found = copies.check(None, copy_of(safetensors(tool="kohya")))
    assert (found.what, found.file) == ("intact", lantern)


def test_a_renamed_copy_of_another_file_than_the_wanted_one(lantern: File, creator: Any) -> None:
    other = published_file(creator, safetensors(128), "other.safetensors")
    found = copies.check(None, copy_of(safetensors(128)), lantern)
    assert (found.what, found.file) == ("other-file", other)


def test_the_same_tensors_under_other_metadata(lantern: File) -> None:
    found = copies.check(None, copy_of(safetensors(tool="edited by hand")))
    assert (found.what, found.file) == ("same-tensors", lantern)


def test_cut_short_by_its_own_header(lantern: File) -> None:
    data = safetensors(tool="kohya")
    found = copies.check(None, copy_of(data[:-9], "lantern.safetensors"))
    assert (found.what, found.file, found.end_bytes) == ("cut-short", lantern, len(data))
    nobodys = copies.check(None, copy_of(safetensors(512)[:-9]))
    assert (nobodys.what, nobodys.file, nobodys.end_bytes) == ("cut-short", None, len(safetensors(512)))


def test_cut_short_by_its_beginning(creator: Any) -> None:
    data = bytes(range(256)) * 12_000
    lantern = published_file(creator, data, "lantern.ckpt")
    found = copies.check(None, copy_of(data[: 5 << 19], "lantern.ckpt"))
    assert (found.what, found.file, found.sure, found.end_bytes) == ("cut-short", lantern, True, len(data))
    assert copies.check(None, copy_of(data[: 5 << 19], "1702389001.ckpt")).sure is False


def test_cut_inside_its_header(lantern: File) -> None:
    told = {"sha256": "0" * 64, "size": "20", "name": "lantern.safetensors", "looks": "cut"}
    found = copies.check(None, Copy.read(told))
    assert (found.what, found.file, found.end_bytes) == ("cut-short", lantern, lantern.blob.size_bytes)


def test_bytes_behind_the_end(lantern: File) -> None:
    found = copies.check(None, copy_of(safetensors(tool="kohya") + b"more", "lantern.safetensors"))
    assert (found.what, found.file) == ("too-long", lantern)


def test_damaged(lantern: File) -> None:
    data = bytearray(safetensors(tool="kohya"))
    data[-1] ^= 1
    assert copies.check(None, copy_of(bytes(data), "lantern.safetensors")).what == "altered"
    assert copies.check(None, copy_of(bytes(data), "renamed.safetensors"), lantern).what == "altered"
    assert copies.check(None, copy_of(bytes(data), "renamed.safetensors")).what == "unknown"


def test_what_a_failed_download_is(lantern: File) -> None:
    for looks in ("page", "json", "pointer", "empty"):
        assert copies.check(None, Copy.read({"sha256": "0" * 64, "size": "5", "looks": looks})).what == "not-weights"


@pytest.mark.parametrize("kind", ["SHA256", "AutoV2", "AutoV3", "BLAKE3", "CRC32", "DATA"])
def test_a_pasted_hash_of_any_kind(lantern: File, kind: str) -> None:
    value = lantern.blob.hash_values()[kind]
    expected = {"SHA256": "intact", "DATA": "same-tensors"}.get(kind, "match")
    assert copies.check(None, Copy.read({"hash": f"{value.lower()}  lantern.safetensors"})).what == expected


def test_private_files_are_unknown_to_others(lantern: File, creator: Any, stranger: Any) -> None:
    catalog.change_entry(lantern.version.entry, visibility="private")
    whole, cut = copy_of(safetensors(tool="kohya")), copy_of(safetensors(tool="kohya")[:-9], "lantern.safetensors")
    assert copies.check(stranger, whole).what == "unknown"
    assert copies.check(stranger, cut).file is None
    assert copies.check(creator, whole).what == "intact"


def test_danger_is_told(lantern: File) -> None:
    Blob.objects.update(verdict="danger")
    File.objects.update(state="danger")
    assert copies.check(None, copy_of(safetensors(tool="kohya"))).dangerous


@given(
    st.dictionaries(
        st.sampled_from(["sha256", "data", "early", "size", "end", "name", "looks", "hash"]), st.text(st.characters(), max_size=90)
    )
)
def test_any_fields_are_read(told: dict[str, str]) -> None:
    copy = Copy.read(told)
    assert 0 <= copy.size_bytes < copies.MAX_BYTES
    assert len(copy.sha256) in (0, 64)


def test_the_page_without_a_script(client: Any, lantern: File, django_assert_max_num_queries: Any) -> None:
    page = client.get("/verify").content.decode()
    assert "sha256sum" in page
    assert 'name="hash"' in page
    with django_assert_max_num_queries(8):
        page = client.get(f"/verify?file={lantern.pk}&hash={lantern.sha256}").content.decode()
    assert 'data-outcome="intact"' in page
    assert f"/v/{lantern.version_id}" in page
    assert 'data-outcome="unknown"' in client.get("/verify?hash=" + "F" * 64).content.decode()
    assert 'data-outcome="cut-short"' in client.get(f"/verify?part=answer&sha256={'A' * 64}&size=20&end=1234567").content.decode()
    assert "Truncated at byte 20 of 1,234,567" in client.get(f"/verify?sha256={'A' * 64}&size=20&end=1234567").content.decode()


@pytest.mark.parametrize("file", ["0", "99999999999999999999", "x", "-1", "\u0663"])
def test_addresses_of_no_file(client: Any, file: str) -> None:
    assert client.get("/verify", {"file": file}).status_code in {200, 404}


def test_the_model_page_offers_to_verify_a_copy(client: Any, lantern: File) -> None:
    entry = lantern.version.entry
    page = client.get(f"/{entry.owner.username}/{entry.slug}").content.decode()
    assert f'href="/verify?file={lantern.pk}"' in page
