"""The first of a turn's two transactions: store the question before any model is called.

It chooses models and tools, counts the request and reserves its price, in five statements. Images are uploaded before it,
and deleted again if the turn does not begin.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from functions.chat.errors import ConversationBusy, InProgress
from functions.chat.services import ChatServices
from functions.chat.turn import retrieval
from functions.chat.turn.images import Images, StoredImage
from functions.chat.turn.prompt import PromptContext, prepare_request
from functions.chat.turn.question import Question, QuestionWithHistory, add_history, default_title
from functions.chat.turn.state import Turn
from functions.chat.turn.tools import TurnTool, TurnToolbox, no_tools
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.db.turn import turn_begin
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey, NewTurn, TurnConflict, TurnPreconditions
from parley.deadline import Deadline
from parley.errors import IdempotencyKeyReused, InvalidInput
from parley.ids import new_id
from parley.llm.candidates import Candidate, candidates_for
from parley.llm.catalogue import Catalogue, ModelNotFound
from parley.llm.messages import Image
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.observability import logger
from parley.tools.search_tools import SEARCH_CONVERSATIONS
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale


def choose_models(
    services: ChatServices, catalogue: Catalogue, question: Question, preferred_model: str | None, *, user_id: UUID
) -> list[Candidate]:
    """Return the models to try: by the request's word, else by the stored wish, else by the catalogue's.

    A stored wish that can no longer be met is passed over: only the request's own model is the caller's mistake. Raises
    ModelNotFound and NoModel.
    """
    candidates = partial(candidates_for, catalogue, services.environment, subject=user_id)
    try:
        return candidates(name=question.model or preferred_model)
    except ModelNotFound as exc:
        if question.model:
            raise
        logger.info("a stored choice of model is passed over", reason=str(exc))
        return candidates()


def still_available(services: ChatServices, catalogue: Catalogue, ids: Sequence[str]) -> list[Candidate]:
    """Return those of the models that can still be chosen, in this order."""
    available = catalogue.available(services.environment)
    return [Candidate(id, available[id]) for id in ids if id in available]


def select_tools(toolbox: TurnToolbox, question: Question, *, remembers: bool, require_all: bool = True) -> Sequence[TurnTool]:
    """Return the tools that the question names, or all of them; where a turn does not remember, none that looks into the past.

    With `all_there`, raises InvalidInput for a name that is not among them.
    """
    offered = [one for one in toolbox.offered if remembers or one.spec.name != SEARCH_CONVERSATIONS.name]
    if isinstance(question.tools, bool):
        return offered
    known = {one.spec.name: one for one in offered}
    missing = [name for name in question.tools if name not in known]
    if missing and require_all:
        raise InvalidInput(f"not among your tools: {', '.join(missing)}", loc=("body", "tools"))
    return [known[name] for name in dict.fromkeys(question.tools) if name in known]


_MAX_ATTEMPTS = 20


_RETRY_PAUSE_S = 0.25


# Who waits for another turn's end still needs time for an answer.
_MIN_ANSWER_S = 20.0


class _StaleTurnFound(Exception):
    """A turn stands in the way whose heart has stopped."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


class _WaitingTurnFound(Exception):
    """A turn stands in the way that waits for an approval."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


def begin_with_retries(
    services: ChatServices, principal: Principal, question: Question, *, deadline: Deadline, idempotency_key: IdempotencyKey | None = None
) -> Turn | ExistingTurn:
    """Count the request, reserve its price, store question and turn, and gather what the model will be given.

    Where the same key was used before, returns the turn that it began, which has ended. Raises NotFound, KeyReused,
    InProgress, ConversationBusy, NothingToRegenerate, ModelNotFound, ModelCannot, ContextTooLong, NoModel, RateLimited, BudgetExhausted,
    Unauthorized and Unavailable; nothing is stored or counted then.
    """
    catalogue, attempts = services.catalogue(), 0
    while True:
        try:
            return _begin_once(services, catalogue, principal, question, idempotency_key)
        except _StaleTurnFound as met:
            interrupt_if_stale(services.engine, met.turn_id, user_id=principal.user_id)
        except _WaitingTurnFound as met:
            end_waiting_turn(services.engine, met.turn_id, user_id=principal.user_id, reason="denied")
        except TurnConflict as exc:
            attempts += 1
            if attempts == _MAX_ATTEMPTS:
                raise ConversationBusy(str(exc)) from exc
        except ConversationBusy:
            if not question.wait or deadline.left_s < _MIN_ANSWER_S:
                raise
            time.sleep(_RETRY_PAUSE_S)


def _begin_once(
    services: ChatServices, catalogue: Catalogue, principal: Principal, question: Question, idempotency_key: IdempotencyKey | None
) -> Turn | ExistingTurn:
    user_id = principal.user_id
    toolbox_in = services.toolbox_for(principal) if question.tools else no_tools(principal)
    with principal_scope(services.engine, principal) as connection:
        preconditions = turn_begin.read_preconditions(
            connection,
            user_id=user_id,
            conversation_id=question.conversation_id,
            idempotency_key=idempotency_key,
            documents=question.named_documents,
        )
        if idempotency_key and preconditions.same_key_turn:
            if not preconditions.is_key_expired:
                return _turn_of_key(preconditions.same_key_turn, idempotency_key)
            turn_begin.release_key(connection, idempotency_key, user_id=user_id)
        _require_no_open_turn(preconditions, question)
        question_with_history = add_history(connection, preconditions.conversation, question, user_id=user_id)
        turn = _prepare_turn(services, catalogue, connection, principal, question_with_history, preconditions, toolbox_in(connection))
        if preconditions.open_turn and _denies_pending_calls(preconditions, question_with_history.question):
            # Only now: a message that is refused denies nothing.
            raise _WaitingTurnFound(preconditions.open_turn.id)
        turn_begin.store_turn(connection, _new_turn(turn, question_with_history.question, preconditions, idempotency_key))
        # Whoever was refused, or outrun, has asked no vendor for anything; the commit still takes its time.
        turn.query_embedding = retrieval.start_query_embedding(services, turn)
        return turn


def _turn_of_key(found: ExistingTurn, idempotency_key: IdempotencyKey) -> ExistingTurn:
    """Return the turn that a repeated request asks for, if it has ended."""
    if found.fingerprint != idempotency_key.fingerprint:
        raise IdempotencyKeyReused
    if found.is_stale:
        raise _StaleTurnFound(found.id)
    if found.status == "running":
        raise InProgress(found.id)
    return found


def _require_no_open_turn(preconditions: TurnPreconditions, question: Question) -> None:
    """A conversation has one open turn: a dead one is ended first."""
    if preconditions.open_turn is None or _denies_pending_calls(preconditions, question):
        return
    if preconditions.open_turn.is_stale:
        raise _StaleTurnFound(preconditions.open_turn.id)
    raise ConversationBusy(f"turn {preconditions.open_turn.id} is {preconditions.open_turn.status}")


def _denies_pending_calls(preconditions: TurnPreconditions, question: Question) -> bool:
    """Whether the question is a new message to a turn that waits, which denies what that waits for."""
    return preconditions.open_turn is not None and preconditions.open_turn.status == "waiting" and not question.is_regeneration


def _prepare_turn(
    services: ChatServices,
    catalogue: Catalogue,
    connection: Connection,
    principal: Principal,
    question_with_history: QuestionWithHistory,
    preconditions: TurnPreconditions,
    toolbox: TurnToolbox,
) -> Turn:
    """Choose who answers, gather what they are given, count the request and reserve its price."""
    conversation, question = preconditions.conversation, question_with_history.question
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    preferred_model = (conversation and conversation.model) or preconditions.default_model
    candidates = choose_models(services, catalogue, question, preferred_model, user_id=billing_subject.user_id)
    remembers = preconditions.memory_enabled and not (conversation.is_incognito if conversation else question.is_incognito)
    offered = select_tools(toolbox, question, remembers=remembers)
    context = PromptContext(
        conversation,
        question_with_history.history,
        question,
        offered,
        question_with_history.summary,
        remembers=remembers,
        is_history_truncated=question_with_history.is_history_truncated,
    )
    candidates, request = prepare_request(candidates, context)
    amount_usd = limits.max_cost_usd([one.model for one in candidates], request) + retrieval.max_embedding_cost_usd(services, context)
    detail = limits.reservation_detail(turn_id := new_id(), candidates[0].id, candidates[0].model, request)
    reservation = limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd, detail=detail)
    conversation_id = conversation.id if conversation else new_id()
    turn = Turn(
        billing_subject, conversation_id, candidates, context, request, [reservation], question_with_history.message_id, toolbox, turn_id
    )
    turn.start()
    return turn


def _new_turn(turn: Turn, question: Question, preconditions: TurnPreconditions, idempotency_key: IdempotencyKey | None) -> NewTurn:
    return NewTurn(
        turn.id,
        turn.user_id,
        turn.conversation_id,
        preconditions.conversation.last_seq if preconditions.conversation else None,
        default_title(question.text),
        turn.user_message_id,
        None if question.is_regeneration else [*question.images, {"type": "text", "text": question.text}],
        estimate_tokens(question.text),
        turn.model_id,
        idempotency_key,
        turn.event_buffer.drain(),
        question.is_incognito,
    )


def begin_turn(
    services: ChatServices, principal: Principal, question: Question, *, deadline: Deadline, idempotency_key: IdempotencyKey | None
) -> Turn | ExistingTurn:
    """Store what the question brings, and begin. Raises NotFound for an image that is not the user's, and what `begin` raises."""
    if not question.attached:
        return begin_with_retries(services, principal, question, deadline=deadline, idempotency_key=idempotency_key)
    earlier = {id: services.images.find(id, user_id=principal.user_id) for id in question.attached if not isinstance(id, Image)}
    with _discard_unless_begun(services.images) as put:
        known: dict[str, bytes | None] = {}
        parts = []
        for attached in question.attached:
            if isinstance(attached, Image):
                put.append(stored_image := services.images.put(attached, user_id=principal.user_id))
                known[stored_image.key] = attached.data
            parts.append((stored_image if isinstance(attached, Image) else earlier[attached]).part())
        begun = begin_with_retries(
            services, principal, replace(question, images=parts, attached=()), deadline=deadline, idempotency_key=idempotency_key
        )
        if isinstance(begun, Turn):
            put.clear()
            begun.image_bytes.update(known)
        return begun


@contextmanager
def _discard_unless_begun(images: Images) -> Iterator[list[StoredImage]]:
    """Delete again, in the end, what stands in the list."""
    put: list[StoredImage] = []
    try:
        yield put
    finally:
        for stored_image in put:
            images.discard(stored_image)
