"""The chat routes."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from functions.chat import turn
from functions.chat.answers import answer
from functions.chat.question import Question
from functions.chat.schemas import EVENT, ChatIn, ModelOut, TurnOut
from parley.errors import NotFound
from parley.http.answers import problems
from parley.http.dependencies import CurrentPrincipal, requires
from parley.llm.models import NoModel
from parley.llm.provider import ProviderBusy, ProviderFailed, ProviderRefused, ProviderTimeout

router = APIRouter(dependencies=[Depends(requires("chat"))])


# A vendor's failures are answers only where the turn is not streamed; a stream has begun by then.
REFUSALS = problems(NotFound, NoModel, ProviderFailed, ProviderBusy, ProviderTimeout, ProviderRefused)
TURN: dict[int | str, Any] = {200: {"model": TurnOut, "description": "The turn", "content": {"text/event-stream": {"schema": EVENT}}}}


@router.post("/chat", responses=TURN | REFUSALS)
async def chat(body: ChatIn, request: Request, principal: CurrentPrincipal) -> Response:
    """Take a turn: store the question, answer it, store the answer.

    With `stream`, the answer is Server-Sent Events: `turn.started`, any number of `text.delta`, and one of `turn.completed`,
    `turn.interrupted` and `turn.failed`, which ends it.
    """
    question = Question(body.message, body.conversation_id, body.model, body.max_output_tokens, body.temperature)
    events = turn.take(request.app.state.desk, principal, question)
    return answer(events, stream=body.stream, request_id=request.scope["parley.request_id"])


@router.get("/models")
async def list_models(request: Request) -> list[ModelOut]:
    """List the models that a request may name."""
    desk = request.app.state.desk
    catalogue = desk.catalogue()
    default = catalogue.default(desk.environment)
    return [ModelOut.of(id, model, default=id == default) for id, model in catalogue.available(desk.environment).items()]
