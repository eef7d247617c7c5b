"""What people really upload is accepted, or told how to become acceptable; it is never called a danger."""

from __future__ import annotations

import io
import json
import time

import pytest

from scanner.pickles import scan
from tests.attacks import doubles
from tests.scanner.honest_more import HONEST_MORE, TO_MEND, phone_photo


@pytest.mark.parametrize("title", HONEST_MORE)
def test_honest_file_is_a_success(title: str) -> None:
    name, make = HONEST_MORE[title]
    data = io.BytesIO(make())
    started = time.process_time()
    report = scan(data, name=name)
    assert (report.verdict, report.findings) == ("success", [])
    assert time.process_time() - started < 1


@pytest.mark.parametrize("title", TO_MEND)
def test_the_sentence_says_what_to_do(title: str) -> None:
    name, make, code, advice = TO_MEND[title]
    report = scan(io.BytesIO(make()), name=name)
    assert report.verdict == "error"
    assert [advice in finding.message for finding in report.findings if finding.code == code] == [True]


@pytest.mark.parametrize("ending", ["safetensors", "png", "txt", "exe", "py", "html"])
def test_a_checkpoint_under_a_name_of_something_else_stays_a_danger(ending: str) -> None:
    _, make = HONEST_MORE["packed again with folders"]
    assert scan(io.BytesIO(make()), name=f"model.{ending}").verdict == "danger"


def test_a_second_photo_needs_to_be_announced() -> None:
    report = scan(io.BytesIO(phone_photo(b"XMP\0")), name="a.jpg")
    assert (report.verdict, report.findings[0].code) == ("danger", "F-POLYGLOT")


def test_an_empty_text_by_itself_is_no_upload() -> None:
    assert [finding.code for finding in scan(io.BytesIO(b""), name="readme.txt").findings] == ["F-EMPTY"]


def test_no_turned_writing_reaches_the_report() -> None:
    report = scan(io.BytesIO(doubles.payload_under_a_turned_name()), name="pack.zip")
    assert report.imports
    assert "\\u202e" not in json.dumps(report.to_json())


def unpadded(length: int) -> bytes:
    """A safetensors file as writers made it before headers were padded: of any length, here by what its metadata says."""
    parts = '{"__metadata__":{"made_by":"%s"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
    header = (parts % ("x" * (length - len(parts) + 2))).encode()
    assert len(header) == length
    return length.to_bytes(8, "little") + header + b"\0\0"


def test_a_header_of_any_length_is_no_pickle() -> None:
    """The lowest byte of the length is the first of the file, and so the first opcode of a pickle: EXT1 for 130."""
    verdicts = {length: scan(io.BytesIO(unpadded(length)), name="a.safetensors").verdict for length in range(110, 110 + 512)}
    assert {length for length, verdict in verdicts.items() if verdict != "success"} == set()
