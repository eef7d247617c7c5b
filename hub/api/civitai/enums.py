"""GET /api/v1/enums: the words that programs offer their users to choose from. The tables are `vocabulary`'s and `basemodels`'."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from hub.api.civitai import basemodels, vocabulary
from hub.api.civitai.answers import answer, endpoint
from registry.models import User

BASE_MODEL_TYPES = ("Standard", "Inpainting", "Refiner", "Pix2Pix")


@endpoint
def enums(request: HttpRequest, user: User | None) -> HttpResponse:
    words = {
        "ModelType": vocabulary.MODEL_TYPES,
        "ModelFileType": vocabulary.FILE_TYPES,
        "ActiveBaseModel": basemodels.ACTIVE,
        "BaseModel": basemodels.ALL,
        "BaseModelType": BASE_MODEL_TYPES,
    }
    return answer(words)
