"""The Civitai routes described as an OpenAPI 3.1 document, written as data: which address takes what and answers what. Serves itself.

The views are plain Django and know nothing of it; a test asks them with what is written here and holds their answers against it.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.api.civitai import vocabulary
from hub.api.civitai.answers import answer, endpoint
from hub.api.civitai.openapi_shapes import SCHEMAS, array, ref
from hub.api.civitai.parameters import MAX_ID
from registry.models import User

Json = dict[str, Any]
ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
TEXTS: Json = {"type": "array", "items": TEXT, "maxItems": 5}
IDS = {"type": "array", "items": ID, "maxItems": 20}
SAYS = {
    400: "Something of the question cannot be read; the sentence names what it may be.",
    401: "Sign in: send a token.",
    403: "The file is held back or sealed.",
    404: "It does not exist, or is not yours to see.",
    410: "It was withdrawn or deleted.",
    413: "The body is longer than any question needs.",
    422: "Too much to answer at once.",
    429: "So deep a page is not served: walk by cursor.",
    503: "The safetensors copy is still being checked: come again after Retry-After seconds.",
}


def query(name: str, schema: Json, about: str = "") -> Json:
    """One parameter of a query string."""
    data = {"name": name, "in": "query", "schema": schema}
    return {**data, "description": about} if about else data


def one(name: str, about: str) -> Json:
    """The id in an address."""
    return {"name": name, "in": "path", "required": True, "schema": ID, "description": about}


def words(values: Any) -> Json:
    return {"type": "string", "enum": list(values)}


def some(values: Any) -> Json:
    return {"type": "array", "items": words(values), "maxItems": 5}


def operation(name: str, summary: str, result: Json, *wrong: int, parameters: tuple[Json, ...] = (), body: Json | None = None) -> Json:
    """A GET or POST that answers 200 with `result`, and `wrong` statuses with `{"error": ...}`."""
    good = {"200": {"description": "Found.", "content": {"application/json": {"schema": result}}}}
    data: Json = {"operationId": name, "summary": summary, "tags": ["Civitai v1"], "responses": {**good, **errors(*wrong)}}
    if parameters:
        data["parameters"] = list(parameters)
    if body is not None:
        data["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return data


def errors(*statuses: int) -> Json:
    content = {"application/json": {"schema": ref("Error")}}
    return {str(status): {"description": SAYS[status], "content": content} for status in statuses}


LIMIT = query("limit", {"type": "integer", "minimum": 0, "maximum": 100})
PAGE = query("page", {"type": "integer", "minimum": 1, "maximum": 10_000}, "Of the first 1,000 only; beyond by cursor.")
CURSOR = query("cursor", TEXT, "`nextCursor` of the page before, with the same question.")
SORT = query("sort", words(vocabulary.SORTS))
PERIOD = query("period", words(vocabulary.PERIOD_DAYS))
NUMBERED = (
    query("limit", {"type": "integer", "minimum": 1, "maximum": 200}),
    query("page", {"type": "integer", "minimum": 1, "maximum": 1000}),
    query("query", TEXT, "Part of the name."),
)
MODELS = (
    LIMIT, PAGE, CURSOR, query("query", TEXT, "Words, the beginning of one, or a hash of 8 and more digits."), query("tag", TEXT),
    query("username", TEXT), query("types", some(vocabulary.MODEL_TYPES)), query("baseModels", TEXTS),
    query("ids", IDS), query("modelVersionIds", IDS), query("fileFormats", some(vocabulary.FORMATS)),
    query("availability", some(vocabulary.AVAILABILITIES)), query("allowCommercialUse", some(vocabulary.COMMERCIAL_USES)),
    query("allowNoCredit", FLAG), query("allowDerivatives", FLAG), query("allowDifferentLicense", FLAG), SORT, PERIOD, query("nsfw", FLAG),
    query("primaryFileOnly", FLAG), query("favorites", FLAG, "Needs a token; the hub keeps none."), query("hidden", FLAG, "Needs a token."),
)  # fmt: skip
IMAGES = (
    LIMIT, PAGE, CURSOR, query("imageId", ID), query("modelId", ID), query("modelVersionId", ID), query("postId", ID),
    query("username", TEXT), query("userId", ID), query("ids", IDS), query("baseModels", TEXTS), query("withMeta", FLAG),
    query("flatMeta", FLAG), query("requiringMeta", FLAG), query("withTags", FLAG),
)  # fmt: skip
FILE_CHOICE = (
    query("fileId", ID, "Exactly this file."), query("type", words(vocabulary.FILE_TYPES)), query("format", words(vocabulary.FORMATS)),
    query("size", words(vocabulary.SIZES)), query("fp", words(vocabulary.PRECISIONS)), query("quantType", TEXT),
)  # fmt: skip
HASH = {"name": "hash", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9A-Fa-f]{8,64}$"}}
HASHES = {"type": "array", "items": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}}
VERSION = one("modelVersionId", "Of a version.")
CHECK = (
    query("entityType", words(["ModelVersion"])), query("entityIds", IDS), query("permission", words(["Generate"])), query("userId", ID),
)  # fmt: skip
BY_MODEL = operation("model", "One model, of any rating", ref("Model"), 400, 404, parameters=(one("modelId", "Of a model."),))
BY_HASH = operation("version_by_hash", "The version that holds a file, by any of its hashes", ref("ModelVersion"), 404, parameters=(HASH,))
FILE_TENSORS = operation(
    "tensor_metadata", "The tensors of a file", ref("TensorMetadata"), 400, 404, 422,
    parameters=(one("fileId", "Of a file."), query("summaryOnly", FLAG)),
)  # fmt: skip
MINI = operation(
    "mini", "What fetching one file needs", ref("Mini"), 400, 404, parameters=(VERSION, query("modelFileId", ID)),
)  # fmt: skip
DOWNLOAD: Json = {
    "operationId": "download",
    "summary": "To the bytes of a version's file",
    "description": "A pickle's safetensors copy unless the pickle is asked for. Counted once; the address that it leads to expires.",
    "tags": ["Civitai v1"],
    "parameters": [VERSION, *FILE_CHOICE],
    "responses": {
        "307": {"description": "To a signed address.", "headers": {"Location": {"required": True, "schema": TEXT}}},
        **errors(400, 403, 404, 410, 503),
    },
}
OF_HASHES = (
    operation("versions_by_hash", "Versions of up to 100 SHA-256", array(ref("ModelVersion")), 400, 413, body={**HASHES, "maxItems": 100}),
    operation("ids_by_hash", "Ids of up to 10,000 SHA-256", array(ref("HashIds")), 400, 413, body={**HASHES, "maxItems": 10_000}),
)
PATHS: Json = {
    "/api/v1/models": {"get": operation("models", "Listed models", ref("Models"), 400, 401, 429, parameters=MODELS)},
    "/api/v1/models/{modelId}": {"get": BY_MODEL},
    "/api/v1/model-versions/{modelVersionId}": {
        "get": operation("version", "One version", ref("ModelVersion"), 400, 404, parameters=(VERSION,))
    },
    "/api/v1/model-versions/mini/{modelVersionId}": {"get": MINI},
    "/api/v1/model-versions/by-hash/{hash}": {"get": BY_HASH},
    "/api/v1/model-versions/by-hash": {"post": OF_HASHES[0]},
    "/api/v1/model-versions/by-hash/ids": {"post": OF_HASHES[1]},
    "/api/v1/model-files/{fileId}/tensor-metadata": {"get": FILE_TENSORS},
    "/api/v1/images": {
        "get": operation(
            "images", "Previews that the hub rendered, and images that people attached", ref("Images"), 400, 429, parameters=IMAGES
        )
    },
    "/api/v1/creators": {"get": operation("creators", "Who published something", ref("Creators"), 400, parameters=NUMBERED)},
    "/api/v1/tags": {"get": operation("tags", "Tags of listed models", ref("Tags"), 400, parameters=NUMBERED)},
    "/api/v1/users": {"get": operation("users", "Names", ref("Users"), 400, parameters=(query("ids", IDS), query("query", TEXT)))},
    "/api/v1/me": {"get": operation("me", "Who asks", ref("Me"), 401)},
    "/api/v1/enums": {"get": operation("enums", "The words that lists may be asked by", ref("Enums"))},
    "/api/v1/permissions/check": {
        "get": operation("permissions", "Of which versions the caller may have pictures made", ref("Permissions"), 400, parameters=CHECK)
    },
    "/api/download/models/{modelVersionId}": {"get": DOWNLOAD},
}
DOCUMENT: Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "Weighhouse, as Civitai's API v1",
        "version": "1",
        "description": "What programs made for Civitai ask. Lists may be repeated, joined by commas or written `key[]`. "
        "A token is optional: what is not public is found with one only. Unknown tokens are nobody's, not an error.",
    },
    "paths": PATHS,
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Made on the account page; also as `?token=`."}},
    },
    "security": [{}, {"token": []}],
}


@endpoint
def document(request: HttpRequest, user: User | None) -> HttpResponse:
    """GET /api/v1/openapi.json"""
    return answer(DOCUMENT)
