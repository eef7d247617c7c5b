"""Reviews on pages: the list of a version, writing one, answering and hiding. Rules are `registry.reviews`'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from hub import pace
from hub.said import said
from hub.web import access
from hub.web.imagepage import Tile
from registry import queries, reviews
from registry.formats.plaintext import printable
from registry.lifecycle import ImageState
from registry.models import Review, User, UserImage, Version
from registry.models.community import MAX_REVIEW
from registry.ratings import sight_of

PAGE = 20
FEW = 3
"""Reviews on a page of reviews, and on the model's page."""
ORDERS = {"newest": reviews.newest_first, "positive": reviews.best_first}
CURSOR = re.compile(r"([01])-(\d{1,18})", re.ASCII)


class PictureField(forms.ModelChoiceField):
    def label_from_instance(self, obj: UserImage) -> str:
        return f"{printable(obj.name, 60)} ({date(obj.created_at, 'DATE_FORMAT')})"


class ReviewForm(forms.Form):
    """A thumb and what one says to it."""

    positive = forms.TypedChoiceField(
        label=gettext_lazy("Do you recommend this version?"),
        choices=[("1", gettext_lazy("Yes, I recommend it")), ("0", gettext_lazy("No, I do not"))],
        coerce=lambda value: value == "1",
        widget=forms.RadioSelect,
    )
    text = forms.CharField(
        label=gettext_lazy("What should others know?"),
        required=False,
        max_length=MAX_REVIEW,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("Markdown. What you made with it, with which settings, what went well and what did not."),
    )
    image = PictureField(
        UserImage.objects.none(),
        label=gettext_lazy("A picture as proof"),
        required=False,
        empty_label=gettext_lazy("None"),
        help_text=gettext_lazy("One of the images that you attached to this version."),
    )

    def __init__(self, *args: Any, user: Any, version: Version, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["image"].queryset = reviews.pictures_for(user, version)  # type: ignore[attr-defined]


@dataclass
class Listing:
    """Reviews of a version as the templates read them. `mine` is the visitor's own review, `why_not` says why they can write none."""

    version: Version
    rows: list[Review]
    mine: Review | None
    form: ReviewForm | None
    why_not: str
    order: str = "newest"
    after: str = ""
    is_owner: bool = False
    moderates: bool = False

    @property
    def total(self) -> int:
        return self.version.thumbs_up + self.version.thumbs_down

    @property
    def share(self) -> int:
        """Per cent of thumbs up."""
        return round(100 * self.version.thumbs_up / self.total) if self.total else 0


def listing(user: Any, version: Version, *, order: str = "newest", after: str = "", size: int = PAGE) -> Listing:
    """A page of reviews behind the cursor `after`, at most `size`. Two queries at most; where nobody said anything none for strangers."""
    place = CURSOR.fullmatch(after)
    found = ORDERS[order](reviews.shown(version, user), (int(place[1]), int(place[2])) if place else None)
    known = user.is_authenticated or version.thumbs_up or version.thumbs_down
    rows = list(found[: size + 1]) if known else []
    mine = Review.objects.filter(version=version, author=user).first() if user.is_authenticated else None
    refusal = reviews.why_not(user, version)
    given = {"positive": str(int(mine.positive)), "text": mine.text, "image": mine.image_id} if mine else None
    form = None if refusal else ReviewForm(initial=given, user=user, version=version)
    add_pictures(user, rows[:size])
    last = rows[size - 1] if len(rows) > size else None
    owner, moderator = queries.is_owner(user, version.entry), queries.is_moderator(user)
    following = f"{int(last.positive)}-{last.pk}" if last else ""
    return Listing(version, rows[:size], mine, form, refusal, order, following, owner, moderator)


def add_pictures(user: Any, rows: list[Review]) -> None:
    """Give each review its `picture` as this visitor may see it: not hidden, not above their limit; None otherwise. No queries."""
    sight = sight_of(user)
    for row in rows:
        image = row.image
        seen = image is not None and image.state == ImageState.SHOWN and image.hidden_at is None and not sight.hides(image.rating)
        row.picture = Tile(image) if image is not None and seen else None  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """The reviews of a version; POST says what I think of it, once or anew."""
    if request.method == "POST" and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    version = access.version_or_404(request, pk)
    if closed := access.above_limit(request, version.entry):
        return closed
    form = ReviewForm(request.POST, user=request.user, version=version) if request.method == "POST" else None
    if form is not None and (answered := _saved(request, version, form)):
        return answered
    order = request.GET.get("order", "")
    shown = listing(request.user, version, order=order if order in ORDERS else "newest", after=request.GET.get("after", ""))
    shown.form = form or shown.form
    context = {"reviews": shown, "version": version, "entry": version.entry}
    return render(request, "community/reviews_page.html", context, status=422 if form else 200)


def _saved(request: HttpRequest, version: Version, form: ReviewForm) -> HttpResponse | None:
    """Where a good review leads; None for a form to be looked at again."""
    if refusal := reviews.why_not(request.user, version):
        raise PermissionDenied(refusal)
    if not form.is_valid():
        return None
    if not pace.allowed(request, "review"):
        form.add_error(None, _("You have written many reviews within an hour. Go on a little later."))
        return None
    user: Any = request.user
    reviews.give(user, version, **form.cleaned_data)
    messages.success(request, _("Thank you: your review is saved."))
    return redirect("reviews", version.pk)


@login_required
@require_POST
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete my review of a version."""
    version = access.version_or_404(request, pk)
    user: Any = request.user
    if reviews.take_back(user, version):
        messages.success(request, _("Your review is deleted."))
    return redirect("reviews", pk)


@login_required
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, lambda user, review: reviews.answer(user, review, request.POST.get("text", "").replace("\x00", "")))


@login_required
@require_POST
def hide(request: HttpRequest, pk: int) -> HttpResponse:
    """Hide a review for a reason, or show it again."""
    if request.POST.get("again"):
        return _act(request, pk, reviews.show_again)
    return _act(request, pk, lambda user, review: reviews.hide(user, review, request.POST.get("reason", "").replace("\x00", "")))


def review_or_404(user: User, pk: int) -> Review:
    """A review that this visitor reads: of a version that is theirs to read, and not hidden from them."""
    review = Review.objects.select_related("author", "version__entry__owner").filter(pk=pk).first()
    if review is None or not queries.may_read_version(user, review.version):
        raise Http404
    if review.hidden_at and not queries.is_moderator(user) and review.author_id != user.pk:
        raise Http404
    return review


def _act(request: HttpRequest, pk: int, act: Any) -> HttpResponse:
    user: Any = request.user
    review = review_or_404(user, pk)
    try:
        act(user, review)
        messages.success(request, _("Done."))
    except reviews.NoReview as refusal:
        if refusal.status == 403:
            raise PermissionDenied(said(refusal.sentence)) from None
        messages.error(request, said(refusal.sentence))
    return redirect(f"/model-versions/{review.version_id}/reviews#review-{pk}")
