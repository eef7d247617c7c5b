"""A conversion in the locked child gives the same bytes and the same refusals as one outside, and leaves nothing when it is ended."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.weights import locked
from inference.weights.convert import convert
from inference.weights.locked import Made, Unfinished, Wanted, convert_locked
from inference.weights.metadata import derived_metadata
from inference.weights.recipe import Recipe
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.hashes import hash_file
from registry.sandbox.parent import Cancelled
from scanner.run import scan_path
from tests import tiny
from tests.inference.weights.sources import Slow, children, numbers
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, TensorDirectory]:
    path = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    return path, TensorDirectory.from_json(scan_path(path, name=path.name)["directory"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def one(source: Any, directory: TensorDirectory, target: Path, recipe: Recipe | None = None, **wanted: Any) -> Made:
    (made,) = convert_locked(source, directory, [Wanted(target, recipe or Recipe())], **wanted)
    assert isinstance(made, Made)
    return made


def refusal(source: Any, directory: TensorDirectory, target: Path) -> FormatError:
    """Why it cannot be made, whether that concerns this recipe or the whole file."""
    try:
        (refused,) = convert_locked(source, directory, [Wanted(target, Recipe())])
    except FormatError as error:
        return error
    assert isinstance(refused, FormatError)
    return refused


class TestResults:
    def test_every_variant_has_the_bytes_and_the_report_that_it_has_outside(self, checkpoint: Any, out: Path) -> None:
        path, directory = checkpoint
        recipes = [Recipe(), Recipe("weights", "fp16"), Recipe("ema", "bf16")]
        wanted = [Wanted(out / f"{number}.safetensors", recipe, source_sha256="ab" * 32) for number, recipe in enumerate(recipes)]
        for recipe, row, made in zip(recipes, wanted, convert_locked(path, directory, wanted), strict=True):
            assert isinstance(made, Made)
            expected = out / "expected"
            outcome = convert(path, directory, expected, recipe, metadata=derived_metadata(directory, recipe, source_sha256="ab" * 32))
            assert row.target.read_bytes() == expected.read_bytes()
            assert made.hashes == outcome.hashes == hash_file(row.target)
            assert {**made.report, "seconds": 0} == {**outcome.to_json(), "seconds": 0}
            assert {"rlimit", "seccomp"} <= set(made.sandbox)

    def test_plain_is_what_other_tools_write(self, checkpoint: Any, out: Path) -> None:
        path, directory = checkpoint
        convert_locked(path, directory, [Wanted(out / "a", Recipe(), plain=True)])
        convert(path, directory, out / "b", Recipe(), metadata={"format": "pt"})
        assert (out / "a").read_bytes() == (out / "b").read_bytes()

    def test_a_source_without_a_descriptor_is_served_through_pipes(self, checkpoint: Any, out: Path) -> None:
        path, directory = checkpoint
        with path.open("rb") as file:
            reader = Slow(file.fileno())
            served = one(reader, directory, out / "served")
        assert reader.reads > 100
        assert served.hashes == one(path, directory, out / "direct").hashes

    def test_progress_grows_to_its_end(self, tmp_path: Path, out: Path) -> None:
        directory = numbers(tmp_path / "n")
        heard: list[tuple[int, int]] = []
        with (tmp_path / "n").open("rb") as file:
            one(Slow(file.fileno(), 0.05), directory, out / "o", progress=lambda *how_far: heard.append(how_far))
        assert len(heard) >= 3
        assert heard == sorted(heard)
        assert {total for _, total in heard} == {2 * 16 << 20}
        assert heard[-1][0] > heard[0][0]

    def test_a_recipe_that_cannot_be_followed_does_not_keep_the_others(self, tmp_path: Path, out: Path) -> None:
        directory = numbers(tmp_path / "n", tensors=2)
        refused, made = convert_locked(
            tmp_path / "n", directory, [Wanted(out / "ema", Recipe("ema")), Wanted(out / "half", Recipe("all", "fp16"))]
        )
        assert isinstance(refused, FormatError)
        assert refused.code == "weights:no-ema"
        assert isinstance(made, Made)
        assert [path.name for path in out.iterdir()] == ["half"]

    def test_a_child_without_torch_stays_small(self, tmp_path: Path, out: Path) -> None:
        """Resident memory of the child, of which the pages of mapped libraries are a part."""
        directory = numbers(tmp_path / "n", tensors=60)
        peaks: list[int] = []

        def look(*_: int) -> None:
            for pid in children():
                status = Path(f"/proc/{pid}/status").read_text()
                peaks.append(int(status.partition("VmHWM:")[2].split()[0]))

        with (tmp_path / "n").open("rb") as file:
            one(Slow(file.fileno(), 0.01), directory, out / "o", Recipe("all", "fp16"), progress=look)
        assert peaks
        assert max(peaks) < 150 << 10

    def test_torch_is_opened_before_the_doors_close_and_gives_the_same_bytes(
        self, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory = numbers(tmp_path / "n", tensors=8)
        by_numpy = one(tmp_path / "n", directory, out / "a", Recipe("all", "bf16"))
        monkeypatch.setattr(locked, "TORCH_PAYS", 1)
        has_torch: list[bool] = []

        def look(*_: int) -> None:
            has_torch.extend("libtorch" in Path(f"/proc/{pid}/maps").read_text() for pid in children())

        with (tmp_path / "n").open("rb") as file:
            by_torch = one(Slow(file.fileno(), 0.1), directory, out / "b", Recipe("all", "bf16"), progress=look)
        assert any(has_torch)
        assert by_torch.hashes == by_numpy.hashes


class TestRefusals:
    def test_damage_is_told_in_the_same_words(self, checkpoint: Any, out: Path) -> None:
        path, directory = checkpoint
        largest = max(directory.storages, key=lambda storage: storage.size)
        data = bytearray(path.read_bytes())
        data[largest.start + 3] ^= 1
        path.write_bytes(data)
        with pytest.raises(FormatError) as outside:
            convert(path, directory, out / "a", Recipe())
        with pytest.raises(FormatError) as inside:
            one(path, directory, out / "b")
        told = [(error.value.code, error.value.sentence, error.value.where, error.value.offset) for error in (outside, inside)]
        assert told[0] == told[1]
        assert told[0][0] == "weights:crc-mismatch"
        assert list(out.iterdir()) == []

    def test_a_source_that_shrinks_under_way_is_truncated(self, tmp_path: Path, out: Path) -> None:
        path = tmp_path / "n"
        directory = numbers(path, tensors=8)

        class Shrinking(Slow):
            def read_into(self, offset: int, view: memoryview) -> None:
                if self.reads == 3:
                    os.truncate(path, 1 << 20)
                super().read_into(offset, view)

        with path.open("rb") as file, pytest.raises(FormatError) as error:
            one(Shrinking(file.fileno()), directory, out / "o")
        assert error.value.code == "F-TRUNCATED"
        assert list(out.iterdir()) == []

    def test_a_file_that_shrinks_under_the_child_is_truncated(self, tmp_path: Path, out: Path) -> None:
        path = tmp_path / "n"
        directory = numbers(path, tensors=100)
        with pytest.raises(FormatError) as error:
            one(path, directory, out / "o", Recipe("all", "fp16"), progress=lambda *_: os.truncate(path, 1 << 20))
        assert error.value.code == "weights:truncated"
        assert list(out.iterdir()) == []

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda d: _storage(d, start=1 << 40), "weights:truncated"),
            (lambda d: _storage(d, size=1 << 61), "weights:truncated"),
            (lambda d: _storage(d, start=-8), "weights:directory"),
            (lambda d: _storage(d, start="0"), "weights:directory"),
            (lambda d: _storage(d, size=True), "weights:directory"),
            (lambda d: _tensor(d, storage=99), "weights:directory"),
            (lambda d: _tensor(d, storage=-1), "weights:directory"),
            (lambda d: _tensor(d, dtype="F7"), "weights:directory"),
            (lambda d: _tensor(d, dtype=["F32"]), "weights:directory"),
            (lambda d: _tensor(d, path=()), "weights:unnamed"),
            (lambda d: _tensor(d, shape=(1 << 62, 1 << 62), stride=(0, 0)), "weights:"),
            (lambda d: _tensor(d, shape=(1 << 61, 4), stride=(4, 1)), "weights:view-outside"),
            (lambda d: _tensor(d, shape=(2,) * 70, stride=(0,) * 70), "weights:directory"),
            (lambda d: _tensor(d, shape=(1 << 70,), stride=(1,)), "weights:directory"),
            (lambda d: _tensor(d, shape=(1 << 10, 256), stride=(1 << 40, 1)), "weights:view-outside"),
            (lambda d: _tensor(d, offset=1 << 50), "weights:view-outside"),
            (lambda d: _tensor(d, shape=(4,)), "weights:directory"),
            (lambda d: dataclasses.replace(d, storages=()), "weights:directory"),
            (lambda d: dataclasses.replace(d, tensors=()), "weights:no-tensors"),
            (lambda d: dataclasses.replace(d, metadata={"format": 5}), "weights:directory"),
        ],
    )
    def test_a_directory_that_lies_is_refused(self, change: Any, code: str, tmp_path: Path, out: Path) -> None:
        directory = change(numbers(tmp_path / "n", tensors=2))
        assert refusal(tmp_path / "n", directory, out / "o").code.startswith(code)
        assert list(out.iterdir()) == []

    def test_a_directory_that_is_none_is_refused(self, tmp_path: Path, out: Path) -> None:
        class Odd:
            tensors = ()

            def to_json(self) -> Any:
                return {"tensors": "all of them"}

        numbers(tmp_path / "n", tensors=1)
        with pytest.raises(FormatError, match="weights:directory"):
            one(tmp_path / "n", Odd(), out / "o")  # type: ignore[arg-type]

    def test_limits_stay_limits(self, tmp_path: Path, out: Path) -> None:
        """Twenty tensors of the same 32 MiB, as wide views: more than a real file holds."""
        directory = numbers(tmp_path / "n", tensors=1, mib=32)
        (entry,) = directory.tensors
        many = tuple(dataclasses.replace(entry, path=(f"t{at}",), shape=(*entry.shape, 1), stride=(*entry.stride, at)) for at in range(20))
        (refusal,) = convert_locked(tmp_path / "n", dataclasses.replace(directory, tensors=many), [Wanted(out / "o", Recipe(), plain=True)])
        assert isinstance(refusal, LimitExceeded)


def _storage(directory: TensorDirectory, **fields: Any) -> TensorDirectory:
    return dataclasses.replace(directory, storages=(dataclasses.replace(directory.storages[0], **fields), *directory.storages[1:]))


def _tensor(directory: TensorDirectory, **fields: Any) -> TensorDirectory:
    return dataclasses.replace(directory, tensors=(dataclasses.replace(directory.tensors[0], **fields), *directory.tensors[1:]))


class TestEndings:
    """Whatever ends the work, no file is visible, nothing lies beside it, and no process is left."""

    @pytest.fixture(autouse=True)
    def nothing_left(self, out: Path) -> Iterator[None]:
        yield
        assert list(out.iterdir()) == []
        assert list(children()) == []

    @pytest.fixture
    def slow(self, tmp_path: Path) -> Iterator[tuple[Slow, TensorDirectory]]:
        directory = numbers(tmp_path / "n")
        with (tmp_path / "n").open("rb") as file:
            yield Slow(file.fileno(), 0.1), directory

    def test_a_killed_child_is_trouble(self, slow: Any, out: Path) -> None:
        reader, directory = slow

        class Killing(Slow):
            def read_into(self, offset: int, view: memoryview) -> None:
                if self.reads == 5:
                    for pid in children():
                        os.kill(pid, signal.SIGKILL)
                super().read_into(offset, view)

        with pytest.raises(Unfinished, match=f"signal {signal.SIGKILL.value}") as trouble:
            one(Killing(reader._file.fileno()), directory, out / "o")
        assert trouble.value.sentence.endswith(".")

    def test_cancelled_work_ends_at_once(self, slow: Any, out: Path) -> None:
        reader, directory = slow
        with pytest.raises(Cancelled):
            one(reader, directory, out / "o", cancelled=lambda: reader.reads > 3)
        assert reader.reads < 8

    def test_what_progress_raises_ends_the_work(self, slow: Any, out: Path) -> None:
        reader, directory = slow

        def lost(*_: int) -> None:
            raise LookupError("the row went to somebody else")

        with pytest.raises(LookupError):
            one(reader, directory, out / "o", progress=lost)

    def test_a_late_child_is_trouble(self, slow: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(locked, "PATIENCE_SECONDS", 1)
        monkeypatch.setattr(locked, "BYTES_A_SECOND", 1 << 40)
        reader, directory = slow
        reader.seconds = 0.5
        with pytest.raises(Unfinished, match="longer than 2 seconds"):
            one(reader, directory, out / "o")

    def test_trouble_of_the_store_is_raised_as_it_was(self, slow: Any, out: Path) -> None:
        reader, directory = slow

        class Away(Slow):
            def read_into(self, offset: int, view: memoryview) -> None:
                if self.reads == 4:
                    raise ConnectionError("the store is away")
                super().read_into(offset, view)

        with pytest.raises(ConnectionError, match="the store is away"):
            one(Away(reader._file.fileno()), directory, out / "o")

    def test_an_output_that_may_not_grow_is_trouble(self, slow: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(locked, "OUTPUT_FREE", 1 << 20)
        monkeypatch.setattr(locked, "OUTPUT_TIMES", 0)
        reader, directory = slow
        with pytest.raises(Unfinished) as trouble:
            one(reader._file, directory, out / "o")
        assert trouble.value.errno == errno.EFBIG

    def test_a_child_that_speaks_nonsense_is_trouble(self, slow: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reader, directory = slow
        digest = '"' + "a" * 64 + '"'
        whole = f'{{"size_bytes": 0, "crc32": 1, "sha256": {digest}, "blake3": {digest}, "autov1": null, "data_sha256": null, '
        whole += '"content": null, "tensors": []}'
        lies = [
            "",
            "null",
            '{"answer": []}',
            '{"answer": {"made": [[{}, {}]]}}',
            f'{{"answer": {{"made": [[{{}}, {whole.replace("a" * 64, "../../etc")}]]}}}}',
            f'{{"answer": {{"made": [[[], {whole}]]}}}}',
            f'{{"answer": {{"made": [[{{}}, {whole.replace("0,", "7,", 1)}]]}}}}',
            '{"error": {"code": "<b>", "sentence": "x"}}',
            '{"error": {"code": 5}}',
            '{"trouble": {"errno": [28], "text": {}}}',
        ]
        for lie in lies:
            monkeypatch.setattr("registry.sandbox.parent.START", f"print({lie!r})")
            with pytest.raises(Unfinished):
                one(reader, directory, out / "o")


def test_a_full_disk_leaves_no_file_and_is_trouble(tmp_path: Path) -> None:
    """On a file system of 4 MiB in memory, which the output does not fit into."""
    small = tmp_path / "small"
    small.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        directory = numbers(tmp_path / "n", tensors=8)
        with pytest.raises(Unfinished, match="disk is full") as trouble:
            one(tmp_path / "n", directory, small / "o")
        assert trouble.value.errno == errno.ENOSPC
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_working_child_is_locked_and_holds_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at from outside while it works: its threads' filters, its environment, its open files."""
    monkeypatch.setenv("WEIGH_S3_SECRET", "hidden")
    directory = numbers(tmp_path / "n", tensors=12)
    seen: list[dict[str, Any]] = []

    class Watching(Slow):
        def read_into(self, offset: int, view: memoryview) -> None:
            if self.reads == 9:
                seen.extend(map(_look, children()))
            super().read_into(offset, view)

    with (tmp_path / "n").open("rb") as file:
        one(Watching(file.fileno()), directory, tmp_path / "o")
    (child,) = seen
    assert child["environment"] <= {"LC_CTYPE", *locked.ENVIRONMENT}
    assert len(child["threads"]) > 2
    assert set(child["threads"]) == {("2", "1")}
    kinds = {"memfd" if "memfd" in place else "pipe" if place.startswith("pipe:") else place for place in child["files"]}
    assert {Path(place).suffix for place in kinds - {"memfd", "pipe", "/dev/null"}} == {".part"}


def _look(pid: int) -> dict[str, Any]:
    place = Path(f"/proc/{pid}")
    statuses = [dict(line.split(":", 1) for line in task.read_text().splitlines()) for task in place.glob("task/*/status")]
    return {
        "environment": {row.partition("=")[0] for row in (place / "environ").read_text().split("\0") if row},
        "threads": [(status["Seccomp"].strip(), status["NoNewPrivs"].strip()) for status in statuses],
        "files": [os.readlink(link) for link in (place / "fd").iterdir()],
    }
