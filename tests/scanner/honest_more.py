"""More honest files, as people name, pack and photograph them: names of training programs, re-packed checkpoints, readme files, phones."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import torch

from tests.attacks.assemble import Part, zipped
from tests.attacks.writers import gguf, gguf_tensor
from tests.scanner.honest import old, saved
from tests.scanner.honest_kinds import PACK, bundle, picture

STATE = {"w": torch.arange(6.0)}
Maker = Callable[[], bytes]


def repacked() -> bytes:
    """A checkpoint whose files were packed again by an ordinary zip program, which also lists the folders."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(STATE))) as whole, zipfile.ZipFile(out, "w") as archive:
        for folder in ("archive/", "archive/data/", "archive/.data/"):
            archive.writestr(folder, b"")
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    return out.getvalue()


def phone_photo(front: bytes = b"MPF\0") -> bytes:
    """A photo that announces a second one, its preview, behind it."""
    first, second = picture("JPEG"), picture("JPEG", quality=30)
    note = front + b"II*\0\x08\0\0\0" + bytes(30)
    return first[:2] + b"\xff\xe2" + struct.pack(">H", len(note) + 2) + note + first[2:] + second


TEXTS: dict[str, bytes] = {
    "model.civitai.info": b'{"id": 1}',
    "settings.toml": b"[model]\nname = 'x'\n",
    "settings.ini": b"[model]\nname=x\n",
    "settings.cfg": b"# a\n",
    "prompts.jsonl": b'{"a": 1}\n{"a": 2}\n',
    "LICENSE": b"CreativeML Open RAIL-M\n\nSection I: preamble\n",
    "README": b"Use it.\n",
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "README.md": b"<!-- This model card was written by hand -->\n\n# Title\n",
    "empty.txt": b"",
}
PROSE: dict[str, bytes] = {
    "begins with P and a second line": b"Photo of a cat\nin the sun, c\nos\nsystem\n",
    "begins with I and a long line": b"I made this for portraits. " * 400 + b"\nHave fun.\n",
    "begins with L and a long line": b"Landscapes of all kinds, " * 400 + b"\n",
    "begins with c and a long line": b"cinematic light, film grain, " * 400 + b"\nsecond line\n",
    "begins with an index of millions": b"Karen is here and she\nis fine.\n",
    "begins with r": b"red hair, blue eyes\n",
    "begins with Nr": b"Nr. 5 is alive, as you know\n",
    "a list of words": b"castle\nforest\nNight\nRiver\n(moon)\n",
    "a list of two words": b"castle\ndark forest\nRiver\n",
    "a list in French": "château\nforêt\nRivière\n".encode(),
    "a pickle's end and more": b"N.B. use it\ncos\nsystem\n",
    "a quote": b"'tis a fine model.\nSo it is.\n",
    "sentence in brackets": b"(in the dark forest:1.2), (best quality)\n",
    "megabytes": b"V is for victory, " * 100_000,
    "many lines": b"tag, count\n" * 200_000,
}

HONEST_MORE: dict[str, tuple[str, Maker]] = {
    "named as PyTorch's examples do": ("checkpoint.pth.tar", lambda: saved(STATE)),
    "named as PyTorch's examples do, old": ("Model_Best.PTH.TAR", lambda: old(STATE)),
    "optimizer of a hypernetwork": ("hyper.pt.optim", lambda: saved(STATE)),
    "packed again with folders": ("model.pt", repacked),
    "bundle of a bundle with a checkpoint": ("pack.zip", lambda: bundle({"inner.zip": bundle({"a.pt": saved(STATE)}, zipfile.ZIP_STORED)})),
    "bundle with texts of all names": ("pack.zip", lambda: bundle({**PACK, **TEXTS})),
    "gguf of 4 bits with two scales": ("a.gguf", lambda: gguf(None, [gguf_tensor("a", (64, 2), 40)], bytes(96))),
    "gguf of 1 bit": ("a.gguf", lambda: gguf(None, [gguf_tensor("a", (128, 2), 41)], bytes(64))),
    "photo of a phone": ("a.jpg", phone_photo),
    "photo named jfif": ("a.jfif", lambda: picture("JPEG")),
    "bundle with times of old": (
        "pack.zip",
        lambda: zipped([Part(name, data, extra=struct.pack("<HHII", 0x5855, 8, 1, 2)) for name, data in PACK.items()]),
    ),
    "settings with targets": (
        "v1.yaml",
        lambda: b"model:\n  base_learning_rate: 1.0e-04\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params: {a: 1}\n# wow!!\n",
    ),
    **{f"text, {title}": ("readme.txt", lambda data=data: data) for title, data in PROSE.items()},
    **{f"text, {name}": (name, lambda data=data: data) for name, data in TEXTS.items() if data and name != "empty.txt"},
}
"""title -> (file name, maker); a clean answer without any finding is due to all of them"""

TO_MEND: dict[str, tuple[str, Maker, str, str]] = {
    **{
        f"checkpoint named .{ending}": (f"model.{ending}", lambda: saved(STATE), "F-EXTENSION", "Rename it to .pt")
        for ending in ("th", "pyth", "model", "dat", "chkpt", "weights", "t7", "mdl")
    },
    "photo with padding": ("a.jpg", lambda: picture("JPEG") + bytes(40), "I-PADDING", "save it again"),
    "photo with a film": ("a.jpg", lambda: picture("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(range(40)), "I-PADDING", "save it again"),
    "photo with notes of its phone": ("a.jpg", lambda: picture("JPEG") + b"\1\2\3notesSEFT", "I-PADDING", "save it again"),
    "bundle packed on a Mac": ("pack.zip", lambda: bundle({**PACK, "style/.DS_Store": b"\0\0\0\1Bud1"}), "Z-MACOS", "without them"),
    "packed at its smallest": (
        "pack.zip",
        lambda: zipped([Part(name, data, method=8, flags=2) for name, data in PACK.items()]),
        "Z-FLAGS",
        "without compression",
    ),
}
"""title -> (file name, maker, code, part of the sentence): not taken, but no danger either, and the sentence says what to do"""
