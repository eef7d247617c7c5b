"""Addresses of the Hugging Face Hub protocol, at the root of the site: `api/...` and `{namespace}/{name}/resolve/...`.

Branch names hold no slash, so that a decoded address is not ambiguous; the references that do are matched first.
"""

from __future__ import annotations

from django.urls import re_path

from hub.api.huggingface import account, listing, pages, resolve, views
from hub.api.huggingface.writing_urls import REPO
from hub.api.huggingface.writing_urls import urlpatterns as writing

REVISION = r"(?P<revision>refs/(?:heads|tags|convert|pr)/[^/]+|[^/]+)"
OTHERS = "datasets|spaces|kernels|buckets|oauth"
"""First segments under which this protocol has other things than models; no person can have such a name."""

reading = [
    re_path(r"^api/whoami-v2$", account.whoami),
    re_path(r"^api/models$", listing.models, name="hf-models"),
    re_path(r"^api/(?:datasets|spaces)$", views.nothing),
    re_path(rf"^api/models/{REPO}$", views.info, name="hf-model"),
    re_path(rf"^api/models/{REPO}/revision/{REVISION}$", views.info, name="hf-revision"),
    re_path(rf"^api/models/{REPO}/tree/{REVISION}$", views.tree, name="hf-tree"),
    re_path(rf"^api/models/{REPO}/tree/{REVISION}/(?P<path>.*)$", views.tree, name="hf-tree"),
    re_path(rf"^api/models/{REPO}/paths-info/{REVISION}$", views.paths_info, name="hf-paths-info"),
    re_path(rf"^api/models/{REPO}/refs$", views.refs, name="hf-refs"),
    re_path(rf"^api/models/{REPO}/commits/{REVISION}$", views.history, name="hf-commits"),
    re_path(rf"^api/models/{REPO}/auth-check$", views.auth_check, name="hf-auth-check"),
    re_path(rf"^api/models/{REPO}/auth-check/(?P<access>write)$", views.auth_check, name="hf-auth-check-write"),
    re_path(rf"^api/models/{REPO}/safetensors-metadata/(?P<path>.+)$", views.safetensors_metadata, name="hf-safetensors-metadata"),
    re_path(rf"^{REPO}/(?:resolve|raw)/{REVISION}/(?P<path>.+)$", resolve.resolve, name="hf-resolve"),
]
refusing = [
    re_path(rf"^api/models/{REPO}/xet-(?:read|write)-token(?:/(?P<rest>.*))?$", views.xet_token, name="hf-xet-token"),
    re_path(rf"^api/models/{REPO}/(?P<rest>.*)$", views.no_such_route),
    re_path(rf"^(?:api/)?(?:{OTHERS})/(?P<rest>.+)$", views.no_repository),
    re_path(r"^api/(?P<rest>.*)$", views.unknown),
    re_path(rf"^{REPO}/(?:resolve|raw)(?:/(?P<rest>.*))?$", views.no_such_route),
    re_path(rf"^{REPO}/(?:blob|tree|commits?|discussions)(?:/(?P<rest>.*))?$", pages.to_model),
]
urlpatterns = [*reading, *writing, *refusing]
