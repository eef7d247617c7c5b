"""numpy arrays that carry objects, and headers that numpy would read as Python source."""

from __future__ import annotations

from tests.attacks.assemble import FLOATS, PROTO4, Part, pickled, system, zipped
from tests.attacks.catalogue import attack, each
from tests.attacks.writers import npy

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())
OBJECTS = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"


def described(descr: str, shape: str = "(2, 2)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@attack(DANGER, "P-CALL", "weights.npy", klass=24)
def array_of_objects() -> bytes:
    return npy(OBJECTS, PAYLOAD)


@attack(DANGER, "N-OBJECT", "weights.npy", klass=24)
def array_of_harmless_objects() -> bytes:
    return npy(OBJECTS, pickled(b"]"))


@attack(DANGER, "N-OBJECT", "weights.npy", klass=24)
def array_of_objects_with_an_odd_number() -> bytes:
    """pickletools stops at the number, numpy's loader does not."""
    return npy(OBJECTS, pickled(b"I0x10\n0" + system()))


each(
    DANGER,
    "N-OBJECT",
    "weights.npy",
    klass=24,
    rows={
        "arrays.structure_with_an_object": lambda: npy(described("[('a', '<f4'), ('b', '|O')]", "(2,)")),
        "arrays.structure_of_numbers": lambda: npy(described("[('a', '<f4'), ('b', '<f4')]", "(2,)")),
        "arrays.object_by_one_letter": lambda: npy(described("'O'", "(1,)"), PAYLOAD),
        "arrays.void": lambda: npy(described("'|V4'")),
        "arrays.objects_of_version_3": lambda: npy(OBJECTS, PAYLOAD, version=3),
        "arrays.objects_by_a_dictionary": lambda: npy(described("{'names': ['a'], 'formats': ['O']}", "(1,)"), PAYLOAD),
    },
)
each(
    ERROR,
    "N-HEADER",
    "weights.npy",
    klass=24,
    rows={
        "arrays.header_that_computes": lambda: npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1+1), }"),
        "arrays.header_nested_deeply": lambda: npy(described("'<f4'", "(" * 2000 + ")" * 2000)),
        "arrays.header_with_a_key_twice": lambda: npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"),
        "arrays.header_with_another_key": lambda: npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'x': 'y', }"),
        "arrays.header_without_a_shape": lambda: npy("{'descr': '<f4', 'fortran_order': False, }"),
        "arrays.negative_shape": lambda: npy(described("'<f4'", "(-2, -2)")),
        "arrays.shape_beyond_all_memory": lambda: npy(described("'<f4'", "(999999999999, 999999999999)")),
        "arrays.version_of_the_future": lambda: npy(version=4),
        "arrays.header_followed_by_source": lambda: npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), } or exit()"),
    },
)
each(
    ERROR,
    "N-DTYPE",
    "weights.npy",
    klass=24,
    rows={
        "arrays.texts": lambda: npy(described("'<U4'", "(1,)")),
        "arrays.number_of_17_bits": lambda: npy(described("'<f17'", "(1,)")),
    },
)


@attack(ERROR, "N-SIZE", "weights.npy", klass=24)
def pickle_behind_an_array() -> bytes:
    return npy() + PAYLOAD


@attack(ERROR, "F-TRUNCATED", "weights.npy", klass=24)
def array_cut_short() -> bytes:
    return npy(data=FLOATS[:-1])


@attack(DANGER, "F-POLYGLOT", "weights.npy", klass=22)
def array_that_is_a_zip() -> bytes:
    inner = zipped([Part("__main__.py", b"print('owned')")])
    return npy(described("'|u1'", f"({len(inner)},)"), inner)


@attack(DANGER, "P-CALL", "weights.npz", klass=24)
def objects_in_an_npz() -> bytes:
    return zipped([Part("a.npy", npy()), Part("b.npy", npy(OBJECTS, PAYLOAD))])


@attack(DANGER, "P-CALL", "weights.npz", klass=24)
def objects_without_a_name_in_an_npz() -> bytes:
    """numpy goes by the first bytes of a member, not by its name."""
    return zipped([Part("a.npy", npy()), Part("b", npy(OBJECTS, PAYLOAD))])


@attack(DANGER, "P-CALL", "weights.npz", klass=24)
def pickle_in_an_npz() -> bytes:
    return zipped([Part("a.npy", npy()), Part("b.npy", pickled(system(), PROTO4))])


@attack(DANGER, "N-OBJECT", "weights.npz", klass=24)
def packed_objects_in_an_npz() -> bytes:
    return zipped([Part("a.npy", npy(OBJECTS, PAYLOAD), method=8)])


@attack(ERROR, "F-EXTENSION", "model.ckpt", klass=26)
def array_named_checkpoint() -> bytes:
    return npy()
