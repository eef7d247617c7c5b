"""What a second look at the rules found: functions of strangers, sizes that were believed, and small files that cost much.

The names are only names here: nothing is imported or called.
"""

from __future__ import annotations

import struct

from tests.attacks.assemble import COMMAND, PROTO4, call, items, mapping, name, number, payload_zip

from tests.attacks.assemble import pickled, stack_name, storage, text, torch_zip  # isort: skip
from tests.attacks.catalogue import Builder, attack, each
from tests.attacks.gadgets import pairs

DANGER, ERROR = "danger", "error"

FUNCTIONS = """
ldm.util instantiate_from_config; ldm.util get_obj_from_str; sgm.util instantiate_from_config; taming.util instantiate_from_config
main instantiate_from_config; modules.launch_utils run; modules.script_loading load_module; modules.safe unsafe_torch_load
modules.scripts load_scripts; comfy.utils load_torch_file; comfy.checkpoint_pickle load; nodes load_custom_node
torch_utils.persistence _reconstruct_persistent_obj; dnnlib.util call_func_by_name; dnnlib.util get_obj_by_name
ultralytics.nn.tasks attempt_load_weights; ultralytics.nn.tasks torch_safe_load; models.experimental attempt_load
basicsr.utils.download_util load_file_from_url; fairseq.checkpoint_utils load_checkpoint_to_cpu; fastai.learner load_learner
mmcv.utils import_modules_from_strings; monai.bundle run; monai.utils.module optional_import; timm.models._helpers load_state_dict
psutil Popen; gevent.subprocess Popen; eventlet.green.os execvpe; spacy.cli._util run_command; PIL.ImageMath eval
Cython.Build.Inline cython_inline; pyximport load_module; attr._make _compile_and_eval; sqlalchemy.util.langhelpers _exec_code_in_env
distlib.util resolve; traitlets.utils.importstring import_item; pydantic.utils import_string; tornado.util import_object
tornado.util exec_in; bottle SimpleTemplate; kombu.serialization pickle_loads; networkx read_gpickle; sklearn.utils._joblib load
detectron2.config.lazy LazyConfig; transformers.utils.import_utils _LazyModule; xxlimited Xxo; xxlimited_35 Xxo; tkSimpleDialog Dialog
"""
"""Names that are a danger by a rule of their own, whatever is done with them, and some that are only when called."""

ONLY_CALLED = """
somewhere.tools run; somewhere.tools _run; some.package __run; nobody.knows.this load; omegaconf.base fun; easydict edict
torchvision.models.resnet resnet18; models.common autopad
"""

each(
    DANGER,
    "P-CALL",
    klass=2,
    rows={
        f"function.{m}.{a}": lambda m=m, a=a: payload_zip(call(m, a, text(COMMAND))) for m, a in [*pairs(FUNCTIONS), *pairs(ONLY_CALLED)]
    },
)

STRANGER = ("somewhere.tools", "run")
WAYS: dict[str, Builder] = {
    "reduce": lambda: call(*STRANGER, text(COMMAND)),
    "by_stack": lambda: stack_name(*STRANGER) + items(text(COMMAND)) + b"R",
    "inst": lambda: b"(" + text(COMMAND) + b"isomewhere.tools\nrun\n",
    "obj": lambda: b"(" + name(*STRANGER) + text(COMMAND) + b"o",
    "newobj": lambda: name(*STRANGER) + items(text(COMMAND)) + b"\x81",
    "newobj_ex": lambda: name(*STRANGER) + b")}" + text("command") + text(COMMAND) + b"s\x92",
}
each(DANGER, "P-CALL", klass=16, rows={f"stranger.{way}": lambda build=build: payload_zip(build(), PROTO4) for way, build in WAYS.items()})


# --- sizes -----------------------------------------------------------------------------------------------------------


def _v3(dtype: str, stored: int, extent: int) -> bytes:
    """A tensor over `stored` bytes that says it has `extent` elements of `dtype`."""
    block = storage(kind="UntypedStorage", module="torch.storage", count=stored)
    shape = items(number(extent))
    rest = (b"\x89", call("collections", "OrderedDict"), name("torch", dtype))
    tensor = call("torch._utils", "_rebuild_tensor_v3", block, number(0), shape, items(number(1)), *rest)
    return torch_zip(pickled(mapping(weight=tensor)), {"0": bytes(stored)})


each(
    DANGER,
    "P-CONTRACT",
    klass=30,
    rows={
        "wide_type.bits16": lambda: _v3("bits16", 16, 16),
        "wide_type.qint32": lambda: _v3("qint32", 16, 16),
        "wide_type.complex32": lambda: _v3("complex32", 16, 16),
        "packed.over_the_end": lambda: _packed("QUInt4x2Storage", 8, 17),
        "packed.quarters_over_the_end": lambda: _packed("QUInt2x4Storage", 8, 33),
        "packed.as_floats": lambda: _packed_as_floats(),
    },
)


def _packed(kind: str, stored: int, extent: int) -> bytes:
    arguments = (storage(kind=kind, count=stored), number(0), items(number(extent)), items(number(1)))
    return torch_zip(pickled(mapping(weight=call("torch._utils", "_rebuild_tensor", *arguments))), {"0": bytes(stored)})


def _packed_as_floats() -> bytes:
    """Four floats over 8 bytes: only tensors of the packed type itself have several elements in a byte."""
    rest = (b"\x89", call("collections", "OrderedDict"), name("torch", "float32"))
    view = (storage(kind="QUInt4x2Storage", count=8), number(0), items(number(4)), items(number(1)))
    return torch_zip(pickled(mapping(weight=call("torch._utils", "_rebuild_tensor_v3", *view, *rest))), {"0": bytes(8)})


def array(code: str, shape: tuple[int, ...], raw: bytes) -> bytes:
    """An array whose state says that `raw` are its numbers."""
    made = call("numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), items(b"K\0"), b"U\x01b")
    kind = call("numpy", "dtype", text(code), b"\x89", b"\x88")
    stored = b"B" + struct.pack("<I", len(raw)) + raw
    return payload_zip(made + items(number(1), items(*map(number, shape)), kind, b"\x89", stored) + b"b")


each(
    DANGER,
    "P-BUILD",
    klass=24,
    rows={
        "array.five_of_nothing": lambda: array("d", (5,), b""),
        "array.overflow": lambda: array("q", (1 << 32, 1 << 32), b""),
        "array.overflow_of_long": lambda: array("l", (1 << 32, 1 << 32), b""),
        "array.no_whole_number": lambda: array("g", (3,), b"123"),
        "array.half_as_wide": lambda: array("d", (5,), bytes(20)),
        "array.bytes_without_shape": lambda: array("d", (0,), bytes(8)),
        "array.of_bytes_that_are_made": lambda: _array_of_made_bytes(),
    },
)


def _number(raw: bytes) -> bytes:
    return payload_zip(call("numpy.core.multiarray", "scalar", call("numpy", "dtype", text("f8")), raw))


def _array_of_made_bytes() -> bytes:
    made = call("numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), items(b"K\0"), b"U\x01b")
    kind = call("numpy", "dtype", text("f8"), b"\x89", b"\x88")
    return payload_zip(made + items(number(1), items(number(5)), kind, b"\x89", call("builtins", "bytes")) + b"b")


each(
    DANGER,
    "P-CONTRACT",
    klass=24,
    rows={
        "number.too_long": lambda: _number(b"C\x09" + bytes(9)),
        "number.of_made_bytes": lambda: _number(call("builtins", "bytes")),
    },
)


# --- allowed functions, bent ---------------------------------------------------------------------------------------------

OBJECT, MODEL = name("builtins", "object"), name("some.package", "Model")


def _made_by_hand(*arguments: bytes) -> bytes:
    return payload_zip(call("copyreg", "_reconstructor", *arguments))


each(
    DANGER,
    "P-CONTRACT",
    klass=3,
    rows={
        "reconstructor.other_base": lambda: _made_by_hand(MODEL, name("some.package", "Base"), b"N"),
        "reconstructor.with_state": lambda: _made_by_hand(MODEL, OBJECT, text(COMMAND)),
        "reconstructor.of_a_known_class": lambda: _made_by_hand(name("collections", "OrderedDict"), OBJECT, b"N"),
        "reconstructor.of_a_result": lambda: _made_by_hand(call("os", "getcwd"), OBJECT, b"N"),
        "reconstructor.made": lambda: payload_zip(
            name("copyreg", "_reconstructor") + items(name("some.package", "Model"), OBJECT, b"N") + b"\x81"
        ),
        "old_type.calls_another": lambda: _old_type(name("os", "system"), b"N"),
        "old_type.calls_itself": lambda: _old_type(name("torch._tensor", "_rebuild_from_type"), b"N"),
        "old_type.replaces_a_method": lambda: _old_type(name("torch._utils", "_rebuild_tensor"), mapping(grad_fn=b"N")),
        "default.made_by_a_class": lambda: payload_zip(call("collections", "defaultdict", name("some.package", "Model"))),
        "activation.default": lambda: payload_zip(call("collections", "defaultdict", name("torch.nn.functional", "relu"))),
    },
)
each(
    DANGER,
    "P-CALL",
    klass=3,
    rows={
        "activation.called": lambda: payload_zip(call("torch.nn.functional", "relu", b"N")),
        "activation.called_inside": lambda: payload_zip(call("torch._C._nn", "gelu", b"N")),
        "number_type.called": lambda: payload_zip(call("numpy", "float32", b"K\1")),
    },
)


def _old_type(function: bytes, state: bytes, behind: bytes = b"") -> bytes:
    view = items(storage(), number(0), items(number(4)), items(number(1)))
    body = call("torch._tensor", "_rebuild_from_type", function, name("some.package", "Tensor"), view, state)
    return torch_zip(pickled(body + behind))


@attack(DANGER, "P-SETITEM", klass=10)
def state_of_an_old_type_filled_afterwards() -> bytes:
    """The dictionary becomes the tensor's own, and what is put in later was never looked at."""
    function = name("torch._utils", "_rebuild_tensor")
    return _old_type(function, b"}q\x07", b"h\x07" + text("_backward_hooks") + name("some.package", "Hook") + b"s0")


@attack(DANGER, "P-KEY", klass=16)
def set_of_tensors() -> bytes:
    """Tensors may be keys of a dictionary; torch writes no sets of them, and what a set holds is not looked into."""
    view = (storage(), number(0), items(number(4)), items(number(1)))
    return torch_zip(pickled(b"\x8f(" + call("torch._utils", "_rebuild_tensor", *view) + b"\x90", PROTO4))


# --- small files that cost much ------------------------------------------------------------------------------------------

NEST = items(b"N" * 16) + b"q\0" + items(b"h\0" * 16) + b"q\1" + items(b"h\1" * 16) + b"q\2" + items(b"h\2" * 16) + b"q\3"
"""A tuple of 65,536 parts in a hundred bytes."""


@attack(DANGER, "P-KEY", klass=33)
def wide_keys() -> bytes:
    return payload_zip(b"}(" + NEST + b"h\3N" * 1000 + b"u")


@attack(DANGER, "P-KEY", klass=33)
def wide_members() -> bytes:
    return payload_zip(b"(" + NEST + b"h\3" * 1000 + b"\x91", PROTO4)


@attack(DANGER, "P-SETITEM", klass=33)
def wide_targets() -> bytes:
    """Each of these would be described in words, and only the first is told."""
    return payload_zip(NEST + b"0" + b"h\3Na0" * 40_000 + b"N")


@attack(ERROR, "P-LIMIT", klass=33)
def frame_flood() -> bytes:
    """Empty frames, behind each of which a reader fetches the file anew."""
    return payload_zip(b"\x95" + bytes(8) + (b"\x95" + bytes(8)) * 1_000_000 + b"N", PROTO4)


@attack(ERROR, "P-LIMIT", name="model.pkl", klass=33)
def streams_of_a_million_opcodes() -> bytes:
    """Each is within the bounds of one pickle, and a loader would read only the first."""
    return pickled(b"N0" * 400_000 + b"N") * 16


@attack(ERROR, "P-LIMIT", klass=33)
def calls_with_keys() -> bytes:
    """3 million keys, each a tuple of tuples, in 80 kB."""
    key = items(items(*[b"K\1"] * 3), items(*[b"K\2"] * 3)) + b"q\5"
    pairs_of = b"](" + b"h\5N\x86" * 20_000 + b"e\x85q\6"
    return payload_zip(key + b"0" + name("collections", "OrderedDict") + b"q\7" + pairs_of + b"0h\7h\6R" * 150)


@attack(ERROR, "T-NAME", klass=33)
def names_that_are_too_long() -> bytes:
    """Each is refused by its length, before its characters are looked at."""
    return payload_zip(b"]q\1(}q\2" + text("\u0378" * 200_000) + b"Ns" + b"h\2" * 20_000 + b"e")
