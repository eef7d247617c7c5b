"""The page of one model: its versions, files and everything a visitor decides by; and its tombstone. Changes are `changes.py`'s."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub import licences
from hub.licences import Licence, Permission
from hub.web import access, filelist, needed, previews, reasons, renderforms, social, using, wishes, words
from hub.web.filelist import FileRow
from hub.web.previews import Shown
from hub.web.renderforms import RenderForm
from hub.wishes import NO_WISH, Wish
from registry import agreements, catalog, queries
from registry.agreements import Question
from registry.identify.agreement import agrees
from registry.models import Entry, File, Status, Tag, Version


@dataclass
class ModelPage:
    """What the template reads."""

    entry: Entry
    versions: list[Version]
    version: Version | None
    may_edit: bool
    rows: list[FileRow] = field(default_factory=list)
    licence: list[tuple[bool, str]] = field(default_factory=list)
    settings: list[tuple[str, Any]] = field(default_factory=list)
    detected: dict[str, Any] = field(default_factory=dict)
    waits_for: str = ""
    contradictions: list[Question] = field(default_factory=list)
    previews: Shown | None = None
    try_form: RenderForm | None = None
    ways: using.Ways | None = None
    needs: needed.Needs | None = None
    card: social.Card | None = None
    wish: Wish = NO_WISH
    wanted_file: int | None = None

    @property
    def questions(self) -> list[Question]:
        """What the creator is asked."""
        return [one for one in self.contradictions if not one.answered]

    @property
    def best(self) -> FileRow | None:
        return next((row for row in self.rows if row.recommended), None)

    @property
    def why(self) -> list[str]:
        """Why the recommended file is the one for this visitor, a sentence each."""
        return reasons.of(self.best, self.rows, self.wish) if self.best else []

    @property
    def changelog(self) -> list[Version]:
        """Other versions that say what is new in them."""
        return [version for version in self.versions if version.description and version is not self.version]

    @property
    def permissions(self) -> list[Permission]:
        return licences.permissions(self.entry)

    @property
    def named_licence(self) -> Licence | None:
        return licences.licence_of(self.entry)

    @property
    def settings_text(self) -> str:
        return words.settings_text(self.version, self.words) if self.version else ""

    @property
    def words(self) -> str:
        """What a prompt of A1111 says to use it: the file's name and the trigger words."""
        return self.ways.words if self.ways else ", ".join(self.version.trigger_words) if self.version else ""

    @property
    def wish_fields(self) -> list[wishes.Field]:
        return wishes.fields(self.wish)

    @cached_property
    def tags(self) -> list[Tag]:
        return list(self.entry.tags.all())

    @property
    def gone(self) -> bool:
        return self.entry.gone or (self.version is not None and self.version.gone)

    @property
    def reason(self) -> str:
        if self.entry.gone:
            return self.entry.deleted_reason
        return self.version.withdrawn_reason if self.version else ""

    @property
    def confirmed(self) -> bool:
        """The tensors prove what the creator says of the base model."""
        return self.version is not None and agrees(self.version.base_model, self.detected) is True and not self.contradictions


@require_safe
def show(request: HttpRequest, creator: str, slug: str, version: int | None = None) -> HttpResponse:
    entry = access.entry_or_404(request, owner__username__iexact=creator, slug=slug)
    may_edit = queries.may_edit(request.user, entry)
    if closed := access.above_limit(request, entry):
        return closed
    file = _number(request.GET.get("file"))
    wanted = version or _number(request.GET.get("version")) or _version_of(entry, file)
    page = assemble(entry, wanted, may_edit, wishes.of(request))
    page.wanted_file = file
    if version and (page.version is None or page.version.pk != version):
        raise Http404
    if page.version and page.best and not page.gone:
        page.ways = using.ways_for(request, page.version, page.best.file, [row.file for row in page.rows])
        page.card = social.card_of(request, entry, page.version)
        page.needs = needed.of(request, page.version, page.best.file, page.wish)
    if request.user.is_authenticated and page.version and page.best and entry.kind in renderforms.KINDS:
        page.try_form = renderforms.blank(page.version, page.previews.gallery if page.previews else None)
    return render(request, "catalog/tombstone.html" if page.gone else "catalog/model.html", {"page": page, "entry": entry})


def assemble(entry: Entry, wanted: int | None, may_edit: bool, wish: Wish = NO_WISH) -> ModelPage:
    """The page of an entry at a version; drafts only where the visitor may edit. A constant number of queries."""
    versions = [version for version in entry.versions.all() if may_edit or version.status != Status.DRAFT]
    for version in versions:
        version.entry = entry
    chosen = next((version for version in versions if version.pk == wanted), None) or _first(versions)
    shown = [version for version in versions if may_edit or not version.deleted_at or version is chosen]
    page = ModelPage(entry, shown, chosen, may_edit, wish=wish)
    if chosen is None:
        return page
    page.rows = filelist.rows_of(chosen, None if may_edit else queries.SHOWN_TO_ALL, wish)
    page.detected = filelist.detected_base(page.rows)
    page.contradictions = agreements.contradictions(chosen, [row.file for row in page.rows])
    page.licence = words.licence(entry)
    page.settings = words.settings_rows(chosen.settings)
    if not page.gone:
        page.previews = previews.shown(chosen, may_edit)
    if may_edit and chosen.status != Status.PUBLISHED:
        page.waits_for = catalog.waits_for([row.file for row in page.rows]) or agreements.request_for(page.questions)
    return page


def _first(versions: list[Version]) -> Version | None:
    """The newest published version, else a draft, else whatever is left of it."""
    order = {Status.PUBLISHED: 0, Status.DRAFT: 1, Status.WITHDRAWN: 2}
    return min(
        versions, key=lambda version: (version.deleted_at is not None, order[Status(version.status)], version.position), default=None
    )


def _version_of(entry: Entry, file: int | None) -> int | None:
    """The version of an address that names a file alone. Whether the visitor may see it is asked where it is shown."""
    return File.kept.filter(pk=file, version__entry=entry).values_list("version_id", flat=True).first() if file else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
