"""The chat routes: questions, images and the list of models. The routes of a turn that has begun are in `turn_routes.py`."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from functions.chat.ag_ui import routes as ag_ui_routes
from functions.chat.anthropic_api import routes as anthropic_routes
from functions.chat.errors import TURN_ERRORS, NothingToRegenerate
from functions.chat.openai_api import routes as openai_routes
from functions.chat.responses import StreamFormat, turn_response
from functions.chat.responses_api import conversation_routes
from functions.chat.responses_api import routes as responses_routes
from functions.chat.schemas import ChatIn, ImageOut, ModelOut, RegenerateIn
from functions.chat.services import ChatServices, ChatServicesDep
from functions.chat.turn import replay, run
from functions.chat.turn.question import Question
from functions.chat.turn_routes import TURN, LastEventId, StreamFormatQuery
from functions.chat.turn_routes import router as begun_turn_router
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.http.app import join_routers
from parley.http.dependencies import CurrentPrincipal, require_live_session, requires
from parley.http.idempotency import Idempotency, IdempotencyHeader, request_fingerprint
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses

turn_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("chat"))])

IMAGE: dict[int | str, Any] = {
    200: {"description": "The image", "content": {f"image/{kind}": {} for kind in ("png", "jpeg", "gif", "webp")}}
}


@turn_router.post("/chat", responses=TURN | error_responses(*TURN_ERRORS))
async def chat(
    body: ChatIn,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    last_event_id: LastEventId = None,
    stream_format: StreamFormatQuery = "parley",
) -> Response:
    """Take a turn: store the question, answer it, and store the answer.

    With `stream`, the response is Server-Sent Events: `turn.started`, a `source` for each document chunk in the prompt and a `memory`
    for each memory, any number of `text.delta`, `tool.call` and `tool.result`, and one last event: `turn.completed`, `turn.stopped`,
    `turn.interrupted`, `turn.failed` or `turn.waiting`. Before a turn waits, it sends a `tool.approval` for each call that needs a
    decision, and a `tool.question` for each form to answer. Send decisions to `/chat/turns/{id}/approvals` and answers to
    `/chat/turns/{id}/answers`: the last of them resumes the turn. A new message denies the calls and leaves the questions unanswered.
    If the connection is lost, the turn continues: read the rest at `/chat/turns/{id}/events`. With an `Idempotency-Key`, a repeated
    request gets the events, or the failure, of the first request. While the first request runs, a repeated request for a stream joins
    it, from the header `Last-Event-ID` on, and a request for a whole answer is 409 `in_progress`.

    `documents` adds sources to the prompt, from all the user's documents or only from those with the given ids, and requires the scope
    `documents`. For an API key without the scope `tools`, the model gets no tools; without the scope `conversations`, the prompt has no
    memories. The answer's message has a part for each source that it cites. `timings` of the last event tells how much of the time was
    spent waiting for models, and its `retrieval` is `text` instead of `hybrid` if memory and documents were searched by words only, because
    the embedding model did not respond within half a second. `assistant_id` gives the conversation an assistant, whose instructions, model,
    tools, documents and memory apply where the request does not choose; the conversation keeps it. `response_format`, as in OpenAI's API,
    requests a JSON answer. `images` are data URLs, or ids of images in earlier messages. With `questions`, the client can show forms: the
    model may then ask the user up to four questions at once by the tool `ask_user`. With `?format=ag-ui`, the stream has the events of
    AG-UI 1.0, without ids: a repeated request, and `/chat/turns/{id}/events`, send all of them again.
    """
    question = Question(
        body.message,
        body.conversation_id,
        model=body.model,
        max_output_tokens=body.max_output_tokens,
        temperature=body.temperature,
        wait=body.wait,
        tools=body.tools,
        output=body.output,
        attached=body.attached(),
        is_incognito=body.incognito,
        documents=body.documents,
        assistant_id=body.assistant_id,
        asks_user=_may_ask(services, principal, body),
    )
    key = _idempotency_key("POST /chat", idempotency, body)
    return _take(request, services, principal, question, body, key, last_event_id, stream_format)


@turn_router.post("/chat/regenerate", responses=TURN | error_responses(*TURN_ERRORS, NothingToRegenerate))
async def regenerate(
    body: RegenerateIn,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    last_event_id: LastEventId = None,
    stream_format: StreamFormatQuery = "parley",
) -> Response:
    """Answer the conversation's last question again, even if its turn failed. Takes a turn in the same way as `POST /chat`.

    The earlier answer stays as a variant, and the conversation continues from the new answer. If the turn ends before the first word
    of its answer, the conversation keeps the earlier answer.
    """
    question = Question(
        "",
        body.conversation_id,
        model=body.model,
        is_regeneration=True,
        tools=True,
        output=body.output,
        documents=body.documents,
        asks_user=_may_ask(services, principal, body),
    )
    key = _idempotency_key("POST /chat/regenerate", idempotency, body)
    return _take(request, services, principal, question, body, key, last_event_id, stream_format)


@turn_router.get("/chat/images/{id}", dependencies=[Depends(require_live_session)], responses=error_responses(NotFound))
async def get_image(id: UUID, services: ChatServicesDep, principal: CurrentPrincipal) -> ImageOut:
    """Return the URL of an image in a message. The URL is valid for an hour."""
    return ImageOut.model_validate(replay.sign_image(services.images, id, user_id=principal.user_id))


@turn_router.get(
    "/chat/images/{id}/content",
    dependencies=[Depends(require_live_session)],
    response_class=Response,
    responses=IMAGE | error_responses(NotFound),
)
async def get_image_content(id: UUID, services: ChatServicesDep, principal: CurrentPrincipal) -> Response:
    """Return an image in a message: its bytes, for pages that may not load files from other hosts."""
    content, media_type = replay.read_image(services.images, id, user_id=principal.user_id)
    return Response(content, media_type=media_type)


def _may_ask(services: ChatServices, principal: Principal, body: ChatIn | RegenerateIn) -> bool:
    return body.questions and services.asks_user and "tools" in principal.scopes


def _idempotency_key(route: str, idempotency: Idempotency, body: ChatIn | RegenerateIn) -> IdempotencyKey | None:
    return IdempotencyKey(route, idempotency.key, request_fingerprint(body)) if idempotency.key else None


def _joins_after(last_event_id: str | None, stream_format: StreamFormat) -> int:
    """Return the number of the last event that the client has. Events in AG-UI's format have no ids."""
    return replay.parse_last_event_id(last_event_id) if last_event_id and stream_format == "parley" else 0


def _take(
    request: Request,
    services: ChatServices,
    principal: Principal,
    question: Question,
    body: ChatIn | RegenerateIn,
    idempotency_key: IdempotencyKey | None,
    last_event_id: str | None,
    stream_format: StreamFormat,
) -> Response:
    if question.documents:
        principal.require("documents")
    if question.tools and not isinstance(question.tools, bool):
        principal.require("tools")
    events = run.take_turn(
        services,
        principal,
        question,
        deadline=Deadline.of(request.scope["aws.context"]),
        idempotency_key=idempotency_key,
        joins_after=_joins_after(last_event_id, stream_format) if body.stream else None,
        request_id=request.scope["parley.request_id"],
    )
    return turn_response(events, stream=body.stream, stream_format=stream_format)


@turn_router.get("/models")
async def list_models(services: ChatServicesDep) -> list[ModelOut]:
    """List the models that a request may name."""
    catalogue = services.catalogue()
    default = catalogue.default(services.environment)
    return [
        ModelOut.of(id, model, default=id == default, roles=catalogue.roles_of(id, environment=services.environment))
        for id, model in catalogue.available(services.environment).items()
    ]


router = join_routers(
    openai_routes.router,
    responses_routes.router,
    conversation_routes.router,
    anthropic_routes.router,
    ag_ui_routes.router,
    turn_router,
    begun_turn_router,
)
