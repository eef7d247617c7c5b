"""Variants of a file: what can be asked for, and asking for one."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub import variants
from hub.api.hub.access import file_to_change
from hub.api.hub.file_answers import DerivativeAnswer, derived_answer
from hub.api.hub.variant_answers import OffersAnswer, VariantRequest, offer_answer
from hub.api.hub.views import CHANGE, OwnView, checked, problems
from inference.weights.recipe import Recipe
from registry.formats.plaintext import printable


class Variants(OwnView):
    @extend_schema(operation_id="list_variants", responses={200: OffersAnswer, **problems(401, 403, 404, 409)})
    def get(self, request: Request, pk: int) -> Response:
        """What can be made of a file, with its size to the byte, and why the rest cannot; for its creator and moderators."""
        file = file_to_change(request, pk)
        refusal = variants.why_not(request.user, file)
        if refusal:
            raise refusal
        found = variants.choices_of(file)
        refused = [
            {**recipe.to_json(), "code": error.code, "reason": printable(error.sentence, 500)} for recipe, error in found.refused.items()
        ]
        return Response({"offers": [offer_answer(row) for row in variants.offered(file, found)], "refused": refused})

    @extend_schema(
        operation_id="ask_for_variant",
        request=VariantRequest,
        responses={200: DerivativeAnswer, 202: DerivativeAnswer, **problems(*CHANGE, 409, 429, 507)},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Have a variant made (202). One that is there or under way, or a file with the same tensors, is the answer as it is (200)."""
        file = file_to_change(request, pk)
        asked = variants.ask(request.user, file, Recipe(**checked(VariantRequest, request)))
        state = asked.derivative.state if asked.derivative else "made"
        body = derived_answer(state, asked.recipe.to_json(), asked.file, request, asked.derivative)
        return Response(body, status=202 if asked.new else 200)
