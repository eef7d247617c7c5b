"""Markup and scripts in every text column of the catalogue, then every page in a real Chromium: no dialog, no word to a foreign host, no
report of the content security policy, nothing that became markup. A new column or page is covered without being named here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models

from registry.models import Entry
from tests.hub.everyone import Everyone, gather
from tests.hub.web import visited
from tests.hub.web.test_browser_hostile import PAYLOADS, heard, look
from tests.servers import LiveHub

pytestmark = pytest.mark.django_db(transaction=True)

OURS = ("registry", "inference", "scanner")
STRUCTURE = frozenset(
    """slug branch sha256 digest sha oid path key code state verdict verdict_key tool scanner policy rule username email password hint
    container secret backend_id declared_sha256 value kind role blurhash renderer word ending format mime error_code release_key""".split()  # noqa: SIM905
)
"""Columns that hold names and digests of ours, by which rows are found; no form and no file puts a stranger's words there."""
LONGEST = 6000


def text_columns() -> Iterator[tuple[type[models.Model], models.Field[Any, Any]]]:
    """Every column that can hold words of somebody's."""
    for model in apps.get_models():
        if model._meta.app_label in OURS:
            yield from ((model, field) for field in model._meta.concrete_fields if _of_words(field))


def _of_words(field: models.Field[Any, Any]) -> bool:
    inner = field.base_field if isinstance(field, ArrayField) else field
    ours = inner.choices or field.unique or field.name in STRUCTURE or isinstance(inner, models.SlugField)
    return isinstance(inner, models.CharField | models.TextField) and not ours


def fitting(place: int, most: int | None) -> str:
    """As many payloads as fit, from another one on in each column."""
    begun = PAYLOADS[place % len(PAYLOADS) :] + PAYLOADS[: place % len(PAYLOADS)]
    said = ""
    for payload in begun:
        if len(said) + len(payload) + 1 > min(most or LONGEST, LONGEST):
            break
        said += payload + " "
    return said.strip() or "<b>"[: most or 3]


def poison() -> int:
    """Writes payloads into every row of every text column; how many columns there are."""
    columns = list(text_columns())
    for place, (model, field) in enumerate(columns):
        for key in model._base_manager.values_list("pk", flat=True):
            model._base_manager.filter(pk=key).update(**{field.name: _said(field, place * 7, key)})
    return len(columns)


def _said(field: models.Field[Any, Any], place: int, key: Any) -> Any:
    """No two rows say the same: some columns must differ."""
    if isinstance(field, ArrayField):
        return [text[: field.base_field.max_length] for text in PAYLOADS]
    return f"{key} {fitting(place, field.max_length and field.max_length - len(str(key)) - 1)}"


@pytest.fixture
def everyone(stores: Path, settings: Any, tmp_path: Path) -> Everyone:
    settings.PREVIEWS = False
    return gather(tmp_path)


def test_what_anybody_wrote_anywhere_stays_text_on_every_page(live_hub: LiveHub, everyone: Everyone, open_page: Callable[..., Any]) -> None:
    assert poison() > 40
    for row, payload in zip(Entry.objects.order_by("pk"), PAYLOADS, strict=False):
        Entry.objects.filter(pk=row.pk).update(name=payload[:120])
    opened = {who: open_page() for who in ("nobody", "owner", "moderator")}
    told = []
    for who, page in opened.items():
        page.context.add_cookies(visited.cookies(everyone, who, live_hub.url))
        told.append(heard(page))
    met = 0
    for _, who, address in visited.pages(everyone.things["public"], everyone.token):
        answer = everyone.clients[who].get(address)
        if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html") and b"<main" in answer.content:
            look(opened[who], address)
            met += 1
    assert met > 30
    assert [asked for all_asked in told for asked in all_asked if not asked.startswith(f"{live_hub.url}/")] == []
