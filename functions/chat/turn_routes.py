"""The routes of a turn that has begun: its state and events, the user's decisions, and messages to the model."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from functions.chat.errors import (
    CHOICE_ERRORS,
    MODEL_CALL_ERRORS,
    AlreadyDecided,
    AssistantNotFound,
    NotRunning,
    NotWaiting,
    TooManyMessages,
)
from functions.chat.form_schemas import AnswersIn
from functions.chat.responses import SERVER_TIMING, StreamFormat, turn_response
from functions.chat.schemas import EVENT_SCHEMA, ApprovalIn, SteeringMessageIn, TurnOut, TurnStateOut
from functions.chat.services import ChatServices, ChatServicesDep
from functions.chat.turn import replay, run, steering_messages
from functions.chat.turn.approvals import Decision
from parley.auth.principal import Principal
from parley.db.turn.steering_messages import SteeringMessage
from parley.db.turn.stream_leases import TooManyStreams
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("chat"))])

DECISIONS = error_responses(NotFound, AssistantNotFound, AlreadyDecided, NotWaiting, *CHOICE_ERRORS, *MODEL_CALL_ERRORS)
EVENTS: dict[str, Any] = {"text/event-stream": {"schema": EVENT_SCHEMA}}
TURN: dict[int | str, Any] = {
    200: {"model": TurnOut, "description": "The turn", "content": EVENTS, "headers": {"Server-Timing": SERVER_TIMING}}
}
STREAM: dict[int | str, Any] = {
    200: {"description": "The events", "content": EVENTS},
    204: {"description": "The turn has ended or waits, and `Last-Event-ID` is the id of its last event"},
}

# Text that is not an event number counts as no id, because a browser may send the last id of another stream.
LastEventId = Annotated[str | None, Header(description="The id of the last event received")]
FORMAT = "The form of a stream's events: this API's own, or that of AG-UI 1.0, which begins with the turn's first event"
StreamFormatQuery = Annotated[StreamFormat, Query(alias="format", description=FORMAT)]


@router.get("/chat/turns/{id}", responses=error_responses(NotFound))
async def get_turn(id: UUID, services: ChatServicesDep, principal: CurrentPrincipal) -> TurnStateOut:
    """Return a turn's state, with the text of its answer so far."""
    return TurnStateOut.of(replay.read_turn(services.engine, principal, id))


@router.get("/chat/turns/{id}/events", response_class=Response, responses=STREAM | error_responses(NotFound, TooManyStreams))
async def get_events(
    id: UUID,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    after: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
    last_event_id: LastEventId = None,
    stream_format: StreamFormatQuery = "parley",
) -> Response:
    """Stream a turn's events after number `after`, or after the header `Last-Event-ID`, until the turn ends or waits.

    While the turn runs, new events are sent live. The last event is always sent, even if its number is not greater than `after`; but
    if the header has its number, the response is 204, after which a browser's `EventSource` does not connect again. An unknown
    `Last-Event-ID` counts as none. With `?format=ag-ui`, all events are sent. Events are stored for 24 hours.
    """
    if stream_format == "ag-ui":
        after, last_event_id = 0, None
    last_seen = after if after is not None else replay.parse_last_event_id(last_event_id)
    deadline = Deadline.of(request.scope["aws.context"])
    limit = services.stream_limits.followers
    events = replay.read_events(
        services.engine, principal, id, after=last_seen, deadline=deadline, max_followers=limit, repeats_last=after is not None
    )
    return turn_response(events, stream=True, stream_format=stream_format)


@router.post("/chat/turns/{id}/approvals", responses=TURN | {202: {"description": "Other calls wait for a decision"}} | DECISIONS)
async def decide_call(id: UUID, body: ApprovalIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal) -> Response:
    """Approve or deny a tool call of a waiting turn. The last decision resumes the turn, and the response has its remaining events.

    An API key needs the scope `approvals` to approve a call. After the turn has resumed, a repeated decision gets the events since the
    turn's pause. A turn waits for decisions for at most a day.
    """
    return _resume(request, services, principal, Decision(id, body.call_id, body.approve), stream=body.stream)


@router.post("/chat/turns/{id}/answers", responses=TURN | {202: {"description": "Other decisions are still open"}} | DECISIONS)
async def answer_question(id: UUID, body: AnswersIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal) -> Response:
    """Answer or decline a question of a waiting turn. The last decision resumes the turn, and the response has its remaining events.

    The model receives the answers as the result of the call that asked; without `answers`, it receives that the user declined. An answer
    that does not fit its field is 422, and the question stays open. After the turn has resumed, the same answers get the events since the
    turn's pause. A turn waits for answers for at most a day.
    """
    decision = Decision(id, body.question_id, is_approved=body.answers is not None, answers=body.answers)
    return _resume(request, services, principal, decision, stream=body.stream)


@router.post("/chat/turns/{id}/messages", status_code=202, responses=error_responses(NotFound, NotRunning, TooManyMessages))
async def add_message(id: UUID, body: SteeringMessageIn, services: ChatServicesDep, principal: CurrentPrincipal) -> Response:
    """Send a message to the model while it writes an answer.

    The model reads the message at the next round of its tool loop, after the tools that run; the stream then has the event
    `message.read` with the key as its `id`, and the message becomes a part of the answer. If the turn ends without that event, the model
    has not read the message: send it as the next question. A turn takes at most ten messages.
    """
    steering_messages.add_message(services, principal, id, SteeringMessage(body.key, body.message))
    return Response(status_code=202)


def _resume(request: Request, services: ChatServices, principal: Principal, decision: Decision, *, stream: bool) -> Response:
    resumed = run.resume_turn(
        services,
        principal,
        decision,
        deadline=Deadline.of(request.scope["aws.context"]),
        request_id=request.scope["parley.request_id"],
    )
    if resumed is None:
        return Response(status_code=202)
    ids = {"turn_id": str(decision.turn_id), "conversation_id": str(resumed.conversation_id)}
    return turn_response(resumed.events, stream=stream, ids=ids)
