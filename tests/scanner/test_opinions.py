"""Other scanners are asked about the pickles and nothing else, behind locks, in time; what they say is told in their own words."""

from __future__ import annotations

import io
import json
import logging
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from registry.formats.errors import LimitExceeded
from registry.formats.window import Window
from registry.sandbox import parent
from scanner.opinions import asking, extract
from scanner.opinions.asking import RULES, Opinion, ask
from scanner.pickles import scan
from scanner.pickles.policy import POLICY
from tests.attacks import os_system_checkpoint
from tests.attacks.assemble import HONEST as HONEST_PICKLE
from tests.attacks.assemble import (
    MAGIC_STREAM,
    PROTO4,
    SYSTEM_STREAM,
    VERSION_STREAM,
    Part,
    legacy,
    mapping,
    pickled,
    system,
    tensor,
    text,
    torch_zip,
    zipped,
)
from tests.scanner.honest import HONEST, saved
from tests.scanner.honest_kinds import HONEST_KINDS

pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls its own quantised, sparse and legacy forms deprecated

DETOUR = torch_zip(pickled(mapping(weight=tensor(), notes=text("collections") + text("OrderedDict") + b"N0\x93)R"), PROTO4))
"""Ours sees that a None is put down and taken away between the two halves of a harmless name; picklescan does not."""


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "stored"
        path.write_bytes(data)
        return path

    return write


def pickles(data: bytes) -> list[bytes]:
    return extract.pickles_of(Window(io.BytesIO(data)))


class TestExtracting:
    """Which bytes the others get."""

    def test_of_a_checkpoint_its_one_pickle(self) -> None:
        assert pickles(torch_zip()) == [HONEST_PICKLE]

    def test_of_an_old_checkpoint_its_five_pickles_without_the_weights(self) -> None:
        found = pickles(legacy())
        assert found[:3] == [MAGIC_STREAM, VERSION_STREAM, SYSTEM_STREAM]
        assert len(found) == 5
        assert legacy().startswith(b"".join(found))

    def test_of_the_oldest_checkpoints_every_part(self) -> None:
        import tarfile

        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name in ("sys_info", "pickle", "tensors", "storages"):
                content = pickled(text(name))
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        assert pickles(out.getvalue()) == [pickled(text(name)) for name in ("sys_info", "pickle", "tensors", "storages")]

    def test_of_bare_pickles_all(self) -> None:
        assert pickles(HONEST_PICKLE + pickled(system())) == [HONEST_PICKLE, pickled(system())]

    def test_of_a_bundle_what_lies_inside_of_its_checkpoints(self) -> None:
        bundle = [Part("a/one.ckpt", torch_zip()), Part("two.bin", legacy(), method=8), Part("no-ending", pickled(system()))]
        found = pickles(zipped([*bundle, Part("readme.txt", b"not a pickle")]))
        assert found[0] == HONEST_PICKLE
        assert found[1:6] == pickles(legacy())
        assert found[6:] == [pickled(system())]

    def test_archives_are_followed_to_depth_two(self) -> None:
        inner = zipped([Part("x.zip", zipped([Part("x.zip", torch_zip())]))])
        assert pickles(inner) == [HONEST_PICKLE]
        assert pickles(zipped([Part("x.zip", inner)])) == []

    def test_a_broken_pickle_as_it_stands(self) -> None:
        assert pickles(pickled(system())[:-1] + b"\xff") == [pickled(system())[:-1] + b"\xff"]

    def test_raw_numbers_that_look_like_pickles_are_not_taken(self) -> None:
        assert pickles(torch_zip(stored={"0": pickled(system())[:16]})) == [HONEST_PICKLE]

    def test_more_than_the_limit_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(extract, "MAX_BYTES", 50)
        with pytest.raises(LimitExceeded):
            pickles(torch_zip())


class TestAsking:
    """The processes of the others."""

    def test_both_are_asked_and_named_with_their_versions(self, stored: Callable[[bytes], Path]) -> None:
        first, second = ask(stored(torch_zip()), "torch-zip")
        assert (first.tool, first.verdict, first.objection) == ("picklescan 1.0.5", "innocuous", "")
        assert (second.tool, second.verdict, second.objection) == ("fickling 0.1.12", "LIKELY_UNSAFE", "")
        assert first.duration_ms > 0

    @pytest.mark.parametrize("make", [os_system_checkpoint, lambda: legacy(b"", b"", b"", pickled(system())), lambda: pickled(system())])
    def test_both_object_to_a_command(self, stored: Callable[[bytes], Path], make: Callable[[], bytes]) -> None:
        first, second = ask(stored(make()), "pickle")
        assert (first.verdict, second.verdict) == ("dangerous", "LIKELY_OVERTLY_MALICIOUS")
        assert "os.system" in first.objection
        assert "system" in second.objection

    def test_they_sit_behind_the_same_locks_as_our_own(self, stored: Callable[[bytes], Path]) -> None:
        with stored(torch_zip()).open("rb") as file:
            for tool in asking.TOOLS:
                _, answer = parent.run_child(f"scanner.opinions.child:{tool}", file.fileno(), [], timeout=20, site_packages=True)
                assert {"rlimit", "seccomp"} <= set(json.loads(answer or b"")["sandbox"])

    @pytest.mark.parametrize("kind", ["safetensors", "gguf", "npy", "image", "unknown", ""])
    def test_nobody_is_asked_where_no_pickle_is(self, tmp_path: Path, kind: str) -> None:
        assert ask(tmp_path / "not even opened", kind) == []

    def test_nobody_has_an_opinion_where_no_pickle_can_be_taken_out(self, stored: Callable[[bytes], Path]) -> None:
        assert ask(stored(torch_zip()[:-1]), "zip") == []

    def test_too_much_is_skipped(self, stored: Callable[[bytes], Path]) -> None:
        large = b"\x80\x04\x8e" + struct.pack("<Q", 65 << 20) + bytes(65 << 20) + b"."
        found = ask(stored(zipped([Part("large.pkl", large)])), "zip")
        assert [(opinion.verdict, opinion.detail) for opinion in found] == [("skipped", "too large")] * 2

    def test_strange_words_in_a_file_are_told_as_short_plain_text(self, stored: Callable[[bytes], Path]) -> None:
        evil = pickled(b"cos\n\xe2\x80\xae<b>" + b"x" * 1000 + b"\n)R")
        for opinion in ask(stored(evil), "pickle"):
            assert len(opinion.detail) <= 400
            assert "\u202e" not in opinion.detail + opinion.objection


def opinions_with(monkeypatch: pytest.MonkeyPatch, path: Path, program: str, timeout: float = 20) -> list[Opinion]:
    """Opinions where the children run another program instead."""
    monkeypatch.setattr(parent, "START", program.replace("{", "{{").replace("}", "}}"))
    return ask(path, "torch-zip", timeout=timeout)


class TestTrouble:
    """Whatever happens to the others is told as an error and stays without effect."""

    @pytest.mark.parametrize(
        ("program", "detail"),
        [
            ("raise SystemExit(1)", "ended without an answer"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was stopped by the system (signal 11)"),
            ("print('not json')", "ended without an answer"),
            ("print('[' * 200000)", "ended without an answer"),
            ("print('{}')", "ended without an answer"),
            ("import sys\nwhile True: sys.stdout.write('x' * 1000000)", "said more than it may"),
        ],
    )
    def test_a_child_that_dies_or_babbles(
        self, monkeypatch: pytest.MonkeyPatch, stored: Callable[[bytes], Path], program: str, detail: str
    ) -> None:
        found = opinions_with(monkeypatch, stored(torch_zip()), program)
        assert [(opinion.verdict, opinion.detail, opinion.objection) for opinion in found] == [("error", detail, "")] * 2

    def test_a_child_that_hangs(self, monkeypatch: pytest.MonkeyPatch, stored: Callable[[bytes], Path]) -> None:
        monkeypatch.setattr(parent, "GRACE", 0.2)
        found = opinions_with(monkeypatch, stored(torch_zip()), "import time; time.sleep(60)", timeout=0.5)
        assert [(opinion.verdict, opinion.detail) for opinion in found] == [("error", "did not finish within 0.5 seconds")] * 2

    def test_a_scanner_that_takes_too_long_says_so_itself(self, stored: Callable[[bytes], Path]) -> None:
        rows = b"".join(b"\x8c\x01a\x94" for _ in range(400_000))
        (_, slow) = ask(stored(pickled(b"](" + rows + b"e", PROTO4)), "pickle", timeout=1.5)
        assert (slow.verdict, slow.detail) == ("error", "did not finish within 1.5 seconds")

    def test_a_scanner_that_raises_is_logged(self, stored: Callable[[bytes], Path], caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            _, second = ask(stored(pickled(b"\x96\x02" + bytes(7) + b"ab", b"\x80\x05")), "pickle")
        assert (second.verdict, second.objection) == ("error", "")
        assert "BYTEARRAY8" in second.detail
        assert "fickling 0.1.12 gave no opinion" in caplog.text

    def test_a_scanner_that_is_not_installed_is_told_once(
        self, monkeypatch: pytest.MonkeyPatch, stored: Callable[[bytes], Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(asking, "TOOLS", ("no-such-scanner",))
        asking._version.cache_clear()
        for _ in range(2):
            assert ask(stored(torch_zip()), "torch-zip") == [Opinion("no-such-scanner", "error", "not installed")]
        assert caplog.text.count("no-such-scanner is not installed") == 1

    def test_a_pickle_that_it_cannot_read_hides_no_other(self, stored: Callable[[bytes], Path]) -> None:
        unreadable = pickled(b"\x96\x02" + bytes(7) + b"ab", b"\x80\x05")
        for pickles in (unreadable + pickled(system()), pickled(system()) + unreadable):
            _, second = ask(stored(pickles), "pickle")
            assert second.verdict == "LIKELY_OVERTLY_MALICIOUS"
            assert "os" in second.objection

    def test_what_it_said_before_its_time_ran_out_is_told(self, stored: Callable[[bytes], Path]) -> None:
        rows = b"".join(b"\x8c\x01a\x94" for _ in range(400_000))
        _, second = ask(stored(pickled(system()) + pickled(b"](" + rows + b"e", PROTO4)), "pickle", timeout=3)
        assert (second.verdict, bool(second.objection)) == ("LIKELY_OVERTLY_MALICIOUS", True)


class TestHonestFiles:
    """A hub that doubts honest files is useless: what the others say of them must not count."""

    def test_no_honest_file_is_objected_to(self, stored: Callable[[bytes], Path]) -> None:
        """All pickles of the collection in one bundle, so that two processes are started and not a hundred."""
        parts = []
        for number, (_, (name, make)) in enumerate(sorted({**HONEST, **HONEST_KINDS}.items())):
            data = make()
            if scan(io.BytesIO(data), name=name).kind in asking.KINDS:
                parts.append(Part(f"{number}.ckpt", data))
        assert len(parts) >= 80
        found = [ask(stored(zipped(parts[start : start + 12])), "bundle") for start in range(0, len(parts), 12)]
        assert all(len(row) == 2 for row in found)
        assert {opinion.objection for row in found for opinion in row} == {""}
        assert "did not finish" not in " ".join(opinion.detail for row in found for opinion in row)

    def test_no_name_that_we_allow_is_objected_to(self, stored: Callable[[bytes], Path]) -> None:
        names = [f"c{module}\n{name}\n0".encode() for module, name in POLICY._exact]
        assert len(names) > 150
        for opinion in ask(stored(pickled(b"".join(names) + b"N")), "pickle"):
            assert opinion.verdict != "error"
            assert opinion.objection == ""

    @pytest.mark.parametrize(
        "value", [{"tags": ["a"] * 9000, "x": torch.zeros(2)}, {"steps": [f"step {n}" for n in range(120_000)]}], ids=["repeats", "many"]
    )
    def test_what_fickling_takes_for_a_bomb_does_not_count(self, stored: Callable[[bytes], Path], value: Any) -> None:
        data = saved(value)
        assert scan(io.BytesIO(data), name="a.ckpt").verdict == "success"
        _, second = ask(stored(data), "torch-zip")
        assert (second.verdict, second.objection) == ("LIKELY_OVERTLY_MALICIOUS", "")
        assert second.detail.startswith("Not counted: ")

    def test_an_exception_covers_its_own_objection_only(self) -> None:
        assert not RULES.counts("fickling", "LIKELY_OVERTLY_MALICIOUS", "ResourceExhaustion")
        assert RULES.counts("fickling", "LIKELY_OVERTLY_MALICIOUS", "UnsafeImports")
        assert RULES.counts("picklescan", "dangerous", "ResourceExhaustion")
        assert not RULES.counts("fickling", "LIKELY_UNSAFE", "UnsafeImports")

    def test_every_exception_has_a_reason_that_can_be_read(self) -> None:
        table = json.loads(Path(asking.__file__).with_name("policy.json").read_text())
        assert all(len(row["reason"]) > 60 and row["tool"] in asking.TOOLS for row in table["exceptions"])

    def test_an_attack_under_cover_of_an_exception_still_counts(self, stored: Callable[[bytes], Path]) -> None:
        many = b"(" + b"\x8c\x01a\x940" + b"h\x00" * 9000 + b"l0"
        first, _ = ask(stored(pickled(many + system(), PROTO4)), "pickle")
        assert first.objection


def test_the_detour_is_a_success_to_us_and_dangerous_to_picklescan(stored: Callable[[bytes], Path]) -> None:
    assert scan(io.BytesIO(DETOUR), name="a.ckpt").verdict == "success"
    first, second = ask(stored(DETOUR), "torch-zip")
    assert (first.verdict, first.objection) == ("dangerous", "imports unknown.unknown")
    assert second.objection == ""
    assert zipfile.is_zipfile(io.BytesIO(DETOUR))
