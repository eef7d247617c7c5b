"""The migration that gave the versions of older hubs their branches, run on a table that has none yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE = [("registry", "0004_base_answers")]
AFTER = [("registry", "0005_commits_and_branches")]


def migrate(targets: list[tuple[str, str]]) -> Any:
    """Move the database there; the models as they were then."""
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def before(transactional_db: None) -> Iterator[Any]:
    yield migrate(BEFORE)
    migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())


def test_versions_that_are_there_get_branches_from_their_names(before: Any) -> None:
    owner = before.get_model("registry", "User").objects.create(username="ada")
    Entry, Version = before.get_model("registry", "Entry"), before.get_model("registry", "Version")
    one, two = (Entry.objects.create(owner=owner, name=slug, slug=slug, kind="lora") for slug in ("one", "two"))
    names = ["v1.0", "v1.0", "1.0 (fp16)", "main", "2", "灯籠", "灯籠"]
    made = [Version.objects.create(entry=one, name=name, base_model="SD 1.5").pk for name in names]
    other = Version.objects.create(entry=two, name="v1.0", base_model="SD 1.5").pk
    branches = dict(migrate(AFTER).get_model("registry", "Version").objects.values_list("pk", "branch"))
    assert [branches[pk] for pk in made] == ["v1.0", "v1.0-2", "1.0-fp16", "v-main", "v2", "version", "version-2"]
    assert branches[other] == "v1.0"
