"""A real Chromium for the pages, signed-in people in it, and a pipeline that works while a page waits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from hub.templatetags.frontend import MANIFEST
from tests.servers import LiveHub, live_hub

__all__ = ["LiveHub", "live_hub"]

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage"
)
PASSWORD = "weigh-anchor-7"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser of this machine; one for the whole run, as its start is the slow part."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("no Chromium on this machine: ./weigh test installs one, or name it in CHROMIUM")
    if not MANIFEST.exists():
        pytest.skip("the front end is not built: run npm ci && npm run build")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        browser.close()


LEFT = ("htmx:afterRequest", "htmx:sendAbort")
"""What htmx says when a page is left before an answer is there. Of an answer that failed it says `sendError` or `responseError`, too."""


def _hear(message: Any, complaints: list[str]) -> None:
    if message.type == "error" and not message.text.startswith(LEFT):
        complaints.append(message.text)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser said against our pages: console errors, refused scripts and styles, uncaught exceptions."""
    return []


@pytest.fixture
def open_page(chromium: Any, live_hub: LiveHub, complaints: list[str]) -> Iterator[Callable[..., Any]]:
    """Opens a page in a fresh context at the live hub's address. Fails the test when the browser complained."""
    contexts: list[Any] = []

    def opened(**options: Any) -> Any:
        context = chromium.new_context(base_url=live_hub.url, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _hear(message, complaints))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def member(creator: Any) -> Any:
    """`ada`, with a password, so that she can sign in by the form."""
    creator.set_password(PASSWORD)
    creator.save()
    return creator


@pytest.fixture
def sign_in(live_hub: LiveHub) -> Callable[[Any, Any], None]:
    """Puts a user's session into a browser's context, for tests that are not about signing in."""

    def signed_in(page: Any, user: Any) -> None:
        from django.test import Client

        client = Client()
        client.force_login(user)
        cookie = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_hub.url}])

    return signed_in


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A Lightning-style checkpoint of some megabytes."""
    from tests.tiny import lightning_checkpoint

    return lightning_checkpoint(tmp_path / "lantern.ckpt")
