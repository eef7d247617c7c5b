"""Allowed names used against their contract: as trampolines, with other arguments, with states that carry code."""

from __future__ import annotations

from tests.attacks.assemble import (
    NO_HOOKS,
    PROTO4,
    call,
    items,
    mapping,
    name,
    number,
    payload_zip,
    pickled,
    storage,
    tensor,
    text,
    torch_zip,
)
from tests.attacks.catalogue import attack

DANGER = "danger"


def with_tensor(body: bytes) -> bytes:
    """A torch zip whose pickle may use storage 0."""
    return torch_zip(pickled(body))


@attack(DANGER, "P-CONTRACT", klass=3)
def trampoline() -> bytes:
    """`_rebuild_from_type_v2` calls its first argument."""
    arguments = (name("os", "system"), name("torch", "Tensor"), items(text("true")), b"N")
    return payload_zip(call("torch._tensor", "_rebuild_from_type_v2", *arguments))


@attack(DANGER, "P-CONTRACT", klass=3)
def trampoline_to_a_stranger() -> bytes:
    arguments = (name("somewhere", "Thing"), name("torch", "Tensor"), items(text("true")), b"N")
    return payload_zip(call("torch._tensor", "_rebuild_from_type_v2", *arguments))


@attack(DANGER, "P-CONTRACT", klass=3)
def trampoline_on_itself() -> bytes:
    itself = name("torch._tensor", "_rebuild_from_type_v2")
    return payload_zip(call("torch._tensor", "_rebuild_from_type_v2", itself, name("torch", "Tensor"), b")", b"N"))


@attack(DANGER, "P-CALL", klass=3)
def wrapper_subclass() -> bytes:
    return payload_zip(call("torch._utils", "_rebuild_wrapper_subclass", name("subprocess", "Popen")))


@attack(DANGER, "P-CALL", klass=2)
def lightning_callback_made() -> bytes:
    return payload_zip(call("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"))


@attack(DANGER, "P-CALL", klass=2)
def lightning_callback_new() -> bytes:
    return payload_zip(name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") + b")\x81")


@attack(DANGER, "P-BUILD", klass=10)
def lightning_callback_built() -> bytes:
    return payload_zip(name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") + mapping(a=b"N") + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def state_on_an_import() -> bytes:
    """Sets attributes of the numpy dtype class itself, to be fetched later."""
    return payload_zip(name("numpy", "dtype") + b"N" + mapping(shape=b"N") + b"\x86b", PROTO4)


@attack(DANGER, "P-BUILD", klass=10)
def code_in_a_state() -> bytes:
    return payload_zip(NO_HOOKS + mapping(items=name("_codecs", "encode")) + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def dunder_in_a_state() -> bytes:
    return payload_zip(NO_HOOKS + mapping(__class__=b"N") + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def state_on_a_tensor() -> bytes:
    return with_tensor(tensor() + mapping(data=b"N") + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def hooks_in_a_parameter_dict() -> bytes:
    made = name("torch.nn.modules.container", "ParameterDict") + b")\x81"
    return payload_zip(made + mapping(_backward_hooks=mapping(a=name("_codecs", "encode"))) + b"b")


@attack(DANGER, "P-CONTRACT", klass=3)
def hooks_on_a_tensor() -> bytes:
    hooks = NO_HOOKS + text("0") + name("_codecs", "encode") + b"s"
    pieces = (storage(), number(0), items(number(4)), items(number(1)), b"\x89", hooks)
    return with_tensor(call("torch._utils", "_rebuild_tensor_v2", *pieces))


@attack(DANGER, "P-CONTRACT", klass=3)
def default_dict_of_a_function() -> bytes:
    return payload_zip(call("collections", "defaultdict", name("torch._utils", "_rebuild_tensor")))


@attack(DANGER, "P-CONTRACT", klass=17)
def numpy_objects() -> bytes:
    """An object array hides a pickle in its bytes."""
    return payload_zip(call("numpy", "dtype", text("O8"), b"\x89", b"\x88"))


@attack(DANGER, "P-CONTRACT", klass=17)
def numpy_object_scalar() -> bytes:
    kind = call("numpy", "dtype", text("O"), b"\x89", b"\x88")
    return payload_zip(call("numpy.core.multiarray", "scalar", kind, b"C\x03N.."))


@attack(DANGER, "P-CONTRACT", klass=2)
def numpy_subclass() -> bytes:
    pieces = (name("numpy", "dtype"), items(b"K\x00"), b"C\x01b")
    return payload_zip(call("numpy.core.multiarray", "_reconstruct", *pieces))


@attack(DANGER, "P-BUILD", klass=10)
def numpy_structured_type() -> bytes:
    kind = call("numpy", "dtype", text("u4"), b"\x89", b"\x88")
    state = items(b"K\x03", text("<"), b"N", items(text("a")), mapping(a=b"N"), b"K\x04", b"K\x01", b"K\x00")
    return payload_zip(kind + state + b"b")


@attack(DANGER, "P-CONTRACT", klass=8)
def codecs_of_another_kind() -> bytes:
    return payload_zip(call("_codecs", "encode", text("abc"), text("zip")))


@attack(DANGER, "P-CALL", klass=17)
def nested_pickle() -> bytes:
    return payload_zip(call("torch.storage", "_load_from_bytes", b"C\x11cos\nsystem\n(N.abc"))


@attack(DANGER, "P-CALL", klass=16)
def result_is_called() -> bytes:
    return payload_zip(call("somewhere", "factory") + items(text("true")) + b"R")


@attack(DANGER, "P-CALL", klass=16)
def result_is_dropped() -> bytes:
    return payload_zip(call("os", "system", text("true")) + b"0N")


@attack(DANGER, "P-CALL", klass=16)
def result_hidden_under_a_mark() -> bytes:
    return payload_zip(b"N(" + call("os", "system", text("true")) + b"1")


@attack(DANGER, "P-CALL", klass=1)
def inst_opcode() -> bytes:
    return payload_zip(b"(" + text("true") + b"ios\nsystem\n")


@attack(DANGER, "P-CALL", klass=1)
def obj_opcode() -> bytes:
    return payload_zip(b"(" + name("os", "system") + text("true") + b"o")


@attack(DANGER, "P-CALL", klass=3)
def new_with_keywords() -> bytes:
    return payload_zip(name("collections", "OrderedDict") + b")" + mapping(a=b"N") + b"\x92", PROTO4)


@attack(DANGER, "P-SETITEM", klass=30)
def items_into_a_tensor() -> bytes:
    """torch before 2.10 wrote through the tensor's storage here (CVE-2026-24747)."""
    return with_tensor(tensor() + number(0) + number(1) + b"s")


@attack(DANGER, "P-SETITEM", klass=10)
def items_into_a_name() -> bytes:
    return payload_zip(name("collections", "OrderedDict") + text("a") + b"Ns")


@attack(DANGER, "P-SETITEM", klass=30)
def append_to_a_dictionary() -> bytes:
    return payload_zip(b"}Na")


@attack(DANGER, "P-KEY", klass=30)
def tensor_in_a_key() -> bytes:
    return with_tensor(b"}" + tensor() + b"\x85Ns")


@attack(DANGER, "P-PERSID", klass=9)
def persistent_text() -> bytes:
    return payload_zip(b"Psomething\n")


@attack(DANGER, "P-PERSID", klass=17)
def persistent_module() -> bytes:
    return payload_zip(items(text("module"), name("torch", "FloatStorage"), text("a.py"), text("import os")) + b"Q")


@attack(DANGER, "P-BUFFER", klass=9)
def outside_buffer() -> bytes:
    return payload_zip(b"\x97", b"\x80\x05")
