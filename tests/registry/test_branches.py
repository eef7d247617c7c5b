"""Names of branches: made of any title, unlike commits, numbers and words that mean something else."""

import re

import pytest

from registry.branches import branch_name


@pytest.mark.parametrize(
    ("title", "branch"),
    [
        ("v1.0", "v1.0"),
        ("Version 1.0 (fp16)", "Version-1.0-fp16"),
        ("Élan 2", "Elan-2"),
        ("42", "v42"),
        ("main", "v-main"),
        ("HEAD", "v-HEAD"),
        ("a/b..c", "a-b.c"),
        ("模型", "version"),
        ("🎨🎨", "version"),
        ("..", "version"),
        ("0123456789abcdef0123456789abcdef01234567", "v-0123456789abcdef0123456789abcdef01234567"),
        ("x.lock", "x"),
    ],
)
def test_titles_become_branches(title: str, branch: str) -> None:
    assert branch_name(title, set()) == branch


def test_the_same_title_gets_a_number() -> None:
    assert branch_name("v1", {"v1", "v1-2"}) == "v1-3"


def test_a_branch_fits_its_column_and_a_path() -> None:
    name = branch_name("long name " * 40, set())
    assert len(name) <= 80
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
