"""GET /api/v1/model-files/{id}/tensor-metadata: the tensors of a file in the words of that site. Reading them is `registry.panel`."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.api.civitai import parameters, vocabulary
from hub.api.civitai.answers import ApiError, answer, endpoint
from registry import panel, queries
from registry.models import File, User
from registry.panel import Panel, TensorRow

FOR_EVER = "public, max-age=31536000, s-maxage=31536000, immutable"
"""The bytes of a file never change. Only for what everybody may see, read from the bytes themselves."""
PRECISIONS = (
    (re.compile(r"F8"), "FP8"),
    (re.compile(r"F(\d+)$"), "FP{}"),
    (re.compile(r"I(\d+)$"), "INT{}"),
    (re.compile(r"U(\d+)$"), "UINT{}"),
)


@endpoint
def tensor_metadata(request: HttpRequest, user: User | None, file_id: str) -> HttpResponse:
    """Whoever may know of the file may ask, of a sealed one too: then it is what the scan wrote down. 422 for too many tensors."""
    number = parameters.read_id(file_id, "file")
    summary = bool(parameters.yes_or_no(request.GET, "summaryOnly"))
    file = File.kept.select_related("blob", "version__entry").filter(pk=number).first()
    if file is None or not queries.may_see_file(user, file):
        raise ApiError(404, "File not found")
    try:
        found = panel.of_file(file)
    except panel.TooMany as error:
        raise ApiError(422, str(error)) from None
    if found is None:
        raise ApiError(400, "File format is not supported: no tensors are known of this file.")
    response = answer(_shape(file, found, summary=summary))
    if found.source == "header" and queries.may_see_file(None, file):
        response["Cache-Control"] = FOR_EVER
    return response


def _shape(file: File, found: Panel, *, summary: bool) -> dict[str, Any]:
    """`vramEstimate` is null: what a picture takes depends on the program that makes it, and this hub has not measured theirs."""
    totals = sorted(found.dtypes, key=lambda total: (-total.bytes, total.name))
    largest = max(found.rows, key=lambda row: row.bytes, default=None)
    data = {
        "format": vocabulary.FORMAT_OF_CONTAINER.get(file.blob.container if file.blob else "", "Other"),
        "tensorCount": found.whole.tensors,
        "totalTensorBytes": found.whole.bytes,
        "dtypeCounts": [{"dtype": total.name, "count": total.tensors, "bytes": total.bytes} for total in totals],
        "weightPrecision": _precision({total.name: total.bytes for total in totals}),
        "largestTensor": _tensor(largest) if largest else None,
        "vramEstimate": None,
    }
    return data if summary else {**data, "tensors": [_tensor(row) for row in found.rows]}


def _tensor(row: TensorRow) -> dict[str, Any]:
    """Halves of characters, which a hostile header may hold in a name, are no JSON: they become question marks."""
    return {"name": row.name.encode(errors="replace").decode(), "shape": row.shape, "dtype": row.dtype, "sizeBytes": row.bytes}


def _precision(bytes_of: dict[str, int]) -> str | None:
    """ "FP16" where most bytes are of F16; the two kinds of F8 count together."""
    sums: dict[str, int] = {}
    for dtype, size in bytes_of.items():
        if size:
            sums[_word(dtype)] = sums.get(_word(dtype), 0) + size
    return max(sums, key=lambda word: sums[word], default=None)


def _word(dtype: str) -> str:
    matches = ((pattern.match(dtype), word) for pattern, word in PRECISIONS)
    return next((word.format(*found.groups()) for found, word in matches if found), dtype)
