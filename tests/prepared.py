"""Puts back what the real pipeline brought to rest once in this process: rows by COPY, bytes by hard links, in a tenth of the time.

The first test that asks for a build runs it for real; what the pipeline does is never imitated here.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction
from psycopg import sql

from registry.models import File, User

Build = Callable[[User, Path], File]
"""Makes a file of this user's by the pipeline; the folder is for what it is made from."""
APPS = ("registry", "scanner", "inference")


@dataclass
class Kept:
    """A build's own rows by table, the folder of its bytes, and the people and file that they speak of."""

    rows: dict[str, bytes]
    folder: Path
    owner: int
    file: int


_kept: dict[Build, Kept] = {}


def tables() -> dict[str, type[models.Model]]:
    """Every table of the hub's own apps but people's, by name."""
    found = [model for app in APPS for model in apps.get_app_config(app).get_models(include_auto_created=True)]
    return {model._meta.db_table: model for model in found if not issubclass(model, User) and "user" not in model._meta.model_name}


def _keys(model: type[models.Model]) -> list[Any]:
    return list(model._default_manager.values_list("pk", flat=True))


def _read(table: str, model: type[models.Model], before: list[Any]) -> bytes:
    key = sql.Identifier(str(model._meta.pk.column))
    old = sql.SQL(", ").join(map(sql.Literal, before)) if before else sql.SQL("NULL")
    rule = sql.SQL("WHERE {} NOT IN ({})").format(key, old) if before else sql.SQL("")
    query = sql.SQL("COPY (SELECT * FROM {} {}) TO STDOUT (FORMAT binary)").format(sql.Identifier(table), rule)
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        return b"".join(bytes(piece) for piece in copy)


def _write(table: str, rows: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))) as copy:
        stream = io.BytesIO(rows)
        while piece := stream.read(1 << 16):
            copy.write(piece)


def _made(build: Build, owner: User, scratch: Path, keep: Path) -> File:
    before = {table: _keys(model) for table, model in tables().items()}
    file = build(owner, scratch)
    rows = {table: _read(table, model, before[table]) for table, model in tables().items()}
    shutil.copytree(settings.STORAGE_ROOT, keep, copy_function=os.link)
    _kept[build] = Kept(rows, keep, owner.pk, file.pk)
    return File.objects.get(pk=file.pk)


def _put_back(kept: Kept, owner: User) -> File:
    with transaction.atomic():  # which foreign keys are looked at when it ends
        for table, rows in kept.rows.items():
            _write(table, rows)
        for model in tables().values():
            for field in model._meta.concrete_fields:
                if field.related_model is User:
                    model._default_manager.filter(**{field.attname: kept.owner}).update(**{field.attname: owner.pk})
    shutil.copytree(kept.folder, settings.STORAGE_ROOT, copy_function=os.link, dirs_exist_ok=True)
    return File.objects.get(pk=kept.file)


@pytest.fixture
def at_rest(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, db: None) -> Callable[[Build, User], File]:
    """`at_rest(build, owner)`: what `build` makes, owned by this user. For local stores only.

    Numbers of rows stay those of the first time; they came from the same sequences, so that nothing else has them.
    """

    def bring(build: Build, owner: User) -> File:
        assert settings.STORAGE_KIND == "local"
        if build in _kept:
            return _put_back(_kept[build], owner)
        scratch = tmp_path / build.__name__
        scratch.mkdir()
        return _made(build, owner, scratch, tmp_path_factory.mktemp("kept") / "storage")

    return bring
