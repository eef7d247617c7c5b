"""The JSON objects of the Civitai API in JSON Schema: what is always there and of which type. What `shapes` adds is allowed."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
COUNT = {"type": "integer", "minimum": 0}
TYPES: dict[str, Json] = {
    "s": {"type": "string"},
    "i": {"type": "integer"},
    "n": COUNT,
    "f": {"type": "number"},
    "b": {"type": "boolean"},
    "o": {"type": "object"},
    "t": {"type": "string", "format": "date-time"},
    "u": {"type": "string", "format": "uri"},
    "s?": {"type": ["string", "null"]},
    "o?": {"type": ["object", "null"]},
    "[s]": {"type": "array", "items": {"type": "string"}},
    "[i]": {"type": "array", "items": {"type": "integer"}},
}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json) -> Json:
    return {"type": "array", "items": items}


def shape(always: str, sometimes: str = "", **others: Json) -> Json:
    """An object: `always` and `sometimes` are words `key:type` (a key of `TYPES`), `others` are schemas of keys that are always there."""
    required = dict(word.split(":") for word in always.split())
    optional = dict(word.split(":") for word in sometimes.split())
    properties = {key: TYPES[kind] for key, kind in {**required, **optional}.items()} | others
    return {"type": "object", "properties": properties, "required": [*required, *others]}


def listing(item: str, metadata: str) -> Json:
    return shape("", items=array(ref(item)), metadata=ref(metadata))


FILE = "id:n name:s type:s sizeKB:f metadata:o pickleScanResult:s virusScanResult:s scan:o hashes:o"
FILE_MORE = "pickleScanMessage:s? virusScanMessage:s? scannedAt:t primary:b downloadUrl:u derivedFrom:o state:s"
IMAGE = "id:n url:u nsfwLevel:n width:n height:n type:s minor:b poi:b hasMeta:b hasPositivePrompt:b onSite:b"
VERSION = (
    "id:n name:s baseModel:s baseModelType:s createdAt:t publishedAt:t status:s availability:s nsfwLevel:n description:s trainedWords:[s]"
)
MODEL = (
    "id:n name:s description:s type:s nsfw:b nsfwLevel:n minor:b sfwOnly:b poi:b availability:s supportsGeneration:b userId:n "
    "baseModels:[s] allowNoCredit:b allowCommercialUse:s allowDerivatives:b allowDifferentLicense:b stats:o tags:[s]"
)
SCHEMAS: Json = {
    "Error": shape("error:s", "message:s"),
    "File": shape(FILE, FILE_MORE),
    "Image": shape(IMAGE, "hash:s meta:o?"),
    "VersionInModel": shape(
        f"{VERSION} index:n supportsGeneration:b stats:o", "downloadUrl:u", files=array(ref("File")), images=array(ref("Image"))
    ),
    "Model": shape(MODEL, "mode:s", creator=shape("username:s", "image:s?"), modelVersions=array(ref("VersionInModel"))),
    "Models": listing("Model", "ModelsMetadata"),
    "ModelsMetadata": shape("totalItems:n pageSize:n totalPages:n", "currentPage:n nextCursor:s nextPage:u"),
    "ModelVersion": shape(
        f"{VERSION} modelId:n updatedAt:t uploadType:s usageControl:s stats:o",
        "downloadUrl:u air:s",
        model=shape("name:s type:s nsfw:b poi:b", "mode:s"),
        files=array(ref("File")),
        images=array(ref("Image")),
    ),
    "HashIds": shape("modelVersionId:n modelId:n hash:s"),
    "Mini": shape(
        "air:s versionName:s modelName:s userId:n baseModel:s availability:s publishedAt:t size:f fileType:s fileName:s hashes:o "
        "downloadUrls:[s] format:s requireAuth:b checkPermission:b canGenerate:b"
    ),
    "FeedImage": shape(
        "id:n url:u width:n height:n nsfwLevel:s type:s nsfw:b browsingLevel:n createdAt:t stats:o username:s "
        "baseModel:s modelVersionIds:[i]",
        "postId:n hash:s meta:o?",
    ),
    "Images": listing("FeedImage", "ImagesMetadata"),
    "ImagesMetadata": shape("", "currentPage:n pageSize:n nextCursor:s nextPage:u"),
    "NumberedMetadata": shape("totalItems:n currentPage:n pageSize:n totalPages:n", "nextPage:u prevPage:u"),
    "Creator": shape("username:s modelCount:n link:u"),
    "Creators": listing("Creator", "NumberedMetadata"),
    "Tag": shape("name:s modelCount:n link:u"),
    "Tags": listing("Tag", "NumberedMetadata"),
    "Users": shape("", items=array(shape("id:n username:s avatarNsfw:s"))),
    "Me": shape("id:n username:s tier:s status:s isMember:b isModerator:b"),
    "Enums": shape("ModelType:[s] ModelFileType:[s] ActiveBaseModel:[s] BaseModel:[s] BaseModelType:[s]"),
    "Permissions": {"oneOf": [{"type": "object", "additionalProperties": {"type": "boolean"}}, {"type": "array", "maxItems": 0}]},
    "Tensor": shape("name:s shape:[i] dtype:s sizeBytes:n"),
    "TensorMetadata": shape(
        "format:s tensorCount:n totalTensorBytes:n",
        "weightPrecision:s?",
        dtypeCounts=array(shape("dtype:s count:n bytes:n")),
        largestTensor={"anyOf": [ref("Tensor"), {"type": "null"}]},
    ),
}
