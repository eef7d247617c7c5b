"""Dates and numbers as each language writes them: the formats, and that pages use them instead of one order of words for all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.defaultfilters import date
from django.test import Client
from django.utils import translation

from hub.templatetags.wording import bytesize, seconds
from registry.models import Version
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_file, published_version

DAY = datetime(2026, 11, 2, 9, 5, 7, tzinfo=UTC)
WRITTEN = {"en": "2 November 2026", "zh-hans": "2026年11月2日", "de": "2. November 2026"}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """A request leaves its language behind in the thread."""
    with translation.override("en"):
        yield


def test_dates_are_written_as_in_each_language() -> None:
    for language, day in WRITTEN.items():
        with translation.override(language):
            assert date(DAY, "DATE_FORMAT") == day
    with translation.override("zh-hans"):
        assert date(DAY, "SHORT_DATE_FORMAT") == "2026年11月2日"
        assert date(DAY, "DATETIME_FORMAT") == "2026年11月2日 09:05"
        assert date(DAY, "TIME_FORMAT") == "09:05:07"
    assert date(DAY, "DATETIME_FORMAT") == "2 November 2026, 09:05"
    assert date(DAY, "SHORT_DATE_FORMAT") == "2 Nov 2026"


def test_numbers_are_written_as_in_each_language() -> None:
    for language, said in {"en": ("1,234,567", "1.26 kB"), "zh-hans": ("1,234,567", "1.26 kB"), "de": ("1.234.567", "1,26 kB")}.items():
        with translation.override(language):
            assert (intcomma(1234567), bytesize(1256)) == said
    assert [bytesize(size) for size in (999, 9_994, 9_996, 12_360, 99_960, 2_130_000_000)] == [
        "999 bytes",
        "9.99 kB",
        "10.0 kB",
        "12.4 kB",
        "100 kB",
        "2.13 GB",
    ]
    assert seconds(3.26) == "3.3 s"


def test_no_page_lays_down_the_order_of_a_date_for_all_languages() -> None:
    """What is left are forms for machines: ISO 8601 in attributes."""
    orders = re.compile(r"""(?:\|(?:date|time):|\{% now )"([^"]*)\"""")
    found = {order for path in Path(settings.BASE_DIR, "templates").rglob("*.html") for order in orders.findall(path.read_text())}
    allowed = {"c", "Y-m-d", r"Y-m-d\TH:i", "DATE_FORMAT", "SHORT_DATE_FORMAT", "DATETIME_FORMAT", "TIME_FORMAT"}
    assert found <= allowed


@pytest.mark.django_db
@pytest.mark.usefixtures("stores")
def test_pages_write_dates_in_the_language_of_their_reader(client: Client) -> None:
    file = published_file(UserFactory(), b"dated", version=published_version(published_entry(UserFactory(), slug="dated")))
    Version.objects.filter(pk=file.version_id).update(published_at=DAY)
    address = f"/model-versions/{file.version_id}"
    for language, day in {"en": "2 November 2026", "zh-hans": "2026年11月2日"}.items():
        page = client.get(address, headers={"Accept-Language": language, "Accept": "text/html"}, follow=True).content.decode()
        assert day in page, language
