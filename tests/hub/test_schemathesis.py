"""Both described APIs are asked at random, as nobody, as an owner and by a token that may only read: what is promised is what comes.

schemathesis makes the questions of the descriptions and compares status, content type and shape of every answer; ids are those of real
things, so that there is something to answer. Each question's traces are rolled back.
"""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from hub.api.civitai.openapi import DOCUMENT
from hub.wsgi import application
from registry.models import Token, User
from tests.hub.everyone import Everyone, gather
from tests.hub.test_role_matrix import local_stores

pytestmark = pytest.mark.django_db
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CALLERS = ("owner", "nobody", "reader", "owner")
"""The owner twice: nobody else gets as far."""
EXAMPLES = 12
NAMED = {
    "entries": "entry", "versions": "version", "files": "file", "uploads": "upload", "merges": "merge", "renders": "render",
    "modelId": "entry", "modelVersionId": "version", "fileId": "file", "modelFileId": "file", "hash": "sha256",
    "ids": "entry", "modelVersionIds": "version", "entityIds": "version",
}  # fmt: skip
"""Part of an address of the own API, or parameter of a Civitai route -> which of a thing's names it takes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("asked")


@pytest.fixture(autouse=True)
def stores(settings: Any, folder: Path) -> None:
    for name, value in local_stores(folder).items():
        setattr(settings, name, value)
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="module")
def everyone(django_db_setup: None, django_db_blocker: Any, folder: Path) -> Iterator[tuple[Everyone, dict[str, str]]]:
    """All things, and the tokens of the callers; in a transaction around this module's tests."""
    with django_db_blocker.unblock(), transaction.atomic(), override_settings(**local_stores(folder)):
        found, owner = gather(folder), User.objects.get(username="ada")
        tokens = {"owner": Token.issue(owner, "tests", "write")[1], "reader": Token.issue(owner, "tests", "read")[1]}
        logging.disable(logging.ERROR)
        for signal in (request_started, request_finished):  # as Django's test client does: the transaction's connection stays open
            signal.disconnect(close_old_connections)
        yield found, tokens
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
        logging.disable(logging.NOTSET)
        transaction.set_rollback(True)


def own_document() -> dict[str, Any]:
    from io import StringIO

    import yaml

    out = StringIO()
    call_command("spectacular", stdout=out)
    return dict(yaml.safe_load(out.getvalue()))


def described(name: str) -> Any:
    schema = schemathesis.openapi.from_dict(own_document() if name == "own" else DOCUMENT)
    schema.app = application
    return schema


OWN, CIVITAI = "own", "civitai"
OPERATIONS = [
    pytest.param(found.ok(), id=f"{name} {found.ok().label}") for name in (OWN, CIVITAI) for found in described(name).get_all_operations()
]


def with_real_names(case: Any, names: dict[str, str], chance: random.Random) -> None:
    """Ids of things that exist in most questions; the others keep what was made up."""
    for part in (case.path_parameters, case.query):
        for key in list(part or {}):
            word = case.path.split("/")[3] if key == "id" else key
            if word in NAMED and chance.random() < 0.8:
                value = names[NAMED[word]]
                part[key] = [value] if isinstance(part[key], list) else value


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_described_is_what_comes(everyone: tuple[Everyone, dict[str, str]], operation: Any) -> None:
    found, tokens = everyone
    questions = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=questions, caller=st.sampled_from(CALLERS), condition=st.sampled_from(sorted(found.things)), seed=st.integers(0, 99))
    def ask(case: Any, caller: str, condition: str, seed: int) -> None:
        with_real_names(case, asdict(found.things[condition]), random.Random(seed))
        case.cookies, case.headers = {}, {key: value for key, value in (case.headers or {}).items() if key != "Authorization"}
        if caller in tokens:
            case.headers["Authorization"] = f"Bearer {tokens[caller]}"
        with transaction.atomic():
            response = case.call()
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)

    ask()


def test_a_wrong_description_is_noticed(everyone: tuple[Everyone, dict[str, str]]) -> None:
    """Else all of the above could not fail: one key more is promised, one status less."""
    _, tokens = everyone
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Me"]["required"].append("shoeSize")
    del document["paths"]["/api/v1/me"]["get"]["responses"]["401"]
    schema = schemathesis.openapi.from_dict(document)
    schema.app = application
    operation = schema["/api/v1/me"]["GET"]
    for headers, complaint in (({"Authorization": f"Bearer {tokens['owner']}"}, "shoeSize"), ({}, "Undocumented")):
        case = operation.Case(headers=headers)
        with pytest.raises(FailureGroup) as caught:
            case.validate_response(case.call(), checks=CHECKS)
        assert complaint in str(caught.value)
