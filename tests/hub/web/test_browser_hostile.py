"""What hostile people write into tensors, metadata, merges and answers, in a real browser: it stays text on every page that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from safetensors.numpy import save

from inference.models import Merge
from registry import catalog, panel
from registry.models import Blob, Entry, File, KeptDeclaration, Version
from tests.factories import EntryFactory, VersionFactory
from tests.hub.published import published_file
from tests.intake import drain, upload_bytes
from tests.merges import checkpoint, wanted, worked

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = ("alert(1)", "fetch('//evil.example')", "document.body.dataset.hacked=1")
SHAPES = (
    *("<script>{}</script>", "<img src=x onerror={}>", "<svg onload={}>", '"><script>{}</script>', "' onmouseover={} x='", "javascript:{}"),
    *("</title><script>{}</script>", "</textarea><svg/onload={}>", "<iframe srcdoc='<script>{}</script>'>", "<a href=javascript:{}>x</a>"),
    *(
        "<!--><script>{}</script>",
        "<math><mtext><script>{}</script>",
        "{{{{{}}}}}",
        "{{% load x %}}{}",
        "${{{}}}",
        "<style>@import'//evil'</style>{}",
    ),
    *('"autofocus onfocus={} x="', "<body onload={}>", "<details open ontoggle={}>", '\\"-{}//', "</script><script>{}</script>"),
    *(
        "hx-get='//evil' {}",
        "<div hx-on:load={}>",
        "<div x-data x-init={}>",
        "[x](javascript:{})",
        "![x](//evil/{})",
        "<base href=//evil>{}",
    ),
    *(
        "<link rel=stylesheet href=//evil>{}",
        "<meta http-equiv=refresh content='0;//evil'>{}",
        "<form action=//evil><button>{}",
        "&lt;script&gt;{}",
    ),
    *("\u202e<script>{}</script>", "<ſcript>{}</ſcript>", "＜script＞{}＜/script＞"),
)
PAYLOADS = [shape.format(call) for shape in SHAPES for call in CALLS]
FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 20))))"
"""What comes into view is noticed when a frame is drawn, and asked for at once."""
VISITED = ("/file/{}", "/file/{}/tensors", "/file/{}/fits", "/files/{}/scan")


_asked: WeakKeyDictionary[Any, set[Any]] = WeakKeyDictionary()


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def lora(creator: Any) -> File:
    """Every payload as a tensor's name, a key and a value of the metadata, and a tag that training counted."""
    layers = [f"lora_unet_{text}.lora_down.weight" for text in PAYLOADS]
    names = [*PAYLOADS, *layers]
    metadata = {text[:200]: text for text in PAYLOADS}
    tags = {text: 10 + number for number, text in enumerate(PAYLOADS)}
    import json

    for key in ("modelspec.title", "modelspec.author", "modelspec.trigger_phrase", "ss_base_model_version", "ss_network_module"):
        metadata[key] = PAYLOADS[0]
    metadata["ss_tag_frequency"] = json.dumps({PAYLOADS[1]: tags})
    version: Version = VersionFactory(
        entry=EntryFactory(owner=creator, name=PAYLOADS[3][:80], kind="checkpoint"), name=PAYLOADS[4][:60], base_model=PAYLOADS[6][:40]
    )
    file = upload_bytes(version, creator, "hostile.safetensors", save({name: np.zeros(2, np.float16) for name in names}, metadata))
    drain()
    file.refresh_from_db()
    assert file.state == "ready"
    KeptDeclaration.objects.create(version=version, about="kind", declared="checkpoint", detected="lora", reason=PAYLOADS[0])
    return file


def heard(page: Any) -> list[str]:
    """Dialogs, and what the page asks of other hosts, from now on. `look` is for pages that are heard."""
    found: list[str] = []
    asked: set[Any] = set()
    _asked[page] = asked
    page.on("request", lambda request: request.resource_type == "eventsource" or asked.add(request))  # which never ends
    for ending in ("requestfinished", "requestfailed"):
        page.on(ending, lambda request: asked.discard(request))
    page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: found.append(request.url) if "evil" in request.url.split("?")[0] else None)
    return found


def settle(page: Any) -> None:
    """Waits until no question is open, also after what the last answer brought: `networkidle` without its half a second."""
    end, quiet = time.monotonic() + 15, 0
    while quiet < 2:
        page.evaluate(FRAMES)
        quiet = 0 if _asked[page] else quiet + 1
        assert time.monotonic() < end, [request.url for request in _asked[page]]


def look(page: Any, address: str) -> None:
    """Open a page as far as it goes: what unfolds is unfolded, what has the focus or the pointer gets it."""
    answer = page.goto(address)
    assert answer.status < 400, address
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    settle(page)
    assert page.evaluate("document.body.dataset.hacked") is None, address
    foreign = "script:not([src]):not([nonce]):not([type]), iframe, base, main style, main meta, [onerror], [onload], [onfocus], [ontoggle]"
    assert page.locator(foreign).count() == 0, address
    assert page.locator("a[href^='javascript:' i], [href*='//evil'], [src*='//evil'], [hx-get*='//evil']").count() == 0, address


def test_names_keys_values_words_and_reasons_stay_text(
    open_page: Callable[..., Any], sign_in: Callable[[Any, Any], None], creator: Any, lora: File
) -> None:
    visitor, owner = open_page(), open_page()
    sign_in(owner, creator)
    told = [heard(visitor), heard(owner)]
    addresses = [address.format(lora.pk) for address in VISITED] + [f"/model-versions/{lora.version_id}"]
    queries = [
        f"/file/{lora.pk}/tensors?q=%3Cscript%3Ealert(1)%3C/script%3E&after=%22%3E%3Csvg%20onload=alert(1)%3E",
        "/?q=%3Csvg%20onload=alert(1)%3E",
    ]
    for address in (*addresses, *queries, f"/upload/{lora.version_id}", "/my/models"):
        look(owner, address)
    Version.objects.filter(pk=lora.version_id).update(status="published")
    Entry.objects.filter(pk=lora.version.entry_id).update(live=True, published_at=lora.created_at)
    for address in (*addresses, *queries, f"/{creator.username}", "/"):
        look(visitor, address)
    assert told == [[], []]


def test_names_of_models_that_are_merged_stay_text(
    open_page: Callable[..., Any], sign_in: Callable[[Any, Any], None], creator: Any, stranger: Any, tmp_path: Path
) -> None:
    page = open_page()
    sign_in(page, creator)
    told = heard(page)
    a = checkpoint(creator, tmp_path / "a.safetensors", name=PAYLOADS[0])
    for number, payload in enumerate(PAYLOADS[:: len(CALLS)]):
        b = checkpoint(stranger, tmp_path / f"b{number % 2}.safetensors", name=payload[:100])
        Version.objects.filter(pk=b.version_id).update(name=payload[:60])
        merge = wanted(creator, a, b, name=payload[:80])
        if number != 2:
            Merge.objects.filter(pk=merge.pk).update(state="failed", error=payload, notes=[payload])
            continue
        result = worked(merge).result
        drain()
        Merge.objects.filter(pk=merge.pk).update(outcome={**merge.outcome, "warnings": PAYLOADS})
        catalog.publish(Version.objects.select_related("entry__owner").get(pk=result.version_id))
        for address in (f"/file/{result.pk}", f"/model-versions/{result.version_id}", f"/file/{b.pk}"):
            look(page, address)
    for address in ("/my/models", f"/file/{a.pk}"):
        look(page, address)
    assert told == []


def test_what_a_conversion_reports_stays_text(open_page: Callable[..., Any], creator: Any, tmp_path: Path) -> None:
    import torch

    shared, path = torch.full((3,), 1e38), tmp_path / "hostile.ckpt"
    torch.save({**dict.fromkeys(PAYLOADS, shared), **{f"note {text}": text for text in PAYLOADS}}, path)
    version: Version = VersionFactory(entry__owner=creator, entry__kind="other")
    file = upload_bytes(version, creator, "hostile.ckpt", path.read_bytes())
    drain()
    file.refresh_from_db()
    assert file.state == "ready"
    catalog.publish(version)
    page = open_page()
    told = heard(page)
    for one in File.objects.filter(version=version):
        for address in VISITED:
            look(page, address.format(one.pk))
    assert told == []


def test_what_was_found_out_about_a_file_stays_text(open_page: Callable[..., Any], creator: Any) -> None:
    """What a detection holds is a child's word: a file may bring it to say anything."""
    file = published_file(creator, save({"a": np.zeros(2, np.float16)}))
    said: dict[str, Any] = dict.fromkeys(("kind", "family", "base_model", "precision", "prediction", "resolution", "flavour"), PAYLOADS[0])
    for key in ("evidence", "evidence_base", "evidence_kind", "alternatives", "notes", "hints"):
        said[key] = PAYLOADS
    said["trigger_words"] = [{"word": text, "count": 5} for text in PAYLOADS]
    Blob.objects.filter(pk=file.blob_id).update(detected=said)
    page = open_page()
    told = heard(page)
    for address in (*(address.format(file.pk) for address in VISITED), f"/model-versions/{file.version_id}", "/"):
        look(page, address)
    assert told == []
