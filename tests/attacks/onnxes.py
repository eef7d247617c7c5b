"""ONNX models that take their numbers from files elsewhere, and structure that hides bytes from a reader."""

from __future__ import annotations

from functools import partial

from tests.attacks.assemble import Part, pickled, system, zipped
from tests.attacks.catalogue import attack, each
from tests.attacks.writers import onnx, onnx_external, onnx_graph, onnx_node, onnx_tensor, part, varint

DANGER, ERROR = "danger", "error"
PATHS = {
    "above": "../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "folder": "a/b.bin",
    "drive": "C:secret.bin",
    "backslashes": "..\\..\\secret.bin",
    "share": "\\\\server\\share\\x",
    "dots": "..",
    "nothing": "",
    "spaces": "x.bin ",
    "nul": "x.bin\0.txt",
    "address": "http://127.0.0.1/x",
    "variable": "%TEMP%x",
    "home": "~x",
    "device": "NUL",
    "device_with_an_extension": "com1.bin",
    "dot_at_the_end": "x.",
}


def outside(path: str) -> bytes:
    return onnx(onnx_graph(onnx_external(path)))


def attribute(field: int, content: bytes) -> bytes:
    return part(1, "value") + part(field, content)


each(DANGER, "O-PATH", "model.onnx", klass=32, rows={f"onnxes.path_{title}": partial(outside, path) for title, path in PATHS.items()})
EVIL = onnx_external("../evil.bin")
each(
    DANGER,
    "O-PATH",
    "model.onnx",
    klass=32,
    rows={
        "onnxes.second_tensor": lambda: onnx(onnx_graph(onnx_tensor(), EVIL)),
        "onnxes.in_an_attribute": lambda: onnx(onnx_graph(nodes=[onnx_node("Constant", "", attribute(5, EVIL))])),
        "onnxes.in_a_list_of_an_attribute": lambda: onnx(onnx_graph(nodes=[onnx_node("Constant", "", attribute(10, EVIL))])),
        "onnxes.in_an_inner_graph": lambda: onnx(onnx_graph(nodes=[onnx_node("If", "", attribute(6, onnx_graph(EVIL)))])),
        "onnxes.in_a_sparse_tensor": lambda: onnx(onnx_graph() + part(15, part(1, EVIL))),
        "onnxes.in_a_function": lambda: onnx(more=part(25, part(7, onnx_node("Constant", "", attribute(5, EVIL))))),
        "onnxes.in_the_training": lambda: onnx(more=part(20, part(1, onnx_graph(EVIL)))),
        "onnxes.by_another_folder": lambda: onnx(onnx_graph(onnx_external("x.bin", basepath="/etc"))),
        "onnxes.second_place_of_one_tensor": lambda: onnx(
            onnx_graph(onnx_external("x.bin") + part(13, part(1, "location") + part(2, "../x")))
        ),
    },
)
each(
    ERROR,
    "O-PARSE",
    "model.onnx",
    klass=32,
    rows={
        "onnxes.place_given_twice_in_one_note": lambda: onnx(
            onnx_graph(part(13, part(1, "location") + part(2, "x.bin") + part(2, "../../etc/passwd")))
        ),
        "onnxes.unknown_field": lambda: onnx(more=part(99, b"hidden")),
        "onnxes.field_of_another_type": lambda: onnx(more=varint(7 << 3) + varint(5)),
        "onnxes.group_of_old": lambda: onnx(more=varint(7 << 3 | 3) + varint(7 << 3 | 4)),
        "onnxes.part_longer_than_its_whole": lambda: onnx(part(5, b"")[:-1] + varint(200) + b"x"),
        "onnxes.number_without_an_end": lambda: onnx(more=varint(5 << 3) + b"\xff" * 11),
        "onnxes.pickle_behind": lambda: onnx() + pickled(system()),
        "onnxes.no_graph": lambda: part(1, 8) + part(2, "pytorch"),
        "onnxes.name_that_is_no_text": lambda: onnx(onnx_graph(part(13, part(1, b"\xff\xfe") + part(2, "x")))),
    },
)


@attack(ERROR, "O-LIMIT", "model.onnx", klass=33)
def graphs_nested_deeply() -> bytes:
    graph = onnx_graph()
    for _ in range(60):
        graph = onnx_graph(nodes=[onnx_node("If", "", attribute(6, graph))])
    return onnx(graph)


@attack(ERROR, "O-PARSE", "model.onnx", klass=14)
def onnx_cut_short() -> bytes:
    return onnx()[:-9]


@attack(DANGER, "F-POLYGLOT", "model.onnx", klass=22)
def zip_in_the_numbers() -> bytes:
    inner = zipped([Part("__main__.py", b"print('owned')")])
    graph = onnx_graph(onnx_tensor(raw=inner))
    return onnx(graph)


@attack(DANGER, "F-EXTENSION", "model.onnx", klass=26)
def pickle_named_onnx() -> bytes:
    return pickled(system())


@attack(ERROR, "F-EXTENSION", "model.ckpt", klass=26)
def onnx_named_checkpoint() -> bytes:
    return onnx()


@attack(ERROR, "F-UNKNOWN", "model.onnx", klass=26)
def prose_named_onnx() -> bytes:
    return b"hello, this is no model"
