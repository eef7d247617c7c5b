"""More of everything beside one model: what lists, pages and answers hold grows by the same number in every table. For counting queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from hub.api.huggingface import trees
from inference.models import Derivative, Merge, MergeInput, Purpose, Render, Shot
from registry import commits, facts, indexing, reviews
from registry.models import (
    Blob,
    BlobHash,
    Collected,
    Collection,
    Commit,
    CommitTag,
    Entry,
    File,
    Follow,
    KeptDeclaration,
    Kind,
    Note,
    Report,
    Review,
    Tag,
    TensorDigests,
    TensorIndex,
    TimelineStep,
    Token,
    Upload,
    User,
    UserImage,
    Version,
)
from scanner.models import Disagreement, Release, Rescan, ScanReport
from tests.factories import BlobFactory, EntryFactory, FileFactory, UserFactory, VersionFactory

BASE = "SD 1.5"
FAR = timezone.now() + timedelta(days=3)


class Crowd:
    """All that hangs on one model `main` of `owner`, and models beside it. `grow` adds to every list; bytes are those of `main`."""

    def __init__(self, version: Version, collection: Collection) -> None:
        self.version, self.entry, self.owner = version, version.entry, version.entry.owner
        self.collection = collection
        self.file = version.files.select_related("blob").filter(state="ready").get()
        self.image = UserImage.objects.filter(version=version).get()
        self.shots = list(Shot.objects.filter(render__version=version, picture__isnull=False))
        self.merge = Merge.objects.filter(owner=self.owner).order_by("pk").first()
        self.grown = 0

    def grow(self, times: int) -> None:
        """`times` more rows of each kind wherever pages list them, and then what is computed of them."""
        for _ in range(times):
            self.grown += 1
            self._once(f"{self.grown:02}")
        for version in Version.objects.filter(entry__owner__username__in=["ada", *_names(self.grown)]):
            reviews.count(version)
        entries = list(Entry.objects.values_list("pk", flat=True))
        facts.refresh(entries)
        indexing.index(entries)
        trees.heads(list(commits.versions_of(self.entry, self.owner)), self.owner)  # frozen by whoever asks first

    def _once(self, name: str) -> None:
        other = UserFactory(username=f"crowd{name}")
        tag = Tag.objects.create(name=f"tag {name}")
        self.entry.tags.add(tag)
        group = Group.objects.create(name=f"group {name}")
        group.user_set.add(self.owner, other)
        Token.issue(self.owner, name, "read")
        for owner, kind in ((self.owner, Kind.CHECKPOINT), (other, Kind.CHECKPOINT), (other, Kind.LORA), (other, Kind.VAE)):
            version = self._entry(owner, kind, name, tag)
            self._hang_on(version, other)
            self._saved(self.owner, version)
        self._entry(other, Kind.CHECKPOINT, f"{name} shared", tag, visibility="group", group=group)
        self._versions(name, other)
        self._files(name)
        self._hang_on(self.version, other)
        self._saved(other, self.version)
        self._jobs(name)
        self._judged(name, other)
        self._reported(other)
        self._commits(name)

    def _entry(self, owner: User, kind: str, name: str, tag: Tag, **more: Any) -> Version:
        """A published model with two versions and a draft, each with files; one file has the bytes of `main`."""
        now = timezone.now()
        words = {"slug": f"{kind}-{name.replace(' ', '-')}", "name": f"Lantern {kind} {name}", "description": "[ours](https://example.org)"}
        entry = EntryFactory(owner=owner, kind=kind, live=True, published_at=now, **words, **more)
        entry.tags.add(tag)
        shown = {"status": "published", "published_at": now, "base_model": BASE}
        first, second = (VersionFactory(entry=entry, name=one, trigger_words=[f"word {name}"], **shown) for one in ("v1", "v2"))
        draft = VersionFactory(entry=entry, name="next", publish_at=FAR)
        FileFactory(version=first, blob=self.file.blob)
        for version in (first, second, draft):
            self._weights(version, f"{kind}-{version.pk}.safetensors")
        MergeInput.objects.create(merge=self._merge(name, result=first.files.first()), role="a", file=self.file, **self._named())
        return first

    def _weights(self, version: Version, name: str) -> File:
        """A file with bytes of its own, hashes and a derived one; only rows."""
        main = self.file.blob
        blob: Blob = BlobFactory(detected=main.detected, size_bytes=main.size_bytes, scanned_at=main.scanned_at)
        BlobHash.objects.bulk_create(
            BlobHash(blob=blob, kind=kind, value=blob.sha256[-64:].upper()) for kind in ("SHA256", "AutoV2", "AutoV3")
        )
        TensorIndex.objects.create(blob=blob, packed=main.tensor_index.packed)
        TensorDigests.objects.create(blob=blob, packed=b"", unet="a" * 64, vae="b" * 64, te="c" * 64)
        file: File = FileFactory(version=version, blob=blob, name=name)
        half = {"keep": "weights", "precision": "fp16"}
        derived = FileFactory(version=version, name=f"half-{name}", role="derived", source=file, recipe=half)
        Derivative.objects.create(source=file, recipe=half, state="made", result=derived)
        Derivative.objects.create(source=file, recipe={"keep": "ema", "precision": "fp16"})
        return file

    def _named(self) -> dict[str, str]:
        return {"sha256": self.file.sha256, "name": self.file.name}

    def _hang_on(self, version: Version, by: User) -> None:
        """A review with an image, previews, and a declaration that its creator keeps."""
        same = {field: getattr(self.image, field) for field in ("file", "name", "state", "rating")}
        image = UserImage.objects.create(version=version, owner=by, **same)
        said = {"text": "**Calm** water.", "answer": "Thank you.", "answered_at": timezone.now()}
        Review.objects.create(version=version, author=by, positive=True, image=image, **said)
        KeptDeclaration.objects.create(version=version, about="base_model", declared=BASE, detected=f"other {by.pk}", reason="it is", by=by)
        self._render(version, version.files.order_by("pk").first(), by, Purpose.PREVIEW)

    def _render(self, version: Version, file: File | None, by: User, purpose: str, state: str = "made") -> None:
        assert file is not None
        render = Render.objects.create(version=version, file=file, owner=by, purpose=purpose, state=state, base=self.file)
        for place, shot in enumerate(self.shots[:1]):
            known = {"spec": shot.spec, "key": shot.key, "picture": shot.picture if state == "made" else None}
            Shot.objects.create(render=render, place=place, **known)

    def _saved(self, by: User, version: Version) -> None:
        Note.objects.create(owner=by, entry=version.entry, text="mine")
        Follow.objects.create(owner=by, entry=version.entry, version=version)
        if version.entry.owner != by:
            Follow.objects.get_or_create(owner=by, creator=version.entry.owner)
        one = Collection.objects.create(owner=by, name=f"list {version.pk}", public=True)
        for collection in (one, self.collection):
            Collected.objects.get_or_create(collection=collection, entry=version.entry)

    def _versions(self, name: str, other: User) -> None:
        for status in ("published", "draft"):
            at = timezone.now() if status == "published" else None
            version = VersionFactory(entry=self.entry, name=f"{status} {name}", status=status, published_at=at, description="*New.*")
            self._weights(version, f"{status}-{name}.safetensors")
            self._hang_on(version, other)

    def _files(self, name: str) -> None:
        """Of `main` itself: another file, one that failed, one that waits, and one that is arriving."""
        self._weights(self.version, f"more-{name}.safetensors")
        FileFactory(version=self.version, state="failed", error="It is cut off.", error_code="file:cut")
        FileFactory(version=self.version, state="queued")
        arriving = FileFactory(version=self.version, state="uploading", blob=None)
        room = {"part_size_bytes": 1000, "part_count": 1, "expires_at": FAR}
        Upload.objects.create(file=arriving, owner=self.owner, **room)
        derived = FileFactory(version=self.version, name=f"bf-{name}.safetensors", role="derived", source=self.file)
        Derivative.objects.create(source=self.file, recipe={"keep": "all", "precision": name}, state="made", result=derived)
        Derivative.objects.create(source=self.file, recipe={"keep": "ema", "precision": name})
        TimelineStep.objects.create(file=self.file, step="hashed", outcome="done", started_at=timezone.now(), finished_at=timezone.now())

    def _merge(self, name: str, **more: Any) -> Merge:
        merge = self.merge
        assert merge is not None
        words = {"recipe": merge.recipe, "licence": merge.licence, "file_name": f"blend {name}.safetensors"}
        return Merge.objects.create(owner=self.owner, **words, **({"state": "made"} if more else {}), **more)

    def _jobs(self, name: str) -> None:
        """Merges and renders that the owner asked for, waiting and failed."""
        for state in ("wanted", "failed"):
            merge = self._merge(name)
            Merge.objects.filter(pk=merge.pk).update(state=state, entry=self.entry)
            for role in "abc":
                MergeInput.objects.create(merge=merge, role=role, file=self.file, **self._named())
        MergeInput.objects.create(merge=self.merge, role=f"lora:{name}", file=self.file, **self._named())
        for state in ("wanted", "made", "failed"):
            self._render(self.version, self.file, self.owner, Purpose.TXT2IMG, state)

    def _judged(self, name: str, other: User) -> None:
        """Suspicious bytes that wait, released ones, disagreements about them, and rescans that failed."""
        now, report = timezone.now(), {"imports": [{"module": "shop", "name": name, "safety": "suspicious"}], "findings": []}
        for owner, sealed in ((other, True), (other, False), (self.owner, True)):
            blob = BlobFactory(verdict="suspicious", sealed=sealed, released=not sealed, container="torch-zip")
            state = {"state": "quarantined" if sealed else "ready", "moved_at": now}
            FileFactory(version=VersionFactory(entry__owner=owner), blob=blob, **state)
            told = ScanReport.objects.create(blob=blob, verdict="suspicious", scanner="1", policy="1", report=report)
            if not sealed:
                Release.objects.create(blob=blob, names=[f"shop.{name}"], reason="Looked at it.", by=other, by_name="mod")
            Disagreement.objects.create(report=told, blob=blob, tool=f"tool {name}", said="danger", ours="suspicious")
            Rescan.objects.create(blob=blob, reason="asked", state="failed", error="No answer.")
        told = ScanReport.objects.create(blob=self.file.blob, verdict="success", scanner=name, policy="1", report=report | {"imports": []})
        Disagreement.objects.create(report=told, blob=self.file.blob, tool=f"tool {name}", said="danger", ours="success")
        Release.objects.create(blob=self.file.blob, names=[], reason="Once.", by_name="mod", withdrawn_at=now, withdrawn_by_name="mod")

    def _reported(self, other: User) -> None:
        review = Review.objects.filter(version=self.version, author=other).get()
        things = {"model": self.entry.pk, "version": self.version.pk, "image": self.image.pk, "review": review.pk}
        told = {"entry": self.entry, "reason": "other", "title": "Lantern"}
        decided = {"decision": "dismissed", "decided_at": timezone.now(), "decided_by": other, "decided_by_name": other.username}
        for about, thing in things.items():
            Report.objects.create(about=about, thing=thing, owner=self.owner, reporter=other, **told)
            Report.objects.create(about=about, thing=thing, owner=self.owner, reporter=other, **told, **decided)
            Report.objects.create(about=about, thing=thing, owner=other, reporter=self.owner, **told, **decided)
        named = Version.objects.filter(entry__owner=other).first()
        assert named is not None
        Report.objects.create(about="version", thing=named.pk, owner=other, reporter=self.owner, **told | {"entry": named.entry})

    def _commits(self, name: str) -> None:
        newest = Commit.objects.filter(version=self.version).order_by("pk").first()
        tree = newest.tree if newest else []
        commit = Commit.objects.create(sha=f"{int(name):040x}", version=self.version, author=self.owner, title=name, tree=tree)
        CommitTag.objects.create(entry=self.entry, name=f"tag-{name}", commit=commit)


def _names(count: int) -> list[str]:
    return [f"crowd{number:02}" for number in range(1, count + 1)]
