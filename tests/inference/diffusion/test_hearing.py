"""A worker believes its child what fits the job, and nothing else."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest

from inference.diffusion.hearing import MAX_NOTES, Hearing, check_job, check_png, refusal
from inference.diffusion.jobs import CHECKPOINT, LORA, AddOn, Job, JobFile, Shot
from inference.diffusion.wire import Broken, Frame
from tests.inference.diffusion.talker import picture

SHOT = Shot("a", width=64, height=48, steps=2)
MODEL = JobFile(CHECKPOINT, "model", "0" * 64, 8)


def hearing(shots: int = 2) -> Hearing:
    return Hearing(Job((MODEL,), (SHOT,) * shots))


def frame(kind: str, blob: bytes = b"", **told: Any) -> Frame:
    return Frame({"say": "event", "kind": kind, **told}, blob)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


def header(width: int = 64, height: int = 48, depth: int = 8, colour: int = 2, interlaced: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


ROWS = zlib.compress((b"\0" + bytes(3 * 64)) * 48)
END = (b"IEND", b"")


class TestEvents:
    def test_a_job_told_to_its_end_is_complete(self) -> None:
        found = hearing()
        event = found.event(frame("step", shots=[0, 1], step=1, steps=2))
        assert (event.kind, event.shots, event.step, event.steps) == ("step", (0, 1), 1, 2)
        event = found.event(frame("picture", picture(SHOT), shots=[1], data={"width": 64}))
        assert (event.png, event.data) == (picture(SHOT), {"width": 64})
        found.event(frame("unfit", shots=[0], code="render:black", note="It came out black."))
        assert not found.complete
        found.event(frame("done", data={"device": "cpu"}))
        assert found.complete

    def test_an_end_with_a_shot_unanswered_is_not_complete(self) -> None:
        found = hearing()
        found.event(frame("picture", picture(SHOT), shots=[0]))
        found.event(frame("done"))
        assert not found.complete

    @pytest.mark.parametrize(
        "told",
        [
            {"kind": "other"},
            {"kind": "step", "shots": [2]},
            {"kind": "step", "shots": [True]},
            {"kind": "step", "shots": [0, 0]},
            {"kind": "step", "shots": 0},
            {"kind": "step", "shots": [0], "step": 3, "steps": 2},
            {"kind": "step", "shots": [0], "step": -1, "steps": 2},
            {"kind": "step", "shots": [0], "step": 1, "steps": 10**9},
            {"kind": "note", "note": 5},
            {"kind": "unfit", "shots": [0], "code": "<b>"},
            {"kind": "unfit", "shots": [0, 1], "code": "render:black"},
            {"kind": "unfit", "shots": []},
            {"kind": "done", "data": []},
            {"kind": "picture", "shots": [0]},
        ],
    )
    def test_what_fits_no_job_is_not_believed(self, told: dict[str, Any]) -> None:
        with pytest.raises(Broken):
            hearing().event(Frame({"say": "event", **told}))

    def test_a_picture_comes_once_and_nothing_after_the_end(self) -> None:
        found = hearing()
        found.event(frame("picture", picture(SHOT), shots=[0]))
        with pytest.raises(Broken, match="twice"):
            found.event(frame("unfit", shots=[0], code="render:black"))
        found.event(frame("done"))
        with pytest.raises(Broken):
            found.event(frame("note", note="one more"))

    def test_bytes_without_a_picture_are_not_taken(self) -> None:
        with pytest.raises(Broken, match="without"):
            hearing().event(frame("note", b"x", note="psst"))

    def test_a_flood_of_words_ends(self) -> None:
        found = hearing()
        words = (found.event(frame("note", note="and")) for _ in range(2 * MAX_NOTES))
        with pytest.raises(Broken, match="too many"):
            list(words)

    def test_words_are_made_harmless_and_short(self) -> None:
        note = hearing().event(frame("note", note="\x1b[31m" + "x" * 5000)).note
        assert "\x1b" not in note
        assert len(note) <= 2010


class TestPictures:
    @pytest.mark.parametrize("colour", [0, 2])
    def test_a_plain_one_is_taken(self, colour: int) -> None:
        rows = zlib.compress((b"\4" + bytes(64 * (1 + colour))) * 48)
        check_png(png(header(colour=colour), (b"IDAT", rows[:5]), (b"IDAT", rows[5:]), END), SHOT)
        check_png(picture(SHOT), SHOT)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"GIF89a" + bytes(100),
            png(header(), END),
            png(header(), (b"IDAT", ROWS), END) + b"behind",
            png(header(), (b"IDAT", ROWS), (b"tEXt", b"parameters\0hidden"), END),
            png(header(), (b"IDAT", ROWS[:-1]), END),
            png(header(), (b"IDAT", ROWS + b"x"), END),
            png(header(), (b"IDAT", zlib.compress(bytes(1 << 26))), END),
            png(header(), (b"IDAT", zlib.compress((b"\5" + bytes(3 * 64)) * 48)), END),
            png(header(), (b"IDAT", b"not packed"), END),
            png(header(depth=16), (b"IDAT", ROWS), END),
            png(header(colour=3), (b"IDAT", ROWS), END),
            png(header(interlaced=1), (b"IDAT", ROWS), END),
            png(header(width=128), (b"IDAT", ROWS), END),
            png(header(width=0), (b"IDAT", ROWS), END),
            png((b"IHDR", b"short"), (b"IDAT", ROWS), END),
            picture(Shot("a", width=64, height=48), text="parameters"),
            picture(SHOT)[:-20],
        ],
        ids=range(18),
    )
    def test_anything_else_is_not(self, data: bytes) -> None:
        with pytest.raises(Broken):
            check_png(data, SHOT)

    def test_a_side_may_be_rounded_down_to_what_a_model_has(self) -> None:
        data = picture(Shot("", width=64, height=64))
        check_png(data, Shot("", width=127, height=70))
        with pytest.raises(Broken, match="another size"):
            check_png(data, Shot("", width=128, height=64))


class TestRefusals:
    def test_an_answer_about_a_file_is_one(self) -> None:
        error = refusal({"say": "refused", "code": "render:keys", "sentence": "Keys\x00 are missing.", "where": "model.x"})
        assert (error.code, error.sentence, error.where) == ("render:keys", "Keys\ufffd are missing.", "model.x")

    @pytest.mark.parametrize(
        "told", [{}, {"code": "", "sentence": "x"}, {"code": "render:x", "sentence": ""}, {"code": 5, "sentence": "x"}]
    )
    def test_anything_else_is_none(self, told: dict[str, Any]) -> None:
        with pytest.raises(Broken):
            refusal(told)


@pytest.mark.parametrize(
    "job",
    [
        Job((), (SHOT,)),
        Job((JobFile(LORA, "x", "0" * 64, 8),), (SHOT,)),
        Job((MODEL, JobFile("other", "x", "0" * 64, 8)), (SHOT,)),
        Job((MODEL,) * 65, (SHOT,)),
        Job((MODEL,), ()),
        Job((MODEL,), (SHOT,) * 1025),
        Job((MODEL,), (Shot("", width=4),)),
        Job((MODEL,), (Shot("", height=1 << 20),)),
        Job((MODEL,), (Shot("", steps=0),)),
        Job((MODEL,), (Shot("", addons=(AddOn(1),)),)),
        Job((MODEL,), (Shot("", addons=(AddOn(0),)),)),
    ],
    ids=range(11),
)
def test_a_job_out_of_bounds_is_nobody_s_to_send(job: Job) -> None:
    with pytest.raises(ValueError, match=r"a job|a shot"):
        check_job(job)
