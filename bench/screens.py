"""Pictures of every page in both themes, for docs/screens: a hub of its own is started with its samples, used a little, and looked at.

`python -m bench.screens [--out docs/screens] [--url http://127.0.0.1:8000 --password ADMINS]` inside the project's virtual environment.
With --url the hub that runs there is used and left running. Needs Chromium and what `./weigh up` needs; takes some minutes.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from bench import browser, house, screens_left
from bench.ground import ROOT

WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
TALLEST = 2600
"""Pixels; what lies below is left out, so that a picture can be looked at."""
QUALITY = 82
START_SECONDS, SAMPLES_SECONDS = 600, 900
MEMBER, WORD = "studio", "a-long-word-for-pictures-7"
GUIDES = ("checkpoints", "base-models", "formats", "add-ons", "merging", "pickles")
MODEL = "/weighhouse/paper-shapes"
BOTH = ("light", "dark")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "docs/screens")
    options.add_argument("--url", help="a hub that runs already, with its samples")
    options.add_argument("--password", help="of its account `admin`")
    chosen = options.parse_args()
    if chosen.url:
        shoot(chosen.url.rstrip("/"), chosen.password or "", chosen.out)
        return
    with started() as (url, password):
        shoot(url, password, chosen.out)


@contextmanager
def started() -> Iterator[tuple[str, str]]:
    """A fresh hub by the README's command, its samples published and rendered: address and the admin's password."""
    port = house.free_port()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "said.log").open("w+") as said:
        command = [str(ROOT / "weigh"), "up", "--port", str(port), "--data", f"{folder}/data"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            wait(lambda: "Password:" in Path(said.name).read_text(), START_SECONDS, "the hub's start")
            wait(lambda: (Path(folder) / "data/samples-published").exists(), SAMPLES_SECONDS, "the samples")
            url = f"http://127.0.0.1:{port}"
            wait(lambda: rendered(url), SAMPLES_SECONDS, "the previews")
            found = re.search(r"Password: (\S+)", Path(said.name).read_text())
            assert found
            yield url, found[1]
        finally:
            process.terminate()
            process.wait(60)


def wait(done: Any, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} took more than {seconds:.0f} s")
        time.sleep(2)


def rendered(url: str) -> bool:
    """Every sample has pictures, and no more came within ten seconds."""
    before = counted(url)
    time.sleep(10)
    return before > 40 and counted(url) == before


def counted(url: str) -> int:
    return len(requests.get(f"{url}/api/v1/images?limit=200", timeout=60).json()["items"])


def shoot(url: str, password: str, out: Path) -> None:
    """Sign in as everybody, leave something for pages to show, and take every picture."""
    out.mkdir(parents=True, exist_ok=True)
    with browser.chromium() as chromium:
        people = {who: chromium.new_context(base_url=url, viewport=WIDE) for who in ("visitor", "member", "admin")}
        sign_up(people["member"].new_page())
        sign_in(people["admin"].new_page(), "admin", password)
        found = screens_left.left(people["member"].new_page(), url)
        for who, pages in listed(found).items():
            page = people[who].new_page()
            for name, address in pages:
                take(page, address, name, out)
        narrow = chromium.new_context(base_url=url, viewport=PHONE, device_scale_factor=2).new_page()
        for name, address in (("phone-grid", "/"), ("phone-model", MODEL)):
            take(narrow, address, name, out)


def sign_up(page: Any) -> None:
    page.goto("/accounts/signup/")
    page.fill("[name=username]", MEMBER)
    page.fill("[name=password1]", WORD)
    page.fill("[name=password2]", WORD)
    page.locator("main form button[type=submit]").click()
    page.wait_for_load_state()
    if "/signup" in page.url:  # it is there from an earlier run
        sign_in(page, MEMBER, WORD)


def sign_in(page: Any, name: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.fill("[name=login]", name)
    page.fill("[name=password]", password)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url(lambda address: "/login" not in address)


def listed(found: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Every page, as (name, address), by who looks at it."""
    of_admin = [("moderation", "/moderation"), ("preview-settings", f"/model-versions/{found['base']}/previews/settings")]
    return {"visitor": open_to_all(found), "member": of_member(found), "admin": of_admin}


def open_to_all(found: dict[str, str]) -> list[tuple[str, str]]:
    version, file = found["base"], found["file"]
    return [
        ("grid", "/"),
        ("search", "/?q=shapes"),
        ("nothing-found", "/?q=lighthouse&kind=lora"),
        ("model", MODEL),
        ("compare", f"/compare?v={found['base']}&v={found['style']}"),
        ("compare-merge", f"/compare?v={found['merge']}&v={found['base']}&v={found['style']}"),
        ("lineage", f"/model-versions/{found['merge']}/lineage"),
        ("reviews", f"/model-versions/{version}/reviews"),
        ("file", f"/file/{file}"),
        ("scan", f"/files/{file}/scan"),
        ("tensors", f"/file/{file}/tensors"),
        ("verify", f"/verify?file={file}"),
        ("works-with", "/works"),
        ("guides", "/guides"),
        *((f"guide-{slug}", f"/guides/{slug}") for slug in GUIDES),
        ("gallery", f"/models/{found['model']}/gallery"),
        ("picture", found["picture"]),
        ("about", "/about"),
        ("glossary", "/about/scanning"),
        ("api", "/api/hub/docs/"),
        ("sign-in", "/accounts/login/"),
        ("sign-up", "/accounts/signup/"),
        ("password-forgotten", "/accounts/password/reset/"),
        ("not-found", "/nobody/nothing"),
        ("model-chinese", MODEL),
        ("grid-chinese", "/"),
        ("image", found["image"]),
    ]


def of_member(found: dict[str, str]) -> list[tuple[str, str]]:
    version, file = found["base"], found["file"]
    return [
        ("merge", f"/merge?a={file}"),
        ("upload", "/upload"),
        ("upload-files", f"/upload/{found['draft']}"),
        ("upload-several", f"/upload/several?v={found['draft']}"),
        ("edit-model", f"/models/{found['own']}/edit"),
        ("edit-version", f"/model-versions/{found['draft']}/edit"),
        ("draft", f"/models/{found['own']}"),
        ("model-of-others", MODEL),
        ("merge-made", found["merged"]),
        ("render", found["render"]),
        ("collection", found["collection"]),
        ("my-reports", "/my/reports"),
        ("email", "/accounts/email/"),
        ("password", "/accounts/password/change/"),
        ("sign-out", "/accounts/logout/"),
        ("attach", f"/model-versions/{version}/images"),
        ("try", f"/model-versions/{version}/try"),
        ("report", f"/report/model/{found['model']}"),
        ("saved", "/my/saved"),
        ("settings", "/account"),
        ("tokens", "/account/tokens"),
        ("my-models", "/my/models"),
        ("my-pictures", "/my/pictures"),
    ]


def take(page: Any, address: str, name: str, out: Path) -> None:
    """Both themes of a page, from its top to `TALLEST` at most."""
    if name.endswith("-chinese"):
        page.context.add_cookies([{"name": "language", "value": "zh-hans", "url": "/".join(page.url.split("/")[:3])}])
    for theme in BOTH:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.goto(address, wait_until="networkidle")
        page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(one => one.loading = 'eager')")
        page.wait_for_load_state("networkidle")
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
        scale = picture.width / page.viewport_size["width"]
        picture = picture.crop((0, 0, picture.width, min(picture.height, int(TALLEST * scale)))).convert("RGB")
        picture.save(out / f"{name}-{theme}.webp", quality=QUALITY, method=4)
    page.context.clear_cookies(name="language")
    print(name, flush=True)


if __name__ == "__main__":
    main()
