"""What a member leaves on a hub of samples before its pages are photographed: a review, a picture, a collection, pictures of its own, a
merge, and a draft with a file. Everything by the pages themselves; takes no pictures."""

from __future__ import annotations

import re
from typing import Any

import requests

MODEL = "/weighhouse/paper-shapes"
MADE_MS = 120_000


def left(page: Any, url: str) -> dict[str, str]:
    """Ids and addresses of what is there and of what came of it."""
    models = {one["name"]: one for one in requests.get(f"{url}/api/v1/models?limit=50", timeout=60).json()["items"]}
    base, style = models["Paper Shapes"]["modelVersions"][0], models["Neon Shapes"]["modelVersions"][0]
    found = {
        "base": str(base["id"]),
        "style": str(style["id"]),
        "file": str(base["files"][0]["id"]),
        "other": str(style["files"][0]["id"]),
        "model": str(models["Paper Shapes"]["id"]),
        "merge": str(models["Half Lit"]["modelVersions"][0]["id"]),
    }
    embedding = models["Winterday"]["modelVersions"][0]["files"][0]["downloadUrl"]
    review(page, found)
    image(page, url, found)
    collection(page, found)
    render(page, found)
    merge(page, found)
    draft(page, requests.get(embedding, timeout=60).content, found)
    return found


def review(page: Any, found: dict[str, str]) -> None:
    page.goto(f"/model-versions/{found['base']}/reviews")
    if page.locator("textarea[name=text]").count():
        page.locator("main input[type=radio]").first.check()
        page.fill("textarea[name=text]", "Clean shapes, and it does what the prompt says. CFG 5 is right.")
        page.locator("form:has(textarea[name=text]) button").first.click()
        page.wait_for_load_state()


def image(page: Any, url: str, found: dict[str, str]) -> None:
    """One of the hub's own pictures, attached as a member's."""
    listed = requests.get(f"{url}/api/v1/images?modelVersionId={found['base']}&limit=3", timeout=60).json()["items"]
    data = requests.get(listed[0]["url"], timeout=60).content
    page.goto(f"/model-versions/{found['base']}/images")
    page.set_input_files("input[type=file]", {"name": "a-shape.png", "mimeType": "image/png", "buffer": data})
    page.locator("form:has(input[type=file]) button").last.click()
    page.wait_for_timeout(8000)
    page.goto(MODEL)
    found["image"] = address(page, "main a[href^='/images/']").split("?")[0]
    found["picture"] = address(page, "main a[href^='/picture/']").split("?")[0]


def collection(page: Any, found: dict[str, str]) -> None:
    page.goto(f"/models/{found['model']}/save")
    page.fill("#new-name", "Shapes to try")
    page.locator("form:has(#new-name) button").first.click()
    page.wait_for_load_state()
    page.goto("/my/saved")
    found["collection"] = address(page, "main a[href^='/collections/']")


def render(page: Any, found: dict[str, str]) -> None:
    page.goto(f"/model-versions/{found['base']}/try")
    page.locator("main [name=prompt]").fill("a red circle")
    page.get_by_role("button", name="Make pictures").click()
    page.locator("section[data-state=made]").wait_for(timeout=MADE_MS)
    page.goto("/my/pictures")
    found["render"] = address(page, "main a[href^='/renders/']")


def merge(page: Any, found: dict[str, str]) -> None:
    page.goto(f"/merge?a={found['file']}&b={found['other']}")
    page.get_by_label("Name of the new model").fill("Dusk Shapes")
    page.get_by_role("button", name="Merge", exact=True).click()
    page.wait_for_url("**/my/merges/**")
    found["merged"] = re.sub(r"^https?://[^/]+", "", page.url)
    page.get_by_role("link", name="Open the draft").wait_for(timeout=MADE_MS)


def draft(page: Any, weights: bytes, found: dict[str, str]) -> None:
    page.goto("/upload")
    page.get_by_label("Name", exact=True).fill("Winter Word")
    page.locator("main select[name$=kind]").first.select_option("embedding")
    page.get_by_label("Base model").fill("SD 1.5")
    page.get_by_role("button", name="Continue to the files").click()
    page.wait_for_url("**/upload/*")
    found["draft"] = page.url.rstrip("/").rpartition("/")[2]
    page.locator("input[type=file]").first.set_input_files(
        {"name": "winter-word.safetensors", "mimeType": "application/octet-stream", "buffer": weights}
    )
    page.locator("#work").get_by_text("Ready", exact=True).first.wait_for(timeout=MADE_MS)
    page.goto(f"/model-versions/{found['draft']}", wait_until="networkidle")
    found["own"] = address(page, "main a[href^='/models/'][href$='/edit']").split("/")[2]


def address(page: Any, selector: str) -> str:
    """Where the first such link leads; raises if there is none."""
    return str(page.locator(selector).first.get_attribute("href", timeout=15_000))
