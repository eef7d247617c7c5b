"""Where a text read as a pickle ends is where Python's own unpickler ends; it is let see only that a name is asked for, never the thing."""

from __future__ import annotations

import io
import json
import pickle
import random
import re
from typing import Any

import pytest

from registry.formats.window import Window
from scanner.pickles.report import Report
from scanner.pickles.trials import Trial, read_as_pickle
from tests.attacks import ATTACKS
from tests.attacks.headers import entry, framed
from tests.scanner.honest_more import PROSE

SEED = 20261121
PIECES = [b"N", b"0", b"(", b"1", b"2", b"t", b"l", b"]", b"}", b")", b"d", b"s", b"u", b"a", b"e", b"b", b"R", b"o", b"K\x20", b"K\x21"]
PIECES += [b"M\x20\x21", b"J    ", b"U\x21" + b"x" * 33, b"I5\n", b"I0x10\n", b"I 7\n", b"I1_0\n", b"I010\n", b"L5L\n", b"L5\n", b"F1.5\n"]
PIECES += [b"Fnan\n", b"F1e400\n", b"S'x'\n", b'S"y"\n', b"S'\\x41'\n", b"S'\\q'\n", b"S'a\n", b"Vtext\n", b"V\\u0041\n", b"V\\u00\n"]
PIECES += [b"p5\n", b"p 6\n", b"g5\n", b"g6\n", b"q!", b"h!", b"\n", b" ", b"x", b"I" + b"1" * 500 + b"\n", b"S'" + b"z" * 5000 + b"'\n"]
PIECES += [b"V" + b"z" * 5000 + b"\n", b"C\x20" + b"x" * 32, b".", b"I00\n", b"I01\n", b"I\n", b"Q", b"i\n\n", b"cfoo ba\nx\n"]
PAYLOADS = [b"cos\nsystem\n", b"(icode\nintact\n", b"Vos\nVsystem\n\x93"]


class Asked(Exception):
    """The unpickler asked for a name."""


class Watched(pickle.Unpickler):
    """Python's unpickler, stopped at the first name that it asks for."""

    def find_class(self, module: str, name: str) -> Any:
        raise Asked(module, name)


def tried(data: bytes) -> Trial:
    return read_as_pickle(Window(io.BytesIO(data)), Report())


def asks_for(data: bytes) -> str | None:
    """The module that Python's unpickler would import first."""
    file = io.BytesIO(data)
    for encoding in ("ASCII", "utf-8", "latin1", "bytes"):
        file.seek(0)
        try:
            for _ in range(8):
                Watched(file, encoding=encoding).load()
        except Asked as asked:
            return str(asked.args[0])
        except Exception:  # noqa: S112  # whatever it says, the pickle ends here
            continue
    return None


def test_no_name_is_missed_that_python_asks_for() -> None:
    dice = random.Random(SEED)
    asked = 0
    for _ in range(40_000):
        data = b"".join(dice.choices(PIECES, k=dice.randrange(1, 9))) + dice.choice(PAYLOADS) + b"."
        module = asks_for(data)
        if module is None or not re.fullmatch(r"[A-Za-z_]\w*", module):
            continue
        asked += 1
        trial = tried(data)
        assert trial.imports or trial.hidden or trial.limit, data
    assert asked > 2000


COSTLY = {"begins with an index of millions", "begins with Nr"}
"""Python's memo takes gigabytes for an index that is made of letters."""


@pytest.mark.parametrize("title", sorted(PROSE.keys() - COSTLY))
def test_prose_is_none_to_python_either(title: str) -> None:
    data = PROSE[title]
    module = asks_for(data)
    assert module is None or module in ("astle", "inematic light, film grain, " * 400) or not module.isascii() or " " in module
    trial = tried(data)
    assert [trial.fills, trial.called, trial.imports_danger, trial.limit] == [False, False, False, None]


@pytest.mark.parametrize(
    "attack", [attack for attack in ATTACKS if attack.title.startswith("doubles.text_")], ids=lambda attack: attack.title
)
def test_the_texts_that_are_attacks_are_ones_to_python(attack: Any) -> None:
    assert asks_for(attack.build()) is not None


WORDS = "lora unet down blocks proj weight ss network dim tag frequency 1girl cat hair Portrait of solo, Karen Rose in the Castle"


def test_no_honest_safetensors_begins_as_a_pickle_that_does_anything() -> None:
    """Also where the length of the header happens to be the opcode of a text, from which Python hops into the metadata."""
    dice = random.Random(SEED)
    words = WORDS.split()
    steps = 0
    for _ in range(3000):
        notes = {
            f"{dice.choice(words)}{number}": " ".join(dice.choices(words, k=dice.randint(1, 12))) for number in range(dice.randint(0, 20))
        }
        header = json.dumps({"__metadata__": notes, "a": entry(0, 4000, 4000, dtype="U8")}).encode()
        header += b" " * ((0x58 - len(header)) % 256)
        trial = tried(framed(header, dice.randbytes(4000)))
        steps += trial.opcodes
        assert (trial.imports, trial.hidden, trial.limit) == ((), False, None), header
    assert steps > 2000
