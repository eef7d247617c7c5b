"""The page about the interfaces for programs: examples with this hub's address, limits, changes; and the reference of each schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import ensure_csrf_cookie
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from hub import limits
from hub.api.hub.schemalog import CHANGES
from hub.downloads import origin_of
from registry import queries, tokentext
from registry.models import File, Rating, Token

PREFIX = "/api/hub/"
REFERENCES = {"hub": "api-schema", "civitai": "civitai-openapi"}
"""What `?of=` may ask for -> the address of its OpenAPI document."""
HEADER = '-H "Authorization: Bearer $WEIGH_TOKEN"'
"""The token stands in a variable of the reader's shell: no page ever holds one that works."""


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is sent, in the schema's words."""

    target_class = "hub.api.tokens.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "Made on the account page, or by `./weigh manage create_token`."}


def only_ours(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Preprocessing hook: other protocols are described by whoever defined them."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX)]


@dataclass(frozen=True, slots=True)
class Example:
    """Lines to copy, what they do, and the address that answers in a browser at once, where there is one."""

    title: Any
    text: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """One protocol: its examples, and where its description lies."""

    key: str
    name: Any
    about: Any
    examples: list[Example]
    reference: str = ""
    schema: str = ""


@ensure_csrf_cookie  # the reference sends it with what a signed-in reader tries
def page(request: HttpRequest) -> HttpResponse:
    """The guide, or with `?of=hub` and `?of=civitai` Swagger UI over that door's document; all from our own files."""
    of = request.GET.get("of", "")
    if of in REFERENCES:
        return render(request, "api/reference.html", {"civitai": of == "civitai", "schema": reverse(REFERENCES[of])})
    user: Any = request.user
    mine = Token.objects.filter(owner=user, revoked_at=None)[:20] if user.is_authenticated else []
    context = {
        "doors": doors(origin_of(request)),
        "tokens": [token for token in mine if token.alive],
        "limits": limits.of(user),
        "changes": CHANGES,
        "origin": origin_of(request),
        "pattern": tokentext.PATTERN,
        "public_test": tokentext.PUBLIC_TEST,
    }
    response = render(request, "api/docs.html", context)
    if user.is_authenticated:
        response["Cache-Control"] = "private, no-store"
    return response


def doors(origin: str) -> list[Door]:
    """Every protocol with examples on a file that everybody may have: the newest."""
    file = _newest()
    return [_own(origin, file), _civitai(origin, file), _hugging_face(origin, file)]


def _newest() -> File | None:
    files = queries.suggested_files(None, Rating.PG).select_related("blob", "version__entry__owner")
    return files.order_by("-id").first()


def _own(origin: str, file: File | None) -> Door:
    entry = file.version.entry_id if file else 1
    body = '\'{"name": "My model", "kind": "lora"}\''
    examples = [
        Example(_("Read a model"), f"curl {origin}/api/hub/entries/{entry}", f"/api/hub/entries/{entry}"),
        Example(_("Tensors of a file"), f"curl {origin}/api/hub/files/{_id(file)}/tensors", f"/api/hub/files/{_id(file)}/tensors"),
        Example(_("Create a model"), f'curl -X POST {HEADER} -H "Content-Type: application/json" -d {body} {origin}/api/hub/entries'),
        Example(_("Sidecars of a version"), f"curl -fOJ {HEADER} {origin}/model-versions/{_version(file)}/sidecars.zip"),
    ]
    about = _("Create, upload, watch, publish, merge and render.")
    return Door("hub", _("This hub's own API"), about, examples, f"{reverse('api-docs')}?of=hub", reverse("api-schema"))


def _civitai(origin: str, file: File | None) -> Door:
    digest = file.sha256.upper() if file else "SHA256"
    by_hash = f"/api/v1/model-versions/by-hash/{digest}"
    examples = [
        Example(_("List models"), f'curl {HEADER} "{origin}/api/v1/models?limit=3&sort=Newest"', "/api/v1/models?limit=3&sort=Newest"),
        Example(_("What is this file?"), f"curl {origin}{by_hash}", by_hash),
        Example(_("Download a version"), f"curl -fLOJ {HEADER} {origin}/api/download/models/{_version(file)}"),
    ]
    about = _("For programs that were made for Civitai: give them this hub's address instead of civitai.com.")
    return Door("civitai", "Civitai v1", about, examples, f"{reverse('api-docs')}?of=civitai", reverse("civitai-openapi"))


def _hugging_face(origin: str, file: File | None) -> Door:
    entry = file.version.entry if file else None
    repo = f"{entry.owner.username}/{entry.slug}" if entry else "creator/model"
    name = file.name if file else "model.safetensors"
    python = f"from huggingface_hub import hf_hub_download\n\npath = hf_hub_download({repo!r}, {name!r})"
    examples = [
        Example(_("Point programs here"), f"export HF_ENDPOINT={origin} HF_TOKEN=$WEIGH_TOKEN"),
        Example(_("Fetch a repository"), f"hf download {repo}"),
        Example(_("Fetch a file in Python"), python),
        Example(_("What lies in it"), f"curl {origin}/api/models/{repo}", f"/api/models/{repo}"),
        Example(_("Push"), f"HF_HUB_DISABLE_XET=1 hf upload {repo} ."),
    ]
    about = _("For huggingface_hub, diffusers, transformers and git-lfs, unmodified.")
    return Door("hf", "Hugging Face", about, examples)


def _id(file: File | None) -> int:
    return file.pk if file else 1


def _version(file: File | None) -> int:
    return file.version_id if file else 1
