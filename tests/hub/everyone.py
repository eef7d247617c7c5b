"""Everybody who may call, and one model in every condition, each with all that has an address. For tests that ask every route."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from django.contrib.auth.models import Group
from django.test import Client
from safetensors.numpy import save_file

from inference import terms
from inference.models import Merge, Purpose
from registry import catalog, uploads
from registry.models import Collection, File, Review, Token, User
from tests import imagerows, toolimages
from tests.factories import UserFactory, VersionFactory
from tests.merges import ready
from tests.pictures import rendered, specs

PEOPLE = ("nobody", "owner", "reader", "other", "moderator")
"""The reader is the owner's token of scope read, without a session."""
NEXT = "next"
"""A draft version of a published entry: the entry may be known, the version may not."""
CONDITIONS = ("public", "unlisted", "private", "draft", "withdrawn", "deleted")
GROUP = "group"
"""Published for the members of a group, to which its owner and the member belong."""
HIDDEN = ("private", "draft", GROUP)
"""What only its owner and moderators may know of; of the last the group, too."""


@dataclass(frozen=True)
class Thing:
    """A model in one condition, by what addresses call it. Everything but the previews was asked for by its owner."""

    entry: str
    slug: str
    version: str
    branch: str
    file: str
    name: str
    sha256: str
    begun: str
    upload: str
    shot: str
    picture: str
    previews: str
    render: str
    own_picture: str
    merge: str
    review: str
    collection: str
    image: str
    creator: str = "ada"

    def address(self, template: str, **more: str) -> str:
        return template.format(**asdict(self), **more)

    def missing(self) -> Thing:
        """Names of the same length that nobody ever gave."""
        names = {key: _nobodys(value) for key, value in asdict(self).items() if key not in {"creator", "branch", "name"}}
        return Thing(**{**asdict(self), **names})


def _nobodys(name: str) -> str:
    if name.isdigit():
        return "9" * len(name)
    if len(name) in {36, 64}:  # an upload's UUID, a SHA-256
        return "".join("f" if char in "0123456789abcdef" else char for char in name)
    return "z" * len(name)


@dataclass(frozen=True)
class Everyone:
    """Clients of all people, a thing in each condition, and the rows that no condition applies to."""

    clients: dict[str, Client]
    things: dict[str, Thing]
    token: str


def gather(folder: Path) -> Everyone:
    """Makes all of them: rows, and the bytes in the local stores. `folder` is for scratch."""
    owner, other = UserFactory(username="ada", max_rating=16), UserFactory(username="eve")
    moderator = UserFactory(username="mod", is_moderator=True)
    member = UserFactory(username="kit")
    Group.objects.create(name="makers").user_set.add(owner, member)
    _raise_ids()
    clients = {
        "nobody": Client(),
        "owner": _client(owner),
        "other": _client(other),
        "moderator": _client(moderator),
        "member": _client(member),
    }
    secret = Token.issue(owner, "tests", "read")[1]
    clients["reader"] = Client(headers={"Authorization": f"Bearer {secret}"})
    token = Token.issue(owner, "to revoke", "read")[0]
    return Everyone(
        clients, {name: _thing(owner, name, place, folder) for place, name in enumerate((*CONDITIONS, NEXT, GROUP))}, str(token.pk)
    )


def _raise_ids() -> None:
    """Ids of several digits: a page holds many a lone 1 that names nothing."""
    from django.db import connection

    later = "SELECT setval(s, greatest(nextval(s), 70000)) FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS s) AS found"
    with connection.cursor() as cursor:
        for table in (
            "registry_entry",
            "registry_version",
            "registry_file",
            "registry_review",
            "registry_collection",
            "registry_userimage",
            "inference_render",
            "inference_merge",
            "inference_shot",
        ):
            cursor.execute(later, [table])


def _client(user: User) -> Client:
    """Signed in, and with a token that may write: pages read the one, programs send the other."""
    client = Client(headers={"Authorization": f"Bearer {Token.issue(user, 'tests', 'write')[1]}"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _thing(owner: User, condition: str, place: int, folder: Path) -> Thing:
    file = _file(owner, condition, place, folder)
    version, entry = file.version, file.version.entry
    begun = uploads.begin(version, owner, "more.safetensors", 1000 + place, "")
    previews = rendered(file, specs(1, 64, steps=4 + place))
    render = rendered(file, specs(1, 64, steps=40 + place), purpose=Purpose.TXT2IMG, owner=owner)
    recipe, licence = {"method": "weighted_sum", "multiplier": 0.3}, terms.terms_of(entry).to_json()
    merge = Merge.objects.create(owner=owner, recipe=recipe, licence=licence, file_name="blend.safetensors")
    review = Review.objects.create(version=version, author=UserFactory(), positive=True)
    collection = Collection.objects.create(owner=owner, name=condition)
    said = {"prompt": json.dumps(toolimages.GRAPH), "place": str(place)}
    image = imagerows.shown(owner, version, toolimages.png(said))
    if condition == "withdrawn":
        catalog.withdraw(version, "made by mistake")
    if condition == "deleted":
        catalog.delete_entry(entry, "asked by its creator")
    return Thing(
        entry=str(entry.pk), slug=entry.slug, version=str(version.pk), branch=version.branch, file=str(file.pk), name=file.name,
        sha256=file.sha256, begun=str(begun.file_id), upload=str(begun.pk), previews=str(previews.pk), shot=str(previews.shots.get().pk),
        picture=previews.shots.get().picture.sha256, render=str(render.pk), own_picture=render.shots.get().picture.sha256,
        merge=str(merge.pk), review=str(review.pk), collection=str(collection.pk), image=str(image.pk),
    )  # fmt: skip


def _file(owner: User, condition: str, place: int, folder: Path) -> File:
    """A ready file with real bytes; its tensors are those that a scan found in them."""
    path = folder / f"lantern-{condition}.safetensors"
    save_file({"lantern": np.full((4, 4), place, np.float16)}, path)
    visibility = condition if condition in {"unlisted", "private", GROUP} else "public"
    group = Group.objects.get(name="makers") if condition == GROUP else None
    names = {"group": group, "name": f"Lantern {condition}", "slug": f"lantern-{condition}", "visibility": visibility}
    file = ready(owner, path, published=condition != "draft", **names)
    if condition == NEXT:
        File.objects.filter(pk=file.pk).update(version=VersionFactory(entry=file.version.entry, name="v2"))
    return File.objects.select_related("blob", "version__entry__owner").get(pk=file.pk)
