"""Pages in other languages: catalogues are whole and safe, every string of a page comes from them, programs are answered in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from django.conf import settings as django_settings
from django.test import Client
from django.utils import translation
from django.utils.translation import trans_real

from hub import translations
from tests.attacks import os_system_checkpoint
from tests.factories import UserFactory
from tests.hub import pseudo
from tests.hub.everyone import Everyone, gather
from tests.hub.published import published_entry, published_file, published_version
from tests.hub.web import visited
from tests.hub.web.test_scan_page import judged

pytestmark = pytest.mark.django_db
OURS = [code for code, _ in django_settings.LANGUAGES if code != django_settings.LANGUAGE_CODE]


@pytest.mark.parametrize("language", OURS)
def test_catalogues_say_everything_that_pages_say_and_nothing_else(language: str) -> None:
    said = {(message.id, message.context) for message in translations.messages() if message.id}
    kept = translations.kept(language)
    assert said == {(message.id, message.context) for message in kept if message.id}, "run `manage.py translations`"
    assert translations.missing(kept) == []


@pytest.mark.parametrize("language", OURS)
def test_what_programs_read_is_what_people_wrote(language: str) -> None:
    with (translations.folder(language) / "django.mo").open("rb") as file:
        compiled = read_mo(file)
    assert _strings(compiled) == _strings(translations.kept(language))


@pytest.mark.parametrize("language", OURS)
def test_translations_keep_values_and_markup(language: str) -> None:
    """A lost value would be an error on the page, and markup of a translation's own would not be escaped."""
    wrong = []
    for message in translations.kept(language):
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        allowed = {tuple(sorted(pseudo.KEPT.findall(one))) for one in originals}
        for string in [message.string] if isinstance(message.string, str) else message.string:
            if message.id and tuple(sorted(pseudo.KEPT.findall(string))) not in allowed:
                wrong.append((originals[0], string))
    assert wrong == []


def _strings(catalog: Catalog) -> dict[Any, list[str]]:
    """All forms of every message."""
    said = ((message, [message.string] if isinstance(message.string, str) else list(message.string)) for message in catalog if message.id)
    return {(_first(message.id), _text(message.context)): strings for message, strings in said}


def _text(context: Any) -> Any:
    """Babel reads a context of a compiled file as bytes."""
    return context.decode() if isinstance(context, bytes) else context


def _first(text: Any) -> str:
    return text if isinstance(text, str) else text[0]


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locale")
    for locale in ("de", "ar"):
        pseudo.write(folder, locale)
    return folder


@pytest.fixture
def speaking(settings: Any, strange: Path) -> Iterator[None]:
    """The hub speaks two languages more, both pretended."""
    settings.LOCALE_PATHS = [strange]
    settings.LANGUAGES = [*settings.LANGUAGES, ("de", "Pseudo"), ("ar", "Pseudo, from right to left")]
    _forget()
    yield
    translation.activate("en")
    _forget()


def _forget() -> None:
    trans_real._translations.clear()
    trans_real.reset_cache(setting="LANGUAGES")


class Spoken(HTMLParser):
    """Gathers what a page says that is no value: not what strangers wrote, not code, hashes or numbers."""

    SILENT = frozenset({"script", "style", "code", "pre", "bdi", "kbd", "time", "noscript", "datalist"})
    VOID = frozenset({"meta", "link", "img", "input", "br", "hr", "source", "path", "wbr", "circle", "rect", "line", "polyline"})
    SAID = ("aria-label", "title", "placeholder", "alt")

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[bool] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        classes = set((known.get("class") or "").split())
        silent = (
            tag in self.SILENT or bool(classes & {"hash", "mono", "prose", "code"}) or known.get("translate") == "no" or "lang" in known
        )
        silent = silent and tag != "html"
        if not (silent or any(self.stack)):
            self.said += [known[name] or "" for name in self.SAID if name in known]
        if tag not in self.VOID:
            self.stack.append(silent)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self.stack:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not any(self.stack):
            self.said.append(data)


PLAIN = re.compile(r"[A-Za-z]*[aeiou][a-z]{2,}|[A-Za-z]{2,}[aeiou][a-z]*")
"""A word with a letter that the pretended language would have marked."""
NAMES = re.compile(
    r"""Lantern\s\w+(?:\sv\d)?|[Ll]antern|ada|eve|mod\b|makers|creator\d*|tests|to\srevoke|[Ww]eighhouse|English|Pseudo[\w, ]*|public
    |[Ss]afetensors|pickle|Civitai|Hugging|Face|Linux|Windows|ComfyUI|Fooocus|InvokeAI|SwarmUI|Stability\s?Matrix|Forge|diffusers|aria2c|wget
    |curl|hf\sdownload|stable-diffusion-webui(?:-forge)?|localhost|testserver|https?://\S*|SPDX|Stable|Diffusion|models/\S+|Models/\S+
    |Euler|euler|Karras|DPM\S*(?:\s(?:fast|adaptive))?|HeunPP2|Heun|Restart|UniPC|normal|embeddings|AutoV\d|attn2\.to_k|\{\w+\}
    |[\w.-]*\.(?:safetensors|png|zip|json|ckpt|bin|gguf|npy|npz|onnx|pt|pth|sft)|\bSD\b|SDXL|Flux|Pony|Illustrious|Atom|Markdown|Python
    |torch|renderer|\w+_\w+|/[\w/]+|seccomp\d*|landlock\d*|rlimit\d*|example|November|December|January|Success|Pending
    |Weighted\ssum\s[\d.]+|[\d.]+\sof\sA\sand\s[\d.]+\sof\sB|a\sred\scircle|a\slighthouse\sat\sdusk|text,\swatermark,\sembedding:salty""",
    re.VERBOSE,
)
"""Names, and what people, workers and other programs wrote: it is the same in every language."""


def unmarked(html: str) -> list[str]:
    """What a page says without having asked the catalogue."""
    spoken = Spoken()
    spoken.feed(html)
    texts = (re.sub(r"\s+", " ", text).strip() for text in spoken.said)
    said = [text for text in dict.fromkeys(texts) if PLAIN.search(NAMES.sub("", text))]
    return [text for text in said if "{trigger}" not in text or "·" in text]  # the standard prompts are a model's language


@pytest.fixture
def everyone(stores: Path, settings: Any, tmp_path: Path) -> Everyone:
    settings.PREVIEWS = False
    return gather(tmp_path)


def test_every_string_of_every_page_comes_from_the_catalogue(everyone: Everyone, speaking: None) -> None:
    told = []
    for page in visited.pages(everyone.things["public"], everyone.token):
        client = everyone.clients[page.who]
        answer = client.get(page.address, headers={"Accept-Language": "de", "Accept": "text/html"})
        if page.address.startswith("/accounts/"):
            continue  # their words are of catalogues that allauth brings
        if answer.headers["Content-Type"].startswith("text/html") and answer.status_code == 200:
            told += [f"{page.name}: {text[:160]}" for text in unmarked(answer.content.decode())]
    assert not told, "\n".join(told)


@pytest.mark.usefixtures("speaking", "stores")
def test_what_a_scan_found_and_what_went_wrong_comes_from_the_catalogue(client: Client, creator: Any) -> None:
    """Words that are stored in English, which only pages of files that met trouble show."""
    file = judged(creator, os_system_checkpoint())
    client.force_login(creator)
    told = []
    for address in (f"/files/{file.pk}/scan", f"/file/{file.pk}"):
        page = client.get(address, headers={"Accept-Language": "de", "Accept": "text/html"}).content.decode()
        found = (re.sub(rf"`[^`]*`|{file.version.entry.name} {file.version.name}", "", text) for text in unmarked(page))
        told += [f"{address}: {text[:160]}" for text in found if PLAIN.search(text)]
    assert not told, "\n".join(told)


@pytest.mark.usefixtures("speaking", "stores")
def test_the_language_is_chosen_remembered_and_told_to_caches(client: Client) -> None:
    chosen = client.post("/language", {"language": "ar", "next": "/about"})
    assert chosen.headers["Location"] == "/about"
    page = client.get("/about")
    assert '<html lang="ar" dir="rtl"' in page.content.decode()
    assert page.headers["Content-Language"] == "ar"
    assert "Accept-Language" in page.headers["Vary"]
    client.post("/language", {"language": "xx"})
    assert '<html lang="ar"' in client.get("/about").content.decode()


@pytest.mark.usefixtures("speaking", "stores")
def test_programs_are_answered_in_english_whatever_they_prefer(client: Client) -> None:
    client.cookies["language"] = "de"
    owner = UserFactory()
    version = published_file(owner, b"told", version=published_version(published_entry(owner, slug="told"))).version
    wanted = {"Accept-Language": "de", "Accept": "*/*"}
    for address in ("/api/hub/entries/99999999", "/api/v1/models/99999999", "/api/models/nobody/nothing"):
        answer = client.get(address, headers=wanted)
        assert "·" not in answer.content.decode(), address
        assert "Accept-Language" not in answer.headers.get("Vary", "")
    card = client.get(f"/{version.entry.owner.username}/told/resolve/main/README.md", headers={**wanted, "Accept": "text/html"})
    assert card.status_code == 200
    assert "·" not in b"".join(card).decode()
