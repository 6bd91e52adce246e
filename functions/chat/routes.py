"""The chat routes."""

from fastapi import APIRouter, Depends, Request, Response

from functions.chat import turn
from functions.chat.answers import answer
from functions.chat.question import Question
from functions.chat.schemas import ChatIn, ModelOut
from parley.http.dependencies import CurrentPrincipal, requires

router = APIRouter(dependencies=[Depends(requires("chat"))])


@router.post("/chat")
async def chat(body: ChatIn, request: Request, principal: CurrentPrincipal) -> Response:
    """Take a turn: store the question, answer it, store the answer."""
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
