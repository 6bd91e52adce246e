"""The chat routes."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from functions.chat.errors import AlreadyDecided, ConversationBusy, InProgress, NothingToRegenerate, NotWaiting, OutOfTime
from functions.chat.openai_api import routes as openai_routes
from functions.chat.responses import turn_response
from functions.chat.schemas import EVENT_SCHEMA, ApprovalIn, ChatIn, ImageOut, ModelOut, RegenerateIn, TurnOut, TurnStateOut
from functions.chat.services import ChatServices, ChatServicesDep
from functions.chat.turn import replay, run
from functions.chat.turn.approvals import Decision
from functions.chat.turn.question import Question
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.app import join_routers
from parley.http.dependencies import CurrentPrincipal, require_live_session, requires
from parley.http.idempotency import Idempotency, IdempotencyHeader, request_fingerprint
from parley.http.problems import error_responses
from parley.llm.catalogue import ModelNotFound, NoModel
from parley.llm.errors import (
    ContextTooLong,
    ModelCannot,
    ProviderBusy,
    ProviderFailed,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderRejected,
    ProviderTimeout,
)
from parley.metering.limits import BudgetExhausted, RateLimited

turn_router = APIRouter(dependencies=[Depends(requires("chat"))])

# A vendor's failures are answers only where the turn is not streamed; a stream has begun by then.
VENDORS = (ProviderFailed, ProviderBusy, ProviderTimeout, OutOfTime, ProviderRefused, ProviderRejected, ProviderMisconfigured)
MODELS = (ModelNotFound, ContextTooLong, ModelCannot, NoModel, RateLimited, BudgetExhausted)
REFUSALS = error_responses(NotFound, InProgress, ConversationBusy, IdempotencyKeyReused, *MODELS, *VENDORS)
DECISIONS = error_responses(NotFound, AlreadyDecided, NotWaiting, *MODELS, *VENDORS)
EVENTS: dict[str, Any] = {"text/event-stream": {"schema": EVENT_SCHEMA}}
TURN: dict[int | str, Any] = {200: {"model": TurnOut, "description": "The turn", "content": EVENTS}}
STREAM: dict[int | str, Any] = {200: {"description": "The events", "content": EVENTS}}


@turn_router.post("/chat", responses=TURN | REFUSALS)
async def chat(
    body: ChatIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader
) -> Response:
    """Take a turn: store the question, answer it, store the answer.

    With `stream`, the answer is Server-Sent Events: `turn.started`, what the model is given of documents (`source`) and memory
    (`memory`), any number of `text.delta`, `tool.call` and `tool.result`, and one of `turn.completed`, `turn.stopped`,
    `turn.interrupted`, `turn.failed` and `turn.waiting`, which ends it. A turn that waits, for the calls of its `tool.approval`
    events, goes on by `/chat/turns/{id}/approvals`; a new message denies them. A turn whose connection is lost goes on: read the
    rest at `/chat/turns/{id}/events`. With an `Idempotency-Key` a repeated request is given the first one's events, or its failure.
    `documents` has the user's documents searched for sources, all or those with these ids; it needs the scope of that name. The
    answer's message has a part for each source that it cites. `response_format` is OpenAI's: an answer by a JSON schema. `images`
    are data URLs, or ids of images that earlier messages show.
    """
    most, temperature = body.max_output_tokens, body.temperature
    asked = Question(body.message, body.conversation_id, body.model, most, temperature, body.wait, tools=body.tools)
    question = replace(asked, output=body.output, attached=body.attached(), is_incognito=body.incognito, documents=body.documents)
    return _take(request, services, principal, question, body, _once("POST /chat", idempotency, body))


@turn_router.post("/chat/regenerate", responses=TURN | REFUSALS | error_responses(NothingToRegenerate))
async def regenerate(
    body: RegenerateIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader
) -> Response:
    """Answer the conversation's last question anew, in a turn as `POST /chat` takes; one that failed is answered so, too.

    The answer before stays as a variant, and the conversation goes on from the new one. One that ends before its first word
    takes nothing's place.
    """
    question = Question(
        "", body.conversation_id, body.model, is_regeneration=True, tools=True, output=body.output, documents=body.documents
    )
    return _take(request, services, principal, question, body, _once("POST /chat/regenerate", idempotency, body))


@turn_router.get("/chat/images/{id}", dependencies=[Depends(require_live_session)], responses=error_responses(NotFound))
async def get_image(id: UUID, services: ChatServicesDep, principal: CurrentPrincipal) -> ImageOut:
    """Tell where an image that a message shows can be read; the address is good for an hour."""
    return ImageOut.model_validate(replay.sign_image(services.images, id, user_id=principal.user_id))


@turn_router.get("/chat/turns/{id}", responses=error_responses(NotFound))
async def get_turn(id: UUID, services: ChatServicesDep, principal: CurrentPrincipal) -> TurnStateOut:
    """Show how a turn stands, with the text so far."""
    return TurnStateOut.of(replay.read_turn(services.engine, principal, id))


@turn_router.get("/chat/turns/{id}/events", response_class=Response, responses=STREAM | error_responses(NotFound))
async def get_events(
    id: UUID,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    after: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    """Stream a turn's events behind number `after`, or behind the header `Last-Event-ID`, to its end; live while it runs.

    The event that ends a turn always comes, also to who has it. Kept for 24 hours.
    """
    seen = after if after is not None else replay.parse_last_event_id(last_event_id)
    deadline = Deadline.of(request.scope["aws.context"])
    return turn_response(replay.read_events(services.engine, principal, id, after=seen, deadline=deadline), stream=True)


@turn_router.post("/chat/turns/{id}/stop", status_code=202, response_class=Response, responses=error_responses(NotFound))
async def stop_turn(id: UUID, services: ChatServicesDep, principal: CurrentPrincipal) -> Response:
    """Ask an open turn to stop: it ends within a second, and what was delivered is kept. One that has ended stays as it is."""
    replay.request_stop(services.engine, principal, id)
    return Response(status_code=202)


@turn_router.post("/chat/turns/{id}/approvals", responses=TURN | {202: {"description": "Other calls wait"}} | DECISIONS)
async def decide_call(id: UUID, body: ApprovalIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal) -> Response:
    """Approve or deny a call that a turn waits for. With the last of them it goes on, and its further events are the answer.

    To say the same again does no harm: it is answered by what has come since. A turn waits for a day.
    """
    continued = run.resume_turn(
        services,
        principal,
        Decision(id, body.call_id, body.approve),
        deadline=Deadline.of(request.scope["aws.context"]),
        request_id=request.scope["parley.request_id"],
    )
    if continued is None:
        return Response(status_code=202)
    return turn_response(continued.events, stream=body.stream, ids={"turn_id": str(id), "conversation_id": str(continued.conversation_id)})


def _once(route: str, idempotency: Idempotency, body: ChatIn | RegenerateIn) -> IdempotencyKey | None:
    return IdempotencyKey(route, idempotency.key, request_fingerprint(body)) if idempotency.key else None


def _take(
    request: Request,
    services: ChatServices,
    principal: Principal,
    question: Question,
    body: ChatIn | RegenerateIn,
    idempotency_key: IdempotencyKey | None,
) -> Response:
    if question.documents:
        principal.require("documents")
    events = run.take_turn(
        services,
        principal,
        question,
        deadline=Deadline.of(request.scope["aws.context"]),
        idempotency_key=idempotency_key,
        request_id=request.scope["parley.request_id"],
    )
    return turn_response(events, stream=body.stream)


@turn_router.get("/models")
async def list_models(services: ChatServicesDep) -> list[ModelOut]:
    """List the models that a request may name."""
    catalogue = services.catalogue()
    default = catalogue.default(services.environment)
    return [
        ModelOut.of(id, model, default=id == default, roles=catalogue.roles_of(id, environment=services.environment))
        for id, model in catalogue.available(services.environment).items()
    ]


router = join_routers(openai_routes.router, turn_router)
