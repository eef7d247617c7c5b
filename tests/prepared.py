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
from django.db.models import Case, F, When
from psycopg import sql

from registry.models import File, User

Build = Callable[[User, Path], File]
"""Makes a file of this user's by the pipeline; the folder is for what it is made from."""
APPS = ("registry", "scanner", "inference")


@dataclass
class Kept:
    """A build's own rows by table, the folder of its bytes, the file, its owner, and the others that they speak of, by name."""

    rows: dict[str, bytes]
    folder: Path
    owner: int
    others: dict[int, str]
    file: int


_kept: dict[Build, Kept] = {}
EMPTY = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"
"""What COPY says of no rows: its signature, flags and an extension that are none, and the end."""


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
    others = dict(User.objects.exclude(pk=owner.pk).values_list("pk", "username"))
    _kept[build] = Kept(rows, keep, owner.pk, others, file.pk)
    return File.objects.get(pk=file.pk)


def _give(model: type[models.Model], people: dict[int, int]) -> None:
    """Have rows speak of the people who are there now (values) where they speak of those before (keys)."""
    for name in [field.attname for field in model._meta.concrete_fields if field.related_model is User]:
        whens = [When(**{name: before}, then=after) for before, after in people.items()]
        moved = Case(*whens, default=F(name), output_field=models.BigIntegerField())
        model._default_manager.filter(**{f"{name}__in": people}).update(**{name: moved})


def _put_back(kept: Kept, owner: User) -> File:
    now = dict(User.objects.filter(username__in=kept.others.values()).values_list("username", "pk"))
    people = {kept.owner: owner.pk, **{before: now[name] for before, name in kept.others.items() if name in now}}
    with transaction.atomic():  # which foreign keys are looked at when it ends
        for table, rows in kept.rows.items():
            if rows != EMPTY:
                _write(table, rows)
                _give(tables()[table], people)
    shutil.copytree(kept.folder, settings.STORAGE_ROOT, copy_function=os.link, dirs_exist_ok=True)
    return File.objects.get(pk=kept.file)


@pytest.fixture
def at_rest(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, db: None) -> Callable[[Build, User], File]:
    """`at_rest(build, owner)`: what `build` makes, owned by this user; other people that it found are those of the same names. For
    local stores only.

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
