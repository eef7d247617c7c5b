"""Every attack gets the verdict and the reason it must get, in codes that the glossary explains, and none is ever called a success."""

from __future__ import annotations

import io
import tarfile
import time

import pytest

from hub.verdicts import glossary
from scanner.pickles import scan
from tests.attacks import ATTACKS, Attack, catalogue, disguises
from tests.attacks.catalogue import CLASSES


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_attack_is_answered_as_stated(attack: Attack) -> None:
    data = io.BytesIO(attack.build())
    started = time.process_time()
    report = scan(data, name=attack.name)
    taken = time.process_time() - started
    assert report.verdict == attack.verdict, [(finding.code, finding.message) for finding in report.findings]
    said = {finding.code for finding in report.findings}
    assert attack.code in said
    assert sorted(said - set(glossary.CODES)) == []
    assert attack.verdict != "success"
    assert report.verdict == "suspicious" or report.directory is None
    assert taken < 5


def test_the_tar_trick_is_one_that_tarfile_takes() -> None:
    """Without the check of the first block this file is a clean legacy checkpoint, and torch.load would read it as a tar."""
    data = disguises.tar_that_is_also_a_legacy_checkpoint()
    assert tarfile.TarInfo.frombuf(data[:512], "utf-8", "surrogateescape").size == 0
    honest = bytearray(data)
    honest[500] ^= 1  # one bit inside the text: the checksum no longer holds, and the pickles still do
    assert scan(io.BytesIO(bytes(honest)), name="model.ckpt").verdict == "success"


def test_there_are_many_attacks() -> None:
    assert len(ATTACKS) >= 310
    assert len({attack.title for attack in ATTACKS}) == len(ATTACKS)
    assert len({attack.code for attack in ATTACKS}) > 30


@pytest.mark.parametrize("klass", CLASSES)
def test_every_class_has_attacks(klass: int) -> None:
    assert sum(attack.klass == klass for attack in ATTACKS) >= 2, CLASSES[klass]


def test_most_classes_have_several() -> None:
    assert sum(sum(attack.klass == klass for attack in ATTACKS) >= 4 for klass in CLASSES) >= 15
    assert len(CLASSES) == 33


def test_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError):
        catalogue.attack("danger", "P-CALL", klass=34)
