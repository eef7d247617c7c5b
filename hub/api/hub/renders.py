"""Renders: ask for pictures of a version, watch them come, cancel, try again."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.hub.render_answers import RenderAnswer, RenderRequest
from hub.api.hub.views import CHANGE, HubView, OwnView, checked, problems
from hub.downloads import origin_of
from inference import renders, workers
from inference.models import Render
from registry.lifecycle import RenderState

SHOWN = 50
ENDED = frozenset({RenderState.MADE, RenderState.FAILED, RenderState.CANCELLED})


class Renders(OwnView):
    @extend_schema(operation_id="list_renders", responses={200: RenderAnswer(many=True), **problems(401)})
    def get(self, request: Request) -> Response:
        """Your renders, the newest fifty."""
        context = {**self.context, "workers": list(workers.alive())}
        return Response(RenderAnswer(renders.of(request.user)[:SHOWN], many=True, context=context).data)

    @extend_schema(operation_id="create_render", request=RenderRequest, responses={201: RenderAnswer, **problems(*CHANGE, 409, 429)})
    def post(self, request: Request) -> Response:
        """Ask for pictures of a version: txt2img. Only you and moderators see them.

        What cannot be rendered is refused here, with the reason and the limit. A recipe that was rendered before on the same weights is
        answered at once. Poll the render, or listen to its events.
        """
        render = renders.request(request.user, **checked(RenderRequest, request))
        return self.answer(render.pk, 201)

    def answer(self, pk: int, status: int) -> Response:
        row = renders.with_shots(Render.objects.filter(pk=pk)).get()
        return Response(RenderAnswer(row, context=self.context).data, status=status)


class OneRender(HubView):
    @extend_schema(operation_id="read_render", responses={200: RenderAnswer, **problems(401, 404)})
    def get(self, request: Request, pk: int) -> Response:
        """How far a render is: state, steps done of steps in all, its place in the queue, what it waits for, and the pictures so far.

        Renders are private to who asked for them; those of a version's previews are seen by whoever sees the version.
        """
        return Response(RenderAnswer(renders.find(request.user, pk), context=self.context).data)

    @extend_schema(operation_id="cancel_render", responses={200: RenderAnswer, **problems(401, 403, 404, 409)})
    def delete(self, request: Request, pk: int) -> Response:
        """Cancel a render that waits or runs. Pictures that are done stay."""
        renders.cancel(_to_change(request, pk))
        return Response(RenderAnswer(renders.find(request.user, pk), context=self.context).data)


class RetryRender(HubView):
    @extend_schema(operation_id="retry_render", request=None, responses={200: RenderAnswer, **problems(401, 403, 404, 409, 429)})
    def post(self, request: Request, pk: int) -> Response:
        """Try a failed render again. Pictures that are done are not made twice."""
        renders.retry(_to_change(request, pk))
        return Response(RenderAnswer(renders.find(request.user, pk), context=self.context).data)


class AlwaysJson(BaseContentNegotiation):
    """A browser that listens accepts `text/event-stream` alone; what is wrong is said in JSON all the same."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class RenderEvents(HubView):
    content_negotiation_class = AlwaysJson

    @extend_schema(
        operation_id="render_events",
        responses={
            (200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR, description="Events until the render is over."),
            204: OpenApiResponse(description="You have heard the end already."),
            **problems(401, 404),
        },
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        """A render as server-sent events: `progress` and `picture` (or `unfit`) as they come, and `end` with its state.

        A stream ends after some minutes and browsers ask again by themselves. 503 with Retry-After where too many listen.
        """
        render = renders.find(request.user, pk)
        if request.headers.get("Last-Event-ID") == "end" and render.state in ENDED:
            return HttpResponse(status=204)
        response = HttpResponse(content_type="text/event-stream")
        response["X-Hub-Events"] = f"render {pk} {origin_of(request)}"
        if request.user.is_authenticated:
            response["X-Hub-Listener"] = str(request.user.pk)
        return response


def _to_change(request: Request, pk: int) -> Render:
    """A render of the caller's; 404 where it may not be seen, 403 where it may only be seen."""
    render = renders.find(request.user, pk)
    if not renders.may_change(request.user, render):
        raise PermissionDenied("Only who asked for it, its model's owner or a moderator may change this.", code="not-yours")
    return render
