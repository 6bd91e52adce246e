"""Which models may answer a question, in which order, and what they are given."""

from collections.abc import Sequence
from uuid import UUID

from functions.chat.context import Context, assemble, takes_tokens
from functions.chat.desk import Desk
from functions.chat.question import Question
from parley.db.turn.message_parts import MessagePart
from parley.llm.catalogue import Catalogue, ModelNotFound
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.messages import ModelRequest
from parley.llm.router import Candidate
from parley.observability import logger


def candidates_for(services: Desk, catalogue: Catalogue, question: Question, wished: str | None, *, user_id: UUID) -> list[Candidate]:
    """Return the models to try: by the request's word, else by the stored wish, else by the catalogue's.

    A stored wish that can no longer be met is passed over: only the request's own model is the caller's mistake. Raises
    ModelNotFound and NoModel.
    """
    try:
        return _ordered(services, catalogue, question.model or wished, user_id)
    except ModelNotFound as exc:
        if question.model:
            raise
        logger.info("a stored choice of model is passed over", reason=str(exc))
        return _ordered(services, catalogue, None, user_id)


def still_there(services: Desk, catalogue: Catalogue, ids: Sequence[str]) -> list[Candidate]:
    """Return those of the models that can still be chosen, in this order."""
    available = catalogue.available(services.environment)
    return [Candidate(id, available[id]) for id in ids if id in available]


def prepared(
    candidates: Sequence[Candidate], context: Context, said: Sequence[MessagePart] = (), *, may_call: bool = True
) -> tuple[list[Candidate], ModelRequest]:
    """Build the request for the first model that can take it; return it with those of the others that can, too.

    Raises what the first model refused by, ContextTooLong or ModelCannot, if none can.
    """
    refusals: list[ContextTooLong | ModelCannot] = []
    for place, candidate in enumerate(candidates):
        try:
            request = assemble(context, candidate, said, may_call=may_call)
            candidate.model.check(request, id=candidate.id)
        except (ContextTooLong, ModelCannot) as exc:
            refusals.append(exc)
        else:
            return [candidate, *(other for other in candidates[place + 1 :] if can_take(other, request))], request
    raise refusals[0]


def can_take(candidate: Candidate, request: ModelRequest) -> bool:
    """Whether the model is able to answer the request, and has room for it."""
    try:
        candidate.model.check(request, id=candidate.id)
    except ModelCannot:
        return False
    return takes_tokens(request, candidate.model) <= candidate.model.context_tokens


def _ordered(services: Desk, catalogue: Catalogue, name: str | None, user_id: UUID) -> list[Candidate]:
    ids = catalogue.ordered(name, environment=services.environment, subject=user_id)
    return [Candidate(id, catalogue.models[id]) for id in ids]
