"""Archives of several files: what hides in a member, in an archive within, or in a member's name."""

from __future__ import annotations

import bz2
import gzip
import json
import struct

from tests.attacks.assemble import HONEST, Part, legacy, pickled, system, torch_parts, torch_zip, zipped
from tests.attacks.catalogue import attack, each
from tests.attacks.headers import entry, written
from tests.attacks.writers import gguf, npy, old_checkpoint, old_pickle, onnx, onnx_external, onnx_graph, png, png_chunk

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())
LORA = Part("lora.safetensors", written({"a": entry(0, 16, 4)}))
TEXT_PAYLOAD = b"cos\nsystem\n(S'echo owned'\ntR."


def bundle(*parts: Part) -> bytes:
    """An honest LoRA, and what else is given."""
    return zipped([LORA, *parts])


each(
    DANGER,
    "P-CALL",
    "pack.zip",
    klass=23,
    rows={
        "bundles.pickle_beside_a_lora": lambda: bundle(Part("more.ckpt", PAYLOAD)),
        "bundles.pickle_in_a_folder": lambda: bundle(Part("a/b/more.pt", PAYLOAD)),
        "bundles.pickle_without_extension": lambda: bundle(Part("more", PAYLOAD)),
        "bundles.packed_pickle": lambda: bundle(Part("more.ckpt", PAYLOAD, method=8)),
        "bundles.torch_zip": lambda: bundle(Part("more.ckpt", torch_zip(PAYLOAD))),
        "bundles.packed_torch_zip": lambda: bundle(Part("more.ckpt", torch_zip(PAYLOAD), method=8)),
        "bundles.legacy_checkpoint": lambda: bundle(Part("more.ckpt", legacy(b"", b"", b"", PAYLOAD))),
        "bundles.pickle_two_archives_deep": lambda: bundle(Part("more.zip", zipped([Part("more.pkl", PAYLOAD)]))),
        "bundles.old_tar": lambda: bundle(Part("more.pt", old_checkpoint(pickle=old_pickle(system())))),
    },
)
each(
    DANGER,
    "Z-EXTENSION",
    "pack.zip",
    klass=26,
    rows={
        "bundles.pickle_named_picture": lambda: bundle(Part("preview.png", HONEST)),
        "bundles.pickle_named_text": lambda: bundle(Part("readme.txt", PAYLOAD)),
        "bundles.text_pickle_named_text": lambda: bundle(Part("readme.txt", TEXT_PAYLOAD)),
        "bundles.text_pickle_named_settings": lambda: bundle(Part("config.json", TEXT_PAYLOAD)),
        "bundles.checkpoint_named_safetensors": lambda: bundle(Part("more.safetensors", torch_zip())),
        "bundles.picture_named_checkpoint": lambda: bundle(Part("more.ckpt", png())),
    },
)
each(
    DANGER,
    "F-PROGRAM",
    "pack.zip",
    klass=23,
    rows={
        "bundles.windows_program": lambda: bundle(Part("setup.exe", b"MZ\x90\0" + bytes(64))),
        "bundles.script": lambda: bundle(Part("install.sh", b"#!/bin/sh\ntrue\n")),
        "bundles.web_page": lambda: bundle(Part("readme.md", b"<html><script>alert(1)</script>")),
        "bundles.drawing_with_script": lambda: bundle(Part("preview.svg", b"<svg onload='alert(1)'/>")),
        "bundles.page_named_text": lambda: bundle(Part("readme.txt", b"\xef\xbb\xbf\n <!DOCTYPE html>")),
    },
)
each(
    ERROR,
    "F-PACKED",
    "pack.zip",
    klass=23,
    rows={
        "bundles.gzip_inside": lambda: bundle(Part("more.ckpt.gz", gzip.compress(PAYLOAD, mtime=0))),
        "bundles.bzip2_inside": lambda: bundle(Part("more.ckpt", bz2.compress(PAYLOAD))),
    },
)
each(
    ERROR,
    "F-UNKNOWN",
    "pack.zip",
    klass=23,
    rows={
        "bundles.python_source": lambda: bundle(Part("nodes.py", b"import os\nos.system('echo owned')\n")),
        "bundles.batch_file": lambda: bundle(Part("run.bat", b"@echo off\r\ncalc.exe\r\n")),
    },
)
each(
    ERROR,
    "Z-NAME",
    "pack.zip",
    klass=25,
    rows={
        "bundles.member_above_the_folder": lambda: bundle(Part("../evil.txt", b"x")),
        "bundles.member_deep_above_the_folder": lambda: bundle(Part("a/../../evil.txt", b"x")),
        "bundles.absolute_member": lambda: bundle(Part("/etc/cron.d/evil", b"x")),
        "bundles.member_with_a_drive": lambda: bundle(Part("C:evil.txt", b"x")),
        "bundles.member_with_backslashes": lambda: bundle(Part("..\\evil.txt", b"x")),
        "bundles.symbolic_link": lambda: bundle(Part("link", b"/etc/passwd", attributes=0o120777 << 16)),
    },
)
each(
    ERROR,
    "X-TEXT",
    "pack.zip",
    klass=23,
    rows={
        "bundles.text_with_control_characters": lambda: bundle(Part("readme.txt", b"hello\x1b[2J")),
        "bundles.text_that_is_not_utf8": lambda: bundle(Part("readme.txt", b"hello \xff\xfe")),
        "bundles.settings_with_nul": lambda: bundle(Part("a.json", b'{"a": 1}\0')),
    },
)


@attack(ERROR, "Z-DEPTH", "pack.zip", klass=23)
def three_archives_deep() -> bytes:
    return bundle(Part("a.zip", zipped([Part("b.zip", zipped([Part("more.pkl", PAYLOAD)]))])))


@attack(ERROR, "Z-BOMB", "pack.zip", klass=33)
def member_that_unpacks_to_much() -> bytes:
    return bundle(Part("a.txt", b"a" * (1 << 20), method=8))


@attack(ERROR, "Z-CRC", "pack.zip", klass=21)
def stored_member_with_a_wrong_checksum() -> bytes:
    return bundle(Part("readme.txt", b"hello", crc=1))


@attack(ERROR, "Z-CRC", "pack.zip", klass=21)
def checksums_left_out() -> bytes:
    """Only torch leaves checksums out; a bundle of other files without them is damaged or tampered with."""
    parts = [Part("a.txt", b"hello", crc=0, local_crc=0), Part("b.txt", b"you", crc=0, local_crc=0)]
    return zipped(parts)


@attack(ERROR, "F-NOTHING", "pack.zip", klass=26)
def no_weights_at_all() -> bytes:
    return zipped([Part("readme.txt", b"hello"), Part("a.png", png())])


@attack(ERROR, "F-EXTENSION", "model.ckpt", klass=26)
def bundle_named_checkpoint() -> bytes:
    return bundle()


@attack(ERROR, "F-EXTENSION", "weights.npz", klass=26)
def bundle_named_arrays() -> bytes:
    return bundle()


@attack(ERROR, "F-EXTENSION", "model.zip", klass=26)
def checkpoint_named_bundle() -> bytes:
    return torch_zip()


@attack(ERROR, "T-MEMBER", "pack.zip", klass=23)
def checkpoint_with_files_beside_it() -> bytes:
    """torch.load takes `x/data.pkl` out of any archive, so it is judged as a checkpoint, which has no other files."""
    return zipped([*torch_parts(), Part("readme.txt", b"hello")])


@attack(DANGER, "T-SCRIPT", "pack.zip", klass=32)
def torch_script_in_a_bundle() -> bytes:
    return bundle(Part("model.pt", zipped([*torch_parts(), Part("archive/constants.pkl", PAYLOAD)])))


@attack(DANGER, "F-POLYGLOT", "pack.zip", klass=22)
def picture_with_a_zip_behind_it() -> bytes:
    return bundle(Part("preview.png", png() + zipped([Part("x.pkl", PAYLOAD)])))


@attack(DANGER, "F-POLYGLOT", "pack.zip", klass=22)
def zip_in_the_tensors_of_a_member() -> bytes:
    inner = zipped([Part("__main__.py", b"print('owned')")])
    return bundle(Part("b.safetensors", written({"a": entry(0, len(inner), len(inner), dtype="U8")}, inner)))


@attack(DANGER, "O-PATH", "pack.zip", klass=32)
def onnx_in_a_bundle() -> bytes:
    return bundle(Part("model.onnx", onnx(onnx_graph(onnx_external("../../etc/passwd")))))


@attack(DANGER, "G-TEMPLATE", "pack.zip", klass=32)
def gguf_in_a_bundle() -> bytes:
    return bundle(Part("model.gguf", gguf({"tokenizer.chat_template": "{{ ''.__class__ }}"})))


@attack(DANGER, "N-OBJECT", "pack.zip", klass=24)
def objects_in_a_bundle() -> bytes:
    return bundle(Part("a.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", PAYLOAD)))


# --- Keras ---------------------------------------------------------------------------------------------------------------


def keras(config: object) -> bytes:
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()
    return zipped([Part("metadata.json", b"{}"), Part("config.json", raw), Part("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(32))])


def layers(*made: dict[str, object]) -> dict[str, object]:
    return {"module": "keras", "class_name": "Sequential", "registered_name": None, "config": {"layers": list(made)}}


each(
    DANGER,
    "K-LAMBDA",
    "model.keras",
    klass=32,
    rows={
        "keras.lambda_layer": lambda: keras(layers({"module": "keras.layers", "class_name": "Lambda", "config": {"function": "4wEA"}})),
        "keras.lambda_by_escapes": lambda: keras(b'{"class_name": "\\u004cambda", "config": {}}'),
        "keras.lambda_value": lambda: keras(layers({"class_name": "Dense", "config": {"activation": {"class_name": "__lambda__"}}})),
        "keras.function_of_another_module": lambda: keras(layers({"module": "os", "class_name": "function", "config": "system"})),
        "keras.class_of_its_own": lambda: keras(layers({"module": None, "class_name": "X", "registered_name": "evil>X"})),
    },
)


@attack(ERROR, "F-UNSUPPORTED", "model.keras", klass=32)
def keras_without_code() -> bytes:
    return keras(layers({"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}))


@attack(ERROR, "K-CONFIG", "model.keras", klass=32)
def keras_with_deep_settings() -> bytes:
    return keras(b"[" * 100_000)


# --- pictures and texts by themselves -------------------------------------------------------------------------------------

GIF = b"GIF89a\1\0\1\0\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0\x3b"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xda\0\x08\1\1\0\0\x3f\0\x12\xff\0\x34\xff\xd9"
WEBP = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<I", 10) + bytes(10)

each(DANGER, "F-POLYGLOT", "a.png", klass=22, rows={"pictures.png_with_a_pickle_behind": lambda: png() + PAYLOAD})
each(DANGER, "F-POLYGLOT", "a.jpg", klass=22, rows={"pictures.jpeg_with_a_pickle_behind": lambda: JPEG + PAYLOAD})
each(DANGER, "F-POLYGLOT", "a.gif", klass=22, rows={"pictures.gif_with_a_script_behind": lambda: GIF + b"<script>alert(1)</script>"})
each(DANGER, "F-POLYGLOT", "a.webp", klass=22, rows={"pictures.webp_with_a_zip_behind": lambda: WEBP + zipped([Part("x", b"x")])})
each(
    DANGER,
    "F-POLYGLOT",
    "a.png",
    klass=22,
    rows={"pictures.zip_inside_a_png": lambda: png(png_chunk(b"tEXt", b"x\0" + zipped([Part("x.pkl", PAYLOAD)])))},
)
each(ERROR, "F-EXTENSION", "a.jpg", klass=26, rows={"pictures.png_named_jpeg": lambda: png()})
each(
    ERROR,
    "I-PARSE",
    "a.png",
    klass=26,
    rows={
        "pictures.png_with_a_wrong_checksum": lambda: png().replace(b"IDAT", b"iDAT"),
        "pictures.png_with_an_end_that_carries_data": lambda: png()[:-12] + png_chunk(b"IEND", PAYLOAD),
    },
)
each(
    DANGER,
    "F-EXTENSION",
    "notes.txt",
    klass=26,
    rows={
        "texts.pickle_as_text": lambda: TEXT_PAYLOAD,
        "texts.call_before_a_broken_end": lambda: TEXT_PAYLOAD[:-1] + b"\nand here is some prose",
        "texts.import_at_the_end": lambda: b"cantigravity\nfly\n.",
    },
)


@attack(DANGER, "F-EXTENSION", "notes.txt", klass=26)
def payload_behind_a_long_line() -> bytes:
    return b"V" + b"a" * 5000 + b"\n" + TEXT_PAYLOAD


@attack(ERROR, "P-LIMIT", "notes.txt", klass=33)
def text_of_opcodes_alone() -> bytes:
    return b"N0" * 500_000


@attack(ERROR, "P-LIMIT", "pack.zip", klass=33)
def many_pickles_that_cost_much() -> bytes:
    costly = pickled(b"N0" * 900_000 + b"}")
    return bundle(*(Part(f"{number}.pkl", costly) for number in range(4)))
