"""Pages by their number, for the short lists of people and tags: which one was asked for, and what is told beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict

from hub.api.civitai import parameters
from hub.downloads import origin_of

USUAL_LIMIT, MAX_LIMIT, MAX_PAGE = 20, 200, 1_000_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """One page: `query` is a part of the name that was asked for, or ""."""

    limit: int
    page: int
    query: str

    @property
    def window(self) -> slice:
        return slice((self.page - 1) * self.limit, self.page * self.limit)


def read(given: QueryDict) -> Numbered:
    """Raises `ApiError` 400 naming the parameter and what it may be."""
    given = parameters.without_nul(given)
    limit = parameters.whole_number(given, "limit", USUAL_LIMIT, 1, MAX_LIMIT)
    return Numbered(limit, parameters.whole_number(given, "page", 1, 1, MAX_PAGE), (given.get("query") or "").strip()[:100])


def metadata(request: HttpRequest, asked: Numbered, total: int) -> dict[str, Any]:
    """Counts, and the addresses of the pages before and behind, where there are such; a token in the query is not repeated."""
    pages = -(-total // asked.limit)
    data: dict[str, Any] = {"totalItems": total, "currentPage": asked.page, "pageSize": asked.limit, "totalPages": pages}
    if asked.page < pages:
        data["nextPage"] = _address(request, asked.page + 1)
    if asked.page > 1:
        data["prevPage"] = _address(request, min(asked.page - 1, max(pages, 1)))
    return data


def _address(request: HttpRequest, page: int) -> str:
    query = request.GET.copy()
    query.pop("token", None)
    query["page"] = str(page)
    return f"{origin_of(request)}{request.path}?{query.urlencode()}"
