"""Rows -> the JSON objects of the Civitai API. Keys without a value are left out and never null where a client would choke on it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hub.api.civitai import air, images, vocabulary
from hub.api.civitai.answers import iso
from hub.api.civitai.choosing import primary
from hub.api.civitai.rows import EntryRow, FileRow, VersionRow
from hub.api.civitai.scans import scan_fields
from hub.templatetags.wording import markdown
from registry.lifecycle import FileState
from registry.models import Status, Visibility

AVAILABILITY = {
    Visibility.PUBLIC: "Public",
    Visibility.UNLISTED: "Unsearchable",
    Visibility.GROUP: "Private",
    Visibility.PRIVATE: "Private",
}


@lru_cache(512)
def html(text: str) -> str:
    """Descriptions are rendered once per text; a list shows the same ones again and again."""
    return str(markdown(text)) if text else ""


def download_address(origin: str, version_id: int, file: FileRow | None = None) -> str:
    """Of a version's primary file; with `file` of that file, exactly."""
    address = f"{origin}/api/download/models/{version_id}"
    if file is None:
        return address
    wishes = "&".join(f"{key}={value}" for key, value in file.metadata.items())  # words of our own tables: nothing to quote
    return f"{address}?type={file.file_type.replace(' ', '%20')}&{wishes}&fileId={file.id}"


def file_object(origin: str, file: FileRow, main: FileRow | None, *, say_not_primary: bool) -> dict[str, Any]:
    """One entry of `files`. `say_not_primary`: version answers carry `primary` always, model answers only where it is true."""
    is_main = main is not None and file.id == main.id
    data = {
        "id": file.id,
        "name": file.name,
        "type": file.file_type,
        "sizeKB": file.size_bytes / 1024,
        "metadata": file.metadata,
        **scan_fields(file),
        "hashes": {kind: value.upper() for kind, value in file.hashes.items()},
    }
    if is_main or say_not_primary:
        data["primary"] = is_main
    if file.downloadable:
        data["downloadUrl"] = download_address(origin, file.version_id, None if is_main else file)
    if file.source_id is not None:
        data["derivedFrom"] = {"fileId": file.source_id, "keep": file.recipe.get("keep"), "precision": file.recipe.get("precision")}
    return data


def main_first(files: list[FileRow], main: FileRow | None) -> list[FileRow]:
    """The primary file before the others: some clients take the first of `files`, and must not get a pickle that has a copy."""
    return sorted(files, key=lambda file: main is None or file.id != main.id)


def held_object(origin: str, file: FileRow) -> dict[str, Any]:
    """A file that is known but not served: what it is and why, without an address."""
    data = file_object(origin, file, None, say_not_primary=True)
    return {**data, "state": file.state if file.state != FileState.READY else "withdrawn"}


def version_in_model(origin: str, entry: EntryRow, version: VersionRow, index: int, *, primary_only: bool = False) -> dict[str, Any]:
    main = primary(version.files)
    files = [main] if primary_only and main is not None else main_first(version.files, main)
    data = {
        "id": version.id,
        "index": index,
        "name": version.name,
        "baseModel": version.base_model,
        "baseModelType": "Standard",
        "createdAt": iso(version.created_at),
        "publishedAt": iso(version.published_at or version.created_at),
        "status": status_of(entry, version),
        "availability": AVAILABILITY[Visibility(entry.visibility)],
        "nsfwLevel": entry.rating,
        "description": html(version.description),
        "trainedWords": version.trigger_words,
        "supportsGeneration": False,
        "stats": {"downloadCount": version.download_count, "thumbsUpCount": version.thumbs_up, "thumbsDownCount": version.thumbs_down},
        "files": [file_object(origin, file, main, say_not_primary=False) for file in files],
        "images": image_objects(origin, entry, version),
    }
    if main is not None:
        data["downloadUrl"] = download_address(origin, version.id)
    return data


def image_objects(origin: str, entry: EntryRow, version: VersionRow) -> list[dict[str, Any]]:
    """Pictures inherit the entry's rating."""
    stem = f"{entry.name}-{version.name}"
    return [images.image_object(origin, image, entry.rating, stem) for image in version.images]


def model_object(origin: str, entry: EntryRow, *, primary_only: bool = False) -> dict[str, Any]:
    """One model with `entry.versions` as they are: whoever read them has left out what must not be seen."""
    data = {
        "id": entry.id,
        "name": entry.name,
        "description": html(entry.description),
        "type": type_of(entry),
        "nsfw": entry.rating >= vocabulary.NSFW_FROM,
        "nsfwLevel": entry.rating,
        "minor": False,
        "sfwOnly": False,
        "poi": False,
        "availability": AVAILABILITY[Visibility(entry.visibility)],
        "supportsGeneration": False,
        "userId": entry.owner_id,
        "baseModels": list(dict.fromkeys(version.base_model for version in entry.versions)),
        "allowNoCredit": entry.allow_no_credit,
        "allowCommercialUse": vocabulary.commercial_use(entry.allow_commercial_use),
        "allowDerivatives": entry.allow_derivatives,
        "allowDifferentLicense": entry.allow_different_license,
        "stats": model_stats(entry),
        "creator": {"username": entry.username, "image": None},
        "tags": entry.tags,
        "modelVersions": [
            version_in_model(origin, entry, version, index, primary_only=primary_only) for index, version in enumerate(entry.versions)
        ],
    }
    mode = mode_of(entry)
    return {**data, "mode": mode} if mode else data


def model_stats(entry: EntryRow) -> dict[str, int | float]:
    """Counts that the hub does not keep are 0: clients add them up and must not meet null."""
    return {
        "downloadCount": entry.download_count,
        "favoriteCount": 0,
        **thumbs(entry),
        "commentCount": 0,
        "tippedAmountCount": 0,
    }


def thumbs(row: EntryRow | VersionRow) -> dict[str, int | float]:
    """The thumbs of reviews, and what older clients read instead: how many there are, and the share of those up on a scale to 5."""
    count = row.thumbs_up + row.thumbs_down
    stars = round(5 * row.thumbs_up / count, 2) if count else 0
    return {"thumbsUpCount": row.thumbs_up, "thumbsDownCount": row.thumbs_down, "ratingCount": count, "rating": stars}


def version_object(origin: str, entry: EntryRow, version: VersionRow) -> dict[str, Any]:
    """The answer of /model-versions/{id} and by-hash; a version that is gone keeps everything but its addresses."""
    main, kind = primary(version.files), type_of(entry, version)
    model = {"name": entry.name, "type": kind, "nsfw": entry.rating >= vocabulary.NSFW_FROM, "poi": False}
    mode = mode_of(entry, version)
    data = {
        "id": version.id,
        "modelId": entry.id,
        "name": version.name,
        "nsfwLevel": entry.rating,
        "createdAt": iso(version.created_at),
        "updatedAt": iso(version.updated_at),
        "status": status_of(entry, version),
        "publishedAt": iso(version.published_at or version.created_at),
        "trainedWords": version.trigger_words,
        "baseModel": version.base_model,
        "baseModelType": "Standard",
        "description": html(version.description),
        "uploadType": "Created",
        "usageControl": "Download",
        "air": air.name(version.base_model, kind, entry.id, version.id),
        "availability": AVAILABILITY[Visibility(entry.visibility)],
        "stats": {"downloadCount": version.download_count, **thumbs(version)},
        "model": {**model, "mode": mode} if mode else model,
        "files": [file_object(origin, file, main, say_not_primary=True) for file in main_first(version.files, main)],
        "images": image_objects(origin, entry, version),
    }
    if main is not None:
        data["downloadUrl"] = download_address(origin, version.id)
    if version.held:
        data["heldFiles"] = [held_object(origin, file) for file in version.held]
    return data


def type_of(entry: EntryRow, version: VersionRow | None = None) -> str:
    """By the kind; between LORA, LoCon and DoRA what the tensors of the files say."""
    files = [file for of in ([version] if version else entry.versions) for file in (*of.files, *of.held)]
    return vocabulary.model_type(entry.kind, [file.flavour or "" for file in files])


def status_of(entry: EntryRow, version: VersionRow) -> str:
    if version.deleted_at is not None or entry.deleted_at is not None:
        return "Deleted"
    return vocabulary.STATUS_NAMES[Status(version.status)]


def mode_of(entry: EntryRow, version: VersionRow | None = None) -> str:
    """ "TakenDown" for what was deleted, "Archived" for what was withdrawn, "" for what is well."""
    if entry.deleted_at is not None or (version is not None and version.deleted_at is not None):
        return "TakenDown"
    withdrawn = version.status == Status.WITHDRAWN if version is not None else entry.published_at is not None and not entry.live
    return "Archived" if withdrawn else ""
