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

from bench import browser, house
from bench.ground import ROOT

WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
TALLEST = 2600
"""Pixels; what lies below is left out, so that a picture can be looked at."""
QUALITY = 82
START_SECONDS, SAMPLES_SECONDS = 600, 900
MEMBER, WORD = "studio", "a-long-word-for-pictures-7"
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
        found = left(people["member"].new_page(), url)
        for who, pages in listed(url, found).items():
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


def left(page: Any, url: str) -> dict[str, str]:
    """What a member does: reviews a model, attaches a picture, keeps a model, begins an upload. Ids of what came of it."""
    models = {one["name"]: one for one in requests.get(f"{url}/api/v1/models?limit=50", timeout=60).json()["items"]}
    base, style = models["Paper Shapes"]["modelVersions"][0], models["Neon Shapes"]["modelVersions"][0]
    found = {
        "base": str(base["id"]),
        "style": str(style["id"]),
        "file": str(base["files"][0]["id"]),
        "model": str(models["Paper Shapes"]["id"]),
    }
    found["merge"] = str(models["Half Lit"]["modelVersions"][0]["id"])
    page.goto(f"/model-versions/{found['base']}/reviews")
    if page.locator("textarea[name=text]").count():
        page.locator("input[name=up][value=yes], input[name=thumb][value=up], input[type=radio]").first.check()
        page.fill("textarea[name=text]", "Clean shapes, and it does what the prompt says. CFG 5 is right.")
        page.locator("form:has(textarea[name=text]) button[type=submit], form:has(textarea[name=text]) button").first.click()
        page.wait_for_load_state()
    image(page, url, found)
    return found


def image(page: Any, url: str, found: dict[str, str]) -> None:
    """One of the hub's own pictures, attached as a member's."""
    listed = requests.get(f"{url}/api/v1/images?modelVersionId={found['base']}&limit=3", timeout=60).json()["items"]
    data = requests.get(listed[0]["url"], timeout=60).content
    page.goto(f"/model-versions/{found['base']}/images")
    page.set_input_files("input[type=file]", {"name": "a-shape.png", "mimeType": "image/png", "buffer": data})
    page.locator("form:has(input[type=file]) button[type=submit], form:has(input[type=file]) button").last.click()
    page.wait_for_timeout(8000)
    page.goto(MODEL)
    link = page.locator("a[href^='/images/']").first
    if link.count():
        found["image"] = (link.get_attribute("href") or "").split("?")[0]


def listed(url: str, found: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Every page by who looks at it."""
    version, file = found["base"], found["file"]
    visitor = [
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
        ("guide-formats", "/guides/formats"),
        ("about", "/about"),
        ("glossary", "/about/scanning"),
        ("api", "/api/hub/docs/"),
        ("sign-in", "/accounts/login/"),
        ("not-found", "/nobody/nothing"),
        ("model-chinese", MODEL),
        ("grid-chinese", "/"),
    ]
    member = [
        ("merge", f"/merge?a={file}"),
        ("upload", "/upload"),
        ("attach", f"/model-versions/{version}/images"),
        ("try", f"/model-versions/{version}/try"),
        ("report", f"/report/model/{found['model']}"),
        ("saved", "/my/saved"),
        ("settings", "/account"),
        ("tokens", "/account/tokens"),
        ("my-models", "/my/models"),
        ("my-pictures", "/my/pictures"),
    ]
    if "image" in found:
        visitor.append(("image", found["image"]))
    return {
        "visitor": visitor,
        "member": member,
        "admin": [("moderation", "/moderation"), ("preview-settings", f"/model-versions/{version}/previews/settings")],
    }


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
