"""The description of the Civitai routes: valid, complete, served to everybody and shown on the page."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from openapi_spec_validator import validate

from hub.api.civitai import urls
from hub.api.civitai.openapi import DOCUMENT

UNDESCRIBED = {"/api/v1/openapi.json", "/api/v1/{}", "/api/download/{}"}
"""The description itself, and what stands for everything that there is not."""


def test_it_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_exactly_the_routes_that_exist_are_described() -> None:
    routes = {f"/api/v1/{route.pattern}" for route in urls.reading} | {f"/api/download/{route.pattern}" for route in urls.fetching}
    found = {re.sub(r"<[^>]+>", "{}", route) for route in routes}
    assert {re.sub(r"\{\w+\}", "{}", path) for path in DOCUMENT["paths"]} == found - UNDESCRIBED


@pytest.mark.django_db
def test_it_is_served_and_shown() -> None:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.json() == DOCUMENT
    page = Client().get("/api/hub/docs/?of=civitai").content.decode()
    assert 'url: "/api/v1/openapi.json"' in page
    assert 'href="/api/hub/docs/"' in page
