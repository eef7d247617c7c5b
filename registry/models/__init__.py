"""The registry's tables, gathered so that callers write `from registry.models import Entry`."""

from registry.models.catalog import (
    CLOSED,
    CommercialUse,
    DownloadCount,
    Entry,
    KeptDeclaration,
    Kind,
    SearchWord,
    Status,
    Subject,
    Tag,
    Version,
    Visibility,
)
from registry.models.commits import Commit, CommitTag, SmallFile
from registry.models.community import Collected, Collection, Decision, Follow, Note, Report, Reported, ReportReason, Review
from registry.models.facts import EntryFacts
from registry.models.files import Blob, BlobHash, File, Role, TensorDigests, TensorIndex, TimelineStep, Upload, Verdict
from registry.models.images import StoredImage, UserImage
from registry.models.living import Living
from registry.models.people import Rating, Scope, Token, User

__all__ = [
    "CLOSED",
    "Blob",
    "BlobHash",
    "Collected",
    "Collection",
    "CommercialUse",
    "Commit",
    "CommitTag",
    "Decision",
    "DownloadCount",
    "Entry",
    "EntryFacts",
    "File",
    "Follow",
    "KeptDeclaration",
    "Kind",
    "Living",
    "Note",
    "Rating",
    "Report",
    "ReportReason",
    "Reported",
    "Review",
    "Role",
    "Scope",
    "SearchWord",
    "SmallFile",
    "Status",
    "StoredImage",
    "Subject",
    "Tag",
    "TensorDigests",
    "TensorIndex",
    "TimelineStep",
    "Token",
    "Upload",
    "User",
    "UserImage",
    "Verdict",
    "Version",
    "Visibility",
]
