"""What every route of the doors that other programs know answers to whom: Civitai's, and the Hugging Face Hub's. As `route_table.py`."""

from __future__ import annotations

from tests.hub.route_table import OPEN, READ

SERVED = "+++++ +++++ -++-+ -++-+ ----- -----"
BYTES = ">>>>> >>>>> ->>-> ->>-> xxxxx xxxxx"

CIVITAI = [
    ("api/v1/models", "GET /api/v1/models", OPEN),
    ("api/v1/models/<str:entry_id>", "GET /api/v1/models/{entry}", READ),
    ("api/v1/model-versions/by-hash/<str:value>", "GET /api/v1/model-versions/by-hash/{sha256}", "+++++ +++++ -++-+ ----- +++++ +++++"),
    ("api/v1/model-versions/<str:version_id>", "GET /api/v1/model-versions/{version}", READ),
    ("api/v1/<path:rest>", "GET /api/v1/nothing", "-----"),
    ("api/download/models/<str:version_id>", "GET /api/download/models/{version}", BYTES),
    ("api/download/models/<str:version_id>", "GET /api/download/models/{version}?fileId={file}", BYTES),
    ("api/download/<path:rest>", "GET /api/download/nothing", "-----"),
    ("api/v1/model-versions/by-hash", "POST /api/v1/model-versions/by-hash", "?????"),
    ("api/v1/model-versions/by-hash/ids", "POST /api/v1/model-versions/by-hash/ids", "?????"),
    ("api/v1/model-versions/mini/<str:version_id>", "GET /api/v1/model-versions/mini/{version}", SERVED),
    ("api/v1/model-files/<str:file_id>/tensor-metadata", "GET /api/v1/model-files/{file}/tensor-metadata", READ),
    ("api/v1/images", "GET /api/v1/images", OPEN),
    ("api/v1/images", "GET /api/v1/images?modelVersionId={version}", OPEN),
    ("api/v1/images", "GET /api/v1/images?modelId={entry}", OPEN),
    ("api/v1/creators", "GET /api/v1/creators", OPEN),
    ("api/v1/tags", "GET /api/v1/tags", OPEN),
    ("api/v1/users", "GET /api/v1/users?query=ad", OPEN),
    ("api/v1/me", "GET /api/v1/me", "1++++"),
    ("api/v1/openapi.json", "GET /api/v1/openapi.json", OPEN),
    ("api/v1/enums", "GET /api/v1/enums", OPEN),
    ("api/v1/permissions/check", "GET /api/v1/permissions/check?entityType=ModelVersion&entityIds={version}", OPEN),
    ("api/v1/models", "GET /api/v1/models?ids={entry}", OPEN),
    ("api/v1/models", "GET /api/v1/models?modelVersionIds={version}", OPEN),
    ("api/v1/models", "GET /api/v1/models?query={slug}", OPEN),
    ("api/v1/models", "GET /api/v1/models?query={sha256}", OPEN),
]

REPO = "(?P<namespace>[^/]+)/(?P<name>[^/]+)"
REVISION = "(?P<revision>refs/(?:heads|tags|convert|pr)/[^/]+|[^/]+)"
OTHERS = "datasets|spaces|kernels|buckets|oauth"
REVISIONS = "+++++ +++++ 1++-+ 1++-+ ----- 1----"
NOTHING = "----- ----- 1---- 1---- ----- 1----"
PUSH = "1?33? 1?33? 1?3-? 1?3-? 1?33? 1-3--"
WRITE = "1+33+ 1+33+ 1+3-+ 1+3-+ 1+33+ 1-3--"
REPOSITORY = "+++++ +++++ 1++-+ 1++-+ +++++ 1----"
"""Missing is 401 to nobody, 404 to everybody else, as huggingface.co says it; what was deleted is missing to all."""

HUGGING_FACE = [
    (r"^api/whoami-v2$", "GET /api/whoami-v2", "1++++"),
    (r"^api/models$", "GET /api/models", OPEN),
    (r"^api/models$", "GET /api/models?search={slug}", OPEN),
    (r"^api/(?:datasets|spaces)$", "GET /api/datasets", OPEN),
    (rf"^api/models/{REPO}$", "GET /api/models/{creator}/{slug}", REPOSITORY),
    (rf"^api/models/{REPO}/revision/{REVISION}$", "GET /api/models/{creator}/{slug}/revision/main", REVISIONS),
    (rf"^api/models/{REPO}/revision/{REVISION}$", "GET /api/models/{creator}/{slug}/revision/{branch}", REVISIONS),
    (rf"^api/models/{REPO}/revision/{REVISION}$", "GET /api/models/{creator}/{slug}/revision/{version}", REVISIONS),
    (rf"^api/models/{REPO}/tree/{REVISION}$", "GET /api/models/{creator}/{slug}/tree/main", REVISIONS),
    (rf"^api/models/{REPO}/tree/{REVISION}/(?P<path>.*)$", "GET /api/models/{creator}/{slug}/tree/{version}/zz", NOTHING),
    (rf"^api/models/{REPO}/paths-info/{REVISION}$", "POST /api/models/{creator}/{slug}/paths-info/main", REVISIONS),
    (rf"^api/models/{REPO}/refs$", "GET /api/models/{creator}/{slug}/refs", REPOSITORY),
    (rf"^api/models/{REPO}/commits/{REVISION}$", "GET /api/models/{creator}/{slug}/commits/main", REVISIONS),
    (rf"^api/models/{REPO}/auth-check$", "GET /api/models/{creator}/{slug}/auth-check", REPOSITORY),
    (
        rf"^api/models/{REPO}/auth-check/(?P<access>write)$",
        "GET /api/models/{creator}/{slug}/auth-check/write",
        "1++3+ 1++3+ 1++-+ 1++-+ 1++3+ 1----",
    ),
    (rf"^api/models/{REPO}/safetensors-metadata/(?P<path>.+)$", "GET /api/models/{creator}/{slug}/safetensors-metadata/zz", NOTHING),
    (rf"^{REPO}/(?:resolve|raw)/{REVISION}/(?P<path>.+)$", "GET /{creator}/{slug}/resolve/main/{name}", REVISIONS),
    (rf"^{REPO}/(?:resolve|raw)/{REVISION}/(?P<path>.+)$", "GET /{creator}/{slug}/resolve/{version}/{name}", REVISIONS),
    (rf"^{REPO}/(?:resolve|raw)/{REVISION}/(?P<path>.+)$", "GET /{creator}/{slug}/raw/main/README.md", REVISIONS),
    (
        rf"^api/models/{REPO}/xet-(?:read|write)-token(?:/(?P<rest>.*))?$",
        "GET /api/models/{creator}/{slug}/xet-write-token/main",
        ">>>>> >>>>> 1>>-> 1>>-> >>>>> 1----",
    ),
    (rf"^api/models/{REPO}/(?P<rest>.*)$", "GET /api/models/{creator}/{slug}/nothing", NOTHING),
    (rf"^(?:api/)?(?:{OTHERS})/(?P<rest>.+)$", "GET /api/datasets/{creator}/{slug}", "1----"),
    (r"^api/(?P<rest>.*)$", "GET /api/nothing", "-----"),
    (rf"^{REPO}/(?:resolve|raw)(?:/(?P<rest>.*))?$", "GET /{creator}/{slug}/resolve", NOTHING),
    (rf"^{REPO}/(?:blob|tree|commits?|discussions)(?:/(?P<rest>.*))?$", "GET /{creator}/{slug}/tree/main", ">>>>>"),
    ("api/repos/create", "POST /api/repos/create", "1?3??"),
    ("api/repos/delete", "DELETE /api/repos/delete", "1?3??"),
    ("api/repos/move", "POST /api/repos/move", "1?3??"),
    ("api/validate-yaml", "POST /api/validate-yaml", "?????"),
    (rf"^api/models/{REPO}/settings$", "PUT /api/models/{creator}/{slug}/settings", WRITE),
    (rf"^api/models/{REPO}/branch/(?P<branch>.+)$", "POST /api/models/{creator}/{slug}/branch/zz", WRITE),
    (
        rf"^api/models/{REPO}/branch/(?P<branch>.+)$",
        "DELETE /api/models/{creator}/{slug}/branch/{branch}",
        "1+33+ 1+33+ 1+3-+ 1+3-+ 1-33- 1-3--",
    ),
    (rf"^api/models/{REPO}/tag/(?P<revision>.+)$", "POST /api/models/{creator}/{slug}/tag/main", PUSH),
    (rf"^api/models/{REPO}/tag/(?P<revision>.+)$", "DELETE /api/models/{creator}/{slug}/tag/zz", "1-33- 1-33- 1-3-- 1-3-- 1-33- 1-3--"),
    (rf"^api/models/{REPO}/preupload/(?P<revision>.+)$", "POST /api/models/{creator}/{slug}/preupload/main", PUSH),
    (rf"^api/models/{REPO}/commit/(?P<revision>.+)$", "POST /api/models/{creator}/{slug}/commit/{branch}", PUSH),
    (rf"^{REPO}\.git/info/lfs/objects/batch$", "POST /{creator}/{slug}.git/info/lfs/objects/batch", PUSH),
    ("_lfs/complete", "POST /_lfs/complete", "33333"),
    ("_lfs/verify", "POST /_lfs/verify", "1?3??"),
]
