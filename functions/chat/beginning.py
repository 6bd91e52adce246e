"""The first of a turn's two transactions: the question is stored before the model is asked. It takes five statements."""

import time
from uuid import UUID

from sqlalchemy import Connection

from functions.chat import gathering
from functions.chat.asked import Asked, asked_in
from functions.chat.choosing import candidates_for, prepared
from functions.chat.context import Context
from functions.chat.desk import Desk
from functions.chat.errors import ConversationBusy, InProgress
from functions.chat.offering import chosen
from functions.chat.question import Question, title_of
from functions.chat.running import Turn
from functions.chat.toolbox import Toolbox, no_tools
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.db.turn import turn_begin
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey, NewTurn, TurnConflict, TurnPreconditions
from parley.deadline import Deadline
from parley.http.idempotency import IdempotencyKeyReused
from parley.ids import new_id
from parley.llm.catalogue import Catalogue
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.turn_recovery import end_waiting_turn, interrupt_if_stale

_MOST_ATTEMPTS = 20
_PAUSE_S = 0.25
# Who waits for another turn's end still needs time for an answer.
_ANSWER_S = 20.0


class _MetSilent(Exception):
    """A turn stands in the way whose heart has stopped."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


class _MetWaiting(Exception):
    """A turn stands in the way that waits for an approval."""

    def __init__(self, turn_id: UUID) -> None:
        self.turn_id = turn_id


def begin(
    services: Desk, principal: Principal, question: Question, *, deadline: Deadline, idempotency_key: IdempotencyKey | None = None
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
        except _MetSilent as met:
            interrupt_if_stale(services.engine, met.turn_id, user_id=principal.user_id)
        except _MetWaiting as met:
            end_waiting_turn(services.engine, met.turn_id, user_id=principal.user_id, reason="denied")
        except TurnConflict as exc:
            attempts += 1
            if attempts == _MOST_ATTEMPTS:
                raise ConversationBusy(str(exc)) from exc
        except ConversationBusy:
            if not question.wait or deadline.left_s < _ANSWER_S:
                raise
            time.sleep(_PAUSE_S)


def _begin_once(
    services: Desk, catalogue: Catalogue, principal: Principal, question: Question, idempotency_key: IdempotencyKey | None
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
        if idempotency_key and preconditions.earlier:
            if not preconditions.is_key_old:
                return _earlier(preconditions.earlier, idempotency_key)
            turn_begin.release_key(connection, idempotency_key, user_id=user_id)
        _check_alone(preconditions, question)
        asked = asked_in(connection, preconditions.conversation, question, user_id=user_id)
        turn = _prepare(services, catalogue, connection, principal, asked, preconditions, toolbox_in(connection))
        if preconditions.open and _denies(preconditions, asked.question):
            # Only now: a message that is refused denies nothing.
            raise _MetWaiting(preconditions.open.id)
        turn_begin.store_turn(connection, _beginning(turn, asked.question, preconditions, idempotency_key))
        # Whoever was refused, or outrun, has asked no vendor for anything; the commit still takes its time.
        turn.query_embedding = gathering.begin(services, turn)
        return turn


def _earlier(found: ExistingTurn, idempotency_key: IdempotencyKey) -> ExistingTurn:
    """Return the turn that a repeated request asks for, if it has ended."""
    if found.fingerprint != idempotency_key.fingerprint:
        raise IdempotencyKeyReused
    if found.is_stale:
        raise _MetSilent(found.id)
    if found.status == "running":
        raise InProgress(found.id)
    return found


def _check_alone(preconditions: TurnPreconditions, question: Question) -> None:
    """A conversation has one open turn: a dead one is ended first."""
    if preconditions.open is None or _denies(preconditions, question):
        return
    if preconditions.open.is_stale:
        raise _MetSilent(preconditions.open.id)
    raise ConversationBusy(f"turn {preconditions.open.id} is {preconditions.open.status}")


def _denies(preconditions: TurnPreconditions, question: Question) -> bool:
    """Whether the question is a new message to a turn that waits, which denies what that waits for."""
    return preconditions.open is not None and preconditions.open.status == "waiting" and not question.is_anew


def _prepare(
    services: Desk,
    catalogue: Catalogue,
    connection: Connection,
    principal: Principal,
    asked: Asked,
    preconditions: TurnPreconditions,
    toolbox: Toolbox,
) -> Turn:
    """Choose who answers, gather what they are given, count the request and reserve its price."""
    conversation, question = preconditions.conversation, asked.question
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    wished = (conversation and conversation.model) or preconditions.default_model
    candidates = candidates_for(services, catalogue, question, wished, user_id=billing_subject.user_id)
    remembers = preconditions.memory_enabled and not (conversation.is_incognito if conversation else question.is_incognito)
    offered = chosen(toolbox, question, remembers=remembers)
    context = Context(conversation, asked.earlier, question, offered, asked.summary, remembers=remembers, is_cut=asked.is_cut)
    candidates, request = prepared(candidates, context)
    amount_usd = limits.max_cost_usd([one.model for one in candidates], request) + gathering.worst_usd(services, context)
    detail = limits.reservation_detail(turn_id := new_id(), candidates[0].id, candidates[0].model, request)
    reservation = limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd, detail=detail)
    conversation_id = conversation.id if conversation else new_id()
    turn = Turn(billing_subject, conversation_id, candidates, context, request, [reservation], asked.message_id, toolbox, turn_id)
    turn.start()
    return turn


def _beginning(turn: Turn, question: Question, preconditions: TurnPreconditions, idempotency_key: IdempotencyKey | None) -> NewTurn:
    return NewTurn(
        turn.id,
        turn.user_id,
        turn.conversation_id,
        preconditions.conversation.last_seq if preconditions.conversation else None,
        title_of(question.text),
        turn.user_message_id,
        None if question.is_anew else [*question.images, {"type": "text", "text": question.text}],
        estimate_tokens(question.text),
        turn.model_id,
        idempotency_key,
        turn.journal.take(),
        question.is_incognito,
    )
