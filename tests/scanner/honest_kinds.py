"""Honest files that are no pickles of torch: arrays, GGUF, ONNX, bundles, pictures, texts, and torch's oldest form. Nothing is hostile."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.attacks.assemble import FLOATS, call, items, name, number, pickled, text
from tests.attacks.writers import (
    OLD_SYSTEM,
    gguf,
    gguf_tensor,
    npy,
    old_checkpoint,
    old_pickle,
    old_storages,
    old_tensors,
    onnx,
    onnx_external,
    onnx_graph,
    onnx_node,
    onnx_tensor,
    part,
    png,
)
from tests.scanner.chat_templates import CHAT_TEMPLATES
from tests.scanner.honest import lora, old, saved, textual_inversion

Maker = Callable[[], bytes]
GRID = np.arange(24).reshape(4, 6)


def array(value: Any, version: tuple[int, int] | None = None) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(value), version=version)
    return out.getvalue()


def arrays(packed: bool = False, **values: Any) -> bytes:
    out = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(out, **values)
    return out.getvalue()


def bundle(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for title, data in files.items():
            archive.writestr(title, data)
    return out.getvalue()


def picture(kind: str, frames: int = 1, **options: Any) -> bytes:
    out = io.BytesIO()
    dice = np.random.default_rng(5)
    images = [Image.fromarray(dice.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(frames)]
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(out, kind, **more, **options)
    return out.getvalue()


def without_checksums() -> bytes:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        return saved({"a": torch.arange(5.0), "none": torch.empty(0)})
    finally:
        torch.serialization.set_crc32_options(before)


def tarred(files: dict[str, bytes], form: int) -> bytes:
    """As torch wrote it: by Python's tarfile, with times that are no whole numbers."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for title, data in files.items():
            info = tarfile.TarInfo(title)
            info.size, info.mtime, info.uname, info.gname = len(data), 1485000000.25, "user", "staff"  # type: ignore[assignment]
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


OLD_FILES = {"sys_info": OLD_SYSTEM, "pickle": old_pickle(), "tensors": old_tensors(), "storages": old_storages()}


def old_with_views() -> bytes:
    """Two tensors on one storage, the second through a view of its second half."""
    storages = old_storages(views=b"]" + items(number(140_009), number(140_001), number(2), number(2)) + b"a")
    second = pickled(items(number(140_003), number(140_009), name("torch", "FloatTensor")))
    numbers = b"".join(n.to_bytes(8, "little") for n in (1, 2, 1, 0))
    tensors = pickled(number(2)) + old_tensors()[len(pickled(number(1))) :] + second + numbers
    ordered = call("collections", "OrderedDict") + text("whole") + text("140002") + b"Qs" + text("half") + text("140003") + b"Qs"
    return old_checkpoint(storages=storages, tensors=tensors, pickle=pickled(ordered))


def tokens(count: int = 300) -> dict[str, Any]:
    return {
        "general.name": "small",
        "general.file_type": 1,
        "tokenizer.ggml.tokens": [f"token {number} é" for number in range(count)],
        "tokenizer.ggml.scores": [float(number) for number in range(count)],
        "tokenizer.ggml.add_bos_token": True,
        "flags": [True, False],
    }


PACK = {
    "style/lora.safetensors": lora(),
    "style/preview.png": png(),
    "style/readme.txt": "trigger: né\r\n".encode(),
    "style/info.json": b'{"a": 1}',
}
NUMBERS = "bool int8 uint8 int16 <i4 >i4 int64 uint64 float16 float32 >f8 complex64 longdouble"
WITH_CONSTANT = [onnx_node("Constant", "", part(1, "value") + part(5, onnx_tensor()) + part(20, 4)), onnx_node()]
CHECKPOINTS = {"a.ckpt": lambda: saved({"a": torch.ones(9)}), "b/style.pt": lambda: saved(textual_inversion())}
CHECKPOINTS |= {"c.pt": lambda: old({"a": torch.ones(9)})}


KINDS: dict[str, tuple[str, Maker | bytes]] = {
    **{f"array of {kind}": ("a.npy", partial(array, GRID.astype(kind))) for kind in NUMBERS.split()},
    "array in Fortran order": ("a.npy", partial(array, np.asfortranarray(GRID * 0.5))),
    "array of version 2": ("a.npy", partial(array, GRID, (2, 0))),
    "array of version 3": ("a.npy", partial(array, GRID, (3, 0))),
    "single number": ("a.npy", partial(array, np.float32(3))),
    "row": ("a.npy", partial(array, np.arange(3.0))),
    "empty array": ("a.npy", partial(array, np.zeros((0, 4)))),
    "array of Python 2": ("a.npy", partial(npy, "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 2L), }")),
    "arrays": ("a.npz", partial(arrays, a=GRID, b=np.float16(1))),
    "arrays, packed": ("a.npz", partial(arrays, True, a=GRID, b=np.zeros(1000))),
    "arrays named zip": ("a.zip", partial(arrays, a=GRID)),
    "oldest form": ("model.pth", old_checkpoint),
    "oldest form with views": ("model.pt", old_with_views),
    "oldest form, as Python writes tars": ("model.pt", partial(tarred, OLD_FILES, tarfile.PAX_FORMAT)),
    "oldest form, old tar": ("model.pt", partial(tarred, OLD_FILES, tarfile.GNU_FORMAT)),
    "gguf": ("a.gguf", gguf),
    "gguf of version 2": ("a.gguf", partial(gguf, version=2)),
    "gguf without tensors": ("vocabulary.gguf", partial(gguf, tokens(), (), b"")),
    "gguf with tokens": ("a.gguf", partial(gguf, tokens())),
    "gguf, quantised": ("a.gguf", partial(gguf, None, [gguf_tensor("a", (32, 2), 2), gguf_tensor("b", (256,), 12, 64)], bytes(64 + 144))),
    "gguf, aligned wider": ("a.gguf", partial(gguf, {"general.alignment": 64}, alignment=64, data=FLOATS)),
    **{f"gguf, {style}": ("a.gguf", partial(gguf, {"tokenizer.chat_template": chat})) for style, chat in CHAT_TEMPLATES.items()},
    "onnx": ("a.onnx", onnx),
    "onnx with a constant and metadata": (
        "a.onnx",
        lambda: onnx(
            onnx_graph(onnx_tensor(), nodes=WITH_CONSTANT),
            more=part(14, part(1, "author") + part(2, "me")),
        ),
    ),
    "bundle": ("pack.zip", partial(bundle, PACK)),
    "bundle, stored": ("pack.zip", partial(bundle, PACK, zipfile.ZIP_STORED)),
    "bundle of checkpoints": (
        "pack.zip",
        lambda: bundle({title: make() for title, make in CHECKPOINTS.items()}),
    ),
    "bundle in a bundle": ("pack.zip", lambda: bundle({"inner.zip": bundle(PACK), "arrays.npz": arrays(a=GRID)})),
    "bundle with a model and its readme": (
        "pack.zip",
        lambda: bundle({"model.gguf": gguf(), "README.md": b"# Model\n\nUse it.\n", "settings.yaml": b"a: 1\n", "tags.csv": b"a,b\n1,2\n"}),
    ),
    "png": ("a.png", partial(picture, "PNG")),
    "png by hand": ("a.PNG", png),
    "jpeg": ("a.jpg", partial(picture, "JPEG")),
    "jpeg, progressive": ("a.jpeg", partial(picture, "JPEG", progressive=True, restart_marker_blocks=2)),
    "gif": ("a.gif", partial(picture, "GIF")),
    "gif, moving": ("a.gif", partial(picture, "GIF", 3)),
    "webp": ("a.webp", partial(picture, "WEBP")),
    "webp, lossless": ("a.webp", partial(picture, "WEBP", lossless=True)),
    "webp, moving": ("a.webp", partial(picture, "WEBP", 3)),
    "text": ("readme.txt", "Use <lora:x:0.8>.\n\ncat, dog\té 猫 🐈\n".encode()),
    "text with a mark at its start": ("readme.txt", b"\xef\xbb\xbfhello\r\n"),
    "text that begins like an import": ("prompt.txt", b"cinematic light\n1girl\n(masterpiece:1.2), best quality"),
    "text of a note": ("note.txt", b"N.B. use it at 0.8"),
    "text with a word that looks like an import": ("notes.md", b"notes\n" * 900 + b"scenarios\nfirst\n"),
    "text of one long line": ("prompt.txt", b"Portrait of a cat, " * 600),
    "markdown": ("readme.md", b"# Title\n\n* a\n* b\n"),
    "json": ("config.json", b'{"a": [1, 2, {"b": null}]}'),
    "table": ("tags.csv", b"tag,count\ncat,3\n"),
    "yaml": ("v1-inference.yaml", b"model:\n  base_learning_rate: 1.0e-04\n"),
}
"""title -> (file name, maker of the bytes, or the bytes); a clean answer without any finding is due to all of them"""


def _maker(made: Maker | bytes) -> Maker:
    return (lambda: made) if isinstance(made, bytes) else made


HONEST_KINDS: dict[str, tuple[str, Maker]] = {title: (given, _maker(made)) for title, (given, made) in KINDS.items()}

TOLD: dict[str, tuple[str, Maker, str]] = {
    "checkpoint without checksums": ("a.ckpt", without_checksums, "Z-NOCRC"),
    "onnx with numbers beside it": ("a.onnx", lambda: onnx(onnx_graph(onnx_external("model.onnx_data"))), "O-EXTERNAL"),
    "onnx with operators of its own": ("a.onnx", lambda: onnx(onnx_graph(nodes=[onnx_node("Attention", "com.microsoft")])), "O-DOMAIN"),
}
"""title -> (file name, maker, code of the remark that goes with the clean answer)"""
