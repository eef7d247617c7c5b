"""Allowed names only: values changed after they were looked at, states that reach for more than data, wrong kinds in right places."""

from __future__ import annotations

from tests.attacks.assemble import (
    FLOATS,
    MARK,
    NO_HOOKS,
    PROTO4,
    call,
    items,
    legacy,
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
from tests.attacks.catalogue import attack, each

DANGER = "danger"
ENCODE = name("_codecs", "encode")
PARAMETER = name("torch.nn.parameter", "Parameter")
TENSOR = name("torch", "Tensor")


def with_tensor(body: bytes) -> bytes:
    return torch_zip(pickled(body))


def late_hook(rebuild: bytes) -> bytes:
    """`rebuild` leaves its hooks in memo 9; a function is put into them afterwards, where the tensor keeps them."""
    return with_tensor(rebuild + b"0h\x09" + b"K\x00" + ENCODE + b"s")


HOOKS = NO_HOOKS + b"q\x09"
VIEW = storage() + number(0) + items(number(4)) + items(number(1))


@attack(DANGER, "P-SETITEM", klass=3)
def hook_after_the_check() -> bytes:
    """torch keeps the very dictionary it was given as hooks: empty when checked, filled later."""
    return late_hook(name("torch._utils", "_rebuild_tensor_v2") + MARK + VIEW + b"\x89" + HOOKS + b"tR")


@attack(DANGER, "P-SETITEM", klass=3)
def hook_after_the_check_of_a_parameter() -> bytes:
    return late_hook(call("torch._utils", "_rebuild_parameter", tensor(), b"\x88", HOOKS))


@attack(DANGER, "P-SETITEM", klass=3)
def hook_after_the_check_of_a_module() -> bytes:
    state = b"}" + text("_forward_hooks") + HOOKS + b"s"
    return payload_zip(name("torch.nn.modules.container", "ParameterDict") + b")\x81" + state + b"b0h\x09K\x00" + ENCODE + b"s")


@attack(DANGER, "P-BUILD", klass=10)
def state_on_hooks_after_the_check() -> bytes:
    rebuild = name("torch._utils", "_rebuild_tensor_v2") + MARK + VIEW + b"\x89" + HOOKS + b"tR"
    return with_tensor(rebuild + b"0h\x09" + mapping(note=b"N") + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def method_of_a_state_dict_replaced() -> bytes:
    return payload_zip(NO_HOOKS + mapping(items=name("builtins", "list")) + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def module_with_a_forward_of_its_own() -> bytes:
    made = name("torch.nn.modules.container", "ParameterDict") + b")\x81"
    return payload_zip(made + mapping(forward=name("builtins", "list")) + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def namespace_set_twice() -> bytes:
    made = name("argparse", "Namespace") + b")\x81"
    return payload_zip(made + mapping(a=b"N") + b"b" + mapping(b=b"N") + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def namespace_with_a_class() -> bytes:
    return payload_zip(name("argparse", "Namespace") + b")\x81" + mapping(__class__=name("builtins", "dict")) + b"b")


@attack(DANGER, "P-BUILD", klass=10)
def namespace_with_slots() -> bytes:
    return payload_zip(name("argparse", "Namespace") + b")\x81" + b"N" + mapping(a=b"N") + b"\x86b")


def parameter_with(state: bytes) -> bytes:
    return with_tensor(call("torch._utils", "_rebuild_parameter_with_state", tensor(), b"\x88", NO_HOOKS, state))


def subclass_with(state: bytes, kind: bytes = TENSOR) -> bytes:
    inner = items(storage(), number(0), items(number(4)), items(number(1)), b"\x89", NO_HOOKS)
    return with_tensor(call("torch._tensor", "_rebuild_from_type_v2", name("torch._utils", "_rebuild_tensor_v2"), kind, inner, state))


each(
    DANGER,
    "P-CONTRACT",
    klass=10,
    rows={
        "states.class_of_a_parameter": lambda: parameter_with(mapping(__class__=PARAMETER)),
        "states.hooks_of_a_parameter": lambda: parameter_with(mapping(_backward_hooks=mapping(a=ENCODE))),
        "states.later_hooks_of_a_parameter": lambda: parameter_with(mapping(_post_accumulate_grad_hooks=b"}")),
        "states.numbers_of_a_parameter_replaced": lambda: parameter_with(mapping(data=tensor())),
        "states.class_of_a_subclass": lambda: subclass_with(mapping(__class__=TENSOR)),
        "states.numbers_of_a_subclass_replaced": lambda: subclass_with(mapping(data=tensor())),
        "states.slots_of_a_subclass": lambda: subclass_with(b"}" + mapping(data=tensor()) + b"\x86"),
        "states.function_in_a_subclass": lambda: subclass_with(mapping(note=ENCODE)),
    },
)

each(
    DANGER,
    "P-CONTRACT",
    klass=3,
    rows={
        "states.subclass_of_something_else": lambda: subclass_with(b"N", name("builtins", "dict")),
        "states.subclass_of_an_old_tensor_type": lambda: subclass_with(b"N", name("torch", "FloatTensor")),
        "states.function_made_instead_of_called": lambda: payload_zip(ENCODE + items(text("a"), text("latin1")) + b"\x81"),
        "states.encode_with_an_error_handler": lambda: payload_zip(
            call("_codecs", "encode", text("a"), text("latin1"), text("backslashreplace"))
        ),
        "states.encode_by_another_codec": lambda: payload_zip(call("_codecs", "encode", text("a"), text("rot13"))),
        "states.encode_of_bytes": lambda: payload_zip(call("_codecs", "encode", b"C\x01a", text("latin1"))),
        "states.ordered_dictionary_of_calls": lambda: payload_zip(call("collections", "OrderedDict", b"]" + ENCODE + b"a")),
        "states.dictionary_that_calls_what_is_missing": lambda: payload_zip(call("collections", "defaultdict", ENCODE)),
        "states.dictionary_that_makes_tensors": lambda: payload_zip(call("collections", "defaultdict", TENSOR)),
        "states.set_of_lists": lambda: payload_zip(call("builtins", "set", b"](]e")),
        "states.path_of_a_list": lambda: payload_zip(call("pathlib", "PosixPath", b"]")),
        "states.device_of_a_list": lambda: payload_zip(call("torch", "device", b"]")),
        "states.layout_of_a_number": lambda: payload_zip(call("torch.serialization", "_get_layout", b"K\x01")),
        "states.namespace_with_arguments": lambda: payload_zip(call("argparse", "Namespace", b"N")),
        "states.size_of_texts": lambda: payload_zip(call("torch", "Size", items(text("a")))),
    },
)


def numpy_type(code: str = "f4", copied: bytes = b"\x88") -> bytes:
    return call("numpy", "dtype", text(code), b"\x89", copied)


def numpy_state(size: bytes = b"J\xff\xff\xff\xff", alignment: bytes = b"J\xff\xff\xff\xff", flags: bytes = b"K\x00") -> bytes:
    return items(b"K\x03", text("<"), b"N", b"N", b"N", size, alignment, flags) + b"b"


def numpy_array(kind: bytes, shape: tuple[int, ...], raw: bytes) -> bytes:
    first = items(name("numpy", "ndarray"), items(b"K\x00"), b"C\x01b")
    made = name("numpy.core.multiarray", "_reconstruct") + first + b"R"
    return made + items(b"K\x01", items(*map(number, shape)), kind, b"\x89", b"C" + bytes([len(raw)]) + raw) + b"b"


each(
    DANGER,
    "P-BUILD",
    klass=10,
    rows={
        "states.numpy_type_that_holds_references": lambda: payload_zip(numpy_type() + numpy_state(flags=b"K\x01")),
        "states.numpy_type_that_is_a_list": lambda: payload_zip(numpy_type() + numpy_state(flags=b"K\x3f")),
        "states.numpy_type_of_another_size": lambda: payload_zip(numpy_type("U2") + numpy_state(b"M\xff\x7f", b"K\x04", b"K\x08")),
        "states.numpy_type_that_all_share": lambda: payload_zip(numpy_type(copied=b"\x89") + numpy_state()),
        "states.numpy_array_larger_than_its_bytes": lambda: payload_zip(numpy_array(numpy_type("f8") + numpy_state(), (2,), bytes(8))),
        "states.numpy_array_set_twice": lambda: payload_zip(
            numpy_array(numpy_type() + numpy_state(), (1,), bytes(4)) + items(b"K\x01", b")", numpy_type(), b"\x89", b"C\x00") + b"b"
        ),
        "states.state_on_a_path": lambda: payload_zip(call("pathlib", "PosixPath", text("a")) + mapping(a=b"N") + b"b"),
        "states.state_on_a_set": lambda: payload_zip(call("builtins", "set", b"]") + mapping(a=b"N") + b"b"),
        "states.state_on_a_plain_dictionary": lambda: payload_zip(b"}" + mapping(a=b"N") + b"b"),
        "states.state_on_a_storage": lambda: with_tensor(storage() + mapping(a=b"N") + b"b"),
        "states.state_on_a_counter": lambda: payload_zip(call("collections", "Counter", b"}") + mapping(update=b"N") + b"b"),
    },
)

each(
    DANGER,
    "P-CONTRACT",
    klass=30,
    rows={
        "states.numpy_number_cut_short": lambda: payload_zip(call("numpy.core.multiarray", "scalar", numpy_type("f8"), b"C\x01a")),
        "states.rebuilt_from_a_set": lambda: with_tensor(call("torch._utils", "_rebuild_tensor", b"\x8f", b"K\x00", b")", b")")),
    },
)

each(
    DANGER,
    "P-SETITEM",
    klass=30,
    rows={
        "states.items_into_a_list": lambda: payload_zip(b"]K\x00NsN"),
        "states.items_into_bytes": lambda: payload_zip(b"\x96\x01\0\0\0\0\0\0\0aK\x00K\x41s", b"\x80\x05"),
        "states.bytes_that_grow": lambda: payload_zip(b"\x96\x01\0\0\0\0\0\0\0aK\x41a", b"\x80\x05"),
        "states.items_into_an_array": lambda: payload_zip(numpy_array(numpy_type() + numpy_state(), (1,), bytes(4)) + b"K\x00Ns"),
        "states.members_into_a_frozenset": lambda: payload_zip(b"(\x91(K\x01\x90", PROTO4),
        "states.members_into_a_made_frozenset": lambda: payload_zip(call("builtins", "frozenset", b"]") + b"(K\x01\x90", PROTO4),
        "states.members_into_a_list": lambda: payload_zip(b"](K\x01\x90", PROTO4),
        "states.items_into_a_storage": lambda: with_tensor(storage() + b"K\x00K\x01s"),
        "states.append_to_a_tensor": lambda: with_tensor(tensor() + b"Na"),
    },
)

each(
    DANGER,
    "P-KEY",
    klass=30,
    rows={
        "states.bytearray_as_a_key": lambda: payload_zip(b"}\x96\x01\0\0\0\0\0\0\0aNs", b"\x80\x05"),
        "states.list_as_a_key": lambda: payload_zip(b"}]Ns"),
        "states.list_in_a_key": lambda: payload_zip(b"}]\x85Ns"),
        "states.namespace_as_a_key": lambda: payload_zip(b"}" + name("argparse", "Namespace") + b")\x81Ns"),
    },
)


def viewed(first: bytes, second: bytes) -> bytes:
    """A legacy checkpoint with two tensors on views of one storage."""
    views = (tensor(storage(extra=view), shape=(1,), stride=(1,)) for view in (first, second))
    return legacy(b"", b"", b"", pickled(mapping(**dict(zip("ab", views, strict=True)))))


def view(key: str, start: int, count: int) -> bytes:
    return items(text(key), number(start), number(count))


each(
    DANGER,
    "P-PERSID",
    klass=30,
    rows={
        # torch keeps views under their names beside the storages and takes the first of a name: what it loads would be another view.
        "states.view_under_the_name_of_its_storage": lambda: viewed(b"N", view("0", 2, 2)),
        "states.two_views_of_one_name": lambda: viewed(view("v", 0, 2), view("v", 2, 2)),
        "states.device_that_is_a_path": lambda: with_tensor(
            items(text("storage"), name("torch", "FloatStorage"), text("0"), text("../x"), number(4)) + b"Q"
        ),
        "states.storage_class_of_another_module": lambda: with_tensor(storage(module="torch.nn")),
        "states.storage_class_without_a_size": lambda: with_tensor(storage(kind="TypedStorage", module="torch.storage")),
        "states.storage_named_by_bytes": lambda: with_tensor(
            items(b"C\x07storage", name("torch", "FloatStorage"), text("0"), text("cpu"), number(4)) + b"Q"
        ),
        "states.reference_that_is_a_list": lambda: with_tensor(
            b"](" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + number(4) + b"eQ"
        ),
        "states.module_that_is_a_function": lambda: legacy(b"", b"", b"", pickled(items(text("module"), ENCODE, b"N", b"N") + b"Q")),
    },
)


@attack(DANGER, "P-CALL", klass=16)
def called_with_a_list() -> bytes:
    return payload_zip(name("collections", "OrderedDict") + b"]R")


@attack(DANGER, "P-CALL", klass=16)
def called_with_a_size() -> bytes:
    """torch.Size is a tuple, and a loader takes it as arguments."""
    return payload_zip(name("torch", "Size") + call("torch", "Size", b")") + b"R")


@attack(DANGER, "P-CALL", klass=16)
def tensor_is_called() -> bytes:
    return with_tensor(tensor() + b")R")


@attack("error", "T-LIMIT", klass=33)
def list_inside_itself() -> bytes:
    """A list that holds itself under a hundred names is written out once each, and one that grows by itself never ends."""
    return torch_zip(
        pickled(b"]q\x00(" + b"h\x00" * 8 + b"e" + b"".join(b"](" + b"h\x00" * 9 + b"eq\x00" for _ in range(9)) + b"h\x00"), {"0": FLOATS}
    )
