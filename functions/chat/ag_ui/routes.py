"""The route of AG-UI's own request, which its clients send unmodified."""

from collections.abc import Generator
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from functions.chat.ag_ui.events import AgUiRun
from functions.chat.ag_ui.run_input import RunAgentIn
from functions.chat.errors import TURN_ERRORS, AlreadyDecided, InterruptsOpen, NotWaiting
from functions.chat.responses import turn_response
from functions.chat.schemas import AG_UI_EVENT
from functions.chat.services import ChatServices, ChatServicesDep
from functions.chat.turn import run
from functions.chat.turn.events import NumberedEvent, Ping
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.db.turn import turns
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, requires
from parley.http.idempotency import request_fingerprint
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("chat"))])

RUN: dict[int | str, Any] = {200: {"description": "The events", "content": {"text/event-stream": {"schema": AG_UI_EVENT}}}}


@router.post(
    "/chat/ag-ui",
    response_class=Response,
    responses=RUN | error_responses(*TURN_ERRORS, AlreadyDecided, NotWaiting, InterruptsOpen),
)
async def run_agent(
    body: RunAgentIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal, deadline: InvocationDeadline
) -> Response:
    """Take a turn for a client of AG-UI 1.0, whose request and events are the protocol's own.

    The last message is the question. The thread is a conversation, which has the history: the thread's first question opens it, and
    `threadId` may also be the id of an existing conversation. The event `parley.turn` has the ids of conversation and turn. A repeated
    `runId` gets the events of the first request. `resume` answers the interrupts of the thread's waiting turn, all at once, with
    `{"approve": true}` or `{"answers": {…}}`. `forwardedProps.parley` may have `model`, `tools`, `documents` and `questions` as in
    `POST /chat`. `tools`, `context` and `state` of the client are not read: the model has the user's tools.
    """
    resumes = body.resume is not None
    events = _resumed(services, principal, body, deadline, request) if resumes else _taken(services, principal, body, deadline, request)
    return turn_response(events, stream=True, stream_format="ag-ui", run=AgUiRun(body.thread_id, body.run_id, is_resumed=resumes))


def _taken(
    services: ChatServices, principal: Principal, body: RunAgentIn, deadline: Deadline, request: Request
) -> Generator[NumberedEvent | Ping]:
    question = body.question(may_ask=services.asks_user and "tools" in principal.scopes)
    if question.documents:
        principal.require("documents")
    if question.tools and not isinstance(question.tools, bool):
        principal.require("tools")
    return run.take_turn(
        services,
        principal,
        question,
        deadline=deadline,
        idempotency_key=IdempotencyKey("POST /chat/ag-ui", f"{body.conversation_id} {body.run_id}", request_fingerprint(body)),
        joins_after=0,
        request_id=request.scope["parley.request_id"],
    )


def _resumed(
    services: ChatServices, principal: Principal, body: RunAgentIn, deadline: Deadline, request: Request
) -> Generator[NumberedEvent | Ping]:
    with principal_scope(services.engine, principal) as connection:
        turn_id = turns.open_turn(connection, body.conversation_id, user_id=principal.user_id)
    if turn_id is None:
        raise NotWaiting(f"thread of conversation {body.conversation_id}")
    for decision in list(body.decisions(turn_id)):
        resumed = run.resume_turn(services, principal, decision, deadline=deadline, request_id=request.scope["parley.request_id"])
        if resumed is not None:
            return resumed.events
    raise InterruptsOpen(f"turn {turn_id}")
