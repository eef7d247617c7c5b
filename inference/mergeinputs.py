"""Which files a person may merge: found, allowed, downloadable and safetensors, asked when a merge is wanted and again when it starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from django.db.models import Q, QuerySet

from inference.twins import CONTAINER, copy_of
from registry import queries
from registry.formats.directory import TensorDirectory
from registry.models import Blob, File, Status, TensorIndex, User
from registry.refusals import Refusal

MAX_TENSORS = 60_000
"""Of all inputs together. A request plans its merge before it answers, and 21,000 tensors take a second; an SDXL checkpoint has 2,500."""
MAX_LISTED = 6 << 20
"""Bytes of the lists of their tensors, all together, that a request unpacks to count them; an SDXL checkpoint's are half a million."""


class NoInput(Refusal):
    """This file cannot be merged, or not by this person."""


@dataclass(frozen=True)
class Input:
    """A file in its role; `note` says where it stands in for the one that was named."""

    role: str
    file: File
    note: str = ""

    @property
    def blob(self) -> Blob:
        """Its bytes. Raises `NoInput` where there are none, which `checked` rules out."""
        if self.file.blob is None:
            raise NoInput("merge:not-ready", f"{self.file.name} has no bytes yet.")
        return self.file.blob

    @cached_property
    def directory(self) -> TensorDirectory:
        """Where its tensors lie. Raises `NoInput` where no scan has told that."""
        index = TensorIndex.objects.filter(blob_id=self.file.blob_id).first()
        if index is None:
            raise NoInput("merge:no-tensors", f"The scan of {self.file.name} found no tensors, so it cannot be merged.")
        return index.directory


def find(user: User, role: str, pk: int) -> Input:
    """The file that this user may merge under `role`, or the safetensors copy of it where it is a pickle.

    Raises `NoInput` `not_found` (404) for what this user may not see, else `merge:withdrawn`, `merge:not-ready`, `merge:not-safetensors`.
    """
    file = File.objects.select_related("blob", "version__entry__owner").filter(pk=pk).first()
    if file is None or not _readable(user, file):
        raise NoInput("not_found", f"{role}: there is no such file, or it is not yours to see.", 404)
    return checked(Input(role, file))


def still_allowed(user: User, role: str, file: File | None, name: str) -> Input:
    """The same question when the merge starts. Raises `NoInput` `merge:input-gone` for what was deleted or hidden meanwhile."""
    if file is None or not _readable(user, file):
        raise NoInput("merge:input-gone", f"{name} was deleted or is not yours to read any more, so nothing was merged.")
    return checked(Input(role, file))


def check_counts(inputs: Iterable[Input]) -> None:
    """Raises `NoInput` `merge:too-many-tensors` for inputs that would keep a request busy for long."""
    inputs = list(inputs)
    # Counted here: what a detection counts are the tensors of the model, without the averages that a file may have any number of.
    indexes = TensorIndex.objects.filter(blob__in=[one.blob for one in inputs])
    if sum(index.unpacked_bytes for index in indexes) > MAX_LISTED:
        raise NoInput("merge:too-many-tensors", "These files describe too many tensors to be merged here. The command line takes more.")
    total = sum(len(one.directory.tensors) for one in inputs)
    if total > MAX_TENSORS:
        text = (
            f"These files hold {total:,} tensors together; files with at most {MAX_TENSORS:,} are merged here. The command line takes more."
        )
        raise NoInput("merge:too-many-tensors", text)


def offered(user: User, cap: int, kinds: Iterable[str]) -> QuerySet[File]:
    """Files of these detected kinds that a page may offer this user to merge: listed up to this rating, or their own, drafts too.

    Whether all of them go together is said when they are chosen.
    """
    listed = Q(version__entry__in=queries.listed().filter(rating__lte=cap), version__status=Status.PUBLISHED)
    own = Q(version__entry__owner=user, version__entry__deleted_at=None) & ~Q(version__status=Status.WITHDRAWN)
    files = queries.downloadable_files().filter(blob__container=CONTAINER, blob__detected__kind__in=list(kinds))
    return files.filter(listed | own, version__deleted_at=None).select_related("blob", "version__entry__owner")


def _readable(user: User, file: File) -> bool:
    return user.is_active and queries.may_see_file(user, file)


def checked(given: Input) -> Input:
    """The same input if its bytes may be read here and are safetensors, else its copy that is. Raises `NoInput`."""
    file = given.file
    if file.version.gone:
        raise NoInput("merge:withdrawn", f"{file.name} was withdrawn or deleted, so it cannot be merged.")
    if file.downloadable and file.blob is not None and file.blob.container == CONTAINER:
        return given
    copy = copy_of(file)
    if copy is not None:
        return Input(given.role, copy, f"{file.name} is no safetensors file; its copy {copy.name} is merged.")
    if not file.downloadable:
        text = f"{file.name} cannot be merged: it is {file.state}. Only files that were found clean and are ready can be."
        raise NoInput("merge:not-ready", text)
    raise NoInput("merge:not-safetensors", f"{file.name} is no safetensors file and has no safetensors copy, so it cannot be merged.")
